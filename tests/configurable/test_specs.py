"""`config_specs`, `config_schema` and `get_config_jsonschema`: what a chain can be told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

import headrace
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.errors import ConfigError
from headrace.language_models import FakeListLLM
from headrace.runnables import (
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    ConfigurableFieldSpec,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSerializable,
    RunnableWithMessageHistory,
)


def llm(id: str = "said", **more: Any) -> Any:
    return FakeListLLM(responses=["a"]).configurable_fields(responses=ConfigurableField(id, **more))


def ids(runnable: Any) -> list[str]:
    return [spec.id for spec in runnable.config_specs]


def configurable(runnable: Any) -> dict[str, Any]:
    return runnable.get_config_jsonschema()["$defs"]["Configurable"]["properties"]


def test_a_runnable_without_settings_has_none():
    assert RunnablePassthrough().config_specs == []
    assert (RunnablePassthrough() | str.upper).get_config_jsonschema() == {
        "properties": {},
        "title": "RunnableSequenceConfig",
        "type": "object",
    }


def test_those_of_the_parts_come_together_once_each_in_order():
    combinators: list[Callable[[Any], Any]] = [
        lambda one: RunnablePassthrough() | one | one,
        lambda one: RunnableParallel(a=one, b=one),
        lambda one: RunnableBranch((bool, one), one),
        lambda one: RunnablePassthrough.assign(a=one),
        lambda one: one.with_retry(),
        lambda one: one.with_fallbacks([one]),
        lambda one: one.map(),
        lambda one: one.bind(stop=["x"]).with_config(tags=["t"]),
        lambda one: one.configurable_fields(sleep=ConfigurableField("said2")),
    ]
    for combine in combinators:
        assert "said" in ids(combine(llm()))
    assert ids(RunnableParallel(a=llm("z"), b=llm("y"), c=llm("z"))) == ["y", "z"]


def test_two_meanings_of_one_key_are_refused_naming_both():
    chain = RunnableParallel(a=llm(name="First"), b=llm(name="Second"))
    for ask in (lambda: chain.config_specs, chain.config_schema, chain.get_config_jsonschema):
        with pytest.raises(ConfigError, match=r"'said' means two things.*First.*Second"):
            ask()


def test_a_spec_says_type_default_name_and_description():
    class Said(RunnableSerializable[str, str]):
        what: int = Field(default=3, description="from the field")

        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return input * self.what

    plain = Said().configurable_fields(what=ConfigurableField("n"))
    assert plain.config_specs == [
        ConfigurableFieldSpec("n", int, None, "from the field", 3, False, None)
    ]
    own = Said().configurable_fields(
        what=ConfigurableField("n", "N", "mine", annotation=float, is_shared=True)
    )
    assert own.config_specs == [ConfigurableFieldSpec("n", float, "N", "mine", 3, True, None)]


def test_a_combinators_spec_takes_the_type_from_its_constructor():
    step = (
        RunnableLambda(str.upper)
        .with_retry()
        .configurable_fields(max_attempt_number=ConfigurableField("tries"))
    )
    assert configurable(step) == {"tries": {"default": 3, "title": "Tries", "type": "integer"}}


def test_options_are_enums():
    fields = {"one": [1], "two": [2]}
    chain = FakeListLLM(responses=["a"]).configurable_fields(
        responses=ConfigurableFieldSingleOption("single", fields, "one", name="The one"),
        sleep=ConfigurableFieldMultiOption("multi", fields, ["two"]),
    )
    schema = chain.get_config_jsonschema()
    assert schema["$defs"]["Configurable"]["properties"] == {
        "single": {"$ref": "#/$defs/The_one", "default": "one"},
        "multi": {
            "default": ["two"],
            "items": {"$ref": "#/$defs/multi"},
            "title": "Multi",
            "type": "array",
        },
    }
    assert schema["$defs"]["multi"] == {"enum": ["one", "two"], "title": "multi", "type": "string"}
    assert schema["title"] == "RunnableConfigurableFieldsConfig"


def test_a_choice_is_an_enum_and_equal_choices_are_one():
    def choice() -> Any:
        return RunnablePassthrough().configurable_alternatives(
            ConfigurableField("which", name="Which"), a=RunnablePassthrough()
        )

    assert ids(choice() | choice()) == ["which"]
    schema = choice().get_config_jsonschema()
    assert schema["$defs"]["Which"]["enum"] == ["a", "default"]
    assert schema["title"] == "RunnableConfigurableAlternativesConfig"


def test_the_model_validates():
    model = (llm() | llm("other")).config_schema(include=["tags"])
    assert model(configurable={"said": ["x"]}).configurable.said == ["x"]
    assert model(configurable={}).configurable.other == ["a"]
    assert model().tags is None
    with pytest.raises(ValidationError, match="said"):
        model(configurable={"said": 3})


def test_include_adds_fields_of_the_config():
    schema = RunnablePassthrough().get_config_jsonschema(include=["tags", "max_concurrency"])
    assert sorted(schema["properties"]) == ["max_concurrency", "tags"]
    assert RunnablePassthrough().config_schema(["run_name"]).model_fields.keys() == {"run_name"}


def test_keys_that_are_no_python_names():
    chain = RunnableParallel(
        **{name: llm(id) for name, id in zip("abcde", ["_a", "json", "model_x", "a b", "x==y/z"],
                                              strict=True)}
    )  # fmt: skip
    assert set(configurable(chain)) == {"_a", "json", "model_x", "a b", "x==y/z"}


def test_what_json_has_no_words_for_is_left_open():
    chain = RunnableLambda(str.upper).configurable_fields(
        func=ConfigurableField("f", annotation=Callable[[Iterator[int]], None])
    )
    assert configurable(chain) == {"f": {"title": "F"}}


def test_a_history_tells_its_session_and_what_is_inside():
    chain = RunnableWithMessageHistory(llm(), lambda session_id: InMemoryChatMessageHistory())
    assert ids(chain) == ["said", "session_id"]
    assert configurable(chain)["session_id"]["type"] == "string"


def test_a_users_own_specs_count():
    class Known(RunnableSerializable[str, str]):
        @property
        def config_specs(self) -> list[ConfigurableFieldSpec]:
            return [ConfigurableFieldSpec("mine", str)]

        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return input

    assert ids(RunnablePassthrough() | Known()) == ["mine"]
    prefixed = Known().configurable_alternatives(
        ConfigurableField("w"), prefix_keys=True, other=Known()
    )
    assert ids(prefixed) == ["w", "w==default/mine", "w==other/mine"]


def test_shared_specs_keep_their_key_under_prefixes():
    shared = FakeListLLM(responses=["a"]).configurable_fields(
        sleep=ConfigurableField("pause", is_shared=True), responses=ConfigurableField("said")
    )
    step = shared.configurable_alternatives(ConfigurableField("w"), prefix_keys=True, b=shared)
    assert ids(step) == ["pause", "w", "w==b/said", "w==default/said"]


def test_specs_need_no_pydantic():
    code = (
        "import sys\n"
        "from headrace.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough\n"
        "step = RunnableLambda(len).configurable_fields(func=ConfigurableField('f'))\n"
        "step = step.configurable_alternatives(ConfigurableField('w'), b=RunnablePassthrough())\n"
        "assert (step | step).invoke('a', {'configurable': {'w': 'b'}}) == 'a'\n"
        "assert len(step.config_specs) == 2\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(headrace.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    assert done.returncode == 0
