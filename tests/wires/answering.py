"""A server on loopback that answers each dialect as asked: by its length limit, its texts to end
at, its schema and the choice of a tool. It always says the same, in the dialect's way.

    with answering("anthropic") as url:
        model("anthropic", url).invoke("Hello.")
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from typing import Any

from wires.wire import (
    CHAT,
    DONE,
    GOOGLE,
    GOOGLE_USAGE,
    SSE,
    USAGE,
    Event,
    answered,
    anthropic_message,
    anthropic_stream,
    chunk,
    cohere_end,
    completion,
    frame,
    google,
    response,
    said,
)  # fmt: skip

CITY = {"name": "Paris", "people": 2}
ARGUMENTS = {"add": {"a": 2, "b": 3}, "now": {}}  # of other tools: a city
IDS = ("chatcmpl-1", "msg_1", "resp_1", "r-1", "c-1", "call0000")  # new ones for each answer
# how an answer ends, and how one that was cut does
ENDS = {
    '"finish_reason": "stop"': '"finish_reason": "length"',
    '"finishReason": "STOP"': '"finishReason": "MAX_TOKENS"',
    '"stop_reason": "end_turn"': '"stop_reason": "max_tokens"',
    '"finish_reason": "COMPLETE"': '"finish_reason": "MAX_TOKENS"',
    "response.completed": "response.incomplete",
    '"incomplete_details": null': '"incomplete_details": {"reason": "max_output_tokens"}',
}
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
STOPS = ("stop", "stop_sequences", "stopSequences")
FORMATS = ("response_format", "responseMimeType")


def wanted_tool(body: dict[str, Any]) -> str | None:
    """The tool that has to be called; where any will do, the first."""
    choice = body.get("tool_choice") or body.get("toolConfig", {}).get("functionCallingConfig")
    if isinstance(choice, dict):
        names = choice.get("allowedFunctionNames") or [choice.get("name")]
        named = names[0] or choice.get("function", {}).get("name")
        return named or (_first(body) if _must(choice.get("type") or choice.get("mode")) else None)
    return _first(body) if _must(choice) else None


def _must(word: Any) -> bool:
    return str(word).lower() in ("any", "required")


def _first(body: dict[str, Any]) -> str:
    tool = body["tools"][0]
    tool = tool.get("functionDeclarations", [tool])[0]
    return str(tool.get("function", tool)["name"])


def wanted_text(body: dict[str, Any]) -> str:
    """What is to be said."""
    config = body.get("generationConfig") or body
    text = (body.get("text") or body.get("output_config") or {}).get("format", {})
    if text or any(name in config for name in FORMATS):
        return json.dumps(CITY)
    ends = [end for name in STOPS for end in config.get(name) or ()]
    words = "Hullo, world, it says."
    for end in ends:
        words = words.partition(end)[0]
    return words


def is_cut(body: dict[str, Any]) -> bool:
    config = body.get("generationConfig") or body
    return any(config.get(name) == 1 for name in LIMITS)


def called(dialect: str, name: str) -> tuple[list[Event], Any]:
    """The events and the whole answer of a call."""
    args = ARGUMENTS.get(name, CITY)
    text = json.dumps(args)
    if dialect in GOOGLE:
        event = google([{"functionCall": {"name": name, "args": args}}], "STOP")
        event["usageMetadata"] = GOOGLE_USAGE
        return [event], event
    if dialect == "anthropic":
        block = {"type": "tool_use", "id": "call0000", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": text if args else ""}
        events = anthropic_stream((block, [delta]), stop="tool_use")
        return events, anthropic_message([{**block, "input": args}], "tool_use")
    if dialect == "responses":
        return _called_in_responses(name, text)
    call = {"id": "call0000", "type": "function", "function": {"name": name, "arguments": text}}
    if dialect == "cohere":
        return _called_at_cohere(call)
    begun = {**call, "index": 0, "function": {"name": name, "arguments": ""}}
    grown = {"index": 0, "function": {"arguments": text}}
    events = [
        chunk({"role": "assistant", "content": None, "tool_calls": [begun]}),
        chunk({"tool_calls": [grown]}),
        chunk({}, "tool_calls", usage=USAGE),
    ]
    return events, completion({"content": None, "tool_calls": [call]}, "tool_calls")


def _called_in_responses(name: str, text: str) -> tuple[list[Event], Any]:
    item = {"type": "function_call", "id": "fc_1", "call_id": "call0000", "name": name,
            "arguments": text, "status": "completed"}  # fmt: skip
    where = {"output_index": 0, "item_id": "fc_1"}
    whole = response([item])
    return [
        {"type": "response.created", "response": response([], "in_progress", usage=None)},
        {"type": "response.output_item.added", **where, "item": {**item, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", **where, "delta": text},
        {"type": "response.output_item.done", **where, "item": item},
        {"type": "response.completed", "response": whole},
    ], whole


def _called_at_cohere(call: dict[str, Any]) -> tuple[list[Event], Any]:
    text = call["function"]["arguments"]
    begun = {**call, "function": {**call["function"], "arguments": ""}}
    grown = {"function": {"arguments": text}}
    events: list[Event] = [
        {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}},
        *(
            {"type": kind, "index": 0, "delta": {"message": {"tool_calls": said}}}
            for kind, said in (("tool-call-start", begun), ("tool-call-delta", grown))
        ),
        {"type": "tool-call-end", "index": 0},
        cohere_end("TOOL_CALL"),
    ]
    whole = answered("cohere", "")
    message = {"role": "assistant", "tool_calls": [call]}
    return events, {**whole, "message": message, "finish_reason": "TOOL_CALL"}


def spoken(dialect: str, text: str) -> tuple[list[Event], Any]:
    """The events and the whole answer of a text."""
    half = (len(text) + 1) // 2
    return said(dialect, [text[:half], text[half:]]), answered(dialect, text)


def reply(dialect: str, path: str, body: dict[str, Any], number: int) -> tuple[str, bytes]:
    """The content type and the body of the answer to a request."""
    if path.endswith(("countTokens", "count_tokens")):
        return "application/json", json.dumps({"totalTokens": 5, "input_tokens": 5}).encode()
    tool = wanted_tool(body)
    events, whole = called(dialect, tool) if tool else spoken(dialect, wanted_text(body))
    if body.get("stream") or "streamGenerateContent" in path:
        kind, raw = SSE, frame(dialect, *events) + (DONE if dialect in CHAT else b"")
    else:
        kind, raw = "application/json", json.dumps(whole, ensure_ascii=False).encode()
    text = raw.decode()
    for id in IDS:
        text = text.replace(f'"{id}"', f'"{id}{number}"')
    for end, cut in ENDS.items() if is_cut(body) else ():
        text = text.replace(end, cut)
    return kind, text.encode()


@contextmanager
def answering(dialect: str) -> Iterator[str]:
    """The address of a server of this dialect, whose one thread ends with the `with`."""
    numbers = count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            path = self.path.partition("?")[0]
            kind, raw = reply(dialect, path, body, next(numbers))
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()  # HTTP/1.0: the connection ends with the answer
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is written to stderr."""

    server = HTTPServer(("127.0.0.1", 0), Handler)  # answers fit into what the system holds
    thread = threading.Thread(target=server.serve_forever, args=(0.002,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
