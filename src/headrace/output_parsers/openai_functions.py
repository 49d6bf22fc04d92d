"""Parsers of OpenAI's function calls, the form that tool calls have replaced.

The call is `message.additional_kwargs["function_call"]`: `{"name", "arguments"}`. New programs use
`bind_tools` and the parsers in `openai_tools`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import model_validator

from ..errors import ConfigError, InputError, OutputParserException
from ..flow import Machine, last
from ..jsonstream import NOTHING, JsonStream, parse_partial_json
from ..merge import merge
from ..messages import BaseMessage
from ..outputs import ChatGeneration
from ._machines import MachineOutputParser
from .base import BaseOutputParser
from .schemas import schema_of

__all__ = [
    "JsonKeyOutputFunctionsParser",
    "JsonOutputFunctionsParser",
    "OutputFunctionsParser",
    "PydanticAttrOutputFunctionsParser",
    "PydanticOutputFunctionsParser",
]


def _message_of(given: Any) -> BaseMessage:
    message = given.message if isinstance(given, ChatGeneration) else given
    if not isinstance(message, BaseMessage):
        raise OutputParserException(
            "This output parser can only be used with a chat generation: it reads the function "
            f"call of a message, and got {given!r}. Put it after a chat model."
        )
    return message


def _called(message: BaseMessage) -> dict[str, Any]:
    """The function call of a message, a copy."""
    call = message.additional_kwargs.get("function_call")
    if not isinstance(call, Mapping):
        raise OutputParserException(
            "Could not parse function call: the message has no 'function_call' in its "
            f"additional_kwargs. It says {message.text!r}.",
            llm_output=message.text,
        )
    return dict(call)


class OutputFunctionsParser(BaseOutputParser[Any]):
    """The function call of a message; `args_only`: its arguments, a text of JSON."""

    args_only: bool = True

    def parse(self, text: str) -> Any:
        raise InputError(f"{type(self).__name__} reads the function call of a message, not text.")

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        call = _called(_message_of(result[0]))
        return call.get("arguments") if self.args_only else call


class JsonOutputFunctionsParser(MachineOutputParser[Any]):
    """The arguments of the function call, read; they stream as they grow.

    Args:
        args_only: False: the whole call, `{"name", "arguments"}`, with its arguments read.
        strict: raw line breaks in strings are not JSON.
    """

    strict: bool = False
    args_only: bool = True

    _fold = staticmethod(last)

    def parse(self, text: str) -> Any:
        raise InputError(f"{type(self).__name__} reads the function call of a message, not text.")

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        if len(result) != 1:
            raise OutputParserException(f"Expected exactly one result, but got {len(result)}.")
        message = _message_of(result[0])
        if partial and "function_call" not in message.additional_kwargs:
            return None
        call = _called(message)
        text = call.get("arguments")
        try:
            read = self._partial if partial else self._whole
            args = read(text)
        except (ValueError, TypeError) as error:
            if partial:
                return None
            raise OutputParserException(
                f"Could not parse function call data: the arguments are not JSON ({error}): "
                f"{text!r}",
                llm_output=str(text),
            ) from error
        return self._of_call(call, args, partial=partial)

    def _partial(self, text: Any) -> Any:
        return parse_partial_json(text, strict=self.strict)

    def _whole(self, text: Any) -> Any:
        return json.loads(text, strict=self.strict)

    def _of_call(self, call: Mapping[str, Any], args: Any, *, partial: bool) -> Any:
        return args if self.args_only else {**call, "arguments": args}

    def _machine(self) -> Machine:
        return _Reading(self)

    @property
    def _type(self) -> str:
        return "json_functions"


class JsonKeyOutputFunctionsParser(JsonOutputFunctionsParser):
    """One of the arguments of the function call, `key_name`."""

    key_name: str

    def _of_call(self, call: Mapping[str, Any], args: Any, *, partial: bool) -> Any:
        found = super()._of_call(call, args, partial=partial)
        if partial and isinstance(found, Mapping):
            return found.get(self.key_name)
        if not isinstance(found, Mapping) or self.key_name not in found:
            raise OutputParserException(
                f"The function call has no {self.key_name!r}: {found!r}.", llm_output=str(found)
            )
        return found[self.key_name]


class _Reading:
    """The machine: messages in, what is shown of the arguments so far out."""

    __slots__ = ("_call", "_json", "_last", "_messages", "_parser")

    def __init__(self, parser: JsonOutputFunctionsParser) -> None:
        self._parser = parser
        self._json = JsonStream(strict=parser.strict, prose=False)
        self._call: dict[str, Any] = {}
        self._messages: list[BaseMessage] = []
        self._last: Any = None

    def feed(self, chunk: Any) -> Iterable[Any]:
        message = _message_of(chunk)
        self._messages.append(message)
        piece = message.additional_kwargs.get("function_call")
        if not isinstance(piece, Mapping):
            return ()
        for key, value in piece.items():
            before = self._call.get(key)
            if key != "arguments" and value is not None:
                grows = isinstance(before, str) and isinstance(value, str)
                self._call[key] = f"{before}{value}" if grows else value
        if not self._json.feed(piece.get("arguments") or "") or self._json.value is NOTHING:
            return ()
        return self._another(self._parser._of_call(self._call, self._json.value, partial=True))

    def finish(self) -> Iterable[Any]:
        if not self._messages:
            return ()
        whole = merge(self._messages) if len(self._messages) > 1 else self._messages[0]
        return self._another(self._parser.parse_result([ChatGeneration(message=whole)]))

    def _another(self, value: Any) -> Iterable[Any]:
        if value is None or value == self._last:
            return ()
        self._last = value
        return (value,)


class PydanticOutputFunctionsParser(OutputFunctionsParser):
    """The arguments of the function call as an instance.

    Args:
        pydantic_schema: a pydantic class (or a TypedDict, or a dataclass); or one per name of a
            function, and then `args_only` is False.
    """

    pydantic_schema: Any

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, values: Any) -> Any:
        schema = values.get("pydantic_schema")
        several = isinstance(schema, Mapping)
        if several and values.get("args_only"):
            raise ConfigError(
                "If multiple pydantic schemas are provided then args_only should be False: which "
                "one is meant is told by the name of the function."
            )
        return {**values, "args_only": values.get("args_only", not several)}

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        call = _called(_message_of(result[0]))
        schema, name = self.pydantic_schema, call.get("name")
        if isinstance(schema, Mapping):
            if name not in schema:
                raise OutputParserException(
                    f"The function {name!r} is called, and there are schemas of {sorted(schema)}."
                )
            schema = schema[name]
        text = call.get("arguments")
        try:
            args = json.loads(text or "{}")
        except (ValueError, TypeError) as error:
            raise OutputParserException(
                f"Could not parse function call data: {error}: {text!r}", llm_output=str(text)
            ) from error
        return schema_of(schema).validate(args)


class PydanticAttrOutputFunctionsParser(PydanticOutputFunctionsParser):
    """One attribute of that instance, `attr_name`."""

    attr_name: str

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        return getattr(super().parse_result(result), self.attr_name)
