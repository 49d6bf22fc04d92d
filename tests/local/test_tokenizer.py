"""The embedded model's own tokenizer: the numbers that a call reports, without a call."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import WeightsError
from headrace.local import ChatLocal
from headrace.local.engine import Engine
from headrace.local.tokenizer import load_vocabulary
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from laws.effort import examples

CONVERSATIONS: list[list[Any]] = [
    [HumanMessage("Say hi.")],
    [SystemMessage("Be nice."), HumanMessage("\n\nSay hi 12 ünï 日本 <|im_end|> 🙂")],
    [HumanMessage("a"), AIMessage("b"), HumanMessage([{"type": "text", "text": "c"}])],
    [HumanMessage("What is 2+2?"), AIMessage("4"), SystemMessage("late"), HumanMessage("")],
]


@pytest.fixture(scope="module")
def model(engine: Engine) -> ChatLocal:
    return ChatLocal(max_tokens=1)


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_messages_count_what_a_call_reports(model: ChatLocal, messages: list[Any]):
    usage = model.invoke(messages).usage_metadata
    assert usage is not None
    assert model.get_num_tokens_from_messages(messages) == usage["input_tokens"]


def test_what_tools_gave_counts_about_right(model: ChatLocal):
    messages = [HumanMessage("look"), ToolMessage("found", tool_call_id="1")]
    usage = model.invoke(messages).usage_metadata  # llama.cpp puts it in words of its own
    assert usage is not None
    assert abs(model.get_num_tokens_from_messages(messages) - usage["input_tokens"]) < 10


def test_tools_count_as_well(model: ChatLocal):
    def square(number: int) -> int:
        """The square of a number."""
        return number * number

    alone = model.get_num_tokens_from_messages(CONVERSATIONS[0])
    assert model.get_num_tokens_from_messages(CONVERSATIONS[0], [square]) > alone + 20


def test_ids_are_the_models(model: ChatLocal):
    assert model.get_token_ids("Hello, world") == [19556, 28, 905]
    assert model.get_num_tokens("Hello, world") == 3
    assert model.get_token_ids("") == []
    assert len(model.get_token_ids("<|im_start|>")) > 1
    assert load_vocabulary(model._vocabulary_path()).tokens("<|im_start|>", special=True) == [1]


@examples(30)
@given(text=st.text(max_size=60), more=st.text(max_size=20))
def test_any_text_has_tokens(weights: Path, text: str, more: str):
    vocabulary = load_vocabulary(weights)
    one = len(vocabulary.tokens(text))
    assert one <= len(text.encode("utf-8", "replace"))
    assert len(vocabulary.tokens(text + more)) <= one + len(more.encode("utf-8", "replace"))


def test_a_tokenizer_of_ones_own_counts_instead(engine: Engine):
    model = ChatLocal(custom_get_token_ids=lambda text: [1] * len(text))
    assert model.get_num_tokens("abc") == 3
    assert model.get_num_tokens_from_messages([HumanMessage("x")]) == len("Human: x")


def test_it_is_loaded_once_from_any_thread(weights: Path):
    found: list[Any] = []

    def work() -> None:
        found.append(load_vocabulary(weights))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in found}) == 1


def test_loading_says_nothing(python: Any):
    program = python(
        "from headrace.local.tokenizer import load_vocabulary\n"
        "print(load_vocabulary(W).tokens('Hello'))"
    )
    out, err = program.communicate(timeout=60)
    assert out.strip() == "[19556]"
    assert err == ""


def test_no_vocabulary_no_tokens(tmp_path: Path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and no more")
    with pytest.raises(WeightsError, match="vocabulary"):
        load_vocabulary(broken)
    with pytest.raises(WeightsError):
        load_vocabulary(tmp_path / "missing.gguf")
