"""`with_structured_output`: laws 1, 2, 9 and 10 on every mode, schema and colour; its errors."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from headrace.caches import InMemoryCache
from headrace.callbacks import BaseCallbackHandler
from headrace.errors import ConfigError, ModelRefusalError, OutputParserException
from headrace.flow import fold_chunks
from headrace.language_models import BaseChatModel, GenericFakeChatModel
from headrace.language_models.structured import MODES, Mode, NoModeError
from headrace.messages import AIMessage, AIMessageChunk
from headrace.prompts import ChatPromptTemplate
from headrace.runnables import RunnableLambda
from language_models.scripted import PLACES, call_pieces, library, text_pieces
from laws.colours import every_colour
from laws.effort import examples

few = examples(20)
H = library("headrace")


class Town(BaseModel):
    name: str
    people: int = Field(ge=0)


class Country(BaseModel):
    """A country."""

    name: str
    towns: list[Town]
    side: Literal["left", "right"] = "right"


class CountryDict(TypedDict):
    name: str
    towns: list[dict[str, Any]]


@dataclass
class CountryData:
    name: str
    towns: list[Town]
    side: str = "right"


AS_JSON = {
    "title": "Country",
    "type": "object",
    "properties": {"name": {"type": "string"}, "towns": {"type": "array"}},
    "required": ["name", "towns"],
}
VALUE = {"name": "Norway", "towns": [{"name": "Oslo", "people": 700}, {"name": "Å", "people": 2}]}
TEXT = json.dumps(VALUE)
NORWAY = Country(**VALUE)
SCHEMAS = {
    "pydantic": (Country, NORWAY),
    "typed dict": (CountryDict, VALUE),
    "dataclass": (CountryData, CountryData("Norway", NORWAY.towns)),
    "json schema": (AS_JSON, VALUE),
}
every_schema = pytest.mark.parametrize("schema", SCHEMAS)
every_mode = pytest.mark.parametrize("method", MODES)


def model_of(pieces: list[dict[str, Any]]) -> Any:
    class Known(H.Scripted):
        structured_modes = tuple(MODES)

    return Known(pieces=pieces)


def answering(method: str, places: Any = (), text: str = TEXT, **last: Any) -> Any:
    if method == "function_calling":
        return model_of(call_pieces("Country", text, places, **last))
    return model_of(text_pieces(text, places, **last))


def dumped(value: Any) -> Any:
    """A value, partial or not, without its classes."""
    if isinstance(value, BaseModel):
        return {name: dumped(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, CountryData):
        return {k: dumped(v) for k, v in vars(value).items() if v is not None}
    if isinstance(value, list):
        return [dumped(each) for each in value]
    return value


def grows(small: Any, large: Any) -> bool:
    """Whether nothing of `small` is taken back in `large`, but that a string may go on."""
    if isinstance(small, dict) and isinstance(large, dict):
        return all(key in large and grows(small[key], large[key]) for key in small)
    if isinstance(small, list) and isinstance(large, list):
        return len(small) <= len(large) and all(map(grows, small, large))
    if isinstance(small, str) and isinstance(large, str):
        return large.startswith(small)
    return small is None or small == large


# ---- the value ----------------------------------------------------------------------------------


@every_colour
@every_schema
@every_mode
@few
@given(places=PLACES)
def test_a_stream_grows_and_ends_with_what_invoke_gives(colour, schema, method, places):
    asked, expected = SCHEMAS[schema]
    chain = answering(method, places).with_structured_output(asked, method=method)

    def body(doors: Any) -> None:
        assert doors.invoke(chain, "which?") == expected
        chunks = doors.stream(chain, "which?")
        assert chunks[-1] == expected
        assert type(chunks[-1]) is type(expected)
        shown = [dumped(chunk) for chunk in chunks]
        assert all(map(grows, shown, shown[1:]))
        assert doors.batch(chain, ["a", "b"]) == [expected, expected]

    colour.run(body)


def test_partial_values_come_before_the_model_has_ended():
    places = range(0, len(TEXT), 3)
    for method in MODES:
        chain = answering(method, places).with_structured_output(Country, method=method)
        chunks = list(chain.stream("?"))
        names = [getattr(chunk, "name", None) for chunk in chunks]
        assert "Nor" in [name[:3] for name in names if name]
        assert len(chunks) > 10
        assert not isinstance(chunks[3], Country) or chunks[3].towns in (None, [])


def test_validators_run_once_at_the_end():
    seen: list[str] = []

    class Checked(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _note(cls, name: str) -> str:
            seen.append(name)
            return name.upper()

    text = '{"name": "Norway"}'
    for method in MODES:
        seen.clear()
        model = answering(method, range(len(text)), text)
        chain = model.with_structured_output(Checked, method=method)
        assert [*chain.stream("?")][-1] == Checked(name="norway")
        assert seen[0] == "Norway"
        assert len(seen) == 2  # the second is this test's own


@every_colour
def test_a_list_is_a_schema_too(colour):
    text = '[{"name": "Oslo", "people": 1}, {"name": "Bergen", "people": 2}]'
    chain = answering("json_schema", range(0, 60, 4), text).with_structured_output(list[Town])

    def body(doors: Any) -> None:
        towns = [Town(name="Oslo", people=1), Town(name="Bergen", people=2)]
        assert doors.invoke(chain, "?") == towns
        assert doors.stream(chain, "?")[-1] == towns

    colour.run(body)


def test_a_call_without_arguments_is_an_empty_object():
    class Nothing(BaseModel):
        note: str = "none"

    model = model_of(call_pieces("Nothing", ""))
    chain = model.with_structured_output(Nothing, method="function_calling")
    assert chain.invoke("?") == Nothing()
    assert list(chain.stream("?"))[-1] == Nothing()


def test_a_whole_message_is_read_as_its_chunks_are():
    call = {"name": "Country", "args": VALUE, "id": "1", "type": "tool_call"}
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[call])] * 2))
    chain = model.with_structured_output(Country, method="function_calling")
    assert chain.invoke("?") == NORWAY
    assert list(chain.stream("?"))[-1] == NORWAY


def test_the_first_call_counts():
    pieces = call_pieces("Country", TEXT)[:-1]
    other = {"name": "Country", "args": '{"name": "X"}', "id": "call_2", "index": 1}
    model = model_of([*pieces, {"content": "", "tool_call_chunks": [other]}])
    chain = model.with_structured_output(Country, method="function_calling")
    assert chain.invoke("?") == NORWAY == list(chain.stream("?"))[-1]


@every_colour
def test_what_comes_behind_gets_the_value(colour):
    model = answering("json_schema", range(0, 99, 5))
    chain = model.with_structured_output(Country) | RunnableLambda(lambda country: country.name)

    def body(doors: Any) -> None:
        assert doors.invoke(chain, "?") == "Norway"
        assert doors.stream(chain, "?") == ["Norway"]

    colour.run(body)


def test_it_stands_behind_a_prompt_and_is_copied_and_pickled():
    model = GenericFakeChatModel(messages=iter([TEXT] * 3))
    structured = model.with_structured_output(Country)
    chain = ChatPromptTemplate.from_template("which? {x}") | structured
    assert chain.invoke({"x": 1}) == NORWAY
    reader = structured.last
    assert copy.deepcopy(reader) == reader
    assert pickle.loads(pickle.dumps(reader)) == reader
    assert "Structured" in repr(structured)
    assert structured.output_schema.model_json_schema()["title"] == "Country"


def test_a_cache_replays_the_growing_value():
    cached = GenericFakeChatModel(messages=iter([TEXT]), cache=InMemoryCache())
    first = list(cached.with_structured_output(Country).stream("?"))
    assert list(cached.with_structured_output(Country).stream("?")) == first
    assert cached.with_structured_output(Country).invoke("?") == first[-1] == NORWAY


def test_events_show_the_model_and_one_parser():
    kinds: list[tuple[str, str]] = []

    class Seen(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, name: str, **kwargs: Any) -> None:
            kinds.append(("model", name))

        def on_chain_start(self, *args: Any, name: str, run_type: str, **kwargs: Any) -> None:
            kinds.append((run_type, name))

    chain = answering("json_schema").with_structured_output(Country)
    chain.invoke("?", {"callbacks": [Seen()]})
    names = [("chain", "RunnableSequence"), ("model", "Known"), ("parser", "PydanticOutputParser")]
    assert kinds == names


# ---- include_raw --------------------------------------------------------------------------------


def without_id(raw: dict[str, Any]) -> dict[str, Any]:
    message = raw["raw"].model_copy(update={"id": None})
    return {**raw, "raw": message, "parsing_error": repr(raw["parsing_error"])}


@every_colour
@every_mode
@few
@given(places=PLACES)
def test_raw_and_parsed_stream_side_by_side(colour, method, places):
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    model = answering(method, places, usage_metadata=usage)
    chain = model.with_structured_output(Country, method=method, include_raw=True)

    def body(doors: Any) -> None:
        whole = doors.invoke(chain, "?")
        assert list(whole) == ["raw", "parsed", "parsing_error"]
        assert whole["parsed"] == NORWAY
        assert whole["parsing_error"] is None
        assert type(whole["raw"]) is AIMessage
        assert whole["raw"].usage_metadata == usage
        chunks = doors.stream(chain, "?")
        assert all(isinstance(c["raw"], AIMessageChunk) for c in chunks if "raw" in c)
        assert chunks[-1] == {"parsing_error": None}
        assert [c for c in chunks if "parsed" in c][-1] == {"parsed": NORWAY}
        folded = fold_chunks(chain.last._fold, chunks)
        assert without_id(folded) == without_id(whole)
        summed = chunks[0]
        for chunk in chunks[1:]:
            summed = summed + chunk
        assert summed["parsed"] == NORWAY
        assert summed["raw"].content == whole["raw"].content

    colour.run(body)


@every_colour
@every_mode
def test_with_include_raw_nothing_is_raised(colour, method):
    text = '{"name": "Norway", "towns": [{"name": "Oslo", "people": -1}]}'
    model = answering(method, range(0, 60, 7), text)
    chain = model.with_structured_output(Country, method=method, include_raw=True)

    def body(doors: Any) -> None:
        whole = doors.invoke(chain, "?")
        assert whole["parsed"] is None
        assert isinstance(whole["parsing_error"], OutputParserException)
        assert "people" in str(whole["parsing_error"])
        chunks = doors.stream(chain, "?")
        assert chunks[-1]["parsed"] is None
        assert isinstance(chunks[-1]["parsing_error"], OutputParserException)
        folded = fold_chunks(chain.last._fold, chunks)
        assert without_id(folded) == without_id(whole)

    colour.run(body)


# ---- what goes wrong ----------------------------------------------------------------------------


@every_colour
@every_mode
@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_answer_cut_short_is_an_error_that_says_so(colour, method, reason):
    cut_text = TEXT[: TEXT.index("Oslo") + 2]
    key = "stop_reason" if reason == "max_tokens" else "finish_reason"
    model = answering(method, range(0, 40, 3), cut_text, response_metadata={key: reason})
    chain = model.with_structured_output(CountryDict, method=method)

    def body(doors: Any) -> None:
        for call in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException, match=r"cut off .* max_tokens") as caught:
                call(chain, "?")
            assert "Norway" in caught.value.llm_output
            assert not isinstance(caught.value, ModelRefusalError)

    colour.run(body)


@every_colour
@every_mode
@pytest.mark.parametrize("refusal", [
    {"additional_kwargs": {"refusal": "I cannot help."}},
    {"response_metadata": {"stop_reason": "refusal"}},
    {"response_metadata": {"finish_reason": "content_filter"}},
])  # fmt: skip
def test_a_refusal_is_an_error_of_its_own(colour, method, refusal):
    model = model_of([{"content": "I cannot"}, {"content": " help.", **refusal}])
    chain = model.with_structured_output(Country, method=method)

    def body(doors: Any) -> None:
        for call in (doors.invoke, doors.stream):
            with pytest.raises(ModelRefusalError) as caught:
                call(chain, "?")
            assert caught.value.llm_output == "I cannot help."
            assert caught.value.raw_message.text == "I cannot help."
            assert isinstance(caught.value, OutputParserException)

    colour.run(body)


@every_colour
@every_mode
def test_talk_instead_of_an_answer(colour, method):
    model = model_of([{"content": "Which country"}, {"content": " do you mean?"}])
    chain = model.with_structured_output(Country, method=method)

    def body(doors: Any) -> None:
        for call in (doors.invoke, doors.stream):
            with pytest.raises(OutputParserException) as caught:
                call(chain, "?")
            assert caught.value.llm_output == "Which country do you mean?"
            assert "Which country do you mean?" in str(caught.value)

    colour.run(body)


@every_colour
@every_mode
def test_a_refusal_that_begins_like_json(colour, method):
    refusal = {"additional_kwargs": {"refusal": "no"}}
    model = model_of([{"content": "Such {no} "}, {"content": "thing.", **refusal}])
    chain = model.with_structured_output(Country, method=method)

    def body(doors: Any) -> None:
        with pytest.raises(ModelRefusalError, match="no"):
            doors.invoke(chain, "?")
        with pytest.raises(OutputParserException):
            doors.stream(chain, "?")

    colour.run(body)


# ---- how the model is told ----------------------------------------------------------------------


def told(chain: Any) -> dict[str, Any]:
    return chain.first.kwargs  # type: ignore[no-any-return]


def test_json_schema_is_told_by_response_format():
    model = answering("json_schema")
    given = told(model.with_structured_output(Country, method="json_schema", seed=3))
    said = given["response_format"]["json_schema"]
    assert given["response_format"]["type"] == "json_schema"
    assert (said["name"], said["description"], given["seed"]) == ("Country", "A country.", 3)
    assert said["schema"]["required"] == ["name", "towns"]
    assert "strict" not in said
    strict = told(model.with_structured_output(Country, method="json_schema", strict=True))
    said = strict["response_format"]["json_schema"]
    assert said["strict"] is True
    assert said["schema"]["additionalProperties"] is False
    assert said["schema"]["required"] == ["name", "towns", "side"]
    assert said["schema"]["$defs"]["Town"]["additionalProperties"] is False


def test_json_mode_is_told_and_cannot_be_strict():
    model = answering("json_mode")
    given = told(model.with_structured_output(Country, method="json_mode"))
    assert given["response_format"] == {"type": "json_object"}
    with pytest.raises(ConfigError, match="strict"):
        model.with_structured_output(Country, method="json_mode", strict=True)


def test_function_calling_is_told_by_bind_tools():
    model = answering("function_calling")
    given = told(model.with_structured_output(Country, method="function_calling", strict=True))
    assert given["tools"] == [Country]
    assert given["tool_choice"] == "any"
    assert given["strict"] is True


@every_mode
@every_colour
def test_hooks_are_told_of_the_schema_and_authors_are_not(colour, method):
    options: list[dict[str, Any]] = []

    class Seen(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            options.append(kwargs["options"])

    model = answering(method)
    chain = model.with_structured_output(Country, method=method)

    def body(doors: Any) -> None:
        doors.invoke(chain, "?", {"callbacks": [Seen()]})
        list(doors.stream(chain, "?", {"callbacks": [Seen()]}))

    colour.run(body)
    noted = [each["ls_structured_output_format"] for each in options]
    assert len(noted) == 2
    assert {each["kwargs"]["method"] for each in noted} == {method}
    assert all(each["schema"]["title"] == "Country" for each in noted)
    assert model.calls
    assert not any("ls_structured_output_format" in call for call in model.calls)


def test_the_mode_is_the_first_that_the_class_names():
    assert "response_format" in told(answering("json_schema").with_structured_output(Country))
    scripted = H.Scripted(pieces=call_pieces("Country", TEXT))  # names none: calling is the rule
    assert "tools" in told(scripted.with_structured_output(Country))
    assert scripted.with_structured_output(Country).invoke("?") == NORWAY


def test_wrong_modes_are_refused():
    scripted = H.Scripted(pieces=[])
    with pytest.raises(NoModeError, match=r"'json_mode'.*'function_calling'"):
        scripted.with_structured_output(Country, method="json_mode")
    with pytest.raises(NotImplementedError, match="no method='xml'"):
        answering("json_mode").with_structured_output(Country, method="xml")

    class None_(H.Scripted):
        structured_modes = ()

    with pytest.raises(NoModeError):
        None_(pieces=[]).with_structured_output(Country)
    with pytest.raises(ConfigError, match="no schema"):
        scripted.with_structured_output(3)


def test_what_was_bound_before_stays_bound():
    bound = answering("json_schema").bind(temperature=0)
    given = told(bound.with_structured_output(Country, method="json_schema"))
    assert given["temperature"] == 0
    assert "response_format" in given
    with pytest.raises(NoModeError, match="Known has"):
        bound.with_structured_output(Country, method="xml")


def test_a_class_may_have_modes_of_its_own():
    def bind(model: Any, asked: Any) -> Any:
        return model.bind(schema=asked.described()["schema"], **asked.options)

    class Own(H.Scripted):
        structured_modes: ClassVar[Any] = {"constrained": Mode(bind)}

    model = Own(pieces=text_pieces(TEXT))
    chain = model.with_structured_output(Country, temperature=1)
    assert chain.invoke("?") == NORWAY
    assert model.calls[0]["schema"]["title"] == "Country"
    assert model.calls[0]["temperature"] == 1


def test_every_chat_model_has_it_and_fallbacks_take_it_over():
    first = model_of(text_pieces("no"))
    second = GenericFakeChatModel(messages=iter([TEXT]))
    chain = first.with_fallbacks([second]).with_structured_output(Country)
    assert chain.invoke("?") == NORWAY
    assert isinstance(first, BaseChatModel)
