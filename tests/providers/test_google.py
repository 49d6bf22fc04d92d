"""Google: the classes over the SDK, asking a server that answers with recordings."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import google.auth.exceptions
import httpx
import pytest
from google import genai
from pydantic import SecretStr

from headrace.embeddings import Embeddings
from headrace.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConnectionTimeout,
    IncompleteStream,
    InputError,
    ModelError,
    ServerError,
    StreamError,
)
from headrace.language_models import init_chat_model
from headrace.merge import merge
from headrace.messages import HumanMessage
from headrace.providers import (
    ChatGoogleGenerativeAI,
    ChatVertexAI,
    GoogleGenerativeAIEmbeddings,
)
from headrace.providers._base.model import WHOLE
from headrace.providers._google.client import Frames
from laws.colours import Colour, every_colour
from providers.models import KEY, Credentials
from providers.replay import Server, replaying
from providers.replay_colours import run
from providers.replay_exchanges import Exchange, recording, recordings

TEXT = recording("gemini-generateContent.text")
STREAM = recording("gemini-streamGenerateContent.text_stream.gemini-2-0-flash")
VERTEX = recording("vertex-generateContent.json.")
VECTORS = recording("gemini-batchEmbedContents")
ENVIRONMENT = (
    "GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT_ID",
    "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_API_VERSION", "GOOGLE_GENAI_USE_VERTEXAI",
)  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def _gemini(server: Server, **settings: Any) -> ChatGoogleGenerativeAI:
    given = {"model": "gemini-x", "api_key": KEY, "base_url": server.url, "max_retries": 0}
    return ChatGoogleGenerativeAI(**{**given, **settings})


def _vertex(server: Server, **settings: Any) -> ChatVertexAI:
    given = {"model": "gemini-x", "base_url": server.url, "max_retries": 0}
    return ChatVertexAI(**{**given, **settings})


def _answering(exchange: Exchange, value: Any) -> Exchange:
    return replace(exchange, body=json.dumps(value).encode(), chunk_lengths=None)


def _streaming(*events: str) -> Exchange:
    return replace(STREAM, body="".join(events).encode(), chunk_lengths=None)


def _event(text: str, **more: Any) -> str:
    candidate = {"content": {"parts": [{"text": text}]}, **more}
    return f"data: {json.dumps({'candidates': [candidate]})}\r\n\r\n"


# ---- who asks, and where -------------------------------------------------------------------------


def test_the_gemini_api_takes_a_key() -> None:
    with replaying(TEXT) as server:
        model = _gemini(server, default_headers={"X-Team": "a"}, default_query={"b": "c d"})
        model.invoke("hi")
        model.close()
        (request,) = server.requests
    assert request.path == "/v1beta/models/gemini-x:generateContent"
    assert request.query == {"b": "c d"}
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["x-team"] == "a"
    assert "google-genai-sdk" in request.headers["user-agent"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("models/a", "models/a"), ("tunedModels/a", "tunedModels/a"), ("a", "models/a"),
    ],
)  # fmt: skip
def test_names_of_models(name: str, path: str) -> None:
    with replaying(TEXT) as server:
        model = _gemini(server, model=name, api_version="v1alpha")
        model.invoke("hi")
        model.close()
        assert server.requests[0].path == f"/v1alpha/{path}:generateContent"


@pytest.mark.parametrize("name", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
def test_the_key_may_be_in_the_environment(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "from-there")
    environment.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")  # the class says which API it is
    with replaying(TEXT) as server:
        model = _gemini(server, api_key=None)
        model.invoke("hi")
        model.close()
        assert server.requests[0].headers["x-goog-api-key"] == "from-there"
        assert server.requests[0].path.startswith("/v1beta/models/")


def test_without_a_key() -> None:
    with pytest.raises(AuthenticationError, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        ChatGoogleGenerativeAI(model="gemini-x").invoke("hi")


def test_a_key_may_be_a_function() -> None:
    with replaying(TEXT) as server:
        model = _gemini(server, api_key=lambda: "made")
        model.invoke("hi")
        model.close()
        assert server.requests[0].headers["x-goog-api-key"] == "made"


def test_vertex_ai_takes_credentials() -> None:
    with replaying(VERTEX) as server:
        model = _vertex(server, project="p", location="l", credentials=Credentials())
        model.invoke("hi")
        model.close()
        (request,) = server.requests
    place = "projects/p/locations/l/publishers/google/models/gemini-x"
    assert request.path == f"/v1beta1/{place}:generateContent"
    assert request.headers["authorization"] == "Bearer a-token"
    assert "x-goog-api-key" not in request.headers


def test_vertex_ai_looks_into_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GOOGLE_API_KEY", "not-this")
    environment.setenv("GOOGLE_CLOUD_PROJECT", "p")
    with replaying(VERTEX) as server:
        model = _vertex(server, credentials=Credentials(), model="meta/llama")
        model.invoke("hi")
        environment.setenv("GOOGLE_CLOUD_LOCATION", "l")
        model.invoke("hi")
        model.close()
        first, second = server.requests
    path = "/v1beta1/projects/p/locations/{}/publishers/meta/models/llama:generateContent"
    assert first.path == path.format("global")
    assert second.path == path.format("l")
    assert "x-goog-api-key" not in first.headers


@pytest.mark.parametrize("place", ["argument", "environment"])
def test_express_mode_takes_a_key(environment: pytest.MonkeyPatch, place: str) -> None:
    if place == "environment":
        environment.setenv("GOOGLE_API_KEY", KEY)
    else:
        environment.setenv("GOOGLE_CLOUD_PROJECT", "not-this")
    with replaying(VERTEX) as server:
        model = _vertex(server, api_key=KEY if place == "argument" else None)
        model.invoke("hi")
        model.close()
        (request,) = server.requests
    assert request.path == "/v1beta1/publishers/google/models/gemini-x:generateContent"
    assert request.headers["x-goog-api-key"] == KEY


def test_a_key_and_credentials_are_too_much() -> None:
    model = ChatVertexAI(model="gemini-x", api_key=SecretStr(KEY), credentials=Credentials())
    with pytest.raises(ConfigError, match="of which Google takes one"):
        model.invoke("hi")


def test_credentials_that_are_refused() -> None:
    class Refused(Credentials):
        token = None  # type: ignore[assignment]

        def refresh(self, request: Any) -> None:
            raise google.auth.exceptions.RefreshError("the grant is invalid")

    with replaying(VERTEX) as server:
        model = _vertex(server, project="p", credentials=Refused())
        with pytest.raises(AuthenticationError, match="the grant is invalid") as caught:
            model.invoke("hi")
        model.close()
        assert server.requests == []
    assert isinstance(caught.value.__cause__, google.auth.exceptions.RefreshError)


def test_secrets_do_not_show() -> None:
    model = ChatGoogleGenerativeAI(model="gemini-x", api_key=SecretStr(KEY))
    vertex = ChatVertexAI(model="gemini-x", project="p", credentials=Credentials())
    for shown in (repr(model), str(model.model_dump()), str(model._identifying_params)):
        assert KEY not in shown
    assert "Credentials" not in repr(vertex)
    assert pickle.loads(pickle.dumps(model)).model == "gemini-x"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("google_genai:gemini-x", ChatGoogleGenerativeAI),
        ("gemini-2.5-flash", ChatGoogleGenerativeAI),
        ("google_vertexai:gemini-x", ChatVertexAI),
    ],
)
def test_init_chat_model(name: str, kind: type) -> None:
    assert type(init_chat_model(name, temperature=0.5)) is kind


# ---- the SDK and its HTTP client -----------------------------------------------------------------


def test_the_sdk_has_what_is_called() -> None:
    """The layer below its models of answers is not documented: another version may lack it. Then
    see what `google.genai.models.Models._generate_content_stream` calls now, and call that in
    `GoogleProvider._prepared`, `_received` and `_areceived`, the only places that know of it."""
    api: Any = genai.Client(api_key="k")._api_client
    request = api._build_request("post", "models/m:generateContent", {"a": 1}, None)
    assert hasattr(request, "timeout")
    assert callable(api._request)
    assert callable(api._async_request)
    api.close()


@every_colour
def test_an_http_client_of_ones_own(colour: Colour) -> None:
    seen: list[str] = []

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return super().handle_request(request)

    class AsyncTransport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return await super().handle_async_request(request)

    with replaying(STREAM) as server, httpx.Client(transport=Transport()) as client:
        other = httpx.AsyncClient(transport=AsyncTransport())
        model = _gemini(server, http_client=client, http_async_client=other)

        def body(doors: Any) -> None:
            assert doors.stream(model, "hi")
            if doors.asynchronous:
                doors.wait(other.aclose())

        run(colour, model, body)
        assert not client.is_closed  # it is the user's
    assert seen == ["/v1beta/models/gemini-x:streamGenerateContent"]


@every_colour
def test_a_refused_request_is_sent_once(colour: Colour) -> None:
    with replaying(recording("gemini-generateContent.error-503")) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            for ask in (doors.invoke, doors.stream):
                with pytest.raises(ServerError):
                    ask(model, "hi")
            assert len(server.requests) == 2

        run(colour, model, body)


def test_the_sdk_asks_again_if_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    with replaying([recording("gemini-generateContent.error-503"), TEXT]) as server:
        model = _gemini(server, max_retries=1)
        assert model.invoke("hi").text
        model.close()
        assert len(server.requests) == 2
    assert len(waits) == 1


@every_colour
def test_the_timeout_is_for_each_piece(colour: Colour) -> None:
    with replaying(STREAM, end=("stall", 400)) as server:
        model = _gemini(server, timeout=0.2)

        def body(doors: Any) -> None:
            with pytest.raises(ConnectionTimeout, match=r"timeout=0\.2 seconds") as caught:
                doors.stream(model, "hi")
            assert caught.value.partial.text

        run(colour, model, body)
        assert server.wait_closed_early()
        assert "x-server-timeout" not in server.requests[0].headers


@every_colour
def test_leaving_a_stream_closes_its_response(colour: Colour) -> None:
    with replaying(STREAM, end=("stall", 700)) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            stream = doors.open(model, "hi")
            assert stream.next().text
            stream.close()
            assert server.wait_closed_early()

        run(colour, model, body)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream without end that knows whether it was closed; nothing but that closes it."""

    closed = False

    def __iter__(self) -> Any:
        return iter(lambda: _event("a").encode(), None)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        return _event("a").encode()

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


