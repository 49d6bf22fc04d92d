"""Mistral's API: https://docs.mistral.ai/api/#tag/chat. What was thought is a list of parts, of
text and of the sources that were read; LangChain puts a reference beside the text that it is for.
"""

from __future__ import annotations

from typing import Any

from ._parts import Block, Vendor, made, non_standard

__all__ = ["MISTRAL"]


def _thinking(source: Block, message: Any) -> list[Block]:
    parts = source["thinking"]
    if isinstance(parts, str):
        parts = [{"type": "text", "text": parts}]
    said = "".join(part.get("text") or "" for part in parts if part.get("type") == "text")
    sources = [dict(part) for part in parts if part.get("type") != "text"]
    more = {"extras": {"sources": sources}} if sources else {}
    return [made("reasoning", source, {"thinking"}, reasoning=said, **more)]


def _text(source: Block, message: Any) -> list[Block]:
    reference = source.get("reference")
    if not isinstance(reference, dict):
        return [dict(source)]
    block = {name: value for name, value in source.items() if name != "reference"}
    return [{**block, "annotations": [made("citation", reference, {"cited_text"},
                                           cited_text=reference.get("cited_text"))]}]  # fmt: skip


def _finish(message: Any, blocks: list[Block]) -> None:
    """Nothing is said beside the content."""


MISTRAL = Vendor({"text": _text, "thinking": _thinking}, non_standard, _finish)
