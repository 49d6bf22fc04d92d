"""Savers: where agents keep their conversations, by `thread_id`.

| saver | keeps |
|---|---|
| `InMemorySaver` (`MemorySaver`) | as long as the process lives |
| `SqliteSaver` | in one file, for any number of threads and processes |
| a subclass of `BaseSaver` | wherever you say: four methods |

    agent = create_agent(model, tools, saver=SqliteSaver("talks.db"))
    agent.invoke("Hello!", {"configurable": {"thread_id": "anna-1"}})
"""

from typing import TYPE_CHECKING, Any

from ..._lazy import later, listed

if TYPE_CHECKING:
    from .._saving import BaseSaver
    from .memory import InMemorySaver, MemorySaver
    from .sqlite import SaverFileError, SqliteSaver

__all__ = ["BaseSaver", "InMemorySaver", "MemorySaver", "SaverFileError", "SqliteSaver"]

_LATER = {
    "BaseSaver": "memory",
    "InMemorySaver": "memory",
    "MemorySaver": "memory",
    "SaverFileError": "sqlite",
    "SqliteSaver": "sqlite",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
