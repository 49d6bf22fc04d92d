"""The registry's parsers of tool calls, and of function calls, the older form of these."""

from __future__ import annotations

import json
from itertools import chain as chained
from itertools import repeat
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from headrace.flow import last
from headrace.merge import merge
from headrace.messages import AIMessageChunk
from headrace.output_parsers import (
    BaseCumulativeTransformOutputParser,
    BaseGenerationOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputToolsParser,
    PydanticToolsParser,
)
from headrace.output_parsers.openai_functions import (
    JsonKeyOutputFunctionsParser,
    JsonOutputFunctionsParser,
    OutputFunctionsParser,
    PydanticAttrOutputFunctionsParser,
    PydanticOutputFunctionsParser,
)
from laws.entry import Entry
from laws.kinds import Draw, Kind, cut_text

ARGUMENTS = st.fixed_dictionaries(
    {"a": st.text("abX é", min_size=1, max_size=4) | st.integers(-99, 99)}
)


class Spell(BaseModel):
    """What is called."""

    a: Any


# ---- tool calls ----------------------------------------------------------------------------------


def _call(index: int, text: str, *, begins: bool) -> AIMessageChunk:
    name, id = ("Spell", f"id-{index}") if begins else (None, None)
    piece = {"name": name, "args": text, "id": id, "index": index, "type": "tool_call_chunk"}
    return AIMessageChunk(content="", tool_call_chunks=[piece])


def _said(texts: list[str]) -> AIMessageChunk:
    return merge([_call(index, text, begins=True) for index, text in enumerate(texts)])


def _cut_calls(message: AIMessageChunk, draw: Draw) -> list[AIMessageChunk]:
    """The pieces of each call in their order, those of several calls in any."""
    queues = [
        [
            _call(each["index"], text, begins=n == 0)
            for n, text in enumerate(cut_text(each["args"], draw))
        ]
        for each in message.tool_call_chunks
    ]
    pieces = [queue.pop(0) for queue in queues]  # they begin in their order
    while queues := [queue for queue in queues if queue]:
        pieces.append(draw(st.sampled_from(queues)).pop(0))
    return pieces


def _pieces(n: int) -> list[str]:
    return ['{"a": "x"}'] if n == 1 else ['{"a": "x', *["x"] * (n - 2), '"}']


CALLS = Kind(
    "tool-calls",
    st.lists(ARGUMENTS.map(json.dumps), min_size=1, max_size=2).map(_said),
    _cut_calls,
    lambda: chained([_call(0, '{"a": "', begins=True)], repeat(_call(0, "x", begins=False))),
    lambda n: [_call(0, text, begins=at == 0) for at, text in enumerate(_pieces(n))],
)


def _args(message: AIMessageChunk) -> list[dict[str, Any]]:
    return [call["args"] for call in message.tool_calls]


# ---- function calls ------------------------------------------------------------------------------


def _function(text: str, *, begins: bool) -> AIMessageChunk:
    name = {"name": "Spell"} if begins else {}
    return AIMessageChunk(
        content="", additional_kwargs={"function_call": {**name, "arguments": text}}
    )


def _arguments(message: AIMessageChunk) -> str:
    return str(message.additional_kwargs["function_call"]["arguments"])


def _read(message: AIMessageChunk) -> Any:
    return json.loads(_arguments(message))


FUNCTION = Kind(
    "function-call",
    ARGUMENTS.map(lambda args: _function(json.dumps(args), begins=True)),
    lambda message, draw: [
        _function(text, begins=n == 0) for n, text in enumerate(cut_text(_arguments(message), draw))
    ],
    lambda: chained([_function('{"a": "', begins=True)], repeat(_function("x", begins=False))),
    lambda n: [_function(text, begins=at == 0) for at, text in enumerate(_pieces(n))],
)


# ---- parsers of a user ---------------------------------------------------------------------------


class FirstCall(BaseGenerationOutputParser[Any]):
    """Wants the whole answer."""

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        return result[0].message.tool_calls[0]["args"]


class SoFar(BaseCumulativeTransformOutputParser[str]):
    """Looks at all that has come, each time."""

    def parse_result(self, result: list[Any], *, partial: bool = False) -> str:
        return str(result[0].message.additional_kwargs["function_call"]["arguments"])


PARSERS_OF_CALLS = [
    Entry("tools-parser", JsonOutputToolsParser, CALLS,
          lambda m: [{"type": "Spell", "args": args} for args in _args(m)], fold=last, flows=True),
    Entry("tools-parser-goes-on", lambda: JsonOutputToolsParser(first_tool_only=True) | json.dumps,
          CALLS, lambda m: json.dumps({"type": "Spell", "args": _args(m)[0]})),
    Entry("key-tools-parser", lambda: JsonOutputKeyToolsParser(key_name="Spell"), CALLS, _args,
          fold=last, flows=True),
    Entry("pydantic-tools-parser", lambda: PydanticToolsParser(tools=[Spell]), CALLS,
          lambda m: [Spell(**args) for args in _args(m)], fold=last, flows=True),
    Entry("parser-of-answers", FirstCall, CALLS, lambda m: _args(m)[0]),
    Entry("function-parser", OutputFunctionsParser, FUNCTION, _arguments),
    Entry("json-function-parser", JsonOutputFunctionsParser, FUNCTION, _read, fold=last,
          flows=True),
    Entry("json-key-function-parser", lambda: JsonKeyOutputFunctionsParser(key_name="a"), FUNCTION,
          lambda m: _read(m)["a"], fold=last, flows=True),
    Entry("pydantic-function-parser", lambda: PydanticOutputFunctionsParser(pydantic_schema=Spell),
          FUNCTION, lambda m: Spell(**_read(m))),
    Entry("attr-function-parser", lambda: PydanticAttrOutputFunctionsParser(
          pydantic_schema=Spell, attr_name="a"), FUNCTION, lambda m: _read(m)["a"]),
    Entry("parser-so-far", SoFar, FUNCTION, _arguments, fold=last, flows=True),
]  # fmt: skip
