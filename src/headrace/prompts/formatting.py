"""Templates as plain functions of text, for who fills one in without a prompt around it.

They use the same compiled templates as prompts (`formats.py`): what is refused there is here too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from pydantic import BaseModel, create_model

from headrace.errors import ConfigError, HeadraceWarning, InputError
from headrace.prompts._missing import missing_variables
from headrace.prompts._mustache import SECTION, Mustache
from headrace.prompts.formats import compiled, get_template_variables

__all__ = [
    "StrictFormatter",
    "check_valid_template",
    "formatter",
    "jinja2_formatter",
    "mustache_formatter",
    "mustache_schema",
    "mustache_template_vars",
    "validate_jinja2",
]


class StrictFormatter(Formatter):
    """A `string.Formatter` of named fields only: no positions, no attributes, no nested fields.

    Raises:
        InputError: positional arguments were given, or a value does not fit its format.
        ConfigError: the template is malformed or unsafe.
        MissingVariablesError: some variables are missing; a KeyError.
    """

    def vformat(  # pyright: ignore[reportIncompatibleMethodOverride] - of literals only, there
        self, format_string: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> str:
        """The text, filled in."""
        if args:
            raise InputError(
                f"The variables of a template are named, so pass them as keywords; received "
                f"{len(args)} without a name: {tuple(args)!r}."
            )
        return compiled(format_string, "f-string").render(kwargs)

    def validate_input_variables(self, format_string: str, input_variables: list[str]) -> None:
        """Raises MissingVariablesError unless all variables of the template are among these."""
        missing = set(get_template_variables(format_string)).difference(input_variables)
        if missing:
            raise missing_variables(missing, input_variables, braces=missing)


formatter = StrictFormatter()


def jinja2_formatter(template: str, /, **kwargs: Any) -> str:
    """A jinja2 template filled in, in the sandbox; what is missing shows as nothing."""
    return compiled(template, "jinja2").render(kwargs)


def mustache_formatter(template: str, /, **kwargs: Any) -> str:
    """A mustache template filled in; what is missing shows as nothing."""
    return compiled(template, "mustache").render(kwargs)


def validate_jinja2(template: str, input_variables: list[str]) -> None:
    """Warn (HeadraceWarning) unless these are the variables of the template."""
    found = set(get_template_variables(template, "jinja2"))
    sides = (
        ("Missing", found.difference(input_variables)),
        ("Extra", set(input_variables).difference(found)),
    )
    said = " ".join(f"{side} variables: {names}" for side, names in sides if names)
    if said:
        warnings.warn(said, HeadraceWarning, stacklevel=2)


def check_valid_template(template: str, template_format: str, input_variables: list[str]) -> None:
    """Compare a template with the names that will be given to it; more names do no harm.

    Raises:
        ConfigError: the template is malformed or unsafe, the format unknown, or it has variables
            that are not among them. The latter is a warning of a jinja2 template and nothing of a
            mustache one: both show nothing for what is missing.
    """
    missing = set(compiled(template, template_format).variables).difference(input_variables)
    if template_format == "f-string" and missing:
        raise ConfigError(str(missing_variables(missing, input_variables, braces=missing)))
    if template_format == "jinja2":
        validate_jinja2(template, input_variables)


def mustache_template_vars(template: str) -> set[str]:
    """The names that a mustache template uses outside of sections; of `a.b` the first part."""
    return set(get_template_variables(template, "mustache"))


def mustache_schema(template: str) -> type[BaseModel]:
    """A pydantic model of what a mustache template shows, all of it optional.

    A name is a `str`; one that others are looked up in is a model of those, be it by a dot or in a
    section; a section that uses no name is a `dict`.
    """
    return _model("PromptInput", Mustache(template).shape())


def _model(name: str, shape: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {key: (_type(key, inner), None) for key, inner in shape.items()}
    return create_model(name, **fields)


def _type(name: str, shape: Mapping[str, Any]) -> Any:
    inner = {key: value for key, value in shape.items() if key is not SECTION}
    if inner:
        return _model(name, inner)
    return dict if SECTION in shape else str
