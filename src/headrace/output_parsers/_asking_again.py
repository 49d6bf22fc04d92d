"""`AskingAgain`: what parsers that ask a model again have in common.

`attempts` says what to do next, and has no colour: `run_attempts` and `arun_attempts` do it. The
error that all began with is never lost. Where the attempts are used up, it is raised, with what
became of them as notes; where the model fails, that failure is raised, with it as its cause.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from ..errors import ConfigError, OutputParserException
from ..outputs import Generation
from ..runnables import Runnable, schema
from ..runnables.coerce import coerce_to_runnable
from ..shapes import Node
from .base import BaseLLMOutputParser, BaseOutputParser, T, text_of
from .string import StrOutputParser

__all__ = [
    "AskingAgain",
    "aparse_text",
    "arun_attempts",
    "attempts",
    "parse_text",
    "run_attempts",
]


class AskingAgain(BaseOutputParser[T]):
    """A parser that has another one, and a chain that gives a better text than the one that cannot
    be read.

    legacy: accepted for programs that give it; means nothing.
    """

    parser: Any
    retry_chain: Any
    max_retries: int = 1
    legacy: bool = True

    _asks: ClassVar[str]  # the template of the prompt
    _advice: ClassVar[Mapping[str, str]] = {
        "llm": "a parser that asks a model is made by from_llm(llm=…, parser=…)."
    }

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        kind = type(self).__name__
        if not isinstance(self.parser, BaseLLMOutputParser) or not isinstance(
            self.parser, Runnable
        ):
            raise ConfigError(
                f"{kind}(parser={self.parser!r}): give the output parser whose failures are to be "
                "mended."
            )
        if self.max_retries < 0:
            raise ConfigError(
                f"{kind}(max_retries={self.max_retries}): give the number of times that the model "
                "may be asked again, 0 or more."
            )
        self.retry_chain = coerce_to_runnable(self.retry_chain, f"the retry_chain of {kind}")

    @classmethod
    def _with_llm(cls, llm: Any, parser: Any, prompt: Any, max_retries: int) -> Any:
        """See `from_llm`, which each class has: what it gives is typed by `parser`."""
        from ..prompts import PromptTemplate

        asked = PromptTemplate.from_template(cls._asks) if prompt is None else prompt
        chain = asked | llm | StrOutputParser()
        return cls(parser=parser, retry_chain=chain, max_retries=max_retries)

    def get_format_instructions(self) -> str:
        """Those of `parser`."""
        return self.parser.get_format_instructions()  # type: ignore[no-any-return]

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self.parser, config

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("parser", self.parser), ("retry_chain", self.retry_chain)]


class Ask(NamedTuple):
    """Ask the model with these variables; the outcome is its text."""

    variables: dict[str, Any]


class Parse(NamedTuple):
    """Parse that text; the outcome is the value."""

    text: str


Plan = Generator[Ask | Parse, Any, tuple[str, Any]]


def attempts(
    text: str,
    first: OutputParserException,
    most: int,
    variables: Callable[[str, OutputParserException], dict[str, Any]],
) -> Plan:
    """Ask up to `most` times for another text than `text`, which failed with `first`.

    Returns:
        the text that can be read, and its value.
    """
    error = first
    for number in range(1, most + 1):
        try:
            text = yield Ask(variables(text, error))
        except Exception as failed:
            failed.add_note(f"While asking a model again, since its output was wrong: {first}")
            if failed.__cause__ is None:
                raise failed from first
            raise
        try:
            return text, (yield Parse(text))
        except OutputParserException as wrong:
            first.add_note(f"Attempt {number} of {most} to get it right gave {text!r}: {wrong}")
            error = wrong
    raise first


def run_attempts(plan: Plan, parser: Any, chain: Any) -> tuple[str, Any]:
    """What comes of a plan of attempts: a text and its value."""
    try:
        step = next(plan)
        while True:
            try:
                outcome = (
                    text_of(chain.invoke(step.variables))
                    if type(step) is Ask
                    else parse_text(parser, step.text)  # type: ignore[union-attr]
                )
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(outcome)
    except StopIteration as end:
        found: tuple[str, Any] = end.value
        return found


async def arun_attempts(plan: Plan, parser: Any, chain: Any) -> tuple[str, Any]:
    """The same, awaited."""
    try:
        step = next(plan)
        while True:
            try:
                outcome = (
                    text_of(await chain.ainvoke(step.variables))
                    if type(step) is Ask
                    else await aparse_text(parser, step.text)  # type: ignore[union-attr]
                )
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(outcome)
    except StopIteration as end:
        found: tuple[str, Any] = end.value
        return found


def parse_text(parser: Any, text: str) -> Any:
    """The value of a text, by a parser of any kind."""
    return parser.parse_result([Generation(text=text)])


def aparse_text(parser: Any, text: str) -> Awaitable[Any]:
    """The same, awaited."""
    return parser.aparse_result([Generation(text=text)])  # type: ignore[no-any-return]
