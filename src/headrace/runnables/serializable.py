"""`RunnableSerializable`: a runnable that users configure, as a pydantic model.

Chat models, prompts, parsers and retrievers derive from it: their fields are validated when they
are made, unknown ones are refused by name. The only file of this floor that loads pydantic.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from .base import Input, Output, Runnable

__all__ = ["RunnableSerializable"]


class RunnableSerializable(BaseModel, Runnable[Input, Output]):
    """Base of configurable components; `name` is what the component is called in events."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, protected_namespaces=()
    )

    name: str | None = None

    def __repr_args__(self) -> Any:
        """Only what was set, so that a repr stays short and shows no default."""
        fields = super().__repr_args__()
        return [(key, value) for key, value in fields if key in self.model_fields_set]
