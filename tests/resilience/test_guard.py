"""`guard`: the stream says what the whole text would, however it is cut, at constant memory."""

from __future__ import annotations

import copy
import pickle
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, InputError
from headrace.language_models import GenericFakeChatModel
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage
from headrace.output_parsers import StrOutputParser
from headrace.resilience import guard
from headrace.resilience.guarding import BEHIND, HOARD, ByFunction, ByPattern
from headrace.runnables import RunnableGenerator
from laws.colours import every_colour
from laws.events import check_events, root_end
from laws.ledger import Recorder, Source
from laws.usercode import exclaim

# a pattern, what replaces its matches, and the length of the longest match with its surroundings
PATTERNS: list[tuple[str, str, int]] = [
    (r"ab", "#", 2),
    (r"a+b|ba", "<>", 6),
    (r"\bab\b", "#", 2),
    (r"(?<=a)b", "", 2),
    (r"(?<!a)b(?!b)", "x", 2),
    (r"a{2,3}", "aaaa", 3),
    (r"[ab]{1,4} ", "#", 5),
    (r"(a)(b)", r"\2\1", 2),
    (r"(?m)^a|b$", "#", 2),
    (r"aba", "aba", 3),
    (r"a(?=bb)", "#", 3),
]
TEXTS = st.text("ab \n", max_size=40).filter(lambda text: "aaaaaa" not in text)
CUTS = st.lists(st.integers(0, 40), max_size=8)


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(marks)]


# ---- the law: stream = whole --------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "replacement", "longest"), PATTERNS)
@given(text=TEXTS, places=CUTS, more=st.integers(0, 3))
def test_patterns_agree_with_the_whole_text(pattern, replacement, longest, text, places, more):
    compiled = re.compile(pattern)
    step = guard(compiled, replacement, lookahead=longest + more)
    wanted = compiled.sub(replacement, text)
    pieces = cut(text, places)
    assert "".join(step.transform(iter(pieces))) == wanted
    assert "".join(step.transform(iter(text))) == wanted
    assert step.invoke(text) == wanted


@pytest.mark.parametrize("text", ["aba", "ab", " ab b", "abab ab", "bab ab"])
def test_the_character_behind_a_match_of_full_length_is_waited_for(text):
    step = guard(re.compile(r"\bab\b"), "#", lookahead=2)
    assert "".join(step.transform(iter(text))) == re.sub(r"\bab\b", "#", text)


WORDS = [("secret",), ("ab", "abc"), ("one", "two", "three")]


@pytest.mark.parametrize("words", WORDS, ids=str)
@given(data=st.data(), places=st.lists(st.integers(0, 60), max_size=9))
def test_functions_agree_with_the_whole_text(words, data, places):
    bits = st.sampled_from([*words, *"abcot ", words[0][:2]])
    text = "".join(data.draw(st.lists(bits, max_size=12)))
    pattern = re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)))

    def redact(given: str) -> str:
        return pattern.sub("***", given)

    step = guard(redact, lookahead=max(map(len, words)))
    assert "".join(step.transform(iter(cut(text, places)))) == redact(text)
    assert "".join(step.transform(iter(text))) == redact(text)


@given(text=TEXTS, places=CUTS)
def test_a_function_of_single_characters_holds_no_more_than_it_must(text, places):
    step = guard(str.upper, lookahead=4)
    assert "".join(step.transform(iter(cut(text, places)))) == text.upper()


@pytest.mark.parametrize("kind", ["pattern", "function", "greedy"])
@given(text=st.text("ab ", max_size=200))
def test_memory_is_bounded(kind, text):
    ahead = 5
    if kind == "pattern":
        machine: Any = ByPattern(re.compile("ab"), "#", ahead)
    elif kind == "function":
        machine = ByFunction(lambda given: given.replace("ab", "#"), ahead)
    else:  # it changes everything: no place is as good as another
        machine = ByFunction(lambda given: "#" * bool(given), ahead)
    machine.feed("ab " * BEHIND)
    for letter in text * 3:
        machine.feed(letter)
        most = BEHIND + ahead + 1 if kind == "pattern" else HOARD * ahead + 1
        assert len(machine._held) <= most


