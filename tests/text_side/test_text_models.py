"""Models as users write them: text models, usage over chunks, content blocks, stop, tokens.

What holds for each: the sum of a stream is the answer of `invoke`, whatever the pieces.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.language_models import LLM, BaseChatModel, BaseLLM, SimpleChatModel
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    message_chunk_to_message,
)
from headrace.outputs import ChatGeneration, ChatResult, Generation, GenerationChunk, LLMResult
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from laws.colours import every_colour
from text_side.kit import (
    TEXTS,
    Counting,
    CountingAsync,
    Echo,
    Hooks,
    Several,
    Whole,
    events,
    told,
)

TEXT = "".join(TEXTS)


def add(chunks):
    return functools.reduce(operator.add, chunks)


# ---- text models --------------------------------------------------------------------------------


@every_colour
def test_an_llm_takes_every_form_of_input(colour):
    def body(doors):
        model = Echo()
        assert doors.invoke(model, "hi") == "hi!"
        assert doors.invoke(model, [HumanMessage("hi")]) == "Human: hi!"
        assert doors.invoke(model, [("system", "s"), ("human", "h")]) == "System: s\nHuman: h!"
        prompt = PromptTemplate.from_template("say {x}")
        assert doors.invoke(prompt | model, {"x": "hi"}) == "say hi!"
        chat = ChatPromptTemplate.from_messages([("human", "say {x}")])
        assert doors.invoke(chat | model, {"x": "hi"}) == "Human: say hi!"

    colour.run(body)


@every_colour
def test_an_llm_streams_and_sums_to_invoke(colour):
    def body(doors):
        model = Echo()
        assert doors.stream(model, "hello") == list("hello!")
        assert doors.batch(model, ["a", "b"]) == ["a!", "b!"]
        assert doors.stream(PromptTemplate.from_template("{x}") | model, {"x": "ab"}) == list("ab!")

    colour.run(body)


@every_colour
def test_an_llm_has_its_own_events(colour):
    def body(doors):
        seen = events(doors, PromptTemplate.from_template("{x}") | Echo(), {"x": "ab"})
        of_model = [event for event in seen if event["name"] == "Echo"]
        kinds = [event["event"] for event in of_model]
        assert kinds == ["on_llm_start", *["on_llm_stream"] * 3, "on_llm_end"]
        assert of_model[0]["data"]["input"] == {"prompts": ["ab"]}
        texts = [event["data"]["chunk"].text for event in of_model[1:-1]]
        assert texts == ["a", "b", "!"]
        output = of_model[-1]["data"]["output"]
        assert output["generations"][0][0]["text"] == "ab!"

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "batch"])
def test_an_llm_calls_the_hooks(colour, door):
    def body(doors):
        hooks = Hooks()
        given = ["ab"] if door == "batch" else "ab"
        getattr(doors, door)(Echo(), given, {"callbacks": [hooks]})
        assert hooks.seen[0] == "llm_start"
        assert hooks.seen[-1] == ("end", "ab!")
        tokens = [item[1] for item in hooks.seen[1:-1]]
        assert tokens == (["a", "b", "!"] if door == "stream" else [])

    colour.run(body)


class Bare(LLM):
    """No stream: one chunk."""

    @property
    def _llm_type(self):
        return "bare"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        if prompt == "fail":
            raise ValueError("no such prompt")
        return f"{prompt}/{stop}/{kwargs}"


@every_colour
def test_an_llm_that_cannot_stream_gives_one_chunk(colour):
    def body(doors):
        assert doors.stream(Bare(), "x") == ["x/None/{}"]
        bound = Bare().bind(stop=["a"], extra=1)
        assert doors.invoke(bound, "x") == "x/['a']/{'extra': 1}"
        assert doors.stream(bound, "x") == ["x/['a']/{'extra': 1}"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_an_llm_that_fails_tells_its_hooks_and_the_caller(colour, door):
    def body(doors):
        hooks = Hooks()
        with pytest.raises(ValueError, match="no such prompt"):
            getattr(doors, door)(Bare(), "fail", {"callbacks": [hooks]})
        assert hooks.seen == ["llm_start", ("error", "no such prompt")]

    colour.run(body)


@every_colour
def test_a_batch_returns_errors_in_their_places(colour):
    def body(doors):
        got = doors.batch(Bare(), ["a", "fail", "b"], return_exceptions=True)
        assert got[0] == "a/None/{}"
        assert isinstance(got[1], ValueError)
        assert got[2] == "b/None/{}"

    colour.run(body)


@every_colour
def test_a_base_llm_is_asked_for_a_whole_batch_at_once(colour):
    def body(doors):
        model = Several()
        assert doors.batch(model, ["a", "b", "c"]) == ["A", "B", "C"]
        assert model._asked == [["a", "b", "c"]]
        assert doors.batch(model, ["a", "b", "c"], {"max_concurrency": 2}) == ["A", "B", "C"]
        assert sorted(len(prompts) for prompts in model._asked[1:]) == [1, 2]
        assert doors.invoke(model, "x") == "X"
        assert doors.stream(model, "x") == ["X"]

    colour.run(body)


class AsyncOnly(LLM):
    @property
    def _llm_type(self):
        return "async-only"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return "sync"

    async def _acall(self, prompt, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(0)
        return "async"


@every_colour
def test_the_async_body_is_used_in_async_calls(colour):
    def body(doors):
        assert doors.invoke(AsyncOnly(), "x") == ("async" if doors.asynchronous else "sync")

    colour.run(body)


@every_colour
def test_generate_gives_every_candidate(colour):
    class Two(BaseLLM):
        @property
        def _llm_type(self):
            return "two"

        def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
            rows = [[Generation(text=p + "1"), Generation(text=p + "2")] for p in prompts]
            return LLMResult(generations=rows, llm_output={"model": "two"})

    def body(doors):
        model = Two()
        result = (
            doors.wait(model.agenerate(["a", "b"]))
            if doors.asynchronous
            else model.generate(["a", "b"])
        )
        assert [[g.text for g in row] for row in result.generations] == [["a1", "a2"], ["b1", "b2"]]
        assert doors.invoke(model, "a") == "a1"

    colour.run(body)


class Simple(SimpleChatModel):
    @property
    def _llm_type(self):
        return "simple"

    def _call(self, messages, stop=None, run_manager=None, **kwargs):
        return messages[-1].content.upper()


@every_colour
def test_a_chat_model_of_one_function(colour):
    def body(doors):
        assert doors.invoke(Simple(), "hi").content == "HI"
        assert add(doors.stream(Simple(), "hi")).content == "HI"

    colour.run(body)


# ---- usage, and sums ----------------------------------------------------------------------------

COUNTS = st.integers(0, 10_000)
DETAILS = st.dictionaries(st.sampled_from(["cache_read", "cache_creation", "audio"]), COUNTS)
OUT_DETAILS = st.dictionaries(st.sampled_from(["reasoning", "audio"]), COUNTS)


@st.composite
def usages(draw):
    usage = told(draw(COUNTS), draw(COUNTS))
    if draw(st.booleans()):
        usage["input_token_details"] = draw(DETAILS)
    if draw(st.booleans()):
        usage["output_token_details"] = draw(OUT_DETAILS)
    return usage


@st.composite
def answers(draw):
    pieces = []
    for _ in range(draw(st.integers(1, 6))):
        piece = {"content": draw(st.text(max_size=4))}
        if draw(st.booleans()):
            piece["usage_metadata"] = draw(usages())
        pieces.append(piece)
    return pieces


def total(pieces, *path):
    """The plain sum of one number over the reports."""
    values = []
    for piece in pieces:
        value = piece.get("usage_metadata", {})
        for key in path:
            value = value.get(key, {})
        values.append(value or 0)
    return sum(values)


class StreamOnly(Counting):
    """`_stream` and no `_generate` of its own: invoke must be its sum."""

    _generate = BaseChatModel._generate


@given(answers())
def test_the_usage_of_invoke_is_the_sum_over_chunks(pieces):
    model = StreamOnly(pieces=pieces)
    whole, streamed = model.invoke("x"), add(list(model.stream("x")))
    asynchronous = asyncio.run(model.ainvoke("x"))
    assert whole.usage_metadata == streamed.usage_metadata == asynchronous.usage_metadata
    assert whole.content == streamed.content == "".join(piece["content"] for piece in pieces)
    if any("usage_metadata" in piece for piece in pieces):
        for key in ("input_tokens", "output_tokens", "total_tokens"):
            assert whole.usage_metadata[key] == total(pieces, key)
        for details, key in (
            ("input_token_details", "cache_read"),
            ("output_token_details", "reasoning"),
        ):
            got = whole.usage_metadata.get(details, {}).get(key, 0)
            assert got == total(pieces, details, key)
    else:
        assert whole.usage_metadata is None


@every_colour
def test_response_metadata_adds_up(colour):
    pieces = [
        {"content": "a", "response_metadata": {"model_name": "m", "model_provider": "p"}},
        {"content": "b", "response_metadata": {"finish_reason": "stop"}},
    ]

    def body(doors):
        model = StreamOnly(pieces=pieces)
        for message in (doors.invoke(model, "x"), add(doors.stream(model, "x"))):
            assert message.response_metadata["model_name"] == "m"
            assert message.response_metadata["finish_reason"] == "stop"

    colour.run(body)


ARGS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)
CALLS = st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), ARGS), min_size=1, max_size=3)


@st.composite
def interleaved(draw):
    """Calls, and a list of deltas that say them: cut and mixed in any way."""
    calls = draw(CALLS)
    queues = []
    for index, (name, args) in enumerate(calls):
        text = json.dumps(args, ensure_ascii=draw(st.booleans()))
        ends = sorted([*draw(st.lists(st.integers(0, len(text)), max_size=6)), 0, len(text)])
        pieces = [text[a:b] for a, b in itertools.pairwise(ends)]
        opening = {"name": name, "args": "", "id": f"c{index}", "index": index}
        rest = [{"name": None, "args": piece, "id": None, "index": index} for piece in pieces]
        queues.append([opening, *rest])
    deltas = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        deltas.append(draw(st.sampled_from(waiting)).pop(0))
    return calls, deltas


def grouped(draw_sizes, items):
    """The items in rows of these sizes: several deltas may come in one chunk."""
    rows, rest = [], list(items)
    for size in draw_sizes:
        rows.append(rest[:size])
        rest = rest[size:]
    return [row for row in [*rows, rest] if row]


@given(interleaved(), st.lists(st.integers(1, 3), max_size=5), st.data())
def test_any_split_of_tool_call_deltas_gives_the_same_calls(drawn, sizes, data):
    calls, deltas = drawn
    chunks = [AIMessageChunk(content="", tool_call_chunks=row) for row in grouped(sizes, deltas)]
    wanted = sorted((f"c{i}", name, args) for i, (name, args) in enumerate(calls))

    def got(message):
        assert not message.invalid_tool_calls
        return sorted((c["id"], c["name"], c["args"]) for c in message.tool_calls)

    assert got(add(chunks)) == wanted
    assert got(message_chunk_to_message(add(chunks))) == wanted
    pieces = [{"content": "", "tool_call_chunks": row} for row in grouped(sizes, deltas)]
    assert got(StreamOnly(pieces=pieces).invoke("x")) == wanted
    at = data.draw(st.integers(0, len(chunks)))
    halves = [half for half in (chunks[:at], chunks[at:]) if half]
    assert got(add([add(half) for half in halves])) == wanted


def delta(name=None, args=None, id_=None):
    return {"name": name, "args": args, "id": id_, "index": 0}


@pytest.mark.parametrize(
    "deltas",
    [
        [delta("f", '{"a": 1}', "c1")],
        [delta("f", "", "c1"), delta(args='{"a": 1}')],
        [delta("f"), delta(id_="c1"), delta(args='{"a": 1}')],
        [delta(id_="c1"), delta("f"), delta(args='{"a": 1}')],
        [delta(), delta("f", "", "c1"), delta(args='{"a": 1}')],
        [delta("", "", ""), delta("f", "", "c1"), delta(args='{"a": 1}')],
        [delta("f", '{"a"', "c1"), delta(), delta(args=": 1}"), delta()],
        [delta("f", '{"a"', "c1"), delta("", ": 1}", "")],
        [delta("f", '{"a"', "c1"), delta(None, ": 1}", "c1")],
    ],
)
def test_the_parts_of_one_delta_may_come_one_by_one(deltas):
    """Law 11: name, id and arguments of the call of one index, however they are cut."""
    chunks = [AIMessageChunk("", tool_call_chunks=[piece]) for piece in deltas]
    whole = message_chunk_to_message(add(chunks))
    assert [(c["name"], c["args"], c["id"]) for c in whole.tool_calls] == [("f", {"a": 1}, "c1")]
    assert whole.invalid_tool_calls == []


CHUNKS = st.lists(
    st.builds(
        lambda content, usage, calls, extra: AIMessageChunk(
            content=content, usage_metadata=usage, tool_call_chunks=calls, additional_kwargs=extra
        ),
        st.text(max_size=4)
        | st.lists(
            st.builds(
                lambda text, index: {"type": "text", "text": text, "index": index},
                st.text(max_size=3),
                st.integers(0, 2),
            ),
            max_size=2,
        ),
        st.none() | usages(),
        st.lists(
            st.builds(
                lambda args, index: {"name": None, "args": args, "id": None, "index": index},
                st.text('{}":a1', max_size=4),
                st.integers(0, 2),
            ),
            max_size=2,
        ),
        st.dictionaries(st.sampled_from(["k", "l"]), st.text(max_size=3), max_size=2),
    ),
    min_size=3,
    max_size=3,
)


@given(CHUNKS)
def test_adding_chunks_is_associative(chunks):
    a, b, c = chunks
    left, right = (a + b) + c, a + (b + c)
    assert left == right
    assert a + [b, c] == left  # noqa: RUF005  (a chunk takes a list of chunks)
    assert left.tool_calls == right.tool_calls
    assert left.model_dump() == right.model_dump()


# ---- content blocks -----------------------------------------------------------------------------

BLOCKS = [
    {"type": "text", "text": "see "},
    {"type": "reasoning", "reasoning": "let me think"},
    {"type": "image", "url": "https://a.example/b.png"},
    {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
    {"type": "file", "file_id": "f1"},
    {
        "type": "text",
        "text": "Paris",
        "annotations": [{"type": "citation", "url": "https://c.example", "cited_text": "Paris"}],
    },
]


def test_standard_blocks_stay_as_they_are():
    message = AIMessage(content_blocks=BLOCKS)
    assert message.content_blocks == BLOCKS
    assert message.text == "see Paris"


def test_calls_are_blocks_too():
    message = AIMessage("hi", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c1"}])
    kinds = [block["type"] for block in message.content_blocks]
    assert kinds == ["text", "tool_call"]
    assert message.content_blocks[1]["args"] == {"a": 1}
    back = AIMessage(content_blocks=message.content_blocks)
    assert [(c["name"], c["args"], c["id"]) for c in back.tool_calls] == [("f", {"a": 1}, "c1")]


def test_blocks_of_openai_chat_become_standard_ones():
    message = HumanMessage(
        [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
    )
    text, linked, inline = message.content_blocks
    assert text == {"type": "text", "text": "what is this?"}
    assert (linked["type"], linked["url"]) == ("image", "https://a.example/b.png")
    assert (inline["base64"], inline["mime_type"]) == ("AAAA", "image/png")
    assert message.text == "what is this?"


def test_what_no_table_knows_is_kept_whole():
    odd = {"type": "hologram", "data": [1]}
    (block,) = HumanMessage([odd]).content_blocks
    assert block == {"type": "non_standard", "value": odd}


@every_colour
def test_a_model_gets_multimodal_input_as_it_was_written(colour):
    content = [{"type": "text", "text": "x"}, {"type": "image", "url": "https://a.example/b.png"}]

    def body(doors):
        model = Counting()
        doors.invoke(model, [HumanMessage(content_blocks=content)])
        doors.stream(model, [("human", content)])
        doors.invoke(model, [{"role": "user", "content": content}])
        assert [call["messages"][0].content for call in model.asked] == [content] * 3

    colour.run(body)


@every_colour
def test_output_version_one_puts_standard_blocks_into_content(colour):
    def body(doors):
        model = Counting(output_version="v1")
        answer = doors.invoke(model, "x")
        assert answer.content == [{"type": "text", "text": TEXT}]
        whole = add(doors.stream(model, "x"))
        assert whole.text == TEXT
        assert [block["type"] for block in whole.content_blocks] == ["text"]

    colour.run(body)


# ---- stop, disable_streaming, tokens ------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream", "batch"])
def test_stop_reaches_the_model_as_an_argument(colour, door):
    def body(doors):
        for kind in (Counting, CountingAsync):
            model = kind()
            given = ["x"] if door == "batch" else "x"
            getattr(doors, door)(model.bind(stop=["\n", "END"]), given)
            assert [call["stop"] for call in model.asked] == [["\n", "END"]]
            assert "stop" not in model.asked[0]["kwargs"]
        model = Counting()
        doors.invoke(model, "x", stop=["y"])
        assert model.asked[0]["stop"] == ["y"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    ("setting", "tools", "streams"),
    [
        (False, None, True),
        (True, None, False),
        ("tool_calling", None, True),
        ("tool_calling", [{"name": "t"}], False),
        (False, [{"name": "t"}], True),
    ],
)
def test_disable_streaming(colour, setting, tools, streams):
    def body(doors):
        model = Counting(disable_streaming=setting)
        bound = model if tools is None else model.bind(tools=tools)
        chunks = [chunk for chunk in doors.stream(bound, "x") if chunk.content]
        assert [chunk.content for chunk in chunks] == (list(TEXTS) if streams else [TEXT])
        whole = add(doors.stream(bound, "x"))
        assert whole.usage_metadata == told(3, 4)

    colour.run(body)


def test_a_disable_streaming_that_is_none_is_refused():
    with pytest.raises(ValueError, match="disable_streaming"):
        Counting(disable_streaming="sometimes")


def test_tokens_are_counted_with_the_users_tokenizer():
    model = Counting(custom_get_token_ids=lambda text: [len(word) for word in text.split()])
    assert model.get_num_tokens("one three fives") == 3
    assert model.get_token_ids("a bb") == [1, 2]
    messages = [SystemMessage("be brief"), HumanMessage("hi there you")]
    assert model.get_num_tokens_from_messages(messages) >= 5
    longer = [*messages, AIMessage("well then")]
    assert model.get_num_tokens_from_messages(longer) > model.get_num_tokens_from_messages(messages)


def test_tokens_without_a_tokenizer_grow_with_the_text():
    for model in (Counting(), Echo()):
        counts = [model.get_num_tokens("word " * n) for n in (0, 1, 10, 100)]
        assert counts == sorted(counts)
        assert counts[0] == 0
        assert 50 <= counts[-1] <= 200


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match="temprature"):
        Counting(temprature=1)


@every_colour
def test_a_model_that_streams_nothing_is_an_error_not_an_empty_answer(colour):
    def body(doors):
        model = StreamOnly(pieces=[])
        with pytest.raises(Exception, match=r"(?i)no |nothing|empty|without") as caught:
            doors.invoke(model, "x")
        assert isinstance(caught.value, HeadraceError | ValueError)

    colour.run(body)


@every_colour
def test_a_run_manager_token_is_not_told_twice(colour):
    """Authors of LangChain models call `on_llm_new_token` themselves."""

    class Telling(Counting):
        def _stream(self, messages, stop=None, run_manager=None, **kw):
            for chunk in super()._stream(messages, stop, run_manager, **kw):
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def body(doors):
        hooks = Hooks()
        doors.stream(Telling(), "x", {"callbacks": [hooks]})
        tokens = [item[1] for item in hooks.seen if item[0] == "token" and item[1]]
        assert tokens == list(TEXTS)

    colour.run(body)


@every_colour
def test_llm_output_and_generation_info_are_not_lost(colour):
    class Informed(Whole):
        def _generate(self, messages, stop=None, run_manager=None, **kw):
            generation = ChatGeneration(
                message=AIMessage("x"), generation_info={"finish_reason": "length"}
            )
            return ChatResult(generations=[generation], llm_output={"model_name": "m"})

    def body(doors):
        answer = doors.invoke(Informed(), "x")
        assert answer.response_metadata["finish_reason"] == "length"
        assert answer.response_metadata["model_name"] == "m"

    colour.run(body)


@every_colour
def test_generation_info_of_text_chunks_adds_up(colour):
    class Told(Echo):
        def _stream(self, prompt, stop=None, run_manager=None, **kw):
            yield GenerationChunk(text="a", generation_info={"logprobs": [1]})
            yield GenerationChunk(text="b", generation_info={"finish_reason": "stop"})

    def body(doors):
        seen = events(doors, Told(), "x")
        generation = seen[-1]["data"]["output"]["generations"][0][0]
        assert generation["text"] == "ab"
        assert generation["generation_info"] == {"logprobs": [1], "finish_reason": "stop"}

    colour.run(body)
