"""A server on loopback that answers with recorded exchanges, whole or broken, over HTTP/1.1.

    with replaying(exchange, cut=7, end=("broken", 900)) as server:
        model = ChatOpenAI(base_url=f"{server.url}/v1", ...)

The answers to choose from: one exchange for every request; a list, answered in order, its last one
again and again; a dict from ends of paths to either. `cut` is of `replay_exchanges.pieces`; each
piece is one HTTP chunk, so that clients get the same pieces whatever TCP joins. `delay`: seconds
before each piece but the first. `end`, how an answer ends:

    "clean"             as recorded, with the closing chunk
    ("short", n)        properly closed after n bytes of the body
    ("short_events", k) properly closed after k whole events
    ("broken", n)       n bytes, then the connection is closed without the closing chunk
    ("reset", n)        n bytes, then the connection is reset
    ("stall", n)        n bytes, then nothing, until the client leaves or `server.release()`
    "hangup"            nothing, not even a head: the connection is closed
    "silence"           nothing, until the client leaves or `server.release()`

Plain answers have a content-length ("short": of the short body), streams the chunked coding.
Connections are closed after each answer, unless `keep_alive=True`. Every client has a thread here;
all end with the `with`. A failure of the server itself fails the `with`.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from providers.replay_exchanges import Cut, Exchange, event_ends, pieces, recording, recordings

__all__ = ["Exchange", "Request", "Server", "recording", "recordings", "replaying"]

End = Literal["clean", "hangup", "silence"] | tuple[str, int]
Answers = Exchange | Sequence[Exchange] | Mapping[str, "Exchange | Sequence[Exchange]"]
PATIENCE = 10.0  # seconds for anything that a test waits for
LINGER_NOT = struct.pack("ii", 1, 0)  # closing a socket then resets the connection


@dataclass
class Request:
    """What a client asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    raw: bytes
    body: Any = field(init=False)  # parsed JSON, None where there is none

    def __post_init__(self) -> None:
        self.body = json.loads(self.raw) if self.raw else None


