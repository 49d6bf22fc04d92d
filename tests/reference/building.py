"""`build(program, world)`: a program as a runnable of Headrace, whose user code writes down in
`world` what happens to it, in the words of the reference (`tally.py`), and in the ledger which of
its bodies are open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from functools import reduce, singledispatch
from operator import or_
from typing import Any

from headrace.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableAssign,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    each,
)
from laws.ledger import LEDGER, Source
from reference.pieces import (
    BEFORE,
    EACH,
    END,
    FUNC,
    GEN,
    Alternatives,
    Assign,
    Bind,
    Branch,
    Choose,
    Config,
    Each,
    Fallbacks,
    Func,
    Gen,
    Map,
    Par,
    Pass,
    Pick,
    Piece,
    Retry,
    Router,
    Seq,
    Spell,
    spelled,
)
from reference.tally import Boom, Tally

MOMENT = 0.0003  # seconds; long enough for another thread or task to get its turn


class World(Tally):
    """The real run's book.

    Args:
        items: user code asks its config which item of a batch it works on (`metadata["item"]`).
        hang: the body of user code with this path waits for ever, in async runs.
    """

    def __init__(self, *, items: bool = False, hang: str | None = None) -> None:
        super().__init__()
        self.items, self.hang = items, hang
        self.hanging = asyncio.Event() if hang else None
        self.configurable: dict[str, Any] = {}

    def config(self, item: int = 0) -> dict[str, Any]:
        return {"configurable": self.configurable, "metadata": {"item": item}}

    def source(self, chunks: list[Any], fail: tuple[int, str] | None = None) -> Source:
        if fail is None:
            return Source(chunks)
        number = min(fail[0], len(chunks))
        error = super().error(("source", 0, 0, fail[1]))
        self.raised["source", 0].append(error)
        return Source([*chunks, None], fail_at=number, fail=error)


class Body:
    """One call of user code: in the book, in the ledger, with its fault and its pauses."""

    def __init__(self, piece: Piece, world: World, path: str, config: Any) -> None:
        self.piece, self.world, self.path = piece, world, path
        self.item = config["metadata"]["item"] if world.items else 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        with LEDGER.body(self.path):
            self.world.enter(self.path, self.item)
            yield

    def check(self, at: int) -> None:
        self.world.check(self.path, self.item, self.piece.fault, at)

    def pause(self, at: int) -> None:
        if self.piece.slow == at:
            time.sleep(MOMENT)

    async def apause(self, at: int) -> None:
        if self.world.hang == self.path and self.world.hanging is not None:
            self.world.hanging.set()
            await asyncio.Event().wait()
        if self.piece.slow == at:
            await asyncio.sleep(MOMENT)


def build(program: Piece, world: World | None = None) -> Any:
    """The program as a runnable."""
    return make(program, world or World(), "p")


@singledispatch
def make(piece: Piece, world: World, path: str) -> Any:
    """The piece as a runnable, or as what may stand beside a `|`."""
    raise NotImplementedError(type(piece))


def _colours(piece: Piece, wrap: Any, sync: Any, async_: Any) -> Any:
    """With the bodies that the piece has."""
    bodies = {"both": (sync, async_), "sync": (sync,), "async": (async_,)}
    return wrap(*bodies[piece.colour])


# ---- user code ----------------------------------------------------------------------------------


@make.register
def _(piece: Each, world: World, path: str) -> Any:
    def one(chunk: Any) -> Any:
        world.check(path, 0, piece.fault, 0)
        return EACH[piece.op](chunk)

    return each(one)


@make.register
def _(piece: Gen, world: World, path: str) -> Any:
    def sync(chunks: Iterator[Any], config: Any = None) -> Iterator[Any]:
        body = Body(piece, world, path, config)
        with body.entered():
            body.check(BEFORE)
            machine, number = GEN[piece.op].fresh(), 0
            for chunk in () if machine.blind else chunks:
                for out in machine.feed(chunk):
                    body.pause(number)
                    body.check(number)
                    yield out
                    number += 1
                if machine.done:
                    break
            else:
                for out in machine.finish():
                    body.pause(number)
                    body.check(number)
                    yield out
                    number += 1
            body.check(END)

    async def async_(chunks: AsyncIterator[Any], config: Any = None) -> AsyncIterator[Any]:
        body = Body(piece, world, path, config)
        with body.entered():
            body.check(BEFORE)
            machine, number = GEN[piece.op].fresh(), 0
            async for chunk in _nothing() if machine.blind else chunks:
                for out in machine.feed(chunk):
                    await body.apause(number)
                    body.check(number)
                    yield out
                    number += 1
                if machine.done:
                    break
            else:
                for out in machine.finish():
                    await body.apause(number)
                    body.check(number)
                    yield out
                    number += 1
            body.check(END)

    return _colours(piece, RunnableGenerator, *_asking(world, sync, async_))


async def _nothing() -> AsyncIterator[Any]:
    for chunk in ():
        yield chunk


def _asking(world: World, sync: Any, async_: Any) -> tuple[Any, Any]:
    """The bodies as they are where they ask for the config, else of one argument."""
    if world.items:
        return sync, async_

    def plain(chunks: Iterator[Any]) -> Iterator[Any]:
        return (yield from sync(chunks))

    async def aplain(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async with aclosing(async_(chunks)) as stream:
            async for chunk in stream:
                yield chunk

    return plain, aplain


@make.register(Func)
@make.register(Bind)
def _(piece: Func | Bind, world: World, path: str) -> Any:
    def sync(value: Any, config: Any, suffix: str = "") -> Any:
        body = Body(piece, world, path, config)
        with body.entered():
            body.pause(0)
            body.check(0)
            return FUNC["show"](value) + suffix if suffix else FUNC[piece.op](value)

    async def async_(value: Any, config: Any, suffix: str = "") -> Any:
        body = Body(piece, world, path, config)
        with body.entered():
            await body.apause(0)
            body.check(0)
            return FUNC["show"](value) + suffix if suffix else FUNC[piece.op](value)

    def plain(value: Any, suffix: str = "") -> Any:
        return sync(value, None, suffix)

    async def aplain(value: Any, suffix: str = "") -> Any:
        return await async_(value, None, suffix)

    bodies = (sync, async_) if world.items else (plain, aplain)
    made = _colours(piece, RunnableLambda, *bodies)
    return made.bind(suffix="+") if isinstance(piece, Bind) else made


@make.register
def _(piece: Spell, world: World, path: str) -> Any:
    def sync(value: Any, config: Any = None) -> Iterator[Any]:
        body = Body(piece, world, path, config)
        with body.entered():
            body.check(BEFORE)
            for number, letter in enumerate(spelled(value)):
                body.pause(number)
                body.check(number)
                yield letter
            body.check(END)

    async def async_(value: Any, config: Any = None) -> AsyncIterator[Any]:
        body = Body(piece, world, path, config)
        with body.entered():
            body.check(BEFORE)
            for number, letter in enumerate(spelled(value)):
                await body.apause(number)
                body.check(number)
                yield letter
            body.check(END)

    return _colours(piece, RunnableLambda, *_asking(world, sync, async_))


# ---- combinators --------------------------------------------------------------------------------


def _inner(piece: Piece, world: World, path: str) -> dict[str, Any]:
    return {label: make(part, world, f"{path}.{label}") for label, part in piece.parts()}


@make.register
def _(piece: Pass, world: World, path: str) -> Any:
    return RunnablePassthrough()


@make.register
def _(piece: Seq, world: World, path: str) -> Any:
    return reduce(or_, _inner(piece, world, path).values())


@make.register
def _(piece: Par, world: World, path: str) -> Any:
    return RunnableParallel(_inner(piece, world, path))


@make.register
def _(piece: Assign, world: World, path: str) -> Any:
    return RunnableAssign(RunnableParallel(_inner(piece, world, path)))


@make.register
def _(piece: Pick, world: World, path: str) -> Any:
    return RunnablePick(piece.keys if isinstance(piece.keys, str) else list(piece.keys))


@make.register
def _(piece: Branch, world: World, path: str) -> Any:
    *arms, default = _inner(piece, world, path).values()
    asked = [(lambda value, i=i: piece.chosen(value) == i, arm) for i, arm in enumerate(arms)]
    return RunnableBranch(*asked, default)


@make.register
def _(piece: Choose, world: World, path: str) -> Any:
    arms = list(_inner(piece, world, path).values())
    return RunnableLambda(lambda value: arms[piece.chosen(value)])


@make.register
def _(piece: Router, world: World, path: str) -> Any:
    def key(value: Any) -> dict[str, Any]:
        return {"key": f"arm{piece.chosen(value)}", "input": value}

    return RunnableLambda(key) | RouterRunnable(runnables=_inner(piece, world, path))


@make.register
def _(piece: Retry, world: World, path: str) -> Any:
    (bound,) = _inner(piece, world, path).values()
    only: dict[str, Any] = {"retry_if_exception_type": (Boom,)} if piece.only else {}
    return bound.with_retry(
        stop_after_attempt=piece.attempts, wait_exponential_jitter=False, **only
    )


@make.register
def _(piece: Fallbacks, world: World, path: str) -> Any:
    main, *others = _inner(piece, world, path).values()
    only: dict[str, Any] = {"exceptions_to_handle": (Boom,)} if piece.only else {}
    return main.with_fallbacks(others, **only)


@make.register
def _(piece: Alternatives, world: World, path: str) -> Any:
    default, *others = _inner(piece, world, path).values()
    name = f"which {path}"
    made = default.configurable_alternatives(
        ConfigurableField(id=name),
        default_key="0",
        **{str(i): other for i, other in enumerate(others, 1)},
    )
    if not piece.chosen:
        return made
    if piece.how == "with_config":
        return made.with_config(configurable={name: str(piece.chosen)})
    world.configurable[name] = str(piece.chosen)
    return made


@make.register
def _(piece: Config, world: World, path: str) -> Any:
    (bound,) = _inner(piece, world, path).values()
    return bound.with_config(tags=["tag"], run_name=path)


@make.register
def _(piece: Map, world: World, path: str) -> Any:
    (bound,) = _inner(piece, world, path).values()
    return bound.map()
