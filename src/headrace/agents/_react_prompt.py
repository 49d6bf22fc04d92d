"""The conversation of an agent as the text that a model without tool calling continues.

    Question: What is 6 times 7?
    Thought: I multiply.
    Action: multiply
    Action Input: {"a": 6, "b": 7}
    Observation: 42
    Thought:

What was said before the last question is told above it. `template` is a prompt of the user's with
the variables of LangChain's: `tools`, `tool_names`, `input`, `agent_scratchpad`, and, if it has it,
`chat_history`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError, InputError
from ..language_models.base import LanguageModelInput, to_messages
from ..messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from ..prompt_values import ChatPromptValue, PromptValue, StringPromptValue
from ..prompts import BasePromptTemplate, PromptTemplate
from ..runnables import Runnable, schema
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..shapes import Pure
from .state import calls_of

__all__ = ["ReActPrompt", "checked_template"]

_NEEDED = ("tools", "tool_names", "agent_scratchpad")

_HEAD = """\
Answer the question at the end. You can use these tools:

{tools}

To use a tool, write three lines, and stop:

Thought: what you think
Action: the tool's name, one of {tool_names}
Action Input: its arguments, a JSON object

What comes of it is shown to you as

Observation: the result

Use tools in this way as often as you need.{ending}

"""
_ENDING = """ When you know the answer, write

Thought: what you think
Final Answer: the answer"""


class ReActPrompt(ByValue, Pure, Runnable[Any, PromptValue]):
    """Messages in, the prompt out.

    Args:
        tools: descriptions in OpenAI's form.
        answers: the model may give a final answer, and need not call a tool for it.
        template: a prompt with the variables that the head of this file names; None: its own.
    """

    def __init__(
        self,
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        answers: bool = True,
        template: BasePromptTemplate[Any] | None = None,
    ) -> None:
        self.tools, self.answers, self.template = list(tools), answers, template

    def _apply(self, value: Any, /) -> PromptValue:
        messages = to_messages(value)
        systems = [message for message in messages if isinstance(message, SystemMessage)]
        rest = [message for message in messages if not isinstance(message, SystemMessage)]
        asked = _place_of_question(rest)
        before, question, after = rest[:asked], rest[asked : asked + 1], rest[asked + 1 :]
        parts = {
            "tools": "\n".join(_line(each["function"]) for each in self.tools),
            "tool_names": ", ".join(each["function"]["name"] for each in self.tools),
            "input": "".join(map(_text, question)),
            "agent_scratchpad": "".join(_told(after)) + "Thought:",
            "chat_history": "".join(_told(before)),
        }
        if self.template is None:
            return _together(systems, StringPromptValue(self._text(parts)))
        known = {name: parts[name] for name in self.template.input_variables if name in parts}
        return _together(systems, self.template.format_prompt(**known))

    def _text(self, parts: Mapping[str, str]) -> str:
        head = ""
        if self.tools:
            head = _HEAD.format(
                tools=parts["tools"],
                tool_names=parts["tool_names"],
                ending=_ENDING if self.answers else "",
            )
        before, question = parts["chat_history"], parts["input"]
        return f"{head}{before}Question: {question}\n{parts['agent_scratchpad']}"

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        kind: Any = LanguageModelInput if side == "input" else PromptValue
        return schema.Plain(schema.title(self, side), kind)

    def __repr__(self) -> str:
        names = [each["function"]["name"] for each in self.tools]
        return called(type(self).__name__, names)


def checked_template(given: Any) -> BasePromptTemplate[Any] | None:
    """The template that a `prompt` is; None where it is what a system message says.

    Raises:
        ConfigError: it lacks variables, or has others.
    """
    if isinstance(given, str) and "{agent_scratchpad}" in given:
        given = PromptTemplate.from_template(given)
    if given is None or isinstance(given, (str, SystemMessage)):
        return None
    if not isinstance(given, BasePromptTemplate):
        raise ConfigError(
            f"prompt is {given!r:.200} ({type(given).__name__}): give a text or a SystemMessage, "
            "which goes before the conversation, or a prompt template with the variables "
            f"{', '.join(_NEEDED)} and input."
        )
    known = {*given.input_variables, *given.partial_variables}
    lacking = [name for name in _NEEDED if name not in known]
    more = {*given.input_variables} - {*_NEEDED, "input", "chat_history"}
    if lacking or more:
        said = f"lacks {{{lacking[0]}}}" if lacking else f"has {{{min(more)}}}, which nobody fills"
        raise ConfigError(
            f"The prompt of a ReAct agent {said}: its variables are {', '.join(_NEEDED)}, input "
            "and, if it is to see what was said before, chat_history."
        )
    return given


def _together(systems: Sequence[BaseMessage], prompt: PromptValue) -> PromptValue:
    return ChatPromptValue([*systems, *prompt.to_messages()]) if systems else prompt


def _place_of_question(messages: Sequence[BaseMessage]) -> int:
    """Where the last message stands that a person said, and not the agent of a mistake."""
    places = [
        place
        for place, message in enumerate(messages)
        if isinstance(message, HumanMessage) and "error" not in message.response_metadata
    ]
    return places[-1] if places else 0


def _told(messages: Sequence[BaseMessage]) -> list[str]:
    """Messages as lines of the form."""
    answers = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    lines: list[str] = []
    for message in messages:
        if isinstance(message, AIMessage):
            lines += _steps(message, answers)
        elif isinstance(message, HumanMessage):
            word = "Observation" if "error" in message.response_metadata else "Question"
            lines.append(f"{word}: {_text(message)}\n")
        elif not isinstance(message, ToolMessage):
            lines.append(f"{_text(message)}\n")
    return lines


def _steps(said: AIMessage, answers: Mapping[Any, ToolMessage]) -> list[str]:
    """What the model thought, and what it did then: its calls with their results, or its answer."""
    thought, text = said.additional_kwargs.get("reasoning_content"), said.text
    lines = [f"Thought: {thought}\n"] if thought else []
    calls = calls_of(said)
    if text:
        lines.append(f"{'Thought' if calls else 'Final Answer'}: {text}\n")
    for call in calls:
        args = call["args"]
        written = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
        lines.append(f"Action: {call['name']}\nAction Input: {written}\n")
        if call["id"] in answers:
            lines.append(f"Observation: {_text(answers[call['id']])}\n")
    return lines


def _text(message: BaseMessage) -> str:
    """The text of a message.

    Raises:
        InputError: there is more than text in what a person or a tool said.
    """
    content = message.content
    if isinstance(content, str):
        return content
    for block in content:
        kind = "text" if isinstance(block, str) else block.get("type", "text")
        if kind != "text":
            raise InputError(
                f"A ReAct agent works with text, and a {type(message).__name__} has a block of "
                f"type {kind!r}: describe it in words, or use create_agent with a model that "
                "takes it."
            )
    return message.text


def _line(function: Mapping[str, Any]) -> str:
    """A tool in one line."""
    parameters = dict(function.get("parameters") or {})
    about = parameters if "$defs" in parameters else parameters.get("properties", {})
    args = json.dumps(about, ensure_ascii=False)
    said = " ".join(str(function.get("description") or "").split())
    return " ".join(filter(None, (f"{function['name']}:", said, "Arguments:", args)))
