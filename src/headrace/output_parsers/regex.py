"""`RegexParser` and `RegexDictParser`: what a pattern finds in a text, as a dict."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigError, OutputParserException
from ._short_answers import shown
from .base import BaseOutputParser

__all__ = ["RegexDictParser", "RegexParser"]


class RegexParser(BaseOutputParser[dict[str, str]]):
    """The groups of the first match of `regex`, under the names `output_keys`.

    A group that takes no part in the match is "". Without a match: the whole text under
    `default_output_key` and "" under the others, or OutputParserException where there is none.

    Args:
        regex: searched with `re.search`; it has a group for each key.
        output_keys: the names of its groups, in order.
        default_output_key: one of them.
    """

    regex: str
    output_keys: list[str]
    default_output_key: str | None = None

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        groups = _compiled(self, "regex", self.regex).groups
        if groups < len(self.output_keys):
            raise ConfigError(
                f"RegexParser(regex={self.regex!r}) has {groups} groups for the output_keys "
                f"{self.output_keys}: give a group for each."
            )
        if self.default_output_key not in (None, *self.output_keys):
            raise ConfigError(
                f"RegexParser(default_output_key={self.default_output_key!r}) is none of the "
                f"output_keys {self.output_keys}."
            )

    def parse(self, text: str) -> dict[str, str]:
        """The groups found in `text`, by key."""
        match = re.search(self.regex, text)
        if match is not None:
            return {key: match[n] or "" for n, key in enumerate(self.output_keys, 1)}
        if self.default_output_key is None:
            raise OutputParserException(
                f"The model's output {shown(text)} holds nothing that matches {self.regex!r}.",
                llm_output=text,
            )
        return {key: text if key == self.default_output_key else "" for key in self.output_keys}

    @property
    def _type(self) -> str:
        return "regex_parser"


class RegexDictParser(BaseOutputParser[dict[str, str]]):
    """Values that follow labels, such as `Action: search.`, each label once in the text.

    Args:
        regex_pattern: what a label and its value look like, the label as `{}` (it is filled in with
            `str.format`, so other braces are written twice), the value as the only group.
        output_key_to_format: for each key of the result the label that its value follows.
        no_update_value: a value that means that there is none: its key is left out.
    """

    regex_pattern: str = r"{}:\s?([^.\n]*)\.?"
    output_key_to_format: dict[str, str]
    no_update_value: str | None = None

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if _compiled(self, "regex_pattern", self._pattern("label")).groups != 1:
            raise ConfigError(
                f"RegexDictParser(regex_pattern={self.regex_pattern!r}): give it one group, around "
                "the value; others are written (?:…)."
            )

    def _pattern(self, label: str) -> str:
        try:
            return self.regex_pattern.format(re.escape(label))
        except (LookupError, ValueError) as error:
            raise ConfigError(
                f"RegexDictParser(regex_pattern={self.regex_pattern!r}) cannot be filled in: "
                f"{error!r}. The label is {{}}, other braces are written twice."
            ) from error

    def parse(self, text: str) -> dict[str, str]:
        """The values in `text`, by key."""
        result: dict[str, str] = {}
        for key, label in self.output_key_to_format.items():
            found: list[str] = re.findall(self._pattern(label), text)
            if len(found) != 1:
                how = f"{len(found)} times" if found else "no"
                raise OutputParserException(
                    f"The model's output {shown(text)} has {how} {label!r}, which {key!r} is read "
                    f"from, as {self._pattern(label)!r}: it is wanted once.",
                    llm_output=text,
                )
            if self.no_update_value is None or found[0] != self.no_update_value:
                result[key] = found[0]
        return result

    @property
    def _type(self) -> str:
        return "regex_dict_parser"


def _compiled(parser: Any, field: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"{type(parser).__name__}({field}={pattern!r}) is no regular expression: {error}."
        ) from error
