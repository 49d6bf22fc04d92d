"""Runs of LangChain inside a run of ours: a LangChain handler that reports them into our tree.

A step made by `from_langchain` calls LangChain with one of these in `config["callbacks"]`. The
first run that LangChain starts there is, where it is of the step's kind, the step's own run: it has
been told of already, and is not told again. Those below become children of the step's run, with
LangChain's ids, names, tags and metadata. What LangChain has not ended when the step ends (it drops
streams that it does not close) ends as cancelled.

`Inside` is for observers that leave calls as they are. `InsideStreaming` is for views that show
tokens: LangChain then streams models that are invoked, and shows the chunks of inner chains, which
it does for none of the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers._streaming import _StreamingCallbackHandler

from ...callbacks.run_managers import ByHand, _retried
from ...messages import AIMessageChunk
from ...run import UNKNOWN, Run, RunCallbacks, begin
from .values import to_headrace

__all__ = ["Inside", "InsideStreaming", "inside"]

_STREAMED = {"input": ""}  # what LangChain says of an input that arrives as a stream


def inside(run: Run, *, tokens: bool = False) -> Inside:
    """The handler for a call of LangChain within `run`; see `Inside`."""
    kind = InsideStreaming if run.scope.tokens else Inside
    return kind(run, tokens=tokens)


class _Theirs(ByHand):
    """What an inner run is a run of."""

    def __init__(self, name: str, kind: str, card: Any, told: Mapping[str, Any]) -> None:
        more = {key: told[key] for key in _MORE if told.get(key) is not None}
        super().__init__(name, kind, card, more)
        self.tags = told.get("tags")
        self.metadata = told.get("metadata")


_MORE = ("invocation_params", "options", "batch_size", "tool_call_id")


class _Child:
    """An inner run, and what it was started with."""

    __slots__ = ("input", "run")

    def __init__(self, run: Run, input: Any) -> None:
        self.run, self.input = run, input


class Inside(BaseCallbackHandler):
    """See the head of the file.

    Args:
        top: the run of the step that calls LangChain; it is observed.
        tokens: whether the tokens of the step's own run are told here, because the step asks for
            a whole answer and LangChain streams it.
    """

    run_inline = True
    raise_error = True  # an observer's error is raised only where the observer asks for that

    def __init__(self, top: Run, *, tokens: bool = False) -> None:
        self.top = top
        self._tokens = tokens
        self._own: UUID | None = None  # LangChain's run that is the step's own
        self._running: dict[UUID, _Child] = {}

    def run_of(self, run_id: UUID | None) -> Run:
        """Our run for one of LangChain's."""
        child = self._running.get(run_id) if run_id is not None else None
        return self.top if child is None else child.run

    def close(self) -> None:
        """The step has ended, and with it what is still running inside, last first."""
        while self._running:
            _, child = self._running.popitem()
            child.run.stopped(GeneratorExit(), None)

    # ------------------------------------------------------------- what all kinds have

    def _start(self, kind: str, card: Any, value: Any, told: Mapping[str, Any]) -> None:
        run_id = told["run_id"]
        mine = run_id == self.top.id
        if mine and self._own is None and kind == self.top.run_type:
            self._own = run_id
            return
        node = _Theirs(_name(card, told.get("name"), kind), kind, card, told)
        above = RunCallbacks(self.run_of(told.get("parent_run_id")))
        # a runnable that makes no run gives the step's id to the first one below
        config = {"callbacks": above} if mine else {"callbacks": above, "run_id": run_id}
        run = begin(node, config)
        if run.tag is None and node.tags:
            place = next((tag for tag in node.tags if tag.startswith(_PLACES)), None)
            run.tag = None if place in run.scope.tags else place
        run.invoked = value is not UNKNOWN  # views tell the input of such runs at the start
        self._running[run_id] = _Child(run, None if value is UNKNOWN else value)
        run.started(value)

    def _end(self, output: Any, run_id: UUID, input: Any = None, result: Any = None) -> None:
        child = self._running.pop(run_id, None)
        if child is not None:
            child.run.result = result
            child.run.ended(child.input if input is None else input, output)

    def _fail(self, error: BaseException, run_id: UUID, partial: Any = None) -> None:
        child = self._running.pop(run_id, None)
        if child is not None:
            child.run.stopped(error, partial)

    def _is_own(self, run_id: UUID) -> bool:
        return run_id not in self._running

    # ------------------------------------------------------------- models

    def on_chat_model_start(self, serialized: Any, messages: Any, **told: Any) -> None:
        """A chat model starts."""
        self._start("chat_model", serialized, to_headrace(messages[0]), told)

    def on_llm_start(self, serialized: Any, prompts: list[str], **told: Any) -> None:
        """A text model starts."""
        self._start("llm", serialized, prompts[0], told)

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_: Any) -> None:
        """A model's next piece."""
        own = self._is_own(run_id)
        if own and not self._tokens:
            return
        run = self.run_of(run_id)
        if chunk is None:
            piece = AIMessageChunk(token) if run.run_type == "chat_model" else token
        else:
            piece = to_headrace(getattr(chunk, "message", chunk))
        run.chunk(getattr(piece, "text", piece) if run.run_type == "llm" else piece)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """A model ended."""
        if not self._is_own(run_id):
            result = to_headrace(response)
            self._end(_answer(result), run_id, result=result)

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any
    ) -> None:
        """A model failed, or was left."""
        if not self._is_own(run_id):
            partial = None if response is None else _answer(to_headrace(response))
            self._fail(error, run_id, partial)

    # ------------------------------------------------------------- chains, tools, retrievers

    def on_chain_start(self, serialized: Any, inputs: Any, **told: Any) -> None:
        """A chain starts, a prompt, or a parser."""
        value = UNKNOWN if inputs == _STREAMED else to_headrace(inputs)
        self._start(told.get("run_type") or "chain", serialized, value, told)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, inputs: Any = None, **_: Any) -> None:
        """A chain ended."""
        if not self._is_own(run_id):
            self._end(to_headrace(outputs), run_id, to_headrace(inputs))

    def on_tool_start(
        self, serialized: Any, input_str: str, *, inputs: Any = None, **told: Any
    ) -> None:
        """A tool starts."""
        self._start("tool", serialized, to_headrace(input_str if inputs is None else inputs), told)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """A tool ended."""
        self._end(to_headrace(output), run_id)

    def on_retriever_start(self, serialized: Any, query: str, **told: Any) -> None:
        """A retriever starts."""
        self._start("retriever", serialized, query, told)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """A retriever ended."""
        self._end(to_headrace(list(documents)), run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A chain failed, or was left."""
        self._fail(error, run_id)

    on_tool_error = on_retriever_error = on_chain_error

    # ------------------------------------------------------------- in between

    def on_retry(self, retry_state: Any, *, run_id: UUID, **_: Any) -> None:
        """Something is tried again."""
        _retried(self.run_of(run_id), retry_state)

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **_: Any) -> None:
        """User code reports something."""
        self.run_of(run_id).custom(name, to_headrace(data))


class InsideStreaming(Inside, _StreamingCallbackHandler[Any]):
    """See the head of the file."""

    def tap_output_iter(self, run_id: UUID, output: Iterator[Any]) -> Iterator[Any]:
        """The output of an inner chain, each chunk reported as it passes."""
        if self._is_own(run_id):
            return output
        return self._tapped(self.run_of(run_id), output)

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The same, async."""
        if self._is_own(run_id):
            return output
        return self._atapped(self.run_of(run_id), output)

    def _tapped(self, run: Run, output: Iterator[Any]) -> Iterator[Any]:
        for chunk in output:
            run.chunk(to_headrace(chunk))
            yield chunk

    async def _atapped(self, run: Run, output: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for chunk in output:
                run.chunk(to_headrace(chunk))
                yield chunk
        finally:
            aclose = getattr(output, "aclose", None)
            if aclose is not None:
                await aclose()


_PLACES = ("seq:step:", "map:key:")


def _name(card: Any, name: str | None, default: str) -> str:
    if name or not isinstance(card, Mapping):
        return name or default
    return str(card.get("name") or (card.get("id") or [default])[-1])


def _answer(result: Any) -> Any:
    """The best candidate of a model's result: a message, or a text; None where there is none."""
    rows = result.generations
    first = rows[0][0] if rows and rows[0] else None
    return getattr(first, "message", getattr(first, "text", None))
