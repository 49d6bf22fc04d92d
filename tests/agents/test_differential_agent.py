"""The same script in LangChain's own `create_agent`: the same messages, chunks, events and answers,
the same tools told to the model, and the same questions asked.

What differs on purpose is not compared (sentences of mistakes, texts of accepted answers), or has a
test of its own at the end of the file, which says how it differs; docs/differences.md says why.
"""

# no `from __future__ import annotations`: tools below are annotated with names of a function's

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent as their_create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # pydantic's, in theirs, wants this one before Python 3.12

from agents.scripted import Scripted, call, says
from agents.test_differential import DONE, GO, TheirScripted
from headrace.agents import MaxErrorsError, create_agent
from headrace.messages import AIMessage, InvalidToolCall

# ------------------------------------------------------------------ tools, of either library


def tools_of(package: str) -> dict[str, Any]:
    """The tools, by name; the same lines for both."""
    part = import_module(f"{package}.tools")
    messages, runnables = (import_module(f"{package}.{p}") for p in ("messages", "runnables"))
    tool = part.tool

    @tool
    def multiply(a: int, b: int = 2) -> int:
        """Multiply two numbers."""
        return a * b

    @tool
    def give(what: str) -> Any:
        """Give a value that is no text."""
        return VALUES[what]

    @tool
    def fail(why: str) -> str:
        """Fail."""
        raise KINDS.get(why, part.ToolException)(why)

    def excused(why: str) -> str:
        """Fail, and say so."""
        raise part.ToolException(why)

    @tool(return_direct=True)
    def final(n: int) -> str:
        """Give the last word."""
        return f"final {n}"

    @tool(response_format="content_and_artifact")
    def keep(n: int) -> tuple[str, Any]:
        """Keep something for the program."""
        return f"kept {n}", {"n": n}

    @tool
    def answer(text: str, id: Annotated[str, part.InjectedToolCallId]) -> Any:
        """Give a message."""
        return messages.ToolMessage(text, tool_call_id=id, name="answer", artifact=id)

    @tool
    def read(key: str, config: runnables.RunnableConfig) -> str:
        """Read what the program configured."""
        return str(config["configurable"][key])

    @tool(args_schema=Pair)
    def pair(left: Any, right: Any) -> str:
        """Take nested arguments."""
        return f"{left.n} {[each.n for each in right]}"

    @tool(args_schema=BY_JSON)
    def by_json(**given: Any) -> str:
        """Take what a JSON schema says."""
        return repr(sorted(given.items()))

    excuse = part.StructuredTool.from_function(excused, handle_tool_error=True)
    made = [multiply, give, fail, excuse, final, keep, answer, read, pair, by_json]
    return {each.name: each for each in made}


class Leaf(BaseModel):
    """A number."""

    n: int = Field(ge=0, description="not negative")


class Pair(BaseModel):
    """Nested arguments."""

    left: Leaf
    right: list[Leaf] = Field(max_length=2)


BY_JSON = {
    "title": "by_json",
    "description": "Take what a JSON schema says.",
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "array", "items": {"type": "string"}}},
    "required": ["x"],
}
KINDS: dict[str, type[Exception]] = {"value": ValueError, "key": KeyError, "os": OSError}
VALUES: dict[str, Any] = {
    "none": None,
    "number": 1.5,
    "yes": True,
    "empty": "",
    "unicode": "Zürich ☃",
    "dict": {"a": [1, {"b": None}], "é": "ü"},
    "list": [1, 2],
    "texts": ["a", "b"],
    "blocks": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    "image": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
    "others": [{"type": "nothing", "text": "a"}],
    "set": {1},
    "nothing": [],
}
OURS, THEIRS = tools_of("headrace"), tools_of("langchain_core")

# ------------------------------------------------------------------ answers in a form


class Weather(BaseModel):
    """The weather."""

    city: str
    degrees: float = Field(le=60)


class WeatherDict(TypedDict):
    """The weather."""

    city: str
    degrees: float


@dataclass
class WeatherData:
    """The weather."""

    city: str
    degrees: float


FORMS: dict[str, Any] = {
    "Weather": Weather,
    "WeatherDict": WeatherDict,
    "WeatherData": WeatherData,
    "WeatherJson": {**Weather.model_json_schema(), "title": "WeatherJson"},
}

# ------------------------------------------------------------------ scripts


class Case(NamedTuple):
    """A script, what the agent is given, and its settings."""

    script: list[AIMessage]
    input: Any = GO
    system: Any = None
    form: Any = None
    name: str | None = None


