"""Parsers of short answers: a member of an enum, a time, yes or no, what a pattern finds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.errors import OutputParserException
from headrace.messages import AIMessage
from headrace.output_parsers import (
    BooleanOutputParser,
    DatetimeOutputParser,
    EnumOutputParser,
    RegexDictParser,
    RegexParser,
)
from laws.colours import every_colour
from laws.kinds import cut_text


class Colour(Enum):
    RED = "red"
    DARK_RED = "dark red"
    BLUE = "Blue"
    blue = "blue"


class Number(Enum):
    ONE = 1
    TWO = 2


def refused(parser, text):
    with pytest.raises(OutputParserException) as caught:
        parser.invoke(text)
    assert caught.value.llm_output == text
    return str(caught.value)


ANSWERS = [
    (EnumOutputParser(enum=Colour), " `Dark red`.\n", Colour.DARK_RED),
    (DatetimeOutputParser(format="%Y-%m-%d"), '"2024-02-29".', datetime(2024, 2, 29)),
    (BooleanOutputParser(), "I know: yes!", True),
    (RegexParser(regex=r"(\w+)=(\d+)", output_keys=["k", "v"]), "say a=1", {"k": "a", "v": "1"}),
    (RegexDictParser(output_key_to_format={"a": "Do"}), "Do: go home.", {"a": "go home"}),
]


@pytest.mark.parametrize(("parser", "text", "value"), ANSWERS, ids=lambda x: type(x).__name__)
@every_colour
@given(data=st.data())
def test_the_value_in_every_colour_cut_anywhere(colour, parser, text, value, data):
    pieces = cut_text(text, data.draw)

    def body(doors):
        assert doors.invoke(parser, text) == value
        assert doors.invoke(parser, AIMessage(content=text)) == value
        assert doors.stream(parser, text) == [value]
        assert doors.transform(parser, pieces) == [value]

    colour.run(body)


# ---------------------------------------------------------------------------------------- enum


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("red", Colour.RED), (" red\n", Colour.RED), ("RED", Colour.RED), ('"red"', Colour.RED),
        ("**red**.", Colour.RED), ("dark red", Colour.DARK_RED), ("blue", Colour.blue),
        ("Blue", Colour.BLUE),
    ],
)  # fmt: skip
def test_a_member_by_its_value(text, member):
    assert EnumOutputParser(enum=Colour).parse(text) is member


@pytest.mark.parametrize("text", ["", "green", "BLUE", "red or blue", "RED_", "DARK_RED"])
def test_no_member_or_several(text):
    assert "'red', 'dark red', 'Blue', 'blue'" in refused(EnumOutputParser(enum=Colour), text)


def test_values_that_are_no_text():
    assert EnumOutputParser(enum=Number).invoke("2.") is Number.TWO


def test_an_enum_that_says_too_little():
    class Twice(Enum):
        A = 1
        B = "1"

    for enum in (Twice, Enum("Empty", [])):
        with pytest.raises(ValidationError, match="can be told apart"):
            EnumOutputParser(enum=enum)


def test_what_the_enum_parser_says_of_itself():
    parser = EnumOutputParser(enum=Colour)
    assert parser.get_format_instructions().endswith(": red, dark red, Blue, blue")
    assert (parser._type, parser.OutputType) == ("enum", Colour)


# ------------------------------------------------------------------------------------ datetime


def test_a_time_in_the_usual_format_has_no_zone():
    said = DatetimeOutputParser().invoke("2023-07-04T14:30:00.000000Z")
    assert said == datetime(2023, 7, 4, 14, 30)


def test_a_time_with_a_zone():
    parser = DatetimeOutputParser(format="%d.%m.%Y %H:%M %z")
    east = timezone(timedelta(hours=2))
    assert parser.invoke("04.07.2023 14:30 +0200") == datetime(2023, 7, 4, 14, 30, tzinfo=east)


@pytest.mark.parametrize("text", ["", "2023", "2023-02-30", "2023-07-04T", "on 2023-07-04"])
def test_no_time(text):
    said = refused(DatetimeOutputParser(format="%Y-%m-%d"), text)
    assert "'%Y-%m-%d', such as '2023-07-04'" in said


@pytest.mark.parametrize("format", ["%Y-%m-%d", "%H:%M", "%d/%m/%y %I:%M %p", "%j of %Y", "%B"])
def test_the_examples_are_the_same_each_time_and_can_be_read(format):
    parser = DatetimeOutputParser(format=format)
    instructions = parser.get_format_instructions()
    assert instructions == DatetimeOutputParser(format=format).get_format_instructions()
    examples = instructions.partition("Examples: ")[2].split(", ")
    assert len(set(examples)) == len(examples) >= 2
    for one in examples:
        assert parser.invoke(one).strftime(format) == one


def test_a_format_that_cannot_be_read_back():
    with pytest.raises(ValidationError, match=r"format='%Q'\) cannot be read back"):
        DatetimeOutputParser(format="%Q")
    assert DatetimeOutputParser()._type == "datetime"
    assert DatetimeOutputParser().OutputType is datetime


# ------------------------------------------------------------------------------------- boolean


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("YES", True), ("yes.", True), ("Yes, YES", True), ("NO", False), ("**no**", False),
        ("I know that: no", False), ("yesterday: no", False), ("no\nno", False),
    ],
)  # fmt: skip
def test_yes_and_no_are_words(text, value):
    assert BooleanOutputParser().parse(text) is value


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "neither"),
        ("know", "neither"),
        ("yes or no", "both"),
        ("NO, yes", "both"),
        ("yess", "n"),
    ],
)
def test_neither_and_both_are_refused(text, what):
    assert f"says {what}" in refused(BooleanOutputParser(), text)


def test_other_words():
    parser = BooleanOutputParser(true_val="OK", false_val="not ok")
    assert parser.parse("It is NOT OK") is False
    assert parser.parse("ok") is True
    assert parser.parse("ok?") is True
    signs = BooleanOutputParser(true_val="+1", false_val="-1 (*)")
    assert (signs.parse("+1"), signs.parse("so -1 (*).")) == (True, False)
    for wrong in ({"true_val": ""}, {"true_val": "no"}, {"false_val": " "}):
        with pytest.raises(ValidationError, match="give two different words"):
            BooleanOutputParser(**wrong)
    assert "OK or not ok" in parser.get_format_instructions()
    assert (parser._type, parser.OutputType) == ("boolean_output_parser", bool)


# --------------------------------------------------------------------------------------- regex


def test_groups_by_their_keys():
    parser = RegexParser(regex=r"(?s)A: (.*?)\n(?:B: (.*))?", output_keys=["a", "b"])
    assert parser.parse("x A: 1\nB: 2\n3") == {"a": "1", "b": "2\n3"}
    assert parser.parse("A: 1\n") == {"a": "1", "b": ""}
    assert "holds nothing that matches" in refused(parser, "C")


def test_a_default_key_gets_all_the_text():
    parser = RegexParser(regex="A(.)(.)", output_keys=["a", "b"], default_output_key="b")
    assert parser.parse("nothing") == {"a": "", "b": "nothing"}
    assert parser._type == "regex_parser"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"regex": "(", "output_keys": []}, "is no regular expression"),
        ({"regex": "(a)", "output_keys": ["a", "b"]}, "has 1 groups for the output_keys"),
        (
            {"regex": "(a)", "output_keys": ["a"], "default_output_key": "c"},
            "is none of the output_keys",
        ),
    ],
)
def test_a_regex_parser_that_cannot_work(fields, said):
    with pytest.raises(ValidationError, match=said):
        RegexParser(**fields)


def test_labels_and_what_follows_them():
    parser = RegexDictParser(
        output_key_to_format={"action": "Action", "input": "Action Input (1)"},
        no_update_value="N/A",
    )
    text = "Action: Search. Action Input (1): How long?\nElse"
    assert parser.parse(text) == {"action": "Search", "input": "How long?"}
    assert parser.parse(text.replace("Search", "N/A")) == {"input": "How long?"}
    assert "has no 'Action Input (1)'" in refused(parser, "Action: a")
    assert "has 2 times 'Action'" in refused(parser, "Action: a. Action: b")
    assert parser._type == "regex_dict_parser"


def test_a_pattern_for_labels():
    parser = RegexDictParser(regex_pattern=r"{}=(\d{{2}})", output_key_to_format={"n": "n"})
    assert parser.parse("n=123") == {"n": "12"}
    for pattern, said in ((r"{}=\d{2}", "cannot be filled in"), ("{}=(.)(.)", "give it one group"),
                          ("{}(", "is no regular")):  # fmt: skip
        with pytest.raises(ValidationError, match=re.escape(said)):
            RegexDictParser(regex_pattern=pattern, output_key_to_format={"n": "n"})
