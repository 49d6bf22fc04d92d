"""`RunnableConfig`: what a caller can say about a run, and the helpers around such dicts.

Pure dict handling; how a config acts is in `run.py`. Field by field the meaning is the one users
of LangChain know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

__all__ = [
    "DEFAULT_RECURSION_LIMIT",
    "ConfigurableFieldSpec",
    "RunnableConfig",
    "callbacks_list",
    "merge_configs",
]

DEFAULT_RECURSION_LIMIT = 25


class RunnableConfig(TypedDict, total=False):
    """Settings of one run and of the runs below it.

    `tags`, `metadata`, `callbacks`, `configurable`, `max_concurrency` (leaf calls in flight) and
    `recursion_limit` (runnables returned by functions, nested) are inherited by every step below;
    `run_name` and `run_id` name the one run they are given to.
    """

    tags: list[str]
    metadata: dict[str, Any]
    callbacks: Any
    run_name: str
    max_concurrency: int | None
    recursion_limit: int
    configurable: dict[str, Any]
    run_id: UUID | None


class ConfigurableFieldSpec(NamedTuple):
    """A key of `config["configurable"]`: what it is called, its type, what it is when not given."""

    id: str
    annotation: Any
    name: str | None = None
    description: str | None = None
    default: Any = None
    is_shared: bool = False
    dependencies: list[str] | None = None


def callbacks_list(callbacks: Any) -> list[Any]:
    """The handlers of a `callbacks` field: a list, a single handler, or None."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def _merge_callbacks(first: Any, second: Any) -> Any:
    """Both, each handler once; None where there is neither."""
    if first is None or second is None:
        return second if first is None else first
    merged = callbacks_list(first)
    merged += [new for new in callbacks_list(second) if not any(new is old for old in merged)]
    return merged


def merge_configs(*configs: Mapping[str, Any] | None) -> RunnableConfig:
    """One config out of several: tags, metadata, callbacks and configurable add up, for the other
    fields the last one given wins. Tags come out sorted and once each."""
    merged: dict[str, Any] = {}
    for config in filter(None, configs):
        for key, value in config.items():
            old = merged.get(key)
            if value is None:
                merged.setdefault(key, None)
            elif key == "tags":
                merged[key] = sorted({*(old or ()), *value})
            elif key in ("metadata", "configurable"):
                merged[key] = {**(old or {}), **value}
            elif key == "callbacks":
                merged[key] = _merge_callbacks(old, value)
            elif key == "recursion_limit" and value == DEFAULT_RECURSION_LIMIT and old:
                continue  # a default that helpers filled in does not undo a choice
            else:
                merged[key] = value
    return merged  # type: ignore[return-value]


def copied(config: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The given fields that are set, their containers copied one level deep."""
    return {
        key: value.copy() if isinstance(value, (list, dict)) else value
        for key, value in config
        if value is not None
    }
