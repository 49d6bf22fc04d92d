"""A LangChain runnable as a step of ours: what `from_langchain` makes of those that are no model,
tool, retriever or binding.

| it is called with | LangChain's door |
|---|---|
| a whole value | `stream`, `astream` |
| a stream | `transform`, `atransform` if its class has them, else the whole value as above |
| by `invoke` | `invoke`, `ainvoke` |

In async runs a runnable that has sync doors alone works in one worker thread per stream.

A compiled LangGraph graph streams its state as it grows (`stream_mode="values"`), so that the last
chunk is what `invoke` gives; the other modes are there for the asking, as in
`graph.stream(x, stream_mode="updates")`, and give what LangGraph gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import langchain_core.output_parsers as their_parsers
import langchain_core.prompts as their_prompts
from langchain_core.runnables import Runnable as TheirRunnable

from ... import _async, _sync
from ..._bridge import call_in_thread, stream_in_thread
from ...config import ConfigurableFieldSpec
from ...flow import Once, last
from ...run import Run
from ...runnables import schema
from ...runnables.base import Runnable
from ...shapes import Flow, Kwargs, Leaf, Pieces
from .calling import (
    agiven,
    called,
    converted,
    given,
    overrides,
    sync_only,
    theirs,
    theirs_async,
)
from .values import to_headrace, to_langchain

__all__ = ["LangChainRunnable", "invoked", "invoked_async"]

_TYPES = (
    (their_prompts.BasePromptTemplate, "prompt"),
    (their_parsers.BaseLLMOutputParser, "parser"),
)


class LangChainRunnable(Leaf, Runnable[Any, Any]):
    """A LangChain runnable in a Headrace chain.

    Args:
        runnable: the LangChain runnable; kept as `langchain`.
    """

    def __init__(self, runnable: TheirRunnable[Any, Any]) -> None:
        self.langchain = runnable
        self.name = getattr(runnable, "name", None)
        self._run_type = next((t for kind, t in _TYPES if isinstance(runnable, kind)), "chain")  # type: ignore[misc]
        self._sync_only = sync_only(runnable)
        self._graph = any(k.__module__.startswith("langgraph.") for k in type(runnable).__mro__)
        self._fold = last if self._graph else None
        self._many = Pieces.MAYBE if overrides(runnable, *_STREAMS) else Pieces.NONE

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return self.langchain.get_name(suffix, name=name)

    def _flow(self) -> Flow:
        if overrides(self.langchain, "transform", "atransform"):
            return Flow("streams")
        return Flow("source" if overrides(self.langchain, *_STREAMS) else "barrier")

    # ------------------------------------------------------------- calls

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return invoked(self.langchain, value, run, kw)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await invoked_async(self.langchain, value, run, kw, in_thread=self._sync_only)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        with called(run) as config:
            if type(source) is not Once and overrides(self.langchain, "transform"):
                opened, fed = self.langchain.transform, given(source)
            else:
                opened, fed = self.langchain.stream, to_langchain(_sync.fold_source(source))
            yield from theirs(run.call(opened, fed, config, **self._keywords(kw)), run)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._sync_only:
            return stream_in_thread(self, lambda inputs: self._open(inputs, run, kw), source)
        return self._astream(source, run, kw)

    async def _astream(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        with called(run) as config:
            opened: Any
            fed: Any
            if type(source) is not Once and overrides(self.langchain, "atransform"):
                opened, fed = self.langchain.atransform, agiven(source)
            else:
                value = to_langchain(await _async.fold_source(source))
                opened, fed = self.langchain.astream, value
            stream: Any = theirs_async(run.call(opened, fed, config, **self._keywords(kw)), run)
            async with aclosing(stream):
                async for chunk in stream:
                    yield chunk

    def _keywords(self, kw: Kwargs) -> dict[str, Any]:
        told = converted(kw)
        return {"stream_mode": "values", **told} if self._graph else told

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        theirs = self.langchain
        model = theirs.get_input_schema() if side == "input" else theirs.get_output_schema()
        return schema.of_model(model)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What LangChain says is configurable."""
        return [ConfigurableFieldSpec(*spec) for spec in self.langchain.config_specs]

    def __repr__(self) -> str:
        return f"from_langchain({self.langchain!r})"


_STREAMS = ("stream", "astream", "transform", "atransform")


def invoked(runnable: Any, value: Any, run: Run, kw: Kwargs) -> Any:
    """What LangChain's `invoke` gives, called within our run."""
    with called(run) as config:
        return to_headrace(run.call(runnable.invoke, to_langchain(value), config, **converted(kw)))


async def invoked_async(
    runnable: Any, value: Any, run: Run, kw: Kwargs, *, in_thread: bool = False
) -> Any:
    """The same for `ainvoke`; with `in_thread`, `invoke` in a worker thread."""
    if in_thread:
        return await call_in_thread(partial(invoked, runnable, value, run, kw))
    with called(run) as config:
        asked = to_langchain(value)
        return to_headrace(await run.acall(runnable.ainvoke, asked, config, **converted(kw)))
