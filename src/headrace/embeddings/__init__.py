"""Embeddings: texts to vectors. The base class, a cache in front of it, and two fakes for tests.

`LocalEmbeddings`, a model that runs in this process, is in `headrace.local`; those of providers
are in `headrace.providers`.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import Embeddings
from .fake import DeterministicFakeEmbedding, FakeEmbeddings

if TYPE_CHECKING:
    from .cached import CacheBackedEmbeddings

__all__ = [
    "CacheBackedEmbeddings",
    "DeterministicFakeEmbedding",
    "Embeddings",
    "FakeEmbeddings",
]

_LATER = {"CacheBackedEmbeddings": "cached"}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
