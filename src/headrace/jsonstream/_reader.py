"""From text to containers: the states of the JSON machine and who reads what in each.

A table per state says which function reads the character at hand; that function reads as far as
it can (a whole string, a whole number) and returns the position after it. A comma or a colon is
followed by another state, and no more. A token that is cut by
the end of a piece leaves a *body*, the function that reads on when the next piece comes. Open
containers stand on a stack, not on Python's. Text inside a string is joined, never read again.

`Reader` fills `_stack` (open containers, each with what is closed inside it) and `_keys` (the open
member's key in each); what grows at the end of that path is `_shown`, or the open string in
`_pending` and `_base`. `JsonStream` makes values of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from headrace.errors import InputError, JsonDepthError, JsonSyntaxError
from headrace.jsonstream._lexical import (
    BLANK_ENDS,
    CUT,
    NO_ENDS,
    NOTHING,
    SHORT,
    TOKEN,
    escape,
    expected_after,
    scalar,
    without_end,
)
from headrace.jsonstream._path import Path, Selector, place
from headrace.jsonstream._prose import Opening
from headrace.jsonstream._snapshot import Spares

__all__ = ["LONG_NUMBER", "READ_SCALAR", "READ_TEXT", "Reader"]

Handler = Callable[["Reader", str, int], int]
State = dict[str, Any]  # per character its handler, or the next state where there is no more to it

# Of a longer number this much is shown until its end: reading all again would be quadratic.
LONG_NUMBER: Final = 64

# What strict does not allow to stand in a string as it is.
_CONTROL: Final = re.compile(r"[\x00-\x1f]")

_AFTER_SCALAR: Final = frozenset(",]} \t\n\r")

_EXPECTED_VALUE: Final = "a JSON value"


class Reader:
    """Reads JSON text; see `JsonStream` for the arguments."""

    __slots__ = (
        *("_alone", "_base", "_body", "_carry", "_changed", "_completed", "_ends", "_gap"),
        *("_grow_numbers", "_growing", "_held", "_in_text", "_items", "_keys", "_max_depth"),
        *("_offset", "_opening", "_pending", "_previous", "_read", "_root", "_shown", "_spares"),
        *("_repeated", "_told"),
        *("_stack", "_stale", "_start", "_state", "_strict", "_token", "_watch", "begins", "error"),
    )

    def __init__(
        self,
        *,
        grow_numbers: bool,
        strict: bool,
        alone: bool,
        prose: bool,
        max_depth: int,
        watch: Selector | bool,
    ) -> None:
        self.error: JsonSyntaxError | None = None
        self.begins = 0  # where in the text the value does, once that is known
        self._grow_numbers = grow_numbers
        self._strict, self._alone = strict, alone
        self._ends = BLANK_ENDS if prose and grow_numbers else NO_ENDS
        self._max_depth = max_depth
        self._watch = watch
        self._completed: list[tuple[Path, Any]] = []
        self._opening = Opening() if prose else None

        self._state: State = _VALUE
        self._body: Handler | None = None  # reads on in a token that was cut
        self._carry = ""  # an escape that was cut
        self._offset = 0  # characters before the piece at hand
        self._start = 0  # where the open string begins

        self._root: Any = NOTHING  # the value, once it is closed
        self._stack: list[Any] = []  # open containers, each with what is closed inside it
        self._keys: list[str | None] = []  # the open member's key in each; None in a list
        self._items: Any = None  # the last of the stack
        self._token = ""  # a number or literal that was cut
        self._read: Any = NOTHING  # its value, where it needs no more
        self._shown: Any = NOTHING  # what is shown of it

        self._growing = False  # a string is open, as a value
        self._in_text = False  # and the next piece, if it is plain, is all its own
        self._pending: list[str] = []  # parts of the open string since the last snapshot
        self._held: list[str] = []  # blanks after them that may not belong to it
        self._base = self._previous = self._gap = ""  # see `_text`

        self._changed = self._stale = False
        self._spares = Spares()
        self._repeated = self._told = 0  # keys that came again, and are closed

    def feed(self, text: str) -> bool:
        """Read a piece of any size; whether `value` is another one now."""
        if not text:
            return self._feed_nothing(text)
        # The most frequent piece: it lies inside a string and has nothing special in it.
        if self._in_text and '"' not in text and "\\" not in text and text[-1] not in self._ends:
            self._pending.append(text)
            self._offset += len(text)
            self._changed = self._stale = True
            return True
        if self._opening is not None:
            rest = self._opening.feed(text)
            self._offset += len(text) - len(rest or "")
            if rest is None:
                self._changed = False
                return False
            self._opening, text = None, rest
            self.begins = self._offset
        elif self._carry:
            text = self._carry + text
            self._offset -= len(self._carry)
            self._carry = ""
        self._changed = False
        end = len(text)
        pos = self._body(self, text, 0) if self._body is not None else 0
        while pos < end:
            char = text[pos]
            if char in " \n\t\r":  # nothing else may stand between tokens
                pos += 1
                continue
            read = self._state.get(char)
            if type(read) is dict:
                self._state = read
                pos += 1
            elif read is not None:
                pos = read(self, text, pos)
            else:
                pos = self._unexpected(text, pos)
        self._offset += end
        if self._changed:
            self._stale = True
        return self._changed

    def _feed_nothing(self, text: Any) -> bool:
        if not isinstance(text, str):
            raise InputError(f"JsonStream.feed got {text!r}: give it a string.")
        self._changed = False
        return False

    # ---- strings ------------------------------------------------------------------------------

    def _begin_string(self, text: str, pos: int) -> int:
        """A value begins with a quote."""
        self._changed = True
        end = text.find('"', pos + 1)
        if end > 0 and not self._strict:
            run = text[pos + 1 : end]
            if "\\" not in run:
                self._put(run)
                return end + 1
        self._growing = True
        self._start = self._offset + pos
        return self._read_text(text, pos + 1)

    def _begin_key(self, text: str, pos: int) -> int:
        """A key begins with a quote."""
        end = text.find('"', pos + 1)
        if end > 0 and not self._strict:
            run = text[pos + 1 : end]
            if "\\" not in run:
                self._keys[-1] = run
                self._state = _COLON
                return end + 1
        self._start = self._offset + pos
        return self._read_text(text, pos + 1)

    def _read_text(self, text: str, pos: int) -> int:
        """Body: the inside of a string, up to its closing quote."""
        if self._held and not self._release(text):
            return len(text)
        if "\\" in text or self._strict:
            return self._read_escaped(text, pos)
        end = text.find('"', pos)
        if end < 0:
            return self._cut(text[pos:], len(text))
        if end > pos:
            self._pending.append(text[pos:end])
            self._changed |= self._growing
        return self._close_text(end + 1)

    def _read_escaped(self, text: str, pos: int) -> int:
        """`_read_text` with a look at each character that may not stand for itself."""
        pending, size = self._pending, len(text)
        if self._strict and (raw := _CONTROL.search(text, pos)) is not None:
            size = raw.start()  # as far as that; it may lie behind the string
        while True:
            stop = text.find("\\", pos, size)
            end = text.find('"', pos, size if stop < 0 else stop)
            if end >= 0:
                if end > pos:
                    pending.append(text[pos:end])
                    self._changed |= self._growing
                return self._close_text(end + 1)
            if stop < 0:
                if size < len(text):
                    return self._control(text, pos, size)
                return self._cut(text[pos:], size)
            if stop > pos:
                pending.append(text[pos:stop])
                self._changed |= self._growing
            if (short := SHORT.get(text[stop + 1 : stop + 2])) is not None:
                char, pos = short, stop + 2
            else:
                char, pos = escape(text, stop)
                if pos == CUT:
                    self._carry = text[stop:]
                    return self._cut("", len(text))
                if not char:
                    return self._fail(text, stop, 'an escape such as \\n, \\" or \\u00e9')
            pending.append(char)
            self._changed |= self._growing

    def _control(self, text: str, pos: int, at: int) -> int:
        """A raw control character stands in a string, where that is not allowed."""
        if at > pos:
            self._pending.append(text[pos:at])
            self._changed |= self._growing
        return self._fail(text, at, "control characters written as escapes")

    def _cut(self, run: str, end: int) -> int:
        """The piece ends inside a string, with the plain `run`: keep that for now."""
        if self._growing:
            if run and run[-1] in self._ends:
                kept = without_end(run)
                self._held.append(run[len(kept) :])
                run = kept
            self._in_text = not (self._held or self._carry or self._strict)
        if run:
            self._pending.append(run)
            self._changed |= self._growing
        self._body = READ_TEXT
        return end

    def _release(self, text: str) -> bool:
        """The blanks that were held belong to the string, unless the piece is more of them."""
        if not without_end(text):
            self._held.append(text)
            return False
        self._pending.extend(self._held)
        self._held.clear()
        self._changed = True
        return True

    def _close_text(self, pos: int) -> int:
        """The quote before `pos` ends a string."""
        whole = "".join(self._pending)
        self._pending.clear()
        self._body = None
        self._in_text = False
        if not self._growing:
            self._keys[-1] = whole
            self._state = _COLON
            return pos
        self._growing = False
        if self._base:
            whole = self._base + whole
            self._base = self._previous = self._gap = ""
        self._put(whole)
        return pos

    # ---- numbers and literals -----------------------------------------------------------------

    def _begin_scalar(self, text: str, pos: int) -> int:
        """A value begins with a digit, a minus or a letter."""
        match = TOKEN.match(text, pos)
        end = match.end() if match is not None else pos
        token = text[pos:end]
        if end == len(text):
            self._body = READ_SCALAR
            return self._grow_scalar(token, text, end)
        return self._close_scalar(token, text, end)

    def _read_scalar(self, text: str, pos: int) -> int:
        """Body: the rest of a number or literal."""
        value = self._read
        if value is not NOTHING and text[0] in _AFTER_SCALAR:  # it ended with the last piece
            self._body = None
            if self._shown is NOTHING:
                self._changed = True
            self._shown = NOTHING
            self._put(value)
            return 0
        match = TOKEN.match(text, pos)
        end = match.end() if match is not None else pos
        token, self._token = self._token, ""  # so that it can grow in place
        token += text[:end]
        if end == len(text):
            return self._grow_scalar(token, text, end)
        self._body = None
        return self._close_scalar(token, text, end)

    def _grow_scalar(self, token: str, text: str, end: int) -> int:
        """The piece ends inside or right after a number or literal."""
        self._token = token
        self._read = NOTHING
        long = len(token) > LONG_NUMBER
        if long:
            if len(token) - end > LONG_NUMBER:  # it was before this piece
                return end
            token = token[:LONG_NUMBER]
        elif token.isdigit() and token[0] != "0":
            self._read = int(token)
            if self._grow_numbers:
                self._shown = self._read
                self._changed = True
            return end
        value, right, whole = scalar(token, strict=self._strict)
        if whole and not long:
            self._read = value
        if self._grow_numbers and value is not NOTHING:
            self._show(value)
        if right == len(token):
            return end
        return self._fail_scalar(self._token, text, end, right)

    def _close_scalar(self, token: str, text: str, end: int) -> int:
        """A number or literal ends before `end`."""
        # The most frequent kind first; Python may refuse to read long ones.
        if token.isdigit() and token[0] != "0" and len(token) <= LONG_NUMBER:
            value: Any = int(token)
            if value != self._shown:
                self._changed = True
            self._shown = NOTHING
            self._put(value)
            return end
        try:
            value, right, whole = scalar(token, strict=self._strict)
        except ValueError:
            # Python refuses to read it (sys.set_int_max_str_digits): quadratic, so a way to attack.
            return self._fail_scalar(token, text, end, 0, "an integer with fewer digits")
        if not whole:
            if self._grow_numbers and value is not NOTHING:
                self._show(value)
            return self._fail_scalar(token, text, end, right)
        self._show(value)
        self._shown = NOTHING
        self._put(value)
        return end

    def _show(self, value: Any) -> None:
        """Show what there is of a number or literal."""
        shown = self._shown
        # 67.0 equals 67, and is another value.
        if value is not shown and (value != shown or type(value) is not type(shown)):
            self._changed = True
        self._shown = value

    def _fail_scalar(self, token: str, text: str, end: int, right: int, expected: str = "") -> int:
        """A number or literal that ends before `end` is wrong from its character `right` on."""
        if not expected:
            expected = expected_after(token[:right], strict=self._strict) or _EXPECTED_VALUE
        found = token[right : right + 1] or text[end : end + 1]
        self._error(end - len(token) + right, found, expected)
        return end

    # ---- containers ---------------------------------------------------------------------------

    def _open_list(self, text: str, pos: int) -> int:
        self._state = _FIRST_ITEM
        return self._open([], text, pos)

    def _open_dict(self, text: str, pos: int) -> int:
        self._state = _FIRST_KEY
        return self._open({}, text, pos)

    def _open(self, items: Any, text: str, pos: int) -> int:
        """A container begins."""
        if len(self._stack) >= self._max_depth:
            expected = f"at most {self._max_depth} levels of nesting"
            self.error = JsonDepthError(expected, self._offset + pos, text[pos])
            return self._fail(text, pos, expected)
        self._changed = True
        self._stack.append(items)
        self._keys.append(None)
        self._items = items
        return pos + 1

    def _close(self, text: str, pos: int) -> int:
        """The innermost container ends."""
        stack, spares = self._stack, self._spares
        items = stack.pop()
        self._keys.pop()
        depth = len(stack)
        if depth < spares.low:
            spares.low = depth
        self._items = stack[-1] if stack else None
        self._put(items)
        return pos + 1

    def _close_after_comma(self, text: str, pos: int) -> int:
        return self._unexpected(text, pos) if self._strict else self._close(text, pos)

    def _put(self, value: Any) -> None:
        """A value is complete: put it where it belongs."""
        items = self._items
        if items is None:
            self._root = value
            self._stale = True
            self._state = _AFTER_ROOT
            self._spares = Spares()
            if not self._alone:
                self._body = Reader._ignore
        elif (key := self._keys[-1]) is None:
            items.append(value)
            self._state = _AFTER_ITEM
        else:
            if key in items:
                self._repeated += 1
                self._spares.repeated(len(self._stack) - 1)
            items[key] = value
            self._state = _AFTER_MEMBER
        if self._watch:
            self._complete(value)

    def _complete(self, value: Any) -> None:
        """Tell a completed value, where its place is watched."""
        watch = self._watch
        if watch is True or (
            isinstance(watch, Selector) and watch.matches(self._stack, self._keys)
        ):
            self._completed.append((place(self._stack, self._keys), value))

    # ---- between tokens -----------------------------------------------------------------------

    def _ignore(self, text: str, pos: int) -> int:
        """Body: text that does not count, after the value or after an error."""
        return len(text)

    # ---- errors -------------------------------------------------------------------------------

    def _unexpected(self, text: str, pos: int) -> int:
        """The character does not belong here."""
        if self._body is not None:  # text after the value, or after an error
            return len(text)
        return self._fail(text, pos, self._expected())

    def _fail(self, text: str, pos: int, expected: str) -> int:
        self._error(pos, text[pos], expected)
        return len(text)

    def _error(self, pos: int, found: str, expected: str) -> None:
        """Freeze the value; `finish` raises."""
        if self.error is None:
            self.error = JsonSyntaxError(expected, self._offset + pos, found)
        self._body = Reader._ignore
        self._state = {}
        self._in_text = False

    def _expected(self) -> str:
        """What the state at hand expects."""
        for state, expected in _EXPECTED:
            if state is self._state:
                return expected
        return "the end of the text"


# ---- the tables: per state, who reads a character; a character that is not there is an error -----

READ_TEXT: Final[Handler] = Reader._read_text
READ_SCALAR: Final[Handler] = Reader._read_scalar

_VALUE: Final[State] = {
    **dict.fromkeys("-0123456789tfnNI", Reader._begin_scalar),
    '"': Reader._begin_string,
    "{": Reader._open_dict,
    "[": Reader._open_list,
}
_FIRST_ITEM: Final[State] = {**_VALUE, "]": Reader._close}
_NEXT_ITEM: Final[State] = {**_VALUE, "]": Reader._close_after_comma}
_AFTER_ITEM: Final[State] = {",": _NEXT_ITEM, "]": Reader._close}
_FIRST_KEY: Final[State] = {'"': Reader._begin_key, "}": Reader._close}
_NEXT_KEY: Final[State] = {'"': Reader._begin_key, "}": Reader._close_after_comma}
_COLON: Final[State] = {":": _VALUE}
_AFTER_MEMBER: Final[State] = {",": _NEXT_KEY, "}": Reader._close}
_AFTER_ROOT: Final[State] = {}

_EXPECTED: Final[tuple[tuple[State, str], ...]] = (
    (_VALUE, _EXPECTED_VALUE),
    (_FIRST_ITEM, f"{_EXPECTED_VALUE} or ']'"),
    (_NEXT_ITEM, _EXPECTED_VALUE),
    (_AFTER_ITEM, "',' or ']'"),
    (_FIRST_KEY, "a key in double quotes or '}'"),
    (_NEXT_KEY, "a key in double quotes"),
    (_COLON, "':' after the key"),
    (_AFTER_MEMBER, "',' or '}'"),
)
