"""Standing in for the embedding model and the chat model: quick, and with known answers.

`Words` gives texts with the same words near vectors. In another process, `install` puts both into
place; `FAILING`, `SLOW` and `KILLED` are code for `Command.start(before=…)`.
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import ClassVar

from headrace.embeddings import Embeddings

HERE = Path(__file__).parent
INSTALLED = f"import sys; sys.path.insert(0, {str(HERE)!r}); import words; words.install()\n"


class Words(Embeddings):
    """A number for each of 512 kinds of words: how often it stands in the text."""

    model = "words"
    embedded: ClassVar[list[str]] = []  # texts, in the order in which they came

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.embedded.extend(texts)
        return [_vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return _vector(text)


def _vector(text: str) -> list[float]:
    counts = [0.0] * 512
    for word in re.findall(r"\w+", text.lower()):
        counts[zlib.crc32(word.encode()) % 512] += 1.0
    length = math.sqrt(sum(count * count for count in counts)) or 1.0
    return [count / length for count in counts]


def install() -> None:
    """Have the command use these."""
    import headrace.cli.asking as asking
    import headrace.cli.library as library
    from headrace.language_models import FakeListChatModel

    library.LocalEmbeddings = Words
    asking.init_chat_model = lambda name, **options: FakeListChatModel(responses=["Yes, it does."])
