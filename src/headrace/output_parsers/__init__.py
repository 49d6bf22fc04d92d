"""Output parsers: from what a model said to a value.

Those for more than text are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later
from ..errors import OutputParserException
from .base import BaseOutputParser, BaseTransformOutputParser
from .string import StrOutputParser

if TYPE_CHECKING:
    from .json import JsonOutputParser, SimpleJsonOutputParser
    from .list import CommaSeparatedListOutputParser

__all__ = [
    "BaseOutputParser",
    "BaseTransformOutputParser",
    "CommaSeparatedListOutputParser",
    "JsonOutputParser",
    "OutputParserException",
    "SimpleJsonOutputParser",
    "StrOutputParser",
]

_LATER = {
    "CommaSeparatedListOutputParser": "list",
    "JsonOutputParser": "json",
    "SimpleJsonOutputParser": "json",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)
