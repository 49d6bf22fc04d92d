"""`with_structured_output` and `bind_tools` as users meet them: on models of their own that stream
text or tool calls in any cut, and on the embedded model."""

from __future__ import annotations  # noqa: I001

import dataclasses
import datetime
import enum
import json
import pickle
from typing import Any, ClassVar, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from typing_extensions import TypedDict

from headrace.errors import ConfigError, HeadraceError, ModelRefusalError
from headrace.language_models import (
    BaseChatModel,
    FakeListChatModel,
    FakeMessagesListChatModel,
    GenericFakeChatModel,
)
from headrace.local import ChatLocal
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import (
    JsonOutputToolsParser,
    OutputParserException,
    PydanticToolsParser,
)
from headrace.output_parsers.schemas import schema_of
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import (
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from headrace.tools import tool
from laws.colours import every_colour
from laws.effort import examples
from laws.ledger import LEDGER
from structure.scripted import Said, Whole, call_chunk, call_chunks, cuts
import itertools

METHODS = ["json_schema", "json_mode", "function_calling"]
every_method = pytest.mark.parametrize("method", METHODS)
VALIDATED: list[int] = []


class Told(Said):
    """A model that can be told in every way."""

    structured_modes: ClassVar[Any] = ("json_schema", "function_calling", "json_mode")


class Line(BaseModel):
    item: str
    count: int = Field(gt=0)


class Order(BaseModel):
    """An order."""

    customer: str
    lines: list[Line]
    note: str | None = None

    @field_validator("customer")
    @classmethod
    def check(cls, value: str) -> str:
        VALIDATED.append(1)
        return value


class OrderDict(TypedDict):
    """An order."""

    customer: str
    lines: list[dict[str, Any]]


@dataclasses.dataclass
class OrderData:
    """An order."""

    customer: str
    lines: list[Line]
    note: str | None = None


ORDER = {
    "customer": "Ada",
    "lines": [{"item": "nut", "count": 12}, {"item": "bolt", "count": 345}],
    "note": "soon",
}
JSON_SCHEMA = {**Order.model_json_schema(), "title": "Order"}
SCHEMAS: dict[str, Any] = {
    "pydantic": Order,
    "typeddict": OrderDict,
    "dataclass": OrderData,
    "json-schema": JSON_SCHEMA,
    "function": {"name": "Order", "description": "An order.", "parameters": JSON_SCHEMA},
}
every_schema = pytest.mark.parametrize("schema", SCHEMAS)


def result(schema: str, order: dict[str, Any] = ORDER) -> Any:
    if schema == "typeddict":
        return {key: order[key] for key in ("customer", "lines")}
    if schema in ("json-schema", "function"):
        return order
    return TypeAdapter(SCHEMAS[schema]).validate_python(order)


def said(method: str, pieces: list[str], name: str = "Order") -> list[Any]:
    return call_chunks(name, pieces, "c1") if method == "function_calling" else list(pieces)


def text_of(schema: str) -> str:
    return json.dumps(result(schema) if schema == "typeddict" else ORDER)


# ---- with_structured_output ---------------------------------------------------------------------


@every_colour
@every_method
@every_schema
def test_all_doors_give_the_validated_value(colour, method, schema):
    def body(doors):
        name = getattr(SCHEMAS[schema], "__name__", "Order")
        model = Told(pieces=said(method, list(text_of(schema)), name))
        chain = model.with_structured_output(SCHEMAS[schema], method=method)
        value = result(schema)
        assert doors.invoke(chain, "x") == value
        assert type(doors.invoke(chain, "x")) is type(value)
        chunks = doors.stream(chain, "x")
        assert chunks[-1] == value
        assert len(chunks) > 10
        assert doors.batch(chain, ["x", "y"]) == [value, value]
        behind = chain | (lambda seen: ("seen", seen))
        assert doors.stream(behind, "x") == [("seen", value)]
        assert doors.invoke(behind, "x") == ("seen", value)

    colour.run(body)


@every_colour
@every_method
def test_include_raw(colour, method):
    def body(doors):
        model = Told(pieces=said(method, list(text_of("pydantic"))))
        chain = model.with_structured_output(Order, method=method, include_raw=True)
        out = doors.invoke(chain, "x")
        assert list(out) == ["raw", "parsed", "parsing_error"]
        assert isinstance(out["raw"], AIMessage)
        assert out["parsed"] == result("pydantic")
        assert out["parsing_error"] is None
        chunks = doors.stream(chain, "x")
        raw = [chunk["raw"] for chunk in chunks if "raw" in chunk]
        whole = raw[0]
        for piece in raw[1:]:
            whole = whole + piece
        assert whole.content == out["raw"].content
        assert whole.tool_calls == out["raw"].tool_calls
        parsed = [chunk["parsed"] for chunk in chunks if "parsed" in chunk]
        assert parsed[-1] == result("pydantic")
        assert len(parsed) > 10
        (seen,) = doors.stream(chain | (lambda value: [value]), "x")
        assert seen[0]["parsed"] == result("pydantic")
        assert seen[0]["raw"].content == out["raw"].content
        assert seen[0]["parsing_error"] is None
        picked = chain.pick("parsed") | (lambda value: [value])
        assert doors.stream(picked, "x") == [[result("pydantic")]]
        assigned = chain | RunnablePassthrough.assign(n=lambda d: len(d["parsed"].lines))
        (seen,) = doors.stream(assigned | (lambda value: [value]), "x")
        assert (seen[0]["parsed"], seen[0]["n"]) == (result("pydantic"), 2)

    colour.run(body)


WRONG = {
    "rule": {**ORDER, "lines": [{"item": "nut", "count": -1}]},
    "missing": {"customer": "Ada"},
}


@every_colour
@every_method
@pytest.mark.parametrize("wrong", ["rule", "missing", "cut"])
def test_answers_that_do_not_fit(colour, method, wrong):
    text = json.dumps(ORDER)[:30] if wrong == "cut" else json.dumps(WRONG[wrong])

    def body(doors):
        model = Told(pieces=said(method, list(text)))
        chain = model.with_structured_output(Order, method=method)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            named = {"rule": "lines[0].count", "missing": "lines", "cut": "character"}[wrong]
            assert named in str(caught.value)
        raw = model.with_structured_output(Order, method=method, include_raw=True)
        (seen,) = doors.stream(raw | (lambda value: [value]), "x")
        for out in (doors.invoke(raw, "x"), seen[0]):
            assert out["parsed"] is None
            assert isinstance(out["parsing_error"], OutputParserException)
            assert out["raw"].content or out["raw"].tool_calls or out["raw"].invalid_tool_calls

    colour.run(body)


@every_colour
@every_method
@pytest.mark.parametrize("wrong", ["rule", "cut"])
def test_no_step_behind_gets_half_an_answer(colour, method, wrong):
    """`include_raw` gives `parsed: None` where nothing could be parsed; a partial that was shown
    before must not stand in for it."""
    text = json.dumps(ORDER)[:30] if wrong == "cut" else json.dumps(WRONG[wrong])

    def body(doors):
        model = Told(pieces=said(method, list(text)))
        chain = model.with_structured_output(Order, method=method, include_raw=True)
        picked = chain | RunnablePick("parsed") | (lambda seen: [seen])
        assert doors.invoke(picked, "x") == [None]
        assert doors.stream(picked, "x") == [[None]]
        several = chain | RunnablePick(["parsed"]) | (lambda seen: [seen])
        assert doors.invoke(several, "x") == [{"parsed": None}]
        assert doors.stream(several, "x") == [[{"parsed": None}]]

    colour.run(body)


@every_colour
def test_models_that_stand_in_for_models(colour):
    """Configured and fallback models have `with_structured_output` as well."""

    def body(doors):
        model = FakeListChatModel(responses=[json.dumps(ORDER)])
        other = FakeListChatModel(responses=[json.dumps({**ORDER, "customer": "Bob"})])
        for chain, customer in (
            (model.with_config(tags=["a"]).with_structured_output(Order), "Ada"),
            (model.with_fallbacks([other]).with_structured_output(Order), "Ada"),
            (
                FakeListChatModel(responses=["no"])
                .with_fallbacks([other])
                .with_structured_output(Order),
                "Bob",
            ),
        ):
            assert doors.invoke(chain, "x").customer == customer
            assert doors.stream(chain, "x")[-1].customer == customer
            assert len(doors.stream(chain, "x")) > 5

    colour.run(body)


@every_colour
@pytest.mark.parametrize("why", ["length", "max_tokens"])
def test_an_answer_that_was_cut_off_says_so(colour, why):
    class Short(Whole):
        structured_modes: ClassVar[Any] = ("json_schema",)

    def body(doors):
        message = AIMessage('{"customer": "Ad', response_metadata={"finish_reason": why})
        chain = Short(message=message).with_structured_output(Order)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match="max_tokens"):
                door(chain, "x")

    colour.run(body)


