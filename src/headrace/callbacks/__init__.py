"""Who is told what runs do: callback handlers, tracers, listeners, managers of them.

All are observers of the one union of events (`headrace.events`). Loads no pydantic.
"""

from .arguments import RunCancelledError
from .base import AsyncCallbackHandler, BaseCallbackHandler
from .console import ConsoleCallbackHandler
from .manager import (
    AsyncCallbackManager,
    AsyncCallbackManagerForChainGroup,
    BaseCallbackManager,
    CallbackManager,
    CallbackManagerForChainGroup,
    atrace_as_chain_group,
    trace_as_chain_group,
)
from .run_tree import Run
from .stdout import StdOutCallbackHandler, StreamingStdOutCallbackHandler
from .tracers import AsyncBaseTracer, BaseTracer, RunCollectorCallbackHandler, collect_runs

__all__ = [
    "AsyncBaseTracer",
    "AsyncCallbackHandler",
    "AsyncCallbackManager",
    "AsyncCallbackManagerForChainGroup",
    "BaseCallbackHandler",
    "BaseCallbackManager",
    "BaseTracer",
    "CallbackManager",
    "CallbackManagerForChainGroup",
    "ConsoleCallbackHandler",
    "Run",
    "RunCancelledError",
    "RunCollectorCallbackHandler",
    "StdOutCallbackHandler",
    "StreamingStdOutCallbackHandler",
    "atrace_as_chain_group",
    "collect_runs",
    "trace_as_chain_group",
]
