"""`trim_messages`: the beginning or the end of a conversation, within a number of tokens.

Both strategies are one search. From the side that is kept, the longest row of messages that fits
is found by halving, so a counter is called about log2(n) times; the message behind it may then be
cut (its blocks, else its first text), and the row is shortened to one that ends on a kind.
For `"last"` the conversation is turned round before and after, and `start_on` is that kind.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Real
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from ..errors import InputError
from ..messages import BaseMessage, SystemMessage, convert_to_messages
from ..messages.content import Content
from ._door import KindLike, is_of_kind, kinds_of, over_messages
from .tokens import count_tokens_approximately

__all__ = ["trim_messages"]

Counter: TypeAlias = Callable[[list[BaseMessage]], int]
Splitter: TypeAlias = Callable[[str], list[str]]

_SHORTCUTS: dict[str, Counter] = {"approximate": count_tokens_approximately}


@over_messages(quick=False)
def trim_messages(
    messages: Any,
    *,
    max_tokens: int,
    token_counter: Any,
    strategy: Literal["first", "last"] = "last",
    allow_partial: bool = False,
    end_on: KindLike | None = None,
    start_on: KindLike | None = None,
    include_system: bool = False,
    text_splitter: Any = None,
) -> list[BaseMessage]:
    """The first or last messages that have at most `max_tokens` tokens together.

    Args:
        messages: what `convert_to_messages` takes; without it, a runnable is returned.
        max_tokens: at most so many tokens, as the counter counts; with `token_counter=len`, so
            many messages.
        token_counter: a model (its `get_num_tokens_from_messages`), a function of a list of
            messages, a function of one message (its parameter annotated as `BaseMessage` or a
            kind of it), or `"approximate"`.
        strategy: which side is kept.
        allow_partial: whether the message that does not fit as a whole may be cut.
        end_on: kinds of messages (names such as `"human"`, or classes): what follows the last one
            is left out; with `"last"` before counting, with `"first"` after it.
        start_on: the same for what precedes the first one, after counting; only with `"last"`.
            The system message that `include_system` keeps stands before it.
        include_system: whether a system message at the beginning is kept; only with `"last"`.
        text_splitter: what cuts a text: a function to a list of pieces that make up the text, or
            an object with such a method `split_text`. By default, lines.

    Returns:
        The messages themselves; one that was cut is a copy.

    Raises:
        InputError: an argument that is not known, or does not go with the strategy; a counter that
            gives no number, a splitter that gives no list of texts.
    """
    if not _is_number(max_tokens):
        raise InputError(
            f"max_tokens is a number, and this is {max_tokens!r}: give the tokens that the "
            "messages may have together."
        )
    if strategy not in ("first", "last"):
        raise InputError(f"Unrecognized strategy={strategy!r}: use 'first' or 'last'.")
    for name, value in (("start_on", start_on), ("include_system", include_system)):
        if value and strategy == "first":
            raise InputError(f"{name} parameter is only valid with strategy='last'.")
    count, split = _counter(token_counter), _splitter(text_splitter)
    given = convert_to_messages(messages)
    if strategy == "first":
        kept = _Search(count, split, max_tokens, "first").run(given, allow_partial)
        return _ending_on(kept, end_on)
    given = _ending_on(given, end_on)
    head: list[BaseMessage] = []
    if include_system and given and isinstance(given[0], SystemMessage):
        head, given = given[:1], given[1:]

    def together(row: list[BaseMessage]) -> int:
        """Counted as it will be sent: a model may say something at the beginning."""
        return count([*head, *row[::-1]])

    kept = _Search(together, split, max_tokens, "last").run(given[::-1], allow_partial)
    return [*head, *_ending_on(kept, start_on)[::-1]]


def _ending_on(messages: list[BaseMessage], kinds: KindLike | None) -> list[BaseMessage]:
    """The messages up to the last one of these kinds; all of them where no kind is given."""
    if not kinds:
        return messages
    wanted, end = kinds_of(kinds), len(messages)
    while end and not is_of_kind(messages[end - 1], wanted):
        end -= 1
    return messages[:end]


class _Search:
    """What fits of messages, counted from the first of them.

    Args:
        side: which side of a message is kept where it is cut.
    """

    def __init__(
        self, count: Counter, split: Splitter, limit: int, side: Literal["first", "last"]
    ) -> None:
        self._count = count
        self._split = split
        self._limit = limit
        self._side = side

    def run(self, messages: list[BaseMessage], partial: bool) -> list[BaseMessage]:
        """The longest row from the first on that fits, with a part of the next if there may be."""
        if not messages or self._fits(messages):
            return messages
        whole = self._most(len(messages) - 1, lambda n: messages[:n])
        row = messages[:whole]
        cut = self._part(row, messages[whole]) if partial else None
        return row if cut is None else [*row, cut]

    def _fits(self, messages: list[BaseMessage]) -> bool:
        return self._count(messages) <= self._limit

    def _most(self, top: int, made: Callable[[int], list[BaseMessage]]) -> int:
        """The largest n of 1 to `top` for which what is made of it fits; 0 where none does."""
        sizes = range(1, top + 1)
        return bisect_right(sizes, self._limit, key=lambda n: self._count(made(n)))

    def _part(self, row: list[BaseMessage], message: BaseMessage) -> BaseMessage | None:
        """As much of a message as fits behind the row; None where nothing does."""
        content = message.content
        if isinstance(content, str):
            return self._cut_text(row, message, content)
        for n in range(len(content) - 1, 0, -1):
            cut = _with_content(message, self._kept(content, n))
            if self._fits([*row, cut]):
                return cut
        text = _text_of_first(self._kept(content, 1)) if content else None
        return self._cut_text(row, message, text or "")

    def _cut_text(
        self, row: list[BaseMessage], message: BaseMessage, text: str
    ) -> BaseMessage | None:
        pieces = self._split(text) if text else []

        def cut(n: int) -> BaseMessage:
            return _with_content(message, "".join(self._kept(pieces, n)))

        most = self._most(len(pieces), lambda n: [*row, cut(n)])
        return cut(most) if most else None

    def _kept(self, items: list[Any], n: int) -> list[Any]:
        return items[:n] if self._side == "first" else items[len(items) - n :]


def _with_content(message: BaseMessage, content: Content) -> BaseMessage:
    return message.model_copy(update={"content": content}, deep=True)


def _text_of_first(blocks: Sequence[Any]) -> str | None:
    block = blocks[0]
    if isinstance(block, str):
        return block
    return block.get("text") if block.get("type") == "text" else None


# ------------------------------------------------------------------ what users give


def _counter(given: Any) -> Counter:
    """A function of a list of messages, from what a user gives to count with."""
    if isinstance(given, str):
        if given not in _SHORTCUTS:
            raise InputError(
                f"Invalid token_counter shortcut {given!r}. Available shortcuts: "
                f"{', '.join(map(repr, _SHORTCUTS))}."
            )
        return _SHORTCUTS[given]
    of_model = getattr(given, "get_num_tokens_from_messages", None)
    if of_model is not None:
        return _checked(of_model, given)
    if not callable(given):
        raise InputError(
            f"'token_counter' expected to be a model that implements "
            f"'get_num_tokens_from_messages()', a function or a shortcut; received {given!r}."
        )
    if _takes_one(given):
        of_one = _checked(given, given)
        return lambda messages: sum(map(of_one, messages))
    return _checked(given, given)


def _checked(count: Callable[[Any], Any], given: Any) -> Callable[[Any], int]:
    """The same counter, `given` by the user; what it gives is a number."""

    def counted(messages: Any) -> int:
        number = count(messages)
        if not _is_number(number):
            raise InputError(
                f"token_counter={given!r} gave {number!r}, which is no number of tokens: it is "
                "called with a list of messages, or with one where its parameter is annotated as "
                "BaseMessage."
            )
        return number  # type: ignore[no-any-return]

    return counted


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _takes_one(function: Callable[..., Any]) -> bool:
    """Whether a function says that it takes one message, not a list of them."""
    try:
        first = next(iter(signature(function).parameters.values()), None)
        hints = get_type_hints(function)
    except (NameError, TypeError, ValueError):  # a builtin, or names that cannot be resolved
        return False
    hint = None if first is None else hints.get(first.name, first.annotation)
    return any(
        isinstance(kind, type) and issubclass(kind, BaseMessage)
        for kind in get_args(hint) or [hint]
    ) and not _is_list(hint)


def _is_list(hint: Any) -> bool:
    origin = getattr(hint, "__origin__", None)
    return isinstance(origin, type) and hasattr(origin, "__iter__")


def _splitter(given: Any) -> Splitter:
    split = getattr(given, "split_text", None) or given or _lines
    if not callable(split):
        raise InputError(
            f"text_splitter={given!r} cuts no text: give a function that takes a text and returns "
            "its pieces, or an object with such a method split_text."
        )

    def checked(text: str) -> list[str]:
        pieces: Any = split(text)
        if not isinstance(pieces, (list, tuple)) or not all(
            isinstance(each, str) for each in pieces
        ):
            what = f"{pieces!r:.200}"
            raise InputError(f"text_splitter={given!r} gave {what}, which is no list of texts.")
        return list(pieces)

    return checked


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [*(f"{line}\n" for line in whole), last]
