"""The second half of an answer: joined to the first without what it repeats.

What a model repeats it says itself (`repeats_prefix`); `trimmer` makes a machine over text of that:

| `repeats_prefix` | what is left out |
|---|---|
| False | nothing |
| True | all that the model was given, where it begins with that |
| None: not known | what looks like a repetition (`Overlap`): of a model that says a thing twice on
  purpose, one may be lost |

Of each, the white space at the end of the text that the model was not given is said once. `Joining`
is a machine over the chunks of a chat model. Memory is bounded by `WINDOW` characters and chunks,
with True by what the model was given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..messages import AIMessageChunk
from ..runnables.base import Runnable
from ..shapes import Op

__all__ = ["LEAST", "WINDOW", "Echo", "Joining", "Overlap", "trimmer"]

WINDOW = 2_000  # characters of the first half in whose end a repetition is looked for
LEAST = 12  # characters that must agree: fewer do so by chance ("Hel", "lo")
_ECHO = 4  # of a first half that is repeated as a whole


class Overlap:
    """Leaves out what a continuation repeats of the end of the text before it.

    The longest beginning of the continuation that is an end of the text counts, if it has at least
    `LEAST` characters or is the whole text, and if the text does not say it twice itself: the rule
    of a table goes on, and is not repeated. What belongs to `unsaid` counts always, the end of the
    text that the model was not given (white space, which some servers refuse there). Text is held
    back as long as a longer repetition is possible.
    """

    __slots__ = ("_held", "_tail", "_unsaid", "decided")

    def __init__(self, text: str, unsaid: str = "") -> None:
        self._tail = text[-WINDOW:]
        self._unsaid = len(unsaid)
        self._held = ""
        self.decided = not text

    def feed(self, text: str) -> str:
        """What may go out now."""
        if self.decided:
            return text
        self._held += text
        if len(self._held) < len(self._tail) and self._held in self._tail:
            return ""
        return self.finish()

    def finish(self) -> str:
        """The rest."""
        self.decided = True
        held, self._held = self._held, ""
        return held[self._repeated(held) :]

    def _repeated(self, held: str) -> int:
        tail = self._tail
        for size in range(min(len(held), len(tail)), 0, -1):
            if tail.endswith(held[:size]) and self._counts(held[:size]):
                return size
        return 0

    def _counts(self, same: str) -> bool:
        if len(same) <= self._unsaid:
            return True
        if self._tail.find(same) < len(self._tail) - len(same) or _periodic(same):
            return False
        return len(same) >= LEAST or (len(same) >= _ECHO and len(same) == len(self._tail))


def _periodic(text: str) -> bool:
    """Whether it says one thing twice or more, as the rule of a table does."""
    return any(text[size:] == text[:-size] for size in range(1, len(text) // 2 + 1))


class Echo:
    """Leaves out `said`, all of it, where the continuation begins with it; then the beginning of
    what follows that belongs to `unsaid`."""

    __slots__ = ("_held", "_said", "_then", "decided")

    def __init__(self, said: str, unsaid: str = "") -> None:
        self._said = said
        self._held = ""
        self._then = Overlap(unsaid, unsaid)
        self.decided = not said and self._then.decided

    def feed(self, text: str) -> str:
        """What may go out now."""
        if not self._said:
            return self._rest(self._then.feed(text))
        self._held += text
        if len(self._held) < len(self._said) and self._said.startswith(self._held):
            return ""
        held, said = self._held, self._said
        self._held = self._said = ""
        return self._rest(self._then.feed(held.removeprefix(said)))

    def _rest(self, out: str) -> str:
        self.decided = self._then.decided
        return out

    def finish(self) -> str:
        """The rest."""
        held, self._held, self._said = self._held, "", ""
        out = self._then.feed(held) + self._then.finish()
        self.decided = True
        return out


class _Trimmer(Protocol):
    decided: bool

    def feed(self, text: str, /) -> str: ...
    def finish(self) -> str: ...


def trimmer(text: str, unsaid: str, repeats: bool | None) -> _Trimmer:
    """What leaves out what a model repeats that was given `text` without `unsaid` at its end."""
    if repeats is None:
        return Overlap(text, unsaid)
    return Echo(text[: len(text) - len(unsaid)] if repeats else "", unsaid)


class Joining(Op, Runnable[Any, Any]):
    """The chunks of a model that goes on after `partial`: with its id, without what is repeated of
    its text, and without what its metadata has said already. `unsaid` and `repeats`: as of a
    `trimmer`."""

    def __init__(
        self, partial: AIMessageChunk, unsaid: str = "", repeats: bool | None = None
    ) -> None:
        self.partial = partial
        self.unsaid = unsaid
        self.repeats = repeats

    def _start(self, fold: Any) -> Any:
        return _Joined(self.partial, trimmer(str(self.partial.content), self.unsaid, self.repeats))


class _Joined:
    __slots__ = ("_held", "_overlap", "_partial")

    def __init__(self, partial: AIMessageChunk, overlap: _Trimmer) -> None:
        self._partial = partial
        self._overlap = overlap
        self._held: list[Any] = []  # chunks whose text is held back

    def feed(self, chunk: Any) -> Iterable[Any]:
        chunk = self._own(chunk)
        if self._over():
            return (chunk,)
        content: Any = chunk.content
        text = content if isinstance(content, str) else None
        out = self._overlap.finish() if text is None else self._overlap.feed(text)
        if len(self._held) > WINDOW and not self._over() and type(self._overlap) is Overlap:
            out = self._overlap.finish()
        if text is None:  # content of another kind: it repeats no text
            return (*self._freed(out), chunk)
        self._held.append(chunk)
        return self._freed(out) if self._over() else ()

    def finish(self) -> Iterable[Any]:
        return () if self._over() else self._freed(self._overlap.finish())

    def _over(self) -> bool:
        return self._overlap.decided

    def _freed(self, text: str) -> list[Any]:
        """The chunks that were held, the last of what they said being `text`."""
        held, self._held = self._held, []
        for chunk in reversed(held):
            size = min(len(text), len(chunk.content))
            own, text = text[len(text) - size :], text[: len(text) - size]
            if own != chunk.content:
                chunk.content = own
        return held

    def _own(self, chunk: Any) -> Any:
        said = self._partial.response_metadata
        chunk = chunk.model_copy(update={"id": self._partial.id})
        if said:
            new = {k: v for k, v in chunk.response_metadata.items() if k not in said}
            chunk.response_metadata = new
        return chunk