def steps(*lines: Any, **more: Any) -> Case:
    """Each line is one call, or a tuple of a text and calls; then the answer."""
    made = [says(line[0], *line[1:]) if isinstance(line, tuple) else says("", line)
            for line in lines]  # fmt: skip
    return Case([*made, DONE], **more)


TWICE = call("multiply", "m1", a=6, b=7)
BROKEN = InvalidToolCall(name="multiply", args='{"a": 6,', id="b1", error="cut off")
SAID = {"messages": [("user", "Hi"), ("assistant", "Hello."), ("user", "Go")]}
ANSWERED = {
    "messages": [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "m0", "type": "function",
             "function": {"name": "multiply", "arguments": '{"a": 1}'}}]},
        {"role": "tool", "content": "2", "tool_call_id": "m0"},
    ]
}  # fmt: skip
FEEL = {"city": "Bern", "degrees": 8.5}

CASES: dict[str, Case] = {
    "answer": Case([DONE]),
    "no-text": Case([says("")]),
    "one-call": steps(TWICE),
    "default-argument": steps(call("multiply", a=6)),
    "number-in-text": steps(call("multiply", a="6", b="7")),
    "more-arguments": steps(call("multiply", a=6, c=1)),
    "text-first": steps(("Hm.", TWICE)),
    "parallel": steps(("", *(call("multiply", f"m{n}", a=n, b=n) for n in range(5)))),
    "parallel-of-many": steps(("So.", TWICE, call("keep", n=1), call("give", what="dict"))),
    "many-steps": steps(*(call("multiply", f"m{n}", a=n, b=n) for n in range(6))),
    "unknown": steps(call("divide", a=6)),
    "unknown-among-others": steps(("", call("divide", a=6), TWICE), call("divide", "d2", a=1)),
    "wrong-type": steps(call("multiply", a="six")),
    "wrong-among-others": steps(("", call("multiply", "w", a=[]), TWICE)),
    "missing": steps(call("multiply", b=1)),
    "no-arguments": steps(call("multiply")),
    "wrong-then-right": steps(call("multiply", "w", a="six"), TWICE),
    "excused": steps(call("excused", why="no luck")),
    "excused-among-others": steps(("", call("excused", why="no"), TWICE)),
    "direct": Case([says("", call("final", n=1))]),
    "two-direct": Case([says("", call("final", "f1", n=1), call("final", "f2", n=2))]),
    "direct-with-others": steps(("", call("final", n=1), TWICE)),
    "direct-later": Case([says("", TWICE), says("Now.", call("final", n=1))]),
    "artifact": steps(call("keep", n=4)),
    "message": steps(call("answer", text="as it is")),
    "config": steps(call("read", key="who")),
    "nested": steps(call("pair", left={"n": 1}, right=[{"n": 2}, {"n": 3}])),
    "nested-wrong": steps(call("pair", left={"n": -1}, right=[])),
    "nested-too-many": steps(call("pair", left={"n": 1}, right=[{"n": 2}] * 3)),
    "json-schema": steps(call("by_json", x=1, y=["a"])),
    "system": steps(TWICE, system="Be short."),
    "name": steps(TWICE, name="calculator"),
    "conversation": Case([DONE, says("", TWICE), DONE], SAID),
    "after-an-answer": Case([DONE, says("", TWICE), DONE], ANSWERED),
    "message-input": steps(TWICE, input={"messages": ("user", "Go")}),
    "text-input": steps(TWICE, input={"messages": "Go"}),
    "blocks-said": Case([says([{"type": "text", "text": "In blocks."}])]),
    **{f"gives-{what}": steps(call("give", what=what)) for what in VALUES if what != "texts"},
    **{
        f"form-{name}": Case([says("", call(name, "w1", **FEEL))], form=form)
        for name, form in FORMS.items()
    },
    "form-after-a-call": Case(
        [says("", TWICE), says("There.", call("Weather", "w1", **FEEL))], form=Weather
    ),
    "form-wrong-then-right": Case(
        [says("", call("Weather", "w1", city="Bern")), says("", call("Weather", "w2", **FEEL))],
        form=Weather,
    ),
    "form-against-a-rule": Case(
        [says("", call("Weather", "w1", city="Bern", degrees=99)),
         says("", call("Weather", "w2", **FEEL))],
        form=Weather,
    ),
    "form-with-system": Case(
        [says("", call("Weather", "w1", **FEEL))], form=Weather, system="Be short."
    ),
}  # fmt: skip
CONFIG: Any = {"configurable": {"who": "me"}}


