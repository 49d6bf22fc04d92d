"""Spans of runs, against the SDK's exporter that keeps them in memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import re
import weakref
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode

from headrace.callbacks.custom import dispatch_custom_event
from headrace.documents import Document
from headrace.errors import ConfigError
from headrace.events import RunChunk
from headrace.language_models import BaseChatModel, FakeListChatModel, FakeStreamingListLLM
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from headrace.otel import OpenTelemetryHandler, instrument
from headrace.otel import handler as handlers
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.prompts import ChatPromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from headrace.tools import tool
from laws.colours import both_drivers, every_colour


class Clever(BaseChatModel):
    """A model that says what real ones say of themselves."""

    model: str = "clever-1"
    temperature: float = 0.5
    max_tokens: int = 99
    top_p: float = 0.9
    breaks: bool = False

    @property
    def _llm_type(self):
        return "clever"

    def _get_ls_params(self, stop=None, **kwargs):
        return {**super()._get_ls_params(stop, **kwargs), "ls_provider": "mistral"}

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("to", "ken", "s"):
            yield ChatGenerationChunk(message=AIMessageChunk(text))
        if self.breaks:
            raise OSError("the secret is out")
        usage = {
            "input_tokens": 7,
            "output_tokens": 3,
            "total_tokens": 10,
            "input_token_details": {"cache_read": 2, "cache_creation": 1},
            "output_token_details": {"reasoning": 1},
        }
        metadata = {"model_name": "clever-1-b", "id": "answer-1", "finish_reason": "stop"}
        yield ChatGenerationChunk(
            message=AIMessageChunk("", usage_metadata=usage, response_metadata=metadata)
        )


class Library(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document("a secret page", id="p1")]


@tool
def add(a: int) -> int:
    """Adds one."""
    return a + 1


def chain(model=None):
    prompt = ChatPromptTemplate.from_template("the secret {a}")
    return prompt | (model or Clever()) | StrOutputParser()


def given(span, *prefixes):
    return {key: value for key, value in span.attributes.items() if key.startswith(prefixes)}


# ---- trees --------------------------------------------------------------------------------------


@every_colour
def test_a_chain_below_the_callers_span(colour, kept):
    def work(doors):
        with kept.tracer.start_as_current_span("caller"):
            doors.stream(chain(), {"a": 1})

    if colour.asynchronous:  # the loop's context is made when the loop is
        with kept.tracer.start_as_current_span("caller"):
            kept.watch(colour, lambda doors: doors.stream(chain(), {"a": 1}))
    else:
        kept.watch(colour, work)
    assert kept.tree == {
        "caller": None,
        "RunnableSequence": "caller",
        "ChatPromptTemplate": "RunnableSequence",
        "chat clever-1": "RunnableSequence",
        "StrOutputParser": "RunnableSequence",
    }
    assert {span.context.trace_id for span in kept.spans} == {kept.spans[0].context.trace_id}
    assert all(span.end_time >= span.start_time for span in kept.spans)


@every_colour
def test_nested_by_user_code_and_in_a_parallel(colour, kept):
    leaf = RunnableLambda(lambda x: x, name="leaf")

    def ask(x):
        return leaf.invoke(x)

    async def aask(x):
        return await leaf.ainvoke(x)

    def pieces(chunks):
        for chunk in chunks:
            yield from add.stream({"a": chunk})

    async def apieces(chunks):
        async for chunk in chunks:
            async for piece in add.astream({"a": chunk}):
                yield piece

    both = RunnableParallel(
        a=RunnableLambda(ask, aask, name="ask"), b=RunnableGenerator(pieces, apieces, name="pieces")
    )
    kept.watch(colour, lambda doors: doors.invoke(both, 1))
    assert kept.tree == {
        "RunnableParallel<a,b>": None,
        "ask": "RunnableParallel<a,b>",
        "leaf": "ask",
        "pieces": "RunnableParallel<a,b>",
        "execute_tool add": "pieces",
    }


@both_drivers
def test_several_chains_at_once_do_not_mix(colour, kept):
    def work(doors):
        doors.batch(chain(), [{"a": n} for n in range(5)])

    kept.watch(colour, work)
    roots = [span for span in kept.spans if span.parent is None]
    assert len({span.context.trace_id for span in roots}) == 5
    assert len(kept.spans) == 20
    for root in roots:
        children = [s for s in kept.spans if s.parent and s.parent.span_id == root.context.span_id]
        assert len(children) == 3


def test_given_as_a_callback(kept):
    handler = OpenTelemetryHandler(kept.tracers)
    chain().invoke({"a": 1}, {"callbacks": [handler], "run_name": "mine"})
    assert kept.tree["chat clever-1"] == "mine"
    RunnableLambda(lambda x: x).invoke(1)
    assert len(kept.spans) == 4


# ---- what a span says ---------------------------------------------------------------------------


@every_colour
def test_a_model_streamed(colour, kept):
    kept.watch(colour, lambda doors: doors.stream(Clever(), "the secret", {"metadata": {"k": 1}}))
    (span,) = kept.spans
    assert (span.name, span.kind) == ("chat clever-1", SpanKind.CLIENT)
    told = given(span, "gen_ai.")
    first = told.pop(names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK)
    assert 0 < first < 10
    assert told == {
        names.GEN_AI_OPERATION_NAME: names.GenAiOperationNameValues.CHAT.value,
        names.GEN_AI_PROVIDER_NAME: names.GenAiProviderNameValues.MISTRAL_AI.value,
        names.GEN_AI_REQUEST_MODEL: "clever-1",
        names.GEN_AI_REQUEST_TEMPERATURE: 0.5,
        names.GEN_AI_REQUEST_MAX_TOKENS: 99,
        names.GEN_AI_REQUEST_TOP_P: 0.9,
        names.GEN_AI_REQUEST_STREAM: True,
        names.GEN_AI_RESPONSE_MODEL: "clever-1-b",
        names.GEN_AI_RESPONSE_ID: "answer-1",
        names.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
        names.GEN_AI_USAGE_INPUT_TOKENS: 7,
        names.GEN_AI_USAGE_OUTPUT_TOKENS: 3,
        names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 2,
        names.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: 1,
        names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 1,
    }
    (event,) = span.events
    assert event.name == "headrace.first_chunk"
    assert dict(event.attributes) == {names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: first}
    assert span.status.status_code is StatusCode.UNSET
    ours = given(span, "headrace.")
    assert len(ours.pop("headrace.run.id")) == 36
    assert ours == {
        "headrace.run.type": "chat_model",
        "headrace.run.path": "Clever",
        "headrace.metadata.k": 1,
    }
    assert span.instrumentation_scope.name == "headrace"
    assert span.instrumentation_scope.schema_url == Schemas.V1_44_0.value == handlers.SCHEMA


@every_colour
def test_a_model_invoked_has_no_first_chunk(colour, kept):
    kept.watch(colour, lambda doors: doors.invoke(FakeListChatModel(responses=["x"]), "hi"))
    (span,) = kept.spans
    assert span.attributes[names.GEN_AI_REQUEST_STREAM] is False
    assert names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK not in span.attributes
    assert names.GEN_AI_RESPONSE_ID not in span.attributes  # Headrace's own is not the provider's
    assert names.GEN_AI_REQUEST_MODEL not in span.attributes
    assert (span.name, span.events) == ("chat", ())


@every_colour
def test_a_model_that_cannot_stream_has_none_either(colour, kept):
    class Whole(BaseChatModel):
        @property
        def _llm_type(self):
            return "whole"

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            return ChatResult(generations=[ChatGeneration(message=AIMessage("x"))])

    kept.watch(colour, lambda doors: doors.stream(Whole() | StrOutputParser(), "hi"))
    span = kept.named("chat")
    assert (span.events, span.attributes[names.GEN_AI_REQUEST_STREAM]) == ((), False)
    assert names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK not in span.attributes


def test_what_a_call_says_counts_more_than_the_models_fields(kept):
    with instrument(kept.tracers):
        Clever().invoke("hi", stop=["."], top_p=0.1, seed=5, temperature=0.0)
    (span,) = kept.spans
    assert span.attributes[names.GEN_AI_REQUEST_TOP_P] == 0.1
    assert span.attributes[names.GEN_AI_REQUEST_SEED] == 5
    assert span.attributes[names.GEN_AI_REQUEST_TEMPERATURE] == 0.0
    assert span.attributes[names.GEN_AI_REQUEST_STOP_SEQUENCES] == (".",)


@every_colour
def test_other_kinds_of_runs(colour, kept):
    class Agent(RunnableLambda):
        _run_type = "agent"

    call = {"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "call-1"}

    def work(doors):
        doors.invoke(add, call)
        doors.invoke(Library(), "q")
        doors.stream(FakeStreamingListLLM(responses=["ab"]), "hi")
        doors.invoke(Agent(lambda x: x, name="helper"), 1, {"metadata": {"thread_id": "t1"}})
        doors.invoke(RunnableLambda(lambda x: x, name="plain"), 1, {"tags": ["t"]})

    kept.watch(colour, work)
    said = {span.name: (span.kind, given(span, "gen_ai.")) for span in kept.spans}
    assert set(said) == {
        *("execute_tool add", "retrieval Library", "text_completion", "invoke_agent helper"),
        "plain",
    }
    assert said["execute_tool add"] == (
        SpanKind.INTERNAL,
        {
            names.GEN_AI_OPERATION_NAME: names.GenAiOperationNameValues.EXECUTE_TOOL.value,
            names.GEN_AI_TOOL_NAME: "add",
            names.GEN_AI_TOOL_TYPE: "function",
            names.GEN_AI_TOOL_DESCRIPTION: add.description,
            names.GEN_AI_TOOL_CALL_ID: "call-1",
        },
    )
    operation = names.GenAiOperationNameValues
    assert said["retrieval Library"] == (
        SpanKind.CLIENT,
        {names.GEN_AI_OPERATION_NAME: operation.RETRIEVAL.value},
    )
    kind, told = said["text_completion"]
    assert kind is SpanKind.CLIENT
    assert told[names.GEN_AI_OPERATION_NAME] == operation.TEXT_COMPLETION.value
    assert names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK in told
    assert said["invoke_agent helper"][1] == {
        names.GEN_AI_OPERATION_NAME: operation.INVOKE_AGENT.value,
        names.GEN_AI_AGENT_NAME: "helper",
        names.GEN_AI_CONVERSATION_ID: "t1",
    }
    assert said["plain"] == (SpanKind.INTERNAL, {})
    assert kept.named("plain").attributes["headrace.tags"] == ("t",)


# ---- how a run ends -----------------------------------------------------------------------------


@every_colour
def test_a_failure(colour, kept):
    def work(doors):
        with pytest.raises(OSError, match="the secret is out"):
            doors.stream(chain(Clever(breaks=True)), {"a": 1})

    handler = kept.watch(colour, work)
    statuses = {span.name: span.status.status_code for span in kept.spans}
    assert statuses == {
        "RunnableSequence": StatusCode.ERROR,
        "ChatPromptTemplate": StatusCode.UNSET,
        "chat clever-1": StatusCode.ERROR,
        "StrOutputParser": StatusCode.ERROR,
    }
    failed = kept.named("chat clever-1")
    assert failed.attributes["error.type"] == "OSError"
    assert [event.name for event in failed.events] == ["headrace.first_chunk"]
    assert not handler._live
    assert not handler._streaming


@every_colour
def test_a_run_that_is_left(colour, kept):
    def work(doors):
        stream = doors.open(chain(), {"a": 1})
        stream.next()
        stream.close()

    handler = kept.watch(colour, work)
    for name in ("RunnableSequence", "chat clever-1", "StrOutputParser"):
        span = kept.named(name)
        assert span.attributes["headrace.cancelled"] is True
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes
    assert "headrace.cancelled" not in kept.named("ChatPromptTemplate").attributes
    assert not handler._live
    assert not handler._streaming


async def test_a_cancelled_task(kept):
    begun = asyncio.Event()

    async def waits(x):
        begun.set()
        await asyncio.Event().wait()

    with instrument(kept.tracers) as handler:
        task = asyncio.create_task(RunnableLambda(waits).ainvoke(1))
        await begun.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert kept.named("waits").attributes["headrace.cancelled"] is True
    assert not handler._live


@every_colour
def test_retries(colour, kept):
    left = [OSError("the secret is out"), ValueError("and again"), None]

    def shaky(x):
        error = left.pop(0)
        if error is not None:
            raise error
        return x

    retried = RunnableLambda(shaky).with_retry(wait_exponential_jitter=False, stop_after_attempt=3)
    kept.watch(colour, lambda doors: doors.invoke(retried, 1))
    events = [(span.name, event) for span in kept.spans for event in span.events]
    told = [dict(event.attributes) for _, event in events if event.name == "headrace.retry"]
    assert [(one["headrace.retry.attempt"], one["error.type"]) for one in told] == [
        (1, "OSError"),
        (2, "ValueError"),
    ]
    assert all(one["headrace.retry.delay"] == 0 for one in told)
    outermost = next(span for span in kept.spans if span.parent is None)
    assert outermost.status.status_code is StatusCode.UNSET


@every_colour
def test_who_has_won(colour, kept):
    def fail(x):
        raise ValueError(x)

    contest = RunnableLambda(fail, name="first").with_hedge(
        RunnableLambda(str, name="second"), after=60
    )
    kept.watch(colour, lambda doors: doors.invoke(contest, 1))
    winners = {span.name: span.attributes.get("headrace.winner") for span in kept.spans}
    name = "RunnableWithHedge<first,second>"
    assert winners == {name: "hedge:second", "first": None, "second": None}


@every_colour
def test_custom_events(colour, kept):
    def reports(x):
        dispatch_custom_event("progress", {"secret": 1})
        return x

    kept.watch(colour, lambda doors: doors.invoke(RunnableLambda(reports), 1))
    (event,) = kept.named("reports").events
    assert (event.name, dict(event.attributes)) == (
        "headrace.custom",
        {"headrace.custom.name": "progress"},
    )


# ---- content ------------------------------------------------------------------------------------


def everything(span):
    return json.dumps(
        [dict(span.attributes), [dict(e.attributes) for e in span.events], span.status.description],
        default=str,
    )


@every_colour
def test_nothing_that_was_said_is_told_unless_asked(colour, kept):
    def work(doors):
        doors.stream(chain(), {"a": "secret"})
        doors.invoke(Library(), "secret")
        doors.invoke(add, {"a": 1})
        with pytest.raises(OSError, match="secret"):
            doors.stream(chain(Clever(breaks=True)), {"a": "secret"})

    kept.watch(colour, work)
    assert not [span.name for span in kept.spans if "secret" in everything(span)]
    kept.clear()
    kept.watch(colour, work, content=True)
    assert len([span.name for span in kept.spans if "secret" in everything(span)]) >= 8


def test_content_of_a_model(kept):
    asked = [
        SystemMessage("be nice"),
        HumanMessage([{"type": "text", "text": "hi"}]),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]),
        ToolMessage("2", tool_call_id="c1"),
        HumanMessage("\ud800"),
    ]
    with instrument(kept.tracers, content=True):
        Clever().invoke(asked)
    span = kept.named("chat clever-1")
    assert json.loads(span.attributes[names.GEN_AI_INPUT_MESSAGES]) == [
        {"role": "system", "parts": [{"type": "text", "content": "be nice"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "2"}],
        },
        {"role": "user", "parts": [{"type": "text", "content": "\ud800"}]},
    ]
    assert json.loads(span.attributes[names.GEN_AI_OUTPUT_MESSAGES]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "tokens"}],
            "finish_reason": "stop",
        }
    ]


def test_content_of_others(kept):
    def reports(x):
        dispatch_custom_event("progress", {"n": 1})
        return {"n": x}

    call = {"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "call-1"}
    with instrument(kept.tracers, content=True):
        add.invoke(call)
        Library().invoke("what?")
        FakeStreamingListLLM(responses=["ab"]).invoke("hi")
        RunnableLambda(reports).invoke(1)
        with pytest.raises(OSError, match="out"):
            Clever(breaks=True).invoke("hi")
    tool_span = kept.named("execute_tool add")
    assert tool_span.attributes[names.GEN_AI_TOOL_CALL_ARGUMENTS] == '{"a": 1}'
    assert tool_span.attributes[names.GEN_AI_TOOL_CALL_RESULT] == '"2"'
    found = kept.named("retrieval Library")
    assert found.attributes[names.GEN_AI_RETRIEVAL_QUERY_TEXT] == "what?"
    assert json.loads(found.attributes[names.GEN_AI_RETRIEVAL_DOCUMENTS]) == [
        {"id": "p1", "content": "a secret page"}
    ]
    text = kept.named("text_completion")
    assert json.loads(text.attributes[names.GEN_AI_OUTPUT_MESSAGES])[0]["parts"] == [
        {"type": "text", "content": "ab"}
    ]
    plain = kept.named("reports")
    assert (plain.attributes["headrace.input"], plain.attributes["headrace.output"]) == (
        "1",
        '{"n": 1}',
    )
    assert plain.events[0].attributes["headrace.custom.data"] == '{"n": 1}'
    failed = kept.named("chat clever-1")
    assert failed.status.description == "the secret is out"
    assert failed.events[-1].attributes["exception.message"] == "the secret is out"


def test_what_cannot_be_sent_is_changed_so_that_it_can(kept, caplog):
    circle = []
    circle.append(circle)

    def breaks(x):
        raise ValueError("a \ud800")

    metadata = {"text": "a \ud800", "big": 2**70, "none": None, "list": [1]}
    config = {"metadata": metadata, "tags": ["\udfff"]}
    with instrument(kept.tracers, content=True):
        for n, value in enumerate(({(1, 2): "é"}, circle, object, "a \ud800")):
            RunnableLambda(lambda x: x, name=f"step {n}").invoke(value, config)
        with pytest.raises(ValueError, match="a"):
            RunnableLambda(breaks).invoke(1)
    for span in kept.spans:
        everything(span).encode()
        texts = [value for value in span.attributes.values() if isinstance(value, str)]
        texts += [span.status.description or "", *span.attributes.get("headrace.tags", ())]
        texts += [v for e in span.events for v in e.attributes.values() if isinstance(v, str)]
        "".join(texts).encode()
    first = kept.named("step 0").attributes
    assert first["headrace.input"] == "{(1, 2): '\\xe9'}"
    assert (first["headrace.metadata.text"], first["headrace.metadata.big"]) == ("a ?", str(2**70))
    assert not {"headrace.metadata.none", "headrace.metadata.list"} & set(first)
    assert kept.named("step 1").attributes["headrace.input"] == "[[...]]"
    assert kept.named("step 3").attributes["headrace.output"] == "a ?"
    assert kept.named("breaks").status.description == "a ?"
    assert not caplog.records


# ---- metrics ------------------------------------------------------------------------------------


@every_colour
def test_metrics(colour, kept):
    def work(doors):
        doors.stream(chain(), {"a": 1})
        doors.invoke(FakeListChatModel(responses=["x"]), "hi")
        with pytest.raises(OSError, match="secret"):
            doors.stream(Clever(breaks=True), "hi")

    kept.watch(colour, work)
    points = kept.points
    assert set(points) == {
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION,
        gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
        gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE,
    }
    base = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "clever-1",
    }
    answered = {**base, "gen_ai.response.model": "clever-1-b"}
    fake = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "fakelistchatmodel"}
    failed = {**base, "error.type": "OSError"}

    def of(name):
        return [dict(point.attributes) for point in points[name]]

    durations = of("gen_ai.client.operation.duration")
    assert all(one in durations for one in (answered, fake, failed))
    assert len(durations) == 3
    firsts = of("gen_ai.client.operation.time_to_first_chunk")
    assert answered in firsts
    assert fake not in firsts
    tokens = {
        point.attributes["gen_ai.token.type"]: (point.sum, dict(point.attributes))
        for point in points["gen_ai.client.token.usage"]
    }
    assert tokens == {
        "input": (7, {**answered, "gen_ai.token.type": "input"}),
        "output": (3, {**answered, "gen_ai.token.type": "output"}),
    }
    bounds = {name: tuple(found[0].explicit_bounds) for name, found in points.items()}
    assert bounds["gen_ai.client.operation.duration"][:3] == (0.01, 0.02, 0.04)
    assert bounds["gen_ai.client.token.usage"][-1] == 67108864


# ---- costs and leaks ----------------------------------------------------------------------------


def test_no_event_is_built_of_a_chunk_where_nobody_else_takes_it(kept, monkeypatch):
    built, init = [], RunChunk.__init__

    def counted(self, *args):
        built.append(args)
        init(self, *args)

    monkeypatch.setattr(RunChunk, "__init__", counted)
    with instrument(kept.tracers):
        list(chain().stream({"a": 1}))
    assert not built
    assert len([s for s in kept.spans if s.events]) == 2  # the model's and the outermost one
    list(chain().stream({"a": 1}, {"callbacks": [SimpleNamespace(on_event=print)]}))
    assert built  # so it would have been seen


def test_beside_another_observer_the_first_chunk_is_told_once(kept):
    class Other:
        def on_event(self, event):
            pass

    with instrument(kept.tracers) as handler:
        list(chain().stream({"a": 1}, {"callbacks": [Other()]}))
    firsts = {span.name: len(span.events) for span in kept.spans if span.events}
    assert firsts == {"RunnableSequence": 1, "chat clever-1": 1}
    assert not handler._streaming


@every_colour
def test_nothing_is_left_of_a_thousand_runs(colour, kept):
    class Big:
        pass

    seen = []

    def chunks(values):
        for _ in values:
            for _ in range(3):
                yield Big()

    async def achunks(values):
        async for _ in values:
            for _ in range(3):
                yield Big()

    def breaks(value):
        raise ValueError

    step = RunnableGenerator(chunks, achunks)
    broken = RunnableLambda(breaks)

    def work(doors):
        for n in range(1000):
            given = Big()
            seen.append(weakref.ref(given))
            if n % 3 == 0:
                stream = doors.open(step, given)
                seen.append(weakref.ref(stream.next()))
                stream.close()
            elif n % 3 == 1:
                doors.stream(step, given)
            else:
                with contextlib.suppress(ValueError):
                    doors.invoke(broken, given)
        doors.opened.clear()
        del given

    handler = kept.watch(colour, work)
    gc.collect()
    assert len(kept.spans) == 1000
    assert not handler._live
    assert not handler._streaming
    assert not [ref for ref in seen if ref() is not None]


def test_an_exporter_that_fails_does_not_fail_the_run(kept, monkeypatch, caplog):
    handler = OpenTelemetryHandler(kept.tracers)

    def fails(*args, **kwargs):
        raise RuntimeError("no span today")

    monkeypatch.setattr(handler, "_tracer", SimpleNamespace(start_span=fails))
    with caplog.at_level(logging.ERROR):
        assert chain().invoke({"a": 1}, {"callbacks": [handler]}) == "tokens"
    assert "OpenTelemetryHandler" in caplog.text
    assert not handler._live


@pytest.mark.parametrize("given", ["x", 5, object()])
@pytest.mark.parametrize("name", ["tracer_provider", "meter_provider"])
def test_what_is_no_provider_is_refused(name, given):
    says = f"{name} is {given!r}: give a {name.split('_')[0].title()}Provider of OpenTelemetry"
    with pytest.raises(ConfigError, match=re.escape(says)), instrument(**{name: given}):
        raise AssertionError("not reached")
    with pytest.raises(ConfigError, match=f"{name} is <class"):
        OpenTelemetryHandler(**{name: TracerProvider})


@every_colour
def test_restarts(colour, kept):
    cuts = [True, False]

    def letters(chunks):
        given = "".join(chunks)
        yield given[0]
        if cuts.pop(0):
            raise OSError("cut")
        yield given[1:]

    policy = RunnableGenerator(letters).with_retry(
        when="restart", resets=True, wait_exponential_jitter=False
    )
    kept.watch(colour, lambda doors: doors.stream(policy, "abc"))
    events = [event for span in kept.spans for event in span.events]
    (told,) = [dict(event.attributes) for event in events if event.name == "headrace.reset"]
    assert told == {"headrace.reset.attempt": 1, "headrace.reset.discarded": 1}
