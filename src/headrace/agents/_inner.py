"""Steps of an agent's own: they show up in events, and are nothing that a user could take."""

from __future__ import annotations

from typing import Any, ClassVar

from ..run import Run
from ..shapes import Barrier, Kwargs, Node
from ._saving import Thread

__all__ = ["Forget", "Inner", "Load", "Save"]


class Inner(Node):
    """A step without public doors, so that none of them can be overridden."""

    _overridden: ClassVar[frozenset[str]] = frozenset()
    name: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._in_open, cls._in_aopen = cls._open, cls._aopen
        cls._in_value, cls._in_avalue = cls._value, cls._avalue

    def get_name(self) -> str:
        return self.name


class _OfThread(Inner, Barrier):
    def __init__(self, thread: Thread) -> None:
        self.thread = thread


class Load(_OfThread):
    """Reads a thread."""

    name = "load_thread"

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return run.call(self.thread.load)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await run.acall(self.thread.aload)


class Save(_OfThread):
    """Appends its input, pieces of a state, to a thread."""

    name = "save_thread"

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        run.call(self.thread.append, value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        await run.acall(self.thread.aappend, value)


class Forget(_OfThread):
    """Deletes threads of agents below, whose ids are its input."""

    name = "forget_threads"

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        run.call(self.thread.forget, value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        await run.acall(self.thread.aforget, value)
