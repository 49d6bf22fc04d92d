"""A tracer provider and a meter provider that keep what they are given."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace.otel import instrument


class Kept:
    """What has been exported, and how to get there."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.tracers.get_tracer("the test's own")
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self):
        """The finished ones, in the order of their starts."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, name):
        (found,) = [span for span in self.spans if span.name == name]
        return found

    @property
    def tree(self):
        """{span's name: its parent's name}."""
        names = {span.context.span_id: span.name for span in self.spans}
        return {
            span.name: None if span.parent is None else names[span.parent.span_id]
            for span in self.spans
        }

    @property
    def points(self):
        """{metric's name: its data points}."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        (scope,) = data.resource_metrics[0].scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}

    def clear(self):
        self._exporter.clear()

    def watch(self, colour, work, **options):
        """Do something in a colour inside `instrument`; gives the handler. An event loop has a
        context of its own from when it is made, as a thread has: the block goes around the one and
        inside the other."""
        if colour.asynchronous:
            with instrument(self.tracers, self.meters, **options) as handler:
                colour.run(work)
            return handler

        def body(doors):
            with instrument(self.tracers, self.meters, **options) as handler:
                work(doors)
            return handler

        return colour.run(body)


@pytest.fixture
def kept():
    kept = Kept()
    yield kept
    kept.tracers.shutdown()
    kept.meters.shutdown()
