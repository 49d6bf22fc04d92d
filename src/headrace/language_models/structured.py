"""`with_structured_output`: a model whose answers are values of a schema, growing as they stream.

    model.with_structured_output(Person)  ==  model.bind(…the schema…) | Structured(parser)

How the model is told is a *mode*, and `MODES` says what each one binds. A model class names those
it has, the preferred one first, in `structured_modes`; a vendor with words of its own gives the
class a mapping of names to `Mode`s instead.

`Structured` is the parser (nothing that it shows is taken back: strings grow, numbers come whole),
with the sentences that only the whole message allows: that the answer was cut short, that the model
refused, that it talked instead. With `include_raw` it hands on the messages as well, and failures
as data.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeAlias

from ..errors import ConfigError, ModelRefusalError, OutputParserException
from ..flow import Machine, last
from ..merge import merge
from ..messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from ..messages.tool_calls import ToolCallGatherer
from ..output_parsers.base import text_of
from ..output_parsers.endings import cut_by, raise_if_filtered, raise_if_refused
from ..runnables import schema as types
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..runnables.addable import AddableDict, fold_by_key
from ..runnables.base import Runnable
from ..shapes import Op
from .binding import names_bound, refuse_misspelled

__all__ = ["MODES", "Asked", "Mode", "Modes", "NoModeError", "Structured", "structured"]


class NoModeError(ConfigError, NotImplementedError):
    """A model cannot be told of a schema in this way, or in none."""


class Asked(NamedTuple):
    """What a model is to answer with.

    schema: as the user gave it. method: the mode's name.
    strict: whether the vendor is to enforce the schema; None: as the vendor does.
    options: more keywords for each call of the model.
    """

    schema: Any
    method: str
    strict: bool | None
    options: Mapping[str, Any]

    def described(self) -> dict[str, Any]:
        """Name, description and JSON schema, in the words of most vendors."""
        from ..output_parsers.schemas import schema_of

        schema = schema_of(self.schema)
        said: dict[str, Any] = {"name": schema.name, "schema": schema.json_schema()}
        if schema.description:
            said["description"] = schema.description
        if self.strict is None:
            return said
        from ..tools.function_calling import convert_to_openai_function

        form = {"name": schema.name, "parameters": said["schema"]}
        strict = convert_to_openai_function(form, strict=self.strict)
        return {**said, "schema": strict["parameters"], "strict": self.strict}

    def noted(self) -> dict[str, Any]:
        """What start hooks and traces are told of it."""
        strict = {} if self.strict is None else {"strict": self.strict}
        return {"kwargs": {"method": self.method, **strict}, "schema": self.schema}


class Mode(NamedTuple):
    """How a model is told of a schema, and what reads its answer."""

    bind: Callable[[Any, Asked], Any]
    calls: bool = False  # the answer is a tool call


Modes: TypeAlias = Sequence[str] | Mapping[str, Mode]


# ---- the modes -----------------------------------------------------------------------------------


def _json_schema(model: Any, asked: Asked) -> Any:
    form = {"type": "json_schema", "json_schema": asked.described()}
    return _bound(model, asked, response_format=form)


def _json_mode(model: Any, asked: Asked) -> Any:
    if asked.strict is not None:
        raise ConfigError(
            f"with_structured_output(method='json_mode', strict={asked.strict!r}): in this mode "
            "the model is not told the schema, so that nothing can be strict about it. Leave "
            "strict out, or use method='json_schema'."
        )
    return _bound(model, asked, response_format={"type": "json_object"})


def _bound(model: Any, asked: Asked, **how: Any) -> Any:
    return model.bind(**_beside(asked, how))


def _one_tool(model: Any, asked: Asked) -> Any:
    from ..output_parsers.arguments import as_function

    _beside(asked, {"tools": None})
    how: dict[str, Any] = {"tool_choice": "any"}
    if asked.strict is not None:
        how["strict"] = asked.strict
    return model.bind_tools([as_function(asked.schema)], **_beside(asked, how))


def _beside(asked: Asked, how: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of each call: what the method sets, and what the user gave besides."""
    mine = {**how, "ls_structured_output_format": asked.noted()}
    for word, value in asked.options.items():
        if word in mine:
            raise ConfigError(
                f"with_structured_output(method={asked.method!r}) sets {word} itself, and got "
                f"{word}={value!r:.200} as well: leave it out, or bind({word}=…) on a model "
                "without with_structured_output."
            )
    return {**asked.options, **mine}


MODES: Mapping[str, Mode] = {
    "json_schema": Mode(_json_schema),
    "function_calling": Mode(_one_tool, calls=True),
    "json_mode": Mode(_json_mode),
}


