"""What users and tools give models to read, in others' forms, as blocks that
`convert_to_openai_messages` knows; and what it leaves out or writes otherwise than this protocol.

| block | becomes |
|---|---|
| `text-plain` and Anthropic's `document` of text | text |
| other `document`s | a file |
| `input_text`, `input_image`, `input_file` (Responses) | what they are called here |
| a result of a tool without a `type` | its JSON, as text |
| `non_standard` | what it holds |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.conversation.vendors.inputs import standard_input

__all__ = ["as_read", "finished", "known_format", "result_as_text"]

Block = dict[str, Any]


def as_read(content: Sequence[Any], *, result: bool = False) -> list[Any]:
    """The blocks of a content that is a list; `result`: it is of a tool."""
    return [_read(block, result) if isinstance(block, dict) else block for block in content]


def _read(block: Block, result: bool) -> Block:
    read = _FORMS.get(str(block.get("type")))
    if read is not None:
        return read(block)
    return result_as_text(block) if result else block


def result_as_text(block: Any, *known: str) -> Any:
    """A block of a tool's result; one without a type, as of a tool that gave a list of dicts, as
    its JSON in text. Blocks of Bedrock's Converse, and those with a key that is `known`, have none
    and stay as they are."""
    if not isinstance(block, dict) or "type" in block or not _KEYS.union(known).isdisjoint(block):
        return block
    return {"type": "text", "text": json.dumps(block, ensure_ascii=False, default=str)}


_KEYS: Final = frozenset({"text", "image", "json", "guard_content", "document"})
"""Of blocks without a type, those of Bedrock's Converse."""


def _text(block: Block) -> Block:
    text = block.get("text")
    if not isinstance(text, str):
        return block
    kept = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    return {"type": "text", "text": text, **kept}


def _document(block: Block) -> Block:
    standard = standard_input(block)
    if standard is None:
        return block
    return _text(standard) if standard["type"] == "text-plain" else standard


def _image(block: Block) -> Block:
    if not isinstance(block.get("image_url"), str):
        return block
    detail = {"detail": block["detail"]} if block.get("detail") else {}
    return {"type": "image_url", "image_url": {"url": block["image_url"], **detail}}


def _file(block: Block) -> Block:
    named = {name: block[name] for name in ("file_id", "file_data", "filename") if block.get(name)}
    return {"type": "file", "file": named} if named.keys() - {"filename"} else block


def _unwrapped(block: Block) -> Block:
    """The vendor's own, or newer than this."""
    value = block.get("value")
    return value if isinstance(value, dict) else block


_FORMS: Final[Mapping[str, Callable[[Block], Block]]] = {
    "non_standard": _unwrapped,
    "input_text": _text,
    "output_text": _text,
    "text-plain": _text,
    "document": _document,
    "input_image": _image,
    "input_file": _file,
}


def finished(written: Any, given: Sequence[Any]) -> Any:
    """Content as it was written for the blocks `given`, with their `cache_control`, which gateways
    to other vendors want."""
    if not isinstance(written, list):
        return written
    parts = [known_format(part) for part in written]
    if len(parts) == len(given):
        for part, block in zip(parts, given, strict=True):
            if isinstance(block, dict) and "cache_control" in block:
                part["cache_control"] = block["cache_control"]
    return parts


def known_format(part: Block) -> Block:
    """A part of sound with the format as OpenAI calls it, which is not how MIME types do."""
    sound = part.get("input_audio")
    if not isinstance(sound, Mapping):
        return part
    form = str(sound.get("format"))
    return (
        {**part, "input_audio": {**sound, "format": _FORMATS[form]}} if form in _FORMATS else part
    )


_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
