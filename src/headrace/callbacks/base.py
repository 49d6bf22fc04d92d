"""`BaseCallbackHandler`: an observer whose hooks are called with what users of LangChain expect.

A handler is given in `config["callbacks"]` and gets the events of that run and of all below it,
in the thread or task they happen in. Hooks that a class does not override cost one look into a
table, which is built when the class is made and again where hooks have been set on the class or the
instance since; `ignore_...` is asked before any argument is built.

Coroutine hooks (`AsyncCallbackHandler`, or any handler with an `async def` hook) are awaited in the
event loop of an async run, one event of a tree after the other, all of them by the time the run
ends. In a sync run each is run to its end in a worker thread with a loop of its own, while the
caller waits: nothing touches a loop that the caller may have.

An error in a hook is logged with the handler's name, or raised where `raise_error` is set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from inspect import isawaitable, iscoroutinefunction
from operator import attrgetter
from types import MethodType
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from .._threads import submit
from ..events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunStarted,
)
from .arguments import (
    error_of,
    facts,
    kind_of,
    messages_of,
    name_card,
    prompts_of,
    result_of,
    text_of,
    token_of,
    transcript,
)

__all__ = ["HOOKS", "AsyncCallbackHandler", "BaseCallbackHandler", "await_event",
           "finish_in_thread"]  # fmt: skip

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _hook(function: Callable[..., Any]) -> Any:
    """Mark a hook as one that does nothing: overriding it enters the class's table."""
    function._does_nothing = True  # type: ignore[attr-defined]
    return function


# ------------------------------------------------------------------ from an event to a call


def _started(event: Any, **more: Any) -> dict[str, Any]:
    run = event.run
    return {**facts(run), "metadata": run.metadata, "name": run.name, **more}


def _chat_start(event: RunStarted) -> Call:
    return (name_card(event.run), messages_of(event.input)), _started(event)


def _chat_as_llm_start(event: RunStarted) -> Call:
    return (name_card(event.run), transcript(event.input)), _started(event)


def _llm_start(event: RunStarted) -> Call:
    return (name_card(event.run), prompts_of(event.input)), _started(event)


def _chain_start(event: RunStarted) -> Call:
    # an input that streams is not there yet: on_chain_end has it
    inputs = {"input": ""} if event.input is None else event.input
    return (None, inputs), _started(event, run_type=event.run.run_type)


def _tool_start(event: RunStarted) -> Call:
    inputs = event.input if isinstance(event.input, dict) else None
    return (name_card(event.run), text_of(event.input)), _started(event, inputs=inputs)


def _retriever_start(event: RunStarted) -> Call:
    return (name_card(event.run), event.input), _started(event)


def _token(event: RunChunk) -> Call | None:
    told = token_of(event.chunk)
    return None if told is None else ((told[0],), {**facts(event.run), "chunk": told[1]})


def _llm_end(event: RunEnded) -> Call:
    return (result_of(event.output),), facts(event.run)


def _chain_end(event: RunEnded) -> Call:
    return (event.output,), {**facts(event.run), "inputs": event.input}


def _value_end(event: RunEnded) -> Call:
    return (event.output,), facts(event.run)


def _stopped(event: RunFailed | RunCancelled) -> Call:
    return (error_of(event),), facts(event.run)


def _llm_stopped(event: RunFailed | RunCancelled) -> Call:
    return (error_of(event),), {**facts(event.run), "response": result_of(event.partial)}


def _custom(event: CustomEvent) -> Call:
    told = facts(event.run)
    rest = {"run_id": told["run_id"], "tags": told["tags"], "metadata": event.run.metadata}
    return (event.label, event.data), rest


class _Row(NamedTuple):
    """Which hook an event of a kind of run goes to, what makes it deaf, what makes its call."""

    hook: str
    ignore: str | None  # None where the class has not overridden it
    build: Callable[[Any], Call | None]

    def seen_by(self, cls: type) -> _Row:
        same = getattr(cls, self.ignore or "") is getattr(BaseCallbackHandler, self.ignore or "")
        return self._replace(ignore=None) if same else self


