"""Output parsers: from what a model said to a value.

Those for more than text are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from ..errors import OutputParserException
from .base import (
    BaseGenerationOutputParser,
    BaseLLMOutputParser,
    BaseOutputParser,
    BaseTransformOutputParser,
)
from .string import StrOutputParser

if TYPE_CHECKING:
    from .boolean import BooleanOutputParser
    from .datetime import DatetimeOutputParser
    from .enum import EnumOutputParser
    from .fix import OutputFixingParser
    from .json import (
        JsonOutputParser,
        SimpleJsonOutputParser,
        parse_and_check_json_markdown,
        parse_json_markdown,
        parse_partial_json,
    )
    from .list import (
        CommaSeparatedListOutputParser,
        ListOutputParser,
        MarkdownListOutputParser,
        NumberedListOutputParser,
    )
    from .openai_functions import (
        JsonKeyOutputFunctionsParser,
        JsonOutputFunctionsParser,
        OutputFunctionsParser,
        PydanticAttrOutputFunctionsParser,
        PydanticOutputFunctionsParser,
    )
    from .openai_tools import (
        JsonOutputKeyToolsParser,
        JsonOutputToolsParser,
        PydanticToolsParser,
        make_invalid_tool_call,
        parse_tool_call,
        parse_tool_calls,
    )
    from .pydantic import PydanticOutputParser
    from .regex import RegexDictParser, RegexParser
    from .retry import RetryOutputParser, RetryWithErrorOutputParser
    from .transform import BaseCumulativeTransformOutputParser
    from .xml import XMLOutputParser
    from .yaml import YamlOutputParser

__all__ = [
    "BaseCumulativeTransformOutputParser",
    "BaseGenerationOutputParser",
    "BaseLLMOutputParser",
    "BaseOutputParser",
    "BaseTransformOutputParser",
    "BooleanOutputParser",
    "CommaSeparatedListOutputParser",
    "DatetimeOutputParser",
    "EnumOutputParser",
    "JsonKeyOutputFunctionsParser",
    "JsonOutputFunctionsParser",
    "JsonOutputKeyToolsParser",
    "JsonOutputParser",
    "JsonOutputToolsParser",
    "ListOutputParser",
    "MarkdownListOutputParser",
    "NumberedListOutputParser",
    "OutputFixingParser",
    "OutputFunctionsParser",
    "OutputParserException",
    "PydanticAttrOutputFunctionsParser",
    "PydanticOutputFunctionsParser",
    "PydanticOutputParser",
    "PydanticToolsParser",
    "RegexDictParser",
    "RegexParser",
    "RetryOutputParser",
    "RetryWithErrorOutputParser",
    "SimpleJsonOutputParser",
    "StrOutputParser",
    "XMLOutputParser",
    "YamlOutputParser",
    "make_invalid_tool_call",
    "parse_and_check_json_markdown",
    "parse_json_markdown",
    "parse_partial_json",
    "parse_tool_call",
    "parse_tool_calls",
]

_LATER = {
    "BaseCumulativeTransformOutputParser": "transform",
    "BooleanOutputParser": "boolean",
    "CommaSeparatedListOutputParser": "list",
    "DatetimeOutputParser": "datetime",
    "EnumOutputParser": "enum",
    "JsonKeyOutputFunctionsParser": "openai_functions",
    "JsonOutputFunctionsParser": "openai_functions",
    "JsonOutputKeyToolsParser": "openai_tools",
    "JsonOutputParser": "json",
    "JsonOutputToolsParser": "openai_tools",
    "ListOutputParser": "list",
    "MarkdownListOutputParser": "list",
    "NumberedListOutputParser": "list",
    "OutputFixingParser": "fix",
    "OutputFunctionsParser": "openai_functions",
    "PydanticAttrOutputFunctionsParser": "openai_functions",
    "PydanticOutputFunctionsParser": "openai_functions",
    "PydanticOutputParser": "pydantic",
    "PydanticToolsParser": "openai_tools",
    "RegexDictParser": "regex",
    "RegexParser": "regex",
    "RetryOutputParser": "retry",
    "RetryWithErrorOutputParser": "retry",
    "SimpleJsonOutputParser": "json",
    "XMLOutputParser": "xml",
    "YamlOutputParser": "yaml",
    "make_invalid_tool_call": "openai_tools",
    "parse_and_check_json_markdown": "json",
    "parse_json_markdown": "json",
    "parse_partial_json": "json",
    "parse_tool_call": "openai_tools",
    "parse_tool_calls": "openai_tools",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> Any:  # a list; that name is a submodule here
    return listed(globals(), __all__)
