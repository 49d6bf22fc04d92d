"""What a reader of an agent's stream sees: `stream_mode`.

| mode | a chunk |
|---|---|
| `"updates"` | `{"model": {"messages": [message]}}`, then `{"tools": …}` with each answer: a step's
  name and what it has added to the state, when it is there |
| `"values"` | the whole state: at the beginning and after each step |
| `"messages"` | `(chunk, metadata)`: the model's tokens as they come, each answer of a tool |
| `"custom"` | what tools report on their way: `Progress(value, tool_call_id)` |
| `"pieces"` | a part of the state; all of them add up to it |
| a list of these | pairs `(mode, chunk)` |

At its own doors an agent shows `"updates"`, as a step of a chain `"pieces"`, unless a mode was
bound. A mode is what the plan hands on and how that is shown: no thread, and no second run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigError
from ..messages import BaseMessage
from ..tools.progress import Progress
from ._tokens import Tokens
from .state import AgentState

__all__ = ["MODES", "Shown", "StepEnded", "Update", "modes_of"]


class Session(Protocol):
    """What is shown of a run."""

    node: str  # the step that is under way
    metadata: dict[str, Any]  # what tokens of this step come with
    streamed: BaseMessage | None  # the message that has gone out in tokens
    tokens: Tokens  # of the one that is coming

    def state(self) -> AgentState: ...


class Update(NamedTuple):
    """A step has added this to the state."""

    node: str
    added: Mapping[str, Any]


class StepEnded(NamedTuple):
    """A step is over."""


class Shown:
    """The machine between an agent's plan and its reader."""

    __slots__ = ("_makers", "_paired", "session")

    def __init__(self, session: Session, modes: tuple[str, ...], paired: bool) -> None:
        self.session = session
        self._makers = [(mode, MODES[mode]) for mode in modes]
        self._paired = paired

    def feed(self, item: Any) -> Iterable[Any]:
        if isinstance(item, BaseMessage):
            if self.session.node == "model":
                item = self.session.tokens.add(item)
            else:
                item = Update("tools", {"messages": [item]})
        if not self._paired:
            return self._makers[0][1](self.session, item)
        return [(mode, chunk) for mode, make in self._makers for chunk in make(self.session, item)]

    def finish(self) -> Iterable[Any]:
        return ()


def _updates(session: Session, item: Any) -> Iterable[Any]:
    if type(item) is not Update or item.node == "__start__":
        return ()
    if item.node == "__interrupt__":
        return ({"__interrupt__": item.added["__interrupt__"]},)
    return ({item.node: dict(item.added)},)


def _values(session: Session, item: Any) -> Iterable[Any]:
    return (session.state(),) if type(item) is StepEnded else ()


def _messages(session: Session, item: Any) -> Iterator[Any]:
    if isinstance(item, BaseMessage):
        yield item, session.metadata
    elif type(item) is Update and item.node != "__start__":
        for message in item.added.get("messages", ()):
            if message is not session.streamed:
                yield message, session.metadata


def _custom(session: Session, item: Any) -> Iterable[Any]:
    return (item,) if type(item) is Progress else ()


def _pieces(session: Session, item: Any) -> Iterable[Any]:
    return (AgentState(item.added),) if type(item) is Update else ()


MODES: Mapping[str, Callable[[Any, Any], Iterable[Any]]] = {
    "updates": _updates,
    "values": _values,
    "messages": _messages,
    "custom": _custom,
    "pieces": _pieces,
}


def modes_of(wish: Any) -> tuple[tuple[str, ...], bool]:
    """The modes that a `stream_mode` names, and whether chunks come in pairs.

    Raises:
        ConfigError: it names none that there is.
    """
    paired = not isinstance(wish, str)
    modes = tuple(wish) if isinstance(wish, (list, tuple)) else (wish,)
    for mode in modes:
        if mode not in MODES:
            raise ConfigError(
                f"stream_mode={wish!r}: there is no mode {mode!r}. Use one of "
                f"{', '.join(map(repr, MODES))}, or a list of them."
            )
    if not modes:
        raise ConfigError(f"stream_mode={wish!r} names no mode: use one of {', '.join(MODES)}.")
    return modes, paired
