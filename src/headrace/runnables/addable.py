"""Dicts that add up key by key: the chunks of parallels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..merge import merge


class AddableDict(dict[str, Any]):
    """A dict chunk: `a + b` adds values under the same key and keeps the others.

    Values that cannot be added are replaced; None is as good as absent.
    """

    def __add__(self, other: dict[str, Any]) -> AddableDict:
        return self.__headrace_merge__([self, other])

    def __radd__(self, other: dict[str, Any]) -> AddableDict:
        return self.__headrace_merge__([AddableDict(other), self])

    @classmethod
    def __headrace_merge__(cls, chunks: Iterable[dict[str, Any]]) -> AddableDict:
        """All chunks at once, in time linear in them."""
        columns: dict[str, list[Any]] = {}
        for chunk in chunks:
            for key, value in chunk.items():
                column = columns.setdefault(key, [])
                if value is not None:
                    column.append(value)
        return AddableDict({key: merge(column) for key, column in columns.items()})


def fold_by_key(folds: dict[str, Any], chunks: Iterable[dict[str, Any]]) -> AddableDict:
    """Like adding, with a fold of their own for some keys."""
    given = {key: fold for key, fold in folds.items() if fold is not None}
    columns: dict[str, list[Any]] = {}
    for chunk in chunks:
        for key, value in chunk.items():
            columns.setdefault(key, []).append(value)
    return AddableDict(
        {
            key: given[key](column) if key in given else merge([v for v in column if v is not None])
            for key, column in columns.items()
        }
    )


def add(addables: Iterable[Any]) -> Any:
    """The sum of chunks; None for none."""
    return merge(list(addables))


async def aadd(addables: Any) -> Any:
    """`add` over an async iterable."""
    return merge([chunk async for chunk in addables])