class _Kinds(dict[str, "_Row | None"]):
    """Rows by run type; a type that is asked for the first time gets the row of its family."""

    def __missing__(self, run_type: str) -> _Row | None:
        row = self[run_type] = self.get(kind_of(run_type))
        return row


_Rows = dict[type, _Kinds]

_STOPPED = {
    "chat_model": _Row("on_llm_error", "ignore_llm", _llm_stopped),
    "llm": _Row("on_llm_error", "ignore_llm", _llm_stopped),
    "chain": _Row("on_chain_error", "ignore_chain", _stopped),
    "tool": _Row("on_tool_error", "ignore_agent", _stopped),
    "retriever": _Row("on_retriever_error", "ignore_retriever", _stopped),
}
_ROWS: dict[type, dict[str, _Row]] = {
    RunStarted: {
        "chat_model": _Row("on_chat_model_start", "ignore_chat_model", _chat_start),
        "llm": _Row("on_llm_start", "ignore_llm", _llm_start),
        "chain": _Row("on_chain_start", "ignore_chain", _chain_start),
        "tool": _Row("on_tool_start", "ignore_agent", _tool_start),
        "retriever": _Row("on_retriever_start", "ignore_retriever", _retriever_start),
    },
    RunChunk: {
        "chat_model": _Row("on_llm_new_token", "ignore_llm", _token),
        "llm": _Row("on_llm_new_token", "ignore_llm", _token),
    },
    RunEnded: {
        "chat_model": _Row("on_llm_end", "ignore_llm", _llm_end),
        "llm": _Row("on_llm_end", "ignore_llm", _llm_end),
        "chain": _Row("on_chain_end", "ignore_chain", _chain_end),
        "tool": _Row("on_tool_end", "ignore_agent", _value_end),
        "retriever": _Row("on_retriever_end", "ignore_retriever", _value_end),
    },
    RunFailed: _STOPPED,
    RunCancelled: _STOPPED,
    CustomEvent: {
        kind: _Row("on_custom_event", "ignore_custom_event", _custom)
        for kind in ("chat_model", "llm", "chain", "tool", "retriever")
    },
}
_CHAT_AS_LLM = _Row("on_llm_start", "ignore_llm", _chat_as_llm_start)


def _heard(handler: Any) -> tuple[_Rows, bool]:
    """The rows whose hooks a class or an instance has, and whether one of them is a coroutine
    function."""
    cls = handler if isinstance(handler, type) else type(handler)

    def has(name: str) -> bool:
        # `is True`: a mock has every attribute
        return getattr(getattr(handler, name), "_does_nothing", None) is not True

    rows: _Rows = {}
    for event, by_kind in _ROWS.items():
        own = _Kinds({k: row.seen_by(cls) for k, row in by_kind.items() if has(row.hook)})
        if event is RunStarted and "chat_model" not in own and has("on_llm_start"):
            own["chat_model"] = _CHAT_AS_LLM.seen_by(cls)
        if own:
            rows[event] = own
    used = {row.hook for own in rows.values() for row in own.values() if row is not None}
    return rows, any(iscoroutinefunction(getattr(handler, name)) for name in used)


def finish_in_thread(awaitable: Awaitable[Any]) -> Any:
    """What an awaitable gives, awaited in a worker thread with an event loop of its own."""
    import asyncio

    outcome: Future[Any] = Future()

    async def finished() -> Any:
        return await awaitable

    def job() -> None:
        try:
            outcome.set_result(asyncio.run(finished()))
        except BaseException as error:  # it is the caller's, who waits for it
            outcome.set_exception(error)

    submit(job)
    return outcome.result()


def _hears_all(*args: Any) -> bool:
    return True


def _takes_events(cls: type) -> bool:
    """Whether a class takes whole events by a method of its own, and does not say which."""
    for own in map(vars, cls.__mro__):
        if "hears" in own:
            return False
        if own.get("aon_event") not in (None, await_event) or "on_event" in own:
            return True
    return False


async def await_event(self: BaseCallbackHandler, event: Event) -> None:
    """The method `aon_event` of handlers that are awaited."""
    result = self._dispatch(event)
    if result is not None and isawaitable(result):
        await result


