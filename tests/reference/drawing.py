"""Random programs: which piece may follow which, and where faults are laid.

A program is drawn from left to right with the kind of its stream in hand, so that every program
makes sense: text, numbers, lists of text, dicts. Behind a fan-out the chunks of different keys come
in any order; behind some pieces the documents leave open where chunks begin and end (`firm` is
False). There only generators are drawn that do not mind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from headrace.runnables import AddableDict
from reference import pieces as p
from reference.pieces import BEFORE, END, Fault, Piece, Seq

Draw = Callable[[Any], Any]


@dataclass(frozen=True)
class Kind:
    """What flows: `name` is text, num, list or dict; a dict has kinds by key."""

    name: str
    keys: tuple[tuple[str, Kind], ...] = ()
    loose: bool = False  # a dict whose chunks of different keys come in any order
    firm: bool = True  # chunk boundaries are as the documents say, through every door


TEXT, NUM, LIST = Kind("text"), Kind("num"), Kind("list")
PAIR = Kind("dict", (("x", TEXT), ("y", TEXT)))

INSENSITIVE = {
    "text": ["relay", "tail", "split", "empty"],
    "num": ["relay", "empty"],
    "list": ["relay", "split", "empty"],
    "dict": ["relay", "empty"],
}
SENSITIVE = {
    "text": ["drop", "pairs", "running", "take1", "take2", "blind", "count"],
    "num": ["drop", "pairs", "running", "take1", "take2"],
    "list": ["drop", "pairs", "take1", "take2"],
    "dict": ["pairs", "take1", "take2"],
}
FUNC_KINDS = {"show": TEXT, "size": NUM, "chars": LIST, "pair": PAIR}


@dataclass
class Budget:
    """What may still be drawn.

    `exact`: also generators that depend on where chunks end, behind pieces whose `invoke` may hand
    on one value in place of the chunks. `faults`, `each_faults`, `item_faults`: which there are.
    """

    pieces: int = 8
    exact: bool = True
    faults: bool = True
    each_faults: bool = True
    item_faults: bool = False
    colours: tuple[str, ...] = ("both", "both", "sync")
    policies: bool = True
    fans: bool = True


class Drawing:
    def __init__(self, draw: Draw, budget: Budget) -> None:
        self.draw, self.left = draw, budget

    def one_of(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    # ---- user code ------------------------------------------------------------------------------

    def fault(self, ats: list[int]) -> Fault | None:
        if not self.left.faults or self.draw(st.integers(0, 3)):
            return None
        return Fault(
            at=self.one_of(ats),
            times=self.one_of([None, 1, 2]),
            kind=self.one_of(["boom", "boom", "other"]),
            items=self.one_of(["all", "odd", "even"]) if self.left.item_faults else "all",
        )

    def code(self, make: Any, op: str, ats: list[int]) -> Piece:
        colour = self.one_of(self.left.colours)
        slow = self.one_of([None, None, None, 0, 1])
        return make(op, colour, self.fault(ats), slow)  # type: ignore[no-any-return]

    def gen(self, kind: Kind) -> tuple[Piece, Kind]:
        ops = INSENSITIVE[kind.name]
        if kind.loose:
            ops = ["relay"]
        elif kind.firm:
            ops = ops + SENSITIVE[kind.name]
        op = self.one_of(ops)
        firm = kind.firm and not kind.loose  # else there may be one chunk or many
        piece = self.code(p.Gen, op, [BEFORE, 0, 0, 1, 2, END] if firm else [BEFORE, 0, END])
        return piece, TEXT if op == "count" else kind

    def each(self, kind: Kind) -> tuple[Piece, Kind]:
        fault = self.fault([0]) if self.left.each_faults else None
        return p.Each(self.one_of(sorted(p.EACH)), "both", fault), kind

    def func(self, kind: Kind) -> tuple[Piece, Kind]:
        op = self.one_of(sorted(p.FUNC))
        out = replace(kind, loose=False, firm=True) if op == "same" else FUNC_KINDS[op]
        return self.code(p.Func, op, [0]), out

    def spell(self, kind: Kind) -> tuple[Piece, Kind]:
        return self.code(p.Spell, "letters", [BEFORE, 0, 1, 2, END]), TEXT

    def bind(self, kind: Kind) -> tuple[Piece, Kind]:
        return self.code(p.Bind, "suffix", [0]), TEXT

    def passing(self, kind: Kind) -> tuple[Piece, Kind]:
        return p.Pass(), kind

    # ---- combinators ----------------------------------------------------------------------------

    def branches(self, kind: Kind, keys: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        drawn = [(key, *self.inner(kind)) for key in keys]
        return tuple((k, part) for k, part, _ in drawn), tuple((k, out) for k, _, out in drawn)

    def par(self, kind: Kind) -> tuple[Piece, Kind]:
        branches, keys = self.branches(kind, self.one_of(["ab", "ab", "abc"]))
        return p.Par(branches), Kind("dict", keys, loose=True)

    def assign(self, kind: Kind) -> tuple[Piece, Kind]:
        branches, keys = self.branches(kind, self.one_of(["z", "xz"]))
        kept = tuple(pair for pair in kind.keys if pair[0] not in dict(keys))
        return p.Assign(branches), Kind("dict", (*kept, *keys), loose=True)

    def pick(self, kind: Kind) -> tuple[Piece, Kind]:
        names = [name for name, _ in kind.keys]
        if len(names) < 2 or self.draw(st.booleans()):
            name = self.one_of(names)
            return p.Pick(name), replace(
                dict(kind.keys)[name], firm=self.left.exact or not kind.loose
            )
        chosen = tuple(self.draw(st.permutations(names))[:2])
        return p.Pick(chosen), replace(
            kind, keys=tuple(pair for pair in kind.keys if pair[0] in chosen)
        )

    def arms(self, kind: Kind) -> tuple[Piece, Kind]:
        make = self.one_of([p.Branch, p.Choose, p.Router])
        inner, number = kind, self.one_of([2, 2, 3])
        parts = [self.to(inner, None)]
        parts += [self.to(inner, parts[0][1]) for _ in range(number - 1)]
        return make(tuple(part for part, _ in parts)), replace(parts[0][1], firm=self.left.exact)

    def alternatives(self, kind: Kind) -> tuple[Piece, Kind]:
        first, out = self.to(kind, None)
        second, _ = self.to(kind, out)
        options = (first, second)
        chosen, how = self.one_of([0, 1]), self.one_of(["call", "with_config"])
        return p.Alternatives(options, chosen, how), replace(out, firm=self.left.exact)

    def config(self, kind: Kind) -> tuple[Piece, Kind]:
        part, out = self.inner(kind)
        return p.Config(part), out

    def retry(self, kind: Kind) -> tuple[Piece, Kind]:
        part, out = self.inner(kind)
        return p.Retry(part, self.one_of([1, 2, 3]), self.draw(st.booleans())), out

    def fallbacks(self, kind: Kind) -> tuple[Piece, Kind]:
        part, out = self.to(kind, None)
        others = [self.to(kind, out) for _ in range(self.one_of([1, 1, 2]))]
        made = p.Fallbacks(part, tuple(other for other, _ in others), self.draw(st.booleans()))
        return made, replace(out, firm=self.left.exact)

    def map(self, kind: Kind) -> tuple[Piece, Kind]:
        part, _ = self.to(TEXT, TEXT)
        part = _without_counted(part)
        return p.Map(part), replace(LIST, firm=self.left.exact)

    # ---- programs -------------------------------------------------------------------------------

    def to(self, kind: Kind, wanted: Kind | None) -> tuple[Piece, Kind]:
        """A program that ends in a wanted kind of stream."""
        part, out = self.inner(kind)
        if wanted is None and out.name in ("text", "num", "list"):
            return part, out
        if wanted is not None and out.name == wanted.name and out.name != "dict":
            return part, out
        op = {"text": "show", "num": "size", "list": "chars"}[wanted.name if wanted else "text"]
        return Seq((part, self.code(p.Func, op, [0]))), FUNC_KINDS[op]

    def choices(self, kind: Kind) -> list[Any]:
        plain = [self.gen, self.gen, self.gen, self.each, self.func, self.spell]
        plain += [self.bind, self.passing]
        if kind.name == "dict":
            plain += [self.pick, self.pick, self.pick]
        if self.left.pieces < 2:
            return plain
        if self.left.policies:
            plain += [self.retry, self.retry, self.fallbacks, self.fallbacks]
            plain += [self.arms, self.alternatives, self.config]
        if self.left.fans:
            plain += [self.par, self.par]
            plain += [self.assign, self.assign] if kind.name == "dict" else []
            plain += [self.map] * 3 if kind.name == "list" else []
        return plain

    def inner(self, kind: Kind) -> tuple[Piece, Kind]:
        """A program inside a piece. Whether `invoke` hands it chunks depends on what is in it."""
        return self.program(replace(kind, firm=kind.firm and self.left.exact), 2)

    def program(self, kind: Kind, longest: int) -> tuple[Piece, Kind]:
        steps: list[Piece] = []
        for _ in range(self.draw(st.integers(1, longest))):
            if steps and self.left.pieces <= 0:
                break
            self.left.pieces -= 1
            step, kind = self.one_of(self.choices(kind))(kind)
            steps.append(step)
        return (steps[0] if len(steps) == 1 else Seq(tuple(steps))), kind


def _without_counted(piece: Piece) -> Piece:
    """Elements run at once: which of them meets a fault that goes off only so often is chance."""
    changes: dict[str, Any] = {}
    if piece.fault is not None:
        changes["fault"] = replace(piece.fault, times=None)
    for name in getattr(piece, "__dataclass_fields__", {}):
        value = getattr(piece, name)
        if isinstance(value, Piece):
            changes[name] = _without_counted(value)
        elif name in ("steps", "arms", "options", "others"):
            changes[name] = tuple(_without_counted(part) for part in value)
        elif name == "branches":
            changes[name] = tuple((key, _without_counted(part)) for key, part in value)
    return replace(piece, **changes) if changes else piece  # type: ignore[type-var]


@dataclass(frozen=True)
class Case:
    """A program and an input for it. `kind` is that of the output, `start` of the input."""

    program: Piece
    chunks: list[Any]
    kind: Kind
    start: str

    def __repr__(self) -> str:
        return f"Case({self.chunks!r} -> {self.program!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


TEXTS = st.text("abXY ", max_size=4)
CHUNKS: dict[str, Any] = {
    "text": TEXTS,
    "num": st.integers(0, 3),
    "list": st.lists(st.text("abXY", min_size=1, max_size=2), max_size=2),
    "dict": st.dictionaries(st.sampled_from("xy"), TEXTS, min_size=1).map(AddableDict),
}
STARTS = [TEXT, TEXT, TEXT, NUM, LIST, PAIR]


@st.composite
def cases(
    draw: Draw, longest: int = 5, at_least: int = 0, starts: Any = None, **budget: Any
) -> Case:
    """A case; keyword arguments as for `Budget`."""
    kind = draw(st.sampled_from(starts or STARTS))
    chunks = draw(st.lists(CHUNKS[kind.name], min_size=at_least, max_size=5))
    drawing = Drawing(draw, Budget(**budget))
    program, out = drawing.program(kind, longest)
    return Case(program if isinstance(program, Seq) else Seq((program,)), chunks, out, kind.name)


def value_of(case: Case) -> Any:
    """The input in one piece, for the doors that take a value."""
    if not case.chunks:
        return {"text": "", "num": 0, "list": [], "dict": {"x": "a"}}[case.start]
    value = p.total(case.chunks)
    return dict(value) if isinstance(value, dict) else value
