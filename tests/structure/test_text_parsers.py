"""Parsers of text that is no JSON, and the bases for parsers of one's own, in chains."""

from __future__ import annotations

import csv
import datetime
import enum
import io
import json
import pickle
import re
import xml.etree.ElementTree as ET
from typing import Any
from xml.sax.saxutils import escape

import langchain_core.output_parsers as theirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from headrace.errors import HeadraceError
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessageChunk
from headrace.output_parsers import (
    BaseCumulativeTransformOutputParser,
    BaseGenerationOutputParser,
    BaseOutputParser,
    BaseTransformOutputParser,
    BooleanOutputParser,
    CommaSeparatedListOutputParser,
    DatetimeOutputParser,
    EnumOutputParser,
    JsonOutputParser,
    ListOutputParser,
    MarkdownListOutputParser,
    NumberedListOutputParser,
    OutputFixingParser,
    OutputParserException,
    PydanticOutputParser,
    RegexDictParser,
    RegexParser,
    RetryOutputParser,
    RetryWithErrorOutputParser,
    StrOutputParser,
    XMLOutputParser,
    YamlOutputParser,
)
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.runnables import RunnableParallel, RunnablePassthrough
from laws.colours import END, both_drivers, every_colour
from laws.effort import examples
from laws.ledger import LEDGER, Source
from structure.scripted import Replies, Said, cuts


class Suit(enum.Enum):
    HEARTS = "hearts"
    SPADES = "spades"


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)


XML_TEXT = "<films><film><title>Up &amp; away</title><year>2009</year></film><film><title>Ran</title></film></films>"  # noqa: E501
XML_VALUE = {
    "films": [{"film": [{"title": "Up & away"}, {"year": "2009"}]}, {"film": [{"title": "Ran"}]}]
}

# A parser, what a model says, and the value.
CASES: dict[str, tuple[Any, str, Any]] = {
    "comma": (
        CommaSeparatedListOutputParser(),
        'red, "dark, blue",green',
        ["red", "dark, blue", "green"],
    ),
    "numbered": (
        NumberedListOutputParser(),
        "Here:\n1. red\n2. dark blue\n10. green",
        ["red", "dark blue", "green"],
    ),
    "markdown": (
        MarkdownListOutputParser(),
        "Here:\n- red\n- dark blue\n* green\n",
        ["red", "dark blue", "green"],
    ),
    "xml": (XMLOutputParser(), XML_TEXT, XML_VALUE),
    "xml-fenced": (XMLOutputParser(), f"Sure!\n```xml\n{XML_TEXT}\n```", XML_VALUE),
    "xml-std": (XMLOutputParser(parser="xml"), XML_TEXT, XML_VALUE),
    "yaml": (
        YamlOutputParser(pydantic_object=Person),
        "```yaml\nname: Ada\nage: 36\n```",
        Person(name="Ada", age=36),
    ),
    "yaml-bare": (
        YamlOutputParser(pydantic_object=Person),
        "name: Ada\nage: 36",
        Person(name="Ada", age=36),
    ),
    "enum": (EnumOutputParser(enum=Suit), " spades\n", Suit.SPADES),
    "datetime": (
        DatetimeOutputParser(),
        "2024-02-29T10:20:30.000001Z",
        datetime.datetime(2024, 2, 29, 10, 20, 30, 1),
    ),
    "boolean": (BooleanOutputParser(), "Yes, it is.", True),
    "regex": (
        RegexParser(regex=r"Score: (\d+)\s+Why: (.*)", output_keys=["score", "why"]),
        "Score: 7\nWhy: nice",
        {"score": "7", "why": "nice"},
    ),
    "str": (StrOutputParser(), "just text", "just text"),
}
every_case = pytest.mark.parametrize("case", CASES)
LISTS = ["comma", "numbered", "markdown"]


# ---- law 1 and 2 --------------------------------------------------------------------------------


@every_colour
@every_case
def test_all_doors_give_the_same(colour, case):
    reader, text, value = CASES[case]

    def body(doors):
        chain = FakeListChatModel(responses=[text]) | reader
        assert doors.invoke(chain, "x") == value
        behind = chain | (lambda seen: ("seen", seen))
        assert doors.stream(behind, "x") == [("seen", value)]
        assert doors.invoke(behind, "x") == ("seen", value)
        assert doors.batch(chain, ["x"] * 2) == [value] * 2
        assert doors.invoke(reader, text) == value

    colour.run(body)


