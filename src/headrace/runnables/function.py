"""User functions as steps: `RunnableLambda`, `RunnableGenerator`, `each`, `@chain`.

A plain function takes the whole value, so it is a barrier; a generator function takes and gives
chunks, so it streams; `each(fn)` applies a function chunk by chunk. Signatures are read once, when
the function is wrapped: `config` and `run_manager` parameters are filled in.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from operator import itemgetter
from typing import Any, get_args, get_origin, overload

from .. import _async, _sync
from .._bridge import call_in_thread, stream_in_thread
from ..errors import ConfigError
from ..flow import Late, Machine, Once, Stepped, Tapped, fold_chunks, fold_of
from ..run import Run, RunCallbacks
from ..shapes import Each, Flow, Kwargs, Leaf, Pieces
from . import schema
from ._doors import no_sync_body
from ._repr import function_shown, name_of
from ._typed import A, B, Function, Streaming
from .annotations import chunks_of, given_by, item_of, keys_read, taken_by
from .base import Input, Output, Runnable, makers
from .coerce import NotRunnableError

_FILLED_IN = ("config", "run_manager", "callbacks")


def _filled_in(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """The parameters of `function` that a run fills in."""
    if function is None:
        return ()
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):  # builtins without a signature take nothing of ours
        return ()
    return tuple(name for name in _FILLED_IN if name in parameters)


def _extras(names: tuple[str, ...], run: Run, kw: Kwargs) -> dict[str, Any]:
    extras = dict(kw)
    for name in names:
        if name not in extras:
            extras[name] = run.config() if name == "config" else RunCallbacks(run)
    return extras


def _is_async(function: Any) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - the method, not callability
    checks = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(check(f) for check in checks for f in (function, called))


def _check(function: Any, what: str) -> None:
    if not callable(function):
        raise NotRunnableError(
            f"{what} needs a function and got {function!r} ({type(function).__name__})."
        )


def _described(node: Any, function: Any, side: schema.Side, line: Any) -> schema.Data:
    """What a function of one value says of it: annotations, else the class line, else the keys
    that it reads."""
    name = schema.title(node, side)
    said = taken_by(function) if side == "input" else given_by(function)
    found = _class_line(schema.Plain(name, said), side, line)
    if side == "output" or not schema.is_unknown(found):
        return found
    keys = keys_read(function)
    if keys:
        return schema.Fields(name, dict.fromkeys(keys, (Any, ...)))
    return schema.Plain(name, list[Any]) if isinstance(function, itemgetter) else found


def _class_line(found: schema.Plain, side: schema.Side, line: Any) -> schema.Plain:
    """The same, or where it says nothing what the class line does (`RunnableLambda[str, int]`)."""
    if not schema.is_unknown(found):
        return found
    said = schema.known(partial(line, side))
    return found._replace(annotation=schema.annotation_of(said))


class RunnableLambda(Leaf, Runnable[Input, Output]):
    """A function of the whole value.

    Args:
        func: a function, coroutine function, or generator function of either colour (it then
            takes the whole value and streams its output). It may take `config` and `run_manager`.
            If it returns a Runnable, that runs on the same input, up to `recursion_limit` deep.
        afunc: an async body to use in async runs. Without one, a sync `func` runs in a thread.
        name: what it is called in events; by default the function's name.
    """

    @overload
    def __init__(
        self, func: Function[Input, Runnable[Any, Output]], afunc: Any = ..., name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self, func: Function[Input, Iterator[Output]], afunc: Any = ..., name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self, func: Function[Input, AsyncIterator[Output]], afunc: Any = ..., name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self,
        func: Function[Input, Coroutine[Any, Any, Output]],
        afunc: Any = ...,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self, func: Function[Input, Output], afunc: Any = ..., name: str | None = ...
    ) -> None: ...
    def __init__(self, func: Any, afunc: Any = None, name: str | None = None) -> None:
        _check(func, type(self).__name__)
        if afunc is not None:
            _check(afunc, type(self).__name__)
        if afunc is None and _is_async(func):
            func, afunc = None, func
        elif _is_async(func):
            raise ConfigError(
                f"RunnableLambda got an async func {func!r} beside an afunc: give the sync body "
                "first and the async one as afunc."
            )
        self.func: Any = func
        self.afunc: Any = afunc
        self.name = name or name_of(func, afunc)
        self._given = _filled_in(func)
        self._agiven = _filled_in(afunc)
        self._generates = inspect.isgeneratorfunction(func)
        self._agenerates = inspect.isasyncgenfunction(afunc) or inspect.isasyncgenfunction(
            getattr(afunc, "__call__", None)  # noqa: B004
        )
        generates = self._generates or self._agenerates
        self._many = Pieces.SURE if generates else Pieces.MAYBE
        self._async_only = self if func is None else None

    # ------------------------------------------------------------- sync

    def _call(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if run.bare and not kw and not self._given:
            return self.func(value)
        return run.call(self.func, value, **_extras(self._given, run, kw))

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self.func is None:
            raise no_sync_body(self)
        output = self._call(value, run, kw)
        if self._generates:
            return fold_chunks(None, list(_sync.entered(output, run)))
        if isinstance(output, Runnable):
            return _sync.value_step(output, value, run.deeper())
        return output

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self.func is None:
            raise no_sync_body(self)
        told: list[Any] = [None]
        return Late(self._stream(source, run, kw, told), told)

    def _stream(self, source: Any, run: Run, kw: Kwargs, told: list[Any]) -> Iterator[Any]:
        value = _sync.fold_source(source)
        output = self._call(value, run, kw)
        if self._generates:
            yield from _sync.entered(output, run)
        elif isinstance(output, Runnable):
            inner = run.deeper().fork()
            try:
                stream = _sync.open_step(output, Once(value), inner)
                told.append(fold_of(output, stream, None))
                yield from stream
            except BaseException as error:
                _sync.abandon(error, inner, run.streams)
                raise
            _sync.close_streams(inner)
        else:
            yield output

    # ------------------------------------------------------------- async

    async def _acall(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self.afunc is None:
            return await call_in_thread(self._call, value, run, kw)
        return await run.acall(self.afunc, value, **_extras(self._agiven, run, kw))

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._agenerates or (self._generates and self.afunc is None):
            return await _async.value_by_fold(self, value, run, kw)
        output = await self._acall(value, run, kw)
        if isinstance(output, Runnable):
            return await _async.value_step(output, value, run.deeper())
        return output

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        told: list[Any] = [None]
        return Late(self._astream(source, run, kw, told), told)

    async def _astream(
        self, source: Any, run: Run, kw: Kwargs, told: list[Any]
    ) -> AsyncIterator[Any]:
        value = await _async.fold_source(source)
        inner = run.fork()
        try:
            async for chunk in await self._aoutput(value, inner, kw, told):
                yield chunk
        except BaseException as error:
            await _async.abandon(error, inner, run.streams)
            raise
        await _async.close_streams(inner)

    async def _aoutput(self, value: Any, run: Run, kw: Kwargs, told: list[Any]) -> Any:
        """What the function made of the value, as a stream that is the run's to close."""
        if self._agenerates:
            opened = run.call(self.afunc, value, **_extras(self._agiven, run, kw))
            stream = _async.entered(opened, run)
        elif self._generates and self.afunc is None:
            stream = stream_in_thread(self, lambda s: self._stream(s, run, kw, told), Once(value))
        else:
            output = await self._acall(value, run, kw)
            if not isinstance(output, Runnable):
                return Once(output)
            below = run.deeper()
            stream = _async.open_step(output, Once(value), below)
            told.append(fold_of(output, stream, None))
        run.streams.append((stream, self, None))
        return stream

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        own = self.func or self.afunc
        found = _described(self, own, side, super()._data)
        if isinstance(found, schema.Plain) and found.annotation not in (Any, own):
            kind = get_origin(found.annotation) or found.annotation
            if side == "output" and isinstance(kind, type) and issubclass(kind, Runnable):
                given = [*get_args(found.annotation), Any, Any]  # it returns one, which runs
                return found._replace(annotation=given[1])
        return found

    def _flow(self) -> Flow:
        if self._many is Pieces.SURE:
            return Flow("source")
        name = self.name or "fn"
        return Flow("barrier", f"make it a generator function, or each({name}) if chunks will do")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({function_shown(self.func or self.afunc)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunnableLambda):
            return NotImplemented
        return (self.func, self.afunc) == (other.func, other.afunc)

    __hash__ = None  # type: ignore[assignment]


class RunnableGenerator(Leaf, Runnable[Input, Output]):
    """A generator function as a step: chunks in, chunks out.

    Args:
        transform: `(Iterator) -> Iterator` or `(AsyncIterator) -> AsyncIterator`; it may take
            `config` and `run_manager`.
        atransform: the async body, where `transform` is the sync one. Without one, the sync body
            runs in one worker thread for the whole stream.
        name: what it is called in events; by default the function's name.
    """

    _many = Pieces.SURE

    def __init__(
        self,
        transform: Streaming[Input, Output],
        atransform: Streaming[Input, Output] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self._take(transform, atransform, name)

    def _take(self, transform: Any, atransform: Any, name: str | None) -> None:
        _check(transform, "RunnableGenerator")
        if atransform is not None:
            _check(atransform, "RunnableGenerator")
        if atransform is None and _is_async(transform):
            transform, atransform = None, transform
        self._transform, self._atransform = transform, atransform
        self.name = name or name_of(transform, atransform)
        self._given = _filled_in(transform)
        self._agiven = _filled_in(atransform)
        self._async_only = self if transform is None else None

    def _reads(self) -> Pieces:
        return Pieces.SURE

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if self._transform is None:
            raise no_sync_body(self)
        if run.bare and not kw and not self._given:
            return self._transform(iter(source))  # type: ignore[no-any-return]
        stream = run.call(self._transform, iter(source), **_extras(self._given, run, kw))
        return _sync.entered(iter(stream), run)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._atransform is None:
            return stream_in_thread(self, lambda s: iter(self._open(s, run, kw)), source)
        if run.bare and not kw and not self._agiven:
            return self._atransform(source.__aiter__())  # type: ignore[no-any-return]
        extras = _extras(self._agiven, run, kw)
        stream = run.call(self._atransform, source.__aiter__(), **extras)
        return _async.entered(stream.__aiter__(), run)

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        function = self._transform or self._atransform
        whole = taken_by(function) if side == "input" else chunks_of(function)
        found = schema.Plain(schema.title(self, side), item_of(whole))
        return _class_line(found, side, super()._data)

    def __repr__(self) -> str:
        function = self._transform or self._atransform
        return f"{type(self).__name__}({function_shown(function)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunnableGenerator):
            return NotImplemented
        return (self._transform, self._atransform) == (other._transform, other._atransform)

    __hash__ = None  # type: ignore[assignment]


class RunnableChunkwise(Each, Runnable[Input, Output]):
    """A function of one chunk, applied to each as it passes; what `each(fn)` makes.

    A value that does not come as a stream counts as one chunk. The function must not block: in
    async runs it is called in the event loop.
    """

    def __init__(self, func: Callable[[Input], Output], name: str | None = None) -> None:
        _check(func, "each")
        if _is_async(func):
            raise ConfigError(
                f"each() got the async function {func!r}: write an async generator function, "
                "`async def step(chunks): async for chunk in chunks: yield await …`."
            )
        self.func: Callable[[Any], Any] = func
        self.name = name or name_of(func)

    def _step(self, chunk: Any) -> Any:
        return self.func(chunk)

    def _reads(self) -> Pieces:
        return Pieces.SURE

    def _stepper(self, run: Run) -> Callable[[Any], Any]:
        return self.func if run.bare else partial(run.call, self.func)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync.run_each(self, source, self._stepper(run))

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _async.run_each(self, source, self._stepper(run))

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._stepper(run)(value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._stepper(run)(value)

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Machine | None:
        if not run.observed:
            return Stepped(self._stepper(run), self)
        inner = run.child(self, tag)
        return Tapped(Stepped(self._stepper(inner), self), inner, None, fold)

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        return _described(self, self.func, side, super()._data)

    def _kind_name(self) -> str:
        return "each"

    def __repr__(self) -> str:
        return f"each({function_shown(self.func)})"


def each(func: Callable[[A], B]) -> RunnableChunkwise[A, B]:
    """A step that applies `func` to every chunk as it passes."""
    return RunnableChunkwise(func)


@overload
def chain(func: Function[A, Runnable[Any, B]]) -> RunnableLambda[A, B]: ...
@overload
def chain(func: Function[A, Iterator[B]]) -> RunnableLambda[A, B]: ...
@overload
def chain(func: Function[A, AsyncIterator[B]]) -> RunnableLambda[A, B]: ...
@overload
def chain(func: Function[A, Coroutine[Any, Any, B]]) -> RunnableLambda[A, B]: ...
@overload
def chain(func: Function[A, B]) -> RunnableLambda[A, B]: ...
def chain(func: Any) -> RunnableLambda[Any, Any]:
    """Decorator: a function that calls runnables, as a runnable of its own.

    What it invokes shows up as its children; if it returns a runnable, that runs and streams.
    """
    return RunnableLambda(func, name=name_of(func))


makers["lambda"] = RunnableLambda
makers["generator"] = RunnableGenerator
