"""Runs that end early, with a saver: going on in their thread comes to the same conversation, and
no call whose answer was shown is made a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_faults.doors import ASK
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made, transcript
from headrace.agents import BaseSaver, InMemorySaver, SqliteSaver, create_agent
from headrace.messages import ToolMessage
from laws.colours import every_colour
from laws.ledger import LEDGER

MODES: dict[str, Any] = {
    "updates": "updates",
    "messages": "messages",
    "custom": "custom",
    "several": ["values", "messages", "custom", "updates"],
}
every_mode = pytest.mark.parametrize("mode", MODES)


class Boom(Exception):
    """What models and tools of these tests raise, once."""


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseSaver]:
    if request.param == "memory":
        yield InMemorySaver()
    else:
        with SqliteSaver(tmp_path / "threads.db") as made_:
            yield made_


def script() -> Script:
    first = [call(kind, {"x": i}, f"c{i}") for i, kind in enumerate(KINDS)]
    again = [call(kind, {"x": 10 + i}, f"d{i}") for i, kind in enumerate(KINDS[2:])]
    return Script(Say("Let me see.", calls=first), Say("", calls=again), Say("That is it."))


WANTED = [ASK, "Let me see.", "0", "1", "2", "3", "", "10", "11", "That is it."]


def answered(mode: str, chunk: Any) -> list[Any]:
    """The ids of the calls whose answers a chunk shows."""
    of, shown = chunk if mode == "several" else (mode, chunk)
    found: list[Any] = []
    if of == "updates":
        found = [m for update in shown.values() for m in update["messages"]]
    elif of == "messages":
        found = [shown[0]]
    elif of == "values":
        found = shown["messages"]
    return [m.tool_call_id for m in found if isinstance(m, ToolMessage)]


@every_colour
@every_mode
@pytest.mark.parametrize("bound", [1, None])
def test_left_after_any_chunk_it_goes_on_and_repeats_nothing(colour, mode, bound, saver):
    on_disk = isinstance(saver, SqliteSaver)

    def body(doors):
        taken = 0
        while True:
            taken += 1 if not on_disk or mode == "updates" else 4  # each write waits for it
            made_: Counter[int] = Counter()

            def act(x: int, made_: Counter[int] = made_) -> str:
                made_[x] += 1
                return str(x)

            tools = [made(kind, kind, act) for kind in KINDS]
            agent = create_agent(
                ScriptedModel(script=script()), tools, saver=saver, max_concurrency=bound
            )
            config = {"configurable": {"thread_id": f"{colour.name}-{taken}"}}
            stream = doors.open(agent.bind(stream_mode=MODES[mode]), ASK, config)
            chunks = [stream.next() for _ in range(taken)]
            stream.close()
            assert not LEDGER.still_open
            ended = repr(chunks[-1]) == "END"
            before = Counter(made_)
            shown = {id for c in chunks if repr(c) != "END" for id in answered(mode, c)}
            state = doors.invoke(agent, None, config)
            assert [m.content for m in state["messages"]] == WANTED, taken
            numbers = {f"c{i}": i for i in range(4)} | {f"d{i}": 10 + i for i in range(2)}
            for id in shown:
                assert made_[numbers[id]] == before[numbers[id]] == 1, (taken, id)
            assert set(made_) == set(numbers.values())
            if ended:
                return taken

    assert colour.run(body) >= 5


@every_colour
@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_model_that_broke_off_is_asked_again(colour, at, number, saver):
    said = script()
    said.answers[number].error, said.answers[number].error_at = Boom("once"), at
    said.answers[number].failures = 1
    made_: list[int] = []

    def act(x: int) -> str:
        made_.append(x)
        return str(x)

    agent = create_agent(
        ScriptedModel(script=said), [made(kind, kind, act) for kind in KINDS], saver=saver
    )
    config = {"configurable": {"thread_id": "one"}}

    def body(doors):
        with pytest.raises(Boom):
            doors.invoke(agent, ASK, config)
        return [m.content for m in doors.invoke(agent, None, config)["messages"]]

    assert colour.run(body) == WANTED
    assert sorted(made_) == [0, 1, 2, 3, 10, 11]


@every_colour
@pytest.mark.parametrize("kind", KINDS)
def test_after_an_error_of_a_tool_only_what_has_no_answer_is_called(colour, kind, saver):
    made_: list[int] = []

    def act(x: int) -> str:
        made_.append(x)
        if x == 2 and made_.count(2) == 1:
            raise Boom("once")
        return str(x)

    calls = [call("act", {"x": x}, f"c{x}") for x in range(5)]
    agent = create_agent(
        ScriptedModel(script=Script(Say("", calls=calls), Say("Done."))),
        [made(kind, "act", act)],
        saver=saver,
        on_error="raise",
        parallel_tool_calls=False,
    )
    config = {"configurable": {"thread_id": "one"}}

    def body(doors):
        with pytest.raises(Boom):
            doors.stream(agent, ASK, config)
        assert made_ == [0, 1, 2]
        return transcript(doors.invoke(agent, None, config)["messages"])

    assert [content for _, content, *_ in colour.run(body)[2:7]] == [repr(str(x)) for x in range(5)]
    assert made_ == [0, 1, 2, 2, 3, 4]
