"""What the doors for several inputs do first: a list of inputs, a config for each, one gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._gate import Gate
from ..errors import InputError
from ..run import begin, current_run
from .configs import get_config_list

__all__ = ["listed", "shared"]


def listed(inputs: Any) -> list[Any]:
    if isinstance(inputs, (str, bytes, Mapping)):
        raise InputError(
            f"batch got a {type(inputs).__name__} as its inputs: give a list with one input each."
        )
    return inputs if isinstance(inputs, list) else list(inputs)


def shared(config: Any, count: int) -> tuple[Sequence[Any], Gate | None]:
    """A config for each input, and the one gate that all of them share."""
    if config is None:
        parent = current_run()
        return [None] * count, None if parent is None else parent.gate
    configs = get_config_list(config, count)
    if not configs:
        return configs, None
    gate = begin(None, configs[0]).gate
    if gate is not None:
        for each in configs:
            each["max_concurrency"] = gate
    return configs, gate
