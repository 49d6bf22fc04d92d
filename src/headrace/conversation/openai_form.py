"""`convert_to_openai_messages`: messages in the form of OpenAI's Chat Completions API.

Content may be in that form already, in the standard one, or in that of Anthropic, of Bedrock's
Converse or of Vertex AI. For each kind of block there is a function in `_BLOCKS`, which says what
it adds: to the content, to the tool calls, or as a tool message of its own. Sources of the forms:
the API references of these vendors.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, overload

from ..errors import InputError
from ..messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    MessageLikeRepresentation,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from ..prompt_values import PromptValue
from .blocks import is_data_content_block
from .openai_data import convert_to_openai_data_block, data_url

__all__ = ["convert_to_openai_messages", "role_of"]

Form = Literal["string", "block"]


@overload
def convert_to_openai_messages(  # type: ignore[overload-overlap] # pyright: ignore[reportOverlappingOverload]
    messages: BaseMessage | str | dict[str, Any],
    *,
    text_format: Form = ...,
    include_id: bool = ...,
    pass_through_unknown_blocks: bool = ...,
) -> dict[str, Any]: ...
@overload
def convert_to_openai_messages(
    messages: Sequence[MessageLikeRepresentation] | PromptValue,
    *,
    text_format: Form = ...,
    include_id: bool = ...,
    pass_through_unknown_blocks: bool = ...,
) -> list[dict[str, Any]]: ...
def convert_to_openai_messages(
    messages: Any,
    *,
    text_format: Form = "string",
    include_id: bool = False,
    pass_through_unknown_blocks: bool = True,
) -> dict[str, Any] | list[dict[str, Any]]:
    """Messages as the dicts that OpenAI's Chat Completions API takes.

    Args:
        messages: what `convert_to_messages` takes, or one message, string or dict.
        text_format: `"string"`: content that is text alone is a string, blocks of text joined by
            a newline; `"block"`: content is always a list of blocks.
        include_id: whether ids of messages are kept, where there are any.
        pass_through_unknown_blocks: whether blocks of an unknown form stay as they are, instead
            of being an error.

    Returns:
        A dict for one message, else a list. Results of tools that are blocks of a message become
        messages of their own behind it, or in its place where it holds nothing else.

    Raises:
        InputError: an unknown `text_format`, or a block that lacks something or cannot be said
            in that form.
    """
    if text_format not in ("string", "block"):
        raise InputError(f"Unrecognized text_format={text_format!r}: use 'string' or 'block'.")
    single = isinstance(messages, (BaseMessage, dict, str))
    made: list[dict[str, Any]] = []
    for at, message in enumerate(convert_to_messages([messages] if single else messages)):
        made += _Writer(message, f"messages[{at}]", text_format, pass_through_unknown_blocks).write(
            include_id
        )
    return made[0] if single else made


# The roles of the kinds of messages; a chat message has its own, a system message may.
_ROLES: Mapping[type[BaseMessage], str] = {
    AIMessage: "assistant",
    HumanMessage: "user",
    ToolMessage: "tool",
    SystemMessage: "system",
    FunctionMessage: "function",
}


def role_of(message: BaseMessage) -> str:
    """The role of a message in OpenAI's form."""
    role = _ROLES.get(type(message))
    if role is not None and role != "system":
        return role
    if isinstance(message, ChatMessage):
        return message.role
    if isinstance(message, SystemMessage) and "__openai_role__" in message.additional_kwargs:
        return str(message.additional_kwargs["__openai_role__"])
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    raise InputError(f"A {type(message).__name__} has no role in OpenAI's form: {message!r}.")


