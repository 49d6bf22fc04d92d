"""Every combinator in every place of a chain, and seen through every view."""

from __future__ import annotations

import asyncio
import operator
import pickle
from functools import reduce
from typing import Any

import pytest

from headrace.errors import ServerError
from headrace.merge import merge
from headrace.resilience import CircuitBreaker, ConcurrencyLimit, circuit_breaker, limited, race
from headrace.runnables import (
    ConfigurableField,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    each,
)
from laws.colours import both_drivers, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.pieces import AGAIN, LONG, WHOLE, WORDS, WRAPS, Service, every_wrap, text

PLACES: dict[str, Any] = {
    "first": (lambda r: r | each(str.upper), WHOLE.upper()),
    "last": (lambda r: RunnableLambda(lambda v: v) | r, WHOLE),
    "middle": (lambda r: RunnableLambda(lambda v: v) | r | each(str.upper), WHOLE.upper()),
    "twice": (lambda r: r | r, WHOLE),
    "parallel": (lambda r: RunnableParallel(a=r, b=r), {"a": WHOLE, "b": WHOLE}),
    "beside": (
        lambda r: RunnableParallel(a=r, b=RunnablePassthrough()),
        {"a": WHOLE, "b": "x"},
    ),
    "assign": (
        lambda r: RunnableLambda(lambda v: {"q": v}) | RunnablePassthrough.assign(a=r),
        {"q": "x", "a": WHOLE},
    ),
    "branch": (lambda r: RunnableBranch((lambda v: v == "x", r), lambda v: "other"), WHOLE),
    "returned": (lambda r: RunnableLambda(lambda v: r), WHOLE),
    "bound": (lambda r: r.with_config(tags=["t"]).bind(), WHOLE),
}
every_place = pytest.mark.parametrize("place", list(PLACES))


@every_place
@every_wrap
@both_drivers
def test_every_place(colour, wrap, place):
    build, whole = PLACES[place]

    def body(doors: Any) -> None:
        service, seen = Service(), Recorder()
        made = build(WRAPS[wrap](service.runnable))
        assert merge(doors.stream(made, "x", seen.config)) == whole
        check_events(seen.events)
        assert doors.invoke(made, "x") == whole
        assert doors.batch(made, ["x", "x"], {"max_concurrency": 1}) == [whole, whole]

    colour.run(body)


@every_place
@every_wrap
@both_drivers
def test_every_place_left_at_each_chunk(colour, wrap, place):
    build, _ = PLACES[place]

    def body(doors: Any) -> None:
        for taken in range(1, 4):
            service, seen = Service(), Recorder()
            stream = doors.open(build(WRAPS[wrap](service.runnable)), "x", seen.config)
            for _ in range(taken):
                stream.next()
            stream.close()
            assert not LEDGER.still_open
            check_events(seen.events)

    colour.run(body)


@every_place
@every_wrap
@both_drivers
def test_every_place_broken_at_each_chunk(colour, wrap, place):
    build, _ = PLACES[place]

    def body(doors: Any) -> None:
        for at in range(len(WORDS) + 1):
            error = KeyError("mine")
            fails = {(call, at): error for call in (1, 2)}
            service, seen = Service(fails=fails), Recorder()
            with pytest.raises(KeyError) as caught:
                doors.stream(build(WRAPS[wrap](service.runnable)), "x", seen.config)
            assert caught.value is error
            assert not LEDGER.still_open
            check_events(seen.events)

    colour.run(body)


RECOVERS = {
    "restart": {"when": "restart"},
    "resets": {"when": "restart", "resets": True},
}


@every_place
@pytest.mark.parametrize("policy", list(RECOVERS))
@pytest.mark.parametrize("kind", ["retry", "fallbacks"])
@every_colour
def test_every_place_recovers_from_a_failure_at_each_chunk(colour, kind, policy, place):
    """Whoever reads: the merge is that of the try that went well."""
    build, whole = PLACES[place]

    def body(doors: Any) -> None:
        for at in range(len(WORDS) + 1):
            for door in ("stream", "invoke"):
                service, seen = Service(fails={(1, at): ServerError("down")}), Recorder()
                r = service.runnable
                options: Any = RECOVERS[policy]
                safe = (
                    r.with_retry(**AGAIN, **options)
                    if kind == "retry"
                    else r.with_fallbacks([service.runnable], **options)
                )
                got = getattr(doors, door)(build(safe), "x", seen.config)
                assert (merge(got) if door == "stream" else got) == whole, (at, door, got)
                check_events(seen.events)

    colour.run(body)


