"""The state of an agent: its messages, and whatever else its input and its hooks put beside them.

States add up. Under `"messages"` a message is appended; one with the id of another takes its place;
a `RemoveMessage` takes the one with its id out (all before it, where its id is
`REMOVE_ALL_MESSAGES`). Answers of tools stand in the order of their calls. Under any other key the
later value counts. The pieces that an agent gives in a chain add up to its state in this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    RemoveMessage,
    ToolMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from ..run import fresh_id
from ..runnables import AddableDict

__all__ = ["REMOVE_ALL_MESSAGES", "AgentState", "calls_of", "given", "listed", "summed"]

REMOVE_ALL_MESSAGES = "__remove_all__"
"""The id of a `RemoveMessage` that takes out all messages before it."""


class AgentState(AddableDict):
    """`{"messages": [...]}` and more; see the head of the file for what `+` does.

    `"structured_response"`: the answer, of an agent with a `response_format`. `"__interrupt__"`:
    the calls that wait for approval.
    """

    @property
    def messages(self) -> list[BaseMessage]:
        """The conversation."""
        found: list[BaseMessage] = self.get("messages", [])
        return found

    def __add__(self, other: Mapping[str, Any]) -> AgentState:
        return self.__headrace_merge__([self, other])

    def __radd__(self, other: Mapping[str, Any]) -> AgentState:
        return self.__headrace_merge__([other, self])

    @classmethod
    def __headrace_merge__(cls, parts: Iterable[Mapping[str, Any]]) -> AgentState:
        """All parts at once, in time linear in them."""
        parts = list(parts)
        total = AgentState()
        for part in parts:
            total.update(part)
        if "messages" in total:
            total["messages"] = summed(m for part in parts for m in part.get("messages", ()))
        return total


def summed(messages: Iterable[BaseMessage]) -> list[BaseMessage]:
    """The conversation that messages add up to. A `RemoveMessage` for one that is not among them
    stays, for what may come before them."""
    kept: list[BaseMessage | None] = []
    places: dict[str, int] = {}
    for message in messages:
        id = message.id
        if id == REMOVE_ALL_MESSAGES and isinstance(message, RemoveMessage):
            kept, places = [message], {}
            continue
        place = None if id is None else places.get(id)
        if isinstance(message, RemoveMessage) and place is not None:
            kept[place] = None
            del places[id]  # type: ignore[arg-type]
        elif place is not None:
            kept[place] = message
        else:
            if id is not None and not isinstance(message, RemoveMessage):
                places[id] = len(kept)
            kept.append(message)
    return _in_order([message for message in kept if message is not None])


def calls_of(message: AIMessage) -> list[Any]:
    """The calls that a model asks for, those that could not be read last."""
    return [*message.tool_calls, *message.invalid_tool_calls]


def _in_order(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Each run of answers in the order of the calls before it."""
    ordered: list[BaseMessage] = []
    at = 0
    while at < len(messages):
        message = messages[at]
        ordered.append(message)
        at += 1
        stop = at
        while stop < len(messages) and isinstance(messages[stop], ToolMessage):
            stop += 1
        if stop - at > 1 and isinstance(message, AIMessage):
            places = {call["id"]: place for place, call in enumerate(calls_of(message))}
            answers: list[Any] = messages[at:stop]

            def place_of(answer: Any, places: dict[Any, int] = places) -> int:
                return places.get(answer.tool_call_id, len(places))

            ordered += sorted(answers, key=place_of)
            at = stop
    return ordered


# ------------------------------------------------------------------ what users give


def given(value: Any) -> tuple[list[BaseMessage], dict[str, Any]]:
    """The messages and the other keys of what an agent was given: a state, a text, a message in any
    form, or a list of messages.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(value, Mapping) and "messages" in value:
        rest = {key: one for key, one in value.items() if key != "messages"}
        return listed(value["messages"]), rest
    if isinstance(value, Mapping) and not ("content" in value and value.keys() & {"role", "type"}):
        raise InputError(
            f'An agent works on {{"messages": […]}} and got a dict of {list(value)}: put the '
            "messages under 'messages', or give a text, a message or a list of messages."
        )
    return listed(value), {}


def listed(value: Any) -> list[BaseMessage]:
    """Messages, of one or of several in any form; each has an id."""
    one = isinstance(value, (str, BaseMessage, Mapping))
    pair = type(value) is tuple and len(value) == 2 and all(isinstance(x, str) for x in value)
    return list(_named(convert_to_messages([value] if one or pair else value)))


def _named(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    for message in messages:
        if isinstance(message, BaseMessageChunk):
            message = message_chunk_to_message(message)
        # a copy: what the caller gave stays as it is
        yield message if message.id is not None else message.model_copy(update={"id": fresh_id()})