class BaseCallbackHandler:
    """Base of callback handlers: override the hooks you want; see the file's head.

    Every hook takes `run_id`, `parent_run_id` and `tags` as keywords; starts also `metadata` and
    `name`. Take `**kwargs`, later versions may tell more.
    """

    raise_error: bool = False  # raise what a hook raises, instead of logging it
    run_inline: bool = False  # accepted: hooks always run in line, in the order of the events
    aon_event: ClassVar[Any] = None  # a method in classes with coroutine hooks
    _rows: ClassVar[_Rows] = {}
    _looks: ClassVar[tuple[Any, ...]] = ()  # the hooks and filters that the rows were made of

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._learn()

    @classmethod
    def _learn(cls) -> None:
        looks = _LOOKS(cls)
        if _takes_events(cls):
            setattr(cls, "hears", _hears_all)  # noqa: B010 - a method, as mypy sees it
        cls._rows, waits = _heard(cls)
        if waits and cls.aon_event is None:
            cls.aon_event = await_event
        cls._looks = looks  # last: another thread may be looking

    def catch_up(self) -> None:
        """Take in hooks that were set on the class after it was made, or on this instance: called
        whenever the handler is given to a run."""
        cls, own = type(self), vars(self)
        if _LOOKS(cls) != cls._looks:
            cls._learn()
        if not _HOOK_NAMES.isdisjoint(own):
            own["_rows"], waits = _heard(self)
            if waits and cls.aon_event is None:
                own["aon_event"] = MethodType(await_event, self)
        elif "_rows" in own:
            own.pop("_rows", None)
            own.pop("aon_event", None)
        if "on_event" in own:
            own.setdefault("hears", _hears_all)

    # ------------------------------------------------------------- filters

    @property
    def ignore_llm(self) -> bool:
        """Whether to hear nothing of models."""
        return False

    @property
    def ignore_chat_model(self) -> bool:
        """Whether to hear nothing of the start of chat models."""
        return False

    @property
    def ignore_chain(self) -> bool:
        """Whether to hear nothing of chains, prompts and parsers."""
        return False

    @property
    def ignore_agent(self) -> bool:
        """Whether to hear nothing of tools and agents."""
        return False

    @property
    def ignore_retriever(self) -> bool:
        """Whether to hear nothing of retrievers."""
        return False

    @property
    def ignore_retry(self) -> bool:
        """Whether to hear nothing of retries."""
        return False

    @property
    def ignore_custom_event(self) -> bool:
        """Whether to hear nothing of events that user code reports."""
        return False

    # ------------------------------------------------------------- dispatch

    def hears(self, event: Event) -> bool:
        """Whether there is a hook for an event: runs ask before they hand it over or keep it. A
        subclass with an `on_event` of its own hears all."""
        by_kind = self._rows.get(type(event))
        return by_kind is not None and by_kind[event.run.run_type] is not None

    def on_event(self, event: Event) -> None:
        """Call the hook for an event; a coroutine is finished in a worker thread."""
        result = self._dispatch(event)
        if result is not None and isawaitable(result):
            finish_in_thread(result)

    def _dispatch(self, event: Any) -> Any:
        by_kind = self._rows.get(type(event))
        row = None if by_kind is None else by_kind[event.run.run_type]
        if row is None:
            return None
        hook, ignore, build = row
        if ignore is not None and getattr(self, ignore):
            return None
        call = build(event)
        if call is None:
            return None
        if hook == "on_chat_model_start":
            return self._chat_model_started(event, call)
        return getattr(self, hook)(*call[0], **call[1])

    def _chat_model_started(self, event: RunStarted, call: Call) -> Any:
        """A hook that raises NotImplementedError wants its prompts as text, by `on_llm_start`."""
        try:
            result = self.on_chat_model_start(*call[0], **call[1])
        except NotImplementedError:
            return self._as_llm_start(event)
        return self._or_as_llm_start(event, result) if isawaitable(result) else result

    async def _or_as_llm_start(self, event: RunStarted, result: Any) -> None:
        try:
            await result
        except NotImplementedError:
            again = self._as_llm_start(event)
            if isawaitable(again):
                await again

    def _as_llm_start(self, event: RunStarted) -> Any:
        if self.ignore_llm:
            return None
        args, kwargs = _chat_as_llm_start(event)
        return self.on_llm_start(*args, **kwargs)

    # ------------------------------------------------------------- models

    @_hook
    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any) -> Any:
        """A text model starts. For a chat model too, where `on_chat_model_start` is not there."""

    @_hook
    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[Any]], **kwargs: Any
    ) -> Any:
        """A chat model starts; `messages` holds one list per prompt."""
        raise NotImplementedError("on_chat_model_start is not there: on_llm_start is called.")

    @_hook
    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> Any:
        """A model's next piece: its text (or content blocks), and the generation chunk."""

    @_hook
    def on_llm_end(self, response: Any, **kwargs: Any) -> Any:
        """A model ended; `response` is an `LLMResult`."""

    @_hook
    def on_llm_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A model failed or was left; `response` holds what had come."""

    # ------------------------------------------------------------- chains, prompts, parsers

    @_hook
    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> Any:
        """A chain starts (`run_type` says which kind). An input that streams in is not known yet:
        it is `{"input": ""}` here and `inputs` of `on_chain_end`."""

    @_hook
    def on_chain_end(self, outputs: Any, **kwargs: Any) -> Any:
        """A chain ended; `outputs` is its value, or the sum of its chunks."""

    @_hook
    def on_chain_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A chain failed, or was left (`RunCancelledError`)."""

    # ------------------------------------------------------------- tools, agents, retrievers

    @_hook
    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> Any:
        """A tool starts; `inputs` are its arguments where they are a dict."""

    @_hook
    def on_tool_end(self, output: Any, **kwargs: Any) -> Any:
        """A tool ended."""

    @_hook
    def on_tool_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A tool failed or was left."""

    @_hook
    def on_agent_action(self, action: Any, **kwargs: Any) -> Any:
        """An agent decided what to do. For those who call it: no event leads here."""

    @_hook
    def on_agent_finish(self, finish: Any, **kwargs: Any) -> Any:
        """An agent is done. For those who call it: no event leads here."""

    @_hook
    def on_retriever_start(self, serialized: dict[str, Any], query: str, **kwargs: Any) -> Any:
        """A retriever starts."""

    @_hook
    def on_retriever_end(self, documents: Any, **kwargs: Any) -> Any:
        """A retriever ended."""

    @_hook
    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A retriever failed or was left."""

    # ------------------------------------------------------------- others

    @_hook
    def on_text(self, text: str, **kwargs: Any) -> Any:
        """Some text. For those who call it: no event leads here."""

    @_hook
    def on_retry(self, retry_state: Any, **kwargs: Any) -> Any:
        """A step is tried again. For those who call it: no event leads here."""

    @_hook
    def on_custom_event(
        self,
        name: str,
        data: Any,
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """User code reported something from inside a run."""


HOOKS = tuple(
    name for name in vars(BaseCallbackHandler) if name.startswith("on_") and name != "on_event"
)
"""The names of all hooks."""

_HOOK_NAMES = frozenset(HOOKS)
_LOOKS = attrgetter(
    "on_event",
    *sorted({name for own in _ROWS.values() for row in own.values() for name in row[:2] if name}),
)
BaseCallbackHandler._learn()


class AsyncCallbackHandler(BaseCallbackHandler):
    """Base of handlers whose hooks are coroutine functions. The hooks are those of
    `BaseCallbackHandler`, here awaitable, so that `await super().on_llm_start(...)` works."""


def _async_stub(name: str) -> Callable[..., Any]:
    async def stub(self: Any, *args: Any, **kwargs: Any) -> None:
        if name == "on_chat_model_start":
            raise NotImplementedError("on_chat_model_start is not there: on_llm_start is called.")

    stub.__name__ = name
    stub.__doc__ = getattr(BaseCallbackHandler, name).__doc__
    return _hook(stub)  # type: ignore[no-any-return]


for _name in HOOKS:
    setattr(AsyncCallbackHandler, _name, _async_stub(_name))
AsyncCallbackHandler._learn()
