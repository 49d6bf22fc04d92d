"""`BaseCallbackHandler`: an observer whose hooks are called with what users of LangChain expect.

A handler is given in `config["callbacks"]` and gets the events of that run and of all below it,
in the thread or task they happen in. Hooks that a class does not override cost one look into a
table, which is built when the class is made and again where hooks have been set on the class or the
instance since; `ignore_...` is asked before any argument is built.

A subclass may also take whole events, by a method `on_event(event)` of its own: it is called before
the hook. One that cannot be called with an event alone, or is a coroutine function, is none of the
bus's business, and the base has none: who overrides all that begins with `on_` gets hooks.

Coroutine hooks (`AsyncCallbackHandler`, or any handler with an `async def` hook) are awaited in the
event loop of an async run, one event of a tree after the other, all of them by the time the run
ends. In a sync run each is run to its end in a worker thread with a loop of its own, while the
caller waits: nothing touches a loop that the caller may have.

An error in a hook is logged with the handler's name, or raised where `raise_error` is set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from inspect import getattr_static, isawaitable, iscoroutinefunction, signature
from operator import attrgetter
from types import MethodType
from typing import Any, ClassVar
from uuid import UUID

from .._threads import submit
from ..events import EVENTS, Event, RunChunk, RunInfo, RunStarted, Takes
from ..messages import BaseMessageChunk
from ..outputs import ChatGenerationChunk
from .arguments import facts, token_of
from .described import info_of
from .rows import CHAT_AS_LLM, ROWS, Call, Kinds, chat_as_llm_start

__all__ = ["HOOKS", "AsyncCallbackHandler", "BaseCallbackHandler", "await_event",
           "finish_in_thread", "quiet"]  # fmt: skip


def quiet(function: Callable[..., Any]) -> Any:
    """Mark a hook as one that does nothing: overriding it enters the class's table."""
    function._does_nothing = True  # type: ignore[attr-defined]
    return function


_Rows = dict[type, Kinds]


def _heard(handler: Any) -> tuple[_Rows, bool]:
    """The rows whose hooks a class or an instance has, and whether one of them is a coroutine
    function."""
    cls = handler if isinstance(handler, type) else type(handler)

    def has(name: str) -> bool:
        # `is True`: a mock has every attribute
        return getattr(getattr(handler, name), "_does_nothing", None) is not True

    rows: _Rows = {}
    for event, by_kind in ROWS.items():
        own = Kinds(
            {
                kind: row.seen_by(cls, BaseCallbackHandler)
                for kind, row in by_kind.items()
                if has(row.hook)
            }
        )
        if event is RunStarted and "chat_model" not in own and has("on_llm_start"):
            own["chat_model"] = CHAT_AS_LLM.seen_by(cls, BaseCallbackHandler)
        if own:
            rows[event] = own
    used = {row.hook for own in rows.values() for row in own.values() if row is not None}
    return rows, any(iscoroutinefunction(getattr(handler, name)) for name in used)


def _tokens(handler: Any, hook: Callable[..., Any], run: Any) -> Callable[[Any], None]:
    told = facts(run)
    run_id, parent_run_id, tags = told["run_id"], told["parent_run_id"], told["tags"]

    def take(chunk: Any) -> None:
        if run.waking is not None:
            run.waking.wake()
        try:
            if isinstance(chunk, BaseMessageChunk):
                info = info_of(chunk) if chunk.response_metadata else None
                token, piece = chunk.content, ChatGenerationChunk(chunk, info)
            elif (made := token_of(chunk)) is not None:
                token, piece = made
            else:
                return
            result = hook(token, run_id=run_id, parent_run_id=parent_run_id, tags=tags, chunk=piece)
            if result is not None and isawaitable(result):
                finish_in_thread(result)
        except Exception:
            run.failed_to_tell(handler, RunChunk)

    return take


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


def _wants_all(*args: Any) -> Takes:
    return EVENTS


def _takes_events(cls: type[BaseCallbackHandler]) -> bool:
    """Whether a class takes whole events by a method of its own, and does not say which."""
    for own in map(vars, cls.__mro__):
        if "wants" in own:
            return False
        by_itself = own.get("aon_event") not in (None, await_event)
        if by_itself or (cls._hook_door and "on_event" in own):
            return True
    return False


