"""The reference: what must come out of a program, in the plainest Python there is.

`expect(program, chunks, ...)` gives the outcomes that the documents allow, mostly one. A step is a
Python generator around the one before it; a fan-out runs its branches one after the other and says
which of their chunks a failure elsewhere may have cut off. `build(program)`, the same program as a
runnable, is in `building.py`.

Where the documents leave something open, `expect` gives one outcome for each reading:

- *eager*: `invoke` may run a step before the next one has asked for its output: no step, those
  that give one value, or all;
- *collect*: under `invoke` a retry or fallback that is not the outermost step may hand on chunks as
  they come (then a failure behind the first one is final) or only when it has succeeded;
- *eager_each*: as *eager*, of what `map()` invokes;
- *whole*: the arm of a branch gets the whole input as one chunk, or the chunks.

What depends on a race (which of two branches fails first) raises `Undetermined`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatch
from itertools import product
from typing import Any, NamedTuple

from headrace.runnables import AddableDict
from reference.building import build
from reference.pieces import (
    BEFORE,
    EACH,
    END,
    FUNC,
    GEN,
    Alternatives,
    Assign,
    Bind,
    Branch,
    Choose,
    Config,
    Each,
    Fallbacks,
    Func,
    Gen,
    Map,
    Par,
    Pass,
    Pick,
    Piece,
    Retry,
    Router,
    Seq,
    Spell,
    _Arms,
    spelled,
    tidy,
    total,
)
from reference.tally import Label, Tally

__all__ = ["Outcome", "Undetermined", "build", "expect"]

EVERYTHING = frozenset({()})
Strand = tuple[str, ...]


class Undetermined(Exception):
    """Several outcomes are right, and which one is a matter of time."""


class Failed(Exception):
    """A failure of the reference: one of `labels`. Of the strands (paths of keys in dict chunks) in
    `cut`, any number of the last chunks may be missing; () stands for all."""

    def __init__(self, labels: frozenset[Label], cut: frozenset[Strand] = frozenset()) -> None:
        super().__init__(labels)
        self.labels, self.cut = labels, cut


@dataclass
class Outcome:
    """`labels` is empty for success. `exact_calls`: else bodies may be entered less often."""

    chunks: list[Any]
    labels: frozenset[Label]
    cut: frozenset[Strand]
    calls: dict[tuple[str, int], int]
    exact_calls: bool

    @property
    def value(self) -> Any:
        return tidy(total(self.chunks))


class Reading(NamedTuple):
    """How what the documents leave open is read. See the top of the file."""

    eager: str
    eager_each: str
    collect: frozenset[str]  # paths
    whole: bool


class Account(Tally):
    """The reference's book, and how it reads what is left open."""

    def __init__(self, item: int, value: bool, ahead: bool, reading: Reading) -> None:
        super().__init__()
        self.item, self.value = item, value
        self.ahead = ahead  # sync bodies run in threads, which may be ahead of their consumer
        self.eager, self.eager_each, self.collect, self.whole = reading
        self.barriers = False  # what stands before a barrier may be given values, too
        self.fanned = False  # several branches were at work
        self.race = False  # some branch failed while others were at work
        self.inexact = False  # not sure which bodies have been entered

    def error(self, label: Label) -> Exception:
        return Failed(frozenset({label}))

    def some(self, source: Iterator[Any]) -> Iterator[Any]:
        """A stream between two steps."""
        yield from source

    def must_not_race(self) -> None:
        if self.race:
            raise Undetermined


def expect(
    program: Piece,
    chunks: list[Any],
    *,
    value: bool = False,
    item: int = 0,
    fail: tuple[int, str] | None = None,
    ahead: bool = False,
) -> list[Outcome]:
    """The outcomes allowed for this input.

    Args:
        value: of the doors that give a value (`invoke`, `batch`), not a stream.
        item: the number of the input in a batch; faults may hit only some.
        fail: the input stream raises before chunk number `fail[0]`, an error of kind `fail[1]`.
        ahead: in an async run.
    """
    has = {type(piece) for piece in program.walk()}
    eagerness = ("no", "values", "all")
    outcomes: list[Outcome] = []
    for reading in product(
        eagerness if value else ("no",),
        eagerness if Map in has else ("no",),
        _collecting(program, value),
        (True, False) if has & {Branch, Choose, Router} else (False,),
    ):
        account = Account(item, value, ahead, Reading(*reading))
        account.barriers = bool(has & {Func, Bind, Spell, Branch, Choose, Router})
        outcome = _outcome(program, _source(chunks, fail, account), account)
        if outcome not in outcomes:
            outcomes.append(outcome)
    return outcomes


