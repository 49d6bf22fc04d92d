"""A chat model that streams what it was given, in the pieces it was given; for either library."""

from __future__ import annotations

import importlib
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from pydantic import Field


def library(package: str) -> SimpleNamespace:
    """The names of a library that the tests need, and `Scripted`, written with them."""
    found: dict[str, Any] = {}
    for module in ("messages", "outputs", "language_models", "runnables", "output_parsers"):
        found.update(vars(importlib.import_module(f"{package}.{module}")))
        for name in getattr(importlib.import_module(f"{package}.{module}"), "__all__", ()):
            found[name] = getattr(importlib.import_module(f"{package}.{module}"), name)
    names = SimpleNamespace(**found)
    names.Scripted = _scripted(names)
    return names


def _scripted(names: Any) -> Any:
    class Scripted(names.BaseChatModel):
        """`pieces`: keywords of message chunks. `calls`: what it was called with."""

        pieces: list[dict[str, Any]]
        calls: list[dict[str, Any]] = Field(default_factory=list)

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            self.calls.append({"stop": stop, **kwargs})
            whole = names.AIMessageChunk(**self.pieces[0])
            for piece in self.pieces[1:]:
                whole = whole + names.AIMessageChunk(**piece)
            message = names.message_chunk_to_message(whole)
            return names.ChatResult(generations=[names.ChatGeneration(message=message)])

        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            self.calls.append({"stop": stop, **kwargs})
            for piece in self.pieces:
                yield names.ChatGenerationChunk(message=names.AIMessageChunk(**piece))

        def bind_tools(self, tools, *, tool_choice=None, **kwargs):
            return self.bind(tools=list(tools), tool_choice=tool_choice, **kwargs)

        @property
        def _llm_type(self) -> str:
            return "scripted"

    return Scripted


def cut(text: str, places: Any) -> list[str]:
    """The text in the pieces that end at these places, none of them empty."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def text_pieces(text: str, places: Any = (), **last: Any) -> list[dict[str, Any]]:
    """The text as the content of chunks; `last`: of an empty chunk at the end."""
    return [*({"content": piece} for piece in cut(text, places)), {"content": "", **last}]


def call_pieces(name: str, text: str, places: Any = (), **last: Any) -> list[dict[str, Any]]:
    """The text as the arguments of one tool call."""
    opening = {"name": name, "args": "", "id": "call_1", "index": 0}
    rest = [{"name": None, "args": piece, "id": None, "index": 0} for piece in cut(text, places)]
    chunks = [{"content": "", "tool_call_chunks": [chunk]} for chunk in (opening, *rest)]
    return [*chunks, {"content": "", **last}]


PLACES = st.lists(st.integers(0, 500), max_size=30)
