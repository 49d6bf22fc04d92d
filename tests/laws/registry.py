"""One registry with an instance (or several) of every Runnable class of the package.

The laws are tested over it (`test_law*.py`); `test_registry.py` fails for a class that is missing.
User code in an entry writes into the ledger, so that a test sees what was left open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from headrace.merge import merge
from headrace.runnables import (
    Runnable,
    RunnableAssign,
    RunnableBinding,
    RunnableEach,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableRetry,
    RunnableSequence,
    chain,
    each,
)
from laws.kinds import DICT, LIST, NUMBER, TEXT, Kind
from laws.ledger import LEDGER


class Entry(NamedTuple):
    """A runnable under test.

    make: builds it, anew each time.
    kind: what it takes.
    expect: its output for an input, worked out without Headrace; None if only agreement counts.
    fold: how its chunks add up.
    view: what of an output is compared (ids made anew for each run are not).
    async_only: it has no sync body; sync calls must say so.
    sensitive: cutting its input changes its output (a function of single chunks).
    flows: it hands on chunks before its input has ended.
    own: doors that are the user's own methods. Called directly they are his code and nothing else:
        no run of ours is there to report or to close. Inside a chain they are steps like others.
    fans: several branches at once: what one may hold ahead is multiplied, their order is free.
    """

    name: str
    make: Callable[[], Any]
    kind: Kind
    expect: Callable[[Any], Any] | None
    fold: Callable[[list[Any]], Any] = merge
    view: Callable[[Any], Any] = lambda value: value
    async_only: bool = False
    sensitive: bool = False
    flows: bool = False
    fans: int = 0
    own: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return self.name

    def merged(self, chunks: list[Any]) -> Any:
        return self.view(self.fold(chunks))


# ---- user code ---------------------------------------------------------------------------------


def exclaim(text: str) -> str:
    return text + "!"


async def aexclaim(text: str) -> str:
    return text + "!"


def spell(text: str) -> Iterator[str]:
    """A whole text in, its characters out."""
    with LEDGER.body("spell"):
        yield from text


async def aspell(text: str) -> AsyncIterator[str]:
    with LEDGER.body("aspell"):
        for character in text:
            yield character


def swap(chunks: Iterator[str]) -> Iterator[str]:
    """Chunks of text in, chunks out, and a last one of its own."""
    with LEDGER.body("swap"):
        for chunk in chunks:
            yield chunk.swapcase()
        yield "."


async def aswap(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    with LEDGER.body("aswap"):
        async for chunk in chunks:
            yield chunk.swapcase()
        yield "."


def swapped(text: str) -> str:
    return text.swapcase() + "."


def joined(parts: dict[str, str]) -> str:
    return "|".join(parts[key] for key in sorted(parts))


def relay(chunks: Iterator[Any]) -> Iterator[Any]:
    with LEDGER.body("relay"):
        yield from chunks


async def arelay(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    with LEDGER.body("arelay"):
        async for chunk in chunks:
            yield chunk


def told(_: Any) -> None:
    """What a passthrough with a function calls."""
    with LEDGER.body("told"):
        pass


async def atold(_: Any) -> None:
    told(_)


class OnlyInvoke(Runnable[str, str]):
    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return exclaim(input)


class OnlyAinvoke(Runnable[str, str]):
    async def ainvoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return exclaim(input)


class OnlyStream(Runnable[str, str]):
    def stream(self, input: str, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from spell(input)


class OnlyAstream(Runnable[str, str]):
    async def astream(self, input: str, config: Any = None, **kwargs: Any) -> AsyncIterator[str]:
        with LEDGER.body("astream"):
            for character in input:
                yield character


class OnlyTransform(Runnable[str, str]):
    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from swap(input)


class OnlyAtransform(Runnable[str, str]):
    async def atransform(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[str]:
        with LEDGER.body("atransform"):
            async for chunk in input:
                yield chunk.swapcase()
            yield "."


class InvokeAndStream(Runnable[str, str]):
    """The most common override: both by hand."""

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return input

    def stream(self, input: str, config: Any = None, **kwargs: Any) -> Iterator[str]:
        yield from spell(input)


class LoudLambda(RunnableLambda[str, str]):
    """A class of Headrace with one door overridden, calling what it overrides."""

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return super().invoke(input, config, **kwargs).upper()


class LoudStream(RunnableGenerator[str, str]):
    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[str]:
        with LEDGER.body("loud"):
            for chunk in super().transform(input, config, **kwargs):
                yield chunk.upper()


@chain
def nested(text: str) -> str:
    """A function that invokes runnables; they are its children."""
    return str((_swap() | exclaim).invoke(text))


@chain
def chosen(text: str) -> Any:
    """A function that returns the runnable to run."""
    return _swap() if len(text) % 2 else RunnableLambda(exclaim)


def _deep(text: str) -> Any:
    return RunnableLambda(lambda _: chosen)


def suffixed(text: str, *, suffix: str = "?") -> str:
    return text + suffix


def _swap() -> RunnableGenerator[str, str]:
    return RunnableGenerator(swap, aswap)


def _chosen(text: str) -> str:
    return swapped(text) if len(text) % 2 else exclaim(text)


class Flaky:
    """Fails at the first call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> str:
        self.calls += 1
        if self.calls == 1:
            raise ConnectionError("flaky")
        return exclaim(text)