@given(text=st.text("ab", min_size=6, max_size=60))
def test_no_more_than_the_lookahead_is_held_back(text):
    machine = ByPattern(re.compile("ab"), "ab", 5)
    out = ""
    for number, letter in enumerate(text, 1):
        out += machine.feed(letter)
        assert len(out) >= number - 5
    assert out + machine.finish() == text


def test_a_match_longer_than_agreed_is_found_in_parts():
    step = guard(re.compile("a+"), "#", lookahead=2)
    assert "a" not in "".join(step.transform(iter("x" + "a" * 9 + "x")))


def test_the_replacement_may_be_a_function_of_the_match():
    step = guard(re.compile(r"\d+"), lambda match: "*" * len(match[0]), lookahead=4)
    assert "".join(step.transform(iter("a 12 b 345"))) == "a ** b ***"


# ---- in all colours -----------------------------------------------------------------------------


@every_colour
def test_in_a_chain_with_its_events(colour):
    def body(doors: Any) -> None:
        seen = Recorder()
        step = guard(re.compile("secret"), "***", lookahead=6)
        chain = RunnableGenerator(lambda chunks: iter("".join(chunks))) | step
        text = "the secret is a secre of secrets"
        wanted = "the *** is a secre of ***s"
        chunks = doors.stream(chain, text, seen.config)
        assert "".join(chunks) == wanted
        assert len(chunks) > 5
        check_events(seen.events)
        assert root_end(seen.events).output == wanted
        assert doors.invoke(chain, text) == wanted

    colour.run(body)


@every_colour
def test_it_gives_while_there_is_more_to_come(colour):
    def body(doors: Any) -> None:
        step = guard(re.compile("ab"), "#", lookahead=2)
        source = Source("ab" * 50)
        stream = doors.open_transform(step, source)
        assert stream.next() == "#"
        assert source.pulls <= 4
        stream.close()

    colour.run(body)


# ---- messages -----------------------------------------------------------------------------------

MAIL = guard(re.compile(r"\w+@\w+"), "[mail]", lookahead=12)


@every_colour
def test_messages_keep_everything_but_the_text(colour):
    def body(doors: Any) -> None:
        model = GenericFakeChatModel(messages=iter([AIMessage("ask me@home or you@work now")] * 2))
        chunks = doors.stream(model | MAIL, "go")
        whole = merge(chunks)
        assert whole.content == "ask [mail] or [mail] now"
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[-1].chunk_position == "last"
        text = "".join(doors.stream(model | MAIL | StrOutputParser(), "go"))
        assert text == "ask [mail] or [mail] now"

    colour.run(body)


_CALL = {"name": "f", "args": "{}", "id": "1", "index": 0, "type": "tool_call_chunk"}
_USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@given(text=st.text("ab@ ", max_size=30), places=CUTS, tail=st.booleans())
def test_chunks_pass_their_metadata_in_order(text, places, tail):
    chunks = [
        AIMessageChunk(piece, id="1", response_metadata={f"k{number}": number})
        for number, piece in enumerate(cut(text, places))
    ]
    chunks.append(AIMessageChunk("", id="1", tool_call_chunks=[_CALL]))
    chunks.append(AIMessageChunk("", id="1", usage_metadata=_USAGE))
    if tail:
        chunks.append(AIMessageChunk("", id="1", chunk_position="last"))
    before = merge([copy.deepcopy(chunk) for chunk in chunks])
    out = list(MAIL.transform(iter(chunks)))
    whole = merge(out)
    assert whole.content == re.sub(r"\w+@\w+", "[mail]", text)
    for field in ("id", "response_metadata", "tool_calls", "usage_metadata", "chunk_position"):
        assert getattr(whole, field) == getattr(before, field), field
    said = [key for chunk in out for key in chunk.response_metadata]
    assert said == [f"k{number}" for number in range(len(said))]
    if tail:
        assert out[-1].chunk_position == "last"


def blocks(*content: Any, **more: Any) -> AIMessageChunk:
    return AIMessageChunk(list(content), id="1", **more)


