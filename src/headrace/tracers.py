"""Tracers and logs under the name users of LangChain look for them; they live in `callbacks` and
`views`."""

from .callbacks.console import ConsoleCallbackHandler
from .callbacks.run_tree import Run
from .callbacks.tracers import (
    AsyncBaseTracer,
    BaseTracer,
    RunCollectorCallbackHandler,
    collect_runs,
)
from .views.log_stream import LogStreamCallbackHandler
from .views.run_log import LogEntry, RunLog, RunLogPatch, RunState

__all__ = [
    "AsyncBaseTracer",
    "BaseTracer",
    "ConsoleCallbackHandler",
    "LogEntry",
    "LogStreamCallbackHandler",
    "Run",
    "RunCollectorCallbackHandler",
    "RunLog",
    "RunLogPatch",
    "RunState",
    "collect_runs",
]
