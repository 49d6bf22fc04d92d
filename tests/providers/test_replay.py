"""The replaying server: what it sends is what was asked for, byte by byte, and nothing stays open.

Framing is judged with plain sockets and httpx, use by the official SDKs with those.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import anthropic
import cohere
import groq
import httpx
import openai
import pytest
from google import genai
from mistralai.client import Mistral

from providers.replay import Server, recording, recordings, replaying
from providers.replay_clients import base_url
from providers.replay_exchanges import Cut, event_ends, pieces

OPENAI = recording("openai/chat-completions.text_stream.gpt-4o-mini.744123")
PLAIN = recording("openai/chat-completions.error-401")
CUTS: list[Cut] = ["whole", "events", "recorded", 1, 7, ("random", 1), ("random", 2)]
KEY = "no-key"  # nobody checks it


def _raw(server: Server, body: bytes = b"{}") -> bytes:
    """Everything that the server sends until it closes the connection."""
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname, at.port)) as there:
        length = f"content-length: {len(body)}\r\n\r\n".encode()
        there.sendall(
            b"POST /v1/x?beta=true HTTP/1.1\r\nHost: here\r\nX-Some: One\r\n" + length + body
        )
        got = b""
        while data := there.recv(65536):
            got += data
    return got


def _unchunked(coded: bytes) -> tuple[list[bytes], bool]:
    """The chunks, and whether the closing one came."""
    found = []
    while coded:
        size, _, coded = coded.partition(b"\r\n")
        if not int(size, 16):
            return found, coded == b"\r\n"
        found.append(coded[: int(size, 16)])
        coded = coded[int(size, 16) + 2 :]
    return found, False


def test_all_recordings_are_here() -> None:
    assert len(recordings()) == 387
    assert len({exchange.name for exchange in recordings()}) == 387
    assert len(recordings("groq", kind="error_stream")) == 4
    assert {exchange.api for exchange in recordings("cohere")} == {"v2.chat", "v2.embed"}


def test_every_cut_joins_to_the_body() -> None:
    for exchange in recordings():
        for cut in CUTS:
            assert b"".join(pieces(exchange, exchange.body, cut)) == exchange.body, exchange
        if exchange.framing == "sse":
            events = pieces(exchange, exchange.body, "events")
            assert all(b"data:" in event for event in events), exchange
        assert len(event_ends(exchange.as_sse())) == len(event_ends(exchange))


def test_cuts_are_where_they_are_said_to_be() -> None:
    assert pieces(OPENAI, OPENAI.body, "whole") == [OPENAI.body]
    assert {len(piece) for piece in pieces(OPENAI, OPENAI.body, 7)[:-1]} == {7}
    assert all(piece.endswith(b"\n\n") for piece in pieces(OPENAI, OPENAI.body, "events"))
    kept = next(exchange for exchange in recordings() if exchange.chunk_lengths)
    sizes = tuple(len(piece) for piece in pieces(kept, kept.body, "recorded"))
    assert sizes == kept.chunk_lengths
    seeds = [tuple(map(len, pieces(OPENAI, OPENAI.body, ("random", seed)))) for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_a_stream_is_sent_chunk_by_chunk(cut: Cut) -> None:
    with replaying(OPENAI, cut=cut) as server:
        head, _, coded = _raw(server).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding: chunked" in head and b"content-length" not in head
    assert b"content-type: text/event-stream" in head
    assert _unchunked(coded) == (pieces(OPENAI, OPENAI.body, cut), True)


def test_a_plain_answer_has_its_length() -> None:
    with replaying(PLAIN) as server:
        head, _, body = _raw(server).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert f"content-length: {len(PLAIN.body)}".encode() in head
    assert body == PLAIN.body


def test_what_was_asked_is_written_down() -> None:
    with replaying(PLAIN) as server:
        _raw(server, b'{"model": "m"}')
        assert server.wait_answered()
    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/x", {"beta": "true"})
    assert request.headers["x-some"] == "One"
    assert request.body == {"model": "m"}


ENDS: list[tuple[Any, int, bool]] = [  # how it ends, how many bytes of OPENAI come, closed properly
    ("clean", len(OPENAI.body), True),
    (("short", 500), 500, True),
    (("short_events", 0), 0, True),
    (("short_events", 2), event_ends(OPENAI)[1], True),
    (("broken", 500), 500, False),
    (("broken", 0), 0, False),
]


@pytest.mark.parametrize(("end", "size", "proper"), ENDS, ids=str)
def test_a_stream_ends_as_it_was_told(end: Any, size: int, proper: bool) -> None:
    with replaying(OPENAI, end=end) as server:
        _, _, coded = _raw(server).partition(b"\r\n\r\n")
    chunks, closed = _unchunked(coded)
    assert (b"".join(chunks), closed) == (OPENAI.body[:size], proper)


def test_a_reset_comes_after_what_was_sent() -> None:
    with replaying(OPENAI, end=("reset", 500)) as server:
        got = b""
        with (
            httpx.Client() as client,
            client.stream("POST", server.url, json={}) as response,
            pytest.raises(httpx.ReadError),
        ):
            for data in response.iter_raw():
                got += data
    assert got == OPENAI.body[:500]


def test_a_plain_answer_that_breaks_off_is_shorter_than_its_length() -> None:
    with replaying(PLAIN, end=("broken", 20)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(server.url, json={})
        server.play(PLAIN, end=("short", 20))
        assert httpx.post(server.url, json={}).content == PLAIN.body[:20]


def test_a_stalled_answer_goes_on_when_it_is_released() -> None:
    with replaying(OPENAI, end=("stall", 500)) as server:
        with httpx.Client() as client, client.stream("POST", server.url, json={}) as response:
            incoming = response.iter_raw()
            got = b""
            while len(got) < 500:
                got += next(incoming)
            assert server.answered == 0
            server.release()
            got += b"".join(incoming)
        assert got == OPENAI.body
        assert server.wait_answered()
        assert server.closed_early == 0


def test_no_answer_at_all() -> None:
    with replaying(OPENAI, end="hangup") as server:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            httpx.post(server.url, json={})
        server.play(OPENAI, end="silence")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(server.url, json={}, timeout=0.05)
        assert server.wait_closed_early()
        server.play(PLAIN, end="silence")
        server.release()
        assert httpx.post(server.url, json={}).content == PLAIN.body


def test_a_client_that_leaves_is_noticed() -> None:
    for end, delay in ((("stall", 500), 0.0), ("clean", 30.0)):
        with replaying(OPENAI, end=end, delay=delay) as server:  # type: ignore[arg-type]
            with httpx.Client() as client, client.stream("POST", server.url, json={}) as response:
                next(response.iter_raw())
            assert server.wait_closed_early()
            assert (server.closed_early, server.answered) == (1, 0)


def test_nobody_left_is_told_after_the_time() -> None:
    with replaying(PLAIN) as server:
        httpx.post(server.url, json={})
        assert not server.wait_closed_early(timeout=0.01)


def test_several_answers() -> None:
    with replaying([PLAIN, OPENAI]) as server:
        codes = [httpx.post(server.url, json={}).status_code for _ in range(3)]
        assert codes == [401, 200, 200]
        server.play({"/a": PLAIN, "/b": OPENAI})
        codes = [httpx.post(server.url + path, json={}).status_code for path in ("/b", "/x/a")]
        assert codes == [200, 401]


def test_a_path_without_answer_fails_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="nothing to answer '/c' with"),
        replaying({"/a": PLAIN}) as server,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        httpx.post(server.url + "/c", json={})


def test_a_connection_is_kept_where_that_was_asked() -> None:
    for keep, connections in ((True, 1), (False, 3)):
        with replaying(OPENAI, keep_alive=keep) as server, httpx.Client() as client:
            for _ in range(3):
                assert client.post(server.url, json={}).content == OPENAI.body
            assert server.connections == connections


def test_many_clients_at_once() -> None:
    got: list[bytes] = []
    with replaying(OPENAI, cut=7, delay=0.0001) as server:
        post = lambda: got.append(httpx.post(server.url, json={}).content)  # noqa: E731
        threads = [threading.Thread(target=post) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == [OPENAI.body] * 8


# ---- the official SDKs --------------------------------------------------------------------------

MESSAGES: Any = [{"role": "user", "content": "?"}]


def _openai(url: str) -> int:
    with openai.OpenAI(base_url=base_url("openai", url), api_key=KEY) as client:
        return len(list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True)))


def _groq(url: str) -> int:
    with groq.Groq(base_url=base_url("groq", url), api_key=KEY) as client:
        return len(list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True)))


def _anthropic(url: str) -> int:
    with anthropic.Anthropic(base_url=base_url("anthropic", url), api_key=KEY) as client:
        events = client.messages.create(model="m", messages=MESSAGES, max_tokens=9, stream=True)
        return len(list(events))


def _mistral(url: str) -> int:
    with Mistral(server_url=base_url("mistral", url), api_key=KEY) as client:
        return len(list(client.chat.stream(model="m", messages=MESSAGES)))


def _cohere(url: str) -> int:
    with httpx.Client() as http:
        client = cohere.ClientV2(
            base_url=base_url("cohere", url), api_key=KEY, httpx_client=http, client_name=""
        )
        return len(list(client.chat_stream(model="m", messages=MESSAGES)))


def _google(url: str) -> int:
    options = genai.types.HttpOptions(base_url=base_url("google", url))
    with genai.Client(api_key=KEY, http_options=options) as client:
        return len(list(client.models.generate_content_stream(model="m", contents="?")))


CLIENTS: dict[str, Callable[[str], int]] = {
    "openai": _openai,
    "groq": _groq,
    "anthropic": _anthropic,
    "mistral": _mistral,
    "cohere": _cohere,
    "google": _google,
}


@pytest.mark.parametrize("provider", CLIENTS)
def test_the_sdks_read_every_way_of_cutting(provider: str) -> None:
    stream = next(e for e in recordings(provider) if e.is_stream and e.kind == "text_stream")
    with replaying(stream) as server:
        found = set()
        for cut in CUTS:
            server.play(stream, cut=cut)
            found.add(CLIENTS[provider](server.url))
            assert server.requests[0].method == "POST"
    unseen = stream.body.count(b"[DONE]") + stream.body.count(b"event: ping")
    assert found == {len(event_ends(stream)) - unseen}


def test_an_array_in_the_framing_of_events_has_the_same_elements() -> None:
    for stream in recordings("google"):
        if stream.framing == "json_array" and "enums_as_integers" not in stream.features:
            events = pieces(stream.as_sse(), stream.as_sse().body, "events")
            assert [json.loads(e.removeprefix(b"data:")) for e in events] == json.loads(stream.body)
            with replaying(stream.as_sse()) as server:
                assert _google(server.url) == len(events)


async def test_async_clients() -> None:
    with replaying(OPENAI, cut=7, delay=0.0001) as server:
        async with httpx.AsyncClient() as client:
            answers = await asyncio.gather(
                *(client.post(server.url, json={"n": n}) for n in range(4))
            )
    assert [answer.content for answer in answers] == [OPENAI.body] * 4
    assert sorted(request.body["n"] for request in server.requests) == [0, 1, 2, 3]
