"""Google's Gemini API, in the form in which integrations hand its parts on:
https://ai.google.dev/api/caching#Part and, for citations, #GroundingMetadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...messages import AIMessage, AIMessageChunk
from ._parts import Block, Vendor, made, non_standard, text_base64

__all__ = ["GOOGLE", "INPUTS", "translate_grounding_metadata_to_citations"]

_OK = 1  # the outcome of code that ran
_REFUSED = frozenset({"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST"})  # finish reasons
_UNSAID = "BLOCKED_REASON_UNSPECIFIED"


def translate_grounding_metadata_to_citations(facts: dict[str, Any]) -> list[Block]:
    """The citations that grounding metadata tells of: one for each source of each segment."""
    return list(_citations(facts))


def _citations(facts: dict[str, Any]) -> Iterator[Block]:
    sources = facts.get("grounding_chunks") or []
    for support in facts.get("grounding_supports") or ():
        segment = support.get("segment") or {}
        for at in support.get("grounding_chunk_indices") or ():
            if at >= len(sources):
                continue
            web, place = sources[at].get("web") or {}, sources[at].get("maps") or {}
            about: dict[str, Any] = {
                "web_search_queries": facts.get("web_search_queries") or [],
                "grounding_chunk_index": at,
                "confidence_scores": support.get("confidence_scores") or [],
            }
            if place.get("placeId"):
                about["place_id"] = place["placeId"]
            yield made(
                "citation", {}, (),
                url=place.get("uri") or web.get("uri"),
                title=place.get("title") or web.get("title"),
                start_index=segment.get("start_index"),
                end_index=segment.get("end_index"),
                cited_text=segment.get("text"),
                extras={"google_ai_metadata": about},
            )  # fmt: skip


def _text(source: Block, message: Any) -> list[Block]:
    return [dict(source)]


def _thinking(source: Block, message: Any) -> list[Block]:
    return [made("reasoning", source, {"thinking"}, reasoning=source.get("thinking", ""))]


def _image_url(source: Block, message: Any) -> list[Block]:
    image = source.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        return non_standard(source)
    head, comma, data = url.partition(";base64,")
    if comma and head.startswith("data:"):
        return [made("image", source, {"image_url"}, base64=data, mime_type=head[5:])]
    if "://" in url:
        return [made("image", source, {"image_url"}, url=url)]
    return [made("image", source, {"image_url"}, base64=url)]


def _function_call(source: Block, message: Any) -> list[Block]:
    return [made("tool_call", source, {"name", "args", "id"}, name=source.get("name", ""),
                 args=source.get("args") or {}, id=source.get("id", ""))]  # fmt: skip


def _file_data(source: Block, message: Any) -> list[Block]:
    return [made("file", source, {"file_uri", "mime_type"}, url=source.get("file_uri", ""),
                 mime_type=source.get("mime_type"))]  # fmt: skip


def _code(source: Block, message: Any) -> list[Block]:
    args = {
        "code": source.get("executable_code", ""),
        "language": source.get("language", "python"),
    }
    return [made("server_tool_call", source, {"executable_code", "language", "id"},
                 name="code_interpreter", args=args, id=source.get("id", ""))]  # fmt: skip


def _code_result(source: Block, message: Any) -> list[Block]:
    outcome = source.get("outcome", _OK)
    extras = {"block_type": source["type"], "outcome": outcome}
    return [made("server_tool_result", source, {"tool_call_id", "code_execution_result", "outcome"},
                 tool_call_id=source.get("tool_call_id", ""),
                 output=source.get("code_execution_result", ""),
                 status="success" if outcome == _OK else "error", extras=extras)]  # fmt: skip


def _finish(message: AIMessage, blocks: list[Block]) -> None:
    """Citations, sound and refusals stand beside the content."""
    facts = message.response_metadata
    citations = translate_grounding_metadata_to_citations(facts.get("grounding_metadata") or {})
    for at, block in enumerate(blocks):
        if citations and block["type"] == "text":
            blocks[at] = {**block, "annotations": citations}
            break
    sound = message.additional_kwargs.get("audio")
    if isinstance(sound, bytes) and sound:
        blocks.append({"type": "audio", "base64": text_base64(sound), "mime_type": "audio/wav"})
    refusal = _refusal(facts)
    if refusal is not None:
        blocks.append(refusal)


def _calls(message: AIMessage, blocks: list[Block]) -> None:
    """Calls come whole, in chunks too; where there is a number of them, it is their index."""
    known = [block.get("id") for block in blocks if block["type"] == "tool_call"]
    numbers = _call_indexes(message)
    calls: list[Any] = [*message.tool_calls, *message.invalid_tool_calls]
    for call in calls:
        if call["id"] and call["id"] not in known:
            number = numbers.get(call["id"])
            blocks.append(dict(call) if number is None else {**call, "index": number})


def _call_indexes(message: AIMessage) -> dict[str, str]:
    """The indexes of calls by their ids; prefixed, since those of other blocks are numbers too."""
    pieces = message.tool_call_chunks if isinstance(message, AIMessageChunk) else []
    return {
        piece["id"]: f"lc_tc_{piece['index']}"
        for piece in pieces
        if piece["id"] and piece.get("index") is not None
    }


def _refusal(facts: dict[str, Any]) -> Block | None:
    extras = {}
    reason = _name(facts.get("finish_reason"))
    if reason in _REFUSED:
        extras["finish_reason"] = reason
    feedback = facts.get("prompt_feedback")
    blocked = _name(feedback.get("block_reason")) if isinstance(feedback, dict) else ""
    if blocked and blocked != _UNSAID:
        extras["block_reason"] = blocked
    if not extras:
        return None
    said = facts.get("finish_message") or ""
    return {"type": "refusal", "refusal": said, "extras": extras}


def _name(reason: Any) -> str:
    """The name of a reason, which may be a text, or a member of one of Google's enums."""
    return str(getattr(reason, "name", reason) or "").rpartition(".")[2]


# The types that users' messages may hold too.
INPUTS = {
    "function_call": _function_call,
    "file_data": _file_data,
    "executable_code": _code,
    "code_execution_result": _code_result,
}
GOOGLE = Vendor(
    {"text": _text, "thinking": _thinking, "image_url": _image_url, **INPUTS},
    non_standard,
    _finish,
    _calls,
)
