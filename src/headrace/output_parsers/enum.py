"""`EnumOutputParser`: one of a fixed set of answers, as a member of an enum."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ..errors import ConfigError, OutputParserException
from ..runnables import schema
from ._short_answers import bare, shown
from .base import BaseOutputParser

__all__ = ["EnumOutputParser"]


class EnumOutputParser(BaseOutputParser[Enum]):
    """The member of `enum` whose value a model says.

    The value counts as it is written; where that is no member's, quotes, backticks, a final dot and
    the difference between upper and lower case are left aside, as long as one member remains.
    Anything else raises OutputParserException with the values there are.

    Args:
        enum: the class. Its values are said as `str(value)`, which must tell them apart.
    """

    enum: type[Enum]

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        values = self._valid_values
        if not values or len(set(values)) < len(values):
            raise ConfigError(
                f"EnumOutputParser(enum={self.enum.__name__}) has the values {values}: give an "
                "enum with members whose values can be told apart as text."
            )

    @property
    def _valid_values(self) -> list[str]:
        return [str(member.value) for member in self.enum]

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return schema.Plain(schema.title(self, side), self.enum)
        return super()._data(side, config)

    def parse(self, text: str) -> Enum:
        """The member that `text` names by its value."""
        members = {str(member.value): member for member in self.enum}
        said = text.strip()
        if said in members:
            return members[said]
        plain = bare(said).casefold()
        found = [member for value, member in members.items() if bare(value).casefold() == plain]
        if len(found) != 1:
            raise OutputParserException(
                f"The model's output {shown(text)} is not one of the values of "
                f"{self.enum.__name__}: {', '.join(map(repr, members))}.",
                llm_output=text,
            )
        return found[0]

    def get_format_instructions(self) -> str:
        """The values to choose from."""
        return f"Answer with exactly one of these and nothing else: {', '.join(self._valid_values)}"

    @property
    def _type(self) -> str:
        return "enum"
