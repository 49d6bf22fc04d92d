"""Configs of the wrong kind are refused at the door, in a sentence that says what to write."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import pytest

from headrace.config import merge_configs
from headrace.errors import ConfigError
from headrace.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)
from headrace.runnables.coerce import NotRunnableError
from headrace.runnables.configs import ensure_config
from laws.colours import every_colour
from laws.ledger import Source

WRONG: list[tuple[Any, str]] = [
    ("tag", r"A config is a dict, and this is 'tag' \(str\): write for example"),
    (7, r"A config is a dict, and this is 7 \(int\)"),
    ({"tags": "abc"}, r"config\['tags'\] is 'abc' \(str\): give a list of texts"),
    ({"tags": {"a": 1}}, r"config\['tags'\] is .* \(dict\)"),
    ({"metadata": "m"}, r"config\['metadata'\] is 'm' \(str\): give a dict"),
    ({"configurable": "s"}, r"config\['configurable'\] is 's' \(str\): give a dict, as in"),
    ({"max_concurrency": "2"}, r"config\['max_concurrency'\] is '2' \(str\): give a whole number"),
    ({"max_concurrency": True}, r"config\['max_concurrency'\] is True"),
    ({"recursion_limit": "x"}, r"config\['recursion_limit'\] is 'x' \(str\): give a whole number"),
    ({"recursion_limit": 2.5}, r"config\['recursion_limit'\] is 2\.5 \(float\)"),
    ({"run_name": 3}, r"config\['run_name'\] is 3 \(int\): give a text"),
    (
        {"run_id": "abc"},
        r"config\['run_id'\] is 'abc' \(str\): give a UUID, for example uuid.uuid4",
    ),
    ({"run_id": 5}, r"config\['run_id'\] is 5 \(int\): give a UUID"),
]
STEPS = {
    "plain": lambda: RunnableLambda(str),
    "chain": lambda: RunnablePassthrough() | str,
    "binding": lambda: RunnableLambda(str).with_config(tags=["a"]),
    "alternatives": lambda: RunnableLambda(str).configurable_alternatives(
        ConfigurableField("which"), other=RunnableLambda(repr)
    ),
}


@every_colour
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("config", "sentence"), WRONG, ids=[repr(c) for c, _ in WRONG])
def test_in_every_door(colour, step, config, sentence):
    def body(doors: Any) -> None:
        runnable = STEPS[step]()
        for call in (
            lambda: doors.invoke(runnable, "x", config),
            lambda: doors.stream(runnable, "x", config),
            lambda: doors.transform(runnable, ["x"], config),
            lambda: doors.batch(runnable, ["x"], config),
            lambda: doors.batch(runnable, ["x", "y"], [{}, config]),
        ):
            with pytest.raises(ConfigError, match=sentence):
                call()

    colour.run(body)


@pytest.mark.parametrize(("config", "sentence"), WRONG, ids=[repr(c) for c, _ in WRONG])
def test_where_configs_are_made(config, sentence):
    for step in STEPS.values():
        with pytest.raises(ConfigError, match=sentence):
            step().with_config(config)
    with pytest.raises(ConfigError, match=sentence):
        merge_configs({"tags": ["a"]}, config)
    with pytest.raises(ConfigError, match=sentence):
        ensure_config(config)


@every_colour
def test_what_is_right_passes(colour):
    right = {"tags": ("a",), "metadata": None, "configurable": {}, "max_concurrency": None,
             "recursion_limit": 3, "run_name": None, "own": "x"}  # fmt: skip

    def body(doors: Any) -> None:
        for step in STEPS.values():
            assert doors.invoke(step().with_config(right), 1, right) == "1"
            for run_id in (UUID(int=7), str(UUID(int=7)), None):
                assert doors.invoke(step(), 1, {"run_id": run_id}) == "1"
            assert doors.batch(step(), [1, 2], right) == ["1", "2"]

    colour.run(body)


# ---- with_config --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("max_concurency", "max_concurrency"),
        ("run_nam", "run_name"),
        ("tag", "tags"),
        ("callback", "callbacks"),
        ("configurables", "configurable"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_a_misspelt_field_is_refused(step, key, meant):
    for told in ((), ({key: 1},)):
        with pytest.raises(ConfigError, match=f"told '{key}', .* did you mean '{meant}'"):
            STEPS[step]().with_config(*told, **({} if told else {key: 1}))


def test_keys_of_ones_own_are_still_configurable_ones():
    seen: list[Any] = []
    step = RunnableLambda(lambda value, config: seen.append(config["configurable"]))
    step.with_config(thread_id="t", user_id=1, temperature=0.5).invoke("x")
    assert seen == [{"thread_id": "t", "user_id": 1, "temperature": 0.5}]


def test_a_key_that_the_runnable_knows_is_no_mistake():
    step = RunnableLambda(str).configurable_alternatives(
        ConfigurableField("tag"), other=RunnableLambda(repr)
    )
    assert step.with_config(tag="other").invoke("x") == "'x'"


# ---- what is no runnable says where it stands ---------------------------------------------------


def test_where_something_that_is_no_runnable_stands():
    step, which = RunnableLambda(str), ConfigurableField("which")
    cases: list[tuple[Any, str]] = [
        (lambda: RunnableParallel(a=str, b=5), "5 (int), under the key 'b' of a RunnableParallel"),
        (lambda: step | {"b": 5}, "5 (int), under the key 'b' of a RunnableParallel"),
        (lambda: RunnableParallel([step]), "RunnableParallel got [RunnableLambda("),
        (lambda: RouterRunnable({"k": 5}), "5 (int), under the key 'k' of a RouterRunnable"),
        (lambda: RouterRunnable([step]), "RouterRunnable got [RunnableLambda("),
        (lambda: RouterRunnable(None), "RouterRunnable got None"),
        (lambda: RunnableBranch((5, str), str), "5 (int), condition 1 of a RunnableBranch"),
        (lambda: RunnableBranch((str, str), (str, 5), str), "5 (int), arm 2 of a RunnableBranch"),
        (lambda: step.configurable_alternatives(which, gpt=5), "5 (int), the alternative 'gpt'"),
        (lambda: step.configurable_alternatives(which, a=[step]), "(list), the alternative 'a'"),
        (lambda: RunnableSequence(step, 5), "5 (int) cannot be a step"),
    ]  # fmt: skip
    for make, sentence in cases:
        with pytest.raises(NotRunnableError) as caught:
            make()
        assert sentence in str(caught.value)


def test_a_maker_that_needs_arguments_is_told_what_it_is_taken_for():
    step, which = RunnableLambda(str), ConfigurableField("which")
    for wrong in (lambda x: x, RunnableLambda):
        with pytest.raises(ConfigError, match=r"'f' is .*MAKE the alternative.*RunnableLambda\(…"):
            step.configurable_alternatives(which, f=wrong)
    made = step.configurable_alternatives(which, f=lambda x=repr, *a, **k: RunnableLambda(x))
    assert made.invoke("x", {"configurable": {"which": "f"}}) == "'x'"


# ---- branch -------------------------------------------------------------------------------------


class Adding(str):
    """Text that counts how often it is added up."""

    sums: ClassVar[list[str]] = []

    def __add__(self, other: str) -> Adding:
        self.sums.append(other)
        return Adding(str(self) + other)


@every_colour
def test_the_conditions_of_a_branch_share_one_sum_and_the_arm_gets_the_chunks(colour):
    def body(doors: Any) -> None:
        Adding.sums.clear()
        pieces: list[str] = []

        def arm(chunks: Any) -> Any:
            for chunk in chunks:
                pieces.append(str(chunk))
                yield chunk

        seen: list[Any] = []
        branch = RunnableBranch(
            *((lambda text: seen.append(text) and False, str) for _ in range(5)),
            (lambda text: text == "abc", arm),
            str,
        )
        stream = doors.open_transform(branch, Source([Adding(c) for c in "abc"]))
        assert [str(stream.next()) for _ in range(3)] == list("abc")
        stream.close()
        assert pieces == list("abc")
        assert seen == ["abc"] * 5
        assert len(Adding.sums) <= 4  # two for the conditions, two for whoever watches the arm

    colour.run(body)
