"""The hub between readers: one that comes late, one whose view fails, what is kept of runs."""

from __future__ import annotations

from typing import Any

import pytest

from handle.handles import Scripted, opened
from headrace.callbacks import BaseCallbackHandler
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

PIECES = [f"{number:04d} " for number in range(300)]


@every_colour
def test_a_reader_that_is_filled_by_what_it_has_missed_holds_the_run(colour):
    def body(doors):
        model = Scripted(chunks=PIECES, gated=True)
        with opened(doors, model | StrOutputParser()) as handle:
            quick = handle.iterate(handle.run.chunks.with_policy("coalesce"))
            model.go()
            got = handle.next(quick)
            hub = handle.run._hub
            late = handle.run.chunks.with_policy("block", limit=1)._new()
            assert not hub.full
            hub.add(late)
            assert hub.full
            hub.remove(late)
            model.go(len(PIECES))
            assert got + "".join(handle.rest(quick)) == "".join(PIECES)

    colour.run(body)


@every_colour
def test_a_view_that_cannot_say_what_it_wants_fails_alone(colour):
    class Failing:
        def wants(self, run):
            raise ValueError("wants")

        def feed(self, event):
            return ()

    def body(doors):
        with opened(doors, RunnableLambda(lambda x: x * 2), 3) as handle:
            failing = handle.run.subscribe(Failing())
            events = handle.run.events()
            assert handle.output() == 6
            assert [event.kind for event in handle.read(events)] == ["start", "chunk", "end"]
            with pytest.raises(ValueError, match="wants"):
                handle.read(failing)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("custom", [{"include_types": ["none"]}, {}])
def test_nothing_is_kept_of_runs_that_have_ended(colour, custom):
    step = RunnableLambda(lambda x: x)

    def many(x):
        for number in range(50):
            step.invoke(number)
        return x

    def body(doors):
        with opened(doors, RunnableLambda(many), 1) as handle:
            events = handle.run.events(**custom)
            assert handle.output() == 1
            assert [len(reader.known) for reader in events._readers] == [0]

    colour.run(body)


class Waiting(Scripted):
    """Calls `before()` when it has been asked and has said nothing."""

    before: Any = None

    def _stream(self, *args, **kwargs):
        self.before()
        yield from super()._stream(*args, **kwargs)

    async def _astream(self, *args, **kwargs):
        self.before()
        async for piece in super()._astream(*args, **kwargs):
            yield piece


@every_colour
@pytest.mark.parametrize("handlers", [0, 1])
def test_stop_before_the_first_token_does_the_same_whoever_else_listens(colour, handlers):
    class Tokens(BaseCallbackHandler):
        def on_llm_new_token(self, *args, **kwargs):
            pass

    def body(doors):
        config = {"callbacks": [Tokens() for _ in range(handlers)]}
        model = Waiting(chunks=PIECES)
        with opened(doors, model | StrOutputParser(), "x", config) as handle:
            model.before = handle.run.stop
            handle.output()
            assert handle.run._hub.terminal.kind == "cancelled"

    colour.run(body)
