"""Every runnable has a repr that can be read, and is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.prompts import ChatPromptTemplate, PromptTemplate
from headrace.runnables import (
    ConfigurableFieldSpec,
    RunnableLambda,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)
from laws.entry import Entry
from laws.registry import ENTRIES
from laws.usercode import exclaim, failing, joined, swapper


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_reprs(entry: Entry) -> None:
    text = repr(entry.make())
    assert " at 0x" not in text
    assert text == repr(entry.make())  # of copies: tests/pickling


def test_a_long_chain_can_be_read() -> None:
    chain = (
        {"a": swapper(), "b": (swapper() | exclaim).with_config(tags=["t"])}
        | RunnablePassthrough.assign(z=joined)
        | (RunnableLambda(failing) | exclaim)
        .with_retry(stop_after_attempt=2)
        .with_fallbacks([swapper(), swapper() | exclaim])
    )
    assert (
        repr(chain)
        == """\
{
  a: RunnableGenerator(swap),
  b: RunnableBinding(
    RunnableGenerator(swap)
    | RunnableLambda(exclaim),
    config={'tags': ['t']}
  )
}
| RunnableAssign({
    z: RunnableLambda(joined)
  })
| RunnableWithFallbacks(
    RunnableRetry(
      RunnableLambda(failing)
      | RunnableLambda(exclaim),
      max_attempt_number=2
    ),
    fallbacks=[
      RunnableGenerator(swap),
      RunnableGenerator(swap)
      | RunnableLambda(exclaim)
    ]
  )"""
    )


class Opaque:
    """Has the repr of `object`."""


def now() -> str:
    return "now"


def test_no_address_of_what_is_inside() -> None:
    bound = RunnableLambda(exclaim).bind(a=Opaque(), b=now, c=[Opaque], d=(1,), e=frozenset())
    assert repr(bound) == (
        "RunnableBinding(RunnableLambda(exclaim), kwargs={'a': <laws.test_reprs.Opaque object>, "
        "'b': now, 'c': [<class 'laws.test_reprs.Opaque'>], 'd': (1,), 'e': frozenset()})"
    ).replace("laws.test_reprs", __name__)
    model = GenericFakeChatModel(messages=iter(["a"]))
    assert repr(model) == "GenericFakeChatModel(messages=<list_iterator object>)"
    prompt = PromptTemplate.from_template("{a} {b}", partial_variables={"a": now})
    assert "partial_variables={'a': now}" in repr(prompt)
    text = PromptTemplate.from_template("it was <seen at 0x12> {a}")
    assert repr(PromptTemplate.from_template("seen at 0x12")).endswith("template='seen at 0x12')")
    assert text.invoke({"a": 1}).to_string() == "it was <seen at 0x12> 1"


def test_use_does_not_change_it() -> None:
    chat = FakeListChatModel(responses=["a", "b"])
    before = repr(chat)
    chat.invoke("hello")
    assert repr(chat) == before == "FakeListChatModel(responses=['a', 'b'])"


def test_it_shows_what_differs_from_its_default_however_that_came() -> None:
    given = FakeListChatModel(responses=["a"], sleep=None, name=None, disable_streaming=False)
    assert repr(given) == "FakeListChatModel(responses=['a'])"
    given.sleep = 0.5
    assert repr(given) == "FakeListChatModel(responses=['a'], sleep=0.5)"
    # A value is not its default for being equal to it: 0 is no False.
    other = FakeListChatModel(responses=["a"])
    other.disable_streaming = 0  # type: ignore[assignment]
    assert repr(other) == "FakeListChatModel(disable_streaming=0, responses=['a'])"
    partial = PromptTemplate.from_template("{a} {b}").partial(a=1)
    assert repr(partial) == (
        "PromptTemplate(input_variables=['b'], partial_variables={'a': 1}, template='{a} {b}')"
    )
    assert "optional_variables" not in repr(ChatPromptTemplate.from_template("{a}").partial(a=1))


def test_all_settings_of_a_binding() -> None:
    step = RunnableLambda(exclaim)
    assert repr(step.with_types(input_type=str, output_type=int)) == (
        "RunnableBinding(RunnableLambda(exclaim), custom_input_type=<class 'str'>, "
        "custom_output_type=<class 'int'>)"
    )
    assert repr(step.with_listeners(on_start=failing)) == (
        "RunnableBinding(RunnableLambda(exclaim), config_factories=[Listening(on_start=failing)])"
    )


def test_all_settings_of_a_history() -> None:
    with_keys = RunnableWithMessageHistory(
        RunnableLambda(exclaim), failing, input_messages_key="q", history_messages_key="h"
    )
    assert repr(with_keys) == (
        "RunnableWithMessageHistory(RunnableLambda(exclaim), failing, input_messages_key='q', "
        "history_messages_key='h')"
    )
    spec = ConfigurableFieldSpec("user", str)
    other = RunnableWithMessageHistory(
        RunnableLambda(exclaim), failing, history_factory_config=[spec]
    )
    assert f"history_factory_config=[{spec!r}]" in repr(other)


def test_sets_are_in_order_in_every_process() -> None:
    code = (
        "from headrace.runnables import RunnableLambda as L;"
        "print(L(len).bind(k={'a', 'b', 'c', 'd', 'e'}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {
        "RunnableBinding(RunnableLambda(len), kwargs={'k': {'a', 'b', 'c', 'd', 'e'}})\n"
    }
