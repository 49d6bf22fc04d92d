"""The observer that makes spans and metrics of runs; the names are in `attributes`.

State is kept for runs that go on, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from traceback import format_exception
from typing import Any
from uuid import UUID

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)

from .._otel_context import StepContext, contexts, own_context
from ..errors import ConfigError
from ..events import (
    CustomEvent,
    Event,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunInfo,
    RunRetried,
    RunStarted,
    RunWon,
    StreamReset,
    Takes,
    ToolProgress,
)
from ..run import observed
from .attributes import MODELS, answer, error_type, operation_of, request, utf8
from .content import as_json, said_in, said_out

__all__ = ["OpenTelemetryHandler", "instrument"]

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
_OF_METRICS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model",
               "gen_ai.response.model", "error.type")  # fmt: skip
_TOKEN_TYPES = (
    ("input", "gen_ai.usage.input_tokens"),
    ("output", "gen_ai.usage.output_tokens"),
)
_FIRST = "gen_ai.response.time_to_first_chunk"


class _Live:
    """A run that goes on."""

    __slots__ = ("asked", "first", "input_told", "kind", "run", "span", "started")

    def __init__(self, span: Span, kind: str, started: float, asked: dict[str, Any]) -> None:
        self.span, self.kind, self.started = span, kind, started
        self.asked = asked  # attributes that its metrics have, too
        self.first: float | None = None  # seconds to the first chunk
        self.input_told = False
        self.run: RunInfo | None = None  # as it stands among those that stream


def _check(name: str, given: Any, method: str, kind: str) -> None:
    """Of providers of other making, only what is used of them is asked for."""
    if given is None:
        return
    if isinstance(given, type) or not callable(getattr(given, method, None)):
        raise ConfigError(
            f"{name} is {given!r}: give a {kind} of OpenTelemetry, or None for the global one."
        )


class OpenTelemetryHandler:
    """An observer for `config["callbacks"]`; `instrument` puts one around a block.

    Args:
        tracer_provider, meter_provider: by default the global ones.
        content: also record what was said (messages, arguments, texts of errors): see the
            package's head for what that is.

    Raises:
        ConfigError: a provider is none.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        content: bool = False,
    ) -> None:
        _check("tracer_provider", tracer_provider, "get_tracer", "TracerProvider")
        _check("meter_provider", meter_provider, "get_meter", "MeterProvider")
        self._tracer = get_tracer("headrace", None, tracer_provider, SCHEMA)
        self._content = content
        meter = get_meter("headrace", "", meter_provider, SCHEMA)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._to_first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time from a request to the first chunk of its answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._live: dict[UUID, _Live] = {}
        self._streaming: set[RunInfo] = set()  # those whose first chunk has come

    def wants(self, run: RunInfo) -> Takes:
        """Chunks of models and of outermost runs only, for the time to the first."""
        streams = run.run_type in MODELS or not run.parent_ids
        return _FEEDS if streams else _WITHOUT_CHUNKS

    def on_event(self, event: Event) -> None:
        """Take an event in."""
        if type(event) is RunChunk and event.run in self._streaming:
            return
        take = _FEEDS.get(type(event))
        found = self._live.get(event.run.id) if take is not None else None
        if take is not None and (found is not None or type(event) is RunStarted):
            take(self, event, found)

    def chunk_taker(self, run: Any) -> Callable[[Any], None]:
        """For the chunks of a run, where no one else takes them: only the first is looked at."""
        waiting = True

        def take(chunk: Any) -> None:
            nonlocal waiting
            if not waiting:
                return
            waiting = False
            if run.waking is not None:
                run.waking.wake()
            try:
                self._first_chunk(self._live.get(run.id), monotonic())
            except Exception:
                run.failed_to_tell(self, RunChunk)

        return take

    # ------------------------------------------------------------- a run begins

    def _started(self, event: RunStarted, _: Any) -> None:
        run = event.run
        operation = operation_of(run)
        name, told = request(run, operation, event.input)
        if run.run_type in MODELS:
            told["gen_ai.request.stream"] = not getattr(run, "invoked", False)
        span = self._tracer.start_span(
            name,
            context=self._context(run),
            attributes=told,
            kind=SpanKind.INTERNAL if operation is None else operation.kind,
        )
        asked = {key: told[key] for key in _OF_METRICS if key in told}
        live = self._live[run.id] = _Live(span, run.run_type, event.time, asked)
        if StepContext.used:
            contexts[run.id] = set_span_in_context(span)
        self._tell_input(live, event.input)

    def _context(self, run: RunInfo) -> Any:
        """With the span that is to be the parent: None for what is current here."""
        parents = run.parent_ids
        above = self._live.get(parents[-1]) if parents else None
        if above is None:
            return None
        within = own_context(parents[-1])  # the run above has opened a span of its own, perhaps
        return set_span_in_context(above.span) if within is None else within

    def _tell_input(self, live: _Live, value: Any) -> None:
        if self._content and not live.input_told and value is not None:
            live.input_told = True
            live.span.set_attributes(said_in(live.kind, value))

    # ------------------------------------------------------------- while it goes on

    def _chunk(self, event: RunChunk, live: _Live) -> None:
        if event.whole:  # asked to stream, it answered at once
            live.span.set_attribute("gen_ai.request.stream", False)
            return
        self._first_chunk(live, event.time)
        live.run = event.run
        self._streaming.add(event.run)

    def _first_chunk(self, live: _Live | None, at: float) -> None:
        if live is not None and live.first is None:
            live.first = at - live.started
            live.span.add_event("headrace.first_chunk", {_FIRST: live.first})

    def _retried(self, event: RunRetried, live: _Live) -> None:
        told: dict[str, Any] = {
            "headrace.retry.attempt": event.attempt,
            "headrace.retry.delay": event.delay,
            "error.type": error_type(event.error),
        }
        if self._content:
            told["exception.message"] = utf8(str(event.error))
        live.span.add_event("headrace.retry", told)

    def _reset(self, event: StreamReset, live: _Live) -> None:
        told = {
            "headrace.reset.attempt": event.attempt,
            "headrace.reset.discarded": event.discarded,
        }
        live.span.add_event("headrace.reset", told)

    def _won(self, event: RunWon, live: _Live) -> None:
        live.span.set_attribute("headrace.winner", utf8(event.winner))

    def _custom(self, event: CustomEvent, live: _Live) -> None:
        told = {"headrace.custom.name": event.label}
        if self._content:
            told["headrace.custom.data"] = as_json(event.data)
        live.span.add_event("headrace.custom", told)

    def _progress(self, event: ToolProgress, live: _Live) -> None:
        told = {} if event.tool_call_id is None else {"gen_ai.tool.call.id": event.tool_call_id}
        if self._content:
            told["headrace.progress.value"] = as_json(event.value)
        live.span.add_event("headrace.progress", told)

    # ------------------------------------------------------------- it ends

    def _ended(self, event: RunEnded, live: _Live) -> None:
        self._tell_input(live, event.input)
        self._end(event, live, event.output)

    def _failed(self, event: RunFailed, live: _Live) -> None:
        error = event.error
        live.asked["error.type"] = kind = error_type(error)
        live.span.set_attribute("error.type", kind)
        said = utf8(str(error)) if self._content else None
        live.span.set_status(Status(StatusCode.ERROR, said))
        if said is not None:
            trace = utf8("".join(format_exception(error)))
            more = {"exception.message": said, "exception.stacktrace": trace}
            live.span.record_exception(error, more)
        self._end(event, live, event.partial)

    def _cancelled(self, event: RunCancelled, live: _Live) -> None:
        live.span.set_attribute("headrace.cancelled", True)
        self._end(event, live, event.partial)

    def _end(self, event: Any, live: _Live, output: Any) -> None:
        run_id = event.run.id
        del self._live[run_id]
        contexts.pop(run_id, None)
        if live.run is not None:
            self._streaming.discard(live.run)
        try:
            if live.kind in MODELS:
                self._measure(live, event.time - live.started, answer(output))
            if self._content:
                live.span.set_attributes(said_out(live.kind, output))
        finally:
            live.span.end()

    def _measure(self, live: _Live, seconds: float, told: dict[str, Any]) -> None:
        if live.first is not None:
            told[_FIRST] = live.first
        live.span.set_attributes(told)
        common = {**live.asked, **{key: told[key] for key in _OF_METRICS if key in told}}
        self._duration.record(seconds, common)
        if live.first is not None:
            self._to_first.record(live.first, common)
        common.pop("error.type", None)
        for kind, attribute in _TOKEN_TYPES:
            if attribute in told:
                self._tokens.record(told[attribute], {**common, "gen_ai.token.type": kind})