class _Writer:
    """Makes one message into dicts; `where` says which it is in errors."""

    def __init__(self, message: BaseMessage, where: str, form: Form, pass_unknown: bool) -> None:
        self.message = message
        self.where = where
        self.form: Form = form
        self.pass_unknown = pass_unknown
        self.content: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []  # tool messages that follow

    def write(self, include_id: bool) -> list[dict[str, Any]]:
        message = self.message
        content = self._content()
        made: dict[str, Any] = {"role": role_of(message)}
        calls: list[Any] = message.tool_calls if isinstance(message, AIMessage) else []
        tool_calls = [_call(c["id"], c["name"], c["args"]) for c in calls] + self.calls
        refusal = message.additional_kwargs.get("refusal")
        may = {
            "name": message.name,
            "tool_calls": tool_calls,
            "refusal": refusal,
            "id": include_id and message.id,
        }
        made |= {name: value for name, value in may.items() if value}
        if isinstance(message, ToolMessage):
            made["tool_call_id"] = message.tool_call_id
        made["content"] = content
        only_answers = bool(message.content) and not content and bool(self.answers)
        return self.answers if only_answers else [made, *self.answers]

    def _content(self) -> str | list[dict[str, Any]]:
        given = self.message.content
        blocks = given if isinstance(given, list) else [given] if given else []
        if isinstance(given, str) and self.form == "string":
            return given
        for at, block in enumerate(blocks):
            if isinstance(block, str):
                self.text(block)
            else:
                self._block(block, f"{self.where}.content[{at}]")
        if self.form == "string" and all(block.get("type") == "text" for block in self.content):
            return "\n".join(block["text"] for block in self.content)
        return self.content

    def _block(self, block: dict[str, Any], where: str) -> None:
        kind = block.get("type")
        write = _BLOCKS.get(kind) if isinstance(kind, str) else None
        if write is None:
            write = next((by for key, by in _BY_KEY.items() if key in block), None)
        if is_data_content_block(block):
            self.content.append(convert_to_openai_data_block(block, where=where))
        elif write is not None:
            write(self, block, where)
        else:
            self.unknown(block, where)

    def text(self, text: str) -> None:
        self.content.append({"type": "text", "text": text})

    def image(self, url: str) -> None:
        self.content.append({"type": "image_url", "image_url": {"url": url}})

    def unknown(self, block: dict[str, Any], where: str) -> None:
        if not self.pass_unknown:
            raise InputError(
                f"Unrecognized content block at {where} does not match OpenAI, Anthropic, Bedrock "
                f"Converse, or VertexAI format. Full content block:\n\n{block}"
            )
        self.content.append(block)

    def has_call(self, id: Any) -> bool:
        message = self.message
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        return any(call["id"] == id for call in calls)


def _call(id: Any, name: str, args: Any) -> dict[str, Any]:
    text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
    return {"type": "function", "id": id, "function": {"name": name, "arguments": text}}


def _needs(block: Mapping[str, Any], where: str, *keys: str, part: str = "") -> Any:
    """The block, or a part of it, which must have these keys."""
    held = block.get(part) if part else block
    missing = [key for key in keys if not isinstance(held, Mapping) or key not in held]
    if missing:
        kind = block.get("type", part)
        said = f"{part!r} of it" if part else "it"
        raise InputError(
            f"Unrecognized content block at {where} has 'type': {kind!r} but {said} is missing "
            f"expected key(s) {missing}. Full content block:\n\n{block}"
        )
    return held


# ------------------------------------------------------------------ one function per kind of block


def _text(to: _Writer, block: dict[str, Any], where: str) -> None:
    to.text(_needs(block, where, "text")["text"])


def _image_url(to: _Writer, block: dict[str, Any], where: str) -> None:
    image = _needs(block, where, "image_url")["image_url"]
    to.content.append({"type": "image_url", "image_url": image})


def _image(to: _Writer, block: dict[str, Any], where: str) -> None:
    if block.get("source"):  # Anthropic
        source = block["source"]
        if isinstance(source, Mapping) and source.get("type") == "url" and "url" in source:
            to.image(source["url"])
            return
        _needs(block, where, "media_type", "type", "data", part="source")
        to.image(f"data:{source['media_type']};{source['type']},{source['data']}")
    else:  # Bedrock Converse
        image = _needs(block, where, "source", "format", part="image")
        data = b64encode(image["source"]["bytes"]).decode()
        to.image(data_url(f"image/{image['format']}", data))


