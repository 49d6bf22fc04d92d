"""Prompts with examples in them, given or chosen for each input by a selector.

An example is a dict of variables of `example_prompt`. What they become is text, no template: it is
not filled in a second time, so braces in an example stay, and nothing in it can ask for variables.
A selector is user code: it is called in the prompt's run, its async method awaited in async runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headrace.errors import ConfigError
from headrace.messages import BaseMessage
from headrace.prompts._missing import in_braces, missing_variables
from headrace.prompts.base import BasePromptTemplate, check_declared, known_to
from headrace.prompts.chat import BaseChatPromptTemplate
from headrace.prompts.formats import PromptTemplateFormat, compiled
from headrace.prompts.message import BaseMessagePromptTemplate
from headrace.prompts.string import StringPromptTemplate
from headrace.runnables.configs import run_in_executor

__all__ = [
    "FewShotChatMessagePromptTemplate",
    "FewShotPromptTemplate",
    "FewShotPromptWithTemplates",
]

Example = Mapping[str, Any]


class _FewShot(BasePromptTemplate[Any]):
    """What the prompts with examples share: where the examples are from."""

    examples: list[dict[str, Any]] | None = None
    example_selector: Any = None
    example_prompt: Any
    validate_template: bool = False

    def __init__(self, **fields: Any) -> None:
        examples, selector = fields.get("examples"), fields.get("example_selector")
        if (examples is None) == (selector is None):
            given = "neither" if examples is None else "both"
            raise ConfigError(
                f"{type(self).__name__} was given {given} of 'examples' and 'example_selector': "
                "give one of them."
            )
        if selector is not None and not hasattr(selector, "select_examples"):
            raise ConfigError(
                f"example_selector={selector!r} has no method 'select_examples': give a "
                "BaseExampleSelector, or a list of 'examples'."
            )
        super().__init__(**fields)
        self._find_variables()

    def _find_variables(self) -> None:
        """Set the variables that are found in the templates."""

    def _awaits(self) -> bool:
        return super()._awaits() or self.example_selector is not None or self._part_awaits()

    def _part_awaits(self) -> bool:
        return bool(self.example_prompt._awaits())

    # ---- the examples ------------------------------------------------------------------------

    def _chosen(self, values: Mapping[str, Any]) -> Iterable[Example]:
        if self.examples is not None:
            return self.examples
        found: Iterable[Example] = self.example_selector.select_examples(dict(values))
        return found

    async def _achosen(self, values: Mapping[str, Any]) -> Iterable[Example]:
        selector = self.example_selector
        if self.examples is not None:
            return self.examples
        if hasattr(selector, "aselect_examples"):
            found: Iterable[Example] = await selector.aselect_examples(dict(values))
            return found
        return await run_in_executor(None, selector.select_examples, dict(values))

    def _each(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """The variables of the example's prompt, of each example."""
        prompt = self.example_prompt
        optional = getattr(prompt, "optional_variables", ())
        for number, example in enumerate(examples, 1):
            missing = [name for name in prompt.input_variables if name not in example]
            if missing:
                used = (*prompt.input_variables, *optional)
                error = missing_variables(missing, example, used, in_braces(prompt))
                error.add_note(f"This is about example {number} of {type(self).__name__}.")
                raise error
            yield {
                name: example[name]
                for name in (*prompt.input_variables, *optional)
                if name in example
            }

    def _pretty_examples(self) -> str:
        if self.examples is None:
            return f"(examples chosen by {type(self.example_selector).__name__})"
        return f"({len(self.examples)} examples)"


