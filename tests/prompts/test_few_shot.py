"""Prompts with examples: as LangChain's, in every colour, and where they differ on purpose."""

from __future__ import annotations

import pickle
from typing import Any

import langchain_core.example_selectors
import langchain_core.prompts
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.example_selectors
import headrace.prompts
from headrace.errors import ConfigError, HeadraceWarning, MissingVariablesError
from headrace.events import RunStarted
from headrace.example_selectors import BaseExampleSelector
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from headrace.prompts import (
    ChatPromptTemplate,
    FewShotChatMessagePromptTemplate,
    FewShotPromptTemplate,
    FewShotPromptWithTemplates,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
)
from headrace.runnables import RunnableLambda
from laws.colours import ASYNC, every_colour
from laws.ledger import Recorder

EXAMPLES = [{"q": "1+1", "a": "2"}, {"q": "2+2", "a": "4"}]
VALUES = {"x": "X", "y": "Y"}


class Library:
    def __init__(self, *modules: Any) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        return next(getattr(m, name) for m in self._modules if hasattr(m, name))


OURS = Library(headrace.prompts, headrace.example_selectors)
THEIRS = Library(langchain_core.prompts, langchain_core.example_selectors)


def example(lib: Any, text: str = "{q}={a}", **more: Any) -> Any:
    return lib.PromptTemplate.from_template(text, **more)


FORMS: dict[str, Any] = {
    "text": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES, example_prompt=example(lib), prefix="Say {x}", suffix="{y}:"
    ),
    "no prefix": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES, example_prompt=example(lib), suffix="{y}:", example_separator=" | "
    ),
    "no suffix": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES, example_prompt=example(lib), prefix="{x}", suffix=""
    ),
    "no examples": lambda lib: lib.FewShotPromptTemplate(
        examples=[], example_prompt=example(lib), prefix="{x}", suffix="{y}"
    ),
    "partial": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES,
        example_prompt=example(lib).partial(a=lambda: "?"),
        suffix="{x}{y}:",
        partial_variables={"y": lambda: "y"},
    ).partial(x=5),
    "example with less": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES, example_prompt=example(lib, "{q}"), suffix="{y}"
    ),
    "mustache examples": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES,
        example_prompt=example(lib, "{{q}}", template_format="mustache"),
        suffix="{y}",
    ),
    "jinja2": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES,
        example_prompt=example(lib, "{{ q }}", template_format="jinja2"),
        prefix="{{ x }}\n",
        suffix="{{ y }}\n",
        template_format="jinja2",
    ),
    "by length": lambda lib: lib.FewShotPromptTemplate(
        example_selector=lib.LengthBasedExampleSelector(
            examples=EXAMPLES, example_prompt=example(lib, "{q} {a}"), max_length=4
        ),
        example_prompt=example(lib),
        suffix="{x}{y}:",
    ),
    "templates": lambda lib: lib.FewShotPromptWithTemplates(
        input_variables=[],
        examples=EXAMPLES,
        example_prompt=example(lib),
        prefix=lib.PromptTemplate.from_template("Say {x}"),
        suffix=lib.PromptTemplate.from_template("{y}:"),
    ),
    "templates, no prefix": lambda lib: lib.FewShotPromptWithTemplates(
        input_variables=[],
        examples=EXAMPLES,
        example_prompt=example(lib),
        suffix=lib.PromptTemplate.from_template("{y}:"),
    ),
    "chat": lambda lib: lib.FewShotChatMessagePromptTemplate(
        examples=EXAMPLES,
        example_prompt=lib.ChatPromptTemplate([("human", "{q}"), ("ai", "{a}")]),
    ),
    "chat, one message each": lambda lib: lib.FewShotChatMessagePromptTemplate(
        examples=EXAMPLES, example_prompt=lib.HumanMessagePromptTemplate.from_template("{q}")
    ),
    "in a chat": lambda lib: lib.ChatPromptTemplate(
        [
            ("system", "s {y}"),
            lib.FewShotChatMessagePromptTemplate(
                input_variables=["x"],
                example_selector=lib.LengthBasedExampleSelector(
                    examples=EXAMPLES, example_prompt=example(lib, "{q}"), max_length=3
                ),
                example_prompt=lib.ChatPromptTemplate([("human", "{q}"), ("ai", "{a}")]),
            ),
            ("human", "{y}"),
        ]
    ),
    "added": lambda lib: (
        lib.SystemMessagePromptTemplate.from_template("{x}")
        + lib.FewShotChatMessagePromptTemplate(
            examples=EXAMPLES, example_prompt=lib.HumanMessagePromptTemplate.from_template("{q}")
        )
        + "{y}"
    ),
    "neither": lambda lib: lib.FewShotPromptTemplate(example_prompt=example(lib), suffix="{y}"),
    "both": lambda lib: lib.FewShotPromptTemplate(
        examples=EXAMPLES,
        example_selector=lib.LengthBasedExampleSelector(
            examples=EXAMPLES, example_prompt=example(lib)
        ),
        example_prompt=example(lib),
        suffix="{y}",
    ),
    "an example lacks": lambda lib: lib.FewShotPromptTemplate(
        examples=[{"q": 1}], example_prompt=example(lib), suffix="{y}"
    ),
    "malformed": lambda lib: lib.FewShotPromptTemplate(
        examples=[], example_prompt=example(lib), suffix="{y.z}"
    ),
}