# ---- views ---------------------------------------------------------------------------------------


@every_wrap
def test_events_of_each_view_end_with_the_output(wrap):
    """astream_events, stream_events, astream_log, open: the same output as invoke."""
    made = WRAPS[wrap](Service().runnable)

    async def main() -> tuple[list[Any], list[Any]]:
        events = [event async for event in made.astream_events("x")]
        patches = [patch async for patch in made.astream_log("x")]
        async with made.open("x") as run:
            assert text([chunk async for chunk in run.chunks]) == WHOLE
            assert await run.output == WHOLE
        return events, patches

    events, patches = asyncio.run(main())
    for told in (events, list(made.stream_events("x"))):
        assert told[0]["event"].endswith("_start")
        assert told[-1]["data"]["output"] == WHOLE
        root = told[0]["run_id"]
        own = [e for e in told if e["run_id"] == root and e["event"].endswith("_stream")]
        assert text(e["data"]["chunk"] for e in own) == WHOLE
        started = [e["run_id"] for e in told if e["event"].endswith("_start")]
        ended = [e["run_id"] for e in told if e["event"].endswith("_end")]
        assert set(ended) <= set(started)
        assert len(set(ended)) == len(ended)
    log = reduce(operator.add, patches)
    assert log.state["final_output"] == WHOLE
    assert text(log.state["streamed_output"]) == WHOLE
    with made.open("x") as run:
        assert text(run.text) == WHOLE
        assert run.output == WHOLE


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("outer", ["alone", *WRAPS])
def test_views_of_a_restart(outer, at, resets):
    """The end tells of the try that went well, in each view; a reader that takes all is right."""

    def made() -> Any:
        service = Service(fails={(1, at): ServerError("down")})
        r = service.runnable.with_retry(when="restart", resets=resets, **AGAIN)
        return r if outer == "alone" else WRAPS[outer](r)

    async def main() -> tuple[list[Any], list[Any], Any, Any]:
        events = [event async for event in made().astream_events("x")]
        patches = [patch async for patch in made().astream_log("x")]
        async with made().open("x") as run:
            chunks = [chunk async for chunk in run.chunks]
            return events, patches, merge(chunks), await run.output

    events, patches, merged, output = asyncio.run(main())
    assert events[-1]["data"]["output"] == WHOLE
    assert merged == WHOLE
    assert output == WHOLE
    assert list(made().stream_events("x"))[-1]["data"]["output"] == WHOLE
    assert reduce(operator.add, patches).state["final_output"] == WHOLE
    with made().open("x") as run:
        assert merge(list(run.chunks)) == WHOLE
        assert run.output == WHOLE
    with made().open("x") as run:
        assert run.output == WHOLE
    with made().open("x") as run:
        assert merge(list(run.text)) == WHOLE


@every_wrap
def test_views_that_are_left(wrap):
    """Leaving a view closes the run."""
    service = Service()
    made = WRAPS[wrap](service.runnable)

    async def main() -> None:
        for count in range(1, 6):
            for view in (made.astream_events("x"), made.astream_log("x")):
                for _ in range(count):
                    await anext(view, None)
                await view.aclose()
                assert not LEDGER.still_open
        async with made.open("x") as run:
            async for _ in run.chunks:
                break
        assert not LEDGER.still_open

    LEDGER.reset()
    asyncio.run(main())
    for count in range(1, 6):
        events = made.stream_events("x")
        for _ in range(count):
            next(events, None)
        events.close()
        assert not LEDGER.still_open
    with made.open("x") as run:
        for _ in run.chunks:
            break
    assert not LEDGER.still_open


@every_wrap
@every_colour
def test_listeners_are_called_once_for_a_call(colour, wrap):
    def body(doors: Any) -> None:
        told: list[tuple[str, Any]] = []
        made = WRAPS[wrap](Service(fails={(2, 1): KeyError("mine")}).runnable).with_listeners(
            on_start=lambda run: told.append(("start", run.id)),
            on_end=lambda run: told.append(("end", run.id)),
            on_error=lambda run: told.append(("error", run.id)),
        )
        doors.stream(made, "x")
        with pytest.raises(KeyError):
            doors.stream(made, "x")
        assert [name for name, _ in told] == ["start", "end", "start", "error"]
        assert told[0][1] == told[1][1] != told[2][1] == told[3][1]

    colour.run(body)


