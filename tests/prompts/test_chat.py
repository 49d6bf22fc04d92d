"""`ChatPromptTemplate`: every way to write a message, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.errors import ConfigError, InputError, MissingVariablesError
from headrace.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage
from headrace.prompt_values import ChatPromptValue
from headrace.prompts import (
    AIMessagePromptTemplate,
    BaseMessagePromptTemplate,
    ChatMessagePromptTemplate,
    ChatPromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    PromptInputError,
    PromptTemplate,
    SystemMessagePromptTemplate,
)

FORMS: list[tuple[Any, BaseMessage]] = [
    ("hi {x}", HumanMessage("hi 1")),
    (("human", "hi {x}"), HumanMessage("hi 1")),
    (("user", "hi {x}"), HumanMessage("hi 1")),
    (["user", "hi {x}"], HumanMessage("hi 1")),
    (("ai", "hi {x}"), AIMessage("hi 1")),
    (("assistant", "hi {x}"), AIMessage("hi 1")),
    (("system", "hi {x}"), SystemMessage("hi 1")),
    ((SystemMessage, "hi {x}"), SystemMessage("hi 1")),
    ((AIMessagePromptTemplate, "hi {x}"), AIMessage("hi 1")),
    ({"role": "system", "content": "hi {x}"}, SystemMessage("hi 1")),
    (SystemMessage("hi {x}"), SystemMessage("hi {x}")),
    (HumanMessagePromptTemplate.from_template("hi {x}"), HumanMessage("hi 1")),
    (
        ChatMessagePromptTemplate.from_template("hi {x}", role="cat"),
        ChatMessage("hi 1", role="cat"),
    ),
    (ChatPromptTemplate.from_template("hi {x}"), HumanMessage("hi 1")),
    (
        HumanMessagePromptTemplate(
            prompt=PromptTemplate.from_template("hi {x}"), additional_kwargs={"a": 1}
        ),
        HumanMessage("hi 1", additional_kwargs={"a": 1}),
    ),
]


@pytest.mark.parametrize(("written", "expected"), FORMS)
async def test_every_form(written: Any, expected: BaseMessage) -> None:
    prompt = ChatPromptTemplate.from_messages([written])
    assert prompt.input_variables == ([] if isinstance(written, BaseMessage) else ["x"])
    assert prompt.format_messages(x=1) == [expected]
    assert await prompt.aformat_messages(x=1) == [expected]
    assert prompt.invoke({"x": 1}) == ChatPromptValue([expected])
    assert await prompt.ainvoke({"x": 1}) == ChatPromptValue([expected])
    assert prompt.format_prompt(x=1) == await prompt.aformat_prompt(x=1)
    assert prompt.format(x=1) == await prompt.aformat(x=1) == prompt.invoke({"x": 1}).to_string()


@pytest.mark.parametrize(
    ("written", "error", "why"),
    [
        (("robot", "hi"), ConfigError, "Unknown role 'robot'"),
        (("tool", "hi"), ConfigError, "Unknown role 'tool'"),
        ((dict, "hi"), ConfigError, "Unknown role"),
        (("human", "hi", "there"), ConfigError, r"\(role, text\)"),
        ({"role": "human"}, ConfigError, "'role' and 'content'"),
        ({"role": "human", "content": "a", "name": "b"}, ConfigError, "nothing else"),
        (("human", 5), ConfigError, "string or a list"),
        (("human", "{a.b}"), ConfigError, "attribute and index access"),
        (("human", [5]), ConfigError, "no content of a message"),
        (("human", [{"image_url": 5}]), ConfigError, "no content of a message"),
        (("human", [{"image_url": {"path": "/etc/passwd"}}]), ConfigError, "reads no files"),
        (("placeholder", "history"), ConfigError, r"'\{name\}'"),
        (("placeholder", "{}"), ConfigError, r"'\{name\}'"),
        (("placeholder", ["{history}", "yes"]), ConfigError, r"'\{name\}'"),
        (("placeholder", ["{history}"]), ConfigError, r"'\{name\}'"),
        (5, PromptInputError, "is no message"),
        (PromptTemplate.from_template("hi"), PromptInputError, "is no message"),
    ],
)
def test_what_is_no_message_is_refused(written: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        ChatPromptTemplate.from_messages([written])


def test_a_chat_of_many() -> None:
    prompt = ChatPromptTemplate(
        [
            ("system", "You are {name}."),
            MessagesPlaceholder("history", optional=True),
            ("human", "{question}, {name}?"),
        ]
    )
    assert prompt.input_variables == ["name", "question"]
    assert prompt.optional_variables == ["history"]
    asked = [SystemMessage("You are Bo."), HumanMessage("Why, Bo?")]
    assert prompt.format_messages(name="Bo", question="Why") == asked
    history = [("human", "hi"), AIMessage("ho"), {"role": "user", "content": "hu"}]
    value = prompt.invoke({"name": "Bo", "question": "Why", "history": history})
    assert value.to_messages() == [
        asked[0],
        HumanMessage("hi"),
        AIMessage("ho"),
        HumanMessage("hu"),
        asked[1],
    ]


def test_missing_variables_are_named_all_at_once() -> None:
    prompt = ChatPromptTemplate([("system", "{a}"), ("placeholder", ["{h}", False]), "{b}"])
    for call in (prompt.invoke, lambda values: prompt.format_messages(**values)):
        with pytest.raises(MissingVariablesError, match=r"\{'a', 'b', 'h'\}.*\['c'\]"):
            call({"c": 1})
    with pytest.raises(PromptInputError, match="ChatPromptTemplate takes a dict"):
        prompt.invoke("bare")


def test_a_single_variable_may_be_given_bare() -> None:
    assert ChatPromptTemplate.from_template("{x}").invoke("a") == ChatPromptValue(
        [HumanMessage("a")]
    )
    prompt = ChatPromptTemplate([MessagesPlaceholder("xs"), ("placeholder", "{more}")])
    assert prompt.invoke([HumanMessage("a")]) == ChatPromptValue([HumanMessage("a")])


# ---- placeholders ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "optional"),
    [
        (("placeholder", "{h}"), True),
        (("placeholder", ["{h}", False]), False),
        (("placeholder", ("{h}", True)), True),
        ({"role": "placeholder", "content": "{h}"}, True),
        ({"role": "placeholder", "content": ["{h}", False]}, False),
    ],
)
def test_placeholders_as_roles(written: Any, optional: bool) -> None:
    (placeholder,) = ChatPromptTemplate([written]).messages
    assert placeholder == MessagesPlaceholder("h", optional=optional)


def test_a_placeholder_takes_the_last_messages() -> None:
    given = [HumanMessage(str(number)) for number in range(5)]
    assert MessagesPlaceholder("h", n_messages=2).format_messages(h=given) == given[-2:]
    assert MessagesPlaceholder("h", n_messages=9).format_messages(h=given) == given
    assert MessagesPlaceholder("h").format_messages(h=ChatPromptValue(given)) == given
    with pytest.raises(ValueError, match="n_messages"):
        MessagesPlaceholder("h", n_messages=0)


@pytest.mark.parametrize("wrong", ["text", 5, None, {"role": "user", "content": "a"}])
def test_a_placeholder_refuses_what_is_no_list(wrong: Any) -> None:
    with pytest.raises(InputError, match="'h' stands for a list of messages"):
        ChatPromptTemplate([MessagesPlaceholder("h")]).invoke({"h": wrong})


def test_a_placeholder_that_is_not_given() -> None:
    assert MessagesPlaceholder("h", optional=True).format_messages() == []
    with pytest.raises(MissingVariablesError, match="'h'"):
        MessagesPlaceholder("h").format_messages(other=1)


# ---- content blocks ----------------------------------------------------------------------------


async def test_blocks_are_filled_in() -> None:
    image = "data:image/png;base64,{data}"
    blocks = [
        "plain {x}",
        {"type": "text", "text": "block {x}"},
        {"type": "image_url", "image_url": image},
        {"type": "image_url", "image_url": {"url": "http://{x}", "detail": "{d}"}},
        {"type": "text", "text": "{x}", "cache_control": {"type": "{d}"}},
        {"type": "file", "list": ["{x}", {"deep": "{d}"}, 7, None], "{x}": True},
        {"type": "text", "text": "{empty}"},
    ]
    prompt = ChatPromptTemplate([("human", blocks)])
    assert prompt.input_variables == ["d", "data", "empty", "x"]
    values = {"x": "X", "d": "low", "data": "abcd", "empty": "", "url": "no", "detail": "no"}
    expected = [
        {"type": "text", "text": "plain X"},
        {"type": "text", "text": "block X"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,abcd"}},
        {"type": "image_url", "image_url": {"url": "http://X", "detail": "low"}},
        {"type": "text", "text": "X", "cache_control": {"type": "low"}},
        {"type": "file", "list": ["X", {"deep": "low"}, 7, None], "{x}": True},
    ]
    assert prompt.invoke(values).to_messages() == [HumanMessage(expected)]
    assert await prompt.aformat_messages(**values) == [HumanMessage(expected)]
    assert blocks[5]["list"][1] == {"deep": "{d}"}


def test_blocks_in_other_formats() -> None:
    blocks = [{"type": "text", "text": "{{x}}"}, {"image_url": {"url": "{{x}}"}}, {"a": "{{x}}"}]
    for template_format in ("mustache", "jinja2"):
        prompt = ChatPromptTemplate([("ai", blocks)], template_format=template_format)  # type: ignore[arg-type]
        assert prompt.invoke("X").to_messages()[0].content == [
            {"type": "text", "text": "X"},
            {"type": "image_url", "image_url": {"url": "X"}},
            {"a": "X"},
        ]


def test_an_empty_url_is_refused() -> None:
    prompt = ChatPromptTemplate([("human", [{"type": "image_url", "image_url": "{x}"}])])
    with pytest.raises(InputError, match="needs a 'url'"):
        prompt.invoke("")


# ---- composition -------------------------------------------------------------------------------

HELLO = ChatPromptTemplate([("system", "{a}")]).partial(a="A")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("{b}", [HumanMessage("B")]),
        (("ai", "{b}"), [AIMessage("B")]),
        ([("ai", "{b}"), "{b}"], [AIMessage("B"), HumanMessage("B")]),
        (("{b}", "{b}", "{b}"), [HumanMessage("B")] * 3),
        (HumanMessage("{b}"), [HumanMessage("{b}")]),
        (MessagesPlaceholder("c"), [AIMessage("C")]),
        (AIMessagePromptTemplate.from_template("{b}"), [AIMessage("B")]),
        (ChatPromptTemplate.from_template("{b}{d}").partial(d="D"), [HumanMessage("BD")]),
    ],
)
def test_adding(more: Any, expected: list[BaseMessage]) -> None:
    both = HELLO + more
    values = {name: {"b": "B", "c": [AIMessage("C")]}[name] for name in both.input_variables}
    assert both.format_messages(**values) == [SystemMessage("A"), *expected]
    assert len(HELLO) == 1


def test_adding_messages_and_templates_makes_a_chat_prompt() -> None:
    prompt = SystemMessage("be {x}") + HumanMessagePromptTemplate.from_template("{x}")
    prompt = prompt + AIMessage("ok") + "{y}"
    assert isinstance(prompt, ChatPromptTemplate)
    assert [m.content for m in prompt.format_messages(x=1, y=2)] == ["be {x}", "1", "ok", "2"]
    template = HumanMessagePromptTemplate.from_template("{x}") + SystemMessage("s")
    assert template.input_variables == ["x"]
    with pytest.raises(PromptInputError, match="is no message"):
        HELLO + 5


def test_append_and_extend_bring_their_variables() -> None:
    prompt = ChatPromptTemplate.from_template("{a}")
    prompt.append(("ai", "{b}"))
    prompt.extend(["{c}", ("placeholder", "{h}")])
    assert prompt.input_variables == ["a", "b", "c"]
    assert prompt.optional_variables == ["h"]
    assert len(prompt) == 4
    assert [m.content for m in prompt.format_messages(a=1, b=2, c=3)] == ["1", "2", "3"]


def test_indexing() -> None:
    prompt = ChatPromptTemplate(["{a}", ("ai", "{b}"), SystemMessage("s")]).partial(b="B")
    assert prompt[2] == SystemMessage("s")
    assert isinstance(prompt[0], HumanMessagePromptTemplate)
    tail = prompt[1:]
    assert isinstance(tail, ChatPromptTemplate)
    assert (tail.input_variables, len(tail)) == ([], 2)
    assert tail.format_messages() == [AIMessage("B"), SystemMessage("s")]


def test_partial_of_a_chat() -> None:
    count = iter(range(9))
    prompt = ChatPromptTemplate(["{n} {a}", ("placeholder", "{h}")])
    filled = prompt.partial(n=lambda: next(count), h=[AIMessage("old")])
    assert (filled.input_variables, filled.optional_variables) == (["a"], [])
    assert prompt.input_variables == ["a", "n"]
    assert filled.invoke("A").to_messages() == [HumanMessage("0 A"), AIMessage("old")]
    assert filled.invoke("A").to_messages() == [HumanMessage("1 A"), AIMessage("old")]
    filled.append("more")
    assert len(prompt) == 2


def test_partials_of_the_parts() -> None:
    inner = ChatPromptTemplate.from_template("{a}{b}").partial(a="A")
    text = ChatPromptTemplate.from_template("{a}{b}", partial_variables={"a": "T"})
    prompt = ChatPromptTemplate([inner, text])
    assert prompt.input_variables == ["b"]
    assert [m.content for m in prompt.invoke("B").to_messages()] == ["AB", "TB"]


def test_declared_variables_are_checked_on_request() -> None:
    with pytest.raises(ConfigError, match=r"\['x'\].*\['a'\]"):
        ChatPromptTemplate(["{a}"], input_variables=["x"], validate_template=True)
    assert ChatPromptTemplate(["{a}"], input_variables=["x"]).input_variables == ["a"]


# ---- templates of messages ---------------------------------------------------------------------


def test_message_templates_by_themselves(tmp_path: Path) -> None:
    file = tmp_path / "system.txt"
    file.write_text("be {mood}", "utf-8")
    template = SystemMessagePromptTemplate.from_template_file(file)
    assert template.input_variables == ["mood"]
    assert template.format(mood="kind") == SystemMessage("be kind")
    assert template.format_messages(mood="kind") == [SystemMessage("be kind")]
    partial = SystemMessagePromptTemplate.from_template(
        "{a}{b}", partial_variables={"a": "A"}, input_variables=["b"]
    )
    assert partial.format(b="B") == SystemMessage("AB")


@pytest.mark.parametrize("wrong", ["text", 5, ["text"], [PromptTemplate.from_template("a"), 5]])
def test_message_templates_take_templates_only(wrong: Any) -> None:
    with pytest.raises(ValueError, match="HumanMessagePromptTemplate takes as prompt"):
        HumanMessagePromptTemplate(prompt=wrong)


def test_partials_for_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"partial\(\) of the chat prompt"):
        HumanMessagePromptTemplate.from_template(["{a}"], partial_variables={"a": 1})


def test_pretty_repr() -> None:
    prompt = ChatPromptTemplate(["{x}", MessagesPlaceholder("h"), SystemMessage("s")])
    text = prompt.pretty_repr()
    lines = [line.strip("= ") for line in text.splitlines() if line]
    assert lines == ["Human Message", "{x}", "Messages Placeholder", "{h}", "System Message", "s"]


def test_pretty_print(capsys: pytest.CaptureFixture[str]) -> None:
    prompt = ChatPromptTemplate.from_template("{x}")
    prompt.pretty_print()
    assert capsys.readouterr().out == prompt.pretty_repr() + "\n"


def test_repr_shows_what_was_set() -> None:
    assert repr(ChatPromptTemplate(["{x}"])) == (
        "ChatPromptTemplate(input_variables=['x'], messages=[HumanMessagePromptTemplate("
        "prompt=PromptTemplate(input_variables=['x'], template='{x}'))])"
    )


def test_a_base_class_names_what_is_to_be_written() -> None:
    with pytest.raises(TypeError, match="format_messages"):
        BaseMessagePromptTemplate()  # type: ignore[abstract]
