"""`PydanticOutputParser`: JSON into values of a type, growing while they stream, validated once."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, overload

from ..errors import ConfigError
from ..jsonstream import NOTHING
from ..runnables import schema as data
from . import _paths
from ._annotations import bare_type
from ._elements import Elements, Partials, Reading
from .json import Emit, JsonOutputParser
from .schemas import Schema, TypeSchema, schema_of

__all__ = ["PydanticOutputParser"]

M = TypeVar("M", covariant=True)  # noqa: PLC0105 - as in Runnable


class PydanticOutputParser(JsonOutputParser[M]):
    """JSON in what a model says, as an instance of a schema.

    A *schema* is a pydantic class, a TypedDict, a dataclass, any type that pydantic can validate
    (`list[Country]`), or a JSON schema as a dict, whose values stay plain.

    `invoke` validates the whole value. Streaming, what has come is shown in the all-optional form
    of the schema: instances of a class derived from it, whose fields are None until there is
    something that fits; of a TypedDict and a JSON schema dicts without those keys. The user's
    validators and constraints are for whole values: nothing of them is run on these. The last
    chunk is the validated value.

    `emit="complete"` validates and shows the elements of the list one by one, as they close: those
    of `list[X]`, of the one list among a class's fields, or those at `path`, by the type there.
    The whole value is then validated at the end as well.

    Args:
        pydantic_object: the schema; may be given by position.
        emit, path: as in `JsonOutputParser`; there is no `diff`.

    Raises:
        ConfigError: no schema, a path that leads nowhere, or no path where one is needed.
        OutputParserException: (when used) the answer is no JSON, or not what the schema wants:
            which field broke which rule, and for `complete` in which element.
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            pydantic_object: type[M],
            *,
            emit: Emit = "partial",
            path: str | None = None,
            name: str | None = None,
            callbacks: Any = None,
        ) -> None: ...

        @overload
        def __init__(
            self: PydanticOutputParser[Any],
            pydantic_object: Mapping[str, Any],
            *,
            emit: Emit = "partial",
            path: str | None = None,
            name: str | None = None,
            callbacks: Any = None,
        ) -> None: ...

        def __init__(self, pydantic_object: Any, **settings: Any) -> None: ...
    else:

        def __init__(self, pydantic_object: Any, **settings: Any) -> None:
            super().__init__(pydantic_object, **settings)

    def _check(self) -> None:
        super()._check()
        schema = self._schema()
        if self.diff:
            raise ConfigError(
                "PydanticOutputParser shows instances, which JSON patch cannot change: use "
                "JsonOutputParser(diff=True), or leave diff out."
            )
        if self._complete:
            schema.at(self._place(schema))

    def _schema(self) -> Schema:
        return schema_of(self.pydantic_object)

    def _place(self, schema: Schema) -> str:
        """Where the elements are that `complete` shows."""
        return self.path if self.path is not None else _only_list(schema)

    def _judge(self, value: Any, text: str) -> Any:
        return self._schema().checked(value, text)

    def _so_far(self, value: Any) -> Any:
        found = self._schema().partial(value)
        return None if found is NOTHING else found

    def _reading(self) -> Reading:
        schema = self._schema()
        if not self._complete:
            return Partials(self._judge, self._mode, schema.growing())
        place = self._place(schema)
        element = schema.at(place)

        def check(value: Any, name: str) -> Any:
            return element.checked(value, what=name)

        return Elements(self._judge, place, check)

    def _data(self, side: data.Side, config: Any = None) -> data.Data:
        if side == "output":
            return data.Plain(data.title(self, side), self._schema().output_type)
        return super()._data(side, config)

    @property
    def _type(self) -> str:
        return "pydantic"


def _only_list(schema: Schema) -> str:
    """The path of the elements of a schema's list, where there is one and no doubt which."""
    if isinstance(schema, TypeSchema):
        lists = list(_list_fields(schema))
    else:
        told = schema.json_schema(refs=False)
        named = told.get("properties", {}).items()
        lists = [key for key, each in named if _is_array(each)]
        if _is_array(told):
            return "[*]"
    if lists == [None]:
        return "[*]"
    if len(lists) != 1:
        found = (
            f"has {len(lists)} lists ({', '.join(map(repr, lists))})" if lists else "has no list"
        )
        raise ConfigError(
            f"emit='complete' shows the elements of a list, and {schema.name} {found}: say which "
            "elements with path=, such as path='countries[*]'."
        )
    key = str(lists[0])
    return f"{key}[*]" if key.isidentifier() else f"[{json.dumps(key)}][*]"


def _is_array(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "array"


def _list_fields(schema: TypeSchema) -> list[str | None]:
    """The keys of a type's fields that are lists; [None] for a list itself."""
    kind = bare_type(schema._type)
    if _is_list(kind):
        return [None]
    fields = _paths.fields_of(kind) or {}
    return [key for key, annotation in fields.items() if _is_list(annotation)]


def _is_list(annotation: Any) -> bool:
    kind = bare_type(annotation)
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType):
        return any(_is_list(arm) for arm in get_args(kind))
    return bool(_paths.item_types(origin, get_args(kind)))
