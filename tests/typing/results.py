# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What parsers give in a chain is what their schema, or their name, says."""

from datetime import datetime
from typing import Any, assert_type

from pydantic import BaseModel
from typing_extensions import TypedDict

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import (
    BooleanOutputParser,
    CommaSeparatedListOutputParser,
    DatetimeOutputParser,
    JsonOutputParser,
    OutputFixingParser,
    PydanticOutputParser,
    RegexParser,
    XMLOutputParser,
    YamlOutputParser,
)


class Page(BaseModel):
    title: str


class PageDict(TypedDict):
    title: str


model = FakeListChatModel(responses=[])

assert_type((model | PydanticOutputParser(pydantic_object=Page)).invoke("x"), Page)
assert_type(PydanticOutputParser(pydantic_object=Page).invoke("x"), Page)
assert_type(PydanticOutputParser(pydantic_object=PageDict).invoke("x"), PageDict)
assert_type(PydanticOutputParser(pydantic_object=list[Page]).invoke("x"), list[Page])
assert_type((model | JsonOutputParser()).invoke("x"), Any)
assert_type((model | CommaSeparatedListOutputParser()).invoke("x"), list[str])
assert_type((model | XMLOutputParser()).invoke("x"), dict[str, Any])
assert_type((model | BooleanOutputParser()).invoke("x"), bool)
assert_type((model | DatetimeOutputParser()).invoke("x"), datetime)
assert_type((model | RegexParser(regex="(a)", output_keys=["a"])).invoke("x"), dict[str, str])

assert_type(YamlOutputParser(pydantic_object=Page).invoke("x"), Page)
assert_type((model | YamlOutputParser(pydantic_object=Page)).invoke("x"), Page)

fixing = OutputFixingParser.from_llm(model, PydanticOutputParser(pydantic_object=Page))
assert_type(fixing.invoke("x"), Page)
