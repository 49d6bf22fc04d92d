"""Why a model's answer ended, in the words of many vendors: done, cut short, filtered, refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelRefusalError
from ..messages import BaseMessage

__all__ = ["cut_by", "ends_of", "may_refuse", "raise_if_filtered", "raise_if_refused"]

_REASONS = ("finish_reason", "stop_reason", "done_reason")
_CUT = frozenset(
    (
        *("length", "max_tokens", "max_output_tokens", "model_length"),
        "model_context_window_exceeded",
    )
)
_FILTERED = frozenset(
    ("content_filter", "safety", "prohibited_content", "blocklist", "spii", "recitation",
     "image_safety", "image_prohibited_content", "model_armor")
)  # fmt: skip


def ends_of(message: BaseMessage) -> set[str]:
    """Why it ended, as its vendor says it, in small letters; empty where nothing is said."""
    told = message.response_metadata
    details = told.get("incomplete_details")
    reasons = [told.get(key) for key in _REASONS]
    reasons.append(details.get("reason") if isinstance(details, Mapping) else None)
    return {reason.lower() for reason in reasons if isinstance(reason, str)}


def cut_by(message: BaseMessage) -> str | None:
    """The limit that cut an answer short; None where none did."""
    return min(ends_of(message) & _CUT, default=None)


def may_refuse(message: Any) -> bool:
    """Whether a message (or a piece of one) has anything that a refusal could stand in."""
    return isinstance(message, BaseMessage) and bool(
        message.additional_kwargs
        or message.response_metadata
        or not isinstance(message.content, str)
    )


def raise_if_refused(message: Any) -> None:
    """Raise ModelRefusalError, with the vendor's words, where the message is a refusal.

    Refusals are marked by a content block of type "refusal", by `additional_kwargs["refusal"]`
    (OpenAI), or by a `stop_reason` "refusal" with `stop_details` (Anthropic).
    """
    if not may_refuse(message):
        return
    words = _words(message)
    if words is not None:
        said = f": {words}" if words else "."
        raise ModelRefusalError(
            f"The model refused to give what it was asked for{said}", raw_message=message
        )


def raise_if_filtered(message: BaseMessage) -> None:
    """Raise ModelRefusalError where its vendor's filter stopped the answer."""
    if ends_of(message) & _FILTERED:
        told = f"Its vendor's filter stopped the answer, which was {message.text!r}."
        raise ModelRefusalError(told, raw_message=message)


def _words(message: BaseMessage) -> str | None:
    """What it says about the refusal; None where there is none."""
    given = message.additional_kwargs.get("refusal")
    if isinstance(given, str) and given:
        return given
    blocks = message.content if isinstance(message.content, list) else []
    said = [
        str(block.get("refusal") or block.get("text") or "")
        for block in blocks
        if isinstance(block, Mapping) and block.get("type") == "refusal"
    ]
    if said:
        return "".join(said)
    if "refusal" not in ends_of(message):
        return None
    details = message.response_metadata.get("stop_details")
    told = details.items() if isinstance(details, Mapping) else ()
    return ", ".join(f"{key} {value!r}" for key, value in told if key != "type" and value)
