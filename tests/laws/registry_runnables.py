"""The registry's combinators: what `headrace.runnables` has."""

from __future__ import annotations

import re
from typing import Any

from headrace.chat_history import InMemoryChatMessageHistory
from headrace.resilience import (
    CircuitBreaker,
    ConcurrencyLimit,
    circuit_breaker,
    guard,
    limited,
    race,
)
from headrace.runnables import (
    ConfigurableField,
    RouterRunnable,
    RunnableAssign,
    RunnableBinding,
    RunnableBranch,
    RunnableEach,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableRetry,
    RunnableSequence,
    RunnableWithFallbacks,
    RunnableWithMessageHistory,
    each,
)
from laws.entry import Entry, own_doors
from laws.kinds import DICT, LIST, NUMBER, TEXT
from laws.usercode import (
    Flaky,
    InvokeAndStream,
    LoudLambda,
    LoudStream,
    OnlyAinvoke,
    OnlyAstream,
    OnlyAtransform,
    OnlyInvoke,
    OnlyStream,
    OnlyTransform,
    aexclaim,
    arelay,
    aspell,
    aswap,
    atold,
    chosen,
    chosen_output,
    deep,
    exclaim,
    failing,
    joined,
    nested,
    relay,
    spell,
    suffixed,
    swap,
    swapped,
    swapper,
    told,
)  # fmt: skip

_AB = {"a": swapper, "b": lambda: RunnableLambda(exclaim)}


def _ab(text: str) -> dict[str, str]:
    return {"a": swapped(text), "b": exclaim(text)}


def _last_said(messages: list[Any]) -> str:
    return str(messages[-1].content)


def _remembered(step: Any) -> Any:
    history = InMemoryChatMessageHistory()
    return RunnableWithMessageHistory(step, lambda: history)


