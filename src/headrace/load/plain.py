"""Values as JSON and back: `put` makes what `json.dumps` takes, `take` the value again.

What JSON knows stays as it is: None, booleans, integers of 64 bits, finite floats, strings, lists,
dicts with string keys. Everything else is an object with the key `$`, which says what it is:

    {"$": "bytes", "base64": "AP8="}                {"$": "tuple", "items": [1, 2]}
    {"$": "AIMessageChunk", "content": "Hi", "id": "run-…"}
    {"$": "object", "class": "app:Color", "form": "enum", "data": {…}}

A dict that has the key `$` itself, or keys that are no strings, is
`{"$": "dict", "items": [[key, value], …]}`. Subclasses of builtin types are written as these.
Messages and Headrace's other values that users have subclassed come back as the Headrace class they
derive from, unless their module is allowed. Circles, and what is nested more than 100 deep, become
`Opaque`.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from .. import actions, messages, outputs, prompt_values
from ..documents import Document
from ..errors import InputError
from ..events import Reset
from ..messages import BaseMessage
from ..values import Value
from .foreign import Allowed, Opaque, class_path, described, found_class, revived, shown
from .recorded_errors import error_facts, error_made

__all__ = ["MESSAGES", "VALUES", "WRITERS", "Reader", "Writer"]

_DEEPEST = 100
_PAIR = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")  # JSON would read one character
_new = object.__new__


def _own(module: Any, base: type) -> dict[str, Any]:
    here = vars(module)  # names that the module only passes on, when asked, are none of these
    named = {name: here[name] for name in module.__all__ if name in here}
    return {
        n: kind for n, kind in named.items() if isinstance(kind, type) and issubclass(kind, base)
    }


MESSAGES: Mapping[str, Any] = {
    **_own(messages, BaseMessage),
}
VALUES: Mapping[str, Any] = {
    **_own(outputs, Value),
    **_own(prompt_values, Value),
    **_own(actions, Value),
    "Document": Document,
    "Reset": Reset,
}


class Writer:
    """Makes one value, or several that belong together, into what JSON knows."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside: list[int] = []  # the ids of the containers around what is being written

    def put(self, value: Any) -> Any:
        kind = type(value)
        if kind is str and value.isascii():
            return value
        write = WRITERS.get(kind)
        if write is None:
            return self._put_other(value, kind)
        if kind in _SCALARS or (kind is Opaque and not value.form):
            return write(value, self)
        return self._nested(value, write)

    def _nested(self, value: Any, write: Callable[[Any, Writer], Any]) -> Any:
        inside, mark = self._inside, id(value)
        if mark in inside or len(inside) >= _DEEPEST:
            what = "a circle" if mark in inside else f"more than {_DEEPEST} deep"
            return self.put_opaque(Opaque(class_path(type(value)), f"<{what}>"))
        inside.append(mark)
        try:
            return write(value, self)
        finally:
            inside.pop()

    def _put_other(self, value: Any, kind: type) -> Any:
        depth = len(self._inside)
        try:
            return self._put_by_family(value, kind)
        except Exception:  # code of the user's class ran and failed: its repr says what it was
            del self._inside[depth:]
            return self.put_opaque(Opaque(class_path(kind), shown(value)))

    def _put_by_family(self, value: Any, kind: type) -> Any:
        if isinstance(value, BaseException):
            return self._nested(value, _put_error)
        for own, write in ((BaseMessage, _put_message), (Value, _put_value)):
            if isinstance(value, own):
                return self._nested(value, write)
        about = described(value)
        if about is not None:
            return self._nested(value, lambda _, writer: writer.put_opaque(about))
        for base in kind.__mro__[1:-1]:
            if base in WRITERS:  # a subclass of a builtin type
                return self._nested(value, WRITERS[base])
        return self.put_opaque(Opaque(class_path(kind), shown(value)))

    def put_opaque(self, value: Opaque) -> Any:
        told: dict[str, Any] = {"$": "object", "class": self.put(value.type)}
        if value.form:
            return {**told, "form": value.form, "data": self.put(value.data)}
        return {**told, "repr": self.put(value.repr)}

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        put = self.put
        return {name: put(value) for name, value in fields.items()}


