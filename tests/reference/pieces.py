"""The language of random programs: pieces (frozen dataclasses) and what user code in them does.

A program is a `Seq` of pieces. `repr` of a program is short and can be read aloud; it is what a
failing test prints. Steps with user code name an operation of the tables below, so that the
reference and the library run the same tiny functions and differ only in how they are put together.

A `Fault` is an exception laid into a piece. It is raised before output number `at` of a generator
(`BEFORE`: before anything is pulled; `END`: after the last output), at the call of a function.
With `times` it goes off that often, then the piece works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.runnables import AddableDict

BEFORE, END = -1, 99


@dataclass(frozen=True)
class Fault:
    at: int = 0
    times: int | None = None  # None: always
    kind: str = "boom"  # boom | other: which of two exception types
    items: str = "all"  # all | odd | even: which items of a batch it hits

    def __repr__(self) -> str:
        at = {BEFORE: "before", END: "end"}.get(self.at, self.at)
        often = "" if self.times is None else f"x{self.times}"
        return f"!{self.kind}@{at}{often}" + ("" if self.items == "all" else f"/{self.items}")

    def hits(self, item: int) -> bool:
        return self.items == "all" or item % 2 == (self.items == "odd")


class Piece:
    """One step of a program; `parts()` are the programs inside it, by label."""

    fault: Fault | None = None
    slow: int | None = None
    colour: str = "both"  # both | sync | async: which bodies the user code has

    def parts(self) -> list[tuple[str, Piece]]:
        return []

    def walk(self) -> Iterable[Piece]:
        yield self
        for _, part in self.parts():
            yield from part.walk()

    def marks(self) -> str:
        marks = "" if self.colour == "both" else f":{self.colour}"
        marks += "" if self.slow is None else f"~{self.slow}"
        return marks + ("" if self.fault is None else repr(self.fault))


@dataclass(frozen=True, repr=False)
class Pass(Piece):
    def __repr__(self) -> str:
        return "pass"


@dataclass(frozen=True, repr=False)
class _Code(Piece):
    op: str
    colour: str = "both"
    fault: Fault | None = None
    slow: int | None = None  # pause a moment before this output

    def __repr__(self) -> str:
        return f"{type(self).__name__.lower()}({self.op}{self.marks()})"


class Each(_Code):
    """`each(fn)`; its fault is of the call, whatever the chunk."""


class Gen(_Code):
    """A generator function: chunks in, chunks out."""


class Func(_Code):
    """A plain function of the whole value: a barrier."""


class Spell(_Code):
    """A `RunnableLambda` around a generator function: whole value in, stream of letters out."""


@dataclass(frozen=True, repr=False)
class Bind(_Code):
    """A function with an argument bound."""

    op: str = "suffix"


@dataclass(frozen=True, repr=False)
class Seq(Piece):
    steps: tuple[Piece, ...]

    def parts(self) -> list[tuple[str, Piece]]:
        return [(str(i), step) for i, step in enumerate(self.steps)]

    def __repr__(self) -> str:
        return " | ".join(
            f"({s})" if isinstance(s, Seq) and len(s.steps) > 1 else repr(s) for s in self.steps
        )


@dataclass(frozen=True, repr=False)
class _Named(Piece):
    """Programs by key."""

    branches: tuple[tuple[str, Piece], ...]

    def parts(self) -> list[tuple[str, Piece]]:
        return list(self.branches)

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}: {part!r}" for key, part in self.branches)
        return f"{type(self).__name__.lower()}{{{inner}}}"


class Par(_Named):
    """`RunnableParallel`."""


class Assign(_Named):
    """`RunnableAssign`."""


@dataclass(frozen=True, repr=False)
class Pick(Piece):
    keys: str | tuple[str, ...]

    def __repr__(self) -> str:
        return f"pick({self.keys!r})"


@dataclass(frozen=True, repr=False)
class _Arms(Piece):
    """One of several programs, chosen by the whole input: see `chosen`."""

    arms: tuple[Piece, ...]

    def parts(self) -> list[tuple[str, Piece]]:
        return [(f"arm{i}", arm) for i, arm in enumerate(self.arms)]

    def __repr__(self) -> str:
        return f"{type(self).__name__.lower()}({' / '.join(map(repr, self.arms))})"

    def chosen(self, value: Any) -> int:
        return len(canon(value)) % len(self.arms)


class Branch(_Arms):
    """`RunnableBranch`: a condition for each arm but the last, the default."""


class Choose(_Arms):
    """A function that returns a runnable."""


class Router(_Arms):
    """A function that makes `{"key", "input"}`, then a `RouterRunnable`."""


@dataclass(frozen=True, repr=False)
class Retry(Piece):
    piece: Piece
    attempts: int = 2
    only: bool = False  # only failures of kind boom

    def parts(self) -> list[tuple[str, Piece]]:
        return [("try", self.piece)]

    def __repr__(self) -> str:
        return f"({self.piece!r}).retry({self.attempts}{', boom' * self.only})"


@dataclass(frozen=True, repr=False)
class Fallbacks(Piece):
    piece: Piece
    others: tuple[Piece, ...]
    only: bool = False

    def parts(self) -> list[tuple[str, Piece]]:
        return [("main", self.piece), *((f"else{i}", p) for i, p in enumerate(self.others))]

    def __repr__(self) -> str:
        return (
            f"({self.piece!r}).fallbacks({', '.join(map(repr, self.others))}{', boom' * self.only})"
        )


@dataclass(frozen=True, repr=False)
class Alternatives(Piece):
    """`configurable_alternatives`; `chosen` is 0 for the default. `how` says where it is chosen:
    in the call's config, or with `with_config` on the step."""

    options: tuple[Piece, ...]
    chosen: int = 0
    how: str = "call"

    def parts(self) -> list[tuple[str, Piece]]:
        return [(f"option{i}", p) for i, p in enumerate(self.options)]

    def __repr__(self) -> str:
        return f"alternatives({' / '.join(map(repr, self.options))} -> {self.chosen} by {self.how})"


