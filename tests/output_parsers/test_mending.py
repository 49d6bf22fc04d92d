"""`OutputFixingParser`, `RetryOutputParser` and its twin with the error: a model is asked again."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.callbacks import BaseCallbackHandler
from headrace.errors import InputError, JsonSyntaxError, OutputParserException
from headrace.language_models import FakeListChatModel, SimpleChatModel
from headrace.merge import merge
from headrace.output_parsers import (
    BaseOutputParser,
    CommaSeparatedListOutputParser,
    JsonOutputParser,
    ListOutputParser,
    OutputFixingParser,
    RetryOutputParser,
    RetryWithErrorOutputParser,
    StrOutputParser,
    XMLOutputParser,
)
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from laws.colours import every_colour

GOOD = '{"a": 1}'
BAD = '{"a": [1, oops'


class Asked(BaseCallbackHandler):
    """Notes what models are asked, and with which tags."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kw: Any) -> None:
        self.seen.append((messages[0][0].content, kw["tags"], kw["metadata"]))


class Broken(SimpleChatModel):
    """A model that fails."""

    def _call(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        raise ConnectionError("no line")

    @property
    def _llm_type(self) -> str:
        return "broken"


class Evens(ListOutputParser):
    """Streams its elements, and fails at one that is odd."""

    def parse_iter(self, text: str) -> Any:
        for match in re.finditer(r"(\d+)", text):
            if int(match[1]) % 2:
                raise OutputParserException(f"{match[1]} is odd", llm_output=text)
            yield match


def fixing(parser, *answers, most=1):
    model = FakeListChatModel(responses=list(answers))
    return OutputFixingParser.from_llm(model, parser, max_retries=most)


def after(fixer):
    """What a step behind it gets while streaming."""
    return fixer | RunnableLambda(lambda value: value)


# -------------------------------------------------------------------------------------- fixing


@every_colour
def test_what_fails_is_fixed_in_every_door(colour):
    def body(doors):
        fixer = fixing(JsonOutputParser(), GOOD)
        assert doors.invoke(fixer, BAD) == {"a": 1}
        assert doors.stream(fixer, BAD)[-1] == {"a": 1}
        assert doors.transform(fixer, list(BAD)) == [{}, {"a": []}, {"a": [1]}, {"a": 1}]
        assert doors.batch(fixer, [BAD, '{"b": 2}']) == [{"a": 1}, {"b": 2}]
        assert doors.stream(after(fixer), BAD) == [{"a": 1}]

    colour.run(body)


@every_colour
def test_what_works_is_streamed_and_no_model_is_asked(colour):
    def body(doors):
        asked = Asked()
        fixer = fixing(JsonOutputParser())
        pieces = ['{"a":', " [1", ", 2", "]}"]
        plain = doors.transform(JsonOutputParser(), pieces)
        assert doors.transform(fixer, pieces, {"callbacks": [asked]}) == plain
        assert doors.invoke(fixer, "[1]", {"callbacks": [asked]}) == [1]
        lists = fixing(CommaSeparatedListOutputParser())
        assert doors.transform(lists, ["a,b", ",c"]) == [["a"], ["b"], ["c"]]
        assert asked.seen == []

    colour.run(body)


@every_colour
def test_the_model_is_told_what_was_wrong_and_is_a_child_run(colour):
    def body(doors):
        asked = Asked()
        config = {"callbacks": [asked], "tags": ["mine"], "metadata": {"k": 1}}
        for call in (doors.invoke, doors.stream):
            call(fixing(JsonOutputParser(), GOOD), BAD, config)
        for said, tags, metadata in asked.seen:
            assert BAD in said
            assert "not valid JSON" in said
            assert JsonOutputParser().get_format_instructions() in said
            assert "mine" in tags
            assert metadata["k"] == 1
        assert len(asked.seen) == 2

    colour.run(body)


async def test_events_show_the_model_below_the_parser():
    fixer = fixing(JsonOutputParser(), GOOD)
    events = [event async for event in fixer.astream_events(BAD, version="v2")]
    kinds = [event["event"] for event in events]
    root = events[0]["run_id"]
    model = next(event for event in events if event["event"] == "on_chat_model_start")
    assert kinds[0] == "on_parser_start"
    assert kinds[-1] == "on_parser_end"
    assert root in model["parent_ids"]
    assert events[-1]["data"]["output"] == {"a": 1}


@every_colour
def test_attempts_go_on_until_one_can_be_read(colour):
    def body(doors):
        assert doors.invoke(fixing(JsonOutputParser(), "no", "{", GOOD, most=3), BAD) == {"a": 1}

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_the_first_error_is_raised_when_nothing_helps(colour, door):
    def body(doors):
        fixer = fixing(JsonOutputParser(), "neither", "nor", most=2)
        with pytest.raises(OutputParserException) as caught:
            getattr(doors, door)(fixer, BAD)
        assert caught.value.llm_output == BAD
        assert isinstance(caught.value.__cause__, JsonSyntaxError)
        first, second, place = caught.value.__notes__
        assert first.startswith("Attempt 1 of 2 to get it right gave 'neither': ")
        assert second.startswith("Attempt 2 of 2 to get it right gave 'nor': ")
        assert place.startswith("In step OutputFixingParser")

    colour.run(body)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_a_model_that_fails_raises_its_own_error_because_of_the_first(colour, door):
    def body(doors):
        fixer = OutputFixingParser.from_llm(Broken(), JsonOutputParser())
        with pytest.raises(ConnectionError, match="no line") as caught:
            getattr(doors, door)(fixer, BAD)
        assert isinstance(caught.value.__cause__, OutputParserException)
        assert caught.value.__cause__.llm_output == BAD
        assert any("not valid JSON" in note for note in caught.value.__notes__)

    colour.run(body)


def test_other_errors_are_none_of_its_business():
    class Raises(BaseOutputParser[str]):
        def parse(self, text: str) -> str:
            raise KeyError(text)

    with pytest.raises(KeyError):
        fixing(Raises(), GOOD).invoke("x")

    def source(pieces):
        yield from pieces
        raise OutputParserException("of the step before")

    with pytest.raises(OutputParserException, match="of the step before"):
        list((RunnableGenerator(source) | fixing(JsonOutputParser(), GOOD)).stream("[1"))


def test_no_attempt_at_all():
    with pytest.raises(OutputParserException) as caught:
        fixing(JsonOutputParser(), GOOD, most=0).parse(BAD)
    assert not hasattr(caught.value, "__notes__")


# ----------------------------------------------------------------- what was handed on already


@every_colour
def test_a_list_goes_on_where_the_fixed_one_does(colour):
    def body(doors):
        fixer = fixing(Evens(), "2 4 6 8")
        assert doors.transform(fixer, ["2 4 ", "5 "]) == [["2"], ["4"], ["6"], ["8"]]
        assert merge(doors.transform(fixer, ["2 4 ", "5 "])) == doors.invoke(fixer, "2 4 5 ")
        assert doors.transform(after(fixer), ["2 4 ", "5 "]) == [["2", "4", "6", "8"]]

    colour.run(body)


@every_colour
def test_complete_elements_go_on_where_the_fixed_ones_do(colour):
    def body(doors):
        fixer = fixing(JsonOutputParser(emit="complete"), "[1, 2, 3]")
        assert doors.transform(fixer, list("[1, 2, oops")) == [1, 2, 3]
        assert doors.transform(after(fixer), list("[1, 2, oops")) == [[1, 2, 3]]
        assert doors.invoke(fixer, "[1, 2, oops") == [1, 2, 3]

    colour.run(body)


@every_colour
def test_xml_goes_on_where_the_fixed_one_does(colour):
    text = "<a><b><c>1</c><d>2</b></a>"
    fixed = "<a><b><c>1</c><d>2</d></b><e/></a>"
    value = {"a": [{"b": [{"c": "1"}, {"d": "2"}]}, {"e": None}]}

    def body(doors):
        fixer = fixing(XMLOutputParser(), fixed)
        chunks = doors.transform(fixer, list(text))
        assert chunks == [
            {"a": [{"b": [{"c": "1"}]}]},
            {"a": [{"b": [{"d": "2"}]}]},
            {"a": [{"e": None}]},
        ]
        assert doors.invoke(fixer, text) == value
        assert doors.transform(after(fixer), list(text)) == [value]

    colour.run(body)


@every_colour
@pytest.mark.parametrize(
    ("parser", "text", "fixed"),
    [
        (Evens(), "2 4 5 ", "4 6"),
        (Evens(), "2 4 5 ", ""),
        (XMLOutputParser(), "<a><b/><c>", "<a><c/></a>"),
        (XMLOutputParser(), "<a><b>1</b><c>", "<a><b>12</b></a>"),
        (XMLOutputParser(), "<a><b/><c>", "<z/>"),
    ],
)
def test_what_was_handed_on_is_not_taken_back(colour, parser, text, fixed):
    def body(doors):
        fixer = fixing(parser, fixed)
        with pytest.raises(OutputParserException) as caught:
            doors.transform(fixer, list(text))
        assert any("does not go on from the 1 chunks" in note for note in caught.value.__notes__)
        assert doors.invoke(fixer, text) == parser.parse(fixed)

    colour.run(body)


@every_colour
def test_leaving_before_the_failure_asks_nobody(colour):
    def body(doors):
        asked = Asked()
        stream = doors.open(fixing(JsonOutputParser(), GOOD), BAD, {"callbacks": [asked]})
        assert stream.next() == {"a": [1]}
        stream.close()
        assert asked.seen == []

    colour.run(body)


def test_the_whole_text_is_fixed_though_the_failure_comes_early():
    asked = Asked()
    fixer = fixing(XMLOutputParser(), "<a/>")
    assert list(fixer.transform(iter("<a></b> and more"), {"callbacks": [asked]})) == [{"a": []}]
    assert "<a></b> and more" in asked.seen[0][0]


# --------------------------------------------------------------------------------- in async runs


async def test_nothing_blocks_in_async_runs():
    """The loop goes on while the model thinks: the model waits for what only the loop can do."""
    free = asyncio.Event()

    async def answers(prompt):
        await free.wait()
        return GOOD

    def blocks(prompt):
        raise AssertionError("the sync body was called in an async run")

    chain = RunnableLambda(blocks, answers)
    fixer = OutputFixingParser(parser=JsonOutputParser(), retry_chain=chain)
    retry = RetryOutputParser(parser=JsonOutputParser(), retry_chain=chain)

    async def release():
        free.set()

    values = await asyncio.gather(
        fixer.ainvoke(BAD), fixer.aparse(BAD), retry.aparse_with_prompt(BAD, "q"), release()
    )
    assert values[:3] == [{"a": 1}] * 3
    assert [chunk async for chunk in fixer.astream(BAD)][-1] == {"a": 1}


async def test_an_aparse_of_the_users_is_awaited():
    class Waits(BaseOutputParser[str]):
        def parse(self, text: str) -> str:
            raise AssertionError("the sync body was called in an async run")

        async def aparse(self, text: str) -> str:
            await asyncio.sleep(0)
            if text != "right":
                raise OutputParserException("wrong", llm_output=text)
            return text.upper()

    assert await fixing(Waits(), "right").ainvoke("left") == "RIGHT"
    retry = RetryOutputParser.from_llm(FakeListChatModel(responses=["right"]), Waits())
    assert await retry.aparse_with_prompt("left", "q") == "RIGHT"


# ------------------------------------------------------------------------------------- retrying

PROMPT = PromptTemplate.from_template("Say {x}.").invoke({"x": "it"})


@pytest.mark.parametrize("kind", [RetryOutputParser, RetryWithErrorOutputParser])
@every_colour
def test_the_prompt_is_asked_again(colour, kind):
    def body(doors):
        asked = Asked()
        model = FakeListChatModel(responses=["no", GOOD])
        retry = kind.from_llm(model, JsonOutputParser(), max_retries=2)
        parse = RunnableLambda(
            lambda both: retry.parse_with_prompt(**both),
            lambda both: retry.aparse_with_prompt(**both),
        )
        both = {"completion": BAD, "prompt_value": PROMPT}
        assert doors.invoke(parse, both, {"callbacks": [asked], "tags": ["mine"]}) == {"a": 1}
        first, second = (said for said, _, _ in asked.seen)
        assert "Say it." in first and "Say it." in second
        assert BAD in first and "\nno\n" in second
        tells = kind is RetryWithErrorOutputParser
        assert ("not valid JSON" in first) is tells
        assert all("mine" in tags for _, tags, _ in asked.seen)

    colour.run(body)


def test_in_a_chain_with_its_prompt():
    model = FakeListChatModel(responses=[BAD])
    prompt = ChatPromptTemplate.from_template("Say {x}.")
    retry = RetryOutputParser.from_llm(FakeListChatModel(responses=[GOOD]), JsonOutputParser())
    chain = RunnableParallel(
        completion=prompt | model | StrOutputParser(), prompt_value=prompt
    ) | RunnableLambda(lambda both: retry.parse_with_prompt(**both))
    assert chain.invoke({"x": "it"}) == {"a": 1} == list(chain.stream({"x": "it"}))[-1]


def test_retries_that_do_not_help_raise_the_first_error():
    retry = RetryOutputParser.from_llm(FakeListChatModel(responses=["no"]), JsonOutputParser())
    with pytest.raises(OutputParserException) as caught:
        retry.parse_with_prompt(BAD, "q")
    assert caught.value.llm_output == BAD
    assert "Attempt 1 of 1 to get it right gave 'no'" in caught.value.__notes__[0]


def test_without_a_prompt_it_says_what_to_call():
    retry = RetryOutputParser.from_llm(FakeListChatModel(responses=["no"]), JsonOutputParser())
    for run in (lambda: retry.parse("x"), lambda: retry.invoke("x")):
        with pytest.raises(InputError, match=r"call parse_with_prompt\(completion, prompt_value\)"):
            run()


# ------------------------------------------------------------------------------------ its parts


def test_a_prompt_and_a_chain_of_ones_own():
    prompt = PromptTemplate.from_template("{error}")
    model = FakeListChatModel(responses=[GOOD])
    asked = Asked()
    fixer = OutputFixingParser.from_llm(model, JsonOutputParser(), prompt=prompt)
    assert fixer.invoke(BAD, {"callbacks": [asked]}) == {"a": 1}
    assert "not valid JSON" in asked.seen[0][0]
    seen = []
    own = OutputFixingParser(
        parser=Evens(), retry_chain=lambda said: seen.append(said) or "2", legacy=False
    )
    assert own.invoke("3") == ["2"]
    assert seen == [{"instructions": "", "completion": "3", "error": "3 is odd"}]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parser": "json"}, "give the output parser whose failures are to be mended"),
        ({"max_retries": -1}, "0 or more"),
        ({"retry_chain": 3}, "cannot be a step of a chain"),
        ({"retries": 3}, "Extra inputs are not permitted"),
    ],
)
@pytest.mark.parametrize("kind", [OutputFixingParser, RetryOutputParser])
def test_parts_that_cannot_work(kind, fields, said):
    with pytest.raises(ValidationError, match=said):
        kind(**{"parser": JsonOutputParser(), "retry_chain": str, **fields})


def test_what_they_say_of_themselves():
    fixer = fixing(JsonOutputParser(), GOOD)
    assert fixer._type == "output_fixing"
    assert fixer.get_format_instructions() == JsonOutputParser().get_format_instructions()
    assert [step.kind for step in fixer.explain().steps][:2] == ["streams", "streams"]
    assert fixing(XMLOutputParser(), GOOD).OutputType == XMLOutputParser().OutputType
    for kind, name in (
        (RetryOutputParser, "retry"),
        (RetryWithErrorOutputParser, "retry_with_error"),
    ):
        retry = kind.from_llm(FakeListChatModel(responses=[""]), XMLOutputParser())
        assert retry._type == name
        assert retry.OutputType == XMLOutputParser().OutputType
        assert retry.get_format_instructions() == XMLOutputParser().get_format_instructions()
