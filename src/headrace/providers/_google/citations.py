"""What Gemini says of its sources, as standard citations. Pure functions.

Sources: https://ai.google.dev/api/generate-content#GroundingMetadata and #CitationMetadata. Google
counts places in bytes of UTF-8; standard citations count characters of the message's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["citations", "grown"]

_Object = Mapping[str, Any]
_KINDS: Final = ("web", "retrievedContext", "maps", "image")  # of sources
_READ: Final = frozenset({"uri", "title", "text"})


def grown(known: dict[str, Any], told: Any) -> None:
    """Add what an event tells: lists go on, unless they are told again from their beginning; of
    other values the last one counts."""
    for name, value in (told or {}).items():
        before = known.get(name)
        if isinstance(before, list) and isinstance(value, list):
            again = value[: len(before)] == before
            known[name] = value if again else [*before, *value]
        elif value not in (None, "", [], {}):
            known[name] = value


def citations(grounding: _Object, cited: _Object, text: str) -> list[dict[str, Any]]:
    """The citations of an answer.

    Args:
        grounding: `groundingMetadata`; one citation for each source of each segment.
        cited: `citationMetadata`.
        text: of the answer.
    """
    found = [*_grounded(grounding, text)]
    for source in cited.get("citationSources") or cited.get("citations") or ():
        place = _place(text, source.get("startIndex") or 0, source.get("endIndex"), None)
        rest = {k: v for k, v in source.items() if k not in (*_READ, "startIndex", "endIndex")}
        found.append(_citation(source, place, rest))
    return found


def _grounded(grounding: _Object, text: str) -> Iterator[dict[str, Any]]:
    sources = grounding.get("groundingChunks") or []
    for support in grounding.get("groundingSupports") or ():
        segment = support.get("segment") or {}
        start, end = segment.get("startIndex") or 0, segment.get("endIndex")
        place = _place(text, start, end, segment.get("text"))
        scores = support.get("confidenceScores") or []
        for at, number in enumerate(support.get("groundingChunkIndices") or ()):
            source = sources[number] if number < len(sources) else {}
            kind = next((kind for kind in _KINDS if source.get(kind)), None)
            held = source[kind] if kind else {}
            extras = {k: v for k, v in held.items() if k not in _READ}
            if kind not in ("web", None):
                extras["kind"] = kind
            if at < len(scores):
                extras["confidence_score"] = scores[at]
            yield _citation(held, place, extras)


def _citation(source: _Object, place: tuple[int, int] | None, extras: _Object) -> dict[str, Any]:
    fields = {
        "url": source.get("uri"),
        "title": source.get("title"),
        "start_index": place[0] if place else None,
        "end_index": place[1] if place else None,
        "cited_text": source.get("text"),
    }
    made = {"type": "citation", **{k: v for k, v in fields.items() if v is not None}}
    return {**made, "extras": dict(extras)} if extras else made


def _place(text: str, start: int, end: int | None, said: str | None) -> tuple[int, int] | None:
    """Where a segment is, in characters, or None where it is not in the text; `said` is what stands
    there, if Google tells."""
    if end is not None:
        coded = text.encode()
        from_, to = (len(coded[:n].decode(errors="ignore")) for n in (start, end))
        if end <= len(coded) and said in (None, text[from_:to]):
            return from_, to
    found = text.find(said) if said else -1
    return None if found < 0 or said is None else (found, found + len(said))
