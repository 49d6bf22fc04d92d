"""Which keywords a call of a chat model may have: a misspelled one would go to the server, which
may ignore it, so that nobody learns of it.

A call knows the parameters of requests that its class has fields for, under all their names; what
every chat model is told (`tools`, …); and what the SDK documents for its own calls, which is read
from its signatures at the first keyword that is none of the others. What a server knows beyond
that goes into `extra_body`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from importlib import import_module
from typing import Any, Final, NamedTuple

from pydantic import AliasChoices

from headrace.errors import ConfigError
from headrace.runnables._construction import nearest

__all__ = ["heard", "load_words", "words_are_loaded"]

COMMON: Final = frozenset(
    {"model", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stream",
     "stream_usage", "extra_body"}
)  # fmt: skip
"""Keywords of the calls of all chat models."""

_SAID: Final[dict[tuple[str, ...], frozenset[str]]] = {}  # what SDKs document, by where it stands


class _Words(NamedTuple):
    """Of one class. own: keywords that need no SDK; fields: names of fields, by all their names."""

    own: frozenset[str]
    fields: Mapping[str, str]


@lru_cache(maxsize=64)
def _words(cls: Any) -> _Words:
    fields: dict[str, str] = {}
    for name, field in cls.model_fields.items():
        alias = field.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else ()
        fields |= {str(each): name for each in (name, *others)}
    return _Words(COMMON | {*cls._settable, *cls._more_words}, fields)


def words_are_loaded(cls: Any, given: Iterable[str]) -> bool:
    """Whether these keywords can be judged without importing the SDK."""
    return cls._sdk_calls in _SAID or _words(cls).own.issuperset(given)


def load_words(cls: Any) -> frozenset[str]:
    """What the SDK documents for calls of this class; imports it."""
    if cls._sdk_calls not in _SAID:
        _SAID[cls._sdk_calls] = frozenset(n for path in cls._sdk_calls for n in _documented(path))
    return _SAID[cls._sdk_calls]


def _documented(path: str) -> Iterable[str]:
    """The names of a function's parameters, or of a pydantic class's fields; of "module:A.b"."""
    module, _, names = path.partition(":")
    found: Any = reduce(getattr, names.split("."), import_module(module))
    fields: Mapping[str, Any] | None = getattr(found, "model_fields", None)
    if fields is not None:
        return [name for key, field in fields.items() for name in (key, field.alias) if name]
    return [name for name in inspect.signature(found).parameters if name != "self"]


def heard(cls: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a call, those that are other names of a field by its own.

    Raises:
        ConfigError: a keyword that is not known, or that is no call's affair.
    """
    own, fields = _words(cls)
    if own.issuperset(given):
        return given
    documented = load_words(cls)
    made: dict[str, Any] = {}
    for name, value in given.items():
        known = name in own or name in documented
        called = name if known else fields.get(name, name)
        if not known and called not in own:
            raise ConfigError(_refused(cls, name, fields, own | documented))
        made[called] = value
    return made


def _refused(cls: Any, name: str, fields: Mapping[str, str], known: frozenset[str]) -> str:
    if name in fields:
        return (
            f"{name!r} is a setting of {cls.__name__}, and not of a call: write "
            f"{cls.__name__}({fields[name]}=…), where the model is made."
        )
    meant = nearest(name, sorted(known))
    hint = f"; did you mean {meant!r}?" if meant else "."
    return (
        f"A call of {cls.__name__} has no keyword {name!r}{hint} What only the server knows goes "
        f"into extra_body={{{name!r}: …}}, of the call or, as model_kwargs=…, of the model."
    )