@every_colour
def test_leaving_a_stream_closes_it_by_name(colour: Colour) -> None:
    """Not only because nobody holds it any more."""
    body = _Body()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=body))
    model = ChatGoogleGenerativeAI(
        model="gemini-x",
        api_key=SecretStr(KEY),
        http_client=httpx.Client(transport=transport),
        http_async_client=httpx.AsyncClient(transport=transport),
    )

    def leaving(doors: Any) -> None:
        stream = doors.open(model, "hi")
        assert stream.next().text == "a"
        assert not body.closed
        stream.close()
        assert body.closed

    run(colour, model, leaving)


# ---- framing and errors in streams ---------------------------------------------------------------


@every_colour
def test_a_list_in_place_of_events_is_read_as_it_comes(colour: Colour) -> None:
    exchange = recording("vertex-streamGenerateContent.json_stream.gemini-2-0-flash")
    assert exchange.framing == "json_array"
    with replaying(exchange, cut=5, end=("short_events", 2)) as server:
        model = _vertex(server, project="p", credentials=Credentials())

        def body(doors: Any) -> None:
            with pytest.raises(IncompleteStream) as caught:
                doors.stream(model, "hi")
            assert caught.value.partial.text.startswith("{")
            server.play(exchange, cut=7)
            chunks = doors.stream(model, "hi")
            assert len(chunks) > 2
            assert json.loads("".join(chunk.text for chunk in chunks))["name"] == "Alice Smith"

        run(colour, model, body)


