"""The messages of a conversation, kept between its turns: in memory, in SQLite, in Redis.

Those that are kept elsewhere than in memory are loaded when one of them is asked for.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import later, listed
from .base import BaseChatMessageHistory, InMemoryChatMessageHistory

if TYPE_CHECKING:
    from .in_redis import RedisChatMessageHistory
    from .in_sqlite import HistoryFileError, SQLiteChatMessageHistory
    from .rows import StoredMessageError

__all__ = [
    "BaseChatMessageHistory",
    "HistoryFileError",
    "InMemoryChatMessageHistory",
    "RedisChatMessageHistory",
    "SQLiteChatMessageHistory",
    "StoredMessageError",
]

_LATER = {
    "RedisChatMessageHistory": "in_redis",
    "HistoryFileError": "in_sqlite",
    "SQLiteChatMessageHistory": "in_sqlite",
    "StoredMessageError": "rows",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
