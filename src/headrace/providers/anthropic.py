"""Anthropic's chat models.

Sources: https://docs.anthropic.com/en/api/messages; the installed SDK. What a request is made of
is in `_anthropic/request.py` and `_anthropic/tools.py`, how answers are read in
`_anthropic/reader.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from headrace.language_models.binding import described_tool, described_tools
from headrace.language_models.structured import MODES, Asked, Mode, Modes
from headrace.messages import AIMessage, BaseMessage
from headrace.runnables.base import Runnable
from headrace.runnables.binding import RunnableBinding

from ._anthropic.reader import MessagesReader
from ._anthropic.request import request_messages
from ._anthropic.tools import (
    betas_for,
    is_own_tool,
    output_format,
    request_tools,
    settings_in,
    tool_choice,
)
from ._base.answer import Answer
from ._base.model import Key, named
from ._base.provider import Call, cause_of
from ._base.stainless import StainlessChatModel

__all__ = ["ChatAnthropic"]

_FIELDS: Final = (
    "max_tokens", "temperature", "top_p", "top_k", "thinking", "output_config", "service_tier",
    "mcp_servers", "container", "context_management", "inference_geo", "cache_control",
    "user_profile_id",
)  # fmt: skip
_ALONE: Final = "disable_parallel_tool_use"
_SECONDS: Final = 600.0  # the SDK's own limit; given to it, it lets whole answers be long

# The longest answer of a model, by the beginning of its name; the API wants to be told a limit.
_LONGEST: Final[tuple[tuple[str, int], ...]] = (
    ("claude-3-5", 8192),
    ("claude-3-7", 64_000),
    ("claude-3-", 4096),
    ("claude-opus-4-2", 32_000),  # a date: 4.0
    ("claude-opus-4-0", 32_000),
    ("claude-opus-4-1", 32_000),
    ("claude-opus-4-5", 64_000),
    ("claude-opus-4", 128_000),
    ("claude-sonnet-4-6", 128_000),
    ("claude-sonnet-4", 64_000),
    ("claude-haiku-4", 64_000),
    ("claude-", 128_000),
    ("", 4096),
)
# Models of later generations refuse an answer's beginning.
_GOES_ON: Final = re.compile(r"claude-(3-|(opus|sonnet|haiku)-4-([015]\b|\d{8}))")


def _by_tool(model: Any, asked: Asked) -> Any:
    """As `function_calling` is. A model that thinks cannot be made to call a tool, only asked."""
    bound = MODES["function_calling"].bind(model, asked)
    chat = bound.bound if isinstance(bound, RunnableBinding) else model
    return bound.bind(tool_choice="auto") if getattr(chat, "thinks", False) else bound


class ChatAnthropic(StainlessChatModel):
    """A chat model of Anthropic's.

        ChatAnthropic(model="claude-sonnet-4-6")  # ANTHROPIC_API_KEY
        ChatAnthropic(model="claude-sonnet-4-6", thinking={"type": "adaptive"})

    `with_structured_output` uses structured outputs ("json_schema"); for models before Claude 4.5,
    and for schemas these do not take, give `method="function_calling"`.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        temperature, top_p: how freely the words are drawn.
        stop: texts that end the answer.
        max_tokens: longest answer, thoughts included; without it, the longest that the model can
            give (also `max_tokens_to_sample`).
        top_k: how many of the likeliest tokens answers are drawn from.
        thinking: whether it thinks before it answers, e.g. `{"type": "adaptive"}`, `{"type":
            "enabled", "budget_tokens": 4000}`.
        effort: how much it does for an answer: "low", "medium", "high" and more (also
            `reasoning_effort`).
        output_config: the API's; `effort` and `with_structured_output` are added to it.
        cache_control: `{"type": "ephemeral"}`: keep the prompt in the cache. On a block of content
            or a tool it stands there.
        service_tier, container, context_management, inference_geo, user_profile_id: the API's.
        mcp_servers: servers whose tools Anthropic calls by itself.
        betas: names of beta features; those that its tools and parameters need are added.
        timeout: seconds to wait for the connection, and for each piece of the answer.
        max_retries: how often the SDK asks again, before anything of an answer has come; None: as
            it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
        model_kwargs: more of the request's parameters. The end user's id is there,
            `{"metadata": {"user_id": …}}`: a runnable's `metadata` is for its runs.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    provider: ClassVar[str] = "anthropic"
    _sdk: ClassVar[tuple[str, str]] = ("anthropic", "anthropic")
    _key_names: ClassVar[tuple[str, ...]] = ("ANTHROPIC_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL")
    _added: ClassVar[tuple[str, ...]] = ("/v1",)
    _settable: ClassVar[tuple[str, ...]] = _FIELDS
    _more_words: ClassVar[tuple[str, ...]] = ("effort", "betas", "output_format")
    _sdk_calls: ClassVar[tuple[str, ...]] = (
        "anthropic.resources.messages:Messages.create",
        "anthropic.resources.beta.messages:Messages.create",
    )
    repeats_prefix: ClassVar[bool | None] = False
    structured_modes: ClassVar[Modes] = {
        "json_schema": MODES["json_schema"],
        "function_calling": Mode(_by_tool, calls=True),
    }

    _advice: ClassVar[Mapping[str, str]] = {
        **StainlessChatModel._advice,
        "reuse_last_container": "give container=… of a call: the id in the last answer's "
        'response_metadata["container"].',
    }

    max_tokens: int | None = named("max_tokens", "max_tokens_to_sample")
    timeout: Any = named("timeout", "request_timeout", "default_request_timeout")
    api_key: Key = named("api_key", "anthropic_api_key", exclude=True)
    base_url: str | None = named("base_url", "anthropic_api_url", "anthropic_base_url")
    top_k: int | None = Field(default=None, ge=0)
    thinking: dict[str, Any] | None = None
    effort: str | None = named("effort", "reasoning_effort")
    output_config: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None
    service_tier: str | None = None
    mcp_servers: list[dict[str, Any]] | None = Field(default=None, exclude=True, repr=False)
    container: str | dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    inference_geo: str | None = None
    user_profile_id: str | None = None
    betas: list[str] | None = None

    @property
    def thinks(self) -> bool:
        """Whether it was told to think before it answers."""
        return (self.thinking or {}).get("type") not in (None, "disabled")

    @property
    def takes_prefix(self) -> bool:  # type: ignore[override]
        """Whether it goes on with the beginning of an answer: models up to Claude 4.5 do, unless
        they think."""
        return not self.thinks and _GOES_ON.match(self.model) is not None

    def _prefixed(self, messages: list[BaseMessage], partial: AIMessage) -> list[BaseMessage]:
        """Without white space at its end, which the API refuses: so it is known to be lacking."""
        return [*messages, AIMessage(content=partial.text.rstrip())]

    # ---- the request ----------------------------------------------------------------------------

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        system, turns = request_messages(messages, provider=self.provider)
        request: dict[str, Any] = {"model": self.model, "messages": turns, "system": system}
        request |= {"stop_sequences": stop, **self._settings(), **self.model_kwargs, **given}
        request = _in_words(request, self.effort, self.betas)
        longest = next(n for start, n in _LONGEST if str(request["model"]).startswith(start))
        request.setdefault("max_tokens", longest)
        return {**request, "stream": True} if stream else request

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        return MessagesReader(self.provider)

    def _described_tool(self, tool: Any, strict: bool | None) -> dict[str, Any]:
        """Anthropic's own stay as they are; of others the settings for it stand beside."""
        if is_own_tool(tool):
            return dict(tool)
        held = tool if isinstance(tool, Mapping) else getattr(tool, "extras", None) or {}
        return {**described_tool(tool, strict), **settings_in(held)}

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """As of all chat models; a `tool_choice` in Anthropic's form may have its
        `disable_parallel_tool_use`."""
        alone = tool_choice.get(_ALONE) if isinstance(tool_choice, Mapping) else None
        if parallel_tool_calls is None and alone is not None:
            parallel_tool_calls = not alone
        return super().bind_tools(
            tools,
            tool_choice=tool_choice,
            strict=strict,
            parallel_tool_calls=parallel_tool_calls,
            **kwargs,
        )

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """How many tokens a conversation has, `tools` (as for `bind_tools`) included: Anthropic
        counts them, so that this is a request.

        Raises:
            ProviderError: as for a call.
        """
        if tools:
            kwargs["tools"] = described_tools(tools, describe=self._described_tool)
        request = self._request(self._messages_in(messages), None, kwargs, stream=False)
        asked = {name: value for name, value in request.items() if name in _COUNTED}
        call = Call(asked)
        try:
            return int(self._resource(self._client(), call).count_tokens(**asked).input_tokens)
        except Exception as error:
            raise self._failure(error, call) from cause_of(error)

    # ---- the SDK --------------------------------------------------------------------------------

    def _resource(self, client: Any, call: Call) -> Any:
        return (client.beta if call.request.get("betas") else client).messages

    def _client_classes(self) -> tuple[Any, Any]:
        anthropic = self._sdk_module()
        return anthropic.Anthropic, anthropic.AsyncAnthropic

    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        limit = self._sdk_module().Timeout(_SECONDS, connect=10.0)
        return super()._make_client({"timeout": limit, **settings}, is_async=is_async)


# What a request to count tokens may have.
_COUNTED: Final = (
    "model", "messages", "system", "tools", "tool_choice", "thinking", "betas", "mcp_servers",
    "context_management", "output_config",
)  # fmt: skip


def _in_words(
    request: dict[str, Any], effort: str | None, betas: Sequence[str] | None
) -> dict[str, Any]:
    """A request in the API's words; parameters that are None are not sent."""
    request = {name: value for name, value in request.items() if value is not None}
    parallel = request.pop("parallel_tool_calls", None)
    choice = request.pop("tool_choice", None)
    if request.get("tools"):
        request["tools"] = request_tools(request["tools"])
        chosen = tool_choice(choice, parallel)
        if chosen is not None:
            request["tool_choice"] = chosen
    config = dict(request.pop("output_config", None) or {})
    wanted = request.pop("effort", None) or request.pop("reasoning_effort", None) or effort
    if wanted:
        config["effort"] = wanted
    if "response_format" in request:
        config["format"] = output_format(request.pop("response_format"))
    if config:
        request["output_config"] = config
    features = betas_for(request, request.pop("betas", None) or betas)
    return {**request, "betas": features} if features else request
