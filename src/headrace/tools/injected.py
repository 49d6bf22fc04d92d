"""Arguments of a tool that no model gives: whoever calls the tool does, beside the model's.

    @tool
    def order(dish: str, user: Annotated[str, InjectedToolArg]) -> str: ...

    @tool
    def note(text: str, call: Annotated[str, InjectedToolCallId]) -> ToolMessage: ...

They are no part of what a model is told (`tool_call_schema`) nor of what observers are, and are
checked like the others. LangChain's marks and LangGraph's (`InjectedState`, `InjectedStore`,
`ToolRuntime`) are known by their names: such an argument is hidden too, and given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

__all__ = ["InjectedToolArg", "InjectedToolCallId", "is_injected", "is_mark"]


class InjectedToolArg:
    """Marks, in an `Annotated`, an argument that the caller of the tool gives, not the model. The
    class or an instance of it; subclass it to find your own arguments again."""


class InjectedToolCallId(InjectedToolArg):
    """Marks the argument that gets the id of the tool call."""


class DirectlyInjectedToolArg:
    """Base of types whose arguments are injected without a mark."""


def is_mark(note: Any, kind: type = InjectedToolArg) -> bool:
    """Whether a note in an `Annotated` is that mark, as a class or as an instance."""
    return _descends(note if isinstance(note, type) else type(note), kind.__name__)


def _descends(cls: type, name: str) -> bool:
    """Whether a class of that name, ours or LangChain's, is above it."""
    return any(each.__name__.lstrip("_") == name for each in cls.__mro__)


def is_injected(annotation: Any, notes: Iterable[Any] = (), kind: type = InjectedToolArg) -> bool:
    """Whether an annotation, or the notes that were taken out of it, say that an argument is
    injected; of the call's id, with `kind=InjectedToolCallId`."""
    if get_origin(annotation) is Annotated:
        annotation, *own = get_args(annotation)
        notes = (*own, *notes)
    if any(is_mark(note, kind) for note in notes):
        return True
    origin = get_origin(annotation) or annotation
    direct = isinstance(origin, type) and _descends(origin, DirectlyInjectedToolArg.__name__)
    return direct and kind is InjectedToolArg
