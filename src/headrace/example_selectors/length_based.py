"""`LengthBasedExampleSelector`: as many examples as there is room for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from headrace.example_selectors.base import BaseExampleSelector, as_texts
from headrace.prompts.string import StringPromptTemplate

__all__ = ["LengthBasedExampleSelector"]

_BETWEEN = re.compile(r"[\n ]")


def _words(text: str) -> int:
    return len(_BETWEEN.split(text))


class LengthBasedExampleSelector(BaseExampleSelector, BaseModel):
    """The first examples, up to the one that no longer fits beside the input.

    Args:
        examples: what to choose from, in order.
        example_prompt: what an example looks like; its text is what is measured.
        get_text_length: the measure; by default the number of words.
        max_length: how long the input and the examples may be together.
        example_text_lengths: the lengths of the examples, if they are known.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )

    examples: list[dict[str, Any]]
    example_prompt: StringPromptTemplate
    get_text_length: Callable[[str], int] = _words
    max_length: int = 2048
    example_text_lengths: list[int] = Field(default_factory=list)

    @model_validator(mode="after")
    def _measure(self) -> LengthBasedExampleSelector:
        if not self.example_text_lengths:
            self.example_text_lengths = [self._length(example) for example in self.examples]
        return self

    def _length(self, example: dict[str, Any]) -> int:
        return self.get_text_length(self.example_prompt.format(**example))

    def add_example(self, example: dict[str, Any]) -> None:
        """Add an example at the end."""
        length = self._length(example)
        self.examples.append(example)
        self.example_text_lengths.append(length)

    async def aadd_example(self, example: dict[str, Any]) -> None:
        """`add_example`: it waits for nothing."""
        self.add_example(example)

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """The first examples that fit, with the texts and numbers among the variables."""
        given = " ".join(as_texts(input_variables, input_variables))
        room = self.max_length - self.get_text_length(given)
        chosen = []
        for example, length in zip(self.examples, self.example_text_lengths, strict=True):
            room -= length
            if room < 0:
                break
            chosen.append(example)
            if room == 0:
                break
        return chosen

    async def aselect_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        """`select_examples`: it waits for nothing."""
        return self.select_examples(input_variables)
