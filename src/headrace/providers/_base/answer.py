"""`Answer`: what all readers of providers' answers share. A machine without I/O.

    reader.feed(event)   an event as the wire has it (a dict of JSON): mostly one chunk, or none
    reader.finish()      no more will come: the last chunk, or `IncompleteStream`
    reader.partial()     the merge of what was given so far

A vendor's reader derives from it, and says in `_read(event)` what the event means, with `text`,
`reasoning`, `block`, `call`, `fact` and `usage`; whether the answer is over, in `_missing()`.

Content is text while only text comes. From the first block of another kind on, it is a list of
standard blocks with numbers (`index`), so that pieces of one block add up. What is known only in
the end (usage, finish reason, model) comes once, in the last chunk (`chunk_position` "last").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from headrace.errors import IncompleteStream, ProviderError, StreamError
from headrace.merge import merge, merge_dicts
from headrace.messages import AIMessageChunk, message_chunk_to_message
from headrace.messages.usage import UsageMetadata

__all__ = ["MISSHAPEN", "Answer", "as_json"]

Event = Mapping[str, Any]

# What reading raises where something is not as the vendor documents: it lacks a field, or has a
# value of another type.
MISSHAPEN: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Answer:
    """Reads one answer; see the head of the file.

    Of several candidates in a stream it reads the first. The others have readers like it
    (`_reader_of`), and what these read stands in the last chunk's metadata.

    Args:
        provider: whose answer it is, for `response_metadata` and errors.
        blocks: begin with blocks: something other than text is to be expected, such as citations,
            which have to stand with their text.
    """

    _again: Callable[[int], Any]
    """A reader like this one, for a candidate by its number, where there may be several."""

    def __init__(self, provider: str, *, blocks: bool = False) -> None:
        self.provider = provider
        self.settled = False  # nothing more is to be read or said
        self.id: str | None = None
        self._ident: str | None = None  # of all chunks: what was known with the first one
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.facts: dict[str, Any] = {}  # for response_metadata
        self.extra: dict[str, Any] = {}  # for additional_kwargs
        self._usage: UsageMetadata | None = None
        self._given: list[AIMessageChunk] = []
        self._content: list[Any] = []  # of the chunk that is being read
        self._calls: list[dict[str, Any]] = []  # likewise
        self._in_blocks = blocks
        self._last = -1  # the number of the newest block
        self._kind: str | None = None  # its kind, where it goes on without a key
        self._places: dict[Any, int] = {}  # from the vendor's key of a block to its number
        self._known: dict[Any, list[Any]] = {}  # by a call's place: its id, its name
        self._others: dict[int, Answer] = {}

    # ---- what drivers call ----------------------------------------------------------------------

    def feed(self, event: Event) -> Iterable[AIMessageChunk]:
        """What an event adds.

        Raises:
            StreamError: it is not as the vendor documents; likewise `whole`, `candidates` and
                `finish`.
        """
        try:
            self._read(event)
            return self._take()
        except ProviderError:
            raise
        except MISSHAPEN as error:
            raise self._unreadable(event) from error

    def whole(self, answer: Event, sent: Event | None = None) -> Iterable[AIMessageChunk]:
        """What an answer says that came as a whole. It needs no terminal signal.

        Args:
            sent: what the provider sent, for errors, where `answer` is made of a part of it.
        """
        sent = answer if sent is None else sent
        with self._understood(sent):
            self._read_whole(answer)
            self._before_end()
            said, last = self._take(), self._end()
        if not said and self.finish_reason is None:  # an answer that says nothing is none
            raise self._unreadable(sent)
        yield from (*said, last)

    def candidates(self, answer: Event) -> Iterable[list[AIMessageChunk]]:
        """The chunks of each candidate in a whole answer: one, unless the vendor says more."""
        with self._understood(answer):
            return list(self._candidates(answer))

    def finish(self) -> Iterable[AIMessageChunk]:
        """The last chunk.

        Raises:
            IncompleteStream: the terminal signal is missing.
        """
        missing = self._missing()
        if missing:
            raise IncompleteStream(
                f"The stream of {self.provider} ended without {missing}: what had come is in the "
                "error's `partial`.",
                self.partial(),
                provider=self.provider,
                status=200,
            )
        with self._understood(None):
            self._before_end()
            chunks = [*self._take(), self._end()]
        yield from chunks

    def failure(self, event: Event) -> Event | None:
        """What an event, or a whole answer, tells of an error, under "error"; None where it tells
        of none."""
        try:
            return self._failure(event)
        except MISSHAPEN as error:
            raise self._unreadable(event) from error

    def partial(self) -> AIMessageChunk | None:
        """The merge of what was given so far; None where nothing was."""
        if not self._given:
            return None
        partial: AIMessageChunk = merge(self._given)
        return partial.model_copy(update={"response_metadata": self._told()})

    # ---- what vendors write ---------------------------------------------------------------------

    def _failure(self, event: Event) -> Event | None:
        """`failure`."""
        return event if event.get("error") else None

    def _candidates(self, answer: Event) -> Iterable[list[AIMessageChunk]]:
        """`candidates`."""
        return [list(self.whole(answer))]

    def _read(self, event: Event) -> None:
        raise NotImplementedError

    def _read_whole(self, answer: Event) -> None:
        self._read(answer)

    def _before_end(self) -> None:
        """Say what is certain only now."""

    def _missing(self) -> str | None:
        """What is still to come, in words; None where the answer is complete."""
        return None if self.finish_reason else "a finish reason"

    # ---- what vendors say -----------------------------------------------------------------------

    def text(self, text: str | None, key: Any = None, **more: Any) -> None:
        """A piece of the text; `more` are fields of its block, such as `annotations`."""
        if text or more:
            if not self._in_blocks and not more:
                before = self._content.pop() if self._content else ""  # of this event: a string
                self._content.append(before + text)  # type: ignore[operator]
            else:
                self._piece("text", key, {"text": text or "", **more})

    def reasoning(self, text: str | None, key: Any = None, **extras: Any) -> None:
        """A piece of what the model thought; `extras` are the vendor's facts about it, such as its
        `signature`. The vendor may tell a fact without the thought."""
        if text or extras:
            fields: dict[str, Any] = {"reasoning": text or ""}
            self._piece("reasoning", key, {**fields, "extras": extras} if extras else fields)

    def refusal(self, text: str | None, key: Any = None) -> None:
        """A piece of a refusal."""
        if text:
            self._piece("refusal", key, {"refusal": text})

    def block(self, block: Mapping[str, Any], key: Any = None) -> None:
        """A standard block, or with the `key` of an earlier one a piece of that. `{"type":
        "non_standard", "value": …}` is for what has no standard form."""
        fields = dict(block)
        self._piece(fields.pop("type"), key, fields, alone=key is None)

    def call(
        self,
        place: Any = None,
        *,
        id: str | None = None,
        name: str | None = None,
        args: Any = None,
    ) -> None:
        """A piece of a tool call.

        Args:
            place: the vendor's number of the call, the same for all of its pieces. None: a call of
                its own, whole, unless `id` is that of an earlier one.
            args: JSON text, or the arguments as an object.
        """
        if place is None:
            place = ("id", id) if id else ("alone", len(self._known))
        known = self._known.get(place)
        if known is not None and id and known[0] and known[0] != id:  # the number is used again
            self._known[("before", len(self._known))] = known
            known = None
        if known is None:
            known = self._known[place] = [None, None, len(self._known)]
            args = {} if args == "null" else args  # what some write for none
        chunk = {
            "type": "tool_call_chunk",
            "id": _first(known, 0, id),
            "name": _first(known, 1, name),
            "args": args if args is None or isinstance(args, str) else as_json(args),
            "index": known[2],
        }
        if any(chunk[field] is not None for field in ("id", "name", "args")):
            self._calls.append(chunk)

    def made_up_id(self) -> str:
        """An id for a call of a vendor whose calls have none."""
        return f"call_{uuid4().hex[:24]}"

    def usage(
        self, input: Any, output: Any, total: Any = None, *, of_input: Any = (), of_output: Any = ()
    ) -> None:
        """The usage so far, in tokens; the last one told counts.

        Args:
            of_input, of_output: details as (name, number) pairs; those that are None are left out.
        """
        input, output = int(input or 0), int(output or 0)
        usage: dict[str, Any] = {
            "input_tokens": input,
            "output_tokens": output,
            "total_tokens": input + output if total is None else int(total),
        }
        for side, pairs in (("input", of_input), ("output", of_output)):
            details = {name: int(number) for name, number in pairs if number is not None}
            if details:
                usage[f"{side}_token_details"] = details
        self._usage = usage  # type: ignore[assignment]

    # ---- inside ---------------------------------------------------------------------------------

    def _reader_of(self, number: int) -> Any:
        """The reader of a candidate; this one is that of the first, number 0."""
        if number == 0:
            return self
        if number not in self._others:
            other = self._others[number] = self._again(number)
            other.id = self.id
        return self._others[number]

    def _as_other(self, number: int) -> dict[str, Any]:
        """What was read of a candidate that is not the first."""
        self._before_end()
        chunks = [*self._given, *self._take(), self._end()]
        message: Any = message_chunk_to_message(merge(chunks))
        return {
            "index": number,
            "content": message.content,
            "tool_calls": message.tool_calls,
            "finish_reason": self.finish_reason,
        }

    @contextmanager
    def _understood(self, event: Event | None) -> Iterator[None]:
        try:
            yield
        except ProviderError:
            raise
        except MISSHAPEN as error:
            raise self._unreadable(event) from error

    def _unreadable(self, event: Event | None) -> StreamError:
        """The error for what is not as the vendor documents."""
        told = "" if event is None else f": {as_json(event):.300}"
        partial = self.partial()
        had = "" if partial is None else " What had come is in the error's `partial`;"
        return StreamError(
            f"{self.provider} sent what is not as its API documents{told}.{had} "
            f"{'a' if had else 'A'} newer version of Headrace may know this form.",
            partial,
            provider=self.provider,
            status=200,
        )

    def _piece(self, kind: str, key: Any, fields: dict[str, Any], *, alone: bool = False) -> None:
        self._in_blocks = True
        block = {"type": kind, **fields, "index": self._number(kind, key, alone)}
        for at, before in enumerate(self._content):
            if isinstance(before, dict) and before["index"] == block["index"]:
                self._content[at] = merge_dicts([before, block])  # one event, two pieces of a block
                return
        self._content.append(block)

    def _number(self, kind: str, key: Any, alone: bool) -> int:
        """The number of the block that a piece belongs to."""
        if key is not None:
            if key not in self._places:
                self._last += 1
                self._places[key] = self._last
            self._kind = None
            return self._places[key]
        if alone or kind != self._kind:
            self._last += 1
        self._kind = None if alone else kind
        return self._last

    def _take(self) -> tuple[AIMessageChunk, ...]:
        content, calls = self._content, self._calls
        if not content and not calls:
            return ()
        if not self._in_blocks:
            said: Any = content[0] if content else ""
            content.clear()
        else:
            said, self._content = content, []
        if not self._given:  # an id that comes later, or another one, is not that of this message
            self._ident = self.id
        if calls:
            chunk = AIMessageChunk(said, id=self._ident, tool_call_chunks=calls)
            self._calls = []
        else:
            chunk = AIMessageChunk(said, id=self._ident)
        self._given.append(chunk)
        return (chunk,)

    def _end(self) -> AIMessageChunk:
        facts = self._told()
        others = [reader._as_other(number) for number, reader in sorted(self._others.items())]
        if others:
            facts["other_choices"] = others
        return AIMessageChunk(
            "",
            id=self._ident if self._given else self.id,
            additional_kwargs=self.extra,
            usage_metadata=self._usage,
            response_metadata=facts,
            chunk_position="last",
        )

    def _told(self) -> dict[str, Any]:
        """What is known of the answer."""
        named = {"model_name": self.model, "finish_reason": self.finish_reason}
        found = {name: value for name, value in named.items() if value}
        return {"model_provider": self.provider, **found, **self.facts}


def _first(known: list[Any], place: int, value: Any) -> Any:
    """A value where it is new; pieces of a call add up, so that one told twice would be doubled."""
    if value and known[place] is None:
        known[place] = value
        return value
    return None


def as_json(value: Any) -> str:
    """JSON text of a value, as short as `json` writes it by itself."""
    return json.dumps(value, ensure_ascii=False)