def text_of(index: int, text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "index": index}


def test_each_text_block_is_a_text_of_its_own():
    thought = {"type": "reasoning", "reasoning": "me@home", "index": 1}
    chunks = [
        AIMessageChunk("say m", id="1"),
        AIMessageChunk("e@home x@", id="1"),
        blocks(text_of(0, "y@a")),
        blocks(text_of(0, "bc z@")),
        blocks(thought),
        blocks(text_of(2, "q@"), chunk_position=None),
        blocks(text_of(2, "r"), chunk_position="last"),
    ]
    out = list(MAIL.transform(iter(chunks)))
    whole = merge(out)
    assert whole.content == [
        "say [mail] x@",
        text_of(0, "[mail] z@"),
        thought,
        text_of(2, "[mail]"),
    ]
    assert out[-1].chunk_position == "last"
    assert merge(list(MAIL.transform(iter(chunks[:-1])))).content[-1] == text_of(2, "q@")


def test_strings_among_blocks():
    chunks = [blocks("a m", {"type": "x"}), blocks("e@b"), blocks("c", chunk_position="last")]
    whole = merge(list(MAIL.transform(iter(chunks))))
    joined = [item for item in whole.content if isinstance(item, str)]
    assert "".join(joined) == "a m[mail]"
    assert {"type": "x"} in whole.content


def test_what_is_redacted_to_nothing_is_empty_and_not_missing():
    step = guard(re.compile("a"), "", lookahead=3)
    assert step.invoke("aa") == ""
    assert step.invoke("") == ""
    assert list(step.transform(iter("aaa"))) == [""]
    assert list(step.transform(iter([]))) == []
    (only,) = step.transform(iter([AIMessageChunk("a", id="1"), AIMessageChunk("a", id="1")]))
    assert only == AIMessageChunk("", id="1")


def test_whole_messages():
    message = AIMessage("me@home", id="1", usage_metadata=_USAGE)
    assert MAIL.invoke(message) == AIMessage("[mail]", id="1", usage_metadata=_USAGE)
    assert message.content == "me@home"
    several = HumanMessage(
        ["a@b", {"type": "text", "text": "c@d"}, {"type": "image", "url": "e@f"}]
    )
    assert MAIL.invoke(several).content == [
        "[mail]",
        {"type": "text", "text": "[mail]"},
        {"type": "image", "url": "e@f"},
    ]


# ---- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((re.compile("a*"), "#"), "matches the empty text"),
        ((re.compile(b"a"), "#"), "one of bytes"),
        ((re.compile("a"),), "in place of a match"),
        (("a", "#"), "give a function from text to text"),
        ((str.upper, "#"), "give a function from text to text"),
    ],
    ids=str,
)
def test_redactions_that_make_no_sense(args, told):
    with pytest.raises(ConfigError, match=told):
        guard(*args)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "9"])
def test_lookahead_is_a_number_of_characters(wrong):
    with pytest.raises(ConfigError, match="lookahead is"):
        guard(str.upper, lookahead=wrong)


def test_what_it_cannot_read_and_what_the_function_may_not_give():
    with pytest.raises(InputError, match=r"A guard got \{'a': 1\}"):
        guard(str.upper).invoke({"a": 1})
    with pytest.raises(InputError, match=r"gave None \(NoneType\)"):
        guard(lambda text: None).invoke("a")  # type: ignore[arg-type,return-value]
    with pytest.raises(InputError, match="nothing to replace"):
        guard(re.compile("(?=b)"), "#").invoke("ab")


def test_copies_reprs_and_explain():
    step = guard(re.compile("a"), "#", lookahead=3)
    for again in (copy.deepcopy(step), pickle.loads(pickle.dumps(step))):
        assert again == step
        assert again.invoke("aba") == "#b#"
    assert repr(step) == "Guard(re.compile('a'), replacement='#', lookahead=3)"
    assert repr(guard(exclaim)) == "Guard(exclaim, lookahead=200)"
    assert [row.kind for row in step.explain()] == ["streams"]
