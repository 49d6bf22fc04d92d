"""Random trees of alternatives and fields under random configs, against a plain reading of them.

A tree is data. `built` makes the runnable of it; `read` says, by the rules and without Headrace,
which of its leaves runs, with which affix, for the settings of a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.runnables import (
    ConfigurableField,
    ConfigurableFieldSingleOption,
    Runnable,
    RunnableGenerator,
    RunnablePassthrough,
    RunnableSerializable,
)
from laws.colours import ASYNC, SYNC
from laws.effort import examples

IDS = ["p", "q"]
KEYS = ["k1", "k2"]
OPTIONS = {"o1": "1", "o2": "2"}


class Leaf(NamedTuple):
    """Adds `end` to each chunk; `id`: under which key that may be set, `options`: out of two."""

    end: str
    id: str | None
    options: bool


class Choice(NamedTuple):
    id: str
    default: Any
    arms: dict[str, Any]
    prefix: bool
    late: bool


class Row(NamedTuple):
    steps: list[Any]


class Held(NamedTuple):
    """With settings of its own below those of the call."""

    inner: Any
    values: dict[str, Any]


# ---- the plain reading --------------------------------------------------------------------------


class Refused(Exception):
    pass


def ends(tree: Any, values: dict[str, Any]) -> list[str]:
    """The affixes that the chosen leaves add, in order."""
    if isinstance(tree, Leaf):
        return [_end(tree, values)]
    if isinstance(tree, Row):
        return [end for step in tree.steps for end in ends(step, values)]
    if isinstance(tree, Held):
        return ends(tree.inner, {**tree.values, **values})
    key = values.get(tree.id, "default")
    arms = {"default": tree.default, **tree.arms}
    if key not in arms:
        raise Refused
    if tree.prefix:
        own = f"{tree.id}=={key}/"
        stripped = {k.removeprefix(own): v for k, v in values.items() if k.startswith(own)}
        values = {**{k: v for k, v in values.items() if not k.startswith(own)}, **stripped}
    return ends(arms[key], values)


def _end(leaf: Leaf, values: dict[str, Any]) -> str:
    if leaf.id is None:
        return leaf.end
    if not leaf.options:
        return str(values.get(leaf.id, leaf.end))
    key = values.get(leaf.id, "o1")
    if key not in OPTIONS:
        raise Refused
    return OPTIONS[key]


# ---- the same as runnables ----------------------------------------------------------------------


class Affix(RunnableSerializable[str, str]):
    end: Any

    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        for chunk in input:
            yield f"{chunk}{self.end}"


def plain_affix(chunks: Iterator[str]) -> Iterator[str]:
    yield from chunks


def built(tree: Any) -> Runnable[Any, Any]:
    if isinstance(tree, Leaf):
        made: Any = Affix(end=tree.end)
        if tree.id is None:
            return made
        field: Any = ConfigurableField(tree.id)
        if tree.options:
            field = ConfigurableFieldSingleOption(tree.id, OPTIONS, "o1")
        return made.configurable_fields(end=field)
    if isinstance(tree, Row):
        row: Any = RunnableGenerator(plain_affix)
        for step in tree.steps:
            row = row | built(step)
        return row
    if isinstance(tree, Held):
        return built(tree.inner).with_config(configurable=tree.values)
    arms = {
        key: (lambda a=arm: built(a)) if tree.late else built(arm) for key, arm in tree.arms.items()
    }
    return built(tree.default).configurable_alternatives(
        ConfigurableField(tree.id), prefix_keys=tree.prefix, **arms
    )


# ---- drawing them -------------------------------------------------------------------------------

leaves = st.builds(Leaf, st.sampled_from("abc"), st.none() | st.sampled_from(IDS), st.booleans())
choices_of = st.sampled_from([*KEYS, "default", "o1", "o2", "z"])


def keys() -> Any:
    prefixes = st.lists(
        st.builds("{}=={}/".format, st.sampled_from(IDS), st.sampled_from([*KEYS, "default"])),
        max_size=2,
    )
    return st.builds(lambda parts, id: "".join(parts) + id, prefixes, st.sampled_from(IDS))


values = st.dictionaries(keys(), choices_of, max_size=4)


def _deeper(inner: Any) -> Any:
    arms = st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)
    choice = st.builds(Choice, st.sampled_from(IDS), inner, arms, st.booleans(), st.booleans())
    # Only a configurable step takes settings of its own below the call's.
    return (
        choice
        | st.builds(Row, st.lists(inner, min_size=1, max_size=3))
        | st.builds(Held, choice, values)
    )


trees = st.recursive(leaves, _deeper, max_leaves=8)


@examples(150)
@given(tree=trees, said=values, text=st.text("xy", min_size=1, max_size=3), batch=st.lists(values))
def test_a_random_tree_does_what_a_plain_reading_says(tree, said, text, batch):
    runnable = RunnablePassthrough() | built(tree)

    def expected(settings: dict[str, Any]) -> Any:
        try:
            added = "".join(ends(tree, settings))
        except Refused:
            return "refused"
        return [f"{chunk}{added}" for chunk in text]

    def attempt(call: Any, *args: Any) -> Any:
        try:
            return call(*args)
        except ConfigError:
            return "refused"

    wanted = expected(said)
    config = {"configurable": said}
    whole = wanted if wanted == "refused" else f"{text}{wanted[0][1:]}"

    def body(doors: Any) -> None:
        for step in (runnable, built(tree)):
            assert attempt(doors.transform, step, text, config) == wanted
            value = attempt(doors.invoke, step, text, config)
            assert value == whole
        outputs = doors.batch(
            built(tree), [text] * len(batch), [{"configurable": b} for b in batch],
            return_exceptions=True,
        )  # fmt: skip
        for settings, output in zip(batch, outputs, strict=True):
            result = expected(settings)
            if result == "refused":
                assert isinstance(output, ConfigError)
            else:
                assert output == f"{text}{result[0][1:]}"

    SYNC.run(body)
    ASYNC.run(body)


@examples(100)
@given(tree=trees)
def test_every_spec_of_a_random_tree_is_listed_once(tree):
    made = built(tree)
    specs = attempt_specs(made)
    listed = [spec.id for spec in specs]
    assert listed == sorted(set(listed))


def attempt_specs(made: Any) -> Any:
    try:
        return made.config_specs
    except ConfigError as error:
        assert "means two things" in str(error)
        return []
