"""Which way handlers come, and what they are told of retries, models, and an input that is None."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import tenacity

from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler, BaseTracer
from headrace.events import RunChunk, _Event
from headrace.language_models import BaseChatModel, FakeListChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.runnables import RunnableLambda, RunnablePassthrough
from laws.colours import every_colour

HOOKS = ("on_chain_start", "on_chain_end", "on_chat_model_start", "on_llm_new_token", "on_llm_end")


class Counts(BaseCallbackHandler):
    def __init__(self):
        self.calls = Counter()


class CountsAwaited(AsyncCallbackHandler):
    def __init__(self):
        self.calls = Counter()


def _sync(name):
    return lambda self, *args, **kwargs: self.calls.update([name])


def _awaited(name):
    async def hook(self, *args, **kwargs):
        await asyncio.sleep(0)
        self.calls.update([name])

    return hook


for _name in HOOKS:
    setattr(Counts, _name, _sync(_name))
    setattr(CountsAwaited, _name, _awaited(_name))
Counts._learn_hooks()
CountsAwaited._learn_hooks()

both_kinds = pytest.mark.parametrize("kind", [Counts, CountsAwaited])
ONCE = {"on_chain_start": 2, "on_chain_end": 2, "on_chat_model_start": 1, "on_llm_end": 1}


def watched(runnable, config, doors):
    """The run behind a view, read to its end."""
    if not doors.asynchronous:
        return list(runnable.stream_events("q", config, version="v2"))

    async def main():
        return [e async for e in runnable.astream_events("q", config, version="v2")]

    return doors.wait(main())


# ---- routes -------------------------------------------------------------------------------------


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream", "view"])
def test_a_handler_that_comes_by_several_routes_is_called_once(colour, kind, way):
    def body(doors):
        handler = kind()
        model = FakeListChatModel(responses=["ab"], callbacks=[handler])
        chain = (model.with_config({"callbacks": [handler]}) | StrOutputParser()).with_config(
            callbacks=[handler]
        )
        config = {"callbacks": [handler, handler]}
        if way == "view":
            watched(chain, config, doors)
        else:
            getattr(doors, way)(chain, "q", config)
        tokens = {} if way == "invoke" else {"on_llm_new_token": 2}
        assert handler.calls == {**ONCE, **tokens}

    colour.run(body)


@every_colour
@both_kinds
def test_runs_in_threads_that_have_the_context_are_children(colour, kind):
    inner = RunnableLambda(lambda x: x, name="inner")

    def pooled(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(contextvars.copy_context().run, inner.invoke, x).result()

    async def threaded(x):
        return await asyncio.to_thread(inner.invoke, x)

    def body(doors):
        handler, seen = kind(), []

        class Tree(BaseTracer):
            def _persist_run(self, run):
                seen.append((run.name, [child.name for child in run.child_runs]))

        step = RunnableLambda(pooled, afunc=threaded, name="outer")
        doors.invoke(step, 1, {"callbacks": [handler, Tree()]})
        assert seen == [("outer", ["inner"])]
        assert handler.calls == {"on_chain_start": 2, "on_chain_end": 2}

    colour.run(body)


class Burns(BaseCallbackHandler):
    def on_llm_new_token(self, token, **kwargs):
        raise ValueError("burnt")


class BurnsAwaited(AsyncCallbackHandler):
    async def on_llm_new_token(self, token, **kwargs):
        raise ValueError("burnt")


@every_colour
@pytest.mark.parametrize("kind", [Burns, BurnsAwaited])
@pytest.mark.parametrize("others", [0, 1])
def test_a_token_hook_that_fails_is_logged_or_raised(colour, kind, others, caplog):
    def body(doors):
        model = FakeListChatModel(responses=["ab"])
        more = [Counts() for _ in range(others)]
        caplog.clear()
        with caplog.at_level(logging.ERROR, "headrace"):
            doors.stream(model, "q", {"callbacks": [kind(), *more]})
        assert len(caplog.records) == 2
        assert kind.__name__ in caplog.text and "burnt" in caplog.text
        strict = kind()
        strict.raise_error = True
        with pytest.raises(ValueError, match="burnt"):
            doors.stream(model, "q", {"callbacks": [strict, *more]})
        assert all(one.calls["on_llm_new_token"] >= 2 for one in more)

    colour.run(body)


@every_colour
def test_a_filter_that_changes_its_mind_is_asked_for_every_token(colour):
    class Once(BaseCallbackHandler):
        def __init__(self):
            self.tokens = []

        @property
        def ignore_llm(self):
            return bool(self.tokens)

        def on_llm_new_token(self, token, **kwargs):
            self.tokens.append(token)

    def body(doors):
        handler = Once()
        doors.stream(FakeListChatModel(responses=["abc"]), "q", {"callbacks": [handler]})
        assert handler.tokens == ["a"]

    colour.run(body)


@every_colour
def test_steps_that_nobody_hears_of_are_parents_all_the_same(colour):
    """A handler of tokens alone: the steps around are opened as if they were not observed."""

    class Tokens(BaseCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_llm_new_token(self, token, *, run_id, parent_run_id, tags, **kwargs):
            self.seen.append((token, parent_run_id is not None, tags))

    def body(doors):
        handler = Tokens()
        chain = RunnablePassthrough() | (FakeListChatModel(responses=["ab"]) | StrOutputParser())
        outer = RunnableLambda(lambda x: chain, name="outer")
        assert "".join(doors.stream(outer, "q", {"callbacks": [handler]})) == "ab"
        assert handler.seen == [("a", True, ["seq:step:2"]), ("b", True, ["seq:step:2"])]

    colour.run(body)


# ---- retries ------------------------------------------------------------------------------------


class Retries(BaseCallbackHandler):
    def __init__(self):
        self.states = []

    def on_retry(self, retry_state, *, run_id, parent_run_id=None, tags=None, **kwargs):
        self.states.append((retry_state, run_id, parent_run_id))


class RetriesAwaited(AsyncCallbackHandler):
    def __init__(self):
        self.states = []

    async def on_retry(self, retry_state, *, run_id, parent_run_id=None, tags=None, **kwargs):
        await asyncio.sleep(0)
        self.states.append((retry_state, run_id, parent_run_id))


class RetriesDeaf(Retries):
    ignore_retry = True


def failing(times, error=OSError):
    left = [times]

    def step(x):
        if left[0]:
            left[0] -= 1
            raise error(f"no {left[0]}")
        return x

    return RunnableLambda(step)


@every_colour
@pytest.mark.parametrize("kind", [Retries, RetriesAwaited])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_retries_come_with_tenacitys_state(colour, kind, way):
    def body(doors):
        handler, deaf = kind(), RetriesDeaf()
        waits = {"initial": 0.001, "max": 0.002, "jitter": 0}
        step = failing(2).with_retry(exponential_jitter_params=waits)
        getattr(doors, way)(step, 1, {"callbacks": [handler, deaf]})
        states = [state for state, *_ in handler.states]
        assert all(isinstance(state, tenacity.RetryCallState) for state in states)
        assert [state.attempt_number for state in states] == [1, 2]
        assert [str(state.outcome.exception()) for state in states] == ["no 1", "no 0"]
        assert [state.next_action.sleep for state in states] == [0.001, 0.002]
        assert [state.idle_for for state in states] == pytest.approx([0.001, 0.003])
        assert {parent for *_, parent in handler.states} == {None}
        assert deaf.states == []

    colour.run(body)


@every_colour
def test_the_last_failure_is_no_retry_and_tracers_keep_them(colour):
    class Kept(BaseTracer):
        def _persist_run(self, run):
            kept.append(run)

    kept: list = []

    def body(doors):
        kept.clear()
        step = failing(2).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
        with pytest.raises(OSError, match="no 0"):
            doors.invoke(step, 1, {"callbacks": [Kept()]})
        (run,) = kept
        assert [event["name"] for event in run.events] == ["start", "retry", "error"]
        told = run.events[1]["kwargs"]
        assert told == {
            "slept": 0.0,
            "attempt": 1,
            "outcome": "failed",
            "exception": "no 1",
            "exception_type": "OSError",
        }

    colour.run(body)


@every_colour
def test_a_models_own_retry_loop_reports_through_its_run_manager(colour):
    class Patient(BaseChatModel):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            for attempt in tenacity.Retrying(
                stop=tenacity.stop_after_attempt(2), before_sleep=run_manager.on_retry
            ):
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise OSError("busy")
            run_manager.on_text("there we are")
            return ChatResult(generations=[ChatGeneration(message=AIMessage("hi"))])

    class Heard(Retries):
        def on_text(self, text, **kwargs):
            self.text = text, set(kwargs)

    def body(doors):
        handler = Heard()
        doors.invoke(Patient(), "q", {"callbacks": [handler]})
        ((state, *_),) = handler.states
        assert (state.attempt_number, str(state.outcome.exception())) == (1, "busy")
        assert handler.text == ("there we are", {"run_id", "parent_run_id", "tags"})

    colour.run(body)


# ---- models -------------------------------------------------------------------------------------


class Model(BaseChatModel):
    temperature: float = 0.5

    @property
    def _identifying_params(self):
        return {"temperature": self.temperature}

    @property
    def _llm_type(self):
        return "mine"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        best = AIMessage("hi", usage_metadata=usage)
        answers = [
            ChatGeneration(message=best, generation_info={"finish_reason": "stop"}),
            ChatGeneration(message=AIMessage("ho")),
        ]
        return ChatResult(generations=answers, llm_output={"token_usage": usage})

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("h", "i"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))


class Facts(BaseCallbackHandler):
    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.start = kwargs

    def on_llm_end(self, response, **kwargs):
        self.response = response


@every_colour
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_the_start_of_a_model_tells_what_it_is_called_with(colour, way):
    def body(doors):
        handler = Facts()
        bound = Model().bind(stop=["x"], tools=[{"name": "t"}])
        getattr(doors, way)(bound, "q", {"callbacks": [handler]})
        params, options = handler.start["invocation_params"], handler.start["options"]
        assert options == {"stop": ["x"], "tools": [{"name": "t"}]}
        assert params == {"_type": "mine", "temperature": 0.5, **options}
        assert handler.start["batch_size"] == 1

    colour.run(body)


@every_colour
def test_the_end_of_a_model_tells_all_it_answered(colour):
    def body(doors):
        handler = Facts()
        doors.invoke(Model(), "q", {"callbacks": [handler]})
        (answers,) = handler.response.generations
        assert [one.text for one in answers] == ["hi", "ho"]
        assert answers[0].generation_info == {"finish_reason": "stop"}
        assert answers[0].message.usage_metadata["total_tokens"] == 3
        assert handler.response.llm_output["token_usage"]["total_tokens"] == 3

    colour.run(body)


# ---- None ---------------------------------------------------------------------------------------


class Inputs(BaseCallbackHandler):
    def __init__(self):
        self.seen = []

    def on_chain_start(self, serialized, inputs, **kwargs):
        self.seen.append(inputs)


@every_colour
def test_none_is_an_input_and_not_an_unknown_one(colour):
    def body(doors):
        handler, tree = Inputs(), []

        class Kept(BaseTracer):
            def _on_run_create(self, run):
                tree.append(dict(run.inputs))

            def _persist_run(self, run):
                pass

        config = {"callbacks": [handler, Kept()]}
        doors.invoke(RunnablePassthrough(), None, config)
        doors.stream(RunnablePassthrough(), None, config)
        doors.transform(RunnablePassthrough(), ["a"], config)
        assert handler.seen == [None, None, {"input": ""}]
        assert tree == [{"input": None}, {"input": None}, {"input": ""}]

    colour.run(body)


@every_colour
def test_views_show_none_as_an_input(colour):
    def body(doors):
        inner = RunnablePassthrough()
        outer = RunnableLambda(lambda x: inner.invoke(None))
        starts = [e for e in watched(outer, {}, doors) if e["event"] == "on_chain_start"]
        assert [e["data"] for e in starts] == [{"input": "q"}, {"input": None}]

    colour.run(body)


# ---- what tokens cost ---------------------------------------------------------------------------


class OnlyTokens(BaseCallbackHandler):
    def __init__(self):
        self.count = 0

    def on_llm_new_token(self, token, **kwargs):
        self.count += 1


@every_colour
def test_a_handler_of_tokens_alone_has_no_event_built_for_it(colour, monkeypatch):
    built = []

    def body(doors):
        handler = OnlyTokens()
        chain = RunnablePassthrough() | FakeListChatModel(responses=["abcd"]) | StrOutputParser()
        original = _Event.__init__

        def counted(self, *args):
            built.append(type(self).__name__)
            original(self, *args)

        monkeypatch.setattr(_Event, "__init__", counted)
        monkeypatch.setattr(RunChunk, "__init__", lambda self, *args: built.append("chunk"))
        assert "".join(doors.stream(chain, "q", {"callbacks": [handler]})) == "abcd"
        assert (handler.count, built) == (4, [])

    colour.run(body)


@every_colour
def test_two_handlers_of_tokens_share_one_event_a_token(colour):
    def body(doors):
        one, two = OnlyTokens(), OnlyTokens()
        model = FakeListChatModel(responses=["abcd"])
        doors.stream(model, "q", {"callbacks": [one, two]})
        assert (one.count, two.count) == (4, 4)

    colour.run(body)
