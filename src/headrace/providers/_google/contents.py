"""Messages as the `contents` of a request to Gemini. Pure functions.

Source: https://ai.google.dev/api/caching#Content. There are two roles, "user" and "model"; system
messages, wherever they stand, are the `systemInstruction`; results of tools are parts of a user's
content, those of one turn in one, and name the function that was called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from mimetypes import guess_type
from typing import Any, Final

from headrace.errors import InputError
from headrace.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    SystemMessage,
    ToolMessage,
)
from headrace.messages.content import standard_blocks

from .._chat.inputs import result_as_text

__all__ = ["written"]

Part = dict[str, Any]
_Block = Mapping[str, Any]

_MADE_UP: Final = re.compile(r"call_[0-9a-f]{24}")  # ids of calls that had none; see `Answer`
_SIGNED: Final = re.compile(r"gemini-([3-9]|\d\d)")  # models that want their calls signed
# Stands for the signature of a call that such a model did not make:
# https://ai.google.dev/gemini-api/docs/thought-signatures
_NO_SIGNATURE: Final = "skip_thought_signature_validator"
_LANGCHAINS: Final = "__gemini_function_call_thought_signatures__"
_ROLES: Final = {"assistant": "model", "ai": "model", "model": "model"}
_SYSTEM: Final = ("system", "developer")
_PART_KEYS: Final = ("inlineData", "inline_data", "fileData", "file_data")  # in a tool's result


def written(messages: Sequence[BaseMessage], model: str) -> tuple[list[Part], list[dict[str, Any]]]:
    """The parts of the system instruction, and the contents.

    Raises:
        InputError: there is no message for the model to answer; a result of a tool answers no call
            of the conversation and names none; a block cannot be said to Gemini.
    """
    system: list[Part] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}  # of the functions that were called, by the call's id
    answered = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
    answering = False  # the newest content is one of results
    for message in messages:
        is_result = isinstance(message, (ToolMessage, FunctionMessage))
        role, parts = "user", []
        if isinstance(message, AIMessage):
            calls = _calls(message, answered)
            names.update((call["id"] or "", call["name"]) for call in calls)
            role, parts = "model", _own(message, calls, model)
        elif is_result:
            parts = [_result(message, names)]
        elif isinstance(message, SystemMessage) or _role(message) in _SYSTEM:
            system += _instruction(message)
            continue
        else:
            role, parts = _ROLES.get(_role(message), "user"), _parts(message)
        if is_result and answering:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
        answering = is_result
    if not contents:
        raise InputError(
            "Gemini answers a message of a user: the prompt made none beside system messages."
        )
    return system, contents


def _instruction(message: BaseMessage) -> list[Part]:
    parts = _parts(message)
    for part in parts:
        if "text" not in part:
            raise InputError(
                "Gemini takes nothing but text from the system: give images, files and the like in "
                f"a HumanMessage; received {part!r:.200}."
            )
    return parts


def _role(message: BaseMessage) -> str:
    return message.role.lower() if isinstance(message, ChatMessage) else message.type


# ---- the model's own messages --------------------------------------------------------------------


def _calls(message: AIMessage, answered: Collection[str]) -> list[Mapping[str, Any]]:
    """The calls of an answer; those that could not be parsed where a result answers them, because
    Google wants a call for each result."""
    broken = [
        {"id": call["id"], "name": call["name"], "args": {"INVALID_JSON": call["args"] or ""}}
        for call in message.invalid_tool_calls
        if call["name"] and call["id"] in answered
    ]
    return [*message.tool_calls, *broken]


def _own(message: AIMessage, called: Sequence[Mapping[str, Any]], model: str) -> list[Part]:
    googles = str(message.response_metadata.get("model_provider") or "").startswith("google")
    parts: list[Part] = []
    for block in standard_blocks(message.content):
        write = _OWN.get(block["type"]) if googles else _OTHERS.get(block["type"])
        if write is not None:
            parts += [_signed(part, block) if googles else part for part in write(block)]
    more = message.additional_kwargs
    signatures = {**(more.get(_LANGCHAINS) or {}), **(more.get("signatures") or {})}
    calls = [_call(call, signatures if googles else {}) for call in called]
    if calls and _SIGNED.search(model) and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = _NO_SIGNATURE
    return parts + calls


def _call(call: Mapping[str, Any], signatures: Mapping[str, str]) -> Part:
    id = call["id"]
    part: Part = {"functionCall": {**_id(id), "name": call["name"], "args": call["args"]}}
    if signatures.get(id):
        part["thoughtSignature"] = signatures[id]
    return part


def _id(id: Any) -> dict[str, str]:
    """The field for an id that Google, or another vendor, gave."""
    return {"id": id} if id and not _MADE_UP.fullmatch(id) else {}


def _signed(part: Part, block: _Block) -> Part:
    extras = block.get("extras") or {}
    signature = extras.get("signature") or block.get("signature")
    if extras.get("thought"):
        part = {**part, "thought": True}
    return {**part, "thoughtSignature": signature} if signature else part


def _said(block: _Block) -> list[Part]:
    signed = (block.get("extras") or {}).get("signature")
    return [{"text": block.get("text") or ""}] if block.get("text") or signed else []


def _thought(block: _Block) -> list[Part]:
    return [{"text": block.get("reasoning") or "", "thought": True}]


def _refused(block: _Block) -> list[Part]:
    return [{"text": block["refusal"]}] if block.get("refusal") else []


def _server_call(block: _Block) -> list[Part]:
    args = block.get("args") or {}
    if (block.get("extras") or {}).get("part") == "toolCall":
        return [{"toolCall": {**_id(block.get("id")), "toolType": block["name"], "args": args}}]
    return [{"executableCode": {**_id(block.get("id")), **args}}]


def _server_result(block: _Block) -> list[Part]:
    extras = block.get("extras") or {}
    id, output = _id(block.get("tool_call_id")), block.get("output")
    if extras.get("part") == "toolResponse":
        return [{"toolResponse": {**id, "toolType": extras.get("tool_type"), "response": output}}]
    failed = block.get("status") == "error"
    outcome = extras.get("outcome") or ("OUTCOME_FAILED" if failed else "OUTCOME_OK")
    return [{"codeExecutionResult": {**id, "outcome": outcome, "output": output}}]


def _as_it_came(block: _Block) -> list[Part]:
    """A part that has no standard form; LangChain's form of a thought."""
    value = block.get("value")
    if not isinstance(value, dict):
        return []
    if value.get("type") == "thinking":
        thought: Part = {"text": value.get("thinking") or "", "thought": True}
        return [_signed(thought, value)]
    return [] if "type" in value else [value]


