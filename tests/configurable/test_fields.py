"""`configurable_fields`: what may be set, what a call sets, and what stays as it is."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import AliasChoices, Field

from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel, FakeListLLM
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import (
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    Runnable,
    RunnableBranch,
    RunnableConfigurableFields,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableSerializable,
)
from laws.colours import SYNC, every_colour
from laws.ledger import Recorder, Source


def settings(**values: Any) -> dict[str, Any]:
    return {"configurable": values}


class Affix(RunnableSerializable[str, str]):
    """Adds `end`, chunk by chunk; counts how often one is made."""

    end: str = Field(alias="ending", default="!", description="what is added")
    other: str = Field(validation_alias=AliasChoices("rest", "remainder"), default="")

    def model_post_init(self, context: Any) -> None:
        MADE.append(self.end)

    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        for chunk in input:
            yield chunk + self.end + self.other

    def shout(self) -> str:
        return self.end * 2

    def shout_with(self, word: str, *, config: Any = None) -> tuple[str, Any]:
        return word + self.end, config


MADE: list[str] = []


def affix() -> Any:
    return Affix(ending="?").configurable_fields(end=ConfigurableField("end"))


@every_colour
def test_a_call_sets_a_field(colour):
    def body(doors: Any) -> None:
        step = affix()
        assert doors.invoke(step, "a") == "a?"
        assert doors.invoke(step, "a", settings(end="#")) == "a#"
        assert doors.invoke(step, "a", {"end": "#"}) == "a#", "also at the top of a config"
        assert doors.stream(step, "a", settings(end="#")) == ["a#"]
        assert doors.transform(step, "ab", settings(end="#")) == ["a#", "b#"]
        assert doors.batch(step, ["a", "b"], settings(end="#")) == ["a#", "b#"]
        assert doors.batch(step, ["a", "b"], [settings(end="#"), None or {}]) == ["a#", "b?"]

    colour.run(body)


@every_colour
def test_in_a_chain_it_streams_before_its_input_has_ended(colour):
    def body(doors: Any) -> None:
        chain = (
            RunnablePassthrough()
            | affix()
            | RunnableLambda(str.upper).configurable_fields(func=ConfigurableField("func"))
        )
        assert doors.transform(chain, "ab", settings(end="#")) == ["A#B#"]
        source = Source(["a", "b", "c"])
        stream = doors.open_transform(RunnablePassthrough() | affix(), source, settings(end="#"))
        assert stream.next() == "a#"
        assert source.pulls == 1
        stream.close()

    colour.run(body)


def test_what_a_call_says_wins_over_with_config_in_a_chain_as_by_itself():
    step = affix().with_config(configurable={"end": "1"})
    for runnable in (
        step,
        RunnablePassthrough() | step,
        (RunnablePassthrough() | step).with_retry(),
    ):
        assert runnable.invoke("a") == "a1"
        assert runnable.invoke("a", settings(end="2")) == "a2"
        assert list(runnable.stream("a", settings(end="2"))) == ["a2"]


def test_with_config_adds_up():
    step = affix().with_config(configurable={"end": "1"}).with_config(tags=["t"])
    seen = Recorder()
    assert (RunnablePassthrough() | step).invoke("a", seen.config) == "a1"
    assert any("t" in event.run.all_tags for event in seen.events)


def test_it_makes_no_run_of_its_own():
    seen = Recorder()
    chain = RunnablePassthrough() | affix()
    chain.invoke("a", {**seen.config, **settings(end="#")})
    names = {event.run.path for event in seen.events}
    assert names == {
        "RunnableSequence",
        "RunnableSequence/1:RunnablePassthrough",
        "RunnableSequence/2:Affix",
    }


# ---- which fields -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["end", "ending"])
def test_a_pydantic_field_goes_by_its_name_or_its_alias(name):
    step = Affix().configurable_fields(**{name: ConfigurableField("x")})
    assert step.invoke("a", settings(x="#")) == "a#"


def test_the_other_fields_are_kept_whatever_their_aliases():
    step = Affix(ending="1", rest="2").configurable_fields(end=ConfigurableField("x"))
    assert step.invoke("a", settings(x="#")) == "a#2"


@pytest.mark.parametrize(
    ("runnable", "known"),
    [
        (Affix(), "end"),
        (RunnableLambda(str.upper), "func"),
        (RunnablePassthrough() | str.upper, "first"),
    ],
)
def test_an_unknown_field_is_refused_by_name_when_the_step_is_made(runnable, known):
    with pytest.raises(ConfigError, match=rf"no field 'endd'.*\[.*'{known}'"):
        runnable.configurable_fields(endd=ConfigurableField("x"))


def test_what_is_no_field_is_refused():
    with pytest.raises(ConfigError, match=r"ConfigurableField.*'x'"):
        Affix().configurable_fields(end="x")


async def _async_upper(text: str) -> str:
    return text.upper()


def _swap(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.swapcase()


@pytest.mark.parametrize(
    ("runnable", "name", "value", "given", "expected"),
    [
        (RunnableLambda(str.upper), "func", str.lower, "Ab", "ab"),
        (RunnableLambda(str.upper), "name", "other", "Ab", "AB"),
        (RunnableLambda(_async_upper), "func", str.lower, "Ab", "ab"),
        (RunnableGenerator(_swap), "transform", lambda chunks: (c * 2 for c in chunks), "a", "aa"),
        (RunnableParallel(a=str.upper), "steps__", {"b": str.lower}, "Ab", {"b": "ab"}),
        (RunnablePick("a"), "keys", ["b"], {"a": 1, "b": 2}, {"b": 2}),
        (RunnablePassthrough.assign(b=len), "mapper", {"c": len}, {"a": 1}, {"a": 1, "c": 1}),
        (RunnableSequence(str.upper, str.strip), "last", len, " a", 2),
        (RunnableSequence(str.upper, str.strip), "first", str.lower, " A", "a"),
        (RunnableBranch((len, str.upper), str.strip), "default", str.lower, "", ""),
        (RunnableBranch((len, str.upper), str.strip), "branches", [(bool, str.lower)], "A", "a"),
        (RunnableLambda(str.upper).map(), "bound", str.lower, ["A"], ["a"]),
        (RunnableLambda(str.upper).with_retry(), "bound", RunnableLambda(str.lower), "A", "a"),
        (RunnableLambda(len).with_fallbacks([]), "runnable", str.lower, "A", "a"),
        (RunnableLambda("{}{k}".format).bind(k=1), "kwargs", {"k": 2}, "a", "a2"),
    ],
)  # fmt: skip
def test_a_combinators_fields_are_its_constructors_parameters(
    runnable, name, value, given, expected
):
    step = runnable.configurable_fields(**{name: ConfigurableField("x")})
    assert step.invoke(given, settings(x=value)) == expected
    chain = RunnablePassthrough() | step
    assert chain.invoke(given, settings(x=value)) == expected
    assert type(step._choose({"x": value})[0]) is type(runnable)


def test_other_parameters_are_kept():
    retry = RunnableLambda(str.upper).with_retry(
        stop_after_attempt=7, wait_exponential_jitter=False
    )
    step = retry.configurable_fields(max_attempt_number=ConfigurableField("tries"))
    made = step._choose({"tries": 2})[0]
    assert (made.max_attempt_number, made.wait_exponential_jitter) == (2, False)
    named = RunnableSequence(str.upper, str.strip, name="named")
    again = named.configurable_fields(last=ConfigurableField("x"))._choose({"x": len})[0]
    assert again.name == "named"


def test_a_users_class_that_hides_a_parameter_says_so():
    class Hidden(Runnable[str, str]):
        def __init__(self, word: str) -> None:
            self.said = word

        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return input + self.said

    with pytest.raises(ConfigError, match="constructor needs 'word'"):
        Hidden("x").configurable_fields(word=ConfigurableField("x"))


def test_a_users_class_that_keeps_its_parameters_can_be_configured():
    class Open(Runnable[str, str]):
        def __init__(self, word: str, times: int = 1) -> None:
            self.word, self.times = word, times

        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return input + self.word * self.times

    step = Open("x", times=2).configurable_fields(word=ConfigurableField("w"))
    assert step.invoke("a", settings(w="y")) == "ayy"
    assert step.invoke("a") == "axx"


# ---- options ------------------------------------------------------------------------------------


def single() -> Any:
    return Affix().configurable_fields(
        end=ConfigurableFieldSingleOption("end", {"one": "1", "two": "2"}, "one")
    )


def several() -> Any:
    return FakeListLLM(responses=["-"]).configurable_fields(
        responses=ConfigurableFieldMultiOption("said", {"a": "A", "b": "B"}, ["a"])
    )


def test_one_option():
    assert single().invoke("x") == "x1"
    assert single().invoke("x", settings(end="two")) == "x2"
    with pytest.raises(ConfigError, match=r"no option 'three'.*'end'.*\['one', 'two'\]"):
        single().invoke("x", settings(end="three"))


def test_several_options():
    assert several().invoke("x") == "A"
    assert several().batch(["x", "x", "x"], settings(said=["b", "a"])) == ["B", "A", "B"]
    with pytest.raises(ConfigError, match=r"no option 'c'.*\['a', 'b'\]"):
        several().invoke("x", settings(said=["b", "c"]))
    with pytest.raises(ConfigError, match="is 'b': give a list of keys"):
        several().invoke("x", settings(said="b"))


def test_a_default_that_is_no_option_is_refused_at_once():
    with pytest.raises(ConfigError, match="no option 'x'"):
        Affix().configurable_fields(end=ConfigurableFieldSingleOption("end", {"one": "1"}, "x"))
    with pytest.raises(ConfigError, match="no option 'x'"):
        Affix().configurable_fields(end=ConfigurableFieldMultiOption("e", {"one": "1"}, ["x"]))


def test_an_unknown_option_in_a_chain_fails_before_any_step_has_run():
    called = []
    chain = RunnableLambda(called.append) | single()
    for call in (
        chain.invoke,
        lambda *a: list(chain.stream(*a)),
        lambda *a: chain.batch([a[0]], a[1]),
    ):
        with pytest.raises(ConfigError, match="three"):
            call("x", settings(end="three"))
    assert called == []


def test_the_fields_can_be_used_as_keys():
    fields = [
        ConfigurableField("a", annotation=str),
        ConfigurableFieldSingleOption("a", {"x": []}, "x"),
        ConfigurableFieldMultiOption("a", {"x": []}, ["x"]),
    ]
    assert len(set(fields + fields)) == 3


# ---- copies -------------------------------------------------------------------------------------


def test_a_copy_is_made_once_for_a_call_not_once_for_a_chunk():
    step = affix()
    MADE.clear()
    assert list(step.transform(iter("abc"), settings(end="#"))) == ["a#", "b#", "c#"]
    assert MADE == ["#"]
    assert step.invoke("a", settings(end="#")) == "a#"
    assert MADE == ["#", "#"]
    assert step.batch(["a", "b"], settings(end="#")) == ["a#", "b#"]
    assert MADE == ["#", "#", "#"], "a batch with one config is one call"


def test_the_default_itself_runs_where_nothing_is_set():
    default = Affix()
    step = default.configurable_fields(end=ConfigurableField("x"))
    assert step._choose({"y": 1})[0] is default


def test_no_call_sees_what_another_left_in_its_copy():
    class Counting(RunnableSerializable[str, str]):
        end: str = ""
        _calls: int = 0

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> str:
            self._calls += 1
            return f"{input}{self.end}{self._calls}"

    step = Counting().configurable_fields(end=ConfigurableField("end"))
    assert [step.invoke("a", settings(end="#")) for _ in range(3)] == ["a#1"] * 3
    assert [(RunnablePassthrough() | step).invoke("a", settings(end="#")) for _ in "ab"] == [
        "a#1",
        "a#1",
    ]


def test_nothing_of_a_call_is_held_after_it():
    class Key(str):
        pass

    step = affix()
    key = Key("secret")
    held = weakref.ref(key)
    assert step.invoke("a", settings(end=key)) == "asecret"
    MADE.clear()
    del key
    gc.collect()
    assert held() is None


def test_a_copy_that_has_changed_is_not_used_again():
    model = FakeListLLM(responses=["a", "b"])
    step = model.configurable_fields(sleep=ConfigurableField("pause"))
    said = [step.invoke("x", settings(pause=0)) for _ in range(2)]
    assert said == ["a", "a"], "each copy starts where the default stands"
    assert step.invoke("x") == "a"
    assert step.invoke("x", settings(pause=0)) == "b", "the default has moved on, and so do copies"


def test_equal_values_of_different_types_are_different_values():
    step = (
        RunnableLambda(lambda text: text)
        .bind(k=0)
        .configurable_fields(custom_input_type=ConfigurableField("t"))
    )
    assert step._choose({"t": 1})[0].custom_input_type is not True
    assert step._choose({"t": True})[0].custom_input_type is True


# ---- as an object -------------------------------------------------------------------------------


def test_attributes_and_methods_are_those_of_what_is_configured():
    step = affix()
    assert (step.end, step.shout()) == ("?", "??")
    assert step.shout_with("a") == ("a?", None)
    assert step.shout_with("a", config=settings(end="#"))[0] == "a#"
    held = step.with_config(configurable={"end": "+"})
    assert (held.end, held.shout(), held.with_types().shout()) == ("+", "++", "++")
    assert held.shout_with("a", config=settings(end="#"))[0] == "a#"
    with pytest.raises(AttributeError, match="nowhere"):
        step.nowhere


def test_a_data_attribute_is_the_object_itself():
    step = RunnableLambda(str.upper).configurable_fields(func=ConfigurableField("f"))
    assert step.func is str.upper or step.func == str.upper
    assert step.with_config(configurable={"f": len}).func is len


def test_equality_repr_and_name():
    assert affix() == affix()
    assert affix() != affix().with_config(tags=["t"])
    assert affix() != Affix()
    assert repr(affix()) == "RunnableConfigurableFields(Affix(end='?'), fields={'end': 'end'})"
    assert affix().get_name() == "Affix"
    assert affix().with_config(run_name="mine").get_name() == "mine"


def test_copying_and_pickling():
    step = FakeListChatModel(responses=["ab"]).configurable_fields(
        responses=ConfigurableField("said")
    )
    step.invoke("x", settings(said=["c"]))
    for twin in (copy.copy(step), copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        assert twin == step
        assert twin.invoke("x", settings(said=["d"])).content == "d"
    chain = PromptTemplate.from_template("{x}") | step | StrOutputParser()
    twin = pickle.loads(pickle.dumps(chain))
    assert list(twin.stream({"x": 1}, settings(said=["de"]))) == ["d", "e"]


def test_fields_of_fields_are_the_fields_of_both():
    step = Affix().configurable_fields(end=ConfigurableField("e"))
    both = step.configurable_fields(other=ConfigurableField("o"))
    assert isinstance(both, RunnableConfigurableFields)
    assert isinstance(both.default, Affix)
    assert both.invoke("a", settings(e="1", o="2")) == "a12"


def test_an_error_in_a_configured_copy_is_located():
    def fail(value: Any) -> Any:
        raise KeyError(value)

    step = RunnableLambda(str.upper).configurable_fields(func=ConfigurableField("f"))
    chain = RunnablePassthrough() | step
    for call in (chain.invoke, lambda *args: list(chain.stream(*args))):
        with pytest.raises(KeyError) as caught:
            call("a", settings(f=fail))
        assert any("RunnableSequence/2:" in note for note in caught.value.__notes__)


def test_a_parser_that_adds_up_differently_is_added_up_as_it_does():
    whole = RunnableLambda(lambda value: value)
    step = RunnableSequence(StrOutputParser(), RunnablePassthrough()).configurable_fields(
        first=ConfigurableField("parser")
    )
    chain = step | whole
    assert list(chain.transform(iter(["[1,", " 2]"]), settings(parser=JsonOutputParser()))) == [
        [1, 2]
    ]
    assert list(chain.transform(iter(["[1,", " 2]"]))) == ["[1, 2]"]


def test_the_doors_run_nothing_of_another_colour():
    SYNC.run(lambda doors: doors.invoke(affix(), "a"))
    with pytest.raises(NotImplementedError, match="ainvoke"):
        RunnableLambda(_async_upper).configurable_fields(name=ConfigurableField("n")).invoke("a")
