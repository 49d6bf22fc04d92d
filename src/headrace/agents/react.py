"""`create_react_agent`: an agent over a model that cannot call tools, but can write.

    agent = create_react_agent(model, [search, multiply])
    agent.invoke("What is 6 times 7?")["messages"][-1].text

The model is told of the tools in its prompt and writes `Thought:`, `Action:`, `Action Input:` or
`Final Answer:`; a parser makes messages of that, with tool calls that stream. Everything else is
`create_agent`: state, stream modes, hooks, savers, bounded errors. What the model is shown is in
`_react_prompt.py`, what becomes of what it writes in `_react_reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ConfigError, OutputParserException
from ..language_models import init_chat_model
from ..language_models.binding import described_tools, tool_choice_of
from ..messages import AIMessage, SystemMessage
from ..output_parsers import BaseOutputParser
from ..prompts import BasePromptTemplate
from ..runnables import Runnable, RunnableSequence
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ._advice import advised
from ._react_prompt import ReActPrompt, checked_template
from ._react_reading import ReActOutputParser
from ._react_text import Sections
from .actions import AgentAction, AgentFinish
from .agent import Agent, create_agent

__all__ = ["ReActModel", "ReActSingleInputOutputParser", "create_react_agent"]

STOPS = ("\nObservation:",)


class ReActModel(ByValue, RunnableSequence[Any, AIMessage]):
    """A model that writes, as one that calls tools: prompt, model and parser in a row.

    Args:
        model: a chat model or a text model.
        stop: the texts at which it is to stop writing; none where it does not know `stop`.
        template: a prompt template in place of the usual prompt.
        tools: descriptions in OpenAI's form.
        answers: whether it may give a final answer, and need not call a tool.
    """

    def __init__(
        self,
        model: Any,
        *,
        stop: Sequence[str] = STOPS,
        template: BasePromptTemplate[Any] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        answers: bool = True,
    ) -> None:
        self.model, self.stop, self.template = model, list(stop), template
        self.tools, self.answers = list(tools), answers
        super().__init__(
            ReActPrompt(self.tools, answers=answers, template=template),
            model.bind(stop=self.stop) if self.stop else model,
            ReActOutputParser(self.tools, answers=answers),
        )

    def _kind_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return called(type(self).__name__, self.model)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None) -> ReActModel:
        """This one, told of tools. `tool_choice`: as that of chat models."""
        described = described_tools(tools)
        for each in described:
            if "function" not in each:
                raise ConfigError(
                    f"A ReAct agent makes all calls itself, and got {each!r:.200}, a tool that a "
                    "vendor runs: give a function, or use create_agent with that vendor's model."
                )
        names = [each["function"]["name"] for each in described]
        choice = tool_choice_of(tool_choice, names)
        told = [each for each in described if each["function"]["name"] == choice] or described
        return ReActModel(
            self.model,
            stop=self.stop,
            template=self.template,
            tools=[] if choice == "none" else told,
            answers=choice in (None, "auto", "none"),
        )


@advised(create_agent)
def create_react_agent(
    model: Any,
    tools: Iterable[Any],
    prompt: str | SystemMessage | BasePromptTemplate[Any] | None = None,
    *,
    stop_sequence: bool | str | Sequence[str] = True,
    **settings: Any,
) -> Agent:
    r"""An agent of `create_agent` over a model that knows nothing of tools: it writes what it
    thinks and wants to do, and reads what came of it.

    Args:
        model: a chat model, a text model, something made of them, or a name for `init_chat_model`.
        tools: as for `create_agent`.
        prompt: a text that goes before the conversation; or, in place of the usual prompt, a
            template with the variables `tools`, `tool_names`, `input`, `agent_scratchpad` and, if
            it is to show what was said before, `chat_history`.
        stop_sequence: where the model is to stop writing: True is "\nObservation:", False is for
            models that know no `stop`; what they make up behind it is dropped. A text model that
            goes on with questions of its own needs ["\nObservation:", "\nQuestion:"].
        settings: those of `create_agent`.

    Raises:
        ConfigError: no tools; a prompt that lacks variables; what `create_agent` raises.
    """
    if isinstance(model, str):
        model = init_chat_model(model)
    if not isinstance(model, Runnable):
        raise ConfigError(
            "The model of a ReAct agent is a chat model, a text model, or the name of a chat "
            f"model; received {model!r} ({type(model).__name__})."
        )
    tools = [*tools]
    if not tools and settings.get("response_format") is None:
        raise ConfigError("A ReAct agent without tools would have nothing to do: give it some.")
    template = checked_template(prompt)
    if prompt is not None and template is None:
        if settings.get("system_prompt") is not None:
            raise ConfigError("create_react_agent got prompt and system_prompt: give one of them.")
        settings["system_prompt"] = prompt
    text_model = ReActModel(model, stop=_stops(stop_sequence), template=template)
    return create_agent(text_model, tools, **settings)


def _stops(given: bool | str | Sequence[str]) -> Sequence[str]:
    if isinstance(given, bool):
        return STOPS if given else ()
    return [given] if isinstance(given, str) else given


class ReActSingleInputOutputParser(BaseOutputParser[AgentAction | AgentFinish]):
    """What a model writes, whole, as an `AgentAction` or an `AgentFinish`, for chains that do their
    own rounds. The input of an action is its text as it stands."""

    def parse(self, text: str) -> AgentAction | AgentFinish:
        """See the class.

        Raises:
            OutputParserException: there is neither an action with its input nor an answer;
                `observation` is what to tell the model.
        """
        sections, found = Sections(), dict[str, str]()
        for kind, piece in (*sections.feed(text), *sections.finish()):
            found[kind] = found.get(kind, "") + piece
        if "answer" in found:
            return AgentFinish({"output": found["answer"]}, text)
        if "action" in found and "input" in found:
            return AgentAction(found["action"].strip("[]*`'\" "), found["input"].strip('" '), text)
        lacks = "Action Input:" if "action" in found else "Action:"
        raise OutputParserException(
            f"The model has written neither an answer nor an action with its input: {text!r:.300}",
            observation=f'There is no "{lacks}" behind what you wrote.',
            llm_output=text,
            send_to_llm=True,
        )

    def get_format_instructions(self) -> str:
        """What to tell the model of the form."""
        return (
            'Write "Thought:", "Action:" and "Action Input:", a line each; or, when you know the '
            'answer, "Thought:" and "Final Answer:".'
        )

    @property
    def _type(self) -> str:
        return "react-single-input"