def structured(
    model: Any,
    wanted: Any,
    *,
    method: str | None,
    include_raw: bool,
    strict: bool | None,
    options: Mapping[str, Any],
) -> Any:
    """See `BaseChatModel.with_structured_output`."""
    refuse_misspelled("with_structured_output", options, ("method", "include_raw", "strict"))
    modes = model.structured_modes
    name = method or next(iter(modes), None)
    if name is None or name not in modes:
        raise _no_mode(model, method)
    mode = modes[name] if isinstance(modes, Mapping) else MODES[name]
    bound = mode.bind(model, Asked(wanted, name, strict, options))
    parser = _parser(wanted, calls=mode.calls)
    tools = names_bound(bound) if mode.calls else ()
    return bound | Structured(parser, calls=mode.calls, tools=tools, include_raw=include_raw)


def _parser(wanted: Any, *, calls: bool) -> Any:
    from ..output_parsers.arguments import parser_of  # it loads a good deal

    return parser_of(wanted, calls=calls)


def _no_mode(model: Any, method: str | None) -> ConfigError:
    kind = type(getattr(model, "bound", model)).__name__
    known = ", ".join(map(repr, model.structured_modes))
    if not known:
        return NoModeError(f"{kind} cannot answer with a schema: its `structured_modes` are none.")
    if method in MODES:
        return NoModeError(
            f"{kind} has no method={method!r} for with_structured_output: use {known}, or leave "
            "method out. A class of your own that can do it says so in `structured_modes`."
        )
    return NoModeError(f"with_structured_output has no method={method!r}: {kind} has {known}.")


# ---- reading the answer --------------------------------------------------------------------------


class Structured(ByValue, Op, Runnable[BaseMessage, Any]):
    """Messages in, the value of the schema out: growing partial values, then the validated one.

    Args:
        parser: reads the text of the answer, or the arguments of the call, which are JSON too.
        calls: the answer is a tool call; the first one counts.
        tools: the names that it may have, of the tools that were bound; of none, any.
        include_raw: give `{"raw": message, "parsed": value, "parsing_error": None}`; what cannot
            be parsed is then `{"raw": message, "parsed": None, "parsing_error": exception}`. As a
            stream: dicts of one key, as of a parallel, of messages as they come and of values; the
            last one has `parsed` and `parsing_error`.

    Raises:
        ModelRefusalError: the model refused (an OutputParserException too).
        OutputParserException: the answer was cut short, is no tool call where one was asked for,
            or one of another tool, is not JSON, or does not fit the schema. `llm_output` is its
            text.
    """

    _run_type: ClassVar[str] = "parser"

    def __init__(
        self,
        parser: Any,
        *,
        calls: bool = False,
        tools: Sequence[str] = (),
        include_raw: bool = False,
    ) -> None:
        self.parser = parser
        self.calls = calls
        self.tools = tuple(tools)
        self.include_raw = include_raw
        self._fold = _fold_raw if include_raw else last

    def _start(self, fold: Any) -> Machine:
        reading = _Reading(self)
        return _Raw(reading) if self.include_raw else reading

    def _kind_name(self) -> str:
        return self.parser.get_name()  # type: ignore[no-any-return]

    def _data(self, side: types.Side, config: Any = None) -> types.Data:
        if side == "input":
            return types.Plain(types.title(self, side), BaseMessage)
        if self.include_raw:
            return types.Plain(types.title(self, side), types.ANY_DICT)
        return types.Plain(types.title(self, side), self.parser.OutputType)

    def __repr__(self) -> str:
        given = {"calls": self.calls, "tools": self.tools, "include_raw": self.include_raw}
        return called(type(self).__name__, self.parser, **{k: v for k, v in given.items() if v})


_RAW = ("raw", "parsed", "parsing_error")


def _fold_raw(chunks: list[Any]) -> Any:
    """What `invoke` gives of the chunks of `include_raw`."""
    summed = fold_by_key({"parsed": last, "parsing_error": last}, chunks)
    if "raw" in summed:
        summed["raw"] = message_chunk_to_message(summed["raw"])
    return {key: summed[key] for key in _RAW if key in summed}


