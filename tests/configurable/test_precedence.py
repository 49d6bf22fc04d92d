"""Whose config counts: the call's, an outer binding's, an inner one's, that of a factory; by itself
and wherever a step may stand, beside langchain-core."""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from headrace.runnables import RunnableLambda
from laws.ledger import Recorder

LIBRARIES = ("langchain_core", "headrace")
CALL = {
    "configurable": {"k": "call", "c": 1},
    "metadata": {"m": "call", "c": 1},
    "max_concurrency": 3,
    "recursion_limit": 11,
}
INNER = {
    "configurable": {"k": "inner", "i": 1},
    "metadata": {"m": "inner", "i": 1},
    "max_concurrency": 7,
    "recursion_limit": 9,
    "tags": ["inner"],
}
OUTER = {
    "configurable": {"k": "outer", "o": 1},
    "metadata": {"m": "outer", "o": 1},
    "max_concurrency": 5,
    "recursion_limit": 8,
    "tags": ["outer"],
}


def read(value: Any, config: Any) -> Any:
    limit = config.get("max_concurrency")
    return {
        "configurable": config["configurable"],
        "metadata": config["metadata"],
        "limit": getattr(limit, "limit", limit),
        # a function's own level counts in one library, and a sequence's in none
        "depth": config["recursion_limit"],
        "tags": sorted(t for t in config["tags"] if ":" not in t),
    }


async def aread(value: Any, config: Any) -> Any:
    return read(value, config)


def factory(config: Any) -> Any:
    return {"configurable": {"k": "made", "seen": config.get("configurable", {}).get("k")}}


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "bound": lambda m, see: see.with_config(INNER),
    "bound twice": lambda m, see: m.RunnableBinding(bound=see.with_config(INNER), config=OUTER),
    "factory": lambda m, see: m.RunnableBinding(
        bound=see, config=INNER, config_factories=[factory]
    ),
    "factory inside": lambda m, see: m.RunnableBinding(
        bound=m.RunnableBinding(bound=see, config_factories=[factory]), config=OUTER
    ),
    "default limit": lambda m, see: see.with_config(recursion_limit=9),
    "alternatives": lambda m, see: (
        (m.RunnablePassthrough() | see)
        .configurable_alternatives(m.ConfigurableField("which"), other=see)
        .with_config(INNER)
    ),
    "bound alternatives": lambda m, see: m.RunnableBinding(
        bound=(m.RunnablePassthrough() | see)
        .configurable_alternatives(m.ConfigurableField("which"), other=see)
        .with_config(INNER),
        config=OUTER,
    ),
}

PLACES: dict[str, Callable[[Any, Any], Any]] = {
    "alone": lambda m, step: step,
    "sequence": lambda m, step: m.RunnablePassthrough() | step,
    "first": lambda m, step: step | m.RunnablePassthrough(),
    "parallel": lambda m, step: m.RunnableParallel(a=step, b=step),
    "in a parallel": lambda m, step: m.RunnablePassthrough() | {"a": step | (lambda x: x)},
    "branch": lambda m, step: m.RunnableBranch((lambda x: True, step), lambda x: x),
    "condition": lambda m, step: m.RunnableBranch(
        (lambda x: False, step), m.RunnablePassthrough() | step
    ),
    "retry": lambda m, step: m.RunnablePassthrough() | step.with_retry(),
    "fallbacks": lambda m, step: m.RunnableLambda(lambda x: 1 / 0).with_fallbacks([step]),
    "map": lambda m, step: m.RunnableLambda(lambda x: [x]) | step.map(),
    "router": lambda m, step: m.RouterRunnable({"a": step}),
    "within a bound chain": lambda m, step: (m.RunnablePassthrough() | step).with_config(OUTER),
}


def called(library: str, place: str, step: str, config: Any, *, sync: bool) -> Any:
    m = importlib.import_module(f"{library}.runnables")
    chain = PLACES[place](m, STEPS[step](m, m.RunnableLambda(read, aread)))
    value: Any = {"key": "a", "input": 1} if place == "router" else 1
    return chain.invoke(value, config) if sync else asyncio.run(chain.ainvoke(value, config))


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("config", [{}, CALL], ids=["no config", "config"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_the_same_config_arrives(place: str, step: str, config: Any, sync: bool) -> None:
    theirs, ours = (called(lib, place, step, config, sync=sync) for lib in LIBRARIES)
    assert ours == theirs


# ---- names and ids ------------------------------------------------------------------------------


def test_the_outer_name_and_id_count() -> None:
    inner, outer = uuid.uuid4(), uuid.uuid4()
    step = RunnableLambda(lambda x: x).with_config(run_name="inner", run_id=inner)
    twice = type(step)(bound=step, config={"run_name": "outer", "run_id": outer})
    watching = Recorder()
    (RunnableLambda(lambda x: x) | twice).invoke(1, {"callbacks": [watching]})
    seen = [(event.run.name, event.run.id) for event in watching.events]
    assert ("outer", outer) in seen
    assert "inner" not in [name for name, _ in seen]


def test_a_name_for_a_chain_nobody_watches_is_not_that_of_a_step_in_it() -> None:
    watching = Recorder()
    last = RunnableLambda(lambda x: x, name="last").with_config(callbacks=[watching])
    chain = (RunnableLambda(lambda x: x) | last).with_config(run_name="chain", run_id=uuid.uuid4())
    whole = RunnableLambda(lambda x: x) | chain.with_retry()
    whole.invoke(1)
    list(whole.stream(1))
    asyncio.run(whole.ainvoke(1))
    assert {event.run.name for event in watching.events} == {"last"}
    assert len({event.run.id for event in watching.events}) == 3


def test_a_factory_is_given_a_config_always() -> None:
    seen: list[Any] = []
    step = RunnableLambda(lambda x: x)
    bound = type(step.bind())(bound=step, config_factories=[lambda c: seen.append(dict(c)) or {}])
    bound.invoke(1)
    bound.invoke(1, {"tags": ["a"]})
    bound.batch([1], [{"tags": ["b"]}])
    (step | bound.with_config(run_name="n")).invoke(1)
    assert seen[:3] == [{}, {"tags": ["a"]}, seen[2]]
    assert seen[2]["tags"] == ["b"]
    assert seen[3]["run_name"] == "n"
