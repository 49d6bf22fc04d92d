"""`XMLOutputParser`: LangChain's values, element by element, cut anywhere, and nothing unsafe."""

from __future__ import annotations

import copy
import pickle
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.output_parsers import XMLOutputParser as Theirs
from pydantic import ValidationError

from headrace.errors import MissingExtraError, OutputParserException, XmlSyntaxError
from headrace.language_models import FakeListChatModel
from headrace.merge import merge
from headrace.messages import AIMessageChunk
from headrace.output_parsers import XMLOutputParser, xml
from headrace.runnables import AddableDict
from laws.colours import every_colour
from laws.counted import assert_linear
from laws.kinds import cut_text

PARSERS = pytest.mark.parametrize("parser", ["defusedxml", "xml"])
DEFUSED = XMLOutputParser()


# ---------------------------------------------------------------------------------- documents

TEXTS = st.sampled_from(["", "a", " x y ", "é<", "]]>&", "\n", "1 > 0"])
TAGS = st.sampled_from(["a", "b", "c:d", "long-tag.1", "é"])


def written(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")


def element(tag, inside):
    tag = tag.replace(":", "_")
    return f"<{tag}>{inside}</{tag}>"


LEAVES = st.builds(lambda tag, text: element(tag, written(text)), TAGS, TEXTS)
SPACES = st.sampled_from(["", "\n  ", "<!-- <x> -->", "<?pi > ?>"])


def around(children):
    several = st.lists(children, min_size=1, max_size=3)
    return st.builds(
        lambda tag, gap, parts: element(tag, gap + gap.join(parts)), TAGS, SPACES, several
    )


TREES = st.recursive(LEAVES, around, max_leaves=8)
PROSE = st.sampled_from(
    ["", "Sure!\n", "as 1 < 2 and <b it's>:\n", "```xml\n", "<?xml version='1.0'?>\n"]
)
AFTER = st.sampled_from(["", "\n```\nWith <b>that</b>.", "\nDone. 2 > 1 < 3"])
DOCUMENTS = st.builds(lambda before, tree, after: before + tree + after, PROSE, TREES, AFTER)
NOISE = st.text(alphabet="<>/ab !-[]&;'\"=?\n", max_size=24)


def in_pieces(parser, pieces):
    return list(parser.transform(iter(pieces)))


def outcome(run):
    """The value, or the error as it is shown."""
    try:
        return run()
    except OutputParserException as error:
        assert isinstance(error.__cause__, XmlSyntaxError)
        return error.__cause__.reason, error.__cause__.position, error.llm_output


# ------------------------------------------------------------------------------- the same values


@PARSERS
@given(tree=TREES)
def test_the_value_is_that_of_langchain(parser, tree):
    assert XMLOutputParser(parser=parser).invoke(tree) == Theirs(parser="xml").invoke(tree)


@given(tree=TREES)
def test_the_chunks_are_those_of_langchain(tree):
    """But for elements inside of text and for a root with nothing in it, which are rows."""
    root = ElementTree.fromstring(tree)
    ours = in_pieces(DEFUSED, tree)
    if len(root) and root.tag != "é":  # LangChain looks for ASCII letters
        assert ours == list(Theirs(parser="xml").transform(iter([tree])))
    elif not len(root):
        assert ours == [DEFUSED.invoke(tree)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<a/>", {"a": []}),
        ("<a> </a>", {"a": []}),
        ("<a>x</a>", {"a": "x"}),
        ("<a><b/></a>", {"a": [{"b": None}]}),
        ("<a><b> </b></a>", {"a": [{"b": " "}]}),
        ("<a k='1>'><b k=\"<\"/></a>".replace('"<"', '"&lt;"'), {"a": [{"b": None}]}),
        ("<a>t<b>x</b></a>", {"a": "t"}),
        ("<a><b>x</b>t</a>", {"a": [{"b": "x"}]}),
        ("<a><b>t<c><d>x</d></c></b><e/></a>", {"a": [{"b": "t"}, {"e": None}]}),
        ("<a><![CDATA[<b>]]>&amp;&#233;</a>", {"a": "<b>&é"}),
        ("<a>x<!-- y -->z</a>", {"a": "xz"}),
        ("<a xmlns='u'><b/></a>", {"{u}a": [{"{u}b": None}]}),
    ],
)
def test_values(text, value):
    assert DEFUSED.invoke(text) == value == Theirs(parser="xml").invoke(text)
    assert merge(in_pieces(DEFUSED, text)) == value


