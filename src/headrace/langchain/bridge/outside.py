"""Headrace's runnables as LangChain's: what `as_langchain` makes of those that are no model, tool,
retriever or binding, and how a call comes in from LangChain.

| LangChain's config | our run |
|---|---|
| `tags`, `metadata`, `configurable`, `run_name`, `run_id`, `max_concurrency` | the same |
| `recursion_limit` | the same, where it is not LangChain's default |
| `callbacks` | an observer (`telling.py`); a handler of ours (`inside.py`) gives the parent |

While our steps work, LangChain's current config is one whose callbacks belong to our outermost run:
what user code calls in LangChain's or LangGraph's words (`get_stream_writer`, a model of
LangChain's) is found below it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables import Runnable as TheirRunnable
from langchain_core.runnables.config import (
    DEFAULT_RECURSION_LIMIT,
    ensure_config,
    var_child_runnable_config,
)
from langchain_core.runnables.config import RunnableConfig as TheirConfig
from langchain_core.runnables.utils import ConfigurableFieldSpec as TheirSpec

from ...run import RunCallbacks
from .inside import Inside
from .telling import Telling
from .values import to_headrace, to_langchain

__all__ = ["Call", "Doors", "HeadraceRunnable", "given_keywords"]

_END = object()
_SAME = ("configurable", "run_name", "max_concurrency")


def given_keywords(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a call from LangChain, for us."""
    return {key: to_headrace(value) for key, value in kwargs.items()}


class Call:
    """One call from LangChain: our config for it, and LangChain's while it lasts."""

    def __init__(self, config: TheirConfig | None) -> None:
        full: Any = ensure_config(config)
        manager = CallbackManager.configure(
            inheritable_callbacks=full.get("callbacks"),
            inheritable_tags=full.get("tags"),
            inheritable_metadata=full.get("metadata"),
        )
        ours = [one for one in manager.handlers if isinstance(one, Inside)]
        theirs = [one for one in manager.handlers if not isinstance(one, Inside)]
        run_id = full.get("run_id") or uuid4()
        self.config: dict[str, Any] = {
            "tags": list(manager.inheritable_tags),
            "metadata": dict(manager.inheritable_metadata),
            **{name: full[name] for name in _SAME if full.get(name) is not None},
        }
        if full["recursion_limit"] != DEFAULT_RECURSION_LIMIT:
            self.config["recursion_limit"] = full["recursion_limit"]
        callbacks: Any = [Telling(manager, theirs)] if theirs else None
        if ours:
            above = RunCallbacks(ours[0].run_of(manager.parent_run_id))
            callbacks = above if callbacks is None else above.joined(callbacks)
        if callbacks is not None:
            self.config.update(callbacks=callbacks, run_id=run_id)
        below = CallbackManager(
            handlers=manager.handlers,
            inheritable_handlers=manager.handlers,
            parent_run_id=run_id if theirs else manager.parent_run_id,
            tags=manager.inheritable_tags,
            inheritable_tags=manager.inheritable_tags,
            metadata=manager.inheritable_metadata,
            inheritable_metadata=manager.inheritable_metadata,
        )
        self._during: Any = {
            **{key: value for key, value in full.items() if key not in ("run_id", "run_name")},
            "callbacks": below if manager.handlers else None,
        }

    @contextmanager
    def during(self) -> Iterator[None]:
        """While our code works; never across a `yield`."""
        token = var_child_runnable_config.set(self._during)
        try:
            yield
        finally:
            var_child_runnable_config.reset(token)

    def chunks(self, stream: Any) -> Iterator[Any]:
        """A stream of ours, for LangChain."""
        try:
            while True:
                with self.during():
                    chunk = next(stream, _END)
                if chunk is _END:
                    return
                yield to_langchain(chunk)
        finally:
            with self.during():
                stream.close()

    async def achunks(self, stream: Any) -> AsyncIterator[Any]:
        """The same, async."""
        try:
            while True:
                with self.during():
                    chunk = await anext(stream, _END)
                if chunk is _END:
                    return
                yield to_langchain(chunk)
        finally:
            with self.during():
                await stream.aclose()


class Doors:
    """LangChain's doors over a runnable of ours, `self.headrace`."""

    headrace: Any

    def invoke(self, input: Any, config: TheirConfig | None = None, **kwargs: Any) -> Any:
        """LangChain's `invoke`: ours."""
        call = Call(config)
        with call.during():
            given = to_headrace(input)
            return to_langchain(self.headrace.invoke(given, call.config, **given_keywords(kwargs)))

    async def ainvoke(self, input: Any, config: TheirConfig | None = None, **kwargs: Any) -> Any:
        """LangChain's `ainvoke`: ours."""
        call = Call(config)
        with call.during():
            given = to_headrace(input)
            return to_langchain(
                await self.headrace.ainvoke(given, call.config, **given_keywords(kwargs))
            )

    def stream(self, input: Any, config: TheirConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """LangChain's `stream`: ours."""
        call = Call(config)
        given = to_headrace(input)
        yield from call.chunks(self.headrace.stream(given, call.config, **given_keywords(kwargs)))

    async def astream(
        self, input: Any, config: TheirConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """LangChain's `astream`: ours."""
        call = Call(config)
        given = to_headrace(input)
        stream = self.headrace.astream(given, call.config, **given_keywords(kwargs))
        chunks: Any = call.achunks(stream)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    def transform(
        self, input: Iterator[Any], config: TheirConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """LangChain's `transform`: ours."""
        call = Call(config)
        source = _source(input)
        yield from call.chunks(
            self.headrace.transform(source, call.config, **given_keywords(kwargs))
        )

    async def atransform(
        self, input: AsyncIterator[Any], config: TheirConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """LangChain's `atransform`: ours."""
        call = Call(config)
        source = _asource(input)
        stream = self.headrace.atransform(source, call.config, **given_keywords(kwargs))
        chunks: Any = call.achunks(stream)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk


def _source(chunks: Iterator[Any]) -> Iterator[Any]:
    """A stream of LangChain's, for us; closing this closes it."""
    try:
        for chunk in chunks:
            yield to_headrace(chunk)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


async def _asource(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for chunk in chunks:
            yield to_headrace(chunk)
    finally:
        aclose = getattr(chunks, "aclose", None)
        if aclose is not None:
            await aclose()


class HeadraceRunnable(Doors, TheirRunnable[Any, Any]):
    """A Headrace runnable in a LangChain chain or graph.

    Args:
        runnable: the Headrace runnable; kept as `headrace`.
    """

    def __init__(self, runnable: Any) -> None:
        self.headrace = runnable
        self.name = getattr(runnable, "name", None)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """What ours is called."""
        return self.headrace.get_name(suffix, name=name)  # type: ignore[no-any-return]

    @property
    def InputType(self) -> Any:
        """Ours; Any where it is not known."""
        return Any

    @property
    def OutputType(self) -> Any:
        """Ours; Any where it is not known."""
        return Any

    def get_input_schema(self, config: TheirConfig | None = None) -> Any:
        """A pydantic model of the input."""
        return self.headrace.get_input_schema()

    def get_output_schema(self, config: TheirConfig | None = None) -> Any:
        """A pydantic model of the output."""
        return self.headrace.get_output_schema()

    @property
    def config_specs(self) -> list[TheirSpec]:
        """What is configurable."""
        return [TheirSpec(*spec) for spec in self.headrace.config_specs]

    def __repr__(self) -> str:
        return f"as_langchain({self.headrace!r})"
