"""Which hook of a handler an event goes to, and with which arguments: tables, and functions from an
event to a call. The names and arguments of the hooks are those that users of LangChain expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..events import (
    CustomEvent,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
    ToolProgress,
)
from ..messages.tool_calls import split_call
from .arguments import (
    error_of,
    extras,
    facts,
    given_of,
    kind_of,
    messages_of,
    name_card,
    prompts_of,
    result_of,
    retry_state,
    text_of,
    token_of,
    transcript,
)

__all__ = ["CHAT_AS_LLM", "ROWS", "Call", "Kinds", "Row", "chat_as_llm_start"]

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _started(event: Any, **more: Any) -> dict[str, Any]:
    run = event.run
    told = {**facts(run), "metadata": run.metadata, "name": run.name}
    return {**told, **more, **extras(run)}


def _chat_start(event: RunStarted) -> Call:
    return (name_card(event.run), messages_of(event.input)), _started(event)


def chat_as_llm_start(event: RunStarted) -> Call:
    """What a hook for text models gets of a chat model: its messages as a transcript."""
    return (name_card(event.run), transcript(event.input)), _started(event)


def _llm_start(event: RunStarted) -> Call:
    return (name_card(event.run), prompts_of(event.input)), _started(event)


def _chain_start(event: RunStarted) -> Call:
    # an input that streams is not there yet: on_chain_end has it
    inputs = event.input if event.known else {"input": ""}
    card = getattr(getattr(event.run, "node", None), "card", None)  # of a run opened by hand
    return (card, inputs), _started(event, run_type=event.run.run_type)


def _tool_start(event: RunStarted) -> Call:
    given, call_id = split_call(event.input)
    inputs = given if isinstance(given, dict) else None
    more = {"inputs": inputs, "tool_call_id": call_id}
    return (name_card(event.run), text_of(given)), _started(event, **more)


def _retriever_start(event: RunStarted) -> Call:
    return (name_card(event.run), event.input), _started(event)


def _token(event: RunChunk) -> Call | None:
    told = None if event.whole else token_of(event.chunk)
    return None if told is None else ((told[0],), {**facts(event.run), "chunk": told[1]})


def _llm_end(event: RunEnded) -> Call:
    return (result_of(event.output, given_of(event.run)),), facts(event.run)


def _chain_end(event: RunEnded) -> Call:
    return (event.output,), {**facts(event.run), "inputs": event.input}


def _value_end(event: RunEnded) -> Call:
    return (event.output,), facts(event.run)


def _stopped(event: RunFailed | RunCancelled) -> Call:
    return (error_of(event),), facts(event.run)


def _llm_stopped(event: RunFailed | RunCancelled) -> Call:
    return (error_of(event),), {
        **facts(event.run),
        "response": result_of(event.partial, given_of(event.run)),
    }


def _retried(event: RunRetried) -> Call:
    return (retry_state(event),), facts(event.run)


def _custom(event: CustomEvent) -> Call:
    told = facts(event.run)
    rest = {"run_id": told["run_id"], "tags": told["tags"], "metadata": event.run.metadata}
    return (event.label, event.data), rest


def _progress(event: ToolProgress) -> Call:
    return (event.value,), {**facts(event.run), "tool_call_id": event.tool_call_id}


class Row(NamedTuple):
    """Which hook an event of a kind of run goes to, what makes it deaf, what makes its call."""

    hook: str
    ignore: str | None  # None where the class has not overridden it
    build: Callable[[Any], Call | None]

    def seen_by(self, cls: type, base: type) -> Row:
        """The row for a class of handlers, derived from `base`."""
        same = getattr(cls, self.ignore or "") is getattr(base, self.ignore or "")
        return self._replace(ignore=None) if same else self


class Kinds(dict[str, "Row | None"]):
    """Rows by run type; a type that is asked for the first time gets the row of its family."""

    def __missing__(self, run_type: str) -> Row | None:
        row = self[run_type] = self.get(kind_of(run_type))
        return row


_STOPPED = {
    "chat_model": Row("on_llm_error", "ignore_llm", _llm_stopped),
    "llm": Row("on_llm_error", "ignore_llm", _llm_stopped),
    "chain": Row("on_chain_error", "ignore_chain", _stopped),
    "tool": Row("on_tool_error", "ignore_agent", _stopped),
    "retriever": Row("on_retriever_error", "ignore_retriever", _stopped),
}
ROWS: dict[type, dict[str, Row]] = {
    RunStarted: {
        "chat_model": Row("on_chat_model_start", "ignore_chat_model", _chat_start),
        "llm": Row("on_llm_start", "ignore_llm", _llm_start),
        "chain": Row("on_chain_start", "ignore_chain", _chain_start),
        "tool": Row("on_tool_start", "ignore_agent", _tool_start),
        "retriever": Row("on_retriever_start", "ignore_retriever", _retriever_start),
    },
    RunChunk: {
        "chat_model": Row("on_llm_new_token", "ignore_llm", _token),
        "llm": Row("on_llm_new_token", "ignore_llm", _token),
    },
    RunEnded: {
        "chat_model": Row("on_llm_end", "ignore_llm", _llm_end),
        "llm": Row("on_llm_end", "ignore_llm", _llm_end),
        "chain": Row("on_chain_end", "ignore_chain", _chain_end),
        "tool": Row("on_tool_end", "ignore_agent", _value_end),
        "retriever": Row("on_retriever_end", "ignore_retriever", _value_end),
    },
    RunFailed: _STOPPED,
    RunCancelled: _STOPPED,
    RunRetried: dict.fromkeys(_STOPPED, Row("on_retry", "ignore_retry", _retried)),
    CustomEvent: dict.fromkeys(_STOPPED, Row("on_custom_event", "ignore_custom_event", _custom)),
    ToolProgress: {"tool": Row("on_tool_progress", "ignore_agent", _progress)},
}
CHAT_AS_LLM = Row("on_llm_start", "ignore_llm", chat_as_llm_start)
