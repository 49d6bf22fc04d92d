"""`tokenizer`: how OpenAI's models cut a text into tokens, where that is known without a network.

`tiktoken` knows, if it is installed and has the model's vocabulary: it fetches that when it is
first asked, and keeps it in `TIKTOKEN_CACHE_DIR`, else in a directory for temporary files. Counting
tokens must not wait for a download, nor fail without one, so only what is there already is used. To
have it there: `python -c 'import tiktoken; tiktoken.get_encoding("o200k_base")'`.

Where its files lie is a fact about `tiktoken.load.read_file_cached` (version 0.13).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from hashlib import sha1
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["MESSAGE_TOKENS", "tokenizer"]

MESSAGE_TOKENS: Final = 3
"""What stands around each message, and before the answer: how OpenAI counts its chat models'
prompts (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken)."""

_ADDRESS: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_NEW: Final = re.compile(r"^(ft:)?(gpt-[5-9]|gpt-4\.\d|gpt-4o|chatgpt-|o\d|codex)")
_FILES: Final = {"o200k_base": "o200k_base", "o200k_harmony": "o200k_base",
                 "cl100k_base": "cl100k_base"}  # fmt: skip


def tokenizer(model: str) -> Callable[[str], list[int]] | None:
    """From a text to token ids; None where the model or its vocabulary is not known here."""
    if find_spec("tiktoken") is None:
        return None
    tiktoken = import_module("tiktoken")
    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        if not _NEW.match(model):
            return None
        name = "o200k_base"
    if name not in _FILES or not _is_kept(_FILES[name]):
        return None
    encode: Callable[[str], list[int]] = tiktoken.get_encoding(name).encode_ordinary
    return encode


def _is_kept(vocabulary: str) -> bool:
    """Whether tiktoken has a vocabulary; where the directory is named "", it keeps none."""
    usual = os.path.join(tempfile.gettempdir(), "data-gym-cache")
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", usual))
    name = sha1(_ADDRESS.format(vocabulary).encode(), usedforsecurity=False).hexdigest()
    return bool(folder) and (Path(folder) / name).exists()
