"""The machines of the JSON parsers: pieces of an answer in, what a parser shows of its JSON out.

Each reads the answer once, through `JsonStream`, and has the whole value when it has finished
(`total`, the fold of a stream whose chunks do not add up to it). How the end is judged is the
parser's to say (`judge`): the JSON parser takes any value, the typed one validates it.

- `Values`: the value so far, whenever it is another one.
- `Partials`: the same, as far as it fits a schema.
- `Changes`: operations from one to the next.
- `Elements`: each element once, when it has closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import JsonSyntaxError, OutputParserException
from ..flow import Known
from ..jsonstream import NOTHING, JsonStream, Mode, Selector
from ..merge import merge
from ._diff import Differences
from ._short_answers import around
from .base import text_of
from .endings import may_refuse, raise_if_refused

if TYPE_CHECKING:
    from ._partial import Growing

__all__ = ["Changes", "Elements", "Partials", "Reading", "Values"]

Judge = Callable[[Any, str], Any]
"""Of the whole value and the whole text the parser's value; raises OutputParserException."""


class Reading:
    """What the machines have in common: the text, and its end."""

    __slots__ = ("_judge", "_over", "_signs", "_stream", "_texts", "value")
    _by_closing = False  # what is shown depends on what has closed, and not on what has changed

    def __init__(self, judge: Judge, stream: JsonStream) -> None:
        self._judge = judge
        self._stream = stream
        self._texts: list[str] = []
        self._signs: list[Any] = []  # pieces that a refusal may stand in
        self.value: Any = None  # the whole value, at the end
        self._over = False

    @property
    def total(self) -> Known:
        """The fold of a stream of this machine's; where that was left, of what had come."""
        return Known(lambda: self.value if self._over else self._so_far())

    def _so_far(self) -> Any:
        value = self._stream.value
        return None if value is NOTHING else value

    def feed(self, chunk: Any) -> Iterable[Any]:
        text = text_of(chunk)
        if may_refuse(chunk):
            self._signs.append(chunk)
        self._texts.append(text)
        return self.shown() if self._stream.feed(text) or self._by_closing else ()

    def finish(self) -> Iterator[Any]:
        if self._signs:
            raise_if_refused(merge(self._signs))
        try:
            value = self._stream.finish()
        except JsonSyntaxError as error:
            begun = self._stream.value is not NOTHING
            raise no_json("".join(self._texts), error, begun=begun) from error
        if self._stream.changed or self._by_closing:
            yield from self.shown()  # before the judgement: an element may say better what is wrong
        self.value = self._judge(value, "".join(self._texts))
        self._over = True
        yield from self.ended()

    def shown(self) -> Iterable[Any]:
        """What is due after a piece that changed the value."""
        raise NotImplementedError

    def ended(self) -> Iterable[Any]:
        """What is due at the end."""
        return ()


def no_json(text: str, error: JsonSyntaxError, *, begun: bool = True) -> OutputParserException:
    """The error of an answer that is no JSON. `begun`: some of it is."""
    said = str(error)
    if not begun and not error.found:
        what = "and the text holds no JSON" if text.strip() else "and the text is empty"
        said = f"Invalid JSON at character {error.position}: expected {error.expected}, {what}."
    return OutputParserException(
        f"The model's output is not valid JSON: {said} The output: {around(text, error.position)}",
        llm_output=text,
        position=error.position,
        expected=error.expected,
    )


class Values(Reading):
    """The value so far."""

    __slots__ = ("_last",)

    def __init__(self, judge: Judge, mode: Mode) -> None:
        super().__init__(judge, JsonStream(mode=mode))
        self._last: Any = NOTHING

    def now(self) -> Any:
        """What is to be seen of the value."""
        return self._stream.value

    def shown(self) -> Iterable[Any]:
        value = self.now()
        # There is nothing to show of a value that may become null.
        if value is NOTHING or value is None or value is self._last:
            return ()
        self._last = value
        return (value,)

    def ended(self) -> Iterable[Any]:
        return (None,) if self.value is None else ()  # so that there is something to add up


class Partials(Values):
    """The value so far in the all-optional form of a schema, and the validated one at the end."""

    __slots__ = ("_growing", "_seen")
    _by_closing = True  # a date shows when its string has closed

    def __init__(self, judge: Judge, mode: Mode, growing: Growing) -> None:
        super().__init__(judge, mode)
        self._growing = growing
        self._seen: Any = NOTHING

    def now(self) -> Any:
        stream = self._stream
        if stream.changed:  # a value that has only closed may be another object
            self._seen = stream.value
        if self._seen is NOTHING:
            return NOTHING
        return self._growing.partial(self._seen, again=stream.rewritten(), cut=stream.in_text)

    def ended(self) -> Iterable[Any]:
        same = type(self.value) is type(self._last) and bool(self.value == self._last)
        return () if same else (self.value,)


class Changes(Values):
    """Lists of JSON-patch operations, from nothing to the whole value."""

    __slots__ = ("_differences",)

    def __init__(self, judge: Judge, mode: Mode) -> None:
        super().__init__(judge, mode)
        self._differences = Differences()

    def shown(self) -> Iterable[Any]:
        for value in super().shown():
            operations = self._differences.to(value, again=self._stream.rewritten())
            if operations:
                yield operations

    def ended(self) -> Iterable[Any]:
        return ([{"op": "replace", "path": "", "value": None}],) if self.value is None else ()

    @property
    def looked(self) -> int:
        """How many pairs of values were compared so far."""
        return self._differences.looked


class _Outermost(Selector):
    """Selects the elements of the root, and those of the lists that are an object's members."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("")

    def matches(self, stack: Any, keys: Any) -> bool:
        depth = len(stack)
        return depth == 1 or (
            depth == 2 and isinstance(stack[0], dict) and isinstance(stack[1], list)
        )


class Elements(Reading):
    """The elements that have closed, at a path or, without one, those of the root: an array's
    items, an object's members as `{key: value}`, and of a member that is a list one item after the
    other, as `{key: [item]}`. `check(element, name)` makes of it what is shown, where there is
    one."""

    __slots__ = ("_check", "_path")
    _by_closing = True

    def __init__(self, judge: Judge, path: str | None, check: Any = None) -> None:
        watch: Any = _Outermost() if path is None else Selector(path)
        super().__init__(judge, JsonStream(watch=watch))
        self._path = path
        self._check = check

    def shown(self) -> Iterable[Any]:
        return [
            self._one(path, value)
            for path, value in self._stream.completed()
            if not self._is_shown(path, value)
        ]

    def _is_shown(self, path: tuple[str | int, ...], value: Any) -> bool:
        """Whether its items have been shown, one by one."""
        listed = isinstance(value, list) and value and isinstance(path[0], str)
        return bool(self._path is None and len(path) == 1 and listed)

    def _one(self, path: tuple[str | int, ...], value: Any) -> Any:
        if self._check is not None:
            return self._check(value, _name(path))
        if self._path is None and isinstance(path[0], str):
            return {path[0]: value if len(path) == 1 else [value]}
        return value

    def ended(self) -> Iterable[Any]:
        # A number alone, say, is its own only element.
        alone = self._path is None and not isinstance(self._stream.value, (dict, list))
        return (self.value,) if alone and self.value is not None else ()


def _name(path: tuple[str | int, ...]) -> str:
    """A path as users write it."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")
