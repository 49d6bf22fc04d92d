"""Template languages: a template text becomes, once, an object with `variables` and `render`.

| format       | a variable   | safety                                                             |
|--------------|--------------|--------------------------------------------------------------------|
| `"f-string"` | `{name}`     | names only: attribute and index access would leak what values hold |
| `"mustache"` | `{{name}}`   | looks into dicts and lists only (`_mustache.py`)                   |
| `"jinja2"`   | `{{ name }}` | jinja2's immutable sandbox; still, no templates of strangers       |

Compiled templates are cached by their text, so templates stay plain data that copies and pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from string import Formatter
from typing import Any, Literal, Protocol, TypeAlias

from headrace.errors import ConfigError, InputError, MissingExtraError
from headrace.prompts._missing import missing_variables
from headrace.prompts._mustache import Mustache

__all__ = ["PromptTemplateFormat", "Template", "compiled", "get_template_variables"]

PromptTemplateFormat: TypeAlias = Literal["f-string", "jinja2", "mustache"]

_CACHED = 1024  # templates; more of them in use at once only cost compiling again
_SHOWN = 300  # characters of a template in an error
_CONVERSIONS: dict[str | None, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
# What expressions of a template raise where a value does not fit them.
_OF_VALUES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_DOUBLE = "a literal brace is written twice, '{{' and '}}'"


class Template(Protocol):
    """A compiled template. `variables`: sorted names of what `render` needs."""

    variables: tuple[str, ...]

    def render(self, values: Mapping[str, Any]) -> str: ...


@lru_cache(maxsize=_CACHED)
def compiled(template: str, template_format: str) -> Template:
    """The compiled form of a template.

    Raises:
        ConfigError: the format is unknown, or the template is malformed or unsafe.
        MissingExtraError: jinja2 is not installed.
    """
    compile_ = _FORMATS.get(template_format)
    if compile_ is None:
        raise ConfigError(
            f"Unknown template_format {template_format!r}: use one of {sorted(_FORMATS)}."
        )
    try:
        return compile_(template)
    except ValueError as error:
        shown = template if len(template) <= _SHOWN else f"{template[:_SHOWN]}…"
        raise ConfigError(
            f"The {template_format} template {shown!r} cannot be used: {str(error).rstrip('.')}."
        ) from error


def get_template_variables(template: str, template_format: str = "f-string") -> list[str]:
    """The names of the variables in a template, sorted; of mustache, the top-level ones."""
    return list(compiled(template, template_format).variables)


class _FString:
    """`{name}`, `{name!r}`, `{name:>10}`."""

    __slots__ = ("_fields", "_pieces", "variables")

    def __init__(self, template: str) -> None:
        self._pieces: list[str] = []  # literals, and a gap where each field goes
        self._fields: list[tuple[int, str, Callable[[Any], str] | None, str]] = []
        try:
            parsed = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{error}; {_DOUBLE}") from error
        for literal, name, spec, conversion in parsed:
            self._pieces.append(literal)
            if name is not None:
                self._add(name, spec or "", conversion)
        self.variables = tuple(sorted({name for _, name, _, _ in self._fields}))

    def _add(self, name: str, spec: str, conversion: str | None) -> None:
        wrong = ""
        if not name or name.isdigit():
            wrong = "variables are named, not numbered"
        elif not {".", "[", "]"}.isdisjoint(name):
            wrong = (
                "attribute and index access are refused, because they reach into the values; "
                "pass what you need as a variable of its own"
            )
        elif "{" in spec or "}" in spec:
            wrong = "fields inside of a format specifier are refused"
        elif conversion is not None and conversion not in _CONVERSIONS:
            wrong = f"the conversions are !r, !s and !a, not !{conversion}"
        if wrong:
            raise ValueError(f"in the field {{{name}}}, {wrong}; {_DOUBLE}")
        self._fields.append((len(self._pieces), name, _CONVERSIONS.get(conversion), spec))
        self._pieces.append("")

    def render(self, values: Mapping[str, Any]) -> str:
        pieces = self._pieces.copy()
        for index, name, convert, spec in self._fields:
            try:
                value = values[name]
            except KeyError:
                missing = set(self.variables) - set(values)
                raise missing_variables(missing, values, self.variables, missing) from None
            if convert is not None:
                value = convert(value)
            if value.__class__ is not str or spec:
                value = _show(value, spec, name)
            pieces[index] = value
        return "".join(pieces)


def _show(value: Any, spec: str, name: str) -> str:
    try:
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The variable {name!r} cannot be shown as {{{name}:{spec}}}: {error}. "
            f"Its value is {value!r}."
        ) from error


@cache
def _environment() -> Any:
    try:
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise MissingExtraError(
            "jinja2", extra="jinja2", purpose="template_format='jinja2'"
        ) from error
    return ImmutableSandboxedEnvironment()


class _Jinja:
    """A jinja2 template in the sandbox."""

    __slots__ = ("_failures", "_template", "variables")

    def __init__(self, template: str) -> None:
        environment = _environment()
        from jinja2 import TemplateError, meta

        self._failures = (TemplateError, *_OF_VALUES)
        try:
            tree = environment.parse(template)
            self._template = environment.from_string(template)
        except TemplateError as error:
            raise ValueError(str(error)) from error
        if any(True for _ in meta.find_referenced_templates(tree)):
            raise ValueError("it includes, imports or extends another: templates read no files")
        self.variables = tuple(sorted(meta.find_undeclared_variables(tree)))

    def render(self, values: Mapping[str, Any]) -> str:
        try:
            return self._template.render(values)  # type: ignore[no-any-return]
        except self._failures as error:
            said = str(error).rstrip(".")
            raise InputError(f"A jinja2 template cannot be filled in: {said}.") from error


_FORMATS: dict[str, Callable[[str], Template]] = {
    "f-string": _FString,
    "jinja2": _Jinja,
    "mustache": Mustache,
}
