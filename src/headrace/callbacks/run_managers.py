"""What user code gets as `run_manager`, and what the start methods of a `CallbackManager` give.

Each is the callbacks of one run (`RunCallbacks`: good for `config["callbacks"]` of nested calls)
with the words to report from inside it. What has an event goes through the run, so that all
observers hear it; `on_text` and `on_agent_...` have none and call the handlers' hooks directly. The
async twins are awaited: they return when coroutine hooks have been.

The end and error methods end runs that were *opened by hand*; the runs of Runnables end by
themselves, and there these methods do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isawaitable
from typing import Any, ClassVar
from uuid import UUID

from .._awaited import settle
from ..run import Run, RunCallbacks
from ..shapes import Kwargs, Node
from .base import BaseCallbackHandler, finish_in_thread

__all__ = [
    "AsyncCallbackManagerForChainRun",
    "AsyncCallbackManagerForLLMRun",
    "AsyncCallbackManagerForRetrieverRun",
    "AsyncCallbackManagerForToolRun",
    "ByHand",
    "CallbackManagerForChainRun",
    "CallbackManagerForLLMRun",
    "CallbackManagerForRetrieverRun",
    "CallbackManagerForToolRun",
    "Opened",
    "acall_hook",
    "call_hook",
]  # fmt: skip


# ------------------------------------------------------------------ hooks that have no event


def _heard(run: Run, hook: str, ignore: str) -> list[tuple[Any, Any]]:
    """The handlers of a run that have a hook and are not deaf to it, with the hook."""
    return [
        (one, getattr(one, hook))
        for one in run.scope.observers
        if isinstance(one, BaseCallbackHandler) and not getattr(one, ignore, False)
    ]


def _about(run: Run) -> dict[str, Any]:
    above = run.parent_ids
    return {"run_id": run.id, "parent_run_id": above[-1] if above else None, "tags": run.all_tags}


def call_hook(run: Run, hook: str, ignore: str, *args: Any, **kwargs: Any) -> None:
    """Call a hook of a run's handlers; errors are treated as those of events are."""
    for handler, function in _heard(run, hook, ignore):
        try:
            result = function(*args, **{**_about(run), **kwargs})
            if result is not None and isawaitable(result):
                finish_in_thread(result)
        except Exception:
            run.failed_to_tell(handler, hook)


async def acall_hook(run: Run, hook: str, ignore: str, *args: Any, **kwargs: Any) -> None:
    """`call_hook` for async code."""
    for handler, function in _heard(run, hook, ignore):
        try:
            result = function(*args, **{**_about(run), **kwargs})
            if result is not None and isawaitable(result):
                await result
        except Exception:
            run.failed_to_tell(handler, hook)


# ------------------------------------------------------------------ runs opened by hand


