"""Runs of ours inside a run of LangChain: an observer that tells LangChain's handlers of them.

`as_langchain` puts one into the config of a call. Every run it hears of is started and ended with
the handlers that LangChain has around the call, under LangChain's run: with our run's id, name,
type, tags and metadata, and with everything in it converted. Chunks of models are tokens there;
chunks of other steps go to the handlers that show streams (`astream_events` has one).

| ours | LangChain's hooks |
|---|---|
| start | `on_chat_model_start`, `on_llm_start`, `on_tool_start`, and so on for all kinds |
| chunk | `on_llm_new_token`; of other steps what taps a stream |
| end | `on_llm_end`, `on_tool_end`, `on_retriever_end`, `on_chain_end` |
| error, cancelled | the same with `_error`; of a run that was left with GeneratorExit |
| retry, custom | `on_retry`, `on_custom_event` |
| progress of a tool | `on_custom_event` of the name "tool_progress", `{"value", "tool_call_id"}` |
| reset | nothing: LangChain has no word for it |
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from inspect import isawaitable
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.tracers._streaming import _StreamingCallbackHandler

from ...callbacks.arguments import (
    AT_ONCE,
    MODELS,
    error_of,
    extras,
    given_of,
    kind_of,
    messages_of,
    prompts_of,
    result_of,
    retry_state,
    text_of,
    token_of,
)
from ...events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunRetried,
    RunStarted,
    ToolProgress,
)
from ...messages.tool_calls import split_call
from .values import to_langchain

__all__ = ["Telling"]


class _Told:
    """A run that LangChain knows: its manager there, and the taps of its stream."""

    __slots__ = ("manager", "taps")

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.taps: list[_Tap] | None = None


class _Tap:
    """A handler's tap, fed chunk by chunk: it makes an event of whatever passes through it."""

    __slots__ = ("_asynchronous", "_chunks", "_feed", "_through")

    def __init__(self, handler: Any, run_id: UUID, *, asynchronous: bool) -> None:
        self._chunks: deque[Any] = deque()
        self._asynchronous = asynchronous
        self._feed: Any = self._afed() if asynchronous else self._fed()
        tap = handler.tap_output_aiter if asynchronous else handler.tap_output_iter
        self._through = tap(run_id, self._feed)

    def _fed(self) -> Iterator[Any]:
        while self._chunks:
            yield self._chunks.popleft()

    async def _afed(self) -> AsyncIterator[Any]:
        while self._chunks:
            yield self._chunks.popleft()

    def pass_on(self, chunk: Any) -> Any:
        """Something to await, in async code."""
        self._chunks.append(chunk)
        return anext(self._through) if self._asynchronous else next(self._through)

    def close(self) -> Any:
        """Something to await, in async code."""
        if self._asynchronous:
            return self._aclose()
        self._through.close()
        self._feed.close()
        return None

    async def _aclose(self) -> None:
        await self._through.aclose()
        await self._feed.aclose()


