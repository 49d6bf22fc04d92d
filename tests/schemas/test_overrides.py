"""A user's class may say its types in any of the ways there are; combinators ask it, not us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, RootModel

from headrace.prompts import PromptTemplate
from headrace.runnables import (
    ConfigurableField,
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableEach,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)


class Ask(BaseModel):
    question: str
    limit: int = 3


class _Own(Runnable[Any, Any]):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input


class ByType(_Own):
    @property
    def InputType(self) -> Any:
        return Ask

    OutputType = InputType


class ByModel(_Own):
    def get_input_schema(self, config: Any = None) -> Any:
        return Ask

    get_output_schema = get_input_schema


class ByProperty(_Own):
    @property
    def input_schema(self) -> Any:
        return Ask

    output_schema = input_schema


class ByJson(_Own):
    def get_input_jsonschema(self, config: Any = None) -> Any:
        return {"title": "Ask", **Ask.model_json_schema(), "examples": [{"question": "?"}]}

    get_output_jsonschema = get_input_jsonschema

    def get_input_schema(self, config: Any = None) -> Any:
        return Ask

    get_output_schema = get_input_schema


class Prompt(PromptTemplate):
    """A class with a description of Headrace's own, overridden."""

    def get_input_schema(self, config: Any = None) -> Any:
        return Ask

    get_output_schema = get_input_schema


OWN: list[Callable[[], Any]] = [ByType, ByModel, ByProperty, ByJson, lambda: Prompt("{question}")]
SEEN_THROUGH: dict[str, Callable[[Any], Any]] = {
    "itself": lambda own: own,
    "binding": lambda own: own.bind(a=1).with_config(tags=["t"]),
    "retry": lambda own: own.with_retry(),
    "fallbacks": lambda own: own.with_fallbacks([RunnableLambda(len)]),
    "sequence": lambda own: RunnableSequence(own, own),
    "passing": lambda own: RunnablePassthrough() | own | RunnablePassthrough(),
    "inside": lambda own: (own | own).with_config(tags=["t"]) | own,
}


@pytest.mark.parametrize("through", SEEN_THROUGH)
@pytest.mark.parametrize("own", OWN)
def test_seen_through(own: Callable[[], Any], through: str) -> None:
    runnable = SEEN_THROUGH[through](own())
    for side in ("input", "output"):
        shown = getattr(runnable, f"get_{side}_jsonschema")()
        assert shown["properties"].keys() == {"question", "limit"}
        assert ("examples" in shown) is (own is ByJson)
        assert getattr(runnable, f"get_{side}_schema")().model_validate({"question": "a"})


@pytest.mark.parametrize("own", OWN)
def test_put_together(own: Callable[[], Any]) -> None:
    parallel = RunnableParallel(a=own(), b=lambda x: x["more"])
    properties = parallel.get_input_jsonschema()["properties"]
    assert properties.keys() == {"question", "limit", "more"}
    assert parallel.get_input_jsonschema()["required"] == ["question", "more"]
    assert parallel.get_output_jsonschema()["properties"].keys() == {"a", "b"}
    assert RunnableEach(own()).get_input_jsonschema()["items"] == {"$ref": "#/$defs/Ask"}
    assigned = RunnablePassthrough.assign(limit=lambda x: x["n"]) | own()
    assert assigned.get_input_jsonschema()["properties"].keys() == {"question", "n"}
    picked = own() | RunnablePassthrough.assign(n=lambda x: x["limit"])
    assert picked.get_output_jsonschema()["properties"].keys() == {"question", "limit", "n"}
    assert (own() | RunnablePassthrough().pick("limit")).OutputType is int


def test_arms() -> None:
    branch = RunnableBranch((lambda x: x["a"], ByModel()), (lambda x: x["b"], ByType()), ByModel())
    assert branch.input_schema is branch.output_schema is Ask
    other = RunnableBranch((lambda x: x["a"], ByModel()), RunnableLambda(lambda x: 1))
    assert (other.input_schema, other.OutputType) == (Ask, Any)


def test_super_is_the_original() -> None:
    class Wider(RunnableLambda[str, int]):
        def get_input_schema(self, config: Any = None) -> Any:
            return RootModel[list[super().get_input_schema(config)]]  # type: ignore[misc]

        @property
        def OutputType(self) -> Any:
            return super().OutputType | None

    class Shown(Wider):
        @property
        def input_schema(self) -> Any:
            return RootModel[tuple[super().input_schema]]  # type: ignore[misc]

    assert Shown(lambda text: 1).input_schema.model_json_schema()["maxItems"] == 1
    runnable = Wider(lambda text: 1)
    assert runnable.get_input_jsonschema()["type"] == "array"
    assert runnable.OutputType == int | None
    kinds = runnable.get_output_jsonschema()["anyOf"]
    assert kinds == [{"type": "integer"}, {"type": "null"}]
    assert (runnable | runnable).OutputType == int | None


def test_version_one_models() -> None:
    from pydantic.v1 import BaseModel as Old
    from pydantic.v1 import Field

    class OldAsk(Old):
        question: str
        tags: list[str] = Field(default_factory=list)

    class Own(_Own):
        def get_input_schema(self, config: Any = None) -> Any:
            return OldAsk

    assert (Own() | Own()).get_input_jsonschema()["required"] == ["question"]
    both = RunnableParallel(a=Own(), b=lambda x: x["c"]).get_input_schema()
    made = both.model_validate({"question": "?", "c": 1})
    assert made.tags == []


def test_config_chooses() -> None:
    def count(text: str) -> int:
        return len(text)

    def negate(number: int) -> bool:
        return not number

    chosen = RunnableLambda(count).configurable_alternatives(
        ConfigurableField(id="which"), negate=RunnableLambda(negate)
    )
    config = {"configurable": {"which": "negate"}}
    for runnable in (chosen, chosen.with_config(tags=["t"]), chosen | RunnablePassthrough()):
        assert runnable.get_input_jsonschema()["type"] == "string"
        assert runnable.get_input_jsonschema(config)["type"] == "integer"
        assert runnable.get_output_jsonschema(config)["type"] == "boolean"
        under = runnable.with_config(config)
        assert under.get_output_jsonschema()["type"] == "boolean"


def test_router() -> None:
    router = RouterRunnable({"a": RunnableLambda(len), "b": RunnableLambda(str)})
    assert router.get_input_jsonschema()["$defs"]["RouterInput"]["required"] == ["key", "input"]
    router.input_schema.model_validate({"key": "a", "input": 3})
    with pytest.raises(ValueError, match="key"):
        router.input_schema.model_validate({"input": 3})
    assert router.get_output_jsonschema() == {"title": "RouterRunnableOutput"}  # len says nothing
    assert RouterRunnable({}).get_output_jsonschema() == {"title": "RouterRunnableOutput"}
