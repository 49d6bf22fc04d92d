"""What a person decides on calls that wait for approval, and how an agent is told of it.

    state = agent.invoke("Clean up.", config)             # state["__interrupt__"]: the calls
    agent.invoke(None, config)                            # all of them are approved
    agent.invoke(Resume({"call_1": Approve(),
                         "call_2": Edit({"path": "tmp/"}),
                         "call_3": Reject("Not this one.")}), config)
    agent.invoke(Resume(Reject("Not today.")), config)    # the same for each of them

| decision | the call | what the model reads |
|---|---|---|
| `Approve()` | is made | its result |
| `Edit(args, name=None)` | is made with these arguments, of that tool | that it called so |
| `Reject(why)` | is not made | that the user has declined it, and why |
| `Respond(text)` | is not made | the text as its result |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ..errors import InputError
from ..messages import AIMessage, BaseMessage, ToolMessage
from ..run import fresh_id
from .state import calls_of

__all__ = ["Approve", "Decision", "Edit", "Reject", "Respond", "Resume", "decided"]


class _Said:
    """Equal where type and fields are."""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other._fields() == self._fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self._fields().items())
        return f"{type(self).__name__}({said})"


class Approve(_Said):
    """The call is to be made as it is."""

    __slots__ = ()


class Edit(_Said):
    """The call is to be made with other arguments.

    Args:
        args: all of them.
        name: of the tool to call instead, if it is to be another.
    """

    __slots__ = ("args", "name")

    def __init__(self, args: Mapping[str, Any], name: str | None = None) -> None:
        if not isinstance(args, Mapping):
            raise InputError(
                f"Edit got {args!r} ({type(args).__name__}): give the call's arguments as a dict."
            )
        self.args = dict(args)
        self.name = name


class Reject(_Said):
    """The call is not to be made.

    Args:
        why: what the model is told besides.
    """

    __slots__ = ("why",)

    def __init__(self, why: str = "") -> None:
        self.why = why


class Respond(_Said):
    """The call is not to be made, because this is its result.

    Args:
        result: a text, or content blocks.
    """

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        self.result = result


Decision: TypeAlias = Approve | Edit | Reject | Respond
_KINDS = (Approve, Edit, Reject, Respond)


class Resume(_Said):
    """What an agent is given in place of messages to go on in a thread whose calls wait.

    Args:
        decisions: one for each call that waits, by its id; or one for all of them.

    Raises:
        InputError: it holds what is no decision.
    """

    __slots__ = ("decisions",)

    def __init__(self, decisions: Mapping[str, Decision] | Decision) -> None:
        each = [*decisions.values()] if isinstance(decisions, Mapping) else [decisions]
        for one in each:
            if not isinstance(one, _KINDS):
                raise InputError(
                    f"Resume got {one!r} ({type(one).__name__}): decide by Approve(), Edit(args), "
                    "Reject(why) or Respond(text), one for each call's id, or one for all."
                )
        self.decisions = dict(decisions) if isinstance(decisions, Mapping) else decisions

    @classmethod
    def is_meant(cls, value: Any) -> bool:
        """Whether what an agent was given goes on in a thread. Raises InputError for a decision by
        itself, which is no input."""
        if isinstance(value, _KINDS):
            raise InputError(f"{value!r} is a decision on calls that wait: give Resume({value!r}).")
        return isinstance(value, cls)


def decided(
    resume: Resume, waiting: Sequence[Any], messages: Sequence[BaseMessage], tools: Sequence[str]
) -> list[BaseMessage]:
    """What decisions add to a conversation: the model's message with the calls as they were edited,
    and answers to those that are not made.

    Args:
        waiting: the calls that wait for approval.
        tools: the names that an edited call may have.

    Raises:
        InputError: a call has no decision, or a decision no call, or it names no tool.
    """
    by_id = _by_id(resume, [call["id"] for call in waiting])
    answers: list[BaseMessage] = []
    edits: dict[str, Edit] = {}
    for call in waiting:
        decision = by_id[call["id"]]
        if isinstance(decision, Edit):
            edits[call["id"]] = decision
            _check_name(decision, tools)
        elif isinstance(decision, Reject):
            answers.append(_answer(call, _declined(decision.why), "error"))
        elif isinstance(decision, Respond):
            answers.append(_answer(call, decision.result, "success"))
    return [*_edited(messages, edits), *answers]


def _by_id(resume: Resume, ids: list[str]) -> Mapping[str, Decision]:
    decisions = resume.decisions
    if not isinstance(decisions, Mapping):
        return dict.fromkeys(ids, decisions)
    unknown = [id for id in decisions if id not in ids]
    if unknown:
        raise InputError(
            f"Resume decides on the call {unknown[0]!r}, which does not wait for approval. The "
            f"calls that wait: {', '.join(map(repr, ids))}."
        )
    lacking = [id for id in ids if id not in decisions]
    if lacking:
        raise InputError(
            f"Resume does not decide on the call {lacking[0]!r}, which waits for approval, too: "
            f"give one decision for each of {', '.join(map(repr, ids))}."
        )
    return decisions


def _check_name(edit: Edit, tools: Sequence[str]) -> None:
    if edit.name is not None and edit.name not in tools:
        raise InputError(
            f"Edit names the tool {edit.name!r}, and the agent's tools are "
            f"{', '.join(map(repr, tools))}."
        )


def _edited(messages: Sequence[BaseMessage], edits: Mapping[str, Edit]) -> list[BaseMessage]:
    """The message that made the calls, with these in place of its own; it keeps its id."""
    if not edits:
        return []
    said = next(
        message
        for message in reversed(messages)
        if isinstance(message, AIMessage) and any(c["id"] in edits for c in calls_of(message))
    )
    whole = {
        call["id"]: {
            "name": edits[call["id"]].name or call["name"],
            "args": edits[call["id"]].args,
            "id": call["id"],
            "type": "tool_call",
        }
        for call in calls_of(said)
        if call["id"] in edits
    }
    calls = [whole.pop(call["id"], call) for call in said.tool_calls]
    garbled = [call for call in said.invalid_tool_calls if call["id"] not in whole]
    changes = {"tool_calls": [*calls, *whole.values()], "invalid_tool_calls": garbled}
    return [said.model_copy(update=changes)]


def _answer(
    call: Mapping[str, Any], content: Any, status: Literal["success", "error"]
) -> ToolMessage:
    return ToolMessage(
        content, id=fresh_id(), tool_call_id=call["id"], name=call["name"], status=status
    )


def _declined(why: str) -> str:
    said = "The user declined this call: it was not made."
    return f"{said} {why}" if why else said
