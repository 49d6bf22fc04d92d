"""The loop of an agent, without I/O: messages go in, the next thing to do comes out.

    conversation                                            next
    ------------------------------------------------------  ----------------------------
    ends with what a person, a hook or a tool said          Ask the model
    ends with calls of which some have no answer            Call these; Wait for approval
    ends with a model's message without calls               End
    ends with answers of tools that are `direct`            End
    ends with the call that gives the answer in its form    End

It is decided from the messages alone (and how often the model was asked in this run). So going on
from a checkpoint is the same loop with more messages: a call whose answer stands there is not made
again. A mistake of the model is a message whose `response_metadata` has `"error"`: what kind it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from ..run import fresh_id
from .errors import AgentError, MaxErrorsError, MaxStepsError
from .state import calls_of

__all__ = ["FORMAT_ERROR", "Ask", "Call", "End", "Fail", "Remind", "Rules", "Step", "Wait",
           "declined", "last_said", "mistake", "next_step", "with_ids"]  # fmt: skip

FORMAT_ERROR = "format_error"
"""In the `response_metadata` of a model's message: why it is neither a call nor an answer, in words
for the model. Who reads models' texts (`react.py`) puts it there."""


class Rules(NamedTuple):
    """What an agent may do.

    direct: the tools whose answers end the run. waits: those that need approval, or None: all.
    form: the name of the tool by which the model gives its answer in a form, if it is to have one.
    """

    max_steps: int
    max_errors: int
    direct: frozenset[str] = frozenset()
    waits: frozenset[str] | None = frozenset()
    form: str | None = None


class Ask(NamedTuple):
    """Ask the model."""


class Call(NamedTuple):
    """Make these calls."""

    calls: list[Any]


class Wait(NamedTuple):
    """Stop until these calls are approved."""

    calls: list[Any]


class Remind(NamedTuple):
    """Tell the model that its answer is to have a form."""

    message: HumanMessage


class End(NamedTuple):
    """The conversation has its answer."""


class Fail(NamedTuple):
    """It will not have one."""

    error: AgentError


Step: TypeAlias = Ask | Call | Wait | Remind | End | Fail


def next_step(messages: Sequence[BaseMessage], rules: Rules, steps: int, approved: bool) -> Step:
    """What comes next.

    Args:
        steps: how often the model was asked in this run.
        approved: whether the calls that wait may be made.
    """
    said, after = last_said(messages)
    if said is None or not all(isinstance(message, ToolMessage) for message in after):
        return _asked(messages, rules, steps)
    calls = calls_of(said)
    answered = {message.tool_call_id for message in after}  # type: ignore[attr-defined]
    open_calls = [call for call in calls if call["id"] not in answered]
    if open_calls:
        waits = [call for call in open_calls if rules.waits is None or call["name"] in rules.waits]
        return Wait(waits) if waits and not approved else Call(open_calls)
    if not calls:
        lacks = _lacking(said, rules.form)
        return End() if lacks is None else Remind(_reminder(lacks))
    return End() if _is_answer(after, rules) else _asked(messages, rules, steps)


def last_said(messages: Sequence[BaseMessage]) -> tuple[AIMessage | None, Sequence[BaseMessage]]:
    """The model's last message, and what came after it."""
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if isinstance(message, AIMessage):
            return message, messages[place + 1 :]
    return None, messages


def _is_answer(answers: Sequence[BaseMessage], rules: Rules) -> bool:
    """Whether what tools answered is what the agent answers."""
    if rules.form is None and not rules.direct:
        return False
    if any(m.name == rules.form and _mistaken(m) is None for m in answers if rules.form):
        return True
    return all(m.name in rules.direct and m.status == "success" for m in answers)  # type: ignore[attr-defined]


def _asked(messages: Sequence[BaseMessage], rules: Rules, steps: int) -> Step:
    wrong = _mistakes_in_a_row(messages)
    if wrong > rules.max_errors:
        return Fail(
            MaxErrorsError(
                f"The model was told of its mistakes {rules.max_errors} times in a row, and made "
                f"another one ({messages[-1].text!r:.300}). Say in the tools' descriptions what "
                "they take, use another model, or raise max_errors.",
                messages=messages,
            )
        )
    if steps >= rules.max_steps:
        return Fail(
            MaxStepsError(
                f"The model was asked {steps} times and has not come to an answer: max_steps is "
                f"{rules.max_steps}. Its conversation is in `messages`; raise max_steps if the "
                "task takes more.",
                messages=messages,
            )
        )
    return Ask()


def _mistaken(message: BaseMessage) -> Any:
    """What kind of mistake a message tells of; None where it tells of none."""
    # most messages have no metadata; reading the field would make it
    return message.response_metadata.get("error") if message._more else None


def _mistakes_in_a_row(messages: Sequence[BaseMessage]) -> int:
    """How many steps there were of late in which all went wrong."""
    count, wrong = 0, False
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            if not wrong:
                break
            count, wrong = count + 1, False
        elif _mistaken(message) is None:
            break
        else:
            wrong = True
    return count


# ------------------------------------------------------------------ messages that the loop writes


def mistake(call: Mapping[str, Any], kind: str, text: str) -> ToolMessage:
    """What the model is told of a call that went wrong."""
    return ToolMessage(
        text,
        id=fresh_id(),
        tool_call_id=call["id"],
        name=call["name"],
        status="error",
        response_metadata={"error": kind},
    )


def _lacking(said: AIMessage, form: str | None) -> str | None:
    """What a message without calls lacks, to be told to the model; None where it is an answer."""
    if said._more and FORMAT_ERROR in said.response_metadata:
        return str(said.response_metadata[FORMAT_ERROR])
    if form is None:
        return None
    return f"Give your answer by calling {form!r}: the program reads nothing else."


def _reminder(lacks: str) -> HumanMessage:
    return HumanMessage(lacks, id=fresh_id(), response_metadata={"error": "no_answer"})


def declined(messages: Sequence[BaseMessage], more: Sequence[BaseMessage]) -> list[ToolMessage]:
    """Answers for the calls that stand at the end of a conversation without one, where something
    new is said instead of answering, changing or removing them: a person has declined them."""
    said, after = last_said(messages)
    if said is None or not all(isinstance(message, ToolMessage) for message in after):
        return []
    known = {message.id for message in messages}
    if all(isinstance(m, (ToolMessage, RemoveMessage)) or m.id in known for m in more):
        return []
    answered = {getattr(message, "tool_call_id", None) for message in (*after, *more)}
    # Whether a call was made whose process died is not known.
    said_no = "This call has no result: the user said something else before there was one."
    return [
        ToolMessage(
            said_no, id=fresh_id(), tool_call_id=call["id"], name=call["name"], status="error"
        )
        for call in calls_of(said)
        if call["id"] not in answered
    ]


def with_ids(message: AIMessage) -> AIMessage:
    """The message; each of its calls has an id of its own, by which its answer is found."""
    calls = calls_of(message)
    if not calls:
        return message
    ids = [call["id"] for call in calls]
    if None not in ids and "" not in ids and len({*ids}) == len(ids):
        return message
    seen: set[Any] = {None, ""}
    told: list[Any] = []
    for call in calls:
        id = call["id"] if call["id"] not in seen else f"call_{fresh_id()}"
        seen.add(id)
        told.append({**call, "id": id})
    valid = len(message.tool_calls)
    changes = {"tool_calls": told[:valid], "invalid_tool_calls": told[valid:]}
    return message.model_copy(update=changes)
