"""`ChatCompletionsModel`: base of the chat models whose provider speaks the Chat Completions
protocol, over the `openai` SDK unless the vendor says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from headrace.language_models.structured import Modes
from headrace.messages import AIMessage, BaseMessage

from .._base.answer import Answer
from .._base.own import is_own
from .._base.provider import Call, named
from .._base.stainless import StainlessChatModel
from .reader import ChatReader
from .request import (
    request_messages,
    response_format,
    thoughts_of,
    tool_choice,
    wanted_usage,
)

__all__ = ["ChatCompletionsModel"]

_FIELDS: Final = (
    "temperature", "max_tokens", "top_p", "stop", "seed", "n", "frequency_penalty",
    "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "reasoning_effort",
    "parallel_tool_calls", "response_format", "user",
)  # fmt: skip

_REFUSE: Final = frozenset({"openai", "azure"})
"""Whose messages have refusals as parts; other vendors' servers know text alone."""
_THOUGHTS: Final = {"fireworks": "reasoning_content", "groq": "reasoning"}
"""Who takes back what a model thought, which it needs to go on after calls of tools, and in which
field: https://docs.fireworks.ai/guides/reasoning, https://console.groq.com/docs/reasoning."""
_OF_ITS_OWN: Final = frozenset({"groq"})
"""Of these, whose models that do not think refuse the field: it is sent to the same model alone."""

# OpenAI's own names of models, which want `max_completion_tokens`; its reasoning models refuse the
# older word, and servers of one's own may know the older one only.
_NEW_WORD: Final = re.compile(r"^(ft:)?(gpt-|chatgpt-|o\d)")


class ChatCompletionsModel(StainlessChatModel):
    """Base of the chat models of this protocol; parameters that are None are not sent.

    Args:
        seed: makes answers repeatable, as far as the provider can.
        n: candidates for one prompt; `generate` gives all of them.
        frequency_penalty, presence_penalty: from -2 to 2, against repetition.
        logit_bias: from token id to a number from -100 to 100.
        logprobs, top_logprobs: ask for the tokens' logarithmic probabilities, and for those of so
            many others (0 to 20); they are in `response_metadata["logprobs"]`.
        reasoning_effort: how long the model thinks, e.g. "low", "medium", "high".
        parallel_tool_calls: whether one answer may have several tool calls.
        response_format: the protocol's, or a schema; `with_structured_output` reads the
            answer too.
        user: your name for the end user, which helps the provider to see abuse.
        extra_body: more of the request's parameters, which the SDK does not know.
        think_tags: the model thinks in its text, between `<think>` and `</think>` (DeepSeek-R1 on
            servers that leave it there): give that as reasoning.
        send_reasoning_as: the field of the model's own messages in which what it thought is sent
            back to it, e.g. "reasoning_content" for DeepSeek, which refuses the results of tools
            without it. None: as the provider documents it (Groq, Fireworks), else not at all.
        http_client: an `httpx.Client`, or what the SDK takes; see `ProviderChatModel` for the rest.
    """

    _sdk: ClassVar[tuple[str, str]] = ("openai", "openai")
    _asks_for_key: ClassVar[bool] = True
    structured_modes: ClassVar[Modes] = ("json_schema", "function_calling", "json_mode")
    _settable: ClassVar[tuple[str, ...]] = _FIELDS
    _sdk_calls: ClassVar[tuple[str, ...]] = (
        "openai.resources.chat.completions:Completions.create",
    )
    _not_said: ClassVar[tuple[str, ...]] = ("stream",)
    _tells_usage: ClassVar[bool] = True
    """Whether streams are asked for their usage, where `stream_usage` does not say."""

    max_tokens: int | None = named("max_tokens", "max_completion_tokens")
    seed: int | None = None
    n: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str | int, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: Any = None
    user: str | None = None
    extra_body: Mapping[str, Any] | None = None
    think_tags: bool = False
    send_reasoning_as: str | None = Field(default=None, min_length=1)

    # ---- the request ----------------------------------------------------------------------------

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: dict[str, Any],
        *,
        stream: bool,
    ) -> dict[str, Any]:
        counted = given.pop("stream_usage", self.stream_usage)
        settings = {"model": self.model, **self._parameters(given)}
        if stop:
            settings["stop"] = stop
        if stream:
            settings["stream"] = True
            if self._tells_usage if counted is None else counted:
                settings = wanted_usage(settings)
        else:
            settings.pop("stream_options", None)
        return self._written(messages, settings)

    def _written(self, messages: list[BaseMessage], settings: dict[str, Any]) -> dict[str, Any]:
        """The request that says these messages; `settings` are the other parameters of it."""
        request = {"messages": self._messages(messages, settings["model"]), **settings}
        if "tool_choice" in request:
            request["tool_choice"] = self._tool_choice(request["tool_choice"])
        if "response_format" in request:
            request["response_format"] = response_format(request["response_format"])
        if not request.get("tools"):
            request.pop("parallel_tool_calls", None)
        if "max_tokens" in request and self._takes_new_word(str(request["model"])):
            request.setdefault("max_completion_tokens", request.pop("max_tokens"))
        return request

    def _takes_new_word(self, model: str) -> bool:
        """Whether `max_tokens` is to be called `max_completion_tokens`."""
        return bool(_NEW_WORD.match(model))

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The model's settings and the call's, which count more; what is None is not sent."""
        found = {**self._settings(), **self.model_kwargs}
        if given.get("max_completion_tokens") is not None:  # another word for the same
            found.pop("max_tokens", None)
        found |= given
        if self.extra_body:
            found["extra_body"] = {**self.extra_body, **(found.get("extra_body") or {})}
        return {name: value for name, value in found.items() if value is not None}

    def _messages(self, messages: list[BaseMessage], asked: Any) -> list[dict[str, Any]]:
        """Messages as the model `asked` is sent them."""
        field = self.send_reasoning_as or _THOUGHTS.get(self.provider)

        def thoughts(message: AIMessage) -> dict[str, Any]:
            if field is None or not self._takes_thoughts_of(message, asked):
                return {}
            said = thoughts_of(message)
            return {field: said} if said else {}

        return request_messages(messages, refusals=self.provider in _REFUSE, beside=thoughts)

    def _takes_thoughts_of(self, message: AIMessage, asked: Any) -> bool:
        """Whether what was thought in a message is sent back to the model `asked`."""
        if self.send_reasoning_as:  # whoever says so knows; a message may be written by hand
            named = message.response_metadata.get("model_provider")
            return named is None or is_own(message, self.provider)
        own = is_own(message, self.provider)
        if self.provider in _OF_ITS_OWN:
            return own and message.response_metadata.get("model_name") == asked
        return own

    def _tool_choice(self, choice: Any) -> Any:
        return tool_choice(choice)

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        options = request.get("stream_options") or {}
        return ChatReader(
            self.provider,
            wants_usage=bool(options.get("include_usage")),
            think_tags=self.think_tags,
            blocks=bool(request.get("web_search_options")),
        )

    # ---- the SDK --------------------------------------------------------------------------------

    def _resource(self, client: Any, call: Call) -> Any:
        return client.chat.completions

    def _client_classes(self) -> tuple[Any, Any]:
        openai = self._sdk_module()
        return openai.OpenAI, openai.AsyncOpenAI
