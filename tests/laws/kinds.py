"""Kinds of input: values to draw, ways to cut one into chunks that add up to it, endless streams.

`merge(cut(value)) == value` for each kind; a kind that cannot be cut gives `[value]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, pairwise, repeat
from typing import Any, NamedTuple

from hypothesis import strategies as st

from headrace.merge import merge
from headrace.runnables import AddableDict

Draw = Callable[[Any], Any]
LETTERS = "abXY é"


class Kind(NamedTuple):
    """What a runnable takes.

    `values` draws one; `cut(value, draw)` gives the chunks; `endless()` a stream of chunks without
    end; `pieces(n)` a value in n chunks (one, where a kind cannot be cut); `sample(n)` that value.
    """

    name: str
    values: Any
    cut: Callable[[Any, Draw], list[Any]]
    endless: Callable[[], Iterator[Any]]
    pieces: Callable[[int], list[Any]]

    def sample(self, n: int) -> Any:
        return merge(self.pieces(n))


def _spans(length: int, draw: Draw) -> list[tuple[int, int]]:
    """Where to cut something of this length: pieces of one or more, all of it covered."""
    marks = draw(st.sets(st.integers(1, length - 1))) if length > 1 else set()
    edges = [0, *sorted(marks), length]
    return list(pairwise(edges))


def cut_text(text: str, draw: Draw) -> list[str]:
    return [text[a:b] for a, b in _spans(len(text), draw)] if text else [text]


def cut_list(items: list[Any], draw: Draw) -> list[list[Any]]:
    return [items[a:b] for a, b in _spans(len(items), draw)] if items else [items]


def cut_dict(value: dict[str, Any], draw: Draw) -> list[AddableDict]:
    """Each key's text is cut by itself; the pieces are put in any order that keeps each key's."""
    queues = {
        key: cut_text(part, draw) if isinstance(part, str) else [part]
        for key, part in value.items()
    }
    pieces = []
    while queues:
        key = draw(st.sampled_from(sorted(queues)))
        pieces.append(AddableDict({key: queues[key].pop(0)}))
        if not queues[key]:
            del queues[key]
    return pieces


texts = st.text(LETTERS, min_size=1, max_size=8)

TEXT = Kind(
    "text", texts, cut_text, lambda: cycle(["ab", "X", "é "]), lambda n: list("abX" * n)[:n]
)
DICT = Kind(
    "dict",
    st.fixed_dictionaries({"x": texts, "y": texts}),
    cut_dict,
    lambda: cycle([AddableDict(x="ab"), AddableDict(y="X"), AddableDict(x="é")]),
    lambda n: [AddableDict({"xy"[i % 2]: "a"}) for i in range(n)],
)
LIST = Kind(
    "list",
    st.lists(texts, min_size=1, max_size=4),
    cut_list,
    lambda: cycle([["a"], ["b", "c"], ["d"]]),
    lambda n: [["ab"] for _ in range(n)],
)
NUMBER = Kind(
    "number",
    st.integers(0, 6),
    lambda value, draw: [value],
    lambda: repeat(3),
    lambda n: [n],
)


def whole(name: str, values: Any, pieces: Callable[[int], list[Any]]) -> Kind:
    """A kind whose values come in one chunk."""
    return Kind(name, values, lambda value, draw: [value], lambda: cycle(pieces(1)), pieces)
