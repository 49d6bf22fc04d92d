"""Parsers of tool calls: the laws at every cut, langchain-core's results, one reading."""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from typing import Any, TypedDict

import langchain_core.messages as lc_messages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.exceptions import OutputParserException as LcParserException
from langchain_core.output_parsers import openai_tools as lc
from langchain_core.outputs import ChatGeneration as LcGeneration
from pydantic import BaseModel, Field, ValidationError, field_validator, v1

from headrace.errors import InputError, ModelRefusalError, OutputParserException
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, message_chunk_to_message
from headrace.output_parsers import (
    JsonOutputToolsParser,
    PydanticToolsParser,
    StrOutputParser,
    openai_tools,
)
from headrace.output_parsers._tool_calls import CallInPieces
from headrace.outputs import ChatGeneration
from laws.colours import every_colour
from laws.counted import assert_linear
from laws.effort import examples

RAN: list[str] = []  # validators of a user's class


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(ge=0)
    tags: list[str] = []

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        RAN.append(name)
        return name


class Place(BaseModel):
    """A place."""

    where: dict[str, int]


ADA = {"name": "Ada Lovelace", "age": 36, "tags": ["é\n", "b"]}
SEA = {"where": {"x": 1, "y": -20}}


def chunks_of(*calls: tuple[str, Any], cut: int = 3, raw: bool = False) -> list[AIMessageChunk]:
    """A stream of parallel calls, name and id first, then the arguments in pieces, by turns."""
    texts = [json.dumps(args) if not isinstance(args, str) else args for _, args in calls]
    parts = [[text[at : at + cut] for at in range(0, len(text), cut)] for text in texts]
    rows: list[dict[str, Any]] = []
    for index, (name, _) in enumerate(calls):
        rows.append({"name": name, "args": "", "id": f"c{index}", "index": index})
    for turn in range(max(map(len, parts), default=0)):
        for index, pieces in enumerate(parts):
            if turn < len(pieces):
                rows.append({"name": None, "args": pieces[turn], "id": None, "index": index})
    made = [_chunk(row, raw) for row in rows]
    return [AIMessageChunk(""), *made, AIMessageChunk("", chunk_position="last")]


def _chunk(row: dict[str, Any], raw: bool) -> AIMessageChunk:
    if not raw:
        return AIMessageChunk("", tool_call_chunks=[row])
    function = {"name": row["name"], "arguments": row["args"]}
    call = {"index": row["index"], "id": row["id"], "function": function, "type": "function"}
    return AIMessageChunk("", additional_kwargs={"tool_calls": [call]})


def parsers(m: Any, person: Any = Person, place: Any = Place) -> list[Any]:
    return [
        m.JsonOutputToolsParser(),
        m.JsonOutputToolsParser(return_id=True),
        m.JsonOutputToolsParser(first_tool_only=True),
        m.JsonOutputKeyToolsParser(key_name="Place"),
        m.JsonOutputKeyToolsParser(key_name="Place", return_id=True, first_tool_only=True),
        m.JsonOutputKeyToolsParser(key_name="Nobody", first_tool_only=True),
        m.PydanticToolsParser(tools=[person, place]),
        m.PydanticToolsParser(tools=[person, place], first_tool_only=True),
    ]


OURS = parsers(openai_tools)
each_parser = pytest.mark.parametrize("number", range(len(OURS)))


# ------------------------------------------------------------------------------- the laws


@every_colour
@each_parser
@pytest.mark.parametrize("raw", [False, True])
def test_the_last_chunk_is_what_invoke_gives(colour: Any, number: int, raw: bool):
    parser = OURS[number]
    chunks = chunks_of(("Person", ADA), ("Place", SEA), raw=raw)
    whole = message_chunk_to_message(merge(chunks))

    def body(doors: Any) -> None:
        value = doors.invoke(parser, whole)
        out = doors.transform(parser, chunks)
        assert (out[-1] if out else None) == value
        assert doors.stream(parser, whole)[-1:] == out[-1:]
        assert doors.invoke(parser, merge(chunks)) == value

    colour.run(body)


args = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=3), args, max_size=3)


