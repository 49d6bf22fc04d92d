"""What pickle cannot send is refused with a sentence that names the step and the fix."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from functools import partial
from types import FunctionType
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.language_models import GenericFakeChatModel
from headrace.runnables import (
    Runnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)
from laws.entry import Entry
from laws.usercode import OnlyInvoke, exclaim
from pickling.parts import CASES, nameless, session

REFUSED = [entry for entry in CASES if nameless(entry.make())]


def refusal(runnable: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> str:
    with pytest.raises(HeadraceError) as caught:
        pickle.dumps(runnable, protocol)
    assert isinstance(caught.value, pickle.PicklingError)
    return str(caught.value)


@pytest.mark.parametrize("entry", REFUSED, ids=repr)
def test_entries_with_lambdas(entry: Entry) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        text = refusal(entry.make(), protocol)
        assert "cannot be pickled" in text and "<lambda>" in text


def test_the_step_and_the_line_are_named() -> None:
    text = refusal(RunnableLambda(exclaim) | (lambda text: text + "!") | exclaim)
    line = test_the_step_and_the_line_are_named.__code__.co_firstlineno + 1
    assert text == (
        "RunnableLambda(lambda text: text + '!') cannot be pickled: its 'func' holds "
        f"test_the_step_and_the_line_are_named.<locals>.<lambda> of module {__name__} (line {line})"
        ", which has no name there by which another process could import it. Give it a "
        "module-level function."
    )


def local(text: str) -> Any:
    def inner(chunks: Any) -> Any:
        yield from chunks

    return inner


def test_where_functions_can_be() -> None:
    deep = {"a": {"b": RunnableLambda(lambda text: text)}}
    assert "its 'func'" in refusal(RunnablePassthrough() | deep)
    assert "its '_transform' holds local.<locals>.inner" in refusal(RunnableGenerator(local("")))
    assert "its 'func'" in refusal(RunnableLambda(partial(lambda a, b: a, "x")))
    branch = RunnableBranch((lambda text: True, exclaim), exclaim)
    assert "RunnableLambda(" in refusal(branch)
    history = RunnableWithMessageHistory(OnlyInvoke(), lambda session_id: session(session_id))
    assert "its 'get_session_history'" in refusal(history)
    assert "its 'kwargs'" in refusal(OnlyInvoke().bind(key=[lambda: 1]))
    retried = RunnableLambda(exclaim).with_retry(retry_if_exception_type=lambda error: True)
    assert "its 'retry_if'" in refusal(retried)


def test_a_class_inside_a_function() -> None:
    class Hidden(OnlyInvoke):
        pass

    text = refusal(Hidden() | exclaim)
    assert text.startswith("Hidden() cannot be pickled: its class")
    assert text.endswith("Define the class at module level.")
    assert copy.deepcopy(Hidden() | exclaim).invoke("a") == "a!!"


class Holder(Runnable[str, str]):
    def __init__(self, held: Any) -> None:
        self.held = held

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return input


@pytest.mark.parametrize(
    "held", [threading.Lock(), threading.RLock(), io.StringIO(), (n for n in ()), pickle]
)
def test_what_is_open(held: Any) -> None:
    text = refusal(Holder([held]) | exclaim)
    assert "Holder() cannot be pickled: its 'held' holds a" in text
    assert text.endswith("Make it when the step runs.")


def test_fields_of_a_component() -> None:
    model = GenericFakeChatModel(messages=(text for text in ["a"]))
    assert "its 'messages' holds a generator" in refusal(model | exclaim)


def test_long_data_is_left_to_pickle() -> None:
    held = [["row"] * 3] * 2000
    assert pickle.loads(pickle.dumps(Holder(held))).held == held
    ring: list[Any] = []
    ring.append(ring)
    back = pickle.loads(pickle.dumps(Holder(ring))).held
    assert back[0] is back


# ---- picklers that need no names ----------------------------------------------------------------


class ByValue(pickle.Pickler):
    """As cloudpickle's: a method in Python, a way of its own for functions."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType) and "<" in obj.__qualname__:
            return _remade, (obj.__code__.co_code,)
        return NotImplemented

    def dump(self, obj: Any) -> None:
        super().dump(obj)


class Subclassed(OnlyInvoke):
    """A class of a user's that asks `super()`."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __reduce_ex__(self, protocol: Any) -> Any:
        return super().__reduce_ex__(protocol)


def _remade(code: bytes) -> Any:
    return exclaim


def test_a_pickler_that_carries_functions_is_let_be() -> None:
    given = RunnableLambda(lambda text: text) | Subclassed(lambda: 1)
    file = io.BytesIO()
    ByValue(file).dump(given)
    back = pickle.loads(file.getvalue())
    assert back.invoke("a") == "a!!" and back.steps[1].held is exclaim
    assert copy.deepcopy(given).steps[1].held is given.steps[1].held


def test_a_plain_pickler_in_python_is_not() -> None:
    with pytest.raises(pickle.PicklingError, match="module-level function"):
        pickle._Pickler(io.BytesIO()).dump(RunnableLambda(lambda text: text))  # type: ignore[attr-defined]