# ---- what users and tools say --------------------------------------------------------------------


def _parts(message: BaseMessage) -> list[Part]:
    if isinstance(message.content, str):
        return [{"text": message.content}]
    return [part for block in standard_blocks(message.content) for part in _given(block)]


def _given(block: _Block) -> list[Part]:
    write = _GIVEN.get(block["type"])
    if write is None:
        raise InputError(
            f"Gemini takes no block of type {block['type']!r} from a user: {block!r:.300}. Give "
            "text, or an image, audio, video or file block with base64, url or file_id."
        )
    return write(block)


def _unknown(block: _Block) -> list[Part]:
    value = block.get("value") or {}
    if isinstance(value, dict) and value.get("type") == "media":  # LangChain's form of old
        kind = value.get("mime_type")
        where = {"base64": value.get("data"), "url": value.get("file_uri")}
        more = {"extras": {"video_metadata": value.get("video_metadata")}}
        return _media({"type": "file", "mime_type": kind, **where, **more})
    if isinstance(value, dict) and value and "type" not in value:  # a part of Gemini's own
        return [value]
    raise InputError(f"Gemini takes no block like {value!r:.300} from a user.")


def _plain(block: _Block) -> list[Part]:
    return [{"text": block["text"]}] if block.get("text") else _media(block)


def _media(block: _Block) -> list[Part]:
    """Data, or where it is; its kind is guessed from the address where it is not given."""
    kind, data = block.get("mime_type"), block.get("base64")
    place = block.get("url") or block.get("file_id")
    if isinstance(place, str) and place.startswith("data:"):
        head, _, data = place.partition(",")
        kind = kind or head[len("data:") :].partition(";")[0]
    if data:
        if not kind:
            raise InputError(
                f"Gemini wants to know the kind of data: give the {block['type']} block a "
                "mime_type, e.g. 'image/png'."
            )
        part: Part = {"inlineData": {"mimeType": kind, "data": data}}
    elif place:
        kind = kind or guess_type(place.partition("?")[0])[0]
        part = {"fileData": {"fileUri": place, **({"mimeType": kind} if kind else {})}}
    else:
        raise InputError(
            f"A block of type {block['type']!r} needs base64, url or file_id; this one has none: "
            f"{block!r:.300}"
        )
    extras = block.get("extras") or {}
    for name, wire in (
        ("video_metadata", "videoMetadata"),
        ("media_resolution", "mediaResolution"),
    ):
        if extras.get(name):
            part[wire] = extras[name]
    return [part]


def _result(message: BaseMessage, names: Mapping[str, str]) -> Part:
    """What a tool answered."""
    id = getattr(message, "tool_call_id", None)
    name = names.get(id or "") or message.name
    if not name:
        raise InputError(
            f"Gemini wants the name of the function that a result is of, and no message before "
            f"calls {id!r}: keep the message with the call, or give ToolMessage(…, name=…)."
        )
    if isinstance(message.content, list):
        read = [result_as_text(block, *_PART_KEYS) for block in message.content]
        message = message.model_copy(update={"content": read})
    parts = _parts(message)
    text = "".join(part["text"] for part in parts if "text" in part)
    media = [part for part in parts if "text" not in part]
    failed = getattr(message, "status", None) == "error"
    response = {"error": text} if failed else _object(text)
    made: Part = {**_id(id), "name": name, "response": response}
    return {"functionResponse": {**made, "parts": media} if media else made}


def _object(text: str) -> dict[str, Any]:
    """The object that a text is in JSON; else one that has it as `output`."""
    try:
        value = json.loads(text) if text[:1] == "{" else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"output": text}


_Write = Callable[[_Block], list[Part]]
_MEDIA: Final[Mapping[str, _Write]] = dict.fromkeys(("image", "audio", "video", "file"), _media)
_GIVEN: Final[Mapping[str, _Write]] = {
    "text": lambda block: [{"text": block.get("text") or ""}],
    "text-plain": _plain,
    **_MEDIA,
    "non_standard": _unknown,
}
# Of a message that Google's model wrote, and of one that another vendor's did.
_OWN: Final[Mapping[str, _Write]] = {
    "text": _said,
    "reasoning": _thought,
    "refusal": _refused,
    **_MEDIA,
    "server_tool_call": _server_call,
    "server_tool_result": _server_result,
    "non_standard": _as_it_came,
}
_OTHERS: Final[Mapping[str, _Write]] = {
    "text": lambda block: [{"text": block["text"]}] if block.get("text") else [],
    "refusal": _refused,
    **_MEDIA,
}
