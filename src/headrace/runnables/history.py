"""`RunnableWithMessageHistory`: a conversation remembered between calls.

A plan: load the history, run the runnable on it and the new input, store both sides once its output
has ended. What is stored of a stream is the fold of its chunks, the same as `invoke` gives. A
consumer who leaves in the middle has heard a part: that part is stored, marked as interrupted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, overload

from .._bridge import call_in_thread
from ..config import ConfigurableFieldSpec
from ..errors import AsyncOnlyError, ConfigError, InputError
from ..flow import Collect, Command, Forward, Outcome, Read, fold_chunks
from ..messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    message_chunk_to_message,
)
from ..run import Run
from ..shapes import Barrier, Flow, Kwargs, Node, Pieces, Plan
from . import schema
from ._copying import ByValue
from ._repr import called
from ._settings import unique_specs
from ._typed import A
from .base import Input, Output, Runnable
from .coerce import coerce_to_runnable

_SESSION = ConfigurableFieldSpec(
    "session_id", str, "Session ID", "Which conversation it is.", "", is_shared=True
)


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
_RAW_CALLS = ("tool_calls", "function_call")  # as providers spell them in additional_kwargs
_CALL_BLOCKS = ("tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use", "function_call",
                "input_json_delta")  # fmt: skip


class RunnableWithMessageHistory(ByValue, Plan, Runnable[Input, Output]):
    """`runnable`, given the messages of a conversation so far, and told to be remembered.

    Args:
        get_session_history: from the session's key (or keys, by name) to its history, an object
            like `BaseChatMessageHistory`. A function without parameters needs no keys; a coroutine
            function serves async runs only.
        input_messages_key: where in a dict input the new messages are.
        output_messages_key: where in a dict output the answer is.
        history_messages_key: under which key a dict input gets the history; without it the history
            comes before the new messages.
        history_factory_config: the keys of `config["configurable"]` that name a session; by
            default `session_id` alone.
    """

    _layout = "inside"

    @overload
    def __init__(
        self: RunnableWithMessageHistory[Any, A],
        runnable: Runnable[Any, A],
        get_session_history: Callable[..., Any],
        *,
        input_messages_key: str | None = None,
        output_messages_key: str | None = None,
        history_messages_key: str | None = None,
        history_factory_config: Sequence[ConfigurableFieldSpec] | None = None,
        name: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: RunnableWithMessageHistory[Any, Any],
        runnable: Callable[..., Any] | Mapping[str, Any],
        get_session_history: Callable[..., Any],
        *,
        input_messages_key: str | None = None,
        output_messages_key: str | None = None,
        history_messages_key: str | None = None,
        history_factory_config: Sequence[ConfigurableFieldSpec] | None = None,
        name: str | None = None,
    ) -> None: ...
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
        self.bound = coerce_to_runnable(runnable, "which is to have a history")
        self.get_session_history = get_session_history
        self.input_messages_key = input_messages_key
        self.output_messages_key = output_messages_key
        self.history_messages_key = history_messages_key
        self.history_factory_config = list(history_factory_config or [_SESSION])
        self.name = name
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only
        if not callable(get_session_history):
            raise ConfigError(
                f"get_session_history is {get_session_history!r}: give a function from the key of "
                "a session to its history, or `lambda: history` where there is one for all."
            )
        for spec in self.history_factory_config:
            if not isinstance(spec, ConfigurableFieldSpec):
                raise ConfigError(
                    f"history_factory_config holds {spec!r}: give a list of "
                    "ConfigurableFieldSpec(id=…, annotation=str), one for each key."
                )
        self._parameters = _parameters(get_session_history)
        self._arguments({spec.id: "" for spec in self.history_factory_config})  # do they agree?

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        loader = _Loader(self.get_session_history, *self._session(run.scope.configurable))
        given = (yield Read()).value
        new = self._messages_of(given, self.input_messages_key, "input", HumanMessage)
        loaded = yield Collect(loader, value=new)
        if loaded.error is not None:
            raise loaded.error
        chunks: list[Any] = []
        outcome = yield Forward(
            self.bound, value=self._joined(given, loaded.value, new), keep=chunks
        )
        if outcome.error is not None:
            raise outcome.error
        if outcome.left is not None:
            said = self._interrupted(outcome, chunks)
        else:
            answer = fold_chunks(outcome.fold, chunks)
            said = self._messages_of(answer, self.output_messages_key, "output", AIMessage)
        if outcome.left is None or said:
            saved = yield Collect(_Saver(loader.history), value=[*new, *said])
            if saved.error is not None:
                raise saved.error

    def _interrupted(self, outcome: Outcome, chunks: list[Any]) -> list[BaseMessage]:
        """What the consumer had of the answer, as messages; none if it says nothing yet."""
        if not chunks:
            return []
        part = fold_chunks(outcome.fold, chunks)
        key = self.output_messages_key
        if isinstance(part, Mapping) and (not part or (key and key not in part)):
            return []  # the answer's own key has not come yet
        said = self._messages_of(part, key, "output", AIMessage)
        if not any(m.content or getattr(m, "tool_calls", None) for m in said):
            return []  # providers refuse empty messages, in every later call
        part = _content_only(said[-1])
        return [*said[:-1], part] if part.content else said[:-1]

    # ------------------------------------------------------------- which conversation

    def _session(self, configurable: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments that `get_session_history` is called with."""
        if not self._parameters:
            return [], {}
        keys = [spec.id for spec in self.history_factory_config]
        missing = [key for key in keys if key not in configurable]
        if missing:
            example = {"configurable": dict.fromkeys(keys, "…")}
            raise ConfigError(
                "This call does not say which conversation it belongs to: config['configurable'] "
                f"lacks {' and '.join(map(repr, missing))} (it has {list(configurable)}). Call it "
                f"with config={example}."
            )
        return self._arguments({key: configurable[key] for key in keys})

    def _arguments(self, named: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """One key goes by position, several go by name."""
        parameters = self._parameters
        if not parameters:
            return [], {}
        args, kwargs = [], named
        if len(named) == 1 and parameters[0].kind not in _BY_NAME:
            args, kwargs = list(named.values()), {}
        try:
            inspect.Signature(parameters).bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(
                f"get_session_history{inspect.Signature(parameters)} cannot be called with the "
                f"keys {list(named)}: {error}. Give history_factory_config a "
                "ConfigurableFieldSpec for each of its parameters, with the same names."
            ) from error
        return args, kwargs

    # ------------------------------------------------------------- what was said

    def _joined(self, given: Any, old: list[BaseMessage], new: list[BaseMessage]) -> Any:
        key, put = (
            (self.history_messages_key, old)
            if self.history_messages_key is not None
            else (self.input_messages_key, [*old, *new])
        )
        if key is None:
            return put
        if not isinstance(given, Mapping):
            raise InputError(
                f"The messages go into the input under {key!r}, so the input must be a dict, and "
                f"it is {given!r} ({type(given).__name__})."
            )
        return {**given, key: put}

    def _messages_of(
        self, value: Any, key: str | None, usual: str, kind: type[BaseMessage]
    ) -> list[BaseMessage]:
        if isinstance(value, Mapping):
            chosen = key or (next(iter(value)) if len(value) == 1 else usual)
            if chosen not in value:
                said = f"{usual}_messages_key={key!r} names" if key else f"{chosen!r} is"
                raise InputError(
                    f"{said} no key of the {usual}, which has {list(value)}: give "
                    f"{usual}_messages_key={'…' if not value else next(iter(value))!r}, or "
                    "whichever of them holds the messages."
                )
            value = value[chosen]
        if isinstance(value, str):
            return [kind(value)]
        if isinstance(value, BaseMessage):
            value = [value]
        if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]
        if isinstance(value, (list, tuple)) and all(isinstance(m, BaseMessage) for m in value):
            return [
                message_chunk_to_message(m) if isinstance(m, BaseMessageChunk) else m for m in value
            ]
        raise InputError(
            f"The {usual} {value!r} is neither text nor messages, so it cannot be remembered: give "
            f"{usual}_messages_key, or a string, a message or a list of messages."
        )

    # ------------------------------------------------------------- about itself

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The keys of `config["configurable"]` that a call must give, and those of the runnable."""
        return unique_specs([*self.history_factory_config, *self.bound.config_specs])

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        name = f"RunnableWithChatHistory{side.title()}"
        if side == "output":
            found = schema.known(partial(schema.said, self.bound, side, config))
            if schema.is_unknown(found) and self.output_messages_key is not None:
                return schema.Plain(name, schema.ANY_DICT)
            return found._replace(name=name)
        if self.input_messages_key is None:
            return schema.Plain(name, Annotated[Sequence[BaseMessage], _OneOrMany()])
        several: Any = Annotated[Sequence[BaseMessage], _OneOrMany()]
        if self.history_messages_key is not None:
            several = str | BaseMessage | Sequence[BaseMessage]
        return schema.Fields(name, {self.input_messages_key: (several, ...)})

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.bound)]

    def _reads(self) -> Pieces:
        return Pieces.NONE

    def _flow(self) -> Flow:
        return Flow("barrier" if self.bound._flow().kind == "barrier" else "source")

    def __repr__(self) -> str:
        keys = [f"{side}_messages_key" for side in ("input", "output", "history")]
        settings = {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
        if self.history_factory_config != [_SESSION]:
            settings["history_factory_config"] = self.history_factory_config
        return called(type(self).__name__, self.bound, self.get_session_history, **settings)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # a builtin that does not tell: it gets the key
        return [inspect.Parameter("key", inspect.Parameter.POSITIONAL_ONLY)]


def _content_only(message: BaseMessage) -> BaseMessage:
    """A message that was cut off, marked, without the tool calls that nobody can answer."""
    changes: dict[str, Any] = {
        "response_metadata": {**message.response_metadata, "interrupted": True}
    }
    if isinstance(message, AIMessage):
        raw = message.additional_kwargs
        changes["additional_kwargs"] = {k: v for k, v in raw.items() if k not in _RAW_CALLS}
        changes |= {"tool_calls": [], "invalid_tool_calls": []}
        if isinstance(message.content, list):
            changes["content"] = [block for block in message.content if _says(block)]
    return message.model_copy(update=changes)


def _says(block: Any) -> bool:
    """Whether a block of content is no call, and no empty text."""
    if not isinstance(block, Mapping):
        return bool(block)
    kind = block.get("type")
    return kind not in _CALL_BLOCKS and not (kind == "text" and not block.get("text"))


class _Chore(Barrier):
    """A step of the plan's own: it shows up in events and is no part that a user could take."""

    name: str

    def get_name(self) -> str:
        return self.name


