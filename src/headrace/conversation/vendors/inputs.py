"""What users give models to see, hear and read, in vendors' forms, as standard blocks.

Known are OpenAI's `image_url`, `input_audio` and `file`, Anthropic's `image` and `document`,
Gemini's parts, the untyped blocks of Bedrock's Converse, and the standard form of old, which had a
`source_type`. What a vendor's block says beyond that goes into `extras`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._parts import MISSHAPEN, Block, made, text_base64
from .google import INPUTS

__all__ = ["standard_input"]


def standard_input(source: Block) -> Block | None:
    """The standard block of a vendor's one; None where it has none, or is not as documented."""
    try:
        return _read(source)
    except MISSHAPEN:
        return None


def _read(source: Block) -> Block | None:
    if "source_type" in source:
        return _old(source)
    read = _BLOCKS.get(source.get("type", ""))
    if read is not None:
        return read(source)
    if len(source) != 1:
        return None
    key, value = next(iter(source.items()))
    converse = _CONVERSE.get(key)
    return converse(value) if converse is not None and value else None


# ------------------------------------------------------------------ the standard form of old

# source_type: the key that holds the data there, and the one that does here
_OLD = {"url": ("url", "url"), "base64": ("data", "base64"), "id": ("id", "file_id")}


def _old(source: Block) -> Block | None:
    kind, where = source.get("type"), source["source_type"]
    if kind == "file" and where == "text" and "url" in source:
        return made("text-plain", source, {"source_type", "url", "mime_type", "id"},
                    text=source["url"], mime_type=source.get("mime_type", "text/plain"),
                    id=source.get("id"))  # fmt: skip
    if kind not in ("image", "audio", "file") or where not in _OLD:
        return None
    old, new = _OLD[where]
    if old not in source:
        return None
    block = made(kind, source, {"source_type", "mime_type", "id", old},
                 mime_type=source.get("mime_type"), **{new: source[old]})  # fmt: skip
    return block if old == "id" or "id" not in source else {**block, "id": source["id"]}


# ------------------------------------------------------------------ OpenAI


def _nested(source: Block, key: str, used: set[str], prefix: str) -> Block:
    """The extras of a block whose facts stand one level down, under `key`."""
    held = source[key]
    extras = {f"{prefix}{name}": value for name, value in held.items() if name not in used}
    return {"extras": extras} if extras else {}


def _data_of(url: Any) -> Block | None:
    """The data in a URL that is data; None of any other URL."""
    head, comma, data = url.partition(";base64,") if isinstance(url, str) else ("", "", "")
    if not comma or not head.startswith("data:"):
        return None
    return {"base64": data, "mime_type": head.removeprefix("data:")}


def _image_url(source: Block) -> Block | None:
    image = source.get("image_url")
    held = {"url": image} if isinstance(image, str) else image
    if not isinstance(held, dict) or not isinstance(held.get("url"), str):
        return None
    more = _nested({"image_url": held}, "image_url", {"url", "detail"}, "image_url_")
    if "detail" in held:
        more = {"extras": {**more.get("extras", {}), "detail": held["detail"]}}
    where = _data_of(held["url"]) or {"url": held["url"]}
    return made("image", source, {"image_url"}, **where, **more)


def _input_audio(source: Block) -> Block | None:
    held = source.get("input_audio")
    if not isinstance(held, dict) or not isinstance(held.get("data"), str):
        return None
    form = held.get("format")
    more = _nested(source, "input_audio", {"data", "format"}, "audio_")
    return made("audio", source, {"input_audio"}, base64=held["data"],
                mime_type=f"audio/{form}" if form else None, **more)  # fmt: skip


def _file(source: Block) -> Block | None:
    held = source.get("file")
    if not isinstance(held, dict):
        return None
    where = {"file_id": held["file_id"]} if "file_id" in held else _data_of(held.get("file_data"))
    if where is None:
        return None
    used = {"file_id", "file_data", "filename"}
    more = _nested(source, "file", used, "file_").get("extras", {})
    if held.get("filename"):
        more["filename"] = held["filename"]
    return made("file", source, {"file"}, **where, **({"extras": more} if more else {}))


# ------------------------------------------------------------------ Anthropic

# The type of a source: its keys that are needed, and what they are here.
_SOURCES: Mapping[str, Mapping[str, str]] = {
    "base64": {"data": "base64", "media_type": "mime_type"},
    "url": {"url": "url"},
    "file": {"file_id": "file_id"},
}


def _anthropic(kind: str) -> Callable[[Block], Block | None]:
    def read(source: Block) -> Block | None:
        held = source.get("source")
        if not isinstance(held, dict):
            return None
        if kind == "file" and held.get("type") == "text" and "data" in held:
            return made("text-plain", source, {"source", "media_type"}, text=held["data"],
                        mime_type=source.get("media_type", "text/plain"))  # fmt: skip
        keys = _SOURCES.get(held.get("type", ""))
        if keys is None or not keys.keys() <= held.keys():
            return None
        return made(kind, source, {"source"}, **{new: held[old] for old, new in keys.items()})

    return read


# ------------------------------------------------------------------ Bedrock's Converse


def _converse_text(text: Any) -> Block | None:
    return {"type": "text", "text": text} if isinstance(text, str) else None


def _converse_image(image: Any) -> Block | None:
    data = _source(image).get("bytes")
    if data is None or "format" not in image:
        return None
    return made("image", image, {"format", "source"}, base64=text_base64(data),
                mime_type=f"image/{image['format']}")  # fmt: skip


def _converse_document(document: Any) -> Block | None:
    held, used = _source(document), {"format", "source"}
    form = document.get("format") if held else None
    if form == "pdf" and "bytes" in held:
        return made("file", document, used, base64=text_base64(held["bytes"]),
                    mime_type="application/pdf")  # fmt: skip
    if form == "txt" and "text" in held:
        return made("text-plain", document, used, text=held["text"], mime_type="text/plain")
    return None


def _source(block: Any) -> Block:
    held = block.get("source") if isinstance(block, dict) else None
    return held if isinstance(held, dict) else {}


_CONVERSE: Mapping[str, Callable[[Any], Block | None]] = {
    "text": _converse_text,
    "image": _converse_image,
    "document": _converse_document,
}


def _google(kind: str) -> Callable[[Block], Block | None]:
    return lambda source: INPUTS[kind](source, None)[0]


_BLOCKS: Mapping[str, Callable[[Block], Block | None]] = {
    "image_url": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "image": _anthropic("image"),
    "document": _anthropic("file"),
    **{kind: _google(kind) for kind in INPUTS},
}
