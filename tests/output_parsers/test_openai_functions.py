"""Parsers of function calls, the older form, compared with langchain-core."""

from __future__ import annotations

import json
from typing import Any

import langchain_core.messages as lc_messages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.output_parsers import openai_functions as lc
from langchain_core.outputs import ChatGeneration as LcGeneration
from pydantic import BaseModel, ValidationError

from headrace.errors import InputError, OutputParserException
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import openai_functions as ours
from headrace.outputs import ChatGeneration
from laws.colours import every_colour
from laws.effort import examples


class Cookie(BaseModel):
    name: str
    age: int


class Dog(BaseModel):
    species: str


ARGS = {"name": "value", "age": 10}
CALL = {"name": "cookie", "arguments": json.dumps(ARGS)}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("OutputFunctionsParser", {}),
    ("OutputFunctionsParser", {"args_only": False}),
    ("JsonOutputFunctionsParser", {}),
    ("JsonOutputFunctionsParser", {"args_only": False}),
    ("JsonOutputFunctionsParser", {"strict": True}),
    ("JsonKeyOutputFunctionsParser", {"key_name": "age"}),
    ("PydanticOutputFunctionsParser", {"pydantic_schema": Cookie}),
    ("PydanticOutputFunctionsParser", {"pydantic_schema": {"cookie": Cookie, "dog": Dog}}),
    ("PydanticAttrOutputFunctionsParser", {"pydantic_schema": Cookie, "attr_name": "name"}),
]
each_case = pytest.mark.parametrize(("name", "given"), CASES, ids=str)


@each_case
def test_the_same_value_as_langchain(name: str, given: dict[str, Any]):
    mine, theirs = getattr(ours, name)(**given), getattr(lc, name)(**given)
    message = AIMessage("text", additional_kwargs={"function_call": CALL})
    other = lc_messages.AIMessage(content="text", additional_kwargs={"function_call": CALL})
    want = theirs.parse_result([LcGeneration(message=other)])
    assert mine.parse_result([ChatGeneration(message=message)]) == want
    assert mine.invoke(message) == want
    assert message.additional_kwargs == {"function_call": CALL}


def stream_of(text: str, cut: int, kind: Any = AIMessageChunk) -> list[Any]:
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)] or [""]
    calls = [{"name": "cookie", "arguments": pieces[0]}, *({"arguments": p} for p in pieces[1:])]
    return [
        kind(content=""),
        *(kind(content="", additional_kwargs={"function_call": call}) for call in calls),
    ]


@every_colour
@each_case
def test_the_stream_ends_with_what_invoke_gives(colour: Any, name: str, given: dict[str, Any]):
    parser = getattr(ours, name)(**given)

    def body(doors: Any) -> None:
        whole = AIMessage("", additional_kwargs={"function_call": CALL})
        assert doors.transform(parser, stream_of(CALL["arguments"], 4))[-1] == doors.invoke(
            parser, whole
        )

    colour.run(body)


@pytest.mark.parametrize(("name", "given"), CASES[2:6], ids=str)
@pytest.mark.parametrize("cut", [1, 3, 8])
def test_partial_values_as_langchain(name: str, given: dict[str, Any], cut: int):
    text = json.dumps({"name": "a word", "age": 10, "tags": ["x", "yz"]})
    mine = list(getattr(ours, name)(**given).transform(iter(stream_of(text, cut))))
    chunks = stream_of(text, cut, lc_messages.AIMessageChunk)
    assert mine == list(getattr(lc, name)(**given).transform(iter(chunks)))


@examples(40)
@given(st.dictionaries(st.text(max_size=3), st.text(max_size=9) | st.integers()), st.integers(1, 9))
def test_any_cut(args: dict[str, Any], cut: int):
    parser = ours.JsonOutputFunctionsParser()
    assert list(parser.transform(iter(stream_of(json.dumps(args), cut))))[-1] == args


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"function_call": {"name": "f", "arguments": {}}},
        {"function_call": {"name": "f", "arguments": "nothing"}},
        {"function_call": "f"},
    ],
    ids=str,
)
def test_what_cannot_be_read(more: dict[str, Any]):
    message = AIMessage("text", additional_kwargs=more)
    for run in (
        lambda parser: parser.invoke(message),
        lambda parser: list(parser.transform(iter([message]))),
    ):
        with pytest.raises(OutputParserException):
            run(ours.JsonOutputFunctionsParser())


def test_other_mistakes():
    with pytest.raises(OutputParserException, match="chat generation"):
        ours.JsonOutputFunctionsParser().invoke("text")
    with pytest.raises(InputError):
        ours.OutputFunctionsParser().parse("text")
    with pytest.raises(ValidationError, match="args_only should be False"):
        ours.PydanticOutputFunctionsParser(pydantic_schema={"dog": Dog}, args_only=True)
    message = AIMessage("", additional_kwargs={"function_call": CALL})
    with pytest.raises(OutputParserException, match="schemas of"):
        ours.PydanticOutputFunctionsParser(pydantic_schema={"dog": Dog}).invoke(message)
    with pytest.raises(OutputParserException, match="no 'colour'"):
        ours.JsonKeyOutputFunctionsParser(key_name="colour").invoke(message)
    with pytest.raises(ValidationError, match="species"):
        ours.PydanticOutputFunctionsParser(pydantic_schema=Dog).invoke(message)
