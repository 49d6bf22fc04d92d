"""`set_debug` and `set_verbose` print runs, everywhere and until they are switched off."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from headrace.globals import get_debug, get_verbose, set_debug, set_verbose
from headrace.runnables import RunnableLambda
from laws.colours import every_colour


@pytest.fixture(autouse=True)
def off():
    yield
    set_debug(False)
    set_verbose(False)


@every_colour
@pytest.mark.parametrize(
    ("setter", "getter", "shown"),
    [(set_debug, get_debug, "[chain/start]"), (set_verbose, get_verbose, "Entering")],
)
def test_runs_are_printed_while_it_is_on(colour, capsys, setter, getter, shown):
    def body(doors: Any) -> None:
        chain = RunnableLambda(str) | RunnableLambda(len)
        assert not getter()
        doors.invoke(chain, 12)
        assert capsys.readouterr().out == ""
        setter(True)
        setter(True)
        assert getter()
        doors.invoke(chain, 12)
        printed = capsys.readouterr().out
        assert printed.count(shown) == 3
        worker = threading.Thread(target=lambda: RunnableLambda(str).invoke(1))
        worker.start()
        worker.join()
        assert capsys.readouterr().out.count(shown) == 1
        setter(False)
        assert not getter()
        doors.invoke(chain, 12)
        assert capsys.readouterr().out == ""

    colour.run(body)
