"""Messages as items of OpenAI's Responses API; see `_responses/request.py` for what is sent back.

A table says for each kind of message, and for each kind of block, what it becomes. Blocks may be
standard ones, of the form of either of OpenAI's APIs, or another vendor's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from headrace.conversation import convert_to_openai_data_block
from headrace.conversation.openai_form import role_of
from headrace.conversation.vendors.inputs import standard_input
from headrace.errors import InputError
from headrace.messages import AIMessage, BaseMessage, ToolMessage, message_chunk_to_message

from .._base.own import is_own
from .._chat.inputs import known_format
from .reader import FREE_ARGUMENT, ITEMS

__all__ = ["items_of"]

Item = dict[str, Any]
_ROLES: Final = frozenset({"user", "system", "developer", "assistant"})


def items_of(messages: Sequence[BaseMessage], provider: str, *, stored: bool = True) -> list[Item]:
    """The `input` of a request.

    Args:
        provider: whose answers are sent back as they were.
        stored: whether OpenAI keeps answers, so that their ids mean something to it.

    Raises:
        InputError: a message or a block that this API cannot say.
    """
    made: list[Item] = []
    free: set[str] = set()  # ids of calls of custom tools
    for message in messages:
        message = message_chunk_to_message(message)
        if isinstance(message, AIMessage):
            free |= _free_calls(message)
            own = is_own(message, provider)
            made += _Answered(message, own=own, stored=stored).items()
        elif isinstance(message, ToolMessage):
            made.append(_result(message, free))
        else:
            made += _said(message)
    return made


# ---- what users, systems and tools say -----------------------------------------------------------


def _said(message: BaseMessage) -> list[Item]:
    """A message as one item, and blocks of it that are items of their own before it."""
    role = role_of(message)
    if role not in _ROLES:
        raise InputError(
            f"OpenAI's Responses API has no messages of the role {role!r}: use 'user', 'system', "
            f"'developer' or 'assistant', and ToolMessage for results: {message!r:.200}."
        )
    content = message.content
    if isinstance(content, str):
        return [{"type": "message", "role": role, "content": content}]
    parts: list[Item] = []
    items: list[Item] = []
    for block in content:
        for made in _part(block):
            (parts if str(made.get("type")).startswith("input_") else items).append(made)
    if role == "assistant":
        parts = [{**part, "type": "output_text"} for part in parts if "text" in part]
    said = [{"type": "message", "role": role, "content": parts}] if parts else []
    return [*items, *said]


def _part(block: Any) -> list[Item]:
    """A block as a part of a message's content, or as an item."""
    if isinstance(block, str):
        return [{"type": "input_text", "text": block}]
    kind = str(block.get("type"))
    if kind in ("text", "output_text", "text-plain") and isinstance(block.get("text"), str):
        return [{"type": "input_text", "text": block["text"]}]
    if kind == "non_standard":
        return _part(block["value"])
    if kind == "tool_result":  # Anthropic's form
        result = ToolMessage(block.get("content") or "", tool_call_id=block["tool_use_id"])
        return [_result(result, set())]
    if kind == "input_audio" or kind in _DATA or "source_type" in block or kind not in _KNOWN:
        made = _data(block)
        if made is not None:
            return [made]
    return [dict(block)]


_DATA: Final = frozenset({"image", "file", "audio", "video"})
_KNOWN: Final = frozenset({"input_text", "input_image", "input_file", "item_reference"})


def _data(block: Mapping[str, Any]) -> Item | None:
    """An image, a file or sound, in whosever form; None for a block that is none of that."""
    read = standard_input(dict(block))
    standard = read if read is not None else dict(block)
    kind = standard.get("type")
    if kind == "text-plain":
        return {"type": "input_text", "text": standard.get("text", "")}
    if kind not in _DATA:
        return None
    if kind == "image" and "file_id" in standard:
        made: Item = {"type": "input_image", "file_id": standard["file_id"]}
    else:
        made = known_format(convert_to_openai_data_block(standard, "responses"))
    detail = (standard.get("extras") or {}).get("detail")
    return {**made, "detail": detail} if detail and kind == "image" else made


def _result(message: ToolMessage, free: set[str]) -> Item:
    """What a tool gave. The kind of result follows from the call, or is said by the message."""
    id = message.tool_call_id
    kind = message.additional_kwargs.get("type")
    if kind == "computer_call_output":
        return _screen(message)
    custom = kind == "custom_tool_call_output" or id in free
    return {
        "type": "custom_tool_call_output" if custom else "function_call_output",
        "call_id": id,
        "output": _output(message.content),
    }


