"""Parsers of tool calls: `JsonOutputToolsParser` and those made of it.

    model.bind_tools([Person]) | JsonOutputToolsParser()            # [{"type", "args"}, …]
    … | JsonOutputKeyToolsParser(key_name="Person")                 # the arguments of its calls
    … | PydanticToolsParser(tools=[Person])                         # [Person(…), …]

Streaming, each chunk is the value so far, as it is after the arguments that have come: the last
one counts. The arguments are read once, piece by piece, whatever their length.
"""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import ConfigError, InputError, JsonSyntaxError, OutputParserException
from ..flow import Machine, last
from ..jsonstream import NOTHING, parse_partial_json
from ..merge import merge
from ..messages import AIMessage, AIMessageChunk, BaseMessage, InvalidToolCall
from ..messages.tool_calls import invalid_tool_call, tool_call
from ..outputs import ChatGeneration
from ._machines import MachineOutputParser
from ._tool_calls import CallInPieces, CallsInPieces, invalid_arguments
from .endings import cut_by, may_refuse, raise_if_refused
from .schemas import Schema, schema_of, sentence

__all__ = [
    "JsonOutputKeyToolsParser",
    "JsonOutputToolsParser",
    "PydanticToolsParser",
    "make_invalid_tool_call",
    "parse_tool_call",
    "parse_tool_calls",
]

_LOG = logging.getLogger(__name__)


# ------------------------------------------------------------- calls in OpenAI's own form


def parse_tool_call(
    raw_tool_call: Mapping[str, Any],
    *,
    partial: bool = False,
    strict: bool = False,
    return_id: bool = True,
) -> dict[str, Any] | None:
    """A tool call in OpenAI's form, `{"id", "function": {"name", "arguments"}}`, read.

    Args:
        partial: the arguments may end anywhere.
        strict: raw line breaks in strings are not JSON.
        return_id: the result is a `ToolCall`; else `{"name", "args"}`.

    Returns:
        None for what is no function call, and for arguments of which nothing has come.

    Raises:
        OutputParserException: arguments that are not JSON, unless `partial`.
    """
    if "function" not in raw_tool_call:
        return None
    function = raw_tool_call["function"]
    name, text = function["name"] or "", function["arguments"]
    if partial:
        if text is None:
            return None
        try:
            args = parse_partial_json(text, strict=strict)
        except JsonSyntaxError:
            return None
    else:
        try:
            args = json.loads(text, strict=strict) if text else {}
        except json.JSONDecodeError as error:
            raise invalid_arguments([(name, text, None)], strict=strict) from error
    if not return_id:
        return {"name": name, "args": args or {}}
    return dict(tool_call(name=name, args=args or {}, id=raw_tool_call.get("id")))


def parse_tool_calls(
    raw_tool_calls: Iterable[Mapping[str, Any]],
    *,
    partial: bool = False,
    strict: bool = False,
    return_id: bool = True,
) -> list[dict[str, Any]]:
    """Several; see `parse_tool_call`. One that cannot be read is an error for all of them."""
    found: list[dict[str, Any]] = []
    errors: list[OutputParserException] = []
    for raw in raw_tool_calls:
        try:
            call = parse_tool_call(raw, partial=partial, strict=strict, return_id=return_id)
        except OutputParserException as error:
            errors.append(error)
        else:
            found += [call] if call else []
    if errors:
        first = errors[0]
        raise OutputParserException(
            "\n\n".join(map(str, errors)),
            llm_output=first.llm_output,
            position=first.position,
            expected=first.expected,
        )
    return found


def make_invalid_tool_call(
    raw_tool_call: Mapping[str, Any], error_msg: str | None
) -> InvalidToolCall:
    """A tool call in OpenAI's form, as one that could not be read."""
    function = raw_tool_call["function"]
    return invalid_tool_call(
        name=function["name"],
        args=function["arguments"],
        id=raw_tool_call.get("id"),
        error=error_msg,
    )


# ------------------------------------------------------------- the parsers


