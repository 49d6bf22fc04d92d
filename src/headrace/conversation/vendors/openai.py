"""OpenAI's Chat Completions, whose content is text, and its Responses API:
https://platform.openai.com/docs/api-reference/responses/object.

Blocks of the Responses API are numbered by the item of the response that they come from. One item
can make several blocks, so the indexes of these say what they number: `lc_txt_1`, `lc_tc_2`.
"""

from __future__ import annotations

from typing import Any

from ...messages import AIMessage
from ._parts import Block, Vendor, call_of, made, objects_of

__all__ = ["OPENAI"]

_STATUS = {"failed": "error", "completed": "success"}


def _index(source: Block, prefix: str, more: int = 0) -> str | None:
    """The index of a block made of an item; None of an item without one."""
    index = source.get("index")
    if index is None:
        return None
    return f"lc_{prefix}_{index + more if isinstance(index, int) else index}"


def _annotation(source: Block) -> Block:
    kind = source.get("type")
    if kind == "url_citation":
        used = {"url", "title", "start_index", "end_index"}
        return made("citation", source, {*used, "cited_text"},
                    **{name: source.get(name) for name in used})  # fmt: skip
    if kind == "file_citation":
        block = made("citation", source, {"filename", "title", "index"},
                     title=source.get("filename"))  # fmt: skip
        if "index" in source:  # where in the text it stands, not which block it is
            block["extras"] = {**block.get("extras", {}), "index": source["index"]}
        return block
    return {"type": "non_standard_annotation", "value": source}


def _text(source: Block, message: AIMessage) -> list[Block]:
    block = {**source, "text": source.get("text", "")}
    if "annotations" in source:
        block["annotations"] = [_annotation(one) for one in source["annotations"]]
    index = _index(source, "txt")
    return [block if index is None else {**block, "index": index}]


def _refusal(source: Block, message: AIMessage) -> list[Block]:
    return [made("refusal", source, {"refusal", "id"}, refusal=source.get("refusal", ""),
                 id=source.get("id"))]  # fmt: skip


def _reasoning(source: Block, message: AIMessage) -> list[Block]:
    """A block for each part of the summary; what is told once stands with the first."""
    if "summary" not in source:
        return [dict(source)]
    used = {"summary", "id", "reasoning"}
    parts = source["summary"]
    if not parts:
        block = made("reasoning", source, used, id=source.get("id"), index=_part(source, 0))
        return [block]
    blocks = []
    for at, part in enumerate(parts):
        index = _part(source, part.get("index", 0))
        block = made("reasoning", {} if at else source, used, id=source.get("id"),
                     reasoning=part.get("text", ""), index=index)  # fmt: skip
        blocks.append(block)
    return blocks


def _part(source: Block, part: int) -> str | None:
    """The index of a part of an item's summary; in hexadecimal, as other libraries write it."""
    if "index" not in source:
        return None
    number = f"{source['index']}_{part}"
    return f"lc_rs_{number.encode().hex()}"


def _image(source: Block, message: AIMessage) -> list[Block]:
    if not source.get("result"):
        return _other(source, message)
    form = source.get("output_format")
    block = made("image", source, {"result", "id"}, base64=source["result"], id=source.get("id"),
                 mime_type=f"image/{form}" if form else None,
                 index=_index(source, "img"))  # fmt: skip
    return [block]


def _function_call(source: Block, message: AIMessage) -> list[Block]:
    args = source.get("arguments")
    given = {
        "name": source.get("name", ""),
        "args": objects_of(args) or {},
        "id": source.get("call_id", ""),
    }
    block = call_of(message, source.get("call_id"), given)
    extras: Block = {n: source[n] for n in ("status", "namespace", "async") if n in source}
    if "id" in source:
        extras["item_id"] = source["id"]
    if extras:
        block["extras"] = extras
    index = _index(source, "tc")
    return [block if index is None else {**block, "index": index}]


