"""Messages to `system` and `messages` of Anthropic's Messages API. Pure functions and tables.

    system, turns = request_messages(messages)

Source: https://docs.anthropic.com/en/api/messages. Turns of one role in a row are one; results of
tools come first in theirs; system messages, wherever they stand, are the request's `system`.
Content may be text, standard blocks, or blocks in Anthropic's own form, which pass as they are.
What a model of Anthropic's thought, and what Anthropic's own tools did, is sent back as it came; of
another provider's answer, text and tool calls.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from headrace.conversation.vendors.inputs import standard_input
from headrace.errors import InputError
from headrace.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage

from .._chat.inputs import result_as_text
from .reader import CALL_FACTS

__all__ = ["request_messages"]

Block = dict[str, Any]

_ROLES: Final = {"user": "human", "assistant": "ai", "developer": "system"}  # of a ChatMessage
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")


def request_messages(
    messages: Sequence[BaseMessage], *, provider: str = "anthropic"
) -> tuple[str | list[Block] | None, list[Block]]:
    """The `system` of a request, None where nothing is said, and its `messages`.

    Args:
        provider: whose answers are sent back with what only their vendor can read.

    Raises:
        InputError: there is no message but of the system, or a block that Anthropic does not take.
    """
    system: list[Any] = []
    turns: list[Block] = []
    answered = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
    for message in messages:
        kind = _kind(message)
        if kind == "system":
            system.append(message.content)
        elif kind == "ai":
            _add(turns, "assistant", list(_own(message, answered, provider)))
        elif kind == "tool":
            _add(turns, "user", [_result(message)])
        else:
            content = message.content
            _add(turns, "user", content if isinstance(content, str) else _blocks(content))
    if not turns:
        raise InputError(
            "Anthropic's models need at least one message beside the system's: add a human one."
        )
    return _system(system), _finished(turns)


def _kind(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        role = message.role
        return _ROLES.get(role, role)
    kinds = ("system", "ai", "tool", "human")
    name = type(message).type.removesuffix("MessageChunk").lower()
    if name not in kinds:
        raise InputError(
            "Anthropic's models take messages of humans, of the model, of tools and of the system; "
            f"received a {type(message).__name__}."
        )
    return name


def _add(turns: list[Block], role: str, content: Any) -> None:
    """Add to the turns; what is empty is left out, unless it is a text that the user gave."""
    if content == []:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] = _as_list(turns[-1]["content"]) + _as_list(content)
    else:
        turns.append({"role": role, "content": content})


def _as_list(content: Any) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return list(content)


def _system(contents: list[Any]) -> str | list[Block] | None:
    if len(contents) == 1 and isinstance(contents[0], str):
        return contents[0] or None
    blocks = [
        block for said in contents for block in _blocks([said] if isinstance(said, str) else said)
    ]
    for block in blocks:
        if block.get("type") != "text":
            raise InputError(
                "Anthropic's models take nothing but text from the system: give blocks of type "
                f"{block.get('type')!r} in a HumanMessage; received {block!r:.200}."
            )
    return blocks or None


def _finished(turns: list[Block]) -> list[Block]:
    """Results of tools first in their turns; an answer that is to be gone on with ends in no space,
    which the API refuses."""
    for turn in turns:
        if turn["role"] == "user" and isinstance(turn["content"], list):
            turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
    last = turns[-1]
    if last["role"] == "assistant":
        text = last["content"][-1]
        if text.get("type") == "text":
            last["content"][-1] = {**text, "text": text["text"].rstrip()}
    for turn in turns:
        alone = turn["content"]
        if isinstance(alone, list) and len(alone) == 1 and alone[0].keys() == {"type", "text"}:
            turn["content"] = alone[0]["text"]
    return turns


# ---- what users and tools say --------------------------------------------------------------------


def _result(message: Any) -> Block:
    content = message.content
    result: Block = {
        "type": "tool_result",
        "tool_use_id": _id(message.tool_call_id),
        "content": content if isinstance(content, str) else _blocks(map(result_as_text, content)),
    }
    if message.status == "error":
        result["is_error"] = True
    cached = message.additional_kwargs.get("cache_control")
    return {**result, "cache_control": cached} if cached else result


def _id(id: Any) -> str:
    """An id as the API takes it; other providers' have other characters."""
    return _NOT_IN_IDS.sub("_", str(id or ""))


def _blocks(content: Iterable[Any]) -> list[Block]:
    """Blocks that users give. Texts of nothing but space, which the API refuses, are left out."""
    made = []
    for item in content:
        block = {"type": "text", "text": item} if isinstance(item, str) else _given(item)
        if block.get("type") != "text" or block["text"].strip():
            made.append(block)
    return made


