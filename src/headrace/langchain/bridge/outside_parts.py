"""Headrace's models, tools, retrievers and embeddings as LangChain's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.embeddings import Embeddings as TheirEmbeddings
from langchain_core.language_models import BaseChatModel as TheirChatModel
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever as TheirRetriever
from langchain_core.tools import BaseTool as TheirTool
from pydantic import Field

from ...callbacks.described import info_of
from ...run import _current
from ...runnables.binding import RunnableBinding
from .making import here, there
from .outside import Doors, given_keywords
from .telling import Telling
from .values import to_headrace, to_langchain

__all__ = ["HeadraceChatModel", "HeadraceEmbeddings", "HeadraceRetriever", "HeadraceTool"]

_END = object()


@contextmanager
def _apart() -> Iterator[None]:
    """LangChain tells of this run itself, so that it is no child of the run of ours around it."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def _config(manager: Any) -> dict[str, Any]:
    """The config of a run that is LangChain's: only what happens below it is told."""
    if manager is None or not manager.handlers:
        return {}
    telling = Telling(manager, manager.handlers, own=manager.run_id)
    return {"callbacks": [telling], "run_id": manager.run_id}


class HeadraceChatModel(TheirChatModel):
    """A Headrace chat model as a LangChain one; `as_langchain` makes it.

    Args:
        headrace: Headrace's model.
    """

    headrace: Any = Field(exclude=True)

    @classmethod
    def of(cls, model: Any) -> HeadraceChatModel:
        """The adapter of a model."""
        streams = model._flow().kind == "source"
        off = (getattr(model, "disable_streaming", False) or False) if streams else True
        found = {name: getattr(model, name, None) for name in ("tags", "metadata", "profile")}
        given: dict[str, Any] = {name: one for name, one in found.items() if one is not None}
        if "streaming" in model.model_fields_set and model.streaming is False:
            off = True
        return cls(headrace=model, disable_streaming=off, **given)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.headrace.get_name(suffix, name=name)  # type: ignore[no-any-return]

    @property
    def _llm_type(self) -> str:
        return self.headrace._llm_type  # type: ignore[no-any-return]

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return dict(self.headrace._identifying_params)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.headrace._get_ls_params(stop=stop, **given_keywords(kwargs))

    # ------------------------------------------------------------- calls

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        with _apart():
            result = self.headrace.generate(
                [to_headrace(messages)], stop, **_config(run_manager), **given_keywords(kwargs)
            )
        return _first(result)

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        with _apart():
            result = await self.headrace.agenerate(
                [to_headrace(messages)], stop, **_config(run_manager), **given_keywords(kwargs)
            )
        return _first(result)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        given = _keywords(stop, kwargs)
        stream = self.headrace.stream(to_headrace(messages), _config(run_manager), **given)
        try:
            while True:
                with _apart():
                    chunk = next(stream, _END)
                if chunk is _END:
                    return
                made = _piece(chunk)
                if run_manager is not None:
                    run_manager.on_llm_new_token(made.text, chunk=made)
                yield made
        finally:
            stream.close()

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        given = _keywords(stop, kwargs)
        stream = self.headrace.astream(to_headrace(messages), _config(run_manager), **given)
        try:
            while True:
                with _apart():
                    chunk = await anext(stream, _END)
                if chunk is _END:
                    return
                made = _piece(chunk)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(made.text, chunk=made)
                yield made
        finally:
            await stream.aclose()

    # ------------------------------------------------------------- what is bound

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """This model, told of tools as Headrace's model tells its vendor."""
        bound = self.headrace.bind_tools([_described(tool) for tool in tools], **kwargs)
        return _bound(self, bound)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        """This model, answering with values of `schema`, as Headrace's model does it."""
        return there(self.headrace.with_structured_output(schema, **kwargs))

    # ------------------------------------------------------------- tokens

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of a text, as Headrace's model counts them."""
        return self.headrace.get_token_ids(text)  # type: ignore[no-any-return]

    def get_num_tokens(self, text: str) -> int:
        """How many tokens a text has, as Headrace's model counts them."""
        return self.headrace.get_num_tokens(text)  # type: ignore[no-any-return]

    def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
        """How many tokens a conversation has, as Headrace's model counts them."""
        described = tools and [_described(tool) for tool in tools]
        return self.headrace.get_num_tokens_from_messages(  # type: ignore[no-any-return]
            to_headrace(list(messages)), described
        )