def test_prose_fences_and_declarations_around_it():
    text = (
        "Since 1 < 2 and a <b it's:\n```xml\n<?xml version='1.0' encoding='utf-16'?>\n"
        "<!-- <x> -->\n<a><b>é</b></a>\n``` And <b>bold</b>, < and <more."
    )
    assert DEFUSED.invoke(text) == {"a": [{"b": "é"}]} == merge(in_pieces(DEFUSED, text))


# ------------------------------------------------------------------------------------- streams


@every_colour
@given(text=DOCUMENTS, data=st.data())
def test_cut_anywhere_in_every_colour(colour, text, data):
    pieces = cut_text(text, data.draw)

    def body(doors):
        whole = doors.invoke(DEFUSED, text)
        chunks = doors.transform(DEFUSED, pieces)
        assert merge(chunks) == whole
        assert chunks == doors.stream(DEFUSED, text)

    colour.run(body)


@given(text=NOISE, data=st.data())
@example(text="<a>x</a><b>", data=None)
def test_noise_is_a_value_or_the_same_error_wherever_it_is_cut(text, data):
    pieces = cut_text(text, data.draw) if data is not None else list(text)
    whole = outcome(lambda: DEFUSED.invoke(text))
    cut = outcome(lambda: merge(in_pieces(DEFUSED, pieces)))
    standard = outcome(lambda: XMLOutputParser(parser="xml").invoke(text))
    if isinstance(whole, dict):
        assert cut == whole == standard
    else:
        assert cut[:2] == whole[:2] == standard[:2]
        assert text.startswith(cut[2])
        assert 0 <= whole[1] <= len(text)


@given(text=NOISE)
def test_what_the_standard_library_reads_is_read(text):
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return
    if "<!DOCTYPE" not in text:
        assert DEFUSED.invoke(text) == Theirs(parser="xml").invoke(text)


def test_an_element_comes_when_it_closes():
    pulled = []

    def pieces():
        for piece in ["Here: <a><b", ">x</", "b>", "<c/>", "<d", "></d></a", "> more", " text"]:
            pulled.append(piece)
            yield piece

    stream = DEFUSED.transform(pieces())
    assert [next(stream), len(pulled)] == [{"a": [{"b": "x"}]}, 3]
    assert [next(stream), len(pulled)] == [{"a": [{"c": None}]}, 4]
    assert [next(stream), len(pulled)] == [{"a": [{"d": None}]}, 6]
    assert list(stream) == []
    assert len(pulled) == 8


def test_chunks_know_which_element_they_belong_to():
    one = "<a><b><c>1</c><c>2</c></b></a>"
    two = "<a><b><c>1</c></b><b><c>2</c></b></a>"
    first, second = (in_pieces(DEFUSED, text) for text in (one, two))
    assert first == second  # to look at
    assert merge(first) == DEFUSED.invoke(one) == {"a": [{"b": [{"c": "1"}, {"c": "2"}]}]}
    assert merge(second) == DEFUSED.invoke(two) == {"a": [{"b": [{"c": "1"}]}, {"b": [{"c": "2"}]}]}
    assert merge(pickle.loads(pickle.dumps(first))) == merge(copy.deepcopy(first)) == merge(first)


@given(tree=TREES, data=st.data())
def test_adding_chunks_is_associative(tree, data):
    chunks = in_pieces(DEFUSED, tree)
    middle = data.draw(st.integers(0, len(chunks)))
    left, right = merge(chunks[:middle]), merge(chunks[middle:])
    whole = left + right if left is not None and right is not None else left or right
    assert whole == merge(chunks) == DEFUSED.invoke(tree)


def test_chunks_of_two_texts_add_up_like_dicts():
    one, two = in_pieces(DEFUSED, "<a><b/></a>")[0], in_pieces(DEFUSED, "<a><c/></a>")[0]
    assert one + two == {"a": [{"b": None}, {"c": None}]}
    assert one + {"k": 1} == {"a": [{"b": None}], "k": 1} == AddableDict(k=1) + one
    assert one == {"a": [{"b": None}]}
    assert type(DEFUSED.invoke("<a/>")) is dict