@every_colour
def test_a_whole_answer_in_place_of_a_stream(colour: Colour) -> None:
    with replaying(TEXT) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            text = "".join(chunk.text for chunk in doors.stream(model, "hi"))
            assert text == doors.invoke(model, "hi").text != ""

        run(colour, model, body)


@every_colour
def test_an_error_inside_the_stream(colour: Colour) -> None:
    told = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with replaying(_streaming(_event("Once"), f"data: {json.dumps(told)}\r\n\r\n")) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            with pytest.raises(StreamError, match="overloaded") as caught:
                doors.stream(model, "hi")
            error = caught.value
            assert (error.status, error.code, error.partial.text) == (503, "UNAVAILABLE", "Once")
            assert type(error.__cause__).__name__ == "ServerError"

        run(colour, model, body)


@every_colour
def test_an_error_behind_the_events_is_told_in_googles_words(colour: Colour) -> None:
    told = {"error": {"code": 500, "message": "An internal error.", "status": "INTERNAL"}}
    with replaying(_streaming(_event("Once"), json.dumps(told, indent=1))) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            with pytest.raises(StreamError, match="An internal error") as caught:
                doors.stream(model, "hi")
            assert (caught.value.status, caught.value.partial.text) == (500, "Once")

        run(colour, model, body)


@pytest.mark.parametrize(
    ("end", "version"), [("", "v1beta"), ("/", "v1beta"), ("/v1", "v1"), ("/v1beta/", "v1beta")]
)
def test_an_address_may_have_its_version(end: str, version: str) -> None:
    with replaying(TEXT) as server:
        model = ChatGoogleGenerativeAI(model="m", api_key=KEY, base_url=f"{server.url}/at{end}")
        model.invoke("hi")
        model.close()
        assert server.requests[-1].path == f"/at/{version}/models/m:generateContent"