def _given(block: Mapping[str, Any]) -> Block:
    kind = block.get("type")
    if kind == "non_standard":
        return dict(block["value"])
    if "source" in block and "source_type" not in block and kind in ("image", "document"):
        return _bare(block)
    standard = block
    if kind not in _SAID or "source_type" in block or "file" in block:  # another vendor's form
        standard = standard_input(dict(block)) or block
    write = _SAID.get(str(standard.get("type")))
    if write is not None:
        return write(standard)
    if standard.get("type") in ("audio", "video"):
        raise InputError(
            f"Anthropic's models take no {standard['type']}: give them text, images and documents."
        )
    return _bare(block)  # Anthropic's own, perhaps newer than this


def _bare(block: Mapping[str, Any]) -> Block:
    """A block in Anthropic's form, without what only a message here has."""
    return {name: value for name, value in block.items() if name not in ("index", "extras")}


_KEPT: Final = ("cache_control", "citations", "title", "context")


def _with(block: Block, source: Mapping[str, Any], *names: str) -> Block:
    """A block with those of a standard block's facts that stand beside it or in its `extras`."""
    held = {**(source.get("extras") or {}), **source}
    return {**block, **{name: held[name] for name in names if held.get(name) is not None}}


def _text(block: Mapping[str, Any]) -> Block:
    return _with({"type": "text", "text": block.get("text") or ""}, block, "cache_control")


def _image(block: Mapping[str, Any]) -> Block:
    made = {"type": "image", "source": _source(block, "image")}
    return _with(made, block, "cache_control", "transformations")


def _file(block: Mapping[str, Any]) -> Block:
    kind = str(block.get("mime_type") or "")
    if kind.startswith("image/"):
        return _image(block)
    if kind.startswith("text/") and "base64" in block:
        text = b64decode(block["base64"]).decode("utf-8", "replace")
        source: Block = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        source = _source(block, "application/pdf")
    made = _with({"type": "document", "source": source}, block, *_KEPT)
    name = (block.get("extras") or {}).get("filename")
    return {"title": name, **made} if name else made


def _plain_text(block: Mapping[str, Any]) -> Block:
    if "text" not in block:
        return _file({"mime_type": "text/plain", **block})
    source = {"type": "text", "media_type": "text/plain", "data": block["text"]}
    return _with({"type": "document", "source": source}, block, *_KEPT)


_SAID: Final[Mapping[str, Callable[[Mapping[str, Any]], Block]]] = {
    "text": _text,
    "image": _image,
    "file": _file,
    "text-plain": _plain_text,
}

# What the data of images begin with, in base64.
_BEGINNINGS: Final = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif",
                      "UklGR": "image/webp"}  # fmt: skip


def _source(block: Mapping[str, Any], usual: str) -> Block:
    """Where the data of a block are.

    Args:
        usual: what they are if nothing is said; "image": see what they begin with.

    Raises:
        InputError: it names no data.
    """
    url = block.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(";base64,")
        return {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}
    if url:
        return {"type": "url", "url": url}
    if block.get("file_id"):
        return {"type": "file", "file_id": block["file_id"]}
    held = str(block.get("base64") or "")
    if not held:
        raise InputError(
            f"A block of type {block.get('type')!r} needs a url, base64 or a file_id; it has "
            f"{', '.join(map(repr, block))}."
        )
    kind = block.get("mime_type") or usual
    if kind == "image":
        kind = next((t for start, t in _BEGINNINGS.items() if held.startswith(start)), "image/jpeg")
    return {"type": "base64", "media_type": kind, "data": held}


# ---- what the model said -------------------------------------------------------------------------


def _own(message: Any, answered: Collection[str], provider: str) -> Iterator[Block]:
    """The blocks of an answer, its tool calls where they stand in it, else behind."""
    calls = _calls(message, answered)
    known = set(calls)
    vendor = message.response_metadata.get("model_provider")
    at_home = vendor in (None, provider)
    content = message.content
    for item in [content] if isinstance(content, str) else content:
        block = {"type": "text", "text": item} if isinstance(item, str) else item
        kind = block.get("type")
        if kind in ("tool_use", "tool_call"):
            call = calls.pop(block.get("id"), None)
            if call is not None:
                yield _with(call, block, "cache_control")
            elif kind == "tool_use" and block.get("id") not in known:
                yield _as_sent(block)
        elif kind == "text":
            if (block.get("text") or "").strip():
                yield _said(block) if at_home else {"type": "text", "text": block["text"]}
        elif kind == "refusal" and (block.get("refusal") or "").strip():
            yield {"type": "text", "text": block["refusal"]}
        elif at_home:
            write = _BACK.get(str(kind))
            made = write(block) if write is not None else _own_form(block)
            if made is not None:
                yield made
    yield from calls.values()


