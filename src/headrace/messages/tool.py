"""Tool messages: what a tool answered to a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from headrace.errors import InputError
from headrace.merge import copy_tree, merge_dicts, merge_lists
from headrace.messages.base import BaseMessage, Rare
from headrace.messages.chunks import BaseMessageChunk
from headrace.messages.content import Content
from headrace.messages.plain import first_of

__all__ = ["ToolMessage", "ToolMessageChunk", "ToolOutputMixin"]


class ToolOutputMixin:
    """Marks what a tool may return as it is; anything else a tool returns becomes text."""

    __slots__ = ()


def _merge_artifacts(values: list[Any]) -> Any:
    """Artifacts of one message: text, dicts and lists add up, of others the later stays."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return "".join(values)
    if kinds == {dict}:
        return merge_dicts(values)
    if kinds == {list}:
        return merge_lists(values)
    return copy_tree(values[-1])


def _merge_status(values: list[str]) -> str:
    return "error" if "error" in values else "success"


def _checked_status(status: Any) -> Literal["success", "error"]:
    if status not in ("success", "error"):
        raise InputError(f"ToolMessage status is 'success' or 'error'; received {status!r}.")
    return status  # type: ignore[no-any-return]


class ToolMessage(BaseMessage, ToolOutputMixin):
    """The result of a tool, for the model.

    Args:
        content: what the model reads; anything that is no string or list becomes its `str`.
        tool_call_id: the id of the call that this answers. Required.
        artifact: the full result, for the program; never sent to a model.
        status: `"success"` or `"error"`.
    """

    __slots__ = ()
    type: ClassVar[str] = "tool"

    tool_call_id = Rare[str](given=str, merge=first_of, required=True)
    artifact = Rare[Any](merge=_merge_artifacts)
    status = Rare[Literal["success", "error"]](
        "success", given=_checked_status, merge=_merge_status
    )
    _json: ClassVar[Mapping[str, Any]] = {
        **BaseMessage._json,
        "tool_call_id": {"type": "string"},
        "artifact": {"default": None},
        "status": {"enum": ["success", "error"], "default": "success"},
    }

    if TYPE_CHECKING:

        def __init__(
            self,
            content: Content | None = None,
            content_blocks: Sequence[Mapping[str, Any]] | None = None,
            *,
            id: str | None = None,
            name: str | None = None,
            additional_kwargs: Mapping[str, Any] | None = None,
            response_metadata: Mapping[str, Any] | None = None,
            tool_call_id: str,
            artifact: Any = None,
            status: Literal["success", "error"] = "success",
        ) -> None: ...

    else:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._require()

    def _take(
        self,
        content: Any,
        blocks: Sequence[Mapping[str, Any]] | None,
        more: dict[str, Any],
    ) -> None:
        if blocks is None and content is not None and not isinstance(content, str):
            if isinstance(content, (list, tuple)):
                content = [x if isinstance(x, (str, dict)) else str(x) for x in content]
            else:
                content = str(content)
        super()._take(content, blocks, more)


class ToolMessageChunk(ToolMessage, BaseMessageChunk):
    """A piece of a `ToolMessage`; the pieces of one message answer one call."""

    __slots__ = ()
    type: ClassVar[str] = "ToolMessageChunk"
    _same = ("tool_call_id",)