def _own(doors: str) -> frozenset[str]:
    return frozenset(doors.split())


# ---- the entries -------------------------------------------------------------------------------

_AB = {"a": _swap, "b": lambda: RunnableLambda(exclaim)}


def _ab(text: str) -> dict[str, str]:
    return {"a": swapped(text), "b": exclaim(text)}


LAMBDAS = [
    Entry("lambda", lambda: RunnableLambda(exclaim), TEXT, exclaim),
    Entry("lambda-both", lambda: RunnableLambda(exclaim, aexclaim), TEXT, exclaim),
    Entry("lambda-async", lambda: RunnableLambda(aexclaim), TEXT, exclaim, async_only=True),
    Entry("lambda-generator", lambda: RunnableLambda(spell), TEXT, str),
    Entry("lambda-agenerator", lambda: RunnableLambda(aspell), TEXT, str, async_only=True),
    Entry("lambda-both-generators", lambda: RunnableLambda(spell, aspell), TEXT, str),
    Entry("lambda-returns-runnable", lambda: chosen, TEXT, _chosen),
    Entry("lambda-returns-deeper", lambda: RunnableLambda(_deep), TEXT, _chosen),
    Entry("lambda-invokes", lambda: nested, TEXT, lambda t: exclaim(swapped(t))),
    Entry(
        "lambda-config",
        lambda: RunnableLambda(lambda text, config: text + config["configurable"]["k"]).with_config(
            configurable={"k": "v"}
        ),
        TEXT,
        lambda t: t + "v",
    ),
]
GENERATORS = [
    Entry("generator", lambda: RunnableGenerator(swap), TEXT, swapped, flows=True),
    Entry("generator-both", _swap, TEXT, swapped, flows=True),
    Entry(
        "generator-async",
        lambda: RunnableGenerator(aswap),
        TEXT,
        swapped,
        async_only=True,
        flows=True,
    ),
    Entry("each", lambda: each(str.swapcase), TEXT, str.swapcase, flows=True),
    Entry("each-sensitive", lambda: each(exclaim), TEXT, exclaim, sensitive=True, flows=True),
]
PASSING = [
    Entry("passthrough", RunnablePassthrough, TEXT, str, flows=True),
    Entry("passthrough-dict", RunnablePassthrough, DICT, dict, flows=True),
    Entry("passthrough-func", lambda: RunnablePassthrough(told), TEXT, str, flows=True),
    Entry("passthrough-both", lambda: RunnablePassthrough(told, atold), TEXT, str, flows=True),
    Entry("pick", lambda: RunnablePick("x"), DICT, lambda d: d["x"], flows=True),
    Entry("pick-many", lambda: RunnablePick(["y", "x"]), DICT, dict, flows=True),
    Entry(
        "assign",
        lambda: RunnableAssign(RunnableParallel(z=RunnablePick("x") | _swap())),
        DICT,
        lambda d: {**d, "z": swapped(d["x"])},
        flows=True,
        fans=2,
    ),
    Entry(
        "assign-lambda",
        lambda: RunnablePassthrough.assign(z=joined, x=lambda d: d["y"] + "2"),
        DICT,
        lambda d: {**d, "z": joined(d), "x": d["y"] + "2"},
        fans=3,
    ),
    Entry(
        "assign-pure",
        lambda: RunnablePassthrough.assign(z=RunnablePick("y"), w=RunnablePick("x")),
        DICT,
        lambda d: {**d, "z": d["y"], "w": d["x"]},
        flows=True,
        fans=3,
    ),
]
FANS = [
    Entry(
        "parallel",
        lambda: RunnableParallel({key: make() for key, make in _AB.items()}),
        TEXT,
        _ab,
        fans=2,
    ),
    Entry(
        "parallel-streams",
        lambda: RunnableParallel(a=_swap(), b=RunnablePassthrough(), c=_swap() | each(str.upper)),
        TEXT,
        lambda t: {"a": swapped(t), "b": t, "c": swapped(t).upper()},
        flows=True,
        fans=3,
    ),
    Entry(
        "parallel-pure",
        lambda: RunnableParallel(a=RunnablePassthrough(), b=RunnablePassthrough()),
        TEXT,
        lambda t: {"a": t, "b": t},
        flows=True,
        fans=2,
    ),
    Entry("parallel-one", lambda: RunnableParallel(a=_swap()), TEXT, lambda t: {"a": swapped(t)},
          flows=True, fans=1),
    Entry(
        "parallel-nested",
        lambda: RunnableParallel(
            p=RunnableParallel(a=_swap(), b=RunnablePassthrough()), q=RunnableLambda(exclaim)
        ),
        TEXT,
        lambda t: {"p": {"a": swapped(t), "b": t}, "q": exclaim(t)},
        fans=3,
    ),
    Entry("map", lambda: RunnableEach(RunnableLambda(exclaim)), LIST,
          lambda items: [exclaim(i) for i in items], flows=True, fans=1),
    Entry("map-streams", lambda: (_swap() | each(str.upper)).map(), LIST,
          lambda items: [swapped(i).upper() for i in items], flows=True, fans=1),
    Entry("map-pure", lambda: RunnablePassthrough().map(), LIST, list, flows=True),
    Entry(
        "map-parallel",
        lambda: RunnableParallel({key: make() for key, make in _AB.items()}).map(),
        LIST,
        lambda items: [_ab(i) for i in items],
        flows=True,
        fans=2,
    ),
]  # fmt: skip
WRAPPED = [
    Entry("binding", lambda: RunnableBinding(bound=_swap()), TEXT, swapped, flows=True),
    Entry("binding-kwargs", lambda: RunnableLambda(suffixed).bind(suffix="#"), TEXT,
          lambda t: t + "#"),
    Entry("binding-config", lambda: _swap().with_config(tags=["t"], run_name="named"), TEXT,
          swapped, flows=True),
    Entry("binding-twice", lambda: RunnableLambda(suffixed).bind(suffix="1").bind(suffix="2")
          .with_config(run_name="x"), TEXT, lambda t: t + "2"),
    Entry("retry", lambda: RunnableRetry(bound=_swap()), TEXT, swapped, flows=True),
    Entry("retry-flaky", lambda: RunnableLambda(Flaky()).with_retry(
        wait_exponential_jitter=False, stop_after_attempt=2), TEXT, exclaim),
    Entry("retry-chain", lambda: (_swap() | Flaky()).with_retry(
        wait_exponential_jitter=False) | exclaim, TEXT, lambda t: swapped(t) + "!!"),
    Entry("only-invoke", OnlyInvoke, TEXT, exclaim, own=_own("invoke")),
    Entry("only-ainvoke", OnlyAinvoke, TEXT, exclaim, async_only=True, own=_own("ainvoke")),
    Entry("only-stream", OnlyStream, TEXT, str, own=_own("stream")),
    Entry("only-astream", OnlyAstream, TEXT, str, async_only=True, own=_own("astream")),
    Entry("only-transform", OnlyTransform, TEXT, swapped, flows=True, own=_own("transform")),
    Entry("only-atransform", OnlyAtransform, TEXT, swapped, async_only=True, flows=True,
          own=_own("atransform")),
    Entry("invoke-and-stream", InvokeAndStream, TEXT, str, own=_own("invoke stream")),
    Entry("lambda-subclass", lambda: LoudLambda(exclaim), TEXT, lambda t: exclaim(t).upper(),
          own=_own("invoke")),
    Entry("generator-subclass", lambda: LoudStream(swap, aswap), TEXT,
          lambda t: swapped(t).upper(), flows=True, own=_own("transform")),
    *[
        Entry(f"chained-{name}", lambda m=make: RunnablePassthrough() | m() | each(str), TEXT,
              expect, async_only=name.startswith("a"), flows=name.endswith("transform"))
        for name, make, expect in [
            ("invoke", OnlyInvoke, exclaim), ("ainvoke", OnlyAinvoke, exclaim),
            ("stream", OnlyStream, str), ("astream", OnlyAstream, str),
            ("transform", OnlyTransform, swapped), ("atransform", OnlyAtransform, swapped),
            ("both", InvokeAndStream, str),
            ("lambda-subclass", lambda: LoudLambda(exclaim), lambda t: exclaim(t).upper()),
            ("subclass-transform", lambda: LoudStream(swap, aswap), lambda t: swapped(t).upper()),
        ]
    ],
]  # fmt: skip
CHAINS = [
    Entry("sequence", lambda: RunnableSequence(exclaim, swap, exclaim), TEXT,
          lambda t: swapped(exclaim(t)) + "!"),
    Entry("sequence-streams", lambda: _swap() | each(str.upper) | RunnablePassthrough() | _swap(),
          TEXT, lambda t: swapped(swapped(t).upper()), flows=True),
    Entry("sequence-async", lambda: RunnableGenerator(arelay) | _swap(), TEXT, swapped,
          async_only=True, flows=True),
    Entry("sequence-blocking", lambda: RunnableGenerator(relay) | RunnableGenerator(swap), TEXT,
          swapped, flows=True),
    Entry("sequence-doors", lambda: OnlyTransform() | OnlyInvoke() | OnlyStream(), TEXT,
          lambda t: exclaim(swapped(t))),
    Entry("sequence-diamond", lambda: _swap() | {"a": _swap(), "b": exclaim} | joined, TEXT,
          lambda t: swapped(swapped(t)) + "|" + exclaim(swapped(t))),
    Entry("sequence-pick", lambda: {"x": RunnablePassthrough(), "y": _swap()}
          | RunnablePassthrough.assign(z=RunnablePick("y") | _swap()).pick("z"), TEXT,
          lambda t: swapped(swapped(t)), flows=True, fans=5),
    Entry("sequence-map", lambda: RunnableLambda(list) | (_swap() | chosen).map() | "".join, TEXT,
          lambda t: "".join(_chosen(swapped(c)) for c in t), fans=1),
    Entry("numbers", lambda: RunnableLambda(lambda n: n + 1) | (lambda n: n * 2), NUMBER,
          lambda n: (n + 1) * 2),
    Entry("none", lambda: RunnableLambda(lambda n: None), NUMBER, lambda n: None),
]  # fmt: skip

ENTRIES: list[Entry] = [*LAMBDAS, *GENERATORS, *PASSING, *FANS, *WRAPPED, *CHAINS]


def classes_in(runnable: Any) -> Iterator[type]:
    """The classes of a runnable and of the parts it is made of."""
    yield type(runnable)
    for _, part in runnable._children():
        yield from classes_in(part)
