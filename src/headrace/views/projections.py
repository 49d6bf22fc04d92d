"""What a handle can show of a run: a view for each projection.

A view says what of the run it takes (`takes`), makes items of it, and how items join (`key`,
`join`). `past()` is what has been missed by a consumer that comes late, joined; `whole()` what all
items amount to. All are called under the hub's lock.

| takes | called with |
|---|---|
| `CHUNKS` | `chunk(run, chunk)`: of the outermost run and of models |
| `BLOCKS` | `feed(event)` with events of content blocks |
| `EVENTS` | `feed(event)` with those that its `wants(run)` names |

Of models whose answers may be void yet, since a policy above them starts over and holds its chunks
back, the first two hear when that is over: by `said(answers)`. Where the outermost run itself tells
of resets (`resets=True`), they give a `Reset` as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..events import BlockDelta, BlockEnded, BlockStarted, Event, Reset, RunChunk, RunInfo
from ..flow import fold_partial
from ..merge import merge_dicts
from ..messages import BaseMessage
from .blocks import Answer, told
from .filters import Filter
from .subscription import View
from .typed import Typed

__all__ = ["Blocks", "Chunks", "Events", "Reasoning", "Text", "ToolCalls", "text_in"]

Takes = Literal["chunks", "blocks", "events"]
Answers = Mapping[RunInfo, Answer]


def text_in(chunk: Any) -> str:
    """The text of a chunk: a string's own, a message's; empty for anything else."""
    if chunk.__class__ is str:
        return chunk
    if isinstance(chunk, BaseMessage):
        return chunk.text
    return chunk if isinstance(chunk, str) else ""


class _View:
    """What most have in common: one series of deltas, which are texts."""

    takes: Takes = "chunks"

    def __init__(self, hub: Any) -> None:
        self.hub = hub

    def key(self, item: Any) -> tuple[Any, bool]:
        """(what an item continues, whether it can be joined to that)."""
        return None, type(item) is not Reset

    def join(self, items: list[Any]) -> Any:
        """Several items of one key as one."""
        return "".join(items)

    def reset(self, reset: Reset) -> Iterable[Any]:
        """The outermost run starts over."""
        return (reset,)

    def said(self, answers: Answers) -> Iterable[Any]:
        """What models have said so far of whom it has not heard."""
        return ()

    def past(self) -> Iterable[Any]:
        return self.said(self.hub.valid())

    def whole(self) -> Any:
        raise NotImplementedError

    def rest(self) -> Iterable[Any]:
        """What is due when the run has ended."""
        return ()


class Chunks(_View):
    """The chunks of the outermost run. The whole is its output."""

    def chunk(self, run: RunInfo, chunk: Any) -> Iterable[Any]:
        return (chunk,) if run is self.hub.root else ()

    def key(self, item: Any) -> tuple[Any, bool]:
        return None, True

    def reset(self, reset: Reset) -> Iterable[Any]:
        return ()  # it is one of the chunks

    def join(self, items: list[Any]) -> Any:
        return fold_partial(self.hub.fold, items)

    def past(self) -> Iterable[Any]:
        return [self.join(list(self.hub.chunks))] if self.hub.chunks else []

    def whole(self) -> Any:
        return self.hub.output()


class Text(_View):
    """The text of the outermost run where its chunks are text or messages, else that of the models
    below. Where the type of its output does not tell, its first chunk does; until then the text of
    the models waits."""

    def __init__(self, hub: Any) -> None:
        super().__init__(hub)
        self._waiting: list[str] = []

    def chunk(self, run: RunInfo, chunk: Any) -> Iterable[str]:
        hub = self.hub
        if hub.text_of_root:
            text = text_in(chunk) if run is hub.root else ""
            return (text,) if text else ()
        return self._of_models(text_in(chunk) if run is not hub.root else "")

    def _of_models(self, text: str) -> Iterable[str]:
        if self.hub.text_of_root is None:
            if text:
                self._waiting.append(text)
            return ()
        if self._waiting:
            text = "".join(self._waiting) + text
            self._waiting = []
        return (text,) if text else ()

    def reset(self, reset: Reset) -> Iterable[Any]:
        self._waiting = []
        return (reset,)

    def said(self, answers: Answers) -> Iterable[str]:
        return () if self.hub.text_of_root else self._of_models(_said(answers, "text"))

    def past(self) -> Iterable[str]:
        if not self.hub.text_of_root:
            return super().past()
        whole = self.whole()
        return (whole,) if whole else ()

    def whole(self) -> str:
        if self.hub.text_of_root:
            return text_in(fold_partial(None, list(self.hub.chunks)))
        return _said(self.hub.answers, "text")

    def rest(self) -> Iterable[str]:
        text = "" if self.hub.text_of_root else "".join(self._waiting)
        return (text,) if text else ()


def _said(answers: Answers, kind: str) -> str:
    """What models have said in blocks of a kind, "text" or "reasoning", which name it so."""
    return "".join(
        block.so_far().get(kind) or ""
        for answer in answers.values()
        for block in answer.settle().blocks
        if block.type == kind
    )


class Reasoning(_View):
    """What the models thought aloud."""

    takes: Takes = "blocks"

    def feed(self, event: Any) -> Iterable[str]:
        if type(event) is BlockDelta and event.block["type"] == "reasoning":
            text = event.block.get("reasoning")
            if text:
                return (text,)
        return ()

    def said(self, answers: Answers) -> Iterable[str]:
        text = _said(answers, "reasoning")
        return (text,) if text else ()

    def whole(self) -> str:
        return _said(self.hub.answers, "reasoning")


class ToolCalls(_View):
    """The tool calls that models ask for, each when it is complete."""

    takes: Takes = "blocks"

    def feed(self, event: Any) -> Iterable[Any]:
        if type(event) is BlockEnded and event.block["type"] == "tool_call":
            return (event.block,)
        return ()

    def key(self, item: Any) -> tuple[Any, bool]:
        return None, False

    def said(self, answers: Answers) -> Iterable[Any]:
        blocks = [b for answer in answers.values() for b in answer.settle().blocks if b.ended]
        wholes = [block.whole() for block in blocks if block.type == "tool_call"]
        return [block for block in wholes if block["type"] == "tool_call"]

    def whole(self) -> Any:
        return self.said(self.hub.answers)


class Blocks(_View):
    """The content blocks of the models' answers as they begin, grow and end: the events. The whole
    is the list of the blocks."""

    takes: Takes = "blocks"

    def feed(self, event: Any) -> Iterable[Any]:
        return (event,)

    def key(self, item: Any) -> tuple[Any, bool]:
        return _key(item)

    def join(self, items: list[Any]) -> Any:
        return _join_events(self.hub, items)

    def said(self, answers: Answers) -> Iterable[Any]:
        found: list[Any] = []
        for run, answer in answers.items():
            for block in answer.settle().blocks:
                triples: list[Any] = [(BlockStarted, block.index, block.head()),
                                      (BlockDelta, block.index, block.so_far())]  # fmt: skip
                if block.ended:
                    triples.append((BlockEnded, block.index, block.whole()))
                found += told(run, triples)
        return found

    def whole(self) -> Any:
        return [b.whole() for a in self.hub.answers.values() for b in a.settle().blocks]


class Events(_View):
    """Typed events, or what another view makes of events. There is no past: it hears what happens
    from the moment it is made."""

    takes: Takes = "events"

    def __init__(self, hub: Any, view: View, blocks: bool) -> None:
        super().__init__(hub)
        self.feed, self.wants = view.feed, view.wants
        self.blocks = blocks

    @classmethod
    def chosen(cls, hub: Any, chosen: Filter, blocks: bool) -> Events:
        """Of the runs that a filter lets pass."""
        return cls(hub, Typed(chosen), blocks)

    def key(self, item: Any) -> tuple[Any, bool]:
        return _key(item)

    def join(self, items: list[Any]) -> Any:
        return _join_events(self.hub, items)

    def past(self) -> Iterable[Any]:
        return ()


def _key(item: Any) -> tuple[Any, bool]:
    """Chunks of one run join, and deltas of one block; nothing else does."""
    kind = type(item)
    if kind is BlockDelta:
        return (item.run, item.index), True
    return getattr(item, "run", None), kind is RunChunk


def _join_events(hub: Any, items: list[Event]) -> Event:
    """With the number and the time of the first, so that numbers still rise."""
    first: Any = items[0]
    if type(first) is BlockDelta:
        block = merge_dicts([item.block for item in items])  # type: ignore[union-attr]
        joined: Any = BlockDelta(first.run, first.seq, first.index, block)
    else:
        fold = hub.fold if first.run is hub.root else None
        chunk = fold_partial(fold, [item.chunk for item in items])  # type: ignore[union-attr]
        joined = RunChunk(first.run, first.seq, chunk, first.whole)
    joined.time = first.time
    return joined  # type: ignore[no-any-return]
