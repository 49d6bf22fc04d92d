"""`RunnableWithMessageHistory`: a conversation remembered between calls.

A plan: load the history, run the runnable on it and the new input, store both sides once its output
has ended. What is stored of a stream is the fold of its chunks, the same as `invoke` gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from ..config import ConfigurableFieldSpec, RunnableConfig
from ..errors import ConfigError, InputError
from ..flow import Collect, Command, Forward, Outcome, Read, fold_chunks
from ..messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    message_chunk_to_message,
)
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Plan
from .base import Input, Output, Runnable
from .coerce import coerce_to_runnable
from .function import RunnableLambda

_SESSION = ConfigurableFieldSpec(
    "session_id", str, "Session ID", "Which conversation it is.", "", is_shared=True
)


class RunnableWithMessageHistory(Plan, Runnable[Input, Output]):
    """`runnable`, given the messages of a conversation so far, and told to be remembered.

    Args:
        get_session_history: from the session's key (or keys, by name) to its history, an object
            like `BaseChatMessageHistory`.
        input_messages_key: where in a dict input the new messages are.
        output_messages_key: where in a dict output the answer is.
        history_messages_key: under which key a dict input gets the history; without it the history
            comes before the new messages.
        history_factory_config: the keys of `config["configurable"]` that name a session; by
            default `session_id` alone.
    """

    def __init__(
        self,
        runnable: Any,
        get_session_history: Callable[..., Any],
        *,
        input_messages_key: str | None = None,
        output_messages_key: str | None = None,
        history_messages_key: str | None = None,
        history_factory_config: Sequence[ConfigurableFieldSpec] | None = None,
        name: str | None = None,
    ) -> None:
        self.bound = coerce_to_runnable(runnable)
        self.get_session_history = get_session_history
        self.input_messages_key = input_messages_key
        self.output_messages_key = output_messages_key
        self.history_messages_key = history_messages_key
        self.history_factory_config = list(history_factory_config or [_SESSION])
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only
        self._loader: Any = RunnableLambda(_load, _aload, name="load_history")
        self._saver: Any = RunnableLambda(_save, _asave, name="save_history")

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        history = self._history(run.config())
        given = (yield Read()).value
        new = self._messages_of(given, self.input_messages_key, "input", HumanMessage)
        loaded = yield Collect(self._loader, value=history)
        if loaded.error is not None:
            raise loaded.error
        chunks: list[Any] = []
        outcome = yield Forward(
            self.bound, value=self._joined(given, loaded.value, new), keep=chunks
        )
        if outcome.error is not None:
            raise outcome.error
        answer = fold_chunks(self._fold, chunks)
        said = self._messages_of(answer, self.output_messages_key, "output", AIMessage)
        saved = yield Collect(self._saver, value=(history, [*new, *said]))
        if saved.error is not None:
            raise saved.error

    # ------------------------------------------------------------- which conversation

    def _history(self, config: RunnableConfig) -> Any:
        keys = [spec.id for spec in self.history_factory_config]
        configurable = config.get("configurable", {})
        missing = [key for key in keys if key not in configurable]
        parameters = list(inspect.signature(self.get_session_history).parameters)
        if missing and parameters:
            example = {"configurable": dict.fromkeys(keys, "…")}
            raise ConfigError(
                f"The config of this call lacks {missing}, which say which conversation it belongs "
                f"to: call it with config={example}."
            )
        if not parameters:
            return self.get_session_history()
        if len(keys) == 1:
            return self.get_session_history(configurable[keys[0]])
        return self.get_session_history(**{key: configurable[key] for key in keys})

    # ------------------------------------------------------------- what was said

    def _joined(self, given: Any, old: list[BaseMessage], new: list[BaseMessage]) -> Any:
        if self.history_messages_key is not None:
            return {**given, self.history_messages_key: old}
        if self.input_messages_key is not None:
            return {**given, self.input_messages_key: [*old, *new]}
        return [*old, *new]

    def _messages_of(
        self, value: Any, key: str | None, usual: str, kind: type[BaseMessage]
    ) -> list[BaseMessage]:
        if isinstance(value, Mapping):
            chosen = key or (next(iter(value)) if len(value) == 1 else usual)
            if chosen not in value:
                raise InputError(
                    f"The {usual} has no key {chosen!r}, where its messages should be (it has "
                    f"{sorted(value)}): give {usual}_messages_key."
                )
            value = value[chosen]
        if isinstance(value, str):
            return [kind(value)]
        if isinstance(value, BaseMessageChunk):
            return [message_chunk_to_message(value)]
        if isinstance(value, BaseMessage):
            return [value]
        if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        if isinstance(value, (list, tuple)) and all(isinstance(m, BaseMessage) for m in value):
            return list(value)
        raise InputError(
            f"The {usual} {value!r} is neither text nor messages, so it cannot be remembered: give "
            f"{usual}_messages_key, or a string, a message or a list of messages."
        )

    # ------------------------------------------------------------- about itself

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The keys of `config["configurable"]` that a call must give."""
        return list(self.history_factory_config)

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _flow(self) -> Flow:
        return Flow("barrier" if self.bound._flow().kind == "barrier" else "source")

    def __repr__(self) -> str:
        return f"RunnableWithMessageHistory({self.bound!r})"


def _load(history: Any) -> list[BaseMessage]:
    return list(history.messages)


async def _aload(history: Any) -> list[BaseMessage]:
    return list(await history.aget_messages())


def _save(pair: tuple[Any, list[BaseMessage]]) -> None:
    pair[0].add_messages(pair[1])


async def _asave(pair: tuple[Any, list[BaseMessage]]) -> None:
    await pair[0].aadd_messages(pair[1])
