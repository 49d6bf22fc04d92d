"""`RunnableSerializable`: a runnable that users configure, as a pydantic model.

Chat models, prompts, parsers and retrievers derive from it: their fields are validated when they
are made, unknown ones are refused by name. The only file of this floor that loads pydantic. The
validator of a class is built when its first instance is made, so that an import pays for no class
but those that are used.
"""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from .base import Input, Output, Runnable

__all__ = ["RunnableSerializable"]


class RunnableSerializable(BaseModel, Runnable[Input, Output]):
    """Base of configurable components; `name` is what the component is called in events."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    name: str | None = None

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: Any) -> GenericAlias:
            """`Base[A, B]` for a class line, without the model that pydantic would build for it:
            no field depends on these types."""
            return GenericAlias(cls, types)

    def __repr_args__(self) -> Any:
        """Only what was set, so that a repr stays short and shows no default."""
        fields = super().__repr_args__()
        return [(key, value) for key, value in fields if key in self.model_fields_set]


# pydantic keeps a list of type parameters of its own and would miss them in subclasses.
RunnableSerializable.__pydantic_generic_metadata__["parameters"] = ()
