"""What goes out for messages of all kinds, held against each vendor's API reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from laws.colours import both_drivers
from wires.wire import CHAT, DIALECTS, GOOGLE, answered, ask, whole

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
WAV = "UklGRg=="
OPENAI_LIKE = ["openai", "azure"]


def sent(colour: Any, dialect: str, messages: Any, **settings: Any) -> Any:
    """The body of the request that asks for an answer to these."""
    bodies: list[Any] = []

    def body(doors: Any, ours: Any, server: Any) -> None:
        doors.invoke(ours, messages)
        bodies.append(server.requests[0].body)

    ask(colour, whole(dialect, answered(dialect, "ok")), body, **settings)
    return bodies[0]


def values(tree: Any) -> Iterator[Any]:
    """Everything in a JSON tree."""
    yield tree
    if isinstance(tree, dict):
        for one in tree.values():
            yield from values(one)
    if isinstance(tree, list):
        for one in tree:
            yield from values(one)


def human(*blocks: Any) -> list[HumanMessage]:
    return [HumanMessage([{"type": "text", "text": "What is it?"}, *blocks])]


def last_content(dialect: str, body: Any) -> Any:
    if dialect in GOOGLE:
        return body["contents"][-1]["parts"]
    return body["input" if dialect == "responses" else "messages"][-1]["content"]


IMAGES = {
    "standard": {"type": "image", "base64": PNG, "mime_type": "image/png"},
    "source_type": {"type": "image", "source_type": "base64", "data": PNG,
                    "mime_type": "image/png"},
    "data URL": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    "bare URL": {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
    "anthropic": {"type": "image",
                  "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
}  # fmt: skip
DATA_URL = f"data:image/png;base64,{PNG}"


def _image_on_wire(dialect: str) -> Any:
    if dialect in GOOGLE:
        return {"inlineData": {"mimeType": "image/png", "data": PNG}}
    if dialect == "anthropic":
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        return {"type": "image", "source": source}
    if dialect == "responses":
        return {"type": "input_image", "image_url": DATA_URL}
    return {"type": "image_url", "image_url": {"url": DATA_URL}}


@both_drivers
@every_dialect
@pytest.mark.parametrize("form", IMAGES)
def test_an_image_in_every_form(colour: Any, dialect: str, form: str) -> None:
    parts = last_content(dialect, sent(colour, dialect, human(IMAGES[form])))
    image, expected = parts[1], _image_on_wire(dialect)
    if dialect in GOOGLE:
        image = {"inlineData": {key: image["inlineData"][key] for key in ("mimeType", "data")}}
        image["inlineData"]["data"] = (
            image["inlineData"]["data"].replace("_", "/").replace("-", "+")
        )
    if isinstance(image.get("image_url"), str) and "image_url" in str(expected.get("type")):
        expected = {"type": "image_url", "image_url": DATA_URL}  # Mistral takes both
    image.pop("detail", None)
    assert image == expected


@both_drivers
@every_dialect
def test_an_image_by_its_address(colour: Any, dialect: str) -> None:
    url = "https://example.com/sky.png"
    block = {"type": "image", "url": url, "mime_type": "image/png"}
    part = last_content(dialect, sent(colour, dialect, human(block)))[1]
    if dialect in GOOGLE:
        assert part["fileData"]["fileUri"] == url
    elif dialect == "anthropic":
        assert part == {"type": "image", "source": {"type": "url", "url": url}}
    else:
        assert part["type"] == ("input_image" if dialect == "responses" else "image_url")
        assert url in (
            part["image_url"],
            part["image_url"]["url"] if isinstance(part["image_url"], dict) else 0,
        )


@both_drivers
@pytest.mark.parametrize("dialect", [*OPENAI_LIKE, "responses", "anthropic", *GOOGLE])
def test_a_pdf(colour: Any, dialect: str) -> None:
    block = {"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "a.pdf"}
    part = last_content(dialect, sent(colour, dialect, human(block)))[1]
    url = f"data:application/pdf;base64,{PDF}"
    if dialect in OPENAI_LIKE:
        assert part == {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}
    elif dialect == "responses":
        assert part == {"type": "input_file", "filename": "a.pdf", "file_data": url}
    elif dialect == "anthropic":
        assert part["type"] == "document"
        assert part["source"] == {"type": "base64", "media_type": "application/pdf", "data": PDF}
    else:
        assert part["inlineData"]["mimeType"] == "application/pdf"
        assert part["inlineData"]["data"] == PDF


@both_drivers
@pytest.mark.parametrize("dialect", [*OPENAI_LIKE, "responses", "anthropic"])
def test_a_file_by_its_id(colour: Any, dialect: str) -> None:
    part = last_content(
        dialect, sent(colour, dialect, human({"type": "file", "file_id": "file-1"}))
    )[1]
    if dialect in OPENAI_LIKE:
        assert part == {"type": "file", "file": {"file_id": "file-1"}}
    elif dialect == "responses":
        assert part == {"type": "input_file", "file_id": "file-1"}
    else:
        assert part["source"] == {"type": "file", "file_id": "file-1"}


@both_drivers
@pytest.mark.parametrize("dialect", [*OPENAI_LIKE, *GOOGLE])
def test_audio(colour: Any, dialect: str) -> None:
    block = {"type": "audio", "base64": WAV, "mime_type": "audio/wav"}
    part = last_content(dialect, sent(colour, dialect, human(block)))[1]
    if dialect in OPENAI_LIKE:
        assert part == {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
    else:
        assert part["inlineData"]["mimeType"] == "audio/wav"


@both_drivers
@every_dialect
@pytest.mark.parametrize("kind", ["video", "audio", "file"])
def test_what_a_vendor_does_not_take_is_refused_or_sent(
    colour: Any, dialect: str, kind: str
) -> None:
    """Never silently left out."""
    mime = {"video": "video/mp4", "audio": "audio/wav", "file": "application/pdf"}[kind]
    block = {"type": kind, "base64": WAV, "mime_type": mime, "filename": "a.pdf"}
    try:
        body = sent(colour, dialect, human(block))
    except HeadraceError as error:
        assert kind in str(error)
    else:
        assert WAV in json.dumps(body)


CONVERSATION = [
    SystemMessage("Be brief."),
    HumanMessage("1+2 and 3*4?"),
    AIMessage("Let me see.", tool_calls=[
        {"name": "add", "args": {"a": 1, "b": "é 👩‍👩‍👧"}, "id": "callAAAAA", "type": "tool_call"},
        {"name": "now", "args": {}, "id": "callBBBBB", "type": "tool_call"},
    ]),
    ToolMessage("3", tool_call_id="callAAAAA", name="add"),
    ToolMessage("noon failed", tool_call_id="callBBBBB", name="now", status="error"),
    HumanMessage("So?"),
]  # fmt: skip
ARGS = {"a": 1, "b": "é 👩‍👩‍👧"}


@both_drivers
@pytest.mark.parametrize("dialect", [*CHAT, "cohere"])
def test_a_conversation_with_tools_in_chat_form(colour: Any, dialect: str) -> None:
    messages = sent(colour, dialect, CONVERSATION)["messages"]
    assert [one["role"] for one in messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    first, second = messages[2]["tool_calls"]
    assert (first["id"], first["type"], first["function"]["name"]) == (
        "callAAAAA",
        "function",
        "add",
    )
    arguments = first["function"]["arguments"]
    assert json.loads(arguments) == ARGS if isinstance(arguments, str) else arguments == ARGS
    assert second["function"]["arguments"] in ("{}", {})
    assert [one["tool_call_id"] for one in messages[3:5]] == ["callAAAAA", "callBBBBB"]
    assert "3" in json.dumps(messages[3]["content"])
    assert "Let me see." in json.dumps(messages[2])


@both_drivers
def test_a_conversation_with_tools_for_responses(colour: Any) -> None:
    items = sent(colour, "responses", CONVERSATION)["input"]
    calls = [one for one in items if one.get("type") == "function_call"]
    outputs = [one for one in items if one.get("type") == "function_call_output"]
    assert [(one["call_id"], one["name"]) for one in calls] == [
        ("callAAAAA", "add"),
        ("callBBBBB", "now"),
    ]
    assert [json.loads(one["arguments"]) for one in calls] == [ARGS, {}]
    assert [one["call_id"] for one in outputs] == ["callAAAAA", "callBBBBB"]
    assert all("id" not in one or one["id"].startswith("fc") for one in calls)
    assert "Let me see." in json.dumps(items)


@both_drivers
def test_a_conversation_with_tools_for_anthropic(colour: Any) -> None:
    body = sent(colour, "anthropic", CONVERSATION)
    assert "Be brief." in json.dumps(body["system"])
    roles = [one["role"] for one in body["messages"]]
    assert roles == ["user", "assistant", "user"], "results and text belong to one user message"
    used = body["messages"][1]["content"][1:]
    assert [(one["type"], one["id"], one["input"]) for one in used] == [
        ("tool_use", "callAAAAA", ARGS), ("tool_use", "callBBBBB", {}),
    ]  # fmt: skip
    one, other, text = body["messages"][2]["content"]
    assert (one["type"], one["tool_use_id"]) == ("tool_result", "callAAAAA")
    assert (other["tool_use_id"], other["is_error"]) == ("callBBBBB", True)
    assert text == {"type": "text", "text": "So?"}


@both_drivers
@pytest.mark.parametrize("dialect", GOOGLE)
def test_a_conversation_with_tools_for_google(colour: Any, dialect: str) -> None:
    body = sent(colour, dialect, CONVERSATION)
    assert body["systemInstruction"]["parts"][0]["text"] == "Be brief."
    contents = body["contents"]
    assert contents[1]["role"] == "model"
    asked = [part["functionCall"] for part in contents[1]["parts"] if "functionCall" in part]
    assert [(one["name"], one.get("args") or {}) for one in asked] == [("add", ARGS), ("now", {})]
    told = [
        part["functionResponse"] for one in contents for part in one["parts"]
        if "functionResponse" in part
    ]  # fmt: skip
    assert [one["name"] for one in told] == ["add", "now"]
    together = [one for one in contents if any("functionResponse" in part for part in one["parts"])]
    assert len(together) == 1, "results of parallel calls belong into one content"


@both_drivers
@every_dialect
def test_results_without_a_name_find_the_name_of_their_call(colour: Any, dialect: str) -> None:
    messages = [one for one in CONVERSATION if not isinstance(one, ToolMessage)][:-1]
    messages += [
        ToolMessage("3", tool_call_id="callAAAAA"),
        ToolMessage("n", tool_call_id="callBBBBB"),
    ]
    body = sent(colour, dialect, messages)
    if dialect in GOOGLE:
        names = [one["name"] for one in values(body) if isinstance(one, dict) and "response" in one]
        assert names == ["add", "now"]
    else:
        assert json.dumps(body).count("callAAAAA") == 2


@both_drivers
@every_dialect
def test_empty_contents_are_no_null_and_no_empty_text_block(colour: Any, dialect: str) -> None:
    """Anthropic refuses empty text blocks; Google refuses contents without parts."""
    calls = [{"name": "now", "args": {}, "id": "callAAAAA", "type": "tool_call"}]
    messages = [
        HumanMessage("?"), AIMessage("", tool_calls=calls),
        ToolMessage("", tool_call_id="callAAAAA"),
    ]  # fmt: skip
    body = sent(colour, dialect, messages)
    if dialect == "anthropic":
        assert not any(
            isinstance(one, dict) and one.get("text") == "" for one in values(body["messages"])
        )
        assert all(one["content"] for one in body["messages"])
    if dialect in GOOGLE:
        assert all(one.get("parts") for one in body["contents"])
        assert not any(one == {"text": ""} for one in values(body))


@both_drivers
@pytest.mark.parametrize("dialect", ["anthropic", *GOOGLE])
def test_several_system_messages_are_all_sent(colour: Any, dialect: str) -> None:
    body = sent(colour, dialect, [SystemMessage("One."), SystemMessage("Two."), HumanMessage("?")])
    system = json.dumps(body.get("system") or body.get("systemInstruction"))
    assert "One." in system
    assert "Two." in system


@both_drivers
def test_cache_control_stays_where_it_stands(colour: Any) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = [
        SystemMessage([{"type": "text", "text": "Long.", **mark}]),
        HumanMessage([{"type": "text", "text": "Also long.", **mark},
                      {"type": "text", "text": "?"}]),
    ]  # fmt: skip
    body = sent(colour, "anthropic", messages)
    assert body["system"] == [{"type": "text", "text": "Long.", **mark}]
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "Also long.", **mark}


SETTINGS: dict[str, dict[str, tuple[Any, str]]] = {
    **{name: {"temperature": (0.0, "temperature"), "top_p": (0.5, "top_p"),
              "stop": (["END"], "stop")}
       for name in CHAT},
    "anthropic": {"temperature": (0.0, "temperature"), "top_p": (0.5, "top_p"),
                  "top_k": (5, "top_k"),
                  "stop": (["END"], "stop_sequences"), "max_tokens": (9, "max_tokens")},
    "cohere": {"temperature": (0.0, "temperature"), "top_p": (0.5, "p"), "top_k": (5, "k"),
               "stop": (["END"], "stop_sequences"), "max_tokens": (9, "max_tokens")},
    "responses": {"temperature": (0.0, "temperature"), "top_p": (0.5, "top_p"),
                  "max_tokens": (9, "max_output_tokens")},
    **{name: {"temperature": (0.0, "temperature"), "top_p": (0.5, "topP"), "top_k": (5, "topK"),
              "stop": (["END"], "stopSequences"), "max_tokens": (9, "maxOutputTokens")}
       for name in GOOGLE},
}  # fmt: skip


@both_drivers
@every_dialect
def test_settings_go_by_the_vendors_names(colour: Any, dialect: str) -> None:
    asked = {name: value for name, (value, _) in SETTINGS[dialect].items()}
    body = sent(colour, dialect, "?", **asked)
    place = body["generationConfig"] if dialect in GOOGLE else body
    for value, name in SETTINGS[dialect].values():
        assert place[name] == value, name


@both_drivers
@every_dialect
def test_a_setting_that_is_not_given_is_not_sent(colour: Any, dialect: str) -> None:
    body = sent(colour, dialect, "?")
    assert not any(one is None for one in values(body))
    allowed = {"model", "messages", "input", "contents", "stream", "max_tokens", "generationConfig"}
    assert set(body) <= allowed
    if dialect in CHAT or dialect == "responses":
        assert "max_tokens" not in body


# ---- what agents make ----------------------------------------------------------------------------

CALLED = [{"name": "rows", "args": {}, "id": "callAAAAA", "type": "tool_call"}]


@both_drivers
@every_dialect
def test_a_result_that_is_a_list_of_dicts_is_said_as_json(colour: Any, dialect: str) -> None:
    """No vendor takes a dict without a type as a part of a result."""
    rows: list[Any] = [{"city": "Perú"}]
    result = ToolMessage(rows, tool_call_id="callAAAAA", name="rows")
    body = sent(colour, dialect, [HumanMessage("?"), AIMessage("", tool_calls=CALLED), result])
    found = [one for one in values(body) if one == rows[0] or one == '{"city": "Perú"}']
    assert found == [rows[0] if dialect in GOOGLE else '{"city": "Perú"}']
    if dialect in GOOGLE:
        (told,) = [one for one in values(body) if isinstance(one, dict) and "response" in one]
        assert told["response"] == rows[0]
        assert "parts" not in told


@both_drivers
@pytest.mark.parametrize("dialect", GOOGLE)
def test_a_part_of_googles_own_in_a_result_stays_as_it_is(colour: Any, dialect: str) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    result = ToolMessage([part], tool_call_id="callAAAAA", name="rows")
    body = sent(colour, dialect, [HumanMessage("?"), AIMessage("", tool_calls=CALLED), result])
    (told,) = [one for one in values(body) if isinstance(one, dict) and "response" in one]
    assert told["parts"] == [part]


@both_drivers
@every_dialect
def test_a_call_that_could_not_be_parsed_stands_before_its_result(
    colour: Any, dialect: str
) -> None:
    """A result alone is refused."""
    broken = {"name": "rows", "args": '{"a": ', "id": "callAAAAA", "error": None,
              "type": "invalid_tool_call"}  # fmt: skip
    result = ToolMessage("no JSON", tool_call_id="callAAAAA", name="rows", status="error")
    asked = AIMessage("", invalid_tool_calls=[broken])
    body = sent(colour, dialect, [HumanMessage("?"), asked, result])
    text = json.dumps(body)
    assert json.dumps('{"a": ')[1:-1] in text
    if dialect in GOOGLE:
        parts = [part for one in body["contents"] for part in one["parts"]]
        assert [*parts[1], *parts[2]] == ["functionCall", "functionResponse"]
        assert parts[1]["functionCall"]["name"] == parts[2]["functionResponse"]["name"] == "rows"
    unanswered = sent(colour, dialect, [HumanMessage("?"), asked, HumanMessage("Again.")])
    if dialect in (*GOOGLE, "anthropic"):  # which want a result for each call
        assert "rows" not in json.dumps(unanswered)


@both_drivers
@pytest.mark.parametrize("dialect", [*CHAT, "anthropic", "responses"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_block_newer_than_this_goes_as_it_is(colour: Any, dialect: str, wrapped: bool) -> None:
    """`non_standard` wraps it, and is no word of any vendor's."""
    new = {"type": "hologram", "hologram": {"data": "x"}}
    block = {"type": "non_standard", "value": new} if wrapped else new
    body = sent(colour, dialect, human(block))
    assert [one for one in values(body) if one == new] == [new]
    text = json.dumps(body)
    assert text.count("hologram") == 2
    assert "non_standard" not in text


@both_drivers
@every_dialect
def test_a_refusal_is_sent_back(colour: Any, dialect: str) -> None:
    """As such to those whose protocol has it, as text to others."""
    block = {"type": "refusal", "refusal": "I will not."}
    messages = [HumanMessage("?"), AIMessage([block]), HumanMessage("Why?")]
    body = sent(colour, dialect, messages)
    as_such = [one for one in values(body) if one == block]
    assert bool(as_such) == (dialect in ("openai", "azure", "responses"))
    assert json.dumps(body).count("I will not.") == 1
