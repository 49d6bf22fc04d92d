"""Merging stream chunks, and the dicts and lists inside them: n-ary, linear, inputs untouched.

`merge(chunks)` is the left fold of `a + b` over the chunks of one stream, where a chunk that
cannot be added to what came before replaces it. It gives what that fold gives, in time linear in
the total size: runs of strings are joined once, runs of lists concatenated once, and classes that
know a better way than pairwise addition say so with a classmethod

    __headrace_merge__(chunks: Sequence[Self]) -> Self

which must agree with their own `+`. `merge_dicts` and `merge_lists` merge the free-form fields of
chunks (provider kwargs, metadata, content blocks); their results share no dict or list with the
arguments. This file imports nothing of Headrace.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

__all__ = ["copy_tree", "merge", "merge_dicts", "merge_lists"]

# How a run of values of one exact builtin type becomes one value.
_JOIN: dict[type, Callable[[Sequence[Any]], Any]] = {
    str: "".join,
    bytes: b"".join,
    list: lambda run: list(chain.from_iterable(run)),
    tuple: lambda run: tuple(chain.from_iterable(run)),
}

# Strings under these keys name something: they are not continued, the first one stays.
_NAMES = frozenset({"id", "index", "type", "output_version", "model_provider"})

# Integers under these keys are positions or times: they are replaced, never summed.
_MARKS = frozenset({"index", "created", "timestamp"})

# Prefix of the indexes and ids that a library made up, as opposed to a provider's.
_GENERATED = "lc_"


def merge(chunks: Sequence[Any]) -> Any:
    """The chunks of one stream as one value; None for no chunk.

    Equals the left fold of `a + b`, except that where `a + b` raises TypeError (plain dicts,
    chunks of different kinds) the fold goes on with `b` alone. A single chunk is returned itself.
    """
    if not chunks:
        return None
    total = chunks[0]
    at, end = 1, len(chunks)
    uniform = len(set(map(type, chunks))) == 1
    while at < end:
        stop, key = at, _run_key(total)
        if key is not None:
            while not uniform and stop < end and _run_key(chunks[stop]) is key:
                stop += 1
            stop = end if uniform else stop
        if stop > at:
            run = [total, *chunks[at:stop]]
            join = _JOIN.get(type(total))
            total = type(total).__headrace_merge__(run) if join is None else join(run)
        else:
            total, stop = _plus(total, chunks[at]), at + 1
        at = stop
    return total


def _plus(total: Any, chunk: Any) -> Any:
    try:
        return total + chunk
    except TypeError:
        return chunk


def _run_key(chunk: Any) -> Any:
    """What the chunks of one run share (a type, a merge function); None where `+` must tell."""
    kind = type(chunk)
    if kind in _JOIN:
        return kind
    hook = getattr(kind, "__headrace_merge__", None)
    return getattr(hook, "__func__", hook)


def copy_tree(value: Any) -> Any:
    """A copy of nested plain dicts and lists; anything else is shared."""
    kind = type(value)
    if kind is dict:
        return {key: copy_tree(item) for key, item in value.items()}
    if kind is list:
        return [copy_tree(item) for item in value]
    return value


def merge_dicts(dicts: Iterable[Mapping[Any, Any] | None]) -> dict[Any, Any]:
    """Merge free-form dicts of stream chunks, key by key, in order.

    For one key: None yields to any value; strings concatenate, but of names such as `id` and
    `type` the first stays; dicts and lists merge; of equal integers one stays, different ones are
    summed (under `index`, `created` and `timestamp` the last stays). Of other values the last
    stays. Where the types differ, only the values of the richest count: dicts before lists,
    strings, integers, others.
    """
    columns: dict[Any, list[Any]] = {}
    for one in dicts:
        if one:
            for key, value in one.items():
                columns.setdefault(key, []).append(value)
    return {key: _merge_column(key, values) for key, values in columns.items()}


def merge_lists(lists: Iterable[Sequence[Any] | None], *, join_text: bool = False) -> list[Any]:
    """Concatenate lists of stream chunks; a dict with an `index` continues the one it belongs to.

    An item of a later list that is a dict whose `index` is an integer (or a string starting with
    `lc_`) merges into the latest item of equal index, unless both have an `id` and these differ.
    With `join_text`, a string of a later list continues a string that stands right before it.
    Items of the first list that has any stay apart from each other.
    """
    slots: list[Any] = []
    latest: dict[Hashable, _Slot] = {}
    first = True
    for one in lists:
        if one is None:
            continue
        for item in one:
            index = _index_of(item)
            if index is not None:
                slot = latest.get(index)
                if first or slot is None or not slot.takes(item):
                    slot = latest[index] = _Slot(item)
                    slots.append(slot)
                else:
                    slot.add(item)
            elif join_text and type(item) is str:
                if first or not slots or type(slots[-1]) is not _Text:
                    slots.append(_Text())
                slots[-1].parts.append(item)
            else:
                slots.append(copy_tree(item))
        first = first and not one
    return [slot.merged() if type(slot) in _SLOTS else slot for slot in slots]


class _Text:
    """The strings that join into one item of a list."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[str] = []

    def merged(self) -> str:
        return "".join(self.parts)