_FEEDS: dict[type, Callable[[OpenTelemetryHandler, Any, Any], None]] = {
    RunStarted: OpenTelemetryHandler._started,
    RunChunk: OpenTelemetryHandler._chunk,
    RunEnded: OpenTelemetryHandler._ended,
    RunFailed: OpenTelemetryHandler._failed,
    RunCancelled: OpenTelemetryHandler._cancelled,
    RunRetried: OpenTelemetryHandler._retried,
    StreamReset: OpenTelemetryHandler._reset,
    RunWon: OpenTelemetryHandler._won,
    CustomEvent: OpenTelemetryHandler._custom,
    ToolProgress: OpenTelemetryHandler._progress,
}
_WITHOUT_CHUNKS = _FEEDS.keys() - {RunChunk}


@contextmanager
def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    content: bool = False,
) -> Iterator[OpenTelemetryHandler]:
    """Trace every run that begins inside the block, in its context: what the whole program does,
    where the block is around its `main`. A thread is part of it if it runs in a copy of the context
    (`contextvars.copy_context`), as tasks and `asyncio.to_thread` do by themselves.

    Args:
        tracer_provider, meter_provider, content: see `OpenTelemetryHandler`.

    Raises:
        ConfigError: a provider is none.
    """
    handler = OpenTelemetryHandler(tracer_provider, meter_provider, content=content)
    with observed(handler):
        yield handler
