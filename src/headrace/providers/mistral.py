"""Mistral's chat models and embeddings, over Mistral's SDK.

Source: https://docs.mistral.ai/api. The chat models speak a dialect of the Chat Completions
protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from headrace.errors import BadRequestError
from headrace.language_models.structured import Modes
from headrace.messages import BaseMessage

from ._base.answer import Answer
from ._base.embeddings import ProviderEmbeddings
from ._base.provider import named
from ._chat.request import CHOICES
from ._mistral.reader import MistralReader
from ._mistral.request import mistral_messages, prefix_of
from ._mistral.sdk import MistralChatSdk, MistralSdk

__all__ = ["ChatMistralAI", "MistralAIEmbeddings"]

_FIELDS: Final = (
    "temperature", "max_tokens", "top_p", "stop", "random_seed", "safe_prompt", "n",
    "frequency_penalty", "presence_penalty", "parallel_tool_calls", "reasoning_effort",
    "prompt_mode", "response_format",
)  # fmt: skip


class ChatMistralAI(MistralChatSdk):
    """A chat model of Mistral's.

        ChatMistralAI(model="mistral-large-latest")                      # MISTRAL_API_KEY

    A message of the model's own at the end of the input is the beginning of its answer; what comes
    is the rest.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature, top_p: how freely the words are drawn.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        random_seed: makes answers repeatable, as far as Mistral can (also `seed`).
        safe_prompt: put Mistral's words about safety before the conversation (also `safe_mode`).
        n: candidates for one prompt; `generate` gives all of them.
        frequency_penalty, presence_penalty: from -2 to 2, against repetition.
        parallel_tool_calls: whether one answer may have several tool calls.
        reasoning_effort: how long the model thinks, e.g. "high", "none".
        prompt_mode: "reasoning" for Mistral's own system prompt of models that think.
        response_format: Mistral's; `with_structured_output` sets it for you.
        base_url: address of the API, with or without `/v1` (also `endpoint`).
        max_retries: None: none, as the SDK does.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        api_key: a text, or a function that gives it; None: the environment variable's.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters, by the provider's names.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    structured_modes: ClassVar[Modes] = ("json_schema", "function_calling", "json_mode")
    _settable: ClassVar[tuple[str, ...]] = _FIELDS
    _sdk_calls: ClassVar[tuple[str, ...]] = ("mistralai.client.chat:Chat.complete",)
    takes_prefix: ClassVar[bool] = True
    repeats_prefix: ClassVar[bool | None] = False  # the reader leaves out what Mistral repeats

    random_seed: int | None = named("random_seed", "seed")
    safe_prompt: bool | None = named("safe_prompt", "safe_mode")
    n: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    prompt_mode: str | None = None
    response_format: Any = None

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        said = mistral_messages(messages, self.provider)
        told = {**self._settings(), **self.model_kwargs, **given}
        request: dict[str, Any] = {"model": self.model, "messages": said}
        request |= {name: value for name, value in told.items() if value is not None}
        if stop:
            request["stop"] = stop
        if "seed" in request:
            request["random_seed"] = request.pop("seed")
        request |= request.pop("extra_body", None) or {}
        choice = request.get("tool_choice")
        if isinstance(choice, str) and choice not in CHOICES:
            request["tool_choice"] = {"type": "function", "function": {"name": choice}}
        if not request.get("tools"):
            request.pop("parallel_tool_calls", None)
        return request

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        return MistralReader(self.provider, prefix=prefix_of(request))


_ROOM: Final = 16_000  # tokens that one request for embeddings may have, by Mistral's count
_BYTES: Final = 3  # of a token, on the short side, since there is no tokenizer here
_TOO_MANY: Final = re.compile(r"too many (inputs|tokens)", re.IGNORECASE)


class MistralAIEmbeddings(MistralSdk, ProviderEmbeddings):
    """An embedding model of Mistral's, "mistral-embed" by default.

        MistralAIEmbeddings(model="mistral-embed")                       # MISTRAL_API_KEY

    Requests have at most 256 texts and about 16,000 tokens. One that has too many all the same is
    asked in two halves.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        dimensions: length of the vectors, where the model has a choice.
        batch_size: texts in one request.
        max_concurrency: requests at a time in async code (also `max_concurrent_requests`).
        timeout: seconds to wait for the connection, and for the answer.
        max_retries: how often the SDK asks again; None: not at all, as it does by itself.
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
    """

    _most: ClassVar[int] = 256

    model: str = named("model", "model_name", default="mistral-embed")
    max_concurrency: int = named("max_concurrency", "max_concurrent_requests", default=4, ge=1)

    def _function(self, sdk: Any, *, is_async: bool) -> Any:
        return sdk.embeddings.create_async if is_async else sdk.embeddings.create

    def _request(self, texts: Sequence[str], *, query: bool) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self.model, "inputs": list(texts)}
        if self.dimensions is not None:
            request["output_dimension"] = self.dimensions
        return request

    def _vectors(self, answer: Mapping[str, Any]) -> list[list[float]]:
        found = sorted(answer["data"], key=lambda each: each["index"])
        return [each["embedding"] for each in found]

    def _batches(self, texts: Sequence[str]) -> list[Sequence[str]]:
        return [part for batch in super()._batches(texts) for part in _by_size(batch)]

    def _embedded(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        try:
            return super()._embedded(texts, query=query)
        except BadRequestError as error:
            halves = _halves(texts, error)
        return [vector for half in halves for vector in self._embedded(half, query=query)]

    async def _aembedded(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        try:
            return await super()._aembedded(texts, query=query)
        except BadRequestError as error:
            halves = _halves(texts, error)
        return [vector for half in halves for vector in await self._aembedded(half, query=query)]


def _by_size(texts: Sequence[str]) -> list[Sequence[str]]:
    """Texts in parts that a request has room for; a text that is too long is a part of its own."""
    parts: list[list[str]] = [[]]
    left = _ROOM
    for text in texts:
        size = len(text.encode()) // _BYTES + 1
        if size > left:
            parts.append([])
            left = _ROOM
        parts[-1].append(text)
        left -= size
    return [part for part in parts if part]


def _halves(texts: Sequence[str], error: BadRequestError) -> tuple[Sequence[str], Sequence[str]]:
    """The texts of a request that had too many; the error, where that was not it."""
    if len(texts) < 2 or not _TOO_MANY.search(error.provider_message or ""):
        raise error
    middle = len(texts) // 2
    return texts[:middle], texts[middle:]
