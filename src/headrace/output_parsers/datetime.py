"""`DatetimeOutputParser`: a point in time, written in one format."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import ConfigError, OutputParserException
from ._short_answers import bare, shown
from .base import BaseOutputParser

__all__ = ["DatetimeOutputParser"]

# For the instructions: the same in each run, unlike each other, no number twice within one.
_ZONE = timezone(timedelta(0))
_EXAMPLES = (
    datetime(2023, 7, 4, 14, 30, 0, 250000, tzinfo=_ZONE),
    datetime(1327, 12, 31, 23, 59, 58, 0, tzinfo=_ZONE),
    datetime(2060, 1, 9, 5, 6, 7, 123456, tzinfo=_ZONE),
)


class DatetimeOutputParser(BaseOutputParser[datetime]):
    """What a model says, read with `datetime.strptime`; else OutputParserException.

    Quotes, backticks and a final dot around it do not count.

    Args:
        format: as `strptime` takes it. The default's `Z` is a letter: the result has no time zone.
            With `%z` in the format it has one.
    """

    format: str = "%Y-%m-%dT%H:%M:%S.%fZ"

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        example = _EXAMPLES[0].strftime(self.format)
        try:
            datetime.strptime(example, self.format)
        except ValueError as error:
            raise ConfigError(
                f"DatetimeOutputParser(format={self.format!r}) cannot be read back: {error}. Give "
                "a format of strptime, such as '%Y-%m-%d'."
            ) from error

    def parse(self, text: str) -> datetime:
        """The time in `text`."""
        failure: ValueError | None = None
        for said in (text.strip(), bare(text)):
            try:
                return datetime.strptime(said, self.format)
            except ValueError as error:
                failure = failure or error
        raise OutputParserException(
            f"The model's output {shown(text)} is no time in the format {self.format!r}, such as "
            f"{_EXAMPLES[0].strftime(self.format)!r}.",
            llm_output=text,
        ) from failure

    def get_format_instructions(self) -> str:
        """The format, with examples."""
        examples = ", ".join(dict.fromkeys(one.strftime(self.format) for one in _EXAMPLES))
        return (
            f"Answer with a date or time in the format {self.format!r} (as of Python's strftime) "
            f"and nothing else. Examples: {examples}"
        )

    @property
    def _type(self) -> str:
        return "datetime"
