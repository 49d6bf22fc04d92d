"""The conformance tests find what they are for: an honest model passes, each faulty one fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.language_models import BaseChatModel
from headrace.messages import AIMessageChunk
from headrace.outputs import ChatGenerationChunk
from headrace.testing import ChatModelConformance

_IDS = itertools.count()
_USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


class Honest(BaseChatModel):
    """Says what it is asked, in pieces."""

    key: str = "sk-secret"

    @property
    def _llm_type(self) -> str:
        return "honest"

    def __repr_args__(self) -> Any:
        return []

    def _said(self, text: str, **more: Any) -> AIMessageChunk:
        return AIMessageChunk(text, **more)

    def _end(self, id: str, reason: str) -> AIMessageChunk:
        told = {"model_name": "honest", "finish_reason": reason}
        return AIMessageChunk("", id=id, usage_metadata=_USAGE, response_metadata=told)

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        id = f"honest-{next(_IDS)}"
        words = ["I", " was", " asked:", " much"]
        for word in words[: 1 if stop else None]:
            yield ChatGenerationChunk(self._said(word, id=id))
        yield ChatGenerationChunk(self._end(id, "stop"))


class Repeating(Honest):
    """Tells its usage with each chunk."""

    def _said(self, text: str, **more: Any) -> AIMessageChunk:
        return AIMessageChunk(text, usage_metadata=_USAGE, **more)


class Changing(Honest):
    """Has an id for each chunk."""

    def _said(self, text: str, **more: Any) -> AIMessageChunk:
        return AIMessageChunk(text, id=f"changing-{next(_IDS)}")


class Silent(Honest):
    """Does not tell its usage, its model, or why it ended."""

    def _end(self, id: str, reason: str) -> AIMessageChunk:
        return AIMessageChunk("", id=id)


class Talkative(Honest):
    """Shows its key."""

    def __repr_args__(self) -> Any:
        return [("key", self.key)]


class Whole(Honest):
    """Streams everything at once."""

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        id = f"whole-{next(_IDS)}"
        yield ChatGenerationChunk(AIMessageChunk("I was asked e", id=id))
        yield ChatGenerationChunk(self._end(id, "stop"))


def suite(kind: type[Honest]) -> Any:
    class Tests(ChatModelConformance):
        calls_tools = False
        structured_methods = ()
        cuts = False
        secret = "sk-secret"

        def make_model(self, **settings: Any) -> BaseChatModel:
            return kind(**settings)

    return Tests()


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Repeating, "test_nothing_is_told_twice"),
        (Changing, "test_a_stream_has_one_id_and_one_end"),
        (Silent, "test_answers_tell_their_usage"),
        (Silent, "test_answers_tell_their_model"),
        (Talkative, "test_the_key_shows_nowhere"),
        (Whole, "test_a_stream_comes_in_pieces"),
        (Whole, "test_texts_that_end_an_answer"),
    ],
)
def test_a_fault_is_found(kind: type[Honest], test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(suite(kind), test)()


class TestHonest(ChatModelConformance):
    calls_tools = False
    structured_methods = ()
    cuts = False

    def make_model(self, **settings: Any) -> BaseChatModel:
        return Honest(**settings)
