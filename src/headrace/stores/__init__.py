"""Key-value stores, for what can be computed again: in memory, in files, or of your own."""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import BaseStore, ByteStore, InvalidKeyException
from .in_memory import InMemoryBaseStore, InMemoryByteStore, InMemoryStore

if TYPE_CHECKING:
    from .encoded import EncoderBackedStore
    from .local_file import LocalFileStore

__all__ = [
    "BaseStore",
    "ByteStore",
    "EncoderBackedStore",
    "InMemoryBaseStore",
    "InMemoryByteStore",
    "InMemoryStore",
    "InvalidKeyException",
    "LocalFileStore",
]

_LATER = {"EncoderBackedStore": "encoded", "LocalFileStore": "local_file"}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
