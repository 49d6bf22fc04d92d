"""Values already emitted are never changed, however a consumer keeps hold of them or of a part.

The machine may use a copy again that nobody holds; so each way of holding is tried, on shapes where
copies are worth using again: deep paths, long arrays, long objects. What is held must read the
same at the end as when it was taken.
"""

from __future__ import annotations

import collections
import copy
import itertools
import operator
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from headrace.jsonstream import JsonStream
from headrace.output_parsers import JsonOutputParser
from structure.scripted import Said


def bottom(value: Any) -> Any:
    """The innermost open container: only this is held, nothing on the way to it."""
    while isinstance(value, (list, dict)) and value:
        inner = value[0] if isinstance(value, list) else next(iter(value.values()))
        if not isinstance(inner, (list, dict)):
            return value
        value = inner
    return value


def down(value: Any, levels: int) -> Any:
    for _ in range(levels):
        if not isinstance(value, (list, dict)) or not value:
            break
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
    return value


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(value.values())


def started(value: Any) -> Iterator[Any]:
    def each() -> Iterator[Any]:
        yield from value

    running = each()
    next(running, None)
    return running


def in_place(value: Any) -> Any:
    other: Any = [] if isinstance(value, list) else {}
    if isinstance(value, list):
        other += value
    else:
        other |= value
    return bottom(other)


def inserted(value: Any) -> Any:
    if isinstance(value, dict):
        other: dict[str, Any] = {}
        other.update(value)
        return bottom(other)
    several: list[Any] = []
    several[0:0] = value
    return bottom(several)


def matched(value: Any) -> Any:
    match value:
        case [first, *_]:
            return bottom(first)
        case {"a": inner}:
            return bottom(inner)
    return None


WAYS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda v: v,
    "one level": lambda v: down(v, 1),
    "thirty levels": lambda v: down(v, 30),
    "the bottom": bottom,
    "added to a list": lambda v: bottom([] + v if isinstance(v, list) else {} | v),  # noqa: RUF005
    "times one": lambda v: bottom(v * 1) if isinstance(v, list) else bottom(v),
    "list()": lambda v: bottom(list(items(v))),
    "tuple()": lambda v: bottom(list(tuple(items(v)))),  # noqa: C414
    "star": lambda v: bottom([*v] if isinstance(v, list) else {**v}),
    "copy.copy": lambda v: bottom(copy.copy(v)),
    "iterator": iter,
    "reversed": lambda v: reversed(v),
    "generator in the middle": started,
    "in place": in_place,
    "inserted": inserted,
    "slice": lambda v: bottom(v[:]) if isinstance(v, list) else bottom(v.copy()),
    "deque": lambda v: bottom(list(collections.deque(items(v)))),
    "itertools": lambda v: bottom(list(itertools.chain(items(v)))),
    "itemgetter": lambda v: bottom(operator.itemgetter(0)(items(v))) if v else v,
    "sorted": lambda v: bottom(sorted(items(v), key=id)),
    "map": lambda v: bottom(list(map(lambda x: x, items(v)))),  # noqa: C417
    "arguments": lambda v: (lambda *a: bottom(list(a)))(*items(v)),  # noqa: PLC3002
    "match": matched,
    "UserList": lambda v: bottom(collections.UserList(items(v)).data),
    "ChainMap": lambda v: collections.ChainMap(v) if isinstance(v, dict) else v,
    "zip": lambda v: bottom(next(zip(items(v), strict=False))[0]) if v else v,
    "after a comparison": lambda v: (v == v, bottom(v))[1],
    "closure": lambda v: lambda: v,
}
SHAPES: dict[str, str] = {
    **{f"arrays {n} deep": "[" * n + "1," * 25 for n in (5, 12, 40, 100)},
    **{f"objects {n} deep": '{"a":' * n + "[" + "1," * 40 for n in (5, 12, 40, 100)},
    "long array": "[" + "12," * 700,
    "long object": "{" + ",".join(f'"k{i}":{i}' for i in range(500)),
    "records": '{"a":[' + ",".join('{"n":1,"m":[2]}' for _ in range(300)),
    "long array, deep": "[" * 30 + "12," * 500,
    "long string": '{"a":["' + "abc\\n" * 300,
}


