"""A runnable called by user code is a run below it, however it is called, with nothing passed by
hand; and the same where the config is passed by hand."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviour.pieces import Recorder, parents, relay, watch
from behaviour.roads import AHOSTS, AWAYS, HOSTS, WAYS
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import ASYNC, COLOURS, every_colour
from laws.effort import examples
from laws.events import check_events

by_hand = pytest.mark.parametrize("hand", [False, True], ids=["found", "by hand"])


async def _aup(x: str) -> str:
    return x.upper()


INNER = RunnableLambda(str.upper, _aup, name="inner")


def seen(colour: Any, runnable: Any, expected: list[list[str]]) -> None:
    """Both views and a handler tell of these runs, each named from the root down."""
    expected = sorted(expected)
    for typed in (False, True):
        kept = Recorder()

        def body(doors: Any, typed: bool = typed, kept: Any = kept) -> list[Any]:
            return watch(doors, runnable, "x", kept.config, typed=typed).rest()  # type: ignore[no-any-return]

        events = colour.run(body)
        assert sorted(parents(events)) == expected
        assert sorted(parents(kept.events)) == expected
        check_events(kept.events)


@every_colour
@by_hand
@pytest.mark.parametrize("host", HOSTS)
def test_sync_code_that_calls(host, hand, colour):
    for way, call in WAYS.items():
        outer = HOSTS[host](way, call, INNER, hand)
        seen(colour, outer, [[way], [way, "inner"]])


@by_hand
@pytest.mark.parametrize("host", AHOSTS)
def test_async_code_that_calls(host, hand):
    for way, call in AWAYS.items():
        outer = AHOSTS[host](way, call, INNER, hand)
        seen(ASYNC, outer, [[way], [way, "inner"]])


@st.composite
def hosts(draw: Any, names: Any) -> Any:
    """One host inside another, two or three deep, in any mixture of colours."""
    levels = []
    asynchronous = draw(st.booleans())
    for name in names:
        if asynchronous:
            host, way = draw(st.sampled_from(list(AHOSTS))), draw(st.sampled_from(list(AWAYS)))
            call = way.split("/")[0]
            asyncs = call.startswith("a") and call != "as_completed"
        else:
            host, way = draw(st.sampled_from(list(HOSTS))), draw(st.sampled_from(list(WAYS)))
            asyncs = way.endswith("loop_in_thread")
        levels.append((name, asynchronous, host, way, draw(st.booleans())))
        # a sync call cannot reach an async-only body
        asynchronous = asyncs and draw(st.booleans())
    return levels


def stacked(levels: Any) -> Any:
    inner: Any = INNER
    for name, asynchronous, host, way, hand in reversed(levels):
        makers, ways = (AHOSTS, AWAYS) if asynchronous else (HOSTS, WAYS)
        inner = makers[host](name, ways[way], inner, hand)
    return inner


@pytest.mark.parametrize("colour", COLOURS, ids=repr)
@pytest.mark.parametrize("depth", [2, 3])
@examples(25)
@given(data=st.data())
def test_hosts_in_hosts(depth, colour, data):
    names = ["a", "b", "c"][:depth]
    levels = data.draw(hosts(names))
    if levels[0][1]:
        colour = ASYNC
    path = [*names, "inner"]
    seen(colour, stacked(levels), [path[: end + 1] for end in range(len(path))])


# ------------------------------------------------------------------ several at once


@every_colour
def test_generators_in_a_row_keep_their_own(colour):
    """Each calls for every chunk; both bodies are suspended in turn."""

    def calling(name: str) -> Any:
        inner = RunnableLambda(str.upper, _aup, name=f"in {name}")

        def body(chunks: Any) -> Any:
            for chunk in chunks:
                yield inner.invoke(chunk)
                inner.invoke("after")

        async def abody(chunks: Any) -> Any:
            async for chunk in chunks:
                yield await inner.ainvoke(chunk)
                await inner.ainvoke("after")

        return RunnableGenerator(body, abody, name=name)

    def letters(_: Any) -> Any:
        yield from "abc"

    async def aletters(_: Any) -> Any:
        for letter in "abc":
            yield letter

    made = RunnableLambda(letters, aletters, name="letters") | calling("g") | calling("h")
    whole = made.with_config(run_name="all")
    below = [["all", g, f"in {g}"] for g in ("g", "h") for _ in range(6)]
    seen(colour, whole, [["all"], *(["all", n] for n in ("letters", "g", "h")), *below])


@every_colour
def test_an_inner_stream_that_is_passed_on_chunk_by_chunk(colour):
    spoken = relay("inner")

    def body(x: Any) -> Any:
        for chunk in spoken.transform(iter("abc")):
            INNER.invoke("between")
            yield chunk

    async def letters() -> Any:
        for letter in "abc":
            yield letter

    async def abody(x: Any) -> Any:
        async for chunk in spoken.atransform(letters()):
            await INNER.ainvoke("between")
            yield chunk

    outer = RunnableLambda(body, abody, name="outer")
    whole = (outer | relay("next")).with_config(run_name="all")
    within = [["all", "outer", "inner"]] * 4  # itself, and three times between
    seen(colour, whole, [["all"], ["all", "outer"], ["all", "next"], *within])


@every_colour
def test_branches_keep_their_own(colour):
    def calling(name: str) -> Any:
        inner = RunnableLambda(str.upper, _aup, name=f"in {name}")

        def body(x: str) -> Any:
            return [inner.invoke(x) for _ in range(3)]

        async def abody(x: str) -> Any:
            return [await inner.ainvoke(x) for _ in range(3)]

        return RunnableLambda(body, abody, name=name)

    fan = RunnableParallel(a=calling("a"), b=calling("b"), c=calling("c")).with_config(
        run_name="fan"
    )
    below = [["fan", n, f"in {n}"] for n in "abc" for _ in range(3)]
    seen(colour, fan, [["fan"], *(["fan", n] for n in "abc"), *below])


@every_colour
def test_a_batch_has_one_run_for_each_input(colour):
    outer = RunnableLambda(
        lambda x: INNER.batch(["a", "b", "c", "d"], {"max_concurrency": 2}), name="outer"
    )
    seen(colour, outer, [["outer"], *[["outer", "inner"]] * 4])


@every_colour
def test_a_bare_thread_needs_the_config_and_finds_its_parent_by_it(colour):
    def body(x: str, config: Any) -> Any:
        thread = threading.Thread(target=INNER.invoke, args=(x, config))
        thread.start()
        thread.join()
        return x

    body.__annotations__.clear()
    seen(colour, RunnableLambda(body, name="outer"), [["outer"], ["outer", "inner"]])


@every_colour
def test_a_child_of_the_run_manager_is_the_same_parent(colour):
    """`run_manager.get_child()` as callbacks, beside what is found: still one run each."""

    def body(x: str, run_manager: Any) -> Any:
        return INNER.invoke(x, {"callbacks": run_manager.get_child()})

    seen(colour, RunnableLambda(body, name="outer"), [["outer"], ["outer", "inner"]])


@every_colour
def test_the_parent_is_found_again_after_a_child_that_failed(colour):
    def fail(x: Any) -> Any:
        raise ValueError(x)

    bad = RunnableLambda(fail, name="bad")

    def body(x: str) -> Any:
        for _ in range(2):
            with pytest.raises(ValueError, match="x"):
                bad.invoke(x)
        return INNER.invoke(x)

    seen(colour, RunnableLambda(body, name="outer"),
         [["outer"], ["outer", "bad"], ["outer", "bad"], ["outer", "inner"]])  # fmt: skip


@every_colour
def test_the_parent_is_found_again_after_an_inner_stream_that_was_left(colour):
    def body(x: str) -> Any:
        chunks = relay("left").transform(iter("abc"))
        next(chunks)
        INNER.invoke(x)
        chunks.close()  # type: ignore[attr-defined]
        return INNER.invoke(x)

    seen(colour, RunnableLambda(body, name="outer"),
         [["outer"], ["outer", "left"], ["outer", "inner"], ["outer", "inner"]])  # fmt: skip