@every_colour
def test_a_model_that_refuses(colour):
    class Short(Whole):
        structured_modes: ClassVar[Any] = ("json_schema",)

    def body(doors):
        message = AIMessage("", additional_kwargs={"refusal": "I will not"})
        chain = Short(message=message).with_structured_output(Order)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(ModelRefusalError, match="I will not"):
                door(chain, "x")

    colour.run(body)


@pytest.mark.parametrize(
    ("method", "word"),
    [
        ("json_schema", "response_format"),
        ("json_mode", "response_format"),
        ("function_calling", "tools"),
        ("function_calling", "tool_choice"),
        ("json_schema", "ls_structured_output_format"),
        ("function_calling", "ls_structured_output_format"),
    ],
)
def test_keywords_that_the_method_sets_itself(method, word):
    """A word that cannot be given twice is refused in a sentence, not by Python's binding."""
    with pytest.raises(ConfigError, match=f"method='{method}'.* sets {word} itself"):
        Told(pieces=[]).with_structured_output(Order, method=method, **{word: "auto"})
    other = {"response_format": {}} if method == "function_calling" else {"tools": []}
    chain = Told(pieces=[]).with_structured_output(Order, method=method, **other)
    assert chain.first.kwargs.items() >= other.items()


@every_colour
def test_a_model_that_talks_in_place_of_calling(colour):
    def body(doors):
        chain = Told(pieces=["I ", "would rather not."]).with_structured_output(
            Order, method="function_calling"
        )
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match="rather not"):
                door(chain, "x")

    colour.run(body)