@dataclass(frozen=True, repr=False)
class Config(Piece):
    piece: Piece

    def parts(self) -> list[tuple[str, Piece]]:
        return [("with", self.piece)]

    def __repr__(self) -> str:
        return f"({self.piece!r}).with_config()"


@dataclass(frozen=True, repr=False)
class Map(Piece):
    piece: Piece

    def parts(self) -> list[tuple[str, Piece]]:
        return [("map", self.piece)]

    def __repr__(self) -> str:
        return f"({self.piece!r}).map()"


# ---- values -------------------------------------------------------------------------------------


def tidy(value: Any) -> Any:
    """A value without what the documents leave open: None in a dict is as good as absent, and no
    chunk of a list or dict as good as an empty one."""
    if isinstance(value, dict):
        inner = {key: tidy(part) for key, part in value.items()}
        return {key: part for key, part in inner.items() if part is not None} or None
    if isinstance(value, list):
        return [tidy(part) for part in value] or None
    return value


def canon(value: Any) -> str:
    """A value as text, the same for what `tidy` holds to be the same."""
    value = tidy(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{canon(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canon(part) for part in value) + "]"
    return "" if value is None else str(value)


def total(chunks: Iterable[Any]) -> Any:
    """What chunks add up to, as the documents say; None for none."""
    result: Any = None
    for number, chunk in enumerate(chunks):
        result = chunk if number == 0 else plus(result, chunk)
    return result


def plus(a: Any, b: Any) -> Any:
    if isinstance(a, dict) and isinstance(b, dict):
        both = {**a}
        for key, part in b.items():
            both[key] = part if both.get(key) is None else plus(both[key], part)
        return AddableDict(both)
    if isinstance(a, (str, int, list)) and type(a) is type(b):
        return a + b
    return b


# ---- operations of user code --------------------------------------------------------------------


def _over_values(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def changed(chunk: Any) -> Any:
        if isinstance(chunk, dict):
            return AddableDict({key: changed(part) for key, part in chunk.items()})
        if isinstance(chunk, list):
            return [changed(part) for part in chunk]
        return change(chunk) if isinstance(chunk, str) else chunk

    return changed


def _double(chunk: Any) -> Any:
    return (
        chunk * 2
        if isinstance(chunk, int)
        else _over_values(lambda s: re.sub("(.)", r"\1\1", s))(chunk)
    )


EACH: dict[str, Callable[[Any], Any]] = {"upper": _over_values(str.upper), "double": _double}
"""Of one chunk; what they make of the parts adds up to what they make of the whole."""

FUNC: dict[str, Callable[[Any], Any]] = {
    "show": lambda value: f"<{canon(value)}>"[:60],
    "size": lambda value: len(canon(value)),
    "chars": lambda value: list(canon(value)[:3]),
    "pair": lambda value: {"x": canon(value)[:3], "y": canon(value)[3:6]},
    "same": lambda value: value,
}


def spelled(value: Any) -> str:
    return canon(value)[:8]


@dataclass
class Machine:
    """What a generator function does: chunks in through `feed`, `finish` at the end; `done` ends it
    early. `blind` ones never look at their input."""

    step: Callable[[Machine, Any], list[Any]] = lambda self, chunk: [chunk]
    flush: Callable[[Machine], list[Any]] = lambda self: []
    blind: bool = False
    seen: int = 0
    kept: list[Any] = field(default_factory=list)
    done: bool = False

    def feed(self, chunk: Any) -> list[Any]:
        self.seen += 1
        return self.step(self, chunk)

    def finish(self) -> list[Any]:
        return self.flush(self)

    def fresh(self) -> Machine:
        return replace(self, kept=[])


def _parts(_: Machine, chunk: Any) -> list[Any]:
    if isinstance(chunk, list):
        return [[part] for part in chunk]
    return list(chunk) if isinstance(chunk, str) else [chunk]


def _pairs(self: Machine, chunk: Any) -> list[Any]:
    self.kept.append(chunk)
    if len(self.kept) < 2:
        return []
    pair, self.kept = self.kept, []
    return [total(pair)]


def _running(self: Machine, chunk: Any) -> list[Any]:
    self.kept = [total([*self.kept, chunk])]
    return list(self.kept)


def _take(number: int) -> Callable[[Machine, Any], list[Any]]:
    def step(self: Machine, chunk: Any) -> list[Any]:
        self.done = self.seen >= number
        return [chunk]

    return step


GEN: dict[str, Machine] = {
    "relay": Machine(),
    "tail": Machine(flush=lambda self: ["."]),
    "split": Machine(_parts),
    "drop": Machine(lambda self, chunk: [] if len(canon(chunk)) % 2 == 0 else [chunk]),
    "pairs": Machine(_pairs, lambda self: list(self.kept)),
    "running": Machine(_running),
    "take1": Machine(_take(1)),
    "take2": Machine(_take(2)),
    "empty": Machine(lambda self, chunk: []),
    "blind": Machine(flush=lambda self: ["blind"], blind=True),
    "count": Machine(lambda self, chunk: [], lambda self: [str(self.seen)]),
}
"""Of chunks. All but `relay`, `tail`, `split` and `empty` depend on where chunks begin and end."""
