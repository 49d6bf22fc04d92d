"""The boundary to `xllamacpp`: one llama.cpp server made, warmed and asked; its errors translated.

Everything that was found out about the library by trying it is written down here, each fact
beside the line it explains. Nothing else imports `xllamacpp`, and nothing does before first use.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.errors import (
    ContextLengthError,
    HeadraceError,
    InputError,
    MissingExtraError,
    ModelError,
    WeightsError,
)

__all__ = ["Answer", "Settings", "failure_of", "immortal", "library", "refusal", "start"]

Answer = Mapping[str, Any]
"""One parsed object of llama.cpp's OpenAI-style stream."""

_MAGIC = b"GGUF"
_SOCKET_PATH_LIMIT = 100  # bytes; the systems allow 104 to 108


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is loaded with; two requests with equal settings share one server.

    n_ctx: tokens of context that each request may use. n_parallel: requests served at once.
    n_threads: threads that compute. n_batch: prompt tokens evaluated between two looks at
    whether the request was given up; below 64, equal requests have equal answers (see `_params`).
    """

    path: str
    n_ctx: int
    n_parallel: int
    n_threads: int
    n_batch: int


def library() -> Any:
    """The module `xllamacpp`, imported at the first call.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("xllamacpp")
    except ImportError as error:
        raise MissingExtraError("xllamacpp", extra="local", purpose="ChatLocal") from error


def start(settings: Settings) -> Any:
    """Load the model; takes from a quarter of a second and holds the interpreter meanwhile.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        WeightsError: there is no such file, or llama.cpp cannot load it.
    """
    xllamacpp = library()
    _check_file(settings.path)
    # The server always listens. In a private folder, under a random key, and with the socket
    # unlinked at once, nobody can connect to it, and nothing is left on the disk.
    with tempfile.TemporaryDirectory(prefix="headrace-", dir=_short_folder()) as folder:
        params = _params(xllamacpp, settings, folder)
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise WeightsError(
                f"llama.cpp cannot load {settings.path!r}: the file is damaged or of a kind this "
                f"version does not know, or {settings.n_parallel} x {settings.n_ctx} tokens of "
                "context do not fit the memory. `headrace pull` fetches the default model."
            ) from error
    _stop_session_thread(xllamacpp)
    # A server that is destroyed before it served anything can hang: let it serve one token.
    server.handle_chat_completions({"messages": [{"role": "user", "content": ""}], "max_tokens": 1})
    return server


def refusal(error: Exception) -> HeadraceError:
    """What llama.cpp raised while it prepared a request: the request is at fault."""
    return InputError(f"llama.cpp refused the request: {error}")


def failure_of(answer: Answer) -> HeadraceError | None:
    """The error that an answer carries, as ours; None where it carries none."""
    error = answer.get("error")
    if error is None:
        return None
    kind, message = error.get("type"), error.get("message")
    if kind == "exceed_context_size_error":
        return ContextLengthError(error["n_prompt_tokens"], error["n_ctx"])
    if kind == "invalid_request_error":
        return InputError(f"llama.cpp refused the request: {message}")
    return ModelError(f"llama.cpp failed: {message} ({kind})")


def immortal(server: Any) -> None:
    """Never destroy this server, not even at exit: its threads did not survive a fork."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


# ---- inside -------------------------------------------------------------------------------------


def _check_file(path: str) -> None:
    """llama.cpp says the same of every file it cannot load; say what can be said before."""
    try:
        with Path(path).open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise WeightsError(
            f"The model file {path!r} cannot be read ({error.strerror}): give model_path the path "
            "of a GGUF file, or leave it out and run `headrace pull` for the default model."
        ) from error
    if magic != _MAGIC:
        raise WeightsError(
            f"{path!r} is not a GGUF file (it starts with {magic!r}): give model_path the path of "
            "a GGUF file, or leave it out and run `headrace pull` for the default model."
        )


def _params(xllamacpp: Any, settings: Settings, folder: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings.path
    params.model_alias = {Path(settings.path).stem}  # else the answers carry the whole path
    params.n_parallel = settings.n_parallel
    params.n_ctx = settings.n_ctx * settings.n_parallel  # llama.cpp divides it among the slots
    # Below 64 rows flash attention (which stays on) takes them one by one, from 64 on in tiles:
    # faster at depth (2,250 tokens: 12 s against 20), but rounding then depends on what is cached
    # and what else runs, and at a near tie rounding decides which token is drawn. Of 70 answers
    # compared (cold, warm, half cached, beside another; temperature 0 and 1.2) 0 differed with 32,
    # 6 with 64, 12 with 128; without flash attention 14.
    params.n_batch = params.n_ubatch = settings.n_batch
    # Threads spin while they wait for each other: more of them than idle cores is slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.n_threads
    params.cache_ram_mib = 0  # the default may grow to 8 GB; each slot still keeps its last prompt
    params.fit_params = False  # the size is ours to choose, and measuring costs 0.1 s
    params.prefill_assistant = False  # a conversation that ends with the model's turn is in order
    params.warmup = False  # `start` sends a real request
    params.verbosity = 0
    params.offline = True
    params.ui = False
    params.n_threads_http = 1
    params.api_keys = [secrets.token_urlsafe(32)]
    if os.name != "nt":  # there it listens on a random loopback port, behind the key
        params.hostnames = [os.path.join(folder, "x.sock")]
    return params


def _short_folder() -> str | None:
    """A folder for the socket where the usual one has too long a path for a socket's address."""
    usual = tempfile.gettempdir()
    too_long = len(os.fsencode(usual)) + len("/headrace-12345678/x.sock") > _SOCKET_PATH_LIMIT
    return "/tmp" if too_long and os.name != "nt" else None


def _stop_session_thread(xllamacpp: Any) -> None:
    """End the thread that keeps HTTP streams resumable, which we have none of.

    In a forked child it would be gone while its condition variable still counts it, and the
    child would hang when it exits. The library offers no other way to it than its symbol.
    """
    library = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    stop = getattr(library, "_Z34server_stream_session_manager_stopv", None)
    if stop is not None:
        stop.restype = None
        stop()
