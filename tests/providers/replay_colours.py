"""A body run in one colour with a model, whose connections are closed when the body has ended.

In an event loop a model keeps its connections until the loop ends or `aclose()` is called. That a
loop's end closes them is tested by itself (`test_recordings_closing.py`); the other tests leave
nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from laws.colours import Colour


def run(colour: Colour, model: Any, body: Callable[[Any], Any]) -> None:
    """`body(doors)`, then the model is closed, whatever happened."""

    def with_model(doors: Any) -> None:
        try:
            body(doors)
        finally:
            if doors.asynchronous:
                doors.wait(model.aclose())
            else:
                model.close()

    colour.run(with_model)
