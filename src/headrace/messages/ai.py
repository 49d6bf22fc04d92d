"""Messages of a model, whole and in chunks, with the tool calls they ask for.

A message's tool calls are those given, else those in OpenAI's form in its additional_kwargs. A
chunk's are what its `tool_call_chunks` amount to, parsed when they are read: so far, or, once the
last chunk has come, in the end. Given whole, its tool calls are also its tool-call chunks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from headrace.merge import copy_tree
from headrace.messages.base import BaseMessage, Rare
from headrace.messages.chunks import BaseMessageChunk
from headrace.messages.content import Content, ContentBlock
from headrace.messages.tool_calls import (
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
    as_invalid_tool_call,
    as_tool_call,
    as_tool_call_chunk,
    chunks_of_calls,
    merge_tool_call_chunks,
    parse_raw_calls,
    parse_raw_chunks,
    parse_tool_call_chunks,
    piece_block,
)
from headrace.messages.usage import UsageMetadata, sum_usage

__all__ = ["AIMessage", "AIMessageChunk", "add_ai_message_chunks"]


class _Derived(Rare[Any]):
    """A list field that, unless it was set, follows from the other fields."""

    __slots__ = ()

    def absent(self, message: BaseMessage, more: dict[str, Any]) -> Any:
        for name, value in type(message)._derived(more).items():  # type: ignore[attr-defined]
            more.setdefault(name, value)
        return more.setdefault(self.name, [])


class _Chunks(_Derived):
    """`tool_call_chunks`: setting them forgets the calls that were parsed from others."""

    __slots__ = ()

    def __set__(self, message: BaseMessage, value: Any) -> None:
        super().__set__(message, value)
        for name in ("tool_calls", "invalid_tool_calls"):
            message._more.pop(name, None)


class _Position(Rare[Literal["last"] | None]):
    """`chunk_position`: once it is the last, a call that was read while it grew must be whole."""

    __slots__ = ()

    def __set__(self, message: BaseMessage, value: Any) -> None:
        super().__set__(message, value)
        if value == "last" and "tool_calls" in message._more:
            message._more = message._ended()  # type: ignore[attr-defined]


def _raw_calls(more: Mapping[str, Any]) -> list[Any]:
    """The tool calls in OpenAI's form among a message's additional_kwargs."""
    raw = (more.get("additional_kwargs") or {}).get("tool_calls")
    return raw if isinstance(raw, list) else []


_CALL = {"name": {"type": "string"}, "args": {"type": "object"}, "id": {"type": ["string", "null"]}}
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema."""
    return {"type": "object", "properties": fields, "required": [*fields]}