@given(st.data())
@examples(40)
def test_any_cut_of_the_answer(data):
    method = data.draw(st.sampled_from(METHODS))
    pieces = data.draw(cuts(json.dumps(ORDER)))
    VALIDATED.clear()
    chain = Told(pieces=said(method, pieces)).with_structured_output(Order, method=method)
    chunks = list(chain.stream("x"))
    assert chunks[-1] == result("pydantic")
    assert all(isinstance(chunk, BaseModel) for chunk in chunks)
    for before, after in itertools.pairwise(chunks):
        assert (after.customer or "").startswith(before.customer or "")
        assert (after.note or "").startswith(before.note or "")
        counts = [line.count for line in before.lines or []]
        later = [line.count for line in after.lines or []]
        assert len(counts) <= len(later)
        assert all(a in (None, b) for a, b in zip(counts, later, strict=False))


@every_method
def test_validators_run_once_a_stream(method):
    chain = Told(pieces=said(method, list(json.dumps(ORDER)))).with_structured_output(
        Order, method=method
    )
    VALIDATED.clear()
    for chunk in chain.stream("x"):
        assert ([1] if type(chunk) is Order else []) == VALIDATED
    assert VALIDATED == [1]


def test_nothing_that_was_shown_is_taken_back():
    class Visit(BaseModel):
        at: datetime.datetime
        kind: Literal["new", "newest"]

    text = '{"at": "2024-02-29T10:20:30", "kind": "newest"}'
    chunks = list(Told(pieces=list(text)).with_structured_output(Visit).stream("x"))
    assert {chunk.at for chunk in chunks} - {None} == {datetime.datetime(2024, 2, 29, 10, 20, 30)}
    assert {chunk.kind for chunk in chunks} - {None} == {"newest"}


@every_colour
@every_method
@pytest.mark.parametrize("taken", [0, 1, 4])
@pytest.mark.parametrize("include_raw", [False, True])
def test_leaving_early(colour, method, taken, include_raw):
    def body(doors):
        model = Told(pieces=said(method, list(json.dumps(ORDER))))
        chain = model.with_structured_output(Order, method=method, include_raw=include_raw)
        stream = doors.open(chain, "x")
        assert model.pulled == 0
        for _ in range(taken):
            stream.next()
        stream.close()
        assert not LEDGER.still_open
        assert model.pulled < len(json.dumps(ORDER))

    colour.run(body)


