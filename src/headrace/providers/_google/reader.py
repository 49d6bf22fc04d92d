"""`GoogleReader`: what Gemini answers, as the Gemini API and Vertex AI write it.

Source: https://ai.google.dev/api/generate-content, and recordings. Each event is a whole
`GenerateContentResponse` with further parts; there is no mark of the end but the `finishReason` of
the first candidate. `usageMetadata` comes with every event, as a running total.

- A part with a `thoughtSignature` is a block of its own (`extras["signature"]`), because Google
  wants it back as it was, not joined to others. Those of calls stand in
  `additional_kwargs["signatures"]`, by the call's id.
- Calls mostly have no id; they get one.
- A prompt that is blocked has no candidate: that is a `ContentFilterError`. An answer that a filter
  stopped is an answer, whose `finish_reason` says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from headrace.errors import ContentFilterError
from headrace.messages import AIMessageChunk

from .._base.answer import Answer
from .citations import citations, grown
from .pieces import CallInPieces

__all__ = ["GoogleReader"]

_Object = Mapping[str, Any]

_CODE: Final = "code_interpreter"  # the standard name of a tool that runs the model's code

_READ_ABOVE: Final = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "error", "sdkHttpResponse"}
)
_READ_OF_CANDIDATE: Final = frozenset(
    {"content", "finishReason", "index", "groundingMetadata", "citationMetadata", "logprobsResult"}
)

# Some servers write enums as numbers (`enum-encoding=int`). The two APIs number them differently.
_SHARED_ENDS: Final = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
_ENDS: Final[Mapping[str, Mapping[int, str]]] = {
    "google_genai": {
        **_SHARED_ENDS, 6: "LANGUAGE", 7: "BLOCKLIST", 8: "PROHIBITED_CONTENT", 9: "SPII",
        10: "MALFORMED_FUNCTION_CALL", 11: "IMAGE_SAFETY",
    },
    "google_vertexai": {
        **_SHARED_ENDS, 6: "BLOCKLIST", 7: "PROHIBITED_CONTENT", 8: "SPII",
        9: "MALFORMED_FUNCTION_CALL",
    },
}  # fmt: skip
_BLOCKS: Final = {1: "SAFETY", 2: "OTHER", 3: "BLOCKLIST", 4: "PROHIBITED_CONTENT"}
_OK: Final = ("OUTCOME_OK", 1)
_AUDIO: Final = ("AUDIO", 4)


class GoogleReader(Answer):
    """Reads one answer; see the head of the file.

    Args:
        provider, blocks: as of `Answer`.
        number: of the candidate that is read.
    """

    def __init__(self, provider: str, *, blocks: bool = False, number: int = 0) -> None:
        super().__init__(provider, blocks=blocks)
        self._again = lambda number: GoogleReader(provider, blocks=blocks, number=number)
        self._place = number
        self._made_up = 0  # ids so far
        self._texts: list[str] = []  # of the answer; citations count in it
        self._grounding: dict[str, Any] = {}
        self._cited: dict[str, Any] = {}
        self._logprobs: dict[str, Any] = {}
        self._code: str | None = None  # the id of the newest code that the model had run
        self._growing: CallInPieces | None = None

    # ---- events ---------------------------------------------------------------------------------

    def _read(self, event: _Object) -> None:
        self.id = self.id or event.get("responseId") or None
        self.model = self.model or event.get("modelVersion") or None
        if event.get("usageMetadata"):
            self._read_usage(event["usageMetadata"])
        candidates = event.get("candidates") or ()
        if not candidates:
            self._check_blocked(event.get("promptFeedback") or {})
        for candidate in candidates:
            self._reader_of(candidate.get("index") or 0).read_candidate(candidate)
        self._keep(event, _READ_ABOVE)

    def _candidates(self, answer: _Object) -> Iterable[list[AIMessageChunk]]:
        """The chunks of each candidate."""
        for number, candidate in enumerate(answer.get("candidates") or [{}]):
            alone = {**answer, "candidates": [{**candidate, "index": 0}] if candidate else []}
            yield list(self._again(number).whole(alone, answer))

    def made_up_id(self) -> str:
        """An id for a call that has none; the same one whenever this answer is read."""
        if self.id is None:
            return super().made_up_id()
        self._made_up += 1
        seed = f"{self.id} {self._place} {self._made_up}"
        return f"call_{sha256(seed.encode()).hexdigest()[:24]}"

    def read_candidate(self, candidate: _Object) -> None:
        """What an event adds to a candidate."""
        ended = _word(candidate.get("finishReason"), _ENDS.get(self.provider, _SHARED_ENDS))
        self.finish_reason = ended or self.finish_reason
        for part in (candidate.get("content") or {}).get("parts") or ():
            if part:
                self._read_part(part)
        if candidate.keys() <= _PLAIN:
            return
        grown(self._grounding, candidate.get("groundingMetadata"))
        grown(self._cited, candidate.get("citationMetadata"))
        grown(self._logprobs, candidate.get("logprobsResult"))
        self._keep(candidate, _READ_OF_CANDIDATE)

    def _check_blocked(self, feedback: _Object) -> None:
        reason = _word(feedback.get("blockReason"), _BLOCKS)
        if reason is None:
            return
        told = feedback.get("blockReasonMessage") or ""
        raise ContentFilterError(
            f"{self.provider} blocked the prompt ({reason}){f': {told}' if told else '.'} Change "
            "the prompt, or the filter's settings (safety_settings=…).",
            self.partial(),
            provider=self.provider,
            status=200,
            provider_message=told or reason,
            code=reason,
        )

    def _keep(self, source: _Object, read: frozenset[str]) -> None:
        """Keep what is not read, by the names that Google's SDK gives it; the last one counts."""
        for name, value in source.items():
            if name not in read and value not in (None, "", [], {}):
                self.facts[_snake(name)] = value

    def _read_usage(self, usage: _Object) -> None:
        if usage.get("promptTokenCount") is None and usage.get("totalTokenCount") is None:
            return  # it says only how the request is charged
        thoughts = usage.get("thoughtsTokenCount")
        self.usage(
            (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
            (usage.get("candidatesTokenCount") or 0) + (thoughts or 0),
            usage.get("totalTokenCount"),
            of_input=(
                ("audio", _of_kind(usage.get("promptTokensDetails"), _AUDIO)),
                ("cache_read", usage.get("cachedContentTokenCount")),
            ),
            of_output=(
                ("audio", _of_kind(usage.get("candidatesTokensDetails"), _AUDIO)),
                ("reasoning", thoughts),
            ),
        )

    # ---- parts ----------------------------------------------------------------------------------

    def _read_part(self, part: _Object) -> None:
        for name, read in _PARTS.items():
            if name in part:
                read(self, part)
                return
        if part.keys() <= {"thoughtSignature", "thought"}:
            self._read_text(part)
        else:
            self.block({"type": "non_standard", "value": dict(part)})

    def _read_text(self, part: _Object) -> None:
        text, signature = part.get("text") or "", part.get("thoughtSignature")
        if part.get("thought"):
            if signature:
                self.block({"type": "reasoning", "reasoning": text, **_extras(part)})
            else:
                self.reasoning(text)
            return
        self._texts.append(text)
        if signature:
            self.block({"type": "text", "text": text, **_extras(part)})
        else:
            self.text(text)

    def _read_call(self, part: _Object) -> None:
        call = part["functionCall"]
        signature = part.get("thoughtSignature")
        if self._growing is not None or "partialArgs" in call or call.get("willContinue"):
            self._growing = self._growing or CallInPieces()
            self._growing.feed(call, signature)
            if not call.get("willContinue"):
                self._end_call()
            return
        self._say_call(call.get("id"), call.get("name"), call.get("args") or {}, signature)

    def _end_call(self) -> None:
        call, self._growing = self._growing, None
        if call is not None:
            self._say_call(call.id, call.name, call.args, call.signature)

    def _say_call(self, id: Any, name: Any, args: Any, signature: Any) -> None:
        id = id or self.made_up_id()
        self.call(id=id, name=name, args=args)
        if signature:
            self.extra.setdefault("signatures", {})[id] = signature

    def _read_code(self, part: _Object) -> None:
        code = part["executableCode"]
        self._code = code.get("id") or self.made_up_id()
        args = {"language": code.get("language"), "code": code.get("code") or ""}
        block = {"type": "server_tool_call", "id": self._code, "name": _CODE, "args": args}
        self.block({**block, **_extras(part)})

    def _read_result(self, part: _Object) -> None:
        result = part["codeExecutionResult"]
        outcome = result.get("outcome")
        self.block(
            {
                "type": "server_tool_result",
                "tool_call_id": result.get("id") or self._code or "",
                "status": "success" if outcome in _OK else "error",
                "output": result.get("output") or "",
                **_extras(part, outcome=outcome),
            }
        )

    def _read_tool(self, part: _Object) -> None:
        """A call of a tool that runs at Google's."""
        call = part["toolCall"]
        block = {"type": "server_tool_call", "id": call.get("id") or self.made_up_id()}
        block |= {"name": str(call.get("toolType") or ""), "args": call.get("args") or {}}
        self.block({**block, **_extras(part, part="toolCall")})

    def _read_tool_result(self, part: _Object) -> None:
        result = part["toolResponse"]
        more = {"part": "toolResponse", "tool_type": result.get("toolType")}
        block = {"type": "server_tool_result", "tool_call_id": result.get("id") or ""}
        block |= {"status": "success", "output": result.get("response")}
        self.block({**block, **_extras(part, **more)})

    def _read_data(self, part: _Object) -> None:
        data = part["inlineData"]
        kind = data.get("mimeType") or ""
        block = {"type": _kind_of(kind), "base64": data.get("data") or "", "mime_type": kind}
        self.block({**block, **_extras(part)})

    def _read_file(self, part: _Object) -> None:
        data = part["fileData"]
        kind = data.get("mimeType") or ""
        block = {"type": _kind_of(kind), "url": data.get("fileUri") or "", "mime_type": kind}
        self.block({**block, **_extras(part)})

    # ---- the end --------------------------------------------------------------------------------

    def _before_end(self) -> None:
        self._end_call()
        found = citations(self._grounding, self._cited, "".join(self._texts))
        if found:
            self.text("", annotations=found)
        beside = {
            "grounding_metadata": self._grounding,
            "citation_metadata": self._cited,
            "logprobs_result": self._logprobs,
        }
        self.facts.update((name, value) for name, value in beside.items() if value)


_PLAIN: Final = frozenset({"content", "finishReason", "index"})
_PARTS: Final[Mapping[str, Callable[[GoogleReader, _Object], None]]] = {
    "functionCall": GoogleReader._read_call,
    "executableCode": GoogleReader._read_code,
    "codeExecutionResult": GoogleReader._read_result,
    "inlineData": GoogleReader._read_data,
    "fileData": GoogleReader._read_file,
    "toolCall": GoogleReader._read_tool,
    "toolResponse": GoogleReader._read_tool_result,
    "text": GoogleReader._read_text,
}


def _extras(part: _Object, /, **more: Any) -> dict[str, Any]:
    """The `extras` of a part's block, as a field of it where there are any."""
    extras = {name: value for name, value in more.items() if value is not None}
    if part.get("thoughtSignature"):
        extras["signature"] = part["thoughtSignature"]
    if part.get("thought") and "text" not in part:
        extras["thought"] = True
    return {"extras": extras} if extras else {}


def _word(value: Any, names: Mapping[int, str]) -> str | None:
    """The name of a member of an enum; None for the one that says nothing."""
    if not value or str(value).endswith("_UNSPECIFIED"):
        return None
    return names.get(value, str(value)) if isinstance(value, int) else str(value)


def _kind_of(mime_type: str) -> str:
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "file"


def _of_kind(details: Any, kinds: tuple[Any, ...]) -> int | None:
    """The tokens of a kind of content (`modality`)."""
    counts = [d.get("tokenCount") or 0 for d in details or () if d.get("modality") in kinds]
    return sum(counts) if counts else None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
