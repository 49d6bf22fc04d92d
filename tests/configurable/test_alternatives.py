"""`configurable_alternatives`: one of several, chosen by a call."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from headrace.errors import AsyncOnlyError, ConfigError
from headrace.events import RunEnded
from headrace.language_models import FakeListLLM, GenericFakeChatModel
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import (
    ConfigurableField,
    Runnable,
    RunnableConfigurableAlternatives,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from laws.colours import ASYNC, SYNC, both_drivers, every_colour
from laws.events import check_events
from laws.ledger import Recorder, Source

WHICH = ConfigurableField("which")


def settings(**values: Any) -> dict[str, Any]:
    return {"configurable": values}


def swap(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.swapcase()


def double(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk
        yield chunk


def arms() -> Any:
    return RunnableGenerator(swap).configurable_alternatives(
        WHICH, default_key="swap", double=RunnableGenerator(double), late=late, whole=whole
    )


def late() -> Any:
    LATE.append(1)
    return RunnableGenerator(double)


def whole() -> Any:
    return RunnableLambda(lambda text: text + "!")


LATE: list[int] = []
CASES = [
    ({}, ["A", "B"]),
    ({"which": "swap"}, ["A", "B"]),
    ({"which": "double"}, ["a", "a", "b", "b"]),
    ({"which": "late"}, ["a", "a", "b", "b"]),
    ({"which": "whole"}, ["ab!"]),
]


@every_colour
@pytest.mark.parametrize(("given", "chunks"), CASES)
def test_the_chosen_one_runs_and_streams(colour, given, chunks):
    def body(doors: Any) -> None:
        for step in (arms(), RunnablePassthrough() | arms()):
            assert doors.transform(step, "ab", settings(**given)) == chunks
            value = doors.invoke(step, "ab", settings(**given))
            assert sorted(value) == sorted("".join(chunks)), "doubled by chunks or as a whole"
            assert "".join(doors.stream(step, "ab", settings(**given))) == value

    colour.run(body)


@every_colour
@pytest.mark.parametrize("which", ["swap", "double", "late"])
def test_the_first_chunk_is_there_before_the_input_has_ended(colour, which):
    def body(doors: Any) -> None:
        for step in (arms(), RunnablePassthrough() | arms() | RunnablePassthrough()):
            source = Source(["a", "b", "c"])
            stream = doors.open_transform(step, source, settings(which=which))
            assert stream.next() == ("A" if which == "swap" else "a")
            assert source.pulls == 1
            stream.close()

    colour.run(body)


@every_colour
def test_each_input_of_a_batch_chooses_for_itself(colour):
    def body(doors: Any) -> None:
        configs = [settings(**given) for given, _ in CASES]
        expected = ["AB", "AB", "abab", "abab", "ab!"]
        assert doors.batch(arms(), ["ab"] * 5, configs) == expected
        chain = RunnablePassthrough() | arms()
        assert doors.batch(chain, ["ab"] * 5, configs) == expected
        assert doors.batch(arms(), ["ab", "cd"], settings(which="whole")) == ["ab!", "cd!"]
        assert doors.batch(arms(), []) == []
        assert sorted(doors.as_completed(arms(), ["ab"] * 5, configs)) == list(enumerate(expected))

    colour.run(body)


@every_colour
def test_a_batch_with_an_unknown_choice(colour):
    def body(doors: Any) -> None:
        configs = [settings(which="whole"), settings(which="nobody")]
        with pytest.raises(ConfigError, match="'nobody'"):
            doors.batch(arms(), ["a", "b"], configs)
        good, bad = doors.batch(arms(), ["a", "b"], configs, return_exceptions=True)
        assert good == "a!"
        assert isinstance(bad, ConfigError)
        (bad,) = doors.batch(arms(), ["b"], settings(which="nobody"), return_exceptions=True)
        assert isinstance(bad, ConfigError)

    colour.run(body)


def test_a_batch_of_ones_own_gets_all_inputs_of_one_choice():
    calls = []

    class Batching(Runnable[str, str]):
        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return input.upper()

        def batch(self, inputs: Any, config: Any = None, **kwargs: Any) -> Any:
            calls.append(list(inputs))
            return [text.upper() for text in inputs]

    step = Batching().configurable_alternatives(WHICH, other=RunnableLambda(str.lower))
    assert step.batch(["a", "b"]) == ["A", "B"]
    assert step.batch(["a", "b"], [settings(), settings(which="default")]) == ["A", "B"]
    assert step.batch(["a", "B"], [settings(), settings(which="other")]) == ["A", "b"]
    assert step.batch(["A"], settings(which="other")) == ["a"]
    assert calls == [["a", "b"], ["a", "b"]]


# ---- errors -------------------------------------------------------------------------------------


@both_drivers
def test_an_unknown_choice_is_named_before_anything_has_run(colour):
    called: list[Any] = []

    def note(value: Any) -> Any:
        called.append(value)
        return value

    def body(doors: Any) -> None:
        chain = RunnableLambda(note) | arms() | RunnablePassthrough()
        message = r"Unknown alternative 'nobody'.*'which'.*\['double', 'late', 'whole', 'swap'\]"
        for step in (arms(), chain, RunnableParallel(a=note, b=arms()) | RunnablePassthrough()):
            source = Source(["a", "b"])
            with pytest.raises(ConfigError, match=message):
                doors.open_transform(step, source, settings(which="nobody")).next()
            assert source.pulls == 0
        with pytest.raises(ConfigError, match=message):
            doors.invoke(chain, "a", settings(which="nobody"))
        nested = RunnableLambda(note) | arms().configurable_alternatives(
            ConfigurableField("outer"), other=arms()
        )
        with pytest.raises(ConfigError, match=message):
            doors.invoke(nested, "a", settings(which="nobody", outer="other"))

    colour.run(body)
    assert called == []


def test_what_cannot_be_a_choice_is_refused_when_it_is_made():
    with pytest.raises(ConfigError, match=r"ConfigurableField.*'which'"):
        RunnablePassthrough().configurable_alternatives("which", a=late)
    with pytest.raises(ConfigError, match=r"'a'.*default_key"):
        RunnablePassthrough().configurable_alternatives(WHICH, default_key="a", a=late)
    with pytest.raises(TypeError, match="3"):
        RunnablePassthrough().configurable_alternatives(WHICH, a=3)
    with pytest.raises(TypeError, match="3"):
        RunnablePassthrough().configurable_alternatives(WHICH, a=lambda: 3).invoke(
            1, settings(which="a")
        )


def test_an_unhashable_choice_is_an_unknown_one():
    with pytest.raises(ConfigError, match=r"Unknown alternative \['swap'\]"):
        arms().invoke("a", settings(which=["swap"]))


async def shout(text: str) -> str:
    return text.upper()


def test_an_async_arm_fails_a_sync_call_only_if_it_is_chosen():
    called = []
    step = RunnableLambda(str.lower).configurable_alternatives(WHICH, loud=RunnableLambda(shout))
    chain = RunnableLambda(lambda text: called.append(text) or text) | step
    assert chain.invoke("A") == "a"
    called.clear()
    for runnable in (step, chain):
        with pytest.raises(AsyncOnlyError):
            runnable.invoke("a", settings(which="loud"))
        with pytest.raises(AsyncOnlyError):
            next(runnable.stream("a", settings(which="loud")))
        result = ASYNC.run(lambda d, r=runnable: d.invoke(r, "a", settings(which="loud")))
        assert result == "A"
    assert called == ["a"], "once, for the async call of the chain"


# ---- functions that make one --------------------------------------------------------------------


def test_a_function_is_called_when_its_alternative_is_used_and_only_then():
    LATE.clear()
    step = RunnablePassthrough() | arms()
    assert step.invoke("a") == "A"
    assert step.config_specs
    assert LATE == []
    assert list(step.stream("a", settings(which="late"))) == ["a", "a"]
    assert LATE == [1]
    assert step.invoke("a", settings(which="late")) == "aa"
    assert LATE == [1, 1]


def test_a_partial_makes_one():
    model = FakeListLLM(responses=["a"]).configurable_alternatives(
        WHICH, other=partial(FakeListLLM, responses=["b"])
    )
    assert model.with_config(configurable={"which": "other"}).invoke("x") == "b"


# ---- nesting and prefixes -----------------------------------------------------------------------


def model(said: str) -> Any:
    return FakeListLLM(responses=[said]).configurable_fields(responses=ConfigurableField("said"))


def test_settings_go_through_to_what_is_inside():
    step = model("a").configurable_alternatives(WHICH, other=model("b") | str.upper)
    assert step.invoke("x", settings(said=["c"])) == "c"
    assert step.invoke("x", settings(said=["c"], which="other")) == "C"
    held = step.with_config(configurable={"said": ["d"]})
    assert held.invoke("x", settings(which="other")) == "D"


@both_drivers
def test_prefixed_settings_belong_to_one_alternative(colour):
    step = model("a").configurable_alternatives(
        WHICH, prefix_keys=True, other=model("b"), default_key="usual"
    )
    given = {"which==usual/said": ["U"], "which==other/said": ["O"]}

    def body(doors: Any) -> None:
        for runnable in (step, RunnablePassthrough() | step):
            assert doors.invoke(runnable, "x", settings(**given)) == "U"
            assert doors.invoke(runnable, "x", settings(**given, which="other")) == "O"
            assert doors.stream(runnable, "x", settings(**given, which="other")) == ["O"]
            assert doors.invoke(runnable, "x", settings(said=["plain"], which="other")) == "plain"
            both = settings(**{"which==other/said": ["O"]}, said=["plain"], which="other")
            assert doors.invoke(runnable, "x", both) == "O", "its own name wins"

    colour.run(body)


def test_prefixes_nest():
    inner = model("a").configurable_alternatives(
        ConfigurableField("inner"), prefix_keys=True, b=model("b")
    )
    outer = model("z").configurable_alternatives(WHICH, prefix_keys=True, deep=inner)
    given = {
        "which": "deep",
        "which==deep/inner": "b",
        "which==deep/inner==b/said": ["found"],
        "which==deep/inner==default/said": ["not this"],
    }
    assert outer.invoke("x", settings(**given)) == "found"
    assert [spec.id for spec in outer.config_specs] == [
        "which",
        "which==deep/inner",
        "which==deep/inner==b/said",
        "which==deep/inner==default/said",
        "which==default/said",
    ]


def test_user_code_sees_its_settings_without_the_prefix():
    seen = []
    step = RunnablePassthrough().configurable_alternatives(
        WHICH, prefix_keys=True, look=RunnableLambda(lambda x, config: seen.append(config))
    )
    for runnable in (step, RunnablePassthrough() | step):
        runnable.invoke(1, settings(**{"which": "look", "which==look/k": 1, "other": 2}))
    wanted = {"which": "look", "k": 1, "other": 2}
    assert [config["configurable"] for config in seen] == [wanted, wanted]


def test_fields_of_alternatives_are_those_of_the_default():
    step = FakeListLLM(responses=["a"]).configurable_alternatives(WHICH, other=model("b"))
    again = step.configurable_fields(responses=ConfigurableField("mine"))
    assert isinstance(again, RunnableConfigurableAlternatives)
    assert again.invoke("x", settings(mine=["c"])) == "c"
    assert again.invoke("x", settings(mine=["c"], which="other")) == "b"


# ---- events, folds, machines --------------------------------------------------------------------


@both_drivers
def test_the_chosen_one_has_the_run(colour):
    def body(doors: Any) -> None:
        seen = Recorder()
        chain = RunnablePassthrough() | arms()
        doors.stream(chain, "ab", {**seen.config, **settings(which="double")})
        check_events(seen.events)
        paths = {event.run.path for event in seen.events}
        assert "RunnableSequence/2:double" in paths
        assert len(paths) == 3

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_arms_that_add_up_differently(colour, made, turned):
    text, json = StrOutputParser(), JsonOutputParser()
    first, second = (json, text) if turned else (text, json)
    step = first.configurable_alternatives(WHICH, other=(lambda: second) if made else second)
    pieces = ["[1", ", 2", "]"]

    def body(doors: Any) -> None:
        collected = step | RunnablePassthrough() | RunnableLambda(lambda value: value)
        for which in ("default", "other"):
            is_json = (which == "default") == turned
            value = [1, 2] if is_json else "[1, 2]"
            config = settings(which=which)
            assert doors.transform(collected, pieces, config) == [value]
            seen = Recorder()
            chunks = doors.transform(
                RunnablePassthrough() | step, pieces, {**seen.config, **config}
            )
            assert (chunks[-1] == value) == is_json
            check_events(seen.events)
            (root,) = [e for e in seen.events if isinstance(e, RunEnded) and "/" not in e.run.path]
            assert root.output == value

    colour.run(body)


@both_drivers
def test_beside_others_in_a_parallel(colour):
    prompts = PromptTemplate.from_template("a {x}").configurable_alternatives(
        WHICH, b=PromptTemplate.from_template("b {x}")
    )

    def body(doors: Any) -> None:
        result = doors.invoke(RunnableParallel(one=prompts, two=len), {"x": 1}, settings(which="b"))
        assert (result["one"].text, result["two"]) == ("b 1", 1)
        chunks = doors.stream(RunnableParallel(one=prompts), {"x": 1}, settings(which="b"))
        assert [chunk["one"].text for chunk in chunks] == ["b 1"]

    colour.run(body)


def test_a_model_streams_in_a_chain():
    quick = GenericFakeChatModel(messages=iter(["one two", "three four"]))
    chain = (
        PromptTemplate.from_template("{x}")
        | FakeListLLM(responses=["whole"]).configurable_alternatives(WHICH, quick=quick)
        | StrOutputParser()
    )
    assert list(chain.stream({"x": 1})) == ["whole"]
    assert list(chain.stream({"x": 1}, settings(which="quick"))) == ["one", " ", "two"]
    assert chain.with_config(configurable={"which": "quick"}).invoke({"x": 1}) == "three four"


def test_inside_a_function_the_settings_of_the_run_count():
    step = arms()

    def call(text: str) -> str:
        return step.invoke(text)  # type: ignore[no-any-return]

    assert RunnableLambda(call).invoke("ab", settings(which="whole")) == "ab!"
    assert "".join(RunnableLambda(lambda t: step).stream("ab", settings(which="whole"))) == "ab!"


# ---- as an object -------------------------------------------------------------------------------


def test_equality_repr_name_and_prompts():
    first = PromptTemplate.from_template("a {x}")
    step = first.configurable_alternatives(WHICH, b=PromptTemplate.from_template("b {x}"))
    again = first.configurable_alternatives(WHICH, b=PromptTemplate.from_template("b {x}"))
    assert step == again
    assert step != first.configurable_alternatives(WHICH, b=first)
    assert step != first
    assert step.get_name() == "PromptTemplate"
    assert repr(step).startswith(
        "RunnableConfigurableAlternatives('which', default=PromptTemplate("
    )
    assert step.config_specs[0].default == "default"
    assert step.explain().steps[0].name == "PromptTemplate"


def test_copying_and_pickling():
    step = model("a").configurable_alternatives(WHICH, other=model("b"))
    for twin in (copy.copy(step), copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        assert twin == step
        assert twin.invoke("x", settings(which="other")) == "b"


def test_the_schema_and_the_graph_are_those_of_the_choice():
    step = PromptTemplate.from_template("{x}").configurable_alternatives(
        WHICH, b=PromptTemplate.from_template("{y}")
    )
    assert list(step.get_input_jsonschema()["properties"]) == ["x"]
    assert list(step.get_input_jsonschema(settings(which="b"))["properties"]) == ["y"]
    held = (step | RunnablePassthrough()).with_config(configurable={"which": "b"})
    assert list(held.get_input_jsonschema()["properties"]) == ["y"]
    graph = step.get_graph(settings(which="b"))
    assert graph.nodes
    assert SYNC.run(lambda doors: doors.invoke(step, {"x": 1})).text == "1"


# ---- cost ---------------------------------------------------------------------------------------


def depths(step: Any, config: Any) -> list[int]:
    """How deep the frames are at each chunk, seen from the source of a chain through `step`."""
    seen = []

    def source(chunks: Iterator[str]) -> Iterator[str]:
        for _ in chunks:
            for letter in "abcd":
                frame, depth = sys._getframe(), 0
                while frame.f_back is not None:
                    frame, depth = frame.f_back, depth + 1
                seen.append(depth)
                yield letter

    list((RunnableGenerator(source) | step | RunnableGenerator(swap)).stream("x", config))
    return seen


def test_it_costs_no_frame_per_chunk():
    bare = depths(RunnableGenerator(double), settings(which="double"))
    nested = arms().configurable_alternatives(ConfigurableField("outer"), other=arms())
    for step in (arms(), nested, arms().with_config(configurable={"which": "double"})):
        chosen = settings(which="double", outer="other")
        assert depths(step, chosen)[1:] == bare[1:]
