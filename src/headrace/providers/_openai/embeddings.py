"""`OpenAIEmbeddings`: OpenAI's embedding models, and those of servers that speak its protocol.

Source: https://platform.openai.com/docs/api-reference/embeddings. Vectors are asked for in base64,
which is a quarter of their length as numbers; servers that give numbers all the same are read too.
"""

from __future__ import annotations

from array import array
from base64 import b64decode
from collections.abc import Mapping, Sequence
from sys import byteorder
from typing import Any, ClassVar, Literal

from pydantic import Field

from headrace.errors import ConfigError, InputError

from .._base.embeddings import ProviderEmbeddings
from .._base.provider import Call, Key, named
from .._base.stainless import Stainless

__all__ = ["OpenAIEmbeddings"]


class OpenAIEmbeddings(Stainless, ProviderEmbeddings):
    """An embedding model of OpenAI's.

        OpenAIEmbeddings(model="text-embedding-3-small", dimensions=512)     # OPENAI_API_KEY

    A text that is longer than the model reads is an error (`ContextLengthError`): it is not cut,
    and its pieces are not averaged. Split it first, which retrieval wants anyway.

    Args:
        model: its name, as the provider knows it (also `model_name`).
        dimensions: length of the vectors, where the model has a choice.
        batch_size: texts in one request.
        max_concurrency: requests at a time in async code.
        encoding_format: "base64", or "float" for servers that know no other.
        check_embedding_ctx_length: False or None, see above.
        organization, project, user: whose account is charged, and who asks.
        model_kwargs: more of the request's parameters.
        timeout: seconds to wait for the connection, and for the answer.
        max_retries: how often the SDK asks again; None: as it does by itself (two times).
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
    """

    provider: ClassVar[str] = "openai"
    _sdk: ClassVar[tuple[str, str]] = ("openai", "openai")
    _asks_for_key: ClassVar[bool] = True
    _key_names: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    _url_names: ClassVar[tuple[str, ...]] = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
    _most: ClassVar[int] = 2048

    model: str = named("model", "model_name", default="text-embedding-ada-002")
    api_key: Key = named("api_key", "openai_api_key", exclude=True)
    base_url: str | None = named("base_url", "openai_api_base")
    batch_size: int | None = named("batch_size", "chunk_size", default=1000, ge=1, le=2048)
    organization: str | None = named("organization", "openai_organization")
    project: str | None = None
    user: str | None = None
    encoding_format: Literal["base64", "float"] = "base64"
    check_embedding_ctx_length: bool | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """What LangChain's class would do to long texts is not done here, and nobody is to think
        that it is."""
        super().model_post_init(context)
        if self.check_embedding_ctx_length:
            raise ConfigError(
                "OpenAIEmbeddings has no check_embedding_ctx_length=True: a text that is too long "
                "is an error (ContextLengthError), not cut and averaged. Leave it out, and split "
                "your texts."
            )

    def _request(self, texts: Sequence[str], *, query: bool) -> dict[str, Any]:
        for place, text in enumerate(texts):
            if not text:
                raise InputError(
                    f"OpenAI refuses to embed an empty text; the one at place {place} of this "
                    "batch is empty: leave it out."
                )
        settings = {"dimensions": self.dimensions, "user": self.user, **self.model_kwargs}
        given = {name: value for name, value in settings.items() if value is not None}
        form = {"encoding_format": self.encoding_format}
        return {"model": self.model, "input": [*texts], **form, **given}

    def _vectors(self, answer: Mapping[str, Any]) -> list[list[float]]:
        found = sorted(answer["data"], key=lambda each: each.get("index") or 0)
        return [_numbers(each["embedding"]) for each in found]

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        settings = super()._connection(is_async=is_async)
        more = {"organization": self.organization, "project": self.project}
        return {**settings, **{name: value for name, value in more.items() if value is not None}}

    def _resource(self, client: Any, call: Call) -> Any:
        return client.embeddings

    def _client_classes(self) -> tuple[Any, Any]:
        openai = self._sdk_module()
        return openai.OpenAI, openai.AsyncOpenAI


def _numbers(vector: Any) -> list[float]:
    """A vector as numbers; as base64 it is 32-bit floats, the lowest byte first."""
    if not isinstance(vector, str):
        return [float(number) for number in vector]
    numbers = array("f", b64decode(vector))
    if byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
