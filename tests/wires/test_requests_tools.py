"""Tools, the choice among them, and structured output on each vendor's wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, Field

from headrace.errors import HeadraceError, ModelRefusalError
from laws.colours import both_drivers
from wires.wire import (
    CHAT,
    DIALECTS,
    GOOGLE,
    answered,
    anthropic_message,
    ask,
    completion,
    google,
    response,
    whole,
)  # fmt: skip

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


class add(BaseModel):
    """Adds two numbers."""

    a: int = Field(description="the first")
    b: int = 0


class now(BaseModel):
    """Tells the time."""


def sent(colour: Any, dialect: str, make: Any) -> Any:
    bodies: list[Any] = []

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(make(ours), "?")
        bodies.append(server.requests[0].body)

    ask(colour, whole(dialect, answered(dialect, "ok")), body)
    return bodies[0]


def tools(dialect: str, body: Any) -> list[tuple[str, str, Any]]:
    """(name, description, schema) of the tools of a request."""
    if dialect in GOOGLE:
        return [
            (one["name"], one["description"],
             one.get("parametersJsonSchema") or one.get("parameters"))
            for entry in body["tools"] for one in entry["functionDeclarations"]
        ]  # fmt: skip
    if dialect == "anthropic":
        return [(one["name"], one["description"], one["input_schema"]) for one in body["tools"]]
    if dialect == "responses":
        assert all(one["type"] == "function" for one in body["tools"])
        return [(one["name"], one["description"], one["parameters"]) for one in body["tools"]]
    assert all(one["type"] == "function" for one in body["tools"])
    flat = [one["function"] for one in body["tools"]]
    return [(one["name"], one["description"], one["parameters"]) for one in flat]


@both_drivers
@every_dialect
def test_tools(colour: Any, dialect: str) -> None:
    first, second = tools(dialect, sent(colour, dialect, lambda ours: ours.bind_tools([add, now])))
    assert first[:2] == ("add", "Adds two numbers.")
    assert set(first[2]["properties"]) == {"a", "b"}
    assert first[2]["required"] == ["a"]
    assert first[2]["properties"]["a"]["type"].lower() == "integer"
    assert second[:2] == ("now", "Tells the time.")


NAMED = {"type": "function", "function": {"name": "add"}}
CHOICES: dict[str, dict[str, Any]] = {
    **{name: {"auto": "auto", "none": "none", "any": "required", "required": "required",
              "add": NAMED}
       for name in CHAT},
    "mistral": {"auto": "auto", "none": "none", "any": "any", "required": "required", "add": NAMED},
    "responses": {"auto": "auto", "none": "none", "any": "required", "required": "required",
                  "add": {"type": "function", "name": "add"}},
    "anthropic": {"auto": {"type": "auto"}, "none": {"type": "none"}, "any": {"type": "any"},
                  "required": {"type": "any"}, "add": {"type": "tool", "name": "add"}},
    "cohere": {"none": "NONE", "any": "REQUIRED", "required": "REQUIRED"},
}  # fmt: skip


@both_drivers
@pytest.mark.parametrize(
    ("dialect", "word"), [(name, word) for name, words in CHOICES.items() for word in words]
)
def test_the_words_for_a_choice(colour: Any, dialect: str, word: str) -> None:
    body = sent(colour, dialect, lambda ours: ours.bind_tools([add, now], tool_choice=word))
    if dialect == "mistral" and word in ("any", "required"):
        assert body["tool_choice"] in ("any", "required")  # the API knows both
    else:
        assert body["tool_choice"] == CHOICES[dialect][word]


@both_drivers
@pytest.mark.parametrize("dialect", GOOGLE)
@pytest.mark.parametrize(
    ("word", "mode", "names"),
    [("auto", "AUTO", None), ("none", "NONE", None), ("any", "ANY", None), ("add", "ANY", ["add"])],
)
def test_the_words_for_a_choice_at_google(
    colour: Any, dialect: str, word: str, mode: str, names: Any
) -> None:
    body = sent(colour, dialect, lambda ours: ours.bind_tools([add, now], tool_choice=word))
    config = body["toolConfig"]["functionCallingConfig"]
    assert config["mode"] == mode
    assert not names or config["allowedFunctionNames"] == names


@both_drivers
def test_a_named_tool_at_cohere_is_the_only_one(colour: Any) -> None:
    """Cohere can only be told that some tool must be called."""
    try:
        body = sent(colour, "cohere", lambda ours: ours.bind_tools([add, now], tool_choice="add"))
    except HeadraceError as error:
        assert "add" in str(error)
        return
    assert body["tool_choice"] == "REQUIRED"
    assert [name for name, *_ in tools("cohere", body)] == ["add"]


@both_drivers
@every_dialect
def test_a_choice_that_is_no_tool_is_refused(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(HeadraceError, match="nonesuch"):
            doors.invoke(ours.bind_tools([add], tool_choice="nonesuch"), "?")
        assert not server.requests

    ask(colour, whole(dialect, answered(dialect, "ok")), body)


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "azure", "responses"])
def test_strict_tools(colour: Any, dialect: str) -> None:
    body = sent(colour, dialect, lambda ours: ours.bind_tools([add], strict=True))
    (tool,) = body["tools"]
    function = tool if dialect == "responses" else tool["function"]
    assert function["strict"] is True
    assert function["parameters"]["additionalProperties"] is False
    assert sorted(function["parameters"]["required"]) == ["a", "b"], "strict wants all of them"


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "azure", "responses", "groq", "mistral"])
def test_parallel_calls_can_be_forbidden(colour: Any, dialect: str) -> None:
    body = sent(colour, dialect, lambda ours: ours.bind_tools([add], parallel_tool_calls=False))
    assert body["parallel_tool_calls"] is False


@both_drivers
def test_parallel_calls_can_be_forbidden_at_anthropic(colour: Any) -> None:
    body = sent(colour, "anthropic", lambda ours: ours.bind_tools([add], parallel_tool_calls=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


# ---- structured output ---------------------------------------------------------------------------


class Country(BaseModel):
    """A country."""

    name: str
    capital: str = "?"


JSON = '{"name": "Perú", "capital": "Lima"}'
VALUE = Country(name="Perú", capital="Lima")


def calling(dialect: str) -> Any:
    """An answer that calls a tool of the schema's name."""
    args = json.loads(JSON)
    if dialect in GOOGLE:
        return google([{"functionCall": {"name": "Country", "args": args}}], "STOP")
    if dialect == "anthropic":
        used = {"type": "tool_use", "id": "t1", "name": "Country", "input": args}
        return anthropic_message([used], "tool_use")
    if dialect == "responses":
        return response([{"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "Country",
                          "arguments": JSON, "status": "completed"}])  # fmt: skip
    call = {
        "id": "call00000",
        "type": "function",
        "function": {"name": "Country", "arguments": JSON},
    }
    if dialect == "cohere":
        return {"id": "c", "message": {"role": "assistant", "tool_calls": [call]},
                "finish_reason": "TOOL_CALL"}  # fmt: skip
    return completion({"content": None, "tool_calls": [call]}, "tool_calls")


