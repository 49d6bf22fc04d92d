"""Any schema as the arguments of a function, which are an object: other values go into one.

    as_function(list[Line])     # {"name": "list_Line", "parameters": {… "value": {…} …}}
    parser_of(list[Line])       # reads {"value": [{…}, …]}, and gives [Line(…), …]

A schema of an object is bound and read as it is. The rest (lists, unions, enums, numbers) stand
under the key `VALUE`, and are shown without it, while they grow as at the end. Source: the API
references of OpenAI and Anthropic, where the parameters of a tool are a schema of type "object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import OutputParserException
from ..json_schema import find
from ..jsonstream import NOTHING
from ._partial import Form, Grown
from .pydantic import PydanticOutputParser
from .schemas import Schema, is_class, schema_of

__all__ = ["VALUE", "as_function", "is_object", "parser_of"]

VALUE = "value"

_NAMED = ("title", "name", "function", "toolSpec")  # keys under which a dict has a tool's name
_DEFINITIONS = ("$defs", "definitions")


def as_function(given: Any) -> Any:
    """What `bind_tools` takes of a schema: itself where it describes a function, else the
    description of one, whose name is the schema's.

    Raises:
        ConfigError: it is no schema.
    """
    schema = schema_of(given)
    if is_object(schema):
        named = any(key in given for key in _NAMED) if isinstance(given, Mapping) else False
        if named or is_class(given):
            return given
    else:
        schema = _InObject(schema)
    said = {"name": schema.name, "parameters": schema.json_schema(refs=False)}
    return {**said, "description": schema.description} if schema.description else said


def parser_of(given: Any, *, calls: bool) -> PydanticOutputParser[Any]:
    """What reads the answer of a model that was told of a schema. calls: by tool calls."""
    kind: Any = PydanticOutputParser
    if calls and not is_object(schema_of(given)):
        kind = _OfArguments
    return kind(pydantic_object=given, emit="delimited")  # type: ignore[no-any-return]


def is_object(schema: Schema) -> bool:
    """Whether its values are objects of JSON, for certain."""
    if isinstance(schema.target, Mapping) and "toolSpec" in schema.target:
        return True
    told = schema.json_schema()
    ref = told.get("$ref")
    if isinstance(ref, str):  # a class that contains itself
        told = {**find(told, ref), **told}
    return told.get("type") == "object" or "properties" in told


class _OfArguments(PydanticOutputParser[Any]):
    """Reads the value out of the object that it stands in."""

    def _schema(self) -> Schema:
        return _InObject(super()._schema())

    def _kind_name(self) -> str:
        return PydanticOutputParser.__name__


class _InObject(Schema):
    """The schema of an object that holds a value; the values that it gives are those inside."""

    def __init__(self, inner: Schema) -> None:
        self.target = inner.target
        self.name = inner.name
        self.description = inner.description
        self.output_type = inner.output_type
        self._inner = inner

    def validate(self, value: Any) -> Any:
        if not isinstance(value, Mapping) or VALUE not in value:
            raise OutputParserException(
                f"the arguments are to be an object with the answer under {VALUE!r}."
            )
        return self._inner.validate(value[VALUE])

    def at(self, path: str) -> Schema:
        return self._inner.at(path)

    def _json(self) -> dict[str, Any]:
        inner = self._inner.json_schema(refs=False)
        kept = {key: inner.pop(key) for key in _DEFINITIONS if key in inner}
        return {"type": "object", "properties": {VALUE: inner}, "required": [VALUE], **kept}

    def _make_form(self) -> Form:
        return _Inside(self._inner.growing()._form)


class _Inside(Form):
    """Of an object, the form of the value in it."""

    def __init__(self, inner: Form) -> None:
        self._inner = inner

    def grow(self, value: Any, old: Grown | None, cut: bool = False) -> Grown:
        if not isinstance(value, Mapping) or VALUE not in value:
            return Grown(NOTHING)
        grown = self._inner.grow(value[VALUE], old.kept if old is not None else None, cut)
        return Grown(grown.out, grown)
