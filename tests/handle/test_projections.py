"""What a handle shows of a run, in every colour: deltas, wholes, what came before one looked."""

from __future__ import annotations

import asyncio
import threading

import pytest

from handle.handles import END, Scripted, opened
from headrace.callbacks import AsyncCallbackHandler
from headrace.errors import ConfigError
from headrace.events import RunChunk, RunEnded, RunStarted
from headrace.language_models import (
    FakeListChatModel,
    FakeListLLM,
    FakeMessagesListChatModel,
    FakeStreamingListLLM,
)
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.run import current_run
from headrace.runnables import RunnableLambda, RunnableParallel
from headrace.runnables._handle import Deltas, Handle
from headrace.views import Filter, StreamEvents
from laws.colours import every_colour

prompt = ChatPromptTemplate.from_template("{a}")


def said(text="hello world"):
    return FakeListChatModel(responses=[text])


def used(tokens, model=None):
    usage = {"input_tokens": 1, "output_tokens": tokens, "total_tokens": 1 + tokens}
    info = {} if model is None else {"model_name": model}
    return AIMessageChunk(content="", usage_metadata=usage, response_metadata=info)


@every_colour
def test_nothing_starts_before_the_first_consumption(colour):
    model = Scripted(chunks=["a", "b"])

    def body(doors):
        with opened(doors, model) as handle:
            run = handle.run
            looks = [run.text, run.reasoning, run.tool_calls, run.blocks, run.chunks, run.events()]
            handle.iterate(run.text)
            assert (run.usage.total, run.started, run.ended, len(looks)) == (None, False, False, 6)
            assert model._begun == 0
        assert (model._begun, run.ended) == (0, True)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("first", ["text", "chunks", "get", "output", "events"])
def test_any_consumption_starts_the_run_once(colour, first):
    def body(doors):
        model = Scripted(chunks=["a", "b"])
        with opened(doors, model) as handle:
            run = handle.run
            {
                "text": lambda: handle.read(run.text),
                "chunks": lambda: handle.read(run.chunks),
                "get": lambda: handle.get(run.tool_calls),
                "output": handle.output,
                "events": lambda: handle.read(run.events()),
            }[first]()
            assert handle.get(run.text) == "ab"
            assert handle.output().content == "ab"
            assert handle.read(run.text) == ["ab"]  # the past, as one delta
        assert (model._begun, model._closed) == (1, 1)

    colour.run(body)


@every_colour
def test_text_of_a_chain_that_gives_text(colour):
    def body(doors):
        for chain in (
            said(),
            said() | StrOutputParser(),
            FakeStreamingListLLM(responses=["hello world"]),
        ):
            with opened(doors, chain) as handle:
                deltas = handle.read(handle.run.text)
                assert deltas == list("hello world")
                assert handle.get(handle.run.text) == "hello world"

    colour.run(body)


@every_colour
def test_text_of_the_output_not_of_the_model_where_the_output_is_text(colour):
    def body(doors):
        shout = said("a b") | RunnableLambda(lambda message: message.content.upper())
        with opened(doors, shout) as handle:
            assert handle.read(handle.run.text) == ["A B"]
            assert handle.get(handle.run.text) == "A B"

    colour.run(body)


@every_colour
def test_text_of_the_models_where_the_output_is_none(colour):
    text = '{"a": "bc"}'

    def body(doors):
        pair = RunnableParallel(a=said("x"), b=FakeListLLM(responses=["y"]))
        chains = [(said(text) | JsonOutputParser(), text), (pair, None)]
        chains.append((said(text) | RunnableLambda(lambda message: {"got": message.content}), text))
        for chain, expected in chains:
            with opened(doors, chain) as handle:
                deltas = handle.read(handle.run.text)
                assert sorted("".join(deltas)) == sorted(expected or "xy")
                whole = handle.get(handle.run.text)  # one model after the other
                assert whole == "".join(deltas) if expected else whole in ("xy", "yx")

    colour.run(body)


@every_colour
def test_text_of_models_comes_while_a_parser_of_json_works(colour):
    model = Scripted(chunks=['{"a": "b', "c", '"}'], gated=True)

    def body(doors):
        with opened(doors, model | JsonOutputParser()) as handle:
            text = handle.iterate(handle.run.text)
            model.go()
            assert handle.next(text) == '{"a": "b'
            model.go()
            assert handle.next(text) == "c"
            model.go()
            assert handle.rest(text) == ['"}']
            assert handle.output() == {"a": "bc"}

    colour.run(body)


