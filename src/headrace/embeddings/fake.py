"""Embeddings that know nothing about language, for tests and examples; no numpy needed.

Components are drawn from a normal distribution, so directions are evenly spread and two texts are
about as far apart as their numbers of dimensions let them be.
"""

from __future__ import annotations

import hashlib
import random

from pydantic import BaseModel, ConfigDict, Field

from headrace.runnables._construction import Readable

from ._normal import normal
from .base import Embeddings

__all__ = ["DeterministicFakeEmbedding", "FakeEmbeddings"]

_SEEDS = 10**8


class _Fake(Readable, BaseModel, Embeddings):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=1)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    # Too quick to be worth a thread.

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


class FakeEmbeddings(_Fake):
    """Another random vector at each call, whatever the text.

    Args:
        size: the number of dimensions.
    """

    def embed_query(self, text: str) -> list[float]:
        generator = random.Random()  # of its own: a program's seed is neither asked nor moved
        return [generator.gauss() for _ in range(self.size)]


class DeterministicFakeEmbedding(_Fake):
    """A random vector that depends on the text alone: the same in every process and Python, and,
    but for rounding, that of langchain-core's class of this name.

    Args:
        size: the number of dimensions.
    """

    def embed_query(self, text: str) -> list[float]:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return normal(int.from_bytes(digest, "big") % _SEEDS, self.size)
