"""OpenAI's chat models and embeddings, and any server that speaks its protocols, by `base_url`.

Sources: https://platform.openai.com/docs/api-reference. `ChatOpenAI` has two of its APIs:

- Chat Completions (`_chat/request.py`, `_chat/reader.py`), which others speak too;
- Responses (`_responses/request.py`, `_responses/reader.py`), which has OpenAI's own tools,
  summaries of what was thought, and conversations that OpenAI keeps.

With `use_responses_api=None` it is Responses where a request has what only Responses knows: one of
its parameters (`ONLY_RESPONSES`), a tool that is no function, or a model that is served only there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from headrace.conversation.openai_form import role_of
from headrace.language_models.binding import described_tools
from headrace.messages import BaseMessage

from ._base.answer import Answer
from ._base.keys import environment
from ._base.provider import Call, Key, named
from ._chat.model import ChatCompletionsModel
from ._openai.embeddings import OpenAIEmbeddings
from ._openai.tokens import MESSAGE_TOKENS, tokenizer
from ._responses.reader import ResponsesReader
from ._responses.request import continued, responses_request, wants_responses

__all__ = ["ChatOpenAI", "OpenAIEmbeddings"]

_FIELDS: Final = (
    "reasoning", "include", "store", "truncation", "verbosity", "service_tier",
    "previous_response_id", "context_management", "prompt_cache_options",
)  # fmt: skip

# Models that OpenAI serves by the Responses API alone.
_ONLY_THERE: Final = re.compile(
    r"^(ft:)?((gpt-|o\d).*(-pro\b|codex|deep-research)|codex|computer-use|gpt-5\.6-sol)"
)


class ChatOpenAI(ChatCompletionsModel):
    """A chat model of OpenAI's, or of a server that speaks its protocol (Ollama, vLLM, llama.cpp, a
    gateway).

        ChatOpenAI(model="gpt-4o-mini")                                  # OPENAI_API_KEY
        ChatOpenAI(model="llama3.2", base_url="http://localhost:11434/v1", api_key="any")
        ChatOpenAI(model="gpt-5", reasoning={"effort": "low", "summary": "auto"})   # Responses

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature, top_p: how freely the words are drawn.
        max_tokens, stop: longest answer, in tokens; texts that end it.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: as
            it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters, by the provider's names.
        organization, project: whose account is charged.
        use_responses_api: which API; None: Responses where a request has what only that one knows,
            such as `reasoning` or OpenAI's own tools, else Chat Completions.
        reasoning: `effort` and `summary` of a reasoning model's thoughts (Responses).
        include: what else is to be told, such as "reasoning.encrypted_content" (Responses).
        store: whether OpenAI keeps the answers; with False, and "reasoning.encrypted_content"
            included, a conversation with a reasoning model goes on all the same.
        truncation: "auto" to drop what does not fit the context (Responses).
        verbosity: "low", "medium" or "high".
        service_tier: e.g. "flex", "priority".
        previous_response_id: an answer that OpenAI keeps, and that this one continues (Responses).
        context_management: e.g. `[{"type": "compaction", "compact_threshold": 200_000}]`
            (Responses).
        prompt_cache_options: what OpenAI keeps of a prompt, and for how long.
        use_previous_response_id: send only what is new since the last answer in the conversation,
            and that answer's id (Responses).
        seed, n, frequency_penalty, presence_penalty, logit_bias, logprobs, top_logprobs,
            reasoning_effort, parallel_tool_calls, response_format, user: the API's parameters of
            these names; what is None is not sent, and `generate` gives all `n` candidates.
        extra_body: more of the request's parameters, which the SDK does not know.
        think_tags: give what the text has between `<think>` and `</think>` as reasoning.
        send_reasoning_as: the field in which the model's thoughts are sent back to it, where it
            wants them, e.g. "reasoning_content" for DeepSeek.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    provider: ClassVar[str] = "openai"
    _key_names: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
    _settable: ClassVar[tuple[str, ...]] = (*ChatCompletionsModel._settable, *_FIELDS)
    _sdk_calls: ClassVar[tuple[str, ...]] = (
        *ChatCompletionsModel._sdk_calls,
        "openai.resources.responses:Responses.create",
    )
    _own_choices: ClassVar[tuple[str, ...]] = ("allowed_tools", "mcp")
    _advice: ClassVar[Mapping[str, str]] = {
        **ChatCompletionsModel._advice,
        "openai_api_type": "leave it out; Azure's models are AzureChatOpenAI.",
        "tiktoken_model_name": "give custom_get_token_ids=…, a function from a text to token ids.",
        "disabled_params": "what is not set, or None, is not sent.",
    }

    api_key: Key = named("api_key", "openai_api_key", exclude=True)
    base_url: str | None = named("base_url", "openai_api_base")
    organization: str | None = named("organization", "openai_organization")
    project: str | None = None
    use_responses_api: bool | None = None
    reasoning: dict[str, Any] | None = None
    include: list[str] | None = None
    store: bool | None = None
    truncation: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    previous_response_id: str | None = None
    context_management: list[dict[str, Any]] | None = None
    prompt_cache_options: dict[str, Any] | None = None
    use_previous_response_id: bool = False

    def _account(self) -> dict[str, str]:
        """Whose account is charged, as the SDK finds it, too."""
        account = {
            "organization": self.organization or environment("OPENAI_ORG_ID"),
            "project": self.project or environment("OPENAI_PROJECT_ID"),
        }
        return {name: value for name, value in account.items() if value}

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        return {**super()._connection(is_async=is_async), **self._account()}

    def _what_counts(self) -> dict[str, Any]:
        return {**super()._what_counts(), **self._account()}

    # ---- which API ------------------------------------------------------------------------------

    def _is_for_responses(self, request: Mapping[str, Any]) -> bool:
        if self.use_responses_api is not None:
            return self.use_responses_api
        only_there = _ONLY_THERE.match(str(request.get("model") or self.model))
        return bool(only_there) or self.use_previous_response_id or wants_responses(request)

    def _written(self, messages: list[BaseMessage], settings: dict[str, Any]) -> dict[str, Any]:
        if not self._is_for_responses(settings):
            return super()._written(messages, settings)
        options = dict(settings.pop("stream_options", ()))
        options.pop("include_usage", None)  # it always is
        if options:
            settings["stream_options"] = options
        said: Any = messages
        if self.use_previous_response_id and "previous_response_id" not in settings:
            said, settings["previous_response_id"] = continued(messages)
        return responses_request(said, settings, self.provider)

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        if "input" not in request:
            return super()._reader(request)
        tools = request.get("tools") or ()
        built_in = any(tool.get("type") not in ("function", "custom") for tool in tools)
        return ResponsesReader(self.provider, blocks=built_in)

    def _resource(self, client: Any, call: Call) -> Any:
        return client.responses if "input" in call.request else super()._resource(client, call)

    # ---- tokens ---------------------------------------------------------------------------------

    def _encoder(self) -> Callable[[str], list[int]] | None:
        """From a text to token ids; None where nothing here knows them."""
        return self.custom_get_token_ids or tokenizer(self.model)

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of `text` by number; see `_openai/tokens.py` for what has to be there."""
        encode = self._encoder()
        return encode(text) if encode else super().get_token_ids(text)

    @property
    def _counts_exactly(self) -> bool:
        return self._encoder() is not None

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None
    ) -> int:
        """How many tokens a conversation has, as OpenAI counts the text of it; what images, files
        and tools add is not told by OpenAI, and estimated for tools alone."""
        encode = self._encoder()
        if encode is None:
            return super().get_num_tokens_from_messages(messages, tools)
        texts = [json.dumps(tool) for tool in described_tools(tools)] if tools else []
        given = self._messages_in(messages)
        for message in given:
            texts += [role_of(message), message.text, message.name or ""]
            for call in getattr(message, "tool_calls", ()):
                texts += [call["name"], json.dumps(call["args"])]
        around = MESSAGE_TOKENS * (len(given) + 1)
        return around + sum(len(encode(text)) for text in texts if text)