def _calls(message: Any, answered: Collection[str]) -> dict[Any, Block]:
    """By their ids, the `tool_use` blocks of an answer; those that could not be parsed only where a
    result answers them, which must not stand alone."""
    if not isinstance(message, AIMessage):
        return {}
    facts = message.additional_kwargs.get(CALL_FACTS) or {}
    calls = [(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    calls += [
        (broken["id"], broken["name"] or "", {"INVALID_JSON": broken["args"] or ""})
        for broken in message.invalid_tool_calls
        if broken["id"] in answered
    ]
    return {
        id: {"type": "tool_use", "id": _id(id), "name": name, "input": args, **facts.get(id, {})}
        for id, name, args in calls
    }


def _said(block: Mapping[str, Any]) -> Block:
    made = _with({"type": "text", "text": block["text"]}, block, "cache_control")
    cited = [*(block.get("citations") or ()), *map(_citation, block.get("annotations") or ())]
    cited = [_cited(one) for one in cited if one is not None]
    return {**made, "citations": cited} if cited else made


# Which fields a citation has that is sent, by the field that only its kind has.
_IN_DOCUMENT: Final = ("cited_text", "document_index", "document_title")
_CITATIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "encrypted_index": (
        "web_search_result_location", ("cited_text", "encrypted_index", "title", "url")
    ),
    "search_result_index": (
        "search_result_location",
        ("cited_text", "search_result_index", "source", "title", "start_block_index",
         "end_block_index"),
    ),
    "start_char_index": ("char_location", (*_IN_DOCUMENT, "start_char_index", "end_char_index")),
    "start_page_number": ("page_location", (*_IN_DOCUMENT, "start_page_number", "end_page_number")),
    "start_block_index": (
        "content_block_location", (*_IN_DOCUMENT, "start_block_index", "end_block_index")
    ),
}  # fmt: skip


def _citation(annotation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A standard citation with the vendor's facts beside its own; None of another vendor's."""
    if annotation.get("type") == "non_standard_annotation":
        value: Mapping[str, Any] = annotation["value"]
        return value
    facts = {**annotation, **(annotation.get("extras") or {})}
    if _CITATIONS.keys().isdisjoint(facts):
        return None
    return {"document_title": annotation.get("title"), "title": None, **facts}


def _cited(citation: Mapping[str, Any]) -> Block:
    for mark, (kind, fields) in _CITATIONS.items():
        if mark in citation:
            return {"type": kind, **{name: citation.get(name) for name in fields}}
    return dict(citation)


def _thought(block: Mapping[str, Any]) -> Block | None:
    """Without its signature the API does not take a thought back."""
    signature = block.get("signature") or (block.get("extras") or {}).get("signature")
    if not signature:
        return None
    text = block.get("thinking", block.get("reasoning")) or ""
    return {"type": "thinking", "thinking": text, "signature": signature}


_TOOLS: Final = {"code_interpreter": "code_execution"}


def _server_call(block: Mapping[str, Any]) -> Block:
    extras = dict(block.get("extras") or {})
    made: Block = {"type": "server_tool_use", "id": block["id"], "input": block.get("args") or {}}
    if block["name"] == "remote_mcp":
        made |= {"type": "mcp_tool_use", "name": extras.pop("tool_name", "")}
    else:
        made["name"] = _TOOLS.get(block["name"], block["name"])
    return {**made, **extras}


def _server_result(block: Mapping[str, Any]) -> Block | None:
    extras = dict(block.get("extras") or {})
    kind = extras.pop("block_type", None)
    if kind is None:  # of a tool of another vendor's
        return None
    made: Block = {"type": kind, "tool_use_id": block["tool_call_id"]}
    made["content"] = block["output"] if block.get("output") is not None else []
    if kind == "mcp_tool_result":
        made["is_error"] = block.get("status") == "error"
    return {**made, **extras}


def _own_form(block: Mapping[str, Any]) -> Block | None:
    """A block in Anthropic's own form, as LangChain keeps them; other vendors' are left out."""
    kind = str(block.get("type"))
    return _as_sent(block) if kind in _OWN_KINDS or kind.endswith("_tool_result") else None


def _as_sent(block: Mapping[str, Any]) -> Block:
    """A block in Anthropic's form; arguments that came in pieces are its input."""
    made = _bare(block)
    pieces = made.pop("partial_json", None)
    return {**made, "input": json.loads(pieces)} if pieces else made


_OWN_KINDS: Final = frozenset(
    {"redacted_thinking", "server_tool_use", "mcp_tool_use", "compaction", "container_upload"}
)
_BACK: Final[Mapping[str, Callable[[Mapping[str, Any]], Block | None]]] = {
    "thinking": _thought,
    "reasoning": _thought,
    "server_tool_call": _server_call,
    "server_tool_result": _server_result,
    "non_standard": lambda block: dict(block["value"]),
}