class JsonOutputToolsParser(MachineOutputParser[Any]):
    """The tool calls of a model's answer: `{"type": name, "args": {…}}` each.

    Args:
        first_tool_only: the first call by itself; None where there is none.
        return_id: with the `"id"` of the call.
        strict: raw line breaks and the like, which models write into strings, are errors. Of
            messages whose calls are parsed already nothing is read again.

    Raises:
        ModelRefusalError: the model refused, in a content block of its own for that.
        OutputParserException: arguments that are no JSON object; no message of a chat model.
    """

    strict: bool = False
    return_id: bool = False
    first_tool_only: bool = False

    _fold = staticmethod(last)

    def parse(self, text: str) -> Any:
        """Tool calls are no text: raises InputError."""
        raise InputError(
            f"{type(self).__name__} reads the tool calls of messages, and a text has none: give it "
            "a chat model's message, or use JsonOutputParser."
        )

    def parse_result(self, result: list[Any], *, partial: bool = False) -> Any:
        """The calls of the first generation.

        Args:
            partial: it may end anywhere: what cannot be read yet is left out.
        """
        reading = _Reading(self, partial=partial)
        reading.take(result[0])
        return reading.value() if partial else reading.settled()

    def _machine(self) -> Machine:
        return _Reading(self)

    # ---- what the parsers differ in

    def _wants(self, call: CallInPieces) -> bool:
        """Whether a call is among those that are shown."""
        return True

    def _shower(self, *, partial: bool) -> Callable[[CallInPieces], Any]:
        """What shows the calls of one answer, NOTHING to leave a call out.

        Args:
            partial: as if no call were complete.
        """
        return self._as_dict

    def _as_dict(self, call: CallInPieces) -> Any:
        if call.args is None:
            return NOTHING
        shown = {"type": call.name, "args": call.args}
        return {**shown, "id": call.id} if self.return_id else shown


class JsonOutputKeyToolsParser(JsonOutputToolsParser):
    """The arguments of the calls of one tool; with `return_id` the calls.

    Args:
        key_name: the tool's name.
        first_tool_only: the first of these calls by itself.
    """

    key_name: str

    def _wants(self, call: CallInPieces) -> bool:
        return call.name == self.key_name

    def _as_dict(self, call: CallInPieces) -> Any:
        shown = super()._as_dict(call)
        return shown if self.return_id or shown is NOTHING else shown["args"]


class PydanticToolsParser(JsonOutputToolsParser):
    """The tool calls as instances of the classes that were bound.

    Streaming, a call is shown as it grows, as an instance of a class derived from its class, all
    of whose fields may be None and that runs no validator; when its arguments are complete it is
    validated, once, and shown as what that gives.

    Args:
        tools: pydantic classes, of version 1 or 2; also TypedDicts and dataclasses.

    Raises:
        OutputParserException: a call of a tool that is not among `tools`.
        ValidationError: pydantic's, of arguments that do not fit, and no OutputParserException
            (programs read its `errors()`; no class can be both). A note says the tool, the place
            and the rule as a sentence.
    """

    tools: list[Any]

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if not self.tools:
            raise ConfigError(
                f"{type(self).__name__}(tools=[]) could read no call: give the classes that are "
                "bound to the model."
            )
        for tool in self.tools:
            schema_of(tool)  # says what is wrong with it

    def _shower(self, *, partial: bool) -> Callable[[CallInPieces], Any]:
        schemas = {name: schema_of(tool) for tool in self.tools for name in _names_of(tool)}

        def shown(call: CallInPieces) -> Any:
            schema = schemas.get(call.name)
            if schema is None:
                if not call.complete:
                    return NOTHING  # the rest of its name may come
                known = ", ".join(schemas) or "<no_tools>"
                raise OutputParserException(
                    f"Unknown tool type: {call.name!r}. Available tools: {known}. Bind the tools "
                    "that the parser has."
                )
            if call.complete and not partial:
                return _validated(schema, call)
            call.kept = call.kept or schema.growing()
            return NOTHING if call.args is None else call.kept.partial(call.args, cut=call.in_text)

        return shown


def _names_of(tool: Any) -> list[str]:
    """What calls may name a class: its title, the name it was bound by, its own."""
    config = getattr(tool, "model_config", None)
    title = config.get("title") if isinstance(config, Mapping) else None
    names = (title, schema_of(tool).name, getattr(tool, "__name__", None))
    return list(dict.fromkeys(name for name in names if name))