@every_colour
@every_case
def test_compositions(colour, case):
    reader, text, value = CASES[case]

    def body(doors):
        def chain() -> Any:
            return FakeListChatModel(responses=[text]) | reader

        both = RunnableParallel(a=chain(), b=RunnablePassthrough())
        assert doors.invoke(both, "x") == {"a": value, "b": "x"}
        assert doors.stream(both | (lambda d: [d["a"]]), "x") == [[value]]
        assert doors.stream(
            RunnableParallel(a=chain()).assign(n=lambda d: 1) | (lambda d: [d["a"]]), "x"
        ) == [[value]]
        assert doors.invoke(chain().with_fallbacks([chain()]), "x") == value
        assert doors.stream(chain().with_fallbacks([chain()]) | (lambda v: [v]), "x") == [[value]]
        assert doors.invoke(chain().with_retry(stop_after_attempt=2), "x") == value
        assert doors.stream(chain().with_config(tags=["a"]) | (lambda v: [v]), "x") == [[value]]

    colour.run(body)


@every_case
async def test_events_end_with_the_value(case):
    reader, text, value = CASES[case]
    chain = FakeListChatModel(responses=[text]) | reader
    events = [event async for event in chain.astream_events("x", version="v2")]
    ends = [e["data"]["output"] for e in events if e["event"] in ("on_parser_end", "on_chain_end")]
    assert ends == [value, value]


@every_case
def test_any_cut_gives_the_same(case):
    reader, text, value = CASES[case]
    for at in range(len(text) + 1):
        chain = Said(pieces=[text[:at], text[at:]]) | reader | (lambda seen: [seen])
        assert list(chain.stream("x")) == [[value]]


@every_colour
@pytest.mark.parametrize("case", LISTS)
def test_lists_stream_element_by_element(colour, case):
    reader, text, value = CASES[case]

    def body(doors):
        chunks = doors.stream(FakeListChatModel(responses=[text]) | reader, "x")
        assert chunks == [[element] for element in value]

    colour.run(body)


@every_colour
@every_case
@pytest.mark.parametrize("taken", [0, 1])
def test_leaving_early(colour, case, taken):
    reader, text, _ = CASES[case]

    def body(doors):
        stream = doors.open(Said(pieces=list(text)) | reader, "x")
        for _ in range(taken):
            stream.next()
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)


@both_drivers
@pytest.mark.parametrize(
    ("reader", "pieces", "pulls"),
    [
        (CommaSeparatedListOutputParser(), ["re", "d, gr", "een"], 2),
        (NumberedListOutputParser(), ["1. re", "d\n", "2. green"], 2),
        (MarkdownListOutputParser(), ["- re", "d\n", "- green"], 2),
        (XMLOutputParser(), ["<a><b>x</", "b>", "<c>y</c></a>"], 2),
    ],
)
def test_an_element_comes_with_the_piece_that_ends_it(colour, reader, pieces, pulls):
    def body(doors):
        source = Source(pieces)
        stream = doors.open_transform(reader, source)
        first = stream.next()
        assert first in (["red"], {"a": [{"b": "x"}]})
        assert source.pulls == pulls
        assert stream.next() is not END
        assert stream.next() is END

    colour.run(body)


# ---- lists --------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)


@given(st.data())
@examples(60)
def test_comma_separated_as_csv_writes_it(data):
    row = data.draw(st.lists(WORDS.map(str.strip).filter(bool), min_size=1, max_size=5))
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row)
    text = out.getvalue()
    reader = CommaSeparatedListOutputParser()
    pieces = data.draw(cuts(text))
    chunks = list(reader.transform(iter(pieces)))
    assert [element for chunk in chunks for element in chunk] == row
    assert reader.invoke(text) == row
    assert [[element] for element in row] == chunks


ITEM = st.from_regex(r"[A-Za-z][A-Za-z .,é-]{0,8}[a-z]", fullmatch=True)


