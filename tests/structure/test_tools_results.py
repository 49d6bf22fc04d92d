"""Tool calls to data: the three parsers of tool calls, from any cut and interleaving (law 11)."""

from __future__ import annotations  # noqa: I001

import copy
import dataclasses
import json
import pickle
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk as TheirChunk
from langchain_core.output_parsers import JsonOutputToolsParser as TheirParser
from pydantic import BaseModel, Field, ValidationError, field_validator
from typing_extensions import TypedDict

from headrace.errors import HeadraceError
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import (
    JsonOutputKeyToolsParser,
    JsonOutputToolsParser,
    OutputParserException,
    PydanticToolsParser,
)
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from headrace.tools import tool
from laws.colours import every_colour
from laws.effort import examples
from laws.ledger import LEDGER
from structure.scripted import JSON_VALUES, TEXT, Said, Whole, call_chunk, call_chunks, cut, cuts
import itertools

CALLS: Counter[str] = Counter()


class Add(BaseModel):
    """Add two numbers."""

    a: int = Field(ge=0)
    b: int

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        CALLS["validated"] += 1
        return value


class Search(BaseModel):
    """Search for something."""

    query: str
    limit: int = 3


class Find(TypedDict):
    """Find something."""

    what: str


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    y: int = 0

    def __post_init__(self) -> None:
        CALLS["post_init"] += 1


def two_calls() -> list[AIMessageChunk]:
    return [
        AIMessageChunk(content="Let me see."),
        *call_chunks("Add", cut('{"a": 12, "b": 30}', 3, 7, 8, 14), "c1", 0),
        *call_chunks("Search", list('{"query": "mills"}'), "c2", 1),
        AIMessageChunk(
            content="", usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        ),
    ]


ADD = {"type": "Add", "args": {"a": 12, "b": 30}}
SEARCH = {"type": "Search", "args": {"query": "mills"}}
PARSERS: dict[str, tuple[Any, Any]] = {
    "json": (JsonOutputToolsParser(), [ADD, SEARCH]),
    "json-id": (
        JsonOutputToolsParser(return_id=True),
        [{**ADD, "id": "c1"}, {**SEARCH, "id": "c2"}],
    ),
    "json-first": (JsonOutputToolsParser(first_tool_only=True), ADD),
    "key": (JsonOutputKeyToolsParser(key_name="Search"), [SEARCH["args"]]),
    "key-first": (
        JsonOutputKeyToolsParser(key_name="Search", first_tool_only=True),
        SEARCH["args"],
    ),
    "key-id": (
        JsonOutputKeyToolsParser(key_name="Search", return_id=True),
        [{**SEARCH, "id": "c2"}],
    ),
    "key-none": (JsonOutputKeyToolsParser(key_name="Nothing"), []),
    "pydantic": (
        PydanticToolsParser(tools=[Add, Search]),
        [Add(a=12, b=30), Search(query="mills")],
    ),
    "pydantic-first": (
        PydanticToolsParser(tools=[Add, Search], first_tool_only=True),
        Add(a=12, b=30),
    ),
}
every_parser = pytest.mark.parametrize("name", PARSERS)


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


# ---- law 1 --------------------------------------------------------------------------------------


@every_colour
@every_parser
def test_all_doors_give_the_same(colour, name):
    reader, result = PARSERS[name]

    def body(doors):
        chain = Said(pieces=two_calls()) | reader
        assert doors.invoke(chain, "x") == result
        assert doors.stream(chain, "x")[-1] == result
        behind = chain | (lambda value: ("seen", value))
        assert doors.invoke(behind, "x") == ("seen", result)
        assert doors.stream(behind, "x") == [("seen", result)]
        assert doors.batch(chain, ["x", "y"]) == [result, result]

    colour.run(body)


@every_colour
@every_parser
def test_compositions(colour, name):
    reader, result = PARSERS[name]

    def body(doors):
        def chain() -> Any:
            return Said(pieces=two_calls()) | reader

        both = RunnableParallel(a=chain(), b=RunnablePassthrough())
        assert doors.invoke(both, "x") == {"a": result, "b": "x"}
        assert doors.stream(both | (lambda d: [d["a"]]), "x") == [[result]]
        assert doors.invoke(chain().with_fallbacks([chain()]), "x") == result
        assert doors.stream(chain().with_fallbacks([chain()]) | (lambda v: [v]), "x") == [[result]]
        assert doors.invoke(chain().with_retry(stop_after_attempt=2), "x") == result
        assert doors.stream(chain().with_config(tags=["a"]) | (lambda v: [v]), "x") == [[result]]
        step = Said(pieces=two_calls()) | RunnableLambda(lambda message: reader)
        assert doors.stream(step, "x")[-1] == result

    colour.run(body)


