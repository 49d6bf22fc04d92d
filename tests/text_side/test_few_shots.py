"""Few-shot prompts with each of the selectors, and against LangChain where it has the same."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.embeddings import Embeddings
from headrace.errors import ConfigError
from headrace.example_selectors import (
    BaseExampleSelector,
    LengthBasedExampleSelector,
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)
from headrace.messages import AIMessage, HumanMessage, SystemMessage
from headrace.prompts import (
    ChatPromptTemplate,
    FewShotChatMessagePromptTemplate,
    FewShotPromptTemplate,
    FewShotPromptWithTemplates,
    PromptTemplate,
)
from headrace.vectorstores import InMemoryVectorStore
from laws.colours import every_colour
from text_side.kit import Counting
from text_side.twin import plains

EXAMPLES = [
    {"input": "happy", "output": "sad"},
    {"input": "tall", "output": "short"},
    {"input": "energetic and full of joy", "output": "lethargic"},
    {"input": "sunny", "output": "gloomy"},
]
EXAMPLE = PromptTemplate.from_template("In: {input}\nOut: {output}")
SHOT = ChatPromptTemplate.from_messages([("human", "{input}"), ("ai", "{output}")])


class Letters(Embeddings):
    """How often each letter occurs: texts with the same letters are alike."""

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        return [float(text.lower().count(chr(97 + n))) + 0.001 for n in range(26)]


def few_shot(**given_):
    return FewShotPromptTemplate(
        example_prompt=EXAMPLE,
        prefix="Give the opposite.",
        suffix="In: {word}\nOut:",
        **given_,
    )


@every_colour
def test_examples_stand_between_prefix_and_suffix(colour):
    def body(doors):
        prompt = few_shot(examples=EXAMPLES[:2])
        assert prompt.input_variables == ["word"]
        assert doors.invoke(prompt, {"word": "big"}).to_string() == (
            "Give the opposite.\n\nIn: happy\nOut: sad\n\nIn: tall\nOut: short\n\nIn: big\nOut:"
        )
        (value,) = doors.stream(prompt, {"word": "big"})
        assert value.to_string().endswith("In: big\nOut:")
        with pytest.raises(KeyError, match="word"):
            doors.invoke(prompt, {})

    colour.run(body)


def test_braces_in_examples_are_text():
    prompt = few_shot(examples=[{"input": "{word}", "output": "{{x}} {0.__class__}"}])
    shown = prompt.format(word="w")
    assert "In: {word}\nOut: {{x}} {0.__class__}" in shown


def test_an_example_that_lacks_a_key_is_named():
    with pytest.raises((KeyError, ValueError), match="output"):
        few_shot(examples=[{"input": "x"}]).format(word="w")


def test_neither_or_both_of_examples_and_selector_is_refused():
    selector = LengthBasedExampleSelector(examples=EXAMPLES, example_prompt=EXAMPLE)
    for given_ in ({}, {"examples": EXAMPLES, "example_selector": selector}):
        with pytest.raises(ConfigError):
            few_shot(**given_)
        with pytest.raises(ConfigError):
            FewShotChatMessagePromptTemplate(example_prompt=SHOT, **given_)


@pytest.mark.parametrize("leak", ["{word.x}", "{word[0]}"])
def test_prefix_and_suffix_leak_nothing(leak):
    for part in ("prefix", "suffix"):
        with pytest.raises(ValueError):
            FewShotPromptTemplate(
                example_prompt=EXAMPLE, examples=EXAMPLES, **{"suffix": "s", part: leak}
            )


@every_colour
def test_by_length(colour):
    def body(doors):
        selector = LengthBasedExampleSelector(
            examples=EXAMPLES, example_prompt=EXAMPLE, max_length=13
        )
        prompt = few_shot(example_selector=selector)
        short = doors.invoke(prompt, {"word": "big"}).to_string()
        long = doors.invoke(prompt, {"word": "big and very tall and more of it"}).to_string()
        assert (short.count("Out: "), long.count("Out: ")) == (2, 1)
        if doors.asynchronous:
            doors.wait(selector.aadd_example({"input": "a", "output": "b"}))
        else:
            selector.add_example({"input": "a", "output": "b"})
        assert selector.examples[-1] == {"input": "a", "output": "b"}

    colour.run(body)


def store(examples=EXAMPLES, **given_):
    return SemanticSimilarityExampleSelector.from_examples(
        examples, Letters(), InMemoryVectorStore, **given_
    )


@every_colour
def test_by_similarity(colour):
    def body(doors):
        selector = store(k=1, input_keys=["input"])
        prompt = few_shot(example_selector=selector)
        chosen = (
            doors.wait(selector.aselect_examples({"input": "sunny day"}))
            if doors.asynchronous
            else selector.select_examples({"input": "sunny day"})
        )
        assert chosen == [EXAMPLES[3]]
        shown = doors.invoke(prompt, {"word": "nunys", "input": "nunys"}).to_string()
        assert "In: sunny" in shown
        assert "In: happy" not in shown
        added = {"input": "zzz", "output": "aaa"}
        if doors.asynchronous:
            doors.wait(selector.aadd_example(added))
        else:
            selector.add_example(added)
        assert selector.select_examples({"input": "zzzz"}) == [added]

    colour.run(body)


def test_similar_examples_with_keys_of_choice():
    selector = store(k=2, example_keys=["output"], input_keys=["input"])
    got = selector.select_examples({"input": "happy", "noise": "zzzz"})
    assert got[0] == {"output": "sad"}
    assert all(set(example) == {"output"} for example in got)


@every_colour
def test_by_maximal_marginal_relevance(colour):
    examples = [
        {"input": "aaab", "output": "1"},
        {"input": "aaaab", "output": "2"},
        {"input": "aaaaab", "output": "3"},
        {"input": "zzaa", "output": "4"},
    ]

    def body(doors):
        selector = MaxMarginalRelevanceExampleSelector.from_examples(
            examples, Letters(), InMemoryVectorStore, k=2, fetch_k=4, input_keys=["input"]
        )
        chosen = (
            doors.wait(selector.aselect_examples({"input": "aaaz"}))
            if doors.asynchronous
            else selector.select_examples({"input": "aaaz"})
        )
        outputs = {example["output"] for example in chosen}
        assert len(chosen) == 2
        assert "4" in outputs  # alike and unlike the others: never three of a kind
        similar = store(examples, k=2, input_keys=["input"]).select_examples({"input": "aaaab"})
        assert "4" not in {example["output"] for example in similar}

    colour.run(body)


class Last(BaseExampleSelector):
    def __init__(self):
        self.asked = []
        self.examples = []

    def add_example(self, example):
        self.examples.append(example)

    def select_examples(self, input_variables):
        self.asked.append(input_variables)
        return EXAMPLES[-1:]


@every_colour
def test_a_selector_of_ones_own_gets_all_variables(colour):
    def body(doors):
        selector = Last()
        text = few_shot(example_selector=selector)
        doors.invoke(text, {"word": "w", "mood": "m"})
        assert selector.asked[-1]["word"] == "w"
        shots = FewShotChatMessagePromptTemplate(
            example_prompt=SHOT, example_selector=selector, input_variables=["word"]
        )
        chat = ChatPromptTemplate.from_messages([("system", "S"), shots, ("human", "{word}")])
        assert "word" in chat.input_variables
        messages = doors.invoke(chat, {"word": "w"}).to_messages()
        assert messages == [
            SystemMessage("S"), HumanMessage("sunny"), AIMessage("gloomy"), HumanMessage("w"),
        ]  # fmt: skip
        assert selector.asked[-1]["word"] == "w"

    colour.run(body)


@every_colour
def test_shots_in_a_chat_reach_the_model(colour):
    def body(doors):
        shots = FewShotChatMessagePromptTemplate(example_prompt=SHOT, examples=EXAMPLES[:2])
        model = Counting()
        chain = ChatPromptTemplate.from_messages([("system", "S"), shots, ("human", "{x}")]) | model
        doors.stream(chain, {"x": "big"})
        contents = [message.content for message in model.asked[0]["messages"]]
        assert contents == ["S", "happy", "sad", "tall", "short", "big"]

    colour.run(body)


def library(package):
    return SimpleNamespace(prompts=importlib.import_module(f"{package}.prompts"))


SHOWN = st.text(max_size=6).filter(lambda text: not set(text) & set("{}"))  # theirs takes no braces
EXAMPLE_SETS = st.lists(
    st.fixed_dictionaries({"input": SHOWN, "output": SHOWN}),
    max_size=4,
)


@given(
    EXAMPLE_SETS,
    st.sampled_from(["", "P", "P {word}"]),
    st.sampled_from(["", "S", "S {word}"]),
    st.sampled_from(["\n\n", "", "--"]),
    st.text(max_size=5),
)
def test_few_shots_are_langchains(examples, prefix, suffix, separator, word):
    got = []
    for package in ("headrace", "langchain_core"):
        p = library(package).prompts
        prompt = p.FewShotPromptTemplate(
            examples=examples,
            example_prompt=p.PromptTemplate.from_template("{input}->{output}"),
            prefix=prefix,
            suffix=suffix,
            example_separator=separator,
            input_variables=["word"] if "{word}" in prefix + suffix else [],
        )
        chat = p.ChatPromptTemplate.from_messages(
            [
                p.FewShotChatMessagePromptTemplate(
                    examples=examples,
                    example_prompt=p.ChatPromptTemplate.from_messages(
                        [("human", "{input}"), ("ai", "{output}")]
                    ),
                ),
                ("human", "{word}"),
            ]
        )
        got.append((prompt.format(word=word), plains(chat.format_messages(word=word))))
    assert got[0] == got[1]


@given(EXAMPLE_SETS, st.text("ab ", max_size=30), st.integers(0, 20))
def test_examples_by_length_are_langchains(examples, word, max_length):
    got = []
    for package in ("headrace", "langchain_core"):
        p = library(package).prompts
        selectors = importlib.import_module(f"{package}.example_selectors")
        selector = selectors.LengthBasedExampleSelector(
            examples=list(examples),
            example_prompt=p.PromptTemplate.from_template("{input} {output}"),
            max_length=max_length,
        )
        got.append(selector.select_examples({"word": word}))
    assert got[0] == got[1]


def test_prompts_with_templates_for_prefix_and_suffix():
    prompt = FewShotPromptWithTemplates(
        examples=EXAMPLES[:1],
        example_prompt=EXAMPLE,
        prefix=PromptTemplate.from_template("You are {who}."),
        suffix=PromptTemplate.from_template("In: {word}"),
        example_separator="\n",
    )
    assert sorted(prompt.input_variables) == ["who", "word"]
    assert prompt.format(who="A", word="b") == "You are A.\nIn: happy\nOut: sad\nIn: b"
    assert prompt.partial(who="Z").format(word="b").startswith("You are Z.")
