"""Doors of a built program, and the comparison of what came out with what the reference allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from hypothesis import reject

from laws.ledger import LEDGER, Source
from reference.building import World, build
from reference.drawing import Case, value_of
from reference.interpreter import Outcome, Undetermined, expect
from reference.pieces import BEFORE, Map, Piece, tidy
from reference.tally import Label

Fail = tuple[int, str]


@dataclass
class Got:
    """What came out: chunks of a stream, or one value in `chunks`; then the error, if any."""

    chunks: list[Any] = field(default_factory=list)
    error: BaseException | None = None

    def __repr__(self) -> str:
        return f"{self.chunks!r}" + (f" then {self.error!r}" if self.error else "")


def drain(doors: Any, stream: Any) -> Got:
    """All of a stream; chunks that came before a failure are kept."""
    got = Got()

    async def all_of_it() -> None:
        async with aclosing(stream):
            async for chunk in stream:
                got.chunks.append(chunk)

    try:
        if doors.asynchronous:
            doors.wait(all_of_it())
        else:
            for chunk in stream:
                got.chunks.append(chunk)
    except Exception as error:
        got.error = error
    return got


def through(door: str, doors: Any, runnable: Any, given: Any, config: Any, **kw: Any) -> Got:
    """One call through a door, named as the sync one."""
    name = "a" * doors.asynchronous + door
    if door in ("stream", "transform"):
        if door == "transform":
            given = given.async_() if doors.asynchronous else given.sync()
        try:
            stream = getattr(runnable, name)(given, config)
        except Exception as error:
            return Got(error=error)
        return drain(doors, stream)
    try:
        if door == "invoke":
            return Got([doors.invoke(runnable, given, config)])
        if door == "batch":
            return Got([doors.batch(runnable, [given], config, **kw)[0]])
        pairs = doors.as_completed(runnable, [given], config, **kw)
        assert [number for number, _ in pairs] == [0]
        return Got([pairs[0][1]])
    except Exception as error:
        return Got(error=error)


def expected(case: Case, chunks: list[Any], **how: Any) -> list[Outcome]:
    """What the reference allows; the example is given up where that is a matter of time."""
    try:
        return expect(case.program, chunks, **how)
    except Undetermined:
        reject()


# ---- comparing ----------------------------------------------------------------------------------


def strands(chunks: list[Any]) -> dict[tuple[str, ...], list[Any]]:
    """The chunks of each path of keys, in their order: all that is certain behind a fan-out."""
    found: dict[tuple[str, ...], list[Any]] = {}

    def into(path: tuple[str, ...], chunk: Any) -> None:
        if isinstance(chunk, dict):
            for key, part in chunk.items():
                into((*path, key), part)
        elif chunk is not None:
            found.setdefault(path, []).append(chunk)

    for chunk in chunks:
        into((), chunk)
    return found


def same_stream(got: Got, outcome: Outcome, case: Case) -> bool:
    wanted = outcome.chunks
    if not case.kind.loose:
        cut = () in outcome.cut
        return got.chunks == (wanted[: len(got.chunks)] if cut else wanted)
    have, want = strands(got.chunks), strands(wanted)
    for path in have.keys() | want.keys():
        mine, theirs = have.get(path, []), want.get(path, [])
        if any(path[: len(prefix)] == prefix for prefix in outcome.cut):
            theirs = theirs[: len(mine)]
        if mine != theirs:
            return False
    return True


def same_error(got: Got, outcome: Outcome, world: World) -> bool:
    """The consumer's error is one that was raised, that very object, and an allowed one."""
    if got.error is None or not outcome.labels:
        return got.error is None and not outcome.labels
    return allowed(world.find(got.error), outcome)


def allowed(label: Label | None, outcome: Outcome) -> bool:
    if label is None:
        return False
    path, item, _, kind = label
    return bool({label, (path, item, None, kind)} & outcome.labels)