def _collecting(program: Piece, value: bool) -> list[frozenset[str]]:
    """The policies that collect before they hand on: all where only the value is wanted, in a
    stream those inside `map()`."""
    found = _policies(program, "p", False)
    return [frozenset(path for path, _, mapped in found if value or mapped)]


def _policies(piece: Piece, path: str, mapped: bool) -> Iterator[tuple[str, Piece, bool]]:
    if isinstance(piece, (Retry, Fallbacks)):
        yield path, piece, mapped
    for label, part in piece.parts():
        yield from _policies(part, f"{path}.{label}", mapped or isinstance(piece, Map))


def _policy_outermost(program: Piece) -> Piece | None:
    """The policy that is the whole program, if one is."""
    while True:
        if isinstance(program, Seq) and len(program.steps) == 1:
            program = program.steps[0]
        elif isinstance(program, Config):
            program = program.piece
        elif isinstance(program, Alternatives):
            program = program.options[program.chosen]
        else:
            return program if isinstance(program, (Retry, Fallbacks)) else None


def _source(chunks: list[Any], fail: tuple[int, str] | None, account: Account) -> Iterator[Any]:
    account.enter("source", account.item)
    for number, chunk in enumerate(chunks):
        if fail and fail[0] == number:
            raise account.error(("source", 0, 0, fail[1]))
        yield chunk
    if fail and fail[0] >= len(chunks):
        raise account.error(("source", 0, 0, fail[1]))


def _outcome(program: Piece, source: Iterator[Any], account: Account) -> Outcome:
    settled = Settled(run(program, source, account, "p"))
    error = settled.error
    return Outcome(
        settled.chunks,
        error.labels if error else frozenset(),
        error.cut if error else frozenset(),
        dict(account.calls),
        not account.inexact,
    )


class Settled:
    """A stream run to its end: its chunks, and the failure behind them."""

    def __init__(self, stream: Iterator[Any]) -> None:
        self.chunks: list[Any] = []
        self.error: Failed | None = None
        try:
            for chunk in stream:
                self.chunks.append(chunk)
        except Failed as error:
            self.error = error

    def again(self) -> Iterator[Any]:
        yield from self.chunks
        if self.error:
            raise self.error


class Kept:
    """An input that is kept while it is read, for the next attempt to start over."""

    def __init__(self, source: Iterator[Any]) -> None:
        self.source, self.chunks = source, []  # type: ignore[var-annotated]
        self.error: Failed | None = None

    def again(self) -> Iterator[Any]:
        at = 0
        while True:
            if at == len(self.chunks):
                try:
                    if self.error:
                        raise self.error
                    self.chunks.append(next(self.source))
                except StopIteration:
                    return
                except Failed as error:
                    self.error = error
                    raise
            yield self.chunks[at]
            at += 1


# ---- the pieces ---------------------------------------------------------------------------------


