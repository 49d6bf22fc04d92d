"""`JsonOutputParser` in chains: what each mode shows, that nothing shown is taken back, and what a
step behind the parser sees. From the issue's words; the library's own tests are elsewhere."""

from __future__ import annotations  # noqa: I001

import asyncio
import copy
import json
import pickle
import re
from contextlib import aclosing
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, HeadraceError, InputError
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import (
    JsonOutputParser,
    OutputParserException,
    SimpleJsonOutputParser,
    StrOutputParser,
)
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough, RunnablePick
from laws.colours import END, both_drivers, every_colour
from laws.effort import examples
from laws.ledger import LEDGER, Source
from structure.scripted import JSON_VALUES, Replies, Said, cut, cuts, grows
import itertools

ATLAS = {
    "title": "Atlas — ünïcödé 😀",
    "edition": 12,
    "countries": [
        {"name": "France", "population": 67.5, "tags": ["eu", 'q"uote']},
        {"name": "Spain", "population": -4.7e1, "tags": []},
        {"name": "Japan", "population": 0, "tags": [None, True, False]},
    ],
    "done": True,
}
TEXT = json.dumps(ATLAS)
FENCED = f"Sure, here it is:\n\n```json\n{json.dumps(ATLAS, indent=2)}\n```\nAnything else?"
MODES: dict[str, dict[str, Any]] = {
    "partial": {},
    "delimited": {"emit": "delimited"},
    "complete": {"emit": "complete"},
    "path": {"path": "countries[*].name"},
    "diff": {"diff": True},
    "diff-delimited": {"diff": True, "emit": "delimited"},
}
every_mode = pytest.mark.parametrize("mode", MODES)


def parser(mode: str) -> JsonOutputParser:
    return JsonOutputParser(**MODES[mode])


