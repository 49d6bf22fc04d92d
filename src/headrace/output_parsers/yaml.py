"""`YamlOutputParser`: YAML in what a model says, validated against a schema.

It needs the whole text, since a line of YAML may still change what the lines before it mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, overload

from ..errors import ConfigError, MissingExtraError, OutputParserException
from ..runnables import schema as sides
from ._short_answers import shown
from .base import BaseOutputParser, T
from .schemas import Schema, schema_of

__all__ = ["YamlOutputParser"]


class YamlOutputParser(BaseOutputParser[T]):
    """The YAML in what a model says, bare, in a Markdown fence or after prose, as `pydantic_object`
    has it.

    Read with PyYAML's safe loader, which makes plain values only, and by the rule of YAML 1.2 what
    they are: `no`, `1:30`, `007` and dates are text, for the schema to make something of. Anchors
    and aliases are refused, since a few lines of them can stand for more than any memory holds, and
    so are keys that are there twice and more than 100 levels.

    Args:
        pydantic_object: a pydantic class, a TypedDict, a dataclass, another type that pydantic can
            validate, or a JSON schema.
        pattern: finds the YAML, as its group `yaml`; by default that of the first fence.

    Raises:
        MissingExtraError: PyYAML is not installed.
    """

    pydantic_object: Any
    pattern: re.Pattern[str] | None = None

    @overload
    def __init__(self, pydantic_object: type[T], **settings: Any) -> None: ...

    @overload
    def __init__(
        self: YamlOutputParser[Any], pydantic_object: Mapping[str, Any], **settings: Any
    ) -> None: ...

    def __init__(self, pydantic_object: Any, **settings: Any) -> None:
        given: Any = {"pydantic_object": pydantic_object, **settings}
        super().__init__(**given)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        schema_of(self.pydantic_object)
        if self.pattern is not None and "yaml" not in self.pattern.groupindex:
            raise ConfigError(
                f"YamlOutputParser(pattern={self.pattern.pattern!r}) has no group (?P<yaml>…), "
                "which is where the YAML is."
            )
        _loader()

    @property
    def _schema(self) -> Schema:
        return schema_of(self.pydantic_object)

    def parse(self, text: str) -> T:
        """The value of the YAML in `text`.

        Raises:
            OutputParserException: it is no YAML (with line and column), or not what is wanted.
        """
        first: OutputParserException | None = None
        for yaml in self._candidates(text):
            try:
                return self._schema.checked(_loaded(yaml, text), text)  # type: ignore[no-any-return]
            except OutputParserException as error:
                first = first or error
        assert first is not None
        if not text.strip():
            raise OutputParserException(
                f"The model's output holds no YAML of {self._schema.name}: the text is empty.",
                llm_output=text,
            ) from first
        raise first

    def _candidates(self, text: str) -> Iterator[str]:
        """Where the YAML may be: in a fence; or else the whole text, or what follows its prose."""
        found = (self.pattern or _FENCED).search(text)
        if found is not None:
            yield found["yaml"]
            return
        yield text
        begins = _BEGINS.search(text)
        if begins is not None and text[: begins.start()].strip():
            yield text[begins.start() :]

    def get_format_instructions(self) -> str:
        """How to write YAML, and the JSON schema of what is wanted."""
        wanted = json.dumps(self._schema.json_schema(), ensure_ascii=False)
        return (
            "Answer with YAML in a fence that begins with ```yaml and ends with ```, indented by "
            "two spaces, without anchors, aliases or tags. Its data must fit this JSON schema:\n"
            f"{wanted}"
        )

    def _data(self, side: sides.Side, config: Any = None) -> sides.Data:
        if side == "output":
            return sides.Plain(sides.title(self, side), self._schema.output_type)
        return super()._data(side, config)

    @property
    def _type(self) -> str:
        return "yaml"


_FENCED = re.compile(r"^[ \t]*```(?:ya?ml|json)?[ \t]*\r?\n(?P<yaml>.*?)(?:^[ \t]*```|\Z)",
                     re.DOTALL | re.MULTILINE | re.IGNORECASE)  # fmt: skip
_BEGINS = re.compile(r"^(?:---|- |\[|\{|[\w.\-]+:(?= |\r?$))", re.MULTILINE)

_DEEPEST = 100  # levels of YAML inside each other: PyYAML needs several frames for each

# YAML 1.2's plain values, by their first characters; whatever else stands there is text.
_PLAIN = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
              r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
)  # fmt: skip


@cache
def _loader() -> Any:
    """The class that reads; made once, when it is first needed."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("pyyaml", extra="yaml", purpose="YamlOutputParser") from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Plain values by YAML 1.2, no anchors, no aliases, no key twice."""

        levels = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                wrong = "anchors and aliases are refused: write the value where it is used"
                raise yaml.MarkedYAMLError(problem=wrong, problem_mark=event.start_mark)
            if self.levels == _DEEPEST:
                wrong = f"more than {_DEEPEST} levels"
                raise yaml.MarkedYAMLError(problem=wrong, problem_mark=event.start_mark)
            self.levels += 1
            node = super().compose_node(parent, index)
            self.levels -= 1
            return node

        def construct_scalar(self, node: Any) -> Any:
            return _paired(super().construct_scalar(node))

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} is there twice",
                        problem_mark=key.start_mark,
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    Loader.yaml_implicit_resolvers = {}
    for name, pattern, first in _PLAIN:
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z"), list(first)
        )
    return Loader


def _paired(value: Any) -> Any:
    """A string in which escapes name a character by two halves, as JSON's do, made whole."""
    if not isinstance(value, str) or not any("\ud800" <= sign <= "\udbff" for sign in value):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _loaded(yaml: str, text: str) -> Any:
    """The plain value of a piece of YAML out of `text`."""
    from yaml import MarkedYAMLError, YAMLError, load

    try:
        return load(yaml, _loader())
    except (YAMLError, ValueError) as error:
        where = ""
        if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
            mark = error.problem_mark
            at = text.find(yaml) + mark.index
            where = f" at character {at} (line {mark.line + 1}, column {mark.column + 1} of it)"
        said = [getattr(error, part, None) for part in ("context", "problem")]
        problem = ", ".join(part for part in said if part) or str(error)
        raise OutputParserException(
            f"The model's output is not valid YAML{where}: {problem}. The output: {shown(text)}",
            llm_output=text,
        ) from error
