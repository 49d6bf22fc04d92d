"""Every class of the registry, made of module-level parts, survives pickle and copying and gives
what it gave. A new class that does not fails here."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from headrace.language_models import FakeListChatModel, GenericFakeChatModel
from headrace.local import ChatLocal
from headrace.messages import AIMessage
from headrace.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough
from laws.entry import Entry
from laws.registry import ENTRIES, classes_in
from laws.usercode import exclaim
from pickling.parts import CASES, long_chain, nameless, outcome

PICKLED = [entry for entry in CASES if not nameless(entry.make())]


@pytest.mark.parametrize("entry", PICKLED, ids=repr)
def test_pickle(entry: Entry) -> None:
    given = entry.make()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(given, protocol))
        assert type(back) is type(given)
        assert repr(back) == repr(given)
        assert outcome(entry, back) == outcome(entry, entry.make())


@pytest.mark.parametrize("entry", CASES, ids=repr)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copy(copied: Any, entry: Entry) -> None:
    given = entry.make()
    made = copied(given)
    assert type(made) is type(given) and made is not given
    assert repr(made) == repr(given)
    assert outcome(entry, made) == outcome(entry, entry.make())


def test_every_class_is_among_those_that_are_pickled() -> None:
    pickled = {cls for entry in PICKLED for cls in classes_in(entry.make())}
    missing = {cls for entry in ENTRIES for cls in classes_in(entry.make())} - pickled
    assert not missing, f"add one made of module-level functions to pickling/parts.py: {missing}"


def test_equal_ones_stay_equal() -> None:
    given = long_chain().steps[0]
    assert pickle.loads(pickle.dumps(given)) == given == copy.deepcopy(given)


# ---- what a copy shares -------------------------------------------------------------------------


def test_a_deep_copy_runs_its_own_parts() -> None:
    given = RunnableParallel(a=FakeListChatModel(responses=["1", "2"]), b=RunnablePassthrough())
    made = copy.deepcopy(given)
    assert [chunk["a"].content for chunk in made.stream("x") if "a" in chunk] == ["1"]
    assert (made.steps["a"].i, given.steps["a"].i) == (1, 0)
    assert given.invoke("x")["a"].content == "1"


def test_a_shallow_copy_runs_the_same_parts() -> None:
    given = RunnableParallel(a=FakeListChatModel(responses=["1", "2"]), b=RunnablePassthrough())
    made = copy.copy(given)
    made.invoke("x")
    assert given.steps["a"].i == 1


def test_parts_that_were_one_stay_one() -> None:
    model = FakeListChatModel(responses=["1", "2"])
    back = pickle.loads(pickle.dumps(RunnableParallel(a=model, b=model)))
    assert back.steps["a"] is back.steps["b"]


def test_fakes_keep_their_place() -> None:
    model = FakeListChatModel(responses=["1", "2"])
    model.invoke("x")
    for made in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert made.invoke("x").content == "2"
    told = GenericFakeChatModel(messages=iter([AIMessage("1"), AIMessage("2")]))
    told.invoke("x")
    for made in (pickle.loads(pickle.dumps(told)), copy.deepcopy(told), told):
        assert made.invoke("x").content == "2"


def test_the_embedded_model_travels_by_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("headrace.local.chat.load", load)
    model = ChatLocal(model_path="/nowhere/model.gguf", n_ctx=512, temperature=0.5, stop=["x"])
    for made in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert made == model and made is not model
        assert (made.n_ctx, made.temperature, made.stop) == (512, 0.5, ["x"])
    assert len(pickle.dumps(model)) < 1000
    chain = pickle.loads(pickle.dumps(model.bind(stop=["y"]) | exclaim))
    assert chain.steps[0].bound == model


class Slotted(Runnable[str, str]):
    """A class of a user with slots, and state of its own making."""

    __slots__ = ("mark",)

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.opened = object()

    def __getstate__(self) -> Any:
        return ({"opened": None}, {"mark": self.mark})

    def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
        return input + self.mark


class Reduced(Slotted):
    __slots__ = ()

    def __reduce__(self) -> Any:
        return Reduced, (self.mark,)


@pytest.mark.parametrize("cls", [Slotted, Reduced])
def test_a_users_class_keeps_its_way(cls: Any) -> None:
    given = cls("!") | exclaim
    for made in (pickle.loads(pickle.dumps(given)), copy.deepcopy(given)):
        assert made.invoke("a") == "a!!"
        assert (made.steps[0].opened is None) == (cls is Slotted)


# ---- another process ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_chain_runs_in_a_spawned_process() -> None:
    given = long_chain()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(given.invoke, "ab").result(timeout=60) == given.invoke("ab") == [1, 2]
        assert pool.submit(_streamed, given).result(timeout=60) == _streamed(given)


def _streamed(runnable: Any) -> list[Any]:
    return list(runnable.stream("ab"))


def test_lambdas_are_copied_along() -> None:
    given = RunnableLambda(lambda text: text + "!") | {"a": lambda text: text, "b": exclaim}
    for made in (copy.copy(given), copy.deepcopy(given)):
        assert made == given
        assert made.invoke("x") == {"a": "x!", "b": "x!!"}