class Reader:
    """Makes values of what a `Writer` wrote.

    Args:
        allow: the modules whose classes may be imported and instantiated.
    """

    __slots__ = ("allow",)

    def __init__(self, allow: Allowed = ()) -> None:
        self.allow = allow

    def take(self, told: Any) -> Any:
        kind = type(told)
        if kind is dict:
            if "$" not in told:
                return {key: self.take(value) for key, value in told.items()}
            what = told["$"]
            read = _READERS.get(what) if isinstance(what, str) else None
            if read is None:
                raise InputError(
                    f"A recorded value says it is {what!r}, which this version of Headrace does "
                    "not know: read it with the version that wrote it."
                )
            return read(told, self)
        if kind is list:
            return [self.take(item) for item in told]
        return told

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.take(value) for name, value in fields.items()}

    def hashable(self, told: Any) -> Any:
        """A key of a dict or an item of a set: what cannot be one any more is described."""
        value = self.take(told)
        try:
            hash(value)
        except TypeError:
            return Opaque(class_path(type(value)), shown(value))
        return value


# ------------------------------------------------------------------ builtin types


def _put_str(value: Any, writer: Writer) -> Any:
    value = str.__str__(value)
    parts = _PAIR.split(value)
    return value if len(parts) == 1 else {"$": "str", "parts": parts}


def _put_int(value: Any, writer: Writer) -> Any:
    number = int(value)
    return number if -(2**63) <= number < 2**63 else {"$": "int", "hex": hex(number)}


def _put_float(value: Any, writer: Writer) -> Any:
    number = float(value)
    if number - number == 0.0:  # neither infinite nor NaN
        return number
    return {"$": "float", "value": repr(number)}


def _put_list(value: Any, writer: Writer) -> Any:
    put = writer.put
    return [put(item) for item in list.__iter__(value)]


def _put_dict(value: Any, writer: Writer) -> Any:
    put = writer.put
    items = list(dict.items(value))
    if all(type(key) is str and key != "$" and (key.isascii() or not _PAIR.search(key))
           for key, _ in items):  # fmt: skip
        return {key: put(item) for key, item in items}
    return {"$": "dict", "items": [[put(key), put(item)] for key, item in items]}


def _items(name: str) -> Callable[[Any, Writer], Any]:
    def write(value: Iterable[Any], writer: Writer) -> Any:
        return {"$": name, "items": [writer.put(item) for item in value]}

    return write


def _sorted_items(name: str) -> Callable[[Any, Writer], Any]:
    """In an order that does not depend on hashes: equal sets are written alike."""

    def write(value: Iterable[Any], writer: Writer) -> Any:
        items = [writer.put(item) for item in value]
        return {"$": name, "items": sorted(items, key=json.dumps)}

    return write


def _base64(name: str) -> Callable[[Any, Writer], Any]:
    return lambda value, writer: {"$": name, "base64": b64encode(value).decode()}


def _text(name: str) -> Callable[[Any, Writer], Any]:
    return lambda value, writer: {"$": name, "text": str(value)}


def _put_datetime(value: Any, writer: Writer) -> Any:
    told: dict[str, Any] = {"$": type(value).__name__, "text": value.isoformat()}
    if value.fold:
        told["fold"] = 1
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key is not None:
        told |= {"text": value.replace(tzinfo=None).isoformat(), "zone": zone.key}
    return told


def _take_datetime(kind: Any) -> Callable[[Any, Reader], Any]:
    def read(told: Any, reader: Reader) -> Any:
        value = kind.fromisoformat(told["text"]).replace(fold=told.get("fold", 0))
        return value.replace(tzinfo=ZoneInfo(told["zone"])) if "zone" in told else value

    return read


def _put_timedelta(value: timedelta, writer: Writer) -> Any:
    return {"$": "timedelta", "items": [value.days, value.seconds, value.microseconds]}


def _same(value: Any, writer: Writer) -> Any:
    return value


# ------------------------------------------------------------------ Headrace's values


def _put_message(value: BaseMessage, writer: Writer) -> Any:
    kind, content, ident, name, more, extra = value.__reduce__()[1]
    told = {**_named(kind, MESSAGES), "content": writer.put(content)}
    if ident is not None:
        told["id"] = writer.put(ident)
    if name is not None:
        told["name"] = writer.put(name)
    for key, item in more.items():
        told[key] = writer.put(item)
    if extra:
        told["$extra"] = writer.put(extra)
    return told


def _take_message(told: Any, reader: Reader) -> Any:
    fields = {key: item for key, item in told.items() if key[0] != "$"}
    kind = _kind(told, MESSAGES[told["$"]], reader)
    message = _new(kind)
    message.content = reader.take(fields.pop("content"))
    message.id = reader.take(fields.pop("id", None))
    message.name = reader.take(fields.pop("name", None))
    more = {key: reader.take(item) for key, item in fields.items() if key in kind._rare}
    message._more = more or None
    _set_extra(message, told, kind, reader)
    return message


