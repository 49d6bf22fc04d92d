"""What to write in place of settings that LangChain's classes have and these have not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ADVICE", "EMBEDDING_ADVICE"]

_PROXY: Final = "give http_client=httpx.Client(proxy=…), and http_async_client=…."
_CLIENT: Final = (
    "the SDK's client is made from the settings: give http_client=…, http_async_client=…, the HTTP "
    "clients that it is to use."
)
_NO_TOKENS: Final = "leave it out: texts go to the provider as they are, and are not cut up here."

ADVICE: Final[Mapping[str, str]] = {
    "verbose": "leave it out; events tell what happens in a run (astream_events).",
    "client": _CLIENT,
    "async_client": _CLIENT,
    "root_client": _CLIENT,
    "root_async_client": _CLIENT,
    "client_args": _CLIENT,
    "client_preview": _CLIENT,
    "client_options": "give base_url=…, default_headers=….",
    "transport": "leave it out: requests are HTTP, and answers are streamed as such.",
    "api_transport": "leave it out: requests are HTTP, and answers are streamed as such.",
    "http_socket_options": "give http_client=httpx.Client(transport=httpx.HTTPTransport("
    "socket_options=…)), and http_async_client=….",
    "client_cert_source": "give http_client=httpx.Client(cert=…), and http_async_client=….",
    "stream_options": "give stream_usage=….",
    "usage_telemetry_enabled": "leave it out: nobody is told of what you do.",
    "verify_ssl": "give http_client=httpx.Client(verify=…), and http_async_client=….",
    "openai_proxy": _PROXY,
    "anthropic_proxy": _PROXY,
    "groq_proxy": _PROXY,
    "stream_chunk_timeout": "write model.with_timeout(idle=…), in seconds, or give timeout=….",
    "include_response_headers": "leave it out: errors have the request's id, as request_id.",
    "max_concurrent_requests": 'write model.batch(inputs, config={"max_concurrency": …}).',
    "request_parallelism": 'write model.batch(inputs, config={"max_concurrency": …}).',
    "max_concurrency": 'write model.batch(inputs, config={"max_concurrency": …}).',
    "headers": "it is called default_headers here.",
    "validate_base_url": "leave it out.",
    "model_version": "leave it out: answers say which model gave them, as model_name in "
    "response_metadata.",
}
"""Of chat models: from the name to what to write instead."""

EMBEDDING_ADVICE: Final[Mapping[str, str]] = {
    **{name: text for name, text in ADVICE.items() if name != "max_concurrency"},
    "max_concurrent_requests": "it is called max_concurrency here.",
    "request_parallelism": "it is called max_concurrency here.",
    "embedding_ctx_length": _NO_TOKENS,
    "allowed_special": _NO_TOKENS,
    "disallowed_special": _NO_TOKENS,
    "tiktoken_enabled": _NO_TOKENS,
    "tiktoken_model_name": _NO_TOKENS,
    "tokenizer": _NO_TOKENS,
    "show_progress_bar": "leave it out.",
    "embedding_types": "leave it out: vectors are numbers.",
    "user_agent": "give default_headers={'User-Agent': …}.",
    "skip_empty": "leave it, and empty texts, out.",
    "retry_min_seconds": "give max_retries=…; the SDK knows how long to wait.",
    "retry_max_seconds": "give max_retries=…; the SDK knows how long to wait.",
    "wait_time": "give max_retries=…; the SDK knows how long to wait.",
    "deployment": "Azure's models are AzureOpenAIEmbeddings.",
    "openai_api_version": "Azure's models are AzureOpenAIEmbeddings.",
    "api_version": "Azure's models are AzureOpenAIEmbeddings.",
    "openai_api_type": "leave it out; Azure's models are AzureOpenAIEmbeddings.",
}
"""The same of embedding models."""
