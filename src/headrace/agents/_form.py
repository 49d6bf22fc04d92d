"""`response_format`: the model gives its answer by calling a tool whose arguments have a form.

The form is a pydantic class, a TypedDict, a dataclass, any type that pydantic can validate, or a
JSON schema. What the call brings is validated; what does not fit goes back to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import OutputParserException
from ..language_models.binding import described_tool
from ..messages import BaseMessage, ToolMessage
from ..output_parsers.arguments import as_function, parser_of
from ..run import fresh_id
from ._loop import last_said, mistake

__all__ = ["Form"]


class Form:
    """The form of an answer. `tool`: what the model is told of it; `name`: that tool's."""

    def __init__(self, given: Any) -> None:
        self.tool = as_function(given)
        self.name: str = described_tool(self.tool)["function"]["name"]
        self._schema = parser_of(given, calls=True)._schema()

    def judged(
        self, calls: Iterable[Mapping[str, Any]], taken: str | None = None
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """The answers to those of the calls that give one in this form, and what is now known of
        the state. The first call that is valid counts, unless another one was `taken` before."""
        answers: list[BaseMessage] = []
        found: dict[str, Any] = {}
        for call in calls:
            if call["name"] == self.name:
                refuses = found or taken is not None
                message, value = (self._refused(call), None) if refuses else self._read(call)
                answers.append(message)
                if message.status == "success":
                    found["structured_response"] = value
        return answers, found

    def _read(self, call: Mapping[str, Any]) -> tuple[ToolMessage, Any]:
        """The answer to the call, and the value; a mistake, and None, where it does not fit."""
        args = call["args"]
        if not isinstance(args, Mapping):  # they were no JSON
            told = f"its arguments are no JSON object: {args!r:.300}."
            return mistake(call, "invalid_answer", self._told(told)), None
        try:
            value = self._schema.checked(args)
        except OutputParserException as error:
            return mistake(call, "invalid_answer", self._told(error)), None
        taken = ToolMessage(
            "The answer was taken.", id=fresh_id(), tool_call_id=call["id"], name=self.name
        )
        return taken, value

    def _refused(self, call: Mapping[str, Any]) -> ToolMessage:
        """The answer to a call that came behind the one that counts."""
        said = "This answer was not taken: the one before it was."
        return mistake(call, "second_answer", said)

    def _told(self, error: Any) -> str:
        return f"This is no answer: {error} Call {self.name!r} again with all of it."

    def taken_in(self, messages: Sequence[BaseMessage]) -> str | None:
        """The id of the call, of the last message of the model, whose answer was taken."""
        for message in reversed(messages):
            if isinstance(message, ToolMessage) and message.status == "success":
                if message.name == self.name:
                    return message.tool_call_id
            elif not isinstance(message, ToolMessage):
                return None
        return None

    def found_in(self, messages: Sequence[BaseMessage]) -> Any:
        """The value that a finished conversation ends with; None where it has none."""
        said, taken = last_said(messages)[0], self.taken_in(messages)
        calls = () if said is None or taken is None else said.tool_calls
        return next((self._read(call)[1] for call in calls if call["id"] == taken), None)
