"""`create_retriever_tool`: a retriever as a tool of one argument, the query.

    search = create_retriever_tool(retriever, "search_docs", "Search the handbook.")
    search.invoke({"query": "parental leave"})    # the documents' texts, an empty line between them

What the retriever does is a run below the tool's.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ..documents import Document
from ..errors import ConfigError
from ..prompts import BasePromptTemplate, aformat_document, format_document
from ..runnables import Runnable
from .structured import StructuredTool

__all__ = ["RetrieverInput", "create_retriever_tool"]


class RetrieverInput(BaseModel):
    """What a retriever's tool is called with."""

    query: str = Field(description="what to look for")


def create_retriever_tool(
    retriever: Any,
    name: str,
    description: str,
    *,
    document_prompt: BasePromptTemplate[str] | None = None,
    document_separator: str = "\n\n",
    response_format: Literal["content", "content_and_artifact"] = "content",
    **fields: Any,
) -> StructuredTool:
    """A tool that answers with the documents a retriever finds, as one text.

    Args:
        retriever: a retriever, or any runnable from a text to a list of documents.
        name: what models call it by.
        description: for the model: what is to be found there, and when to look.
        document_prompt: makes a document's text, of the variable `page_content` and those of the
            metadata; without one it is the document's content.
        document_separator: what stands between two of them.
        response_format: "content_and_artifact": the list of the documents is the artifact of the
            message that answers a tool call.
        fields: further fields of the tool, e.g. `timeout`.

    Raises:
        ConfigError: `retriever` is no runnable.
        InputError: on a call: a document's metadata lacks a variable of the prompt.
    """
    if not isinstance(retriever, Runnable):
        raise ConfigError(
            f"create_retriever_tool() makes a tool of a retriever; received {retriever!r} "
            f"({type(retriever).__name__}). Of a vector store it is store.as_retriever()."
        )

    def answer(texts: list[str], found: list[Document]) -> Any:
        text = document_separator.join(texts)
        return (text, found) if response_format == "content_and_artifact" else text

    def look_up(query: str) -> Any:
        found = retriever.invoke(query)
        if document_prompt is None:
            return answer([each.page_content for each in found], found)
        return answer([format_document(each, document_prompt) for each in found], found)

    async def alook_up(query: str) -> Any:
        found = await retriever.ainvoke(query)
        if document_prompt is None:
            return answer([each.page_content for each in found], found)
        return answer([await aformat_document(each, document_prompt) for each in found], found)

    return StructuredTool(
        name=name,
        description=description,
        func=look_up,
        coroutine=alook_up,
        args_schema=RetrieverInput,
        response_format=response_format,
        **fields,
    )