class ByHand(Node):
    """What a run opened by hand is a run of.

    Args:
        name, run_type: of the run.
        card: what handlers get as `serialized`.
        more: what start hooks get besides.
    """

    def __init__(
        self,
        name: str,
        run_type: str = "chain",
        card: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self.card, self._more = name, card, dict(more or {})
        self._run_type = run_type  # type: ignore[misc]

    def get_name(self) -> str:
        return self._name

    def _hook_extras(self, kw: Kwargs) -> dict[str, Any]:
        return self._more


class Opened:
    """A run opened by hand, and whether somebody has ended it already."""

    __slots__ = ("inputs", "over", "run")

    def __init__(self, run: Run, inputs: Any) -> None:
        self.run, self.inputs, self.over = run, inputs, False
        if run.observed:
            run.started(inputs)

    def end(self, outputs: Any) -> None:
        if self.run.observed and not self.over:
            self.run.ended(self.inputs, outputs)
        self.over = True

    def fail(self, error: BaseException, partial: Any = None) -> None:
        if self.run.observed and not self.over:
            self.run.stopped(error, partial)
        self.over = True


# ------------------------------------------------------------------ run managers


def _retried(run: Run, state: Any) -> None:
    """What a library's retry loop says, as our event."""
    error = state.outcome.exception() if state.outcome is not None else None
    action = getattr(state, "next_action", None)
    delay = getattr(action, "sleep", None) or 0.0
    run.retried(state.attempt_number, error or Exception("unknown"), float(delay))


class _RunManager(RunCallbacks):
    """What all have."""

    __slots__ = ("_opened",)
    _manager: ClassVar[Any] = None  # the class of what `get_child` gives; the managers' file says

    def __init__(self, run: Run, opened: Opened | None = None) -> None:
        super().__init__(run)
        self._opened = opened

    @property
    def parent_run_id(self) -> UUID | None:  # type: ignore[override]
        """The run above this one."""
        above = self.run.parent_ids
        return above[-1] if above else None

    @property
    def inheritable_handlers(self) -> list[Any]:
        return self.handlers

    def get_child(self, tag: str | None = None) -> Any:
        """For `config["callbacks"]` of a nested call, or to open runs below this one by hand;
        `tag` goes to the runs below."""
        child = self._manager(self.handlers, self.handlers, self.run.id)
        child.run = self.run
        if tag is not None:
            child.add_tags([tag])
        return child

    def _end(self, outputs: Any) -> None:
        if self._opened is not None:
            self._opened.end(outputs)

    def _fail(self, error: BaseException, partial: Any = None) -> None:
        if self._opened is not None:
            self._opened.fail(error, partial)

    def _answer(self, response: Any) -> Any:
        """The output of a model's run, the whole response kept for the hooks."""
        self.run.result = response
        try:
            first = response.generations[0][0]
        except (AttributeError, IndexError):
            return None
        return getattr(first, "message", first.text)


class _Done:
    """For those who await what is done: a tool's manager is the same in both colours."""

    __slots__ = ()

    def __await__(self) -> Iterator[None]:
        return iter(())


_DONE = _Done()


class _Sync(_RunManager):
    __slots__ = ()

    def on_text(self, text: str, **kwargs: Any) -> Any:
        """Give handlers some text. Done when it returns; may be awaited all the same."""
        call_hook(self.run, "on_text", "", text, **kwargs)
        return _DONE

    def on_retry(self, retry_state: Any, **kwargs: Any) -> Any:
        """Report that something is tried again: a `tenacity.RetryCallState`. May be awaited."""
        _retried(self.run, retry_state)
        return _DONE


class _Async(_RunManager):
    __slots__ = ()
    _twin: ClassVar[Any] = None

    def get_sync(self) -> Any:
        """The twin for sync code."""
        return self._twin(self.run, self._opened)

    async def on_text(self, text: str, **kwargs: Any) -> None:
        """Give handlers some text."""
        await acall_hook(self.run, "on_text", "", text, **kwargs)

    async def on_retry(self, retry_state: Any, **kwargs: Any) -> None:
        """Report that something is tried again: a `tenacity.RetryCallState`."""
        _retried(self.run, retry_state)
        await settle(self.run)

    async def _aend(self, outputs: Any) -> None:
        self._end(outputs)
        await settle(self.run, last=True)

    async def _afail(self, error: BaseException, partial: Any = None) -> None:
        self._fail(error, partial)
        await settle(self.run, last=True)


class CallbackManagerForLLMRun(_Sync):
    """The manager of a model's run."""

    __slots__ = ()

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
        """Report a token; `chunk` is the generation chunk it came in."""
        if self.run.observed:
            self.run.chunk(getattr(chunk, "message", chunk) if chunk is not None else token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """End the run with an `LLMResult`."""
        self._end(self._answer(response))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error; `response` may hold what had come."""
        self._fail(error, self._answer(kwargs.get("response")))


class AsyncCallbackManagerForLLMRun(_Async):
    """The same for async code."""

    __slots__ = ()
    _twin = CallbackManagerForLLMRun

    async def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
        """Report a token; `chunk` is the generation chunk it came in."""
        self.get_sync().on_llm_new_token(token, chunk=chunk)
        await settle(self.run)

    async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """End the run with an `LLMResult`."""
        await self._aend(self._answer(response))

    async def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error; `response` may hold what had come."""
        await self._afail(error, self._answer(kwargs.get("response")))


class CallbackManagerForChainRun(_Sync):
    """The manager of a chain's run."""

    __slots__ = ()

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        """End the run with its output."""
        self._end(outputs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        self._fail(error)

    def on_agent_action(self, action: Any, **kwargs: Any) -> None:
        """Tell handlers what an agent decided to do."""
        call_hook(self.run, "on_agent_action", "ignore_agent", action, **kwargs)

    def on_agent_finish(self, finish: Any, **kwargs: Any) -> None:
        """Tell handlers that an agent is done."""
        call_hook(self.run, "on_agent_finish", "ignore_agent", finish, **kwargs)


class AsyncCallbackManagerForChainRun(_Async):
    """The same for async code."""

    __slots__ = ()
    _twin = CallbackManagerForChainRun

    async def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        """End the run with its output."""
        await self._aend(outputs)

    async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        await self._afail(error)

    async def on_agent_action(self, action: Any, **kwargs: Any) -> None:
        """Tell handlers what an agent decided to do."""
        await acall_hook(self.run, "on_agent_action", "ignore_agent", action, **kwargs)

    async def on_agent_finish(self, finish: Any, **kwargs: Any) -> None:
        """Tell handlers that an agent is done."""
        await acall_hook(self.run, "on_agent_finish", "ignore_agent", finish, **kwargs)


class CallbackManagerForToolRun(_Sync):
    """The manager of a tool's run."""

    __slots__ = ()

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        """End the run with its output."""
        self._end(output)

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        self._fail(error)


class AsyncCallbackManagerForToolRun(_Async):
    """The same for async code."""

    __slots__ = ()
    _twin = CallbackManagerForToolRun

    async def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        """End the run with its output."""
        await self._aend(output)

    async def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        await self._afail(error)


class CallbackManagerForRetrieverRun(_Sync):
    """The manager of a retriever's run."""

    __slots__ = ()

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        """End the run with what was found."""
        self._end(documents)

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        self._fail(error)


class AsyncCallbackManagerForRetrieverRun(_Async):
    """The same for async code."""

    __slots__ = ()
    _twin = CallbackManagerForRetrieverRun

    async def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        """End the run with what was found."""
        await self._aend(documents)

    async def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the run with an error."""
        await self._afail(error)
