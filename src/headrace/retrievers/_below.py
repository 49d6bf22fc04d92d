"""What retrievers that ask other runnables have in common: `Asking`, and how answers are read.

A retriever below another one is any runnable from a text to documents: a `BaseRetriever`, a chain
that ends with one, a function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from headrace.runnables.coerce import coerce_to_runnable
from headrace.shapes import Node, Pieces

from .base import BaseRetriever

__all__ = ["Asking", "as_retriever", "at_most", "documents_of"]


class Asking(BaseRetriever):
    """A retriever with parts, `_children`, that it asks."""

    @property
    def _async_only(self) -> Any:
        """It has no sync body where a part has none."""
        lacking = (child._async_only for _, child in self._children())
        return next((each for each in lacking if each is not None), None)

    def _reads(self) -> Pieces:
        return Pieces.NONE  # the question is whole before a part is asked

    def _shows(self, number: int) -> bool:
        return False  # the documents come at once, whatever a part does


def as_retriever(thing: Any, where: str) -> Any:
    """The runnable that is asked; `where`: for the error, e.g. `"retrievers[0] of …"`."""
    if isinstance(thing, type):  # it could be called, and so be a function
        raise ConfigError(f"{where} is the class {thing.__name__}: give an instance of it.")
    if hasattr(thing, "as_retriever"):
        raise ConfigError(
            f"{where} is a store, {type(thing).__name__}: give its retriever, store.as_retriever()."
        )
    return coerce_to_runnable(thing, where)


def at_most(k: Any, usual: int | None) -> int | None:
    """How many documents a call wants; None: all.

    Raises:
        InputError: no whole number above 0.
    """
    if k is None:
        return usual
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k is how many documents to give at most, 1 or more; received {k!r}.")
    return k


def documents_of(found: Any, asked: Node) -> list[Document]:
    """What a part has found, as documents: a text counts as one without metadata.

    Raises:
        InputError: it is no list of documents.
    """
    if isinstance(found, Sequence) and not isinstance(found, (str, bytes)):
        made = [Document(each) if isinstance(each, str) else each for each in found]
        wrong = next((each for each in made if not isinstance(each, Document)), None)
        if wrong is None:
            return made
        what = f"a list with {wrong!r:.120} ({type(wrong).__name__})"
    else:
        what = f"{found!r:.120} ({type(found).__name__})"
    raise InputError(
        f"{asked.get_name()} was asked for documents and gave {what}: a retriever gives a list of "
        "Document."
    )