class _Reading:
    """The machine: hands the JSON in the messages to the parser's, and knows why it failed."""

    __slots__ = ("_calls", "_json_in", "_machine", "_tools", "chunks")

    def __init__(self, owner: Structured) -> None:
        self._machine = owner.parser._start(None)
        self._calls = _Arguments() if owner.calls else None
        self._tools = owner.tools
        self._json_in: Callable[[Any], str] = self._calls or text_of
        self.chunks: list[Any] = []

    def feed(self, chunk: Any) -> Iterable[Any]:
        self.chunks.append(chunk)
        text = self._json_in(chunk)
        if not text:
            return ()
        try:
            self._check_tool(lambda bound, called: bound.startswith(called))
            return [*self._machine.feed(text)]
        except OutputParserException as error:
            self._raise(error)

    def finish(self) -> Iterable[Any]:
        message = merge(self.chunks) if self._calls else None
        if message is not None and cut_by(message):  # its arguments may look complete
            raise _cut_off(message)
        try:
            self._check_tool(operator.eq)
            if self._calls and self._calls.empty:
                yield from self._machine.feed("{}")
            yield from self._machine.finish()
        except OutputParserException as error:
            self._raise(error)

    def _check_tool(self, fits: Callable[[str, str], bool]) -> None:
        """Whether the tool that is called is one that was bound; a name may come in pieces."""
        name = self._calls.name if self._calls else ""
        if name and self._tools and not any(fits(bound, name) for bound in self._tools):
            known = " or ".join(map(repr, self._tools))
            raise OutputParserException(
                f"The model was to give its answer by calling {known}, and called {name!r}, a tool "
                "that was not bound.",
                llm_output=merge(self.chunks).text,
            )

    def _raise(self, error: OutputParserException) -> NoReturn:
        """The failure; what the message says of it, where that is more."""
        better = _explained(merge(self.chunks), self._calls is not None)
        if better is None:
            raise error
        raise better from error


class _Arguments:
    """From messages to the JSON text of the first tool call's arguments, as it comes."""

    __slots__ = ("_gatherer", "_written", "called", "name")

    def __init__(self) -> None:
        self._gatherer = ToolCallGatherer()
        self._written = False
        self.called = False
        self.name = ""  # of the tool, as far as it has come

    @property
    def empty(self) -> bool:
        """Whether there is a call without arguments, which stands for `{}`."""
        return self.called and not self._written

    def __call__(self, message: Any) -> str:
        text = "".join(self._pieces(message))
        self._written |= bool(text)
        return text

    def _pieces(self, message: Any) -> Iterator[str]:
        if isinstance(message, AIMessageChunk):
            for chunk in message.tool_call_chunks:
                if self._gatherer.add(chunk) == 0:
                    self.called = True
                    self.name = self._gatherer.name(0) or ""
                    yield chunk.get("args") or ""
        elif isinstance(message, AIMessage) and not self.called:
            for call in (*message.tool_calls, *message.invalid_tool_calls)[:1]:
                self.called = True
                self.name = call["name"] or ""
                args: Any = call["args"]
                yield json.dumps(args) if isinstance(args, dict) else args or ""


class _Raw:
    """The machine of `include_raw`."""

    __slots__ = ("_error", "_reading", "_shown")

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading
        self._shown = False
        self._error: Exception | None = None

    def feed(self, chunk: Any) -> Iterable[Any]:
        yield AddableDict(raw=chunk)
        yield from self._parsed(lambda: self._reading.feed(chunk))

    def finish(self) -> Iterable[Any]:
        yield from self._parsed(self._reading.finish)
        if self._shown and self._error is None:
            yield AddableDict(parsing_error=None)
        else:
            yield AddableDict(parsed=None, parsing_error=self._error)

    def _parsed(self, outputs: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        if self._error is not None:
            return
        try:
            for value in outputs():
                self._shown = True
                yield AddableDict(parsed=value)
        except Exception as error:
            self._error = error


# ---- what went wrong -----------------------------------------------------------------------------


def _explained(message: Any, calls: bool) -> OutputParserException | None:
    """What the message says of why it cannot be parsed; None where it says nothing of that."""
    if not isinstance(message, BaseMessage):
        return None
    try:
        raise_if_refused(message)
        raise_if_filtered(message)
    except ModelRefusalError as refused:
        return refused
    if cut_by(message):
        return _cut_off(message)
    said = isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls)
    if calls and not said:
        return OutputParserException(
            "The model was to give its answer by calling a tool, and said this instead: "
            f"{message.text!r:.200}. Use a model that calls tools, or, where the model has it, "
            "with_structured_output(…, method='json_schema').",
            llm_output=message.text,
        )
    return None


def _cut_off(message: BaseMessage) -> OutputParserException:
    calls = [*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ())]
    said = json.dumps(calls[0]["args"], default=str) if calls else message.text
    return OutputParserException(
        "The model's answer was cut off before its JSON was complete (it ended for "
        f"{cut_by(message)!r}): raise max_tokens, or bound the schema, with max_length for "
        f"strings and lists. What had come: {said}",
        llm_output=said,
    )
