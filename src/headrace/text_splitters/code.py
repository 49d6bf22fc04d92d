"""`RecursiveCharacterTextSplitter` for a language, under names of their own."""

from __future__ import annotations

from typing import Any

from .character import RecursiveCharacterTextSplitter
from .languages import Language, separators_of

__all__ = ["LatexTextSplitter", "MarkdownTextSplitter", "PythonCodeTextSplitter"]


class MarkdownTextSplitter(RecursiveCharacterTextSplitter):
    """Cuts Markdown at headings, else at the ends of code and at rules, then as other text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(separators_of(Language.MARKDOWN), is_separator_regex=True, **kwargs)


class PythonCodeTextSplitter(RecursiveCharacterTextSplitter):
    """Cuts Python at classes, else at functions, then as other text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(separators_of(Language.PYTHON), is_separator_regex=True, **kwargs)


class LatexTextSplitter(RecursiveCharacterTextSplitter):
    """Cuts LaTeX at chapters, sections and environments, then as other text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(separators_of(Language.LATEX), is_separator_regex=True, **kwargs)