@both_drivers
@every_dialect
@pytest.mark.parametrize("method", [None, "json_schema", "function_calling", "json_mode"])
def test_structured_output_by_every_method(colour: Any, dialect: str, method: Any) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        try:
            structured = ours.with_structured_output(Country, method=method)
        except HeadraceError as error:
            assert method
            assert method in str(error)
            return
        assert doors.invoke(structured, "?") == VALUE
        request = json.dumps(server.requests[0].body)
        if method == "function_calling":
            (tool,) = tools(dialect, server.requests[0].body)
            assert tool[0] == "Country"
        if method == "json_schema":
            assert '"capital"' in request
            assert '"tools"' not in request

    calls = method == "function_calling" or (method is None and dialect == "groq")  # its first one
    made = calling(dialect) if calls else answered(dialect, JSON)
    ask(colour, whole(dialect, made), body)


def format_of(dialect: str, body: Any) -> Any:
    if dialect in GOOGLE:
        config = body["generationConfig"]
        assert config["responseMimeType"] == "application/json"
        return config.get("responseJsonSchema") or config["responseSchema"]
    if dialect == "anthropic":
        assert body["output_config"]["format"]["type"] == "json_schema"
        return body["output_config"]["format"]["schema"]
    if dialect == "responses":
        assert body["text"]["format"]["type"] == "json_schema"
        assert body["text"]["format"]["name"] == "Country"
        return body["text"]["format"]["schema"]
    told = body["response_format"]
    if dialect == "cohere":
        assert told["type"] == "json_object"
        return told.get("schema") or told["json_schema"]
    if told["type"] == "json_object":  # Fireworks and Together take the schema there as well
        return told["schema"]
    assert told["type"] == "json_schema"
    assert told["json_schema"]["name"] == "Country"
    return told["json_schema"]["schema"]


@both_drivers
@every_dialect
def test_a_json_schema_stands_where_the_vendor_reads_it(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours.with_structured_output(Country, method="json_schema"), "?")
        schema = format_of(dialect, server.requests[0].body)
        assert set(schema["properties"]) == {"name", "capital"}

    ask(colour, whole(dialect, answered(dialect, JSON)), body)


@both_drivers
@pytest.mark.parametrize("dialect", ["openai", "azure", "groq", "fireworks"])
def test_a_refusal_is_an_error_of_structured_output(colour: Any, dialect: str) -> None:
    made = completion({"content": None, "refusal": "I will not."})

    def body(doors: Any, ours: Any, server: Any) -> None:
        with pytest.raises(ModelRefusalError, match="I will not"):
            doors.invoke(ours.with_structured_output(Country, method="json_schema"), "?")

    ask(colour, whole(dialect, made), body)


@both_drivers
@every_dialect
def test_structured_output_leaves_the_model_as_it_was(colour: Any, dialect: str) -> None:
    def body(doors: Any, ours: Any, server: Any) -> None:
        ours.with_structured_output(Country)
        ours.bind_tools([add])
        doors.invoke(ours, "?")
        assert "Country" not in json.dumps(server.requests[0].body)
        assert "tools" not in server.requests[0].body

    ask(colour, whole(dialect, answered(dialect, "ok")), body)
