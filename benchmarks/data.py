"""What all contenders are given: texts, inputs, pieces of tool calls and of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

INPUT = {"role": "comedian", "topic": "parrots"}
ANSWER = "Why did the parrot cross the road? To prove that it was no chicken."
CROWD_CHUNKS = 100  # of each of the concurrent streams
PAUSE = 0.001  # seconds before each of them
LAMBDAS: tuple[Callable[[Any], Any], ...] = (lambda x: x + 1, lambda x: x * 2, str)


def texts(size: int) -> list[str]:
    """`size` words, as a model would stream them."""
    return [f"word{number} " for number in range(size)]


def inputs(size: int) -> list[dict[str, str]]:
    return [{"role": "comedian", "topic": f"parrot number {number}"} for number in range(size)]


def cut(text: str, size: int) -> list[str]:
    """A text in `size` pieces of nearly equal length."""
    bounds = [len(text) * number // size for number in range(size + 1)]
    return [text[a:b] for a, b in pairwise(bounds)]


def tool_call_pieces(size: int) -> list[dict[str, Any]]:
    """One tool call in `size` pieces; name and id come with the first."""
    rows = [f"row {number}" for number in range(size)]
    pieces = cut(json.dumps({"rows": rows}), size)
    return [
        {
            "name": None if number else "store",
            "args": piece,
            "id": None if number else "call_1",
            "index": 0,
        }
        for number, piece in enumerate(pieces)
    ]


def json_pieces(size: int) -> list[str]:
    """A list of countries in `size` pieces, seven or so to a country."""
    countries = [
        {"name": f"Country {number}", "population": 1_000 + number}
        for number in range(size // 7 + 1)
    ]
    return cut(json.dumps({"countries": countries}), size)


def json_fours(size: int) -> list[str]:
    """An object of records, seventy characters each or so, in `size` pieces of four characters."""
    text, count = '{"countries": [', 0
    while True:
        record = {
            "name": f"Country {count}",
            "area": 67.5 + count,
            "eu": count % 2 == 0,
            "cities": ["Lyon", "Nice"],
        }
        more = f"{', ' if count else ''}{json.dumps(record)}"
        if len(text) + len(more) + 20 > 4 * size:
            break
        text, count = text + more, count + 1
    note = "x" * (4 * size - len(text) - len('], "note": ""}'))
    return cut(f'{text}], "note": "{note}"}}', size)


def shout(text: str) -> str:
    return text + "!"


async def ashout(text: str) -> str:
    return text + "!"


class Flaky:
    """A function of a number; every third number fails once and is negated when it works."""

    def __init__(self) -> None:
        self.failed: set[int] = set()

    def call(self, number: int) -> int:
        if number % 3 == 0 and number not in self.failed:
            self.failed.add(number)
            raise ConnectionError("again")
        return -number if number in self.failed else number

    async def acall(self, number: int) -> int:
        return self.call(number)
