"""Law 4: an exception at any step and chunk arrives as that same object, never as a hang, and with
a note that names the path of the step it came from."""

from __future__ import annotations

import _thread
import asyncio
import threading
import time
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import runnables
from headrace.events import RunFailed
from headrace.runnables import (
    RunnableChunkwise,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    each,
)
from laws.colours import COLOURS, END, SYNC, Colour, both_drivers, every_colour, sync_colours
from laws.effort import examples
from laws.events import check_events, root_end
from laws.kinds import texts
from laws.ledger import LEDGER, Recorder, Source
from laws.programs import bombs, build, leaf_at, trees
from laws.registry import ENTRIES
from laws.usercode import Flaky

CASES = [
    (e, c) for c in COLOURS for e in ENTRIES if not e.own and (c.asynchronous or not e.async_only)
]
cases = pytest.mark.parametrize(("entry", "colour"), CASES, ids=repr)
PIECES = 4


def caught(call: Any, error: BaseException) -> BaseException:
    """Run it; the exception that comes must be this very object."""
    with pytest.raises(type(error)) as info:
        call()
    assert info.value is error, f"another object came: {info.value!r}"
    assert not LEDGER.still_open, f"open when the exception arrived: {LEDGER.still_open}"
    return error


def check_failure(seen: Recorder, error: BaseException) -> None:
    check_events(seen.events)
    end = root_end(seen.events)
    assert isinstance(end, RunFailed)
    assert end.error is error


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", ()))


# A number or a prompt's dict comes in one piece: there is nothing to fail at later ones.
@pytest.mark.parametrize(
    ("entry", "colour"),
    [(e, c) for e, c in CASES if len(e.kind.pieces(PIECES)) == PIECES],
    ids=repr,
)
def test_a_failing_input_arrives_as_it_is(entry, colour):
    def body(doors: Any) -> None:
        for at in range(PIECES):
            for observed in (False, True):
                error = ValueError(f"input {at}")
                source = Source(entry.kind.pieces(PIECES), fail_at=at, fail=error)
                seen = Recorder()
                stream = doors.open_transform(
                    entry.make(), source, seen.config if observed else None
                )
                caught(stream.rest, error)
                assert stream.next() is END, "after its failure a stream is over"
                if observed:
                    check_failure(seen, error)

    colour.run(body)


def bomb_at(at: int, error: BaseException) -> Any:
    """A step that passes chunks on and raises instead of number `at` (or at the end)."""

    def bomb(chunks: Any) -> Any:
        with LEDGER.body("bomb"):
            for number, chunk in enumerate(chunks):
                if number == at:
                    raise error
                yield chunk
            raise error

    async def abomb(chunks: Any) -> Any:
        number = 0
        with LEDGER.body("abomb"):
            async for chunk in chunks:
                if number == at:
                    raise error
                number += 1
                yield chunk
            raise error

    return RunnableGenerator(bomb, abomb, name="the-bomb")


@cases
def test_a_failing_neighbour_is_named(entry, colour):
    def body(doors: Any) -> None:
        for where, at in product(("before", "after"), (0, 1, 3)):
            for way in ("stream", "transform", "invoke"):
                error = ValueError(f"{where} {at}")
                bomb = bomb_at(at, error)
                chain = bomb | entry.make() if where == "before" else entry.make() | bomb
                seen = Recorder()
                config = seen.config if at else None
                pieces = entry.kind.pieces(PIECES)
                given = pieces if way == "transform" else entry.kind.sample(PIECES)
                caught(lambda w=way, c=chain, g=given, k=config: getattr(doors, w)(c, g, k), error)
                assert "the-bomb" in notes(error), f"notes: {notes(error)!r}"
                assert len(error.__notes__) == 1, error.__notes__
                if config:
                    check_failure(seen, error)

    colour.run(body)


@every_colour
@examples(40)
@given(tree=trees(), text=texts, observed=st.booleans(), way=st.sampled_from(["stream", "invoke"]),
       data=st.data())  # fmt: skip
def test_a_bomb_anywhere_in_a_program(colour, tree, text, observed, way, data):
    bomb = bombs(tree, data.draw)
    kind, number = leaf_at(tree, bomb.leaf)

    def body(doors: Any) -> None:
        bomb.error.__notes__ = []
        seen = Recorder()
        program = RunnablePassthrough() | build(tree, runnables, bomb)
        config = seen.config if observed else None
        caught(lambda: getattr(doors, way)(program, text, config), bomb.error)
        if observed:
            check_failure(seen, bomb.error)
            failed = [e for e in seen.events if isinstance(e, RunFailed)]
            assert all(e.error is bomb.error for e in failed)
        said = notes(bomb.error)
        # A step that a function returned or called may be named by that function.
        names = (f"{kind}-{number}", "returns", "calls", "streams")
        assert any(name in said for name in names), f"notes: {said!r}"

    colour.run(body)


