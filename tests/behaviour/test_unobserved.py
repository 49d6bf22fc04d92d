"""What nobody takes is not built: no event without an observer, none of a run that is filtered
out; and chunks pass as the objects they are, never copied or added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from behaviour.pieces import acollect, answering, collect, relay, watch
from behaviour.programs import build
from headrace import events as union
from headrace.callbacks import BaseCallbackHandler
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour


@contextmanager
def built() -> Iterator[list[Any]]:
    """Every event that is made in the block, as `(class name, run name, run type)`."""
    made: list[Any] = []

    def counting(cls: Any) -> Any:
        own = cls.__init__

        def init(self: Any, run: Any, *args: Any, **kwargs: Any) -> None:
            made.append((cls.__name__, run.name, run.run_type, tuple(run.all_tags)))
            own(self, run, *args, **kwargs)

        return init

    with pytest.MonkeyPatch.context() as patch:
        for cls in union.EVENTS:
            patch.setattr(cls, "__init__", counting(cls))
        yield made


PROGRAM: Any = (
    "row",
    ("calls", ("model",)),
    ("parallel", ("source", 3, 9, None), ("short",)),
    ("retried", ValueError("once")),
    ("tool", ("passing", ("generator", 9, None))),
)


def whole() -> Any:
    prompt = ChatPromptTemplate.from_template("{x}")
    named = answering("hello you", "speaker").with_config(tags=["mine"])
    return prompt | named | StrOutputParser() | build(PROGRAM)


@every_colour
def test_nothing_without_an_observer(colour):
    def body(doors: Any) -> None:
        with built() as made:
            assert doors.invoke(whole(), {"x": "x"})
            assert doors.stream(whole(), {"x": "x"})
            assert doors.batch(whole(), [{"x": "x"}] * 2)
            stream = doors.open(whole(), {"x": "x"})
            stream.next()
            stream.close()
        assert not made, Counter(made)
        with built() as made:  # or the count counts nothing
            assert watch(doors, whole(), {"x": "x"}).rest()
        assert len(made) > 30

    colour.run(body)


class Deaf(BaseCallbackHandler):
    """A handler that overrides no hook."""


@every_colour
def test_nothing_for_a_handler_without_hooks(colour):
    def body(doors: Any) -> None:
        with built() as made:
            assert doors.stream(whole(), {"x": "x"}, {"callbacks": [Deaf()]})
        assert not made, Counter(made)

    colour.run(body)


FILTERS: dict[str, Any] = {
    "include_names": (["speaker"], lambda e: e[1] == "speaker"),
    "include_types": (["chat_model"], lambda e: e[2] == "chat_model"),
    "include_tags": (["mine"], lambda e: "mine" in e[3]),
    "exclude_names": (["speaker"], lambda e: e[1] != "speaker"),
    "exclude_types": (["chain"], lambda e: e[2] != "chain"),
    "exclude_tags": (["mine"], lambda e: "mine" not in e[3]),
}


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
@pytest.mark.parametrize("name", FILTERS)
def test_nothing_of_what_is_filtered_out(name, typed, colour):
    given, wanted = FILTERS[name]

    def body(doors: Any) -> None:
        with built() as made:
            seen = watch(doors, whole(), {"x": "x"}, typed=typed, **{name: given}).rest()
        assert seen
        others = [event for event in made if not wanted(event)]
        assert not others, Counter(others)

    colour.run(body)


@every_colour
def test_nothing_where_no_run_passes(colour):
    def body(doors: Any) -> None:
        with built() as made:
            assert watch(doors, whole(), {"x": "x"}, include_names=["nobody"]).rest() == []
        assert not made, Counter(made)

    colour.run(body)


class Piece:
    """A chunk that notices what is done to it."""

    done: list[str]

    def __init__(self, number: int, done: list[str]) -> None:
        self.number, self.done = number, done

    def __add__(self, other: Any) -> Any:
        self.done.append("added")
        return Piece(self.number + other.number, self.done)

    def __copy__(self) -> Any:
        self.done.append("copied")
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        self.done.append("copied deeply")
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.done.append("serialized")
        raise TypeError("no chunk is to be serialized")


def _giving(pieces: list[Piece]) -> Any:
    def give(_: Any) -> Any:
        yield from pieces

    async def agive(_: Any) -> Any:
        for piece in pieces:
            yield piece

    return RunnableLambda(give, agive, name="giving")


@every_colour
@pytest.mark.parametrize("shape", ["row", "parallel", "bound", "retry"])
def test_chunks_pass_untouched_unobserved(shape, colour):
    def body(doors: Any) -> None:
        done: list[str] = []
        pieces = [Piece(number, done) for number in range(5)]
        chain = _giving(pieces) | relay("one")
        chain = {
            "row": lambda: chain | relay("two"),
            "parallel": lambda: chain | RunnableParallel(a=relay()),
            "bound": lambda: (chain | relay("two")).with_config(tags=["t"]),
            "retry": lambda: chain.with_retry(stop_after_attempt=2) | relay("two"),
        }[shape]()
        got = doors.stream(chain, "x")
        if shape == "parallel":
            got = [chunk["a"] for chunk in got]
        assert [id(piece) for piece in got] == [id(piece) for piece in pieces]
        assert not done, Counter(done)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("typed", [False, True], ids=["dicts", "typed"])
def test_observed_chunks_are_the_same_objects_and_never_copied(typed, colour):
    def body(doors: Any) -> None:
        done: list[str] = []
        pieces = [Piece(number, done) for number in range(5)]
        chain = _giving(pieces) | relay() | RunnableLambda(collect, acollect)
        seen = watch(doors, chain, "x", typed=typed).rest()
        if typed:
            got = [e.chunk for e in seen if e.kind == "chunk" and e.run.name == "relay"]
        else:
            got = [e["data"]["chunk"] for e in seen
                   if e["event"] == "on_chain_stream" and e["name"] == "relay"]  # fmt: skip
        assert [id(piece) for piece in got] == [id(piece) for piece in pieces]
        assert set(done) <= {"added"}, Counter(done)

    colour.run(body)
