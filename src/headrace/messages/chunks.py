"""Message chunks, and their sum: associative, and linear however it is written.

`acc = acc + chunk` over N chunks must not copy what has been summed at every step. So a sum holds
the addends' contents in a list that grows: `_pieces`, of which the first `_n` are its own. The
longest sum of a list appends to it in place; a shorter one, added to again, continues on a copy.
Pieces never change: a string, or a copy taken when it was added. The rare fields are held in the
same way, in an `_Unmerged` in `_more`, and merge field by field when one of them is touched.

What makes reading cheap makes a sum special: a plain chunk's `content` is a slot, with no hook to
fill it in on demand. A sum is therefore made as an instance of a hidden subclass of its kind, on
which `content` is a property: reading or setting it fills the slot and turns the object into a
plain chunk (`__class__` is assigned). Test kinds with isinstance.

    kind(...) ---- + ----> unread(kind) ---- content read or set ----> kind
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from headrace.errors import InputError
from headrace.merge import copy_tree
from headrace.messages.base import BaseMessage, is_empty
from headrace.messages.content import Content, merge_contents

__all__ = ["BaseMessageChunk", "message_chunk_to_message"]

_new = object.__new__
_slot: Any = vars(BaseMessage)["content"]
_get_content, _set_content = _slot.__get__, _slot.__set__

# Ids that a library made up for a message yield to a provider's, and an auto id to a run's.
_RUN_ID = ("lc_run-", "run-")
_AUTO_ID = "lc_"


class BaseMessageChunk(BaseMessage):
    """A piece of a message as it streams; pieces add up with `+`.

    A chunk adds to a chunk, or to a list of chunks. The sum has the class of its first addend.
    """

    __slots__ = ()

    _kind: ClassVar[type[BaseMessageChunk]]  # the class itself, of the hidden one what it hides
    _whole: ClassVar[type[BaseMessage]]  # what it is a piece of
    # The hidden subclass; None where a sum is merged at once: kinds with a dict, or an own `+`.
    _unread: ClassVar[type | None] = None
    _same: ClassVar[tuple[str, ...]] = ()  # fields that must agree in the addends of a sum
    _joins: ClassVar[bool] = True  # adding up is joining text, see `flow.compact`

    def __init_subclass__(cls, *, unread: bool = False, lazy: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if unread:
            return
        cls._kind = cls
        messages = [one for one in cls.__mro__ if issubclass(one, BaseMessage)]
        cls._whole = next(one for one in messages if not issubclass(one, BaseMessageChunk))
        lazy = lazy and cls.__dictoffset__ == 0 and cls.__add__ is BaseMessageChunk.__add__
        cls._unread = _unread_kind(cls) if lazy else None

    def __add__(self, other: Any) -> Self:
        kind = self.__class__
        unread = self._unread
        added: type = other.__class__  # in a name of its own: a checker narrows no further
        if unread is None or (added is not kind and added is not unread):
            return self._add_other(other)
        left: Content = self.content
        right: Content = other.content
        if left.__class__ is not str:
            left = copy_tree(left)
        if right.__class__ is not str:
            right = copy_tree(right)
        total: Any = _new(unread)
        total._pieces = [left, right]
        total._n = 2
        return _summed(total, self, other)  # type: ignore[no-any-return]

    def _add_other(self, other: Any) -> Self:
        """Add what is not a chunk of the same kind."""
        if isinstance(other, BaseMessageChunk):
            return self.__headrace_merge__([self, other])
        if isinstance(other, (list, tuple)) and all(
            isinstance(one, BaseMessageChunk) for one in other
        ):
            return self.__headrace_merge__([self, *other])
        return NotImplemented  # type: ignore[no-any-return]

    @classmethod
    def __headrace_merge__(cls, chunks: Sequence[BaseMessageChunk]) -> Self:
        """The sum of one or more chunks, merged at once, of the class of the first."""
        first = chunks[0]
        total: Any = _new(first._kind)
        total.content = merge_contents([chunk.content for chunk in chunks])
        total.id, total.name = first.id, first.name
        pieces: list[dict[str, Any]] = []
        for chunk in chunks:
            if chunk.id is not total.id:
                total.id = _better_id(total.id, chunk.id)
            if total.name is None:
                total.name = chunk.name
            if chunk._more is not None:
                pieces.extend(_pieces_of(chunk, kept=False))
        total._more = total._merged(pieces) or None
        for key, value in getattr(first, "__dict__", {}).items():
            setattr(total, key, value)
        return total  # type: ignore[no-any-return]

    @classmethod
    def _piece(cls, more: dict[str, Any]) -> dict[str, Any]:
        """What a chunk with these rare fields brings to a sum: those that are set."""
        return {
            name: value
            for name, value in more.items()
            if not is_empty(value) and cls._rare[name].merge is not None
        }

    @classmethod
    def _merged(cls, pieces: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The rare fields of a sum, from its addends' pieces."""
        cls._check(pieces)
        columns: dict[str, list[Any]] = {}
        for piece in pieces:
            for name, value in piece.items():
                columns.setdefault(name, []).append(value)
        more = {}
        for name, values in columns.items():
            field = cls._rare.get(name)
            if field is None or field.merge is None:
                continue
            more[name] = field.merge(values)
        return more

    @classmethod
    def _check(cls, pieces: Sequence[dict[str, Any]]) -> None:
        """Raise InputError where pieces are not of one message."""
        for name in cls._same:
            values = {piece[name] for piece in pieces if name in piece}
            if len(values) > 1:
                raise InputError(
                    f"Chunks with different {name} are not one message: {sorted(values)}. "
                    f"Add those of one {name}."
                )

    def _settle(self) -> dict[str, Any]:
        more = self._more
        if more.__class__ is not dict:
            more = self._more = {} if more is None else self._merged(more.pieces[: more.n])
        return more  # type: ignore[no-any-return]

    def _ended(self) -> dict[str, Any]:
        """The rare fields of the whole message, if this is all of it."""
        return self._settle()


