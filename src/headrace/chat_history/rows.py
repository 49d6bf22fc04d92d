"""Messages as rows of a store: each a text of JSON with a version (`headrace.load`), which is read
without executing anything. A row that cannot be read is an error that says where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.errors import ConfigError, HeadraceError, InputError
from headrace.load import dumps, loads
from headrace.messages import BaseMessage

__all__ = ["StoredMessageError", "checked_limit", "checked_session", "read_rows", "written_rows"]

_SHOWN = 80  # characters of a row in an error


class StoredMessageError(HeadraceError, ValueError):
    """A row of a stored conversation is no message.

    Args:
        session_id: which conversation.
        row: what the store calls the row: its number.
        where: the store, as a sentence's part.
        why: what is wrong with it.
    """

    def __init__(self, session_id: str, row: int, where: str, why: str) -> None:
        self.session_id, self.row, self.where, self.why = session_id, row, where, why
        super().__init__(
            f"Row {row} of the session {session_id!r} in {where} is no message: {why} Mend or "
            "remove that row, or clear() the session."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.session_id, self.row, self.where, self.why)


def written_rows(messages: Iterable[BaseMessage]) -> list[str]:
    """The rows for these messages; all or none, as a message that cannot be written raises."""
    rows = []
    for message in messages:
        if not isinstance(message, BaseMessage):
            raise InputError(
                f"A history stores messages; received {message!r}, a {type(message).__name__}."
            )
        rows.append(dumps(message))
    return rows


def read_rows(
    rows: Iterable[tuple[int, str | bytes]], session_id: str, where: str
) -> list[BaseMessage]:
    """The messages of rows, which come with their numbers.

    Raises:
        StoredMessageError: one of them is no message.
    """
    messages = []
    for number, text in rows:
        try:
            message = loads(text)
        except (InputError, UnicodeDecodeError) as error:
            raise StoredMessageError(session_id, number, where, str(error)) from error
        if not isinstance(message, BaseMessage):
            why = f"it holds a {type(message).__name__}, {text[:_SHOWN]!r}."
            raise StoredMessageError(session_id, number, where, why)
        messages.append(message)
    return messages


def checked_session(session_id: Any, kind: str) -> str:
    """The id of a session, which is a string; `kind`: whose, for the error."""
    if isinstance(session_id, str):
        return session_id
    raise ConfigError(
        f"The session_id of a {kind} is a string; received {session_id!r}, a "
        f"{type(session_id).__name__}."
    )


def checked_limit(limit: Any, kind: str) -> int | None:
    """A number of messages, or None for all; `kind`: whose, for the error."""
    if limit is None or (isinstance(limit, int) and limit > 0):
        return limit
    raise ConfigError(f"{kind}(limit={limit!r}): give a number of messages from 1, or None.")
