"""`BooleanOutputParser`: yes or no."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigError, OutputParserException
from ._short_answers import shown
from .base import BaseOutputParser

__all__ = ["BooleanOutputParser"]


class BooleanOutputParser(BaseOutputParser[bool]):
    """Whether a model says `true_val` or `false_val`, as a word of its own, in any case.

    Where neither or both are said: OutputParserException. In "NO" there is a "no", in "know" none.

    Args:
        true_val: what means True.
        false_val: what means False.
    """

    true_val: str = "YES"
    false_val: str = "NO"

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        words = [self.true_val.casefold(), self.false_val.casefold()]
        if not all(word.strip() for word in words) or words[0] == words[1]:
            raise ConfigError(
                f"BooleanOutputParser(true_val={self.true_val!r}, false_val={self.false_val!r}): "
                "give two different words."
            )

    def parse(self, text: str) -> bool:
        """Which of the two `text` says."""
        words = sorted([self.true_val, self.false_val], key=len, reverse=True)
        either = "|".join(map(re.escape, words))  # the longer first: "NOT OK" is no "OK"
        found = re.findall(rf"(?<!\w)(?:{either})(?!\w)", text, re.IGNORECASE)
        said = {word.casefold() == self.true_val.casefold() for word in found}
        if len(said) == 1:
            return True in said
        what = "both" if said else "neither"
        raise OutputParserException(
            f"The model's output {shown(text)} says {what} of {self.true_val!r} (True) and "
            f"{self.false_val!r} (False): one of them is wanted.",
            llm_output=text,
        )

    def get_format_instructions(self) -> str:
        """The two words."""
        return f"Answer with one word, {self.true_val} or {self.false_val}, and nothing else."

    @property
    def _type(self) -> str:
        return "boolean_output_parser"