PATHS = {
    "sequence": (
        lambda bad: RunnablePassthrough() | bad | RunnablePassthrough(),
        "RunnableSequence/2:bad",
    ),
    "parallel": (lambda bad: RunnableParallel(a=RunnablePassthrough(), b=bad), "b:bad"),
    "deep": (
        lambda bad: RunnablePassthrough() | {"x": RunnablePassthrough() | {"y": bad}},
        "RunnableSequence/2:RunnableParallel<x>/x:RunnableSequence/2:RunnableParallel<y>/y:bad",
    ),
    "bound": (lambda bad: RunnablePassthrough() | bad.with_config(tags=["t"]), "2:bad"),
    "renamed": (lambda bad: RunnablePassthrough() | bad.with_config(run_name="other"), "2:other"),
    "assign": (
        lambda bad: RunnableLambda(lambda t: {"k": t}) | RunnablePassthrough.assign(z=bad),
        "z:bad",
    ),
    "retry": (lambda bad: RunnablePassthrough() | bad.with_retry(stop_after_attempt=1), "bad"),
    "each": (lambda bad: RunnableLambda(lambda t: [t]) | bad.map(), "bad"),
    # What a function returned has no place of its own in the chain: the function has.
    "returned": (
        lambda bad: RunnablePassthrough() | RunnableLambda(lambda t: bad, name="picks"),
        "RunnableSequence/2:picks",
    ),
}


def _bad(value: Any) -> Any:
    raise ValueError(value)


def _bad_chunks(chunks: Any) -> Any:
    for chunk in chunks:
        yield _bad(chunk)


async def _abad_chunks(chunks: Any) -> Any:
    async for chunk in chunks:
        yield _bad(chunk)


BAD = {
    "lambda": lambda: RunnableLambda(_bad, name="bad"),
    "each": lambda: RunnableChunkwise(_bad, name="bad"),
    "generator": lambda: RunnableGenerator(_bad_chunks, _abad_chunks, name="bad"),
}


@both_drivers
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("way", ["stream", "invoke"])
@pytest.mark.parametrize("leaf", BAD)
@pytest.mark.parametrize("graph", PATHS)
def test_the_note_names_the_path(graph, leaf, way, observed, colour):
    make, path = PATHS[graph]

    def body(doors: Any) -> None:
        seen = Recorder()
        with pytest.raises(ValueError) as info:
            chain = make(BAD[leaf]())
            getattr(doors, way)(chain, "text", seen.config if observed else None)
        assert path in notes(info.value), f"notes: {notes(info.value)!r}"
        if observed:
            failed = [e.run.path for e in seen.events if isinstance(e, RunFailed)]
            assert any(path in reported for reported in failed), failed
            if graph != "returned":
                assert failed[0] in notes(info.value), "the note and the event differ on the path"
        assert len(info.value.__notes__) == 1, info.value.__notes__

    colour.run(body)


def test_notes_do_not_pile_up_on_an_exception_that_is_raised_again():
    error = ValueError("a module's own constant")

    def body(doors: Any) -> None:
        chain = RunnablePassthrough() | each(_raises(error))
        for _ in range(3):
            caught(lambda: doors.stream(chain, "a"), error)

    for colour in COLOURS:
        colour.run(body)
    assert len(error.__notes__) == 1, error.__notes__


def _raises(error: BaseException) -> Any:
    def raises(value: Any) -> Any:
        raise error

    return raises


GRAPHS = {
    "lambda": lambda f: RunnableLambda(f),
    "chain": lambda f: RunnablePassthrough() | RunnableLambda(f) | RunnablePassthrough(),
    "generator": lambda f: RunnableGenerator(lambda chunks: (f(chunk) for chunk in chunks)),
    "each": lambda f: each(f),
    "parallel": lambda f: RunnableParallel(a=RunnablePassthrough(), b=f, c=lambda x: x),
    "map": lambda f: RunnableLambda(lambda x: [x, x]) | RunnableLambda(f).map(),
    "retry": lambda f: RunnableLambda(f).with_retry(stop_after_attempt=1),
    "told": lambda f: RunnablePassthrough(f),
    "returned": lambda f: RunnableLambda(lambda x: RunnableLambda(f)),
}


class Strange(BaseException):
    """Not an `Exception`."""


@every_colour
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, Strange, EOFError])
@pytest.mark.parametrize("graph", GRAPHS)
def test_exceptions_that_mean_something_to_python(graph, error, colour):
    """No hang and no silent end, whatever is raised. Where it passes a generator, Python itself
    (PEP 479) puts a RuntimeError around StopIteration; the object is then its cause."""

    def body(doors: Any) -> None:
        for way in ("invoke", "stream", "batch"):
            thrown = error("strange")
            call = getattr(doors, way)
            given = ["a"] if way == "batch" else "a"
            with pytest.raises(BaseException) as info:
                call(GRAPHS[graph](_raises(thrown)), given)
            found: BaseException | None = info.value
            if isinstance(found, RuntimeError):
                assert error in (StopIteration, StopAsyncIteration)
                found = found.__cause__
            assert found is thrown, f"{way}: {info.value!r}"

    colour.run(body)


