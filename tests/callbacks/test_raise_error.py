"""An observer that raises: all others hear of everything, and each start has its one end."""

from __future__ import annotations

import pytest

from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import every_colour

ENDS = {"end", "error", "cancelled"}


class Plain:
    def __init__(self):
        self.got = []

    def on_event(self, event):
        self.got.append((event.kind, event.run.id))

    def of_kinds(self, kinds):
        return sorted(run_id.int for kind, run_id in self.got if kind in kinds)


class Awaited(Plain):
    async def aon_event(self, event):
        self.on_event(event)


def failing(base, hook):
    """A handler whose `hook` raises at every call."""

    def fail(self, *args, **kwargs):
        raise ValueError(hook)

    async def afail(self, *args, **kwargs):
        raise ValueError(hook)

    body = {hook: fail if base is BaseCallbackHandler else afail, "raise_error": True}
    return type("Failing", (base,), body)()


def chain():
    def pieces(chunks):
        yield from chunks

    async def apieces(chunks):
        async for chunk in chunks:
            yield chunk

    inner = RunnableLambda(lambda x: x + 1)
    return RunnableLambda(lambda x: inner.invoke(x)) | RunnableGenerator(pieces, apieces)


@every_colour
@pytest.mark.parametrize("base", [BaseCallbackHandler, AsyncCallbackHandler])
@pytest.mark.parametrize("kind", [Plain, Awaited])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", ["on_chain_start", "on_chain_end"])
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_each_start_has_its_one_end(colour, how, hook, first, kind, base):
    def body(doors):
        recorder, handler = kind(), failing(base, hook)
        config = {"callbacks": [handler, recorder] if first else [recorder, handler]}
        with pytest.raises(ValueError, match=hook):
            getattr(doors, how)(chain(), 1, config)
        started = recorder.of_kinds({"start"})
        assert started
        assert started == recorder.of_kinds(ENDS)

    colour.run(body)


@every_colour
def test_several_that_raise_are_all_called_and_the_first_error_comes(colour):
    def body(doors):
        called = []

        def fail(name):
            def hook(self, *args, **kwargs):
                called.append(name)
                raise ValueError(name)

            return hook

        one, two = (
            type(name, (BaseCallbackHandler,), {"on_chain_end": fail(name), "raise_error": True})()
            for name in ("one", "two")
        )
        with pytest.raises(ValueError, match="one"):
            doors.invoke(RunnableLambda(lambda x: x), 1, {"callbacks": [one, two]})
        assert called == ["one", "two"]

    colour.run(body)
