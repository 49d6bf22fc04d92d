"""Views over the events of a run: machines that make something else of them.

`Runnable.astream_events`, `stream_typed` and their like are the doors; what stands here is for
those who write views of their own: `watch(runnable, input, config, {}, view)` and `awatch` give
what a view makes of a run, as it happens. `Handle` and `AsyncHandle` are the types of what
`Runnable.open` gives.
"""

from ..runnables._handle import AsyncDeltas, AsyncHandle, Deltas, Handle
from .blocks import TypedBlocks
from .filters import Filter
from .log import Log
from .run_log import LogEntry, RunLog, RunLogPatch, RunState
from .stream_events import StreamEvent, StreamEvents
from .subscription import LIMIT, AsyncSubscription, Subscription, View
from .typed import Typed
from .watching import awatch, watch

__all__ = ["LIMIT", "AsyncDeltas", "AsyncHandle", "AsyncSubscription", "Deltas", "Filter", "Handle",
           "Log", "LogEntry", "RunLog", "RunLogPatch", "RunState", "StreamEvent", "StreamEvents",
           "Subscription", "Typed", "TypedBlocks", "View", "awatch", "watch"]  # fmt: skip
