"""Embeddings: texts to vectors. The base class, and two fakes for tests."""

from .base import Embeddings
from .fake import DeterministicFakeEmbedding, FakeEmbeddings

__all__ = ["DeterministicFakeEmbedding", "Embeddings", "FakeEmbeddings"]
