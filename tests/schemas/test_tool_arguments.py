"""The arguments that a tool made of a runnable takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pytest
from pydantic import BaseModel, RootModel

from headrace.prompts import PromptTemplate
from headrace.runnables import RunnableLambda, RunnablePassthrough
from headrace.runnables.schema import TypeUnknownError, tool_arguments


class Args(TypedDict):
    a: int
    b: list[int]
    c: NotRequired[str]


class Model(BaseModel):
    a: int
    b: str = "x"


@dataclass
class Point:
    x: int
    y: int


def by_dict(args: Args) -> int:
    return args["a"]


def by_model(args: Model) -> int:
    return args.a


def by_point(point: Point) -> int:
    return point.x


def by_text(text: str) -> str:
    return text


def by_number(number: int) -> int:
    return number


def by_any_dict(given: dict[str, Any]) -> int:
    return 1


def _shown(runnable: Any, **options: Any) -> dict[str, Any]:
    shown: dict[str, Any] = tool_arguments(runnable, **options).model_json_schema()
    return shown


def test_a_dict_whose_keys_are_known() -> None:
    shown = _shown(RunnableLambda(by_dict))
    assert (shown["title"], shown["required"]) == ("by_dict", ["a", "b"])
    assert shown["properties"]["b"]["items"] == {"type": "integer"}
    assert tool_arguments(RunnableLambda(by_dict), name="n").__name__ == "n"
    assert tool_arguments(RunnableLambda(by_model)) is Model
    assert _shown(RunnableLambda(by_point))["required"] == ["x", "y"]
    assert _shown(PromptTemplate("{a} {b}"))["required"] == ["a", "b"]
    assigned = RunnablePassthrough.assign(b=lambda x: x["c"]) | PromptTemplate("{a} {b}")
    assert _shown(assigned)["required"] == ["a", "c"]


def test_a_root_model_is_opened() -> None:
    class Rooted(RunnableLambda[Any, Any]):
        def get_input_schema(self, config: Any = None) -> Any:
            return RootModel[Model]

    assert _shown(Rooted(lambda x: x).with_types(input_type=Args))["required"] == ["a", "b"]
    assert tool_arguments(Rooted(lambda x: x)) is Model


def test_text_is_one_argument() -> None:
    assert _shown(RunnableLambda(by_text)) == {
        "title": "by_text", "type": "object", "required": ["__arg1"],
        "properties": {"__arg1": {"title": "__arg1", "type": "string"}},
    }  # fmt: skip


def test_what_is_given_counts() -> None:
    shown = _shown(RunnableLambda(by_any_dict), arg_types={"a": int, "b": list[str]})
    assert shown["properties"]["a"] == {"title": "A", "type": "integer"}
    assert shown["required"] == ["a", "b"]
    assert tool_arguments(RunnableLambda(by_any_dict), args_schema=Model) is Model
    assert _shown(RunnableLambda(by_any_dict), args_schema=Args)["required"] == ["a", "b"]


@pytest.mark.parametrize("function", [by_number, by_any_dict, lambda x: x])
def test_what_cannot_be_a_tool(function: Any) -> None:
    with pytest.raises(TypeUnknownError, match=r"arg_types=\{'name': type\}") as raised:
        tool_arguments(RunnableLambda(function))
    assert isinstance(raised.value, TypeError)