@examples(60)
@given(st.lists(objects, min_size=1, max_size=3), st.integers(1, 9), st.booleans())
def test_any_cut_gives_the_calls_and_takes_nothing_back(
    given_args: list[dict[str, Any]], cut: int, raw: bool
):
    calls = [(f"f{n}", each) for n, each in enumerate(given_args)]
    chunks = chunks_of(*calls, cut=cut, raw=raw)
    out = list(JsonOutputToolsParser().transform(iter(chunks)))
    assert out[-1] == [{"type": name, "args": each} for name, each in calls]
    kept = json.dumps(out)
    assert json.dumps(out) == kept
    for before, after in pairwise(out):
        assert len(before) <= len(after)
        for one, other in zip(before, after, strict=False):
            assert list(one["args"]) == list(other["args"])[: len(one["args"])]


rows = st.fixed_dictionaries(
    {
        "name": st.sampled_from([None, "f", "g"]),
        "args": st.sampled_from([None, "", '{"a"', ": 1", "}", "{}", "x"]),
        "id": st.sampled_from([None, "1", "2"]),
        "index": st.sampled_from([None, 0, 1]),
    }
)


@examples(300)
@given(st.lists(st.lists(rows, max_size=2), min_size=1, max_size=8))
def test_any_deltas_are_the_calls_of_their_sum(deltas: list[list[dict[str, Any]]]):
    chunks = [AIMessageChunk("", tool_call_chunks=each) for each in deltas]
    whole = message_chunk_to_message(merge([AIMessageChunk(""), *chunks]))
    parser = JsonOutputToolsParser(return_id=True)
    if whole.invalid_tool_calls:
        with pytest.raises(OutputParserException):
            list(parser.transform(iter(chunks)))
        with pytest.raises(OutputParserException):
            parser.invoke(whole)
        return
    want = [{"type": c["name"], "args": c["args"], "id": c["id"]} for c in whole.tool_calls]
    assert list(parser.transform(iter(chunks)))[-1] == parser.invoke(whole) == want


@examples(60)
@given(objects, st.integers(1, 9))
def test_what_was_emitted_is_never_changed(one: dict[str, Any], cut: int):
    stream = JsonOutputToolsParser().transform(iter(chunks_of(("f", one), cut=cut)))
    seen = [(json.dumps(value), value) for value in stream]
    assert all(json.dumps(value) == text for text, value in seen)


@examples(40)
@given(st.lists(st.integers(1, 30), max_size=8), st.integers(0, 7))
def test_instances_grow_at_any_cut_and_are_validated_once(cuts: list[int], cut: int):
    RAN.clear()
    chunks = chunks_of(("Person", ADA), ("Place", SEA), cut=cut + 1)
    out = list(PydanticToolsParser(tools=[Person, Place]).transform(iter(chunks)))
    assert out[-1] == [Person.model_construct(**ADA), Place(**SEA)]
    assert [type(each) for each in out[-1]] == [Person, Place]
    assert RAN == ["Ada Lovelace"]
    for value in out:
        for each in value:
            assert isinstance(each, (Person, Place))
            if isinstance(each, Person) and each.name is not None:
                assert "Ada Lovelace".startswith(each.name)


def test_a_call_is_validated_as_soon_as_it_is_complete():
    chunks = chunks_of(("Person", {"name": "A", "age": -1}), cut=100)
    taken = iter([*chunks[:3], None])  # what follows the complete call is not looked at
    stream = PydanticToolsParser(tools=[Person]).transform(iter(lambda: next(taken), None))
    with pytest.raises(ValidationError) as caught:
        list(stream)
    assert "'Person'" in caught.value.__notes__[0]


def test_they_stream_and_say_so():
    assert all(parser._flow().kind == "streams" for parser in OURS)


def test_a_subclass_that_parses_in_its_own_way_is_heard():
    class Names(JsonOutputToolsParser):
        def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
            return [call["type"] for call in super().parse_result(result, partial=partial)]

    chunks = chunks_of(("Person", ADA), ("Place", SEA))
    assert list(Names().transform(iter(chunks))) == [["Person", "Place"]]


# ------------------------------------------------------------------------------- one reading