class Hearing(TheirScripted):
    """Theirs, with what it was asked and told of tools."""

    asked: list[Any] = Field(default_factory=list, exclude=True)

    def _line(self, messages: Any) -> Any:
        self.asked.append(list(messages))
        return super()._line(messages)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self.told.append(kw)
        return super()._generate(messages)

    told: list[Any] = Field(default_factory=list, exclude=True)


def ours(case: Case) -> Any:
    agent: Any = create_agent(
        Scripted(script=case.script), list(OURS.values()), system_prompt=case.system,
        response_format=case.form, name=case.name, max_errors=99,
    )  # fmt: skip
    return agent, agent.model


def theirs(case: Case) -> Any:
    model: Any = Hearing(script=case.script)
    form = None if case.form is None else ToolStrategy(case.form)
    agent = their_create_agent(
        model, list(THEIRS.values()), system_prompt=case.system, response_format=form,
        name=case.name,
    )  # fmt: skip
    return agent, model


# ------------------------------------------------------------------ what is compared


def told(message: Any) -> Any:
    """What is compared of a message of either library."""
    kind = message.type.removesuffix("MessageChunk").lower()
    calls = [(c["name"], c["args"], c["id"]) for c in getattr(message, "tool_calls", None) or ()]
    if kind != "tool":
        return (kind, message.content, calls, message.name)
    formed = message.name in FORMS
    wrong = message.status == "error"
    text = "" if wrong or formed else message.content
    # of a refused answer in a form, theirs does not say that it is an error
    return (kind, text, message.name, message.tool_call_id, wrong and not formed, message.artifact)


def state_of(state: Any) -> Any:
    return [told(m) for m in state["messages"]], state.get("structured_response")


