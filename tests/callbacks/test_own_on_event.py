"""Handlers with a method `on_event`: one that takes an event is the bus's, any other the user's."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

one = RunnableLambda(lambda x: x, name="one")


class Own(BaseCallbackHandler):
    """As users of LangChain write it: the method is called by the hooks."""

    def __init__(self):
        self.told = []

    def on_event(self, kind, payload):
        self.told.append((kind, payload))

    def on_chain_start(self, serialized, inputs, **kwargs):
        self.on_event("start", inputs)

    def on_chain_end(self, outputs, **kwargs):
        self.on_event("end", outputs)


class OwnByName(Own):
    def on_event(self, kind, *, payload):
        super().on_event(kind, payload)

    def on_chain_start(self, serialized, inputs, **kwargs):
        self.on_event("start", payload=inputs)

    def on_chain_end(self, outputs, **kwargs):
        self.on_event("end", payload=outputs)


class OwnStatic(Own):
    all_told: list[tuple[str, str]] = []  # noqa: RUF012 - emptied by the test

    def __init__(self):
        self.told = self.all_told
        self.told.clear()

    @staticmethod
    def on_event(kind, payload):
        OwnStatic.all_told.append((kind, payload))


class OwnOfClass(OwnStatic):
    @classmethod
    def on_event(cls, kind, payload):
        cls.all_told.append((kind, payload))


class OwnOfOne(Own):
    def __init__(self):
        super().__init__()
        self.on_event = partial(Own.on_event, self)


class OwnAwaited(AsyncCallbackHandler):
    def __init__(self):
        self.told = []

    async def on_event(self, kind, payload=None):
        await asyncio.sleep(0)
        self.told.append((kind, payload))

    async def on_chain_start(self, serialized, inputs, **kwargs):
        await self.on_event("start", inputs)

    async def on_chain_end(self, outputs, **kwargs):
        await self.on_event("end", outputs)


@every_colour
@pytest.mark.parametrize(
    "kind", [Own, OwnByName, OwnStatic, OwnOfClass, OwnOfOne, OwnAwaited], ids=lambda k: k.__name__
)
def test_a_users_own_method_is_left_to_the_user(colour, kind, caplog):
    def body(doors):
        handler = kind()
        doors.stream(one, "x", {"callbacks": [handler]})
        assert handler.told == [("start", "x"), ("end", "x")]
        assert not caplog.records

    colour.run(body)


@every_colour
def test_a_loop_over_all_hooks_gets_hooks(colour, caplog):
    def body(doors):
        called = []

        def noting(hook):
            return lambda self, *args, **kwargs: called.append(hook)

        class Every(BaseCallbackHandler):
            pass

        for name in dir(BaseCallbackHandler):
            if name.startswith("on_"):
                setattr(Every, name, noting(name))
        doors.stream(one | FakeListChatModel(responses=["a"]), "x", {"callbacks": [Every()]})
        assert set(called) == {"on_chain_start", "on_chain_end", "on_chat_model_start",
                               "on_llm_new_token", "on_llm_end"}  # fmt: skip
        assert not caplog.records

    colour.run(body)


class Both(BaseCallbackHandler):
    def __init__(self):
        self.told = []

    def on_event(self, event):
        self.told.append(event.kind)

    def on_chain_end(self, outputs, **kwargs):
        self.told.append(("hook", outputs))


class BothAwaited(Both, AsyncCallbackHandler):
    async def on_chain_end(self, outputs, **kwargs):
        await asyncio.sleep(0)
        self.told.append(("hook", outputs))


class BothByChance(Both):
    """Its method takes an argument, and no event: it fails, and hooks are called all the same."""

    def on_event(self, text):
        self.told.append(text.kind)
        raise TypeError("no text")


@every_colour
@pytest.mark.parametrize("kind", [Both, BothAwaited, BothByChance])
def test_who_takes_events_and_has_hooks_gets_both(colour, kind):
    def body(doors):
        handler = kind()
        doors.stream(one, "x", {"callbacks": [handler]})
        assert handler.told == ["start", "chunk", "end", ("hook", "x")]

    colour.run(body)


def test_one_that_is_set_and_taken_away():
    handler, seen = BaseCallbackHandler(), []
    for takes, expected in ((seen.append, 3), (lambda kind, payload: seen.append(kind), 0)):
        seen.clear()
        handler.on_event = takes
        list(one.stream("x", {"callbacks": [handler]}))
        assert len(seen) == expected
        del handler.on_event
        list(one.stream("x", {"callbacks": [handler]}))
        assert len(seen) == expected
        assert vars(handler) == {}


def test_what_stands_under_the_name_and_is_no_method():
    class Reads(BaseCallbackHandler):
        @property
        def on_event(self):
            raise AssertionError("nobody asks for it")

    class Without(Both):
        on_event = None

    handler = Without()
    assert one.invoke("x", {"callbacks": [Reads(), handler]}) == "x"
    assert handler.told == [("hook", "x")]


# ---- classes where instances belong -------------------------------------------------------------


def test_a_class_is_refused_where_it_is_given():
    with pytest.raises(ConfigError, match=r"^with_config\(callbacks=…\) holds the class Own: give"):
        one.with_config(callbacks=[Own])
    with pytest.raises(ConfigError, match=r"^with_config.* holds 5, which has no method"):
        one.with_config({"callbacks": [5]})
    with pytest.raises(ValueError, match=r"FakeListChatModel\(callbacks=…\) holds the class Own"):
        FakeListChatModel(responses=["a"], callbacks=[Own])
    with pytest.raises(ConfigError, match=r"^config\['callbacks'\] holds the class Own"):
        one.invoke("x", {"callbacks": [Own]})
