"""The all-optional form of a schema: what of a value that may end anywhere fits already.

A *form* is a tree made once per schema (`_partial_of`). `Growing.partial(value)` walks it beside a
value and keeps what it made: a value that grows has changed at its end only, so of the next one
only what is new or was open is looked at. In a list that is the last element, in a dict the last
member; what does not change keeps its identity, up to the whole value.

What does not fit is left out: a word that may become a member of an enum, a number where a string
will be. In a list its place is kept by None, but for the last one. Where a union has several
classes, the value shows once its keys and tags leave one of them.

Nothing of the user's is run: instances are made without `__init__`, leaves are looked at by
pydantic's own readers of Python's types, stripped of constraints and annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..jsonstream import LONG, NOTHING, LongCopies

__all__ = [
    "Anything",
    "Choice",
    "Form",
    "Growing",
    "Instance",
    "Items",
    "Later",
    "Like",
    "Members",
    "OneOf",
    "Places",
    "Root",
    "Scalar",
    "Text",
]


class Growing:
    """Partial values of one stream."""

    __slots__ = ("_form", "_last")

    def __init__(self, form: Form) -> None:
        self._form = form
        self._last: Grown | None = None

    def partial(self, value: Any, *, again: bool = False, cut: bool = False) -> Any:
        """The partial value for this snapshot; the same object as before where nothing changed.

        cut: its last string may still grow.
        again: look at all of it. To be said where `value` is no growth of the one before: a key
        came again, or it is of another stream.
        """
        self._last = self._form.grow(value, None if again else self._last, cut)
        return self._last.out


class Grown:
    """What came of a value: `out`, `NOTHING` where it does not fit, and what its form keeps."""

    __slots__ = ("kept", "out")

    def __init__(self, out: Any, kept: Any = None) -> None:
        self.out = out
        self.kept = kept


class Form:
    """A form of one kind of value. `grow` takes over `old`, which is not used afterwards.

    cut: the value ends in a string that may still grow, so nothing is made of that but a string.
    """

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        raise NotImplementedError

    def takes(self, value: Any) -> bool:
        """Whether `value`, or what it may grow to, could be of this kind."""
        return self.grow(value, None).out is not NOTHING


# ---- leaves --------------------------------------------------------------------------------------


class Anything(Form):
    """Whatever it is."""

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        return Grown(value)


class Scalar(Form):
    """One that pydantic reads by itself."""

    def __init__(self, kind: Any) -> None:
        self._read = TypeAdapter(kind).validator.validate_python

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        if cut and isinstance(value, str):
            return Grown(NOTHING)
        if old is not None and type(old.kept) is type(value) and old.kept == value:
            return old
        try:
            return Grown(self._read(value), value)
        except ValidationError:
            return Grown(NOTHING, value)


class Text(Form):
    """A string."""

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        return Grown(value if isinstance(value, str) else NOTHING)


class Like(Form):
    """What a JSON schema calls a `boolean`, an `integer` or a `number`; a bool is no number."""

    def __init__(self, name: str) -> None:
        self._name = name

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        if isinstance(value, bool):
            fits = self._name == "boolean"
        else:
            fits = isinstance(value, (int, float)) and (
                self._name == "number" or (self._name == "integer" and value == value // 1)
            )
        return Grown(value if fits else NOTHING)


class Choice(Form):
    """One of some values, given by what JSON has for each: a Literal, an enum, `const`."""

    def __init__(self, choices: Iterable[tuple[Any, Any]]) -> None:
        self._choices = [(type(said), said, value) for said, value in choices]

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        for kind, said, chosen in () if cut and isinstance(value, str) else self._choices:
            if type(value) is kind and value == said:
                return Grown(chosen)
        return Grown(NOTHING)

    def takes(self, value: Any) -> bool:
        if isinstance(value, str):
            return any(
                issubclass(kind, str) and said.startswith(value) for kind, said, _ in self._choices
            )
        return super().takes(value)


# ---- containers ----------------------------------------------------------------------------------


class _Held:
    """Of a container what came of its elements: those that have closed, and the open one."""

    __slots__ = ("closed", "copies", "key", "last", "size")

    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self.copies = LongCopies()
        self.key: Any = None  # in `closed`, of the open one; None in a list
        self.last: Grown | None = None  # what came of that, unless it is left out
        self.size = 0  # of the container, what is left out included

    def choose(self) -> None:
        """To be called before the open element grows: see `LongCopies`."""
        if len(self.closed) >= LONG:
            self.copies.choose()

    def whole(self) -> Any:
        """A list or dict of all that there is, not changed later."""
        closed, key = self.closed, self.key
        end = NOTHING if self.last is None else self.last.out
        if len(closed) >= LONG and (key is None or key not in closed):
            return self.copies.build(closed, key, end)
        copy = closed.copy()
        if end is not NOTHING:
            if key is None:
                copy.append(end)
            else:
                copy[key] = end
        return copy


class Items(Form):
    """A list; `make` makes another kind of it, of all elements each time."""

    def __init__(self, item: Form, make: Any = None) -> None:
        self._item = item
        self._make = make

    def _of(self, index: int) -> Form:
        return self._item

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        if not isinstance(value, list):
            return Grown(NOTHING)
        if old is None or old.kept is None or old.kept.size > len(value):
            old = Grown(NOTHING, _Held([]))
        held: _Held = old.kept
        held.choose()
        same = old.out is not NOTHING
        for index in range(max(held.size - 1, 0), len(value)):
            before = held.last
            if index >= held.size and before is not None:
                # What had nothing to show has its place now that another comes.
                same = same and before.out is not NOTHING
                held.closed.append(None if before.out is NOTHING else before.out)
                before = None
            ends = index == len(value) - 1
            was = _out(before)  # the form takes `before` over
            held.last = self._of(index).grow(value[index], before, cut and ends)
            same = same and held.last.out is was
        held.size = len(value)
        if same:
            return old
        out = held.whole()
        return Grown(out if self._make is None else _made(self._make, out), held)

    def takes(self, value: Any) -> bool:
        return isinstance(value, list)


class Places(Items):
    """A list whose elements are of a kind each."""

    def __init__(self, items: list[Form], rest: Form, make: Any = None) -> None:
        super().__init__(rest, make)
        self._items = items

    def _of(self, index: int) -> Form:
        return self._items[index] if index < len(self._items) else self._item


class Members(Form):
    """A dict; fields by the keys that JSON may have for them, `rest` for other keys."""

    def __init__(self, fields: Mapping[str, tuple[str, Form]], rest: Form | None) -> None:
        self._fields = dict(fields)
        self._rest = rest
        self._tags = [(key, f) for key, (_, f) in self._fields.items() if isinstance(f, Choice)]

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        if not isinstance(value, dict):
            return Grown(NOTHING)
        if old is None or old.kept is None or old.kept.size > len(value):
            old = Grown(NOTHING, _Held({}))
        held: _Held = old.kept
        held.choose()
        changed = old.out is NOTHING
        # What has come since, and the one that was open: the last ones.
        fresh = [*islice(reversed(value), len(value) - held.size + 1)]
        for n, key in enumerate(reversed(fresh)):
            before = held.last
            if n or not held.size:  # the one before has closed
                if before is not None and before.out is not NOTHING:
                    held.closed[held.key] = before.out
                before = None
            held.key, form = self._fields.get(key) or (key, self._rest)
            ends = n == len(fresh) - 1
            held.last = None if form is None else form.grow(value[key], before, cut and ends)
            changed |= _out(held.last) is not _out(before)
        held.size = len(value)
        return Grown(self.make(held.whole()), held) if changed else old

    def make(self, outs: dict[str, Any]) -> Any:
        return outs

    def takes(self, value: Any) -> bool:
        """Whether it knows the keys, and what is there does not contradict a tag."""
        if not isinstance(value, dict):
            return False
        if self._rest is None and not value.keys() <= self._fields.keys():
            return False
        return all(form.takes(value[key]) for key, form in self._tags if key in value)


class Instance(Members):
    """An instance of a class whose fields are all optional; `made` makes it of those there are."""

    def __init__(
        self,
        fields: Mapping[str, tuple[str, Form]],
        rest: Form | None,
        made: Callable[[dict[str, Any]], Any],
    ) -> None:
        super().__init__(fields, rest)
        self._made = made

    def make(self, outs: dict[str, Any]) -> Any:
        return self._made(outs)


# ---- forms of forms ------------------------------------------------------------------------------


class Root(Form):
    """Of a class that stands for the value itself."""

    def __init__(self, inner: Form, made: Any) -> None:
        self._inner = inner
        self._make = made

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        before = None if old is None else old.kept
        was = _out(before)  # the form takes `before` over
        inner = self._inner.grow(value, before, cut)
        if old is not None and inner.out is was:
            return Grown(old.out, inner)
        return Grown(NOTHING if inner.out is NOTHING else self._make({"root": inner.out}), inner)


class OneOf(Form):
    """A union; keeps the form that was chosen, and what that made."""

    def __init__(self, arms: list[Form]) -> None:
        self._arms = arms

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        arm = self._arm(value, cut)
        if arm is None:
            return Grown(NOTHING)
        before = old.kept[1] if old is not None and old.kept and old.kept[0] is arm else None
        grown = arm.grow(value, before, cut)
        return Grown(grown.out, (arm, grown))

    def _arm(self, value: Any, cut: bool) -> Form | None:
        if isinstance(value, (dict, list)):
            fits = [arm for arm in self._arms if arm.takes(value)]
            return fits[0] if len(fits) == 1 else None
        exact = (arm for arm in self._arms if _is(arm.grow(value, None, cut).out, value))
        some = (arm for arm in self._arms if arm.grow(value, None, cut).out is not NOTHING)
        return next(exact, None) or next(some, None)

    def takes(self, value: Any) -> bool:
        return any(arm.takes(value) for arm in self._arms)


class Later(Form):
    """Of a class that contains itself: looked up when it is needed."""

    def __init__(self, made: dict[Any, Form], kind: Any) -> None:
        self._made, self._kind = made, kind

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        return self._made[self._kind].grow(value, old, cut)

    def takes(self, value: Any) -> bool:
        return self._made[self._kind].takes(value)


def _out(grown: Grown | None) -> Any:
    return NOTHING if grown is None else grown.out


def _is(out: Any, value: Any) -> bool:
    return type(out) is type(value) and out == value


def _made(make: Any, outs: list[Any]) -> Any:
    try:
        return make(outs)
    except TypeError:  # a set of what cannot be in one yet
        return make(out for out in outs if isinstance(out, Hashable))
