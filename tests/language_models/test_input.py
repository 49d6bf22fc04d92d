"""What a model can be asked, and what it says of anything else."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from headrace.callbacks import BaseCallbackHandler
from headrace.errors import InputError
from headrace.language_models import FakeListChatModel, FakeListLLM
from headrace.messages import HumanMessage, convert_to_messages
from headrace.runnables import RunnablePassthrough

NOT_ASKED = [
    {"question": "what?"},
    {},
    {"what?"},
    frozenset(),
    3,
    None,
    b"what?",
    bytearray(b"what?"),
    iter(["what?"]),
]
ONE = {"role": "user", "content": "what?"}


def chat() -> FakeListChatModel:
    return FakeListChatModel(responses=["fine"])


@pytest.mark.parametrize("model", [chat(), FakeListLLM(responses=["fine"])], ids=["chat", "llm"])
@pytest.mark.parametrize("value", NOT_ASKED, ids=lambda value: type(value).__name__)
async def test_what_is_no_question_is_refused(model: Any, value: Any) -> None:
    expected = rf"A model cannot be asked .*\({type(value).__name__}\): .*put a prompt before"
    with pytest.raises(InputError, match=expected):
        model.invoke(value)
    with pytest.raises(InputError, match=expected):
        list(model.stream(value))
    with pytest.raises(InputError, match=expected):
        await model.ainvoke(value)


def test_a_dict_of_steps_before_a_model_is_refused() -> None:
    chain: Any = {"q": RunnablePassthrough()} | chat()
    with pytest.raises(InputError, match=r"asked \{'q': 'hi'\} \(.*\): .*put a prompt before"):
        chain.invoke("hi")


@pytest.mark.parametrize("one", [ONE, {"type": "human", "content": "what?"}])
def test_a_single_message_as_a_dict_belongs_in_a_list(one: Any) -> None:
    with pytest.raises(InputError, match=r"it is one message, so put it in a list, \[\{'.*\}\]"):
        chat().invoke(one)
    with pytest.raises(InputError, match=r"no list of messages: .* put it in a list"):
        convert_to_messages(one)
    assert chat().invoke([one]).content == "fine"


@pytest.mark.parametrize("value", [{"a": "b"}, {"a"}, b"a", 3, None])
def test_what_is_no_list_of_messages(value: Any) -> None:
    with pytest.raises(InputError, match=rf"\({type(value).__name__}\) is no list of messages\.$"):
        convert_to_messages(value)


@pytest.mark.parametrize(
    "value",
    ["a", HumanMessage("a"), [ONE], [("human", "a")], (HumanMessage("a"),), deque(["a"]), []],
    ids=repr,
)
def test_what_can_be_asked(value: Any) -> None:
    assert chat().invoke(value).content == "fine"


class Watching(BaseCallbackHandler):
    raise_error = True

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.seen.append(messages)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append(type(error))


def test_who_watches_sees_the_models_own_error() -> None:
    watching = Watching()
    with pytest.raises(InputError, match="A model cannot be asked"):
        chat().invoke({"question": "what?"}, {"callbacks": [watching]})  # type: ignore[arg-type]
    assert watching.seen == [[[]], InputError]
