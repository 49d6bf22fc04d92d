"""The same transcript, whichever way an agent is asked: tools, messages and answer."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from agents.scripted import Meeting, Scripted, call, says, seen, transcript
from headrace.agents import AgentState, create_agent
from headrace.errors import AsyncOnlyError, ConfigError, InputError
from headrace.events import RunEnded, RunStarted
from headrace.language_models import FakeListLLM
from headrace.merge import merge
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from headrace.runnables import RunnableLambda
from headrace.tools import tool
from laws.colours import every_colour


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
async def wait_for(what: str) -> str:
    """Wait for something."""
    return f"{what} is there"


SCRIPT = [
    says("Let me see.", call("multiply", "m1", a=6, b=7), call("multiply", "m2", a=2, b=3)),
    says("", call("multiply", "m3", a=42, b=6)),
    says("It is 252."),
]
EXPECTED = [
    ("HumanMessage", "What is it?", [], (None, None)),
    ("AIMessage", "Let me see.",
     [("multiply", {"a": 6, "b": 7}, "m1"), ("multiply", {"a": 2, "b": 3}, "m2")], (None, None)),
    ("ToolMessage", "42", [], ("m1", "success")),
    ("ToolMessage", "6", [], ("m2", "success")),
    ("AIMessage", "", [("multiply", {"a": 42, "b": 6}, "m3")], (None, None)),
    ("ToolMessage", "252", [], ("m3", "success")),
    ("AIMessage", "It is 252.", [], (None, None)),
]  # fmt: skip


def calculator(**settings: Any) -> Any:
    return create_agent(Scripted(script=SCRIPT), [multiply], **settings)


@every_colour
def test_invoke_and_streams_have_one_transcript(colour):
    def body(doors):
        agent = calculator()
        assert transcript(doors.invoke(agent, {"messages": "What is it?"})) == EXPECTED
        pieces = doors.stream(agent.bind(stream_mode="pieces"), {"messages": "What is it?"})
        assert transcript(merge(pieces)) == EXPECTED
        values = doors.stream(agent.bind(stream_mode="values"), {"messages": "What is it?"})
        assert transcript(values[-1]) == EXPECTED
        updates = doors.stream(agent, {"messages": "What is it?"})
        said = [seen(m) for chunk in updates for part in chunk.values() for m in part["messages"]]
        assert sorted(said, key=str) == sorted(EXPECTED[1:], key=str)
        tokens = doors.stream(agent.bind(stream_mode="messages"), {"messages": "What is it?"})
        by_id: dict[str, list[Any]] = {}
        for chunk, _ in tokens:
            by_id.setdefault(chunk.id, []).append(chunk)
        assert sorted((seen(merge(c)) for c in by_id.values()), key=str) == sorted(said, key=str)

    colour.run(body)


@every_colour
def test_in_a_chain_the_pieces_add_up_to_the_state(colour):
    def body(doors):
        chain = RunnableLambda(lambda text: {"messages": text}) | calculator() | transcript
        assert doors.invoke(chain, "What is it?") == EXPECTED
        assert doors.stream(chain, "What is it?") == [EXPECTED]
        bound = calculator().bind(stream_mode="messages") | transcript
        assert doors.stream(bound, "What is it?") == [EXPECTED]
        stream = doors.open(RunnableLambda(lambda x: x) | calculator(), "What is it?")
        assert transcript(stream.next()) == EXPECTED[:1]
        stream.close()

    colour.run(body)


@every_colour
def test_batches_answer_each_input(colour):
    def body(doors):
        states = doors.batch(calculator(), ["What is it?", {"messages": ["Hello"]}] * 3)
        assert [transcript(state)[1:] for state in states] == [EXPECTED[1:]] * 6
        assert [state["messages"][0].content for state in states[:2]] == ["What is it?", "Hello"]

    colour.run(body)


@every_colour
def test_events_tell_the_same_and_who_called_whom(colour):
    def body(doors):
        heard = Heard()
        config = {"callbacks": [heard]}
        state = doors.invoke(calculator(name="calc"), "What is it?", config)
        assert transcript(state) == EXPECTED
        ends = [e for e in heard.events if isinstance(e, RunEnded)]
        assert [e.output for e in ends if e.path == "calc"] == [state]
        assert [seen(e.output) for e in ends if e.run.run_type == "chat_model"] == [
            EXPECTED[1], EXPECTED[4], EXPECTED[6]
        ]  # fmt: skip
        starts = [e for e in heard.events if isinstance(e, RunStarted)]
        assert [e.path for e in starts] == [
            "calc",
            "calc/model:Scripted",
            "calc/tools",
            "calc/tools/multiply",
            "calc/tools/multiply",
            "calc/model:Scripted",
            "calc/tools",
            "calc/tools/multiply",
            "calc/model:Scripted",
        ]

    colour.run(body)


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event)


async def test_astream_events_show_tokens_and_tools():
    kinds: dict[str, int] = {}
    text = ""
    async for event in calculator().astream_events("What is it?"):
        kinds[event["event"]] = kinds.get(event["event"], 0) + 1
        if event["event"] == "on_chat_model_stream":
            text += event["data"]["chunk"].content
    assert text == "Let me see.It is 252."
    assert kinds["on_chat_model_start"] == kinds["on_chat_model_end"] == 3
    assert kinds["on_tool_start"] == kinds["on_tool_end"] == 3


@every_colour
def test_calls_of_one_step_run_at_once_and_stand_in_their_order(colour):
    def body(doors):
        meet = Meeting(3)

        @tool
        def meeting(who: str) -> str:
            """Meet."""
            meet()
            return who

        script = [says("", *(call("meeting", x, who=x) for x in "abc")), says("Done.")]
        agent = create_agent(Scripted(script=script), [meeting])
        state = doors.invoke(agent, "Go")
        assert [m.content for m in state["messages"][2:5]] == ["a", "b", "c"]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("settings", [{"parallel_tool_calls": False}, {"max_concurrency": 1}],
                         ids=["not-parallel", "one-lane"])  # fmt: skip
def test_one_after_the_other(colour, settings):
    def body(doors):
        at_work: list[str] = []
        most: list[int] = []

        @tool
        def work(who: str) -> str:
            """Work."""
            at_work.append(who)
            most.append(len(at_work))
            at_work.remove(who)
            return who

        script = [says("", *(call("work", x, who=x) for x in "abc")), says("Done.")]
        model = Scripted(script=script)
        doors.invoke(create_agent(model, [work], **settings), "Go")
        assert most == [1, 1, 1]
        told = {kwargs.get("parallel_tool_calls") for _, kwargs in model.asked}
        assert told == ({False} if "parallel_tool_calls" in settings else {None})

    colour.run(body)


@pytest.mark.parametrize("provider", ["openai", "cohere", "google_genai", "google_vertexai"])
def test_vendors_without_a_word_for_it_are_not_told(provider):
    class Vendor(Scripted):
        def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> dict[str, Any]:
            return {"ls_provider": provider}

    model = Vendor(script=[says("Done.")])
    for around in (model, model.with_retry(), model.with_fallbacks([model])):
        create_agent(around, [multiply], parallel_tool_calls=False).invoke("Go")
        told = model.asked[-1][1].get("parallel_tool_calls")
        assert told == (False if provider == "openai" else None)


@every_colour
def test_the_bound_of_a_config_holds_for_calls(colour):
    def body(doors):
        at_work: list[str] = []

        @tool
        def work(who: str) -> int:
            """Work."""
            at_work.append(who)
            most = len(at_work)
            at_work.remove(who)
            return most

        script = [says("", *(call("work", x, who=x) for x in "abcdef")), says("Done.")]
        agent = create_agent(Scripted(script=script), [work])
        state = doors.invoke(agent, "Go", {"max_concurrency": 1})
        assert [m.content for m in state["messages"][2:8]] == ["1"] * 6

    colour.run(body)


# ---- what goes in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "Hi",
        HumanMessage("Hi"),
        ["Hi"],
        [("user", "Hi")],
        ("user", "Hi"),
        {"role": "user", "content": "Hi"},
        {"messages": "Hi"},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": HumanMessage("Hi")},
        {"messages": ("human", "Hi")},
    ],
    ids=range(10),
)
def test_forms_of_the_input(given):
    state = create_agent(Scripted(script=[says("Hello.")])).invoke(given)
    assert transcript(state) == [
        ("HumanMessage", "Hi", [], (None, None)),
        ("AIMessage", "Hello.", [], (None, None)),
    ]
    assert type(state) is AgentState and state.messages is state["messages"]
    assert all(message.id for message in state["messages"])


def test_the_input_stays_as_it_was():
    message = HumanMessage("Hi")
    given = {"messages": [message], "user": "Ada"}
    state = create_agent(Scripted(script=[says("Hello.")])).invoke(given)
    assert given == {"messages": [message], "user": "Ada"} and message.id is None
    assert state["user"] == "Ada"


@pytest.mark.parametrize(
    "given", [3, {"question": "Hi"}, None, [3]], ids=["3", "dict", "None", "[3]"]
)
def test_what_is_no_input_is_refused(given):
    model = Scripted(script=[says("Hello.")])
    with pytest.raises(InputError):
        create_agent(model).invoke(given)
    assert model.asked == []


def test_a_conversation_goes_on_from_a_state():
    agent = create_agent(Scripted(script=[says("Hello."), says("Again.")]))
    state = agent.invoke("Hi")
    state = agent.invoke({**state, "messages": [*state["messages"], ("user", "And?")]})
    assert [m.content for m in state["messages"]] == ["Hi", "Hello.", "And?", "Again."]


def test_the_system_prompt_is_asked_and_not_kept():
    model = Scripted(script=[says("Hello.")])
    for prompt in ("Be short.", SystemMessage("Be short.")):
        state = create_agent(model, system_prompt=prompt).invoke("Hi")
        assert [type(m) for m in state["messages"]] == [HumanMessage, AIMessage]
        asked, _ = model.asked.pop()
        assert asked[0] == SystemMessage("Be short.") and len(asked) == 2


def test_the_name_is_that_of_its_messages():
    for name, said in (("calc", "calc"), ("My agent, the 2nd", "My_agent_the_2nd")):
        state = calculator(name=name).invoke("What is it?")
        assert {m.name for m in state["messages"] if isinstance(m, AIMessage)} == {said}
        assert calculator(name=name).get_name() == name


# ---- calls ---------------------------------------------------------------------------------------


def test_calls_without_an_id_of_their_own_get_one():
    """Some models number the calls of each answer anew, or give no ids."""
    twice = [{**call("multiply", a=1, b=n), "id": None} for n in (2, 3)]
    same = [call("multiply", "x", a=2, b=n) for n in (2, 3)]
    again = [call("multiply", "x", a=3, b=3)]
    script = [says("", *twice), says("", *same), says("", *again), says("Done.")]
    messages = create_agent(Scripted(script=script), [multiply]).invoke("Go")["messages"]
    answers = [m for m in messages if isinstance(m, ToolMessage)]
    assert [m.content for m in answers] == ["2", "3", "4", "6", "9"]
    asked = [c["id"] for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    assert [m.tool_call_id for m in answers] == asked
    assert len({*asked[:4]}) == 4 and None not in asked


def test_a_model_that_repeats_ids_replaces_nothing():
    line = says("", call("multiply", a=1, b=1), id="same")
    script = [line, line.model_copy(), says("Done.", id="same")]
    state = create_agent(Scripted(script=script), [multiply]).invoke("Go")
    assert len(state["messages"]) == 6
    assert len({m.id for m in state["messages"]}) == 6


def test_a_direct_answer_ends_the_run():
    @tool(return_direct=True)
    def look_up(key: str) -> str:
        """Look up."""
        return f"value of {key}"

    @tool(return_direct=True)
    def broken(key: str) -> str:
        """Look up."""
        raise ValueError(key)

    model = Scripted(script=[says("", call("look_up", key="a")), says("Never.")])
    state = create_agent(model, [look_up]).invoke("Go")
    assert state["messages"][-1].content == "value of a" and len(model.asked) == 1
    model = Scripted(script=[says("", call("broken", key="a")), says("Sorry.")])
    assert create_agent(model, [broken]).invoke("Go")["messages"][-1].content == "Sorry."
    both = says("", call("look_up", "1", key="a"), call("multiply", "2", a=1, b=1))
    model = Scripted(script=[both, says("Both.")])
    assert create_agent(model, [look_up, multiply]).invoke("Go")["messages"][-1].content == "Both."


def test_functions_runnables_and_descriptions_are_tools_too():
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    model = Scripted(script=[says("", call("shout", text="hi")), says("Done.")])
    agent = create_agent(model, [shout, {"type": "web_search"}])
    assert agent.invoke("Go")["messages"][2].content == "HI"
    told = model.asked[0][1]["tools"]
    assert told[0]["function"]["name"] == "shout" and told[1] == {"type": "web_search"}


@every_colour
def test_a_tool_that_only_runs_async(colour):
    def body(doors):
        model = Scripted(script=[says("", call("wait_for", what="it")), says("Done.")])
        agent = create_agent(model, [wait_for])
        if doors.asynchronous:
            assert doors.invoke(agent, "Go")["messages"][2].content == "it is there"
            return
        with pytest.raises(AsyncOnlyError, match="wait_for"):
            doors.invoke(agent, "Go")
        assert model.asked == []

    colour.run(body)


# ---- what cannot work ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says_"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_errors": -1}, "max_errors is -1"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"tools": [3]}, "received 3"),
        ({"tools": [multiply, multiply]}, "two tools of the name 'multiply'"),
        ({"system_prompt": 3}, "system_prompt is 3"),
        ({"before_model": 3}, "before_model is 3"),
        ({"interrupt_before": ["multiply"]}, "needs a saver"),
        ({"interrupt_before": ["other"]}, "names 'other'"),
        ({"saver": 3}, "saver is 3"),
        ({"model": FakeListLLM(responses=["x"])}, "bind_tools"),
        ({"model": 3}, "received 3"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "-".join(value),
)
def test_settings_that_cannot_work(settings, says_):
    given = {"model": Scripted(script=[]), "tools": [multiply], **settings}
    with pytest.raises(ConfigError, match=says_):
        create_agent(**given)


def test_calls_that_cannot_work():
    agent = calculator()
    for mode in ("upates", [], ["updates", "x"], 3):
        with pytest.raises(ConfigError, match="stream_mode"):
            list(agent.stream("Hi", stream_mode=mode))
    with pytest.raises(ConfigError, match="stream_mode"):
        agent.invoke("Hi", stream_mode="upates")
    with pytest.raises(ConfigError, match="temperature"):
        agent.invoke("Hi", temperature=1)


# ---- about itself --------------------------------------------------------------------------------


def test_what_an_agent_says_of_itself():
    agent = calculator(name="calc", max_steps=3)
    assert [step.name for step in agent.explain()] == ["calc", "Scripted", "multiply"]
    assert {step.kind for step in list(agent.explain())[:2]} == {"source"}
    graph = agent.get_graph()
    names = {node.name for node in graph.nodes.values()}
    assert names == {"calc_input", "model", "multiply", "calc_output"}
    assert sum(edge.conditional for edge in graph.edges) == 2
    assert "messages" in agent.get_input_jsonschema()["properties"]
    assert repr(agent).startswith("create_agent(") and "max_steps=3" in repr(agent)
    assert "max_errors" not in repr(agent)


def test_agents_are_copied_and_pickled():
    agent = calculator(name="calc")
    assert copy.copy(agent) == agent and agent != calculator(name="other")
    for again in (copy.copy(agent), copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert transcript(again.invoke("What is it?")) == EXPECTED