def _server(
    source: Block,
    name: str,
    args: Any,
    output: Any,
    used: set[str],
    prefix: str,
    *,
    failed: Any = None,
    **extras: Any,
) -> list[Block]:
    """A call of a tool of OpenAI's and its result, which are one item.

    Args:
        used: the keys of the item that are neither an extra of the call nor the usual ones.
        prefix: of the call's index; the result's has an `r` behind it and is one more.
        failed: what went wrong, if the item says so; None where its status does.
        extras: of the call.
    """
    used = used | {"id", "status", "results", "outputs", "output", "error", "tools"}
    told = {name: value for name, value in extras.items() if value is not None}
    fields: Block = {"extras": told} if told else {}
    call = made("server_tool_call", source, used, name=name, args=args, id=source["id"],
                index=_index(source, prefix), **fields)  # fmt: skip
    result: Block = {"type": "server_tool_result", "tool_call_id": source["id"]}
    if output:
        result["output"] = output
    status = source.get("status")
    if failed:
        result |= {"status": "error", "extras": {"error": failed}}
    elif failed is not None:
        result["status"] = "success"
    elif status in _STATUS:
        result["status"] = _STATUS[status]
    elif status:
        result["extras"] = {"status": status}
    number = _index(source, f"{prefix[:-1] if prefix.endswith('c') else prefix}r", 1)
    if number is not None:
        result["index"] = number
    return [call, result]


def _web_search(source: Block, message: AIMessage) -> list[Block]:
    action = source.get("action")
    action = dict(action) if isinstance(action, dict) else {}
    sources = action.pop("sources", None)
    output = {"sources": sources} if sources else None
    return _server(source, "web_search", action, output, {"action"}, "wsc")


def _file_search(source: Block, message: AIMessage) -> list[Block]:
    args = {"queries": source.get("queries", [])}
    return _server(source, "file_search", args, source.get("results"), {"queries"}, "fsc")


def _code(source: Block, message: AIMessage) -> list[Block]:
    args = {"code": source["code"]} if "code" in source else {}
    return _server(source, "code_interpreter", args, source.get("outputs"), {"code"}, "cic")


def _mcp_call(source: Block, message: AIMessage) -> list[Block]:
    text = source.get("arguments")
    args = objects_of(text)
    return _server(
        source, "remote_mcp", args or {}, source.get("output"),
        {"arguments", "name", "server_label"}, "mcp",
        failed=source.get("error") or False,
        tool_name=source.get("name"), server_label=source.get("server_label"),
        arguments=text if args is None and text else None,
    )  # fmt: skip


def _mcp_list_tools(source: Block, message: AIMessage) -> list[Block]:
    return _server(source, "mcp_list_tools", {}, source.get("tools"), {"name", "server_label"},
                   "mlt", failed=source.get("error") or False,
                   server_label=source.get("server_label"))  # fmt: skip


def _other(source: Block, message: AIMessage) -> list[Block]:
    value = {name: item for name, item in source.items() if name != "index"}
    index = _index(source, "ns")
    block: Block = {"type": "non_standard", "value": value}
    return [block if index is None else {**block, "index": index}]


def _finish(message: AIMessage, blocks: list[Block]) -> None:
    """In Chat Completions, a refusal stands beside the content."""
    refusal = message.additional_kwargs.get("refusal")
    if refusal and all(block["type"] != "refusal" for block in blocks):
        blocks.append({"type": "refusal", "refusal": refusal})


OPENAI = Vendor(
    {
        "text": _text,
        "refusal": _refusal,
        "reasoning": _reasoning,
        "image_generation_call": _image,
        "function_call": _function_call,
        "web_search_call": _web_search,
        "file_search_call": _file_search,
        "code_interpreter_call": _code,
        "mcp_call": _mcp_call,
        "mcp_list_tools": _mcp_list_tools,
    },
    _other,
    _finish,
)
