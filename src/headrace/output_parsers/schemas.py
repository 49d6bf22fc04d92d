"""Schemas: what the end of a stream must be, and how its beginnings look.

A *schema* is a pydantic class, a `TypedDict`, a dataclass, any other type that pydantic can
validate (`list[Country]`), or a JSON schema (a dict, also inside a function definition as vendors
take them). `schema_of(given)` makes a `Schema` of it, and keeps the ones it made:

    schema = schema_of(Country)
    schema.name, schema.description     # "Country", its docstring
    schema.json_schema()                # for the model, with `$defs`; refs=False: written out
    schema.validate(value)              # the whole value; raises
    schema.checked(value, text)         # the same; raises OutputParserException with a sentence
    schema.partial(value)               # the all-optional form of what has come, or NOTHING
    schema.growing().partial(snapshot)  # the same for one snapshot after the other, linear
    schema.at("countries[*].name")      # the schema of a place

The all-optional form is in `_partial`, the check by a JSON schema in `json_schema`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation
from pydantic.errors import PydanticUserError as UserError
from typing_extensions import is_typeddict

from ..errors import ConfigError, OutputParserException
from ..json_schema import checker, find, self_contained
from . import _paths
from ._partial import Form, Growing
from ._partial_of import form_of_json, form_of_type
from ._typed_dicts import for_pydantic

__all__ = ["Schema", "schema_of", "sentence"]

_NO_NAME = "output"
_VALUES = (str, bytes, int, float)  # pydantic would take some of them for a type's name


def schema_of(given: Any) -> Schema:
    """The schema that a user gave, in one form; a `Schema` stays as it is.

    Raises:
        ConfigError: neither a type that pydantic can validate nor a JSON schema.
    """
    if isinstance(given, Schema):
        return given
    if isinstance(given, Mapping):
        return JsonSchema(given)
    try:
        hash(given)
    except TypeError:  # an annotation that holds a list, say
        return _type_schema(given)
    return _kept(given)


@lru_cache(maxsize=512)
def _kept(given: Any) -> Schema:
    return _type_schema(given)


def _type_schema(given: Any) -> Schema:
    if is_v1(given):
        return V1Schema(given)
    return TypeSchema(given)


def is_v1(given: Any) -> bool:
    """Whether it is a class of pydantic's first version (looked up without importing that)."""
    return isinstance(given, type) and any(
        base.__module__ == "pydantic.v1.main" and base.__name__ == "BaseModel"
        for base in given.__mro__
    )


def is_class(given: Any) -> TypeGuard[type]:
    """Whether it is a class, and no alias such as `list[int]`."""
    return isinstance(given, type) and get_origin(given) is None


class Schema:
    """See the module. `target`: what the user gave; `name` fits a function's name."""

    target: Any
    name: str
    description: str = ""
    output_type: Any = Any  # what `validate` gives
    _form: Form | None = None

    def json_schema(self, *, refs: bool = True) -> dict[str, Any]:
        """The JSON schema, a new dict; with `refs=False` every `$ref` that can be is written out.

        A class that contains itself keeps its references: there is no end to writing them out.
        """
        schema = self._json()
        return schema if refs else self_contained(schema)

    def validate(self, value: Any) -> Any:
        """The value, as the schema has it: an instance, or the value itself for a JSON schema.

        Raises:
            ValidationError: of pydantic; for a JSON schema OutputParserException.
        """
        raise NotImplementedError

    def checked(self, value: Any, text: str | None = None, *, what: str = "") -> Any:
        """The same for what a model said, `text`; `what` names which part of it, if not all.

        Raises:
            OutputParserException: with the field and the rule that was broken.
        """
        try:
            return self.validate(value)
        except OutputParserException as error:
            reason: Exception = error
        except ValueError as error:  # pydantic's of both versions are
            reason = error
        shown = _short(_as_text(value))
        where = f" for {what}" if what else ""
        raise OutputParserException(
            f"Failed to parse {self.name} from completion {shown}{where}: {sentence(reason)}",
            llm_output=text if text is not None else _as_text(value),
        ) from reason

    def partial(self, value: Any) -> Any:
        """What of `value`, which may end anywhere, fits the all-optional form already.

        A pydantic class gives an instance of a class derived from it, a dataclass likewise: what
        is missing, or does not fit yet, is None, and is not among `model_fields_set`. A TypedDict
        and a JSON schema give dicts without it. No validator, constraint, `__init__` or
        `__post_init__` of the user's is run. Raises nothing.

        Returns:
            `NOTHING` where `value` is another kind of thing.
        """
        return self.growing().partial(value)

    def growing(self) -> Growing:
        """Partial values of one stream; what has closed is made once and shared."""
        if self._form is None:
            self._form = self._make_form()
        return Growing(self._form)

    def at(self, path: str) -> Schema:
        """The schema at a place such as `countries[*]` or `countries[*].name`.

        Raises:
            ConfigError: the path cannot be read, or leads nowhere.
        """
        raise NotImplementedError

    def _json(self) -> dict[str, Any]:
        raise NotImplementedError

    def _make_form(self) -> Form:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"Schema({self.name})"