def test_after_a_model_and_before_a_function():
    chain = FakeListChatModel(responses=["<a><b>1</b><b>2</b></a>"]) | DEFUSED
    assert list(chain.stream("")) == [{"a": [{"b": "1"}]}, {"a": [{"b": "2"}]}]
    counted = chain | (lambda value: len(value["a"]))
    assert counted.invoke("") == 2 == next(counted.stream(""))
    pieces = [
        AIMessageChunk(content="<a>"),
        AIMessageChunk(content=[{"type": "text", "text": "x</a>"}]),
    ]
    assert in_pieces(DEFUSED, pieces) == [{"a": "x"}]


def test_a_parse_of_ones_own_counts_while_streaming_too():
    class Text(XMLOutputParser):
        def parse(self, text):
            return list(super().parse(text))

    assert in_pieces(Text(), "<a><b/></a>") == [["a"]]
    assert Text().explain().steps[0].kind == "barrier"
    assert DEFUSED.explain().steps[0].kind == "streams"


def test_a_pattern_for_what_is_before_it_needs_the_whole_text():
    parser = XMLOutputParser(encoding_matcher=r"(?s)(<note>.*</note>)(.*)")
    text = "<note>first</note><a>x</a>"
    assert parser.invoke(text) == {"a": "x"} == merge(in_pieces(parser, text))
    assert parser.invoke("<a>y</a>") == {"a": "y"}
    assert parser.explain().steps[0].kind == "barrier"


# -------------------------------------------------------------------------------------- errors


@PARSERS
@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("none", 4, "no start tag of an element"),
        ("", 0, "no start tag of an element"),
        ("so: <a b></a>", 4, "no start tag of an element"),
        ("<a>", 3, "the text ends before </a>, whose <a> is at character 0"),
        ("é <a><b>x</b><c", 15, "the text ends before </a>, whose <a> is at character 2"),
        ("é <a>\n é\r\n<b></a>", 15, "mismatched tag"),
        ("x <a>&nbsp;</a>", 5, "undefined entity"),
        ("<a><b c=1/></a>", 8, "not well-formed (invalid token)"),
        ("<a></a><b/>", 7, "a second outermost element, '<b/>': one has to hold all others"),
        ("<a>" * 501, 1500, "more than 500 elements inside each other"),
    ],
)
def test_what_is_wrong_and_where(parser, text, position, reason):
    one = XMLOutputParser(parser=parser)
    for run in (lambda: one.invoke(text), lambda: in_pieces(one, text)):
        with pytest.raises(OutputParserException, match="Failed to parse") as caught:
            run()
        wrong = caught.value.__cause__
        assert isinstance(wrong, XmlSyntaxError)
        assert (wrong.position, wrong.reason.partition(" &")[0]) == (position, reason)
        assert f"at character {position}" in str(caught.value)
        assert text.startswith(caught.value.llm_output)
        again = pickle.loads(pickle.dumps(wrong))
        assert (str(again), again.position) == (str(wrong), position)


@given(text=NOISE.map(lambda text: f"<a><b/><b/>{text}"), data=st.data())
def test_what_closed_before_an_error_comes_first_wherever_it_is_cut(text, data):
    def given_before_the_end(pieces):
        chunks = []
        try:
            chunks.extend(DEFUSED.transform(iter(pieces)))
        except OutputParserException:
            chunks.append("an error")
        return chunks

    assert given_before_the_end(cut_text(text, data.draw)) == given_before_the_end([text])
    assert given_before_the_end([text])[:2] == [{"a": [{"b": None}]}] * 2


def test_500_levels_are_read():
    depth = 500
    value = DEFUSED.invoke("<a>" * depth + "x" + "</a>" * depth)
    for _ in range(depth - 1):
        value = value["a"][0]
    assert value == {"a": "x"}


# -------------------------------------------------------------------------------------- safety

BOMB = (
    "<!DOCTYPE b [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(12))
    + "]><b>&a12;</b>"
)
UNSAFE = {
    "bomb": BOMB,
    "bomb after prose": f"Sure:\n```xml\n<?xml version='1.0'?>\n{BOMB}\n```",
    "quadratic": f"<!DOCTYPE b [<!ENTITY x '{'a' * 1000}'>]><b>{'&x;' * 1000}</b>",
    "external": "<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><b>&x;</b>",
    "external dtd": "<!DOCTYPE b SYSTEM 'http://127.0.0.1:1/b.dtd'><b/>",
    "parameter": "<!DOCTYPE b [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><b/>",
    "inside": f"<b>{BOMB}</b>",
    "html": "<!doctype html><html/>",
    "plain": "<!DOCTYPE b><b/>",
}


