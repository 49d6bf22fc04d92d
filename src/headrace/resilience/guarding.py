"""`guard`: a redaction of text that streams, across the borders of chunks, at constant memory.

    model | guard(re.compile(r"[\\w.]+@[\\w.]+"), "[mail]", lookahead=80)

What is held back are `lookahead` characters (and what a pattern looks ahead), of which it is not
known yet whether a match begins there. What has gone out is never changed. Two kinds of redaction,
as machines over text:

- *a pattern* (`ByPattern`): a place is decided when `lookahead` characters, those that the
  pattern's own lookaheads (`(?=…)`) can see behind them, and one more are known. So the stream
  equals `pattern.sub(replacement, text)`, however it is cut, where no match is longer than
  `lookahead` characters. A longer one may be missed, or found in two parts. Patterns that look
  ahead without a bound, or behind further than `BEHIND`, are refused;
- *a function* `text -> text` (`ByFunction`): it is asked about all that is held, and text goes out
  up to a place where it makes no difference whether the text is cut there: for a character left as
  it is, with `lookahead` characters behind it known. Where there is no such place within
  `HOARD * lookahead` characters, it is cut where the function gives the same for both sides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from ..errors import ConfigError, InputError
from ..messages import BaseMessage, BaseMessageChunk
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..runnables.base import Runnable
from ..shapes import Op
from ._around import around
from ._numbers import check_whole

__all__ = ["ByFunction", "ByPattern", "Guard", "guard"]

HOARD = 4
BEHIND = 400  # characters that are out and kept, for patterns that look behind
_TRIES = 16  # places that are tried for each piece of text, as long as there is room

Replacement: TypeAlias = str | Callable[[re.Match[str]], str]


class TextMachine(Protocol):
    """Text in, text out."""

    def feed(self, text: str, /) -> str: ...
    def finish(self) -> str: ...


class ByPattern:
    """Replaces the matches of a pattern."""

    __slots__ = ("_ahead", "_at", "_held", "_pattern", "_replace")

    def __init__(self, pattern: re.Pattern[str], replacement: Replacement, lookahead: int) -> None:
        self._pattern = pattern
        self._replace: Callable[[re.Match[str]], str] = (
            replacement if callable(replacement) else _expanding(replacement)
        )
        self._ahead = lookahead
        self._held = ""  # what is out, for the pattern to look behind, then what is not
        self._at = 0  # where the latter begins

    def feed(self, text: str) -> str:
        self._held += text
        last = self._held.endswith("\n")  # before which `$` would match, if nothing came after it
        return self._decided(len(self._held) - self._ahead - last)

    def finish(self) -> str:
        out = self._decided(len(self._held) + 1)
        self._held, self._at = "", 0
        return out

    def _decided(self, limit: int) -> str:
        """What is due of the places before `limit`."""
        held, at, out = self._held, self._at, []
        while at < limit:
            match = self._pattern.search(held, at)
            if match is None or match.start() >= limit:
                out.append(held[at:limit])
                at = limit
            else:
                if match.end() == match.start():
                    raise InputError(
                        f"The pattern {self._pattern.pattern!r} of a guard matches where there is "
                        "nothing to replace: give one whose matches have a character at least."
                    )
                out += held[at : match.start()], self._replace(match)
                at = match.end()
        begin = max(0, at - BEHIND - 1)  # and one for a border (`\b`) there
        self._held, self._at = held[begin:], at - begin
        return "".join(out)


def _expanding(replacement: str) -> Callable[[re.Match[str]], str]:
    if "\\" not in replacement:
        return lambda match: replacement
    return lambda match: match.expand(replacement)


class ByFunction:
    """Puts text through a function."""

    __slots__ = ("_ahead", "_change", "_held")

    def __init__(self, change: Callable[[str], str], lookahead: int) -> None:
        self._change = change
        self._ahead = lookahead
        self._held = ""

    def feed(self, text: str) -> str:
        self._held += text
        held, last = self._held, len(self._held) - self._ahead - 1
        if last < 0:
            return ""
        whole = self._apply(held)
        full = len(held) > HOARD * self._ahead
        tries = last + 1 if full else min(_TRIES, last + 1)
        for at in range(last, last - tries, -1):  # the latest place that will do
            before = self._apply(held[:at])
            if whole == before + held[at] + self._apply(held[at + 1 :]):
                return self._cut(at + 1, before + held[at])
        if not full:
            return ""
        for at in range(last, 0, -1):
            before = self._apply(held[:at])
            if whole == before + self._apply(held[at:]):
                return self._cut(at, before)
        return self._cut(last + 1, self._apply(held[: last + 1]))

    def finish(self) -> str:
        held, self._held = self._held, ""
        return self._apply(held) if held else ""

    def _cut(self, at: int, out: str) -> str:
        self._held = self._held[at:]
        return out

    def _apply(self, text: str) -> str:
        if not text:
            return ""
        changed = self._change(text)
        if not isinstance(changed, str):
            raise InputError(
                f"The function of a guard gave {changed!r} ({type(changed).__name__}): it must "
                "give the text that is to stand in place of the text that it is given."
            )
        return changed


class Guard(ByValue, Op, Runnable[Any, Any]):
    """See `guard`."""

    def __init__(
        self,
        fn: Callable[[str], str] | re.Pattern[str],
        replacement: Replacement | None = None,
        *,
        lookahead: int = 200,
        name: str | None = None,
    ) -> None:
        check_whole(", the characters of the longest match", lookahead=lookahead)
        pattern = isinstance(fn, re.Pattern)
        self._ahead = 0  # what the pattern sees behind its matches
        if pattern:
            _check_pattern(fn, replacement)
            self._ahead = _seen_ahead(fn)
        elif not callable(fn) or replacement is not None:
            raise ConfigError(
                f"guard({fn!r}, {replacement!r}): give a function from text to text alone, or a "
                "compiled pattern and its replacement, as in guard(re.compile(…), '***')."
            )
        self.fn = fn
        self.replacement = replacement
        self.lookahead = lookahead
        self.name = name

    def _start(self, fold: Any) -> _Guarding:
        return _Guarding(self._machine)

    def _machine(self) -> TextMachine:
        if isinstance(self.fn, re.Pattern):
            held = self.lookahead + self._ahead
            return ByPattern(self.fn, self.replacement or "", held)
        return ByFunction(self.fn, self.lookahead)

    def _terms_told(self) -> str:
        return f"lookahead={self.lookahead}"

    def __repr__(self) -> str:
        more = {} if self.replacement is None else {"replacement": self.replacement}
        return called(type(self).__name__, self.fn, **more, lookahead=self.lookahead)


def _check_pattern(pattern: Any, replacement: Any) -> None:
    if not isinstance(pattern.pattern, str):
        raise ConfigError(f"guard({pattern!r}): the pattern is one of bytes. Give one of text.")
    if not isinstance(replacement, str) and not callable(replacement):
        raise ConfigError(
            f"guard({pattern!r}, {replacement!r}): give what is to stand in place of a match, a "
            "string or a function of the match."
        )
    if pattern.search("") is not None:
        raise ConfigError(
            f"guard({pattern!r}): the pattern matches the empty text. Give one whose matches have "
            "a character at least."
        )


def _seen_ahead(pattern: Any) -> int:
    """How many characters behind its matches a pattern sees."""
    before, behind = around(pattern)
    if behind is None:
        raise ConfigError(
            f"guard({pattern!r}): the pattern looks ahead without a bound, and a stream cannot "
            "wait for all that comes. Bound it, as in (?=.{0,80}x) instead of (?=.*x)."
        )
    if before is None or before > BEHIND:
        raise ConfigError(
            f"guard({pattern!r}): the pattern looks behind further than {BEHIND} characters, which "
            "is what a guard keeps of the text that is out. Give one that looks less far."
        )
    return behind


class _Guarding:
    """The machine: of text, or of messages, whose texts go through a machine of text each."""

    __slots__ = ("_index", "_last", "_make", "_silent", "_text")

    def __init__(self, make: Callable[[], TextMachine]) -> None:
        self._make = make
        self._text = make()
        self._index: Any = None  # of the content block that the text belongs to; None: a string
        self._last: Any = None  # the chunk whose text came last
        self._silent = True  # nothing is out

    def feed(self, chunk: Any) -> Iterable[Any]:
        out = self._fed(chunk)
        if out:
            self._silent = False
        return out

    def _fed(self, chunk: Any) -> Sequence[Any]:
        if isinstance(chunk, str):
            self._last = chunk
            out = self._text.feed(chunk)
            return (out,) if out else ()
        if isinstance(chunk, BaseMessageChunk):
            return self._message(chunk)
        if isinstance(chunk, BaseMessage):
            return self._whole(chunk)
        raise InputError(
            f"A guard got {chunk!r:.200} ({type(chunk).__name__}): it reads text and messages. Put "
            "it behind the model or the parser whose text it is to see."
        )

    def finish(self) -> Iterable[Any]:
        rest = self._text.finish()
        if self._last is None or not (rest or self._silent):
            return ()
        return (rest,) if isinstance(self._last, str) else (self._rest_of(self._last, rest),)

    # ------------------------------------------------------------- messages

    def _message(self, chunk: BaseMessageChunk) -> Sequence[Any]:
        content = chunk.content
        before: list[Any] = []
        if isinstance(content, str):
            if content:
                before = self._turn_to(None)
            out: Any = self._text.feed(content) if content else ""
            self._last = chunk if content or self._last is None else self._last
        else:
            before, out = self._blocks(chunk, content)
        if getattr(chunk, "chunk_position", None) == "last":
            rest = self._text.finish()
            out = out + rest if isinstance(out, str) else [*out, *self._as_blocks(rest)]
        elif not out and content and _says_nothing_else(chunk):
            return before
        return [*before, chunk.model_copy(update={"content": out})]

    def _blocks(self, chunk: Any, content: list[Any]) -> tuple[list[Any], list[Any]]:
        before: list[Any] = []
        blocks: list[Any] = []
        for block in content:
            text = block if isinstance(block, str) else block.get("text")
            if isinstance(block, dict) and (block.get("type") != "text" or text is None):
                rest = self._text.finish()
                blocks += self._as_blocks(rest) if self._index is not None else ()
                if rest and self._index is None:
                    before.append(self._rest_of(self._last, rest))
                self._index = None
                blocks.append(block)
                continue
            index = None if isinstance(block, str) else block.get("index", ...)
            before += self._turn_to(index)
            self._last = chunk
            out = self._text.feed(text)
            if isinstance(block, str):
                blocks += [out] if out else []
            elif out or len(block) > 2 + ("index" in block):
                blocks.append({**block, "text": out})
        return before, blocks

    def _turn_to(self, index: Any) -> list[Any]:
        """Another text begins: what is held of the one before."""
        if index == self._index:
            return []
        rest = self._text.finish()
        made = [self._rest_of(self._last, rest)] if rest else []
        self._index = index
        return made

    def _as_blocks(self, text: str) -> list[Any]:
        if not text:
            return []
        if self._index is None:
            return [text]
        index = {} if self._index is ... else {"index": self._index}
        return [{"type": "text", "text": text, **index}]

    def _rest_of(self, chunk: Any, text: str) -> Any:
        content: Any = text if self._index is None else self._as_blocks(text)
        return type(chunk)(content=content, id=chunk.id)

    def _whole(self, message: BaseMessage) -> Sequence[Any]:
        content = message.content
        if isinstance(content, str):
            return (message.model_copy(update={"content": self._all(content)}),)
        blocks: list[Any] = []
        for block in content:
            if isinstance(block, str):
                blocks.append(self._all(block))
            elif block.get("type") == "text" and isinstance(block.get("text"), str):
                blocks.append({**block, "text": self._all(block["text"])})
            else:
                blocks.append(block)
        return (message.model_copy(update={"content": blocks}),)

    def _all(self, text: str) -> str:
        machine = self._make()
        return machine.feed(text) + machine.finish()


_SAYS = ("tool_call_chunks", "usage_metadata", "response_metadata", "additional_kwargs")


def _says_nothing_else(chunk: Any) -> bool:
    return not any(getattr(chunk, name, None) for name in _SAYS)


def guard(
    fn: Callable[[str], str] | re.Pattern[str],
    replacement: Replacement | None = None,
    *,
    lookahead: int = 200,
) -> Guard:
    """A step that redacts the text that goes through it, of strings, of messages or of their
    chunks. Whatever else a message has goes by as it comes.

    Args:
        fn: a compiled pattern, or a function from text to text. What a function does to a character
            must depend on the `lookahead` characters around it only.
        replacement: of a pattern's matches: a string as `re.sub` takes it, or a function of the
            match.
        lookahead: how many characters are held back: the length of the longest match, at least 1.
            A longer one is missed. What must follow a match (`(?=…)`) is held back besides. The
            text of a content block is one text, that of the next another.

    Raises:
        ConfigError: a pattern that matches the empty text, looks ahead without a bound or behind
            further than `BEHIND`, or no replacement for one.
    """
    return Guard(fn, replacement, lookahead=lookahead)
