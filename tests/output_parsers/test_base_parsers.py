"""The classes that users derive from: each runs a class written for langchain-core as it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langchain_core import output_parsers as theirs
from langchain_core.messages import AIMessageChunk as TheirChunk

from headrace import output_parsers as ours
from headrace.errors import InputError, OutputParserException
from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.output_parsers import (
    BaseCumulativeTransformOutputParser,
    BaseGenerationOutputParser,
    BaseLLMOutputParser,
    BaseOutputParser,
    BaseTransformOutputParser,
)
from headrace.outputs import ChatGeneration, Generation
from headrace.prompt_values import StringPromptValue
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour

SEEN: list[Any] = []


def content(piece: Any) -> str:
    return piece if isinstance(piece, str) else piece.content


def whole_classes(library: Any) -> tuple[Any, ...]:
    class Flag(library.BaseOutputParser[bool]):
        yes: str = "YES"

        def parse(self, text):
            if text.strip().upper() not in ("YES", "NO"):
                raise OutputParserException(f"neither yes nor no: {text}")
            return text.strip().upper() == self.yes

        @property
        def _type(self):
            return "flag"

    class Swapped(library.BaseGenerationOutputParser[str]):
        def parse_result(self, result, *, partial=False):
            return result[0].message.content.swapcase()

    class Pieces(library.BaseTransformOutputParser[str]):
        def parse(self, text):
            return text.upper()

    return Flag, Swapped, Pieces


def streaming_classes(library: Any) -> tuple[Any, ...]:
    class Words(library.BaseTransformOutputParser[list]):
        def parse(self, text):
            return text.split()

        def _transform(self, input):
            rest = ""
            for piece in input:
                *words, rest = (rest + content(piece)).split(" ")
                yield from ([word] for word in words)
            if rest:
                yield [rest]

        async def _atransform(self, input):
            rest = ""
            async for piece in input:
                *words, rest = (rest + content(piece)).split(" ")
                for word in words:
                    yield [word]
            if rest:
                yield [rest]

    class Count(library.BaseCumulativeTransformOutputParser[dict]):
        def parse_result(self, result, *, partial=False):
            text = result[0].text
            return {"words": len(text.split())} if text else None

        def parse(self, text):
            return {"words": len(text.split())}

        def _diff(self, prev, next):
            return {"more": next["words"] - (prev["words"] if prev else 0)}

    return Words, Count


def classes(library: Any) -> dict[str, Any]:
    """The same classes over either library: only the imports differ."""
    return {kind.__name__: kind for kind in whole_classes(library) + streaming_classes(library)}


OURS, THEIRS = classes(ours), classes(theirs)
PIECES = ["a b", "b c", " ", "d", "", " e f"]


async def collected(stream):
    return [chunk async for chunk in stream]


async def pieces():
    for piece in PIECES:
        yield piece


@pytest.mark.parametrize("name", ["Pieces", "Words", "Count"])
@pytest.mark.parametrize("settings", [{}, {"diff": True}])
def test_streams_are_those_of_langchain(name, settings):
    if settings and name != "Count":
        settings = {}
    mine, other = OURS[name](**settings), THEIRS[name](**settings)
    assert list(mine.transform(iter(PIECES))) == list(other.transform(iter(PIECES)))
    assert mine.invoke("a bb c") == other.invoke("a bb c")
    chunks = [TheirChunk(content=piece) for piece in PIECES]
    wanted = list(other.transform(iter(chunks)))
    assert list(mine.transform(AIMessageChunk(p) for p in PIECES)) == wanted
    assert asyncio.run(collected(mine.atransform(pieces()))) == asyncio.run(
        collected(other.atransform(pieces()))
    )


@every_colour
@pytest.mark.parametrize("name", sorted(OURS))
def test_each_runs_after_a_model_in_every_colour(name, colour):
    def body(doors):
        text = "yes" if name == "Flag" else "a bb c"
        chain = FakeListChatModel(responses=[text]) | OURS[name]()
        want = {
            "Flag": True,
            "Swapped": "A BB C",
            "Pieces": "A BB C",
            "Words": ["a", "bb", "c"],
            "Count": {"words": 3},
        }[name]
        assert doors.invoke(chain, "") == want
        behind = chain | RunnableLambda(lambda value: [value])
        assert doors.stream(behind, "") == [[want]]
        assert doors.batch(chain, ["", ""]) == [want, want]

    colour.run(body)


@every_colour
def test_a_step_behind_differences_gets_the_value(colour):
    def body(doors):
        parser = OURS["Count"](diff=True)
        model = FakeListChatModel(responses=["a bb c"])
        for chain in (
            model | parser | (lambda value: [value]),
            model | RunnableParallel(x=parser, y=parser) | (lambda both: [both["x"]]),
        ):
            assert doors.stream(chain, "") == [[{"words": 3}]]
            assert doors.invoke(chain, "") == [{"words": 3}]

    colour.run(body)


@every_colour
def test_a_cumulative_parser_is_asked_with_all_so_far_and_then_for_the_whole(colour):
    class Spy(BaseCumulativeTransformOutputParser[str]):
        def parse_result(self, result, *, partial=False):
            assert isinstance(result[0], ChatGeneration)
            SEEN.append((result[0].message.content, partial))
            return result[0].text if partial else result[0].text + "!"

    def body(doors):
        SEEN.clear()
        chunks = [AIMessageChunk(piece) for piece in ("a", "", "b")]
        assert doors.transform(Spy(), chunks) == ["a", "ab", "ab!"]
        assert SEEN == [("a", True), ("a", True), ("ab", True), ("ab", False)]
        assert doors.invoke(Spy(), AIMessage("ab")) == "ab!"

    colour.run(body)


@every_colour
def test_what_fails_at_the_end_fails_in_a_stream_as_in_invoke(colour):
    class Strict(BaseCumulativeTransformOutputParser[Any]):
        def parse_result(self, result, *, partial=False):
            try:
                return json.loads(result[0].text)
            except ValueError as error:
                if partial:
                    return None
                raise OutputParserException("no JSON", llm_output=result[0].text) from error

    def body(doors):
        assert doors.transform(Strict(), ["[1", ", 2", "]"]) == [[1, 2]]
        for run in (
            lambda: doors.transform(Strict(), ["[1", ", 2"]),
            lambda: doors.invoke(Strict(), "[1"),
        ):
            with pytest.raises(OutputParserException, match="no JSON"):
                run()
        assert doors.transform(Strict(), []) == []

    colour.run(body)


@every_colour
def test_whole_messages_are_pieces_too(colour):
    def body(doors):
        call = {"name": "f", "args": {"a": 1}, "id": "1"}

        class Calls(BaseCumulativeTransformOutputParser[list[Any]]):
            def parse_result(self, result, *, partial=False):
                return [each["name"] for each in result[0].message.tool_calls]

        whole = AIMessage("x", tool_calls=[call])
        assert doors.transform(Calls(), [whole]) == [["f"]]
        assert doors.stream(
            GenericFakeChatModel(messages=iter([AIMessage("a b")])) | Calls(), ""
        ) == [[]]

    colour.run(body)


def test_async_bodies_are_awaited():
    class Waits(BaseOutputParser[str]):
        def parse(self, text):
            return f"sync {text}"

        async def aparse(self, text):
            await asyncio.sleep(0)
            return f"async {text}"

    class Cumulates(BaseCumulativeTransformOutputParser[str]):
        def parse_result(self, result, *, partial=False):
            return f"sync {result[0].text}"

        async def aparse_result(self, result, *, partial=False):
            await asyncio.sleep(0)
            return f"async {result[0].text}"

    class Generations(BaseGenerationOutputParser[str]):
        async def aparse_result(self, result, *, partial=False):
            return f"async {result[0].text}"

    async def body():
        assert await Waits().ainvoke("a") == "async a"
        assert await collected(Waits().atransform(pieces())) == [f"async {''.join(PIECES)}"]
        got = await collected(Cumulates().atransform(pieces()))
        assert (got[0], got[-1]) == ("async a b", f"async {''.join(PIECES)}")
        assert await Generations().ainvoke("a") == "async a"

    asyncio.run(body())
    assert Waits().invoke("a") == "sync a"
    assert list(Cumulates().transform(iter("ab"))) == ["sync a", "sync ab"]


@every_colour
def test_a_generator_over_the_pieces_written_for_one_colour_runs_in_all(colour):
    class Joined(BaseTransformOutputParser[str]):
        def parse(self, text):
            return text

        def _transform(self, input):
            before = ""
            for piece in super()._transform(input):
                yield before + piece
                before = piece

    def body(doors):
        assert doors.transform(Joined(), ["a", "b", "c"]) == ["a", "ab", "bc"]

    colour.run(body)


def test_a_class_names_its_type_parameter_as_it_likes():
    from typing import TypeVar

    Kind = TypeVar("Kind")
    Other = TypeVar("Other", bound=str)

    class Mine(BaseOutputParser[Kind]):
        def parse(self, text):
            return text

    class Deeper(Mine[Other]):
        pass

    class Said(Deeper[str]):
        pass

    assert Said().invoke("a") == "a"
    assert Said().OutputType is str


def test_what_is_not_written_is_said_by_name():
    with pytest.raises(InputError, match="Empty does not say how to parse: define parse"):
        type("Empty", (BaseOutputParser,), {})().invoke("a")
    with pytest.raises(InputError, match="define parse_result"):
        type("Empty", (BaseGenerationOutputParser,), {})().invoke("a")
    with pytest.raises(InputError, match="has no format instructions"):
        OURS["Flag"]().get_format_instructions()
    half = type("Half", (BaseCumulativeTransformOutputParser,), {"parse": lambda self, text: text})
    with pytest.raises(InputError, match=r"define _diff"):
        list(half(diff=True).transform(iter(["a"])))


def test_who_derives_from_whom():
    assert all(issubclass(kind, BaseLLMOutputParser) for kind in OURS.values())
    assert issubclass(BaseTransformOutputParser, BaseOutputParser)
    assert not issubclass(BaseGenerationOutputParser, BaseOutputParser)
    assert issubclass(ours.JsonOutputParser, BaseCumulativeTransformOutputParser)
    from headrace.output_parsers.base import BaseOutputParser as same
    from headrace.output_parsers.transform import BaseTransformOutputParser as too

    assert (same, too) == (BaseOutputParser, BaseTransformOutputParser)


def test_settings_as_a_dict_and_parsing_with_the_prompt():
    assert OURS["Flag"](yes="Y").asdict(exclude_none=True) == {"yes": "Y", "_type": "flag"}
    assert OURS["Pieces"]().asdict(exclude_none=True) == {}
    assert OURS["Flag"]().parse_with_prompt("yes", StringPromptValue(text="?")) is True
    assert OURS["Flag"]().parse_result([Generation(text="no"), Generation(text="yes")]) is False
    assert OURS["Flag"]().OutputType is bool


def test_where_users_look_for_functions():
    from headrace.output_parsers import json as found
    from headrace.output_parsers.json import SimpleJsonOutputParser

    assert SimpleJsonOutputParser is ours.JsonOutputParser
    assert found.parse_partial_json('{"a": [1') == {"a": [1]}
    assert found.parse_json_markdown('```json\n{"a": 1}\n```') == {"a": 1}
    assert found.parse_and_check_json_markdown('{"a": 1}', ["a"]) == {"a": 1}
