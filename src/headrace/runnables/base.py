"""`Runnable`: the one interface of every component, its doors derived from the shapes.

`invoke`, `batch`, `stream`, `transform` and their async twins are written here, once; a component
has a shape (`headrace.shapes`) and never a door of its own. A direct subclass outside Headrace
writes the doors it likes, at least one (`_doors.py`).
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload

from .. import _async, _async_fan, _sync, _sync_fan
from ..config import RunnableConfig
from ..flow import Once
from ..run import Run
from ..shapes import Flow, Kwargs, Pieces
from . import _doors
from ._about import About
from ._again import When
from ._copying import Copied
from ._doors import native
from ._settings import ConfigurableField
from ._several import listed, shared
from ._typed import (
    A,
    AStream,
    AStreamed,
    Awaited,
    Filled,
    FilledAwaited,
    FilledStreamed,
    Stream,
    Streamed,
    Whole,
)
from ._viewed import Viewed
from .configs import as_told

Input = TypeVar("Input", contravariant=True)  # noqa: PLC0105 - the field's names
Output = TypeVar("Output", covariant=True)  # noqa: PLC0105
Other = TypeVar("Other")

makers: dict[str, Callable[..., Any]] = {}
"""Combinators by name; each file of this package enters its own, so that none imports another."""


class Runnable(About, Copied, Viewed[Output], Generic[Input, Output]):
    """Something that turns an input into an output, at once or chunk by chunk.

    `Input` is the type of one input (a whole one; its chunks, for `transform`), `Output` that of
    the value and of each chunk.
    """

    name: str | None
    _overridden: frozenset[str] = frozenset()
    _shaped: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _doors.install(cls)

    # ------------------------------------------------------------- doors

    @native
    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        """The output for one input. Raises what the failing step raised, with a note naming it."""
        if self._async_only is not None:
            raise _doors.no_sync_body(self._async_only)
        node = self if not self._overridden else _doors.behind(self, "invoke")
        return _sync.value_root(node, input, config, kwargs)  # type: ignore[no-any-return]

    @native
    async def ainvoke(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Output:
        """`invoke` without blocking the event loop; blocking steps run in worker threads."""
        node = self if not self._overridden else _doors.behind(self, "ainvoke")
        return await _async.value_root(node, input, config, kwargs)  # type: ignore[no-any-return]

    @native
    def stream(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Stream[Output]:
        """The output in chunks, as they arise; their sum is what `invoke` gives.

        Nothing runs before the first `next`. Closing the iterator ends every step for real.
        """
        if self._async_only is not None:
            raise _doors.no_sync_body(self._async_only)
        node = self if not self._overridden else _doors.behind(self, "stream")
        return _sync.stream_root(node, Once(input), config, kwargs)

    @native
    def astream(
        self, input: Input, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AStream[Output]:
        """`stream`, async. Leaving early without `aclose()` closes it when it is collected."""
        node = self if not self._overridden else _doors.behind(self, "astream")
        return _async.stream_root(node, Once(input), config, kwargs)

    @native
    def transform(
        self, input: Iterator[Input], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Stream[Output]:
        """`stream` for an input that itself arrives in chunks. It takes `input` over: closing the
        result closes it."""
        if self._async_only is not None:
            raise _doors.no_sync_body(self._async_only)
        node = self if not self._overridden else _doors.behind(self, "transform")
        return _sync.stream_root(node, input, config, kwargs)

    @native
    def atransform(
        self, input: AsyncIterator[Input], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AStream[Output]:
        """`transform`, async."""
        node = self if not self._overridden else _doors.behind(self, "atransform")
        return _async.stream_root(node, input, config, kwargs)

    # ------------------------------------------------------------- several inputs

    @native
    def batch(
        self,
        inputs: list[Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Output]:
        """The outputs for many inputs, `out[i]` from `inputs[i]`, several at once in threads.

        `config["max_concurrency"]` bounds the leaf calls in flight. With `return_exceptions` a
        failure is the output at its place; else the first one is raised when those at work ended.
        """
        inputs = listed(inputs)
        configs, gate = shared(config, len(inputs))
        return _sync_fan.gather(
            lambda i: self.invoke(inputs[i], configs[i], **kwargs),
            len(inputs),
            gate=gate,
            keep_errors=return_exceptions,
        )

    @native
    async def abatch(
        self,
        inputs: list[Input],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Output]:
        """`batch`, async: all at once, or as `max_concurrency` lets. The first failure cancels and
        awaits the others."""
        inputs = listed(inputs)
        configs, gate = shared(config, len(inputs))
        return await _async_fan.gather(
            lambda i: self.ainvoke(inputs[i], configs[i], **kwargs),
            len(inputs),
            gate=gate,
            keep_errors=return_exceptions,
        )

    def batch_as_completed(
        self,
        inputs: Sequence[Input],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> Generator[tuple[int, Output | Exception], None, None]:
        """Pairs `(i, output of inputs[i])` in the order in which they get done."""
        given = listed(inputs)
        configs, gate = shared(config, len(given))
        yield from _sync_fan.gather_as_done(
            lambda i: self.invoke(given[i], configs[i], **kwargs),
            len(given),
            gate=gate,
            keep_errors=return_exceptions,
        )

    async def abatch_as_completed(
        self,
        inputs: Sequence[Input],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> AsyncGenerator[tuple[int, Output | Exception], None]:
        """`batch_as_completed`, async."""
        given = listed(inputs)
        configs, gate = shared(config, len(given))
        pairs = _async_fan.gather_as_done(
            lambda i: self.ainvoke(given[i], configs[i], **kwargs),
            len(given),
            gate=gate,
            keep_errors=return_exceptions,
        )
        try:
            async for pair in pairs:
                yield pair
        finally:
            await pairs.aclose()  # type: ignore[attr-defined]

    # ------------------------------------------------------------- composition

    # The order is part of it: a lambda is tried against each in turn, and a function that takes an
    # iterator and gives one is a generator function before it is anything else.

    @overload
    def __or__(self, other: Runnable[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: Streamed[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: AStreamed[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: Awaited[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: Whole[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: FilledStreamed[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: FilledAwaited[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: Filled[Output, Other]) -> Runnable[Input, Other]: ...
    @overload
    def __or__(self, other: Mapping[str, Step[Output]]) -> Runnable[Input, dict[str, Any]]: ...
    def __or__(self, other: Any) -> Any:
        """`self`, then `other`: a Runnable, a function (takes the whole value), a generator
        function (takes the stream) or a dict of those (a parallel)."""
        return makers["sequence"](self, other)

    @overload
    def __ror__(self, other: Streamed[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: AStreamed[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: Awaited[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: Whole[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: FilledStreamed[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: FilledAwaited[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(self, other: Filled[Other, Input]) -> Runnable[Other, Output]: ...
    @overload
    def __ror__(
        self: Runnable[dict[str, Any], Output], other: Mapping[str, Any]
    ) -> Runnable[Any, Output]: ...
    def __ror__(self, other: Any) -> Any:
        return makers["sequence"](other, self)

    # Here a plain function comes before a generator function: only so do all tools read lambdas.

    @overload
    def pipe(
        self, _: Runnable[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Awaited[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Whole[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Streamed[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: AStreamed[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: FilledStreamed[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: FilledAwaited[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Filled[Output, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Mapping[str, Step[Output]], /, *, name: str | None = ...
    ) -> Runnable[Input, dict[str, Any]]: ...
    @overload
    def pipe(
        self, _: Step[Output], second: Runnable[Any, Other], /, *, name: str | None = ...
    ) -> Runnable[Input, Other]: ...
    @overload
    def pipe(
        self, _: Step[Output], second: Any, /, *more: Any, name: str | None = ...
    ) -> Runnable[Input, Any]: ...
    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """`self | others[0] | others[1] …`, with a name if given."""
        return makers["sequence"](self, *others, name=name)

    def pick(self, keys: str | list[str]) -> Runnable[Input, Any]:
        """Then only one key's value, or a dict of the listed keys, of the output dict."""
        return makers["sequence"](self, makers["pick"](keys))  # type: ignore[no-any-return]

    def assign(self, **kwargs: Any) -> Runnable[Input, dict[str, Any]]:
        """Then the output dict with the outputs of further steps added under their keys."""
        step = makers["assign"](makers["parallel"](kwargs))
        return makers["sequence"](self, step)  # type: ignore[no-any-return]

    def bind(self, **kwargs: Any) -> Runnable[Input, Output]:
        """With these keyword arguments at every call."""
        return makers["binding"](bound=self, kwargs=kwargs)  # type: ignore[no-any-return]

    def with_config(
        self, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Runnable[Input, Output]:
        """With this config at every call; fields may be given as keywords."""
        merged = as_told(self, config, kwargs)
        return makers["binding"](bound=self, config=merged)  # type: ignore[no-any-return]

    def with_retry(
        self,
        *,
        retry_if_exception_type: tuple[type[BaseException], ...]
        | type[BaseException]
        | Callable[[BaseException], bool]
        | Literal["transient"] = (Exception,),
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: Mapping[str, float] | None = None,
        stop_after_attempt: int = 3,
        when: When = "before_first_chunk",
        resets: bool = False,
        retry_budget: Any = None,
        max_total: float | None = None,
    ) -> Runnable[Input, Output]:
        """Tried again when it fails; see `RunnableRetry` and its `of`."""
        return makers["retry"](  # type: ignore[no-any-return]
            self,
            retry_if_exception_type=retry_if_exception_type,
            wait_exponential_jitter=wait_exponential_jitter,
            exponential_jitter_params=exponential_jitter_params,
            stop_after_attempt=stop_after_attempt,
            when=when,
            resets=resets,
            retry_budget=retry_budget,
            max_total=max_total,
        )

    def with_fallbacks(
        self,
        fallbacks: Sequence[Runnable[Input, Other]],
        *,
        exceptions_to_handle: tuple[type[BaseException], ...] = (Exception,),
        exception_key: str | None = None,
        when: When = "before_first_chunk",
        resets: bool = False,
    ) -> Runnable[Input, Output | Other]:
        """With others to take over when it fails; see `RunnableWithFallbacks`."""
        return makers["fallbacks"](  # type: ignore[no-any-return]
            runnable=self,
            fallbacks=fallbacks,
            exceptions_to_handle=exceptions_to_handle,
            exception_key=exception_key,
            when=when,
            resets=resets,
        )

    def with_timeout(
        self,
        *,
        first_chunk: float | None = None,
        idle: float | None = None,
        total: float | None = None,
    ) -> Runnable[Input, Output]:
        """With limits, in seconds, to how long it keeps its reader waiting; see
        `headrace.resilience.RunnableWithTimeout`."""
        from ..resilience.timeout import RunnableWithTimeout

        return RunnableWithTimeout(bound=self, first_chunk=first_chunk, idle=idle, total=total)

    def with_hedge(
        self, other: Runnable[Input, Other] | None = None, after: float = 0.8
    ) -> Runnable[Input, Output | Other]:
        """With `other`, or itself once more, started when no chunk has come within `after`
        seconds: the first chunk wins; see `headrace.resilience.RunnableWithHedge`."""
        from ..resilience.hedge import RunnableWithHedge

        return RunnableWithHedge(bound=self, other=other, after=after)

    def with_circuit_breaker(self, breaker: Any = None, **kwargs: Any) -> Runnable[Input, Output]:
        """Called only while it has not failed too often: behind a
        `headrace.resilience.CircuitBreaker`, or one of its own made with the keywords."""
        from ..resilience.breaker import circuit_breaker

        return circuit_breaker(self, breaker, **kwargs)

    def configurable_fields(self, **kwargs: Any) -> Runnable[Input, Output]:
        """With fields (of a pydantic component) or constructor parameters (of any other) that a
        call may set: `temperature=ConfigurableField(id="temp")`, then
        `config={"configurable": {"temp": 0.9}}`. Raises ConfigError for an unknown field."""
        return makers["configurable_fields"](default=self, fields=kwargs)  # type: ignore[no-any-return]

    def configurable_alternatives(
        self,
        which: ConfigurableField,
        *,
        default_key: str = "default",
        prefix_keys: bool = False,
        **kwargs: Any,
    ) -> Runnable[Input, Output]:
        """With others, runnables or functions that make one, of which a call may choose by key;
        see `RunnableConfigurableAlternatives`."""
        return makers["configurable_alternatives"](  # type: ignore[no-any-return]
            which=which,
            default=self,
            alternatives=kwargs,
            default_key=default_key,
            prefix_keys=prefix_keys,
        )

    def with_types(
        self, *, input_type: Any = None, output_type: Any = None
    ) -> Runnable[Input, Output]:
        """With these types to report, where they cannot be inferred."""
        return makers["binding"](  # type: ignore[no-any-return]
            bound=self, custom_input_type=input_type, custom_output_type=output_type
        )

    def with_listeners(
        self,
        *,
        on_start: Callable[..., Any] | None = None,
        on_end: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None,
    ) -> Runnable[Input, Output]:
        """With functions that are called once per call: with the run (`headrace.callbacks.Run`),
        or with the run and the config. A run that was left or cancelled goes to `on_error`."""
        from ..callbacks.listeners import Listening

        factory = Listening(on_start=on_start, on_end=on_end, on_error=on_error)
        return makers["binding"](bound=self, config_factories=[factory])  # type: ignore[no-any-return]

    def with_alisteners(
        self,
        *,
        on_start: Callable[..., Any] | None = None,
        on_end: Callable[..., Any] | None = None,
        on_error: Callable[..., Any] | None = None,
    ) -> Runnable[Input, Output]:
        """`with_listeners` for coroutine functions: awaited in async runs, in their order; a sync
        run waits for a worker thread to run each."""
        return self.with_listeners(on_start=on_start, on_end=on_end, on_error=on_error)

    def map(self) -> Runnable[list[Input], list[Output]]:
        """For lists: each element through this runnable."""
        return makers["each"](bound=self)  # type: ignore[no-any-return]

    # ------------------------------------------------------------- about itself

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """What the runnable is called in events and errors."""
        base = name or getattr(self, "name", None) or self._kind_name()
        if not suffix:
            return base
        upper = base[:1].isupper()
        return f"{base}{suffix.title()}" if upper else f"{base}_{suffix.lower()}"

    def _kind_name(self) -> str:
        """The name of one that was given none."""
        return type(self).__name__.partition("[")[0]

    def __repr__(self) -> str:
        return f"{self.get_name()}()"

    def _reads(self) -> Pieces:
        return Pieces.SURE if self._overridden & _doors.READERS else super()._reads()

    def _flow(self) -> Flow:
        """Of a class with no shape: what its doors can do."""
        return super()._flow() if self._shaped else _doors.flow(self)

    # A class with no shape is made of the doors that it overrides.

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _doors.open_override(self, source, run, kw)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _doors.aopen_override(self, source, run, kw)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return _doors.value_override(self, value, run, kw)

    _value._unshaped = True  # type: ignore[attr-defined]

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await _doors.avalue_override(self, value, run, kw)


_doors.install(Runnable)

Step: TypeAlias = (
    Runnable[A, Any]
    | Whole[A, Any]
    | Streamed[A, Any]
    | AStreamed[A, Any]
    | Filled[A, Any]
    | FilledStreamed[A, Any]
    | Mapping[str, Any]
)
"""A branch of a dict: what takes an `A`."""
