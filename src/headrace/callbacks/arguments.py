"""What handlers and tracers are told of a run, in the words of the field.

Events carry plain inputs and outputs; a hook of a model wants messages, prompts and an `LLMResult`,
a hook of a tool its input as text. Each function here makes one such argument and is called only
when somebody takes it.
"""

from __future__ import annotations

from typing import Any

from .._threads import LeftError
from ..errors import HeadraceError, InputError
from ..events import RunCancelled, RunFailed, RunRetried
from ..messages import BaseMessage, BaseMessageChunk, convert_to_messages, get_buffer_string
from ..messages.tool_calls import split_call
from ..outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from ..prompt_values import PromptValue
from .described import described, info_of

__all__ = ["AT_ONCE", "MODELS", "RunCancelledError", "error_of", "extras", "facts", "given_of",
           "kind_of", "messages_of", "name_card", "note_call", "note_end", "prompts_of",
           "result_of", "retry_state", "text_of", "token_of", "transcript"]  # fmt: skip

MODELS = frozenset({"chat_model", "llm"})
"""The types of runs whose chunks are tokens."""

AT_ONCE = frozenset({"prompt", "retriever", "tool"})
"""The types of runs that give one value, which is no chunk."""

_KINDS = {kind: kind for kind in ("chat_model", "llm", "tool", "retriever")}


def kind_of(run_type: str) -> str:
    """Which family of hooks a run belongs to: prompts, parsers and all else are chains."""
    return _KINDS.get(run_type, "chain")


class RunCancelledError(HeadraceError):
    """What error hooks and `on_error` listeners get for a run that was left or cancelled.

    The event tells that a run did not come to its end, not why: the consumer closed the stream,
    the task was cancelled, Ctrl-C. A handle on a live run knows, and says so (`how`). `path` is
    None of a run that had not begun; `partial` is what had come until then, or None. Of a tool
    that has ended by a cancellation, Ctrl-C or an exit, they get that exception (`note_end`).
    """

    def __init__(self, path: str | None, partial: Any = None, how: str | None = None) -> None:
        self._given = path, partial, how
        run, end = ("The run", "it had begun") if path is None else (f"The run {path!r}", "its end")
        super().__init__(
            f"{run} {how}, before {end}."
            if how
            else f"{run} was left before {end}: its consumer closed it, its task was cancelled, or "
            "the program was interrupted."
        )
        self.partial = partial

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


def error_of(event: RunFailed | RunCancelled) -> BaseException:
    """Why a run did not come to its end."""
    if isinstance(event, RunFailed):
        return event.error
    ended_by: BaseException | None = getattr(event.run, "result", None)
    if isinstance(ended_by, BaseException):
        return ended_by
    return RunCancelledError(event.run.path, event.partial)


def facts(run: Any) -> dict[str, Any]:
    """`run_id`, `parent_run_id` and `tags`: worked out once per run and kept with it; of a tool
    that was called by a tool call, its `tool_call_id` as well."""
    found = run.notes
    if found is None or "run_id" not in found:
        above = run.parent_ids
        found = run.notes = {
            "run_id": run.id,
            "parent_run_id": above[-1] if above else None,
            "tags": run.all_tags,
            **(found or {}),
        }
    return found  # type: ignore[no-any-return]


def note_call(run: Any, call_id: str) -> None:
    """Keep with a tool's run which call it answers; the other facts are not worked out for it."""
    if run.notes is None:
        run.notes = {}
    run.notes["tool_call_id"] = call_id


def note_end(run: Any, error: BaseException) -> None:
    """Keep with a tool's run what its body has ended by that is no failure: a cancellation, Ctrl-C,
    an exit. Hooks are told that, since a tool has no partial output; that its consumer has left
    is all that there is to be told of another end."""
    if run.observed and not isinstance(error, (GeneratorExit, LeftError)):
        run.result = error


def extras(run: Any) -> dict[str, Any]:
    """What a start hook is told besides: of models `invocation_params`, `options` and
    `batch_size`; of a run opened by hand what it was opened with."""
    of = getattr(getattr(run, "node", None), "_hook_extras", None)
    return {} if of is None else of(run.kw)


def retry_state(event: RunRetried) -> Any:
    """A `tenacity.RetryCallState`, as tenacity gives it to what it calls before it sleeps."""
    from tenacity import Future, RetryAction, RetryCallState, Retrying

    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = event.attempt
    state.outcome = Future(event.attempt)
    state.outcome.set_exception(event.error)
    state.outcome_timestamp = event.time
    state.idle_for = getattr(event.run, "waited", event.delay)
    state.next_action = RetryAction(event.delay)
    state.upcoming_sleep = event.delay
    return state


def name_card(run: Any) -> dict[str, Any]:
    """What stands for the component in `serialized`: its name and class, never its settings."""
    card = getattr(getattr(run, "node", None), "card", None)
    if card is not None:  # of a run opened by hand
        return card  # type: ignore[no-any-return]
    kind = type(getattr(run, "node", None) or run)
    place = [*kind.__module__.split("."), kind.__name__]
    return {"lc": 1, "type": "not_implemented", "id": place, "name": run.name}


def messages_of(value: Any) -> list[list[BaseMessage]]:
    """A chat model's input as messages, one list per prompt; `[[]]` where it is not known."""
    if value is None:
        return [[]]
    if isinstance(value, PromptValue):
        return [value.to_messages()]
    if isinstance(value, (str, BaseMessage)):
        return [convert_to_messages([value])]
    try:
        return [convert_to_messages(value)]
    except InputError:  # the model itself says so, when it is asked
        return [[]]


def prompts_of(value: Any) -> list[str]:
    """A text model's input as prompts; a chat model's, written out with a name per message."""
    if value is None:
        return [""]
    if isinstance(value, str):
        return [value]
    if isinstance(value, PromptValue):
        return [value.to_string()]
    return transcript(value)


def transcript(value: Any) -> list[str]:
    """A chat model's input for hooks that only know text: every message behind its role."""
    return [get_buffer_string(messages) for messages in messages_of(value)]


def given_of(run: Any) -> Any:
    """What a model's body answered, of which the run's output is a part; None where not known."""
    return getattr(run, "result", None)


def result_of(output: Any, given: Any = None) -> LLMResult:
    """A model's output, or as much of it as had come; no generation where nothing had.

    Args:
        given: what the model's body answered, a `ChatResult` or an `LLMResult`: it has candidates
            and `llm_output` as well.
    """
    if given is not None:
        if not isinstance(given, ChatResult):
            return given  # type: ignore[no-any-return]
        return described(LLMResult([given.generations], given.llm_output))
    if output is None:
        return LLMResult(generations=[[]])
    return described(LLMResult([[_generation(output)]]))


def _generation(output: Any) -> Generation:
    if isinstance(output, Generation):
        return output
    if isinstance(output, BaseMessage):
        return ChatGeneration(message=output)
    if isinstance(output, str):
        return Generation(text=output)
    raise InputError(
        f"A model gave {output!r} ({type(output).__name__}), which is neither text nor a message: "
        "hooks of models cannot be told of it."
    )


def token_of(chunk: Any) -> tuple[Any, Any] | None:
    """(token, generation chunk) of a piece of a model's stream; None for what is no piece."""
    if isinstance(chunk, BaseMessageChunk):
        return chunk.content, ChatGenerationChunk(chunk, info_of(chunk))
    if isinstance(chunk, str):
        return chunk, GenerationChunk(chunk)
    return None


def text_of(value: Any) -> str:
    """A tool's input as text; of a tool call its arguments."""
    given, _ = split_call(value)
    return given if isinstance(given, str) else str(given)