@singledispatch
def run(piece: Piece, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    """The piece's stream over a source."""
    raise NotImplementedError(type(piece))


@run.register
def _(piece: Pass, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    yield from source


@run.register
def _(piece: Seq, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    flows = False  # whether generators, and what follows them, run together
    for label, step in piece.parts():
        if account.eager == "all" or (account.eager == "values" and not flows):
            settled = Settled(source)
            if settled.error:
                raise settled.error
            source = settled.again()
        if int(label) and not isinstance(step, (Func, Bind)):
            source = account.some(source)
        source = run(step, source, account, f"{path}.{label}")
        flows = not isinstance(step, (Func, Bind)) and (flows or _generates(step))
    yield from source


def _generates(piece: Piece) -> bool:
    return any(isinstance(part, (Gen, Spell)) for part in piece.walk())


@run.register
def _(piece: Config, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    yield from run(piece.piece, source, account, f"{path}.with")


@run.register
def _(piece: Alternatives, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    chosen = piece.options[piece.chosen]
    yield from run(chosen, source, account, f"{path}.option{piece.chosen}")


@run.register
def _(piece: Each, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    for chunk in source:
        _fault(piece, account, path, 0)
        yield EACH[piece.op](chunk)


@run.register
def _(piece: Gen, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    account.enter(path, account.item)
    _fault(piece, account, path, BEFORE)
    for number, out in enumerate(_made(piece, source, account)):
        _fault(piece, account, path, number)
        yield out
    _fault(piece, account, path, END)


def _made(piece: Gen, source: Iterator[Any], account: Account) -> Iterator[Any]:
    machine = GEN[piece.op].fresh()
    for chunk in () if machine.blind else source:
        yield from machine.feed(chunk)
        if machine.done:
            account.must_not_race()
            account.inexact |= account.fanned
            return
    yield from machine.finish()


@run.register(Func)
@run.register(Bind)
def _(piece: Func | Bind, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    value = total(list(source))
    account.enter(path, account.item)
    _fault(piece, account, path, 0)
    yield FUNC[piece.op](value) if isinstance(piece, Func) else FUNC["show"](value) + "+"


@run.register
def _(piece: Spell, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    value = total(list(source))
    account.enter(path, account.item)
    _fault(piece, account, path, BEFORE)
    for number, letter in enumerate(spelled(value)):
        _fault(piece, account, path, number)
        yield letter
    _fault(piece, account, path, END)


def _fault(piece: Piece, account: Account, path: str, at: int) -> None:
    try:
        account.check(path, account.item, piece.fault, at)
    except Failed:
        account.must_not_race()  # which comes first, this or the failure upstream?
        account.inexact |= account.fanned
        raise


@run.register
def _(piece: _Arms, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    chunks = list(source)
    if not chunks:
        raise Undetermined  # does the arm get None, or nothing?
    value = total(chunks)
    chosen = piece.chosen(value)
    given = [value] if account.whole else chunks
    yield from run(piece.arms[chosen], iter(given), account, f"{path}.arm{chosen}")


def _not_none(source: Iterator[Any]) -> Iterator[Any]:
    """For steps that need a dict or a list. What they do with None is their own affair."""
    for chunk in source:
        if chunk is None:
            raise Undetermined
        yield chunk


# ---- fan-out ------------------------------------------------------------------------------------


@run.register
def _(piece: Par, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    given = Settled(source)
    yield from _fan_out(piece, given, account, path, {})


@run.register
def _(piece: Assign, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    given = Settled(_not_none(source))
    added = {key for key, _ in piece.branches}
    own: list[Any] = [{k: v for k, v in chunk.items() if k not in added} for chunk in given.chunks]
    yield from _fan_out(piece, given, account, path, {"": (own, given.error)})


def _fan_out(
    piece: Par | Assign,
    given: Settled,
    account: Account,
    path: str,
    streams: dict[str, tuple[list[Any], Failed | None]],
) -> Iterator[Any]:
    """The branches one after the other; "" among the streams is the input of an assign."""
    for key, branch in piece.branches:
        settled = Settled(run(branch, given.again(), account, f"{path}.{key}"))
        streams[key] = ([AddableDict({key: c}) for c in settled.chunks], settled.error)
    failing = {key: error for key, (_, error) in streams.items() if error}
    account.fanned |= len(streams) > 1
    if failing:
        account.race |= account.fanned
        account.inexact |= account.fanned
    for chunks, _ in streams.values():
        yield from (AddableDict(chunk) for chunk in chunks if chunk)
    if not failing:
        return
    cut: set[Strand] = set()
    for key, (chunks, error) in streams.items():
        if failing.keys() - {key}:
            cut |= {(name,) for chunk in chunks for name in chunk} if not key else {(key,)}
        elif error:
            cut |= error.cut if not key else {(key, *strand) for strand in error.cut}
    labels = frozenset().union(*(error.labels for error in failing.values()))
    raise Failed(labels, frozenset(cut))


@run.register
def _(piece: Pick, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    try:
        yield from account.some(_picked(piece, source))
    except Failed as error:
        if not isinstance(piece.keys, str):
            raise
        cut = {s[1:] for s in error.cut if s[:1] == (piece.keys,)} | (error.cut & EVERYTHING)
        raise Failed(error.labels, frozenset(cut)) from None


def _picked(piece: Pick, source: Iterator[Any]) -> Iterator[Any]:
    for chunk in _not_none(source):
        if isinstance(piece.keys, str):
            if piece.keys in chunk:
                yield chunk[piece.keys]
        elif found := {key: chunk[key] for key in piece.keys if key in chunk}:
            yield AddableDict(found)


@run.register
def _(piece: Map, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    given = Settled(source)
    account.fanned = True
    eager, account.eager = account.eager, account.eager_each
    runs = [
        Settled(run(piece.piece, iter([element]), account, f"{path}.map"))
        for chunk in _not_none(iter(given.chunks))
        for element in chunk
    ]
    account.eager = eager
    if given.chunks and not runs:
        raise Undetermined  # no chunk, or that of the empty list
    errors = [done.error for done in [*runs, given] if done.error]
    if errors:
        account.race = account.inexact = True
    for done in runs:
        if done.error:
            break
        yield [total(done.chunks)]
    if errors:
        labels = frozenset().union(*(error.labels for error in errors))
        any_of = {(path, item, None, kind) for path, item, _, kind in labels}
        raise Failed(frozenset(any_of), EVERYTHING)


# ---- policies -----------------------------------------------------------------------------------


@run.register
def _(piece: Retry, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    attempts = [(f"{path}.try", piece.piece)] * piece.attempts
    yield from _attempts(attempts, piece, path, Kept(source), account, lambda errors: errors[-1])


@run.register
def _(piece: Fallbacks, source: Iterator[Any], account: Account, path: str) -> Iterator[Any]:
    attempts = [(f"{path}.{label}", part) for label, part in piece.parts()]
    yield from _attempts(attempts, piece, path, Kept(source), account, lambda errors: errors[0])


def _attempts(
    attempts: list[tuple[str, Piece]],
    policy: Retry | Fallbacks,
    own_path: str,
    given: Kept,
    account: Account,
    last: Callable[[list[Failed]], Failed],
) -> Iterator[Any]:
    errors: list[Failed] = []
    collect = own_path in account.collect
    before = account.race, account.fanned
    if collect and account.value:  # only the whole is wanted: it has its input before it begins
        list(given.again())
    for path, part in attempts:
        handed: list[Any] = []
        try:
            for chunk in run(part, given.again(), account, path):
                handed.append(chunk)
                if not collect:
                    yield chunk
        except Failed as error:
            if not _worth_another(error, given, policy, bool(handed) and not collect):
                raise
            _must_be_clear(policy, account)
            errors.append(error)
            account.race, account.fanned = before
        else:
            if collect:
                yield from handed
            return
    raise last(errors)


def _worth_another(error: Failed, given: Kept, policy: Retry | Fallbacks, started: bool) -> bool:
    """Whether the policy goes on after this failure; the input's failure is not the step's."""
    if given.error and error.labels & given.error.labels:
        if error.labels - given.error.labels:  # a race: had the input failed by then?
            raise Undetermined
        return False
    if started and error.cut:
        raise Undetermined
    kinds = {kind for *_, kind in error.labels} if policy.only else {"boom"}
    if len(kinds) > 1:
        raise Undetermined
    return not started and "boom" in kinds


def _must_be_clear(policy: Retry | Fallbacks, account: Account) -> None:
    """Whether it is certain what the failed attempt has used up of other faults."""
    faulty = [p for p in policy.walk() if p.fault is not None]
    if len(faulty) > 1 and (account.race or account.fanned):
        raise Undetermined
    if len(faulty) > 1 and account.ahead and any(p.colour == "sync" for p in policy.walk()):
        raise Undetermined
