"""The doors behind which a run is watched from inside: events, logs, a handle on it; and the one
that makes a tool of a runnable.

What is behind them lives above (`headrace.views`, `headrace.tools`) and is imported when a door is
opened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic

from ..shapes import Node
from ._doors import seen_from_outside
from ._handle import Names, Opening, T_co
from ._typed import AStream

if TYPE_CHECKING:
    from ..events import Event


def _timed(view: Any) -> Any:
    from ..timing import Timed

    return Timed(view)


class Viewed(Node, Generic[T_co]):
    """The part of `Runnable` that shows what happens inside."""

    def astream_events(
        self,
        input: Any,
        config: Any = None,
        *,
        version: str = "v2",
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        timing: bool = False,
        **kwargs: Any,
    ) -> AStream[dict[str, Any]]:
        """What happens inside, as dicts, when it happens; see `headrace.views.stream_events`. The
        dicts of one run share `tags`, `metadata` and `parent_ids`: they are for reading.

        Args:
            version: "v2", the only one.
            include_names, include_types, include_tags: tell only of runs with one of these names,
                types (see `headrace.views.filters.TYPES`) or tags; the other three leave runs out.
            timing: put each run's times into its end event, as `metadata["timing"]`; see
                `headrace.timing.Timed`.
            kwargs: go to the runnable, as in `astream`.

        Raises:
            ConfigError: another version; a filter that is no list of strings, or is misspelt.
        """
        from ..views import Filter, StreamEvents, awatch
        from ..views.stream_events import checked_version

        checked_version(version)
        chosen = Filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = _timed(StreamEvents(chosen)) if timing else StreamEvents(chosen)
        return awatch(seen_from_outside(self), input, config, kwargs, view)

    def stream_events(
        self,
        input: Any,
        config: Any = None,
        *,
        version: str = "v2",
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        timing: bool = False,
        **kwargs: Any,
    ) -> Generator[dict[str, Any], None, None]:
        """`astream_events` without an event loop: the chain runs in a worker thread, at most 256
        events ahead. Closing waits for a step that is in the middle of blocking work."""
        from ..views import Filter, StreamEvents, watch
        from ..views.stream_events import checked_version

        checked_version(version)
        chosen = Filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = _timed(StreamEvents(chosen)) if timing else StreamEvents(chosen)
        return watch(seen_from_outside(self), input, config, kwargs, view)

    def astream_typed(
        self,
        input: Any,
        config: Any = None,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        blocks: bool = False,
        **kwargs: Any,
    ) -> AsyncGenerator[Event, None]:
        """What happens inside, as typed events (`headrace.events`) for `match`: each with its
        number, the path of its step and the time. With `blocks`, also those of the content blocks
        of chat models."""
        from ..views import Filter, Typed, TypedBlocks, awatch

        chosen = Filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = TypedBlocks(chosen) if blocks else Typed(chosen)
        return awatch(seen_from_outside(self), input, config, kwargs, view)

    def stream_typed(
        self,
        input: Any,
        config: Any = None,
        *,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        blocks: bool = False,
        **kwargs: Any,
    ) -> Generator[Event, None, None]:
        """`astream_typed` without an event loop, as `stream_events` is to `astream_events`."""
        from ..views import Filter, Typed, TypedBlocks, watch

        chosen = Filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = TypedBlocks(chosen) if blocks else Typed(chosen)
        return watch(seen_from_outside(self), input, config, kwargs, view)

    def astream_log(
        self,
        input: Any,
        config: Any = None,
        *,
        diff: bool = True,
        with_streamed_output_list: bool = True,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        **kwargs: Any,
    ) -> AStream[Any]:
        """What happens inside, as JSON patches that add up to the state of the run: each a
        `RunLogPatch`; see `headrace.views.log`.

        Args:
            diff: False: the whole `RunLog` so far each time, with its `state`.
            with_streamed_output_list: False: leave out `streamed_output` of the outermost run.
            include_names, …: as in `astream_events`; chat models are of type "llm" here, too.
            kwargs: go to the runnable, as in `astream`.

        Raises:
            ConfigError: a filter that is no list of strings, or is misspelt.
        """
        from ..views import Log, awatch
        from ..views.log import alogs, log_filter

        chosen = log_filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = Log(chosen, chunks=with_streamed_output_list)
        patches = awatch(seen_from_outside(self), input, config, kwargs, view)
        return patches if diff else alogs(patches)

    def stream_log(
        self,
        input: Any,
        config: Any = None,
        *,
        diff: bool = True,
        with_streamed_output_list: bool = True,
        include_names: Names = None,
        include_types: Names = None,
        include_tags: Names = None,
        exclude_names: Names = None,
        exclude_types: Names = None,
        exclude_tags: Names = None,
        **kwargs: Any,
    ) -> Generator[Any, None, None]:
        """`astream_log` without an event loop, as `stream_events` is to `astream_events`."""
        from ..views import Log, watch
        from ..views.log import log_filter, logs

        chosen = log_filter(
            include_names=include_names, include_types=include_types, include_tags=include_tags,
            exclude_names=exclude_names, exclude_types=exclude_types, exclude_tags=exclude_tags,
            rest=kwargs,
        )  # fmt: skip
        view = Log(chosen, chunks=with_streamed_output_list)
        patches = watch(seen_from_outside(self), input, config, kwargs, view)
        return patches if diff else logs(patches)

    def open(
        self, input: Any, config: Any = None, *, timing: bool = False, **kwargs: Any
    ) -> Opening[T_co]:
        """A handle on one live run, for `with` and `async with`: its text, reasoning, tool calls,
        chunks and events for several consumers, each at its own pace; `output`, `usage`, `cancel`
        and `stop`. See `headrace.views.live`.

        Args:
            timing: have `run.timing` tell when the chunks of each step came.
            kwargs: go to the runnable, as in `stream`.
        """
        from ..views.live import Opened

        return Opened(seen_from_outside(self), input, config, kwargs, timing=timing)

    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: Mapping[str, Any] | None = None,
    ) -> Any:
        """A tool (`BaseTool`) that invokes this; see `headrace.tools.convert_runnable_to_tool`."""
        from ..tools.convert import convert_runnable_to_tool

        return convert_runnable_to_tool(
            self, args_schema, name=name, description=description, arg_types=arg_types
        )
