"""Tool calls: as a model asks for them, as they stream in, and as they fail to parse.

A stream carries `ToolCallChunk` dicts. Chunks of one `index` are one call, whose arguments are the
concatenation of theirs, a JSON object; chunks without an index are calls of their own. A chunk
continues the latest call of its index unless it starts another one:

    the chunk has                it continues the call when
    an id                        the call has that id, or no id yet but a name
    a name and no id             the call was started (it has an id or a name)
    neither                      always

A call of which nothing has come but its index goes on with whatever comes next.

Providers that number all parallel calls 0 and tell them apart by id are so read rightly, and the
grouping of the sums does not matter.

While a stream runs, the arguments of a call are read as far as they have come. Once it has ended, a
call whose arguments are not a whole JSON object is an `InvalidToolCall`: nobody should run half a
call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from headrace.errors import InputError, JsonSyntaxError

__all__ = [
    "InvalidToolCall",
    "ToolCall",
    "ToolCallChunk",
    "ToolCallGatherer",
    "chunks_of_calls",
    "continues_call",
    "invalid_tool_call",
    "merge_tool_call_chunks",
    "parse_raw_calls",
    "parse_raw_chunks",
    "parse_tool_call_chunks",
    "piece_block",
    "split_call",
    "tool_call",
    "tool_call_chunk",
]


class ToolCall(TypedDict):
    """A call of a tool that a model asks for."""

    name: str
    args: dict[str, Any]
    id: str | None
    type: NotRequired[Literal["tool_call"]]


class ToolCallChunk(TypedDict):
    """A piece of a tool call, as it streams in; `args` is a piece of a JSON text."""

    name: str | None
    args: str | None
    id: str | None
    index: int | str | None
    type: NotRequired[Literal["tool_call_chunk"]]


class InvalidToolCall(TypedDict):
    """A tool call whose arguments are not a JSON object; `args` is their text."""

    name: str | None
    args: str | None
    id: str | None
    error: str | None
    type: NotRequired[Literal["invalid_tool_call"]]


def tool_call(*, name: str, args: dict[str, Any], id: str | None) -> ToolCall:
    """A `ToolCall` of these fields."""
    return {"name": name, "args": args, "id": id, "type": "tool_call"}


def split_call(value: Any) -> tuple[Any, str | None]:
    """A tool's input as (arguments, id of the call): of a `ToolCall` its own, of anything else the
    value itself and None."""
    if isinstance(value, dict) and value.get("type") == "tool_call":
        return value.get("args"), value.get("id")
    return value, None


def tool_call_chunk(
    *,
    name: str | None = None,
    args: str | None = None,
    id: str | None = None,
    index: int | str | None = None,
) -> ToolCallChunk:
    """A `ToolCallChunk` of these fields."""
    return {"name": name, "args": args, "id": id, "index": index, "type": "tool_call_chunk"}


def invalid_tool_call(
    *,
    name: str | None = None,
    args: str | None = None,
    id: str | None = None,
    error: str | None = None,
) -> InvalidToolCall:
    """An `InvalidToolCall` of these fields."""
    return {"name": name, "args": args, "id": id, "error": error, "type": "invalid_tool_call"}


def as_tool_call(call: Mapping[str, Any]) -> ToolCall:
    """A tool call given by a user, with its three fields required and its type set."""
    try:
        return tool_call(name=call["name"], args=call["args"], id=call["id"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"A tool call is a dict with 'name', 'args' and 'id'; received {call!r}."
        ) from error


def as_tool_call_chunk(chunk: Mapping[str, Any]) -> ToolCallChunk:
    """A tool call chunk given by a user, absent fields None."""
    get = chunk.get
    return tool_call_chunk(name=get("name"), args=get("args"), id=get("id"), index=get("index"))


def as_invalid_tool_call(call: Mapping[str, Any]) -> InvalidToolCall:
    """An invalid tool call given by a user, absent fields None."""
    get = call.get
    return invalid_tool_call(name=get("name"), args=get("args"), id=get("id"), error=get("error"))


def continues_call(
    chunk: Mapping[str, Any], id: str | None, name: str | None, args: Iterable[Any]
) -> bool:
    """Whether a chunk belongs to the latest call of its index (the table above), of which `id`,
    `name` and the pieces `args` have come."""
    if not (id or name or any(args)):
        return True
    given = chunk.get("id")
    if given:
        return bool(id == given or (not id and name))
    return bool(id or name or not chunk.get("name"))


class _Call:
    """The chunks of one call, while they are gathered."""

    __slots__ = ("args", "id", "index", "name")

    def __init__(self, chunk: Mapping[str, Any]) -> None:
        self.index = chunk.get("index")
        self.id = chunk.get("id")
        self.name = chunk.get("name")
        args = chunk.get("args")
        self.args: list[str] | None = None if args is None else [args]

    def continues_with(self, chunk: Mapping[str, Any]) -> bool:
        """Whether a chunk of the same index belongs to this call."""
        return continues_call(chunk, self.id, self.name, self.args or ())

    def add(self, chunk: Mapping[str, Any]) -> None:
        self.id = self.id or chunk.get("id")
        name, args = chunk.get("name"), chunk.get("args")
        if name is not None:
            self.name = name if self.name is None else self.name + name
        if args is not None:
            if self.args is None:
                self.args = [args]
            else:
                self.args.append(args)

    def chunk(self) -> ToolCallChunk:
        args = None if self.args is None else "".join(self.args)
        return tool_call_chunk(name=self.name, args=args, id=self.id, index=self.index)


class ToolCallGatherer:
    """Tool calls while their chunks come in, in the order of their first chunk; linear."""

    __slots__ = ("_calls", "_latest")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._latest: dict[Any, tuple[int, _Call]] = {}

    def add(self, chunk: Mapping[str, Any]) -> int:
        """Take a chunk in; the place of its call among the calls."""
        index = chunk.get("index")
        if index is not None and index in self._latest:
            place, call = self._latest[index]
            if call.continues_with(chunk):
                call.add(chunk)
                return place
        place, call = len(self._calls), _Call(chunk)
        self._latest[index] = place, call
        self._calls.append(call)
        return place

    def name(self, place: int) -> str | None:
        return self._calls[place].name

    def id(self, place: int) -> str | None:
        return self._calls[place].id

    def chunk(self, place: int) -> ToolCallChunk:
        """A call as one chunk, of all that has come of it."""
        return self._calls[place].chunk()

    def chunks(self) -> list[ToolCallChunk]:
        """The calls, a chunk each."""
        return [call.chunk() for call in self._calls]


def merge_tool_call_chunks(lists: Iterable[Sequence[Mapping[str, Any]]]) -> list[ToolCallChunk]:
    """The tool-call chunks of a stream's chunks, in order, as one list of merged chunks.

    Linear in the text. Calls stand in the order of their first chunk. How the chunks are
    divided into lists makes no difference.
    """
    gatherer = ToolCallGatherer()
    for chunks in lists:
        for chunk in chunks:
            gatherer.add(chunk)
    return gatherer.chunks()


def parse_tool_call_chunks(
    chunks: Sequence[ToolCallChunk], *, ended: bool = False
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """The calls that tool-call chunks amount to, and those whose arguments are no JSON object.

    Args:
        ended: no more will come: a call that was cut short is invalid, and `error` says why. Else
            arguments that have not all arrived are read as far as they go.
    """
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    read = _whole_arguments if ended else _arguments
    for chunk in merge_tool_call_chunks([chunks]):
        name, text, id = chunk["name"], chunk["args"], chunk["id"]
        args, error = read(text) if text else ({}, None)
        if isinstance(args, dict):
            calls.append(tool_call(name=name or "", args=args, id=id))
        else:
            invalid.append(invalid_tool_call(name=name, args=text, id=id, error=error))
    return calls, invalid


def piece_block(chunk: ToolCallChunk) -> dict[str, Any]:
    """A tool-call chunk as a content block, which has no index that is None."""
    block: dict[str, Any] = {**chunk, "type": "tool_call_chunk"}
    if chunk.get("index") is None:
        block.pop("index", None)
    return block


def chunks_of_calls(
    calls: Iterable[ToolCall], invalid: Iterable[InvalidToolCall]
) -> list[ToolCallChunk]:
    """Whole calls as chunks that merge with nothing: their index is None."""
    return [
        *(
            tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"])
            for call in calls
        ),
        *(tool_call_chunk(name=call["name"], args=call["args"], id=call["id"]) for call in invalid),
    ]


def parse_raw_calls(raw: Iterable[Any]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Calls in OpenAI's form, `{"id", "function": {"name", "arguments"}}`; other items skipped."""
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for item in raw:
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict):
            continue
        name, text, id = function.get("name"), function.get("arguments"), item.get("id")
        try:
            args = json.loads(text) if isinstance(text, str) else text
        except json.JSONDecodeError:
            invalid.append(invalid_tool_call(name=name, args=text, id=id))
        else:
            calls.append(tool_call(name=name or "", args=args or {}, id=id))
    return calls, invalid


