"""Prompts that are one text: `StringPromptTemplate`, for subclasses, and `PromptTemplate`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from headrace.errors import ConfigError
from headrace.prompt_values import StringPromptValue
from headrace.prompts.base import BasePromptTemplate, PromptInputError, check_declared
from headrace.prompts.formats import PromptTemplateFormat, compiled

__all__ = ["PromptTemplate", "StringPromptTemplate"]


class _Field(str):
    """Stands for a variable where a prompt is shown; looks the same in any format."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


class StringPromptTemplate(BasePromptTemplate[str]):
    """A prompt whose `format` gives a string. Subclass it with `format`."""

    _value_type: ClassVar[Any] = StringPromptValue

    @abstractmethod
    def format(self, /, **kwargs: Any) -> str:
        """The text for these variables."""

    def format_prompt(self, /, **kwargs: Any) -> StringPromptValue:
        """The text for these variables, as a prompt value."""
        return StringPromptValue(self.format(**kwargs))

    async def aformat_prompt(self, /, **kwargs: Any) -> StringPromptValue:
        """`format_prompt`, async."""
        return StringPromptValue(await self.aformat(**kwargs))

    @classmethod
    def _use_own_formatting(cls) -> None:
        super()._use_own_formatting()
        cls._render = StringPromptTemplate._render  # type: ignore[method-assign]

    def _render(self, values: Mapping[str, Any]) -> str:
        """`format` of variables in a dict."""
        return self.format(**values)

    def pretty_repr(self, html: bool = False) -> str:
        """The text with variables as `{name}`; `html` is accepted and ignored."""
        return self._render({name: _Field(f"{{{name}}}") for name in self.input_variables})


class PromptTemplate(StringPromptTemplate):
    """A text with variables.

    Args:
        template: the text, e.g. `"tell me a joke about {topic}"`.
        template_format: `"f-string"`, `"mustache"` or `"jinja2"` (see `formats.py`).
        input_variables: found in the template; what is given counts with `validate_template`.
        partial_variables: values that are filled in already; a callable is called each time.
        validate_template: raise unless `input_variables` are those of the template.

    Raises:
        ConfigError: the template is malformed, unsafe or not what was declared.
    """

    template: str
    template_format: PromptTemplateFormat = "f-string"
    validate_template: bool = False

    def __init__(
        self,
        template: str,
        *,
        template_format: PromptTemplateFormat = "f-string",
        input_variables: Sequence[str] | None = None,
        partial_variables: Mapping[str, Any] | None = None,
        validate_template: bool = False,
        **fields: Any,
    ) -> None:
        if not isinstance(template, str):
            raise ConfigError(
                f"A template is a string; received {template!r}, a {type(template).__name__}."
            )
        partials = dict(partial_variables or {})
        found = set(compiled(template, template_format).variables).difference(partials)
        if validate_template:
            check_declared(input_variables, found, type(self).__name__, template_format)
        fields.update(input_variables=sorted(found), template=template)
        if template_format != "f-string":
            fields["template_format"] = template_format
        if partials:
            fields["partial_variables"] = partials
        if validate_template:
            fields["validate_template"] = True
        super().__init__(**fields)

    @classmethod
    def from_template(
        cls,
        template: str,
        *,
        template_format: PromptTemplateFormat = "f-string",
        partial_variables: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Self:
        """A prompt of this text; `fields` are further arguments of the class."""
        return cls(
            template,
            template_format=template_format,
            partial_variables=partial_variables,
            **fields,
        )

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[str],
        suffix: str,
        input_variables: Sequence[str] | None = None,
        example_separator: str = "\n\n",
        prefix: str = "",
        **fields: Any,
    ) -> Self:
        """A prompt of prefix, examples and suffix with the separator between them, all templates.

        For examples that are data, whose braces are text, there is FewShotPromptTemplate.
        """
        template = example_separator.join([prefix, *examples, suffix])
        return cls(template, input_variables=input_variables, **fields)

    @classmethod
    def from_file(
        cls, template_file: str | Path, encoding: str | None = None, **fields: Any
    ) -> Self:
        """A prompt of the text in a file, by default UTF-8."""
        return cls.from_template(Path(template_file).read_text(encoding or "utf-8"), **fields)

    def format(self, /, **kwargs: Any) -> str:
        """The text for these variables; raises MissingVariablesError if some are missing."""
        return self._filled(self._checked(kwargs))

    def _filled(self, values: Mapping[str, Any]) -> str:
        if self.partial_variables:
            values = self._complete(values)
        return compiled(self.template, self.template_format).render(values)

    _render = _filled

    def _apply(self, value: Any, /) -> StringPromptValue:
        return StringPromptValue(self._filled(self._checked(value)))

    def _types(self) -> dict[str, Any]:
        nested = getattr(compiled(self.template, self.template_format), "nested", ())
        return dict.fromkeys(nested, Any)

    def __add__(self, other: Any) -> PromptTemplate:
        """This text followed by another: a PromptTemplate of the same format, or a string."""
        if isinstance(other, str):
            other = PromptTemplate(other, template_format=self.template_format)
        if not isinstance(other, PromptTemplate):
            raise PromptInputError(
                f"A PromptTemplate and {other!r}, a {type(other).__name__}, cannot be added: add "
                "a PromptTemplate or a string."
            )
        if other.template_format != self.template_format:
            raise ConfigError(
                f"Templates of the formats {self.template_format!r} and "
                f"{other.template_format!r} cannot be added."
            )
        mine, theirs = self.partial_variables, other.partial_variables
        twice = sorted(name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name])
        if twice:
            raise ConfigError(f"Both prompts fill in the variables {twice}, differently.")
        return PromptTemplate(
            self.template + other.template,
            template_format=self.template_format,
            partial_variables={**mine, **theirs},
        )