def _is_door(function: Any) -> bool:
    """Whether what stands under `on_event` can be called with an event, and is done then."""
    if not callable(function) or iscoroutinefunction(function):
        return False
    try:
        signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say what it takes
        return True
    return True


def _has_door(cls: type) -> bool:
    """Whether a class's instances have a method `on_event` that the bus may call."""
    found = getattr_static(cls, "on_event", None)
    if not callable(found) and not isinstance(found, classmethod):
        return False
    bind = getattr(type(found), "__get__", None)  # a mock set on a class has none
    return _is_door(found if bind is None else bind(found, object(), cls))


async def await_event(self: BaseCallbackHandler, event: Event) -> None:
    """The method `aon_event` of handlers that are awaited."""
    try:
        if self._hook_door:
            self.on_event(event)  # type: ignore[attr-defined]
    finally:
        result = self._call_hook(event)
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
    _hook_door: bool = False  # whether there is an `on_event` that takes events
    _hook_rows: ClassVar[_Rows] = {}
    _hook_own: ClassVar[Any] = None  # the class's `on_event`
    _hook_looks: ClassVar[tuple[Any, ...]] = ()  # the hooks and filters that the rows were made of

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._learn_hooks()

    @classmethod
    def _learn_hooks(cls) -> None:
        looks, own = _LOOKS(cls), getattr(cls, "on_event", None)
        cls._hook_door = _has_door(cls)
        if _takes_events(cls):
            setattr(cls, "wants", _wants_all)  # noqa: B010 - a method, as mypy sees it
        cls._hook_rows, waits = _heard(cls)
        if waits and cls.aon_event is None:
            cls.aon_event = await_event
        cls._hook_own, cls._hook_looks = own, looks  # last: another thread may be looking

    def catch_up(self) -> None:
        """Take in hooks that were set on the class after it was made, or on this instance: called
        whenever the handler is given to a run."""
        cls, own = type(self), vars(self)
        if _LOOKS(cls) != cls._hook_looks or getattr(cls, "on_event", None) != cls._hook_own:
            cls._learn_hooks()
        if not _HOOK_NAMES.isdisjoint(own):
            own["_hook_rows"], waits = _heard(self)
            if waits and cls.aon_event is None:
                own["aon_event"] = MethodType(await_event, self)
        elif "_hook_rows" in own:
            own.pop("_hook_rows", None)
            own.pop("aon_event", None)
        if "on_event" in own:
            own["_hook_door"] = _is_door(own["on_event"])
            if own["_hook_door"]:
                own.setdefault("wants", _wants_all)
        elif own.pop("_hook_door", False) and own.get("wants") is _wants_all:
            del own["wants"]

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

    def wants(self, run: RunInfo) -> Takes:
        """The events of a run that there is a hook for: nothing else is built for this handler. A
        subclass with an `on_event` of its own takes all."""
        kind = run.run_type
        return frozenset(event for event, rows in self._hook_rows.items() if rows[kind] is not None)

    def chunk_taker(self, run: RunInfo) -> Callable[[Any], None] | None:
        """The hook for tokens, bound to a run: what costs most where there are many. None where
        each has to be looked at as an event: the hook is awaited, a filter or the dispatch is
        of the subclass's own."""
        cls = type(self)
        row = self._hook_rows[RunChunk][run.run_type] if RunChunk in self._hook_rows else None
        if row is None or row.ignore is not None or self._hook_door:
            return None
        if cls._call_hook is not BaseCallbackHandler._call_hook:
            return None
        return _tokens(self, getattr(self, row.hook), run)

    def _headrace_event(self, event: Event) -> None:
        """Call the hook for an event; a coroutine is finished in a worker thread."""
        try:
            if self._hook_door:
                self.on_event(event)  # type: ignore[attr-defined]
        finally:
            result = self._call_hook(event)
            if result is not None and isawaitable(result):
                finish_in_thread(result)

    def _in_logs(self, run: RunInfo, kind: type[Event]) -> str:
        row = self._hook_rows[kind][run.run_type] if kind in self._hook_rows else None
        hook = "on_event" if row is None or self._hook_door else row.hook
        return f"{type(self).__name__}.{hook}"

    def _call_hook(self, event: Any) -> Any:
        by_kind = self._hook_rows.get(type(event))
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
        args, kwargs = chat_as_llm_start(event)
        return self.on_llm_start(*args, **kwargs)

    # ------------------------------------------------------------- models

    @quiet
    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any) -> Any:
        """A text model starts. For a chat model too, where `on_chat_model_start` is not there."""

    @quiet
    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[Any]], **kwargs: Any
    ) -> Any:
        """A chat model starts; `messages` holds one list per prompt."""
        raise NotImplementedError("on_chat_model_start is not there: on_llm_start is called.")

    @quiet
    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> Any:
        """A model's next piece: its text (or content blocks), and the generation chunk."""

    @quiet
    def on_llm_end(self, response: Any, **kwargs: Any) -> Any:
        """A model ended; `response` is an `LLMResult`."""

    @quiet
    def on_llm_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A model failed or was left; `response` holds what had come."""

    # ------------------------------------------------------------- chains, prompts, parsers

    @quiet
    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> Any:
        """A chain starts (`run_type` says which kind). An input that streams in is not known yet:
        it is `{"input": ""}` here and `inputs` of `on_chain_end`."""

    @quiet
    def on_chain_end(self, outputs: Any, **kwargs: Any) -> Any:
        """A chain ended; `outputs` is its value, or the sum of its chunks."""

    @quiet
    def on_chain_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A chain failed, or was left (`RunCancelledError`)."""

    # ------------------------------------------------------------- tools, agents, retrievers

    @quiet
    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> Any:
        """A tool starts; `inputs` are its arguments where they are a dict."""

    @quiet
    def on_tool_end(self, output: Any, **kwargs: Any) -> Any:
        """A tool ended."""

    @quiet
    def on_tool_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A tool failed or was left."""

    @quiet
    def on_tool_progress(
        self, value: Any, *, run_id: UUID, tool_call_id: str | None = None, **kwargs: Any
    ) -> Any:
        """A tool that is a generator function has yielded `value` on its way to its result."""

    @quiet
    def on_agent_action(self, action: Any, **kwargs: Any) -> Any:
        """An agent decided what to do. For those who call it: no event leads here."""

    @quiet
    def on_agent_finish(self, finish: Any, **kwargs: Any) -> Any:
        """An agent is done. For those who call it: no event leads here."""

    @quiet
    def on_retriever_start(self, serialized: dict[str, Any], query: str, **kwargs: Any) -> Any:
        """A retriever starts."""

    @quiet
    def on_retriever_end(self, documents: Any, **kwargs: Any) -> Any:
        """A retriever ended."""

    @quiet
    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> Any:
        """A retriever failed or was left."""

    # ------------------------------------------------------------- others

    @quiet
    def on_text(self, text: str, **kwargs: Any) -> Any:
        """Some text. For those who call it: no event leads here."""

    @quiet
    def on_retry(self, retry_state: Any, **kwargs: Any) -> Any:
        """A step has failed and is tried again; `retry_state` is tenacity's: `attempt_number`,
        `outcome.exception()`, `next_action.sleep`, and `idle_for`, that wait included."""

    @quiet
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


HOOKS = tuple(name for name in vars(BaseCallbackHandler) if name.startswith("on_"))
"""The names of all hooks."""

_HOOK_NAMES = frozenset(HOOKS)
_LOOKS = attrgetter(
    *sorted({name for own in ROWS.values() for row in own.values() for name in row[:2] if name})
)

BaseCallbackHandler._learn_hooks()


class AsyncCallbackHandler(BaseCallbackHandler):
    """Base of handlers whose hooks are coroutine functions. The hooks are those of
    `BaseCallbackHandler`, here awaitable, so that `await super().on_llm_start(...)` works."""


def _async_stub(name: str) -> Callable[..., Any]:
    async def stub(self: Any, *args: Any, **kwargs: Any) -> None:
        if name == "on_chat_model_start":
            raise NotImplementedError("on_chat_model_start is not there: on_llm_start is called.")

    stub.__name__ = name
    stub.__doc__ = getattr(BaseCallbackHandler, name).__doc__
    return quiet(stub)  # type: ignore[no-any-return]


for _name in HOOKS:
    setattr(AsyncCallbackHandler, _name, _async_stub(_name))
AsyncCallbackHandler._learn_hooks()