def parse_raw_chunks(raw: Iterable[Any]) -> list[ToolCallChunk]:
    """Pieces of calls in OpenAI's streamed form, which adds an `index`."""
    return [
        tool_call_chunk(
            name=(item.get("function") or {}).get("name"),
            args=(item.get("function") or {}).get("arguments"),
            id=item.get("id"),
            index=item.get("index"),
        )
        for item in raw
        if isinstance(item, dict)
    ]


def _arguments(text: str) -> tuple[Any, str | None]:
    """The arguments that have arrived so far, None where the text is no JSON; and no error, as the
    text may go on."""
    from headrace.jsonstream import parse_partial_json  # most messages never need it

    try:
        return parse_partial_json(text), None
    except JsonSyntaxError:
        return None, None


def _whole_arguments(text: str) -> tuple[Any, str | None]:
    """The arguments that all of the text is, else None; and what is wrong with them."""
    try:
        args = json.loads(text)  # of an object JsonStream makes the same, and takes longer
    except (ValueError, RecursionError):
        args = None
    if isinstance(args, dict):
        return args, None
    from headrace.jsonstream import JsonStream  # as above

    stream = JsonStream(prose=False, alone=True)
    stream.feed(text)
    try:
        args = stream.finish()
    except JsonSyntaxError as error:
        what = "are not JSON" if error.found else "were cut short"
        return None, f"The arguments of the call {what}. {error}"
    return args, f"The arguments of a call are a JSON object, and these are {args!r:.200}."