class _Unmerged:
    """The rare fields of a sum before they are merged: the first `n` of `pieces`. Immutable."""

    __slots__ = ("n", "pieces")

    def __init__(self, pieces: list[dict[str, Any]], n: int) -> None:
        self.pieces = pieces
        self.n = n


def _grown(pieces: list[Any], n: int, piece: Any) -> list[Any]:
    """A list whose first `n + 1` items are the first `n` of `pieces` and `piece`.

    It is `pieces` itself, one longer, for the sum that ends where the list ends. The item is
    looked at after the append, because another thread may have appended first.
    """
    if len(pieces) == n:
        pieces.append(piece)
        if pieces[n] is piece:
            return pieces
    pieces = pieces[:n]
    pieces.append(piece)
    return pieces


def _pieces_of(chunk: BaseMessageChunk, *, kept: bool) -> list[dict[str, Any]]:
    """The pieces that a chunk's rare fields bring to a sum. `kept`: they are to stay as they are,
    whatever becomes of the chunk; else they are merged at once, which copies them."""
    more = chunk._more
    if more.__class__ is _Unmerged:
        return more.pieces[: more.n]
    piece = chunk._piece(more) if more else None
    return [copy_tree(piece) if kept else piece] if piece else []


def _summed(total: Any, left: BaseMessageChunk, right: BaseMessageChunk) -> Any:
    """Fill in all of a sum but its content."""
    one, two = left.id, right.id
    total.id = one if two is None or two is one else _better_id(one, two)
    total.name = right.name if left.name is None else left.name
    ours, theirs = left._more, right._more
    total._more = None if ours is None and theirs is None else _unmerged(left, right)
    return total


def _unmerged(left: BaseMessageChunk, right: BaseMessageChunk) -> _Unmerged | None:
    """The rare fields of `left + right`."""
    more: _Unmerged | dict[str, Any] | None = left._more
    added = _pieces_of(right, kept=True)
    if not isinstance(more, _Unmerged):
        pieces = _pieces_of(left, kept=True) + added
        more = _Unmerged(pieces, len(pieces)) if pieces else None
    else:
        for piece in added:
            more = _Unmerged(_grown(more.pieces, more.n, piece), more.n + 1)
    if left._same and more is not None:
        for piece in added:  # the pieces so far agree with the first
            left._check([more.pieces[0], piece])
    return more


def _better_id(one: str | None, two: str | None) -> str | None:
    """The id a sum takes: a provider's before one made up for a run, that before any other."""
    if not one or not two:
        return one or two
    return two if _rank(two) > _rank(one) else one


def _rank(id: str) -> int:
    if id.startswith(_RUN_ID):
        return 1
    return 0 if id.startswith(_AUTO_ID) else 2


def _unread_kind(kind: type[BaseMessageChunk]) -> type:
    """The hidden subclass of a kind of chunk whose instances are sums not read yet."""

    def read(self: Any) -> Content:
        pieces = self._pieces
        if pieces is not None:  # else another thread has just read it
            _set_content(self, merge_contents(pieces[: self._n]))
            self.__class__ = kind
            self._pieces = None
        return _get_content(self)  # type: ignore[no-any-return]

    def write(self: Any, content: Content) -> None:
        _set_content(self, content)
        self.__class__ = kind
        self._pieces = None

    def add(self: Any, other: Any) -> Any:
        if other.__class__ is not kind and other.__class__ is not unread:
            return self._add_other(other)
        piece = other.content
        if piece.__class__ is not str:
            piece = copy_tree(piece)
        pieces, n = self._pieces, self._n
        if pieces is None:  # read, by another thread or because `other` is this very sum
            return self + other
        total: Any = _new(unread)
        total._pieces = _grown(pieces, n, piece)
        total._n = n + 1
        return _summed(total, self, other)

    body = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__add__": add,
        "content": property(read, write),
    }
    make: Any = type(kind)
    unread = make(kind.__name__, (kind,), body, unread=True)
    return unread  # type: ignore[no-any-return]


def message_chunk_to_message(chunk: BaseMessage) -> BaseMessage:
    """The whole message of a chunk, of the kind the chunk is a piece of; others as they are."""
    if not isinstance(chunk, BaseMessageChunk):
        return chunk
    kind: Any = chunk._whole
    message: Any = _new(kind)
    message.content = copy_tree(chunk.content)
    message.id, message.name = chunk.id, chunk.name
    message._more = None
    if chunk._more is not None:
        message._more = {
            name: copy_tree(value)
            for name, value in chunk._ended().items()
            if name in kind._rare and not is_empty(value)
        }
    return message  # type: ignore[no-any-return]
