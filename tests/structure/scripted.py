"""Models that say what a test wrote down, cut where the test wants it, and what hypothesis draws.

`Said` streams text (or prepared chunks) piece by piece and writes down in the ledger that its body
was entered and left; it counts the pieces that were pulled. `cuts` draws where a text is cut.
"""

from __future__ import annotations  # noqa: I001

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from pydantic import PrivateAttr

from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from laws.ledger import LEDGER
import itertools


class Said(BaseChatModel):
    """A chat model that answers with `pieces`: texts, or message chunks."""

    pieces: list[Any]
    _pulled: int = PrivateAttr(default=0)
    _calls: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "said"

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self._calls.append(kwargs)
        with LEDGER.body("model"):
            for piece in self.pieces:
                self._pulled += 1
                message = (
                    AIMessageChunk(content=piece)
                    if isinstance(piece, (str, list))
                    else piece.model_copy()
                )
                yield ChatGenerationChunk(message=message)

    @property
    def pulled(self) -> int:
        return self._pulled

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self._calls


class Whole(BaseChatModel):
    """A chat model that does not stream."""

    message: Any

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = AIMessage(self.message) if isinstance(self.message, str) else self.message
        return ChatResult(generations=[ChatGeneration(message=message)])


class Replies(BaseChatModel):
    """Each call has the next answer: a list of pieces each."""

    answers: list[list[Any]]
    _asked: list[Any] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "replies"

    @property
    def asked(self) -> list[Any]:
        return self._asked

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self._asked.append(messages)
        for piece in self.answers[min(len(self._asked), len(self.answers)) - 1]:
            message = AIMessageChunk(content=piece) if isinstance(piece, str) else piece
            yield ChatGenerationChunk(message=message)


def call_chunk(
    args: str | None, *, name: str | None = None, id: str | None = None, index: int | None = 0
) -> AIMessageChunk:
    piece = {"name": name, "args": args, "id": id, "index": index, "type": "tool_call_chunk"}
    return AIMessageChunk(content="", tool_call_chunks=[piece])


def call_chunks(name: str, args: Sequence[str], id: str, index: int = 0) -> list[AIMessageChunk]:
    """One call as providers stream it: its name and id first, then its arguments in pieces."""
    return [
        call_chunk("", name=name, id=id, index=index),
        *[call_chunk(piece, index=index) for piece in args],
    ]


def cut(text: str, *places: int) -> list[str]:
    """`text` in pieces; places beyond its end give empty pieces, which models send too."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """Some pieces of `text`, often one character each."""
    if draw(st.integers(0, 3)) == 0:
        return list(text)
    return cut(text, *draw(st.lists(st.integers(0, len(text)), max_size=12)))


# Surrogates are no text; everything else a model may say.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def grows(before: Any, after: Any) -> bool:
    """Law 9: nothing that `before` shows is taken back in `after`."""
    if isinstance(before, str):
        return isinstance(after, str) and after.startswith(before)
    if isinstance(before, list):
        return (
            isinstance(after, list)
            and len(before) <= len(after)
            and all(grows(a, b) for a, b in zip(before, after, strict=False))
        )
    if isinstance(before, dict):
        return (
            isinstance(after, dict)
            and list(before) == list(after)[: len(before)]
            and all(grows(before[key], after[key]) for key in before)
        )
    return type(before) is type(after) and before == after
