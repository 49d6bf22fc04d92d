"""What errors of components, prompts and parsers say, and that classes tell their signature."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from headrace.conversation import filter_messages
from headrace.errors import (
    ConfigError,
    InputError,
    MissingVariablesError,
    OutputParserException,
)
from headrace.language_models import FakeListChatModel, init_chat_model
from headrace.messages import AIMessage, BaseMessage, HumanMessage
from headrace.output_parsers import (
    JsonOutputParser,
    JsonOutputToolsParser,
    OutputFixingParser,
    PydanticOutputParser,
    PydanticToolsParser,
    YamlOutputParser,
)
from headrace.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate


class Joke(BaseModel):
    setup: str
    stars: int = 0


# ------------------------------------------------------------- prompts


def lacking(prompt: Any, given: dict[str, Any]) -> str:
    with pytest.raises(MissingVariablesError) as caught:
        prompt.invoke(given)
    return str(caught.value)


def test_only_f_strings_are_told_to_write_braces_twice():
    said = lacking(PromptTemplate.from_template("{b} {a}"), {"x": 1})
    assert "{'a', 'b'}" in said
    assert "write them twice: '{{a}}'" in said
    for text, form in [("{{ b }} {{ a }}", "jinja2"), ("{{b}} {{a}}", "mustache")]:
        for prompt in (
            PromptTemplate.from_template(text, template_format=form),
            ChatPromptTemplate.from_messages([("user", text)], template_format=form),
        ):
            said = lacking(prompt, {"x": 1})
            assert "{'a', 'b'}" in said
            assert "twice" not in said
            assert said.endswith("Pass them in the input.")


def test_a_placeholder_has_no_braces_and_a_template_beside_it_has():
    chat = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("user", "{q}")])
    assert "twice" not in lacking(chat, {"q": "?"})
    assert "twice: '{{q}}'" in lacking(chat, {"history": []})
    assert "twice: '{{q}}'" in lacking(chat, {})


def test_a_sentence_of_jinja_has_one_dot():
    prompt = PromptTemplate.from_template("{{ a.__class__.x }}", template_format="jinja2")
    with pytest.raises(InputError, match=r"[^.]\.\Z"):
        prompt.invoke({"a": 1})


# ------------------------------------------------------------- making a component


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FakeListChatModel(response=["a"]), "did you mean 'responses'.*are cache, callba"),
        (lambda: JsonOutputParser(emti="full"), "no setting 'emti'; did you mean 'emit'"),
        (lambda: JsonOutputParser(emit="full"), "'partial', 'complete' or 'delimited'"),
        (lambda: PydanticOutputParser(Joke, emti=1), "did you mean 'emit'"),
        (lambda: init_chat_model(max_token=3), "did you mean 'max_tokens'"),
        (lambda: OutputFixingParser(parser=JsonOutputParser(), llm=None), "from_llm"),
        (lambda: FakeListChatModel(responses=[], callbacks=3), "\n  FakeListChatModel.*no method"),
    ],
)
def test_what_a_component_cannot_take_is_said_without_addresses(make: Any, words: str):
    with pytest.raises(ValidationError, match=words) as caught:
        make()
    assert "errors.pydantic.dev" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_error_is_as_pydantic_has_it_for_programs():
    with pytest.raises(ValidationError) as caught:
        FakeListChatModel(response=["{a}"], responses=3)
    error = caught.value
    assert error.title == "FakeListChatModel"
    assert {(each["type"], each["loc"]) for each in error.errors()} == {
        ("extra_forbidden", ("response",)),
        ("list_type", ("responses",)),
    }
    assert {json.dumps(each["input"]) for each in error.errors()} == {'["{a}"]', "3"}


def test_validation_does_not_call_the_constructor():
    assert FakeListChatModel.model_validate({"responses": ["a"]}).responses == ["a"]
    assert not FakeListChatModel.__pydantic_custom_init__


def test_a_class_tells_its_signature_before_its_first_instance():
    class Fresh(FakeListChatModel):
        more: int = 3

    first = inspect.signature(Fresh)
    assert {"responses", "more", "cache"} <= set(first.parameters)
    assert first.parameters["more"].default == 3
    assert first.parameters["responses"].default is inspect.Parameter.empty
    Fresh(responses=[])
    assert list(inspect.signature(Fresh).parameters) == list(first.parameters)

    class Derived(Fresh):
        even_more: str

    assert "even_more" in inspect.signature(Derived).parameters


@pytest.mark.parametrize("cls", [JsonOutputParser, PydanticOutputParser])
def test_the_settings_of_the_json_parsers_are_in_their_signature(cls: Any):
    names = set(inspect.signature(cls).parameters)
    assert {"pydantic_object", "emit", "path", "diff"} <= names
    assert "settings" not in names


def test_type_checkers_see_the_settings(tmp_path: Any):
    program = tmp_path / "program.py"
    program.write_text(
        "from headrace.output_parsers import JsonOutputParser, PydanticOutputParser\n"
        "JsonOutputParser(emit='complete', path='a')\n"
        "JsonOutputParser(emit='full')\n"
        "PydanticOutputParser(int, emti='partial')\n"
        "class More(JsonOutputParser[int]):\n"
        "    more: int = 3\n"
        "More(more=4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    found = {line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line}
    assert found == {"3", "4"}, done.stdout


# ------------------------------------------------------------- models


@pytest.mark.parametrize("word", ["inlcude_raw", "includ_raw", "stict", "metod"])
def test_a_near_miss_of_with_structured_output_is_refused_when_it_is_made(word: str):
    class Model(FakeListChatModel):
        structured_modes = ("json_schema",)

    model = Model(responses=[])
    with pytest.raises(ConfigError, match="did you mean"):
        model.with_structured_output(Joke, **{word: True})
    assert model.with_structured_output(Joke, temperature=3)


def test_a_near_miss_of_bind_tools_is_refused_and_other_keywords_bind():
    model = FakeListChatModel(responses=[])
    with pytest.raises(ConfigError, match="did you mean 'tool_choice'"):
        model.bind_tools([Joke], tool_choic="any")
    bound: Any = model.bind_tools([Joke], temperature=3)
    assert bound.kwargs["temperature"] == 3


def test_text_in_place_of_a_call_says_what_to_do():
    class Model(FakeListChatModel):
        structured_modes = ("function_calling",)

    with pytest.raises(OutputParserException, match="method='json_schema'"):
        Model(responses=["Hello."]).with_structured_output(Joke).invoke("?")


def test_errors_name_public_classes():
    model: Any = FakeListChatModel(responses=[])
    with pytest.raises(TypeError, match=r"BaseChatModel\.bind_tools\(\)"):
        model.bind_tools()
    fixing: Any = OutputFixingParser
    with pytest.raises(TypeError, match=r"OutputFixingParser\.from_llm\(\)"):
        fixing.from_llm()


# ------------------------------------------------------------- parsers


@pytest.mark.parametrize("before", ["", "x" * 400_000])
def test_the_error_of_bad_json_shows_the_place_and_keeps_all(before: str):
    text = f'{before}\n{{"a": 1 2}}' + "y" * 400_000
    with pytest.raises(OutputParserException) as caught:
        JsonOutputParser().invoke(text)
    error = caught.value
    assert len(str(error)) < 500
    assert '{"a": 1 2}' in str(error)
    assert error.llm_output == text
    assert error.position == text.index("2}")
    assert error.expected == "',' or '}'"
    again = pickle.loads(pickle.dumps(error))
    assert (again.position, again.expected) == (error.position, error.expected)


def test_the_digits_of_a_huge_integer_are_cut():
    with pytest.raises(OutputParserException, match="fewer digits") as caught:
        JsonOutputParser().invoke('{"a": ' + "1" * 90_000 + "}")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "words"),
    [("I cannot do that.", "holds no JSON"), ("", "text is empty"), (" \n", "text is empty")],
)
def test_a_text_without_json_is_told_from_one_that_ends_too_early(text: str, words: str):
    for parser in (JsonOutputParser(), PydanticOutputParser(Joke)):
        with pytest.raises(OutputParserException, match=words):
            parser.invoke(text)
    with pytest.raises(OutputParserException, match="text ends there"):
        JsonOutputParser().invoke('{"a": ')


@pytest.mark.parametrize("strict", [False, True])
def test_arguments_that_cannot_be_read_are_told_with_the_place(strict: bool):
    raw = '{"q": 1 2}'
    answer = AIMessage(
        "",
        additional_kwargs={
            "tool_calls": [{"id": "1", "function": {"name": "search", "arguments": raw}}]
        },
    )
    with pytest.raises(OutputParserException, match=r"search.*character 8: expected '") as caught:
        JsonOutputToolsParser(strict=strict).invoke(answer)
    assert caught.value.position == 8


def test_arguments_that_fit_no_class_keep_pydantics_error_with_a_sentence():
    answer = AIMessage("", tool_calls=[{"name": "Joke", "args": {"stars": "x"}, "id": "1"}])
    with pytest.raises(ValidationError) as caught:
        PydanticToolsParser(tools=[Joke]).invoke(answer)
    (note,) = caught.value.__notes__
    assert "'Joke'" in note
    assert "at setup: Field required" in note
    assert "at stars: Input should be a valid integer" in note


def test_yaml_of_nothing_says_that_the_text_is_empty():
    with pytest.raises(OutputParserException, match="text is empty"):
        YamlOutputParser(pydantic_object=Joke).invoke(" \n")


# ------------------------------------------------------------- conversations


def test_an_unknown_type_of_message_is_refused_and_a_users_own_is_known():
    messages = [HumanMessage("a"), AIMessage("b")]
    for name in ("include_types", "exclude_types"):
        with pytest.raises(InputError, match=r"'humn'.*did you mean 'human'.*system, tool"):
            filter_messages(messages, **{name: ["humn"]})

    class Own(BaseMessage):
        type = "own-of-this-test"

    assert filter_messages([*messages, Own("c")], include_types=[Own.type]) == [Own("c")]
