"""`explain()` gives advice only where following it would change what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import RouterRunnable, RunnableBranch, RunnableLambda, RunnablePassthrough


def fn(value: Any) -> Any:
    return value


def spell(chunks: Iterator[str]) -> Iterator[str]:
    yield from chunks


def prompt() -> Any:
    return PromptTemplate.from_template("{a}")


def model() -> Any:
    return FakeListChatModel(responses=["a"])


f: Any = RunnableLambda(fn)


@pytest.mark.parametrize(
    ("chain", "advised"),
    [
        (f, [""]),
        (f | spell, ["1"]),
        (f | f, ["2"]),  # that one first: it waits whatever the first one does
        (f | prompt(), []),
        (f | model(), []),
        (f | RunnablePassthrough() | model(), []),
        (prompt() | model() | f, ["3"]),
        (prompt() | model() | StrOutputParser() | f | spell, ["4"]),
        ({"a": f, "b": RunnablePassthrough()} | prompt(), []),
        ({"a": f, "b": RunnablePassthrough()} | f.bind(), ["2"]),
        (spell | RunnablePassthrough.assign(b=f), ["b"]),
        (RunnableBranch((fn, fn), (fn, spell), fn), ["branch:1", "branch:default"]),
        (RunnableBranch((fn, fn), fn) | prompt(), []),
        ((f | spell).with_config(run_name="named") | model(), []),
        (RouterRunnable({"condition:1": fn}), ["condition:1"]),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_advice(chain: Any, advised: list[str]) -> None:
    steps = [step for step in chain.explain() if step.advice]
    assert [step.label for step in steps] == advised
    assert all(step.advice.startswith("make it a generator function") for step in steps)
    assert all(step.kind == "barrier" for step in steps)
