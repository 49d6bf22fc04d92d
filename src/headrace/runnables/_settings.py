"""What of a runnable can be set per call, as data: the fields, their specs, and their schema.

`ConfigurableField` and its two kin say what a caller may set and under which key of
`config["configurable"]`; a `ConfigurableFieldSpec` is what a runnable tells of such a key. pydantic
is imported only where a schema is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias, get_type_hints

from ..config import ConfigurableFieldSpec, RunnableConfig
from ..errors import ConfigError
from . import schema


class ConfigurableField(NamedTuple):
    """A field that takes the value found under `id`; the rest is for the schema.

    `is_shared`: the key keeps its name inside alternatives that prefix theirs.
    """

    id: str
    name: str | None = None
    description: str | None = None
    annotation: Any = None
    is_shared: bool = False

    def __hash__(self) -> int:
        return hash((self.id, self.annotation))


class ConfigurableFieldSingleOption(NamedTuple):
    """A field that takes one of `options`, chosen by its key; `default` is the key if none is."""

    id: str
    options: Mapping[str, Any]
    default: str
    name: str | None = None
    description: str | None = None
    is_shared: bool = False

    def __hash__(self) -> int:
        return hash((self.id, tuple(self.options), self.default))


class ConfigurableFieldMultiOption(NamedTuple):
    """A field that takes a list of `options`, chosen by their keys."""

    id: str
    options: Mapping[str, Any]
    default: Sequence[str]
    name: str | None = None
    description: str | None = None
    is_shared: bool = False

    def __hash__(self) -> int:
        return hash((self.id, tuple(self.options), tuple(self.default)))


AnyConfigurableField: TypeAlias = (
    ConfigurableField | ConfigurableFieldSingleOption | ConfigurableFieldMultiOption
)


# ------------------------------------------------------------------ specs


@lru_cache(maxsize=256, typed=True)
def _choice(title: str, keys: tuple[Any, ...]) -> Any:
    """The type of a choice: an enum, one class for equal choices, so that specs of the same choice
    are equal; a Literal where an enum cannot have these members."""
    if all(isinstance(key, str) for key in keys):
        try:
            made = StrEnum(title, [(key, key) for key in keys])  # type: ignore[misc]
        except ValueError:  # "mro", "_x_"
            return Literal[keys]
        if [*made] == [*keys]:  # "__x__" is no member
            return made
    return Literal[keys]


def choice_spec(
    field: Any, keys: Iterable[str], default: Any, *, several: bool = False, about: Any = None
) -> ConfigurableFieldSpec:
    """The spec of a key whose value is one of `keys` (with `several`: a list of them)."""
    kind: Any = _choice(field.name or field.id, tuple(keys))
    return ConfigurableFieldSpec(
        id=field.id,
        annotation=Sequence[kind] if several else kind,
        name=field.name,
        description=field.description or about,
        default=default,
        is_shared=field.is_shared,
    )


def field_spec(
    field: AnyConfigurableField, default: Any, annotation: Any, about: str | None
) -> ConfigurableFieldSpec:
    """The spec of a field that now holds `default`; `annotation` and `about` are the field's own,
    where the caller's field does not say."""
    if isinstance(field, ConfigurableField):
        return ConfigurableFieldSpec(
            id=field.id,
            annotation=field.annotation or annotation,
            name=field.name,
            description=field.description or about,
            default=default,
            is_shared=field.is_shared,
        )
    several = isinstance(field, ConfigurableFieldMultiOption)
    return choice_spec(field, field.options, field.default, several=several, about=about)


def prefixed(spec: ConfigurableFieldSpec, prefix: str) -> ConfigurableFieldSpec:
    """The spec under a key of its own, unless it is shared."""
    return spec if spec.is_shared else spec._replace(id=f"{prefix}/{spec.id}")


def unique_specs(specs: Iterable[ConfigurableFieldSpec]) -> list[ConfigurableFieldSpec]:
    """Each spec once, by id. Raises ConfigError where one id means two things."""
    found: dict[str, ConfigurableFieldSpec] = {}
    for spec in specs:
        first = found.setdefault(spec.id, spec)
        if first != spec:
            raise ConfigError(
                f"The configurable key {spec.id!r} means two things in one chain, {first} and "
                f"{spec}: give one of them another id, or both the same name, description, type "
                "and default."
            )
    return [found[key] for key in sorted(found)]


# ------------------------------------------------------------------ schemas


def config_model(
    title: str, specs: Sequence[ConfigurableFieldSpec], include: Sequence[str] | None
) -> Any:
    """A pydantic model of the config: `configurable` with a field for each spec, if there are any,
    and those fields of `RunnableConfig` that are listed in `include`."""
    from pydantic import Field

    fields: dict[str, tuple[Any, Any]] = {}
    if specs:
        inside = {
            spec.id: (
                spec.annotation,
                Field(spec.default, title=spec.name, description=spec.description),
            )
            for spec in specs
        }
        model = schema.model_of(schema.Fields("Configurable", inside))
        fields["configurable"] = (model, None)
    for key, hint in get_type_hints(RunnableConfig).items():
        if key in (include or ()) and key != "configurable":
            fields[key] = (hint, None)
    return schema.model_of(schema.Fields(title, fields))
