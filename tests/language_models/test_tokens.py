"""`get_num_tokens` and its like: exact with a tokenizer, an estimate without."""

from __future__ import annotations

import pytest
import tiktoken

from headrace.errors import InputError
from headrace.language_models import FakeListChatModel, FakeListLLM
from headrace.language_models.tokens import NoTokenizerError
from headrace.messages import AIMessage, HumanMessage
from headrace.prompts import ChatPromptTemplate

CONVERSATION = [HumanMessage("How are you today?"), AIMessage("Fine.")]


def words(text: str) -> list[int]:
    return [len(word) for word in text.split()]


def square(number: int) -> int:
    """The square of a number."""
    return number * number


@pytest.fixture(params=[FakeListChatModel, FakeListLLM])
def make(request):
    return lambda **more: request.param(responses=["x"], **more)


def test_ids_need_a_tokenizer(make):
    with pytest.raises(NoTokenizerError, match="custom_get_token_ids"):
        make().get_token_ids("some text")
    with pytest.raises(NotImplementedError):
        make().get_token_ids("")


def test_without_one_the_number_is_estimated(make):
    assert [make().get_num_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
    one, both = (make().get_num_tokens_from_messages(CONVERSATION[:n]) for n in (1, 2))
    assert 5 < one < both < 30
    with_tools = make().get_num_tokens_from_messages(CONVERSATION, tools=[square])
    assert with_tools > both + 10


def test_a_tokenizer_of_ones_own_counts(make):
    model = make(custom_get_token_ids=words)
    assert model.get_token_ids("one three") == [3, 5]
    assert model.get_num_tokens("one three") == 2
    assert model.get_num_tokens_from_messages(CONVERSATION) == 5 + 2  # with `Human:` and `AI:`
    assert model.get_num_tokens_from_messages(CONVERSATION, tools=[square]) > 12
    assert "custom_get_token_ids" not in repr(model.model_dump())


def test_tiktokens_encoder_fits_as_it_is(make):
    encoding = tiktoken.Encoding(
        "bytes",
        pat_str=r".",
        mergeable_ranks={bytes([n]): n for n in range(256)},
        special_tokens={},
    )
    model = make(custom_get_token_ids=encoding.encode)
    assert model.get_token_ids("Ab") == [65, 98]
    assert model.get_num_tokens("Ab") == 2


def test_a_class_may_have_its_own_tokenizer_or_its_own_count():
    class Spelt(FakeListChatModel):
        def get_token_ids(self, text):
            return [ord(letter) for letter in text]

    class Counted(FakeListChatModel):
        def get_num_tokens(self, text):
            return 100

    assert Spelt(responses=[]).get_num_tokens("abc") == 3
    assert Spelt(responses=[]).get_num_tokens_from_messages(CONVERSATION[1:]) == len("AI: Fine.")
    assert Counted(responses=[]).get_num_tokens_from_messages(CONVERSATION) == 200


def test_messages_are_given_as_to_invoke(make):
    model = make()
    wanted = model.get_num_tokens_from_messages([HumanMessage("hi there")])
    prompt = ChatPromptTemplate.from_messages([("human", "hi there")]).invoke({})
    for given in ([("human", "hi there")], [{"role": "user", "content": "hi there"}], "hi there",
                  HumanMessage("hi there"), prompt):  # fmt: skip
        assert model.get_num_tokens_from_messages(given) == wanted
    with pytest.raises(InputError, match="cannot be asked 3"):
        model.get_num_tokens_from_messages(3)
