"""What a run's span is called and what its attributes say: tables of the conventions' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.trace import SpanKind

from ..events import RunInfo
from ..messages import BaseMessage

__all__ = ["MODELS", "Operation", "answer", "error_type", "finish_reasons", "operation_of",
           "request", "usage", "utf8"]  # fmt: skip

MODELS = frozenset({"chat_model", "llm"})
Attributes = dict[str, Any]


class Operation(NamedTuple):
    """A kind of work the conventions know: its name, its span's kind, what names the single run
    (the attribute that has it, and whether it is the run's own name)."""

    name: str
    kind: SpanKind
    named: str | None


_OPERATIONS: dict[str, Operation] = {
    "chat_model": Operation("chat", SpanKind.CLIENT, None),
    "llm": Operation("text_completion", SpanKind.CLIENT, None),
    "tool": Operation("execute_tool", SpanKind.INTERNAL, "gen_ai.tool.name"),
    "retriever": Operation("retrieval", SpanKind.CLIENT, None),
    "agent": Operation("invoke_agent", SpanKind.INTERNAL, "gen_ai.agent.name"),
}

# What the conventions call providers, by what models say of themselves (`ls_provider`).
_PROVIDERS = {
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "google_genai": "gcp.gemini",
    "googlegenerativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}

_NUMBER, _WHOLE, _TEXT = (int, float), (int,), (str,)
_FROM_METADATA = (
    ("gen_ai.request.model", "ls_model_name", _TEXT),
    ("gen_ai.request.temperature", "ls_temperature", _NUMBER),
    ("gen_ai.request.max_tokens", "ls_max_tokens", _WHOLE),
)
# What a model was called with or, failing that, what it is configured with.
_FROM_CALL = (
    ("gen_ai.request.top_p", "top_p", _NUMBER),
    ("gen_ai.request.top_k", "top_k", _NUMBER),
    ("gen_ai.request.frequency_penalty", "frequency_penalty", _NUMBER),
    ("gen_ai.request.presence_penalty", "presence_penalty", _NUMBER),
    ("gen_ai.request.seed", "seed", _WHOLE),
)
_CONVERSATION = ("conversation_id", "thread_id", "session_id")


def operation_of(run: RunInfo) -> Operation | None:
    """The conventions' name for what a run does; None for chains and the like."""
    found = _OPERATIONS.get(run.run_type)
    node = getattr(run, "node", None)
    if found is not None and type(node).__module__.startswith("headrace.local"):
        return found._replace(kind=SpanKind.INTERNAL)  # it computes in this very process
    return found


def request(run: RunInfo, operation: Operation | None, value: Any) -> tuple[str, Attributes]:
    """A span's name, and what is known of the run when it starts with `value`."""
    metadata = run.metadata
    told: Attributes = {
        "headrace.run.id": str(run.id),
        "headrace.run.type": run.run_type,
        "headrace.run.path": run.path,
        **_from_user(metadata, run.all_tags),
    }
    if operation is None:
        return run.name, told
    told["gen_ai.operation.name"] = operation.name
    if run.run_type in MODELS:
        told.update(_asked(run, metadata))
        return " ".join(filter(None, (operation.name, told.get("gen_ai.request.model")))), told
    if operation.named is not None:
        told[operation.named] = run.name
    if run.run_type == "tool":
        told["gen_ai.tool.type"] = "function"
        if _is_call(value):
            told["gen_ai.tool.call.id"] = value["id"]
        description = getattr(getattr(run, "node", None), "description", None)
        if isinstance(description, str):
            told["gen_ai.tool.description"] = description
    return f"{operation.name} {run.name}", told


def _is_call(value: Any) -> bool:
    """Whether a tool's input is the call that a model asked for, with an id."""
    is_call = isinstance(value, dict) and value.get("type") == "tool_call"
    return is_call and isinstance(value.get("id"), str)


def utf8(text: str) -> str:
    """A text that can be sent: lone surrogates are no UTF-8, and one of them would cost a whole
    batch of spans."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return utf8(value)
    return str(value) if type(value) is int and value.bit_length() > 63 else value


def _from_user(metadata: Mapping[str, Any], tags: list[str]) -> Attributes:
    told: Attributes = {"headrace.tags": [utf8(tag) for tag in tags]} if tags else {}
    for key, value in metadata.items():
        if isinstance(value, (str, bool, int, float)) and not key.startswith("ls_"):
            told[f"headrace.metadata.{key}"] = _sendable(value)
    named = [metadata[key] for key in _CONVERSATION if isinstance(metadata.get(key), str)]
    if named:
        told["gen_ai.conversation.id"] = utf8(named[0])
    return told


def _asked(run: RunInfo, metadata: Mapping[str, Any]) -> Attributes:
    """How a model was asked."""
    provider = str(metadata.get("ls_provider") or "headrace")
    told: Attributes = {"gen_ai.provider.name": _PROVIDERS.get(provider, provider)}
    for attribute, key, kinds in _FROM_METADATA:
        value = metadata.get(key)
        if isinstance(value, kinds):
            told[attribute] = value
    given, node = getattr(run, "kw", {}), getattr(run, "node", None)
    for attribute, name, kinds in _FROM_CALL:
        value = given.get(name, getattr(node, name, None))
        if isinstance(value, kinds):
            told[attribute] = value
    stop = metadata.get("ls_stop") or getattr(node, "stop", None)
    if isinstance(stop, list) and stop and all(isinstance(one, str) for one in stop):
        told["gen_ai.request.stop_sequences"] = stop
    return told


# ---- at the end ---------------------------------------------------------------------------------

_ANSWER = (
    ("gen_ai.response.model", ("model_name", "model")),
    ("gen_ai.response.id", ("id",)),
)
_FINISH = ("finish_reason", "stop_reason", "done_reason")


def answer(output: Any) -> Attributes:
    """What a model's answer says of itself, and what it cost; nothing of its content."""
    if not isinstance(output, BaseMessage):
        return {}
    said = output.response_metadata
    told: Attributes = {}
    for attribute, keys in _ANSWER:
        found = [said[key] for key in keys if isinstance(said.get(key), str)]
        if found:
            told[attribute] = found[0]
    if isinstance(output.id, str) and not output.id.startswith("run-"):  # those are made here
        told.setdefault("gen_ai.response.id", output.id)
    reasons = finish_reasons(output)
    if reasons:
        told["gen_ai.response.finish_reasons"] = reasons
    return {**told, **usage(output)}


def finish_reasons(output: Any) -> list[str]:
    """Why a model stopped, in its own word; one at most."""
    said = getattr(output, "response_metadata", {})
    return [said[key] for key in _FINISH if isinstance(said.get(key), str)][:1]


_USAGE = (
    ("gen_ai.usage.input_tokens", ("input_tokens",)),
    ("gen_ai.usage.output_tokens", ("output_tokens",)),
    ("gen_ai.usage.cache_read.input_tokens", ("input_token_details", "cache_read")),
    ("gen_ai.usage.cache_creation.input_tokens", ("input_token_details", "cache_creation")),
    ("gen_ai.usage.reasoning.output_tokens", ("output_token_details", "reasoning")),
)


def usage(output: Any) -> Attributes:
    """The tokens that a model's answer says it cost."""
    told: Attributes = {}
    for attribute, way in _USAGE:
        found: Any = getattr(output, "usage_metadata", None)
        for key in way:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, int):
            told[attribute] = found
    return told


def error_type(error: BaseException) -> str:
    """The canonical name of an exception's class."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