class TypeSchema(Schema):
    """Of a type that pydantic validates."""

    def __init__(self, target: Any) -> None:
        self.target = self.output_type = target
        self.name = _name_of(target)
        self.description = _description_of(target)
        if target is None or inspect.isroutine(target) or isinstance(target, _VALUES):
            raise _unusable(target)
        self._type = for_pydantic(target)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(self._type)
        except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, UserError) as error:
            raise _unusable(target, error) from error
        self._as_json = _is_strict(self._adapter.core_schema)

    def validate(self, value: Any) -> Any:
        # A strict class takes a date from JSON's string, and refuses it from Python's.
        if self._as_json:
            return self._adapter.validate_json(json.dumps(value))
        return self._adapter.validate_python(value)

    def _json(self) -> dict[str, Any]:
        return self._adapter.json_schema()

    def _make_form(self) -> Form:
        return form_of_type(self._type)

    def at(self, path: str) -> Schema:
        return schema_of(_paths.type_at(self._type, path))


class V1Schema(Schema):
    """Of a class of pydantic's first version. Its partial values are those of its JSON schema."""

    def __init__(self, target: Any) -> None:
        self.target = self.output_type = target
        self.name = _name_of(target)
        self.description = _description_of(target)

    def validate(self, value: Any) -> Any:
        return self.target.parse_obj(value)

    def _json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.target.schema_json())
        return found

    def _make_form(self) -> Form:
        return form_of_json(self._json())

    def at(self, path: str) -> Schema:
        return JsonSchema(_paths.json_at(self._json(), path))


class JsonSchema(Schema):
    """Of a JSON schema, or of a function definition that holds one."""

    def __init__(self, target: Mapping[str, Any]) -> None:
        self.target = target
        named = target.get("function", target) if target.get("type") == "function" else target
        inner = named.get("parameters", named.get("input_schema", named.get("schema")))
        held = inner if isinstance(inner, Mapping) and "name" in named else named
        _refuse_other(held)
        self._check = checker(held)
        self._schema: dict[str, Any] = json.loads(json.dumps(held))
        root, ref = self._schema, self._schema.get("$ref")
        if isinstance(ref, str):  # of a class that contains itself
            root = {**find(root, ref), **root}
        self.name = _safe(str(named.get("name") or root.get("title") or _NO_NAME))
        self.description = str(named.get("description") or root.get("description") or "")

    def validate(self, value: Any) -> Any:
        wrong = self._check(value)
        if wrong is not None:
            raise OutputParserException(wrong)
        return value

    def _json(self) -> dict[str, Any]:
        copied: dict[str, Any] = json.loads(json.dumps(self._schema))
        return copied

    def _make_form(self) -> Form:
        return form_of_json(self._schema)

    def at(self, path: str) -> Schema:
        return JsonSchema(_paths.json_at(self._schema, path))


# ------------------------------------------------------------------------------ names and words