def _media(to: _Writer, block: dict[str, Any], where: str) -> None:
    _needs(block, where, "mime_type", "data")
    kind, data = block["mime_type"], block["data"]
    if "image" not in kind:
        raise InputError(
            f"OpenAI messages can only support text and image data. Received content block with "
            f"media of type: {kind}, at {where}."
        )
    to.image(data_url(kind, b64encode(data).decode() if isinstance(data, bytes) else data))


def _file(to: _Writer, block: dict[str, Any], where: str) -> None:
    file = block.get("file")
    if not isinstance(file, dict) or not isinstance(file.get("file_data"), str):
        to.unknown(block, where)
    elif file.get("filename") is None:
        to.content.append({**block, "file": {**file, "filename": "LC_AUTOGENERATED"}})
    else:
        to.content.append(block)


def _input_audio(to: _Writer, block: dict[str, Any], where: str) -> None:
    audio = block.get("input_audio")
    known = isinstance(audio, dict) and all(
        isinstance(audio.get(key), str) for key in ("data", "format")
    )
    if known:
        to.content.append(block)
    else:
        to.unknown(block, where)


def _tool_use(to: _Writer, block: dict[str, Any], where: str) -> None:
    _needs(block, where, "id", "name", "input")
    if not to.has_call(block["id"]):
        to.calls.append(_call(block["id"], block["name"], block["input"]))


def _tool_call(to: _Writer, block: dict[str, Any], where: str) -> None:
    _needs(block, where, "id", "name", "args")
    if not to.has_call(block["id"]):
        to.calls.append(_call(block["id"], block["name"], block["args"]))


def _function_call(to: _Writer, block: dict[str, Any], where: str) -> None:
    if not to.has_call(block.get("call_id")):
        _needs(block, where, "call_id", "name", "arguments")
        to.calls.append(_call(block["call_id"], block["name"], block["arguments"]))
    if to.pass_unknown:
        to.content.append(block)


def _tool_result(to: _Writer, block: dict[str, Any], where: str) -> None:
    _needs(block, where, "content", "tool_use_id")
    answer = ToolMessage(
        block["content"],
        tool_call_id=block["tool_use_id"],
        status="error" if block.get("is_error") else "success",
    )
    to.answers += _Writer(answer, where, to.form, to.pass_unknown).write(False)


def _json(to: _Writer, block: dict[str, Any], where: str) -> None:
    to.text(json.dumps(_needs(block, where, "json")["json"]))


def _guard_content(to: _Writer, block: dict[str, Any], where: str) -> None:
    text = _needs(block, where, "text", part="guard_content")["text"]
    to.text(text["text"] if isinstance(text, dict) else text)


def _refusal(to: _Writer, block: dict[str, Any], where: str) -> None:
    if block.get("refusal"):  # Anthropic's have no text: there is nothing to send
        to.content.append({"type": "refusal", "refusal": block["refusal"]})


def _thinking(to: _Writer, block: dict[str, Any], where: str) -> None:
    to.content.append(block)


Write = Callable[[_Writer, dict[str, Any], str], None]
_BLOCKS: Mapping[str, Write] = {
    "text": _text,
    "image_url": _image_url,
    "image": _image,
    "media": _media,
    "file": _file,
    "input_audio": _input_audio,
    "tool_use": _tool_use,
    "tool_call": _tool_call,
    "function_call": _function_call,
    "tool_result": _tool_result,
    "json": _json,
    "guard_content": _guard_content,
    "refusal": _refusal,
    "thinking": _thinking,
    "reasoning": _thinking,
}
# Blocks of Bedrock's Converse have no type, but one key that says what they are.
_BY_KEY: Mapping[str, Write] = {"image": _image, "json": _json, "guard_content": _guard_content}
