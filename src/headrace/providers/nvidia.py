"""NVIDIA's hosted models, and a NIM of one's own, which speak OpenAI's protocol.

Source: https://docs.api.nvidia.com/nim/reference/llm-apis.
"""

from __future__ import annotations

from typing import ClassVar

from ._base.provider import Key, named
from ._chat.model import ChatCompletionsModel

__all__ = ["ChatNVIDIA"]


class ChatNVIDIA(ChatCompletionsModel):
    """A chat model of NVIDIA's catalogue, or with `base_url` of a NIM of one's own.

        ChatNVIDIA(model="meta/llama-3.1-8b-instruct")                   # NVIDIA_API_KEY
        ChatNVIDIA(model="my-model", base_url="http://localhost:8000/v1", api_key="any")

    The running totals that NVIDIA sends with each chunk are not added up.

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

    provider: ClassVar[str] = "nvidia"
    _key_names: ClassVar[tuple[str, ...]] = ("NVIDIA_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("NVIDIA_BASE_URL",)
    _more_words: ClassVar[tuple[str, ...]] = (
        "top_k", "min_p", "min_tokens", "repetition_penalty", "ignore_eos", "chat_template_kwargs",
        "nvext", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    )  # fmt: skip
    _usual_url: ClassVar[str | None] = "https://integrate.api.nvidia.com/v1"

    api_key: Key = named("api_key", "nvidia_api_key", exclude=True)
