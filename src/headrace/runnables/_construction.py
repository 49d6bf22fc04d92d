"""How a component is made, in words: its signature, and what was wrong with what it was given.

Pydantic knows both, but the signature only once the validator of a class is built, which waits for
its first instance, and the errors with an address of pydantic's site under each sentence. Nothing
here loads pydantic before something has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, ClassVar, Final

__all__ = ["SIGNATURE", "Readable", "nearest", "readable"]

_ALIKE: Final = 0.6  # of difflib's ratio
_OWN: Final = "Value error, "  # what pydantic writes before a validator's own sentence


def nearest(name: str, known: Iterable[str], alike: float = _ALIKE) -> str | None:
    """The known name that was probably meant; `alike`: from 0 to 1."""
    from difflib import get_close_matches  # slow to import, and nothing is wrong mostly

    return next(iter(get_close_matches(name, list(known), 1, alike)), None)


def readable(error: Any, cls: Any) -> Any:
    """The same of pydantic's errors, with sentences and without addresses; others as they are.

    It is pydantic's `ValidationError` again, which can have no subclass: the places, types and
    inputs are the ones that `error.errors()` had. An unknown name is told with those that there
    are, a validator's sentence stands by itself.
    """
    from pydantic_core import PydanticCustomError, ValidationError

    if not isinstance(error, ValidationError):
        return error
    lines: list[Any] = []
    faults: list[Any] = error.errors(include_url=False)
    for each in faults:
        told: Any = _told(each, cls)
        kind = PydanticCustomError(each["type"], told, each.get("ctx"))
        lines.append({"type": kind, "loc": each["loc"], "input": each["input"]})
    return ValidationError.from_exception_data(error.title, lines)


def _told(each: Any, cls: Any) -> str:
    said = str(each["msg"])
    loc = each["loc"]
    if each["type"] == "extra_forbidden" and len(loc) == 1:
        name = str(loc[0])
        advice = cls._advice.get(name)
        if advice is not None:
            return f"{said}: {advice}"
        known = sorted(str(field.alias or name) for name, field in cls.model_fields.items())
        meant = nearest(name, known)
        hint = f"; did you mean {meant!r}?" if meant else "."
        has = f" Its settings are {', '.join(known)}."
        return f"{said}: {cls.__name__} has no setting {name!r}{hint}{has}"
    return said.removeprefix(_OWN) if each["type"] == "value_error" else said


class _Signature:
    """The signature of a class from its fields, made when it is asked for."""

    def __get__(self, instance: Any, owner: Any) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")  # of an instance it is that of calling it
        first = list(signature(owner.__init__).parameters.values())[1:]
        kept = [each for each in first if each.kind is not Parameter.VAR_KEYWORD]
        if len(kept) == len(first):
            return Signature(kept)
        names = {each.name for each in kept}
        for name, field in owner.model_fields.items():
            called = str(field.alias or name)
            if field.init is not False and called not in names and called.isidentifier():
                kept.append(_parameter(called, field))
        return Signature(kept)


def _parameter(name: str, field: Any) -> Parameter:
    default: Any = Parameter.empty
    if not field.is_required():
        default = field.get_default(call_default_factory=True, validated_data={})
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=field.annotation)


SIGNATURE: Final = _Signature()


class Readable:
    """Of pydantic components, before `BaseModel` in the class line: what is wrong when one is made
    is said in sentences."""

    __slots__ = ()

    # Of names that are no settings, and that people give: what to write instead.
    _advice: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValueError as error:
                raise readable(error, type(self)) from error.__cause__

        __init__.__pydantic_base_init__ = True  # as BaseModel's: validation need not call it
