"""What the event dicts of a run look like when nothing is in them that is a matter of chance."""

from __future__ import annotations

import asyncio
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from laws.both import by_key
from laws.both import plain as bare

Seen = list[dict[str, Any]]
CHANCE = ("ls_integration", "lc_versions")  # which library it was, and which release


@contextmanager
def undeprecated() -> Iterator[None]:
    """LangChain says of some of its classes that they will go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*deprecated")
        yield


def astreamed(runnable: Any, value: Any, config: Any = None, **how: Any) -> tuple[Seen, Any]:
    """The events of `astream_events`, and the exception that ended them, if any."""
    seen: Seen = []

    async def main() -> None:
        async for event in runnable.astream_events(value, config, version="v2", **how):
            seen.append(dict(event))

    try:
        asyncio.run(main())
    except Exception as error:
        return seen, error
    return seen, None


def streamed(runnable: Any, value: Any, config: Any = None, **how: Any) -> tuple[Seen, Any]:
    """The same of `stream_events`."""
    seen: Seen = []
    try:
        for event in runnable.stream_events(value, config, **how):
            seen.append(dict(event))
    except Exception as error:
        return seen, error
    return seen, None


def plain(value: Any) -> Any:
    """A value without its library and without ids."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "generation_info") and hasattr(value, "text"):
        return [type(value).__name__, value.text, value.generation_info]
    if hasattr(value, "chunk_position"):
        return [*bare(value), value.chunk_position]
    if isinstance(value, BaseException):
        return kinds(value)
    return bare(value)


def kinds(error: BaseException | None) -> list[str] | None:
    """As what an exception can be caught by those who know no library: its first builtin class."""
    if error is None:
        return None
    builtin = [one.__name__ for one in type(error).__mro__ if one.__module__ == "builtins"]
    # Both libraries have classes of their own that are several builtin ones at once.
    return [name for name in builtin if name in ("KeyError", "OSError")] or builtin[:1]


def numbered(seen: Seen) -> Seen:
    """Events with runs numbered in the order in which they show."""
    numbers: dict[str, int] = {}
    events = []
    for event in seen:
        number = numbers.setdefault(event["run_id"], len(numbers))
        above = [numbers.setdefault(run_id, len(numbers)) for run_id in event["parent_ids"]]
        kept = {key: one for key, one in sorted(event["metadata"].items()) if key not in CHANCE}
        events.append({
            "event": event["event"], "name": event["name"], "run": number, "above": above,
            "tags": sorted(event["tags"]), "metadata": kept, "data": plain(event["data"]),
        })  # fmt: skip
    return events


def per_run(seen: Seen) -> list[Any]:
    """Each run's own events, in an order that does not depend on which run was first; the chunks
    of those that make dicts key by key."""
    names = {event["run_id"]: f"{event['name']} {sorted(event['tags'])}" for event in seen}
    runs: dict[str, list[Any]] = defaultdict(list)
    for event, made in zip(seen, numbered(seen), strict=True):
        above = [names.get(run_id, "?") for run_id in event["parent_ids"]]
        runs[event["run_id"]].append({**made, "run": 0, "above": above})
    found = [_with_columns(own) for own in runs.values()]
    return sorted(found, key=_place)


def _place(own: list[Any]) -> Any:
    start = own[0]
    return start["above"], start["name"], start["tags"], repr([event.get("data") for event in own])


def _with_columns(own: list[Any]) -> list[Any]:
    chunks = [e["data"]["chunk"] for e in own if e["event"].endswith("_stream")]
    if not chunks or not all(isinstance(chunk, dict) for chunk in chunks):
        return own
    rest = [event for event in own if not event["event"].endswith("_stream")]
    return [*rest, {"columns": by_key(chunks)}]


def shape(seen: Seen, free: bool) -> list[Any]:
    """What is compared: all of it in order, or each run by itself."""
    return per_run(seen) if free else numbered(seen)
