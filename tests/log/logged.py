"""Logs of runs, and what they look like when nothing is in them that is a matter of chance."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable
from typing import Any

import jsonpatch

from laws.both import by_key
from laws.both import plain as bare


def alogged(runnable: Any, value: Any, config: Any = None, **how: Any) -> tuple[list[Any], Any]:
    """What `astream_log` gives, and the exception that ended it, if any."""
    seen: list[Any] = []

    async def main() -> None:
        async for patch in runnable.astream_log(value, config, **how):
            seen.append(patch)  # noqa: PERF401 - kept when an exception follows

    try:
        asyncio.run(main())
    except Exception as error:
        return seen, error
    return seen, None


def logged(runnable: Any, value: Any, config: Any = None, **how: Any) -> tuple[list[Any], Any]:
    """The same of `stream_log`."""
    return _ended(lambda: runnable.stream_log(value, config, **how))


def streamed(runnable: Any, value: Any, config: Any = None) -> tuple[list[Any], Any]:
    """The same of `stream`."""
    return _ended(lambda: runnable.stream(value, config))


def _ended(opened: Callable[[], Any]) -> tuple[list[Any], Any]:
    seen: list[Any] = []
    try:
        for item in opened():
            seen.append(item)  # noqa: PERF402 - kept when an exception follows
    except Exception as error:
        return seen, error
    return seen, None


def copied(value: Any) -> Any:
    """The containers of an operation anew: the referee changes them in place."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def refereed(patches: list[Any]) -> Any:
    """What patches add up to, by the library `jsonpatch`."""
    ops = [copied(op) for patch in patches for op in patch.ops]
    return jsonpatch.apply_patch(None, ops, in_place=True)


# ---- without chance ------------------------------------------------------------------------------

CHANCE = ("ls_integration", "lc_versions")  # which library it was


def plain(value: Any) -> Any:
    """A value without its library and without ids."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "chunk_position"):
        return (*bare(value), value.chunk_position)
    return bare(value)


def without_chance(state: dict[str, Any], *, free: bool = False) -> dict[str, Any]:
    """A state without ids and times. Entries are in an order of their own: that of their starts is
    by chance where branches run side by side. `free`: so is that of chunks, compared by key."""
    entries = [_entry(entry, free) for entry in state["logs"].values()]
    return {
        "name": state["name"],
        "type": state["type"],
        "final_output": plain(state["final_output"]),
        "streamed_output": _chunks(state["streamed_output"], free),
        "logs": sorted(entries, key=repr),
        "keys": sorted(state["logs"]),
    }


def _chunks(chunks: list[Any], free: bool) -> Any:
    seen = plain(chunks)
    keyed = free and all(isinstance(chunk, dict) for chunk in seen)
    return sorted(by_key(seen).items()) if keyed else seen


def _entry(entry: dict[str, Any], free: bool) -> dict[str, Any]:
    kept = copy.copy(entry)
    assert re.fullmatch(r"[0-9a-f-]{36}", kept.pop("id"))
    assert kept.pop("start_time").endswith("+00:00")
    ended = kept.pop("end_time")
    metadata = {key: one for key, one in sorted(kept.pop("metadata").items()) if key not in CHANCE}
    return {
        **plain(kept),
        "tags": sorted(kept["tags"]),
        "metadata": metadata,
        "streamed_output": _chunks(kept["streamed_output"], free),
        "final_output": _output(plain(kept["final_output"])),
        "ended": ended is not None,
    }


def _output(output: Any) -> Any:
    """The dump of a model's answer without which class of generation it was; keys in order."""
    if not isinstance(output, dict) or "generations" not in output:
        return sorted(output.items()) if isinstance(output, dict) else output
    texts = [[one["text"] for one in several] for several in output["generations"] if several]
    messages = [[one.get("message") for one in several] for several in output["generations"]]
    return {"texts": texts, "messages": [several for several in messages if several]}