def _put_value(value: Value, writer: Writer) -> Any:
    extra, fields = value.__getstate__()
    told = {**_named(type(value), VALUES), **writer.fields(fields)}
    if extra:
        told["$extra"] = writer.put(extra)
    return told


def _take_value(told: Any, reader: Reader) -> Any:
    kind = _kind(told, VALUES[told["$"]], reader)
    made = _new(kind)
    for name in kind._shown:
        setattr(made, name, reader.take(told.get(name)))
    _set_extra(made, told, kind, reader)
    return made


def _named(kind: type, own: Mapping[str, Any]) -> dict[str, Any]:
    """Which of Headrace's classes it is; and which it really is, where that is a user's."""
    name = kind.__name__
    if own.get(name) is kind:
        return {"$": name}
    base = next((b.__name__ for b in kind.__mro__ if own.get(b.__name__) is b), None)
    return {"$": base or "Value", "$class": class_path(kind)}


def _kind(told: Any, own: Any, reader: Reader) -> Any:
    path = told.get("$class")
    found = None if path is None else found_class(path, reader.allow)
    return found if found is not None and issubclass(found, own) else own


def _set_extra(made: Any, told: Any, kind: type, reader: Reader) -> None:
    if "$extra" in told and hasattr(made, "__dict__"):
        made.__dict__.update(reader.take(told["$extra"]))


# ------------------------------------------------------------------ exceptions, foreign objects


def _put_error(value: Any, writer: Writer) -> Any:
    return {"$": "error", **writer.fields(error_facts(value))}


def _take_error(told: Any, reader: Reader) -> Any:
    return error_made(reader.fields({k: v for k, v in told.items() if k != "$"}), reader.allow)


def _take_object(told: Any, reader: Reader) -> Any:
    value = Opaque(
        reader.take(told["class"]), reader.take(told.get("repr", "")),
        told.get("form", ""), reader.take(told.get("data")),
    )  # fmt: skip
    return revived(value, reader.allow)


# ------------------------------------------------------------------ the tables

_SCALARS = frozenset({
    str, bool, int, float, complex, type(None), bytes, bytearray, datetime, date, time, timedelta,
    UUID, Decimal,
})  # fmt: skip

WRITERS: dict[type, Callable[[Any, Writer], Any]] = {
    type(None): _same,
    bool: _same,
    int: _put_int,
    float: _put_float,
    str: _put_str,
    complex: lambda value, writer: {
        "$": "complex", "items": [writer.put(value.real), writer.put(value.imag)],
    },
    list: _put_list,
    dict: _put_dict,
    tuple: _items("tuple"),
    set: _sorted_items("set"),
    frozenset: _sorted_items("frozenset"),
    bytes: _base64("bytes"),
    bytearray: _base64("bytearray"),
    datetime: _put_datetime,
    time: _put_datetime,
    date: _text("date"),
    timedelta: _put_timedelta,
    UUID: _text("UUID"),
    Decimal: _text("Decimal"),
    Opaque: lambda value, writer: writer.put_opaque(value),
    **dict.fromkeys(MESSAGES.values(), _put_message),
    **dict.fromkeys(VALUES.values(), _put_value),
}  # fmt: skip

_READERS: dict[str, Callable[[Any, Reader], Any]] = {
    "str": lambda told, reader: "".join(told["parts"]),
    "int": lambda told, reader: int(told["hex"], 16),
    "float": lambda told, reader: float(told["value"]),
    "complex": lambda told, reader: complex(*reader.take(told["items"])),
    "dict": lambda told, reader: {reader.hashable(k): reader.take(v) for k, v in told["items"]},
    "tuple": lambda told, reader: tuple(reader.take(told["items"])),
    "set": lambda told, reader: {reader.hashable(item) for item in told["items"]},
    "frozenset": lambda told, reader: frozenset(reader.hashable(x) for x in told["items"]),
    "bytes": lambda told, reader: b64decode(told["base64"], validate=True),
    "bytearray": lambda told, reader: bytearray(b64decode(told["base64"], validate=True)),
    "datetime": _take_datetime(datetime),
    "time": _take_datetime(time),
    "date": lambda told, reader: date.fromisoformat(told["text"]),
    "timedelta": lambda told, reader: timedelta(*told["items"]),
    "UUID": lambda told, reader: UUID(told["text"]),
    "Decimal": lambda told, reader: Decimal(told["text"]),
    "error": _take_error,
    "object": _take_object,
    **dict.fromkeys(MESSAGES, _take_message),
    **dict.fromkeys(VALUES, _take_value),
}
