"""Messages to those of a request to Mistral. Pure functions.

Source: https://docs.mistral.ai/api/#tag/chat. Where it differs from the Chat Completions protocol:

- ids of tool calls are nine letters and digits: others are replaced, each always by the same;
- what the model thought is sent back to it, as it sent it;
- files are addresses (`document_url`) or ids, sound is base64 or an address;
- an answer to go on with, which must be the last message, is marked (`prefix`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from headrace.errors import InputError
from headrace.messages import AIMessage, BaseMessage

from .._base.own import is_own
from .._chat.request import request_messages

__all__ = ["call_id", "mistral_messages", "prefix_of"]

Block = dict[str, Any]

_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROLES: Final = {"developer": "system", "function": "tool"}


def call_id(id: str) -> str:
    """An id that Mistral takes: the same one, or another that follows from it."""
    if _ID.fullmatch(id):
        return id
    number, made = int.from_bytes(sha256(id.encode()).digest()), ""
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        made += _DIGITS[digit]
    return made


def mistral_messages(messages: Sequence[BaseMessage], provider: str) -> list[dict[str, Any]]:
    """The `messages` of a request.

    Args:
        provider: as it stands in `response_metadata` of messages of Mistral's own.

    Raises:
        InputError: there is no message, or a block that cannot be said.
    """
    if not messages:
        return request_messages(messages)  # which refuses that
    made = [each for message in messages for each in _written(message, provider)]
    last = made[-1]
    if last["role"] == "assistant" and not last.get("tool_calls"):
        last["prefix"] = True
    return made


def prefix_of(request: Mapping[str, Any]) -> str:
    """The text that the answer to a request begins with."""
    last = request["messages"][-1]
    content = last.get("content")
    return content if last.get("prefix") and isinstance(content, str) else ""


def _written(message: BaseMessage, provider: str) -> list[dict[str, Any]]:
    own = is_own(message, provider)
    if isinstance(message.content, list):
        blocks = [each for block in message.content for each in _parts(block, message, own)]
        message = message.model_copy(update={"content": blocks})
    made = request_messages([message], kept=("thinking",) if own else ())
    for each in made:
        each["role"] = _ROLES.get(each["role"], each["role"])
        for call in each.get("tool_calls") or ():
            call["id"] = call_id(call["id"] or "")
        if each.get("tool_call_id"):
            each["tool_call_id"] = call_id(each["tool_call_id"])
        if isinstance(each["content"], list):
            each["content"] = [_plain(part) for part in each["content"]]
        if each["role"] == "assistant":
            each.pop("name", None)
    return made


def _plain(part: Any) -> Any:
    """A part, without the object that OpenAI puts a file's id into."""
    file = part.get("file") if part.get("type") == "file" else None
    return {"type": "file", **file} if isinstance(file, dict) else part


def _parts(block: Any, message: BaseMessage, own: bool) -> list[Any]:
    """A block as Mistral's parts, or as it is."""
    if not isinstance(block, dict):
        return [block]
    table = (_OWN if own else _OTHERS) if isinstance(message, AIMessage) else _GIVEN
    write = table.get(block.get("type", ""))
    return [block] if write is None else write(block)


# ---- of the model's own messages -----------------------------------------------------------------


def _thinking(block: Block) -> list[Any]:
    extras = block.get("extras") or {}
    thoughts = [{"type": "text", "text": block.get("reasoning") or ""}, *extras.get("sources", ())]
    part = {"type": "thinking", "thinking": thoughts}
    return [{**part, "signature": extras["signature"]} if extras.get("signature") else part]


def _text(block: Block) -> list[Any]:
    made: list[Any] = [{"type": "text", "text": block["text"]}] if block.get("text") else []
    for annotation in block.get("annotations") or ():
        ids = (annotation.get("extras") or {}).get("reference_ids")
        if ids:
            made.append({"type": "reference", "reference_ids": ids})
    told = block.get("reference")  # LangChain's form
    if isinstance(told, dict) and told.get("reference_ids"):
        made.append({"type": "reference", "reference_ids": told["reference_ids"]})
    return made


def _unwrapped(block: Block) -> list[Any]:
    return [block["value"]] if isinstance(block.get("value"), dict) else []


def _refused(block: Block) -> list[Any]:
    """Of another vendor's model; Mistral has no word for it."""
    return [{"type": "text", "text": block["refusal"]}] if block.get("refusal") else []


_OTHERS: Final[Mapping[str, Callable[[Block], list[Any]]]] = {"refusal": _refused}
_OWN: Final[Mapping[str, Callable[[Block], list[Any]]]] = {
    **_OTHERS,
    "reasoning": _thinking,
    "text": _text,
    "non_standard": _unwrapped,
}


# ---- of what is given to the model ---------------------------------------------------------------


def _address(block: Block, usual: str) -> str | None:
    """The URL of a standard block, or of its data."""
    url = block.get("url")
    data = block.get("base64") or (block.get("data") if block.get("source_type") else None)
    if url is None and data is not None:
        url = f"data:{block.get('mime_type') or usual};base64,{data}"
    return url


def _file(block: Block) -> list[Any]:
    inner = block.get("file") or {}  # OpenAI's form
    address = inner.get("file_data") or _address(block, "application/pdf")
    if address is None:
        return [block]
    extras = block.get("extras") or {}
    name = inner.get("filename") or block.get("filename") or extras.get("filename")
    part = {"type": "document_url", "document_url": address}
    return [{**part, "document_name": name} if name else part]


def _audio(block: Block) -> list[Any]:
    sound = block.get("base64") or block.get("data") or block.get("url")
    return [{"type": "input_audio", "input_audio": sound}]


def _input_audio(block: Block) -> list[Any]:
    sound = block.get("input_audio")
    sound = sound.get("data") if isinstance(sound, Mapping) else sound
    return [{"type": "input_audio", "input_audio": sound}]


def _video(block: Block) -> list[Any]:
    raise InputError(
        "Mistral's models take no video: give them text, images, sound and documents; received "
        f"{block!r:.200}."
    )


_GIVEN: Final[Mapping[str, Callable[[Block], list[Any]]]] = {
    "file": _file,
    "audio": _audio,
    "input_audio": _input_audio,
    "video": _video,
}