class _FewShotText(_FewShot, StringPromptTemplate):
    """Text, examples, text: `_before` and `_after` give the texts around them."""

    example_prompt: StringPromptTemplate
    example_separator: str = "\n\n"

    def _before(self, values: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def _after(self, values: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def format(self, /, **kwargs: Any) -> str:
        """The text for these variables; raises MissingVariablesError if some are missing."""
        values = self._complete(self._checked(kwargs))
        examples = [self.example_prompt.format(**e) for e in self._each(self._chosen(values))]
        return self._around(self._before(values), examples, self._after(values))

    async def aformat(self, /, **kwargs: Any) -> str:
        """`format`, async: waits for a selector without blocking."""
        values = self._complete(self._checked(kwargs))
        chosen = self._each(await self._achosen(values))
        examples = [await self.example_prompt.aformat(**example) for example in chosen]
        return self._around(await self._abefore(values), examples, await self._aafter(values))

    async def _abefore(self, values: Mapping[str, Any]) -> str:
        return self._before(values)

    async def _aafter(self, values: Mapping[str, Any]) -> str:
        return self._after(values)

    def _around(self, before: str, examples: list[str], after: str) -> str:
        return self.example_separator.join([piece for piece in (before, *examples, after) if piece])


class FewShotPromptTemplate(_FewShotText):
    """A text before, examples, and a text after.

    Args:
        suffix: the template of the text after the examples.
        prefix: the template of the text before them.
        example_prompt: the template of one example.
        examples: the examples; or
        example_selector: what chooses them, given all variables.
        example_separator: stands between the parts; empty parts are left out.
        template_format: the language of prefix and suffix.
        input_variables: found in prefix and suffix; given, it counts with `validate_template`.
        validate_template: raise unless `input_variables` are those of the templates.

    Raises:
        ConfigError: neither or both of examples and selector; a malformed or unsafe template.
    """

    suffix: str
    prefix: str = ""
    template_format: PromptTemplateFormat = "f-string"

    def _find_variables(self) -> None:
        names = {
            name
            for template in (self.prefix, self.suffix)
            for name in compiled(template, self.template_format).variables
        }
        _found(self, names, self.template_format)

    def _before(self, values: Mapping[str, Any]) -> str:
        prefix = self.prefix
        if self.template_format == "jinja2" and prefix.endswith("\n"):
            prefix += "\n"  # jinja2 drops the last newline of a text, and more text follows here
        return compiled(prefix, self.template_format).render(values)

    def _after(self, values: Mapping[str, Any]) -> str:
        return compiled(self.suffix, self.template_format).render(values)

    def _types(self) -> dict[str, Any]:
        templates = (compiled(t, self.template_format) for t in (self.prefix, self.suffix))
        nested = (name for template in templates for name in getattr(template, "nested", ()))
        return dict.fromkeys(nested, Any)

    def pretty_repr(self, html: bool = False) -> str:
        """Its parts, one below the other; `html` is accepted and ignored."""
        return self._around(self.prefix, [self._pretty_examples()], self.suffix)


class FewShotPromptWithTemplates(_FewShotText):
    """A prompt before, examples, and a prompt after: `prefix` and `suffix` are prompts of texts.

    Args: as for FewShotPromptTemplate.
    """

    suffix: StringPromptTemplate
    prefix: StringPromptTemplate | None = None
    template_format: PromptTemplateFormat = "f-string"  # for no text; prompts have their own

    def _find_variables(self) -> None:
        _found(self, {name for p in self._parts() for name in p.input_variables})

    def _parts(self) -> list[StringPromptTemplate]:
        return [self.suffix] if self.prefix is None else [self.prefix, self.suffix]

    def _part_awaits(self) -> bool:
        return super()._part_awaits() or any(part._awaits() for part in self._parts())

    def _before(self, values: Mapping[str, Any]) -> str:
        return "" if self.prefix is None else self.prefix.format(**known_to(self.prefix, values))

    def _after(self, values: Mapping[str, Any]) -> str:
        return self.suffix.format(**known_to(self.suffix, values))

    async def _abefore(self, values: Mapping[str, Any]) -> str:
        prefix = self.prefix
        return "" if prefix is None else await prefix.aformat(**known_to(prefix, values))

    async def _aafter(self, values: Mapping[str, Any]) -> str:
        return await self.suffix.aformat(**known_to(self.suffix, values))

    def _types(self) -> dict[str, Any]:
        return {name: kind for part in self._parts() for name, kind in part._types().items()}

    def pretty_repr(self, html: bool = False) -> str:
        """Its parts, one below the other; `html` is accepted and ignored."""
        before = "" if self.prefix is None else self.prefix.pretty_repr()
        return self._around(before, [self._pretty_examples()], self.suffix.pretty_repr())


class FewShotChatMessagePromptTemplate(_FewShot, BaseChatPromptTemplate):
    """Messages for each example; mostly a part of a chat prompt.

    Args:
        example_prompt: a chat prompt, or the template of a message, of one example.
        examples: the examples; or
        example_selector: what chooses them, given all variables of the prompt that this is in.
        input_variables: what the selector needs, so that it is asked for.

    Raises:
        ConfigError: neither or both of examples and selector.
    """

    example_prompt: BaseMessagePromptTemplate | BaseChatPromptTemplate

    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The messages of the examples."""
        values = self._complete(self._checked(kwargs))
        messages: list[BaseMessage] = []
        for example in self._each(self._chosen(values)):
            messages += self.example_prompt.format_messages(**example)
        return messages

    async def aformat_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """`format_messages`, async: waits for a selector without blocking."""
        values = self._complete(self._checked(kwargs))
        messages: list[BaseMessage] = []
        for example in self._each(await self._achosen(values)):
            messages += await self.example_prompt.aformat_messages(**example)
        return messages

    def pretty_repr(self, html: bool = False) -> str:
        """Its messages for one example; `html` is accepted and ignored."""
        return f"{self.example_prompt.pretty_repr()}\n\n{self._pretty_examples()}"


def _found(prompt: _FewShotText, names: set[str], template_format: str = "f-string") -> None:
    """Set the variables that were found, once those declared are compared where that is asked."""
    names = names.difference(prompt.partial_variables)
    if prompt.validate_template:
        declared = set(prompt.input_variables).difference(prompt.partial_variables)
        check_declared(sorted(declared), names, type(prompt).__name__, template_format)
    if prompt.input_variables != sorted(names):
        prompt.input_variables = sorted(names)
