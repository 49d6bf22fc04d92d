"""One scripted transcript gives the same messages through every door, colour and setting: those
that the script foretells, whatever its tools, its cuts and its mistakes are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_faults.doors import ASK, DOORS, events
from agent_faults.scripted_model import Say, Script, ScriptedModel, call
from agent_faults.toolbox import KINDS, made, transcript
from headrace.agents import Agent, create_agent
from headrace.messages import AIMessage, ToolMessage
from headrace.runnables import RunnableLambda
from laws.colours import ASYNC, SYNC, every_colour

GARBAGE = ['{"x": ', "x=1", "[1]", "", "{'x': 1}", '"x"', '{"x": 1, "y']
WRONG = [{"x": "one"}, {}, {"y": 1}, {"x": None}]


def double(x: int) -> str:
    return f"twice {x} is {2 * x}"


def refuse(x: int) -> str:
    raise ValueError(f"no {x}")


TOOLS = [made(kind, f"{kind}_ok", double) for kind in KINDS]
TOOLS += [made(kind, f"{kind}_bad", refuse) for kind in KINDS]
NAMES = [tool.name for tool in TOOLS]

GOOD = st.tuples(st.sampled_from(NAMES), st.fixed_dictionaries({"x": st.integers(0, 99)}))
BAD = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(WRONG)),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(GARBAGE)),
    st.tuples(st.sampled_from(["nobody", "nothing"]), st.just({"x": 1})),
)
TEXT = st.text('abc é\n{}"', max_size=12)
USAGE = st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9))


@st.composite
def scripts(draw: Any) -> tuple[Say, ...]:
    said, number = [], 0
    for _ in range(draw(st.integers(0, 3))):
        asked = []
        for name, args in draw(st.lists(st.one_of(GOOD, GOOD, BAD), min_size=1, max_size=4)):
            number += 1
            asked.append(call(name, args, f"c{number}"))
        said.append(Say(draw(TEXT), calls=asked, reasoning=draw(TEXT), usage=draw(USAGE)))
    return (*said, Say(draw(TEXT), usage=draw(USAGE)))


SETTINGS: list[dict[str, Any]] = [
    {},
    {"parallel_tool_calls": False},
    {"max_concurrency": 1},
    {"max_concurrency": 2},
    {"wrap_tool": lambda asked, run_tool: run_tool(asked)},
    {"on_error": (ValueError,)},
    {"before_model": lambda state: None, "after_model": [lambda state: None]},
]


def agent_of(said: tuple[Say, ...], seed: int = 0, **given: Any) -> Agent:
    model = ScriptedModel(script=Script(*said, seed=seed))
    return create_agent(model, TOOLS, max_errors=10**6, max_steps=10**6, **given)


def foretold(said: tuple[Say, ...]) -> list[list[tuple[str | None, str, str | None, str | None]]]:
    """The answers to the calls of each step: id, status, name, and the content where it is known.

    The calls whose arguments are no object come last: they stand in another list of the message.
    """
    steps = []
    for say in said[:-1]:
        whole, broken = [], []
        for one in say.calls:
            try:
                args = json.loads(one["args"] or "{}")
            except ValueError:
                args = None
            name, known = one["name"], one["name"] in NAMES
            if not isinstance(args, dict):
                broken.append((one["id"], "error", name, None))
            elif not known or not isinstance(args.get("x"), int):
                whole.append((one["id"], "error", name, None))
            elif name.endswith("_ok"):
                whole.append((one["id"], "success", name, double(args["x"])))
            else:
                whole.append((one["id"], "error", name, None))
        steps.append(whole + broken)
    return steps


def check(messages: list[Any], said: tuple[Say, ...]) -> None:
    at = 1
    for say, answers in zip(said, [*foretold(said), []], strict=True):
        assert isinstance(messages[at], AIMessage) and messages[at].text == say.text
        for message, (id, status, name, content) in zip(
            messages[at + 1 : at + 1 + len(answers)], answers, strict=True
        ):
            assert isinstance(message, ToolMessage)
            assert (message.tool_call_id, message.status, message.name) == (id, status, name)
            assert content is None or message.content == content
        at += 1 + len(answers)
    assert at == len(messages)


@every_colour
@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=scripts(), given_settings=st.sampled_from(SETTINGS), seed=st.integers(0, 5))
def test_every_door_shows_what_the_script_foretells(colour, door, said, given_settings, seed):
    agent = agent_of(said, seed, **given_settings)
    check(colour.run(lambda doors: DOORS[door](doors, agent, ASK)), said)


@every_colour
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=scripts(), seeds=st.tuples(st.integers(0, 9), st.integers(10, 19)))
def test_how_the_pieces_are_cut_changes_nothing(colour, said, seeds):
    def body(doors):
        return [transcript(doors.invoke(agent_of(said, seed), ASK)["messages"]) for seed in seeds]

    one, other = colour.run(body)
    assert one == other


@settings(max_examples=25)
@given(said=scripts(), given_settings=st.sampled_from(SETTINGS))
def test_every_door_and_colour_shows_the_same(said, given_settings):
    def body(doors):
        return {
            name: transcript(door(doors, agent_of(said, **given_settings), ASK))
            for name, door in DOORS.items()
        }

    found = [(colour, name, t) for colour in (SYNC, ASYNC) for name, t in colour.run(body).items()]
    wanted = found[0][2]
    assert [(c, name) for c, name, t in found if t != wanted] == []


@every_colour
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=scripts())
def test_the_model_is_asked_with_the_conversation_so_far(colour, said):
    agent = agent_of(said)
    script = Script(*said)
    agent = create_agent(
        ScriptedModel(script=script), TOOLS, max_errors=10**6, max_steps=10**6, system_prompt="Be."
    )

    def body(doors):
        return transcript(doors.invoke(agent, ASK)["messages"])

    whole = colour.run(body)
    assert len(script.asked) == len(said)
    for asked in script.asked:
        assert asked[0].type == "system" and asked[0].content == "Be."
        assert transcript(asked[1:]) == whole[: len(asked) - 1]


@every_colour
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=scripts())
def test_usage_is_the_sum_of_the_answers(colour, said):
    total = sum(sum(say.usage) for say in said if say.usage)

    def body(doors):
        found = events(doors, agent_of(said), ASK, include_types=["chat_model"])
        ended = [e["data"]["output"] for e in found if e["event"] == "on_chat_model_end"]
        state = doors.invoke(agent_of(said), ASK)
        return [
            sum((m.usage_metadata or {"total_tokens": 0})["total_tokens"] for m in messages)
            for messages in (ended, [m for m in state["messages"] if m.type == "ai"])
        ]

    assert colour.run(body) == [total, total]


@every_colour
def test_many_conversations_at_once_keep_apart(colour):
    def kept(x: int) -> int:
        return x

    tool = made("async_generator", "keep", kept)
    said = (
        Say("", calls=[call("keep", {"x": i}, f"k{i}") for i in range(5)]),
        Say("", calls=[call("keep", {"x": i}, f"l{i}") for i in range(5)]),
        Say("Done."),
    )
    agent = create_agent(ScriptedModel(script=Script(*said)), [tool])
    after = RunnableLambda(lambda state: [m.content for m in state["messages"]])

    def body(doors):
        inputs = [f"question {i}" for i in range(6)]
        return doors.batch(agent | after, inputs, {"max_concurrency": 3})

    numbers = ["0", "1", "2", "3", "4"]
    assert colour.run(body) == [
        [f"question {i}", "", *numbers, "", *numbers, "Done."] for i in range(6)
    ]
