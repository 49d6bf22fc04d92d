"""Tools as text for a prompt, compared with langchain-core."""

# Annotations are objects here: langchain-core shows postponed ones in quotes.
from functools import partial
from typing import Annotated, Any

import pytest
from langchain_core import tools as lc
from pydantic import BaseModel

from headrace import tools as ours
from headrace.errors import InputError
from headrace.runnables import RunnableConfig, RunnableLambda


def multiply(a: int, b: int = 2) -> int:
    """Multiply two numbers."""
    return a * b


def nothing() -> None:
    """Nothing."""


def reports(n: int) -> Any:
    """Report."""
    yield n


async def later(text: str) -> str:
    """Later."""
    return text


def some(module: Any) -> list[Any]:
    class Own(module.BaseTool):
        name: str = "own"
        description: str = "Own."

        def _run(self, query: str) -> str:
            return query

    return [
        module.tool(multiply),
        module.tool(nothing),
        module.tool(reports),
        module.tool(later),
        module.Tool("up", str.upper, "Upper case."),
        module.StructuredTool.from_function(multiply, later, name="both"),
        Own(),
    ]


@pytest.mark.parametrize("name", ["render_text_description", "render_text_description_and_args"])
def test_as_langchain(name):
    mine, theirs = getattr(ours, name), getattr(lc, name)
    assert mine(some(ours)) == theirs(some(lc))
    assert mine([]) == theirs([]) == ""


def test_one_line_for_each():
    text = ours.render_text_description(some(ours)[:2])
    assert text == (
        "multiply(a: int, b: int = 2) -> int - Multiply two numbers.\n"
        "nothing() -> None - Nothing."
    )  # fmt: skip


def test_what_no_model_gives_is_left_out():
    def order(
        dish: str,
        user: Annotated[str, ours.InjectedToolArg],
        call: Annotated[str, ours.InjectedToolCallId],
        config: RunnableConfig,
        run_manager: Any = None,
    ) -> str:
        """Order."""
        return dish

    made = [ours.tool(order)]
    assert ours.render_text_description(made) == "order(dish: str) -> str - Order."
    assert ours.render_text_description_and_args(made) == (
        "order(dish: str) -> str - Order., args: {'dish': {'title': 'Dish', 'type': 'string'}}"
    )


def test_postponed_annotations_look_like_others():
    def order(dish: "list[str]", size: "int | None" = None) -> "str":
        """Order."""
        return str(dish)

    assert ours.render_text_description([ours.tool(order)]) == (
        "order(dish: list[str], size: int | None = None) -> str - Order."
    )


@pytest.mark.parametrize(
    "render", [ours.render_text_description, ours.render_text_description_and_args]
)
def test_one_tool_is_no_list(render):
    with pytest.raises(InputError, match="the tool 'multiply' by itself: give a list"):
        render(ours.tool(multiply))


class Order(BaseModel):
    """An order."""

    dish: str
    count: int = 1
    user: Annotated[str, ours.InjectedToolArg] = ""


JSON = {
    "title": "order",
    "type": "object",
    "properties": {"dish": {"type": "string"}, "count": {"type": "integer"}},
}


def test_runnables_show_the_arguments_of_their_schema():
    def shout(text: str) -> str:
        return text.upper()

    of_dict = RunnableLambda(lambda order: order["dish"])
    chain = of_dict | shout
    made = [
        RunnableLambda(shout).as_tool(name="shout"),
        chain.as_tool(Order, name="order", description="Order."),
        of_dict.as_tool(name="typed", description="Order.", arg_types={"dish": str, "n": int}),
    ]
    assert ours.render_text_description(made) == (
        "shout(tool_input: str) -> Any - Takes a text.\n"
        "order(dish: str, count: int = 1) -> Any - Order.\n"
        "typed(dish: str, n: int) -> Any - Order."
    )


def test_functions_of_keywords_show_the_arguments_of_their_schema():
    def order(**given: Any) -> str:
        """Order."""
        return given["dish"]

    make = partial(ours.StructuredTool.from_function, order, name="order")
    with_model, with_json, without = make(args_schema=Order), make(args_schema=JSON), make()
    assert ours.render_text_description([with_model, with_json, without]) == (
        "order(dish: str, count: int = 1) -> Any - Order.\n"
        "order(dish: str, count) -> Any - Order.\n"
        "order(**given: Any) -> str - Order."
    )
