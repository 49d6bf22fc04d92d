"""`ChatOpenAI` against a real server of its protocol: llama.cpp's, with the embedded model, on
loopback. What it says is small talk; how it comes is what counts.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.errors import AuthenticationError, ContextLengthError
from headrace.local.server import library
from headrace.local.weights import ensure_weights
from headrace.merge import merge
from headrace.providers import ChatOpenAI
from headrace.testing import ChatModelConformance
from laws.colours import Colour, every_colour
from providers.replay_colours import run

pytestmark = pytest.mark.slow
KEY = "a-key"
MADE: list[ChatOpenAI] = []  # models of the test that runs
STORY = "Tell me a very long story about a river, a mill and its wheel."


class Server:
    """A llama.cpp server that listens on a port of its own choice."""

    def __init__(self, *, embeds: bool = False) -> None:
        xllamacpp = library()
        params = xllamacpp.CommonParams()
        params.model.path = str(ensure_weights())
        params.model_alias = {"smollm2"}
        params.n_parallel, params.n_ctx = 2, 2 * 2048
        params.n_batch = params.n_ubatch = 512 if embeds else 32
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_ram_mib, params.verbosity = 0, 0
        params.n_threads_http = 64  # each connection has one while it is open
        params.fit_params = params.warmup = params.ui = False
        params.offline = params.endpoint_metrics = True
        params.api_keys = [KEY]
        params.port = 0
        if embeds:
            params.embedding = True
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        self._server = xllamacpp.Server(params)
        self.url = f"{self._server.listening_address}/v1"

    def tokens_written(self) -> int:
        """Tokens of all answers so far."""
        request = urllib.request.Request(
            f"{self._server.listening_address}/metrics", headers={"Authorization": f"Bearer {KEY}"}
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
        found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", text, re.MULTILINE)
        assert found, text
        return int(found[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    ask(server).invoke("Hello.")  # one that never answered can hang when it goes
    yield server


def ask(server: Server, **settings: Any) -> ChatOpenAI:
    usual: dict[str, Any] = {"max_tokens": 12, "temperature": 0, "seed": 1, "max_retries": 0}
    usual["default_headers"] = {"Connection": "close"}  # the server may shut one that was kept
    usual |= {"model": "smollm2", "base_url": server.url, "api_key": KEY, **settings}
    MADE.append(ChatOpenAI(**usual))
    return MADE[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """No connection of a test's is left open: each would keep a thread of the server's."""
    yield
    while MADE:
        MADE.pop().close()


class TestConformance(ChatModelConformance):
    """Tools are described to the model and not enforced, so that this small one may call none."""

    calls_tools = False
    structured_methods = ("json_schema",)
    secret = KEY
    server: Server
    longest: int

    @pytest.fixture(autouse=True)
    def _with(self, server: Server, request: pytest.FixtureRequest) -> None:
        type(self).server = server
        filled = request.node.name in ("test_answers_with_a_schema", "test_the_raw_answer_too")
        type(self).longest = 60 if filled else 10  # tokens of an answer; a schema is to be whole

    def make_model(self, **settings: Any) -> ChatOpenAI:
        return ask(self.server, **{"max_tokens": self.longest, **settings})


@every_colour
def test_streams_and_answers_agree(server: Server, colour: Colour) -> None:
    model = ask(server)

    def body(doors: Any) -> None:
        chunks = doors.stream(model, "What color is the sky?")
        whole = doors.invoke(model, "What color is the sky?")
        assert len(chunks) > 3
        assert merge(chunks).text == whole.text
        usage = merge(chunks).usage_metadata
        assert usage["output_tokens"] == whole.usage_metadata["output_tokens"] > 3

    run(colour, model, body)


@every_colour
def test_leaving_a_stream_stops_the_server(server: Server, colour: Colour) -> None:
    model = ask(server, max_tokens=1500)

    def body(doors: Any) -> None:
        before = server.tokens_written()
        stream = doors.open(model, STORY)
        assert stream.next().text
        stream.close()
        ask(server, max_tokens=1).invoke("Hello.")  # behind it, if it still went on
        assert server.tokens_written() - before < 150

    run(colour, model, body)


def test_a_schema_is_kept(server: Server) -> None:
    schema = {
        "title": "Answer",
        "type": "object",
        "properties": {"yes": {"type": "boolean"}, "why": {"enum": ["sure", "likely"]}},
        "required": ["yes", "why"],
        "additionalProperties": False,
    }
    model = ask(server, max_tokens=40).with_structured_output(schema, method="json_schema")
    values = list(model.stream("Is the sky blue?"))
    assert values[-1]["why"] in ("sure", "likely") and isinstance(values[-1]["yes"], bool)


def test_errors(server: Server) -> None:
    with pytest.raises(AuthenticationError) as refused:
        ChatOpenAI(model="smollm2", base_url=server.url, api_key="wrong", max_retries=0).invoke("?")
    assert refused.value.status == 401
    with pytest.raises(ContextLengthError) as too_long:
        ask(server).invoke("hi " * 3000)
    assert too_long.value.context_tokens == 2048
    assert (too_long.value.prompt_tokens or 0) > 3000


def test_embeddings() -> None:
    from headrace.providers import OpenAIEmbeddings

    server = Server(embeds=True)
    model = OpenAIEmbeddings(model="smollm2", base_url=server.url, api_key=KEY, max_retries=0)
    texts = ["The sky is blue.", "A mill has a wheel."]
    first, second = model.embed_documents(texts)
    assert len(first) == len(second) == len(model.embed_query("What color is the sky?")) == 576
    assert first != second
    assert model.embed_documents(texts[:1])[0] == pytest.approx(first, abs=1e-3)
