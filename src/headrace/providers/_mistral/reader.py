"""`MistralReader`: Mistral's dialect of the Chat Completions protocol.

Source: https://docs.mistral.ai/api/#tag/chat. Where something other than text is said, `content` is
a list of parts, for as long as that lasts: `thinking`, which holds a list of parts itself, and
`reference`, which names the sources of the text before it. A block of text ends at its references.

Asked to go on with an answer (`prefix`), Mistral tells that beginning again. It is left out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .._chat.reader import ChatReader

__all__ = ["MistralReader"]


class MistralReader(ChatReader):
    """Reads one answer.

    Args:
        provider: whose answer it is.
        prefix: the beginning of the answer, which was given.
    """

    def __init__(self, provider: str, *, prefix: str = "") -> None:
        super().__init__(provider)
        self._again = lambda number: MistralReader(provider, prefix=prefix)
        self._prefix = prefix
        self._held = ""  # may be the prefix, told again

    def _failure(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """An error; and a choice that ended with one."""
        for choice in event.get("choices") or ():
            if choice.get("finish_reason") == "error":
                said = "The model failed (finish_reason 'error')."
                return {"error": {"message": said, "code": "error"}}
        return super()._failure(event)

    def _said(self, text: str) -> None:
        if not self._prefix:
            super()._said(text)
            return
        self._held += text
        if self._prefix.startswith(self._held) and self._prefix != self._held:
            return
        said, self._held = self._held.removeprefix(self._prefix), ""
        self._prefix = ""
        super()._said(said)

    def _before_end(self) -> None:
        self._prefix = ""
        super()._said(self._held)
        super()._before_end()

    def read_part(self, part: Any) -> None:
        """A part of a `content` that is a list."""
        read = _PARTS.get(part.get("type")) if isinstance(part, Mapping) else None
        if read is None:
            super().read_part(part)
        else:
            read(self, part)

    def cite(self, **fields: Any) -> None:
        """A source of the text so far."""
        self.text("", annotations=[{"type": "citation", **fields}])

    def end_block(self) -> None:
        """What comes next begins a block."""
        self._kind = None


def _thinking(reader: MistralReader, part: Mapping[str, Any]) -> None:
    extras = {"signature": part["signature"]} if part.get("signature") else {}
    thoughts = part.get("thinking") or ()
    if isinstance(thoughts, str):
        thoughts = ({"type": "text", "text": thoughts},)
    for thought in thoughts:
        if thought.get("type") == "text":
            reader.reasoning(thought.get("text"))
        else:  # a source that it read
            reader.reasoning("", sources=[dict(thought)])
    if extras:
        reader.reasoning("", **extras)


def _reference(reader: MistralReader, part: Mapping[str, Any]) -> None:
    reader.cite(extras={"reference_ids": list(part.get("reference_ids") or ())})
    reader.end_block()


def _tool_reference(reader: MistralReader, part: Mapping[str, Any]) -> None:
    told = {name: value for name, value in part.items() if value is not None and name != "type"}
    fields = {name: told.pop(name) for name in ("url", "title") if name in told}
    reader.cite(**fields, extras=told)
    reader.end_block()


_PARTS: Final[Mapping[Any, Callable[[MistralReader, Mapping[str, Any]], None]]] = {
    "thinking": _thinking,
    "reference": _reference,
    "tool_reference": _tool_reference,
}
