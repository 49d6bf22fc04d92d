"""Models in use: tries, closing, threads, loops, copies, configs, caches, batches, secrets."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading
from typing import Any

import pytest

from headrace import errors
from headrace.caches import InMemoryCache
from headrace.load import dumps
from headrace.rate_limiters import InMemoryRateLimiter
from laws.colours import both_drivers, every_colour
from providers.models import KEY
from providers.replay import replaying
from wires.wire import DIALECTS, GOOGLE, answered, ask, failing, fold, model, said, streamed, whole

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
WORDS = {"error": {"message": "Our words.", "type": "t"}, "message": "Our words."}


@both_drivers
@every_dialect
def test_the_sdk_asks_again(colour: Any, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Google's SDK does not know `retry-after`: it waits a second and more.
    for pause in ("_RETRY_INITIAL_DELAY", "_RETRY_JITTER"):
        monkeypatch.setattr(f"google.genai._api_client.{pause}", 0.001)
    made = [failing(dialect, 500, WORDS, **{"retry-after-ms": "1", "retry-after": "0.01"}),
            whole(dialect, answered(dialect, "ok"))]  # fmt: skip

    def body(doors: Any, ours: Any, server: Any) -> None:
        assert doors.invoke(ours, "?").text == "ok"
        assert len(server.requests) == 2

    ask(colour, made, body, max_retries=2)


@both_drivers
@every_dialect
def test_a_request_at_fault_is_made_once(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(errors.BadRequestError):
            doors.invoke(ours, "?")
        assert len(server.requests) == 1

    ask(colour, failing(dialect, 400, WORDS), body, max_retries=2)


@both_drivers
@every_dialect
def test_a_stream_that_broke_is_not_asked_again(colour: Any, dialect: str) -> None:
    made = streamed(dialect, *said(dialect, ["one ", "two"]))

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        with pytest.raises(errors.ProviderError):
            stream.rest()
        assert len(server.requests) == 1

    ask(colour, made, body, how={"end": ("reset", made.body.index(b"two"))}, max_retries=2)


@every_colour
@every_dialect
def test_leaving_a_stream_closes_its_connection(colour: Any, dialect: str) -> None:
    made = streamed(dialect, *said(dialect, ["one ", "two"]))

    def body(doors: Any, ours: Any, server: Any) -> None:
        stream = doors.open(ours, "?")
        assert stream.next().text in ("", "one ")
        stream.close()
        assert server.wait_closed_early(timeout=5)
        assert server.wait_connections_closed(timeout=5)

    ask(colour, made, body, how={"end": ("stall", made.body.index(b"two"))})


@every_dialect
def test_many_streams_of_one_model_in_threads(dialect: str) -> None:
    made = streamed(dialect, *said(dialect, list("abcdefgh")))
    seen: list[Any] = []
    with replaying(made, cut=50) as server:
        ours = model(dialect, server)
        threads = [
            threading.Thread(target=lambda: seen.append(fold(list(ours.stream("?"))).text))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ours.close()
    assert seen == ["abcdefgh"] * 8


@every_dialect
def test_many_streams_of_one_model_in_one_loop(dialect: str) -> None:
    made = streamed(dialect, *said(dialect, list("abcdefgh")))

    async def one(ours: Any) -> str:
        return fold([piece async for piece in ours.astream("?")]).text  # type: ignore[no-any-return]

    async def main(ours: Any) -> list[str]:
        try:
            return await asyncio.gather(*(one(ours) for _ in range(8)))
        finally:
            await ours.aclose()

    with replaying(made, cut=50) as server:
        assert asyncio.run(main(model(dialect, server))) == ["abcdefgh"] * 8


@every_dialect
def test_one_model_in_three_loops_and_in_none(dialect: str) -> None:
    made = [whole(dialect, answered(dialect, str(number))) for number in range(6)]
    with replaying(made, cut="whole", keep_alive=True) as server:
        ours = model(dialect, server)
        texts = []
        for _ in range(3):
            texts.append(asyncio.run(ours.ainvoke("?")).text)
            texts.append(ours.invoke("?").text)
        ours.close()
        assert texts == list("012345")
        assert server.wait_connections_closed(timeout=5)


@both_drivers
@every_dialect
def test_giving_up_a_call_frees_the_connection(colour: Any, dialect: str) -> None:
    """Decision 6: a stalled read of headers ends at once, and the server sees it."""
    made = whole(dialect, answered(dialect, "x"))

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours, "warm")  # what is imported at the first call cannot be broken off
        server.play(made, cut="whole", end="silence")
        with pytest.raises(errors.Timeout) as caught:
            doors.invoke(ours.with_timeout(total=0.1), "?")
        assert not getattr(caught.value, "__notes__", None), "no thread is left blocked"
        assert server.wait_closed_early(timeout=0.5)

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_giving_up_a_stream_frees_the_connection(colour: Any, dialect: str) -> None:
    """The same for a chunk that does not come."""
    made = streamed(dialect, *said(dialect, ["one ", "two"]))

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.stream(ours, "warm")
        server.play(made, cut="whole", end=("stall", made.body.index(b"two")))
        stream = doors.open(ours.with_timeout(idle=0.1), "?")
        with pytest.raises(errors.Timeout) as caught:
            stream.rest()
        assert caught.value.partial.text == "one "
        assert not getattr(caught.value, "__notes__", None), "no thread is left blocked"
        assert server.wait_closed_early(timeout=0.5)

    ask(colour, made, body)


# ---- combined with the rest of the library ------------------------------------------------------


@both_drivers
@every_dialect
def test_bound_and_configured(colour: Any, dialect: str) -> None:
    made = whole(dialect, answered(dialect, "ok"))

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours.bind(temperature=0.25).with_config(tags=["t"]), "?")
        from headrace.runnables import ConfigurableField

        shown = ours.configurable_fields(temperature=ConfigurableField(id="heat"))
        doors.invoke(shown, "?", {"configurable": {"heat": 0.75}})
        doors.invoke(ours, "?", None, temperature=0.5)
        heats = [
            (one.body["generationConfig"] if dialect in GOOGLE else one.body)["temperature"]
            for one in server.requests
        ]
        assert heats == [0.25, 0.75, 0.5]

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_a_cache_answers_the_second_time(colour: Any, dialect: str) -> None:
    made = whole(dialect, answered(dialect, "ok"))

    def body(doors: Any, ours: Any, server: Any) -> None:
        first, second = doors.invoke(ours, "?"), doors.invoke(ours, "?")
        assert first.text == second.text == "ok"
        assert len(server.requests) == 1
        doors.invoke(ours, "?", None, temperature=0.5)
        assert len(server.requests) == 2, "other settings, another answer"

    ask(colour, made, body, cache=InMemoryCache())


@both_drivers
@every_dialect
def test_another_model_takes_over(colour: Any, dialect: str) -> None:
    made = [failing(dialect, 500, WORDS), whole(dialect, answered(dialect, "ok"))]

    def body(doors: Any, ours: Any, server: Any) -> None:
        assert doors.invoke(ours.with_fallbacks([ours]), "?").text == "ok"
        assert len(server.requests) == 2

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_a_batch_keeps_its_order_and_its_failures(colour: Any, dialect: str) -> None:
    good = whole(dialect, answered(dialect, "ok"))
    made = [good, failing(dialect, 429, WORDS), good]

    def body(doors: Any, ours: Any, server: Any) -> None:
        config = {"max_concurrency": 1}
        one, other, third = doors.batch(ours, ["a", "b", "c"], config, return_exceptions=True)
        assert one.text == third.text == "ok"
        assert isinstance(other, errors.RateLimitError)

    ask(colour, made, body)


@both_drivers
@every_dialect
def test_a_rate_limiter_is_asked(colour: Any, dialect: str) -> None:
    limiter = InMemoryRateLimiter(requests_per_second=1000, max_bucket_size=1)

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours, "?")
        doors.invoke(ours, "?")
        assert len(server.requests) == 2

    ask(colour, whole(dialect, answered(dialect, "ok")), body, rate_limiter=limiter)


@both_drivers
@every_dialect
def test_copies_work_and_do_not_share_settings(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours, "?")
        for other in (
            ours.model_copy(update={"temperature": 0.5}),
            copy.copy(ours),
            copy.deepcopy(ours),
        ):
            assert doors.invoke(other, "?").text == "ok"
            doors.wait(other.aclose()) if doors.asynchronous else other.close()
        assert "0.5" in str(server.requests[1].body)
        assert "0.5" not in str(server.requests[2].body)
        assert doors.invoke(ours, "?").text == "ok", "closing a copy leaves the model open"

    ask(colour, whole(dialect, answered(dialect, "ok")), body)


# ---- secrets ------------------------------------------------------------------------------------


@both_drivers
@every_dialect
@pytest.mark.parametrize("fails", [False, True])
def test_the_key_shows_nowhere(
    colour: Any, dialect: str, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said_back = {"error": {"message": f"Incorrect API key provided: {KEY}.", "type": "t"},
                 "message": f"Incorrect API key provided: {KEY}."}  # fmt: skip
    fails = fails and dialect != "vertex"  # which has no key, but credentials
    made = failing(dialect, 401, said_back) if fails else whole(dialect, answered(dialect, "ok"))
    shown: list[str] = []

    def body(doors: Any, ours: Any, server: Any) -> None:
        shown.extend([repr(ours), str(ours), str(ours.model_dump()), ours.model_dump_json()])
        shown.append(str(ours._identifying_params))
        shown.append(dumps(ours))
        events = doors.wait(_events(ours)) if doors.asynchronous else []
        shown.append(str(events))
        try:
            shown.append(repr(doors.invoke(ours, "?")))
        except errors.AuthenticationError as error:
            shown.extend([str(error), repr(error), str(vars(error))])
            shown.append(str(pickle.dumps(error)))
        headers = str(server.requests[0].headers)
        assert dialect == "vertex" or KEY in headers, "it is sent as a header, never in the path"
        assert KEY not in server.requests[0].path + str(server.requests[0].query)

    ask(colour, made, body)
    where = [text[max(0, text.find(KEY) - 200) :][:300] for text in shown if KEY in text]
    assert not where, where
    logged = [
        f"{one.name}: {one.getMessage()[:200]}" for one in caplog.records if KEY in one.getMessage()
    ]
    assert not logged, logged


async def _events(ours: Any) -> list[Any]:
    try:
        return [str(event) async for event in ours.astream_events("?", version="v2")]
    except errors.ProviderError as error:
        return [str(error)]


@every_dialect
def test_a_model_survives_pickling(dialect: str) -> None:
    with replaying(whole(dialect, answered(dialect, "ok")), cut="whole") as server:
        ours = model(dialect, server)
        ours.invoke("?")
        again = pickle.loads(pickle.dumps(ours))
        assert again.invoke("?").text == "ok"
        again.close()
        ours.close()
