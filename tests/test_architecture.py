"""docs/architecture.md is followed through the code: frame by frame, file by file.

Contract: each table of the page under a `<!-- walk: NAME -->` mark is a walk, its columns *sync*
and *async* the functions in the order in which they are entered. `WALKS` says how each is recorded:
with the stack that stands over the model while it makes its second chunk, or with the calls that a
profiler sees. A failing test prints what the code does, in the page's own words.
"""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import headrace
from check_floors import FLOORS, floor_of
from headrace.language_models import BaseChatModel
from headrace.messages import AIMessageChunk
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGenerationChunk
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableGenerator

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = Path(headrace.__file__).resolve().parent
MINE = "your model"
COLOURS = ("sync", "async")

# ---- what the page says -------------------------------------------------------------------------


def told(walk: str, colour: str) -> list[str]:
    """A column of a walk's table, without its empty cells."""
    text = PAGE.read_text(encoding="utf-8")
    _, mark, rest = text.partition(f"<!-- walk: {walk} -->")
    assert mark, f"docs/architecture.md has no walk {walk!r}"
    lines = rest.strip().partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    at = rows[0].index(colour)
    return [row[at].strip("`") for row in rows[2:] if row[at]]


# ---- what the code does -------------------------------------------------------------------------

STACKS: list[list[FrameType]] = []
CLOSED: list[Any] = []


def note() -> None:
    """Keep the stack that stands over the model just now, the consumer's end first."""
    frame: FrameType | None = sys._getframe(1)
    stack = []
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    STACKS.append(stack[::-1])