def _validated(schema: Schema, call: CallInPieces) -> Any:
    if call.args is None:
        return NOTHING  # that they cannot be read is said in the end
    try:
        return schema.validate(call.args)
    except ValueError as error:
        error.add_note(
            f"These are the arguments that the model gave to the tool {call.name!r}, and they do "
            f"not fit: {sentence(error)}"
        )
        raise


class _Reading:
    """The machine of one answer: messages in, the value so far out whenever it is another one."""

    __slots__ = ("_calls", "_last", "_marked", "_parser", "_show", "_shown")

    def __init__(self, parser: JsonOutputToolsParser, *, partial: bool = False) -> None:
        self._parser = parser
        self._calls = CallsInPieces(strict=parser.strict)
        self._show = parser._shower(partial=partial)
        self._shown: list[Any] = []  # of each call
        self._last: Any = NOTHING
        self._marked: list[BaseMessage] = []

    def feed(self, chunk: Any) -> Iterable[Any]:
        changed = self.take(chunk)
        if not changed and self._last is not NOTHING:
            return ()
        return self._another(self.value(), operator.is_)

    def finish(self) -> Iterable[Any]:
        if self._last is NOTHING and not self._calls and not self._marked:
            return ()
        return self._another(self.settled(), operator.eq)

    def take(self, given: Any) -> bool:
        """Read a message, or a chunk of one; whether that changed a call."""
        message = given.message if isinstance(given, ChatGeneration) else given
        if not isinstance(message, BaseMessage):
            raise OutputParserException(
                "This output parser can only be used with a chat generation: it reads the tool "
                f"calls of messages, and got {given!r}. Put it after a chat model."
            )
        if may_refuse(message):
            self._marked.append(message)
        if isinstance(message, AIMessageChunk):
            changed = self._calls.feed(message)
        else:
            changed = self._calls.add(*self._whole_calls(message))
        self._show_again(changed)
        return bool(changed)

    def settled(self) -> Any:
        """The value, now that all has come.

        Raises:
            ModelRefusalError: it is a refusal.
            OutputParserException: arguments that are no JSON object.
        """
        if self._marked:
            raise_if_refused(merge(self._marked) if len(self._marked) > 1 else self._marked[0])
        self._show_again(self._calls.settle())
        return self.value()

    def value(self) -> Any:
        """The value so far."""
        pairs = zip(self._calls, self._shown, strict=True)
        wanted = [shown for call, shown in pairs if self._parser._wants(call)]
        if self._parser.first_tool_only:
            return wanted[0] if wanted and wanted[0] is not NOTHING else None
        return [shown for shown in wanted if shown is not NOTHING]

    def _whole_calls(self, message: BaseMessage) -> tuple[Iterable[Any], Iterable[Any]]:
        """The calls of a whole message, and those that could not be read."""
        raw = message.additional_kwargs.get("tool_calls")
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        if raw and not calls:  # they may be JSON to us that were not to the message
            return parse_tool_calls(raw, strict=self._parser.strict), ()
        return calls, message.invalid_tool_calls if isinstance(message, AIMessage) else ()

    def _show_again(self, places: Iterable[int]) -> None:
        self._shown += [NOTHING] * (len(self._calls) - len(self._shown))
        try:
            for place in places:
                call, before = self._calls[place], self._shown[place]
                shown = self._show(call)
                if not call.complete or type(shown) is not type(before) or shown != before:
                    self._shown[place] = shown
        except ValueError:
            if any(map(cut_by, self._marked)):
                _LOG.error(
                    "The answer ended with a `max_tokens` stop reason, so the arguments of its "
                    "tool call are likely not complete: raise max_tokens, or shorten the prompt."
                )
            raise

    def _another(self, value: Any, same: Callable[[Any, Any], bool]) -> Iterable[Any]:
        """The value, if it is another one than the last."""
        last = self._last
        if isinstance(value, list) and isinstance(last, list):
            if len(value) == len(last) and all(map(same, value, last)):
                return ()
        elif value is None or (last is not NOTHING and same(value, last)):
            return ()
        self._last = value
        return (value,)
