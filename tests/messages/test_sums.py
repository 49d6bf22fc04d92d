"""Sums of chunks: associative, apart from their addends, and linear however they are written.

Associativity is tested by folding the same chunks along random trees, with fields read in between,
because a sum changes its representation when it is read.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessageChunk,
    ChatMessageChunk,
    FunctionMessageChunk,
    HumanMessageChunk,
    SystemMessageChunk,
    ToolMessageChunk,
    add_usage,
    merge_content,
    subtract_usage,
)
from headrace.messages import chunks as chunks_module
from messages.trees import fold_tree, left_fold

texts = st.text(alphabet="ab", max_size=3)
blocks = st.fixed_dictionaries(
    {"type": st.just("text"), "text": texts}, optional={"index": st.integers(0, 1)}
)
contents = st.one_of(texts, st.lists(st.one_of(texts, blocks), max_size=3))
details = st.dictionaries(st.sampled_from(["audio", "cache_read"]), st.integers(0, 9), max_size=2)
usages = st.fixed_dictionaries(
    {key: st.integers(0, 9) for key in ("input_tokens", "output_tokens", "total_tokens")},
    optional={"input_token_details": details, "output_token_details": details},
)
metadata = st.dictionaries(
    st.sampled_from("kl"),
    st.one_of(texts, st.dictionaries(st.sampled_from("mn"), texts), st.lists(blocks, max_size=2)),
    max_size=2,
)
ids = st.sampled_from([None, None, "lc_1", "lc_run-1", "run-2", "msg_1", "msg_2"])

chunks = st.builds(
    AIMessageChunk,
    content=contents,
    id=ids,
    name=st.sampled_from([None, "n"]),
    usage_metadata=st.one_of(st.none(), usages),
    additional_kwargs=metadata,
    response_metadata=metadata,
    chunk_position=st.sampled_from([None, None, "last"]),
)


@given(st.lists(chunks, min_size=1, max_size=7), st.data())
def test_the_grouping_of_a_sum_does_not_matter(
    items: list[AIMessageChunk], data: st.DataObject
) -> None:
    before = copy.deepcopy(items)
    expected = left_fold(items)
    assert fold_tree(items, data.draw) == expected
    assert merge(items) == expected
    assert items[0] + items[1:] == expected
    assert items == before


@given(st.lists(contents, min_size=1, max_size=6), st.integers(0, 6))
def test_contents_merge_in_any_grouping(items: list[Any], at: int) -> None:
    left, right = items[:at], items[at:]
    parts = [merge_content(*part) for part in (left, right) if part]
    assert merge_content(*parts) == merge_content(*items)


@given(st.lists(usages, min_size=3, max_size=3))
def test_usage_adds_in_any_grouping(items: list[Any]) -> None:
    one, two, three = items
    assert add_usage(add_usage(one, two), three) == add_usage(one, add_usage(two, three))
    assert add_usage(one, two) == add_usage(two, one)
    back: Any = subtract_usage(add_usage(one, two), two)
    assert all(back[key] == one[key] for key in one if key.endswith("_tokens"))


def test_usage_of_nothing_and_of_one_side() -> None:
    zero: Any = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    some: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    assert add_usage(None, None) == subtract_usage(None, None) == zero
    assert add_usage(None, some) == add_usage(some, None) == some
    assert subtract_usage(zero, some) == zero
    nested: Any = {**some, "input_token_details": {"audio": 1}}
    add_usage(None, nested)["input_token_details"]["audio"] = 2
    assert nested["input_token_details"] == {"audio": 1}
    named: Any = {**some, "tier": "a"}
    unnamed: Any = {**some, "tier": None}
    total: Any = add_usage(named, unnamed)
    assert total["tier"] == "a"
    with_more: Any = {**some, "cost": 0.5, "tier": "a"}
    assert add_usage(with_more, with_more) == {
        **{"input_tokens": 2, "output_tokens": 2, "total_tokens": 4},
        **{"cost": 1.0, "tier": "a"},
    }


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ("a", "b", "ab"),
        ("", "", ""),
        ("a", [{"type": "x"}], ["a", {"type": "x"}]),
        ("", [{"type": "x"}], [{"type": "x"}]),
        ([{"type": "x"}], "", [{"type": "x"}]),
        ([{"type": "x"}], "b", [{"type": "x"}, "b"]),
        (["a"], "b", ["ab"]),
        ([], "b", ["b"]),
        (["a", "b"], ["c"], ["a", "bc"]),
        (
            [{"type": "text", "text": "a", "index": 0}],
            [{"type": "text", "text": "b", "index": 0}, {"type": "text", "text": "c", "index": 1}],
            [{"type": "text", "text": "ab", "index": 0}, {"type": "text", "text": "c", "index": 1}],
        ),
    ],
)
def test_contents(left: Any, right: Any, total: Any) -> None:
    assert merge_content(left, right) == total
    assert (AIMessageChunk(left) + AIMessageChunk(right)).content == total


@pytest.mark.parametrize(
    ("ids_in_order", "taken"),
    [
        ([None, "a", "b"], "a"),
        (["lc_1", "a", "b"], "a"),
        (["run-1", "msg"], "msg"),
        (["lc_1", "lc_run-1", "lc_run-2"], "lc_run-1"),
        (["lc_1", "lc_2"], "lc_1"),
        (["", "a"], "a"),
        ([None, None], None),
    ],
)
def test_a_providers_id_wins_over_a_generated_one(ids_in_order: Any, taken: str | None) -> None:
    items = [AIMessageChunk("", id=id) for id in ids_in_order]
    assert left_fold(items).id == merge(items).id == taken


def test_usage_and_position_of_a_sum() -> None:
    usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    total = AIMessageChunk("a", usage_metadata=usage) + AIMessageChunk(
        "", usage_metadata=usage, chunk_position="last"
    )
    assert total.usage_metadata == {"input_tokens": 2, "output_tokens": 4, "total_tokens": 6}
    assert (total + AIMessageChunk("")).chunk_position == "last"
    assert (AIMessageChunk("a") + AIMessageChunk("b")).usage_metadata is None


# ------------------------------------------------------------------------------- other kinds


def test_the_sum_has_the_class_of_its_first_addend() -> None:
    call = {"name": "f", "args": {}, "id": "1"}
    total = AIMessageChunk("a", tool_calls=[call]) + HumanMessageChunk("b", name="n")
    assert type(total) is AIMessageChunk
    assert (total.content, total.name, len(total.tool_calls)) == ("ab", "n", 1)
    assert type(SystemMessageChunk("a") + AIMessageChunk("b")).__name__ == "SystemMessageChunk"
    other = HumanMessageChunk("a") + AIMessageChunk("b", tool_calls=[call])
    assert other == HumanMessageChunk("ab")


def test_only_the_pieces_of_one_message_add_up() -> None:
    one, two = ChatMessageChunk("a", role="x"), ChatMessageChunk("b", role="x")
    assert one + two == ChatMessageChunk("ab", role="x")
    assert one + AIMessageChunk("c") == ChatMessageChunk("ac", role="x")
    for left, right in [
        (one + two, ChatMessageChunk("b", role="y")),
        (ToolMessageChunk("a", tool_call_id="1"), ToolMessageChunk("b", tool_call_id="2")),
        (FunctionMessageChunk("a", name="f"), FunctionMessageChunk("b", name="g")),
    ]:
        with pytest.raises(InputError, match="different"):
            left + right
        with pytest.raises(InputError, match="different"):
            merge([left, right])


def test_tool_messages() -> None:
    total = ToolMessageChunk("a", tool_call_id="1", artifact={"k": "x"}) + ToolMessageChunk(
        "b", tool_call_id="1", artifact={"k": "y"}, status="error"
    )
    assert (total.content, total.artifact, total.status) == ("ab", {"k": "xy"}, "error")
    for left, right, artifact in [("a", "b", "ab"), ([1], [2], [1, 2]), (1, 2, 2), (None, 1, 1)]:
        total = ToolMessageChunk("", tool_call_id="1", artifact=left) + ToolMessageChunk(
            "", tool_call_id="1", artifact=right
        )
        assert total.artifact == artifact


@pytest.mark.parametrize("other", ["b", 1, None, AIMessage("b"), ["b"], [AIMessage("b")]])
def test_a_chunk_adds_to_chunks_only(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        AIMessageChunk("a") + other
    with pytest.raises(TypeError, match="unsupported operand"):
        (AIMessageChunk("a") + AIMessageChunk("b")) + other


def test_a_list_of_chunks_adds_at_once() -> None:
    one = AIMessageChunk("a")
    more = [AIMessageChunk("b"), AIMessageChunk("c")]
    none: list[AIMessageChunk] = []
    assert one + more == AIMessageChunk("abc")
    assert (one + one) + tuple(more) == AIMessageChunk("aabc")
    assert one + none == one


# ------------------------------------------------------------------------------- aliasing


def test_a_sum_is_a_chunk_of_its_kind_and_plain_once_read() -> None:
    total = AIMessageChunk("a") + AIMessageChunk("b")
    assert isinstance(total, AIMessageChunk)
    assert type(total).__name__ == "AIMessageChunk"
    assert total.content == "ab"
    assert type(total) is AIMessageChunk
    assert type(merge([total, total])) is AIMessageChunk


def test_sums_that_share_a_beginning_stay_apart() -> None:
    stem = AIMessageChunk("a") + AIMessageChunk("b")
    one, two = stem + AIMessageChunk("1"), stem + AIMessageChunk("2")
    three = one + AIMessageChunk("3")
    assert [x.content for x in (stem, one, two, three)] == ["ab", "ab1", "ab2", "ab13"]
    metadata = [AIMessageChunk("", response_metadata={"k": k}) for k in "abcd"]
    stem = metadata[0] + metadata[1]
    one, two = stem + metadata[2], stem + metadata[3]
    assert [x.response_metadata["k"] for x in (stem, one, two)] == ["ab", "abc", "abd"]


def test_changing_an_addend_later_does_not_show_in_the_sum() -> None:
    block: dict[str, Any] = {"type": "text", "text": "a"}
    one = AIMessageChunk([block], additional_kwargs={"k": {"l": ["x"]}})
    other: dict[str, Any] = {"type": "x"}
    two = AIMessageChunk(
        [other], tool_call_chunks=[{"name": "f", "args": "{", "id": "1", "index": 0}]
    )
    total = one + two
    longer = AIMessageChunk("a") + AIMessageChunk("b") + two
    block["text"] = other["text"] = "changed"
    one.additional_kwargs["k"]["l"].append("changed")
    items: Any = one.content
    items.append("changed")
    two.tool_call_chunks[0]["args"] = "changed"
    two.content = "changed"
    assert total.content == [{"type": "text", "text": "a"}, {"type": "x"}]
    assert longer.content == ["ab", {"type": "x"}]
    assert total.additional_kwargs == {"k": {"l": ["x"]}}
    assert total.tool_call_chunks[0]["args"] == "{"


def test_chunks_merged_at_once_share_nothing_with_the_sum() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    fields: dict[str, Any] = {
        "additional_kwargs": {"k": [{"l": "x"}]},
        "response_metadata": {"d": {"m": ["x"]}},
        "usage_metadata": {**usage, "input_token_details": {"audio": 1}},
        "tool_call_chunks": [{"name": "f", "args": "{", "id": "1", "index": 0}],
    }
    for others in ([], [AIMessageChunk("b")]):
        one = AIMessageChunk("a", **fields)
        total = AIMessageChunk.__headrace_merge__([one, *others])
        read = one.additional_kwargs, one.response_metadata, one.usage_metadata
        kept = repr((read, one.tool_call_chunks))
        total.additional_kwargs["k"][0]["l"] = "changed"
        total.response_metadata["d"]["m"].append("changed")
        total.usage_metadata["input_token_details"]["audio"] = 9  # type: ignore[index]
        total.tool_call_chunks[0]["args"] = "changed"
        assert repr((read, one.tool_call_chunks)) == kept
    artifacts = [[1], {"k": ["x"]}]
    tools = [ToolMessageChunk("", tool_call_id="1", artifact=each) for each in artifacts]
    ToolMessageChunk.__headrace_merge__(tools).artifact["k"].append("changed")
    assert artifacts == [[1], {"k": ["x"]}]


def test_changing_a_sum_shows_in_no_other_and_counts_when_it_is_added_to() -> None:
    one = AIMessageChunk([{"type": "text", "text": "a"}], additional_kwargs={"k": ["x"]})
    stem = one + AIMessageChunk("b")
    longer = stem + AIMessageChunk("c")
    stem.additional_kwargs["k"].append("y")
    items: Any = stem.content
    items[0]["text"] = "A"
    assert longer == AIMessageChunk(
        [{"type": "text", "text": "a"}, "bc"], additional_kwargs={"k": ["x"]}
    )
    assert stem + AIMessageChunk("d") == AIMessageChunk(
        [{"type": "text", "text": "A"}, "bd"], additional_kwargs={"k": ["x", "y"]}
    )
    assert one.additional_kwargs == {"k": ["x"]}


def test_assigning_to_a_sum_that_was_not_read() -> None:
    usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    parts = [AIMessageChunk("a", additional_kwargs={"k": "x"}), AIMessageChunk("b")]
    total = parts[0] + parts[1]
    total.content = "other"
    assert total + AIMessageChunk("!") == AIMessageChunk("other!", additional_kwargs={"k": "x"})
    total = parts[0] + parts[1]
    total.additional_kwargs = {"k": "y"}
    total.usage_metadata = usage
    total.id = "1"
    assert total + AIMessageChunk("c") == AIMessageChunk(
        "abc", additional_kwargs={"k": "y"}, usage_metadata=usage, id="1"
    )


def test_a_sum_adds_to_itself() -> None:
    total = AIMessageChunk("a", additional_kwargs={"k": "x"}) + AIMessageChunk("b")
    assert total + total == AIMessageChunk("abab", additional_kwargs={"k": "xx"})
    total = AIMessageChunk("a") + AIMessageChunk("b")
    assert (total + total) + (total + total) == AIMessageChunk("ab" * 4)


def test_a_sum_that_was_not_read_copies_and_pickles() -> None:
    def total() -> AIMessageChunk:
        return AIMessageChunk("a", additional_kwargs={"k": "x"}) + AIMessageChunk("b")

    for copied in (
        copy.copy(total()),
        copy.deepcopy(total()),
        pickle.loads(pickle.dumps(total())),
        total().model_copy(),
    ):
        assert type(copied) is AIMessageChunk
        assert copied == total()


# ------------------------------------------------------------------------------- linear, by count

KINDS: dict[str, Callable[[str], BaseMessageChunk]] = {
    "ai": AIMessageChunk,
    "human": HumanMessageChunk,
    "system": SystemMessageChunk,
    "chat": lambda text: ChatMessageChunk(text, role="r"),
    "tool": lambda text: ToolMessageChunk(text, tool_call_id="1"),
}


def counted(patch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """The first argument of each call of a function, from now on."""
    seen: list[Any] = []
    function = getattr(owner, name)

    def counting(value: Any) -> Any:
        seen.append(value)
        return function(value)

    patch.setattr(owner, name, counting)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_of_sums_joins_its_text_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = counted(monkeypatch, chunks_module, "merge_contents")
    total = KINDS[kind]("x")
    pieces = None
    for _ in range(999):
        total = total + KINDS[kind]("x")
        assert pieces is None or total._pieces is pieces  # never copied
        pieces = total._pieces
    assert joined == []
    assert total.content == "x" * 1000
    assert [len(pieces) for pieces in joined] == [1000]


def test_a_loop_of_sums_copies_each_field_once(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = counted(monkeypatch, chunks_module, "copy_tree")
    merged = counted(monkeypatch, AIMessageChunk._rare["tool_call_chunks"], "merge")
    total = AIMessageChunk("")
    for _ in range(1000):
        total = total + AIMessageChunk(
            "", tool_call_chunks=[{"name": None, "args": "x", "id": None, "index": 0}]
        )
    assert (len(copied), merged) == (1000, [])
    assert total.tool_call_chunks[0]["args"] == "x" * 1000
    assert [len(lists) for lists in merged] == [1000]


def test_reading_the_content_at_every_step_joins_two_pieces_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined = counted(monkeypatch, chunks_module, "merge_contents")
    total = AIMessageChunk("", response_metadata={"k": "x"})
    for n in range(100):
        total = total + AIMessageChunk("x", response_metadata={"k": "x"})
        assert total.content == "x" * (n + 1)
    assert [len(pieces) for pieces in joined] == [2] * 100
    assert total._more.n == 101  # reading the content merged no other field


def test_a_piece_that_another_thread_put_first_is_not_taken_for_ones_own() -> None:
    class Contended(list[str]):
        def append(self, piece: str) -> None:
            super().append("theirs")
            super().append(piece)

    pieces = Contended(["a"])
    assert chunks_module._grown(pieces, 1, "mine") == ["a", "mine"]
    assert pieces == ["a", "theirs", "mine"]


def test_many_threads_may_add_to_one_sum() -> None:
    stem = AIMessageChunk("a", response_metadata={"k": "a"}) + AIMessageChunk("b")
    results: dict[int, AIMessageChunk] = {}
    start = threading.Barrier(8)

    def work(mine: int) -> None:
        total = stem
        piece = AIMessageChunk(str(mine), response_metadata={"k": str(mine)})
        start.wait()
        for _ in range(200):
            total = total + piece
        results[mine] = total

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, total in results.items():
        assert total.content == "ab" + str(mine) * 200
        assert total.response_metadata == {"k": "a" + str(mine) * 200}
