"""Any script, in every door and colour: what a few plain lines of Python make of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.scripted import Scripted, call, says, seen, transcript
from headrace.agents import MaxErrorsError, MaxStepsError, create_agent
from headrace.events import RunCancelled, RunEnded, RunFailed, RunStarted
from headrace.merge import merge
from headrace.messages import AIMessage
from headrace.tools import tool
from laws.colours import both_drivers
from laws.ledger import Recorder

MAX_STEPS, MAX_ERRORS = 5, 1


@tool
def fine(n: int) -> int:
    """Work."""
    return n


@tool
def fails(n: int) -> int:
    """Fail."""
    raise ValueError(n)


@tool
def reports(n: int) -> Any:
    """Report."""
    yield from range(n)
    return f"{n} done"


@tool(return_direct=True)
def direct(n: int) -> str:
    """Give the last word."""
    return f"last {n}"


TOOLS = [fine, fails, reports, direct]
calls = st.tuples(st.sampled_from(["fine", "fails", "reports", "direct", "nobody"]),
                  st.integers(0, 3) | st.just("x"))  # fmt: skip
lines = st.tuples(st.sampled_from(["", "Hm.", "Let me see"]), st.lists(calls, max_size=3))
scripts = st.lists(lines, min_size=1, max_size=4)


def written(script: Any) -> list[AIMessage]:
    """The lines, and one more that ends it whatever comes."""
    made = [
        says(text, *(call(name, f"{at}-{n}", n=arg) for n, (name, arg) in enumerate(asked)))
        for at, (text, asked) in enumerate(script)
    ]
    return [*made, says("The end.")]


def answered(name: str, n: Any) -> tuple[str | None, bool]:
    """What a tool answers, and whether that is fine; None: a sentence for the model."""
    right = {"fine": str(n), "reports": f"{n} done", "direct": f"last {n}"}
    return (right[name], True) if name in right and n != "x" else (None, False)


def expected(script: Any) -> tuple[list[Any], type[Exception] | None]:
    """The transcript without the texts of mistakes, and how it ends."""
    told: list[Any] = [("HumanMessage", "Go", [], (None, None))]
    wrong = 0
    for step, line in enumerate(written(script)):
        if wrong > MAX_ERRORS:
            return told, MaxErrorsError
        if step == MAX_STEPS:
            return told, MaxStepsError
        told.append(seen(line))
        if not line.tool_calls:
            return told, None
        results = []
        for each in line.tool_calls:
            text, good = answered(each["name"], each["args"]["n"])
            results.append((each["name"], good))
            told.append(("ToolMessage", text, [], (each["id"], "success" if good else "error")))
        if all(name == "direct" and good for name, good in results):
            return told, None
        wrong = 0 if any(good for _, good in results) else wrong + 1
    raise AssertionError("the last line has no calls")


def shown(state: Any) -> list[Any]:
    return [
        (kind, None if about[1] == "error" else content, asked, about)
        for kind, content, asked, about in transcript(state)
    ]


@both_drivers
@given(script=scripts)
def test_every_door_gives_the_same(colour, script):
    def body(doors):
        agent = create_agent(
            Scripted(script=written(script)), TOOLS, max_steps=MAX_STEPS, max_errors=MAX_ERRORS
        )
        told, error = expected(script)
        asks = [lambda config: doors.invoke(agent, "Go", config)]
        for mode, fold in (("pieces", merge), ("values", lambda chunks: chunks[-1]),
                           ("messages", None), ("custom", None), ("updates", None)):  # fmt: skip
            bound = agent.bind(stream_mode=mode)
            asks.append(lambda config, b=bound, f=fold: _folded(doors.stream(b, "Go", config), f))
        for ask in asks:
            heard = Recorder()
            try:
                state = ask(heard.config)
            except (MaxErrorsError, MaxStepsError) as failure:
                assert type(failure) is error
                assert shown({"messages": failure.messages}) == told
            else:
                assert error is None
                assert state is None or shown(state) == told
            started = [e.run.id for e in heard.events if isinstance(e, RunStarted)]
            ends = (RunEnded, RunFailed, RunCancelled)
            ended = [e.run.id for e in heard.events if isinstance(e, ends)]
            assert sorted(started, key=str) == sorted(ended, key=str)
            assert len({*started}) == len(started)

    colour.run(body)


def _folded(chunks: list[Any], fold: Any) -> Any:
    return None if fold is None else fold(chunks)
