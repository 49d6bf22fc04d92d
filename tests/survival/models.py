"""A chat model that breaks down when it is told to, and goes on with a prefix where it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from headrace.language_models import BaseChatModel
from headrace.messages import AIMessage, AIMessageChunk
from headrace.outputs import ChatGenerationChunk
from laws.ledger import LEDGER
from survival.pieces import WORDS


def usage(given: int, made: int) -> Any:
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


class Speaker(BaseChatModel):
    """Says `words` in chunks of ids "id-<call>"; call n fails at chunk k with `fails[(n, k)]`.

    After a prefix it says what is left, `back` characters of the prefix again. Each chunk counts
    one output token; usage comes with each chunk when `counted`, else with the last alone.
    """

    takes_prefix: ClassVar[bool] = False
    words: list[str] = WORDS
    fails: Any = {}  # noqa: RUF012 - a pydantic field, as the next ones
    said: list[Any] = []  # noqa: RUF012
    calls_tool: bool = False
    counted: bool = False
    back: int = 0
    ids: bool = True

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.said.append(messages)
        call = len(self.said)
        with LEDGER.body("model"):
            for number, words in enumerate([*self._left(messages), None]):
                if (call, number) in self.fails:
                    raise self.fails[call, number]
                if words is not None:
                    yield ChatGenerationChunk(self._chunk(words, call, number))
            last = AIMessageChunk(
                "", id=self._id(call), chunk_position="last", usage_metadata=self._last(call)
            )
            yield ChatGenerationChunk(last)

    def _id(self, call: int) -> Any:
        return f"id-{call}" if self.ids else None

    def _last(self, call: int) -> Any:
        return None if self.counted else usage(10, call)

    def _chunk(self, words: str, call: int, number: int) -> AIMessageChunk:
        tool = {"name": "f", "args": "{}", "id": f"call-{call}", "index": 0}
        return AIMessageChunk(
            words,
            id=self._id(call),
            tool_call_chunks=[tool] if self.calls_tool and number == 0 else [],
            usage_metadata=usage(10 if number == 0 else 0, 1) if self.counted else None,
        )

    def _left(self, messages: Any) -> list[str]:
        """The words after the prefix, each whole or the part of it that is left."""
        prefix = messages[-1].content if isinstance(messages[-1], AIMessage) else ""
        skip = max(0, len(prefix) - self.back)
        assert "".join(self.words).startswith(prefix), f"not my words: {prefix!r}"
        left: list[str] = []
        for word in self.words:
            if skip < len(word):
                left.append(word[skip:])
            skip = max(0, skip - len(word))
        return left


class Going(Speaker):
    """A speaker that goes on where its prompt ends; nobody knows what it repeats."""

    takes_prefix: ClassVar[bool] = True


class Exact(Going):
    """One that repeats nothing."""

    repeats_prefix: ClassVar[bool | None] = False


class Repeating(Going):
    """One that repeats all that it was given."""

    repeats_prefix: ClassVar[bool | None] = True
    back: int = 1_000_000
