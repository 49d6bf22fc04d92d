"""What a tool is asked, and what it answers with: a tool call comes in, a `ToolMessage` goes out.

Of a call with an id the answer is a message, unless the body gave one already; what is neither text
nor content blocks is written as JSON, for a model to read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ..callbacks.arguments import note_call
from ..config import RunnableConfig, merge_configs
from ..messages import ToolMessage
from ..messages.tool import ToolOutputMixin
from ..messages.tool_calls import split_call
from ..run import Run
from .errors import ToolArgumentsError

__all__ = ["Answer", "as_call", "asked", "config_of", "formatted", "items", "without"]

Answer: TypeAlias = tuple[Any, Any, Literal["success", "error"]]  # content, artifact, status

_BLOCKS = frozenset(
    {"text", "image_url", "image", "json", "search_result", "custom_tool_call_output", "document",
     "file"}
)  # fmt: skip
"""The types of content blocks that a message may hold as they are."""

_written = json.JSONEncoder(ensure_ascii=False).encode  # `dumps` would make one for each call

_CONFIG = ("tags", "metadata", "run_name", "run_id")


def items(given: Any) -> Any:
    """The arguments that a dict names; none of anything else."""
    return given.items() if isinstance(given, Mapping) else ()


def as_call(given: Any, call_id: str | None, name: str) -> Any:
    """An input as a tool call, where it has an id."""
    return given if call_id is None else {
        "type": "tool_call", "id": call_id, "name": name, "args": given
    }  # fmt: skip


def config_of(config: Any, callbacks: Any, given: Mapping[str, Any]) -> RunnableConfig:
    """A config, and the fields of one that were given as keywords."""
    said = {key: given[key] for key in _CONFIG if given.get(key) is not None}
    if callbacks is not None:
        said["callbacks"] = callbacks
    return merge_configs(config, said)


def asked(tool: str, value: Any, run: Run) -> tuple[Any, str | None]:
    """The arguments and the id of the call, if it is one; views find the id with the run."""
    given, call_id = split_call(value)
    if call_id is not None and run.observed:
        note_call(run, call_id)
    if given is None and given is not value:
        raise ToolArgumentsError(
            f"A call of tool {tool!r} has the keys 'id', 'name' and 'args'; received {value!r}, "
            "which has no 'args'."
        )
    return given, call_id


def without(hidden: frozenset[str], value: Any) -> Any:
    """An input without the arguments of these names."""
    if not isinstance(value, dict):
        return value
    given, _ = split_call(value)
    if not isinstance(given, dict) or hidden.isdisjoint(given):
        return value
    shown = {key: one for key, one in given.items() if key not in hidden}
    return shown if given is value else {**value, "args": shown}


def formatted(content: Any, artifact: Any, status: Any, call_id: str | None, name: str) -> Any:
    """The result for whoever called: of a call with an id a message, unless it is one already."""
    if call_id is None or isinstance(content, ToolOutputMixin):
        return content
    if isinstance(content, list) and content and all(_is_output(each) for each in content):
        return content
    if not isinstance(content, str):
        content = list(content) if _is_blocks(content) else _text(content)
    return ToolMessage(
        content, artifact=artifact, tool_call_id=call_id, name=name, status=status
    )  # fmt: skip


def _is_output(item: Any) -> bool:
    return isinstance(item, ToolOutputMixin)


def _is_blocks(content: Any) -> bool:
    """Whether a message can hold it as it is."""
    return isinstance(content, Sequence) and all(
        isinstance(each, str) or (isinstance(each, dict) and each.get("type") in _BLOCKS)
        for each in content
    )


def _text(content: Any) -> str:
    """A value for a model to read: as JSON where it can be."""
    try:
        return _written(content)
    except (TypeError, ValueError):
        return str(content)