@sync_colours
def test_an_exception_thrown_into_a_stream_ends_it(colour):
    def body(doors: Any) -> None:
        source = Source("abc")
        chain = RunnableGenerator(bomb_free) | each(str)
        stream = chain.transform(source.sync())
        next(stream)
        error = KeyError("thrown in")
        caught(lambda: stream.throw(error), error)
        assert source.pulls == 1

    colour.run(body)


def bomb_free(chunks: Any) -> Any:
    with LEDGER.body("bomb_free"):
        yield from chunks


class Touchy(ValueError):
    """An exception that takes no note."""

    def add_note(self, note: str) -> None:
        raise TypeError("no notes here")


class Nameless(RunnableLambda[Any, Any]):
    """A step that cannot say its name."""

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        raise ZeroDivisionError("no name")


@every_colour
@pytest.mark.parametrize("graph", GRAPHS)
def test_an_exception_that_takes_no_note_still_arrives(graph, colour):
    def body(doors: Any) -> None:
        for way in ("invoke", "stream"):
            error = Touchy("touchy")
            chain = GRAPHS[graph](_raises(error))
            caught(lambda w=way, c=chain: getattr(doors, w)(c, "a"), error)

    colour.run(body)


@every_colour
def test_a_step_that_cannot_say_its_name_is_no_reason_to_hang(colour):
    def body(doors: Any) -> None:
        for way in ("invoke", "stream"):
            error = ValueError("the real one")
            chain = RunnableParallel(
                a=RunnablePassthrough(), b=Nameless(_raises(error)), c=RunnableLambda(str)
            )
            with pytest.raises((ValueError, ZeroDivisionError)):
                getattr(doors, way)(chain, "a")
            assert not LEDGER.still_open

    colour.run(body)


@every_colour
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_failing_observer_changes_nothing(graph, colour, caplog):
    """It is logged by name, and the value comes all the same."""

    class Broken:
        def on_event(self, event: Any) -> None:
            raise ZeroDivisionError("observer")

    def body(doors: Any) -> None:
        chain = GRAPHS[graph](lambda value: value)
        bare = doors.stream(chain, "a")
        watched = doors.stream(chain, "a", {"callbacks": [Broken()]})
        assert sorted(map(str, watched)) == sorted(map(str, bare))
        assert "Broken" in caplog.text

    colour.run(body)


@both_drivers
def test_a_retry_starts_over_only_before_the_first_chunk(colour: Colour):
    """After a chunk has been handed on, starting over would repeat it."""

    def body(doors: Any) -> None:
        error = ConnectionError("late")
        chain = bomb_at(1, error).with_retry(wait_exponential_jitter=False)
        source = Source("abc")
        stream = doors.open_transform(chain, source)
        assert stream.next() == "a"
        caught(stream.next, error)
        flaky = Flaky()
        chain = RunnableLambda(flaky).with_retry(wait_exponential_jitter=False)
        assert doors.stream(chain, "a") == ["a!"]
        assert flaky.calls == 2

    colour.run(body)


def test_an_async_body_that_raises_cancelled_error_by_itself():
    """User code that raises CancelledError is no cancellation of the consumer; it arrives."""
    from laws.colours import ASYNC

    async def raises(value: Any) -> Any:
        raise asyncio.CancelledError("mine")

    def body(doors: Any) -> None:
        for chain in (
            RunnableLambda(raises),
            RunnablePassthrough() | {"a": RunnableLambda(raises), "b": RunnablePassthrough()},
        ):
            with pytest.raises(asyncio.CancelledError):
                doors.stream(chain, "a")
            with pytest.raises(asyncio.CancelledError):
                doors.invoke(chain, "a")

    ASYNC.run(body)


INTERRUPTED = {
    "parallel": lambda slow: RunnableParallel(a=slow, b=slow),
    "map": lambda slow: RunnableLambda(lambda x: [x, x]) | slow.map(),
    "assign": lambda slow: RunnableLambda(lambda x: {"k": x}) | RunnablePassthrough.assign(z=slow),
    "lambda": lambda slow: RunnablePassthrough() | slow,
}


@both_drivers
@pytest.mark.parametrize("way", ["invoke", "stream", "batch", "as_completed"])
@pytest.mark.parametrize("graph", INTERRUPTED)
def test_ctrl_c_while_branches_are_at_work(graph, way, colour):
    """KeyboardInterrupt comes out, once what is at work has ended; nothing new is begun."""

    def slow(value: Any) -> Any:
        with LEDGER.body("slow"):
            time.sleep(0.03)
            return value

    def body(doors: Any) -> None:
        given = ["a", "b"] if way in ("batch", "as_completed") else "a"
        ctrl_c = threading.Timer(0.012, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.start()
            getattr(doors, way)(INTERRUPTED[graph](RunnableLambda(slow)), given)
        ctrl_c.join()
        assert not LEDGER.still_open, f"still at work: {LEDGER.still_open}"

    colour.run(body)


def test_the_traceback_shows_the_user_s_line():
    with pytest.raises(ValueError) as info:
        SYNC.run(lambda doors: doors.stream(RunnablePassthrough() | _bad, "a"))
    frames = [entry.name for entry in info.traceback]
    assert "_bad" in frames