LAMBDAS = [
    Entry("lambda", lambda: RunnableLambda(exclaim), TEXT, exclaim),
    Entry("lambda-both", lambda: RunnableLambda(exclaim, aexclaim), TEXT, exclaim),
    Entry("lambda-async", lambda: RunnableLambda(aexclaim), TEXT, exclaim, async_only=True),
    Entry("lambda-generator", lambda: RunnableLambda(spell), TEXT, str),
    Entry("lambda-agenerator", lambda: RunnableLambda(aspell), TEXT, str, async_only=True),
    Entry("lambda-both-generators", lambda: RunnableLambda(spell, aspell), TEXT, str),
    Entry("lambda-returns-runnable", lambda: chosen, TEXT, chosen_output),
    Entry("lambda-returns-deeper", lambda: RunnableLambda(deep), TEXT, chosen_output),
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
    Entry("generator-both", swapper, TEXT, swapped, flows=True),
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
        lambda: RunnableAssign(RunnableParallel(z=RunnablePick("x") | swapper())),
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
        lambda: RunnableParallel(
            a=swapper(), b=RunnablePassthrough(), c=swapper() | each(str.upper)
        ),
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
    Entry("parallel-one", lambda: RunnableParallel(a=swapper()), TEXT, lambda t: {"a": swapped(t)},
          flows=True, fans=1),
    Entry(
        "parallel-nested",
        lambda: RunnableParallel(
            p=RunnableParallel(a=swapper(), b=RunnablePassthrough()), q=RunnableLambda(exclaim)
        ),
        TEXT,
        lambda t: {"p": {"a": swapped(t), "b": t}, "q": exclaim(t)},
        fans=3,
    ),
    Entry("map", lambda: RunnableEach(RunnableLambda(exclaim)), LIST,
          lambda items: [exclaim(i) for i in items], flows=True, fans=1),
    Entry("map-streams", lambda: (swapper() | each(str.upper)).map(), LIST,
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
    Entry("binding", lambda: RunnableBinding(bound=swapper()), TEXT, swapped, flows=True),
    Entry("binding-kwargs", lambda: RunnableLambda(suffixed).bind(suffix="#"), TEXT,
          lambda t: t + "#"),
    Entry("binding-config", lambda: swapper().with_config(tags=["t"], run_name="named"), TEXT,
          swapped, flows=True),
    Entry("binding-twice", lambda: RunnableLambda(suffixed).bind(suffix="1").bind(suffix="2")
          .with_config(run_name="x"), TEXT, lambda t: t + "2"),
    Entry("retry", lambda: RunnableRetry(bound=swapper()), TEXT, swapped, flows=True),
    Entry("retry-flaky", lambda: RunnableLambda(Flaky()).with_retry(
        wait_exponential_jitter=False, stop_after_attempt=2), TEXT, exclaim),
    Entry("retry-chain", lambda: (swapper() | Flaky()).with_retry(
        wait_exponential_jitter=False) | exclaim, TEXT, lambda t: swapped(t) + "!!"),
    Entry("fallbacks", lambda: RunnableLambda(failing).with_fallbacks([swapper()]), TEXT, swapped),
    Entry("fallbacks-unused", lambda: RunnableWithFallbacks(
        runnable=swapper(), fallbacks=[RunnableLambda(exclaim)]), TEXT, swapped, flows=True),
    Entry("history", lambda: _remembered(RunnableLambda(_last_said) | swapper()), TEXT, swapped),
    Entry("history-chain", lambda: _remembered(RunnableLambda(_last_said)) | exclaim, TEXT,
          exclaim),
    Entry("branch", lambda: RunnableBranch(
        (lambda text: len(text) % 2, swapper()), RunnableLambda(exclaim)), TEXT, chosen_output),
    Entry("only-invoke", OnlyInvoke, TEXT, exclaim, own=own_doors("invoke")),
    Entry("only-ainvoke", OnlyAinvoke, TEXT, exclaim, async_only=True, own=own_doors("ainvoke")),
    Entry("only-stream", OnlyStream, TEXT, str, own=own_doors("stream")),
    Entry("only-astream", OnlyAstream, TEXT, str, async_only=True, own=own_doors("astream")),
    Entry("only-transform", OnlyTransform, TEXT, swapped, flows=True, own=own_doors("transform")),
    Entry("only-atransform", OnlyAtransform, TEXT, swapped, async_only=True, flows=True,
          own=own_doors("atransform")),
    Entry("invoke-and-stream", InvokeAndStream, TEXT, str, own=own_doors("invoke stream")),
    Entry("lambda-subclass", lambda: LoudLambda(exclaim), TEXT, lambda t: exclaim(t).upper(),
          own=own_doors("invoke")),
    Entry("generator-subclass", lambda: LoudStream(swap, aswap), TEXT,
          lambda t: swapped(t).upper(), flows=True, own=own_doors("transform")),
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
_LONG = 60.0  # seconds: no clock of a test comes near it
AGAINST_TIME = [
    Entry("timeout", lambda: swapper().with_timeout(first_chunk=_LONG, idle=_LONG, total=_LONG),
          TEXT, swapped, flows=True),
    Entry("timeout-whole", lambda: RunnableLambda(exclaim, aexclaim).with_timeout(total=_LONG),
          TEXT, exclaim),
    Entry("timeout-chain", lambda: (swapper() | each(str.upper)).with_timeout(idle=_LONG)
          .with_timeout(total=_LONG) | swapper(), TEXT, lambda t: swapped(swapped(t).upper()),
          flows=True),
    Entry("timeout-async", lambda: RunnableGenerator(aswap).with_timeout(idle=_LONG), TEXT,
          swapped, async_only=True, flows=True),
    Entry("hedge", lambda: swapper().with_hedge(after=_LONG), TEXT, swapped),
    Entry("hedge-fails", lambda: RunnableLambda(failing).with_hedge(swapper(), after=_LONG), TEXT,
          swapped),
    Entry("hedge-chain", lambda: swapper() | RunnableLambda(exclaim).with_hedge(after=_LONG)
          | swapper(), TEXT, lambda t: swapped(exclaim(swapped(t)))),
    Entry("race", lambda: race(swapper(), swapper()), TEXT, swapped, fans=2),
    Entry("race-fails", lambda: race(RunnableLambda(failing), RunnableLambda(exclaim)), TEXT,
          exclaim, fans=2),
    Entry("race-chain", lambda: swapper() | race(swapper() | each(str.upper), swapper() |
          RunnableLambda(str.upper)).with_timeout(total=_LONG) | swapper(), TEXT,
          lambda t: swapped(swapped(swapped(t)).upper()), fans=2),
    Entry("race-beside", lambda: RunnableParallel(a=race(swapper(), swapper()),
          b=swapper().with_timeout(idle=_LONG)), TEXT,
          lambda t: {"a": swapped(t), "b": swapped(t)}, fans=2),
]  # fmt: skip
_HASH = re.compile("[a-e]")


def _hashed(text: str) -> str:
    return _HASH.sub("#", text)


def _limited_twice() -> Any:
    limit = ConcurrencyLimit(99)
    return limited(swapper(), limit) | limited(RunnableLambda(exclaim, aexclaim), limit)


SURVIVING = [
    Entry("retry-restart", lambda: swapper().with_retry(when="restart"), TEXT, swapped),
    Entry("retry-resets", lambda: swapper().with_retry(when="restart", resets=True), TEXT, swapped),
    Entry("retry-restart-flaky", lambda: RunnableLambda(Flaky()).with_retry(
        when="restart", wait_exponential_jitter=False) | swapper(), TEXT,
        lambda t: swapped(exclaim(t))),
    Entry("fallbacks-restart", lambda: RunnableLambda(failing).with_fallbacks(
        [swapper()], when="restart"), TEXT, swapped),
    Entry("breaker", lambda: circuit_breaker(swapper(), CircuitBreaker()), TEXT, swapped,
          flows=True),
    Entry("breaker-chain", lambda: swapper() | circuit_breaker(RunnableLambda(exclaim, aexclaim))
          | swapper(), TEXT, lambda t: swapped(exclaim(swapped(t)))),
    Entry("breaker-async", lambda: circuit_breaker(RunnableGenerator(aswap)), TEXT, swapped,
          async_only=True, flows=True),
    Entry("limited", lambda: limited(swapper(), ConcurrencyLimit(99)), TEXT, swapped),
    Entry("limited-chain", _limited_twice, TEXT, lambda t: exclaim(swapped(t))),
    Entry("guard", lambda: guard(_HASH, "#", lookahead=1), TEXT, _hashed),
    Entry("guard-function", lambda: guard(_hashed, lookahead=1), TEXT, _hashed),
    Entry("guard-chain", lambda: swapper() | guard(_HASH, "#", lookahead=9) | swapper(), TEXT,
          lambda t: swapped(_hashed(swapped(t)))),
]  # fmt: skip
CHAINS = [
    Entry("sequence", lambda: RunnableSequence(exclaim, swap, exclaim), TEXT,
          lambda t: swapped(exclaim(t)) + "!"),
    Entry("sequence-streams",
          lambda: swapper() | each(str.upper) | RunnablePassthrough() | swapper(),
          TEXT, lambda t: swapped(swapped(t).upper()), flows=True),
    Entry("sequence-async", lambda: RunnableGenerator(arelay) | swapper(), TEXT, swapped,
          async_only=True, flows=True),
    Entry("sequence-blocking", lambda: RunnableGenerator(relay) | RunnableGenerator(swap), TEXT,
          swapped, flows=True),
    Entry("sequence-doors", lambda: OnlyTransform() | OnlyInvoke() | OnlyStream(), TEXT,
          lambda t: exclaim(swapped(t))),
    Entry("sequence-diamond", lambda: swapper() | {"a": swapper(), "b": exclaim} | joined, TEXT,
          lambda t: swapped(swapped(t)) + "|" + exclaim(swapped(t)), fans=2),
    Entry("sequence-pick", lambda: {"x": RunnablePassthrough(), "y": swapper()}
          | RunnablePassthrough.assign(z=RunnablePick("y") | swapper()).pick("z"), TEXT,
          lambda t: swapped(swapped(t)), flows=True, fans=5),
    Entry("sequence-map", lambda: RunnableLambda(list) | (swapper() | chosen).map() | "".join, TEXT,
          lambda t: "".join(chosen_output(swapped(c)) for c in t), fans=1),
    Entry("numbers", lambda: RunnableLambda(lambda n: n + 1) | (lambda n: n * 2), NUMBER,
          lambda n: (n + 1) * 2),
    Entry("none", lambda: RunnableLambda(lambda n: None), NUMBER, lambda n: None),
]  # fmt: skip

_PICKED = ConfigurableField("picked")


def _either() -> Any:
    return swapper().configurable_alternatives(_PICKED, loud=RunnableLambda(exclaim))


CHOSEN = [
    Entry("fields", lambda: RunnableLambda(exclaim).configurable_fields(
        func=ConfigurableField("func")), TEXT, exclaim),
    Entry("fields-set", lambda: RunnableLambda(exclaim).configurable_fields(
        func=ConfigurableField("func")).with_config(configurable={"func": swapped}), TEXT, swapped),
    Entry("fields-streams", lambda: RunnableGenerator(swap).configurable_fields(
        transform=ConfigurableField("by")) | each(str.upper), TEXT, lambda t: swapped(t).upper(),
        flows=True),
    Entry("alternatives", _either, TEXT, swapped, flows=True),
    Entry("alternatives-other", lambda: _either().with_config(configurable={"picked": "loud"}),
          TEXT, exclaim),
    Entry("alternatives-streams", lambda: RunnableLambda(exclaim).configurable_alternatives(
        _PICKED, made=swapper).with_config(configurable={"picked": "made"}), TEXT, swapped,
        flows=True),
    Entry("alternatives-chained", lambda: (RunnablePassthrough() | _either() | each(str.upper))
          .with_config(configurable={"picked": "loud"}), TEXT, lambda t: exclaim(t).upper()),
    Entry("alternatives-async", lambda: RunnableGenerator(arelay).configurable_alternatives(
        _PICKED, other=RunnableLambda(aexclaim)), TEXT, str, async_only=True, flows=True),
    Entry("alternatives-beside", lambda: RunnableParallel(
        a=_either(), b=_either().with_config(configurable={"picked": "loud"})), TEXT,
        lambda t: {"a": swapped(t), "b": exclaim(t)}, fans=2),
    Entry("router", lambda: RunnableLambda(lambda t: {"key": "ab"[len(t) % 2], "input": t})
          | RouterRunnable({"a": swapper(), "b": RunnableLambda(exclaim)}), TEXT,
          lambda t: exclaim(t) if len(t) % 2 else swapped(t)),
]  # fmt: skip

RUNNABLES: list[Entry] = [
    *(*CHOSEN, *LAMBDAS, *GENERATORS, *PASSING, *FANS, *WRAPPED, *AGAINST_TIME, *SURVIVING),
    *CHAINS,
]
