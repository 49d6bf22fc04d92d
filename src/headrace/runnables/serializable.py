"""`RunnableSerializable`: a runnable that users configure, as a pydantic model.

Chat models, prompts, parsers and retrievers derive from it: their fields are validated when they
are made, unknown ones are refused by name. The only file of this floor that loads pydantic. The
validator of a class is built when its first instance is made, so that an import pays for no class
but those that are used.
"""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.fields import FieldInfo

from ..config import check_handlers
from ._construction import SIGNATURE, Readable
from ._repr import called
from .base import Input, Output, Runnable

__all__ = ["RunnableSerializable"]


class RunnableSerializable(Readable, BaseModel, Runnable[Input, Output]):
    """Base of configurable components.

    Args:
        name: what the component is called in events.
        callbacks: handlers (a list or a manager) of the component's own runs and those below.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    name: str | None = None
    callbacks: Any = Field(default=None, exclude=True, repr=False)

    @field_validator("callbacks")
    @classmethod
    def _are_handlers(cls, callbacks: Any) -> Any:
        check_handlers(callbacks, f"{cls.__name__}(callbacks=…)")
        return callbacks

    @property
    def _own_callbacks(self) -> Any:
        return self.callbacks

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not TYPE_CHECKING:
            cls.__signature__ = SIGNATURE  # until pydantic has built the class, and its own

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: Any) -> GenericAlias:
            """`Base[A, B]` for a class line, without the model that pydantic would build for it:
            no field depends on these types."""
            return GenericAlias(cls, types)

    def __repr__(self) -> str:
        fields = list(self.__repr_args__())
        unnamed = [value for key, value in fields if key is None]
        return called(type(self).__name__, *unnamed, **{k: v for k, v in fields if k is not None})

    def __repr_args__(self) -> Any:
        """Only what differs from its default, however it came to be, so that a repr stays short."""
        known = type(self).model_fields
        return [
            (key, value)
            for key, value in super().__repr_args__()
            if key not in known or not _is_default(known[key], value)
        ]


def _is_default(field: FieldInfo, value: Any) -> bool:
    if field.is_required():
        return False
    usual = field.get_default(call_default_factory=True, validated_data={})
    return value is usual or (type(value) is type(usual) and bool(value == usual))


# pydantic keeps a list of type parameters of its own and would miss them in subclasses.
RunnableSerializable.__pydantic_generic_metadata__["parameters"] = ()