def _output(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts = [made for block in content for made in _as_output(block)]
    if all(part["type"] == "input_text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _as_output(block: Any) -> list[Item]:
    """A block of a result; what this API has no part for is said as JSON."""
    made = _part(block)
    if all(str(part.get("type")).startswith("input_") for part in made):
        return made
    return [{"type": "input_text", "text": json.dumps(block, ensure_ascii=False, default=str)}]


def _screen(message: ToolMessage) -> Item:
    """A picture of the screen, as the content: its URL, or a block."""
    content = message.content
    parts = [{"image_url": content}] if isinstance(content, str) else _output(content)
    picture = parts[0] if parts and isinstance(parts, list) else {}
    named = {name: picture[name] for name in ("image_url", "file_id") if name in picture}
    checks = message.additional_kwargs.get("acknowledged_safety_checks")
    return {
        "type": "computer_call_output",
        "call_id": message.tool_call_id,
        "output": {"type": "computer_screenshot", **named},
        **({"acknowledged_safety_checks": checks} if checks else {}),
    }


# ---- what the model said -------------------------------------------------------------------------


def _listed(message: AIMessage) -> list[Item]:
    listed = message.additional_kwargs.get(ITEMS)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _free_calls(message: AIMessage) -> set[str]:
    return {
        str(item.get("call_id"))
        for item in _listed(message)
        if item.get("type") == "custom_tool_call"
    }


class _Answered:
    """An answer as the items that it was."""

    def __init__(self, message: AIMessage, *, own: bool, stored: bool) -> None:
        self.listed = _listed(message) if own else []
        self.own = own
        self.made: list[Item] = []
        self.thought: Any = None  # the id of the reasoning that was made last
        self.blocks: list[Item] = message.content_blocks
        self.all = self.blocks
        left = {_of_item(block) for block in self.all}
        thoughts = {item.get("id") for item in self.listed if item.get("type") == "reasoning"}
        # An id stands for the thoughts before it as well; where they are taken out, it is refused.
        self.stored = stored and thoughts - {None} <= left
        results = [block for block in self.all if block["type"] == "server_tool_result"]
        self.results = {block.get("tool_call_id"): block for block in results}

    def items(self) -> list[Item]:
        """The listed ones in their order, then the blocks that are of none."""
        for item in self.listed:
            self._write(self._taken(item), item)
        self._write(self.blocks, {})
        while self.made and self.made[-1]["type"] == "reasoning":
            self.made.pop()  # OpenAI refuses thoughts that nothing follows, as of a cut answer
        return self.made

    def _taken(self, item: Item) -> list[Item]:
        """The blocks of a listed item, which are taken away from the others."""
        ids = {item.get("call_id"), item.get("id")} - {None}
        mine = [block for block in self.blocks if _of_item(block) in ids]
        if item.get("type") == "message":  # text that stands for itself is of the first message
            ids.add(None)
            mine = [b for b in self.blocks if _of_item(b) in ids and b["type"] in _SAID]
        self.blocks = [block for block in self.blocks if block not in mine]
        return mine

    def _write(self, blocks: Iterable[Item], item: Item) -> None:
        for block in blocks:
            write = _BLOCKS.get(block["type"])
            if write is not None:
                write(self, block, item)

    def add(self, item: Item, named: Item, *names: str) -> None:
        """An item, with what the list says of it."""
        wanted = ("id", *names) if self.stored else names
        told = {name: named[name] for name in wanted if named.get(name) is not None}
        self.made.append({**item, **told})

    def add_part(self, part: Item, block: Item, item: Item) -> None:
        """A part of a message, which goes on as long as blocks are of one item."""
        extras = block.get("extras") or {}
        said = {"id": _of_item(block), "phase": extras.get("phase")} if self.own else {}
        named = {**said, **item}
        before = self.made[-1] if self.made else {}
        if before.get("type") == "message" and _same(before, named, stored=self.stored):
            before["content"].append(part)
            return
        self.add({"type": "message", "role": "assistant", "content": [part]}, named, "phase")


def _same(before: Item, named: Item, *, stored: bool) -> bool:
    names = ("id", "phase") if stored else ("phase",)
    return all(before.get(name) == named.get(name) for name in names)


def _of_item(block: Item) -> Any:
    """The id of the item that a block came from, as far as it says so."""
    extras = block.get("extras") or {}
    if block["type"] == "non_standard":
        return block["value"].get("id") if isinstance(block["value"], Mapping) else None
    own = block.get("id")
    made_up = isinstance(own, str) and own.startswith("lc_")
    return extras.get("id") or (None if made_up else own)


_SAID: Final = frozenset({"text", "refusal"})


def _text(to: _Answered, block: Item, item: Item) -> None:
    given = block.get("annotations") if to.own else None
    cited = [made for one in given or () if (made := _annotation(one))]
    if block.get("text"):
        part = {"type": "output_text", "text": block["text"], "annotations": cited}
        to.add_part(part, block, item)
    elif cited and to.made and to.made[-1]["type"] == "message":  # of the string before it
        to.made[-1]["content"][-1].setdefault("annotations", []).extend(cited)


def _refusal(to: _Answered, block: Item, item: Item) -> None:
    to.add_part({"type": "refusal", "refusal": block.get("refusal", "")}, block, item)


def _annotation(citation: Item) -> Item | None:
    """A citation as OpenAI's annotation; None of one that it did not make."""
    if citation.get("type") == "non_standard_annotation":
        return dict(citation["value"])
    extras = citation.get("extras") or {}
    if citation.get("url"):
        fields = ("url", "title", "start_index", "end_index")
        return {"type": "url_citation", **{n: citation[n] for n in fields if n in citation}}
    if "file_id" in extras:
        names = ("file_id", "index")
        said = {name: extras[name] for name in names if name in extras}
        return {"type": "file_citation", "filename": citation.get("title"), **said}
    return None


def _reasoning(to: _Answered, block: Item, item: Item) -> None:
    """A part of what was thought; the parts of one item are sent as that item."""
    extras, id = block.get("extras") or {}, _of_item(block)
    if not to.own or not (id or extras.get("encrypted_content")):
        return
    before = to.made[-1] if to.made else {}
    if before.get("type") != "reasoning" or to.thought != id:
        if not to.stored and not _encrypted(to, id):
            return
        to.thought = id
        to.add({"type": "reasoning", "summary": []}, {"id": id})
        before = to.made[-1]
    if extras.get("encrypted_content"):
        before["encrypted_content"] = extras["encrypted_content"]
    text = block.get("reasoning")
    if text and extras.get("kind") == "reasoning_text":
        before.setdefault("content", []).append({"type": "reasoning_text", "text": text})
    elif text:
        before["summary"].append({"type": "summary_text", "text": text})


def _encrypted(to: _Answered, id: Any) -> bool:
    return any(
        (block.get("extras") or {}).get("encrypted_content")
        for block in to.all
        if _of_item(block) == id
    )


def _call(to: _Answered, block: Item, item: Item) -> None:
    args, name = block.get("args"), block.get("name")
    if item.get("type") == "custom_tool_call":
        text = args.get(FREE_ARGUMENT, "") if isinstance(args, dict) else args
        made = {"type": "custom_tool_call", "call_id": block["id"], "name": name, "input": text}
    else:
        text = args if isinstance(args, str) else json.dumps(args or {}, ensure_ascii=False)
        made = {"type": "function_call", "call_id": block["id"], "name": name, "arguments": text}
    extras = (block.get("extras") or {}) if to.own else {}
    to.add(made, {"id": extras.get("item_id"), **item}, "namespace", "caller")


def _server_call(to: _Answered, block: Item, item: Item) -> None:
    write = _SERVER_TOOLS.get(str(block.get("name"))) if to.own else None
    if write is None:
        return
    result = to.results.get(block.get("id"), {})
    extras = dict(block.get("extras") or {})
    status = {"error": "failed"}.get(result.get("status", ""), "completed")
    fields = write(block.get("args") or {}, result, extras)
    kept = {name: value for name, value in fields.items() if value is not None}
    to.made.append({**kept, "id": block.get("id"), "status": status})


def _image(to: _Answered, block: Item, item: Item) -> None:
    """An image that was made is named by its id, or sent where nothing is stored."""
    extras, id = block.get("extras") or {}, _of_item(block)
    if not to.own or not id or "partial_image_index" in extras:
        return
    made = {"type": "image_generation_call", "id": id}
    if not to.stored:
        made |= {"result": block.get("base64"), "status": "completed"}
    to.made.append(made)


def _non_standard(to: _Answered, block: Item, item: Item) -> None:
    value = block.get("value")
    if to.own and isinstance(value, Mapping) and value.get("type"):
        to.made.append(dict(value))


_BLOCKS: Final[Mapping[str, Callable[[_Answered, Item, Item], None]]] = {
    "text": _text,
    "refusal": _refusal,
    "reasoning": _reasoning,
    "tool_call": _call,
    "invalid_tool_call": _call,
    "server_tool_call": _server_call,
    "image": _image,
    "non_standard": _non_standard,
}


# ---- OpenAI's own tools: what was called and what came of it, as the item that it was -----------

_Fields = Callable[[Any, Item, Item], Item]


def _web_search(args: Any, result: Item, extras: Item) -> Item:
    sources = (result.get("output") or {}).get("sources")
    action = {**args, **({"sources": sources} if sources else {})}
    return {"type": "web_search_call", "action": action, **extras}


def _file_search(args: Any, result: Item, extras: Item) -> Item:
    queries = args.get("queries", [])
    return {
        "type": "file_search_call", "queries": queries, "results": result.get("output"), **extras,
    }  # fmt: skip


def _code(args: Any, result: Item, extras: Item) -> Item:
    told = {"code": args.get("code"), "outputs": result.get("output")}
    return {"type": "code_interpreter_call", **told, **extras}


def _mcp_call(args: Any, result: Item, extras: Item) -> Item:
    failure = (result.get("extras") or {}).get("error")
    arguments = extras.pop("arguments", None) or json.dumps(args, ensure_ascii=False)
    name = extras.pop("tool_name", None)
    told = {"name": name, "arguments": arguments, "output": result.get("output"), "error": failure}
    return {"type": "mcp_call", **told, **extras}


def _mcp_tools(args: Any, result: Item, extras: Item) -> Item:
    return {"type": "mcp_list_tools", "tools": result.get("output") or [], **extras}


_SERVER_TOOLS: Final[Mapping[str, _Fields]] = {
    "web_search": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code,
    "remote_mcp": _mcp_call,
    "mcp_list_tools": _mcp_tools,
}
