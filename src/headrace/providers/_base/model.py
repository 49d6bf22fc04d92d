"""`ProviderChatModel`: what the chat models of all providers share. One call takes one path:

    messages ── _request ──> the SDK's arguments ── transport ──> events ── reader ──> chunks

A vendor's class says `_request` and `_reader`, and its transport: `_whole_answer` and `_events`,
with async twins, which do nothing but call the SDK; and which exceptions of the SDK's mean what
(`_fault_of`). A whole answer goes through the same reader as a stream, so that both say the same.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, ClassVar

from pydantic import AliasChoices, Field, field_validator

from headrace._bridge import call_in_thread
from headrace.language_models.chat_models import BaseChatModel
from headrace.merge import merge
from headrace.messages import BaseMessage, message_chunk_to_message
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from .advice import ADVICE
from .answer import Answer
from .calls import refuse_calls
from .errors import Fault
from .keys import compared
from .provider import Call, Key, Provider, cause_of, named
from .words import heard, load_words, words_are_loaded

__all__ = ["WHOLE", "ChatCall", "Key", "ProviderChatModel", "named"]


WHOLE = "whole answer"
"""The key of the one event of a stream that the server answered as a whole."""


class ChatCall(Call):
    """A request to a chat model, with the reader of its answer."""

    __slots__ = ("reader",)

    def __init__(self, request: dict[str, Any], reader: Answer, *, streams: bool = False) -> None:
        super().__init__(request, streams=streams)
        self.reader = reader

    def partial(self) -> Any:
        """The merge of the chunks that came."""
        return self.reader.partial()


class ProviderChatModel(Provider, BaseChatModel):
    """Base of the providers' chat models.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature: 0 for the likeliest words; the provider's default without it.
        max_tokens: longest answer, in tokens.
        top_p: share of the likeliest words, from 0 to 1, that answers are drawn from.
        stop: texts that end the answer (also `stop_sequences`).
        timeout: seconds to wait for the connection, and for each piece of the answer; or what the
            SDK takes in its place.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: as
            the SDK does.
        api_key: the key; without it, the provider's environment variable counts. It shows nowhere.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters, by the provider's names.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams, where the provider wants to be asked; None:
            where it is known to understand.

    Raises:
        MissingExtraError: the provider's SDK is not installed; when the model is made.
        ProviderError: what the provider said instead of an answer; see `headrace.errors`.
    """

    _advice: ClassVar[Mapping[str, str]] = ADVICE
    _settable: ClassVar[tuple[str, ...]] = ("temperature", "max_tokens", "top_p", "stop")
    """Fields that are parameters of each request; a call may give them too."""
    _more_words: ClassVar[tuple[str, ...]] = ()
    """What else a call may be told, beside what the SDK documents."""
    _sdk_calls: ClassVar[tuple[str, ...]] = ()
    """Where the SDK documents the parameters of its calls: "module:Class.function" each."""
    _not_said: ClassVar[tuple[str, ...]] = ("stream", "stream_usage")
    """Keywords of a call that are no part of a request."""

    model: str = Field(validation_alias=AliasChoices("model", "model_name"))
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop: list[str] | None = named("stop", "stop_sequences")
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    streaming: bool = False
    stream_usage: bool | None = None

    @field_validator("max_tokens", check_fields=False)
    @classmethod
    def _at_least_one(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError("an answer has at least 1 token: give more, or None")
        return value

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self.model

    @property
    def _llm_type(self) -> str:
        return f"{self.provider}-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, **compared("", self._settings()), **self._what_counts()}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        return {**super()._get_ls_params(stop, **kwargs), "ls_provider": self.provider}

    # ---- what vendors write ---------------------------------------------------------------------

    @abstractmethod
    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        """The SDK's arguments for a call; `given` are the call's own keywords."""

    @abstractmethod
    def _reader(self, request: Mapping[str, Any]) -> Answer:
        """What reads the answer to a request."""

    @abstractmethod
    def _whole_answer(self, client: Any, call: ChatCall) -> Mapping[str, Any]:
        """The answer to a request, whole, as the wire has it."""

    @abstractmethod
    async def _awhole_answer(self, client: Any, call: ChatCall) -> Mapping[str, Any]:
        """`_whole_answer`, async."""

    @abstractmethod
    def _events(self, client: Any, call: ChatCall) -> Iterator[Mapping[str, Any]]:
        """The events of a stream; a generator that closes the response when it is closed."""

    @abstractmethod
    def _aevents(self, client: Any, call: ChatCall) -> AsyncIterator[Mapping[str, Any]]:
        """`_events`, async."""

    def _settings(self) -> dict[str, Any]:
        """The parameters of each request that are set on the model, by the names of its fields."""
        found = {name: getattr(self, name) for name in self._settable}
        return {name: value for name, value in found.items() if value is not None}

    # ---- the four ways to ask -------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, kwargs, stream=False)
        try:
            return self._result_of(self._whole_answer(self._client(), call), call)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = await self._acall(messages, stop, kwargs, stream=False)
        try:
            answer = await self._awhole_answer(await self._aclient(), call)
            return self._result_of(answer, call)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._call(messages, stop, kwargs, stream=True)
        try:
            with closing(self._events(self._client(), call)) as events:  # type: ignore[type-var]
                for event in events:
                    for message in self._read(event, call):
                        yield ChatGenerationChunk(message)
            for message in self._ended(call):
                yield ChatGenerationChunk(message)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = await self._acall(messages, stop, kwargs, stream=True)
        over = False
        try:
            client = await self._aclient()
            async with aclosing(self._aevents(client, call)) as events:  # type: ignore[type-var]
                async for event in events:
                    for message in self._read(event, call):
                        yield ChatGenerationChunk(message)
            over = True
            for message in self._ended(call):
                yield ChatGenerationChunk(message)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)
        finally:
            if not over:
                await _let_go()

    def _call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> ChatCall:
        told = heard(type(self), given)
        given = {name: value for name, value in told.items() if name not in self._not_said}
        told_here = given.pop("stop", None)  # under another name
        wanted = stop or told_here or self.stop
        ends = [wanted] if isinstance(wanted, str) else wanted
        refuse_calls(messages)
        request = self._request(messages, ends, given, stream=stream)
        return ChatCall(request, self._reader(request), streams=stream)

    async def _acall(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> ChatCall:
        """`_call`; the SDK is imported in a thread."""
        if not words_are_loaded(type(self), given):
            await call_in_thread(load_words, type(self))
        return self._call(messages, stop, given, stream=stream)

    def _read(self, event: Mapping[str, Any], call: ChatCall) -> Any:
        told = call.reader.failure(event.get(WHOLE, event))
        if told is not None:
            raise self._reported(told, call)
        if WHOLE in event:
            call.reader.settled = True
            return call.reader.whole(event[WHOLE])
        return call.reader.feed(event)

    def _ended(self, call: ChatCall) -> Any:
        return () if call.reader.settled else call.reader.finish()

    def _result_of(self, answer: Mapping[str, Any], call: ChatCall) -> ChatResult:
        """All candidates of a whole answer."""
        told = call.reader.failure(answer)
        if told is not None:
            raise self._error(Fault(None, told, call.headers), call)
        generations = [
            ChatGeneration(message=message_chunk_to_message(merge(chunks)))
            for chunks in call.reader.candidates(answer)
        ]
        return ChatResult(generations=generations)


async def _let_go() -> None:
    """Let the loop close the generators inside an SDK that was left in the middle of a stream: it
    does so in tasks of its own, one for each level, which nobody should find still at work."""
    for _ in range(_LEVELS):
        await asyncio.sleep(0)


_LEVELS = 16  # turns of the loop; 5 were seen with httpx2, 9 with httpx under Cohere's SDK