@every_colour
def test_who_comes_late_gets_the_past_as_one_delta(colour):
    def body(doors):
        thought = [
            AIMessageChunk(content="", additional_kwargs={"reasoning_content": piece})
            for piece in "pq"
        ]
        model = Scripted(chunks=[*thought, "a", "b", "c", "d"], gated=True)
        with opened(doors, model) as handle:
            run = handle.run
            early = handle.iterate(run.text)
            model.go(4)
            assert [handle.next(early), handle.next(early)] == ["a", "b"]
            late, reasons = handle.iterate(run.text), handle.iterate(run.reasoning)
            assert handle.next(late) == "ab"
            assert handle.next(reasons) == "pq"
            model.go(2)
            assert (handle.rest(early), handle.rest(late)) == (["c", "d"], ["c", "d"])
            assert handle.rest(reasons) == []
            assert "".join(c.content for c in handle.read(run.chunks)) == "abcd"

    colour.run(body)


@every_colour
def test_chunks_add_up_to_the_output_as_the_chain_adds_them_up(colour):
    def body(doors):
        for chain in (
            said("[1, 2]") | JsonOutputParser(),
            RunnableParallel(a=said("x"), b=said("y")),
            prompt,
        ):
            value = {"a": "q"} if chain is prompt else "q"
            with opened(doors, chain, value) as handle:
                assert handle.read(handle.run.chunks)
                assert handle.read(handle.run.chunks) == [handle.output()]
                assert handle.get(handle.run.chunks) == handle.output()

    colour.run(body)


@every_colour
def test_usage_is_summed_over_models_by_path_and_by_model(colour):
    def body(doors):
        one, two = Scripted(chunks=["a", used(2, "big")]), Scripted(chunks=["b", used(5)])
        with opened(doors, RunnableParallel(a=one, b=two)) as handle:
            assert handle.run.usage.total is None
            handle.output()
            usage = handle.run.usage
        assert usage.total == {"input_tokens": 2, "output_tokens": 7, "total_tokens": 9}
        assert usage.by_model == {"big": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}
        paths = {path.rsplit("/")[-1]: u["output_tokens"] for path, u in usage.by_path.items()}
        assert paths == {"a:Scripted": 2, "b:Scripted": 5}

    colour.run(body)


@every_colour
def test_usage_of_a_model_that_is_invoked_and_does_not_stream(colour):
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    calls = [{"name": "f", "args": {"a": 1}, "id": "1"}]
    answer = AIMessage(content="hi", usage_metadata=usage, tool_calls=calls)

    def body(doors):
        model = FakeMessagesListChatModel(responses=[answer.model_copy()])
        asks = RunnableLambda(lambda x: {"it": model.invoke(x).content})
        with opened(doors, asks) as handle:
            assert handle.read(handle.run.text) == ["hi"]
            assert handle.get(handle.run.tool_calls) == answer.tool_calls
            assert handle.run.usage.total["total_tokens"] == 3

    colour.run(body)


@every_colour
def test_events_are_those_of_stream_typed_with_blocks(colour):
    chain = said("ab") | StrOutputParser()

    def body(doors):
        with opened(doors, chain) as handle:
            told = [(e.kind, e.path) for e in handle.read(handle.run.events())]
            assert told == [(e.kind, e.path) for e in chain.stream_typed("x", blocks=True)]
        with opened(doors, chain) as handle:
            told = [(e.kind, e.path) for e in handle.read(handle.run.events(blocks=False))]
            assert told == [(e.kind, e.path) for e in chain.stream_typed("x")]

    colour.run(body)


@every_colour
def test_events_numbers_rise_and_filters_choose(colour):
    chain = said("ab") | StrOutputParser()

    def body(doors):
        with opened(doors, chain) as handle:
            run = handle.run
            everything = run.events()
            models = run.events(include_types=["chat_model"], blocks=False)
            rest = run.events(exclude_types=["chat_model"])
            views = run.subscribe(StreamEvents(Filter(include_types=["parser"])))
            numbers = [event.seq for event in handle.read(everything)]
            assert numbers == sorted(set(numbers))
            kinds = [type(event) for event in handle.read(models)]
            assert kinds[0] is RunStarted and kinds[-1] is RunEnded and RunChunk in kinds
            assert "chat_model" not in {event.run.run_type for event in handle.read(rest)}
            names = [told["event"] for told in handle.read(views)]
            assert (names[0], names[-1]) == ("on_parser_start", "on_parser_end")

    colour.run(body)