def _keywords(stop: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    given = given_keywords(kwargs)
    return given if stop is None else {"stop": stop, **given}


def _first(result: Any) -> ChatResult:
    """The answers to the one prompt."""
    made = to_langchain(result)
    return ChatResult(generations=made.generations[0], llm_output=made.llm_output)


def _piece(chunk: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=to_langchain(chunk), generation_info=info_of(chunk))


def _described(tool: Any) -> Any:
    """A tool for our `bind_tools`."""
    if isinstance(tool, TheirTool):
        return here(tool)
    return tool


def _bound(model: Any, bound: Any) -> Any:
    """What our model bound, bound in LangChain."""
    if not isinstance(bound, RunnableBinding):
        return there(bound)
    made = model if bound.bound is model.headrace else there(bound.bound)
    made = made.bind(**to_langchain(bound.kwargs))
    return made.with_config(bound.config) if bound.config else made


class HeadraceTool(Doors, TheirTool):
    """A Headrace tool as a LangChain one; `as_langchain` makes it.

    Arguments are checked, errors handled and answers formatted as Headrace's tool does it.

    Args:
        headrace: Headrace's tool.
    """

    headrace: Any = Field(exclude=True)

    @classmethod
    def of(cls, tool: Any) -> HeadraceTool:
        """The adapter of a tool."""
        given = {name: getattr(tool, name) for name in _TOOL if getattr(tool, name) is not None}
        schema = tool.args_schema if tool.args_schema is not None else tool.get_input_schema()
        return cls(
            headrace=tool,
            name=tool.name,
            description=tool.description,
            args_schema=schema,
            **given,
        )

    @property
    def tool_call_schema(self) -> Any:
        """What a model is told of the arguments, as Headrace's tool says it."""
        return self.headrace.tool_call_schema

    def _run(self, *args: Any, run_manager: Any = None, **kwargs: Any) -> Any:
        """For LangChain's older door `run`; the others call Headrace's tool whole."""
        with _apart():
            given = to_headrace(args[0] if args else kwargs)
            return to_langchain(self.headrace.invoke(given, _config(run_manager)))

    async def _arun(self, *args: Any, run_manager: Any = None, **kwargs: Any) -> Any:
        """The same for `arun`."""
        with _apart():
            given = to_headrace(args[0] if args else kwargs)
            return to_langchain(await self.headrace.ainvoke(given, _config(run_manager)))


_TOOL = ("return_direct", "tags", "metadata", "response_format", "extras")


class HeadraceRetriever(Doors, TheirRetriever):
    """A Headrace retriever as a LangChain one; `as_langchain` makes it.

    Args:
        headrace: Headrace's retriever.
    """

    headrace: Any = Field(exclude=True)

    @classmethod
    def of(cls, retriever: Any) -> HeadraceRetriever:
        """The adapter of a retriever."""
        return cls(headrace=retriever, tags=retriever.tags, metadata=retriever.metadata)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.headrace.get_name(suffix, name=name)  # type: ignore[no-any-return]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
        with _apart():
            return to_langchain(self.headrace.invoke(query, _config(run_manager)))


class HeadraceEmbeddings(TheirEmbeddings):
    """Headrace's embeddings as LangChain's; `as_langchain` makes it.

    Args:
        embeddings: Headrace's; kept as `headrace`.
    """

    def __init__(self, embeddings: Any) -> None:
        self.headrace = embeddings

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.headrace.embed_documents(texts)  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        return self.headrace.embed_query(text)  # type: ignore[no-any-return]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await self.headrace.aembed_documents(texts)  # type: ignore[no-any-return]

    async def aembed_query(self, text: str) -> list[float]:
        return await self.headrace.aembed_query(text)  # type: ignore[no-any-return]