class _Loader(_Chore):
    """Finds the history of a session and reads its messages. Input, for whoever watches: the new
    messages."""

    name = "load_history"

    def __init__(self, find: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
        self.find, self.args, self.kwargs = find, args, kwargs
        self.history: Any = None

    def _value(self, value: Any, run: Run, kw: Kwargs) -> list[BaseMessage]:
        self.history = run.call(self.find, *self.args, **self.kwargs)
        if inspect.iscoroutine(self.history):
            self.history.close()
            raise ConfigError(
                f"{self.find!r} is a coroutine function, which only async runs can await: call "
                "ainvoke or astream, or give a plain function."
            )
        if not self._has("messages") and self._has("aget_messages"):
            raise AsyncOnlyError(
                f"{type(self.history).__name__} has no 'messages' and can only be read by async "
                "runs: call ainvoke or astream, or give that class the property."
            )
        self._check(("messages",), ("add_messages",))
        return run.call(lambda: list(self.history.messages))  # type: ignore[no-any-return]

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> list[BaseMessage]:
        found = run.call(self.find, *self.args, **self.kwargs)
        self.history = await found if inspect.isawaitable(found) else found
        self._check(("aget_messages", "messages"), ("aadd_messages", "add_messages"))
        own = getattr(self.history, "aget_messages", None)
        if own is None:
            return list(await call_in_thread(run.call, lambda: self.history.messages))
        return list(await run.acall(own))

    _in_value, _in_avalue = _value, _avalue

    def _check(self, *needed: tuple[str, ...]) -> None:
        """What was found must be a history, before anything is asked of it or of the model."""
        for names in needed:
            if not any(map(self._has, names)):
                raise ConfigError(
                    f"get_session_history gave {self.history!r} ({type(self.history).__name__}), "
                    f"which is no history, as it has no {names[-1]!r}: return an object such as "
                    "InMemoryChatMessageHistory()."
                )

    def _has(self, name: str) -> bool:
        try:
            inspect.getattr_static(self.history, name)  # a property is not read for that
        except AttributeError:
            return hasattr(self.history, name)
        return True


class _Saver(_Chore):
    """Adds what was said to a history."""

    name = "save_history"

    def __init__(self, history: Any) -> None:
        self.history = history

    def _value(self, value: Any, run: Run, kw: Kwargs) -> None:
        try:
            run.call(self.history.add_messages, value)
        except Exception as error:
            self._explain(error, value)
            raise

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> None:
        own = getattr(self.history, "aadd_messages", None)
        try:
            if own is None:
                await call_in_thread(run.call, self.history.add_messages, value)
            else:
                await run.acall(own, value)
        except Exception as error:
            self._explain(error, value)
            raise

    _in_value, _in_avalue = _value, _avalue

    def _explain(self, error: Exception, messages: list[BaseMessage]) -> None:
        """The history's own exception goes on, which users may want to catch; it says more."""
        error.add_note(
            f"The answer was given, but {type(self.history).__name__} did not store these "
            f"{len(messages)} messages of the conversation: {messages!r}"
        )


class _OneOrMany:
    """Lets a pydantic field of messages take one alone, a text or a message."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(
            lambda value: [value] if isinstance(value, (str, BaseMessage)) else value,
            handler(source),
        )
