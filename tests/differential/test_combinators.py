"""Each combinator beside langchain-core's, through every door: chunks, exceptions, calls.

What comes out, in which chunks, which exception comes after them, and how often user code ran must
be the same; where it is not, `EXPECTED` names the row of docs/differences.md that says why.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from differential.cases import CASES, Case, Log
from laws.both import by_key, feed, libraries, plain

Seen = tuple[Any, ...]


@cache
def namespaces() -> tuple[Any, Any]:
    """langchain-core, Headrace, with what only the cases here need."""
    found = []
    for m in libraries():
        more = importlib.import_module(f"{m.library}.runnables")
        kept = importlib.import_module(f"{m.library}.chat_history")
        m.RunnableWithMessageHistory = more.RunnableWithMessageHistory
        m.InMemoryChatMessageHistory = kept.InMemoryChatMessageHistory
        found.append(m)
    return found[0], found[1]


class Raised:
    """An exception as those see it who catch it: its builtin classes, and its text.

    `own`: the library's own error, whose text is its own. Two are equal where one may be caught as
    whatever the other is.
    """

    own = False

    def __init__(self, error: BaseException) -> None:
        self.kinds = {c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"}
        self.text = str(error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Raised):
            return NotImplemented
        nested = self.kinds <= other.kinds or self.kinds >= other.kinds
        return nested and (Raised.own or self.text == other.text)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{sorted(self.kinds - {'object', 'BaseException', 'Exception'})}({self.text!r})"


def _ended(error: BaseException | None) -> Raised | None:
    return None if error is None else Raised(error)


def _whole(pieces: list[Any]) -> Any:
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = {**whole, **piece} if isinstance(whole, dict) else whole + piece
    return whole


def _value(call: Callable[[], Any]) -> Seen:
    try:
        return ("value", plain(call()))
    except Exception as error:
        return ("raised", _ended(error))


def _chunks(opened: Callable[[], Any]) -> Seen:
    """The chunks that came, and what came after them."""
    seen: list[Any] = []
    try:
        seen.extend(plain(chunk) for chunk in opened())
    except Exception as error:
        return ("chunks", seen, _ended(error))
    return ("chunks", seen, None)


def _achunks(opened: Callable[[], Any]) -> Seen:
    seen: list[Any] = []

    async def main() -> None:
        async for chunk in opened():
            seen.append(plain(chunk))  # noqa: PERF401 - kept when an exception follows

    try:
        asyncio.run(main())
    except Exception as error:
        return ("chunks", seen, _ended(error))
    return ("chunks", seen, None)


def _run(awaitable: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return await awaitable()

    return asyncio.run(main())


def _kept(values: list[Any]) -> list[Any]:
    return [_ended(value) if isinstance(value, Exception) else plain(value) for value in values]


def _pairs(pairs: list[tuple[int, Any]]) -> list[Any]:
    """As they got done is by chance: in the order of the inputs."""
    return [[number, *_kept([value])] for number, value in sorted(pairs, key=lambda pair: pair[0])]


async def _listed(pairs: Any) -> list[Any]:
    return [pair async for pair in pairs]


def _two(pieces: list[Any]) -> list[Any]:
    return [_whole(pieces), pieces[0]]


KEEP = {"return_exceptions": True}

# name: the call of a door of a runnable `r` with the input in pieces `p` and keyword arguments `k`
DOORS: dict[str, Callable[[Any, list[Any], Any], Seen]] = {
    "invoke": lambda r, p, k: _value(lambda: r.invoke(_whole(p), **k)),
    "stream": lambda r, p, k: _chunks(lambda: r.stream(_whole(p), **k)),
    "transform": lambda r, p, k: _chunks(lambda: r.transform(iter(p), **k)),
    "batch": lambda r, p, k: _value(lambda: r.batch([_whole(p)], **k)),
    "batch of two": lambda r, p, k: _value(lambda: _kept(r.batch(_two(p), **KEEP, **k))),
    "batch_as_completed": lambda r, p, k: _value(
        lambda: _pairs(list(r.batch_as_completed(_two(p), **KEEP, **k)))
    ),
    "ainvoke": lambda r, p, k: _value(lambda: _run(lambda: r.ainvoke(_whole(p), **k))),
    "astream": lambda r, p, k: _achunks(lambda: r.astream(_whole(p), **k)),
    "atransform": lambda r, p, k: _achunks(lambda: r.atransform(feed(p), **k)),
    "abatch": lambda r, p, k: _value(lambda: _run(lambda: r.abatch([_whole(p)], **k))),
    "abatch of two": lambda r, p, k: _value(
        lambda: _kept(_run(lambda: r.abatch(_two(p), **KEEP, **k)))
    ),
    "abatch_as_completed": lambda r, p, k: _value(
        lambda: _pairs(_run(lambda: _listed(r.abatch_as_completed(_two(p), **KEEP, **k))))
    ),
}
STREAMS = ("stream", "transform", "astream", "atransform")
TRANSFORMS = ("transform", "atransform")
COMPLETED = ("batch_as_completed", "abatch_as_completed")
BATCHES = ("batch", "batch of two", "abatch", "abatch of two")
VALUES = ("invoke", "ainvoke", *BATCHES, *COMPLETED)

# (cases, doors, the key of the row in docs/differences.md)
ROWS: list[tuple[str, tuple[str, ...], str]] = [
    ("retry second time, retry third time, retry in vain, retry right type", STREAMS,
     "retry-streams"),
    ("retry of a chain, retry in a row, retry in a parallel, fallbacks of a retry", STREAMS,
     "retry-streams"),
    ("retry second time, retry third time, retry in vain, retry right type, retry after a chunk",
     COMPLETED, "retry-completed"),
    ("fallbacks stream, fallbacks after a chunk", TRANSFORMS, "fallbacks-transform"),
    ("fallbacks empty stream", STREAMS, "fallbacks-empty"),
    ("fallbacks all fail", BATCHES, "fallback-error"),
    ("fallbacks exception key without a dict", ("batch of two", "abatch of two"),
     "exception-key-batch"),
    ("branch first, branch default", TRANSFORMS, "branch-transform"),
    ("map, map of a chain, map of a dict, map of a map, map bound, bind then map, call of a map",
     STREAMS, "each-streams"),
    ("retry in a map, retry of a map", STREAMS, "each-streams"),
    ("assign to no dict", STREAMS, "assign-no-dict"),
    ("generator fails later, generator of nothing in a row", VALUES, "generators-agree"),
    ("config over config", tuple(DOORS), "config-adds"),
    ("history by key", ("stream", "astream"), "history-whole"),
]  # fmt: skip
EXPECTED = {
    (case, door): key for cases, doors, key in ROWS for case in cases.split(", ") for door in doors
}


def seen_of(m: Any, case: Case, door: str) -> tuple[Any, ...]:
    """What comes out of a door, the calls of user code in alphabetical order, what was stored."""
    log = Log()
    seen = DOORS[door](case.make(m, log), case.pieces, case.kwargs)
    if case.columns and seen[0] == "chunks":
        seen = ("chunks", by_key(seen[1]), seen[2])
    stored = {name: plain(history.messages) for name, history in log.kept.items()}
    return seen, sorted(log.calls), stored


CALLS = [(n, d) for n, case in CASES.items() for d in DOORS if d in (case.doors or DOORS)]


@pytest.mark.filterwarnings(
    "ignore:(RunnableWithMessageHistory|The class `InMemory):DeprecationWarning"
)
@pytest.mark.allows_leaks(reason="langchain-core leaves tasks and generators; ours are looked at")
@pytest.mark.parametrize(("name", "door"), CALLS)
def test_both_libraries_do_the_same(
    name: str, door: str, nothing_left_running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Raised, "own", CASES[name].own)
    other, this = namespaces()
    ours = seen_of(this, CASES[name], door)
    assert not nothing_left_running.found
    theirs = seen_of(other, CASES[name], door)
    if (name, door) in EXPECTED:
        assert ours != theirs, "no difference any more: take it out of ROWS"
        return
    assert ours == theirs


def test_each_difference_has_its_row() -> None:
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    rows = set(re.findall(r'^\| <a id="([\w-]+)">', page.read_text(encoding="utf-8"), re.MULTILINE))
    assert not set(EXPECTED.values()) - rows
    assert not {name for name, _ in EXPECTED} - set(CASES)