class _Slot:
    """The dicts that merge into one item of a list."""

    __slots__ = ("id", "parts", "type")

    def __init__(self, item: dict[Any, Any]) -> None:
        self.parts = [item]
        self.id = item.get("id")
        self.type = item.get("type")

    def takes(self, item: dict[Any, Any]) -> bool:
        other = item.get("id")
        return not self.id or not other or self.id == other

    def add(self, item: dict[Any, Any]) -> None:
        self.id = self.id or item.get("id")
        if not self.type:
            self.type = item.get("type")
        elif "type" in item:
            item = _continuation(self.type, item)
        self.parts.append(item)

    def merged(self) -> dict[Any, Any]:
        return merge_dicts(self.parts)


_SLOTS = (_Slot, _Text)


def _continuation(kind: str, item: dict[Any, Any]) -> dict[Any, Any]:
    """What a typed item adds to an earlier one of type `kind`: all but its type.

    A `non_standard` block wraps a provider's own fields in `value`: they join the value of a
    block of that same type, and the `extras` of a standard block.
    """
    if item["type"] != "non_standard" or "value" not in item:
        return {key: value for key, value in item.items() if key != "type"}
    inner = {key: value for key, value in item["value"].items() if key != "type"}
    if kind != "non_standard":
        return {"extras": inner}
    return {"value": inner, "index": item["index"]}


def _index_of(item: Any) -> Hashable | None:
    """The index that says which earlier item this one continues, or None."""
    if not isinstance(item, dict):
        return None
    index = item.get("index")
    if isinstance(index, int) or (isinstance(index, str) and index.startswith(_GENERATED)):
        return index
    return None


def _merge_column(key: Any, values: list[Any]) -> Any:
    """The values of one key, in order, as one."""
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    kinds = [_kind(value) for value in kept]
    for kind, rule in _RULES.items():
        if kind in kinds:
            run = [value for value, its in zip(kept, kinds, strict=True) if its is kind]
            return copy_tree(run[0]) if len(run) == 1 else rule(key, run)
    return kept[-1]


def _kind(value: Any) -> type:
    """The type whose rule applies to a value: a known one it derives from, else its own."""
    kind = type(value)
    if kind in _RULES or kind is bool:
        return kind
    return next((known for known in _RULES if isinstance(value, known)), kind)


def _merge_strings(key: Any, run: list[str]) -> str:
    return next(filter(None, run), "") if key in _NAMES else "".join(run)


def _merge_ints(key: Any, run: list[int]) -> int:
    total = run[0]
    for number in run[1:]:
        if number != total:
            total = number if key in _MARKS else total + number
    return total


# How the values of one key merge, by their type; richer types come first.
_RULES: dict[type, Callable[[Any, list[Any]], Any]] = {
    dict: lambda _key, run: merge_dicts(run),
    list: lambda _key, run: merge_lists(run),
    str: _merge_strings,
    int: _merge_ints,
}
