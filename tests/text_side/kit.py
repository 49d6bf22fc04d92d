"""What a user of these tests would write: models of their own that count their calls, a clock.

Nothing here knows how Headrace works inside; everything goes through its public names.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import Field, PrivateAttr

from headrace.callbacks import BaseCallbackHandler
from headrace.language_models import LLM, BaseChatModel, BaseLLM
from headrace.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from headrace.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from laws.ledger import LEDGER

TEXTS = ("Hel", "lo ", "wor", "ld")


def told(inputs: int, outputs: int) -> Any:
    """A usage as a provider reports it."""
    return {"input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs}


def plain_pieces() -> list[dict[str, Any]]:
    """Keywords of the chunks of an ordinary answer: text, then usage and why it ended."""
    last = {
        "content": "",
        "id": "msg_1",
        "usage_metadata": told(3, 4),
        "response_metadata": {"finish_reason": "stop"},
    }
    return [*({"content": text, "id": "msg_1"} for text in TEXTS), last]


class Counting(BaseChatModel):
    """A chat model that streams `pieces`, and knows how often and with what it was asked.

    Args:
        fail_at: the number of the chunk in whose place `failure` is raised.
        temperature, model_name: settings, as of a provider's class.
    """

    pieces: list[dict[str, Any]] = Field(default_factory=plain_pieces)
    fail_at: int | None = None
    temperature: float = 0.0
    model_name: str = "counting-1"
    _asked: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def asked(self) -> list[dict[str, Any]]:
        return self._asked

    @property
    def _llm_type(self) -> str:
        return "counting"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature}

    def _note(self, messages: Any, stop: Any, kwargs: dict[str, Any]) -> None:
        with self._lock:
            self._asked.append({"messages": messages, "stop": stop, "kwargs": kwargs})

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._note(messages, stop, kw)
        whole = AIMessageChunk(**self.pieces[0])
        for number, piece in enumerate(self.pieces):
            if number == self.fail_at:
                raise RuntimeError("the line went dead")
            if number:
                whole = whole + AIMessageChunk(**piece)
        return ChatResult(generations=[ChatGeneration(message=message_chunk_to_message(whole))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._note(messages, stop, kw)
        with LEDGER.body("model"):
            for number, piece in enumerate(self.pieces):
                if number == self.fail_at:
                    raise RuntimeError("the line went dead")
                yield ChatGenerationChunk(message=AIMessageChunk(**piece))


class CountingAsync(Counting):
    """The same with an async body."""

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages, stop, run_manager, **kw):
            yield chunk


class Whole(BaseChatModel):
    """A chat model that cannot stream."""

    text: str = "whole answer"
    _calls: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._calls += 1
        message = AIMessage(self.text, usage_metadata=told(1, 2), id="whole-1")
        return ChatResult(generations=[ChatGeneration(message=message)])


class Echo(LLM):
    """A text model that streams the words of its prompt back."""

    suffix: str = "!"
    _asked: list[Any] = PrivateAttr(default_factory=list)

    @property
    def asked(self) -> list[Any]:
        return self._asked

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _call(self, prompt: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        self._asked.append((prompt, stop, kw))
        return prompt + self.suffix

    def _stream(
        self, prompt: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[GenerationChunk]:
        self._asked.append((prompt, stop, kw))
        for letter in prompt + self.suffix:
            yield GenerationChunk(text=letter)


class Several(BaseLLM):
    """A text model that takes many prompts at once."""

    _asked: list[list[str]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "several"

    def _generate(self, prompts: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._asked.append(list(prompts))
        return LLMResult(generations=[[Generation(text=p.upper())] for p in prompts])


class Clock:
    """Time that passes only where somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Hooks(BaseCallbackHandler):
    """Writes down the names of the hooks of models that were called, tokens with their text."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kw: Any) -> None:
        self.seen.append("chat_start")

    def on_llm_start(self, serialized: Any, prompts: Any, **kw: Any) -> None:
        self.seen.append("llm_start")

    def on_llm_new_token(self, token: Any, **kw: Any) -> None:
        self.seen.append(("token", token))

    def on_llm_end(self, response: Any, **kw: Any) -> None:
        self.seen.append(("end", response.generations[0][0].text))

    def on_llm_error(self, error: BaseException, **kw: Any) -> None:
        self.seen.append(("error", str(error)))


def events(doors: Any, runnable: Any, value: Any, config: Any = None, **kw: Any) -> list[Any]:
    """The event dicts of a run, through the door of this colour."""
    if not doors.asynchronous:
        return list(runnable.stream_events(value, config, version="v2", **kw))

    async def all_() -> list[Any]:
        return [event async for event in runnable.astream_events(value, config, version="v2", **kw)]

    return doors.wait(all_())  # type: ignore[no-any-return]


def log_state(doors: Any, runnable: Any, value: Any, config: Any = None) -> Any:
    """The state that the log patches of a run add up to."""
    if not doors.asynchronous:
        *_, last = runnable.stream_log(value, config, diff=False)
        return last.state

    async def state() -> Any:
        *_, last = [log async for log in runnable.astream_log(value, config, diff=False)]
        return last.state

    return doors.wait(state())


def shape(event: dict[str, Any]) -> Any:
    """What of an event must be the same in two runs: not ids, not times."""
    return event["event"], event["name"], event.get("tags"), _content(event["data"])


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    if hasattr(value, "content"):
        calls = [dict(call) for call in getattr(value, "tool_calls", ())]
        position = getattr(value, "chunk_position", None)
        return type(value).__name__, value.content, calls, position
    return value if isinstance(value, str | int | None) else type(value).__name__


def core(message: Any) -> Any:
    """A message but for its id, and for the note that it cost nothing."""
    told = {
        key: value for key, value in (message.usage_metadata or {}).items() if key != "total_cost"
    }
    calls = [dict(call) for call in message.tool_calls]
    return message.content, told, calls, message.response_metadata