def test_the_arguments_are_read_once(monkeypatch: pytest.MonkeyPatch):
    fed: list[int] = []
    told = CallInPieces.told

    def count(self: Any, name: Any, id: Any, text: Any) -> bool:
        fed.append(len(text or ""))
        return told(self, name, id, text)

    monkeypatch.setattr(CallInPieces, "told", count)
    chunks = chunks_of(("Person", {**ADA, "name": "x" * 20_000}), cut=40)
    list(JsonOutputToolsParser().transform(iter(chunks)))
    assert sum(fed) == len(json.dumps({**ADA, "name": "x" * 20_000}))


@pytest.mark.parametrize("number", [0, 3, 6])
@pytest.mark.parametrize("tag", [["word"], "word"], ids=["list", "string"])
def test_twice_the_arguments_cost_twice(number: int, tag: Any):
    def chunks(size: int) -> list[AIMessageChunk]:
        member = {"tags": tag * size} if isinstance(tag, list) else {"name": tag * size}
        return chunks_of(("Person", {**ADA, **member}), cut=4)

    def run(pieces: Any) -> None:
        for _ in OURS[number].transform(pieces):
            pass

    assert_linear(run, chunks, 400)


# ------------------------------------------------------------------------------- langchain-core

PAIRS = list(zip(OURS, parsers(lc), strict=True))


def theirs_of(chunk: AIMessageChunk) -> Any:
    return lc_messages.AIMessageChunk(
        content="",
        tool_call_chunks=[dict(each) for each in chunk.tool_call_chunks],
    )


@each_parser
@pytest.mark.parametrize("cut", [1, 3, 7, 100])
def test_the_same_values_as_langchain(number: int, cut: int):
    mine, theirs = PAIRS[number]
    plain = {**ADA, "tags": ["a word", "b"]}  # an escape that is cut is another story
    chunks = chunks_of(("Person", plain), ("Place", SEA), cut=cut)
    out = list(mine.transform(iter(chunks)))
    want = list(theirs.transform(theirs_of(chunk) for chunk in chunks))
    if isinstance(mine, PydanticToolsParser):  # they show what validates, ours what has come
        assert out[-1] == want[-1]
    else:
        first = mine.first_tool_only  # of no calls it is None, as the docs there say; in fact []
        assert out == [each for each in want if not (first and each == [])]
    message = AIMessage("", tool_calls=[{"name": "Place", "args": SEA, "id": "1"}])
    assert mine.parse_result([ChatGeneration(message=message)]) == theirs.parse_result(
        [LcGeneration(message=lc_messages.AIMessage(content="", tool_calls=message.tool_calls))]
    )


@each_parser
def test_no_calls_as_langchain(number: int):
    mine, theirs = PAIRS[number]
    for kind in ("AIMessage", "HumanMessage"):
        given = {"AIMessage": AIMessage, "HumanMessage": HumanMessage}[kind]("hello")
        want = theirs.invoke(getattr(lc_messages, kind)(content="hello"))
        assert mine.invoke(given) == (want or (None if mine.first_tool_only else []))


RAW = [
    {"id": "1", "function": {"name": "f", "arguments": '{"a": [1, "x'}},
    {"id": "1", "function": {"name": "f", "arguments": '{"a": "x\ny"}'}},
    {"id": None, "function": {"name": None, "arguments": ""}},
    {"id": "2", "function": {"name": "g", "arguments": None}},
    {"id": "3", "function": {"name": "h", "arguments": "{}"}},
    {"id": "4", "function": {"name": "h", "arguments": "nothing"}},
    {"id": "5", "type": "web_search"},
]


@pytest.mark.parametrize("raw", RAW, ids=str)
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("return_id", [False, True])
def test_calls_in_openai_form_as_langchain(raw: Any, partial: bool, strict: bool, return_id: bool):
    given = {"partial": partial, "strict": strict, "return_id": return_id}
    if partial and strict and raw is RAW[1]:
        assert openai_tools.parse_tool_call(raw, **given) is None  # strict holds here, too
        return
    try:
        want = lc.parse_tool_call(raw, **given)
    except LcParserException:
        with pytest.raises(OutputParserException):
            openai_tools.parse_tool_call(raw, **given)
        with pytest.raises(OutputParserException):
            openai_tools.parse_tool_calls([raw, raw], **given)
        mine = openai_tools.make_invalid_tool_call(raw, "no")
        assert mine == lc.make_invalid_tool_call(raw, "no")
    else:
        assert openai_tools.parse_tool_call(raw, **given) == want
        assert openai_tools.parse_tool_calls([raw], **given) == lc.parse_tool_calls([raw], **given)


