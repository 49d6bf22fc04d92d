"""Together's models, which speak OpenAI's protocol.

Source: https://docs.together.ai/reference/chat-completions-1.
"""

from __future__ import annotations

from typing import ClassVar

from ._base.provider import Key, named
from ._chat.model import ChatCompletionsModel

__all__ = ["ChatTogether"]


class ChatTogether(ChatCompletionsModel):
    """A chat model that Together serves.

        ChatTogether(model="mistralai/Mixtral-8x7B-Instruct-v0.1")       # TOGETHER_API_KEY

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

    provider: ClassVar[str] = "together"
    _key_names: ClassVar[tuple[str, ...]] = ("TOGETHER_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("TOGETHER_BASE_URL",)
    _more_words: ClassVar[tuple[str, ...]] = (
        "top_k", "min_p", "repetition_penalty", "safety_model", "echo", "compliance", "reasoning",
        "context_length_exceeded_behavior", "chat_template_kwargs", "stream_tokens",
    )  # fmt: skip
    _usual_url: ClassVar[str | None] = "https://api.together.xyz/v1"

    api_key: Key = named("api_key", "together_api_key", exclude=True)
    base_url: str | None = named("base_url", "together_api_base")
