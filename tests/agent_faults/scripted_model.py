"""A chat model that follows a script, whatever a provider might do to the pieces on their way.

Which answer is due follows from the conversation (how many answers of a model are in it), so that
runs side by side and runs that begin again each get their own. Each answer is cut into pieces by
`cut`: reasoning and text first, then the deltas of its calls, interleaved between the calls.

    script = Script(Say("Let me see.", calls=[call("add", {"a": 1, "b": 2}, "c1")]), Say("3"))
    model = ScriptedModel(script=script)

`Say.error` is raised in place of the piece number `Say.error_at`, and only as often as
`Say.failures` says.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from pydantic import ConfigDict

from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk, BaseMessage
from headrace.outputs import ChatGenerationChunk
from headrace.tools import convert_to_openai_tool
from laws.ledger import LEDGER


def call(name: str, args: Any, id: str | None) -> dict[str, Any]:
    """A call as it is asked for; `args`: a dict, or a text that may be no JSON at all."""
    return {"name": name, "args": args if isinstance(args, str) else json.dumps(args), "id": id}


class Say:
    """One answer of a model."""

    def __init__(
        self,
        text: str = "",
        *,
        calls: Sequence[dict[str, Any]] = (),
        reasoning: str = "",
        usage: tuple[int, int] | None = None,
        error: BaseException | None = None,
        error_at: int = 0,
        failures: int = 10**9,
    ) -> None:
        self.text, self.calls, self.reasoning, self.usage = text, list(calls), reasoning, usage
        self.error, self.error_at, self.failures = error, error_at, failures

    def __repr__(self) -> str:
        return f"Say({self.text!r}, calls={self.calls}, reasoning={self.reasoning!r})"

    def pieces(self, cut: random.Random) -> Iterator[AIMessageChunk]:
        for piece in _cut(self.reasoning, cut):
            yield AIMessageChunk(content=[{"type": "reasoning", "reasoning": piece, "index": 0}])
        for piece in _cut(self.text, cut):
            if self.reasoning:
                yield AIMessageChunk(content=[{"type": "text", "text": piece, "index": 1}])
            else:
                yield AIMessageChunk(content=piece)
        waiting = [(i, list(_deltas(i, one, cut))) for i, one in enumerate(self.calls)]
        while waiting:
            # The beginnings come in the order of the calls; what follows may be interleaved.
            unbegun = next((w for w in waiting if w[1][0]["name"]), None)
            begun = [w for w in waiting if not w[1][0]["name"]]
            pick = unbegun if unbegun and (not begun or cut.random() < 0.5) else cut.choice(begun)
            yield AIMessageChunk(content="", tool_call_chunks=[pick[1].pop(0)])
            waiting = [w for w in waiting if w[1]]
        if self.usage:
            given, made = self.usage
            usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
            yield AIMessageChunk(content="", usage_metadata=usage)
        elif not (self.text or self.calls or self.reasoning):
            yield AIMessageChunk(content="")


def _cut(text: str, cut: random.Random) -> Iterator[str]:
    while text:
        size = cut.randint(1, 4)
        yield text[:size]
        text = text[size:]


def _deltas(index: int, one: dict[str, Any], cut: random.Random) -> Iterator[dict[str, Any]]:
    kind = "tool_call_chunk"
    yield {"type": kind, "name": one["name"], "args": "", "id": one["id"], "index": index}
    for piece in _cut(one["args"], cut):
        yield {"type": kind, "name": None, "args": piece, "id": None, "index": index}


class Script:
    """Answers in their order; and what the model was asked, in the order of asking."""

    def __init__(self, *answers: Say, seed: int = 0) -> None:
        self.answers, self.seed = answers, seed
        self.asked: list[list[BaseMessage]] = []
        self.keywords: list[dict[str, Any]] = []
        self.failed: dict[int, int] = {}

    def due(
        self, messages: list[BaseMessage], keywords: dict[str, Any]
    ) -> Iterator[AIMessageChunk]:
        self.asked.append(list(messages))
        self.keywords.append(keywords)
        number = sum(isinstance(message, AIMessage) for message in messages)
        assert number < len(self.answers), f"asked for answer {number} of {len(self.answers)}"
        say, cut = self.answers[number], random.Random(f"{self.seed}/{number}")
        fails = say.error is not None and self.failed.get(number, 0) < say.failures
        for at, piece in enumerate(say.pieces(cut)):
            if fails and at == say.error_at:
                break
            yield piece
        if fails:
            self.failed[number] = self.failed.get(number, 0) + 1
            raise say.error  # type: ignore[misc]


class ScriptedModel(BaseChatModel):
    """Streams `script` in both colours; its bodies are in the ledger while they are open."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        with LEDGER.body("model"):
            for piece in self.script.due(messages, kwargs):
                yield ChatGenerationChunk(message=piece)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        with LEDGER.body("model"):
            for piece in self.script.due(messages, kwargs):
                yield ChatGenerationChunk(message=piece)
