"""Snapshots: real lists and dicts that nothing changes afterwards, at a cost that does not grow.

Long and deep containers are copied by using copies again (see `_snapshot`). To try that on small
documents, the sizes from which it happens are set to one, two or three here.
"""

from __future__ import annotations

import copy
import json
import operator
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace.jsonstream._machine as machine
import headrace.jsonstream._snapshot as snapshot
from headrace.jsonstream import JsonStream
from jsonstream.documents import pieces, plain, same

NEVER = 10**9


@contextmanager
def sizes(long: int, deep: int, checked: int = snapshot.CHECKED) -> Iterator[None]:
    """Use copies again from these sizes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHECKED", checked)
        patch.setattr(snapshot, "LONG", long)
        for module in (snapshot, machine):
            patch.setattr(module, "DEEP", deep)
        yield


SIZES = st.tuples(st.integers(1, 3), st.integers(0, 3))
MODES = st.sampled_from(["partial", "delimited"])


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{key}": {value}' for key, value in members) + "}"


# Texts in which keys come again in the same object, and paths are deep.
TEXTS = st.recursive(
    st.sampled_from(["1", "23", '"xyz"', "null", "[]", "{}"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from("aabc"), inner), min_size=1, max_size=5).map(_object),
    ),
    max_leaves=20,
)


def expected(text: str, mode: Any) -> Any:
    """The value of the text so far, from a machine that never uses a copy again."""
    with sizes(NEVER, NEVER):
        stream = JsonStream(mode=mode)
        stream.feed(text)
        return plain(stream.value)


def inside(value: Any, steps: int, quietly: bool) -> Any:
    """The last thing in the last thing in ... a value; quietly as an extension in C reads it."""
    for _ in range(steps):
        if not isinstance(value, (list, dict)) or len(value) == 0:
            break
        kind: Any = (dict if isinstance(value, dict) else list) if quietly else type(value)
        last = next(reversed(list(kind.keys(value)))) if isinstance(value, dict) else -1
        value = kind.__getitem__(value, last)
    return value


@settings(max_examples=200)
@given(st.data(), TEXTS, SIZES, MODES)
def test_what_a_consumer_holds_never_changes(
    data: st.DataObject, text: str, limits: tuple[int, int], mode: Any
) -> None:
    """The consumer keeps snapshots, or parts of them, for a while or to the end, or none."""
    # Either of the two ways to notice it is enough: by the counts, or by the methods.
    by_counts = data.draw(st.booleans())
    with sizes(*limits, checked=snapshot.CHECKED if by_counts else 0):
        stream, so_far = JsonStream(mode=mode), ""
        held: list[tuple[Any, Any]] = []
        for part in data.draw(pieces(text)):
            stream.feed(part)
            so_far += part
            value = stream.value
            assert same(value, expected(so_far, mode)), so_far
            what = data.draw(st.sampled_from(["nothing", "it", "a part", "let go"]))
            if what == "it":
                held.append((value, plain(value)))
            elif what == "a part":
                part_of_it = inside(value, data.draw(st.integers(1, 6)), quietly=by_counts)
                held.append((part_of_it, plain(part_of_it)))
                del part_of_it
            elif what == "let go" and held:
                del held[data.draw(st.integers(0, len(held) - 1))]
            del value
            for kept, as_it_was in held:
                assert same(kept, as_it_was), so_far
        assert same(stream.finish(), json.loads(text))
        for kept, as_it_was in held:
            assert same(kept, as_it_was)


CHANGES: dict[type, list[Callable[[Any], Any]]] = {
    list: [
        lambda it: it.append(1),
        lambda it: it.extend([1, 2]),
        lambda it: it.insert(0, 1),
        lambda it: it.clear(),
        lambda it: it.reverse(),
        lambda it: it.sort(key=repr),
        lambda it: it and it.pop(),
        lambda it: it and it.remove(it[0]),
        lambda it: it and it.__setitem__(0, "changed"),
        lambda it: it and it.__delitem__(0),
        lambda it: it.__iadd__([3]),
        lambda it: it.__imul__(2),
    ],
    dict: [
        lambda it: it.update(changed=1),
        lambda it: it.clear(),
        lambda it: it.setdefault("changed", 1),
        lambda it: it and it.popitem(),
        lambda it: it and it.pop(next(iter(it))),
        lambda it: it.__setitem__("changed", 1),
        lambda it: it and it.__setitem__(next(iter(it)), "changed"),
        lambda it: it and it.__delitem__(next(iter(it))),
        lambda it: it.__ior__({"changed": 1}),
    ],
}


@settings(max_examples=200)
@given(st.data(), TEXTS, SIZES)
def test_changing_the_open_path_of_a_snapshot_leaves_later_ones_alone(
    data: st.DataObject, text: str, limits: tuple[int, int]
) -> None:
    with sizes(*limits):
        stream, so_far = JsonStream(), ""
        for part in data.draw(pieces(text)):
            changed = stream.feed(part)
            so_far += part
            if not changed or stream.done or not stream._stack:
                continue
            assert same(stream.value, expected(so_far, "partial")), so_far
            target = stream.value
            for key in stream._keys[: data.draw(st.integers(0, len(stream._stack) - 1))]:
                target = target[-1 if key is None else key]
            data.draw(st.sampled_from(CHANGES[list if isinstance(target, list) else dict]))(target)
            del target
        assert same(stream.finish(), json.loads(text))


def test_every_method_that_changes_leaves_its_mark() -> None:
    for kind, plain_kind in ((snapshot.SnapshotList, list), (snapshot.SnapshotDict, dict)):
        for change in CHANGES[plain_kind]:
            value: Any = kind([1, 2]) if plain_kind is list else kind({"a": 1})
            assert not value.touched
            change(value)
            assert value.touched


READS: list[Callable[[Any, Any], Any]] = [
    lambda it, key: it[key],
    lambda it, key: list(it),
    lambda it, key: tuple(it.items() if isinstance(it, dict) else it),
    lambda it, key: it.copy(),
    lambda it, key: copy.copy(it),
    lambda it, key: list(reversed(it)),
    lambda it, key: {**it} if isinstance(it, dict) else [*it],
    lambda it, key: dict(it) if isinstance(it, dict) else operator.add(it, [1]),
    lambda it, key: it | {} if isinstance(it, dict) else operator.add([1], it),
    lambda it, key: {} | it if isinstance(it, dict) else it * 1,
    lambda it, key: it.get(key) if isinstance(it, dict) else 1 * it,
    lambda it, key: list(it.values()) if isinstance(it, dict) else it[:],
    lambda it, key: {}.update(it) if isinstance(it, dict) else [].extend(it),
    lambda it, key: json.dumps(it),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", [snapshot.DeepList, snapshot.DeepDict])
def test_whoever_reaches_into_a_deep_copy_is_noticed(kind: Any, read: Any) -> None:
    value = kind([[1], [2]]) if kind is snapshot.DeepList else kind({"a": [1]})
    assert len(value) > 0
    assert not value.touched
    read(value, 0 if kind is snapshot.DeepList else "a")
    assert value.touched


def growing(text: str, size: int = 4) -> Iterator[Any]:
    """The snapshots of a text, each given up when the next is made."""
    stream = JsonStream()
    for start in range(0, len(text), size):
        stream.feed(text[start : start + size])
        yield stream.value


LONG_ARRAY = json.dumps(list(range(1000)))
LONG_OBJECT = json.dumps({f"key {index}": index for index in range(1000)})
DEEP_ARRAYS = "[" * 900 + "]" * 900
DEEP_OBJECTS = '{"a":' * 900 + "1" + "}" * 900
MIXED = json.dumps({"a": [{"b": [index, [index]]} for index in range(500)]})


COPIES = (snapshot.SnapshotList, snapshot.SnapshotDict)


@pytest.mark.parametrize("text", [LONG_ARRAY, LONG_OBJECT])
def test_two_copies_of_a_long_container_are_made_in_all(text: str) -> None:
    assert len({id(value) for value in growing(text) if type(value) in COPIES}) == 2


@pytest.mark.parametrize("text", [DEEP_ARRAYS, DEEP_OBJECTS])
def test_two_copies_of_a_deep_path_are_made_in_all(text: str) -> None:
    tops = set()
    stream = JsonStream()
    for start in range(0, len(text), 4):
        if stream.feed(text[start : start + 4]):
            stream.value
        tops |= {id(top) for top in stream._spares.deep.kept}
    assert len(tops) == 2


def test_whoever_reaches_into_deep_copies_is_given_paths_copied_one_by_one() -> None:
    """A whole copy for each look would copy the long array below again and again."""
    stream = JsonStream()
    stream.feed("[" * (snapshot.DEEP + 3) + LONG_ARRAY[:-1])
    kinds = []
    for index in range(3 * snapshot.STRIKES):
        stream.feed(f", {index}")
        value = stream.value
        assert inside(value, snapshot.DEEP + 4, quietly=False) == index
        kinds.append(type(value))
    assert kinds[: snapshot.STRIKES] == [snapshot.DeepList] * snapshot.STRIKES
    assert set(kinds[snapshot.STRIKES + 2 :]) == {list}
    long_ones = set()
    for index in range(20):
        stream.feed(f", {index}")
        assert inside(stream.value, snapshot.DEEP + 4, quietly=False) == index
        long_ones |= {id(copy) for copy in stream._spares.long[snapshot.DEEP + 3].kept}
    assert len(long_ones) <= snapshot.KEPT, "the long array is not copied for each look"


def test_a_complete_value_keeps_no_copies() -> None:
    stream = JsonStream()
    for part in (DEEP_ARRAYS[:950], DEEP_ARRAYS[950:]):
        stream.feed(part)
        stream.value
    assert not stream._spares.deep.kept
    assert not stream._spares.long


def test_a_consumer_that_holds_two_snapshots_costs_one_copy_more() -> None:
    last, seen = None, set()
    for value in growing(LONG_ARRAY):
        if type(value) in COPIES:
            seen.add(id(value))
        last, _before = value, last
    assert len(seen) == 3


@pytest.mark.parametrize("look", [False, True])
def test_a_long_container_in_a_long_container_is_copied_twice_in_all(look: bool) -> None:
    stream = JsonStream()
    stream.feed(f"{LONG_ARRAY[:-1]}, 1")
    if look:  # then the copies of the outer one are the first
        assert len(stream.value) == 1001
    stream.feed(f", {LONG_ARRAY[:-1]}")
    inner = set()
    for index in range(100):
        stream.feed(f", {index}")
        assert type(stream.value[-1]) is snapshot.SnapshotList
        inner.add(id(stream.value[-1]))
    assert len(inner) == 2


def test_a_key_that_comes_again_in_a_long_object() -> None:
    """Its value is replaced where it stands, in copies made before as well."""
    stream = JsonStream()
    stream.feed(LONG_OBJECT[:-1])
    so_far = LONG_OBJECT[:-1]
    for part in [', "key 3"', ": 5", "6", ', "x": 1', ', "key 3": [', "7", ", 8", "]", ', "y": 2']:
        stream.feed(part)
        so_far += part
        assert same(stream.value, expected(so_far, "partial")), so_far[-20:]


@pytest.mark.parametrize("top", ["[", '{"a": '])
def test_a_key_that_comes_again_below_a_deep_path(top: str) -> None:
    stream, so_far = JsonStream(), ""
    for part in [
        *([top] * (snapshot.DEEP + 2)),
        *('{"a": 1', ', "b": [2', "]", ', "a', '": "x', "y", '"', ', "b": {"c": ', "3", "}"),
        *(', "a": [', "[4", "], 5", "]", ', "d": 6'),
    ]:
        stream.feed(part)
        so_far += part
        assert same(stream.value, expected(so_far, "partial")), so_far[-20:]


def test_whoever_holds_a_container_of_a_deep_copy_is_noticed_as_deep_as_counts_are_looked_at() -> (
    None
):
    text = "[" * (snapshot.CHECKED + 2) + "1"
    for steps in range(snapshot.CHECKED + 1):
        stream = JsonStream()
        stream.feed(text)
        held = inside(stream.value, steps, quietly=True)
        before = plain(held)
        for _ in range(5):
            stream.feed(", 2")
            stream.value
        assert same(held, before), steps


def test_no_copy_is_used_again_where_references_cannot_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "_UNSHARED", -1)
    stream = JsonStream()
    stream.feed(LONG_ARRAY[:2000])
    stream.value
    kept = stream._spares.long[0].kept
    for start in range(2000, 2100, 4):
        before = kept[-1]
        stream.feed(LONG_ARRAY[start : start + 4])
        assert stream.value is kept[-1]
        assert kept[-1] is not before
    assert len(kept) == snapshot.KEPT


@pytest.mark.parametrize("text", [LONG_ARRAY, LONG_OBJECT, MIXED, DEEP_ARRAYS[:100]])
def test_all_snapshots_kept_are_what_they_were(text: str) -> None:
    kept = [(value, plain(value)) for value in growing(text, 64)]
    assert all(same(value, as_it_was) for value, as_it_was in kept)


@pytest.mark.parametrize("text", [LONG_ARRAY, LONG_OBJECT, DEEP_ARRAYS[:40], DEEP_OBJECTS[:200]])
def test_snapshots_pass_for_plain_values(text: str) -> None:
    for value in growing(text[:-1], 50):
        as_plain = plain(value)
        assert isinstance(value, type(as_plain))
        assert value == as_plain
        assert as_plain == value
        assert json.dumps(value) == json.dumps(as_plain)
        assert repr(value) == repr(as_plain)
        for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert type(again) is type(as_plain)
            assert again == as_plain


def test_short_values_are_plain_through_and_through() -> None:
    def types(value: Any) -> set[type]:
        inner = value.values() if isinstance(value, dict) else value
        below = [types(each) for each in inner] if isinstance(value, (list, dict)) else []
        return {type(value)}.union(*below)

    text = json.dumps({"a": [{"b": {"c": [{"d": "e" * 20}]}}] * 20})
    for value in growing(text):
        assert types(value) <= {dict, list, str}


def test_what_is_closed_is_shared() -> None:
    stream = JsonStream()
    stream.feed('[{"a": 1}, {"b"')
    first = stream.value
    stream.feed(": 2}, 3")
    assert stream.value[0] is first[0]
    assert stream.value is not first


def test_the_same_value_is_not_made_twice() -> None:
    stream = JsonStream()
    stream.feed("[1, ")
    first = stream.value
    stream.feed(" ")
    assert stream.value is first
