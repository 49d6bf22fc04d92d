"""Helpers around `RunnableConfig`, for code that overrides doors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .._bridge import call_in_thread
from ..config import (
    DEFAULT_RECURSION_LIMIT,
    RunnableConfig,
    check_handlers,
    checked,
    copied,
    merge_configs,
)
from ..errors import ConfigError
from ..run import current_run

__all__ = ["RunnableConfig", "ensure_config", "get_config_list", "merge_configs", "patch_config",
           "run_in_executor"]  # fmt: skip

T = TypeVar("T")
_KEYS = frozenset(RunnableConfig.__annotations__)
_TO_METADATA = ("model", "checkpoint_ns")  # configurable keys that tracing wants to see


def ensure_config(config: Mapping[str, Any] | None = None) -> RunnableConfig:
    """A complete config: the given fields, else those of the run this is called in, else defaults.

    Unknown keys go to `configurable`; nothing of the argument is modified.
    """
    full: dict[str, Any] = {
        "tags": [],
        "metadata": {},
        "callbacks": None,
        "recursion_limit": DEFAULT_RECURSION_LIMIT,
        "configurable": {},
    }
    run = current_run()
    if run is not None:
        full.update(copied(run.config().items()))
    given = checked(config or {})
    full.update(copied((key, value) for key, value in given.items() if key in _KEYS))
    strangers = {k: v for k, v in given.items() if k not in _KEYS and v is not None}
    full["configurable"] = {**full["configurable"], **strangers}
    for key in _TO_METADATA:
        if isinstance(full["configurable"].get(key), str):
            full["metadata"].setdefault(key, full["configurable"][key])
    return full  # type: ignore[return-value]


def as_told(node: Any, config: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `with_config` was told for `node`, checked. Unknown keys are configurable ones, but a
    misspelt field is refused, unless the node knows a key of that name."""
    told = dict(checked({**checked(config or {}), **fields}))
    check_handlers(told.get("callbacks"), "with_config(callbacks=…)")
    for key in told:
        if key in _KEYS:
            continue
        from difflib import get_close_matches  # few programs come here

        meant = get_close_matches(str(key), _KEYS, 1, 0.85)
        if meant and not any(spec.id == key for spec in node.config_specs):
            raise ConfigError(
                f"with_config was told {key!r}, which no config has: did you mean {meant[0]!r}? "
                f"(A setting of your own goes into configurable={{{key!r}: …}}.)"
            )
    return told


def get_config_list(
    config: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, length: int
) -> list[RunnableConfig]:
    """One complete config for each of `length` inputs. A `run_id` goes to the first only."""
    if length < 0:
        raise ConfigError(f"A list of {length} configs was asked for: give a length of 0 or more.")
    told: Any = config
    if isinstance(told, str):
        checked(told)  # a sequence, and no config
    if isinstance(config, Sequence):
        if len(config) != length:
            raise ConfigError(
                f"There are {len(config)} configs for {length} inputs: give one config for all, "
                "or a list with one for each."
            )
        return [ensure_config(each) for each in config]
    if config is not None and length > 1 and checked(config).get("run_id") is not None:
        warnings.warn(
            f"run_id {config['run_id']} names one run: only the first of the {length} gets it.",
            RuntimeWarning,
            stacklevel=3,
        )
        rest = {key: value for key, value in config.items() if key != "run_id"}
        return [ensure_config(config), *(ensure_config(rest) for _ in range(length - 1))]
    return [ensure_config(config) for _ in range(length)]


def patch_config(
    config: Mapping[str, Any] | None,
    *,
    callbacks: Any = None,
    recursion_limit: int | None = None,
    max_concurrency: int | None = None,
    run_name: str | None = None,
    configurable: dict[str, Any] | None = None,
) -> RunnableConfig:
    """A complete config with some fields replaced (`configurable`: added to). New callbacks mean a
    new run, so `run_name` and `run_id` of the old one are dropped."""
    full: dict[str, Any] = dict(ensure_config(config))
    if callbacks is not None:
        full["callbacks"] = callbacks
        full.pop("run_name", None)
        full.pop("run_id", None)
    changes = {
        "recursion_limit": recursion_limit,
        "max_concurrency": max_concurrency,
        "run_name": run_name,
    }
    full.update({key: value for key, value in changes.items() if value is not None})
    if configurable is not None:
        full["configurable"] = {**full["configurable"], **configurable}
    return full  # type: ignore[return-value]


async def run_in_executor(
    executor_or_config: Any, func: Callable[..., T], *args: Any, **kwargs: Any
) -> T:
    """Run a blocking function in a worker thread, in this context.

    The first argument may be an executor of one's own; a config or None means Headrace's threads.
    """
    if hasattr(executor_or_config, "submit"):
        import asyncio
        from contextvars import copy_context
        from functools import partial

        call = partial(copy_context().run, partial(func, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(executor_or_config, call)
    return await call_in_thread(func, *args, **kwargs)  # type: ignore[no-any-return]
