"""The `on_..._start` methods of callback managers: runs that user code opens by hand.

Each makes a run below the one the manager belongs to (or the one whose code is executing), tells
its start, and gives the manager of the new run, which the caller ends. Handlers, views and spans
see such a run like any other. Models give one run per prompt.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from .._awaited import await_hooks, settle
from ..run import Run, begin
from ..scope import BARE
from .run_managers import (
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    ByHand,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    Opened,
)

__all__ = ["AsyncOpening", "Opening"]


def _name(card: Any, kwargs: dict[str, Any], default: str) -> str:
    """What the caller calls it, else its card: by name or by the last part of its id."""
    named = kwargs.pop("name", None)
    if named or not isinstance(card, dict):
        return named or default
    place = card.get("id") or [default]
    return str(card.get("name") or place[-1])


def _run(manager: Any, kind: str, card: Any, run_id: Any, kwargs: dict[str, Any]) -> Run:
    """A run of a kind, not told of yet."""
    given = dict(kwargs)
    above = given.pop("parent_run_id", None) or manager.parent_run_id
    run_type = given.pop("run_type", None) or kind
    node = ByHand(_name(card, given, kind), run_type, card, given)
    run = begin(node, {"callbacks": manager, **({} if run_id is None else {"run_id": run_id})})
    if run.parent is None and above is not None:  # known by its id alone
        run.parent = Run(BARE, [])
        run.parent._id = above
    return run


class Opening:
    """The start methods, for sync code."""

    def _opened(self, made: Any, kind: str, card: Any, value: Any, run_id: Any, kwargs: Any) -> Any:
        run = _run(self, kind, card, run_id, kwargs)
        return made(run, Opened(run, value))

    def _several(
        self, kind: str, card: Any, values: list[Any], first: UUID | None, kwargs: Any
    ) -> list[CallbackManagerForLLMRun]:
        ids = [first, *[None] * len(values)]
        return [
            self._opened(CallbackManagerForLLMRun, kind, card, value, run_id, kwargs)
            for value, run_id in zip(values, ids, strict=False)
        ]

    def on_llm_start(
        self, serialized: Any, prompts: list[str], run_id: UUID | None = None, **kwargs: Any
    ) -> list[CallbackManagerForLLMRun]:
        """Open one run of a text model for each prompt; `run_id` is the first one's."""
        return self._several("llm", serialized, prompts, run_id, kwargs)

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[Any]], run_id: UUID | None = None, **kwargs: Any
    ) -> list[CallbackManagerForLLMRun]:
        """Open one run of a chat model for each list of messages."""
        return self._several("chat_model", serialized, messages, run_id, kwargs)

    def on_chain_start(
        self, serialized: Any, inputs: Any, run_id: UUID | None = None, **kwargs: Any
    ) -> CallbackManagerForChainRun:
        """Open a run of a chain; `run_type` says which kind of chain."""
        made = CallbackManagerForChainRun
        return self._opened(made, "chain", serialized, inputs, run_id, kwargs)  # type: ignore[no-any-return]

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> CallbackManagerForToolRun:
        """Open a run of a tool."""
        given = {**kwargs, "parent_run_id": parent_run_id}
        value = input_str if inputs is None else inputs
        made = CallbackManagerForToolRun
        return self._opened(made, "tool", serialized, value, run_id, given)  # type: ignore[no-any-return]

    def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> CallbackManagerForRetrieverRun:
        """Open a run of a retriever."""
        given = {**kwargs, "parent_run_id": parent_run_id}
        made = CallbackManagerForRetrieverRun
        return self._opened(made, "retriever", serialized, query, run_id, given)  # type: ignore[no-any-return]

    def on_custom_event(
        self, name: str, data: Any, run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Report through the run the manager belongs to; without one, to its handlers."""
        run = getattr(self, "run", None) or _run(self, "chain", None, run_id, {})
        run.custom(name, data)


class AsyncOpening:
    """The same for async code: coroutine hooks have been awaited when they return."""

    async def _opened(
        self, made: Any, kind: str, card: Any, value: Any, run_id: Any, kwargs: Any
    ) -> Any:
        run = _run(self, kind, card, run_id, kwargs)
        await_hooks(run)
        opened = Opened(run, value)
        await settle(run)
        return made(run, opened)

    async def _several(
        self, kind: str, card: Any, values: list[Any], first: UUID | None, kwargs: Any
    ) -> list[AsyncCallbackManagerForLLMRun]:
        ids = [first, *[None] * len(values)]
        return [
            await self._opened(AsyncCallbackManagerForLLMRun, kind, card, value, run_id, kwargs)
            for value, run_id in zip(values, ids, strict=False)
        ]

    async def on_llm_start(
        self, serialized: Any, prompts: list[str], run_id: UUID | None = None, **kwargs: Any
    ) -> list[AsyncCallbackManagerForLLMRun]:
        """Open one run of a text model for each prompt; `run_id` is the first one's."""
        return await self._several("llm", serialized, prompts, run_id, kwargs)

    async def on_chat_model_start(
        self, serialized: Any, messages: list[list[Any]], run_id: UUID | None = None, **kwargs: Any
    ) -> list[AsyncCallbackManagerForLLMRun]:
        """Open one run of a chat model for each list of messages."""
        return await self._several("chat_model", serialized, messages, run_id, kwargs)

    async def on_chain_start(
        self, serialized: Any, inputs: Any, run_id: UUID | None = None, **kwargs: Any
    ) -> AsyncCallbackManagerForChainRun:
        """Open a run of a chain; `run_type` says which kind of chain."""
        made = AsyncCallbackManagerForChainRun
        return await self._opened(made, "chain", serialized, inputs, run_id, kwargs)  # type: ignore[no-any-return]

    async def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> AsyncCallbackManagerForToolRun:
        """Open a run of a tool."""
        given = {**kwargs, "parent_run_id": parent_run_id}
        value = input_str if inputs is None else inputs
        made = AsyncCallbackManagerForToolRun
        return await self._opened(made, "tool", serialized, value, run_id, given)  # type: ignore[no-any-return]

    async def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> AsyncCallbackManagerForRetrieverRun:
        """Open a run of a retriever."""
        given = {**kwargs, "parent_run_id": parent_run_id}
        made = AsyncCallbackManagerForRetrieverRun
        return await self._opened(made, "retriever", serialized, query, run_id, given)  # type: ignore[no-any-return]

    async def on_custom_event(
        self, name: str, data: Any, run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Report through the run the manager belongs to; without one, to its handlers."""
        run = getattr(self, "run", None) or _run(self, "chain", None, run_id, {})
        await_hooks(run)
        run.custom(name, data)
        await settle(run)
