"""Text splitters: long texts cut into chunks that a model can embed or read.

`RecursiveCharacterTextSplitter` is the one to begin with. tiktoken, where it is asked for, is the
only thing here that is not in the standard library.
"""

from .base import TextSplitter
from .character import CharacterTextSplitter, RecursiveCharacterTextSplitter
from .code import LatexTextSplitter, MarkdownTextSplitter, PythonCodeTextSplitter
from .languages import Language
from .markdown import MarkdownHeaderTextSplitter
from .nested import RecursiveJsonSplitter
from .tokens import Tokenizer, TokenTextSplitter, split_text_on_tokens

__all__ = [
    "CharacterTextSplitter",
    "Language",
    "LatexTextSplitter",
    "MarkdownHeaderTextSplitter",
    "MarkdownTextSplitter",
    "PythonCodeTextSplitter",
    "RecursiveCharacterTextSplitter",
    "RecursiveJsonSplitter",
    "TextSplitter",
    "TokenTextSplitter",
    "Tokenizer",
    "split_text_on_tokens",
]