def bodies(calls: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """How often each body of a piece was entered."""
    return {key: number for key, number in calls.items() if key[0] != "source"}


def most(outcomes: list[Outcome]) -> Counter[tuple[str, int]]:
    """How often each body may have been entered at most."""
    return reduce(or_, (Counter(outcome.calls) for outcome in outcomes))


def looks_first(program: Piece) -> bool:
    """Whether each generator of it begins with reading its input. Else it depends on the door
    which of the steps before it run."""
    return not any(
        getattr(piece, "op", "") == "blind" or (piece.fault and piece.fault.at == BEFORE)
        for piece in program.walk()
    )


def told(case: Case, what: str, got: Got, outcomes: list[Outcome], world: World) -> str:
    """A failure as a program to read."""
    lines = [f"{what}: {case!r}", f"  got      {got!r}", f"           calls {dict(world.calls)}"]
    shown: list[str] = []
    for outcome in outcomes:
        if repr(outcome) in shown:
            continue
        shown.append(repr(outcome))
        then = f" then one of {sorted(outcome.labels, key=str)}" if outcome.labels else ""
        lines.append(f"  expected {outcome.chunks!r}{then}, cut {sorted(outcome.cut)}")
        lines.append(
            f"           calls {outcome.calls} ({'' if outcome.exact_calls else 'in'}exact)"
        )
    return "\n".join(lines)


@dataclass
class Wanted:
    """One door of a case and what the reference allows it; made before the run, which may be in
    another thread than the test."""

    case: Case
    door: str
    asynchronous: bool
    fail: Fail | None = None
    item: int = 0

    def __post_init__(self) -> None:
        self.value = self.door not in ("stream", "transform")
        self.fans = any(len(list(piece.parts())) > 1 for piece in self.case.program.walk())
        self.maps = any(isinstance(piece, Map) for piece in self.case.program.walk())
        self.chunks = self.case.chunks if self.door == "transform" else [value_of(self.case)]
        self.outcomes = expected(
            self.case,
            self.chunks,
            value=self.value,
            fail=self.fail,
            ahead=self.asynchronous,
            item=self.item,
        )

    def check(self, doors: Any, observers: Any = ()) -> None:
        """Run it and compare."""
        world = World()
        runnable = build(self.case.program, world)
        config = world.config() if world.configurable or self.door != "stream" else None
        if observers:
            config = {**(config or {}), "callbacks": list(observers)}
        given = world.source(self.chunks, self.fail) if self.door == "transform" else self.chunks[0]
        got = through(self.door, doors, runnable, given, config)
        self.compare(got, world)
        assert not LEDGER.still_open, f"{self.door} left open {LEDGER.still_open}: {self.case!r}"
        if isinstance(given, Source):
            assert given.pulled_while_leaving == 0

    def compare(self, got: Got, world: World) -> None:
        have = {key: n for key, n in bodies(world.calls).items() if key[1] == self.item}
        if any(self._agrees(got, outcome, world, have) for outcome in self.outcomes):
            return
        name = "a" * self.asynchronous + self.door
        raise AssertionError(told(self.case, name, got, self.outcomes, world))

    def _agrees(self, got: Got, outcome: Outcome, world: World, have: Any) -> bool:
        if not same_error(got, outcome, world):
            return False
        failed = bool(outcome.labels)
        if failed and self.value:  # whichever steps had begun by then
            return True
        loose = self.value or self.maps or self.fans
        loose = loose and (failed or not looks_first(self.case.program))
        if not loose:
            if (
                have != bodies(outcome.calls)
                if outcome.exact_calls
                else not Counter(have) <= most([outcome])
            ):
                return False
        elif not Counter(have) <= most(self.outcomes):
            return False
        if self.value:
            return failed or tidy(got.chunks[0]) == outcome.value
        return same_stream(got, outcome, self.case)


def run(colour: Any, case: Case, body: Any) -> None:
    """Run a body in a colour; a hang then tells which program it was."""

    def named(doors: Any) -> None:
        body(doors)

    named.__qualname__ = f"{body.__qualname__} of {case!r}"
    colour.run(named)
