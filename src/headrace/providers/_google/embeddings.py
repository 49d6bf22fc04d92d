"""`GoogleGenerativeAIEmbeddings`: Gemini's embedding models.

Source: https://ai.google.dev/api/embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from .._base.embeddings import ProviderEmbeddings
from .._base.provider import Call, named
from .client import Client, GoogleProvider

__all__ = ["GoogleGenerativeAIEmbeddings"]

_NOT_THE_CLOUD: Final = "leave it out: the Gemini API is asked, with api_key=…, and not Vertex AI."


class GoogleGenerativeAIEmbeddings(GoogleProvider, ProviderEmbeddings):
    """Embeddings of Google's, by the Gemini API.

        GoogleGenerativeAIEmbeddings(model="gemini-embedding-001")       # GOOGLE_API_KEY

    Args:
        model: its name, as the provider knows it (also `model_name`).
        task_type: what the vectors are for, by Google's names, e.g. "SEMANTIC_SIMILARITY"; without
            it "RETRIEVAL_DOCUMENT" for documents and "RETRIEVAL_QUERY" for queries.
        dimensions: length of the vectors (also `output_dimensionality`).
        batch_size: texts in one request, at most 100.
        max_concurrency: requests at a time in async code.
        api_version: of the API.
        timeout: seconds to wait for the connection, and for the answer.
        max_retries: how often the SDK asks again; None: not at all, as it does by itself.
        api_key: a text, or a function that gives it; None: the environment variable's.
        base_url: address of the API, for proxies, gateways and servers of one's own.
        default_headers, default_query: sent with each request.
        http_client, http_async_client: the HTTP clients that the SDK is to use.
    """

    provider: ClassVar[str] = "google_genai"
    _most: ClassVar[int] = 100
    _advice: ClassVar[Mapping[str, str]] = {
        **ProviderEmbeddings._advice,
        **dict.fromkeys(("vertexai", "project", "location", "credentials"), _NOT_THE_CLOUD),
        "request_options": "give timeout=…, default_headers=….",
    }

    model: str = named("model", "model_name", default=...)
    task_type: str | None = None
    default_headers: Mapping[str, str] | None = named(
        "default_headers", "additional_headers", exclude=True, repr=False
    )
    dimensions: int | None = named("dimensions", "output_dimensionality", ge=1)

    def _request(self, texts: Sequence[str], *, query: bool) -> dict[str, Any]:
        task = self.task_type or ("RETRIEVAL_QUERY" if query else "RETRIEVAL_DOCUMENT")
        about: dict[str, Any] = {"model": self._full_name(self.model), "taskType": task}
        if self.dimensions is not None:
            about["outputDimensionality"] = self.dimensions
        asked = [{**about, "content": {"parts": [{"text": text}]}} for text in texts]
        return {"model": self.model, "body": {"requests": asked}}

    def _whole_answer(self, client: Client, call: Call) -> Mapping[str, Any]:
        return self._asked(client, call, "batchEmbedContents")

    async def _awhole_answer(self, client: Client, call: Call) -> Mapping[str, Any]:
        return await self._aasked(client, call, "batchEmbedContents")

    def _vectors(self, answer: Mapping[str, Any]) -> list[list[float]]:
        return [each.get("values") or [] for each in answer.get("embeddings") or ()]
