"""`ModelProfile`: what is known of a chat model, for those who choose between models.

Every key is optional and only a statement: nothing is switched on or off by it. Keys that are not
listed here are kept, with a warning, since providers' packages may know more than this one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

__all__ = ["ModelProfile", "ModelProfileRegistry", "warn_unknown_keys"]


class ModelProfile(TypedDict, total=False):
    """What a model takes, gives and can do; limits in tokens, dates as YYYY-MM-DD."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    name: str
    status: str
    release_date: str
    last_updated: str
    open_weights: bool

    max_input_tokens: int
    text_inputs: bool
    image_inputs: bool
    image_url_inputs: bool
    pdf_inputs: bool
    audio_inputs: bool
    video_inputs: bool
    image_tool_message: bool
    pdf_tool_message: bool

    max_output_tokens: int
    text_outputs: bool
    image_outputs: bool
    audio_outputs: bool
    video_outputs: bool
    reasoning_output: bool
    reasoning_effort_levels: list[str]
    reasoning_effort_default: str

    tool_calling: bool
    tool_choice: bool
    tool_call_streaming: bool
    mid_conversation_system_messages: bool
    mid_conversation_tools: bool
    structured_output: bool
    attachment: bool
    temperature: bool


ModelProfileRegistry: TypeAlias = dict[str, ModelProfile]


def warn_unknown_keys(profile: Mapping[str, Any], owner: str) -> None:
    """Warn of keys that `ModelProfile` does not have: mistyped, or of a newer package."""
    unknown = sorted(set(profile) - ModelProfile.__annotations__.keys())
    if unknown:
        warnings.warn(
            f"Unrecognized keys in model profile of {owner}: {unknown}. They are kept and nobody "
            f"reads them; the known ones are {', '.join(sorted(ModelProfile.__annotations__))}.",
            stacklevel=3,
        )
