"""Google's chat models: Gemini's API with a key, and Vertex AI with Google Cloud's credentials.

Sources: https://ai.google.dev/api/generate-content,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from headrace.errors import ConfigError
from headrace.language_models.structured import Modes
from headrace.messages import BaseMessage

from ._base.answer import Answer
from ._base.keys import environment
from ._base.model import ChatCall, ProviderChatModel
from ._base.provider import Call, cause_of, named
from ._google.client import Client, GoogleProvider
from ._google.embeddings import GoogleGenerativeAIEmbeddings
from ._google.reader import GoogleReader
from ._google.request import is_built_in, request_body

__all__ = ["ChatGoogleGenerativeAI", "ChatVertexAI", "GoogleGenerativeAIEmbeddings"]

_FIELDS: Final = (
    "temperature", "max_tokens", "top_p", "top_k", "stop", "seed", "n", "presence_penalty",
    "frequency_penalty", "logprobs", "thinking_budget", "thinking_level", "include_thoughts",
    "response_mime_type", "response_schema", "response_modalities", "safety_settings",
    "cached_content", "labels", "media_resolution", "image_config",
)  # fmt: skip
# Tools of Google's whose answers say where their text comes from.
_CITING: Final = ("googleSearch", "googleSearchRetrieval", "googleMaps", "urlContext", "fileSearch",
                  "enterpriseWebSearch", "retrieval")  # fmt: skip
_COUNTED: Final = ("contents", "systemInstruction", "tools")


class GoogleChatModel(GoogleProvider, ProviderChatModel):
    """What the two have in common. Parameters that are None are not sent.

    Args:
        max_tokens: also `max_output_tokens`.
        top_k: so many of the likeliest words are drawn from.
        seed: makes answers repeatable, as far as Google can.
        n: candidates for one prompt (also `candidate_count`); `generate` gives all of them.
        presence_penalty, frequency_penalty: from -2 to 2, against repetition.
        logprobs: True, or how many other tokens to tell with each; they are in
            `response_metadata["logprobs_result"]`.
        thinking_budget: tokens to think with; 0: none, -1: as the model likes.
        thinking_level: e.g. "low", "high"; for Gemini 3 and later in the budget's place (also
            `reasoning_effort`).
        include_thoughts: give summaries of the thoughts, as reasoning.
        response_mime_type: e.g. "application/json".
        response_schema: of the answer: a JSON schema, a class, or a schema of Google's;
            `with_structured_output` sets it for you.
        response_modalities: e.g. `["TEXT", "IMAGE"]`.
        safety_settings: from category to threshold, by Google's names.
        cached_content: name of content that was cached before.
        labels: of the request, for the bill (Vertex AI).
        media_resolution: of what is given, e.g. "MEDIA_RESOLUTION_LOW".
        image_config: of images that are made, e.g. `{"aspectRatio": "16:9"}`.
        model_kwargs: more of the request, e.g. `{"speech_config": …}`: what is no field of the
            request itself goes into its `generationConfig`.
        See `ProviderChatModel` and `GoogleProvider` for the others.
    """

    structured_modes: ClassVar[Modes] = ("json_schema", "function_calling", "json_mode")
    _settable: ClassVar[tuple[str, ...]] = _FIELDS
    _more_words: ClassVar[tuple[str, ...]] = ("generation_config", "generationConfig", "strict")
    _sdk_calls: ClassVar[tuple[str, ...]] = (
        "google.genai.types:GenerateContentConfig",
        "google.genai.types:GenerationConfig",
    )

    _advice: ClassVar[Mapping[str, str]] = {
        **ProviderChatModel._advice,
        "convert_system_message_to_human": "leave it out: Gemini has system messages.",
        "vertexai": "leave it out: Vertex AI's models are ChatVertexAI.",
        "project": "Vertex AI's models are ChatVertexAI.",
        "location": "Vertex AI's models are ChatVertexAI.",
        "credentials": "give api_key=…; with credentials, Vertex AI's models are ChatVertexAI.",
        "response_logprobs": "it is called logprobs=True here.",
        "default_metadata": "give default_headers=….",
        "default_metadata_input": "give default_headers=….",
        "thinking_config": "give thinking_budget=…, thinking_level=…, include_thoughts=….",
        "audio_timestamp": "give model_kwargs={'audio_timestamp': …}.",
        "wait_exponential_kwargs": "give max_retries=…; the SDK knows how long to wait.",
        "perform_literal_eval_on_string_raw_content": "leave it out: texts are texts.",
        "api_endpoint": "it is called base_url here: base_url='https://…'.",
        "endpoint_version": "it is called api_version here.",
        "tuned_model_name": "give its name as model=….",
        "full_model_name": "give it as model=….",
        "examples": "give them as messages.",
    }

    model: str = named("model", "model_name", default=...)
    max_retries: int | None = named("max_retries", "retries", ge=0)
    default_headers: Mapping[str, str] | None = named(
        "default_headers", "additional_headers", exclude=True, repr=False
    )
    max_tokens: int | None = named("max_tokens", "max_output_tokens")
    top_k: int | None = None
    seed: int | None = None
    n: int | None = named("n", "candidate_count", ge=1)
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | int | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = named("thinking_level", "reasoning_effort")
    include_thoughts: bool | None = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_modalities: list[str] | None = None
    safety_settings: Any = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    media_resolution: str | None = None
    image_config: dict[str, Any] | None = None

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """This model, told of tools that it may ask to be called; see `BaseChatModel.bind_tools`.
        Google's own are given by their names, e.g. `{"google_search": {}}`."""
        own = (
            [tool for tool in tools if is_built_in(tool)]
            if isinstance(tools, (list, tuple))
            else []
        )
        if not own:
            return super().bind_tools(tools, **kwargs)
        others = [tool for tool in tools if not is_built_in(tool)]
        bound = super().bind_tools(others, **kwargs).kwargs if others else kwargs  # type: ignore[attr-defined]
        return self.bind(**{**bound, "tools": [*bound.get("tools", ()), *own]})

    def _what_counts(self) -> dict[str, Any]:
        version = self.api_version or environment("GOOGLE_GENAI_API_VERSION")
        told = {"api_version": version} if version else {}
        return {**super()._what_counts(), **told}

    # ---- the request ----------------------------------------------------------------------------

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        settings = {**self._settings(), **self.model_kwargs, **given}
        if stop:
            settings["stop"] = stop
        model = settings.pop("model", None) or self.model
        more = settings.pop("extra_body", None) or {}
        body = request_body(messages, settings, model=model)
        if "generationConfig" in more:
            config = {**body.get("generationConfig", {}), **more["generationConfig"]}
            more = {**more, "generationConfig": config}
        return {"model": model, "body": {**body, **more}}

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        tools = request["body"].get("tools") or ()
        citing = any(name in tool for tool in tools for name in _CITING)
        return GoogleReader(self.provider, blocks=citing)

    # ---- the SDK --------------------------------------------------------------------------------

    def _whole_answer(self, client: Client, call: ChatCall) -> Mapping[str, Any]:
        return self._asked(client, call, "generateContent")

    async def _awhole_answer(self, client: Client, call: ChatCall) -> Mapping[str, Any]:
        return await self._aasked(client, call, "generateContent")

    def _events(self, client: Client, call: ChatCall) -> Iterator[Mapping[str, Any]]:
        return self._frames(client, call, "streamGenerateContent")

    def _aevents(self, client: Client, call: ChatCall) -> AsyncIterator[Mapping[str, Any]]:
        return self._aframes(client, call, "streamGenerateContent")

    # ---- counting -------------------------------------------------------------------------------

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None
    ) -> int:
        """How many tokens a conversation has, `tools` (as for `bind_tools`) included. Google counts
        them: this is a request, which costs nothing.

        Raises:
            ProviderError: what Google said instead.
        """
        given = self.bind_tools(tools).kwargs if tools else {}
        request = self._request(self._messages_in(messages), None, given, stream=False)
        body = {name: request["body"][name] for name in _COUNTED if name in request["body"]}
        call = Call({"model": request["model"], "body": self._to_count(request["model"], body)})
        try:
            return int(self._asked(self._client(), call, "countTokens").get("totalTokens") or 0)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    def _to_count(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body of a request for the count of another."""
        if self._cloud:
            return body
        return {"generateContentRequest": {"model": self._full_name(model), **body}}


class ChatGoogleGenerativeAI(GoogleChatModel):
    """A chat model of Google's, by the Gemini API.

        ChatGoogleGenerativeAI(model="gemini-2.5-flash")                 # GOOGLE_API_KEY

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature, top_p: how freely the words are drawn.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        top_k, seed, n, presence_penalty, frequency_penalty, logprobs, response_mime_type,
            response_schema, response_modalities, safety_settings, cached_content, labels,
            media_resolution, image_config: the API's parameters, `n` its `candidate_count`;
            categories and thresholds of `safety_settings` are texts:
            `{"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"}`.
        thinking_budget, thinking_level: how much it thinks: tokens (0: none, -1: as it likes), or
            "low", "high" for Gemini 3 and later.
        include_thoughts: give summaries of the thoughts, as reasoning.
        api_version: of the API.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: not
            at all, as it does by itself.
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

    provider: ClassVar[str] = "google_genai"


class ChatVertexAI(GoogleChatModel):
    """A chat model on Google Cloud's Vertex AI.

        ChatVertexAI(model="gemini-2.5-flash", project="my-project", location="europe-west4")

    Args:
        project: the Google Cloud project (or GOOGLE_CLOUD_PROJECT; or that of the credentials).
        location: where it runs (or GOOGLE_CLOUD_LOCATION; "global" without).
        credentials: of `google.auth`; without them and without a key, the application default
            credentials count.
        api_key: in place of credentials ("express mode"). GOOGLE_API_KEY counts only where neither
            a project nor credentials are known.
        model: its name, as the provider knows it (also `model_name`).
        temperature, top_p: how freely the words are drawn.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        top_k, seed, n, presence_penalty, frequency_penalty, logprobs, response_mime_type,
            response_schema, response_modalities, safety_settings, cached_content, labels,
            media_resolution, image_config: the API's parameters, `n` its `candidate_count`;
            categories and thresholds of `safety_settings` are texts:
            `{"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"}`.
        thinking_budget, thinking_level: how much it thinks: tokens (0: none, -1: as it likes), or
            "low", "high" for Gemini 3 and later.
        include_thoughts: give summaries of the thoughts, as reasoning.
        api_version: of the API.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: not
            at all, as it does by itself.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters, by the provider's names.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    provider: ClassVar[str] = "google_vertexai"
    _cloud: ClassVar[bool] = True
    _url_names: ClassVar[tuple[str, ...]] = ("GOOGLE_VERTEX_BASE_URL",)

    project: str | None = None
    location: str | None = None
    credentials: Any = Field(default=None, exclude=True, repr=False)

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        settings = super()._connection(is_async=is_async)
        who: dict[str, Any]
        if "api_key" in settings:
            if self.credentials is not None:
                raise ConfigError(
                    "ChatVertexAI got an api_key and credentials, of which Google takes one: leave "
                    "the other out."
                )
            who = {"project": self.project, "location": self.location}
        else:
            who = {**self._place(), "credentials": self.credentials}
        return {**settings, **{name: value for name, value in who.items() if value is not None}}

    def _place(self) -> dict[str, str | None]:
        location = self.location or environment("GOOGLE_CLOUD_LOCATION") or "global"
        return {"project": self._project(), "location": location}

    def _what_counts(self) -> dict[str, Any]:
        """With the project and the place, which may come from the environment."""
        place = {name: value for name, value in self._place().items() if value is not None}
        return {**super()._what_counts(), **place}

    def _project(self) -> str | None:
        known = self.project or environment("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT_ID")
        return known or getattr(self.credentials, "project_id", None)

    def _key(self) -> Any:
        if self.api_key is not None:
            return super()._key()
        known = self.credentials is not None or self._project() is not None
        return None if known else environment(*self._key_names)