def members(value: Any) -> list[Any]:
    """What `complete` shows of a value, each element once: see the class's docstring."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return [value]
    shown: list[Any] = []
    for key, item in value.items():
        lists = isinstance(item, list) and item
        shown += [{key: [each]} for each in item] if lists else [{key: item}]
    return shown


def expected(mode: str, value: Any, chunks: list[Any]) -> None:
    """Check the chunks of a stream against the value that they are of."""
    if mode in ("partial", "delimited"):
        assert chunks[-1] == value
    elif mode == "complete":
        assert chunks == members(value)
    elif mode == "path":
        assert chunks == [country["name"] for country in value["countries"]]
    else:
        document: Any = None
        for operations in chunks:
            document = jsonpatch.apply_patch(document, operations)
        assert document == value


# ---- law 1: what is streamed, what is invoked, what a step behind sees --------------------------


@every_colour
@every_mode
@pytest.mark.parametrize("text", [TEXT, FENCED], ids=["bare", "fenced"])
def test_all_doors_give_the_same_value(colour, mode, text):
    def body(doors):
        chain = FakeListChatModel(responses=[text]) | parser(mode)
        expected(mode, ATLAS, doors.stream(chain, "x"))
        assert doors.invoke(chain, "x") == ATLAS
        assert doors.batch(chain, ["x", "y"]) == [ATLAS, ATLAS]

    colour.run(body)


@every_colour
@every_mode
def test_a_function_behind_the_parser_sees_the_value(colour, mode):
    def body(doors):
        for behind in (
            lambda value: ("seen", value),
            RunnableLambda(lambda value: ("seen", value)),
            RunnablePassthrough() | (lambda value: ("seen", value)),
        ):
            chain = FakeListChatModel(responses=[TEXT]) | parser(mode) | behind
            assert doors.stream(chain, "x") == [("seen", ATLAS)]
            assert doors.invoke(chain, "x") == ("seen", ATLAS)

    colour.run(body)


@every_colour
@every_mode
@pytest.mark.parametrize("text", ["null", "[]", "{}", "0", '""', "false", "[null]", '{"": null}'])
def test_values_that_are_hardly_there(colour, mode, text):
    value = json.loads(text)

    def body(doors):
        chain = FakeListChatModel(responses=[text]) | parser(mode)
        assert doors.invoke(chain, "x") == value
        behind = chain | (lambda seen: [seen])
        assert doors.invoke(behind, "x") == [value]
        assert doors.stream(behind, "x") == [[value]]

    colour.run(body)


@every_colour
@every_mode
def test_a_generator_behind_the_parser_gets_the_chunks(colour, mode):
    def numbered(chunks):
        for number, chunk in enumerate(chunks):
            yield [(number, chunk)]

    async def anumbered(chunks):
        number = 0
        async for chunk in chunks:
            yield [(number, chunk)]
            number += 1

    def body(doors):
        model = FakeListChatModel(responses=[TEXT])
        alone = doors.stream(model | parser(mode), "x")
        step = anumbered if doors.asynchronous else numbered
        behind = doors.stream(model | parser(mode) | step, "x")
        assert [chunk for [(_, chunk)] in behind] == alone

    colour.run(body)


@every_colour
@every_mode
def test_in_a_parallel(colour, mode):
    def body(doors):
        model = FakeListChatModel(responses=[TEXT])
        chain = RunnableParallel(a=model | parser(mode), b=RunnablePassthrough())
        assert doors.invoke(chain, "x") == {"a": ATLAS, "b": "x"}
        chunks = doors.stream(chain, "x")
        expected(mode, ATLAS, [chunk["a"] for chunk in chunks if "a" in chunk])
        behind = chain | (lambda both: both["a"])
        assert doors.invoke(behind, "x") == ATLAS
        assert doors.stream(behind, "x") == [ATLAS]

    colour.run(body)


@every_colour
@every_mode
def test_assign_and_pick_behind_the_parser(colour, mode):
    def body(doors):
        model = FakeListChatModel(responses=[TEXT])
        chain = (
            RunnableParallel(a=model | parser(mode))
            | RunnablePassthrough.assign(size=lambda d: len(d["a"]["countries"]))
            | (lambda d: (d["a"], d["size"]))
        )
        assert doors.invoke(chain, "x") == (ATLAS, 3)
        assert doors.stream(chain, "x") == [(ATLAS, 3)]

    colour.run(body)


@every_colour
@every_mode
def test_pick_of_a_parsed_object(colour, mode):
    def body(doors):
        picked = FakeListChatModel(responses=[TEXT]) | parser(mode) | RunnablePick("countries")
        assert doors.invoke(picked, "x") == ATLAS["countries"]
        behind = picked | (lambda value: [value])
        assert doors.invoke(behind, "x") == [ATLAS["countries"]]
        assert doors.stream(behind, "x") == [[ATLAS["countries"]]]

    colour.run(body)


@every_colour
@every_mode
def test_assign_right_behind_the_parser(colour, mode):
    def body(doors):
        chain = FakeListChatModel(responses=[TEXT]) | parser(mode)
        assigned = chain.assign(count=lambda value: len(value["countries"]))
        assert doors.invoke(assigned, "x") == {**ATLAS, "count": 3}
        behind = assigned | (lambda value: [value])
        assert doors.invoke(behind, "x") == [{**ATLAS, "count": 3}]
        assert doors.stream(behind, "x") == [[{**ATLAS, "count": 3}]]

    colour.run(body)


@every_colour
@every_mode
def test_under_retry_fallbacks_and_config(colour, mode):
    def body(doors):
        answers = ["no JSON at all", TEXT]
        retried = (FakeListChatModel(responses=answers) | parser(mode)).with_retry(
            wait_exponential_jitter=False, stop_after_attempt=3
        )
        assert doors.invoke(retried, "x") == ATLAS
        bad = FakeListChatModel(responses=["[1, 2"]) | parser(mode)
        good = FakeListChatModel(responses=[TEXT]) | parser(mode)
        rescued = bad.with_fallbacks([good])
        assert doors.invoke(rescued, "x") == ATLAS
        named = good.with_config(tags=["t"], run_name="reader")
        expected(mode, ATLAS, doors.stream(named, "x"))
        assert doors.invoke(named, "x") == ATLAS
        assert doors.stream(named | (lambda value: [value]), "x") == [[ATLAS]]

    colour.run(body)


@every_colour
@every_mode
def test_a_parser_in_fallbacks_keeps_its_fold(colour, mode):
    def body(doors):
        good = FakeListChatModel(responses=[TEXT]) | parser(mode)
        chain = good.with_fallbacks([good]) | (lambda value: [value])
        assert doors.invoke(chain, "x") == [ATLAS]
        assert doors.stream(chain, "x") == [[ATLAS]]

    colour.run(body)


@every_colour
@every_mode
def test_a_parser_that_a_function_returns(colour, mode):
    def body(doors):
        step = RunnableLambda(lambda said: parser(mode))
        chain = FakeListChatModel(responses=[TEXT]) | step
        assert doors.invoke(chain, "x") == ATLAS
        expected(mode, ATLAS, doors.stream(chain, "x"))
        behind = chain | (lambda value: [value])
        assert doors.stream(behind, "x") == [[ATLAS]]

    colour.run(body)


@every_mode
async def test_the_events_end_with_what_invoke_gives(mode):
    chain = FakeListChatModel(responses=[TEXT]) | parser(mode)
    events = [event async for event in chain.astream_events("x", version="v2")]
    of_parser = [event for event in events if event["name"] == "JsonOutputParser"]
    chunks = [e["data"]["chunk"] for e in of_parser if e["event"] == "on_parser_stream"]
    expected(mode, ATLAS, chunks)
    (end,) = [event for event in of_parser if event["event"] == "on_parser_end"]
    assert end["data"]["output"] == ATLAS
    root = events[-1]
    assert root["event"] == "on_chain_end"
    assert root["data"]["output"] == ATLAS
    assert [e["data"]["chunk"] for e in events if e["event"] == "on_chain_stream"] == chunks


@every_mode
async def test_the_log_ends_with_what_invoke_gives(mode):
    chain = FakeListChatModel(responses=[TEXT]) | parser(mode)
    log: Any = None
    async for patch in chain.astream_log("x"):
        log = patch if log is None else log + patch
    assert log.state["final_output"] == ATLAS


@every_mode
async def test_an_observed_chain_with_a_function_behind(mode):
    chain = FakeListChatModel(responses=[TEXT]) | parser(mode) | RunnableLambda(lambda v: [v])
    events = [event async for event in chain.astream_events("x", version="v2")]
    assert events[-1]["data"]["output"] == [ATLAS]
    (start,) = [e for e in events if e["name"] == "RunnableLambda" and e["event"] == "on_chain_end"]
    assert start["data"]["input"] == ATLAS


@every_colour
@pytest.mark.parametrize(
    "text", ["[1.0]", '{"a": 1.0}', "[1e0]", "[-0.0]", "2.0", '[[7], "x", 0.0]']
)
@pytest.mark.parametrize("mode", ["partial", "delimited", "diff", "diff-delimited"])
def test_the_last_number_is_of_the_same_type_in_every_door(colour, mode, text):
    """`1` and `1.0` are equal, so a snapshot that is only compared with `==` is not sent."""

    def body(doors):
        chain = Said(pieces=list(text)) | parser(mode) | (lambda value: [repr(value)])
        assert doors.invoke(chain, "x") == [repr(json.loads(text))]
        assert doors.stream(chain, "x") == [[repr(json.loads(text))]]
        if "diff" not in mode:
            last = doors.stream(Said(pieces=list(text)) | parser(mode), "x")[-1]
            assert repr(last) == repr(json.loads(text))

    colour.run(body)


@every_colour
@every_mode
def test_one_parser_reads_several_streams_at_a_time(colour, mode):
    def body(doors):
        reader = parser(mode)
        other = json.dumps({**ATLAS, "title": "Other", "countries": ATLAS["countries"][:1]})
        streams = [doors.open_transform(reader, Source(list(text))) for text in (TEXT, other)]
        seen: list[list[Any]] = [[], []]
        open_streams = [0, 1]
        while open_streams:
            for which in list(open_streams):
                chunk = streams[which].next()
                if chunk is END:
                    open_streams.remove(which)
                else:
                    seen[which].append(chunk)
        expected(mode, ATLAS, seen[0])
        expected(mode, json.loads(other), seen[1])

    colour.run(body)


@every_mode
async def test_cancelling_the_task_closes_the_model(mode):
    chain = Said(pieces=list(TEXT)) | parser(mode)
    LEDGER.reset()

    async def read() -> None:
        async with aclosing(chain.astream("x")) as stream:
            async for _ in stream:
                started.set()
                await asyncio.sleep(10)

    started = asyncio.Event()
    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert LEDGER.entered["model"] == 1
    assert not LEDGER.still_open


# ---- laws 2 and 9: any cut, nothing retracted ---------------------------------------------------


@given(st.data())
@examples(60)
def test_delimited_never_takes_back(data):
    value = data.draw(JSON_VALUES)
    indent = data.draw(st.sampled_from([None, 0, 2]))
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=indent)
    pieces = data.draw(cuts(text))
    chunks = list(JsonOutputParser(emit="delimited").transform(iter(pieces)))
    kept = copy.deepcopy(chunks)
    for before, after in itertools.pairwise(chunks):
        assert grows(before, after), (before, after)
        assert before != after
    if value is not None:
        assert chunks[-1] == value
    assert chunks == kept


@given(st.data())
@examples(60)
def test_what_was_emitted_is_never_changed_later(data):
    value = data.draw(JSON_VALUES)
    pieces = data.draw(cuts(json.dumps(value)))
    for settings in ({}, {"emit": "delimited"}, {"diff": True}, {"emit": "complete"}):
        seen, kept = [], []
        for chunk in JsonOutputParser(**settings).transform(iter(pieces)):
            seen.append(chunk)
            kept.append(copy.deepcopy(chunk))
        assert seen == kept


@given(st.data())
@examples(60)
def test_differences_rebuild_every_value_in_between(data):
    value = data.draw(JSON_VALUES)
    pieces = data.draw(cuts(json.dumps(value)))
    emit = data.draw(st.sampled_from(["partial", "delimited"]))
    values = list(JsonOutputParser(emit=emit).transform(iter(pieces)))
    patches = list(JsonOutputParser(emit=emit, diff=True).transform(iter(pieces)))
    document: Any = None
    rebuilt = []
    for operations in patches:
        document = jsonpatch.apply_patch(copy.deepcopy(document), operations)
        rebuilt.append(copy.deepcopy(document))
    assert rebuilt == values


@given(st.data())
@examples(60)
def test_complete_gives_each_element_once_whatever_the_cuts(data):
    value = data.draw(JSON_VALUES)
    pieces = data.draw(cuts(json.dumps(value)))
    shown = list(JsonOutputParser(emit="complete").transform(iter(pieces)))
    if value is not None:
        assert shown == members(value)
    assert list(map(type, shown)) == [type(item) for item in members(value)][: len(shown)]


def located(value: Any, path: list[str]) -> list[Any]:
    """A reference for paths: keys and `*`, in the order of the text."""
    if not path:
        return [value]
    head, rest = path[0], path[1:]
    if head == "*":
        inner = value if isinstance(value, list) else []
    else:
        inner = [value[head]] if isinstance(value, dict) and head in value else []
    return [found for item in inner for found in located(item, rest)]


KEYED = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 999) | st.text('ab\\"é', max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=14,
)


@given(st.data())
@examples(100)
def test_a_path_gives_each_match_once_as_it_closes(data):
    value = data.draw(KEYED)
    path = data.draw(st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3))
    if path[0] == "*":
        path = ["a", *path]
    written = "".join("[*]" if part == "*" else f".{part}" for part in path).lstrip(".")
    text = f"Here: ```json\n{json.dumps({'a': value, 'b': [value]}, indent=1)}\n``` done"
    pieces = data.draw(cuts(text))
    shown = list(JsonOutputParser(path=written).transform(iter(pieces)))
    wanted = located({"a": value, "b": [value]}, path)
    assert shown == wanted
    assert list(map(type, shown)) == list(map(type, wanted))


@given(st.data())
@examples(40)
def test_prose_and_fences_around_change_nothing(data):
    value = data.draw(
        st.lists(JSON_VALUES, max_size=3) | st.dictionaries(st.text(max_size=3), JSON_VALUES)
    )
    try:
        json.dumps(value).encode()
    except UnicodeEncodeError:
        return
    before = data.draw(
        st.sampled_from(["", "Sure!\n", "Here is it:\n\n```json\n", "```\n", "```JSON\n"])
    )
    after = "\n```\nDone." if "`" in before else data.draw(st.sampled_from(["", "\n", "\n\nDone."]))
    text = before + json.dumps(value, indent=data.draw(st.sampled_from([None, 2]))) + after
    pieces = data.draw(cuts(text))
    for settings in ({}, {"emit": "delimited"}):
        assert list(JsonOutputParser(**settings).transform(iter(pieces)))[-1] == value
    assert JsonOutputParser().invoke(text) == value


@pytest.mark.parametrize("before", ["Here are the numbers: ", "Here:\n", "Sure!\n\n"])
@pytest.mark.parametrize(
    "text",
    ["[1, 2, 3]", "[true, false]", "[null]", "[\n  1,\n  2\n]", "[]", "{}", '["a"]', "[-1.5]"],
)
def test_every_kind_of_array_may_follow_prose(before, text):
    """`[1]` may be a citation where JSON comes after it; where none does, it is the answer."""
    value = json.loads(text)
    assert JsonOutputParser().invoke(before + text) == value
    for emit in ("partial", "delimited"):
        assert list(JsonOutputParser(emit=emit).transform(iter(before + text)))[-1] == value
    assert JsonOutputParser().invoke(f"As said [1], it is {json.dumps({'a': value})}") == {
        "a": value
    }


@both_drivers
def test_the_three_countries(colour):
    """The example of the issue: France, Spain, Japan, each once, never a half of a name."""

    def body(doors):
        for at in range(len(TEXT)):
            shown = doors.transform(parser("path"), [TEXT[:at], TEXT[at:]])
            assert shown == ["France", "Spain", "Japan"]

    colour.run(body)


def test_never_half_a_number_or_literal_when_delimited():
    text = '{"n": 12.5e3, "t": true, "f": [false, null, -10]}'
    for chunk in JsonOutputParser(emit="delimited").transform(iter(text)):
        assert chunk.get("n", 12500.0) == 12500.0
        assert chunk.get("t", True) is True
        assert chunk.get("f", [])[:3] == [False, None, -10][: len(chunk.get("f", []))]


# ---- when it is shown ---------------------------------------------------------------------------


@every_colour
def test_an_element_is_there_with_the_piece_that_closes_it(colour):
    pieces = ['{"countries": [{"name": "Fra', "nce", '", "x": [', '1]}, {"name": "Spain"', "}]}"]

    def body(doors):
        source = Source(pieces)
        stream = doors.open_transform(parser("path"), source)
        assert stream.next() == "France"
        assert source.pulls == 3
        assert stream.next() == "Spain"
        assert source.pulls == 4
        assert stream.next() is END
        assert source.pulls == 5

    colour.run(body)


@every_colour
@every_mode
def test_nothing_runs_before_the_first_next(colour, mode):
    def body(doors):
        model = Said(pieces=list(TEXT))
        stream = doors.open(model | parser(mode), "x")
        assert model.pulled == 0
        assert not LEDGER.entered
        stream.next()
        assert 0 < model.pulled < len(TEXT)
        stream.close()

    colour.run(body)


@every_colour
@every_mode
@pytest.mark.parametrize("taken", [0, 1, 2])
def test_leaving_early_closes_the_model(colour, mode, taken):
    def body(doors):
        model = Said(pieces=list(FENCED))
        stream = doors.open(model | parser(mode), "x")
        for _ in range(taken):
            stream.next()
        pulled = model.pulled
        stream.close()
        assert not LEDGER.still_open
        assert model.pulled == pulled
        assert stream.next() is END

    colour.run(body)


@every_colour
@every_mode
def test_leaving_a_transform_closes_the_source(colour, mode):
    def body(doors):
        source = Source(list(TEXT))
        stream = doors.open_transform(parser(mode), source)
        stream.next()
        stream.close()
        assert source.pulled_while_leaving == 0
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
@every_mode
def test_an_error_of_the_source_comes_through_as_it_is(colour, mode):
    boom = RuntimeError("line cut")

    def body(doors):
        stream = doors.open_transform(parser(mode), Source(list(TEXT), fail_at=120, fail=boom))
        with pytest.raises(RuntimeError) as caught:
            stream.rest()
        assert caught.value is boom

    colour.run(body)


# ---- text that is no JSON -----------------------------------------------------------------------

BROKEN = {
    '{"a": 1, "b": [1, 2': 19,
    '{"a" 1}': 5,
    "[1 2]": 3,
    '{"a": "abc': 10,
    "{'a': 1}": 1,
    "": 0,
    "no JSON here": 12,
    "[1, 2}": 5,
}


@every_colour
@every_mode
@pytest.mark.parametrize("text", BROKEN)
def test_broken_json_raises_at_the_end(colour, mode, text):
    def body(doors):
        chain = FakeListChatModel(responses=[text]) | parser(mode)
        errors = []
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            errors.append(caught.value)
        for error in errors:
            assert error.llm_output == text
            sentence = str(error)
            assert f"character {BROKEN[text]}" in sentence
            assert "expected" in sentence
            assert repr(text) in sentence or text in sentence
            assert isinstance(error, ValueError)
            assert isinstance(error, HeadraceError)
        assert str(errors[0]) == str(errors[1])

    colour.run(body)


@both_drivers
def test_what_came_before_the_mistake_was_shown(colour):
    def body(doors):
        stream = doors.open(Said(pieces=list("[1, 2 3]")) | parser("complete"), "x")
        assert stream.next() == 1
        assert stream.next() == 2
        with pytest.raises(OutputParserException):
            stream.next()

    colour.run(body)


def test_the_position_is_in_the_text_of_the_message_not_of_a_piece():
    text = 'Well:\n```json\n{"a": [1, }\n```'
    with pytest.raises(OutputParserException, match=f"character {text.index('}')}"):
        list(JsonOutputParser().transform(iter(cut(text, 3, 17, 22))))


@pytest.mark.parametrize("text", ["[1, nul]", '{"a": tru}', "[1, 2", '{"a": -}'])
def test_what_was_expected_is_said_in_json_s_words(text):
    """Not "what comes after": a name or a sign that would have been right."""
    with pytest.raises(OutputParserException) as caught:
        JsonOutputParser().invoke(text)
    sentence = str(caught.value)
    assert re.search(r"expected (a|an|the|')", sentence), sentence


@every_colour
def test_a_batch_with_a_broken_answer(colour):
    def body(doors):
        chain = RunnableLambda(lambda text: AIMessage(text)) | JsonOutputParser(emit="complete")
        out = doors.batch(chain, ["[1]", "[1", '{"a": 2}'], return_exceptions=True)
        assert out[0] == [1]
        assert isinstance(out[1], OutputParserException)
        assert out[2] == {"a": 2}

    colour.run(body)


@every_colour
def test_a_stream_that_fails_before_its_first_chunk_is_tried_again(colour):
    def body(doors):
        model = Replies(answers=[["no ", "JSON"], list("[1, 2]")])
        chain = (model | JsonOutputParser(path="[*]")).with_retry(
            wait_exponential_jitter=False, stop_after_attempt=2
        )
        assert doors.stream(chain, "x") == [1, 2]

    colour.run(body)


# ---- forms of input -----------------------------------------------------------------------------


@every_colour
@every_mode
def test_messages_strings_and_content_blocks(colour, mode):
    half = len(TEXT) // 2
    blocks = [{"type": "text", "text": TEXT[:half]}, {"type": "text", "text": TEXT[half:]}]

    def body(doors):
        for said in (TEXT, AIMessage(TEXT), AIMessage(blocks)):
            assert doors.invoke(parser(mode), said) == ATLAS
            expected(mode, ATLAS, doors.stream(parser(mode), said))
        chunks = [AIMessageChunk(piece) for piece in cut(TEXT, 5, 50, 51, 51)]
        expected(mode, ATLAS, doors.transform(parser(mode), chunks))
        listed = [AIMessageChunk([{"type": "text", "text": p, "index": 0}]) for p in cut(TEXT, 40)]
        expected(mode, ATLAS, doors.transform(parser(mode), listed))

    colour.run(body)


@every_colour
def test_behind_a_prompt_and_a_text_parser(colour):
    def body(doors):
        prompt = ChatPromptTemplate.from_template("countries of {where}")
        model = GenericFakeChatModel(messages=iter([TEXT] * 4))
        chain = prompt | model | StrOutputParser() | JsonOutputParser(path="countries[*].name")
        assert doors.stream(chain, {"where": "the world"}) == ["France", "Spain", "Japan"]
        assert doors.invoke(chain, {"where": "the world"}) == ATLAS

    colour.run(body)


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2,],}', '```json\n{"a": [1, 2]}', '{"a": [1, 2]}}}', 'so {"a": [1,2]} it is'],
)
@every_mode
def test_what_models_write(mode, text):
    if mode == "path":
        assert list(JsonOutputParser(path="a[*]").transform(iter(text))) == [1, 2]
    else:
        expected(mode, {"a": [1, 2]}, list(parser(mode).transform(iter(text))))
    assert parser(mode).invoke(text) == {"a": [1, 2]}


def test_raw_line_breaks_in_strings():
    text = '{"poem": "one\ntwo\tthree"}'
    for mode in ("partial", "delimited"):
        assert list(parser(mode).transform(iter(text)))[-1] == {"poem": "one\ntwo\tthree"}
    assert JsonOutputParser().invoke(text) == {"poem": "one\ntwo\tthree"}


def test_surrogate_pairs_cut_anywhere():
    text = '["\\ud83d\\ude00é😀\\n"]'
    for at in range(len(text)):
        for mode in ("partial", "delimited"):
            for chunk in parser(mode).transform(iter([text[:at], text[at:]])):
                assert all(not 0xD800 <= ord(c) < 0xE000 for item in chunk for c in item)


def test_deep_nesting_has_a_typed_error():
    assert JsonOutputParser().invoke("[" * 900 + "]" * 900)
    with pytest.raises(OutputParserException, match=r"1,?000"):
        JsonOutputParser().invoke("[" * 1500 + "]" * 1500)
    with pytest.raises(OutputParserException, match=r"1,?000"):
        list(JsonOutputParser(emit="delimited").transform(iter("[" * 1500 + "]" * 1500)))


# ---- the cost -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["partial", "delimited", "complete", "path", "diff"])
@pytest.mark.parametrize("kind", ["array", "string", "object"])
def test_twice_the_text_costs_twice_the_steps(mode, kind):
    """Counted in function calls and lines run, not in seconds."""
    import sys

    def steps(size: int) -> int:
        if kind == "array":
            value: Any = {"countries": [{"name": f"n{i % 7}"} for i in range(size)]}
        elif kind == "string":
            value = {"countries": [{"name": "word " * (4 * size)}]}
        else:
            value = {f"k{i:05d}": i for i in range(size)}
        text = json.dumps(value)
        pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
        count = 0

        def tracer(frame: Any, event: str, arg: Any) -> Any:
            nonlocal count
            count += 1
            return tracer

        stream = parser(mode).transform(iter(pieces))
        sys.settrace(tracer)
        try:
            for _ in stream:
                pass
        finally:
            sys.settrace(None)
        return count

    assert steps(160) <= 2.2 * steps(80)


def test_snapshots_share_what_is_closed():
    text = json.dumps([{"x": list(range(20))} for _ in range(50)])
    chunks = list(JsonOutputParser().transform(iter(text)))
    assert chunks[-1][0] is chunks[len(chunks) // 2][0]


# ---- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_pickled_copied_compared(mode):
    there = pickle.loads(pickle.dumps(parser(mode)))
    assert there == parser(mode) == copy.deepcopy(parser(mode))
    expected(mode, ATLAS, list(there.transform(iter(TEXT))))
    chain = pickle.loads(pickle.dumps(FakeListChatModel(responses=[TEXT]) | parser(mode)))
    assert chain.invoke("x") == ATLAS


def sentence(error: BaseException) -> str:
    text = str(error)
    assert text[:1].isupper() or text[:1] in "`'\"" or "=" in text.split(maxsplit=1)[0], text
    assert len(text.split()) >= 6, text
    return text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"emit": "complete", "diff": True}, "diff"),
        ({"path": "a", "diff": True}, "diff"),
        ({"path": "a["}, "a["),
        ({"path": "a..b"}, "a..b"),
        ({"path": "a[*].b", "emit": "delimited"}, "emit"),
    ],
)
def test_settings_that_make_no_sense(settings, named):
    with pytest.raises(ConfigError) as caught:
        JsonOutputParser(**settings)
    assert named in sentence(caught.value)


def test_a_path_written_as_jsonpath_does_not_silently_find_nothing():
    """`$.a` is how half the world writes a path: it is read, or it is refused."""
    try:
        reader = JsonOutputParser(path="$.a")
    except ConfigError as error:
        assert "$" in str(error)
    else:
        assert list(reader.transform(iter('{"a": 1}'))) == [1]


@pytest.mark.parametrize("settings", [{"emit": "all"}, {"pathh": "a"}, {"diff": "maybe"}])
def test_settings_that_there_are_not(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        JsonOutputParser(**settings)


@pytest.mark.parametrize("wrong", [12, None, {"a": 1}, [1], b"[1]"])
@every_colour
def test_input_that_is_no_text(colour, wrong):
    def body(doors):
        for door in (doors.invoke, doors.stream):
            with pytest.raises(InputError) as caught:
                door(JsonOutputParser(), wrong)
            assert repr(wrong) in sentence(caught.value)

    colour.run(body)


@both_drivers
def test_a_parser_before_its_model(colour):
    def body(doors):
        chain = ChatPromptTemplate.from_template("{x}") | JsonOutputParser()
        with pytest.raises(InputError, match="after a model"):
            doors.invoke(chain, {"x": 1})

    colour.run(body)


def test_simple_json_is_the_same_parser():
    assert list(SimpleJsonOutputParser().transform(iter("[1]"))) == [[], [1]]


def test_it_says_that_it_streams():
    explained = str((Said(pieces=["x"]) | JsonOutputParser(emit="complete")).explain())
    line = next(line for line in explained.splitlines() if "JsonOutputParser" in line)
    assert "streams" in line and "waits" not in line
