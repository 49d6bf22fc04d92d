"""An answer of the model that is coming in tokens: what is shown of each, and the whole.

A call that the model gives no id, or that of another call, is shown with an id from its first token
on, and has the same one in the whole.
"""

from __future__ import annotations

from typing import Any

from ..flow import Fold, fold_chunks
from ..messages import AIMessage, AIMessageChunk
from ..messages.tool_calls import ToolCallGatherer
from ..run import fresh_id
from ._loop import with_ids

__all__ = ["Tokens"]


class Tokens:
    """See the head of the file."""

    __slots__ = ("_calls", "_ids", "_made", "_tokens")

    def __init__(self) -> None:
        self._tokens: list[Any] = []  # as the model gave them
        self._calls = ToolCallGatherer()
        self._ids: dict[int, str] = {}  # of the calls that have begun, by their places
        self._made: dict[int, str] = {}  # those of them that are not the model's

    def add(self, token: Any) -> Any:
        """Take the next one in; as it is to be shown."""
        if isinstance(token, AIMessageChunk):
            self._tokens.append(token)
            chunks = token.tool_call_chunks
            return self._shown(token, chunks) if chunks else token
        if isinstance(token, AIMessage):
            token = with_ids(token)
        self._tokens.append(token)
        return token

    def _shown(self, token: AIMessageChunk, chunks: Any) -> AIMessageChunk:
        shown = []
        for chunk in chunks:
            id, place = chunk.get("id"), self._calls.add(chunk)
            begins = place not in self._ids and (id or chunk.get("name") or chunk.get("args"))
            if begins:
                if not id or id in self._ids.values():
                    self._made[place] = f"call_{fresh_id()}"
                self._ids[place] = self._made.get(place) or id
            told = place in self._made and (begins or id)
            shown.append({**chunk, "id": self._made[place]} if told else chunk)
        return token.model_copy(update={"tool_call_chunks": shown}) if self._made else token

    def whole(self, fold: Fold | None) -> Any:
        """The answer. `fold`: how its tokens add up."""
        whole = fold_chunks(fold, self._tokens)
        if not self._made or not isinstance(whole, AIMessageChunk):
            return whole
        chunks = [
            {**chunk, "id": self._made.get(place, chunk["id"])}
            for place, chunk in enumerate(whole.tool_call_chunks)
        ]
        return whole.model_copy(update={"tool_call_chunks": chunks})
