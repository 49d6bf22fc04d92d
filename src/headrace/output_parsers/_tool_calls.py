"""Tool calls as they stream in, their arguments read once, by the incremental JSON machine.

    calls = CallsInPieces()
    calls.feed(chunk)        # the places of the calls that have changed
    calls[0].name, calls[0].args, calls[0].complete
    calls.settle()           # no more will come; raises OutputParserException

What a call amounts to in the end is what `message.tool_calls` says of the whole message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import JsonSyntaxError, OutputParserException
from ..jsonstream import JsonStream
from ..messages import AIMessageChunk
from ..messages.tool_calls import ToolCallGatherer
from ._short_answers import around

__all__ = ["CallInPieces", "CallsInPieces", "invalid_arguments"]


class CallInPieces:
    """One call. `args`: the arguments so far, None where they are no JSON object; a snapshot, not
    changed by what comes later. `complete`: all of them are there. `kept`: a place for whoever
    reads it."""

    __slots__ = ("_stream", "_texts", "args", "complete", "id", "kept", "name")

    def __init__(self, strict: bool) -> None:
        self.name = ""
        self.id: str | None = None
        self.args: dict[str, Any] | None = {}
        self.complete = False
        self.kept: Any = None
        self._stream = JsonStream(strict=strict, prose=False, alone=True)
        self._texts: list[str] = []

    @property
    def in_text(self) -> bool:
        """Whether `args` end in a string that may still grow."""
        return self._stream.in_text and not self.complete

    @property
    def text(self) -> str:
        """The arguments as they were written so far."""
        return "".join(self._texts)

    def given(self, name: str | None, id: str | None, args: Any) -> CallInPieces:
        """The same, of a call that came whole."""
        self.name, self.id, self.args, self.complete = name or "", id, args, True
        return self

    def told(self, name: str | None, id: str | None, text: str | None) -> bool:
        """Take in a piece; whether anything changed."""
        name = name or ""
        changed = name != self.name or id != self.id
        self.name, self.id = name, id
        if not text:
            return changed
        self._texts.append(text)
        was_complete = self.complete
        if self._stream.feed(text):
            value = self._stream.value
            args = value if isinstance(value, dict) else None
            changed |= args is not None or self.args is not None
            if args == {} == self.args:  # nothing has come, or an empty object: the same to see
                changed = changed and args is None
            else:
                self.args = args
        self.complete = self._stream.done
        return changed or self.complete is not was_complete

    def settle(self) -> bool:
        """No more will come: `args` is what it amounts to. Whether the call was still open."""
        was_open = not self.complete
        self.complete = True
        if self._texts:
            try:
                found = self._stream.finish()
            except JsonSyntaxError:
                found = None
            self.args = found if isinstance(found, dict) else None
        return was_open


class CallsInPieces(Sequence[CallInPieces]):
    """The calls of one answer, in order; see the head of the file. `strict`: exactly JSON."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._gatherer = ToolCallGatherer()
        self._calls: list[CallInPieces] = []
        self._places: list[int] = []  # of the gatherer's calls, among all
        self._invalid: list[Unreadable] = []

    def __getitem__(self, index: Any) -> Any:
        return self._calls[index]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[CallInPieces]:
        return iter(self._calls)

    def feed(self, message: AIMessageChunk) -> list[int]:
        """Take in a chunk of the answer; the places of the calls that it changed."""
        changed = []
        for chunk in message.tool_call_chunks:
            gathered = self._gatherer.add(chunk)
            fresh = gathered == len(self._places)
            if fresh:
                self._places.append(len(self._calls))
                self._calls.append(CallInPieces(self._strict))
            place = self._places[gathered]
            name, id = self._gatherer.name(gathered), self._gatherer.id(gathered)
            if self._calls[place].told(name, id, chunk["args"]) or fresh:
                changed.append(place)
        return changed

    def add(self, calls: Iterable[Mapping[str, Any]], invalid: Iterable[Any] = ()) -> list[int]:
        """Take in whole calls, and those that could not be read; the places of the former."""
        before = len(self._calls)
        for call in calls:
            whole = CallInPieces(self._strict)
            self._calls.append(whole.given(call["name"], call["id"], call["args"]))
        self._invalid += [
            (call.get("name") or "", call.get("args"), call.get("error")) for call in invalid
        ]
        return list(range(before, len(self._calls)))

    def settle(self) -> list[int]:
        """No more will come; the places of the calls that were still open.

        Raises:
            OutputParserException: arguments that are no JSON object.
        """
        changed = [n for n, call in enumerate(self._calls) if call.settle()]
        wrong = [(call.name, call.text, None) for call in self._calls if call.args is None]
        if wrong or self._invalid:
            raise invalid_arguments([*wrong, *self._invalid], strict=self._strict)
        return changed


Unreadable: TypeAlias = tuple[str, Any, str | None]
"""A call that cannot be read: its name, the text of its arguments, and why, if that is known."""


def invalid_arguments(
    wrong: Sequence[Unreadable], *, strict: bool = False
) -> OutputParserException:
    """The error of calls that cannot be read. `strict`: by the rules of strict JSON."""
    told, first = [], None
    for name, text, why in wrong:
        error = _wrong_in(text, strict)
        first = first or error
        why = why or (f" {error}" if error else "")
        shown = around(text, error.position if error else 0) if isinstance(text, str) else text
        told.append(f"{name or 'without a name'}: {shown}. {why.strip()}".rstrip(" "))
    return OutputParserException(
        "The arguments of a tool call are not valid JSON, or not an object. By the tool's name: "
        + "; ".join(told),
        llm_output=str(wrong[0][1]),
        position=first.position if first else None,
        expected=first.expected if first else None,
    )


def _wrong_in(text: Any, strict: bool) -> JsonSyntaxError | None:
    """What is wrong with a text as JSON; None where it is JSON, or no text."""
    stream = JsonStream(strict=strict, prose=False, alone=True)
    stream.feed(text if isinstance(text, str) else "null")
    try:
        stream.finish()
    except JsonSyntaxError as error:
        return error
    return None
