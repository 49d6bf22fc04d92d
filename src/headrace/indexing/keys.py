"""Keys: what a document is known by, in a store and in its records: its content, hashed.

The key is the hash of two hashes, of the text and of the metadata as JSON with sorted keys. These
are the keys that LangChain's indexing makes with the same `key_encoder`, so records and stores that
it filled stay of use.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from headrace.documents import Document
from headrace.errors import InputError

__all__ = ["KeyEncoder", "key_maker"]

KeyEncoder: TypeAlias = Callable[[Document], str] | str
"""A function from a document to its key, or the name of a hash."""

_NAMES = ("sha256", "sha512", "blake2b", "sha1")
_SHA1_SPACE = uuid.UUID(int=1984)  # LangChain's keys by SHA-1 are UUIDs of this namespace


def key_maker(encoder: KeyEncoder) -> Callable[[Document], str]:
    """What makes keys.

    Raises:
        InputError: the encoder is neither a function nor the name of a hash; when a key is made,
            the metadata cannot be written as JSON, or the function gave no string.
    """
    if callable(encoder):
        return lambda document: _own(encoder, document)
    if encoder not in _NAMES:
        raise InputError(
            f"key_encoder is {encoder!r}: give one of {', '.join(_NAMES)}, or a function from a "
            "document to its key."
        )

    def key(document: Document) -> str:
        parts = _hashed(encoder, document.page_content) + _hashed(encoder, _metadata(document))
        return _hashed(encoder, parts)

    return key


def _own(encoder: Callable[[Document], str], document: Document) -> str:
    key: Any = encoder(document)
    if not isinstance(key, str) or not key:
        raise InputError(
            f"The key_encoder gave {key!r} for {str(document)!r:.200}: let it give a string."
        )
    return key


def _hashed(name: str, text: str) -> str:
    made = hashlib.new(name, text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    digest = made.hexdigest()
    return str(uuid.uuid5(_SHA1_SPACE, digest)) if name == "sha1" else digest


def _metadata(document: Document) -> str:
    try:
        return json.dumps(document.metadata, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The metadata of {document.page_content!r:.100} is no JSON ({error}): have strings, "
            "numbers, lists and dicts in it, or give a key_encoder of your own."
        ) from error