def in_order(chunks: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Of calls made at once any may be the first: what tools gave in one step, sorted."""
    found: list[tuple[str, Any]] = []
    for node, group in groupby(chunks, key=lambda pair: pair[0]):
        step = list(group)
        found += sorted(step, key=repr) if node == "tools" else step
    return found


def updates_of(chunks: list[Any]) -> Any:
    found = []
    for chunk in chunks:
        for node, added in chunk.items():
            said = [told(m) for m in added.get("messages", ())]
            found.append((node, (said, added.get("structured_response"))))
    return in_order(found)


def tokens_of(chunks: list[Any]) -> Any:
    found = []
    for message, about in chunks:
        node, kind = about["langgraph_node"], message.type
        pieces = [c["args"] for c in getattr(message, "tool_call_chunks", ())]
        shown = (message.content, pieces) if kind == "AIMessageChunk" else told(message)
        found.append((node, shown))
    return in_order(found)


def values_of(chunks: list[Any]) -> Any:
    return [state_of(chunk) for chunk in chunks]


MODES: dict[str, Callable[[list[Any]], Any]] = {
    "updates": updates_of,
    "values": values_of,
    "messages": tokens_of,
}


def by_mode(pairs: list[Any]) -> Any:
    """What each mode of several showed. Which one shows a step first is nobody's promise."""
    return {mode: shown([c for m, c in pairs if m == mode]) for mode, shown in MODES.items()}


async def listed(stream: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


def both(show: Callable[[Any, Any], Any], case: Case) -> None:
    """Shows the same of both."""
    mine, other = (show(*make(case)) for make in (ours, theirs))
    assert mine == other
    assert mine


each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_the_state(name):
    case = CASES[name]
    both(lambda agent, _: state_of(agent.invoke(case.input, CONFIG)), case)
    both(lambda agent, _: state_of(asyncio.run(agent.ainvoke(case.input, CONFIG))), case)


@each_case
@pytest.mark.parametrize("mode", MODES)
def test_a_stream(name, mode):
    case, shown = CASES[name], MODES[mode]
    args: Any = (case.input, CONFIG)
    both(lambda agent, _: shown([*agent.stream(*args, stream_mode=mode)]), case)
    both(lambda agent, _: shown(asyncio.run(listed(agent.astream(*args, stream_mode=mode)))), case)


@each_case
def test_several_modes_at_once(name):
    case, modes = CASES[name], [*MODES]
    both(lambda agent, _: by_mode([*agent.stream(case.input, CONFIG, stream_mode=modes)]), case)


@each_case
def test_what_the_model_is_asked(name):
    """Each question, message by message, the system's among them."""

    def asked(agent: Any, model: Any) -> Any:
        agent.invoke(case.input, CONFIG)
        questions = [q if type(q) is list else q[0] for q in model.asked]
        return [[told(message) for message in question] for question in questions]

    case = CASES[name]
    both(asked, case)


@pytest.mark.parametrize("name", ["one-call", "form-Weather"])
def test_what_the_model_is_told_of_tools(name):
    """Their names, descriptions and arguments; that one of them must be called, for a form."""
    case = CASES[name]
    (mine, my_model), (other, their_model) = ours(case), theirs(case)
    mine.invoke(case.input, CONFIG), other.invoke(case.input, CONFIG)
    (_, my_keywords), their_keywords = my_model.asked[0], their_model.told[0]
    by_name = [{t["function"]["name"]: t["function"] for t in keywords["tools"]}
               for keywords in (my_keywords, their_keywords)]  # fmt: skip
    assert by_name[0] == by_name[1]
    assert my_keywords.get("tool_choice") == their_keywords.get("tool_choice")


EVENTS = ("on_chat_model_start", "on_chat_model_stream", "on_chat_model_end", "on_tool_start",
          "on_tool_end", "on_tool_error")  # fmt: skip


def events_of(agent: Any, case: Case) -> Any:
    """What models and tools did: of each event its kind, and what it carries. Events of calls made
    at once come in any order."""
    found = []
    for event in asyncio.run(listed(agent.astream_events(case.input, CONFIG, version="v2"))):
        kind, data = event["event"], event["data"]
        if kind not in EVENTS:
            continue
        if kind == "on_tool_start":
            carried: Any = (event["name"], {**data["input"]})
        elif kind == "on_chat_model_start":
            carried = [told(m) for m in data["input"]["messages"][0]]
        elif kind == "on_tool_error":
            carried = event["name"]
        else:
            said = data["output" if kind.endswith("_end") else "chunk"]
            # theirs writes the agent's name into the message that the event has
            carried = told(said)[:3] if said.type != "tool" else told(said)
        found.append(("tools" if "tool_" in kind else "model", (kind, carried)))
    return in_order(found)


@each_case
def test_events(name):
    case = CASES[name]
    both(lambda agent, _: events_of(agent, case), case)


def test_a_batch():
    many = [{"messages": [("user", f"Go {n}")]} for n in range(4)]
    both(lambda agent, _: [state_of(state) for state in agent.batch(many)], CASES["parallel"])


# ------------------------------------------------------------------ any script

numbers = st.integers(-3, 9)
texts = st.sampled_from(["", "Hm.", "Let me see"])
made_calls = st.one_of(
    st.builds(lambda a, b: ("multiply", {"a": a, "b": b}), numbers, numbers | st.just("x")),
    st.builds(lambda n: ("final", {"n": n}), numbers),
    st.builds(lambda n: ("keep", {"n": n}), numbers),
    st.builds(
        lambda what: ("give", {"what": what}), st.sampled_from(sorted({*VALUES} - {"texts"}))
    ),
    st.builds(lambda why: ("excused", {"why": why}), texts),
    st.builds(lambda n: ("pair", {"left": {"n": n}, "right": [{"n": 1}]}), numbers),
    st.builds(lambda n: ("nobody", {"n": n}), numbers),
)
asked_at_once = st.lists(made_calls, max_size=3).filter(
    lambda asked: not {"final", "nobody"} <= {name for name, _ in asked}  # see below
)
scripts = st.lists(st.tuples(texts, asked_at_once), min_size=1, max_size=4)


@given(script=scripts, mode=st.sampled_from([*MODES]))
def test_any_script(script, mode):
    lines = [
        says(text, *(call(name, f"c{at}-{n}", **args) for n, (name, args) in enumerate(asked)))
        for at, (text, asked) in enumerate(script)
    ]
    case = Case([*lines, DONE])
    both(lambda agent, _: state_of(agent.invoke(GO)), case)
    both(lambda agent, _: MODES[mode]([*agent.stream(GO, stream_mode=mode)]), case)


# ------------------------------------------------------------------ what differs


@pytest.mark.parametrize("why", [*KINDS, "tool"])
def test_failures_of_a_tool(why):
    """Theirs raises them; ours tells the model, and raises them where it is said to."""
    case = steps(call("fail", why=why), call("fail", "f2", why=why))
    with pytest.raises(Exception) as theirs_raised:
        theirs(case)[0].invoke(GO)
    agent = create_agent(Scripted(script=case.script), [OURS["fail"]], on_error="raise")
    with pytest.raises(Exception) as ours_raised:
        agent.invoke(GO)
    assert type(ours_raised.value).__name__ == type(theirs_raised.value).__name__
    assert ours_raised.value.args == theirs_raised.value.args
    answers = [m for m in ours(case)[0].invoke(GO)["messages"] if m.type == "tool"]
    assert [(m.status, why in m.text) for m in answers] == [("error", True)] * 2


def test_arguments_that_are_no_json():
    """Theirs ends the run with that message; ours tells the model."""
    case = Case([says("", invalid_tool_calls=[BROKEN]), DONE])
    assert [m.type for m in theirs(case)[0].invoke(GO)["messages"]] == ["human", "ai"]
    mine = ours(case)[0].invoke(GO)["messages"]
    assert [m.type for m in mine] == ["human", "ai", "tool", "ai"]
    assert mine[2].status == "error" and mine[2].tool_call_id == "b1"


def test_an_answer_without_its_form():
    """Theirs ends without an answer in the form; ours reminds the model of it."""
    case = Case([says("It is cold."), says("", call("Weather", "w1", **FEEL))], form=Weather)
    assert theirs(case)[0].invoke(GO).get("structured_response") is None
    state = ours(case)[0].invoke(GO)
    assert state["structured_response"] == Weather(**FEEL)
    assert [m.type for m in state["messages"]] == ["human", "ai", "human", "ai", "tool"]


def test_an_answer_in_its_form_twice():
    """Theirs refuses both; of ours the first that is valid counts."""
    twice = says("", call("Weather", "w1", **FEEL), call("Weather", "w2", city="Ulm", degrees=1))
    case = Case([twice, says("", call("Weather", "w3", city="Wien", degrees=2))], form=Weather)
    assert theirs(case)[0].invoke(GO)["structured_response"].city == "Wien"
    assert ours(case)[0].invoke(GO)["structured_response"].city == "Bern"


@pytest.mark.parametrize(
    "calls",
    [
        [call("final", "f1", n="x")],
        [call("final", "f1", n=1), call("final", "f2", n="x")],
        [call("final", "f1", n=1), call("nobody")],
    ],
    ids=["alone", "two", "unknown"],
)
def test_a_direct_answer_and_a_mistake(calls):
    """Theirs ends the run with the mistake; ours lets the model mend it first."""
    case = Case([says("", *calls), says("", call("final", "f3", n=3))])
    mine, other = (make(case)[0].invoke(GO)["messages"] for make in (ours, theirs))
    assert [told(m) for m in mine[: len(other)]] == [told(m) for m in other]
    assert any(m.status == "error" for m in other[2:])
    assert [m.type for m in mine[len(other) :]] == ["ai", "tool"]
    assert mine[-1].content == "final 3"


def test_a_list_of_texts_from_a_tool():
    """langchain-core's tool and ours give it as content; their agent writes it as JSON then."""
    case = steps(call("give", what="texts"))
    assert theirs(case)[0].invoke(GO)["messages"][2].content == '["a", "b"]'
    assert ours(case)[0].invoke(GO)["messages"][2].content == ["a", "b"]
    asked = {**call("give", what="texts")}
    assert OURS["give"].invoke(asked).content == THEIRS["give"].invoke(asked).content == ["a", "b"]


def test_calls_that_stand_open_in_the_input():
    """Theirs asks the model before they are made; ours makes them."""
    asked = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "m0", "type": "function", "function": {"name": "multiply", "arguments": '{"a": 4}'}}
    ]}  # fmt: skip
    case = Case([DONE, DONE], {"messages": [{"role": "user", "content": "Go"}, asked]})
    assert [m.type for m in theirs(case)[0].invoke(case.input)["messages"]] == ["human", "ai", "ai"]
    mine = ours(case)[0].invoke(case.input)["messages"]
    assert [(m.type, m.content) for m in mine[2:]] == [("tool", "8"), ("ai", "Done.")]


def test_mistakes_without_end():
    """Theirs goes on until the graph's limit of steps; ours ends after `max_errors` in a row."""
    lines = [says("", call("nobody", f"n{n}")) for n in range(9)]
    many = theirs(Case([*lines, DONE]))[0].invoke(GO)["messages"]
    assert sum(m.type == "tool" for m in many) == 9
    agent = create_agent(Scripted(script=lines), [OURS["multiply"]], max_errors=3)
    with pytest.raises(MaxErrorsError) as failed:
        agent.invoke(GO)
    assert sum(m.type == "tool" for m in failed.value.messages) == 4
