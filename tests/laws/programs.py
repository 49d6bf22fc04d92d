"""Random programs: trees of combinators over text, built for any namespace of runnables.

`build(tree, ns)` makes the runnable with the names of `ns` (this library's, or another with the
same vocabulary); `output(tree, text)` is its value worked out by hand. A bomb can be laid into one
leaf: it raises a given exception at a given chunk.

A tree is a tuple: a leaf `("kind", number)`, or a combinator `("kind", subtree, ...)`. The number
makes each leaf's output its own and is part of its name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, NamedTuple

from hypothesis import strategies as st

from laws.ledger import LEDGER

Tree = tuple[Any, ...]


class Bomb(NamedTuple):
    """`error` is raised in leaf `leaf` (counted from the left), at its chunk number `at`."""

    leaf: int
    at: int
    error: BaseException


# ---- leaves: what each does to a text -----------------------------------------------------------

LEAF_OUTPUT: dict[str, Callable[[str, int], str]] = {
    "lambda": lambda text, n: f"{text}{n}",
    "generator": lambda text, n: f"{text.swapcase()}{n}",
    "spell": lambda text, n: text,
    "pass": lambda text, n: text,
    "told": lambda text, n: text,
    "each": lambda text, n: text.upper(),
    "invoke-door": lambda text, n: f"{text}i{n}",
    "stream-door": lambda text, n: text.lower(),
    "transform-door": lambda text, n: f"{text.swapcase()}t",
}
PORTABLE_LEAVES = ("lambda", "generator", "spell", "pass", "told")
"""Leaves that mean the same in both libraries."""
ONE_CALL = ("lambda", "pass", "told", "invoke-door", "each")
"""Leaves whose bomb goes off whatever chunk it is laid at."""


class Leaf:
    """One leaf's user code, both colours."""

    def __init__(self, kind: str, number: int, ns: Any, bomb: Bomb | None) -> None:
        self.kind, self.number, self.ns, self.bomb = kind, number, ns, bomb
        self.name = f"{kind}-{number}"

    def tick(self, chunk_number: int) -> None:
        if self.bomb is not None and (self.kind in ONE_CALL or chunk_number == self.bomb.at):
            raise self.bomb.error

    def finish(self, seen: int) -> None:
        if self.bomb is not None and seen <= self.bomb.at:
            raise self.bomb.error

    def whole(self, text: str) -> str:
        self.tick(0)
        return LEAF_OUTPUT[self.kind](text, self.number)

    def chunks_of(self, text: str) -> Iterator[str]:
        with LEDGER.body(self.name):
            for at, character in enumerate(LEAF_OUTPUT[self.kind](text, self.number)):
                self.tick(at)
                yield character
            self.finish(len(text))

    async def achunks_of(self, text: str) -> AsyncIterator[str]:
        with LEDGER.body(self.name):
            for at, character in enumerate(LEAF_OUTPUT[self.kind](text, self.number)):
                self.tick(at)
                yield character
            self.finish(len(text))

    def _tail(self) -> str:
        return LEAF_OUTPUT[self.kind]("", self.number)

    def through(self, chunks: Iterator[str]) -> Iterator[str]:
        seen = 0
        with LEDGER.body(self.name):
            for chunk in chunks:
                self.tick(seen)
                seen += 1
                yield chunk.swapcase()
            self.finish(seen)
            yield self._tail()

    async def athrough(self, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        seen = 0
        with LEDGER.body(self.name):
            async for chunk in chunks:
                self.tick(seen)
                seen += 1
                yield chunk.swapcase()
            self.finish(seen)
            yield self._tail()

    def make(self) -> Any:
        ns, leaf = self.ns, self
        if self.kind == "lambda":

            async def awhole(text: str) -> str:
                return leaf.whole(text)

            # Odd ones have an async body of their own, even ones are run in a thread.
            return ns.RunnableLambda(
                leaf.whole, awhole if self.number % 2 else None, name=self.name
            )
        if self.kind == "generator":
            made = ns.RunnableGenerator(leaf.through, leaf.athrough if self.number % 2 else None)
            return made.with_config(run_name=self.name)
        if self.kind == "spell":
            return ns.RunnableLambda(leaf.chunks_of, leaf.achunks_of, name=self.name)
        if self.kind == "pass":
            if leaf.bomb is not None:
                return ns.RunnableLambda(leaf.whole, name=self.name)
            return ns.RunnablePassthrough()
        if self.kind == "told":
            return ns.RunnablePassthrough(lambda text: leaf.tick(0)).with_config(run_name=self.name)
        return self.ours()

    def ours(self) -> Any:
        """Leaves that only this library has."""
        ns, leaf = self.ns, self
        if self.kind == "each":
            return ns.RunnableChunkwise(leaf.whole, name=self.name)

        doors = {
            "invoke-door": {"invoke": lambda s, i, c=None, **k: leaf.whole(i)},
            "stream-door": {"stream": lambda s, i, c=None, **k: leaf.chunks_of(i)},
            "transform-door": {"transform": lambda s, i, c=None, **k: leaf.through(i)},
        }
        door = type(self.name, (ns.Runnable,), {"name": self.name, **doors[self.kind]})
        # A user's door is a step where it stands in a chain; called directly it is his own method.
        return ns.RunnablePassthrough() | door()


# ---- combinators --------------------------------------------------------------------------------


def _join(parts: dict[str, str]) -> str:
    return f"{parts['a']}|{parts['b']}"


def _calls(ns: Any, inner: Any) -> Any:
    """A function that invokes a runnable, in its own colour."""

    def call(text: str) -> str:
        return inner.invoke(text)  # type: ignore[no-any-return]

    async def acall(text: str) -> str:
        return await inner.ainvoke(text)  # type: ignore[no-any-return]

    return ns.RunnableLambda(call, acall, name="calls")


def _streams(ns: Any, inner: Any) -> Any:
    """A generator function that streams a runnable."""

    def call(chunks: Iterator[str]) -> Iterator[str]:
        with LEDGER.body("streams"):
            yield from inner.stream("".join(chunks))

    async def acall(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        with LEDGER.body("streams"):
            text = "".join([chunk async for chunk in chunks])
            async with aclosing(inner.astream(text)) as stream:
                async for chunk in stream:
                    yield chunk

    return ns.RunnableGenerator(call, acall, name="streams")


def _sequence(ns: Any, *parts: Any) -> Any:
    chain = parts[0]
    for part in parts[1:]:
        chain = chain | part
    return chain


COMBINE: dict[str, Callable[..., Any]] = {
    "sequence": _sequence,
    "parallel": lambda ns, a, b: ns.RunnableParallel(a=a, b=b) | _join,
    "assign": lambda ns, a: (
        ns.RunnableParallel(a=ns.RunnablePassthrough())
        | ns.RunnablePassthrough.assign(b=ns.RunnableLambda(lambda d: d["a"]) | a)
    ).pick("b"),
    "pick-many": lambda ns, a, b: (
        ns.RunnableParallel(a=a, b=b, c=ns.RunnablePassthrough()).pick(["a", "b"]) | _join
    ),
    "map": lambda ns, a: ns.RunnableLambda(lambda text: [text, "m"]) | a.map() | "".join,
    "bind": lambda ns, a: ns.RunnablePassthrough() | a.bind(),
    "config": lambda ns, a: a.with_config(tags=["t"], metadata={"m": 1}),
    "retry": lambda ns, a: a.with_retry(wait_exponential_jitter=False, stop_after_attempt=2),
    "returns": lambda ns, a: ns.RunnableLambda(lambda text: a, name="returns"),
    "calls": _calls,
    "streams": _streams,
}
COMBINED_OUTPUT: dict[str, Callable[..., str]] = {
    "parallel": lambda text, a, b: f"{a(text)}|{b(text)}",
    "pick-many": lambda text, a, b: f"{a(text)}|{b(text)}",
    "map": lambda text, a: a(text) + a("m"),
    **{
        kind: lambda text, a: a(text)
        for kind in ("assign", "bind", "config", "retry", "returns", "calls", "streams")
    },
}


# ---- trees --------------------------------------------------------------------------------------


def trees(
    leaf_kinds: Any = tuple(LEAF_OUTPUT),
    combinators: Any = tuple(COMBINE),
    numbers: Any = (1, 2, 3, 4),
) -> Any:
    """A strategy for trees."""
    leaves = st.tuples(st.sampled_from(leaf_kinds), st.sampled_from(numbers))

    def extend(parts: Any) -> Any:
        shapes = [st.tuples(st.just("sequence"), parts, parts)]
        for kind in combinators:
            if kind in ("parallel", "pick-many"):
                shapes.append(st.tuples(st.just(kind), parts, parts))
            elif kind != "sequence":
                shapes.append(st.tuples(st.just(kind), parts))
        return st.one_of(shapes)

    return st.recursive(leaves, extend, max_leaves=5)


def is_leaf(tree: Tree) -> bool:
    return tree[0] in LEAF_OUTPUT


def leaf_count(tree: Tree) -> int:
    return 1 if is_leaf(tree) else sum(leaf_count(part) for part in tree[1:])


def leaf_at(tree: Tree, number: int) -> Tree:
    """The leaf with this number, counted from the left."""
    if is_leaf(tree):
        return tree
    for part in tree[1:]:
        count = leaf_count(part)
        if number < count:
            return leaf_at(part, number)
        number -= count
    raise IndexError(number)


def output(tree: Tree, text: str) -> str:
    """What the program makes of a text."""
    if is_leaf(tree):
        return LEAF_OUTPUT[tree[0]](text, tree[1])
    if tree[0] == "sequence":
        for part in tree[1:]:
            text = output(part, text)
        return text
    return COMBINED_OUTPUT[tree[0]](text, *[lambda t, p=part: output(p, t) for part in tree[1:]])


def build(tree: Tree, ns: Any, bomb: Bomb | None = None) -> Any:
    """The program as a runnable of `ns`."""
    counter = iter(range(leaf_count(tree)))

    def made(part: Tree) -> Any:
        if is_leaf(part):
            mine = bomb is not None and next(counter) == bomb.leaf
            return Leaf(part[0], part[1], ns, bomb if mine else None).make()
        return COMBINE[part[0]](ns, *[made(sub) for sub in part[1:]])

    return made(tree)


def bombs(tree: Tree, draw: Callable[[Any], Any]) -> Bomb:
    """A bomb somewhere in the tree."""
    leaf = draw(st.integers(0, leaf_count(tree) - 1))
    return Bomb(leaf, draw(st.integers(0, 3)), ValueError("bomb"))
