"""What a streamed chunk of a provider costs: `ChatOpenAI` and `ChatAnthropic` beside the bare SDK's
own loop and LangChain's classes, over HTTP from a server on loopback.

    python -m benchmarks.providers                  seven rounds, about two minutes
    python -m benchmarks.providers --rounds 3 --chunks 2000

Every contender reads the same answer: so many text deltas of four characters, each an HTTP chunk of
its own, all sent at once, so that nobody waits for the network. The server is a process of its own.
Times are those of this process' processor, the best round of each contender, contenders in turn;
what is opened and closed around the stream (a request, a response) is in them, spread over the
chunks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import process_time
from typing import Any

WORDS = "word"
QUESTION = [{"role": "user", "content": "Say so many words."}]
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6"}
KEY = "no-key"


# ---- the answers ---------------------------------------------------------------------------------


def openai_events(chunks: int) -> Iterator[str]:
    """The stream of a chat completion."""
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini",
    }

    def event(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    yield event({"role": "assistant", "content": ""})
    yield from (event({"content": WORDS}) for _ in range(chunks))
    yield event({}, "stop")
    usage = {"prompt_tokens": 9, "completion_tokens": chunks, "total_tokens": chunks + 9}
    yield f"data: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def anthropic_events(chunks: int) -> Iterator[str]:
    """The stream of a message."""
    usage = {"input_tokens": 9, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODELS["anthropic"],
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": WORDS}
    yield _event("message_start", message=message)
    yield _event("content_block_start", index=0, content_block=block)
    yield from (_event("content_block_delta", index=0, delta=delta) for _ in range(chunks))
    yield _event("content_block_stop", index=0)
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _event("message_delta", delta=end, usage={"output_tokens": chunks})
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def serve(chunks: int) -> None:
    """Answer every request, until the parent process ends this one; its first line is the port."""
    bodies = {
        "/v1/chat/completions": _chunked(openai_events(chunks)),
        "/v1/messages": _chunked(anthropic_events(chunks)),
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(bodies[self.path.partition("?")[0]])

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def _chunked(events: Iterator[str]) -> bytes:
    data = (event.encode() for event in events)
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in data) + b"0\r\n\r\n"


@contextmanager
def server(chunks: int) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--serve", "--chunks", str(chunks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


# ---- the contenders ------------------------------------------------------------------------------

Sync = Callable[[], Iterator[Any]]
Async = Callable[[], AsyncIterator[Any]]
Pair = tuple[Sync, Async]


def openai_sdk(url: str) -> Pair:
    from openai import AsyncOpenAI, OpenAI

    settings: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": KEY}
    client, aclient = OpenAI(**settings), AsyncOpenAI(**settings)
    asked: dict[str, Any] = {"model": MODELS["openai"], "messages": QUESTION, "stream": True}

    def stream() -> Iterator[Any]:
        for chunk in client.chat.completions.create(**asked):
            yield chunk.choices and chunk.choices[0].delta.content

    async def astream() -> AsyncIterator[Any]:
        async for chunk in await aclient.chat.completions.create(**asked):
            yield chunk.choices and chunk.choices[0].delta.content

    return stream, astream


def anthropic_sdk(url: str) -> Pair:
    from anthropic import Anthropic, AsyncAnthropic

    client, aclient = (
        Anthropic(base_url=url, api_key=KEY),
        AsyncAnthropic(base_url=url, api_key=KEY),
    )
    asked: dict[str, Any] = {
        "model": MODELS["anthropic"], "messages": QUESTION, "max_tokens": 9999, "stream": True,
    }  # fmt: skip

    def stream() -> Iterator[Any]:
        for event in client.messages.create(**asked):
            if event.type == "content_block_delta":
                yield event.delta.text

    async def astream() -> AsyncIterator[Any]:
        async for event in await aclient.messages.create(**asked):
            if event.type == "content_block_delta":
                yield event.delta.text

    return stream, astream


def _of_model(model: Any) -> Pair:
    question = QUESTION[0]["content"]
    return (lambda: model.stream(question)), (lambda: model.astream(question))


def headrace_openai(url: str) -> Pair:
    from headrace.providers import ChatOpenAI

    settings: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": KEY}
    return _of_model(ChatOpenAI(model=MODELS["openai"], **settings))


def headrace_anthropic(url: str) -> Pair:
    from headrace.providers import ChatAnthropic

    settings: dict[str, Any] = {"base_url": url, "api_key": KEY}
    return _of_model(ChatAnthropic(model=MODELS["anthropic"], **settings))


def langchain_openai(url: str) -> Pair:
    from langchain_openai import ChatOpenAI

    settings: dict[str, Any] = {"base_url": f"{url}/v1", "api_key": KEY, "stream_usage": True}
    return _of_model(ChatOpenAI(model=MODELS["openai"], **settings))


def langchain_anthropic(url: str) -> Pair:
    from langchain_anthropic import ChatAnthropic

    settings: dict[str, Any] = {"base_url": url, "api_key": KEY, "max_tokens": 9999}
    return _of_model(ChatAnthropic(**{"model": MODELS["anthropic"], **settings}))


CONTENDERS: dict[str, dict[str, Callable[[str], Pair]]] = {
    "openai": {
        "sdk": openai_sdk, "headrace": headrace_openai, "langchain": langchain_openai,
    },
    "anthropic": {
        "sdk": anthropic_sdk, "headrace": headrace_anthropic, "langchain": langchain_anthropic,
    },
}  # fmt: skip


# ---- the clock -----------------------------------------------------------------------------------


def measure(url: str, rounds: int, chunks: int) -> dict[tuple[str, str, str], float]:
    """Microseconds a chunk, by provider, colour and contender."""
    made = {(p, c): make(url) for p, made in CONTENDERS.items() for c, make in made.items()}
    taken: dict[tuple[str, str, str], list[float]] = {}
    with asyncio.Runner() as runner:
        for turn in range(rounds + 1):  # the first one opens connections and imports
            for (provider, contender), (stream, astream) in made.items():
                sync = _timed(lambda: sum(1 for _ in stream()), chunks)  # noqa: B023
                alone = _timed(lambda: runner.run(_count(astream)), chunks)  # noqa: B023
                if turn:
                    taken.setdefault((provider, "sync", contender), []).append(sync)
                    taken.setdefault((provider, "async", contender), []).append(alone)
    return {key: min(times) / chunks * 1e6 for key, times in taken.items()}


async def _count(stream: Async) -> int:
    return sum([1 async for _ in stream()])


def _timed(count: Callable[[], int], chunks: int) -> float:
    gc.collect()
    began = process_time()
    found = count()
    spent = process_time() - began
    assert found >= chunks, f"a stream of {chunks} chunks gave {found}"
    return spent


def report(found: dict[tuple[str, str, str], float]) -> str:
    """A table: microseconds a chunk, and how many times the bare SDK's."""
    lines = [f"{'µs a chunk':<18}{'sdk':>8}{'headrace':>16}{'langchain':>16}"]
    for provider, contenders in CONTENDERS.items():
        for colour in ("sync", "async"):
            bare = found[provider, colour, "sdk"]
            line = f"{provider + ' ' + colour:<18}{bare:>8.1f}"
            for contender in list(contenders)[1:]:
                times = found[provider, colour, contender]
                line += f"{times:>8.1f} ({times / bare:4.2f})"
            lines.append(line)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.providers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chunks", type=int, default=5000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.chunks)
        return
    with server(options.chunks) as url:
        print(report(measure(url, options.rounds, options.chunks)))


if __name__ == "__main__":
    main()
