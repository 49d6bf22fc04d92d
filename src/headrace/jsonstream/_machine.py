"""The incremental JSON machine: text goes in piece by piece, the value so far can be read any time.

    stream = JsonStream()
    stream.feed('{"countries": [{"na')    # True: the value changed
    stream.value                          # {'countries': [{}]}
    stream.finish()                       # the whole value, or JsonSyntaxError

Sans-IO, and linear in the text whatever its shape. How text is read is in `_reader`, how snapshots
are made in `_snapshot`. Errors do not interrupt a stream: a syntax error freezes the value and
waits in `error`, for `finish` to raise it.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from headrace.errors import InputError, JsonSyntaxError
from headrace.jsonstream._lexical import NOTHING, expected_after, scalar
from headrace.jsonstream._path import Path, Selector
from headrace.jsonstream._reader import LONG_NUMBER, READ_SCALAR, READ_TEXT, Reader
from headrace.jsonstream._snapshot import DEEP, snapshot

__all__ = ["MAX_DEPTH", "JsonStream", "Mode"]

Mode = Literal["partial", "delimited"]

MAX_DEPTH: Final = 1000  # open containers


class JsonStream(Reader):
    """Reads JSON that arrives in pieces.

    Args:
        mode: `"partial"`: strings, numbers and literals show as they arrive (`6`, then `67`).
            `"delimited"`: strings grow, numbers and literals show once their end is seen, so that
            nothing shown is ever taken back. In both, a key shows once its value does.
        strict: exactly RFC 8259: no prose, no fence, no trailing comma, no raw control character
            in a string, no `NaN`.
        alone: text after the value is an error, which `finish` raises; by default if strict.
        prose: prose and Markdown fences may stand before the value; by default unless strict.
            In partial mode, blanks and backticks at the end of a growing string are then shown
            with what follows them, as they may belong to the text around the JSON.
        max_depth: containers that may be open at a time; more is a `JsonDepthError`.
        watch: a selector such as `countries[*].name`, or True for every place: `completed()` then
            gives each value at that place once, when it is closed. The path of a value is as long
            as it is deep: True is not for documents of hundreds of levels.

    Text after the value is ignored unless it must stand alone. A snapshot is not changed by what
    comes later, and shares what is closed with the ones after it: copy it before changing what is
    inside. Where a key comes again, its value is replaced, as `json` does: the one thing that is
    ever taken back.

    Attributes:
        error: the syntax error that froze the value, or None.
        begins: where in the text the value begins, in characters; 0 until that is known.
    """

    __slots__ = ("_last",)

    def __init__(
        self,
        *,
        mode: Mode = "partial",
        strict: bool = False,
        alone: bool | None = None,
        prose: bool | None = None,
        max_depth: int = MAX_DEPTH,
        watch: str | bool | Selector = False,
    ) -> None:
        if mode not in get_args(Mode):
            raise InputError(f"JsonStream has no mode {mode!r}: use one of {get_args(Mode)}.")
        if not isinstance(watch, (str, bool, Selector)):
            raise InputError(f"JsonStream(watch={watch!r}): give a selector such as 'a[*].b'.")
        if max_depth < 0:
            raise InputError(f"JsonStream(max_depth={max_depth!r}): give 0 or more containers.")
        super().__init__(
            grow_numbers=mode == "partial",
            strict=strict,
            alone=strict if alone is None else alone,
            prose=not strict if prose is None else prose,
            max_depth=max_depth,
            watch=Selector(watch) if isinstance(watch, str) else watch,
        )
        self._last: Any = NOTHING

    @property
    def value(self) -> Any:
        """The value so far: a snapshot, or `NOTHING` while no value has begun."""
        if not self._stale:
            return self._last
        self._stale = False
        if self._root is not NOTHING:
            self._last = self._root
            return self._root
        stack, keys, spares = self._stack, self._keys, self._spares
        if spares.long or len(stack) > DEEP:
            text = self._text if self._growing else None
            value = spares.reuse(stack, keys, self._shown, text)
        else:
            leaf = self._text() if self._growing else self._shown
            value = snapshot(stack, keys, leaf)
            if value is NOTHING and stack:
                value = spares.reuse(stack, keys, leaf)
        self._last = value
        return value

    @property
    def changed(self) -> bool:
        """Whether the last `feed` or `finish` changed the value."""
        return self._changed

    @property
    def in_text(self) -> bool:
        """Whether the value so far ends in a string that may still grow."""
        return self._growing

    @property
    def done(self) -> bool:
        """Whether the value is complete."""
        return self._root is not NOTHING

    def finish(self) -> Any:
        """The text has ended: the whole value.

        Raises:
            JsonSyntaxError: the text is not JSON or its JSON is not complete.
        """
        self._changed = False
        if self._opening is not None:
            word = self._opening.finish()
            self._opening = None
            self._offset -= len(word)
            self.feed(word)
        if self._body is READ_SCALAR and not self._stack:
            self._body = None
            self._close_scalar(self._token, "", 0)
        if self.error is None and self._root is NOTHING:
            self.error = self._incomplete()
        if self.error is not None:
            raise self.error
        return self._root

    def rewritten(self) -> bool:
        """Whether, since the last time this was asked, the value changed elsewhere than at its end.

        That is so where a key comes again: its new value stands where the first one stood.
        """
        shown = len(self._stack) - (not self._growing and self._shown is NOTHING)
        open_ones = zip(self._stack[:shown], self._keys, strict=False)
        again = any(key is not None and key in items for items, key in open_ones)
        told, self._told = self._told, self._repeated
        return again or told != self._repeated

    def completed(self) -> list[tuple[Path, Any]]:
        """The values closed since the last call at the places to `watch`, each with its path."""
        completed, self._completed = self._completed, []
        return completed

    def _text(self) -> str:
        """The open string so far.

        CPython grows a string in place where nobody else holds it. The last text is in the last
        snapshot, so it is the text before that one that grows, by the two last gains: no copy,
        however long the string, for a consumer that holds one snapshot at a time.
        """
        if self._pending:
            gain = "".join(self._pending)
            self._pending.clear()
            gains = self._gap + gain
            text = self._previous
            self._previous = self._base
            text += gains
            self._base = text
            self._gap = gain
        return self._base

    def _incomplete(self) -> JsonSyntaxError:
        """The error of a text that ended too early."""
        if self._body is READ_TEXT:
            expected = f"the end of the string that begins at character {self._start}"
        elif self._body is READ_SCALAR:
            expected = self._after_scalar(self._token[:LONG_NUMBER])
        else:
            expected = self._expected()
        return JsonSyntaxError(expected, self._offset)

    def _after_scalar(self, token: str) -> str:
        """What is expected after a number or literal in a container, at the end of the text."""
        if scalar(token, strict=self._strict)[2]:
            return "',' or ']'" if self._keys[-1] is None else "',' or '}'"
        return expected_after(token, strict=self._strict)
