"""Who is told what runs do: callback handlers, tracers, listeners, managers of them.

All are observers of the one union of events (`headrace.events`). Loads no pydantic.
"""

from .arguments import RunCancelledError
from .base import AsyncCallbackHandler, BaseCallbackHandler
from .console import ConsoleCallbackHandler
from .custom import adispatch_custom_event, dispatch_custom_event
from .file import FileCallbackHandler
from .manager import (
    AsyncCallbackManager,
    AsyncCallbackManagerForChainGroup,
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    BaseCallbackManager,
    CallbackManager,
    CallbackManagerForChainGroup,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    atrace_as_chain_group,
    trace_as_chain_group,
)
from .run_tree import Run
from .stdout import StdOutCallbackHandler, StreamingStdOutCallbackHandler
from .tracers import AsyncBaseTracer, BaseTracer, RunCollectorCallbackHandler, collect_runs
from .usage import UsageMetadataCallbackHandler, get_usage_metadata_callback

__all__ = [
    "AsyncBaseTracer",
    "AsyncCallbackHandler",
    "AsyncCallbackManager",
    "AsyncCallbackManagerForChainGroup",
    "AsyncCallbackManagerForChainRun",
    "AsyncCallbackManagerForLLMRun",
    "AsyncCallbackManagerForRetrieverRun",
    "AsyncCallbackManagerForToolRun",
    "BaseCallbackHandler",
    "BaseCallbackManager",
    "BaseTracer",
    "CallbackManager",
    "CallbackManagerForChainGroup",
    "CallbackManagerForChainRun",
    "CallbackManagerForLLMRun",
    "CallbackManagerForRetrieverRun",
    "CallbackManagerForToolRun",
    "ConsoleCallbackHandler",
    "FileCallbackHandler",
    "Run",
    "RunCancelledError",
    "RunCollectorCallbackHandler",
    "StdOutCallbackHandler",
    "StreamingStdOutCallbackHandler",
    "UsageMetadataCallbackHandler",
    "adispatch_custom_event",
    "atrace_as_chain_group",
    "collect_runs",
    "dispatch_custom_event",
    "get_usage_metadata_callback",
    "trace_as_chain_group",
]