class AIMessage(BaseMessage):
    """What the model says.

    Args:
        tool_calls: the calls it asks for: dicts with `name`, `args` and `id`.
        invalid_tool_calls: calls whose arguments could not be parsed.
        usage_metadata: the tokens that the call read and wrote.
    """

    __slots__ = ()
    type: ClassVar[str] = "ai"

    tool_calls: Rare[list[ToolCall]] = _Derived(
        list, given=lambda calls: [as_tool_call(call) for call in calls]
    )
    invalid_tool_calls: Rare[list[InvalidToolCall]] = _Derived(
        list, given=lambda calls: [as_invalid_tool_call(call) for call in calls]
    )
    usage_metadata = Rare[UsageMetadata | None](given=copy_tree, merge=sum_usage)
    _json: ClassVar[Mapping[str, Any]] = {
        **BaseMessage._json,
        "tool_calls": {"type": "array", "items": _object(_CALL), "default": []},
        "invalid_tool_calls": {"type": "array", "items": {"type": "object"}, "default": []},
        "usage_metadata": {
            "anyOf": [_object({key: {"type": "integer"} for key in _TOKENS}), {"type": "null"}],
            "default": None,
        },
    }

    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content | None = None,
            content_blocks: Sequence[Mapping[str, Any]] | None = None,
            *,
            id: str | None = None,
            name: str | None = None,
            additional_kwargs: Mapping[str, Any] | None = None,
            response_metadata: Mapping[str, Any] | None = None,
            tool_calls: Sequence[Mapping[str, Any]] | None = None,
            invalid_tool_calls: Sequence[Mapping[str, Any]] | None = None,
            usage_metadata: UsageMetadata | None = None,
        ) -> None: ...

    def _take(
        self,
        content: Any,
        blocks: Sequence[Mapping[str, Any]] | None,
        more: dict[str, Any],
    ) -> None:
        if blocks is not None and "tool_calls" not in more:
            calls = [block for block in blocks if block.get("type") == "tool_call"]
            if calls:
                more["tool_calls"] = calls
        super()._take(content, blocks, more)

    @classmethod
    def _derived(cls, more: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The tool calls of a message with these rare fields, as far as they were not given."""
        if more.get("tool_calls") or more.get("invalid_tool_calls"):
            return {}
        calls, invalid = parse_raw_calls(_raw_calls(more))
        return {"tool_calls": calls, "invalid_tool_calls": invalid}

    @property
    def content_blocks(self) -> list[ContentBlock]:
        """The content as standard blocks, with reasoning and tool calls kept in other fields.

        Where `response_metadata` names a known `model_provider`, its blocks are translated.
        """
        if self.response_metadata.get("output_version") == "v1" and isinstance(self.content, list):
            return self.content  # type: ignore[return-value]
        blocks = self._translated()
        return self._other_blocks() if blocks is None else blocks

    def _other_blocks(self) -> list[ContentBlock]:
        """The blocks of a message whose provider is not known."""
        blocks = super().content_blocks
        said = [block.get("id") for block in blocks if block.get("type") == "tool_call"]
        for call in self.tool_calls:
            if call["id"] not in said:
                blocks.append({"type": "tool_call", **call})
        blocks += [{"type": "invalid_tool_call", **call} for call in self.invalid_tool_calls
                   if call not in blocks]  # fmt: skip
        reasoning = self.additional_kwargs.get("reasoning_content")
        if isinstance(reasoning, str) and all(b.get("type") != "reasoning" for b in blocks):
            blocks.insert(0, {"type": "reasoning", "reasoning": reasoning})
        return blocks

    def _translated(self) -> list[ContentBlock] | None:
        """The content as new standard blocks, if its provider's form is known."""
        provider = self.response_metadata.get("model_provider")
        if not provider:
            return None
        from headrace.conversation.vendors import translated  # only here it is needed

        return translated(self, provider)

    def pretty_repr(self, html: bool = False) -> str:
        """The message under a title line of 80 columns, then its tool calls."""
        lines = [super().pretty_repr(html).strip()]
        for title, calls in (
            ("Tool Calls:", self.tool_calls),
            ("Invalid Tool Calls:", self.invalid_tool_calls),
        ):
            if calls:
                lines.append(title)
                for call in calls:
                    lines.extend(_call_lines(call))
        return "\n".join(lines)


def _call_lines(call: Mapping[str, Any]) -> list[str]:
    args = call.get("args")
    lines = [f"  {call.get('name')} ({call.get('id')})", f" Call ID: {call.get('id')}"]
    if call.get("error"):
        lines.append(f"  Error: {call['error']}")
    lines.append("  Args:")
    if isinstance(args, dict):
        lines.extend(f"    {name}: {value}" for name, value in args.items())
    elif args is not None:
        lines.append(f"    {args}")
    return lines


class AIMessageChunk(AIMessage, BaseMessageChunk):
    """A piece of an `AIMessage`.

    Args:
        tool_call_chunks: pieces of tool calls: dicts with `name`, `args` (a piece of a JSON
            text), `id` and `index`.
        chunk_position: `"last"` on the last chunk of a stream, and on a sum that has it.
    """

    __slots__ = ()
    type: ClassVar[str] = "AIMessageChunk"

    tool_call_chunks: Rare[list[ToolCallChunk]] = _Chunks(
        list,
        given=lambda chunks: [as_tool_call_chunk(chunk) for chunk in chunks],
        merge=merge_tool_call_chunks,
    )
    chunk_position = _Position(merge=lambda positions: positions[-1])
    _json: ClassVar[Mapping[str, Any]] = {
        **AIMessage._json,
        "tool_call_chunks": {"type": "array", "items": {"type": "object"}, "default": []},
        "chunk_position": {"enum": ["last", None], "default": None},
    }

    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content | None = None,
            content_blocks: Sequence[Mapping[str, Any]] | None = None,
            *,
            id: str | None = None,
            name: str | None = None,
            additional_kwargs: Mapping[str, Any] | None = None,
            response_metadata: Mapping[str, Any] | None = None,
            tool_calls: Sequence[Mapping[str, Any]] | None = None,
            invalid_tool_calls: Sequence[Mapping[str, Any]] | None = None,
            usage_metadata: UsageMetadata | None = None,
            tool_call_chunks: Sequence[Mapping[str, Any]] | None = None,
            chunk_position: Literal["last"] | None = None,
        ) -> None: ...

    @classmethod
    def _given(cls, more: dict[str, Any]) -> dict[str, Any] | None:
        stored = super()._given(more)
        if stored and stored.get("tool_call_chunks"):
            stored.pop("tool_calls", None)
            stored.pop("invalid_tool_calls", None)
        return stored

    @classmethod
    def _derived(cls, more: Mapping[str, Any]) -> dict[str, list[Any]]:
        chunks = cls._chunks(more)
        if not chunks:
            return {}
        calls, invalid = parse_tool_call_chunks(chunks, ended=more.get("chunk_position") == "last")
        return {"tool_call_chunks": chunks, "tool_calls": calls, "invalid_tool_calls": invalid}

    def _ended(self) -> dict[str, Any]:
        more = dict(super()._ended())
        chunks = more.get("tool_call_chunks") or parse_raw_chunks(_raw_calls(more))
        if not chunks:
            return more  # its calls were given whole, if there are any
        whole = parse_tool_call_chunks(chunks, ended=True)
        read = more.get("tool_calls"), more.get("invalid_tool_calls")
        grown = whole if read == (None, None) else parse_tool_call_chunks(chunks)
        if all(one is None or one in both for one, *both in zip(read, grown, whole, strict=True)):
            more["tool_calls"], more["invalid_tool_calls"] = whole
        else:  # somebody has set them, or changed what they read: that stays, but for half calls
            cut = [call for call in grown[0] if call not in whole[0]]
            more["tool_calls"] = [call for call in read[0] or () if call not in cut]
            more["invalid_tool_calls"] = [*(read[1] or ()), *(whole[1] if cut else ())]
        return more

    @staticmethod
    def _chunks(more: Mapping[str, Any]) -> list[ToolCallChunk]:
        """The tool-call chunks of a chunk with these rare fields."""
        chunks = more.get("tool_call_chunks")
        if chunks:
            return chunks  # type: ignore[no-any-return]
        calls, invalid = more.get("tool_calls") or [], more.get("invalid_tool_calls") or []
        if calls or invalid:
            return chunks_of_calls(calls, invalid)
        return parse_raw_chunks(_raw_calls(more))

    @classmethod
    def _piece(cls, more: dict[str, Any]) -> dict[str, Any]:
        piece = super()._piece(more)
        if "tool_call_chunks" not in piece:
            chunks = cls._chunks(more)
            if chunks:
                piece["tool_call_chunks"] = chunks
        return piece

    def _other_blocks(self) -> list[ContentBlock]:
        """The same; while tool calls stream in, their chunks as blocks."""
        blocks = super()._other_blocks()
        if not self.tool_call_chunks or self.chunk_position == "last":
            return blocks
        blocks = [b for b in blocks if b["type"] not in ("tool_call", "invalid_tool_call")]
        return blocks + [piece_block(chunk) for chunk in self.tool_call_chunks]


def add_ai_message_chunks(left: AIMessageChunk, *others: AIMessageChunk) -> AIMessageChunk:
    """The sum of chunks, merged at once."""
    return left.__headrace_merge__([left, *others])
