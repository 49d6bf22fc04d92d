"""What parsers are inferred as: the type of a schema is the type of the value."""

from typing import Any, assert_type

from pydantic import BaseModel

from headrace.language_models import FakeListChatModel
from headrace.language_models.base import LanguageModelInput
from headrace.output_parsers import (
    BaseCumulativeTransformOutputParser,
    BaseGenerationOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
)
from headrace.outputs import Generation
from headrace.runnables import Runnable

chat = FakeListChatModel(responses=["{}"])


class Country(BaseModel):
    name: str = ""


class Words(BaseGenerationOutputParser[list[str]]):
    def parse_result(self, result: list[Generation], *, partial: bool = False) -> list[str]:
        return result[0].text.split()


class Count(BaseCumulativeTransformOutputParser[int]):
    def parse(self, text: str) -> int:
        return len(text)


def schemas() -> None:
    assert_type(PydanticOutputParser(Country).invoke("{}"), Country)
    assert_type(PydanticOutputParser(pydantic_object=Country).invoke("{}"), Country)
    assert_type(PydanticOutputParser[Country](pydantic_object=Country).invoke("{}"), Country)
    assert_type(PydanticOutputParser(list[Country]).invoke("[]"), list[Country])
    assert_type(chat | PydanticOutputParser(Country), Runnable[LanguageModelInput, Country])
    assert_type(PydanticOutputParser({"type": "object"}).invoke("{}"), Any)


def others() -> None:
    assert_type(chat | JsonOutputParser(path="a[*]"), Runnable[LanguageModelInput, Any])
    assert_type(chat | Words(), Runnable[LanguageModelInput, list[str]])
    assert_type(Count(diff=True).invoke("a"), int)
