"""Groq's chat models, over Groq's SDK. They speak the Chat Completions protocol.

Source: https://console.groq.com/docs/api-reference#chat. Compound models call tools of Groq's own
and tell of it in `executed_tools`, first with the arguments, then once more with the output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from headrace.language_models.structured import Modes

from ._base.answer import Answer
from ._base.provider import Key, named
from ._chat.model import ChatCompletionsModel
from ._chat.reader import ChatReader

__all__ = ["ChatGroq"]


class ChatGroq(ChatCompletionsModel):
    """A chat model that Groq serves.

        ChatGroq(model="llama-3.3-70b-versatile")                        # GROQ_API_KEY

    `with_structured_output` has the model call a function; for models that Groq holds to schemas,
    give `method="json_schema"`, which the others refuse.

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
        reasoning_format: "parsed", "raw" or "hidden".
        service_tier: "on_demand", "flex", "auto".
        seed, n, frequency_penalty, presence_penalty, logit_bias, logprobs, top_logprobs,
            reasoning_effort, parallel_tool_calls, response_format, user: the API's parameters of
            these names; what is None is not sent, and `generate` gives all `n` candidates.
        extra_body: more of the request's parameters, which the SDK does not know.
        think_tags: give what the text has between `<think>` and `</think>` as reasoning.
        send_reasoning_as: the field in which the model's thoughts are sent back to it; None: as the
            provider documents it.
        streaming: make `invoke` the fold of the stream.
        stream_usage: ask for token counts in streams; None: where it is known to be understood.
        name, tags, metadata, callbacks, cache, rate_limiter, disable_streaming, output_version,
            profile, custom_get_token_ids: as of every `headrace.language_models.BaseChatModel`.
    """

    provider: ClassVar[str] = "groq"
    _sdk: ClassVar[tuple[str, str]] = ("groq", "groq")
    _asks_for_key: ClassVar[bool] = False  # the SDK takes texts alone
    _key_names: ClassVar[tuple[str, ...]] = ("GROQ_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("GROQ_BASE_URL", "GROQ_API_BASE")
    _added: ClassVar[tuple[str, ...]] = ("/openai/v1", "/openai")
    structured_modes: ClassVar[Modes] = ("function_calling", "json_schema", "json_mode")
    _tells_usage: ClassVar[bool] = False  # it does without being asked
    _settable: ClassVar[tuple[str, ...]] = (
        *ChatCompletionsModel._settable,
        "reasoning_format",
        "service_tier",
    )
    _sdk_calls: ClassVar[tuple[str, ...]] = ("groq.resources.chat.completions:Completions.create",)

    api_key: Key = named("api_key", "groq_api_key", exclude=True)
    base_url: str | None = named("base_url", "groq_api_base")
    reasoning_format: str | None = None
    service_tier: str | None = None

    def _reader(self, request: Mapping[str, Any]) -> Answer:
        return GroqReader(self.provider, think_tags=self.think_tags)

    def _client_classes(self) -> tuple[Any, Any]:
        groq = self._sdk_module()
        return groq.Groq, groq.AsyncGroq


class GroqReader(ChatReader):
    """Reads Groq's dialect."""

    def __init__(self, provider: str, **options: Any) -> None:
        super().__init__(provider, **options)
        self._executed: set[Any] = set()

    def read_choice(self, choice: Mapping[str, Any], delta: Mapping[str, Any]) -> None:
        """A choice; its tools ran after what was thought, and before what is said."""
        tools = delta.get("executed_tools")
        if tools:
            super().read_choice({}, {"reasoning": delta.get("reasoning")})
            delta = {name: value for name, value in delta.items() if name != "reasoning"}
            for tool in tools:
                self._read_executed(tool)
        super().read_choice(choice, delta)

    def _read_rarer(self, delta: Mapping[str, Any]) -> None:
        super()._read_rarer({k: v for k, v in delta.items() if k not in _OWN})

    def _read_executed(self, tool: Mapping[str, Any]) -> None:
        """A call of a tool of Groq's own, told at first without and then with its output."""
        number = tool.get("index", len(self._executed))
        id = f"executed_{number}"
        if number not in self._executed:
            self._executed.add(number)
            name = str(tool.get("name") or tool.get("type") or "")
            name = _NAMES.get(name, name)
            args = _arguments(tool.get("arguments"))
            self.block({"type": "server_tool_call", "id": id, "name": name, "args": args})
        if "output" in tool:
            rest = {k: v for k, v in tool.items() if k not in _OF_CALL and v}
            result = {"type": "server_tool_result", "tool_call_id": id, "status": "success"}
            result["output"] = tool["output"]
            self.block({**result, "extras": rest} if rest else result)


_OWN: Final = frozenset({"executed_tools", "channel"})
_NAMES: Final = {"python": "code_interpreter", "search": "web_search"}
"""Groq's tools that other vendors have too, under the names that they have here."""
_OF_CALL: Final = frozenset({"index", "name", "type", "arguments", "output"})


def _arguments(text: Any) -> Any:
    """Arguments as an object; what is none, because a model wrote it, as `{"arguments": text}`."""
    try:
        args = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        args = text
    return args if isinstance(args, dict) else {"arguments": text}
