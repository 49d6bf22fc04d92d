"""Embeddings that know nothing about language, for tests and examples; no numpy needed.

Components are drawn from a normal distribution, so directions are evenly spread and two texts are
about as far apart as their numbers of dimensions let them be.
"""

from __future__ import annotations

import hashlib
import math
import random

from pydantic import BaseModel, ConfigDict, Field

from headrace.runnables._construction import Readable

from .base import Embeddings

__all__ = ["DeterministicFakeEmbedding", "FakeEmbeddings"]


class _Fake(Readable, BaseModel, Embeddings):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=1)

    def _generator(self, text: str) -> random.Random:
        raise NotImplementedError

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return _normal(self._generator(text), self.size)

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

    def _generator(self, text: str) -> random.Random:
        return random.Random()


class DeterministicFakeEmbedding(_Fake):
    """A random vector that depends on the text alone: the same in every process and Python.

    The vectors are not those of langchain-core's class of this name, which takes numpy's generator.

    Args:
        size: the number of dimensions.
    """

    def _generator(self, text: str) -> random.Random:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return random.Random(int.from_bytes(digest, "big"))


def _normal(generator: random.Random, size: int) -> list[float]:
    """Normally distributed numbers by Box and Muller's formula. Of `random`'s methods, Python
    promises only for `random()` that it gives the same numbers in every version."""
    uniform = generator.random
    return [
        math.sqrt(-2.0 * math.log(1.0 - uniform())) * math.cos(math.tau * uniform())
        for _ in range(size)
    ]
