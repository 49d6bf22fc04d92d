"""LangChain's models as Headrace's: what `from_langchain` makes of chat models and text models.

The model asks its vendor, counts, caches and limits as it does in LangChain. Everything around a
call is Headrace's: runs and their events, streams and their closing, `with_structured_output` that
streams growing values, Headrace's own cache if there is one.

`bind_tools` and `with_structured_output` ask LangChain's model how its vendor is told (each
integration has words of its own), and bind that; what then comes is read by Headrace. Where an
integration does more than bind keyword arguments, its own runnable is taken whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel as TheirChatModel
from langchain_core.language_models import BaseLLM as TheirLLM
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.runnables import RunnableBinding as TheirBinding
from langchain_core.runnables import RunnableSequence as TheirSequence
from pydantic import BaseModel, Field

from ..._bridge import call_in_thread, stream_in_thread
from ...flow import Once
from ...language_models.base import BaseLanguageModel
from ...language_models.chat_models import BaseChatModel
from ...language_models.llms import BaseLLM
from ...language_models.structured import Structured, _parser
from ...messages import AIMessageChunk, BaseMessage
from ...outputs import ChatGenerationChunk, ChatResult, GenerationChunk, LLMResult
from ...shapes import Flow, Kwargs
from ...tools.base import BaseTool
from .calling import called, converted, overrides, theirs, theirs_async
from .making import here, there
from .values import to_headrace, to_langchain

__all__ = ["LangChainChatModel", "LangChainLLM"]


class _Model(BaseModel):
    """What both kinds have.

    Args:
        langchain: LangChain's model.
    """

    langchain: Any = Field(exclude=True)
    streaming: bool | None = None

    @classmethod
    def of(cls, model: Any) -> Any:
        """The adapter of a model, with its tags, metadata and wish to stream."""
        given = {name: getattr(model, name, None) for name in _SAME}
        if "streaming" in model.model_fields_set:
            given["streaming"] = model.streaming
        return cls(langchain=model, **{k: v for k, v in given.items() if v is not None})

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.langchain.get_name(suffix, name=name)  # type: ignore[no-any-return]

    @property
    def _llm_type(self) -> str:
        return self.langchain._llm_type  # type: ignore[no-any-return]

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return dict(self.langchain._identifying_params)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return dict(self.langchain._get_ls_params(stop=stop, **converted(kwargs)))

    # ------------------------------------------------------------- which bodies there are

    def _base(self) -> type:
        raise NotImplementedError

    def _has(self, *bodies: str) -> bool:
        return overrides(self.langchain, *bodies, base=self._base())

    def _streams_with(self, kw: Kwargs) -> bool:
        streams = self._has("_stream", "_astream")
        return streams and BaseLanguageModel._streams_with(self, kw)  # type: ignore[arg-type]

    def _flow(self) -> Flow:
        streams = self._has("_stream", "_astream")
        off = getattr(self, "disable_streaming", None) is True
        return Flow("source" if streams and not off else "barrier")

    # ------------------------------------------------------------- calls

    def _answers(self, prompts: list[Any], stop: Any, manager: Any, kwargs: Kwargs) -> Any:
        with called(manager.run, tokens=True) as config:
            given = _told(config, stop, kwargs, several=len(prompts) > 1)
            return to_headrace(self.langchain.generate_prompt(prompts, **given))

    async def _aanswers(self, prompts: list[Any], stop: Any, manager: Any, kwargs: Kwargs) -> Any:
        if not self._has("_agenerate", "_astream"):
            return await call_in_thread(self._answers, prompts, stop, manager, kwargs)
        with called(manager.run, tokens=True) as config:
            given = _told(config, stop, kwargs, several=len(prompts) > 1)
            return to_headrace(await self.langchain.agenerate_prompt(prompts, **given))

    def _pieces(self, prompt: Any, stop: Any, manager: Any, kwargs: Kwargs) -> Iterator[Any]:
        with called(manager.run) as config:
            stream = self.langchain.stream(prompt, config, stop=stop, **converted(kwargs))
            yield from theirs(stream, manager.run)

    async def _apieces(
        self, prompt: Any, stop: Any, manager: Any, kwargs: Kwargs
    ) -> AsyncIterator[Any]:
        stream: Any
        if self._has("_astream"):
            stream = self._astreamed_pieces(prompt, stop, manager, kwargs)
        else:
            work = partial(self._pieces, prompt, stop, manager, kwargs)
            stream = stream_in_thread(self, lambda _: work(), Once(prompt))
        async with aclosing(stream):
            async for piece in stream:
                yield piece

    async def _astreamed_pieces(
        self, prompt: Any, stop: Any, manager: Any, kwargs: Kwargs
    ) -> AsyncIterator[Any]:
        with called(manager.run) as config:
            opened = self.langchain.astream(prompt, config, stop=stop, **converted(kwargs))
            stream: Any = theirs_async(opened, manager.run)
            async with aclosing(stream):
                async for piece in stream:
                    yield piece

    # ------------------------------------------------------------- tokens

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of a text, as LangChain's model counts them."""
        return self.langchain.get_token_ids(text)  # type: ignore[no-any-return]

    def get_num_tokens(self, text: str) -> int:
        """How many tokens a text has, as LangChain's model counts them."""
        return self.langchain.get_num_tokens(text)  # type: ignore[no-any-return]

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None
    ) -> int:
        """How many tokens a conversation has, as LangChain's model counts them."""
        given = to_langchain(self._messages_in(messages))  # type: ignore[attr-defined]
        more = {} if tools is None else {"tools": [_described(tool) for tool in tools]}
        return self.langchain.get_num_tokens_from_messages(given, **more)  # type: ignore[no-any-return]


