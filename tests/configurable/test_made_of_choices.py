"""Methods of configurable steps that make runnables: what they made is of what a call chooses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel

from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import ConfigurableField, RunnableLambda
from laws.colours import every_colour


class Found(BaseModel):
    a: int


def model(number: int) -> FakeListChatModel:
    return FakeListChatModel(responses=[f'{{"a": {number}}}'])


def third() -> FakeListChatModel:
    return model(3)


ALTERNATIVES = model(1).configurable_alternatives(ConfigurableField("m"), b=model(2), c=third)
FIELDS = model(1).configurable_fields(responses=ConfigurableField("r"))
BOTH = FIELDS.configurable_alternatives(ConfigurableField("m"), b=model(2))
CHOICES: list[tuple[Any, dict[str, Any], int]] = [
    (ALTERNATIVES, {}, 1),
    (ALTERNATIVES, {"m": "default"}, 1),
    (ALTERNATIVES, {"m": "b"}, 2),
    (ALTERNATIVES, {"m": "c"}, 3),
    (FIELDS, {}, 1),
    (FIELDS, {"r": ['{"a": 4}']}, 4),
    (BOTH, {"r": ['{"a": 5}']}, 5),
    (BOTH, {"m": "b", "r": ['{"a": 5}']}, 2),
]
every_choice = pytest.mark.parametrize(("step", "configurable", "number"), CHOICES)


@every_colour
@every_choice
def test_a_typed_result_is_of_the_model_that_a_call_chooses(colour, step, configurable, number):
    config = {"configurable": configurable}

    def body(doors):
        typed = step.with_structured_output(Found)
        chain = ChatPromptTemplate.from_template("{x}") | typed | (lambda found: found.a)
        for said_here in (
            lambda: doors.invoke(typed, "x", config),
            lambda: doors.stream(typed, "x", config)[-1],
            lambda: doors.batch(typed, ["x"], config)[0],
            lambda: doors.invoke(typed.with_config(config), "x"),
            lambda: doors.stream(typed.with_config(config), "x")[-1],
            lambda: doors.invoke(step.with_config(config).with_structured_output(Found), "x"),
            lambda: doors.invoke(pickle.loads(pickle.dumps(typed)), "x", config),
            lambda: doors.invoke(copy.deepcopy(typed), "x", config),
        ):
            assert said_here() == Found(a=number)
        assert doors.invoke(chain, {"x": "y"}, config) == number
        assert doors.stream(chain.with_config(config), {"x": "y"}) == [number]
        assert len(doors.stream(typed, "x", config)) == len(
            doors.stream(model(number).with_structured_output(Found), "x")
        )

    colour.run(body)


def test_inputs_of_one_batch_may_choose_differently():
    typed = ALTERNATIVES.with_structured_output(Found)
    configs: Any = [{"configurable": {"m": key}} for key in ("b", "default", "c")]
    assert typed.batch(["x"] * 3, configs) == [Found(a=2), Found(a=1), Found(a=3)]


def test_other_methods_that_make_runnables():
    bound = ALTERNATIVES.bind_tools([Found])
    config: Any = {"configurable": {"m": "b"}}
    assert bound.invoke("x", config).content == '{"a": 2}'
    prompt = ChatPromptTemplate.from_template("a {x} {y}").configurable_alternatives(
        ConfigurableField("m"), b=ChatPromptTemplate.from_template("b {x} {y}")
    )
    half = prompt.partial(x=1)
    assert half.invoke({"y": 2}).messages[0].content == "a 1 2"
    assert half.invoke({"y": 2}, config).messages[0].content == "b 1 2"
    assert half.partial(y=3).invoke({}, config).messages[0].content == "b 1 3"


def test_methods_that_make_something_else_are_the_defaults():
    assert FIELDS.get_num_tokens("a b") == model(1).get_num_tokens("a b")
    assert ALTERNATIVES.responses == ['{"a": 1}']


def test_about_itself():
    typed = ALTERNATIVES.with_structured_output(Found)
    assert typed == ALTERNATIVES.with_structured_output(Found)
    assert typed != FIELDS.with_structured_output(Found)
    assert typed != ALTERNATIVES.bind_tools([Found])
    assert [spec.id for spec in typed.config_specs] == ["m"]
    assert repr(typed) == f"{ALTERNATIVES!r}.with_structured_output({Found!r})"
    assert typed.OutputType is Found
    assert "FakeListChatModel" in str(typed.explain())


def test_an_alternative_that_cannot():
    step = model(1).configurable_alternatives(ConfigurableField("m"), b=RunnableLambda(str))
    with pytest.raises(AttributeError, match="with_structured_output"):
        step.with_structured_output(Found)
    with pytest.raises(ConfigError, match="Unknown alternative 'z'"):
        ALTERNATIVES.with_structured_output(Found).invoke("x", {"configurable": {"m": "z"}})