@every_colour
def test_only_what_is_read_is_built(colour, monkeypatch):
    """A projection of text needs no event; steps in between are not even told of."""
    built = []
    init = RunChunk.__init__

    def counting(self, *args, **kwargs):
        built.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(RunChunk, "__init__", counting)
    chain = said("abc") | StrOutputParser()

    def body(doors):
        built.clear()
        with opened(doors, chain) as handle:
            assert handle.read(handle.run.text) == list("abc")
        assert not built
        with opened(doors, chain) as handle:
            handle.read(handle.run.events(include_types=["parser"]))
        assert {event.run.run_type for event in built} == {"parser", "chat_model", "chain"}

    colour.run(body)


@every_colour
def test_a_run_that_is_opened_inside_another_is_its_child(colour):
    def body(doors):
        inner = said("z")
        parents = []

        def note(event):
            parents.append((event.kind, event.path))

        observer = type("Seen", (), {"on_event": staticmethod(note)})()

        if doors.asynchronous:

            async def outer(value):
                async with inner.open(value) as run:
                    return await run.text
        else:

            def outer(value):
                assert current_run() is not None
                with inner.open(value) as run:
                    found = []
                    # consumed first in a thread that knows nothing of the outer run
                    thread = threading.Thread(target=lambda: found.append(run.text.get()))
                    thread.start()
                    thread.join()
                    return found[0]

        assert doors.invoke(RunnableLambda(outer), "x", {"callbacks": [observer]}) == "z"
        assert ("start", "outer/FakeListChatModel") in parents

    colour.run(body)


@every_colour
def test_timing_is_there_when_asked_for(colour):
    def body(doors):
        with opened(doors, said("abc"), timing=True) as handle:
            assert handle.run.timing is None
            handle.output()
            assert (handle.run.timing.chunks, handle.run.timing.status) == (3, "ended")
        with opened(doors, said("abc")) as handle, pytest.raises(ConfigError, match="timing=True"):
            handle.run.timing

    colour.run(body)


def test_a_handle_is_for_one_run():
    handle = said().open("x")
    with handle as run:
        assert run.text.get() == "hello world"
    with pytest.raises(ConfigError, match="one run"), handle:
        raise AssertionError("entered twice")


def test_kwargs_and_config_go_to_the_run():
    model = said("abc")
    seen = []
    observer = type("Seen", (), {"on_event": staticmethod(seen.append)})()
    with model.open("x", {"callbacks": [observer], "run_name": "mine"}) as run:
        run.text.get()
    assert {event.path for event in seen} == {"mine"}


def test_projections_read_in_step_in_one_task():
    """`zip` of two projections of which one lags: who waits for one does not hold up himself."""
    pieces = [str(i % 10) for i in range(1000)]
    calls = AIMessageChunk(
        content="", tool_call_chunks=[{"name": "f", "args": "{}", "id": "1", "index": 0}]
    )
    model = Scripted(chunks=[*pieces, calls])

    with model.open("x") as run:
        text, tools = iter(run.text), iter(run.tool_calls)
        assert next(text) == "0"
        assert next(tools)["name"] == "f"
        assert "".join(text) == "".join(pieces)[1:]
        assert run.output.tool_calls

    async def main():
        async with model.open("x") as run:
            text, tools = aiter(run.text), aiter(run.tool_calls)
            assert await anext(text) == "0"
            assert (await anext(tools))["name"] == "f"
            assert "".join([delta async for delta in text]) == "".join(pieces)[1:]
            assert await anext(aiter(run.tool_calls))
            assert (await run.output).tool_calls

    asyncio.run(main())


def test_output_asked_for_in_the_middle_of_a_projection():
    model = Scripted(chunks=["a"] * 1000)
    with model.open("x") as run:
        text = iter(run.text)
        assert next(text) == "a"
        assert run.output.content == "a" * 1000
        assert "".join(text) == "a" * 999
        assert run.text.coalesced > 0
        assert next(text, END) is END


class Awaited(AsyncCallbackHandler):
    def __init__(self):
        self.tokens = []

    async def on_llm_new_token(self, token, **kwargs):
        await asyncio.sleep(0)
        self.tokens.append(token)


@every_colour
def test_beside_other_observers_awaited_ones_too(colour):
    def body(doors):
        handler = Awaited()
        chain = said("abc") | StrOutputParser()
        with opened(doors, chain, config={"callbacks": [handler]}) as handle:
            events = handle.run.events()
            assert handle.read(handle.run.text) == list("abc")
            numbers = [event.seq for event in handle.read(events)]
            assert numbers == sorted(set(numbers))
        assert handler.tokens == list("abc")

    colour.run(body)


def test_types_of_a_handle():
    """What type checkers see is in `runnables/_handle.py`; what runs has all of it."""
    with said().open("x") as run:
        assert {name for name in dir(Handle) if name[0] != "_"} <= set(dir(run))
        assert {name for name in dir(Deltas) if name[0] != "_"} <= set(dir(run.text))