@every_parser
async def test_events_end_with_the_calls(name):
    reader, result = PARSERS[name]
    chain = Said(pieces=two_calls()) | reader
    events = [event async for event in chain.astream_events("x", version="v2")]
    ends = [e["data"]["output"] for e in events if e["event"] in ("on_parser_end", "on_chain_end")]
    assert ends == [result, result]


@every_colour
@every_parser
def test_a_model_that_does_not_stream(colour, name):
    reader, result = PARSERS[name]
    message = AIMessage(
        "",
        tool_calls=[
            {"name": "Add", "args": {"a": 12, "b": 30}, "id": "c1"},
            {"name": "Search", "args": {"query": "mills"}, "id": "c2"},
        ],
    )

    def body(doors):
        chain = Whole(message=message) | reader
        assert doors.invoke(chain, "x") == result
        assert doors.stream(chain, "x")[-1] == result
        assert doors.invoke(reader, message) == result

    colour.run(body)


@every_colour
@every_parser
def test_calls_in_openai_s_own_form(colour, name):
    """Messages whose calls are in `additional_kwargs` only, as old ones have them."""
    reader, result = PARSERS[name]
    raw = [
        {
            "id": c["id"],
            "type": "function",
            "function": {"name": c["type"], "arguments": json.dumps(c["args"])},
        }
        for c in ({**ADD, "id": "c1"}, {**SEARCH, "id": "c2"})
    ]

    def body(doors):
        message = AIMessage("", additional_kwargs={"tool_calls": raw})
        assert doors.invoke(reader, message) == result

    colour.run(body)


# ---- law 11 -------------------------------------------------------------------------------------

NAMES = st.sampled_from(["Add", "Search", "Find"])


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[AIMessageChunk]]:
    """Some calls, and their deltas in any interleaving that keeps the order within each call."""
    count = draw(st.integers(1, 3))
    calls, queues = [], []
    for index in range(count):
        args = draw(st.dictionaries(TEXT, JSON_VALUES, max_size=3))
        text = json.dumps(args, ensure_ascii=draw(st.booleans()))
        call = {"name": draw(NAMES), "args": args, "id": f"c{index}"}
        calls.append(call)
        queues.append(call_chunks(call["name"], draw(cuts(text)), call["id"], index))
    chunks = [queue.pop(0) for queue in queues]  # they begin in order, as providers have them
    while any(queues):
        at = draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))
        chunks.append(queues[at].pop(0))
    return calls, chunks


@given(interleavings())
@examples(60)
def test_any_interleaving_merges_to_the_same_calls(drawn):
    calls, chunks = drawn
    chain = Said(pieces=chunks)
    merged = chain.invoke("x")
    assert [(c["name"], c["args"], c["id"]) for c in merged.tool_calls] == [
        (c["name"], c["args"], c["id"]) for c in calls
    ]
    assert merged.invalid_tool_calls == []
    wanted = [{"type": c["name"], "args": c["args"], "id": c["id"]} for c in calls]
    reader = JsonOutputToolsParser(return_id=True)
    shown, kept = [], []
    for chunk in (chain | reader).stream("x"):
        shown.append(chunk)
        kept.append(copy.deepcopy(chunk))
    assert shown == kept
    assert shown[-1] == wanted
    assert (chain | reader).invoke("x") == wanted
    for before, after in itertools.pairwise(shown):
        assert repr(before) != repr(after)  # 0 and 0.0 are two values
        assert len(before) <= len(after)


@given(interleavings())
@examples(40)
def test_the_same_end_as_langchain(drawn):
    _calls, chunks = drawn
    theirs: Any = None
    for chunk in chunks:
        piece = TheirChunk(content="", tool_call_chunks=copy.deepcopy(chunk.tool_call_chunks))
        theirs = piece if theirs is None else theirs + piece
    expected = [(c["name"], c["args"], c["id"]) for c in theirs.tool_calls]
    ours = JsonOutputToolsParser(return_id=True).invoke(_merged(chunks))
    assert [(c["type"], c["args"], c["id"]) for c in ours] == expected
    assert TheirParser(return_id=True).invoke(theirs) == ours


