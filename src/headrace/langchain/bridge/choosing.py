"""Which adapter a thing gets: the tables of `from_langchain` and `as_langchain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings as TheirEmbeddings
from langchain_core.language_models import BaseChatModel as TheirChatModel
from langchain_core.language_models import BaseLLM as TheirLLM
from langchain_core.retrievers import BaseRetriever as TheirRetriever
from langchain_core.runnables import Runnable as TheirRunnable
from langchain_core.runnables import RunnableBinding as TheirBinding
from langchain_core.tools import BaseTool as TheirTool

from ...embeddings import Embeddings
from ...language_models.chat_models import BaseChatModel
from ...retrievers import BaseRetriever
from ...runnables.binding import RunnableBinding
from ...runnables.coerce import coerce_to_runnable
from ...tools.base import BaseTool
from .making import makers
from .models import LangChainChatModel, LangChainLLM
from .outside import HeadraceRunnable
from .outside_parts import HeadraceChatModel, HeadraceEmbeddings, HeadraceRetriever, HeadraceTool
from .parts import LangChainEmbeddings, LangChainRetriever, LangChainTool
from .steps import LangChainRunnable

__all__ = ["as_theirs", "from_theirs"]


def from_theirs(thing: Any) -> Any:
    """What `from_langchain` makes of a thing; None where it is nothing of LangChain's."""
    original = getattr(thing, "headrace", None) if isinstance(thing, _MADE_THERE) else None
    if original is not None:
        return original
    return next((make(thing) for kind, make in _FROM if isinstance(thing, kind)), None)


def as_theirs(thing: Any) -> Any:
    """What `as_langchain` makes of a thing.

    Raises:
        InputError: nothing can be made of it.
    """
    original = getattr(thing, "langchain", None) if isinstance(thing, _MADE_HERE) else None
    if original is not None:
        return original
    for kind, make in _AS:
        if isinstance(thing, kind):
            return make(thing)
    return HeadraceRunnable(coerce_to_runnable(thing, "for as_langchain"))


def _from_binding(binding: Any) -> Any:
    """A binding of LangChain's is one here, where it is no more than that."""
    plain = type(binding).__module__ == TheirBinding.__module__
    if not plain or binding.config_factories or binding.config.get("callbacks"):
        return LangChainRunnable(binding)
    made = from_theirs(binding.bound)
    if binding.kwargs:
        made = made.bind(**binding.kwargs)
    config = {key: value for key, value in binding.config.items() if value}
    return made.with_config(config) if config else made


def _as_binding(binding: Any) -> Any:
    """A binding of ours is one there, where it is no more than that."""
    if binding.config_factories or binding.config.get("callbacks"):
        return HeadraceRunnable(binding)
    made = as_theirs(binding.bound)
    if binding.kwargs:
        made = made.bind(**binding.kwargs)
    return made.with_config(binding.config) if binding.config else made


_Table = tuple[tuple[type, Callable[[Any], Any]], ...]

_FROM: _Table = (
    (TheirChatModel, LangChainChatModel.of),
    (TheirLLM, LangChainLLM.of),
    (TheirTool, LangChainTool.of),
    (TheirRetriever, LangChainRetriever.of),
    (TheirEmbeddings, LangChainEmbeddings),
    (TheirBinding, _from_binding),
    (TheirRunnable, LangChainRunnable),
)
_AS: _Table = (
    (BaseChatModel, HeadraceChatModel.of),
    (BaseTool, HeadraceTool.of),
    (BaseRetriever, HeadraceRetriever.of),
    (Embeddings, HeadraceEmbeddings),
    (RunnableBinding, _as_binding),
)
_MADE_THERE = (
    *(HeadraceRunnable, HeadraceChatModel, HeadraceTool, HeadraceRetriever, HeadraceEmbeddings),
)
_MADE_HERE = (
    *(LangChainRunnable, LangChainChatModel, LangChainLLM, LangChainTool, LangChainRetriever),
    LangChainEmbeddings,
)

makers.update(here=from_theirs, there=as_theirs)
