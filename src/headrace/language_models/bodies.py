"""What the methods that a model's author writes must take and give, and the sentences where they
do not.

| body | takes | gives |
|---|---|---|
| `_call`, `_acall` | a prompt, `stop`, `run_manager`, `**kwargs` | a string |
| `_generate`, `_agenerate` | prompts or messages, and the same | an `LLMResult`, a `ChatResult` |
| `_stream`, `_astream` | a prompt or messages, and the same | an iterator of generation chunks |

A whole answer is checked once a call. Chunks are not: one that is of another kind fails where it
is used, and is explained there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import ModelError
from ..run import Run

__all__ = [
    "ModelBodyError",
    "aask",
    "ask",
    "checked_answer",
    "checked_stream",
    "explained_call",
    "opened_stream",
    "wrong_chunk",
]


class ModelBodyError(ModelError, TypeError):
    """A method of a model's class cannot be called as models are, or gives something else."""


_GIVES = {
    "ChatResult": "a ChatResult, as in ChatResult(generations=[ChatGeneration(message="
    'AIMessage("…"))])',
    "LLMResult": "an LLMResult, as in LLMResult(generations=[[Generation(text=…)] for prompt in "
    "prompts])",
    "str": "a string",
    "ChatGenerationChunk": "ChatGenerationChunk(message=AIMessageChunk(content=…))",
    "GenerationChunk": "GenerationChunk(text=…)",
}


def checked_answer(answer: Any, wanted: type, model: Any, body: str) -> Any:
    """The answer of a body.

    Raises:
        ModelBodyError: it is not of the kind `wanted`, or a result without a generation.
    """
    if not isinstance(answer, wanted):
        raise ModelBodyError(
            f"{type(model).__name__}.{body} returned {answer!r:.200} ({type(answer).__name__}): "
            f"return {_GIVES[wanted.__name__]}."
        )
    if not getattr(answer, "generations", True):
        raise ModelBodyError(
            f"{type(model).__name__}.{body} returned a {wanted.__name__} without generations: "
            f"return {_GIVES[wanted.__name__]}."
        )
    return answer


def wrong_chunk(chunk: Any, wanted: type, model: Any) -> ModelBodyError:
    """What to raise where a chunk has turned out to be of another kind."""
    whose = "A model's stream" if model is None else f"{type(model).__name__}'s stream"
    return ModelBodyError(
        f"{whose} gave {chunk!r:.200} ({type(chunk).__name__}): yield "
        f"{_GIVES[wanted.__name__]} from _stream and _astream."
    )


def ask(run: Run, body: Callable[..., Any], asked: Any, given: dict[str, Any]) -> Any:
    """What `body(asked, **given)` gives, called inside the run.

    Raises:
        ModelBodyError: the body cannot be called so.
    """
    try:
        return run.call(body, asked, **given)
    except TypeError as error:
        raise explained_call(error, body, asked, given)  # noqa: B904 - often the same one


async def aask(run: Run, body: Callable[..., Any], asked: Any, given: dict[str, Any]) -> Any:
    """`ask` for a coroutine function."""
    try:
        return await run.acall(body, asked, **given)
    except TypeError as error:
        raise explained_call(error, body, asked, given)  # noqa: B904 - often the same one


def opened_stream(model: Any, asked: Any, given: dict[str, Any]) -> Any:
    """What a model's `_stream` gives, for a `_generate` that is its sum.

    Raises:
        ModelBodyError: the body cannot be called so, or gives no stream.
    """
    try:
        stream = model._stream(asked, **given)
    except TypeError as error:
        raise explained_call(error, model._stream, asked, given)  # noqa: B904 - often the same one
    return checked_stream(stream, "__iter__", model, "_stream")


def checked_stream(stream: Any, opener: str, model: Any, body: str) -> Any:
    """What `_stream` gave, which must have the method `opener` of an iterable."""
    if not hasattr(stream, opener):
        shown, kind = f"{stream!r:.200}", type(stream).__name__
        if inspect.iscoroutine(stream):
            stream.close()
        raise ModelBodyError(
            f"{type(model).__name__}.{body} returned {shown} ({kind}): give the chunks with "
            f"`yield`, or return an iterator of them."
        )
    return stream


def explained_call(
    error: TypeError, body: Callable[..., Any], asked: Any, given: dict[str, Any]
) -> TypeError:
    """The error of a call of `body(asked, **given)`, or a sentence if the call itself cannot be
    made: the body lacks a parameter."""
    try:
        takes = inspect.signature(body)
    except (TypeError, ValueError):  # nothing is known of its parameters
        return error
    try:
        takes.bind(asked, **given)
    except TypeError:
        return _uncallable(body, takes, given)
    return error


def _uncallable(
    body: Callable[..., Any], takes: inspect.Signature, given: dict[str, Any]
) -> ModelBodyError:
    lacks = [name for name in given if name not in takes.parameters]
    if inspect.Parameter.VAR_KEYWORD in [one.kind for one in takes.parameters.values()]:
        lacks = []
    name = getattr(body, "__name__", "body")
    owner = type(getattr(body, "__self__", body)).__name__
    first = next(iter(takes.parameters), "messages")
    start = "async def" if inspect.iscoroutinefunction(body) else "def"
    return ModelBodyError(
        f"{owner}.{name} does not take {', '.join(lacks) or 'its arguments as they are given'}: "
        f"write `{start} {name}(self, {first}, stop=None, run_manager=None, **kwargs)`."
    )
