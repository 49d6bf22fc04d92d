"""`RunnableConfig`: what a caller can say about a run, and the helpers around such dicts.

Pure dict handling; how a config acts is in `run.py`. Field by field the meaning is the one users
of LangChain know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from .errors import ConfigError

__all__ = [
    "DEFAULT_RECURSION_LIMIT",
    "ConfigurableFieldSpec",
    "RunnableConfig",
    "callbacks_list",
    "check_handlers",
    "checked",
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


def _several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _by_key(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_id(value: Any) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


# What each field mostly is, what else it may be, and what to write.
_FIELDS: Mapping[str, tuple[type, Callable[[Any], bool], str]] = {
    "tags": (list, _several, "a list of texts"),
    "metadata": (dict, _by_key, "a dict"),
    "configurable": (dict, _by_key, "a dict, as in {'configurable': {'session_id': '…'}}"),
    "max_concurrency": (int, _whole, "a whole number of at least 1, or None"),
    "recursion_limit": (int, _whole, "a whole number"),
    "run_name": (str, lambda value: isinstance(value, str), "a text"),
    "run_id": (UUID, _is_id, "a UUID, for example uuid.uuid4(), or the text of one"),
}


def checked(config: Any) -> Any:
    """The config itself. Raises ConfigError where it, or a field of it, is of the wrong kind."""
    if type(config) is not dict and not isinstance(config, Mapping):
        raise ConfigError(
            f"A config is a dict, and this is {config!r} ({type(config).__name__}): write for "
            "example config={'tags': ['…'], 'configurable': {…}}."
        )
    for key, value in config.items():
        field = _FIELDS.get(key)
        if field is None or type(value) is field[0] or value is None:
            continue
        if not field[1](value):
            raise ConfigError(
                f"config[{key!r}] is {value!r} ({type(value).__name__}): give {field[2]}."
            )
    return config


def callbacks_list(callbacks: Any) -> list[Any]:
    """The handlers of a `callbacks` field: a list, a single handler, or None."""
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def check_handlers(callbacks: Any, where: str) -> None:
    """Raises ConfigError for what is no handler and no manager. `where`: how the caller said it."""
    for item in callbacks_list(callbacks):
        if isinstance(item, type):
            raise ConfigError(
                f"{where} holds the class {item.__name__}: give an instance of it, "
                f"{item.__name__}(...)."
            )
        # a handler; any other observer; a manager or a run's own callbacks
        listens = hasattr(item, "_headrace_event") or hasattr(item, "on_event")
        if not listens and not hasattr(item, "observers"):
            raise ConfigError(
                f"{where} holds {item!r}, which has no method 'on_event(event)': "
                "give handlers from headrace.callbacks or objects with that method."
            )


def _merge_callbacks(first: Any, second: Any) -> Any:
    """Both, each handler once; None where there is neither. A manager (what can be `joined`)
    stays one, and takes the others in."""
    if first is None or second is None:
        return second if first is None else first
    for one, other in ((first, second), (second, first)):
        if hasattr(one, "joined"):
            return one.joined(other)
    merged = callbacks_list(first)
    merged += [new for new in callbacks_list(second) if not any(new is old for old in merged)]
    return merged


def merge_configs(*configs: Mapping[str, Any] | None) -> RunnableConfig:
    """One config out of several: tags, metadata, callbacks and configurable add up, for the other
    fields the last one given wins. Tags come out sorted and once each."""
    merged: dict[str, Any] = {}
    for config in filter(None, configs):
        for key, value in checked(config).items():
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