def told(prompt: Any, value: Any) -> Any:
    return [(m.type, m.content) for m in value.to_messages()], value.to_string()


def about(lib: Any, name: str, values: Any) -> Any:
    try:
        prompt = FORMS[name](lib)
        value = prompt.invoke(values)
    except Exception as error:
        return next(kind.__name__ for kind in (KeyError, ValueError) if isinstance(error, kind))
    schema = prompt.get_input_jsonschema()
    fields = (schema["title"], schema.get("required"), schema.get("properties"))
    variables = (sorted(prompt.input_variables), sorted(prompt.partial_variables))
    return variables, fields, told(prompt, value)


@every_colour
@pytest.mark.parametrize("name", FORMS)
def test_every_form_as_there(colour: Any, name: str) -> None:
    for values in (VALUES, {"x": "X"}, {}):
        assert about(OURS, name, values) == about(THEIRS, name, values)

    def body(doors: Any) -> None:
        try:
            prompt = FORMS[name](OURS)
            expected = told(prompt, prompt.invoke(VALUES))
        except Exception as error:
            assert isinstance(error, (KeyError, ValueError))
            return
        assert told(prompt, doors.invoke(prompt, VALUES)) == expected
        assert [told(prompt, v) for v in doors.stream(prompt, VALUES)] == [expected]
        assert [told(prompt, v) for v in doors.batch(prompt, [VALUES])] == [expected]

    colour.run(body)


async def test_the_formatting_methods() -> None:
    text = FORMS["text"](OURS)
    assert text.format(**VALUES) == await text.aformat(**VALUES)
    assert text.format_prompt(**VALUES) == await text.aformat_prompt(**VALUES)
    chat = FORMS["in a chat"](OURS)
    assert chat.format_messages(**VALUES) == await chat.aformat_messages(**VALUES)
    templates = FORMS["templates"](OURS)
    assert templates.format(**VALUES) == await templates.aformat(**VALUES)


# ---- on purpose different ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["FewShotPromptTemplate", "FewShotPromptWithTemplates"])
@pytest.mark.parametrize("text", ['{"name": 1}', "{y}", "{{y}}", "{"])
def test_difference_an_example_is_no_template(name: str, text: str) -> None:
    def made(lib: Any) -> str:
        suffix: Any = "{y}"
        if name != "FewShotPromptTemplate":
            suffix = lib.PromptTemplate.from_template(suffix)
        prompt = getattr(lib, name)(
            input_variables=["y"],
            examples=[{"q": text}],
            example_prompt=example(lib, "{q}"),
            suffix=suffix,
        )
        try:
            return prompt.format(y="a secret")
        except (ValueError, KeyError):
            return "fails"

    assert made(OURS) == f"{text}\n\na secret"
    assert made(THEIRS) != made(OURS)


@given(st.text(), st.text())
def test_any_text_goes_in_as_it_is(question: str, answer: str) -> None:
    prompt = FewShotPromptTemplate(
        examples=[{"q": question, "a": answer}],
        example_prompt=PromptTemplate.from_template("{q}>{a}"),
        suffix="{y}",
    )
    assert prompt.format(y="Y") == f"{question}>{answer}\n\nY"


def test_what_an_example_lacks_is_named() -> None:
    with pytest.raises(MissingVariablesError, match=r"'a'.*no use for \['aa'\]") as caught:
        FewShotPromptTemplate(
            examples=[*EXAMPLES, {"q": 1, "aa": 2}],
            example_prompt=example(OURS),
            suffix="",
        ).format()
    assert caught.value.__notes__ == ["This is about example 3 of FewShotPromptTemplate."]


@pytest.mark.parametrize("more", [{}, {"examples": [], "example_selector": 1},
                                  {"example_selector": "text"}])  # fmt: skip
def test_where_examples_are_from(more: Any) -> None:
    for cls in (FewShotPromptTemplate, FewShotChatMessagePromptTemplate):
        with pytest.raises(ValueError, match="example"):
            cls(example_prompt=HumanMessagePromptTemplate.from_template("{q}"), **more)