def chunk_of(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


class Model(BaseChatModel):
    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[Any]:
        try:
            for text in "abc":
                note()
                yield chunk_of(text)
        finally:
            CLOSED.append(self)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Any:
        try:
            for text in "abc":
                note()
                yield chunk_of(text)
        finally:
            CLOSED.append(self)

    @property
    def _llm_type(self) -> str:
        return "followed"


class Observer:
    def on_event(self, event: Any) -> None:
        """Only there to be there."""


def loop(chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:  # noqa: UP028 - a user's own loop, with a frame of its own
        yield chunk


async def aloop(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk


def lanes() -> dict[str, Any]:
    generator = RunnableGenerator(loop, aloop)
    return {"text": generator, "again": generator}


def chain(parser: Callable[[], Any] = StrOutputParser, wrap: Callable[[Any], Any] = lambda m: m):
    return ChatPromptTemplate.from_template("{x}") | wrap(Model()) | parser()


def named(frame: FrameType) -> str | None:
    """`file.py:Class.function`, or None for what is not Headrace's."""
    code = frame.f_code
    if code.co_filename == __file__:
        return f"{MINE}:{code.co_name}" if code.co_qualname.startswith("Model.") else None
    path = Path(code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return None
    return f"{path.relative_to(PACKAGE).as_posix()}:{code.co_qualname}"


def in_flight(colour: str, make: Callable[[], Any], config: Any = None) -> list[str]:
    """The frames between the consumer and the model that makes the second chunk."""
    runnable = make()
    STACKS.clear()
    if colour == "sync":
        list(runnable.stream({"x": "a"}, config))
    else:

        async def main() -> None:
            async for _ in runnable.astream({"x": "a"}, config):
                pass

        asyncio.run(main())
    return [name for frame in STACKS[1] if (name := named(frame))]


SHAPED = re.compile(r"_a?(open|value|streamed|chunks|apply|stream)$")


def counted(name: str) -> bool:
    """Of the engine everything, but for constructors and what has no name; of components, which
    live above it, what a shape asks them for."""
    file, _, function = name.partition(":")
    if "<" in function or "__" in function:
        return False
    if file == MINE:
        return True
    module = file.removesuffix(".py").replace("/", ".")
    floor = floor_of(module, FLOORS)
    assert floor is not None, name
    return 2 <= floor <= 4 or (floor == 5 and SHAPED.search(function) is not None)


class Followed:
    """The functions entered while it is open, in order, each where it was entered first."""

    def __enter__(self) -> list[str]:
        self.seen: list[str] = []
        sys.setprofile(self._profile)
        return self.seen

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (name := named(frame)) and name not in self.seen and counted(name):
            self.seen.append(name)


def stages(colour: str) -> tuple[list[str], list[str], list[str]]:
    """Of one stream that is left after two chunks: opening and the first chunk, the second one,
    closing."""
    runnable = chain()
    opening, second, closing = Followed(), Followed(), Followed()

    def sync() -> None:
        with opening:
            stream = runnable.stream({"x": "a"})
            next(stream)
        with second:
            next(stream)
        with closing:
            stream.close()

    async def main() -> None:
        with opening:
            stream = runnable.astream({"x": "a"})
            await anext(stream)
        with second:
            await anext(stream)
        with closing:
            await stream.aclose()

    for _ in range(2):  # what is made once per process is made in the first
        CLOSED.clear()
        sync() if colour == "sync" else asyncio.run(main())
        assert len(CLOSED) == 1
    return opening.seen, second.seen, closing.seen


Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions_of(path: Path) -> dict[str, Function]:
    """The functions of a file by their qualified names, as `co_qualname` gives them."""
    found: dict[str, Function] = {}

    def visit(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, Function):
                found[scope + child.name] = child
                inner = f"{scope}{child.name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                inner = f"{scope}{child.name}."
            visit(child, inner)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def acts_when_left(name: str) -> bool:
    """Not so a generator without `try` or `with`: newer Pythons close it without entering it."""
    file, _, function = name.partition(":")
    if file == MINE:
        body = functions_of(Path(__file__))[f"Model.{function}"]
    else:
        body = functions_of(PACKAGE / file)[function]
    inside = {type(node) for node in ast.walk(body)}
    generates = inside & {ast.Yield, ast.YieldFrom}
    return not generates or bool(inside & {ast.Try, ast.With, ast.AsyncWith})


WALKS: dict[str, Callable[[str], list[str]]] = {
    "opening": lambda colour: stages(colour)[0],
    "a chunk": partial(in_flight, make=chain),
    "closing": lambda colour: [name for name in stages(colour)[2] if acts_when_left(name)],
    "observed": partial(in_flight, make=chain, config={"callbacks": [Observer()]}),
    "machines side by side": partial(
        in_flight, make=lambda: chain(lambda: {"a": StrOutputParser(), "b": StrOutputParser()})
    ),
    "lanes": partial(in_flight, make=lambda: chain(lanes)),
    "a plan": partial(in_flight, make=lambda: chain(wrap=lambda model: model.with_retry())),
}


# ---- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("walk", WALKS)
def test_the_page_says_what_happens(walk: str, colour: str) -> None:
    happens = WALKS[walk](colour)
    assert told(walk, colour) == happens, "the code does:\n" + "\n".join(happens)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_chunk_enters_what_stands_over_it_and_nothing_else_of_the_engine(colour: str) -> None:
    assert sorted(stages(colour)[1]) == sorted(in_flight(colour, chain))


def test_every_walk_of_the_page_is_followed() -> None:
    marks = re.findall(r"<!-- walk: (.+?) -->", PAGE.read_text(encoding="utf-8"))
    assert sorted(marks) == sorted(WALKS)


def test_files_and_functions_that_are_named_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"`([\w/]+\.py)`", text)
    assert files
    assert not [f for f in files if not ((PACKAGE / f).is_file() or (ROOT / f).is_file())]
    functions = re.findall(r"`([\w/]+\.py):([\w.<>]+)`", text)
    assert functions
    lost = [f"{f}:{name}" for f, name in functions if name not in functions_of(PACKAGE / f)]
    assert not lost, f"docs/architecture.md names what is not there: {lost}"


def test_every_file_of_the_engine_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        floor = floor_of(file.removesuffix(".py").replace("/", "."), FLOORS)
        if floor is not None and floor <= 4 and path.name != "__init__.py":
            missing += [file] if f"`{file}`" not in text else []
    assert not missing, f"docs/architecture.md does not say what these hold: {missing}"