# What may stand in a JSON schema (drafts 4 to 2020-12, OpenAPI's `nullable` and `example`). The
# notes hold a value to nothing.
_NOTES = frozenset(
    {"$schema", "$id", "id", "$anchor", "$comment", "$vocabulary", "title", "description",
     "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "contentEncoding",
     "contentMediaType", "contentSchema", "nullable"}
)  # fmt: skip
_RULES = frozenset(
    {"$ref", "$defs", "definitions", "$dynamicRef", "$dynamicAnchor", "$recursiveRef",
     "$recursiveAnchor", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum",
     "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "format", "items",
     "prefixItems", "additionalItems", "unevaluatedItems", "maxItems", "minItems",
     "uniqueItems", "contains", "maxContains", "minContains", "properties", "patternProperties",
     "propertyNames", "additionalProperties", "unevaluatedProperties", "maxProperties",
     "minProperties", "required", "dependencies", "dependentRequired", "dependentSchemas",
     "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "toolSpec"}
)  # fmt: skip


def _refuse_other(held: Mapping[str, Any]) -> None:
    """Raise for a dict such as `{"name": "string"}`: JSON Schema ignores words that it does not
    know, so the model would be held to nothing. `{}` stays: it says that it allows all."""
    if _RULES.isdisjoint(held) and not _NOTES.issuperset(held):
        fields = {str(key): {"type": "string"} for key in list(held)[:3]}
        meant = json.dumps({"type": "object", "properties": fields, "required": list(fields)})
        raise ConfigError(
            f"{dict(held)!r:.300} is no JSON schema: no key of it says what a value must be. Write "
            f"{meant} with your own types, or give a pydantic class or a TypedDict."
        )


def _unusable(given: Any, error: Exception | None = None) -> ConfigError:
    reason = f" Pydantic says: {str(error).splitlines()[0]}" if error is not None else ""
    return ConfigError(
        f"{given!r} is no schema: give a pydantic class, a TypedDict, a dataclass, a type that "
        f"pydantic can validate (such as list[Country]) or a JSON schema as a dict.{reason}"
    )


def _safe(name: str) -> str:
    """The name in the letters that vendors allow for a function's, 64 at most."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64] or _NO_NAME


def _name_of(target: Any) -> str:
    if is_class(target):
        config = getattr(target, "model_config", None)
        title = config.get("title") if isinstance(config, Mapping) else None
        return _safe(title or target.__name__)
    parts = [get_origin(target), *get_args(target)]
    words = [getattr(part, "__name__", "") for part in parts]
    return _safe("_".join(word for word in words if word) or repr(target))


def _description_of(target: Any) -> str:
    """A class's own docstring; not what dataclasses write, or a base class inherits down."""
    if not is_class(target):
        return ""
    text = target.__dict__.get("__doc__") or ""
    written = dataclasses.is_dataclass(target) and text.startswith(f"{target.__name__}(")
    known = not (issubclass(target, BaseModel) or dataclasses.is_dataclass(target))
    if written or (known and not is_typeddict(target)):
        return ""
    return re.sub(r"\n\s+", "\n", text.strip())


def _is_strict(core: Any) -> bool:
    """Whether some part of a core schema is strict."""
    seen: set[int] = set()
    todo = [core]
    while todo:
        node = todo.pop()
        if not isinstance(node, (Mapping, list, tuple)) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Mapping):
            if node.get("strict") is True:
                return True
            todo.extend(value for key, value in node.items() if key != "metadata")
        else:
            todo.extend(node)
    return False


def sentence(error: Exception) -> str:
    """What is wrong, where: the first three of what pydantic lists."""
    errors: Any = getattr(error, "errors", None)
    if not callable(errors):
        return str(error)
    by_two = isinstance(error, ValidationError)
    listed: Any = errors(include_url=False) if by_two else errors()
    said = [f"{_place(one['loc'])}{one['msg']} ({one['type']})" for one in listed[:3]]
    more = f", and {len(listed) - 3} more" if len(listed) > 3 else ""
    return "; ".join(said) + more + "."


def _place(loc: tuple[Any, ...]) -> str:
    if not loc or loc == ("__root__",):
        return ""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc]
    return f"at {''.join(parts).removeprefix('.')}: "


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
