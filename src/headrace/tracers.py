"""Tracers under the name users of LangChain look for them; all of it lives in `callbacks`."""

from .callbacks.console import ConsoleCallbackHandler
from .callbacks.run_tree import Run
from .callbacks.tracers import (
    AsyncBaseTracer,
    BaseTracer,
    RunCollectorCallbackHandler,
    collect_runs,
)

__all__ = [
    "AsyncBaseTracer",
    "BaseTracer",
    "ConsoleCallbackHandler",
    "Run",
    "RunCollectorCallbackHandler",
    "collect_runs",
]
