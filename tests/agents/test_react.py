"""An agent over a model that writes `Action:` and `Final Answer:`, in all colours."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, Field

from headrace.agents import (
    AgentAction,
    AgentActionMessageLog,
    AgentFinish,
    AgentStep,
    Edit,
    InMemorySaver,
    MaxErrorsError,
    MaxStepsError,
    Resume,
    create_react_agent,
    intermediate_steps,
)
from headrace.errors import ConfigError, InputError
from headrace.language_models import LLM, BaseChatModel
from headrace.merge import merge
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.output_parsers import StrOutputParser
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.tools import tool
from laws.colours import every_colour


class Writes(BaseChatModel):
    """Writes the line of the script that is due: there are as many as it has written before."""

    script: list[str]
    asked: list[Any] = Field(default_factory=list, exclude=True)
    obeys: bool = True

    def _line(self, messages: Any, stop: Any) -> str:
        self.asked.append((messages, stop))
        text = "\n".join(message.text for message in messages)
        done = text.rpartition("\nQuestion: ")[2]
        line = self.script[done.count("\nObservation: ")]
        return line.partition("\nObservation:")[0] if stop and self.obeys else line

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        message = AIMessage(self._line(messages, stop))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
        return self._generate(messages, stop)

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for sign in self._line(messages, stop):
            yield ChatGenerationChunk(message=AIMessageChunk(sign))

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any):
        for chunk in self._stream(messages, stop):
            yield chunk

    @property
    def _llm_type(self) -> str:
        return "writes"


class Text(LLM):
    """The same, of text."""

    script: list[str]
    asked: list[Any] = Field(default_factory=list, exclude=True)

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        self.asked.append((prompt, stop))
        return self.script[prompt.rpartition("\nQuestion: ")[2].count("\nObservation: ")]

    async def _acall(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any):
        return self._call(prompt, stop)

    def _stream(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for sign in self._call(prompt, stop):
            yield GenerationChunk(text=sign)

    async def _astream(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any):
        for chunk in self._stream(prompt, stop):
            yield chunk

    @property
    def _llm_type(self) -> str:
        return "text"


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def search(query: str) -> str:
    """Search."""
    if query == "nothing":
        raise ValueError("there is nothing")
    return f"{query}: 7"


SCRIPT = [
    " I look up b.\nAction: search\nAction Input: b\nObservation: 8",
    'Thought: I multiply.\nAction: multiply\nAction Input: {"a": 6, "b": 7}',
    "I know.\nFinal Answer: It is 42.",
]
ASKED = "What is 6 times b?"


def told(state: Any) -> list[Any]:
    """What is compared of a state."""
    return [
        (
            type(message).__name__,
            message.content,
            message.additional_kwargs.get("reasoning_content"),
            [(call["name"], call["args"]) for call in getattr(message, "tool_calls", ())],
        )
        for message in state["messages"]
    ]


EXPECTED = [
    ("HumanMessage", ASKED, None, []),
    ("AIMessage", "", "I look up b.", [("search", {"query": "b"})]),
    ("ToolMessage", "b: 7", None, []),
    ("AIMessage", "", "I multiply.", [("multiply", {"a": 6, "b": 7})]),
    ("ToolMessage", "42", None, []),
    ("AIMessage", "It is 42.", "I know.", []),
]


def agent_of(*script: str, kind: Any = Writes, **settings: Any) -> Any:
    return create_react_agent(kind(script=list(script)), [multiply, search], **settings)


@every_colour
@pytest.mark.parametrize("kind", [Writes, Text])
def test_the_same_transcript_whichever_way_it_is_asked(kind: Any, colour: Any):
    agent = agent_of(*SCRIPT, kind=kind)

    def body(doors: Any) -> None:
        assert told(doors.invoke(agent, ASKED)) == EXPECTED
        updates = doors.stream(agent, ASKED)
        assert [name for update in updates for name in update] == [
            *("model", "tools", "model", "tools", "model"),
        ]
        assert told(merge(doors.stream(agent.bind(stream_mode="pieces"), ASKED))) == EXPECTED
        tokens = doors.stream(agent.bind(stream_mode="messages"), ASKED)
        answer = [c.content for c, about in tokens if about["step"] == 3 and c.content]
        assert answer == ["I", "t", " i", "s", " 4", "2", "."]
        args = [
            piece["args"]
            for chunk, about in tokens
            if about["step"] == 2 and isinstance(chunk, AIMessageChunk)
            for piece in chunk.tool_call_chunks
        ]
        assert "".join(args) == '{"a": 6, "b": 7}' and len(args) > 8

    colour.run(body)


def test_what_the_model_is_shown():
    agent = agent_of(*SCRIPT)
    agent.invoke(ASKED)
    asked = agent.model.model.asked
    ((message,), stop) = asked[-1]
    assert isinstance(message, HumanMessage) and stop == ["\nObservation:"]
    assert 'search: Search. Arguments: {"query": {"type": "string"}}\n' in message.content
    assert message.content.endswith(
        "Question: What is 6 times b?\n"
        "Thought: I look up b.\n"
        'Action: search\nAction Input: {"query": "b"}\nObservation: b: 7\n'
        "Thought: I multiply.\n"
        'Action: multiply\nAction Input: {"a": 6, "b": 7}\nObservation: 42\n'
        "Thought:"
    )
    text = agent_of(*SCRIPT, kind=Text)
    text.invoke(ASKED)
    assert text.model.model.asked[-1] == (message.content, stop)


def test_what_was_said_before_and_a_system_prompt():
    agent = agent_of(*SCRIPT, prompt="Be short.", saver=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    agent.invoke(ASKED, config)
    agent.invoke("And again?", config)
    system, human = agent.model.model.asked[-1][0]
    assert system == SystemMessage("Be short.")
    before, _, now = human.content.rpartition("Question: ")
    assert before.endswith("Thought: I know.\nFinal Answer: It is 42.\n")
    assert "Question: What is 6 times b?\nThought: I look up b.\n" in before
    assert now.startswith("And again?\nThought: I look up b.\n")


def test_a_template_of_the_users():
    template = PromptTemplate.from_template(
        "{tools}|{tool_names}|Question: {input}\n{agent_scratchpad}"
    )
    agent = agent_of(*SCRIPT, prompt=template)
    assert told(agent.invoke(ASKED)) == EXPECTED
    first = agent.model.model.asked[0][0][0].content
    assert first.endswith("|multiply, search|Question: What is 6 times b?\nThought:")
    written = agent_of(*SCRIPT, prompt=template.template)
    assert written.model.template == template
    chat = ChatPromptTemplate.from_messages(
        [
            ("system", "{tools} {tool_names}"),
            ("human", "{chat_history}\nQuestion: {input}\n{agent_scratchpad}"),
        ]
    )
    assert told(agent_of(*SCRIPT, prompt=chat).invoke(ASKED)) == EXPECTED


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{tools} {agent_scratchpad}", "lacks {tool_names}"),
        ("{tools} {tool_names} {agent_scratchpad} {more}", "has {more}, which nobody fills"),
        (7, "prompt is 7"),
    ],
)
def test_a_prompt_that_cannot_work(prompt: Any, said: str):
    with pytest.raises(ConfigError, match=said.replace("{", r"\{")):
        agent_of(*SCRIPT, prompt=prompt)


def test_settings_that_cannot_work():
    with pytest.raises(ConfigError, match="without tools"):
        create_react_agent(Writes(script=[]), [])
    with pytest.raises(ConfigError, match="or the name of a chat model"):
        create_react_agent(str, [search])
    with pytest.raises(ConfigError, match="prompt and system_prompt"):
        agent_of(prompt="a", system_prompt="b")
    with pytest.raises(ConfigError, match="a tool that a vendor runs"):
        create_react_agent(Writes(script=[]), [{"type": "web_search"}])
    picture = [{"type": "image_url", "image_url": {"url": "a.png"}}]
    with pytest.raises(InputError, match="block of type 'image_url'"):
        agent_of(*SCRIPT).invoke(HumanMessage(picture))


def test_models_in_policies_and_chains():
    writes = Writes(script=SCRIPT)
    for model in (
        writes.with_retry(),
        writes.with_fallbacks([writes]),
        writes.bind(temperature=0),
        writes | StrOutputParser(),
    ):
        agent = create_react_agent(model, [multiply, search])
        assert told(agent.invoke(ASKED)) == EXPECTED
        assert {stop for _, (stop,) in writes.asked} == {"\nObservation:"}


def test_a_model_that_does_not_stop():
    agent = create_react_agent(
        Writes(script=SCRIPT, obeys=False), [multiply, search], stop_sequence=False
    )
    assert told(agent.invoke(ASKED)) == EXPECTED
    assert agent.model.model.asked[0][1] is None
    other = agent_of(*SCRIPT, stop_sequence="\nObs")
    other.invoke(ASKED)
    assert other.model.model.asked[0][1] == ["\nObs"]


@every_colour
def test_mistakes_are_told_and_bounded(colour: Any):
    script = [
        "I wonder.",
        "Action: nobody\nAction Input: x",
        "Action: multiply\nAction Input: six",
        "Action: search\nAction Input: nothing",
        "Final Answer: I give up.",
    ]

    def body(doors: Any) -> None:
        state = doors.invoke(agent_of(*script, max_errors=4), ASKED)
        answers = [m.text for m in state["messages"][1:] if not isinstance(m, AIMessage)]
        assert answers[0].startswith('There is no "Action:" in what you wrote.')
        assert answers[1].startswith("There is no tool 'nobody'. The tools are: 'multiply'")
        assert "no JSON object" in answers[2] and "'six'" in answers[2]
        assert answers[3] == "Tool 'search' failed with ValueError: there is nothing"
        assert state["messages"][-1].content == "I give up."
        with pytest.raises(MaxErrorsError) as caught:
            doors.invoke(agent_of(*["I wonder."] * 5, max_errors=2), ASKED)
        assert len(caught.value.messages) == 1 + 2 * 3

    colour.run(body)


def test_a_model_that_never_answers():
    script = [*["Action: search\nAction Input: x"] * 4]
    with pytest.raises(MaxStepsError) as caught:
        agent_of(*script, max_steps=3).invoke(ASKED)
    assert sum(isinstance(m, ToolMessage) for m in caught.value.messages) == 3


class Product(BaseModel):
    """The product of two numbers."""

    value: int


def test_an_answer_in_a_form():
    script = [
        "Final Answer: 42",
        'Action: Product\nAction Input: {"value": "many"}',
        'Action: Product\nAction Input: {"value": 42}',
    ]
    agent = agent_of(*script, response_format=Product)
    state = agent.invoke(ASKED)
    assert state["structured_response"] == Product(value=42)
    prompt = agent.model.model.asked[0][0][0].content
    assert "Final Answer" not in prompt and "one of multiply, search, Product" in prompt
    assert "Observation: Give your answer by calling 'Product'" in (
        agent.model.model.asked[1][0][0].content
    )


@every_colour
def test_calls_wait_for_approval(colour: Any):
    agent = agent_of(*SCRIPT, interrupt_before="multiply", saver=InMemorySaver())

    def body(doors: Any) -> None:
        config = {"configurable": {"thread_id": colour.name}}
        state = doors.invoke(agent, ASKED, config)
        (call,) = state["__interrupt__"]
        assert (call["name"], call["args"]) == ("multiply", {"a": 6, "b": 7})
        state = doors.invoke(agent, Resume({call["id"]: Edit({"a": 6, "b": 8})}), config)
        assert state["messages"][-2].content == "48"
        shown = agent.model.model.asked[-1][0][0].content
        assert 'Action Input: {"a": 6, "b": 8}\nObservation: 48\nThought:' in shown

    colour.run(body)


def test_it_can_be_copied_and_pictured():
    agent = pickle.loads(pickle.dumps(agent_of(*SCRIPT)))
    assert told(agent.invoke(ASKED)) == EXPECTED
    assert repr(agent) == repr(pickle.loads(pickle.dumps(agent)))
    assert "multiply" in agent.get_graph().draw_mermaid()
    assert told(asyncio.run(agent.ainvoke(ASKED))) == EXPECTED


def test_it_shows_in_events():
    agent = agent_of(*SCRIPT)
    events = [(e["event"], e["name"]) for e in agent.stream_events(ASKED)]
    assert [name for event, name in events if event == "on_tool_start"] == ["search", "multiply"]
    assert sum(event == "on_chat_model_start" for event, _ in events) == 3
    assert ("on_chain_start", "ReActModel") in events
    assert ("on_parser_end", "ReActOutputParser") in events


# ------------------------------------------------------------------ actions


def test_the_steps_of_a_state():
    state = agent_of(*SCRIPT).invoke(ASKED)
    first, second = intermediate_steps(state)
    assert (first.action.tool, first.action.tool_input) == ("search", {"query": "b"})
    assert first.action.log == 'I look up b.\nAction: search\nAction Input: {"query": "b"}'
    assert (first.observation, second.observation) == ("b: 7", "42")
    assert first.action.messages == [state["messages"][1]]
    assert first.messages == [FunctionMessage("b: 7", name="search")]


def test_actions_are_values():
    action = AgentAction("search", "b", "I look.")
    assert action == AgentAction(tool="search", tool_input="b", log="I look.")
    assert action.model_dump() == {
        "tool": "search", "tool_input": "b", "log": "I look.", "type": "AgentAction",
    }  # fmt: skip
    assert AgentAction.model_validate(action.model_dump()) == action
    assert pickle.loads(pickle.dumps(action)) == action
    assert action.messages == [AIMessage("I look.")]
    assert AgentStep(action, {"é": 1}).messages == [HumanMessage('{"é": 1}')]
    finish = AgentFinish({"output": "42"}, "I know.")
    assert finish.messages == [AIMessage("I know.")] and finish.type == "AgentFinish"
    logged = AgentActionMessageLog("search", {}, "", message_log=[AIMessage("x")])
    assert logged.messages == [AIMessage("x")] and logged != AgentAction("search", {}, "")

    class Holds(BaseModel):
        steps: list[AgentStep]

    assert Holds(steps=[AgentStep(action, "x")]).steps[0].observation == "x"
