"""What waits in a connection is broken off: the server sees the end, and nobody asks it again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest

from headrace.errors import Timeout
from headrace.events import RunCancelled, RunFailed
from headrace.providers import (
    ChatAnthropic,
    ChatCohere,
    ChatGoogleGenerativeAI,
    ChatGroq,
    ChatMistralAI,
    ChatOpenAI,
)
from headrace.providers._base.breaking import _Backend, _pools, break_off
from headrace.resilience import race
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import sync_colours
from laws.events import check_events
from laws.ledger import LEDGER, Recorder

CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n'
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Stalling:
    """A server that answers `says` and then nothing more, until its client goes."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.ends: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while b"}" not in (heard := connection.recv(65536)):  # until the body has come
                    if not heard:
                        return
                connection.sendall(self.says)
                self.ends.append("closed" if not connection.recv(1) else "more")
            except ConnectionError:
                self.ends.append("reset")

    def close(self) -> None:
        if self._listener.fileno() != -1:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a connection is still open"


@pytest.fixture(
    params=[b"", HEAD + b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK)], ids=["silent", "stalls"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Stalling]:
    made = Stalling(request.param)
    yield made
    made.close()


def asking(client: Any) -> Any:
    def ask(question: str) -> Iterator[str]:
        with LEDGER.body("ask"):
            said = [{"role": "user", "content": question}]
            with client.chat.completions.create(model="m", messages=said, stream=True) as events:
                for event in events:
                    yield event.choices[0].delta.content

    return RunnableLambda(ask)


@sync_colours
def test_a_stalled_answer_of_an_sdk_ends_at_once_and_is_not_asked_for_again(colour, server):
    def body(doors: Any) -> None:
        with closing(break_off(openai.OpenAI(api_key="x", base_url=server.url))) as client:
            seen = Recorder()
            timed = asking(client).with_timeout(first_chunk=30 if server.says else 0.3, idle=0.1)
            chunks = []
            with pytest.raises(Timeout) as caught:
                for chunk in timed.stream("hi", seen.config):
                    chunks.append(chunk)  # noqa: PERF402 - those before the error
            assert chunks == (["Hi"] if server.says else [])
            assert caught.value.which == ("idle" if server.says else "first_chunk")
            assert not hasattr(caught.value, "__notes__")  # that a thread did not come back
            check_events(seen.events)
            ends = [type(e) for e in seen.events if isinstance(e, (RunCancelled, RunFailed))]
            assert ends == [RunCancelled, RunFailed]

    colour.run(body)
    server.close()
    assert len(server.ends) <= 1
    assert server.ends or not server.says


@sync_colours
def test_a_loser_that_reads_is_shut(colour):
    server = Stalling(b"")

    def body(doors: Any) -> None:
        with closing(break_off(openai.OpenAI(api_key="x", base_url=server.url))) as client:
            quick = RunnableGenerator(lambda chunks: iter(["quick" for _ in chunks]))
            hedged = asking(client).with_hedge(quick, after=0.05)
            assert doors.stream(hedged, "hi") == ["quick"]
            assert doors.invoke(race(asking(client), quick), "hi") == "quick"

    try:
        colour.run(body)
    finally:
        server.close()


MODELS = [
    ChatAnthropic, ChatCohere, ChatGoogleGenerativeAI, ChatGroq, ChatMistralAI, ChatOpenAI,
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_the_connections_of_every_model_are_found(kind):
    model = kind(model="m", api_key="x")
    client = model._client()
    assert break_off(client) is client  # once more
    pools = list(_pools(client))
    assert pools
    for pool in pools:
        assert type(pool._network_backend) is _Backend
        assert type(pool._network_backend._backend) is not _Backend
    model.close()


def test_what_is_made_otherwise_is_left_as_it_is():
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    http = httpx.Client(transport=transport)
    with closing(break_off(openai.OpenAI(api_key="x", http_client=http))) as client:
        assert not list(_pools(client))
        assert http.get("http://x").status_code == 200
    assert break_off(None) is None
