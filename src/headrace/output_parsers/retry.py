"""`RetryOutputParser` and `RetryWithErrorOutputParser`: what another parser cannot read, a model is
asked again, with the prompt that it was an answer to. For text alone there is `OutputFixingParser`.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from ..errors import InputError, OutputParserException
from ..shapes import Flow
from ._asking_again import (
    AskingAgain,
    aparse_text,
    arun_attempts,
    attempts,
    parse_text,
    run_attempts,
)
from .base import BaseLLMOutputParser, T

__all__ = ["RetryOutputParser", "RetryWithErrorOutputParser"]

P = TypeVar("P")

_PROMPT = """This was asked:

{prompt}

This was the answer, which is not in the form that was asked for:

{completion}

Answer again, in that form and with nothing else."""

_PROMPT_WITH_ERROR = """This was asked:

{prompt}

This was the answer:

{completion}

It could not be read:

{error}

Answer again, without that mistake and with nothing else."""


class RetryOutputParser(AskingAgain[T]):
    """`parser`, and where it raises OutputParserException, a model's next answer to the prompt.

    It needs the prompt, so call `parse_with_prompt(completion, prompt_value)`, in a chain after
    `{"completion": …, "prompt_value": …}`:

        RunnableParallel(completion=prompt | model | StrOutputParser(), prompt_value=prompt)
        | (lambda both: retry.parse_with_prompt(**both))

    When nothing helps, the first error is raised, with the attempts as its notes.

    Args:
        parser: any output parser.
        retry_chain: from `{"prompt", "completion"}` to a better answer: a string or a message.
            `from_llm` makes one.
        max_retries: how often the model may be asked, 1 by default.
    """

    _asks: ClassVar[str] = _PROMPT
    _tells: ClassVar[bool] = False  # the model what was wrong

    @classmethod
    def from_llm(
        cls, llm: Any, parser: BaseLLMOutputParser[P], prompt: Any = None, max_retries: int = 1
    ) -> RetryOutputParser[P]:
        """With a chain of `prompt`, `llm` and the text of what that says.

        prompt: with the variables that `retry_chain` is given, or some of them.
        """
        return cls._with_llm(llm, parser, prompt, max_retries)  # type: ignore[no-any-return]

    def parse(self, text: str) -> Any:
        """Refused: see `parse_with_prompt`."""
        raise InputError(
            f"{type(self).__name__} asks again with the prompt, which parse(text) and a chain's "
            "step do not have: call parse_with_prompt(completion, prompt_value), or use "
            "OutputFixingParser, which needs the text only."
        )

    def parse_with_prompt(self, completion: str, prompt_value: Any) -> T:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The value of `completion`, or of a next answer to the prompt.

        Args:
            completion: what the model said.
            prompt_value: what it was asked: a prompt value, or its text.
        """
        try:
            return parse_text(self.parser, completion)  # type: ignore[no-any-return]
        except OutputParserException as error:
            plan = self._plan(completion, prompt_value, error)
            return run_attempts(plan, self.parser, self.retry_chain)[1]  # type: ignore[no-any-return]

    async def aparse_with_prompt(self, completion: str, prompt_value: Any) -> T:
        """The same, awaited."""
        try:
            return await aparse_text(self.parser, completion)  # type: ignore[no-any-return]
        except OutputParserException as error:
            plan = self._plan(completion, prompt_value, error)
        return (await arun_attempts(plan, self.parser, self.retry_chain))[1]  # type: ignore[no-any-return]

    def _plan(self, completion: str, prompt_value: Any, error: OutputParserException) -> Any:
        asked = prompt_value if isinstance(prompt_value, str) else prompt_value.to_string()

        def variables(text: str, wrong: OutputParserException) -> dict[str, Any]:
            said = {"prompt": asked, "completion": text}
            return {**said, "error": str(wrong)} if self._tells else said

        return attempts(completion, error, self.max_retries, variables)

    def _flow(self) -> Flow:
        return Flow("barrier")

    @property
    def _type(self) -> str:
        return "retry"


class RetryWithErrorOutputParser(RetryOutputParser[T]):
    """The same, and the model is told what was wrong: `retry_chain` gets an `error`, too."""

    _asks: ClassVar[str] = _PROMPT_WITH_ERROR
    _tells: ClassVar[bool] = True

    @classmethod
    def from_llm(
        cls, llm: Any, parser: BaseLLMOutputParser[P], prompt: Any = None, max_retries: int = 1
    ) -> RetryWithErrorOutputParser[P]:
        """With a chain of `prompt`, `llm` and the text of what that says.

        prompt: with the variables that `retry_chain` is given, or some of them.
        """
        return cls._with_llm(llm, parser, prompt, max_retries)  # type: ignore[no-any-return]

    @property
    def _type(self) -> str:
        return "retry_with_error"