class Gate:
    """Opened once; `select` sees it, so that a thread can wait for it and for a client."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()
        self._open = threading.Lock()

    def fileno(self) -> int:
        return self.read

    def open(self) -> None:
        if self._open.acquire(blocking=False):
            os.close(self._write)

    def close(self) -> None:
        self.open()
        os.close(self.read)


class _ClientLeft(Exception):
    """The client closed its connection before the answer had ended."""


class _Stopped(Exception):
    """The test is over."""


class Server:
    """What `replaying` gives: where it is, what was asked, and who left early."""

    def __init__(self, keep_alive: bool) -> None:
        self.requests: list[Request] = []
        self.closed_early = 0  # answers whose client left before their end
        self.connections = 0  # accepted so far
        self.answered = 0  # answers that were sent to their end, whatever that was
        self.failures: list[BaseException] = []  # of the server itself
        self._open = 0  # connections
        self._keep_alive = keep_alive
        self._changed = threading.Condition()
        self._stop, self._released = Gate(), Gate()
        self._gates = [self._stop, self._released]
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def play(
        self, answers: Answers, *, cut: Cut = "events", end: End = "clean", delay: float = 0.0
    ) -> None:
        """From now on answer with these, in this way. What was asked before is forgotten."""
        with self._changed:
            self._answers: dict[str, list[Exchange]] = _by_path(answers)
            self._cut: Cut = cut
            self._end: End = end
            self._delay = delay
            self.requests.clear()
            self.closed_early = self.answered = 0
            self._released = Gate()
            self._gates.append(self._released)

    def release(self) -> None:
        """Let the answers that stall, and those still to come, go on to their end."""
        self._released.open()

    def wait_closed_early(self, count: int = 1, timeout: float = PATIENCE) -> bool:
        """Whether so many clients have left early, waiting for them at most `timeout` seconds."""
        return self._wait(lambda: self.closed_early >= count, timeout)

    def wait_requests(self, count: int = 1, timeout: float = PATIENCE) -> bool:
        """Whether so many requests have come, waiting for them likewise."""
        return self._wait(lambda: len(self.requests) >= count, timeout)

    def wait_answered(self, count: int = 1, timeout: float = PATIENCE) -> bool:
        """Whether so many answers have been sent to their end, waiting likewise."""
        return self._wait(lambda: self.answered >= count, timeout)

    def wait_connections_closed(self, timeout: float = PATIENCE) -> bool:
        """Whether no client is connected any more, waiting likewise."""
        return self._wait(lambda: self._open == 0, timeout)

    def _wait(self, done: Any, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(done, timeout)

    # ---- threads: one that accepts, one per client ----

    def start(self) -> None:
        self._spawn(self._accept)

    def stop(self) -> None:
        self._stop.open()
        for thread in self._threads:  # grows while clients are still being accepted
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"the replaying server did not stop: {thread}"
        self._listener.close()
        for gate in self._gates:
            gate.close()

    def _spawn(self, work: Any, *args: Any) -> None:
        thread = threading.Thread(target=self._guarded, args=(work, *args), name="replay")
        self._threads.append(thread)
        thread.start()

    def _guarded(self, work: Any, *args: Any) -> None:
        try:
            work(*args)
        except _Stopped:
            return
        except BaseException as error:
            self.failures.append(error)

    def _accept(self) -> None:
        while True:
            self._readable(self._listener)
            client, _ = self._listener.accept()
            self.connections += 1
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        incoming = _Incoming(self, client)
        with client, self._counted():
            while (request := incoming.request()) is not None:
                if not self._answer(client, request):
                    return

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def _readable(self, thing: Any, *others: Any, timeout: float | None = None) -> list[Any]:
        ready, _, _ = select.select([self._stop, thing, *others], [], [], timeout)
        if self._stop in ready:
            raise _Stopped
        return ready

    # ---- one answer ----

    def _answer(self, client: socket.socket, request: Request) -> bool:
        """Whether the connection can be used again."""
        with self._changed:
            exchange = _chosen(self._answers, request.path)
            plan = _Plan(exchange, self._cut, self._end, self._delay, self._keep_alive)
            released = self._released
            self.requests.append(request)
            self._changed.notify_all()
        try:
            self._send(client, plan, released)
        except (_ClientLeft, ConnectionError):
            with self._changed:
                self.closed_early += 1
                self._changed.notify_all()
            return False
        with self._changed:
            self.answered += 1
            self._changed.notify_all()
        if plan.fate == "reset":
            self._delivered(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        return self._keep_alive and plan.fate == "clean"

    def _send(self, client: socket.socket, plan: _Plan, released: Gate) -> None:
        if plan.fate == "hangup":
            return
        head, *rest = plan.wire()
        if plan.fate == "silence":
            self._pause(client, None, released)
        if not plan.delay:
            head, rest = head + b"".join(rest), []
        self._push(client, head)
        for piece in rest:
            self._pause(client, plan.delay)
            self._push(client, piece)
        if plan.fate == "stall":
            self._pause(client, None, released)
        if plan.fate in ("stall", "silence"):
            self._push(client, plan.remainder())

    def _push(self, client: socket.socket, data: bytes) -> None:
        """Send it all, unless the client or the test goes first."""
        view = memoryview(data)
        client.setblocking(False)
        while view:
            with suppress(BlockingIOError):
                view = view[client.send(view) :]
                continue
            ready, _, _ = select.select([self._stop, client], [client], [])
            if self._stop in ready:
                raise _Stopped
            if client in ready:
                _check_there(client)

    def _delivered(self, client: socket.socket) -> None:
        """Wait until the client's system has it all: a reset throws away what is on its way."""
        while int.from_bytes(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
            self._pause(client, 0.001)

    def _pause(
        self, client: socket.socket, seconds: float | None, gate: Gate | None = None
    ) -> None:
        """Wait so long, or for the gate; a client that leaves meanwhile is noticed."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            others = (gate,) if gate else ()
            ready = self._readable(client, *others, timeout=left)
            if gate in ready:
                return
            if client in ready:
                _check_there(client)


def _check_there(client: socket.socket) -> None:
    """A client that says something while it is answered can only be leaving."""
    said = client.recv(1, socket.MSG_PEEK)
    if not said:
        raise _ClientLeft
    raise AssertionError("a client sent a request before the answer to its last one had ended")


class _Incoming:
    """Reads requests from one connection."""

    def __init__(self, server: Server, client: socket.socket) -> None:
        self._server, self._client, self._buffer = server, client, b""

    def request(self) -> Request | None:
        """The next one, or None when the client has gone."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        raw = self._body(headers)
        url = urlsplit(target)
        return Request(method, url.path, dict(parse_qsl(url.query)), headers, raw)

    def _body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return self._exactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int((self._until(b"\r\n") or b"0").split(b";")[0], 16):
            parts.append(self._exactly(size + 2)[:-2])
        self._until(b"\r\n")
        return b"".join(parts)

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            if not self._more():
                return None
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            assert self._more(), "the client left in the middle of its request"
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> bool:
        self._server._readable(self._client)
        try:
            data = self._client.recv(65536)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)


