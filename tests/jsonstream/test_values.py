"""The value: after all pieces it is what `json.loads` gives, on the way it grows as promised."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError, JsonSyntaxError
from headrace.jsonstream import NOTHING, JsonStream
from jsonstream.documents import SMALL, documents, feed_all, pieces, same

MODES = ["partial", "delimited"]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", SMALL)
def test_every_split_in_two_gives_what_json_loads_gives(text: str, mode: Any, strict: bool) -> None:
    whole = json.loads(text)
    for cut in range(len(text) + 1):
        stream = JsonStream(mode=mode, strict=strict)
        for part in (text[:cut], text[cut:]):
            stream.feed(part)
        assert same(stream.finish(), whole), cut
        assert same(stream.value, whole), cut


@pytest.mark.parametrize("text", [text for text in SMALL if len(text) < 60])
def test_every_split_in_three_gives_what_json_loads_gives(text: str) -> None:
    whole = json.loads(text)
    for first, second in combinations(range(len(text) + 1), 2):
        stream = JsonStream()
        for part in (text[:first], text[first:second], text[second:]):
            stream.feed(part)
            stream.value
        assert same(stream.finish(), whole), (first, second)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 1000])
@pytest.mark.parametrize("mode", MODES)
@given(text=documents())
def test_documents_in_pieces_of_one_size(text: str, size: int, mode: Any) -> None:
    stream = JsonStream(mode=mode)
    for start in range(0, len(text), size):
        stream.feed(text[start : start + size])
        stream.value
    assert same(stream.finish(), json.loads(text))


@given(st.data(), documents(), st.sampled_from(MODES))
def test_documents_cut_anywhere_give_the_same_with_and_without_snapshots(
    data: st.DataObject, text: str, mode: Any
) -> None:
    parts = data.draw(pieces(text))
    looked, blind = JsonStream(mode=mode), JsonStream(mode=mode)
    for part in parts:
        looked.feed(part)
        looked.value
        blind.feed(part)
    assert same(looked.finish(), json.loads(text))
    assert same(blind.finish(), json.loads(text))


@given(st.data(), documents(), st.sampled_from(MODES))
def test_the_value_depends_on_the_text_so_far_alone(
    data: st.DataObject, text: str, mode: Any
) -> None:
    stream, so_far = JsonStream(mode=mode), ""
    for part in data.draw(pieces(text)):
        stream.feed(part)
        so_far += part
        at_once = JsonStream(mode=mode)
        at_once.feed(so_far)
        assert same(stream.value, at_once.value), so_far


@given(st.data(), documents(), st.sampled_from(MODES))
def test_feed_says_whether_the_value_is_another_one(
    data: st.DataObject, text: str, mode: Any
) -> None:
    stream = JsonStream(mode=mode)
    before = stream.value
    for part in data.draw(pieces(text)):
        changed = stream.feed(part)
        assert changed is stream.changed
        now = stream.value
        assert changed == (not same(now, before)), part  # 0.0 equals 0, and is another value
        before = now


def test_the_guide_sequence() -> None:
    parts = [
        '{"',
        'countries": ',
        "[",
        '{"',
        'name": "',
        "France",
        '", "population": ',
        "67",
        "413",
    ]
    assert list(feed_all(JsonStream(), parts)) == [
        {},
        {"countries": []},
        {"countries": [{}]},
        {"countries": [{"name": ""}]},
        {"countries": [{"name": "France"}]},
        {"countries": [{"name": "France", "population": 67}]},
        {"countries": [{"name": "France", "population": 67413}]},
    ]


def test_numbers_and_literals_wait_for_their_end_in_delimited_mode() -> None:
    stream = JsonStream(mode="delimited")
    parts = ['{"a": 6', "7", ", ", '"b": tru', "e", "}"]
    seen = [(stream.feed(part), stream.value) for part in parts]
    assert seen == [
        (True, {}),
        (False, {}),
        (True, {"a": 67}),
        (False, {"a": 67}),
        (False, {"a": 67}),
        (True, {"a": 67, "b": True}),
    ]


@pytest.mark.parametrize(
    ("text", "partial", "delimited"),
    [
        ("[-", [], []),
        ("[-0", [0], []),
        ("[67.", [67], []),
        ("[67.5", [67.5], []),
        ("[1e", [1], []),
        ("[1e2", [100.0], []),
        ("[1e2 ", [100.0], [100.0]),
        ("[tru", [], []),
        ("[true", [True], []),
        ("[true,", [True], [True]),
        ('{"a"', {}, {}),
        ('{"a":', {}, {}),
        ('{"a":"', {"a": ""}, {"a": ""}),
        ('{"a":[', {"a": []}, {"a": []}),
        (r'["a\u00e', ["a"], ["a"]),
        (r'["a\u00e9', ["aé"], ["aé"]),
        (r'["a\ud83d', ["a"], ["a"]),
        (r'["a\ud83d\ude0', ["a"], ["a"]),
        (r'["a\ud83d\ude00', ["a😀"], ["a😀"]),
        (r'["a\ud83dx', ["a\ud83dx"], ["a\ud83dx"]),
        ('["New ', ["New"], ["New "]),
        ('["New `', ["New"], ["New `"]),
        ('["New Y', ["New Y"], ["New Y"]),
        ('["New\x0c`', ["New"], ["New\x0c`"]),
        ('["New`\xa0 `` ', ["New"], ["New`\xa0 `` "]),
        (r'["New \n', ["New \n"], ["New \n"]),
    ],
)
def test_what_shows_of_a_cut_token(text: str, partial: Any, delimited: Any) -> None:
    for mode, expected in (("partial", partial), ("delimited", delimited)):
        stream = JsonStream(mode=mode)  # type: ignore[arg-type]
        stream.feed(text)
        assert same(stream.value, expected), mode


def _grew(old: Any, new: Any) -> bool:
    """Whether nothing of the old value was taken back: law 9."""
    if old is NOTHING:
        return True
    if isinstance(old, str) and isinstance(new, str):
        return new.startswith(old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) <= len(new) and all(map(_grew, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return list(new)[: len(old)] == list(old) and all(_grew(old[key], new[key]) for key in old)
    return bool(same(old, new))


@given(st.data(), documents())
def test_law_9_nothing_is_taken_back_in_delimited_mode(data: st.DataObject, text: str) -> None:
    stream = JsonStream(mode="delimited")
    before: Any = NOTHING
    for part in data.draw(pieces(text)):
        stream.feed(part)
        assert _grew(before, stream.value), (before, stream.value)
        before = stream.value
    assert _grew(before, stream.finish())


def test_law_9_at_every_cut_of_the_small_documents() -> None:
    for text in SMALL[:-1]:  # the last repeats a key
        stream = JsonStream(mode="delimited")
        before: Any = NOTHING
        for char in text:
            stream.feed(char)
            assert _grew(before, stream.value), (text, before, stream.value)
            before = stream.value


def test_a_repeated_key_is_the_one_thing_that_replaces() -> None:
    stream = JsonStream(mode="delimited")
    stream.feed('{"a": [1, 2], "b": 3, "a": ')
    assert stream.value == {"a": [1, 2], "b": 3}
    stream.feed('"x')
    assert stream.value == {"a": "x", "b": 3}
    stream.feed('"}')
    assert stream.finish() == {"a": "x", "b": 3}


def test_no_value_is_not_null() -> None:
    stream = JsonStream()
    assert stream.value is NOTHING
    assert not NOTHING
    stream.feed(" ")
    assert stream.value is NOTHING
    stream.feed("null ")
    assert stream.value is None
    assert stream.done


def test_a_number_that_is_the_root_ends_with_the_text() -> None:
    stream = JsonStream(mode="delimited")
    stream.feed("67")
    assert not stream.done
    assert (stream.value, stream.finish(), stream.changed, stream.value) == (NOTHING, 67, True, 67)


def test_a_value_that_only_changes_its_type_is_another_one() -> None:
    stream = JsonStream()
    stream.feed("[67")
    assert same(stream.value, [67])
    assert not stream.feed(".")
    assert stream.feed("0")
    assert not stream.feed("0")
    assert same(stream.value, [67.0])


def test_an_empty_piece_changes_nothing() -> None:
    stream = JsonStream()
    stream.feed("[1")
    assert not stream.feed("")
    assert not stream.changed
    assert stream.value == [1]


def test_finish_can_be_asked_again() -> None:
    stream = JsonStream()
    stream.feed("[1]")
    assert stream.finish() == stream.finish() == [1]
    broken = JsonStream()
    broken.feed("[1")
    for _ in range(2):
        with pytest.raises(JsonSyntaxError):
            broken.finish()
    assert broken.value == [1]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match="'complete'"):
        JsonStream(mode="complete")  # type: ignore[arg-type]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"watch=3"):
        JsonStream(watch=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"max_depth=-1"):
        JsonStream(max_depth=-1)
    for wrong in (None, b"", 0):
        with pytest.raises(InputError, match="give it a string"):
            JsonStream().feed(wrong)  # type: ignore[arg-type]
