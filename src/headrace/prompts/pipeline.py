"""`PipelinePromptTemplate`: prompts whose results are variables of a last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.errors import ConfigError
from headrace.messages import BaseMessage
from headrace.prompt_values import PromptValue
from headrace.prompts.base import BasePromptTemplate, known_to
from headrace.prompts.chat import BaseChatPromptTemplate
from headrace.runnables import schema

__all__ = ["PipelinePromptTemplate"]


class PipelinePromptTemplate(BasePromptTemplate[Any]):
    """Prompts in a row: each one's text, or messages, is a variable of those that follow.

    Args:
        final_prompt: the prompt that gives the result.
        pipeline_prompts: pairs of the variable that a prompt fills, and the prompt. A chat prompt
            fills it with messages, any other with its text.

    Its variables are those that no prompt before fills.

    Raises:
        ConfigError: a pair is none, or a variable is filled twice.
    """

    final_prompt: BasePromptTemplate[Any]
    pipeline_prompts: list[tuple[str, BasePromptTemplate[Any]]]

    def __init__(
        self,
        *,
        final_prompt: BasePromptTemplate[Any],
        pipeline_prompts: Sequence[tuple[str, BasePromptTemplate[Any]]],
        input_variables: Any = None,  # found in the prompts
        optional_variables: Any = None,  # likewise
        **fields: Any,
    ) -> None:
        pairs = [_pair(given) for given in pipeline_prompts]
        filled: set[str] = set()
        required: set[str] = set()
        optional: set[str] = set()
        for name, prompt in [*pairs, ("", final_prompt)]:
            required.update(set(prompt.input_variables).difference(filled))
            optional.update(set(prompt.optional_variables).difference(filled))
            if name in filled:
                raise ConfigError(f"Two of the pipeline_prompts fill the variable {name!r}.")
            filled.add(name)
        partials = fields.get("partial_variables") or {}
        fields["optional_variables"] = sorted(optional.difference(required, partials))
        fields["input_variables"] = sorted(required.difference(partials))
        fields.update(final_prompt=final_prompt, pipeline_prompts=pairs)
        super().__init__(**fields)

    def _awaits(self) -> bool:
        return super()._awaits() or any(prompt._awaits() for prompt in self._prompts())

    def _prompts(self) -> Iterator[BasePromptTemplate[Any]]:
        yield from (prompt for _, prompt in self.pipeline_prompts)
        yield self.final_prompt

    def format_prompt(self, /, **kwargs: Any) -> PromptValue:
        """The prompt value of the last prompt for these variables."""
        values = dict(self._complete(self._checked(kwargs)))
        for name, prompt in self.pipeline_prompts:
            values[name] = _result(prompt.format_prompt(**known_to(prompt, values)), prompt)
        return self.final_prompt.format_prompt(**known_to(self.final_prompt, values))

    async def aformat_prompt(self, /, **kwargs: Any) -> PromptValue:
        """`format_prompt`, async."""
        values = dict(self._complete(self._checked(kwargs)))
        for name, prompt in self.pipeline_prompts:
            values[name] = _result(await prompt.aformat_prompt(**known_to(prompt, values)), prompt)
        return await self.final_prompt.aformat_prompt(**known_to(self.final_prompt, values))

    def format(self, /, **kwargs: Any) -> str:
        """The last prompt for these variables, as one text."""
        return self.format_prompt(**kwargs).to_string()

    async def aformat(self, /, **kwargs: Any) -> str:
        """`format`, async."""
        return (await self.aformat_prompt(**kwargs)).to_string()

    def _types(self) -> dict[str, Any]:
        filled: set[str] = set()
        found: dict[str, Any] = {}
        for name, prompt in [*self.pipeline_prompts, ("", self.final_prompt)]:
            types = {**prompt._types(), **prompt.input_types}
            found |= {name: kind for name, kind in types.items() if name not in filled}
            filled.add(name)
        return found

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return schema.Plain(schema.title(self, side), self.final_prompt._value_type)
        return super()._data(side, config)

    def pretty_repr(self, html: bool = False) -> str:
        """Its prompts, one below the other; `html` is accepted and ignored."""
        parts = [f"{name} = {prompt.pretty_repr()}" for name, prompt in self.pipeline_prompts]
        return "\n\n".join([*parts, self.final_prompt.pretty_repr()])


def _result(value: PromptValue, prompt: BasePromptTemplate[Any]) -> str | list[BaseMessage]:
    if isinstance(prompt, BaseChatPromptTemplate):
        return value.to_messages()
    return value.to_string()


def _pair(given: Any) -> tuple[str, BasePromptTemplate[Any]]:
    pair = tuple(given) if isinstance(given, (list, tuple)) else ()
    if (
        len(pair) != 2
        or not isinstance(pair[0], str)
        or not isinstance(pair[1], BasePromptTemplate)
    ):
        raise ConfigError(
            f"pipeline_prompts are pairs of a variable and the prompt that fills it; received "
            f"{given!r}."
        )
    return pair[0], pair[1]