@given(st.data())
@examples(50)
def test_lists_with_numbers_and_dashes(data):
    items = data.draw(st.lists(ITEM, min_size=1, max_size=5))
    before = data.draw(st.sampled_from(["", "Sure:\n", "Sure:\n\n"]))
    for reader, form in (
        (NumberedListOutputParser(), "{}. {}"),
        (MarkdownListOutputParser(), "- {1}"),
    ):
        text = before + "\n".join(form.format(n, item) for n, item in enumerate(items, 1))
        pieces = data.draw(cuts(text))
        chunks = list(reader.transform(iter(pieces)))
        assert chunks == [[item] for item in items]
        assert reader.invoke(text) == items
        other = getattr(theirs, type(reader).__name__)()
        assert other.invoke(text) == items


@pytest.mark.parametrize("name", ["CommaSeparated", "Numbered", "Markdown"])
@pytest.mark.parametrize("text", ["", "nothing here", "1. a\n2. b", "- a\n- b", "a,b", "a, b,\nc"])
def test_lists_as_langchain_reads_them(name, text):
    ours = globals()[f"{name}ListOutputParser"]()
    other = getattr(theirs, f"{name}ListOutputParser")()
    wanted = [element for element in other.invoke(text) if element]
    assert [element for element in ours.invoke(text) if element] == wanted


def test_instructions():
    for reader in (
        CommaSeparatedListOutputParser(),
        NumberedListOutputParser(),
        MarkdownListOutputParser(),
        XMLOutputParser(tags=["a", "b"]),
        YamlOutputParser(pydantic_object=Person),
        EnumOutputParser(enum=Suit),
        DatetimeOutputParser(),
        BooleanOutputParser(),
    ):
        text = reader.get_format_instructions()
        assert len(text.split()) >= 3
        prompt = PromptTemplate(
            template="{how}\n{q}", input_variables=["q"], partial_variables={"how": text}
        )
        assert text in prompt.invoke({"q": "?"}).to_string()


def test_a_list_parser_of_one_s_own():
    class Semicolons(ListOutputParser):
        def parse_iter(self, text):
            return re.finditer(r"([^;]+)(?:;|$)", text)

    for pieces in (["a;b", "b;c"], list("a;bb;c")):
        assert list(Semicolons().transform(iter(pieces))) == [["a"], ["bb"], ["c"]]
    assert Semicolons().invoke("a;bb;c") == ["a", "bb", "c"]


# ---- XML ----------------------------------------------------------------------------------------

XML_WORD = st.text("ab é<>&'\"", min_size=1, max_size=5).filter(lambda s: s.strip() == s)
TAGS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.tuples(TAGS, XML_WORD),
    lambda inner: st.tuples(TAGS, st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)


def written(tree: Any) -> str:
    tag, inner = tree
    body = escape(inner) if isinstance(inner, str) else "".join(map(written, inner))
    return f"<{tag}>{body}</{tag}>"


def as_dict(tree: Any) -> Any:
    tag, inner = tree
    return {tag: inner if isinstance(inner, str) else [as_dict(each) for each in inner]}


@given(st.data())
@examples(60)
def test_xml_of_any_shape_and_cut(data):
    tree = data.draw(TREES)
    text, value = written(tree), as_dict(tree)
    ET.fromstring(text)
    pieces = data.draw(cuts(text))
    chain = XMLOutputParser() | (lambda seen: [seen])
    assert list(chain.transform(iter(pieces))) == [[value]]
    assert XMLOutputParser().invoke(text) == value
    assert theirs.XMLOutputParser().invoke(text) == value


@every_colour
def test_xml_streams_innermost_elements(colour):
    def body(doors):
        chunks = doors.stream(FakeListChatModel(responses=[XML_TEXT]) | XMLOutputParser(), "x")
        assert chunks == [
            {"films": [{"film": [{"title": "Up & away"}]}]},
            {"films": [{"film": [{"year": "2009"}]}]},
            {"films": [{"film": [{"title": "Ran"}]}]},
        ]

    colour.run(body)


BOMB = '<!DOCTYPE a [<!ENTITY x "aaaa"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'


@every_colour
@pytest.mark.parametrize("text", [BOMB, FILE, "<a><b>x</b>", "no xml", "", "<a></b>", "<a>&x;</a>"])
@pytest.mark.parametrize("kind", ["defusedxml", "xml"])
def test_xml_that_is_refused(colour, text, kind):
    def body(doors):
        chain = FakeListChatModel(responses=[text]) | XMLOutputParser(parser=kind)
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            assert len(str(caught.value).split()) > 4
            # A stream stops where it is clear; its error has what had come.
            assert text.startswith(caught.value.llm_output)
            assert caught.value.llm_output or not text

    colour.run(body)