_SAME = ("tags", "metadata", "disable_streaming", "profile")
_CALL = ("tags", "metadata")
_RUN = ("callbacks", "run_name", "run_id")


def _told(config: Mapping[str, Any], stop: Any, kwargs: Kwargs, *, several: bool) -> dict[str, Any]:
    """The arguments of `generate_prompt`. Of several prompts that are asked together, each has a
    run of ours, which is told here."""
    names = _CALL if several else (*_CALL, *_RUN)
    told = {name: config[name] for name in names if config.get(name) is not None}
    return {**told, "stop": stop, **converted(kwargs)}


def _described(tool: Any) -> Any:
    """A tool for LangChain's `bind_tools`."""
    if isinstance(tool, BaseTool):
        return there(tool)
    return tool


class LangChainChatModel(_Model, BaseChatModel):
    """A LangChain chat model as a Headrace one; `from_langchain` makes it.

    Args:
        langchain: LangChain's model.
    """

    def _base(self) -> type:
        return TheirChatModel

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _first(self._answers([_prompt(messages)], stop, run_manager, kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _first(await self._aanswers([_prompt(messages)], stop, run_manager, kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in self._pieces(_prompt(messages), stop, run_manager, kwargs):
            yield _chunk(piece)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        pieces: Any = self._apieces(_prompt(messages), stop, run_manager, kwargs)
        async with aclosing(pieces):
            async for piece in pieces:
                yield _chunk(piece)

    # ------------------------------------------------------------- what is bound

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """This model, told of tools in its integration's words.

        Args:
            tools: Headrace's tools, or what LangChain's `bind_tools` takes.
            kwargs: as for LangChain's `bind_tools`, e.g. `tool_choice`.
        """
        bound = self.langchain.bind_tools([_described(tool) for tool in tools], **kwargs)
        return self._bound(bound)

    def _bound(self, bound: Any) -> Any:
        """What LangChain bound, bound here."""
        if not isinstance(bound, TheirBinding):
            return here(bound)
        model = self if bound.bound is self.langchain else here(bound.bound)
        made: Any = model.bind(**bound.kwargs)
        return made.with_config(_kept(bound.config)) if _kept(bound.config) else made

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Any:
        """This model, answering with values of `schema`: told so in its integration's words, and
        read as `BaseChatModel.with_structured_output` says.

        Args:
            schema: as there.
            include_raw: as there.
            kwargs: `method`, `strict` and more, as the integration has them.
        """
        from ...output_parsers.arguments import as_function

        asked = {key: value for key, value in kwargs.items() if value is not None}
        made = self.langchain.with_structured_output(as_function(schema), **asked)
        first = made.first if isinstance(made, TheirSequence) else None
        if not isinstance(first, TheirBinding) or not isinstance(first.bound, TheirChatModel):
            whole = self.langchain.with_structured_output(schema, include_raw=include_raw, **asked)
            return here(whole)
        calls = "tools" in first.kwargs and "response_format" not in first.kwargs
        names = tuple(_names(first.kwargs["tools"])) if calls else ()
        reader = Structured(
            _parser(schema, calls=calls), calls=calls, tools=names, include_raw=include_raw
        )
        return self._bound(first) | reader


def _names(tools: Sequence[Any]) -> Iterator[str]:
    """The names of tools in any vendor's form; of one that is not known, none at all."""
    for tool in tools:
        name = tool.get("function", tool).get("name") if isinstance(tool, Mapping) else None
        if isinstance(name, str):
            yield name


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    """A binding's config, without what only LangChain can call."""
    return {k: v for k, v in config.items() if v and k != "callbacks"}


def _prompt(messages: list[BaseMessage]) -> Any:
    return ChatPromptValue.model_construct(messages=to_langchain(messages))


def _first(result: LLMResult) -> ChatResult:
    """The answers to the one prompt. What LangChain says of the call it has put into the message
    already; the rest of its `llm_output` is sums over no calls."""
    (row,) = result.generations
    told = result.llm_output
    if told and len(row) == 1:
        said = row[0].message.response_metadata  # type: ignore[attr-defined]
        told = {key: value for key, value in told.items() if key in said}
    return ChatResult(generations=row, llm_output=told)  # type: ignore[arg-type]


def _chunk(piece: Any) -> ChatGenerationChunk:
    """A piece of a stream; a model that cannot stream in this colour gives a whole message."""
    if not isinstance(piece, AIMessageChunk):
        fields = {k: v for k, v in piece._fields().items() if k != "type" and v}
        piece = AIMessageChunk(**{"content": "", **fields, "chunk_position": "last"})
    return ChatGenerationChunk(message=piece)


class LangChainLLM(_Model, BaseLLM):
    """A LangChain text model as a Headrace one; `from_langchain` makes it.

    Args:
        langchain: LangChain's model.
    """

    def _base(self) -> type:
        return TheirLLM

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        asked = [StringPromptValue(text=prompt) for prompt in prompts]
        return self._answers(asked, stop, run_manager, kwargs)  # type: ignore[no-any-return]

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> LLMResult:
        asked = [StringPromptValue(text=prompt) for prompt in prompts]
        return await self._aanswers(asked, stop, run_manager, kwargs)  # type: ignore[no-any-return]

    def _stream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        for piece in self._pieces(prompt, stop, run_manager, kwargs):
            yield GenerationChunk(text=piece)

    async def _astream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        pieces: Any = self._apieces(prompt, stop, run_manager, kwargs)
        async with aclosing(pieces):
            async for piece in pieces:
                yield GenerationChunk(text=piece)
