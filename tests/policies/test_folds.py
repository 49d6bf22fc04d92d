"""Which arm answers is known late, and so how its chunks add up; a function behind it sees the
value that `invoke` gives."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import JsonOutputParser, StrOutputParser
from headrace.runnables import (
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
    each,
)
from laws.colours import every_colour
from laws.ledger import Recorder

JSON = "[1, [2, 3], 45]"


def says(text: str) -> Any:
    return FakeListChatModel(responses=[text]) | StrOutputParser()


def parsed(text: str = JSON) -> Any:
    return FakeListChatModel(responses=[text]) | JsonOutputParser()


def is_json(value: Any) -> bool:
    return value == "json"


def mixed() -> Any:
    return RunnableBranch((is_json, parsed()), says("text"))


def failing(_: Any) -> Any:
    raise ConnectionError


def chosen(value: Any) -> Any:
    return parsed() if is_json(value) else says("text")


ARMS = {
    "branch": mixed,
    "branch-turned": lambda: RunnableBranch((lambda v: not is_json(v), says("text")), parsed()),
    "branch-three": lambda: RunnableBranch(
        (is_json, parsed()), (lambda v: v == "number", parsed("123")), says("text")
    ),
    "nested": lambda: RunnableBranch((lambda v: False, says("never")), mixed()),
    "fallbacks": lambda: RunnableLambda(failing).with_fallbacks([mixed()]),
    "fallbacks-used": lambda: mixed().with_fallbacks([says("never")]),
    "retry": lambda: mixed().with_retry(),
    "bound": lambda: mixed().with_config(tags=["t"]),
    "passed": lambda: mixed() | RunnablePassthrough(),
    "retried-chain": lambda: (RunnablePassthrough() | mixed() | RunnablePassthrough()).with_retry(),
    "lambda": lambda: RunnableLambda(chosen),
    "lambda-branch": lambda: RunnableLambda(lambda _: mixed()),
    "lambda-deep": lambda: RunnableLambda(lambda _: RunnableLambda(chosen) | RunnablePassthrough()),
    "lambda-retried": lambda: RunnableLambda(chosen).with_retry(),
}
VALUES = {"json": [1, [2, 3], 45], "text": "text"}


@every_colour
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("given", VALUES)
@pytest.mark.parametrize("arm", ARMS)
def test_a_function_behind_gets_what_invoke_gives(colour, arm, given, observed):
    def body(doors: Any) -> None:
        config = Recorder().config if observed else None
        expected = [("got", VALUES[given])]
        chain = ARMS[arm]() | (lambda value: [("got", value)])
        assert doors.invoke(chain, given, config) == expected
        assert doors.stream(chain, given, config) == [expected]
        assert doors.transform(chain, [given], config) == [expected]
        assert doors.batch(chain, [given, given], config) == [expected, expected]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("given", VALUES)
@pytest.mark.parametrize("arm", ARMS)
def test_the_end_event_tells_the_same_value(colour, arm, given):
    def body(doors: Any) -> None:
        seen = Recorder()
        doors.stream(ARMS[arm](), given, seen.config)
        assert seen.events[-1].output == VALUES[given]

    colour.run(body)


@every_colour
def test_arms_that_agree_have_their_fold_beforehand(colour):
    def body(doors: Any) -> None:
        both = RunnableBranch((is_json, parsed()), parsed("[7, 8]"))
        assert both._fold is not None
        assert doors.stream(both | len, "x") == [2]
        assert parsed().with_fallbacks([parsed()])._fold is not None
        assert mixed()._fold is None

    colour.run(body)


@every_colour
def test_chunks_pass_one_by_one_through_what_streams(colour):
    def spell(chunks: Any) -> Any:
        for chunk in chunks:
            yield from chunk

    def body(doors: Any) -> None:
        branch = RunnableBranch((is_json, parsed()), RunnableGenerator(spell))
        assert doors.stream(branch | each(str.upper), "abc") == ["A", "B", "C"]
        assert doors.stream(branch, "json")[0] == []

    colour.run(body)
