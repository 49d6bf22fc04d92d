"""`when="continue"`: a model goes on with its text so far; what it repeats of it is left out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, IncompleteStream
from headrace.events import RunChunk, RunStarted, StreamReset
from headrace.language_models import BaseChatModel, FakeListChatModel
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from headrace.prompts import ChatPromptTemplate
from headrace.resilience.recover_text import LEAST, WINDOW, Joining, Overlap
from headrace.runnables import ConfigurableField, RunnableLambda
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder

AGAIN: dict[str, Any] = {"wait_exponential_jitter": False}
TEXT = "The mill wheel turns as the water comes."


def usage(given: int, made: int) -> Any:
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


class Going(BaseChatModel):
    """Says `TEXT` in pieces of `size` characters, from where the prompt's last AI message ends, and
    breaks off after `cuts[n]` pieces at its n-th call. Goes on `back` characters before that."""

    takes_prefix: ClassVar[bool] = True
    cuts: list[Any] = []  # noqa: RUF012 - a pydantic field
    size: int = 5
    back: int = 0
    said: list[Any] = []  # noqa: RUF012 - the same
    text: str = TEXT
    extra: dict[str, Any] = {}  # noqa: RUF012 - of the first chunk
    error: Any = None

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        call = len(self.said)
        self.said.append(messages)
        prefix = messages[-1].content if isinstance(messages[-1], AIMessage) else ""
        start = max(0, len(prefix) - self.back) if prefix else 0
        rest = self.text[start:]
        stop_at = self.cuts[call] if call < len(self.cuts) else None
        with LEDGER.body("model"):
            for number, at in enumerate(range(0, len(rest), self.size)):
                if number == stop_at:
                    raise self.error or IncompleteStream(provider="test")
                extra = self.extra if number == 0 else {}
                chunk = AIMessageChunk(rest[at : at + self.size], id=f"id-{call}", **extra)
                yield ChatGenerationChunk(chunk)
            last = AIMessageChunk(
                "",
                usage_metadata=usage(10, len(rest)),
                response_metadata={"finish_reason": "stop", "model_name": "m"},
                chunk_position="last",
            )
            yield ChatGenerationChunk(last)


class GoingAsync(Going):
    async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
        for chunk in self._stream(messages):
            yield chunk


def total(chunks: list[Any]) -> Any:
    from headrace.merge import merge

    return merge(chunks)


kinds = pytest.mark.parametrize("kind", [Going, GoingAsync])


@every_colour
@kinds
@pytest.mark.parametrize("back", [0, 15, 99])
@pytest.mark.parametrize("cuts", [[], [3], [4, 2], [0, 4], [4, 0, 3]])
def test_the_answer_is_whole_and_said_once(colour, kind, back, cuts):
    def body(doors: Any) -> None:
        model = kind(cuts=cuts, back=back, said=[])
        policy = model.with_retry(when="continue", stop_after_attempt=5, **AGAIN)
        chunks = doors.stream(policy, "go")
        answer = total(chunks)
        assert answer.content == TEXT
        assert len({chunk.id for chunk in chunks}) == 1
        assert [chunk.chunk_position for chunk in chunks].count("last") == 1
        assert answer.response_metadata["finish_reason"] == "stop"
        assert len(model.said) == len(cuts) + 1
        for asked in model.said[1:]:
            assert asked[0] == HumanMessage("go")
            assert TEXT.startswith(asked[-1].content) or len(asked) == 1

    colour.run(body)


@every_colour
def test_in_a_chain_the_prompt_is_asked_once(colour):
    def body(doors: Any) -> None:
        model = Going(cuts=[4], said=[])
        seen = Recorder()
        policy = model.with_retry(when="continue", **AGAIN)
        chain = ChatPromptTemplate.from_template("say {x}") | policy | StrOutputParser()
        assert "".join(doors.stream(chain, {"x": "it"}, seen.config)) == TEXT
        check_events(seen.events)
        assert not any(isinstance(event, StreamReset) for event in seen.events)
        assert [asked[0].content for asked in model.said] == ["say it"] * 2
        names = [e.run.path for e in seen.events if isinstance(e, RunStarted)]
        assert any("retry:attempt:2:Going continued" in name for name in names)
        root = seen.events[0].run
        own = [e.chunk for e in seen.events if isinstance(e, RunChunk) and e.run is root]
        assert "".join(own) == TEXT

    colour.run(body)


@every_colour
def test_a_fallback_goes_on_with_what_another_began(colour):
    def body(doors: Any) -> None:
        first, second = Going(cuts=[3], said=[]), Going(said=[], size=3)
        policy = first.with_fallbacks([second], when="continue")
        chunks = doors.stream(policy, "go")
        assert total(chunks).content == TEXT
        assert second.said[0][-1] == AIMessage(TEXT[:15])
        assert {chunk.id for chunk in chunks} == {"id-0"}

    colour.run(body)


@every_colour
def test_usage_is_summed_and_what_was_said_is_not_said_again(colour):
    def body(doors: Any) -> None:
        extra = {"usage_metadata": usage(7, 0), "response_metadata": {"model_name": "m"}}
        model = Going(cuts=[3], said=[], extra=extra)
        answer = total(doors.stream(model.with_retry(when="continue", **AGAIN), "go"))
        assert answer.usage_metadata["input_tokens"] == 7 + 7 + 10
        assert answer.usage_metadata["output_tokens"] == len(TEXT) - 15
        assert answer.response_metadata == {"model_name": "m", "finish_reason": "stop"}

    colour.run(body)


_CALL = {"name": "f", "args": "{", "id": "1", "index": 0, "type": "tool_call_chunk"}


@every_colour
@pytest.mark.parametrize(
    ("fields", "call"),
    [
        ({"extra": {"tool_call_chunks": [_CALL]}}, {}),
        ({"extra": {"additional_kwargs": {"refusal": "no"}}}, {}),
        ({"extra": {"response_metadata": {"finish_reason": "stop"}}}, {}),
        ({"text": ' {"a": 1, "b": [2, 3, 4, 5]}'}, {}),
        ({"text": "[1, 2, 3, 4, 5, 6, 7, 8, 9]"}, {}),
        ({"text": '```json\n{"a": 1, "b": 2}\n```'}, {}),
        ({}, {"response_format": {"type": "json_object"}}),
    ],
    ids=["tool-calls", "kwargs", "finished", "object", "array", "fence", "structured"],
)
def test_what_cannot_be_continued_is_raised_as_it_is(colour, fields, call):
    def body(doors: Any) -> None:
        error = IncompleteStream(provider="test")
        model = Going(cuts=[3], said=[], error=error, **fields)
        policy = model.with_retry(when="continue", **AGAIN)
        stream = doors.open(policy.bind(**call) if call else policy, "go")
        with pytest.raises(IncompleteStream) as caught:
            stream.rest()
        assert caught.value is error
        assert len(model.said) == 1

    colour.run(body)


@every_colour
def test_an_answer_of_blocks_is_not_continued(colour):
    class Blocks(Going):
        def _stream(self, messages: Any, *args: Any, **kw: Any) -> Any:
            self.said.append(messages)
            yield ChatGenerationChunk(AIMessageChunk([{"type": "text", "text": "a", "index": 0}]))
            raise IncompleteStream

    def body(doors: Any) -> None:
        model = Blocks(said=[])
        with pytest.raises(IncompleteStream):
            doors.stream(model.with_retry(when="continue", **AGAIN), "go")
        assert len(model.said) == 1

    colour.run(body)


@every_colour
def test_what_is_invoked_is_asked_again(colour):
    class Whole(Going):
        def _generate(self, messages: Any, *args: Any, **kw: Any) -> Any:
            self.said.append(messages)
            if len(self.said) == 1:
                raise IncompleteStream
            return ChatResult(generations=[ChatGeneration(AIMessage(TEXT))])

    def body(doors: Any) -> None:
        model = Whole(said=[])
        assert doors.invoke(model.with_retry(when="continue", **AGAIN), "go").content == TEXT
        assert model.said == [[HumanMessage("go")]] * 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("after", [1, 4, 6])
def test_left_anywhere_the_model_is_closed(colour, after):
    def body(doors: Any) -> None:
        model = Going(cuts=[3], said=[], back=13)
        stream = doors.open(model.with_retry(when="continue", **AGAIN), "go")
        for _ in range(after):
            stream.next()
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)


def test_models_that_want_the_beginning_marked():
    class Marked(Going):
        def _prefixed(self, messages: Any, partial: AIMessage) -> Any:
            marked = AIMessage(partial.content.rstrip(), additional_kwargs={"prefix": True})
            return [*messages, marked]

    model = Marked(cuts=[4], said=[], size=1)  # "The " ends with white space
    chunks = list(model.with_retry(when="continue", **AGAIN).stream("go"))
    assert total(chunks).content == TEXT
    assert model.said[1][-1].additional_kwargs == {"prefix": True}
    assert model.said[1][-1].content == "The"


# ---- refused at construction --------------------------------------------------------------------


def test_only_models_that_take_a_prefix():
    model = Going()
    chain = ChatPromptTemplate.from_template("{x}") | model
    with pytest.raises(ConfigError, match="which is no chat model: put the policy on"):
        chain.with_retry(when="continue")
    with pytest.raises(ConfigError, match="around f, which is no chat model"):
        RunnableLambda(lambda x: x, name="f").with_retry(when="continue")
    fake = FakeListChatModel(responses=["a"])
    with pytest.raises(ConfigError, match="FakeListChatModel, which does not take the beginning"):
        fake.with_retry(when="continue")
    with pytest.raises(ConfigError, match="FakeListChatModel"):
        model.with_fallbacks([fake], when="continue")
    chosen = model.configurable_alternatives(ConfigurableField("which"), other=fake)
    with pytest.raises(ConfigError, match="FakeListChatModel"):
        chosen.with_retry(when="continue")
    model.bind(stop=["x"]).with_config(tags=["t"]).with_retry(when="continue")


# ---- overlaps -----------------------------------------------------------------------------------


def through(text: str, pieces: list[str]) -> list[str]:
    overlap = Overlap(text)
    return [*(overlap.feed(piece) for piece in pieces), overlap.finish()]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("Hel", "lo", "lo"),  # one letter agrees by chance
        ("the water comes down", "water comes down the hill", " the hill"),
        ("Hello wor", "Hello world", "ld"),  # all of it again
        ("I said that", "that is all", "that is all"),  # four letters of more
        ("ha", "ha", "ha"),
        ("One.\n", "\n\nTwo", "\n\nTwo"),  # it was given the white space
        ("Hi", " there", " there"),
        ("abc", "", ""),
        ("", "abc", "abc"),
        ("x" * 30, "x" * 40, "x" * 40),  # a row of them goes on
    ],
)
def test_what_is_left_of_a_continuation(before, after, left):
    assert "".join(through(before, [after])) == left
    assert "".join(through(before, list(after))) == left


@pytest.mark.parametrize(
    ("before", "unsaid", "after", "left"),
    [
        ("Hi ", " ", " there", "there"),
        ("One.\n", "\n", "\n\nTwo", "\nTwo"),
        ("One. \n", " \n", " \nTwo", "Two"),
        ("One. \n", " \n", "\nTwo", "Two"),
        ("Hi ", " ", "there", "there"),
    ],
)
def test_white_space_that_it_was_not_given_is_not_doubled(before, unsaid, after, left):
    for pieces in ([after], list(after)):
        overlap = Overlap(before, unsaid)
        assert "".join([*map(overlap.feed, pieces), overlap.finish()]) == left


@given(
    st.text("ab ", max_size=60),
    st.text("ab ", max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_however_it_is_cut_the_same_is_left(before, after, cuts):
    places = sorted({min(cut, len(after)) for cut in cuts} | {0, len(after)})
    pieces = [after[a:b] for a, b in pairwise(places)]
    left = "".join(through(before, pieces))
    assert left == "".join(through(before, [after]))
    cut = after[: len(after) - len(left)]
    assert after.endswith(left)
    assert before.endswith(cut)
    longer = [
        size
        for size in range(len(cut) + 1, len(after) + 1)
        if size >= LEAST and before.endswith(after[:size])
    ]
    assert not longer


def test_text_that_repeats_nothing_is_not_held_back():
    overlap = Overlap("The water comes")
    assert overlap.feed(" down") == " down"
    assert overlap.feed("x") == "x"
    overlap = Overlap("ab" * WINDOW)
    held = 0
    while overlap.feed("ab") == "":
        held += 2
    assert held <= WINDOW


def test_chunks_without_text_are_not_hoarded():
    machine = Joining(AIMessageChunk("The water", id="1"))._start(None)
    assert machine.feed(AIMessageChunk("The")) == ()
    fed = 1
    while not (out := machine.feed(AIMessageChunk(""))):
        fed += 1
    assert 2 < len(out) == fed + 1 <= WINDOW + 2


@given(st.lists(st.text("abc", max_size=3), max_size=12), st.text("abc", max_size=9))
def test_joined_chunks_keep_everything_but_what_is_repeated(pieces, before):
    machine = Joining(AIMessageChunk(before, id="1"))._start(None)
    chunks = [
        AIMessageChunk(piece, id="2", response_metadata={str(n): n})
        for n, piece in enumerate(pieces)
    ]
    out = [made for chunk in chunks for made in machine.feed(chunk)] + list(machine.finish())
    assert "".join(chunk.content for chunk in out) == "".join(through(before, ["".join(pieces)]))
    assert [key for chunk in out for key in chunk.response_metadata] == [
        str(n) for n in range(len(pieces))
    ]
    assert {chunk.id for chunk in out} <= {"1"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Prices:\n| --- | --- | --- ", "| --- | --- |\n"),
        ("| --- " * 4, "| --- " * 3),
        ("Row row row your boat\n" * 2, "Row row row your boat\ngently"),
        ("-" * 40, "-" * 40),
    ],
)
def test_what_the_text_itself_says_again_and_again_is_no_repetition(before, after):
    overlap = Overlap(before)
    assert "".join([*map(overlap.feed, after), overlap.finish()]) == after
