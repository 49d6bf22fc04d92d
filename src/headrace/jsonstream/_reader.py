"""From text to containers: the states of the JSON machine and who reads what in each.

A table per state says which function reads the character at hand; that function reads as far as
it can (a whole string, a whole number) and returns the position after it. A token that is cut by
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

from headrace.errors import JsonSyntaxError
from headrace.jsonstream._lexical import BLANKS, CUT, NOTHING, SHORT, TOKEN, escape, scalar
from headrace.jsonstream._path import Path, Selector
from headrace.jsonstream._prose import Opening
from headrace.jsonstream._snapshot import DEEP, LONG, Spares

__all__ = ["READ_SCALAR", "READ_TEXT", "Reader"]

Handler = Callable[["Reader", str, int], int]

# A longer number shows its end only: reading it again at each piece would be quadratic.
_LONG_NUMBER: Final = 64

# Inside a string, up to what needs a look; by `strict`.
_RUN: Final = {False: re.compile(r'[^"\\]*'), True: re.compile(r'[^"\\\x00-\x1f]*')}

# What `held` keeps back at the end of a growing string: Unicode's blanks and the backtick.
_BLANK_ENDS: Final = frozenset("`" + "".join(c for c in map(chr, range(0x3001)) if c.isspace()))
_NO_ENDS: Final[frozenset[str]] = frozenset()

_EXPECTED_VALUE: Final = "a JSON value"


class Reader:
    """Reads JSON text; see `JsonStream` for the arguments."""

    __slots__ = (
        *("_base", "_body", "_carry", "_changed", "_completed", "_ends", "_gap", "_growing"),
        *("_grow_numbers", "_held", "_in_text", "_items", "_keys", "_max_depth"),
        *("_offset", "_opening", "_pending", "_previous", "_read", "_root", "_shown", "_spares"),
        *("_stack", "_stale", "_start", "_state", "_strict", "_token", "_watch", "begins", "error"),
    )

    def __init__(
        self,
        *,
        grow_numbers: bool,
        strict: bool,
        prose: bool,
        max_depth: int,
        watch: Selector | bool,
    ) -> None:
        self.error: JsonSyntaxError | None = None
        self.begins = 0  # where in the text the value does, once that is known
        self._grow_numbers = grow_numbers
        self._strict = strict
        self._ends = _BLANK_ENDS if prose and grow_numbers else _NO_ENDS
        self._max_depth = max_depth
        self._watch = watch
        self._completed: list[tuple[Path, Any]] = []
        self._opening = Opening() if prose else None

        self._state: dict[str, Handler] = _VALUE
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

    def feed(self, text: str) -> bool:
        """Read a piece of any size; whether `value` is another one now."""
        if not text:
            self._changed = False
            return False
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
            if text[pos] == " ":
                pos += 1
                continue
            read = self._state.get(text[pos])
            pos = read(self, text, pos) if read is not None else self._unexpected(text, pos)
        self._offset += end
        if self._changed:
            self._stale = True
        return self._changed

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
        end = text.find('"', pos)
        run = text[pos:end] if end >= 0 else text[pos:]
        if "\\" in run or self._strict:
            return self._read_escaped(text, pos)
        if end < 0:
            return self._cut(run, len(text))
        if run:
            self._pending.append(run)
            self._changed |= self._growing
        return self._close_text(end + 1)

    def _read_escaped(self, text: str, pos: int) -> int:
        """`_read_text` with a look at each character that may not stand for itself."""
        run, pending, size = _RUN[self._strict], self._pending, len(text)
        while True:
            match = run.match(text, pos)
            stop = match.end() if match is not None else pos
            if stop == size:
                return self._cut(text[pos:], size)
            if stop > pos:
                pending.append(text[pos:stop])
                self._changed |= self._growing
            if text[stop] == '"':
                return self._close_text(stop + 1)
            if text[stop] != "\\":
                return self._fail(text, stop, "control characters written as escapes")
            if (short := SHORT.get(text[stop + 1 : stop + 2])) is not None:
                pending.append(short)
                self._changed |= self._growing
                pos = stop + 2
                continue
            char, pos = escape(text, stop)
            if pos == CUT:
                self._carry = text[stop:]
                return self._cut("", size)
            if not char:
                return self._fail(text, stop, 'an escape such as \\n, \\" or \\u00e9')
            pending.append(char)
            self._changed |= self._growing

    def _cut(self, run: str, end: int) -> int:
        """The piece ends inside a string, with the plain `run`: keep that for now."""
        if self._growing:
            if run and run[-1] in self._ends:
                kept = _without_end(run)
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
        if not _without_end(text):
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
        match = TOKEN.match(text, pos)
        end = match.end() if match is not None else pos
        if end == pos and self._read is not NOTHING:  # it ended with the last piece
            self._body = None
            self._changed |= self._shown is NOTHING
            self._shown = NOTHING
            self._put(self._read)
            return pos
        token, self._token = self._token, ""
        token += text[:end]
        if end == len(text):
            return self._grow_scalar(token, text, end)
        self._body = None
        return self._close_scalar(token, text, end)

    def _grow_scalar(self, token: str, text: str, end: int) -> int:
        """The piece ends inside or right after a number or literal."""
        self._token = token
        self._read = NOTHING
        if len(token) > _LONG_NUMBER:
            return end
        if token.isdigit() and token[0] != "0":
            self._read = int(token)
            if self._grow_numbers:
                self._shown = self._read
                self._changed = True
            return end
        value, right, whole = scalar(token, strict=self._strict)
        if whole:
            self._read = value
        if self._grow_numbers and value is not NOTHING:
            self._show(value)
        return end if right == len(token) else self._fail_scalar(token, text, end, right)

    def _close_scalar(self, token: str, text: str, end: int) -> int:
        """A number or literal ends before `end`."""
        # The most frequent kind first; Python may refuse to read long ones.
        if token.isdigit() and token[0] != "0" and len(token) <= _LONG_NUMBER:
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
        if value is not self._shown and value != self._shown:
            self._changed = True
        self._stale = True  # 67.0 equals 67, and is another value
        self._shown = value

    def _fail_scalar(self, token: str, text: str, end: int, right: int, expected: str = "") -> int:
        """A number or literal that ends before `end` is wrong from its character `right` on."""
        if not expected:
            number = right and token[0] in "-0123456789"
            expected = "the rest of a number" if number else _EXPECTED_VALUE
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
            return self._fail(text, pos, f"at most {self._max_depth} levels of nesting")
        self._changed = True
        self._stack.append(items)
        self._keys.append(None)
        self._items = items
        return pos + 1

    def _close(self, text: str, pos: int) -> int:
        """The innermost container ends."""
        stack = self._stack
        items = stack.pop()
        self._keys.pop()
        depth = len(stack)
        if len(items) >= LONG or depth >= DEEP:
            self._spares.closed(depth)
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
            if not self._strict:
                self._body = Reader._ignore
        elif (key := self._keys[-1]) is None:
            items.append(value)
            self._state = _AFTER_ITEM
        else:
            if key in items:
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
            path: Path = tuple(
                (len(items) - (items is self._items)) if key is None else key
                for items, key in zip(self._stack, self._keys, strict=True)
            )
            self._completed.append((path, value))

    # ---- between tokens -----------------------------------------------------------------------

    def _skip(self, text: str, pos: int) -> int:
        """Blanks."""
        match = BLANKS.match(text, pos)
        return match.end() if match is not None else pos

    def _colon(self, text: str, pos: int) -> int:
        self._state = _VALUE
        return pos + 1

    def _next_item(self, text: str, pos: int) -> int:
        self._state = _NEXT_ITEM
        return pos + 1

    def _next_key(self, text: str, pos: int) -> int:
        self._state = _NEXT_KEY
        return pos + 1

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
        self._state = _BLANK
        self._in_text = False

    def _expected(self) -> str:
        """What the state at hand expects."""
        for state, expected in _EXPECTED:
            if state is self._state:
                return expected
        return "the end of the text"


def _without_end(text: str) -> str:
    """The text without the blanks and backticks that may stand between it and its surroundings."""
    return text.rstrip().rstrip(" \n\r\t`")


# ---- the tables: per state, who reads a character; a character that is not there is an error -----

READ_TEXT: Final[Handler] = Reader._read_text
READ_SCALAR: Final[Handler] = Reader._read_scalar

_BLANK: Final[dict[str, Handler]] = dict.fromkeys(" \t\n\r", Reader._skip)
_VALUE: Final[dict[str, Handler]] = {
    **_BLANK,
    **dict.fromkeys("-0123456789tfnNI", Reader._begin_scalar),
    '"': Reader._begin_string,
    "{": Reader._open_dict,
    "[": Reader._open_list,
}
_FIRST_ITEM: Final[dict[str, Handler]] = {**_VALUE, "]": Reader._close}
_NEXT_ITEM: Final[dict[str, Handler]] = {**_VALUE, "]": Reader._close_after_comma}
_AFTER_ITEM: Final[dict[str, Handler]] = {
    **_BLANK,
    ",": Reader._next_item,
    "]": Reader._close,
}
_FIRST_KEY: Final[dict[str, Handler]] = {
    **_BLANK,
    '"': Reader._begin_key,
    "}": Reader._close,
}
_NEXT_KEY: Final[dict[str, Handler]] = {
    **_BLANK,
    '"': Reader._begin_key,
    "}": Reader._close_after_comma,
}
_COLON: Final[dict[str, Handler]] = {**_BLANK, ":": Reader._colon}
_AFTER_MEMBER: Final[dict[str, Handler]] = {
    **_BLANK,
    ",": Reader._next_key,
    "}": Reader._close,
}
_AFTER_ROOT: Final[dict[str, Handler]] = dict(_BLANK)

_EXPECTED: Final[tuple[tuple[dict[str, Handler], str], ...]] = (
    (_VALUE, _EXPECTED_VALUE),
    (_FIRST_ITEM, f"{_EXPECTED_VALUE} or ']'"),
    (_NEXT_ITEM, _EXPECTED_VALUE),
    (_AFTER_ITEM, "',' or ']'"),
    (_FIRST_KEY, "a key in double quotes or '}'"),
    (_NEXT_KEY, "a key in double quotes"),
    (_COLON, "':' after the key"),
    (_AFTER_MEMBER, "',' or '}'"),
)
