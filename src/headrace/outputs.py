"""What models return inside: generations (candidate answers), their chunks, and results.

A `Generation` is text; a `ChatGeneration` is a message, whose text is read off it on demand. Chunks
add up with `+`, and n at a time through `__headrace_merge__` (`headrace.merge`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from headrace.merge import copy_tree, merge, merge_dicts
from headrace.messages.base import BaseMessage
from headrace.messages.chunks import BaseMessageChunk
from headrace.messages.convert import convert_to_message
from headrace.values import Value

if TYPE_CHECKING:
    from uuid import UUID

__all__ = [
    "ChatGeneration",
    "ChatGenerationChunk",
    "ChatResult",
    "Generation",
    "GenerationChunk",
    "LLMResult",
    "RunInfo",
]


def _merge_info(infos: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The generation_info of a sum; None where no addend has any."""
    return merge_dicts(infos) or None


class Generation(Value):
    """One candidate answer of a text model.

    Args:
        text: the answer.
        generation_info: what the provider says about it, e.g. why it ended.
    """

    __slots__ = ("generation_info", "text")

    type: ClassVar[str] = "Generation"
    _shown = ("text", "generation_info")

    text: str

    def __init__(self, text: str, generation_info: dict[str, Any] | None = None) -> None:
        self.text = text
        self.generation_info = generation_info


class GenerationChunk(Generation):
    """A piece of a `Generation`."""

    __slots__ = ()

    type: ClassVar[str] = "GenerationChunk"

    def __add__(self, other: GenerationChunk) -> Self:
        if not isinstance(other, GenerationChunk):
            return NotImplemented
        return self.__headrace_merge__([self, other])

    @classmethod
    def __headrace_merge__(cls, chunks: Sequence[GenerationChunk]) -> Self:
        return cls(
            "".join([chunk.text for chunk in chunks]),
            _merge_info([chunk.generation_info for chunk in chunks]),
        )


class ChatGeneration(Generation):
    """One candidate answer of a chat model.

    Args:
        message: the answer.
        generation_info: what the provider says about it, e.g. why it ended.
        text: accepted for the sake of `model_validate`; the text is always the message's.
    """

    __slots__ = ("message",)

    type: ClassVar[str] = "ChatGeneration"
    _shown = ("message", "generation_info")

    message: BaseMessage

    def __init__(
        self,
        message: BaseMessage,
        generation_info: dict[str, Any] | None = None,
        text: str | None = None,
    ) -> None:
        self.message = message
        self.generation_info = generation_info

    @property
    def text(self) -> str:  # type: ignore[override]
        """The text of the message; blocks with a text and no type count as text."""
        content = self.message.content
        if isinstance(content, str):
            return content
        untyped = any(isinstance(b, dict) and "text" in b and not b.get("type") for b in content)
        if not untyped:
            return self.message.text
        return "".join(
            block if isinstance(block, str) else block.get("text") or ""
            for block in content
            if isinstance(block, str) or block.get("type") in (None, "text")
        )

    def model_dump(self, **ignored: Any) -> dict[str, Any]:
        return {**super().model_dump(), "text": self.text}

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """Like every value's; the message may be a dict, a tuple or a string."""
        if isinstance(value, Mapping) and "message" in value:
            value = {**value, "message": convert_to_message(value["message"])}
        return super().model_validate(value)


class ChatGenerationChunk(ChatGeneration):
    """A piece of a `ChatGeneration`: a message chunk. Adds to a chunk or to a list of them."""

    __slots__ = ()

    type: ClassVar[str] = "ChatGenerationChunk"

    message: BaseMessageChunk  # pyright: ignore[reportIncompatibleVariableOverride]

    def __add__(self, other: ChatGenerationChunk | Sequence[ChatGenerationChunk]) -> Self:
        if isinstance(other, ChatGenerationChunk):
            mine, others = self.generation_info, other.generation_info
            info = _merge_info([mine, others]) if mine or others else None
            return self.__class__(self.message + other.message, info)
        if isinstance(other, (list, tuple)) and all(
            isinstance(one, ChatGenerationChunk) for one in other
        ):
            return self.__headrace_merge__([self, *other])
        return NotImplemented

    @classmethod
    def __headrace_merge__(cls, chunks: Sequence[ChatGenerationChunk]) -> Self:
        return cls(
            merge([chunk.message for chunk in chunks]),
            _merge_info([chunk.generation_info for chunk in chunks]),
        )


class RunInfo(Value):
    """Which run made a result."""

    __slots__ = ("run_id",)

    _shown = ("run_id",)

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id


class ChatResult(Value):
    """What a chat model's `_generate` returns: the candidate answers to one prompt.

    Args:
        generations: the candidates, best first.
        llm_output: what the provider says about the call.
    """

    __slots__ = ("generations", "llm_output")

    _shown = ("generations", "llm_output")

    def __init__(
        self,
        generations: Sequence[ChatGeneration],
        llm_output: dict[str, Any] | None = None,
    ) -> None:
        self.generations: list[ChatGeneration] = list(generations)
        self.llm_output = llm_output


class LLMResult(Value):
    """The answers to several prompts.

    Args:
        generations: for each prompt its candidates, best first.
        llm_output: what the provider says about the calls.
        run: for each prompt, which run answered it; does not count in comparisons.
    """

    __slots__ = ("generations", "llm_output", "run")

    type: ClassVar[str] = "LLMResult"
    _shown = ("generations", "llm_output", "run")

    def __init__(
        self,
        generations: Sequence[Sequence[Generation]],
        llm_output: dict[str, Any] | None = None,
        run: list[RunInfo] | None = None,
    ) -> None:
        self.generations: list[list[Generation]] = [list(answers) for answers in generations]
        self.llm_output = llm_output
        self.run = run

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LLMResult):
            return NotImplemented
        return self.generations == other.generations and self.llm_output == other.llm_output

    __hash__ = None

    def flatten(self) -> list[LLMResult]:
        """One result per prompt; the token usage stays with the first, so that it counts once."""
        results = []
        for at, answers in enumerate(self.generations):
            output = copy_tree(self.llm_output)
            if at and output is not None:
                output["token_usage"] = {}
            results.append(LLMResult([answers], output))
        return results
