"""Events of content blocks: where each begins and ends, whatever the chunks are cut like."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handle.handles import Scripted, opened
from headrace.events import BlockDelta, BlockEnded, BlockStarted, RunEnded, RunFailed
from headrace.language_models import FakeListChatModel, FakeMessagesListChatModel
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk
from headrace.runnables import RunnableLambda
from headrace.views.blocks import Answer
from laws.colours import both_drivers, every_colour


def call(args=None, name=None, id=None, index=0):
    chunk = {"name": name, "args": args, "id": id, "index": index}
    return AIMessageChunk(content="", tool_call_chunks=[chunk])


def thought(text):
    return AIMessageChunk(content="", additional_kwargs={"reasoning_content": text})


SHORT = {BlockStarted: "+", BlockDelta: "", BlockEnded: "-"}


def said(triples):
    """Short: `+0text`, `0:abc`, `-0`."""
    out = []
    for kind, index, block in triples:
        if kind is BlockStarted:
            out.append(f"+{index}{block['type']}")
        elif kind is BlockDelta:
            out.append(
                f"{index}:{block.get('text') or block.get('reasoning') or block.get('args')}"
            )
        else:
            out.append(f"-{index}")
    return out


def test_a_block_ends_when_the_next_begins_and_not_when_the_message_does():
    answer = Answer()
    assert said(answer.feed(thought("hm"))) == ["+0reasoning", "0:hm"]
    assert said(answer.feed("a")) == ["-0", "+1text", "1:a"]
    assert said(answer.feed(AIMessageChunk(content="b"))) == ["1:b"]
    assert said(answer.feed(call("", "f", "1"))) == ["-1", "+2tool_call"]
    assert said(answer.feed(call('{"a"'))) == ['2:{"a"']
    assert said(answer.feed(call(":1}"))) == ["2::1}"]
    ended = answer.feed(call("{}", "g", "2", index=1))
    assert said(ended) == ["-2", "+3tool_call", "3:{}"]
    assert ended[0][2] == {"type": "tool_call", "name": "f", "args": {"a": 1}, "id": "1"}
    assert answer.end()[0][2] == {"type": "tool_call", "name": "g", "args": {}, "id": "2"}
    assert answer.end() == []


def test_the_provider_says_that_the_answer_is_over():
    answer = Answer()
    answer.feed("a")
    last = answer.feed(AIMessageChunk(content="b", chunk_position="last"))
    assert said(last) == ["0:b", "-0"]
    assert last[-1][2] == {"type": "text", "text": "ab"}


def test_blocks_with_an_index_and_text_beside_them():
    answer = Answer()
    pieces = [
        {"type": "reasoning", "reasoning": "p", "index": 0},
        {"type": "reasoning", "reasoning": "q", "index": 0},
        {"type": "text", "text": "a", "index": 1},
        {"type": "text", "text": "b", "index": 2},
        {"type": "image", "url": "u"},
    ]
    triples = [t for piece in pieces for t in answer.feed(AIMessageChunk(content=[piece]))]
    assert said(triples) == ["+0reasoning", "0:p", "0:q", "-0", "+1text", "1:a", "-1", "+2text",
                             "2:b", "-2", "+3image", "3:None", "-3"]  # fmt: skip
    assert answer.end() == []


def test_calls_by_turns_end_when_their_arguments_do():
    """What has ended is never added to, even where a provider sends several calls by turns."""
    answer = Answer()
    pieces = [call("", "f", "1"), call("", "g", "2", index=1), call('{"a": 1'), call("{", index=1)]
    assert "-" not in "".join(said(t for piece in pieces for t in answer.feed(piece)))
    assert said(answer.feed(call("}"))) == ["0:}", "-0"]
    assert said(answer.feed(call("}", index=1))) == ["1:}"]
    assert said(answer.feed("text")) == ["-1", "+2text", "2:text"]


def test_calls_told_apart_by_their_ids_and_whole_calls():
    answer = Answer()
    answer.feed(call("{}", "f", "1"))
    assert said(answer.feed(call("{}", "g", "2"))) == ["-0", "+1tool_call", "1:{}"]
    whole = AIMessage(content="t", tool_calls=[{"name": "h", "args": {"x": 1}, "id": "3"}])
    triples = answer.feed(whole)
    assert said(triples) == ["-1", "+2text", "2:t", "-2", "+3tool_call", '3:{"x": 1}', "-3"]
    assert triples[-1][2]["args"] == {"x": 1}


def test_arguments_that_are_no_json_are_an_invalid_call():
    answer = Answer()
    answer.feed(call("[1]", "f", "1"))
    [(kind, _, block)] = answer.end()
    assert (kind, block["type"], block["args"]) == (BlockEnded, "invalid_tool_call", "[1]")


args = st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.text(max_size=4), max_size=3)
cuts = st.lists(st.integers(0, 30), max_size=4)


def cut(text, places):
    edges = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    return [text[a:b] for a, b in pairwise(edges)] or [""]


@given(st.lists(st.tuples(args, cuts), max_size=3), st.text(max_size=8), cuts, st.randoms())
def test_any_cut_and_interleaving_of_calls_gives_the_calls_of_the_message(
    calls, text, places, chance
):
    lanes = []
    for number, (given_, where) in enumerate(calls):
        heads = [call(None, f"f{number}", str(number), number)]
        lanes.append(heads + [call(part, index=number) for part in cut(json.dumps(given_), where)])
    chunks = [AIMessageChunk(content=part) for part in cut(text, places)]
    while any(lanes):
        chunks.append(chance.choice([lane for lane in lanes if lane]).pop(0))
    answer, ended, deltas = Answer(), {}, {}
    for triples in [*map(answer.feed, chunks), answer.end()]:
        for kind, index, block in triples:
            if kind is BlockEnded:
                assert index not in ended
                ended[index] = block
            elif kind is BlockDelta:
                assert index not in ended
                deltas.setdefault(index, []).append(block)
    message = merge(chunks)
    found = [block for _, block in sorted(ended.items()) if block["type"] == "tool_call"]
    assert sorted(found, key=lambda one: one["id"]) == sorted(
        message.tool_calls, key=lambda one: one["id"]
    )
    assert "".join(b["text"] for b in ended.values() if b["type"] == "text") == message.text
    late = Answer()
    for chunk in chunks:
        late.add(chunk)
    late.end()
    assert [block.whole() for block in late.blocks] == [block for _, block in sorted(ended.items())]


def test_memory_follows_the_text_and_not_the_pieces():
    answer = Answer()
    for _ in range(5000):
        answer.add("a")
    answer.feed("b")
    block = answer.blocks[0]
    assert len(block._parts) < 1500
    assert block.so_far() == {"type": "text", "text": "a" * 5000 + "b"}


# ---- in a run ---------------------------------------------------------------------------------


@every_colour
def test_blocks_and_tool_calls_of_a_run_come_before_the_run_ends(colour):
    chunks = [thought("p"), "a", call('{"a": 1}', "f", "1"), call("{}", "g", "2", 1), "z"]

    def body(doors):
        model = Scripted(chunks=chunks, gated=True)
        with opened(doors, model) as handle:
            run = handle.run
            calls, blocks = handle.iterate(run.tool_calls), handle.iterate(run.blocks)
            model.go(4)
            first = handle.next(calls)
            assert (first["name"], first["args"]) == ("f", {"a": 1})
            assert not run.ended
            seen = [handle.next(blocks).kind for _ in range(2)]
            assert seen == ["block-start", "block-delta"]
            model.go(1)
            assert [one["name"] for one in handle.rest(calls)] == ["g"]
            assert handle.rest(blocks)[-1].block == {"type": "text", "text": "z"}
            assert handle.get(run.reasoning) == "p"
            assert handle.get(run.tool_calls) == handle.output().tool_calls
            types = [block["type"] for block in handle.get(run.blocks)]
            assert types == ["reasoning", "text", "tool_call", "tool_call", "text"]

    colour.run(body)


@every_colour
def test_a_run_that_is_cut_off_ends_no_block_it_had_open(colour):
    def body(doors):
        model = Scripted(chunks=["a", call('{"a": 1', "f", "1"), OSError("cut")])
        with opened(doors, model) as handle:
            events, calls = handle.run.events(), handle.iterate(handle.run.tool_calls)
            told = []
            with pytest.raises(OSError, match="cut"):
                for_ever = handle.iterate(events)
                while True:
                    told.append(handle.next(for_ever))
            kinds = [event.kind for event in told if not event.kind.startswith("chunk")]
            assert kinds == ["start", "block-start", "block-delta", "block-end", "block-start",
                             "block-delta", "error"]  # fmt: skip
            assert isinstance(told[-1], RunFailed)
            with pytest.raises(OSError, match="cut"):
                handle.next(calls)

    colour.run(body)


@both_drivers
def test_typed_streams_with_blocks(colour):
    model = FakeListChatModel(responses=["ab"])
    quiet = FakeMessagesListChatModel(responses=[AIMessage(content="hi")])
    asks = RunnableLambda(lambda value: quiet.invoke(value).content)

    def typed(doors, runnable, **kwargs):
        if not doors.asynchronous:
            return list(runnable.stream_typed("x", **kwargs))

        async def collect():
            return [event async for event in runnable.astream_typed("x", **kwargs)]

        return doors.wait(collect())

    def body(doors):
        assert {e.kind for e in typed(doors, model)} == {"start", "chunk", "end"}
        events = typed(doors, model, blocks=True)
        kinds = ["start", "chunk", "block-start", "block-delta", "chunk", "block-delta",
                 "block-end", "end"]  # fmt: skip
        assert [event.kind for event in events] == kinds
        assert [event.seq for event in events] == list(range(8))
        assert not typed(doors, model, blocks=True, exclude_types=["chat_model"])
        events = typed(doors, asks, blocks=True)
        numbers = [event.seq for event in events]
        assert numbers == sorted(set(numbers))
        model_end = next(e for e in events if isinstance(e, RunEnded))
        before = [e.kind for e in events[: events.index(model_end)]]
        assert before == ["start", "start", "block-start", "block-delta", "block-end"]

    colour.run(body)


@pytest.mark.parametrize("empty", [None, ""])
def test_a_first_piece_that_says_nothing_is_no_call_of_its_own(empty):
    """What continues a call is decided as where messages add up."""
    pieces = [call(empty, empty, empty), call("{}", "f", "c")]
    answer = Answer()
    begun = [triple for piece in pieces for triple in answer.feed(piece)]
    (ended,) = answer.end()
    assert [kind for kind, _, _ in begun].count(BlockStarted) == 1
    assert [ended[2]] == merge(pieces).tool_calls == [
        {"type": "tool_call", "name": "f", "args": {}, "id": "c"}
    ]  # fmt: skip