def test_what_is_not_json() -> None:
    with replaying(_streaming(_event("Once"), "data: oops\r\n\r\n")) as server:
        model = _gemini(server)
        with pytest.raises(StreamError, match="not JSON") as caught:
            list(model.stream("hi"))
        assert caught.value.partial.text == "Once"
        server.play(replace(TEXT, body=b"oops"))
        with pytest.raises(ServerError, match="not JSON"):  # no stream was asked for
            model.invoke("hi")
        model.close()


def test_a_plain_text_refusal() -> None:
    refusal = replace(TEXT, status=413, headers={"content-type": "text/plain"}, body=b"Too large")
    with replaying(refusal) as server:
        model = _gemini(server)
        with pytest.raises(BadRequestError, match="Too large") as caught:
            model.invoke("hi")
        model.close()
    assert caught.value.status == 413


def _framed(text: bytes, size: int) -> list[Mapping[str, Any]]:
    frames, found = Frames(), []
    for start in range(0, len(text), size):
        found += frames.feed(text[start : start + size])
    return [*found, *frames.finish()]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('data: {"a": "ü"}\r\n\r\ndata: {"b": 2}\r\n\r\n', [{"a": "ü"}, {"b": 2}]),
        ('\r\n[{"a": "ü]"}\r\n,\r\n{"b": [2]}]', [{"a": "ü]"}, {"b": [2]}]),
        ('{\n "error": {"code": 500}\n}\n', [{WHOLE: {"error": {"code": 500}}}]),
        ('[{"a": 1}, {"b', [{"a": 1}]),
        ('{"a": ', []),
        ("data: [1]\n\n", [{"value": [1]}]),
        ('data: {"a": 1}\n\n{\n "error": {"code": 5}\n}\n', [{"a": 1}, {"error": {"code": 5}}]),
        ('data: {"a": 1}\r\n\r\n[{"error": 5}]', [{"a": 1}, {"error": 5}]),
        ('data: {"a": 1}\r\n\r\n{"error": ', [{"a": 1}]),
        ("", []),
    ],
)
def test_frames(text: str, values: list[Any], size: int) -> None:
    assert _framed(text.encode(), size) == values


# ---- several candidates, counting, structure -----------------------------------------------------


def test_generate_gives_all_candidates() -> None:
    candidates = [
        {"content": {"parts": [{"text": text}]}, "finishReason": "STOP", "index": at}
        for at, text in enumerate(["one", "two"])
    ]
    with replaying(_answering(TEXT, {"candidates": candidates})) as server:
        model = _gemini(server, n=2)
        result = model.generate([[HumanMessage("hi")]])
        model.close()
    assert [each.text for each in result.generations[0]] == ["one", "two"]


@pytest.mark.parametrize("kind", ["gemini", "vertex"])
def test_google_counts_the_tokens_of_a_conversation(kind: str) -> None:
    with replaying(_answering(TEXT, {"totalTokens": 7})) as server:
        vertex = _vertex(server, project="p", credentials=Credentials())
        model: Any = _gemini(server, temperature=0) if kind == "gemini" else vertex
        count = model.get_num_tokens_from_messages([("system", "s"), ("user", "hi")], [_search])
        model.close()
        (request,) = server.requests
    assert count == 7
    assert request.path.endswith("models/gemini-x:countTokens")
    body = request.body
    if kind == "gemini":
        body = body["generateContentRequest"]
        assert body.pop("model") == "models/gemini-x"
    assert set(body) == {"contents", "systemInstruction", "tools"}


def _search(query: str) -> str:
    """Find it."""
    return query


def test_counting_can_fail() -> None:
    with replaying(recording("gemini-generateContent.error-400")) as server:
        model = _gemini(server)
        with pytest.raises(AuthenticationError):
            model.get_num_tokens_from_messages([("user", "hi")])
        model.close()


@every_colour
def test_structured_output_grows(colour: Colour) -> None:
    exchange = recording("gemini-streamGenerateContent.json_stream.gemini-2-0-flash")
    schema = {"title": "Person", "type": "object", "properties": {"age": {"type": "integer"}}}
    with replaying(exchange) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            values = doors.stream(model.with_structured_output(schema), "who?")
            assert values[0] != values[-1]
            assert values[-1] == {
                "age": 30,
                "name": "Alice Smith",
                "occupation": "Software Engineer",
            }

        run(colour, model, body)