@every_colour
@every_method
def test_compositions(colour, method):
    def body(doors):
        def chain(pieces: Any = None) -> Any:
            told = Told(pieces=said(method, pieces or list(json.dumps(ORDER))))
            prompt = ChatPromptTemplate.from_template("An order of {who}")
            return prompt | told.with_structured_output(Order, method=method)

        value, given = result("pydantic"), {"who": "Ada"}
        both = RunnableParallel(order=chain(), asked=RunnablePassthrough())
        assert doors.invoke(both, given) == {"order": value, "asked": given}
        assert doors.stream(both | (lambda d: [d["order"]]), given) == [[value]]
        named = RunnablePassthrough.assign(order=chain()) | (lambda d: [d["order"], d["who"]])
        assert doors.invoke(named, given) == [value, "Ada"]
        assert doors.stream(named, given) == [[value, "Ada"]]
        assert doors.invoke(chain(["{"]).with_fallbacks([chain()]), given) == value
        assert doors.stream(chain().with_fallbacks([chain()]) | (lambda v: [v]), given) == [[value]]
        assert doors.invoke(chain().with_retry(stop_after_attempt=2), given) == value
        tagged = chain().with_config(tags=["a"], run_name="order")
        assert doors.stream(tagged | (lambda v: [v]), given) == [[value]]
        inner = RunnableLambda(lambda who: chain())
        assert doors.stream(inner | (lambda v: [v]), given) == [[value]]

    colour.run(body)


@every_method
@pytest.mark.parametrize("include_raw", [False, True])
async def test_events(method, include_raw):
    model = Told(pieces=said(method, list(json.dumps(ORDER))))
    chain = model.with_structured_output(Order, method=method, include_raw=include_raw)
    events = [event async for event in chain.astream_events("x", version="v2")]
    output = events[-1]["data"]["output"]
    assert (output["parsed"] if include_raw else output) == result("pydantic")
    started = [e["name"] for e in events if e["event"] == "on_chat_model_start"]
    assert started == ["Told"]
    streamed = [e for e in events if e["event"] == "on_chat_model_stream"]
    assert len(streamed) >= len(json.dumps(ORDER))
    ids = {e["run_id"] for e in events if e["event"].endswith("_start")}
    ended = {e["run_id"] for e in events if e["event"].endswith("_end")}
    assert ids == ended


@every_colour
def test_a_model_that_does_not_stream(colour):
    class Old(Whole):
        structured_modes: ClassVar[Any] = ("json_schema", "function_calling")

    def body(doors):
        value = result("pydantic")
        chain = Old(message=json.dumps(ORDER)).with_structured_output(Order)
        assert doors.invoke(chain, "x") == value
        assert doors.stream(chain, "x")[-1] == value
        call = AIMessage("", tool_calls=[{"name": "Order", "args": ORDER, "id": "1"}])
        for model in (Old(message=call), FakeMessagesListChatModel(responses=[call] * 2)):
            called = model.with_structured_output(Order, method="function_calling")
            assert doors.invoke(called, "x") == value
            assert doors.stream(called, "x")[-1] == value

    colour.run(body)


@every_colour
def test_disable_streaming_changes_nothing_but_the_pieces(colour):
    def body(doors):
        model = Told(pieces=list(json.dumps(ORDER)), disable_streaming=True)
        chain = model.with_structured_output(Order)
        assert doors.invoke(chain, "x") == result("pydantic")
        assert doors.stream(chain, "x")[-1] == result("pydantic")
        assert len(doors.stream(chain, "x")) <= 2

    colour.run(body)


