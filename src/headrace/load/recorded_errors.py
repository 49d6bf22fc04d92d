"""Exceptions in JSON: class, arguments, notes, attributes, text, cause; no traceback.

Builtin exceptions and Headrace's own come back as the same classes, others where the reader has
named their module; the rest as `RecordedError`, which is written again as what it was read from.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import HeadraceError
from .foreign import Allowed, class_path, found_class, shown

__all__ = ["RecordedError", "error_facts", "error_made"]

# Where Headrace and the standard library define what a chain commonly raises; nothing else is
# imported because a file says so.
_KNOWN = frozenset({
    "asyncio.exceptions", "json.decoder", "headrace.errors", "headrace.callbacks.arguments",
    "headrace.language_models.fake", "headrace.record.errors", "headrace.load.recorded_errors",
})  # fmt: skip


class RecordedError(HeadraceError):
    """Stands for an exception of a class that is not brought back.

    `str()` is the text of the recorded one, `type` its class as `package.module:Name`, `args` its
    arguments. To have the class itself, name its module in `allow` when you read the recording.
    """

    def __init__(self, text: str, type: str = "", args: tuple[Any, ...] = ()) -> None:
        super().__init__(*args)
        self.text = text
        self.type = type

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordedError, (self.text, self.type, self.args), dict(vars(self))


def error_facts(error: BaseException) -> dict[str, Any]:
    """What is kept of an exception; values as they are."""
    kind = type(error)
    state = {key: value for key, value in vars(error).items() if key != "__notes__"}
    args: tuple[Any, ...] = error.args
    if kind.__module__ == "builtins":  # what their constructors take: a file's name, positions
        made: Any = error.__reduce__()
        args = made[1]
        if len(made) > 2 and made[2]:
            state = {key: value for key, value in made[2].items() if key != "__notes__"}
    path = class_path(kind)
    if isinstance(error, RecordedError):
        path, text = error.type, state.pop("text")
        del state["type"]
    else:
        text = _text(error)
    facts = {"class": path, "args": list(args), "text": text}
    rest = {"notes": list(getattr(error, "__notes__", ())), "state": state,
            "cause": error.__cause__}  # fmt: skip
    return facts | {name: value for name, value in rest.items() if value}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a broken __str__ must not hide what happened
        return shown(error)


def error_made(facts: Mapping[str, Any], allow: Allowed) -> BaseException:
    """The exception that was described."""
    path, args = facts["class"], tuple(facts["args"])
    kind = _kind(path, allow)
    error = None if kind is None else _built(kind, args)
    if error is None:
        error = RecordedError(facts["text"], path, args)
    for name, value in facts.get("state", {}).items():
        if not name.startswith("__"):  # attributes, not what Python keeps there
            setattr(error, name, value)
    for note in facts.get("notes", ()):
        error.add_note(note)
    error.__cause__ = facts.get("cause")
    return error


def _kind(path: str, allow: Allowed) -> Any:
    module, _, name = path.partition(":")
    if module == "builtins":
        kind = getattr(builtins, name, None)
    elif module in _KNOWN:
        kind = getattr(import_module(module), name, None)
    else:
        kind = found_class(path, allow)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


def _built(kind: Any, args: tuple[Any, ...]) -> BaseException | None:
    """Builtins are called; of others no `__init__` runs, which may want other arguments."""
    try:
        if kind.__module__ == "builtins":
            return kind(*args)  # type: ignore[no-any-return]
        error = _blank(kind, args)
        error.args = args
    except (TypeError, ValueError):  # not what its class takes
        return None
    return error


def _blank(kind: Any, args: tuple[Any, ...]) -> BaseException:
    """An instance without its `__init__`. Of several builtins that a class derives from, one lays
    out its memory (`OSError` and its kind, mostly), and no other may make it."""
    made: BaseException
    for base in kind.__mro__:
        if base is kind or base.__module__ == "builtins":
            try:
                made = base.__new__(kind, *args)
            except TypeError as error:
                if "is not safe" not in str(error):
                    raise
            else:
                return made
    raise TypeError(f"{kind.__name__} cannot be made")
