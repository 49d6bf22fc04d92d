"""Record what happens inside runs, and play it again: in a test, without the model.

    with record("run.jsonl"):
        chain.invoke({"topic": "parrot"})

    model = replay("run.jsonl").as_chat_model()
    (prompt | model | parser).invoke({"topic": "parrot"})  # the same again, without the model

A recording is a text file of JSON lines: a head, then an event a line as `headrace.views.codec`
writes them. It holds inputs and outputs as they are: keep it as you would keep these.
"""

from .errors import NotRecordedError, RecordingError, RecordingNotFoundError
from .pace import Clock
from .recorder import Recorder, record
from .replay import Replay, replay

__all__ = ["Clock", "NotRecordedError", "Recorder", "RecordingError", "RecordingNotFoundError",
           "Replay", "record", "replay"]  # fmt: skip
