"""Output parsers: from what a model said to a value."""

from ..errors import OutputParserException
from .base import BaseOutputParser, BaseTransformOutputParser
from .json import JsonOutputParser, SimpleJsonOutputParser
from .string import StrOutputParser

__all__ = [
    "BaseOutputParser",
    "BaseTransformOutputParser",
    "JsonOutputParser",
    "OutputParserException",
    "SimpleJsonOutputParser",
    "StrOutputParser",
]
