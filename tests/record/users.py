"""Classes as users write them: values of chains that are not Headrace's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, PrivateAttr

from headrace.documents import Document
from headrace.messages import AIMessage, HumanMessage
from headrace.messages.base import Rare

RAN: list[str] = []  # constructors that ran


@dataclass
class Point:
    x: int
    y: Any

    def __post_init__(self) -> None:
        RAN.append("Point")


@dataclass(frozen=True, slots=True)
class Frozen:
    text: str
    more: list[int] = field(default_factory=list)


class Inner(BaseModel):
    number: int


class Settings(BaseModel):
    name: str
    inner: Inner
    unset: int = 3
    _secret: int = PrivateAttr(default=5)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int


class Loud(BaseModel):
    value: int

    def model_post_init(self, context: Any) -> None:
        RAN.append("Loud")


class Colour(Enum):
    RED = "r"
    GREEN = 2


class Power(Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: int
    right: Any


class RateLimited(Exception):
    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        RAN.append("RateLimited")

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.retry_after} s)"


class Thing:
    def __repr__(self) -> str:
        return "<a thing \ud800>"


@dataclass
class Failing:
    value: Any

    def __getattribute__(self, name: str) -> Any:
        if name == "value":
            raise RuntimeError("no")
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        return "<failing>"


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Long:
    def __repr__(self) -> str:
        return "x" * 20_000


class Styled(AIMessage):
    colour = Rare[str]()


class Page(Document):
    """With a dict, as subclasses without slots have one."""


def plain_function() -> None:
    """For a repr."""


class Question:
    """What a model can be asked, though it is nothing of Headrace's."""

    def to_messages(self) -> list[HumanMessage]:
        return [HumanMessage("a question")]