# ---- said of itself ------------------------------------------------------------------------------


def _upper(value: str) -> str:
    return value.upper()


def _again(r: Any) -> Any:
    return r.with_retry(**AGAIN)


PICKLED: dict[str, Any] = {
    "timeout": lambda r: r.with_timeout(first_chunk=LONG),
    "retry": _again,
    "restart": lambda r: r.with_retry(when="restart", resets=True, **AGAIN),
    "transient": lambda r: r.with_retry(retry_if_exception_type="transient", **AGAIN),
    "fallbacks": lambda r: r.with_fallbacks([RunnableLambda(_upper)]),
    "hedge": lambda r: r.with_hedge(after=LONG),
    "race": lambda r: race(r, r),
    "breaker": lambda r: r.with_circuit_breaker(failures=3),
    "limited": lambda r: limited(r, ConcurrencyLimit(1)),
    "guard": WRAPS["guard"],
}


@pytest.mark.parametrize("name", list(PICKLED))
def test_pickled(name):
    made = PICKLED[name](RunnableLambda(_upper))
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    assert again.invoke("x") == "X"
    assert text(again.stream("x")) == "X"
    assert repr(again).partition("0x")[0] == repr(made).partition("0x")[0]


@every_wrap
def test_it_tells_of_itself(wrap):
    service = Service()
    plain, made = service.runnable, WRAPS[wrap](service.runnable)
    assert repr(plain) in repr(made)
    assert "service" in str(made.explain())
    assert "service" in made.get_graph().draw_mermaid()
    assert len(list(made.explain())) > len(list(plain.explain())), "the policy is not seen"
    assert repr(made) != repr(plain)
    assert service.calls == 0


def _told(value: Any, config: Any) -> str:
    return config["metadata"]["m"] + "".join(config["tags"])


def _deep(wrap: str) -> Any:
    return WRAPS[wrap](RunnableLambda(_told))


@every_wrap
@every_colour
def test_config_reaches_what_is_inside(colour, wrap):
    def body(doors: Any) -> None:
        made = _deep(wrap)
        assert doors.invoke(made, "x", {"metadata": {"m": "1"}, "tags": ["t"]}) == "1t"
        bound = made.with_config(metadata={"m": "2"}, tags=["u"])
        assert text(doors.stream(bound, "x")) == "2u"
        assert text(doors.transform(bound, ["x", "y"])) == "2u"

    colour.run(body)


@every_wrap
@every_colour
def test_what_is_configurable_inside_stays_so(colour, wrap):
    def body(doors: Any) -> None:
        swappable = RunnableLambda("a{}".format).configurable_alternatives(
            ConfigurableField(id="which"), default_key="a", b=RunnableLambda("b{}".format)
        )
        made = WRAPS[wrap](swappable)
        assert doors.invoke(made, "x") == "ax"
        assert doors.invoke(made, "x", {"configurable": {"which": "b"}}) == "bx"
        assert text(doors.stream(made.with_config(configurable={"which": "b"}), "x")) == "bx"
        assert "which" in str(made.config_specs)

    colour.run(body)


@every_wrap
@every_colour
def test_keywords_reach_what_is_inside(colour, wrap):
    def body(doors: Any) -> None:
        def answer(value: str, *, tail: str = "-") -> str:
            return value + tail

        made = WRAPS[wrap](RunnableLambda(answer))
        assert doors.invoke(made, "x") == "x-"
        if wrap != "guard":  # a sequence gives them to its first step only, like all sequences
            assert doors.invoke(made, "x", tail="!") == "x!"
        assert doors.invoke(WRAPS[wrap](RunnableLambda(answer).bind(tail="!")), "x") == "x!"

    colour.run(body)


@every_colour
def test_a_breaker_is_told_apart_from_its_copy(colour):
    """Two chains that hold one breaker share it."""

    def body(doors: Any) -> None:
        breaker = CircuitBreaker(failures=1, counts=(KeyError,))
        bad = circuit_breaker(Service(fails={(1, 0): KeyError("x")}).runnable, breaker)
        good = Service()
        with pytest.raises(KeyError):
            doors.invoke(bad.with_config(tags=["a"]), "x")
        from headrace.errors import CircuitOpenError

        with pytest.raises(CircuitOpenError):
            doors.invoke(circuit_breaker(good.runnable, breaker) | each(str.upper), "x")
        assert good.calls == 0

    colour.run(body)
