"""From what a model writes in the form of ReAct to a message with a tool call, piece by piece.

Thoughts become `additional_kwargs["reasoning_content"]`, an action becomes a tool call whose
arguments stream, the final answer becomes the content. What has neither action nor answer has
`response_metadata["format_error"]`: what to tell the model.

| `Action Input:` | the arguments |
|---|---|
| a JSON object, in a code fence or not | it; what stands behind it is dropped |
| a text, of a tool with one argument | that argument |
| a text, of a tool with none | `{}` |
| anything else | the text as it is, which is no JSON: the model is told so |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..flow import Machine
from ..messages import AIMessage, AIMessageChunk, BaseMessage, tool_call_chunk
from ..messages.tool_calls import ToolCallChunk
from ..output_parsers.base import text_of
from ..run import fresh_id
from ..runnables import Runnable, schema
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..shapes import Op
from ._loop import FORMAT_ERROR
from ._react_text import Part, Sections

__all__ = ["ReActOutputParser"]

_TAIL = re.compile(r'[\s"`]*$')
_THOUGHT = "reasoning_content"


class ReActOutputParser(ByValue, Op, Runnable[Any, AIMessage]):
    """What a model writes, as a message with a tool call or an answer; see the file's head.

    Args:
        tools: descriptions in OpenAI's form, for tools with one argument.
        answers: whether the model was told that it may write a final answer.
    """

    _run_type: ClassVar[str] = "parser"

    def __init__(self, tools: Sequence[Mapping[str, Any]] = (), *, answers: bool = True) -> None:
        self.tools, self.answers = list(tools), answers

    def _start(self, fold: Any) -> Machine:
        return _Reading(self)

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        kind = str | BaseMessage if side == "input" else AIMessage
        return schema.Plain(schema.title(self, side), kind)

    def __repr__(self) -> str:
        names = [each["function"]["name"] for each in self.tools]
        return called(type(self).__name__, names)

    def _arguments(self, name: str) -> _Arguments:
        """What reads the arguments of a call of that tool."""
        for each in self.tools:
            if each["function"]["name"] == name:
                return _Arguments((each["function"].get("parameters") or {}).get("properties", {}))
        return _Arguments(None)

    def _lacking(self) -> str:
        """What to tell the model that has written neither an action nor an answer."""
        known = ", ".join(each["function"]["name"] for each in self.tools)
        answer = ', or "Final Answer:" with your answer' if self.answers else ""
        return (
            f'There is no "Action:" in what you wrote. Write "Action:" with one of {known} and '
            f'"Action Input:" with its arguments{answer}.'
        )


class _Reading:
    """The machine of one message."""

    __slots__ = ("_args", "_id", "_name", "_owner", "_said", "_sections")

    def __init__(self, owner: ReActOutputParser) -> None:
        self._owner = owner
        self._sections = Sections()
        self._name: list[str] = []
        self._args: _Arguments | None = None  # once its name is known
        self._said = False  # there is an answer
        self._id: str | None = None

    def feed(self, chunk: Any) -> Iterable[AIMessageChunk]:
        told = _Told()
        if isinstance(chunk, BaseMessage):
            told.take(chunk)
            self._id = chunk.id or self._id
        self._read(self._sections.feed(text_of(chunk)), told)
        return told.chunks(self._id)

    def finish(self) -> Iterable[AIMessageChunk]:
        told = _Told()
        self._read(self._sections.finish(), told)
        if self._name and self._args is None:
            self._begin(told)
        if self._args is not None:
            told.call(self._args.finish())
        elif not self._said:
            told.more["response_metadata"] = {FORMAT_ERROR: self._owner._lacking()}
        told.more["chunk_position"] = "last"
        return told.chunks(self._id)

    def _read(self, parts: Iterable[Part], told: _Told) -> None:
        for kind, text in parts:
            if kind == "thought":
                told.thought.append(text)
            elif kind == "answer":
                self._said = True
                told.content.append(text)
            elif kind == "action":
                self._name.append(text)
            else:
                args = self._args or self._begin(told)
                told.call(args.feed(text))

    def _begin(self, told: _Told) -> _Arguments:
        """The name is whole: the call begins."""
        name = "".join(self._name).strip("[]*`'\" ")
        id = f"call_{fresh_id()}"
        told.calls.append(tool_call_chunk(name=name, args="", id=id, index=0))
        self._args = self._owner._arguments(name)
        return self._args


class _Told:
    """What comes out of one chunk."""

    __slots__ = ("calls", "content", "more", "thought")

    def __init__(self) -> None:
        self.thought: list[str] = []
        self.content: list[str] = []
        self.calls: list[ToolCallChunk] = []
        self.more: dict[str, Any] = {}

    def take(self, message: BaseMessage) -> None:
        """What a message says besides its text."""
        for name in ("additional_kwargs", "response_metadata", "usage_metadata", "name"):
            value = getattr(message, name, None)
            if value:
                self.more[name] = value
        reasoned = self.more.get("additional_kwargs", {}).get(_THOUGHT)
        if isinstance(reasoned, str):  # a model that thinks before it writes what it thinks
            self.thought.append(reasoned)

    def call(self, args: str) -> None:
        if args:
            self.calls.append(tool_call_chunk(args=args, index=0))

    def chunks(self, id: str | None) -> Iterable[AIMessageChunk]:
        if self.thought:
            kept = self.more.get("additional_kwargs", {})
            self.more["additional_kwargs"] = {**kept, _THOUGHT: "".join(self.thought)}
        if self.calls:
            self.more["tool_call_chunks"] = self.calls
        if not self.more and not self.content:
            return ()
        return (AIMessageChunk("".join(self.content), id=id, **self.more),)


class _Arguments:
    """The text behind `Action Input:` as the JSON of arguments, piece by piece.

    Args:
        properties: the tool's parameters; None where there is no such tool.
    """

    __slots__ = ("_closing", "_depth", "_escaped", "_held", "_in_string", "_properties", "_way",
                 "_written")  # fmt: skip

    def __init__(self, properties: Mapping[str, Any] | None) -> None:
        self._properties = properties
        self._way: Callable[[str], str] | None = None  # of reading, once it is known
        self._closing = ""  # what ends a text that is quoted or fenced
        self._held = ""
        self._depth = 0
        self._in_string = self._escaped = False
        self._written = False

    def feed(self, text: str) -> str:
        if self._way is None:
            self._held += text
            text = self._chosen()
            if self._way is None:
                return ""
        said = self._way(text)
        self._written = self._written or bool(said)
        return said

    def finish(self) -> str:
        if self._way is not None:
            return self._ended("")
        held, self._held = self._held.strip("` \n"), ""  # a fence without a line behind it
        if not held:
            return "{}"
        held = self._choose(held)
        return self._ended(self._way(held))  # type: ignore[misc]  # it is chosen now

    def _ended(self, said: str) -> str:
        if self._way == self._text:
            tail = self._held.rstrip()
            if self._closing and tail.endswith(self._closing):
                tail = tail.removesuffix(self._closing).rstrip()
            return f'{said}{_escaped(tail)}"}}'
        if self._way == self._value:
            return said + "}"
        return said or ("" if self._written else "{}")

    # ------------------------------------------------------------- ways to read it

    def _chosen(self) -> str:
        """Finds out how to read it, if that can be said yet; gives what is to be read."""
        held = self._held.lstrip()
        if held.startswith("`"):
            _, newline, rest = held.partition("\n")
            if not newline:
                return ""
            self._closing, held = "```", rest.lstrip()
        if held:
            self._held = ""
            held = self._choose(held)
        return held

    def _choose(self, held: str) -> str:
        """The same, of a text that has begun."""
        properties = self._properties
        if held.startswith("{"):
            self._way = self._object
        elif properties is None or len(properties) > 1:
            self._way = _same
        elif not properties:
            self._way = _nothing
        elif next(iter(properties.values())).get("type") == "string":
            if held.startswith('"'):
                held, self._closing = held[1:], '"'
            self._way = self._text
        else:
            self._way = self._value
        return held

    def _object(self, text: str) -> str:
        """A JSON object, up to its end."""
        for at, sign in enumerate(text):
            if self._in_string:
                if self._escaped or sign == "\\":
                    self._escaped = not self._escaped
                elif sign == '"':
                    self._in_string = False
            elif sign == '"':
                self._in_string = True
            elif sign in "{[":
                self._depth += 1
            elif sign in "}]":
                self._depth -= 1
                if not self._depth:
                    self._way = _nothing
                    return text[: at + 1]
        return text

    def _text(self, text: str) -> str:
        """The text that is the only argument; what may be the closing of it is held back."""
        text = self._held + text
        tail = _TAIL.search(text)
        end = len(text) if tail is None else tail.start()
        self._held = text[end:]
        return self._opening() + _escaped(text[:end])

    def _value(self, text: str) -> str:
        """The number, list or anything else that is the only argument."""
        return self._opening(quote="") + text

    def _opening(self, quote: str = '"') -> str:
        if self._written:
            return ""
        name = json.dumps(next(iter(self._properties or {})), ensure_ascii=False)
        return f"{{{name}: {quote}"


def _same(text: str) -> str:
    return text


def _nothing(text: str) -> str:
    return ""


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
