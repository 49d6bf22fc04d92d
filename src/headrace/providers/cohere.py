"""Cohere's chat models and embeddings, over Cohere's SDK and its API v2.

Source: https://docs.cohere.com/v2/reference/chat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from headrace.language_models.structured import Modes
from headrace.messages import BaseMessage

from ._base.answer import Answer
from ._base.embeddings import ProviderEmbeddings
from ._base.provider import named
from ._cohere.reader import CohereReader
from ._cohere.request import cohere_messages, cohere_options
from ._cohere.sdk import CohereChatSdk, CohereSdk

__all__ = ["ChatCohere", "CohereEmbeddings"]

_FIELDS: Final = (
    "temperature", "max_tokens", "top_p", "stop", "top_k", "seed", "frequency_penalty",
    "presence_penalty", "logprobs", "safety_mode", "thinking", "documents", "citation_options",
    "strict_tools", "response_format",
)  # fmt: skip


class ChatCohere(CohereChatSdk):
    """A chat model of Cohere's.

        ChatCohere(model="command-a-03-2025")             # COHERE_API_KEY or CO_API_KEY

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature: 0 for the likeliest words.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        top_p, top_k: Cohere's `p` and `k`, by which they may be given as well.
        seed: makes answers repeatable, as far as Cohere can.
        frequency_penalty, presence_penalty: from 0 to 1, against repetition.
        logprobs: tell the tokens' logarithmic probabilities, in `response_metadata["logprobs"]`.
        safety_mode: "CONTEXTUAL", "STRICT" or "OFF".
        thinking: e.g. `{"type": "enabled", "token_budget": 500}`, `{"type": "disabled"}`.
        documents: what the answer is to be drawn from, and may cite: texts, `Document`s, dicts.
        citation_options: e.g. `{"mode": "FAST"}`, `{"mode": "OFF"}`.
        strict_tools: hold the model to the schemas of its tools.
        response_format: Cohere's; `with_structured_output` sets it for you.
        max_retries: for whole answers, 2 by default; the SDK asks for a stream once.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
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
    _advice: ClassVar[Mapping[str, str]] = {
        **CohereChatSdk._advice,
        "user_agent": "give default_headers={'User-Agent': …}.",
        "preamble": "put a system message before the conversation.",
        "connectors": "API v2 has none: give documents=…, or tools.",
        "conversation_id": "API v2 keeps no conversations: give all messages.",
    }
    _sdk_calls: ClassVar[tuple[str, ...]] = ("cohere.client_v2:ClientV2.chat",)

    top_p: float | None = named("top_p", "p")
    top_k: int | None = named("top_k", "k")
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    safety_mode: str | None = None
    thinking: Mapping[str, Any] | None = None
    documents: Sequence[Any] | None = None
    citation_options: Mapping[str, Any] | None = None
    strict_tools: bool | None = None
    response_format: Any = None

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        options = {**self._settings(), **self.model_kwargs, **given}
        options |= options.pop("extra_body", None) or {}
        options = {name: value for name, value in options.items() if value is not None}
        if stop:
            options["stop"] = stop
        said = cohere_messages(messages, self.provider)
        return {"model": self.model, "messages": said, **cohere_options(options)}

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        mode = str((request.get("citation_options") or {}).get("mode", ""))
        results = any(message["role"] == "tool" for message in request["messages"])
        cites = mode.upper() != "OFF" and (results or bool(request.get("documents")))
        return CohereReader(self.provider, model=request["model"], blocks=cites)


class CohereEmbeddings(CohereSdk, ProviderEmbeddings):
    """An embedding model of Cohere's.

        CohereEmbeddings(model="embed-v4.0")              # COHERE_API_KEY or CO_API_KEY

    Args:
        input_type: what the texts are for; None: "search_document" for documents and
            "search_query" for queries.
        truncate: "END", "START" or "NONE": which side of a text that is too long is left out.
        model: its name, as the provider knows it (also `model_name`).
        dimensions: length of the vectors, where the model has a choice.
        batch_size: texts in one request.
        max_concurrency: requests at a time in async code.
        timeout: seconds to wait for the connection, and for the answer.
        max_retries: how often the SDK asks again; None: as it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
    """

    _most: ClassVar[int] = 96

    input_type: str | None = None
    truncate: str | None = None

    def _function(self, sdk: Any) -> Any:
        return sdk.with_raw_response.embed

    def _request(self, texts: Sequence[str], *, query: bool) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "texts": list(texts),
            "input_type": self.input_type or ("search_query" if query else "search_document"),
            "embedding_types": ["float"],
            "truncate": self.truncate,
            "output_dimension": self.dimensions,
        }
        return {name: value for name, value in request.items() if value is not None}

    def _vectors(self, answer: Mapping[str, Any]) -> list[list[float]]:
        vectors: list[list[float]] = answer["embeddings"]["float"]
        return vectors