# ---- the parsers of whole texts -----------------------------------------------------------------


@every_colour
@pytest.mark.parametrize(
    ("reader", "text", "named"),
    [
        (EnumOutputParser(enum=Suit), "clubs", "hearts"),
        (EnumOutputParser(enum=Suit), "hearts or spades", "hearts"),
        (DatetimeOutputParser(), "tomorrow", "tomorrow"),
        (BooleanOutputParser(), "perhaps", "YES"),
        (BooleanOutputParser(), "yes and no", "both"),
        (BooleanOutputParser(), "I know nothing", "YES"),
        (RegexParser(regex="(a)", output_keys=["x"]), "bbb", "bbb"),
        (YamlOutputParser(pydantic_object=Person), "name: Ada\nage: -1", "age"),
        (YamlOutputParser(pydantic_object=Person), "name: [Ada\nage: 1", "line"),
        (YamlOutputParser(pydantic_object=Person), "name: !!python/object:os.system x", "python"),
        (YamlOutputParser(pydantic_object=Person), "- a\n- b", "Person"),
    ],
)
def test_what_cannot_be_read(colour, reader, text, named):
    def body(doors):
        chain = FakeListChatModel(responses=[text]) | reader
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            assert named in str(caught.value)
            assert text in (caught.value.llm_output or "")

    colour.run(body)


@pytest.mark.parametrize("text", ["YES", "yes.", "**Yes**", "The answer is: yes"])
def test_yes(text):
    assert BooleanOutputParser().invoke(text) is True
    assert BooleanOutputParser().invoke(text.lower().replace("yes", "no")) is False


@pytest.mark.parametrize("text", ["hearts", "`hearts`", '"Hearts".', " HEARTS "])
def test_enum(text):
    assert EnumOutputParser(enum=Suit).invoke(text) is Suit.HEARTS


def test_yaml_reads_data_into_any_schema():
    class Pair(TypedDict):
        a: int
        b: list[str]

    text = "Here:\n```yml\na: 1\nb:\n  - x\n  - y\n```\nDone"
    assert YamlOutputParser(pydantic_object=Pair).invoke(text) == {"a": 1, "b": ["x", "y"]}
    schema = {
        "title": "S",
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
    }
    assert YamlOutputParser(pydantic_object=schema).invoke("a: 3") == {"a": 3}
    with pytest.raises(OutputParserException, match="a"):
        YamlOutputParser(pydantic_object=schema).invoke("a: x")