def _read_by_expat(monkeypatch, parser):
    """What expat is given from now on, in the list's order."""
    read, made = [], xml._PARSERS[parser]()

    class Spy:
        def __init__(self, target):
            self._parser = made(target)

        def feed(self, text):
            read.append(text)
            self._parser.feed(text)

        def close(self):
            self._parser.close()

    monkeypatch.setitem(xml._PARSERS, parser, lambda: Spy)
    return read


@PARSERS
@given(data=st.data())
def test_expat_reads_each_character_once_in_whole_tokens(parser, data):
    """It reads a token that is cut from its beginning again."""
    text = data.draw(TREES)
    with pytest.MonkeyPatch.context() as patch:
        read = _read_by_expat(patch, parser)
        in_pieces(XMLOutputParser(parser=parser), cut_text(f"so: {text} -", data.draw))
    assert "".join(read) == text
    assert all(token.endswith(">") for token in read)


@PARSERS
@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_is_refused_before_it_is_read(monkeypatch, parser, name):
    one, text = XMLOutputParser(parser=parser), UNSAFE[name]
    read = _read_by_expat(monkeypatch, parser)
    for run in (lambda: one.invoke(text), lambda: in_pieces(one, text)):
        with pytest.raises(
            OutputParserException, match="type declaration, which is refused"
        ) as caught:
            run()
        assert caught.value.__cause__.position == text.lower().index("<!doctype")
    assert read == (["<b>", "<b>"] if name == "inside" else [])


def test_defusedxml_refuses_too_should_something_get_there():
    """The second line of defence: what the scanner lets through is read by defusedxml."""
    from headrace.output_parsers.xml import _PARSERS, _Tree

    parser = _PARSERS["defusedxml"]()(_Tree())
    with pytest.raises(ValueError, match="DTDForbidden"):
        parser.feed("<!DOCTYPE b><b/>")


def test_without_defusedxml(monkeypatch):
    monkeypatch.setitem(sys.modules, "defusedxml.ElementTree", None)
    with pytest.raises(MissingExtraError, match=r'pip install "headrace\[xml\]"'):
        XMLOutputParser()
    assert XMLOutputParser(parser="xml").invoke("<a/>") == {"a": []}


@pytest.mark.parametrize(
    "unit",
    ["<a>text</a>", "x", "<!-- > -->", ">", "&amp;", "\n", "<a k='>'/>", "<a><b><c/></b></a>"],
)
@pytest.mark.parametrize(
    ("before", "after"), [("<r>", "</r>"), ("<r><!--", "--></r>"), ("", "<r/>")]
)
def test_twice_the_text_costs_twice(unit, before, after):
    if not before:
        unit = unit.replace("<", "<1")  # prose that looks like tags
    elif before != "<r>":
        unit = unit.replace("--", "- ")

    def pieces(size):
        text = before + unit * (size // len(unit)) + after
        return [text[i : i + 4] for i in range(0, len(text), 4)]

    def run(source):
        for _ in DEFUSED.transform(source):
            pass

    assert_linear(run, pieces, 2_000)


# ---------------------------------------------------------------------- what it says of itself


def test_instructions_name_the_tags_and_show_an_example():
    with_tags = XMLOutputParser(tags=["answer", "item"]).get_format_instructions()
    assert "<answer>, <item>" in with_tags
    assert "<answer>" not in DEFUSED.get_format_instructions().partition("like this")[0]
    assert DEFUSED.parse(with_tags[with_tags.index("like this:\n") + 11 :].partition("\n")[0]) == {
        "answer": [{"item": "red"}, {"item": "green"}]
    }


def test_what_it_is():
    assert DEFUSED._type == "xml" == Theirs()._type
    assert repr(XMLOutputParser(tags=["a"])) == "XMLOutputParser(tags=['a'])"
    with pytest.raises(ValidationError, match="defusedxml"):
        XMLOutputParser(parser="lxml")