# ---- what is sent -------------------------------------------------------------------------------


@dataclass
class _Plan:
    """One answer as bytes: what is sent, and how it ends."""

    exchange: Exchange
    cut: Cut
    end: End
    delay: float
    keep_alive: bool

    @property
    def fate(self) -> str:
        return self.end if isinstance(self.end, str) else self.end[0]

    def body(self) -> bytes:
        """The part of the body that is sent."""
        whole = self.exchange.body
        match self.end:
            case "clean":
                return whole
            case "hangup" | "silence":
                return b""
            case ("short" | "broken" | "reset" | "stall", int(size)):
                return whole[:size]
            case ("short_events", int(count)):
                return whole[: ([0, *event_ends(self.exchange)])[count]]
        raise ValueError(f"unknown end {self.end!r}")

    @property
    def closed(self) -> bool:
        """Whether the answer is properly closed."""
        return self.fate in ("clean", "short", "short_events")

    def wire(self) -> list[bytes]:
        """The head with the first piece, the other pieces, each as it is sent."""
        sent = pieces(self.exchange, self.body(), self.cut)
        head = _head(self.exchange, self.keep_alive, len(self.body()) if self.closed else None)
        if self.exchange.is_stream:
            sent = [_chunk(piece) for piece in sent]
            if self.closed:
                sent.append(b"0\r\n\r\n")
        first, *rest = sent or [b""]
        return [head + first, *rest]

    def remainder(self) -> bytes:
        """What a stalled answer sends when it is released."""
        rest = self.exchange.body[len(self.body()) :]
        if not self.exchange.is_stream:
            return rest
        return (_chunk(rest) if rest else b"") + b"0\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _head(exchange: Exchange, keep_alive: bool, length: int | None) -> bytes:
    known = {status.value: status.phrase for status in HTTPStatus}
    lines = [f"HTTP/1.1 {exchange.status} {known.get(exchange.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in exchange.headers.items()]
    if exchange.is_stream:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {len(exchange.body) if length is None else length}")
    lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _by_path(answers: Answers) -> dict[str, list[Exchange]]:
    table = answers if isinstance(answers, Mapping) else {"": answers}
    return {
        path: [given] if isinstance(given, Exchange) else list(given)
        for path, given in table.items()
    }


def _chosen(answers: dict[str, list[Exchange]], path: str) -> Exchange:
    for end, queue in answers.items():
        if path.endswith(end):
            return queue.pop(0) if len(queue) > 1 else queue[0]
    raise AssertionError(f"nothing to answer {path!r} with; there is {sorted(answers)}")


@contextmanager
def replaying(
    answers: Answers,
    *,
    cut: Cut = "events",
    end: End = "clean",
    delay: float = 0.0,
    keep_alive: bool = False,
) -> Iterator[Server]:
    """A server that plays `answers`; see this file's contract."""
    server = Server(keep_alive)
    server.play(answers, cut=cut, end=end, delay=delay)
    server.start()
    try:
        with _no_certificates():
            yield server
    finally:
        server.stop()
    assert not server.failures, server.failures


@contextmanager
def _no_certificates() -> Iterator[None]:
    """Let HTTP clients that are made now find no certificates. Nothing here speaks TLS, and reading
    those of the system takes a client 20 ms, most of what a test takes."""
    before = {name: os.environ.pop(name, None) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
    try:
        yield
    finally:
        del os.environ["SSL_CERT_DIR"]
        os.environ.update({name: value for name, value in before.items() if value is not None})
