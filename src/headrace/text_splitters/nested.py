"""`RecursiveJsonSplitter`: JSON cut into smaller JSON, with the keys that lead to each part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from headrace.documents import Document
from headrace.errors import InputError

__all__ = ["RecursiveJsonSplitter"]

_EMPTY = 2  # characters of "{}"


class RecursiveJsonSplitter:
    """Cuts JSON objects where their values begin.

    Args:
        max_chunk_size: how many characters of JSON a chunk should have at most. One is longer if a
            single value is, or the keys that lead to it.
        min_chunk_size: how many it should have at least before another is begun; by default 200
            fewer, but no fewer than 50.
    """

    def __init__(self, max_chunk_size: int = 2000, min_chunk_size: int | None = None) -> None:
        self.max_chunk_size = max_chunk_size
        self.min_chunk_size = (
            max(max_chunk_size - 200, 50) if min_chunk_size is None else min_chunk_size
        )

    def split_json(self, json_data: Any, convert_lists: bool = False) -> list[dict[str, Any]]:
        """The chunks of an object.

        Args:
            json_data: the object.
            convert_lists: cut lists too: they become objects with the keys "0", "1", ….

        Raises:
            InputError: it is no object.
        """
        data = _without_lists(json_data) if convert_lists else json_data
        if data is not None and not isinstance(data, dict):
            raise InputError(
                f"RecursiveJsonSplitter splits dicts, and this is {json_data!r:.200} "
                f"({type(json_data).__name__})"
                + (": give convert_lists=True." if isinstance(json_data, list) else ".")
            )
        chunks = _Chunks(self.max_chunk_size, self.min_chunk_size)
        if data:
            chunks.add_all(data, ())
        return [chunk for chunk in chunks.made if chunk]

    def split_text(
        self, json_data: Any, convert_lists: bool = False, ensure_ascii: bool = True
    ) -> list[str]:
        """The chunks of an object as JSON; `ensure_ascii` as of `json.dumps`."""
        chunks = self.split_json(json_data, convert_lists)
        return [json.dumps(chunk, ensure_ascii=ensure_ascii) for chunk in chunks]

    def create_documents(
        self,
        texts: Sequence[Any],
        convert_lists: bool = False,
        ensure_ascii: bool = True,
        metadatas: Sequence[Mapping[Any, Any]] | None = None,
    ) -> list[Document]:
        """The chunks of several objects as documents.

        Args:
            texts: the objects.
            convert_lists: cut lists too.
            ensure_ascii: as of `json.dumps`.
            metadatas: what is known about each of them; each of its chunks gets a copy.

        Raises:
            InputError: there are not as many metadatas as objects.
        """
        known = list(metadatas) if metadatas else [{}] * len(texts)
        if len(known) != len(texts):
            raise InputError(
                f"create_documents() was given {len(texts)} objects and {len(known)} metadatas: "
                "give as many of these, or none."
            )
        return [
            Document(chunk, deepcopy(dict(metadata)))
            for data, metadata in zip(texts, known, strict=True)
            for chunk in self.split_text(data, convert_lists, ensure_ascii)
        ]


class _Chunks:
    """Chunks that are being made; the last one grows, and its size is kept beside it."""

    def __init__(self, largest: int, smallest: int) -> None:
        self.largest, self.smallest = largest, smallest
        self.made: list[dict[str, Any]] = [{}]
        self.size = _EMPTY

    def add_all(self, data: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, value in data.items():
            here = (*path, key)
            if len(json.dumps({key: value})) < self.largest - self.size:
                self._put(here, value)
                continue
            if self.size >= self.smallest:
                self.made.append({})
                self.size = _EMPTY
            if isinstance(value, dict) and value:
                self.add_all(value, here)
            else:
                self._put(here, value)

    def _put(self, path: tuple[str, ...], value: Any) -> None:
        """Set a value, with the keys that lead to it, and count what that adds."""
        where, added = self.made[-1], 0
        for key in path[:-1]:
            if key not in where:
                added += _comma(where) + len(json.dumps({key: {}})) - _EMPTY
                where[key] = {}
            where = where[key]
        added += _comma(where) + len(json.dumps({path[-1]: value})) - _EMPTY
        where[path[-1]] = value
        self.size += added


def _comma(where: Mapping[str, Any]) -> int:
    return 2 if where else 0


def _without_lists(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_lists(value) for key, value in data.items()}
    if isinstance(data, list):
        return {str(number): _without_lists(each) for number, each in enumerate(data)}
    return data
