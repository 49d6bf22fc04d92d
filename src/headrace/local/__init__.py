"""The embedded model: llama.cpp in this process, with weights that `headrace pull` fetches.

`ChatLocal` is the model; `ensure_weights`, `find_weights` and `pull` say where its weights are and
fetch them. Importing this imports neither `xllamacpp` nor pydantic, and does not touch the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace._lazy import listed
from headrace.local.weights import cache_dir, ensure_weights, find_weights, pull

if TYPE_CHECKING:
    from headrace.local.chat import ChatLocal

__all__ = ["ChatLocal", "cache_dir", "ensure_weights", "find_weights", "pull"]


def __getattr__(name: str) -> Any:
    if name == "ChatLocal":
        from headrace.local.chat import ChatLocal

        return ChatLocal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return listed(globals(), __all__)
