"""`JsonOutputParser`: JSON as it grows, read once by the incremental machine.

What of it is shown while it streams is `emit`'s to say; the machines are in `_elements`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypeVar

from ..errors import ConfigError, JsonSyntaxError
from ..flow import Machine, last
from ..outputs import ChatGeneration, Generation
from ..shapes import Pieces
from ._machines import MachineOutputParser, Way
from .endings import raise_if_refused
from .transform import BaseCumulativeTransformOutputParser

if TYPE_CHECKING:
    from ..jsonstream import (
        parse_and_check_json_markdown,
        parse_json_markdown,
        parse_partial_json,
    )
    from ._elements import Reading
    from .schemas import Schema

__all__ = [
    "Emit",
    "JsonOutputParser",
    "SimpleJsonOutputParser",
    "parse_and_check_json_markdown",
    "parse_json_markdown",
    "parse_partial_json",
]

J = TypeVar("J", covariant=True, default=Any)  # noqa: PLC0105 - as in Runnable

_FUNCTIONS = ("parse_and_check_json_markdown", "parse_json_markdown", "parse_partial_json")

# What reads JSON, and what derives things from schemas, is loaded when the first text is read or
# the first schema given: a chain that is only made need not wait for it.


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .. import jsonstream

    return getattr(jsonstream, name)


Emit = Literal["partial", "complete", "delimited"]


class JsonOutputParser(MachineOutputParser[J], BaseCumulativeTransformOutputParser[J]):
    """The JSON in what a model says, bare, in a Markdown fence or in prose.

    `invoke` gives the whole value. Streaming, `emit` chooses what is shown of it:

    - `"partial"`: the value so far whenever it is another one. Containers open empty, strings and
      numbers grow as they arrive (`6`, then `67`).
    - `"delimited"`: the same, but numbers and literals come when their end is seen, so that nothing
      is ever taken back.
    - `"complete"`: each element once, when it has closed: an array's items, an object's members as
      `{key: value}`, of a member that is a list each item as `{key: [item]}`. With `path`, such as
      `countries[*].name`, each value at that place, by itself.

    Values are never changed later; they share what is complete, so copy one before changing what is
    inside it. A step behind that needs the whole value gets the one that `invoke` gives. Text that
    is no JSON when it has ended raises OutputParserException, with the position and what was
    expected, in a stream as in `invoke`; a model that declined raises ModelRefusalError.

    Args:
        pydantic_object: a schema (see `PydanticOutputParser`) for the format instructions; it
            validates nothing.
        diff: show lists of JSON-patch operations (RFC 6902) that make the value of null, one after
            the other; not with `"complete"`, whose elements never change.
        emit: see above.
        path: which elements; means `emit="complete"`.

    Raises:
        ConfigError: settings that make no sense together, or a path that cannot be read.
    """

    pydantic_object: Any = None
    emit: Emit = "partial"
    path: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            pydantic_object: Any = None,
            *,
            diff: bool = False,
            emit: Emit = "partial",
            path: str | None = None,
            name: str | None = None,
            callbacks: Any = None,
        ) -> None: ...
    else:  # classes derived from it may have more fields

        def __init__(self, pydantic_object: Any = None, **settings: Any) -> None:
            given = {} if pydantic_object is None else {"pydantic_object": pydantic_object}
            super().__init__(**given, **settings)
            self._check()

    def _check(self) -> None:
        """Refuse what cannot work, when it is made."""
        self._schema()
        if self.path is not None:
            from ._paths import read_path

            read_path(self.path)
            if self.emit != "complete" and "emit" in self.model_fields_set:
                raise ConfigError(
                    f"path={self.path!r} shows elements when they have closed, and "
                    f"emit={self.emit!r} what grows: leave one of them out."
                )
        if self.diff and self._complete:
            raise ConfigError(
                "diff=True shows changes, and complete elements do not change: leave out diff=True "
                f"or {'path' if self.path is not None else 'emit'}."
            )

    @property
    def _complete(self) -> bool:
        return self.emit == "complete" or self.path is not None

    @property
    def _mode(self) -> Literal["partial", "delimited"]:
        return "delimited" if self.emit == "delimited" else "partial"

    # ------------------------------------------------------------- one text

    def parse(self, text: str) -> Any:
        """The value of `text`."""
        from ._elements import Values

        machine = Values(self._judge, "delimited")
        for _ in machine.feed(text):
            pass
        for _ in machine.finish():
            pass
        return machine.value

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value of the first answer; with `partial` as far as it goes, None if it does not."""
        answer = result[0]
        if isinstance(answer, ChatGeneration):
            raise_if_refused(answer.message)
        if not partial:
            return self.parse(answer.text)
        from ..jsonstream import parse_json_markdown

        try:
            return self._so_far(parse_json_markdown(answer.text.strip()))
        except JsonSyntaxError:
            return None

    def _judge(self, value: Any, text: str) -> Any:
        """The parser's value, of the whole JSON value of a text."""
        return value

    def _so_far(self, value: Any) -> Any:
        """The parser's value of JSON that may still grow."""
        return value

    def _reading(self) -> Reading:
        """The machine for one stream."""
        from ._elements import Changes, Elements, Values

        if self._complete:
            return Elements(self._judge, self.path)
        if self.diff:
            return Changes(self._judge, self._mode)
        return Values(self._judge, self._mode)

    # ------------------------------------------------------------- streaming

    @property
    def _way(self) -> Way:
        cls = type(self)
        if self._own_stream_body or (cls.parse_result, cls.aparse_result) != _RESULT:
            return "pieces"
        return "machine" if (cls.parse, cls.aparse) == _TEXT else "text"

    def _machine(self) -> Machine:
        if self._way == "pieces":
            return BaseCumulativeTransformOutputParser._machine(self)
        return self._reading()

    @property
    def _late(self) -> bool:
        return self._complete or self.diff

    @property
    def _fold(self) -> Any:  # type: ignore[override]
        return None if self._late else last  # of elements, the last one is not the value

    @property
    def _many(self) -> Pieces:  # type: ignore[override]
        way = self._way
        parts = self.diff or self._own_stream_body or (self._complete and way == "machine")
        return Pieces.SURE if parts and way != "text" else Pieces.NONE

    # ------------------------------------------------------------- about itself

    def _schema(self) -> Schema | None:
        if self.pydantic_object is None:
            return None
        from .schemas import schema_of

        return schema_of(self.pydantic_object)

    def get_format_instructions(self) -> str:
        """What to tell the model: with a schema, the schema."""
        schema = self._schema()
        if schema is None:
            return "Answer with JSON only, without any text before or after it."
        told = {key: value for key, value in schema.json_schema().items() if key != "title"}
        return (
            "Answer with one JSON value that fits this JSON schema, without any text before or "
            "after it. Give the value itself and not the schema: for the schema "
            '{"type": "object", "properties": {"name": {"type": "string"}}} that is '
            '{"name": "Ada"}.\n```\n' + json.dumps(told, ensure_ascii=False) + "\n```"
        )

    @property
    def _type(self) -> str:
        return "simple_json_output_parser"


_RESULT = (JsonOutputParser.parse_result, JsonOutputParser.aparse_result)
_TEXT = (JsonOutputParser.parse, JsonOutputParser.aparse)

SimpleJsonOutputParser = JsonOutputParser
