"""Law 1 for chunks that do not add up to the value: whatever is put around a parser, what is
behind it sees the value that `invoke` gives, and the end events tell that value.

One table of parsers, one of the ways to wrap a step; every pair is tried in the two drivers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import (
    BaseCumulativeTransformOutputParser,
    CommaSeparatedListOutputParser,
    JsonOutputParser,
    PydanticOutputParser,
    XMLOutputParser,
)
from headrace.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
)
from laws.colours import both_drivers

VALUE = {"title": "ab", "items": [{"n": 12}, {"n": 3}], "ok": True}
TEXT = json.dumps(VALUE)


class Item(BaseModel):
    n: int


class Page(BaseModel):
    title: str
    items: list[Item]
    ok: bool


class Words(BaseCumulativeTransformOutputParser[list[str]]):
    def parse_result(self, result: Any, *, partial: bool = False) -> list[str]:
        return result[0].text.split()

    def _diff(self, prev: Any, next: list[str]) -> Any:
        return [next, "differs"]

    def parse(self, text: str) -> list[str]:
        return text.split()


PAGE = Page.model_validate(VALUE)
PARSERS: dict[str, tuple[Callable[[], Any], str, Any]] = {
    "partial": (JsonOutputParser, TEXT, VALUE),
    "delimited": (lambda: JsonOutputParser(emit="delimited"), TEXT, VALUE),
    "complete": (lambda: JsonOutputParser(emit="complete"), TEXT, VALUE),
    "complete-list": (lambda: JsonOutputParser(emit="complete"), "[1, [2], {}]", [1, [2], {}]),
    "path": (lambda: JsonOutputParser(path="items[*].n"), TEXT, VALUE),
    "path-objects": (lambda: JsonOutputParser(path="items[*]"), TEXT, VALUE),
    "path-nothing": (lambda: JsonOutputParser(path="none[*]"), TEXT, VALUE),
    "diff": (lambda: JsonOutputParser(diff=True), TEXT, VALUE),
    "pydantic": (lambda: PydanticOutputParser(pydantic_object=Page), TEXT, PAGE),
    "pydantic-complete": (
        lambda: PydanticOutputParser(pydantic_object=Page, emit="complete"),
        TEXT,
        PAGE,
    ),
    "cumulative-diff": (lambda: Words(diff=True), "one two", ["one", "two"]),
    "list": (CommaSeparatedListOutputParser, "a, b,c", ["a", "b", "c"]),
    "xml": (XMLOutputParser, "<a><b>x</b><c>y</c></a>", {"a": [{"b": "x"}, {"c": "y"}]}),
}


def same(chunks: Any) -> Any:
    yield from chunks


async def asame(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


Made = Callable[[Any, Callable[[], Any]], Any]
# From a model and the making of a parser to a chain whose output is the parser's.
WAYS: dict[str, Made] = {
    "plain": lambda m, p: m | p(),
    "with_config": lambda m, p: m | p().with_config(tags=["a"]),
    "config around": lambda m, p: (m | p()).with_config(run_name="reader"),
    "bind": lambda m, p: m | p().bind(),
    "with_listeners": lambda m, p: m | p().with_listeners(on_end=lambda run: None),
    "with_types": lambda m, p: (m | p()).with_types(output_type=object),
    "with_retry": lambda m, p: (m | p()).with_retry(stop_after_attempt=2),
    "retry of the parser": lambda m, p: m | p().with_retry(stop_after_attempt=2),
    "with_fallbacks": lambda m, p: (m | p()).with_fallbacks([m | p()]),
    "fallbacks of the parser": lambda m, p: m | p().with_fallbacks([p()]),
    "retry in fallbacks": lambda m, p: (m | p()).with_retry().with_fallbacks([m | p()]),
    "second of fallbacks": lambda m, p: (RunnableLambda(failing) | p()).with_fallbacks([m | p()]),
    "branch": lambda m, p: m | RunnableBranch((lambda said: True, p()), p()),
    "branch default": lambda m, p: m | RunnableBranch((lambda said: False, p()), p()),
    "function that returns it": lambda m, p: m | RunnableLambda(lambda said: p()),
    "function that returns the chain": lambda m, p: RunnableLambda(lambda said: m | p()),
    "passthrough": lambda m, p: m | p() | RunnablePassthrough(),
    "tap": lambda m, p: m | p() | RunnablePassthrough(lambda value: None),
    "nested sequence": lambda m, p: m | (p() | RunnablePassthrough()) | RunnablePassthrough(),
    "parallel, picked": lambda m, p: m | RunnableParallel(a=p(), b=p()) | RunnablePick("a"),
    "chains in parallel, picked": lambda m, p: RunnableParallel(a=m | p()) | RunnablePick("a"),
    "parallel in parallel": lambda m, p: (
        m | {"x": {"y": p()}} | RunnablePick("x") | RunnablePick("y")
    ),
    "assigned, picked": lambda m, p: (
        RunnableParallel(q=RunnablePassthrough())
        | RunnablePassthrough.assign(a=m_of("q") | m | p())
        | RunnablePick("a")
    ),
    "beside an assign": lambda m, p: (
        m | RunnableParallel(a=p()) | RunnablePassthrough.assign(k=lambda d: 1) | RunnablePick("a")
    ),
    "beside an assign that looks": lambda m, p: (
        m
        | RunnableParallel(a=p())
        | RunnablePassthrough.assign(k=lambda d: repr(d["a"]))
        | (lambda d: d["a"])
    ),
    "what an assign sees": lambda m, p: (
        m
        | RunnableParallel(a=p())
        | RunnablePassthrough.assign(k=lambda d: [d["a"]])
        | (lambda d: d["k"][0])
    ),
    "passed into a parallel": lambda m, p: (
        m | p() | RunnableParallel(a=RunnablePassthrough()) | RunnablePick("a")
    ),
    "looked at in a parallel": lambda m, p: (
        m | p() | RunnableParallel(a=RunnableLambda(lambda v: v)) | RunnablePick("a")
    ),
    "router": lambda m, p: (
        m
        | (lambda said: {"key": "a", "input": said})
        | RouterRunnable({"a": RunnableLambda(lambda said: said) | p()})
    ),
    "alternatives": lambda m, p: (
        m | p().configurable_alternatives(ConfigurableField(id="how"), default_key="a", b=p())
    ),
    "another alternative": lambda m, p: (
        m
        | p()
        .configurable_alternatives(ConfigurableField(id="how"), default_key="a", b=p())
        .with_config(configurable={"how": "b"})
    ),
}


def m_of(key: str) -> Any:
    return RunnableLambda(lambda given: given[key])


def failing(value: Any) -> Any:
    raise ValueError("the first one fails")


def chain_of(way: str, parser: str) -> tuple[Any, Any]:
    make, text, value = PARSERS[parser]
    return WAYS[way](FakeListChatModel(responses=[text]), make), value


every_way = pytest.mark.parametrize("way", WAYS)
every_parser = pytest.mark.parametrize("parser", PARSERS)


@both_drivers
@every_parser
@every_way
def test_what_is_behind_sees_the_value(colour, way, parser):
    def body(doors):
        chain, value = chain_of(way, parser)
        behind = chain | (lambda seen: ("seen", seen))
        assert doors.invoke(chain, "x") == value
        assert doors.invoke(behind, "x") == ("seen", value)
        assert doors.stream(behind, "x") == [("seen", value)]
        assert doors.batch(chain, ["x", "y"]) == [value, value]

    colour.run(body)


@every_parser
@every_way
async def test_the_end_event_tells_the_value(way, parser):
    chain, value = chain_of(way, parser)
    events = [event async for event in chain.astream_events("x", version="v2")]
    assert events[-1]["data"]["output"] == value


@both_drivers
@every_parser
def test_map_over_texts(colour, parser):
    make, text, value = PARSERS[parser]

    def body(doors):
        chain = RunnableLambda(lambda texts: texts) | make().map()
        assert doors.invoke(chain, [text, text]) == [value, value]
        assert doors.stream(chain | (lambda seen: [seen]), [text]) == [[[value]]]

    colour.run(body)


@both_drivers
@pytest.mark.parametrize("parser", ["partial", "delimited", "pydantic", "list", "xml"])
def test_a_generator_that_hands_the_chunks_on(colour, parser):
    """Its chunks are its own: they add up where those of the parser do."""
    make, text, value = PARSERS[parser]

    def body(doors):
        model = FakeListChatModel(responses=[text])
        chain = model | make() | RunnableGenerator(same, asame) | (lambda seen: [seen])
        assert doors.invoke(chain, "x") == [value]
        assert doors.stream(chain, "x") == [[value]]

    colour.run(body)


# A parser, an answer of which a stream shows nothing, and what `invoke` makes of it.
SHOWS_NOTHING = {
    "null": (JsonOutputParser(), "null", None),
    "null, delimited": (JsonOutputParser(emit="delimited"), "null", None),
    "no elements": (JsonOutputParser(emit="complete"), "[]", []),
    "no members": (JsonOutputParser(emit="complete"), "{}", {}),
    "no match": (JsonOutputParser(path="a[*]"), '{"b": 1}', {"b": 1}),
    "no items": (CommaSeparatedListOutputParser(), "", []),
}


@both_drivers
@pytest.mark.parametrize("case", SHOWS_NOTHING)
def test_an_answer_that_shows_nothing_is_there_all_the_same(colour, case):
    reader, text, value = SHOWS_NOTHING[case]

    def body(doors):
        model = FakeListChatModel(responses=[text])
        for chain, wanted in (
            (model | reader, value),
            (model | RunnableParallel(a=reader), {"a": value}),
            (RunnableParallel(a=model | reader, b=RunnablePassthrough()), {"a": value, "b": "x"}),
            (model | reader | RunnableParallel(a=RunnablePassthrough()), {"a": value}),
        ):
            assert doors.invoke(chain, "x") == wanted
            behind = chain | (lambda seen: [seen])
            assert doors.invoke(behind, "x") == [wanted]
            assert doors.stream(behind, "x") == [[wanted]]

    colour.run(body)


OBJECTS = [name for name, (_, _, value) in PARSERS.items() if isinstance(value, dict)]


@both_drivers
@pytest.mark.parametrize("parser", OBJECTS)
def test_assign_behind_an_object(colour, parser):
    """`model | parser | assign | …` is the commonest chain there is."""
    make, text, value = PARSERS[parser]

    def body(doors):
        model = FakeListChatModel(responses=[text])
        chain = model | make() | RunnablePassthrough.assign(size=lambda seen: len(seen))
        wanted = {**value, "size": len(value)}
        assert doors.invoke(chain, "x") == wanted
        assert doors.stream(chain | (lambda seen: [seen]), "x") == [[wanted]]

    colour.run(body)


@pytest.mark.parametrize("parser", OBJECTS)
async def test_the_end_event_of_an_assign_behind_an_object(parser):
    make, text, value = PARSERS[parser]
    model = FakeListChatModel(responses=[text])
    chain = model | make() | RunnablePassthrough.assign(size=lambda seen: len(seen))
    events = [event async for event in chain.astream_events("x", version="v2")]
    assert events[-1]["data"]["output"] == {**value, "size": len(value)}


@both_drivers
@pytest.mark.parametrize("parser", OBJECTS)
def test_pick_behind_an_object(colour, parser):
    make, text, value = PARSERS[parser]
    key = next(iter(value))

    def body(doors):
        model = FakeListChatModel(responses=[text])
        one = model | make() | RunnablePick(key)
        some = model | make() | RunnablePick([key])
        assert doors.invoke(one, "x") == value[key]
        assert doors.stream(one | (lambda seen: [seen]), "x") == [[value[key]]]
        assert doors.invoke(some, "x") == {key: value[key]}
        assert doors.stream(some | (lambda seen: [seen]), "x") == [[{key: value[key]}]]

    colour.run(body)
