"""merge is the left fold of +, without touching what it is given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.merge import copy_tree, merge, merge_dicts, merge_lists
from headrace.messages import AIMessageChunk, HumanMessageChunk


class Adds(dict[str, str]):
    """A dict that adds, as AddableDict does, and counts how often it is asked to."""

    pairwise = 0

    def __add__(self, other: dict[str, str]) -> Adds:
        if not isinstance(other, dict):
            return NotImplemented
        Adds.pairwise += 1
        return Adds.__headrace_merge__([self, other])

    @classmethod
    def __headrace_merge__(cls, chunks: Sequence[dict[str, str]]) -> Adds:
        total = Adds()
        for chunk in chunks:
            for key, value in chunk.items():
                total[key] = total[key] + value if key in total else value
        return total


class Takes:
    """Adds to anything that is text, one at a time."""

    def __init__(self, seen: tuple[str, ...] = ()) -> None:
        self.seen = seen

    def __add__(self, other: object) -> Takes:
        return Takes((*self.seen, other)) if isinstance(other, str) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Takes) and self.seen == other.seen

    __hash__ = None  # type: ignore[assignment]


def fold(chunks: list[Any]) -> Any:
    """What merge is defined to give."""
    if not chunks:
        return None
    total = chunks[0]
    for chunk in chunks[1:]:
        try:
            total = total + chunk
        except TypeError:
            total = chunk
    return total


texts = st.text(alphabet="ab", max_size=3)
chunks = st.one_of(
    texts,
    st.binary(max_size=3),
    st.lists(texts, max_size=3),
    st.lists(texts, max_size=3).map(tuple),
    st.integers(-3, 3),
    st.booleans(),
    st.none(),
    st.dictionaries(texts, texts, max_size=2),
    st.dictionaries(texts, texts, max_size=2).map(Adds),
    st.builds(Takes),
    texts.map(AIMessageChunk),
    texts.map(HumanMessageChunk),
)


@given(st.lists(chunks, max_size=12))
def test_equals_the_left_fold_and_leaves_the_chunks_alone(items: list[Any]) -> None:
    before = copy.deepcopy(items)
    assert merge(items) == fold(items)
    assert items == before


@given(st.lists(st.one_of(texts, st.none()), max_size=6).map(lambda run: run * 3))
def test_equals_the_left_fold_over_runs(items: list[Any]) -> None:
    assert merge(items) == fold(items)


def test_of_nothing_is_none_and_of_one_is_that_one() -> None:
    one = {"a": [1]}
    assert merge([]) is None
    assert merge([one]) is one


def test_plain_dicts_and_numbers_and_mixtures() -> None:
    assert merge([{"a": 1}, {"b": 2}]) == {"b": 2}
    assert merge([1, 2, 3]) == 6
    assert merge(["a", 1, 2, "b", "c"]) == "bc"
    assert merge([Takes(), "a", "b", "c"]).seen == ("a", "b", "c")


def test_a_class_that_knows_better_is_asked_once() -> None:
    Adds.pairwise = 0
    assert merge([Adds(a="x")] * 100) == {"a": "x" * 100}
    assert Adds.pairwise == 0


def test_the_same_hook_in_a_subclass_is_one_run() -> None:
    class More(Adds):
        pass

    Adds.pairwise = 0
    assert merge([Adds(a="x"), More(a="y"), Adds(a="z")]) == {"a": "xyz"}
    assert Adds.pairwise == 0


def test_an_error_of_the_hook_that_is_no_type_error_is_not_swallowed() -> None:
    class Refuses:
        def __add__(self, other: object) -> Refuses:
            raise ValueError("different roles")

    with pytest.raises(ValueError, match="different roles"):
        merge([Refuses(), Refuses()])


@pytest.mark.parametrize(
    ("dicts", "merged"),
    [
        ([], {}),
        ([{"a": None}, {"a": "x"}, {"a": None}, {"a": "y"}], {"a": "xy"}),
        ([{"id": ""}, {"id": "1"}, {"id": "1"}, {"id": "2"}], {"id": "1"}),
        ([{"type": "function"}, {"type": "function"}], {"type": "function"}),
        ([{"name": "f"}, {"name": "f"}], {"name": "ff"}),
        ([{"index": "lc_1"}, {"index": "lc_2"}], {"index": "lc_1"}),
        ([{"n": 1}, {"n": 1}, {"n": 2}], {"n": 3}),
        ([{"index": 0, "created": 5}, {"index": 1, "created": 6}], {"index": 1, "created": 6}),
        ([{"a": {"b": "x"}}, {"a": {"b": "y", "c": 1}}], {"a": {"b": "xy", "c": 1}}),
        ([{"a": ["x"]}, {"a": ["y"]}], {"a": ["x", "y"]}),
        ([{"a": True}, {"a": False}], {"a": False}),
        ([{"a": 0.5}, {"a": 0.25}], {"a": 0.25}),
        ([{"a": 1}, {"a": "x"}, {"a": 2}, {"a": "y"}], {"a": "xy"}),
        ([{"a": ["x"]}, {"a": {"b": 1}}, {"a": "y"}], {"a": {"b": 1}}),
        ([{"a": 0.5}, {"a": object}], {"a": object}),
    ],
)
def test_merge_dicts(dicts: list[dict[str, Any]], merged: dict[str, Any]) -> None:
    assert merge_dicts(dicts) == merged


@pytest.mark.parametrize(
    ("lists", "merged"),
    [
        ([None, ["a"], None, ["a"]], ["a", "a"]),
        ([[{"index": 0, "a": "x"}], [{"index": 0, "a": "y"}]], [{"index": 0, "a": "xy"}]),
        ([[{"index": 0}], [{"index": 1}]], [{"index": 0}, {"index": 1}]),
        ([[{"index": "a"}], [{"index": "a"}]], [{"index": "a"}, {"index": "a"}]),
        ([[{"index": "lc_a"}], [{"index": "lc_a"}]], [{"index": "lc_a"}]),
        (  # another id under the same index is another item, and what follows belongs to it
            [[{"index": 0, "id": "a"}], [{"index": 0, "id": "b"}], [{"index": 0, "t": "x"}]],
            [{"index": 0, "id": "a"}, {"index": 0, "id": "b", "t": "x"}],
        ),
        (
            [[{"index": 0, "type": "text"}], [{"index": 0, "type": "text", "text": "x"}]],
            [{"index": 0, "type": "text", "text": "x"}],
        ),
        (  # the items of the first list that has any stay apart
            [[], [{"index": 0, "a": "x"}, {"index": 0, "a": "y"}], [{"index": 0, "a": "z"}]],
            [{"index": 0, "a": "x"}, {"index": 0, "a": "yz"}],
        ),
        (
            [[{"index": 0}], [{"index": 0, "type": "text"}], [{"index": 0, "type": "text"}]],
            [{"index": 0, "type": "text"}],
        ),
        (
            [
                [{"index": 0, "type": "text", "text": "x"}],
                [{"index": 0, "type": "non_standard", "value": {"type": "t", "k": 1}}],
            ],
            [{"index": 0, "type": "text", "text": "x", "extras": {"k": 1}}],
        ),
    ],
)
def test_merge_lists(lists: list[list[Any] | None], merged: list[Any]) -> None:
    assert merge_lists(lists) == merged


trees = st.recursive(
    st.one_of(st.none(), texts, st.integers(-2, 2), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


def containers(value: Any) -> list[int]:
    """The identities of all dicts and lists in a tree."""
    if isinstance(value, dict):
        return [id(value), *(i for item in value.values() for i in containers(item))]
    if isinstance(value, list):
        return [id(value), *(i for item in value for i in containers(item))]
    return []


@given(st.lists(st.dictionaries(st.sampled_from("abc"), trees, max_size=3), max_size=4))
def test_results_share_nothing_with_the_arguments(dicts: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(dicts)
    merged = merge_dicts(dicts)
    assert not set(containers(merged)) & set(containers(dicts))
    assert dicts == before


@given(trees)
def test_copy_tree(tree: Any) -> None:
    copied = copy_tree(tree)
    assert copied == tree
    assert not set(containers(copied)) & set(containers(tree))
