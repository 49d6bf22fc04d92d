"""The hooks of tracers, for those who call them by hand: `tracer.on_llm_start(…, run_id=…)`.

A tracer that observes runs is told by events; these hooks put runs into the same tree. Each start
makes a run and gives it back; an end, an error, a token or a retry of a run that the tree does not
know is a `TracerException`. A subclass that overrides a hook may call `super()`'s: while the event
behind it is being told the run is in the tree already, and nothing is done twice. In async tracers
all of them are coroutine functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .arguments import transcript
from .base import quiet
from .run_tree import Run, RunTree, answered, retry_facts

__all__ = ["HandHooks"]

_FAMILY = {"chat_model": "llm"}


def _named(card: Any, name: str | None, kind: str) -> str:
    if name or not isinstance(card, dict):
        return name or kind
    return str(card.get("name") or (card.get("id") or [kind])[-1])


class HandHooks:
    """A mixin of tracers; `_played` runs what a hook leads to, in the tracer's colour."""

    _tree: RunTree
    _hearing: dict[UUID, Run]

    def _played(self, run: Run, calls: Iterator[Any]) -> Any:
        raise NotImplementedError

    def _changed(self, run: Run, kind: str, moment: str) -> Iterator[Any]:
        raise NotImplementedError

    def _start(self, kind: str, card: Any, inputs: dict[str, Any], told: dict[str, Any]) -> Any:
        """`told`: the keyword arguments of the hook."""
        heard = self._hearing.get(told["run_id"])
        if heard is not None:
            return self._played(heard, iter(()))
        rest = {key: told.pop(key, None) for key in _ABOUT}
        metadata = rest["metadata"]
        run = Run(
            id=rest["run_id"],
            parent_run_id=rest["parent_run_id"],
            name=_named(card, rest["name"], kind),
            run_type=rest["run_type"] or _FAMILY.get(kind, kind),
            inputs=inputs,
            tags=rest["tags"],
            extra={**told, "metadata": metadata} if metadata else told,
            serialized=card,
        )
        return self._played(self._tree.start(run), self._changed(run, kind, "start"))

    def _stop(
        self,
        run_id: UUID,
        kind: str,
        outputs: dict[str, Any] | None,
        error: BaseException | None = None,
        inputs: Any = None,
    ) -> Any:
        heard = self._hearing.get(run_id)
        if heard is not None:
            return self._played(heard, iter(()))
        run = self._tree.known(run_id, kind)
        if inputs is not None:
            run.inputs = inputs if isinstance(inputs, dict) else {"input": inputs}
        self._tree.stop(run, outputs, error)
        return self._played(run, self._changed(run, kind, "end" if error is None else "error"))

    def _note(self, run_id: UUID, kind: str | None, name: str, make: Callable[[], Any]) -> Any:
        heard = self._hearing.get(run_id)
        if heard is not None:
            return self._played(heard, iter(()))
        run = self._tree.known(run_id, kind)
        run.events.append({"name": name, "time": datetime.now(UTC), "kwargs": make()})
        more = self._changed(run, "llm", "token") if name == "new_token" else iter(())
        return self._played(run, more)

    # ------------------------------------------------------------- models

    @quiet
    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: UUID, **kwargs: Any
    ) -> Any:
        """A text model starts."""
        return self._start("llm", serialized, {"prompts": prompts}, {"run_id": run_id, **kwargs})

    @quiet
    def on_chat_model_start(
        self, serialized: Any, messages: list[list[Any]], *, run_id: UUID, **kwargs: Any
    ) -> Any:
        """A chat model starts; its run is that of a text model, messages written out."""
        prompts = [text for batch in messages for text in transcript(batch)]
        told = {"run_id": run_id, **kwargs}
        return self._start("chat_model", serialized, {"prompts": prompts}, told)

    @quiet
    def on_llm_new_token(
        self, token: Any, *, chunk: Any = None, run_id: UUID, **kwargs: Any
    ) -> Any:
        """A model's next piece."""
        return self._note(run_id, "llm", "new_token", lambda: {"token": token, "chunk": chunk})

    @quiet
    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> Any:
        """Something is tried again."""
        return self._note(run_id, None, "retry", lambda: retry_facts(retry_state))

    @quiet
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> Any:
        """A model ended."""
        return self._stop(run_id, "llm", answered(response))

    @quiet
    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, response: Any = None, **kwargs: Any
    ) -> Any:
        """A model failed; `response` is what had come."""
        outputs = None if response is None else answered(response)
        return self._stop(run_id, "llm", outputs, error)

    # ------------------------------------------------------------- chains

    @quiet
    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> Any:
        """A chain starts."""
        given = inputs if isinstance(inputs, dict) else {"input": inputs}
        return self._start("chain", serialized, given, {"run_id": run_id, **kwargs})

    @quiet
    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **kwargs: Any) -> Any:
        """A chain ended; `inputs` are what they were in the end."""
        given = outputs if isinstance(outputs, dict) else {"output": outputs}
        return self._stop(run_id, "chain", given, None, inputs)

    @quiet
    def on_chain_error(
        self, error: BaseException, *, run_id: UUID, inputs: Any = None, **kwargs: Any
    ) -> Any:
        """A chain failed."""
        return self._stop(run_id, "chain", None, error, inputs)

    # ------------------------------------------------------------- tools and retrievers

    @quiet
    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, inputs: Any = None, **kwargs: Any
    ) -> Any:
        """A tool starts."""
        given = inputs if isinstance(inputs, dict) else {"input": input_str}
        return self._start("tool", serialized, given, {"run_id": run_id, **kwargs})

    @quiet
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> Any:
        """A tool ended."""
        return self._stop(run_id, "tool", {"output": output})

    @quiet
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> Any:
        """A tool failed."""
        return self._stop(run_id, "tool", None, error)

    @quiet
    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, **kwargs: Any
    ) -> Any:
        """A retriever starts."""
        return self._start("retriever", serialized, {"query": query}, {"run_id": run_id, **kwargs})

    @quiet
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> Any:
        """A retriever ended."""
        return self._stop(run_id, "retriever", {"documents": documents})

    @quiet
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> Any:
        """A retriever failed."""
        return self._stop(run_id, "retriever", None, error)


_ABOUT = ("run_id", "parent_run_id", "tags", "metadata", "name", "run_type")
