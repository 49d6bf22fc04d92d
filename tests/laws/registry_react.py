"""The registry's parts of a ReAct agent: its model, prompt and parsers."""

from __future__ import annotations

from typing import Any

from headrace.agents import ReActSingleInputOutputParser
from headrace.agents._react_prompt import ReActPrompt
from headrace.agents._react_reading import ReActOutputParser
from headrace.agents.react import ReActModel
from headrace.flow import last
from headrace.language_models import FakeStreamingListLLM
from headrace.language_models.binding import described_tools
from laws.entry import Entry
from laws.kinds import TEXT


def search(query: str) -> str:
    """Search the archive."""
    return query


TOOLS = described_tools([search])
WRITTEN = 'I look.\nAction: search\nAction Input: {"query": "é"}'
THOUGHT = {"reasoning_content": "I look."}


def _call_in(message: Any) -> Any:
    """What is compared of a message: all but the call's id, which is made anew for each run."""
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    lacks = "format_error" in message.response_metadata
    return message.content, message.additional_kwargs, calls, lacks


def _thought(text: str) -> Any:
    """Of a text of a few letters, which has no action in it."""
    said = text.strip()
    return "", {"reasoning_content": said} if said else {}, [], True


def _model() -> Any:
    return ReActModel(FakeStreamingListLLM(responses=[WRITTEN])).bind_tools([search])


def _acts() -> Any:
    return (lambda text: f"{WRITTEN}{text}") | ReActSingleInputOutputParser()


def _asked(text: str) -> str:
    """How the prompt for a question ends."""
    return f"Question: {text}\nThought:"


REACT = [
    Entry("react-model", _model, TEXT, lambda _: ("", THOUGHT, [("search", {"query": "é"})], False),
          view=_call_in),
    Entry("react-parser", lambda: ReActOutputParser(TOOLS), TEXT, _thought, view=_call_in,
          flows=True),
    Entry("react-prompt", lambda: ReActPrompt(TOOLS) | (lambda value: value.to_string()[-9:]),
          TEXT, lambda text: _asked(text)[-9:]),
    Entry("react-action", _acts, TEXT, None, fold=last),
]  # fmt: skip
