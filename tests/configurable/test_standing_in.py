"""What bindings and configurable steps give of what they stand for: doors that look like doors,
methods under their config, prompts, equality."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from functools import wraps
from typing import Any

import pytest

from headrace.callbacks.listeners import Listening
from headrace.chat_history import InMemoryChatMessageHistory
from headrace.errors import AsyncOnlyError
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.runnables import (
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    Runnable,
    RunnableBinding,
    RunnableBranch,
    RunnableLambda,
    RunnablePassthrough,
    RunnableRetry,
    RunnableWithFallbacks,
    RunnableWithMessageHistory,
)


def same(value: Any) -> Any:
    return value


async def asame(value: Any) -> Any:
    return value


def settings(**values: Any) -> dict[str, Any]:
    return {"configurable": values}


def binding() -> Any:
    return RunnableLambda(same).with_config(tags=["a"])


def alternatives() -> Any:
    other = RunnableLambda(str)
    return RunnableLambda(same).configurable_alternatives(ConfigurableField("which"), other=other)


# ---- doors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [binding, alternatives])
@pytest.mark.parametrize("door", ["ainvoke", "abatch"])
def test_async_doors_are_coroutine_functions(make: Any, door: str) -> None:
    assert inspect.iscoroutinefunction(getattr(make(), door))


def test_a_door_of_a_binding_is_a_step() -> None:
    step = RunnableLambda(binding().ainvoke)
    assert asyncio.run(step.ainvoke(1)) == 1


class Counted:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Any:
        self.made += 1
        return RunnableLambda(lambda x: f"{x}!")


def test_an_alternative_is_made_once_for_each_input() -> None:
    counted = Counted()
    step = RunnableLambda(same).configurable_alternatives(ConfigurableField("w"), other=counted)
    configs = [settings(w="other"), settings(), settings(w="other")]
    out = ["1!", 2, "3!"]
    assert step.batch([1, 2, 3], configs) == out
    assert counted.made == 2
    assert asyncio.run(step.abatch([1, 2, 3], configs)) == out
    assert counted.made == 4
    assert sorted(step.batch_as_completed([1, 2, 3], configs)) == list(enumerate(out))
    assert counted.made == 6

    async def listed() -> list[Any]:
        return sorted([pair async for pair in step.abatch_as_completed([1, 2, 3], configs)])

    assert asyncio.run(listed()) == list(enumerate(out))
    assert counted.made == 8
    (RunnablePassthrough() | {"a": step, "b": same}).invoke(1, settings(w="other"))
    assert counted.made == 9


def test_a_choice_that_is_not_there_fails_at_its_place_of_a_batch() -> None:
    configs = [settings(which="other"), settings(which="nowhere")]
    first, second = alternatives().batch([1, 2], configs, return_exceptions=True)
    assert first == "1"
    assert "nowhere" in str(second)
    with pytest.raises(ValueError, match="nowhere"):
        alternatives().batch([1, 2], configs)


# ---- sync bodies --------------------------------------------------------------------------------


def test_a_branch_refuses_what_cannot_succeed_and_nothing_else() -> None:
    only = RunnableLambda(asame)
    some = RunnableBranch((lambda x: x > 1, only), (only, same), same)
    assert RunnableBranch((lambda x: x > 1, only), same).invoke(1) == 1
    assert RunnableBranch((lambda x: x > 1, same), (only, same), same).invoke(2) == 2
    with pytest.raises(AsyncOnlyError):
        some.invoke(1)
    asked: list[Any] = []
    hopeless = RunnableBranch((asked.append, only), only)
    with pytest.raises(AsyncOnlyError):
        hopeless.invoke(1)
    with pytest.raises(AsyncOnlyError):
        RunnableBranch((only, same), same).invoke(1)
    assert asked == []


def test_fallbacks_with_one_sync_body_do() -> None:
    only = RunnableLambda(asame)
    assert only.with_fallbacks([RunnableLambda(same)]).invoke(1) == 1
    assert RunnableLambda(same).with_fallbacks([only]).invoke(1) == 1
    with pytest.raises(AsyncOnlyError):
        only.with_fallbacks([only]).invoke(1)


# ---- options ------------------------------------------------------------------------------------


def test_an_option_may_have_a_falsy_key() -> None:
    options: Any = {"": "empty", 0: "zero", "x": "ex"}
    prompt = PromptTemplate.from_template("{x}").configurable_fields(
        template=ConfigurableFieldSingleOption("t", options, "x")
    )
    said = [prompt.invoke({}, settings(t=key)).to_string() for key in ("", 0, "x", None)]
    assert said == ["empty", "zero", "ex", "ex"]


@pytest.mark.parametrize("keys", [("mro", "a"), (1, "a"), ("__x__", "a"), ("_x_",), (0, False)])
def test_any_key_has_a_spec(keys: Any) -> None:
    options = dict.fromkeys(keys, "text")
    for field in (
        ConfigurableFieldSingleOption("t", options, keys[0]),
        ConfigurableFieldMultiOption("t", options, [keys[0]]),
    ):
        prompt = PromptTemplate.from_template("x").configurable_fields(template=field)
        assert [spec.id for spec in prompt.config_specs] == ["t"]
        assert str(list(options)[-1]).lower() in str(prompt.get_config_jsonschema()).lower()


# ---- methods ------------------------------------------------------------------------------------


def logged(function: Any) -> Any:
    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return called


class Special(Runnable[Any, Any]):
    def __init__(self, mark: str = "") -> None:
        self.mark = mark
        self.score = len  # callable, and no method

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input

    def special(self, value: Any, config: Any = None) -> Any:
        return self.mark, value, (config or {}).get("tags")

    def keyword(self, value: Any, *, config: Any = None) -> Any:
        return self.mark, value, (config or {}).get("tags")

    async def later(self, value: Any, config: Any = None) -> Any:
        return self.mark, value, (config or {}).get("tags")

    def plain(self, value: Any) -> Any:
        return value

    def load(self, config: str) -> str:
        return config

    @logged
    def decorated(self, value: Any, config: Any = None) -> Any:
        return (config or {}).get("tags")


def test_a_method_gets_the_config_of_the_binding() -> None:
    bound: Any = Special().with_config(tags=["a"])
    assert bound.special(1) == ("", 1, ["a"])
    assert bound.special(1, {"tags": ["b"]}) == ("", 1, ["a", "b"])
    assert bound.special(1, config={"tags": ["b"]}) == ("", 1, ["a", "b"])
    assert bound.keyword(1, config={"tags": ["b"]}) == ("", 1, ["a", "b"])
    assert bound.keyword(1) == ("", 1, ["a"])
    assert asyncio.run(bound.later(1)) == ("", 1, ["a"])
    assert (bound.plain(1), bound.score("ab")) == (1, 2)
    assert bound.score is len
    assert bound.load("a.toml") == "a.toml", "not every config is one of a run"
    assert bound.decorated(1) == ["a"]
    assert bound.with_config(tags=["b"]).decorated(1) == ["a", "b"]
    assert type(bound)(bound=bound, config={"tags": ["c"]}).decorated(1) == ["a", "c"]


def test_a_method_is_that_of_what_was_chosen() -> None:
    step: Any = Special().configurable_fields(mark=ConfigurableField("mark"))
    assert step.special(1) == ("", 1, None)
    assert step.special(1, {"configurable": {"mark": "#"}, "tags": ["b"]}) == ("#", 1, ["b"])
    assert step.special(1, {"mark": "#"})[0] == "#"
    assert step.keyword(1, config=settings(mark="#"))[0] == "#"
    assert step.with_config(configurable={"mark": "+"}).special(1)[0] == "+"
    assert asyncio.run(step.later(1, settings(mark="#")))[0] == "#"


def test_fallbacks_leave_what_is_no_method_alone() -> None:
    both: Any = Special().with_fallbacks([Special()])
    assert both.score is len
    assert both.plain(1) == 1
    bound = both.bind(k=1)
    assert isinstance(both.with_config(tags=["a"]).bound, RunnableWithFallbacks)
    assert bound.kwargs == {"k": 1}


# ---- equality -----------------------------------------------------------------------------------


def told(run: Any) -> None:
    pass


def factory(config: Any) -> Any:
    return {}


STORE = InMemoryChatMessageHistory()


def store(key: str) -> Any:
    return STORE


PAIRS: dict[str, tuple[Any, Any]] = {
    "factories": (
        lambda: RunnableBinding(bound=same, config_factories=[factory]),
        lambda: RunnableBinding(bound=same),
    ),
    "types": (
        lambda: RunnableLambda(same).with_types(input_type=int),
        lambda: RunnableLambda(same).with_types(input_type=str),
    ),
    "listeners": (
        lambda: RunnableLambda(same).with_listeners(on_start=told),
        lambda: RunnableLambda(same).with_listeners(on_end=told),
    ),
    "retry": (
        lambda: RunnableLambda(same).with_retry(stop_after_attempt=2),
        lambda: RunnableLambda(same).with_retry(stop_after_attempt=3),
    ),
    "fallbacks": (
        lambda: RunnableLambda(same).with_fallbacks([RunnableLambda(str)]),
        lambda: RunnableLambda(same).with_fallbacks([RunnableLambda(str)], exception_key="e"),
    ),
    "branch": (
        lambda: RunnableBranch((same, str), same),
        lambda: RunnableBranch((same, str), str),
    ),
    "history": (
        lambda: RunnableWithMessageHistory(same, store),
        lambda: RunnableWithMessageHistory(same, store, input_messages_key="x"),
    ),
    "alternatives": (
        alternatives,
        lambda: RunnableLambda(same).configurable_alternatives(ConfigurableField("w"), b=binding()),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_by_value(name: str) -> None:
    make, other = PAIRS[name]
    assert make() == make()
    assert make() != other()
    assert make() != RunnableLambda(same)
    assert pickle.loads(pickle.dumps(make())) == make() == copy.deepcopy(make())


def test_listeners_are_values() -> None:
    one, twin = (Listening(on_start=told, on_end=None, on_error=None) for _ in "ab")
    assert one == twin
    assert hash(one) == hash(twin)
    assert one != factory


# ---- prompts and names --------------------------------------------------------------------------


def test_prompts_follow_the_configuration() -> None:
    first, second = (ChatPromptTemplate.from_messages([("human", text)]) for text in ("1", "2"))
    choice = first.configurable_alternatives(ConfigurableField("p"), other=second)
    chain = RunnablePassthrough() | choice
    assert chain.get_prompts() == [first]
    assert chain.get_prompts(settings(p="other")) == [second]
    assert chain.with_config(configurable={"p": "other"}).get_prompts() == [second]
    field = PromptTemplate.from_template("a").configurable_fields(template=ConfigurableField("t"))
    (found,) = (field | same).get_prompts(settings(t="b"))
    assert found.template == "b"


def test_a_retried_step_is_called_as_what_it_retries() -> None:
    assert RunnableLambda(same).with_retry().get_name() == "same"
    assert RunnableRetry(bound=same, name="mine").get_name() == "mine"


def test_retry_takes_what_goes_with_every_try() -> None:
    def see(value: Any, config: Any, **kwargs: Any) -> Any:
        return kwargs, config["tags"]

    step = RunnableRetry(bound=RunnableLambda(see), kwargs={"k": 1}, config={"tags": ["a"]})
    kwargs, tags = step.invoke(1)
    assert (kwargs, "a" in tags) == ({"k": 1}, True)