def reading(held: Any) -> str:
    if callable(held):
        held = held()
    if isinstance(held, (list, dict, collections.ChainMap)) or held is None:
        return repr(held)
    if isinstance(held, (int, str, tuple)):
        return repr(held)
    try:
        return repr(list(copy.copy(held)))
    except TypeError:  # a generator: what it still gives is compared at the end only
        return ""


@pytest.mark.parametrize("mode", ["partial", "delimited"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_held_stays_as_it_was(shape, way, mode):
    text, hold = SHAPES[shape], WAYS[way]
    machine = JsonStream(mode=mode)
    kept = []
    for number, at in enumerate(range(0, len(text), 6)):
        machine.feed(text[at : at + 6])
        if number % 9 == 4:
            held = hold(machine.value)
            kept.append((held, reading(held)))
            del held
        else:
            machine.value
    assert kept
    for held, before in kept:
        if before:
            assert reading(held) == before


def test_a_generator_held_in_the_middle_goes_on_with_its_own_value():
    machine = JsonStream()
    machine.feed("[" + "1," * 400)
    running = started(machine.value)
    machine.feed("2," * 400)
    assert machine.value[-1] == 2
    assert list(running) == [1] * 399


@pytest.mark.parametrize("shape", SHAPES)
def test_values_in_the_hands_of_another_thread(shape):
    text = SHAPES[shape]
    handed: queue.Queue[Any] = queue.Queue()
    wrong: list[str] = []

    def reader() -> None:
        while (given := handed.get()) is not None:
            value, before = given
            if repr(value) != before:
                wrong.append(before)

    thread = threading.Thread(target=reader)
    thread.start()
    machine = JsonStream()
    for number, character in enumerate(text[:900]):
        machine.feed(character)
        if number % 5 == 0:
            handed.put((machine.value, repr(machine.value)))
    handed.put(None)
    thread.join()
    assert wrong == []


class Tree(BaseModel):
    kids: list[Tree] | None = None
    data: Any = None


@pytest.mark.parametrize("depth", [3, 20, 60])
def test_parts_that_pydantic_takes_out(depth):
    """A validated model holds open containers far below the root, taken out by C code."""
    open_ = '{"kids":[' * depth
    text = open_ + '{"data":{"x":[' + ",".join(map(str, range(60)))
    adapter = TypeAdapter(Tree)
    kept = []
    machine = JsonStream()
    for number, character in enumerate(text):
        machine.feed(character)
        if number > len(open_) and number % 3 == 0:
            model = adapter.validate_python(machine.value)
            kept.append((model, repr(model)))
            del model
    assert [repr(model) for model, _ in kept] == [before for _, before in kept]


def test_a_consumer_that_changes_what_it_got():
    """The docstring says to copy first; who does not may spoil his own value, not later ones'
    closed neighbours of the root."""
    machine = JsonStream()
    machine.feed("[" + "1," * 400)
    mine = machine.value
    mine.append("mine")
    machine.feed("2,")
    assert "mine" not in machine.value
    assert machine.value[-2:] == [1, 2]


@pytest.mark.parametrize("depth", [12, 100])
def test_a_consumer_that_changes_a_deep_value(depth):
    machine = JsonStream()
    machine.feed("[" * depth + "1,")
    bottom(machine.value).append("mine")
    machine.feed("2,")
    assert bottom(machine.value) == [1, 2]


def test_every_value_of_a_chain_kept():
    text = "[" * 20 + ",".join("12" for _ in range(300)) + "]" * 20
    chunks = list(
        (
            Said(pieces=[text[i : i + 5] for i in range(0, len(text), 5)]) | JsonOutputParser()
        ).stream("x")
    )
    lengths = [len(bottom(chunk)) for chunk in chunks if len(repr(chunk)) > 45]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 100
