"""Which step an exception came from, found when it has already happened: the path of the chunks
carries no bookkeeping for it.

The traceback knows the frames; a frame belongs to the runnable in its local `self`, or to the one
that opened the generator whose frame it is. The innermost such runnable is the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

from ._lazy import Lazy

if TYPE_CHECKING:
    import logging
else:
    logging = Lazy("logging")  # needed where an exception refuses its note

__all__ = ["locate", "path_to"]

_MARK = "In step "


def frame_of(stream: Any) -> Any:
    """The frame of a generator of either colour, kept while it may still raise."""
    if type(stream) is AsyncGeneratorType:
        return stream.ag_frame
    return getattr(stream, "gi_frame", None) or getattr(stream, "ag_frame", None)


def _steps_of(error: BaseException, streams: list[Any]) -> Iterator[Any]:
    # A stream that a sequence hands on is registered once more under the sequence: the step counts.
    opened = {id(frame): node for _, node, frame in reversed(streams) if frame is not None}
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if id(frame) in opened:
            yield opened[id(frame)]
        else:
            owner = frame.f_locals.get("self")
            if not hasattr(type(owner), "_in_open"):  # a machine knows whose it is
                owner = getattr(owner, "step_of", None)
            if hasattr(type(owner), "_in_open"):
                yield owner
        traceback = traceback.tb_next


def path_to(root: Any, target: Any) -> str | None:
    """`name/label:name/…` from `root` down to `target`, or None if it is not below."""
    stack: list[tuple[Any, str]] = [(root, root.get_name())]
    seen = set()
    while stack:
        node, path = stack.pop()
        if node is target or node._made_for_a_call(target):
            return path
        if id(node) in seen:
            continue
        seen.add(id(node))
        for label, child in reversed(node._children()):
            name = child.get_name()
            here = (
                path if label is None else f"{path}/{label}:{name}" if label else f"{path}/{name}"
            )
            stack.append((child, here))
    return None


def locate(error: BaseException, root: Any, streams: list[Any], name: str | None = None) -> None:
    """Add a note that names the step; where an inner root has noted its part, complete that.

    Never raises: an exception that takes no note, or a step that cannot say its name, must not
    replace the failure that is being reported.
    """
    try:
        _locate(error, root, streams, name)
    except Exception:
        logging.getLogger("headrace").debug(
            "No note could be added to %r", type(error), exc_info=True
        )


def _locate(error: BaseException, root: Any, streams: list[Any], name: str | None) -> None:
    path = None
    for node in _steps_of(error, streams):
        path = path_to(root, node) or path
    if path is None:
        return
    if name is not None:  # what the run is called, where a config says so
        path = name + path.removeprefix(root.get_name())
    notes: list[str] = getattr(error, "__notes__", [])
    tail = path.rpartition("/")[2].rpartition(":")[2]
    for index, note in enumerate(notes):
        inner = note.removeprefix(_MARK)
        if inner is note:
            continue
        if inner == path or path.endswith((f"/{inner}", f":{inner}")):
            notes[index] = f"{_MARK}{path}"
            return
        if inner.startswith(f"{tail}/"):
            notes[index] = f"{_MARK}{path}{inner.removeprefix(tail)}"
            return
    if "/" in path:
        error.add_note(f"{_MARK}{path}")
