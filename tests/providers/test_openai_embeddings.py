"""`OpenAIEmbeddings`: vectors as numbers and in base64, batches, errors."""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.errors import InputError, ModelError, PermissionDeniedError
from headrace.providers import OpenAIEmbeddings
from laws.colours import Colour, every_colour
from providers.replay import Exchange, recording, recordings, replaying
from providers.replay_colours import run

ANSWERS = recordings("openai", api="embeddings", kind="embeddings")
NUMBERS = recording("openai/embeddings.embeddings.text-embedding-3-small.2a25c2")
REFUSED = recording("openai/embeddings.error-403")


def _model(url: str, **settings: Any) -> OpenAIEmbeddings:
    given = {"base_url": f"{url}/v1", "api_key": "k", "max_retries": 0}
    return OpenAIEmbeddings(**{**given, **settings})


def _embedded(doors: Any, model: OpenAIEmbeddings, texts: list[str]) -> list[list[float]]:
    if doors.asynchronous:
        vectors: list[list[float]] = doors.wait(model.aembed_documents(texts))
        return vectors
    return model.embed_documents(texts)


def _numbers(vector: Any) -> list[float]:
    """The recorded vector, read in another way."""
    if isinstance(vector, list):
        return vector
    data = b64decode(vector)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


@every_colour
@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
def test_the_vectors_are_those_that_were_sent(exchange: Exchange, colour: Colour) -> None:
    recorded = [_numbers(each["embedding"]) for each in json.loads(exchange.body)["data"]]
    texts = [f"text {number}" for number in range(len(recorded))]
    with replaying(exchange) as server:
        model = _model(server.url, model=exchange.model)

        def body(doors: Any) -> None:
            assert _embedded(doors, model, texts) == recorded
            (request,) = server.requests
            assert request.body == {
                "model": exchange.model, "input": texts, "encoding_format": "base64"
            }  # fmt: skip

        run(colour, model, body)


def _answer(*vectors: tuple[int, list[float]]) -> Exchange:
    data = [
        {"index": index, "embedding": b64encode(struct.pack(f"<{len(v)}f", *v)).decode()}
        for index, v in vectors
    ]
    return replace(NUMBERS, body=json.dumps({"data": data}).encode())


def test_the_numbers_of_the_vectors_say_their_order() -> None:
    with replaying(_answer((1, [0.5]), (0, [0.25]))) as server:
        model = _model(server.url)
        assert model.embed_documents(["a", "b"]) == [[0.25], [0.5]]
        model.close()


@every_colour
def test_batches(colour: Colour) -> None:
    pair, one = _answer((0, [1.0]), (1, [2.0])), _answer((0, [3.0]))
    with replaying([pair, pair, one]) as server:
        model = _model(server.url, chunk_size=2, dimensions=1, user="me", max_concurrency=1)

        def body(doors: Any) -> None:
            vectors = _embedded(doors, model, ["a", "b", "c", "d", "e"])
            assert vectors == [[1.0], [2.0], [1.0], [2.0], [3.0]]
            assert [r.body["input"] for r in server.requests] == [["a", "b"], ["c", "d"], ["e"]]
            assert server.requests[0].body["dimensions"] == 1
            assert server.requests[0].body["user"] == "me"

        run(colour, model, body)


def test_nothing_to_embed_asks_nobody() -> None:
    with replaying(NUMBERS) as server:
        assert _model(server.url).embed_documents([]) == []
        assert server.requests == []


BAD: list[tuple[Any, str]] = [
    (["a", ""], "place 1 of this batch is empty"),
    (["a", 3], "reads texts; at place 1 is 3"),
    ("abc", "got the text 'abc'"),
]


@pytest.mark.parametrize(("texts", "said"), BAD, ids=str)
def test_what_is_no_text_to_embed(texts: Any, said: str) -> None:
    with replaying(NUMBERS) as server:
        with pytest.raises(InputError, match=said):
            _model(server.url).embed_documents(texts)
        assert server.requests == []


def test_too_few_vectors() -> None:
    with replaying(_answer((0, [1.0]))) as server:
        model = _model(server.url)
        with pytest.raises(ModelError, match="1 vectors for 2 texts"):
            model.embed_documents(["a", "b"])
        model.close()


@every_colour
def test_errors(colour: Colour) -> None:
    with replaying(REFUSED) as server:
        model = _model(server.url)

        def body(doors: Any) -> None:
            with pytest.raises(PermissionDeniedError, match="not allowed") as caught:
                _embedded(doors, model, ["a"])
            assert (caught.value.status, caught.value.provider) == (403, "openai")

        run(colour, model, body)


def test_settings() -> None:
    model = _model("http://x", openai_organization="org", encoding_format="float")
    assert model.model == "text-embedding-ada-002"
    assert model._request(["a"], query=False)["encoding_format"] == "float"
    assert model._connection(is_async=False)["organization"] == "org"
    assert "'k'" not in repr(model)
    assert _model("http://x", check_embedding_ctx_length=False).batch_size == 1000
    with pytest.raises(ValidationError, match="split your texts"):
        _model("http://x", check_embedding_ctx_length=True)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield
