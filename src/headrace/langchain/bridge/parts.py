"""LangChain's tools, retrievers, embeddings and bindings as Headrace's."""

from __future__ import annotations

from typing import Any

import langchain_core.tools as their_tools
from langchain_core.retrievers import BaseRetriever as TheirRetriever
from pydantic import Field

from ...documents import Document
from ...embeddings import Embeddings
from ...retrievers import BaseRetriever
from ...run import Run
from ...shapes import Kwargs
from ...tools.base import BaseTool
from .calling import overrides
from .steps import invoked, invoked_async

__all__ = ["LangChainEmbeddings", "LangChainRetriever", "LangChainTool"]


class LangChainTool(BaseTool):
    """A LangChain tool as a Headrace one; `from_langchain` makes it.

    Arguments are checked, errors handled and answers formatted as LangChain's tool does it.

    Args:
        langchain: LangChain's tool.
    """

    langchain: Any = Field(exclude=True)

    @classmethod
    def of(cls, tool: Any) -> LangChainTool:
        """The adapter of a tool."""
        found = {name: getattr(tool, name, None) for name in _TOOL}
        given: dict[str, Any] = {name: one for name, one in found.items() if one is not None}
        return cls(langchain=tool, name=tool.name, description=tool.description, **given)

    @property
    def tool_call_schema(self) -> Any:
        """What a model is told of the arguments, as LangChain's tool says it."""
        return self.langchain.tool_call_schema

    def _schema(self) -> Any:
        return self.langchain.get_input_schema()

    @property
    def _async_only(self) -> Any:
        tool = self.langchain
        lacks = getattr(tool, "coroutine", None) is not None and getattr(tool, "func", 0) is None
        return self if lacks else None

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Called by nobody: `_value` asks LangChain's tool for the whole call."""
        return self.langchain._run(*args, **kwargs)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return invoked(self.langchain, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await invoked_async(
            self.langchain, value, run, kw, in_thread=_blocks(self.langchain)
        )


_TOOL = ("args_schema", "return_direct", "tags", "metadata", "response_format", "extras")


def _blocks(tool: Any) -> bool:
    """Whether a tool has a sync body alone."""
    if isinstance(tool, (their_tools.StructuredTool, their_tools.Tool)):
        return tool.coroutine is None
    return not overrides(tool, "_arun", "ainvoke", base=their_tools.BaseTool)


class LangChainRetriever(BaseRetriever):
    """A LangChain retriever as a Headrace one; `from_langchain` makes it.

    Args:
        langchain: LangChain's retriever.
    """

    langchain: Any = Field(exclude=True)

    @classmethod
    def of(cls, retriever: Any) -> LangChainRetriever:
        """The adapter of a retriever."""
        return cls(langchain=retriever, tags=retriever.tags, metadata=retriever.metadata)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.langchain.get_name(suffix, name=name)  # type: ignore[no-any-return]

    def _get_ls_params(self, **kwargs: Any) -> dict[str, Any]:
        return dict(self.langchain._get_ls_params(**kwargs))

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return list(invoked(self.langchain, query, run_manager.run, {}))

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return invoked(self.langchain, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        blocks = not overrides(
            self.langchain, "_aget_relevant_documents", "ainvoke", base=TheirRetriever
        )
        return await invoked_async(self.langchain, value, run, kw, in_thread=blocks)


class LangChainEmbeddings(Embeddings):
    """LangChain's embeddings as Headrace's; `from_langchain` makes it.

    Args:
        embeddings: LangChain's; kept as `langchain`.
    """

    def __init__(self, embeddings: Any) -> None:
        self.langchain = embeddings

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.langchain.embed_documents(texts)  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        return self.langchain.embed_query(text)  # type: ignore[no-any-return]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await self.langchain.aembed_documents(texts)  # type: ignore[no-any-return]

    async def aembed_query(self, text: str) -> list[float]:
        return await self.langchain.aembed_query(text)  # type: ignore[no-any-return]
