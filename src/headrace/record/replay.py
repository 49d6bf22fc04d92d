"""`replay`: a recording as a runnable, as a chat model, or as the events themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, ClassVar

from .. import _async, _sync
from ..events import Event
from ..flow import Late
from ..load.foreign import allowed
from ..run import Run
from ..runnables.base import Runnable
from ..shapes import Flow, Kwargs, Leaf, Pieces
from .errors import RecordingError
from .model import RecordedChatModel, message_key
from .pace import Clock, Pace
from .playing import aplay, aplay_output, play, play_output
from .recorder import Path
from .recording import Answers, Call, Recording, input_key, roots_of

__all__ = ["RecordedRunnable", "Replay", "replay"]


def replay(
    path: Path,
    *,
    speed: float | str = 0,
    allow: Iterable[Any] = (),
    clock: Clock | None = None,
) -> Replay:
    """Open a recording.

    Args:
        path: the file that `record` wrote.
        speed: 0 plays at once, "recorded" as it was, 2 twice as fast.
        allow: modules, or their names, whose classes may be brought back: dataclasses, pydantic
            models and the like; see `headrace.views.codec.from_json`. Of an object of any other
            class the recording holds the repr only, and an `Opaque` stands for it.
        clock: what waits, for tests in virtual time.

    Raises:
        RecordingNotFoundError: there is no such file.
        RecordingError: it is no recording, or one of a later version.
    """
    return Replay(Recording(path, allowed(allow)), Pace(speed, clock))


class Replay:
    """What `replay` gives."""

    def __init__(self, recording: Recording, pace: Pace) -> None:
        self._recording = recording
        self._pace = pace
        self._calls: list[Call] | None = None

    def __repr__(self) -> str:
        return f"Replay({self.path!r})"

    @property
    def path(self) -> str:
        return self._recording.path

    @property
    def note(self) -> str:
        """What there is to say about the file, as far as it has been read: that its last line was
        cut off; mostly ""."""
        return self._recording.note

    def events(self) -> Iterator[Event]:
        """The recorded events, in the order of the file, at once.

        Raises:
            RecordingError: a line is damaged.
        """
        return self._recording.events()

    def _all(self) -> list[Call]:
        if self._calls is None:
            self._calls = self._recording.calls()
        return self._calls

    def streams(self) -> Iterator[Iterator[Any]]:
        """The chunks of each outermost run, one run after the other, each at the speed chosen.

        Raises:
            RecordingError: a line is damaged.
        """
        return (play(call, self._pace) for call in self._roots())

    def _roots(self) -> list[Call]:
        return roots_of(self._all())

    def as_runnable(self, *, strict: bool = False) -> RecordedRunnable:
        """A runnable that answers as the outermost recorded runs did: the same chunks, the same
        output, the same error at the same place.

        An input is answered by the recorded run with an equal input, in their order where there are
        several; another input by the next run that has not answered yet, or with `strict` by none.

        Raises:
            RecordingError: there is no run in it.
        """
        roots = self._roots()
        if not roots:
            raise RecordingError(f"The recording {self.path!r} holds no run.")
        answers = Answers(roots, self.path, input_key, strict=strict)
        return RecordedRunnable(answers, roots[0], self._pace)

    def as_chat_model(self, *, strict: bool = False) -> RecordedChatModel:
        """A chat model that answers as the recorded ones did, each call by equal messages first,
        else in order; `strict` as above. It has the name of the first of them.

        Raises:
            RecordingError: no chat model ran in it.
        """
        calls = [call for call in self._all() if call.run.run_type == "chat_model"]
        if not calls:
            raise RecordingError(
                f"No chat model ran in the recording {self.path!r}: use as_runnable() to replay "
                "what did."
            )
        answers = Answers(calls, self.path, message_key, strict=strict)
        return RecordedChatModel(
            name=calls[0].run.name,
            answers=answers,
            pace=self._pace,
            said=calls[0].run.metadata,
            disable_streaming=all(call.whole for call in calls),
        )


class RecordedRunnable(Leaf, Runnable[Any, Any]):
    """What `Replay.as_runnable` gives."""

    _collects: ClassVar[bool] = True
    _many = Pieces.MAYBE

    def __init__(self, answers: Answers, first: Call, pace: Pace) -> None:
        self.name = first.run.name
        self._run_type = first.run.run_type  # type: ignore[misc]
        self._answers = answers
        self._pace = pace

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self._answers.path!r})"

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        told: list[Any] = [None]
        return Late(self._chunks(source, told), told)

    def _chunks(self, source: Any, told: list[Any]) -> Iterator[Any]:
        call = self._answers.take(_sync.fold_source(source))
        told.append(call.fold())
        yield from play(call, self._pace)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        told: list[Any] = [None]
        return Late(self._achunks(source, told), told)

    async def _achunks(self, source: Any, told: list[Any]) -> AsyncIterator[Any]:
        call = self._answers.take(await _async.fold_source(source))
        told.append(call.fold())
        async with aclosing(aplay(call, self._pace)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return play_output(self._answers.take(value), self._pace)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await aplay_output(self._answers.take(value), self._pace)

    def _flow(self) -> Flow:
        return Flow("source")
