"""`Embeddings`: what turns texts into vectors. Not a runnable, because vector stores call it.

All vectors of one model have the same length, and one text always has the same vector; a model
may treat queries and documents differently.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from headrace.errors import ConfigError, InputError
from headrace.runnables.configs import run_in_executor

__all__ = ["Embeddings", "checked_model", "checked_texts"]


class Embeddings(ABC):
    """Base of embedding models: write the two sync methods; the async ones then use threads."""

    @abstractmethod
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text, in order."""

    @abstractmethod
    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for."""

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents` without blocking the event loop: in a worker thread, unless written."""
        return await run_in_executor(None, self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query` without blocking the event loop: in a worker thread, unless written."""
        return await run_in_executor(None, self.embed_query, text)


def checked_model(given: Any, owner: str) -> Embeddings:
    """What can embed: an `Embeddings`, or another library's object with its methods.

    Raises:
        ConfigError: it is something else, or the class of a model in place of a model.
    """
    methods = ("embed_documents", "embed_query")
    if not isinstance(given, type) and all(callable(getattr(given, m, None)) for m in methods):
        model: Embeddings = given
        return model
    raise ConfigError(
        f"The embedding model of {owner} is {given!r:.200} ({type(given).__name__}): give an "
        "instance of Embeddings, e.g. LocalEmbeddings()."
    )


def checked_texts(given: Any, owner: str) -> list[str]:
    """What is to be embedded: texts.

    Raises:
        InputError: it is one text, or something in it is none.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        what = "the text " if isinstance(given, str) else ""
        raise InputError(f"embed_documents got {what}{given!r:.200}: give a list of texts.")
    texts = list(given)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"{owner} reads texts; at place {place} is {text!r:.200} ({type(text).__name__})."
            )
    return texts