class Telling:
    """See the head of the file.

    Args:
        manager: LangChain's callback manager around the call; of the handlers only those given
            are told.
        handlers: the handlers.
        own: the id of a run that LangChain knows already, because a model of LangChain's is the
            adapter of ours; only what is below it is told.
    """

    tells_langchain = True

    def __init__(self, manager: Any, handlers: Sequence[Any], own: UUID | None = None) -> None:
        self._above = manager
        self._handlers = list(handlers)
        self._own = own
        self._runs: dict[UUID, _Told] = {}
        self._taps = [one for one in handlers if isinstance(one, _StreamingCallbackHandler)]
        self.streams_models = own is None and bool(self._taps)

    def wants(self, run: RunInfo) -> Any:
        """All; but chunks of other steps than models only where there is a tap."""
        if run.id == self._own:
            return ()
        chunks = run.run_type in MODELS or (self._taps and run.run_type not in AT_ONCE)
        return _ALL if chunks else _ALL - {RunChunk}

    # ------------------------------------------------------------- in each colour

    def on_event(self, event: Event) -> None:
        """Tell the handlers, in sync code."""
        for call in _STEPS[type(event)](self, event, False):
            result = call()
            if type(event) is RunStarted:
                self._keep(event, result)

    async def aon_event(self, event: Event) -> None:
        """Tell the handlers, in async code."""
        for call in _STEPS[type(event)](self, event, True):
            result = call()
            if isawaitable(result):
                result = await result
            if type(event) is RunStarted:
                self._keep(event, result)

    def _keep(self, event: RunStarted, made: Any) -> None:
        self._runs[event.run.id] = _Told(made[0] if isinstance(made, list) else made)

    # ------------------------------------------------------------- what is to be called

    def _start(self, event: RunStarted, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        run = event.run
        manager = self._manager_for(run, asynchronous)
        kind = kind_of(run.run_type)
        about = {"name": run.name, "run_id": run.id, **extras(run)}
        card = {"lc": 1, "type": "not_implemented", "id": ["headrace", run.name], "name": run.name}
        value = event.input
        if kind == "chat_model":
            given = to_langchain(messages_of(value))
            yield lambda: manager.on_chat_model_start(card, given, **about)
        elif kind == "llm":
            yield lambda: manager.on_llm_start(card, prompts_of(value)[:1], **about)
        elif kind == "tool":
            args, about["tool_call_id"] = split_call(value)
            given = to_langchain(args) if isinstance(args, dict) else None
            yield lambda: manager.on_tool_start(card, text_of(args), inputs=given, **about)
        elif kind == "retriever":
            yield lambda: manager.on_retriever_start(card, str(value), **about)
        else:
            given = to_langchain(value) if event.known else {"input": ""}
            about["run_type"] = None if run.run_type == "chain" else run.run_type
            yield lambda: manager.on_chain_start(None, given, **about)

    def _manager_for(self, run: RunInfo, asynchronous: bool) -> Any:
        kind = AsyncCallbackManager if asynchronous else CallbackManager
        above = run.parent_ids
        known = bool(above) and (above[-1] in self._runs or above[-1] == self._own)
        tags, metadata = list(run.all_tags), dict(run.metadata)
        if not known:  # the outermost: what LangChain says of this step is said of it
            tags = [*self._above.tags, *(tag for tag in tags if tag not in self._above.tags)]
            metadata = {**self._above.metadata, **metadata}
        return kind(
            handlers=self._handlers,
            inheritable_handlers=self._handlers,
            parent_run_id=above[-1] if known else self._above.parent_run_id,
            tags=tags,
            metadata=metadata,
        )

    def _chunk(self, event: RunChunk, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        told = self._runs.get(event.run.id)
        if told is None:
            return
        if kind_of(event.run.run_type) in MODELS:
            found = None if event.whole else token_of(event.chunk)
            if found is not None:
                token, chunk = found
                given = to_langchain(chunk)
                yield lambda: told.manager.on_llm_new_token(token, chunk=given)
            return
        if told.taps is None:
            told.taps = [_Tap(one, event.run.id, asynchronous=asynchronous) for one in self._taps]
        chunk = to_langchain(event.chunk)
        for tap in told.taps:
            yield lambda tap=tap: tap.pass_on(chunk)  # type: ignore[misc]

    def _end(self, event: RunEnded, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        told = self._runs.pop(event.run.id, None)
        if told is None:
            return
        for tap in told.taps or ():
            yield tap.close
        kind = kind_of(event.run.run_type)
        if kind in MODELS:
            result = to_langchain(result_of(event.output, given_of(event.run)))
            yield lambda: told.manager.on_llm_end(result)
            return
        output = to_langchain(event.output)
        if kind == "chain":
            inputs = to_langchain(event.input)
            yield lambda: told.manager.on_chain_end(output, inputs=inputs)
        else:
            yield lambda: getattr(told.manager, f"on_{kind}_end")(output)

    def _failure(
        self, event: RunFailed | RunCancelled, asynchronous: bool
    ) -> Iterator[Callable[[], Any]]:
        told = self._runs.pop(event.run.id, None)
        if told is None:
            return
        for tap in told.taps or ():
            yield tap.close
        error = error_of(event) if isinstance(event, RunFailed) else GeneratorExit()
        kind = kind_of(event.run.run_type)
        if kind in MODELS:
            response = to_langchain(result_of(event.partial))
            yield lambda: told.manager.on_llm_error(error, response=response)
        else:
            yield lambda: getattr(told.manager, f"on_{kind}_error")(error)

    def _retry(self, event: RunRetried, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        told = self._runs.get(event.run.id)
        if told is not None:
            yield lambda: told.manager.on_retry(retry_state(event))

    def _custom(self, event: CustomEvent, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        manager = self._manager_for(event.run, asynchronous)
        data = to_langchain(event.data)
        yield lambda: manager.on_custom_event(event.label, data, run_id=event.run.id)

    def _progress(self, event: ToolProgress, asynchronous: bool) -> Iterator[Callable[[], Any]]:
        manager = self._manager_for(event.run, asynchronous)
        told = {"value": to_langchain(event.value), "tool_call_id": event.tool_call_id}
        yield lambda: manager.on_custom_event("tool_progress", told, run_id=event.run.id)


_STEPS: dict[type, Any] = {
    RunStarted: Telling._start,
    RunChunk: Telling._chunk,
    RunEnded: Telling._end,
    RunFailed: Telling._failure,
    RunCancelled: Telling._failure,
    RunRetried: Telling._retry,
    CustomEvent: Telling._custom,
    ToolProgress: Telling._progress,
}
_ALL = frozenset(_STEPS)