def test_regex_dict():
    reader = RegexDictParser(
        output_key_to_format={"action": "Action", "why": "Why"}, no_update_value="N/A"
    )
    assert reader.invoke("Action: search.\nWhy: N/A.\n") == {"action": "search"}


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: RegexParser(regex="(", output_keys=["a"]), "regex"),
        (lambda: RegexParser(regex="(a)", output_keys=["a", "b"]), "b"),
        (lambda: RegexParser(regex="(a)", output_keys=["a"], default_output_key="z"), "z"),
        (lambda: EnumOutputParser(enum=int), "enum"),
        (lambda: BooleanOutputParser(true_val="x", false_val="X"), "x"),
        (lambda: YamlOutputParser(pydantic_object=3), "schema"),
        (lambda: XMLOutputParser(parser="lxml"), "parser"),
        (lambda: DatetimeOutputParser(format=3), "format"),
        (lambda: CommaSeparatedListOutputParser(separator=";"), "separator"),
    ],
)
def test_settings_that_cannot_be(make, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        make()


@every_case
def test_pickled(case):
    reader, text, value = CASES[case]
    there = pickle.loads(pickle.dumps(reader))
    assert there == reader
    assert there.invoke(text) == value


# ---- repair -------------------------------------------------------------------------------------


@every_colour
def test_the_fixing_parser_asks_a_model(colour):
    def body(doors):
        fixer = FakeListChatModel(responses=['{"name": "Ada", "age": 36}'])
        reader = OutputFixingParser.from_llm(fixer, PydanticOutputParser(pydantic_object=Person))
        chain = FakeListChatModel(responses=['{"name": "Ada", "age": ']) | reader
        assert doors.invoke(chain, "x") == Person(name="Ada", age=36)
        assert doors.stream(chain, "x")[-1] == Person(name="Ada", age=36)
        behind = chain | (lambda seen: [seen])
        assert doors.stream(behind, "x") == [[Person(name="Ada", age=36)]]

    colour.run(body)


@every_colour
def test_the_fixing_parser_leaves_alone_what_is_right(colour):
    def body(doors):
        fixer = Replies(answers=[["[9]"]])
        reader = OutputFixingParser.from_llm(fixer, JsonOutputParser())
        chain = FakeListChatModel(responses=["[1, 2]"]) | reader
        assert doors.stream(chain, "x") == [[], [1], [1, 2]]
        assert fixer.asked == []
        bad = FakeListChatModel(responses=["[1, 2"]) | reader
        assert doors.stream(bad, "x")[-1] == [9]
        assert len(fixer.asked) == 1
        said = "".join(str(message.content) for message in fixer.asked[0])
        assert "[1, 2" in said

    colour.run(body)


@every_colour
def test_the_fixing_parser_gives_up(colour):
    def body(doors):
        fixer = Replies(answers=[["still no"]])
        reader = OutputFixingParser.from_llm(fixer, JsonOutputParser(), max_retries=2)
        for door in (doors.invoke, doors.stream):
            fixer.asked.clear()
            with pytest.raises(OutputParserException) as caught:
                door(FakeListChatModel(responses=["no"]) | reader, "x")
            assert caught.value.llm_output == "no"
            assert len(fixer.asked) == 2

    colour.run(body)


@every_colour
@pytest.mark.parametrize("emit", ["complete", "delimited"])
def test_the_fixing_parser_around_other_modes(colour, emit):
    def body(doors):
        fixer = FakeListChatModel(responses=["[1, 2, 3]"])
        reader = OutputFixingParser.from_llm(fixer, JsonOutputParser(emit=emit))
        chain = FakeListChatModel(responses=["[1, 2"]) | reader
        assert doors.invoke(chain, "x") == [1, 2, 3]
        assert doors.stream(chain | (lambda seen: [seen]), "x") == [[[1, 2, 3]]]
        chunks = doors.stream(chain, "x")
        assert chunks == [1, 2, 3] if emit == "complete" else chunks[-1] == [1, 2, 3]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", [RetryOutputParser, RetryWithErrorOutputParser])
def test_the_retry_parser_has_the_prompt(colour, kind):
    def body(doors):
        fixer = Replies(answers=[['{"name": "Ada",', ' "age": 36}']])
        reader = kind.from_llm(fixer, PydanticOutputParser(pydantic_object=Person))
        prompt = ChatPromptTemplate.from_template("Who wrote about the {what}?")
        chain = RunnableParallel(
            completion=prompt | FakeListChatModel(responses=["dunno"]) | StrOutputParser(),
            prompt_value=prompt,
        ) | (lambda both: reader.parse_with_prompt(**both))
        assert doors.invoke(chain, {"what": "engine"}) == Person(name="Ada", age=36)
        asked = "".join(str(message.content) for message in fixer.asked[0])
        assert "engine" in asked and "dunno" in asked

    colour.run(body)


def test_the_retry_parser_cannot_do_without_the_prompt():
    reader = RetryOutputParser.from_llm(
        FakeListChatModel(responses=["x"]), PydanticOutputParser(pydantic_object=Person)
    )
    with pytest.raises((HeadraceError, NotImplementedError), match="parse_with_prompt"):
        reader.invoke("x")


# ---- parsers of one's own -----------------------------------------------------------------------


class Shout(BaseOutputParser[str]):
    mark: str = "!"

    def parse(self, text: str) -> str:
        return text.upper() + self.mark


class Pieces(BaseTransformOutputParser[str]):
    def parse(self, text: str) -> str:
        return text.upper()


class Words(BaseCumulativeTransformOutputParser[list[str]]):
    def parse_result(self, result: Any, *, partial: bool = False) -> list[str] | None:
        words = result[0].text.split()
        if partial:
            words = words[:-1]
        return words or None

    def _diff(self, prev: list[str] | None, next: list[str]) -> list[str]:
        return next[len(prev or []) :]

    def parse(self, text: str) -> list[str]:
        return text.split()


class Length(BaseGenerationOutputParser[int]):
    def parse_result(self, result: Any, *, partial: bool = False) -> int:
        return len(result[0].message.content)


OWN: dict[str, tuple[Any, list[Any], Any]] = {
    "whole": (Shout(), ["ONE TWO THREE!"], "ONE TWO THREE!"),
    "pieces": (Pieces(), list("ONE TWO THREE"), "ONE TWO THREE"),
    "cumulative": (
        Words(),
        [["one"], ["one", "two"], ["one", "two", "three"]],
        ["one", "two", "three"],
    ),
    "cumulative-diff": (Words(diff=True), [["one"], ["two"], ["three"]], ["one", "two", "three"]),
    "generation": (Length(), [13], 13),
}


@every_colour
@pytest.mark.parametrize("name", OWN)
def test_parsers_of_one_s_own(colour, name):
    reader, chunks, value = OWN[name]

    def body(doors):
        chain = FakeListChatModel(responses=["one two three"]) | reader
        assert doors.invoke(chain, "x") == value
        assert doors.stream(chain, "x") == chunks
        behind = chain | (lambda seen: ("seen", seen))
        assert doors.stream(behind, "x") == [("seen", value)]
        assert doors.batch(chain, ["x", "y"]) == [value, value]
        assert doors.stream(chain.with_fallbacks([chain]) | (lambda v: [v]), "x") == [[value]]
        assert doors.invoke(chain.with_retry(stop_after_attempt=2), "x") == value

    colour.run(body)


@pytest.mark.parametrize("name", OWN)
def test_parsers_of_one_s_own_behave_as_in_langchain(name):
    import langchain_core.language_models as their_models

    bases = {
        "whole": "BaseOutputParser",
        "pieces": "BaseTransformOutputParser",
        "cumulative": "BaseCumulativeTransformOutputParser",
        "cumulative-diff": "BaseCumulativeTransformOutputParser",
        "generation": "BaseGenerationOutputParser",
    }
    reader, chunks, value = OWN[name]
    body = {k: v for k, v in vars(type(reader)).items() if k in ("parse", "parse_result", "_diff")}
    extra = {"mark": "!", "__annotations__": {"mark": str}} if name == "whole" else {}
    base = getattr(theirs, bases[name])
    kind = type("Theirs", (base,), {**body, **extra, "__module__": __name__})
    other = kind(diff=True) if name == "cumulative-diff" else kind()
    chain = their_models.FakeListChatModel(responses=["one two three"]) | other
    assert chain.invoke("x") == value
    # LangChain never asks with `partial=False` at the end of a stream: the last word is lost.
    assert list(chain.stream("x")) == (chunks[:2] if "cumulative" in name else chunks)


@every_colour
def test_an_async_parse_is_used_where_there_is_one(colour):
    used = []

    class Both(BaseOutputParser[str]):
        def parse(self, text: str) -> str:
            used.append("sync")
            return text

        async def aparse(self, text: str) -> str:
            used.append("async")
            return text

    def body(doors):
        used.clear()
        chain = FakeListChatModel(responses=["abc"]) | Both()
        assert doors.invoke(chain, "x") == "abc"
        assert doors.stream(chain, "x") == ["abc"]
        assert set(used) == {"async" if doors.asynchronous else "sync"}

    colour.run(body)


@every_colour
def test_an_error_of_one_s_own_parser_is_that_object(colour):
    boom = OutputParserException("not this", llm_output="abc", observation="o", send_to_llm=True)

    class Failing(BaseOutputParser[str]):
        def parse(self, text: str) -> str:
            raise boom

    def body(doors):
        chain = FakeListChatModel(responses=["abc"]) | Failing()
        for door in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                door(chain, "x")
            assert caught.value is boom

    colour.run(body)


def test_chunks_without_text_do_not_break_any_parser():
    for reader, text, value in CASES.values():
        half = len(text) // 2
        pieces = ["", text[:half], AIMessageChunk(content=[]), text[half:], ""]
        chain = Said(pieces=pieces) | reader | (lambda seen: [seen])
        assert list(chain.stream("x")) == [[value]]


def test_json_of_an_answer_in_blocks_with_reasoning():
    content = [
        {"type": "reasoning", "reasoning": "{thinking [of"},
        {"type": "text", "text": json.dumps([1, 2])},
    ]
    assert (Said(pieces=[content]) | JsonOutputParser()).invoke("x") == [1, 2]
