"""What the log says of handlers that fail: which hook, at which run, how often; never content."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest

from headrace.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from headrace.language_models import FakeListChatModel
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda
from laws.colours import every_colour

SECRET = "a prompt nobody is to read"


class Bad(BaseCallbackHandler):
    def __init__(self, *hooks):
        for hook in hooks:
            setattr(self, hook, self.fail)

    def fail(self, *args, **kwargs):
        raise ValueError("burnt")


class BadAwaited(AsyncCallbackHandler):
    def __init__(self, *hooks):
        for hook in hooks:
            setattr(self, hook, self.fail)

    async def fail(self, *args, **kwargs):
        raise ValueError("burnt")


class Watches:
    def on_event(self, event):
        raise ValueError("burnt")


both_kinds = pytest.mark.parametrize("kind", [Bad, BadAwaited])


def chain():
    return FakeListChatModel(responses=["five!"]) | StrOutputParser()


@contextmanager
def logged(caplog):
    caplog.clear()
    told = []
    with caplog.at_level(logging.ERROR, "headrace"):
        yield told
    told += [record.getMessage() for record in caplog.records]


@every_colour
@both_kinds
def test_a_hook_that_fails_is_one_line_without_content(colour, kind, caplog):
    def body(doors):
        with logged(caplog) as told:
            doors.invoke(chain(), SECRET, {"callbacks": [kind("on_llm_end")]})
        place = "RunnableSequence/1:FakeListChatModel"
        assert told == [f"{kind.__name__}.on_llm_end failed at {place}"]
        (record,) = caplog.records
        assert "ValueError: burnt" in record.exc_text
        assert SECRET not in caplog.text and "five!" not in caplog.text

    colour.run(body)


@every_colour
@both_kinds
@pytest.mark.parametrize("others", [0, 1])
def test_tokens_are_told_once_and_counted(colour, kind, others, caplog):
    def body(doors):
        more = [BaseCallbackHandler() for _ in range(others)]
        for one in more:
            one.on_event = lambda event: None
        with logged(caplog) as told:
            doors.stream(chain(), SECRET, {"callbacks": [kind("on_llm_new_token"), *more]})
        hook, place = f"{kind.__name__}.on_llm_new_token", "RunnableSequence/1:FakeListChatModel"
        assert told == [f"{hook} failed at {place}", f"{hook} failed 4 more times at {place}"]
        assert [record.exc_info is None for record in caplog.records] == [False, True]

    colour.run(body)


@every_colour
@both_kinds
def test_each_handler_and_each_run_for_itself(colour, kind, caplog):
    def body(doors):
        bad = [kind("on_chain_start", "on_chain_end") for _ in range(2)]
        step = RunnableLambda(lambda x: x, name="step")
        with logged(caplog) as told:
            doors.invoke(step | step, SECRET, {"callbacks": bad})
        name, expected = kind.__name__, []
        for place in ("RunnableSequence/1:step", "RunnableSequence/2:step", "RunnableSequence"):
            expected += 2 * [f"{name}.on_chain_start failed at {place}"]
            expected += 2 * [f"{name}.on_chain_end failed 1 more time at {place}"]
        assert sorted(told) == sorted(expected)
        assert told[-2:] == expected[-2:]

    colour.run(body)


@every_colour
@both_kinds
def test_a_run_that_fails_or_is_left_says_it_too(colour, kind, caplog):
    def fails(x):
        raise KeyError("step")

    def body(doors):
        hooks = ("on_chain_start", "on_chain_error")
        with logged(caplog) as told, pytest.raises(KeyError):
            doors.invoke(RunnableLambda(fails), SECRET, {"callbacks": [kind(*hooks)]})
        assert told == [f"{kind.__name__}.on_chain_start failed at fails",
                        f"{kind.__name__}.on_chain_error failed 1 more time at fails"]  # fmt: skip
        with logged(caplog) as told:
            stream = doors.open(chain(), SECRET, {"callbacks": [kind("on_llm_new_token")]})
            stream.next()
            stream.next()
            stream.close()
        assert [text.split(" at ")[0] for text in told] == [
            f"{kind.__name__}.on_llm_new_token failed",
            f"{kind.__name__}.on_llm_new_token failed 1 more time",
        ]

    colour.run(body)


@every_colour
def test_observers_that_are_no_handlers(colour, caplog):
    class Asks(Watches):
        def wants(self, run):
            raise ValueError("burnt")

    def body(doors):
        step = RunnableLambda(lambda x: x, name="step")
        with logged(caplog) as told:
            doors.stream(step, SECRET, {"callbacks": [Watches()]})
        assert told == ["Watches.on_event failed at step",
                        "Watches.on_event failed 2 more times at step"]  # fmt: skip
        with logged(caplog) as told:
            doors.stream(step, SECRET, {"callbacks": [Asks()]})
        assert told[0] == "Asks.wants failed at step"
        assert len(told) == 2
        assert SECRET not in caplog.text

    colour.run(body)


def test_awaited_failures_that_come_together_at_the_end(caplog):
    """Two runs end in a thread before anything of them is told."""
    import asyncio

    step = RunnableLambda(lambda x: x, name="step")
    outer = RunnableLambda(lambda x, config: (step | step).invoke(x, config), name="outer")

    async def main():
        return await outer.ainvoke(
            SECRET, {"callbacks": [BadAwaited("on_chain_start", "on_chain_end")]}
        )

    with logged(caplog) as told:
        assert asyncio.run(main()) == SECRET
    assert len(told) == 8
    assert told[-1] == "BadAwaited.on_chain_end failed 1 more time at outer"
    assert sum("1 more time" in text for text in told) == 4