@every_colour
def test_citations_stand_with_their_text(colour: Colour) -> None:
    exchange = recording("text_stream.gemini-2-5-flash.f60463")
    with replaying(exchange) as server:
        model = _gemini(server)

        def body(doors: Any) -> None:
            searching = model.bind_tools([{"google_search": {}}])
            (block,) = merge(doors.stream(searching, "hi")).content
            assert len(block["annotations"]) >= 4
            for citation in block["annotations"]:
                assert block["text"][citation["start_index"] : citation["end_index"]].strip()
            assert server.requests[0].body["tools"] == [{"googleSearch": {}}]

        run(colour, model, body)


@every_colour
def test_a_signed_conversation_goes_on(colour: Colour) -> None:
    exchange = recording("tool_calls_stream.gemini-3-5-flash")
    with replaying(exchange) as server:
        model = _gemini(server, model="gemini-3.5-flash")

        def body(doors: Any) -> None:
            chunks = doors.stream(model, "hi")
            message: Any = merge(chunks)
            answers = [
                {"role": "tool", "content": "blue", "tool_call_id": call["id"]}
                for call in message.tool_calls
            ]
            doors.stream(model, ["hi", message, *answers])
            first = server.requests[-1].body["contents"]
            assert [content["role"] for content in first] == ["user", "model", "user"]
            assert len(first[2]["parts"]) == len(message.tool_calls) > 1
            sent = [part["thoughtSignature"] for part in first[1]["parts"] if len(part) > 1]
            kept = message.additional_kwargs["signatures"]
            assert set(kept.values()) <= set(sent)

        run(colour, model, body)


# ---- embeddings ----------------------------------------------------------------------------------


def _embeddings(server: Server, **settings: Any) -> GoogleGenerativeAIEmbeddings:
    given = {"model": "text-embedding-004", "api_key": KEY, "base_url": server.url}
    return GoogleGenerativeAIEmbeddings(**{**given, "max_retries": 0, **settings})


def _vectors(count: int) -> Exchange:
    return _answering(VECTORS, {"embeddings": [{"values": [1.0, n]} for n in range(count)]})


@every_colour
def test_embeddings(colour: Colour) -> None:
    with replaying(VECTORS) as server:
        model = _embeddings(server, output_dimensionality=768)
        assert isinstance(model, Embeddings)

        def body(doors: Any) -> None:
            if doors.asynchronous:
                vector = doors.wait(model.aembed_query("Hello, world!"))
                (again,) = doors.wait(model.aembed_documents(["Hello, world!"]))
            else:
                vector = model.embed_query("Hello, world!")
                (again,) = model.embed_documents(["Hello, world!"])
            assert vector == again == json.loads(VECTORS.body)["embeddings"][0]["values"]
            query, document = (request.body["requests"][0] for request in server.requests)
            assert server.requests[0].path == VECTORS.request["path"]
            assert query["taskType"] == "RETRIEVAL_QUERY"
            assert document["taskType"] == "RETRIEVAL_DOCUMENT"
            assert query["outputDimensionality"] == 768
            assert query["model"] == "models/text-embedding-004"
            assert query["content"] == {"parts": [{"text": "Hello, world!"}]}

        run(colour, model, body)


def test_embeddings_come_in_batches() -> None:
    with replaying([_vectors(2), _vectors(2), _vectors(1)]) as server:
        model = _embeddings(server, batch_size=2, task_type="CLUSTERING")
        assert len(model.embed_documents(list("abcde"))) == 5
        model.close()
        sizes = [len(request.body["requests"]) for request in server.requests]
        tasks = {request.body["requests"][0]["taskType"] for request in server.requests}
    assert sizes == [2, 2, 1]
    assert tasks == {"CLUSTERING"}
    assert (
        _embeddings(server, batch_size=1000)._batches([*map(str, range(150))])[0].__len__() == 100
    )


def test_embeddings_can_fail() -> None:
    with replaying(recording("gemini-generateContent.error-400")) as server:
        model = _embeddings(server)
        with pytest.raises(AuthenticationError):
            model.embed_query("x")
        with pytest.raises(InputError):
            model.embed_documents("x")  # type: ignore[arg-type]
        server.play(_vectors(3))
        with pytest.raises(ModelError, match="3 vectors for 1 texts"):
            model.embed_query("x")
        model.close()


def test_no_recording_is_left_out() -> None:
    """What the other files read by their kinds is all there is."""
    kinds = {exchange.kind for exchange in recordings("google")}
    assert kinds <= {
        "text", "tool_calls", "json", "reasoning", "empty", "error", "embeddings", "text_stream",
        "tool_calls_stream", "json_stream", "reasoning_stream",
    }  # fmt: skip
