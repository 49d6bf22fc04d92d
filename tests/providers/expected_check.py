"""A message beside what it is expected to say: every difference as a sentence.

differences(message, expected)        a whole message
beginning(message, expected)          the partial of a stream that broke off: text, thoughts,
                                      refusal and tool calls, as far as they had come
stream_faults(chunks)                 what a stream must not do: tell a thing twice, change its
                                      id, go on after its last chunk
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.messages import AIMessage, AIMessageChunk
from providers.expected import Call, Expected, Usage

TWICE = ("finish_reason", "model_name", "model_provider")


def differences(message: AIMessage, said: Expected) -> list[str]:
    """What the message says otherwise than expected."""
    return [*_parts(message, said), *_calls(message, said), *_facts(message, said)]


def beginning(message: AIMessage | None, said: Expected) -> list[str]:
    """The same for the beginning of an answer; None is one of which nothing had come."""
    if message is None:
        return [] if said.empty else ["no partial, though something had come"]
    calls = _pieces if isinstance(message, AIMessageChunk) else _calls
    return [*_parts(message, said), *calls(message, said)]


def _parts(message: AIMessage, said: Expected) -> Iterator[str]:
    text, thoughts = _joined(message, "text"), _joined(message, "reasoning")
    if said.plan:  # where it stands is left to the library, but it must be told once
        text, thoughts = _without_plan(text, thoughts, said)
    yield from _differ("text", text, said.text)
    yield from _differ("reasoning", thoughts, said.reasoning)
    yield from _differ("refusal", _joined(message, "refusal"), said.refusal)


def _without_plan(text: str, thoughts: str, said: Expected) -> tuple[str, str]:
    if text == said.plan + said.text and thoughts == said.reasoning:
        return said.text, thoughts
    if thoughts in (said.plan + said.reasoning, said.reasoning + said.plan):
        return text, said.reasoning
    return text, thoughts


def _joined(message: AIMessage, kind: str) -> str:
    if isinstance(message.content, str):
        return message.content if kind == "text" else ""
    blocks = [{"type": "text", "text": b} if isinstance(b, str) else b for b in message.content]
    return "".join(block.get(kind, "") for block in blocks if block["type"] == kind)


def _differ(what: str, found: Any, expected: Any) -> Iterator[str]:
    if found != expected:
        yield f"{what} is {found!r}, expected {expected!r}"


# ---- tool calls ---------------------------------------------------------------------------------


def _calls(message: AIMessage, said: Expected) -> Iterator[str]:
    good = [call for call in said.calls if call.args is not None or call.free]
    bad = [call for call in said.calls if call.args is None and not call.free]
    yield from _differ("number of tool calls", len(message.tool_calls), len(good))
    for call, expected in zip(message.tool_calls, good, strict=False):
        yield from _call(call, expected)
        if not expected.free:
            yield from _differ("args", call["args"], expected.args)
    yield from _differ("number of invalid tool calls", len(message.invalid_tool_calls), len(bad))
    for invalid, expected in zip(message.invalid_tool_calls, bad, strict=False):
        yield from _call(invalid, expected)
        yield from _differ("args as text", invalid["args"], expected.text)
    ids = [call["id"] for call in message.tool_calls]
    if len(set(ids)) != len(ids):
        yield f"ids of tool calls are not distinct: {ids}"


def _call(call: Any, expected: Call) -> Iterator[str]:
    yield from _differ("name of a tool call", call["name"], expected.name)
    if expected.id is None:
        if not call["id"]:
            yield "a tool call has no id"
    else:
        yield from _differ("id of a tool call", call["id"], expected.id)


def _pieces(message: AIMessage, said: Expected) -> Iterator[str]:
    """Tool calls that may not be whole."""
    chunks = [c for c in getattr(message, "tool_call_chunks", []) if c["name"] or c["args"]]
    yield from _differ("number of tool calls begun", len(chunks), len(said.calls))
    for chunk, expected in zip(chunks, said.calls, strict=False):
        yield from _differ("name of a tool call", chunk["name"] or "", expected.name)
        if expected.id is not None:
            yield from _differ("id of a tool call", chunk["id"], expected.id)
        if expected.args is None and not expected.free:
            yield from _differ("args as text", chunk["args"] or "", expected.text)


# ---- what stands beside the content -------------------------------------------------------------


def _facts(message: AIMessage, said: Expected) -> Iterator[str]:
    facts = message.response_metadata
    yield from _one_of("finish_reason", facts.get("finish_reason"), said.finish_reasons)
    if said.models:
        yield from _one_of("model_name", facts.get("model_name"), said.models)
    if said.ids:
        yield from _one_of("id", message.id, said.ids)
    if not facts.get("model_provider"):
        yield "no model_provider"
    yield from _differ("usage", _usage(message), said.usage)
    if _citations(message) not in (said.citations, said.sources):
        yield f"has {_citations(message)} citations, expected {said.citations}"
    texts = list(_texts([message.content, message.additional_kwargs, facts]))
    held = "\n".join(texts)
    for what in [*said.kept, *said.others.values(), said.plan]:
        if what not in held:
            yield f"does not hold {what[:80]!r}"


def _one_of(what: str, found: Any, expected: set[str]) -> Iterator[str]:
    if found not in expected:
        yield f"{what} is {found!r}, expected one of {sorted(expected)}"


def _usage(message: AIMessage) -> Usage | None:
    told: Any = message.usage_metadata
    if not told:
        return None
    of_input = told.get("input_token_details") or {}
    of_output = told.get("output_token_details") or {}
    return Usage(
        told["input_tokens"],
        told["output_tokens"],
        told["total_tokens"],
        of_input.get("cache_read") or 0,
        of_input.get("cache_creation") or 0,
        of_output.get("reasoning") or 0,
    )


def _citations(message: AIMessage) -> int:
    if isinstance(message.content, str):
        return 0
    blocks = [block for block in message.content if isinstance(block, dict)]
    return sum(len(block.get("annotations") or []) for block in blocks)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _texts(value)


# ---- chunks -------------------------------------------------------------------------------------


def stream_faults(chunks: Sequence[AIMessageChunk]) -> list[str]:
    """What a stream must not do."""
    faults = []
    ids = {chunk.id for chunk in chunks}
    if len(ids) != 1:
        faults.append(f"its chunks have {len(ids)} ids: {sorted(map(str, ids))[:4]}")
    usages = sum(chunk.usage_metadata is not None for chunk in chunks)
    if usages > 1:
        faults.append(f"tells its usage {usages} times")
    for name in TWICE:
        times = sum(name in chunk.response_metadata for chunk in chunks)
        if times > 1:
            faults.append(f"tells {name} {times} times")
    last = [n for n, chunk in enumerate(chunks, 1) if chunk.chunk_position == "last"]
    if last != [len(chunks)]:
        faults.append(f"the last of its {len(chunks)} chunks is said to be {last}")
    return faults