@every_method
def test_the_model_is_told(method):
    model = Told(pieces=said(method, [json.dumps(ORDER)]))
    model.with_structured_output(Order, method=method, temperature=0.5).invoke("x")
    (kwargs,) = model.calls
    assert kwargs["temperature"] == 0.5
    if method == "function_calling":
        assert kwargs["tools"][0]["function"]["name"] == "Order"
        assert kwargs["tool_choice"] in ("any", "Order")
        told = kwargs["tools"][0]["function"]["parameters"]
    elif method == "json_schema":
        assert kwargs["response_format"]["type"] == "json_schema"
        told = kwargs["response_format"]["json_schema"]["schema"]
    else:
        assert kwargs["response_format"] == {"type": "json_object"}
        return
    assert set(told["properties"]) == {"customer", "lines", "note"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_strict_reaches_the_model(method):
    model = Told(pieces=said(method, [json.dumps(ORDER)]))
    model.with_structured_output(Order, method=method, strict=True).invoke("x")
    assert '"strict": true' in json.dumps(model.calls[0], default=str)


UNTITLED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


class Nested(TypedDict):
    value: list[int]


class Kind(enum.Enum):
    NUT = "nut"


class Tree(BaseModel):
    kids: list[Tree] = []


# A schema, JSON that fits it, the name that it is told by.
NAMELESS: dict[str, tuple[Any, Any, str | None]] = {
    "list": (list[Line], ORDER["lines"], "list_Line"),
    "untitled": (UNTITLED, {"a": 12}, "output"),
    "title": ({"title": "Numbers", "type": "array", "items": {"type": "integer"}}, [1], "Numbers"),
    "dict": (dict[str, int], {"a": 12}, "dict_str_int"),
    "union": (Line | OrderData, ORDER["lines"][0], None),
    "number": (int, 12, "int"),
    "text": (str, 'a "value": {', "str"),
    "maybe": (Line | None, None, None),
    "enum": (Kind, "nut", "Kind"),
    "recursive": (list[Tree], [{"kids": [{"kids": []}]}], "list_Tree"),
    "same key": (list[Nested], [{"value": [1, 2]}], "list_Nested"),
    "object": (Nested, {"value": [1, 2]}, "Nested"),
}


def told_by_call(kind: str) -> tuple[Any, Any, str, str]:
    """The schema, its value, and what a tool call of it has as name and arguments."""
    schema, value, name = NAMELESS[kind]
    inside = kind in ("untitled", "dict", "object")
    args = json.dumps(value if inside else {"value": value})
    return schema, value, name or schema_of(schema).name, args


@every_colour
@every_method
@pytest.mark.parametrize("kind", NAMELESS)
def test_schemas_that_have_no_name(colour, method, kind):
    """The docstring's own example `list[Country]`, a JSON schema without a title, and the other
    types that are no objects, which a function's arguments must be."""
    schema, value, name, args = told_by_call(kind)
    text = args if method == "function_calling" else json.dumps(value)
    wanted = value if isinstance(schema, dict) else TypeAdapter(schema).validate_python(value)

    def body(doors):
        model = Told(pieces=said(method, list(text), name))
        chain = model.with_structured_output(schema, method=method)
        assert doors.invoke(chain, "x") == wanted
        assert type(doors.invoke(chain, "x")) is type(wanted)
        assert doors.stream(chain, "x")[-1] == wanted
        raw = model.with_structured_output(schema, method=method, include_raw=True)
        assert doors.invoke(raw, "x")["parsed"] == wanted
        assert doors.invoke(raw, "x")["parsing_error"] is None
        assert pickle.loads(pickle.dumps(chain)) == chain

    colour.run(body)


@pytest.mark.parametrize("kind", NAMELESS)
def test_a_function_of_any_schema_has_arguments_by_name(kind):
    schema, _, name, args = told_by_call(kind)
    model = Told(pieces=said("function_calling", [args], name))
    model.with_structured_output(schema, method="function_calling").invoke("x")
    function = model.calls[0]["tools"][0]["function"]
    assert function["name"] == name
    assert function["parameters"]["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(function["parameters"])
    jsonschema.validate(json.loads(args), function["parameters"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([], function["parameters"])


def test_a_list_in_a_tool_call_grows_as_it_does_in_text():
    seen = {}
    for method in ("json_schema", "function_calling"):
        text = json.dumps(ORDER["lines"])
        text = json.dumps({"value": ORDER["lines"]}) if method == "function_calling" else text
        model = Told(pieces=said(method, list(text), "list_Line"))
        chain = model.with_structured_output(list[Line], method=method)
        seen[method] = [[each.model_dump() for each in value] for value in chain.stream("x")]
    assert seen["json_schema"] == seen["function_calling"]
    assert len(seen["json_schema"]) > 10
    strict = Told(pieces=[])
    chain = strict.with_structured_output(list[Line], method="function_calling", strict=True)
    assert json.dumps(chain.first.kwargs["tools"]).count('"additionalProperties": false') == 2


@pytest.mark.parametrize("args", ['{"values": []}', "[]", '{"value": [{"item": 3}]}', ""])
def test_arguments_that_hold_no_value(args):
    model = Told(pieces=said("function_calling", [args], "list_Line"))
    chain = model.with_structured_output(list[Line], method="function_calling")
    with pytest.raises(OutputParserException, match="list_Line"):
        chain.invoke("x")
    with pytest.raises(OutputParserException, match="list_Line"):
        list(chain.stream("x"))


@every_colour
@pytest.mark.parametrize("whole", [True, False])
def test_a_call_of_a_tool_that_was_not_bound(colour, whole):
    """Its arguments may fit: they were meant for something else."""
    pieces = said("function_calling", list(json.dumps(ORDER)), "Delete")
    call = {"name": "Delete", "args": ORDER, "id": "c1", "type": "tool_call"}

    def body(doors):
        model: Any = Told(pieces=pieces)
        if whole:
            model = Whole(message=AIMessage("", tool_calls=[call]))
        chain = model.with_structured_output(Order, method="function_calling")
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match="'Order', and called 'Delete'"):
                door(chain, "x")
        raw = model.with_structured_output(Order, method="function_calling", include_raw=True)
        got = doors.invoke(raw, "x")
        assert got["parsed"] is None
        assert "'Delete'" in str(got["parsing_error"])
        assert got["raw"].tool_calls[0]["name"] == "Delete"

    colour.run(body)


@pytest.mark.parametrize(
    ("names", "right"),
    [(["Or", "der"], True), (["Order", None], True), (["Or", None], False), (["Ord", "el"], False)],
)
def test_the_name_of_a_tool_may_come_in_pieces(names, right):
    text = json.dumps(ORDER)
    pieces = [
        call_chunk("", name=names[0], id="c1"),
        call_chunk("", name=names[1]),
        *[call_chunk(piece) for piece in text],
    ]
    chain = Told(pieces=pieces).with_structured_output(Order, method="function_calling")
    if right:
        assert chain.invoke("x") == result("pydantic")
        return
    with pytest.raises(OutputParserException, match="that was not bound"):
        chain.invoke("x")


@pytest.mark.parametrize("wrong", [3, None, "Order", lambda x: x, [Order]])
def test_what_is_no_schema(wrong):
    with pytest.raises(ConfigError, match="is no schema: give"):
        Told(pieces=[]).with_structured_output(wrong)


@pytest.mark.parametrize("method", ["json", "tools", "JSON_SCHEMA"])
def test_methods_that_there_are_not(method):
    with pytest.raises(HeadraceError, match=method):
        Told(pieces=[]).with_structured_output(Order, method=method)


def test_a_model_without_any_way_says_so():
    class Mute(Said):
        structured_modes: ClassVar[Any] = ()

    with pytest.raises(HeadraceError, match="structured_modes"):
        Mute(pieces=[]).with_structured_output(Order)


@every_method
def test_pickled(method):
    chain = Told(pieces=said(method, list(json.dumps(ORDER)))).with_structured_output(
        Order, method=method
    )
    assert pickle.loads(pickle.dumps(chain)).invoke("x") == result("pydantic")


@every_method
def test_it_says_that_it_streams(method):
    chain = Told(pieces=["x"]).with_structured_output(Order, method=method)
    lines = str(chain.explain()).splitlines()
    assert "then streams" in lines[0] or "streams" in lines[0]
    assert "waits" not in lines[-1]


@every_colour
def test_fakes_can_be_used_in_a_users_tests(colour):
    def body(doors):
        text = json.dumps(ORDER)
        for model in (
            FakeListChatModel(responses=[text]),
            GenericFakeChatModel(messages=iter([text] * 4)),
        ):
            chain = model.with_structured_output(Order)
            assert doors.invoke(chain, "x") == result("pydantic")
            assert doors.stream(chain, "x")[-1] == result("pydantic")

    colour.run(body)


# ---- bind_tools ---------------------------------------------------------------------------------


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def look_up(word: str, *, exact: bool = False) -> str:
    """Look a word up.

    Args:
        word: what to look up.
        exact: only this word.
    """
    return word


TOOLS: dict[str, tuple[Any, set[str], list[str]]] = {
    "multiply": (multiply, {"a", "b"}, ["a", "b"]),
    "look_up": (look_up, {"word", "exact"}, ["word"]),
    "Order": (Order, {"customer", "lines", "note"}, ["customer", "lines"]),
    "OrderDict": (OrderDict, {"customer", "lines"}, ["customer", "lines"]),
    "OrderData": (OrderData, {"customer", "lines", "note"}, ["customer", "lines"]),
    "Named": (
        {**JSON_SCHEMA, "title": "Named"},
        {"customer", "lines", "note"},
        ["customer", "lines"],
    ),
    "given": (
        {
            "type": "function",
            "function": {
                "name": "given",
                "description": "d",
                "parameters": {
                    "type": "object",
                    "properties": {"q": {"type": "string"}},
                    "required": ["q"],
                },
            },
        },
        {"q"},
        ["q"],
    ),
}


@every_colour
def test_every_form_of_tool_reaches_the_model(colour):
    def body(doors):
        model = Told(pieces=["ok"])
        bound = model.bind_tools([each for each, _, _ in TOOLS.values()], tool_choice="auto")
        assert doors.invoke(bound, "x").content == "ok"
        told = {t["function"]["name"]: t["function"] for t in model.calls[0]["tools"]}
        assert list(told) == list(TOOLS)
        for name, (_, properties, required) in TOOLS.items():
            assert set(told[name]["parameters"]["properties"]) == properties
            assert sorted(told[name]["parameters"]["required"]) == required
            json.dumps(told[name])

    colour.run(body)


@pytest.mark.parametrize("name", TOOLS)
def test_tools_as_langchain_describes_them(name):
    ours_only = name in ("multiply", "OrderData")  # theirs takes other tools and no dataclass
    from langchain_core.utils.function_calling import convert_to_openai_tool as theirs

    from headrace.tools import convert_to_openai_tool

    given, _, _ = TOOLS[name]
    ours = convert_to_openai_tool(given)
    assert ours["type"] == "function"
    if not ours_only:
        other = theirs(given)
        assert ours["function"]["name"] == other["function"]["name"]
        assert ours["function"]["description"] == other["function"]["description"]
        assert set(ours["function"]["parameters"]["properties"]) == set(
            other["function"]["parameters"]["properties"]
        )
        assert ours["function"]["parameters"].get("required") == other["function"][
            "parameters"
        ].get("required")


@pytest.mark.parametrize(
    ("choice", "bound"),
    [
        ("auto", "auto"),
        ("any", "any"),
        ("required", "any"),
        (True, "any"),
        ("none", "none"),
        ("multiply", "multiply"),
        ({"type": "function", "function": {"name": "multiply"}}, "multiply"),
        (None, None),
        (False, None),
    ],
)
def test_tool_choice(choice, bound):
    model = Told(pieces=["ok"])
    model.bind_tools([multiply], tool_choice=choice).invoke("x")
    assert model.calls[0].get("tool_choice") == bound


@pytest.mark.parametrize(
    ("tools", "choice", "named"),
    [
        ([], None, "no tools"),
        ([multiply, multiply], None, "multiply"),
        ([multiply], "divide", "divide"),
        ([multiply], 5, "5"),
        ([3], None, "3"),
        (["multiply"], None, "multiply"),
        ([{"description": "no name"}], None, "name"),
    ],
)
def test_bind_tools_refuses(tools, choice, named):
    with pytest.raises(HeadraceError) as caught:
        Told(pieces=[]).bind_tools(tools, tool_choice=choice)
    assert named in str(caught.value)
    assert len(str(caught.value).split()) > 6


@every_colour
def test_usage_adds_up_and_calls_are_the_same(colour):
    chunks = [
        *call_chunks("multiply", list('{"a": 6, "b": 7}'), "c1"),
        AIMessageChunk(
            "", usage_metadata={"input_tokens": 5, "output_tokens": 0, "total_tokens": 5}
        ),
        AIMessageChunk(
            "", usage_metadata={"input_tokens": 0, "output_tokens": 9, "total_tokens": 9}
        ),
    ]

    def body(doors):
        bound = Told(pieces=chunks).bind_tools([multiply])
        message = doors.invoke(bound, "x")
        pieces = doors.stream(bound, "x")
        whole = pieces[0]
        for piece in pieces[1:]:
            whole = whole + piece
        for each in (message, whole):
            (call,) = each.tool_calls
            assert (call["name"], call["args"], call["id"]) == ("multiply", {"a": 6, "b": 7}, "c1")
            assert each.invalid_tool_calls == []
            assert each.usage_metadata["input_tokens"] == 5
            assert each.usage_metadata["output_tokens"] == 9
            assert each.usage_metadata["total_tokens"] == 14
        results = doors.invoke(
            bound | (lambda said: [multiply.invoke(c) for c in said.tool_calls]), "x"
        )
        assert [each.content for each in results] == ["42"]

    colour.run(body)


# ---- the embedded model -------------------------------------------------------------------------


class Town(BaseModel):
    """A town."""

    name: str = Field(max_length=12)
    size: Literal["small", "large"]
    people: int = Field(ge=0, le=99)


@pytest.fixture(scope="module")
def local() -> BaseChatModel:
    return ChatLocal(max_tokens=80, temperature=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_the_embedded_model_streams_real_partial_objects(local, method):
    try:
        chain = local.with_structured_output(Town, method=method)
    except HeadraceError as error:
        # It may have one way only, if it says which.
        assert "json_schema" in str(error)
        return
    chunks = list(chain.stream("Describe the town of Bath."))
    assert isinstance(chunks[-1], Town)
    assert type(chunks[-1]) is Town
    assert len(chunks) >= 4
    assert chunks[0].people is None
    for before, after in itertools.pairwise(chunks):
        assert (after.name or "").startswith(before.name or "")
        assert before.size in (None, after.size)
        assert before.people in (None, after.people)
    assert chain.invoke("Describe the town of Bath.") == chunks[-1]


@pytest.mark.slow
async def test_the_embedded_model_async_and_raw(local):
    chain = local.with_structured_output(Town, include_raw=True)
    parsed, raw = [], None
    async for chunk in chain.astream("Describe the town of Rome."):
        if "parsed" in chunk:
            parsed.append(chunk["parsed"])
        if "raw" in chunk:
            raw = chunk["raw"] if raw is None else raw + chunk["raw"]
    assert type(parsed[-1]) is Town
    assert json.loads(raw.content) == parsed[-1].model_dump()
    out = await chain.ainvoke("Describe the town of Rome.")
    assert out["parsed"] == parsed[-1]
    assert out["raw"].usage_metadata == raw.usage_metadata


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["any", "Town"])
def test_the_embedded_model_s_calls_are_enforced(local, choice):
    bound = local.bind_tools([Town, multiply], tool_choice=choice)
    message = bound.invoke("Tell me about Paris.")
    assert message.invalid_tool_calls == []
    (call,) = message.tool_calls
    if choice == "Town":
        assert call["name"] == "Town"
    assert call["name"] in ("Town", "multiply")
    if call["name"] == "Town":
        Town(**call["args"])
    whole: Any = None
    for chunk in bound.stream("Tell me about Paris."):
        whole = chunk if whole is None else whole + chunk
    assert [(c["name"], c["args"]) for c in whole.tool_calls] == [(call["name"], call["args"])]
    assert whole.usage_metadata == message.usage_metadata


@pytest.mark.slow
def test_the_embedded_model_s_calls_stream_as_instances(local):
    reader = PydanticToolsParser(tools=[Town], first_tool_only=True)
    chunks = list(
        (local.bind_tools([Town], tool_choice="Town") | reader).stream("Tell me of Oslo.")
    )
    assert type(chunks[-1]) is Town
    assert len(chunks) >= 3
    dicts = local.bind_tools([Town], tool_choice="any") | JsonOutputToolsParser()
    assert [call["type"] for call in dicts.invoke("Tell me of Oslo.")] == ["Town"]


@pytest.mark.slow
def test_leaving_the_embedded_model_s_structured_stream(local):
    chain = local.with_structured_output(Town)
    stream = chain.stream("Describe the town of Bath.")
    next(stream)
    stream.close()
    assert chain.invoke("Describe the town of Bath.").people >= 0