# ------------------------------------------------------------------------------- what goes wrong


@every_colour
@pytest.mark.parametrize("text", ["nothing", "[1]", '"x"', '{"a": 1]'])
def test_arguments_that_are_no_object(colour: Any, text: str):
    chunks = chunks_of(("Person", text), ("Place", SEA))
    whole = message_chunk_to_message(merge(chunks))

    def body(doors: Any) -> None:
        for parser in (JsonOutputToolsParser(), PydanticToolsParser(tools=[Person, Place])):
            for call in (doors.invoke, doors.stream):
                with pytest.raises(OutputParserException, match="not valid JSON") as caught:
                    call(parser, whole)
                assert caught.value.llm_output == text
            with pytest.raises(OutputParserException, match="Person"):
                doors.transform(parser, chunks)

    colour.run(body)


def test_a_tool_that_there_is_not():
    parser = PydanticToolsParser(tools=[Person])
    chunks = chunks_of(("Place", SEA))
    message = message_chunk_to_message(merge(chunks))
    for run in (lambda: parser.invoke(message), lambda: list(parser.transform(iter(chunks)))):
        with pytest.raises(OutputParserException, match=r"Unknown tool type: 'Place'.*Person"):
            run()


def test_a_name_in_pieces():
    rows = [("Pers", None, "c"), ("on", None, None), (None, '{"name": "A", "age": 1}', None)]
    chunks = [
        AIMessageChunk("", tool_call_chunks=[{"name": n, "args": a, "id": i, "index": 0}])
        for n, a, i in rows
    ]
    # a chunk with a name of its own starts a call, so the pieces come with the id
    chunks[1].tool_call_chunks[0]["id"] = "c"
    out = list(PydanticToolsParser(tools=[Person]).transform(iter(chunks)))
    assert out[-1] == [Person(name="A", age=1)]


def test_a_refusal():
    block = {"type": "refusal", "refusal": "I will "}
    more = {"type": "refusal", "refusal": "not."}
    whole = AIMessage([{"type": "refusal", "refusal": "I will not."}])
    with pytest.raises(ModelRefusalError, match="I will not"):
        JsonOutputToolsParser().invoke(whole)
    chunks = [AIMessageChunk([{**each, "index": 0}]) for each in (block, more)]
    with pytest.raises(ModelRefusalError, match="I will not"):
        list(JsonOutputToolsParser().transform(iter(chunks)))


@pytest.mark.parametrize("given", ["a text", StrOutputParser(), 3])
def test_what_is_no_message(given: Any):
    with pytest.raises((OutputParserException, InputError)):
        JsonOutputToolsParser().invoke(given)
    with pytest.raises(InputError, match="JsonOutputParser"):
        JsonOutputToolsParser().parse("a text")


def test_arguments_that_were_cut_off_are_explained(caplog: pytest.LogCaptureFixture):
    cut = {"name": "Person", "args": {"name": "A"}, "id": "1"}
    message = AIMessage("", tool_calls=[cut], response_metadata={"stop_reason": "max_tokens"})
    with caplog.at_level(logging.ERROR), pytest.raises(ValidationError, match="age"):
        PydanticToolsParser(tools=[Person]).invoke(message)
    assert "`max_tokens` stop reason" in caplog.text


def test_classes_of_every_kind():
    class Old(v1.BaseModel):
        x: int

    class Keys(TypedDict):
        y: int

    class Named(BaseModel):
        model_config = {"title": "another_name"}
        z: int

    names = [("Old", {"x": 1}), ("Keys", {"y": 2}), ("another_name", {"z": 3}), ("Named", {"z": 4})]
    parser = PydanticToolsParser(tools=[Old, Keys, Named])
    assert list(parser.transform(iter(chunks_of(*names))))[-1] == [
        Old(x=1),
        {"y": 2},
        Named(z=3),
        Named(z=4),
    ]
    with pytest.raises(ValidationError, match="no schema"):
        PydanticToolsParser(tools=[3])


def test_no_tools_are_refused_when_the_parser_is_made():
    with pytest.raises(ValueError, match=r"PydanticToolsParser\(tools=\[\]\)"):
        PydanticToolsParser(tools=[])