def _merged(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


@given(st.data())
@examples(30)
def test_adding_up_is_associative(data):
    _calls, chunks = data.draw(interleavings())
    at = data.draw(st.integers(0, len(chunks)))
    left, right = chunks[:at], chunks[at:]
    if left and right:
        other = _merged(left) + _merged(right)
        assert other.tool_calls == _merged(chunks).tool_calls
        assert other.tool_call_chunks == _merged(chunks).tool_call_chunks


# ---- growing ------------------------------------------------------------------------------------


def test_pydantic_calls_grow_and_are_validated_once_each():
    class Seen(BaseModel):
        pass

    states = []
    for chunk in (Said(pieces=two_calls()) | PydanticToolsParser(tools=[Add, Search])).stream("x"):
        states.append(([type(call) for call in chunk], CALLS["validated"]))  # noqa: PERF401
    assert any(types and types[0] is not Add for types, _ in states)
    for types, count in states:
        assert count == (1 if types and types[0] is Add else 0)
    assert states[-1] == ([Add, Search], 1)


def test_typed_dicts_and_dataclasses():
    chunks = [
        *call_chunks("Find", list('{"what": "ab"}'), "1", 0),
        *call_chunks("Point", list('{"x": 12}'), "2", 1),
    ]
    counts = []
    out = []
    for chunk in (Said(pieces=chunks) | PydanticToolsParser(tools=[Find, Point])).stream("x"):
        out.append(chunk)
        counts.append(CALLS["post_init"])
    assert out[-1] == [{"what": "ab"}, Point(12, 0)]
    assert set(counts[:-1]) == {0}


@every_colour
@every_parser
@pytest.mark.parametrize("taken", [1, 2])
def test_leaving_early(colour, name, taken):
    reader, _ = PARSERS[name]

    def body(doors):
        stream = doors.open(Said(pieces=two_calls()) | reader, "x")
        for _ in range(taken):
            stream.next()
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
@every_parser
def test_no_calls_at_all(colour, name):
    reader, result = PARSERS[name]
    nothing = [] if isinstance(result, list) else None

    def body(doors):
        chain = Said(pieces=["Hello", " you"]) | reader
        assert doors.invoke(chain, "x") == nothing
        assert doors.stream(chain | (lambda value: [value]), "x") == [[nothing]]

    colour.run(body)


# ---- what is wrong ------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("name", ["json", "json-first", "key", "pydantic"])
def test_arguments_that_are_cut(colour, name):
    reader, _ = PARSERS[name]

    def body(doors):
        chunks = call_chunks("Search", ['{"query": "mi', "lls"], "c1")
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(Said(pieces=chunks) | reader, "x")
            assert "Search" in str(caught.value)
            assert '{"query": "mills' in str(caught.value)

    colour.run(body)


@every_colour
def test_a_call_of_a_tool_that_was_not_bound(colour):
    def body(doors):
        reader = PydanticToolsParser(tools=[Add])
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match=r"Search.*Add"):
                door(Said(pieces=two_calls()) | reader, "x")

    colour.run(body)


@every_colour
def test_arguments_that_do_not_fit(colour):
    def body(doors):
        chunks = call_chunks("Add", ['{"a": -1, "b": 2}'], "c1")
        reader = PydanticToolsParser(tools=[Add])
        for door in (doors.invoke, doors.stream):
            with pytest.raises((ValidationError, OutputParserException)) as caught:
                door(Said(pieces=chunks) | reader, "x")
            assert "greater than or equal to 0" in str(caught.value)
            assert isinstance(caught.value, ValueError)

    colour.run(body)


def test_text_is_no_message():
    for reader, _ in PARSERS.values():
        with pytest.raises(HeadraceError, match="chat"):
            reader.invoke("some text")


@pytest.mark.parametrize("wrong", [[3], ["Add"], 3, [None]])
def test_what_is_no_tool(wrong):
    with pytest.raises(ValueError, match="tools"):
        PydanticToolsParser(tools=wrong)


@every_parser
def test_pickled(name):
    reader, result = PARSERS[name]
    there = pickle.loads(pickle.dumps(reader))
    assert there == reader
    assert (Said(pieces=two_calls()) | there).invoke("x") == result


def test_calls_can_be_run_by_tools():
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    chunks = call_chunks("add", cut('{"a": 12, "b": 30}', 5, 9), "c1")
    reader = JsonOutputKeyToolsParser(key_name="add", first_tool_only=True)
    chain = Said(pieces=chunks).bind_tools([add]) | reader | add
    assert chain.invoke("x") == 42
    assert list(chain.stream("x")) == [42]


def test_long_arguments_cost_linear():
    import sys

    def steps(size: int) -> int:
        text = json.dumps({"query": "word " * size, "limit": 2})
        pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
        chunks = [call_chunk("", name="Search", id="1"), *map(call_chunk, pieces)]
        stream = PydanticToolsParser(tools=[Search]).transform(iter(chunks))
        count = 0

        def tracer(frame: Any, event: str, arg: Any) -> Any:
            nonlocal count
            count += 1
            return tracer

        sys.settrace(tracer)
        try:
            for _ in stream:
                pass
        finally:
            sys.settrace(None)
        return count

    assert steps(400) <= 2.2 * steps(200)