def test_declared_variables_are_checked_on_request() -> None:
    def made(declared: list[str], template_format: Any = "f-string") -> Any:
        suffix = "{{ y }}" if template_format == "jinja2" else "{y}"
        return FewShotPromptTemplate(
            examples=[],
            example_prompt=example(OURS),
            suffix=suffix,
            input_variables=declared,
            template_format=template_format,
            validate_template=True,
        )

    assert made(["y"]).input_variables == ["y"]
    for declared, why in (([], r"Missing variables: {'y'}"), (["x", "y"], r"Extra.*{'x'}")):
        with pytest.raises(ValueError, match=why):
            made(declared)
        with pytest.warns(HeadraceWarning, match=why):
            assert made(declared, "jinja2").input_variables == ["y"]


# ---- selectors ---------------------------------------------------------------------------------


class Selector(BaseExampleSelector):
    """Its examples are the variables that it is given; it calls a runnable on the way."""

    def add_example(self, example: dict[str, Any]) -> None:
        raise NotImplementedError

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        RunnableLambda(len, name="inner").invoke(input_variables)
        return [{"q": name, "a": "sync"} for name in sorted(input_variables)]


class AsyncSelector(Selector):
    async def aselect_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        await RunnableLambda(len, name="inner").ainvoke(input_variables)
        return [{"q": name, "a": "async"} for name in sorted(input_variables)]


def selecting(selector: Any) -> ChatPromptTemplate:
    few = FewShotChatMessagePromptTemplate(
        example_selector=selector, example_prompt=ChatPromptTemplate([("ai", "{q} {a}")])
    )
    return ChatPromptTemplate([("system", "s"), few, MessagesPlaceholder("h"), "{x}"])


@every_colour
@pytest.mark.parametrize("kind", [Selector, AsyncSelector])
@pytest.mark.parametrize("observed", [False, True])
def test_a_selector_is_called_in_the_run_and_awaited(
    colour: Any, kind: Any, observed: bool
) -> None:
    seen = Recorder()
    expected: list[BaseMessage] = [SystemMessage("s")]
    said = "async" if kind is AsyncSelector and colour.name == ASYNC.name else "sync"
    expected += [AIMessage(f"h {said}"), AIMessage(f"x {said}"), AIMessage("past")]

    def body(doors: Any) -> None:
        values = {"x": "X", "h": [("ai", "past")]}
        prompt = selecting(kind())
        found = doors.invoke(prompt, values, seen.config if observed else None)
        assert found.to_messages() == [*expected, HumanMessage("X")]
        model = FakeListChatModel(responses=["fine"])
        assert "".join(c.content for c in doors.stream(prompt | model, values)) == "fine"

    colour.run(body)
    if observed:
        starts = {e.run.name: e.run for e in seen.events if isinstance(e, RunStarted)}
        assert starts["inner"].parent_ids[-1] == starts["ChatPromptTemplate"].id


async def test_a_duck_of_a_selector_is_called_in_a_thread() -> None:
    class Duck:
        def select_examples(self, values: dict[str, Any]) -> list[dict[str, Any]]:
            return EXAMPLES

    prompt = FewShotPromptTemplate(
        example_selector=Duck(), example_prompt=example(OURS), suffix="{x}"
    )
    expected = "1+1=2\n\n2+2=4\n\nX"
    assert prompt.format(x="X") == await prompt.aformat(x="X") == expected


def test_a_selector_cannot_change_the_variables() -> None:
    class Greedy(Selector):
        def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
            input_variables.clear()
            return []

    prompt = FewShotPromptTemplate(
        example_selector=Greedy(), example_prompt=example(OURS), prefix="{x}", suffix="{y}"
    )
    assert prompt.invoke(VALUES).to_string() == "X\n\nY"


# ---- as objects --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text", "templates", "chat", "in a chat"])
def test_they_copy_pickle_and_show_themselves(name: str) -> None:
    prompt = FORMS[name](OURS)
    again = pickle.loads(pickle.dumps(prompt))
    assert again.invoke(VALUES) == prompt.model_copy().invoke(VALUES) == prompt.invoke(VALUES)
    assert "examples" in prompt.pretty_repr()
    assert type(prompt).__name__ in repr(prompt)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="prefx"):
        FewShotPromptTemplate(examples=[], example_prompt=example(OURS), suffix="", prefx="a")
    assert FewShotPromptWithTemplates(
        examples=[], example_prompt=example(OURS), suffix=example(OURS, "{x}")
    ).input_variables == ["x"]
    with pytest.raises(ConfigError):
        FewShotPromptTemplate(
            examples=[], example_prompt=example(OURS), suffix="{", template_format="f-string"
        )
