r"""Where to cut source code and markup: for each `Language`, regular expressions, coarsest first.

Sets of separators follow LangChain's, so that the chunks are the same. Most are words that begin a
line of their language, written here as one string of words.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from headrace.errors import ConfigError

__all__ = ["Language", "separators_of"]


class Language(str, Enum):  # noqa: UP042  # StrEnum shows itself otherwise than users expect
    """A programming or markup language."""

    CPP = "cpp"
    GO = "go"
    JAVA = "java"
    KOTLIN = "kotlin"
    JS = "js"
    TS = "ts"
    PHP = "php"
    PROTO = "proto"
    PYTHON = "python"
    R = "r"
    RST = "rst"
    RUBY = "ruby"
    RUST = "rust"
    SCALA = "scala"
    SWIFT = "swift"
    MARKDOWN = "markdown"
    LATEX = "latex"
    HTML = "html"
    SOL = "sol"
    CSHARP = "csharp"
    COBOL = "cobol"
    C = "c"
    LUA = "lua"
    PERL = "perl"
    HASKELL = "haskell"
    ELIXIR = "elixir"
    POWERSHELL = "powershell"
    VISUALBASIC6 = "visualbasic6"


_TEXT = ["\n\n", "\n", " ", ""]  # paragraphs, lines, words, characters

# Words that begin a line: definitions first, then statements.
_WORDS = {
    Language.CPP: "class void int float double if for while switch case",
    Language.C: "class void int float double if for while switch case",
    Language.GO: "func var const type if for switch case",
    Language.JAVA: "class public protected private static if for while switch case",
    Language.KOTLIN: "class public protected private internal companion fun val var if for while "
    "when else",
    Language.JS: "function const let var class if for while switch case default",
    Language.TS: "enum interface namespace type class function const let var if for while switch "
    "case default",
    Language.PHP: "function class if foreach while do switch case",
    Language.PROTO: "message service enum option import syntax",
    Language.PERL: "package sub use our my if unless for foreach while",
    Language.RUBY: "def class if unless while for do begin rescue",
    Language.RUST: "fn const let if while for loop match",
    Language.SCALA: "class object def val var if for while match case",
    Language.SWIFT: "func class struct enum if for while do switch case",
    Language.CSHARP: "interface enum delegate event class abstract public protected private static "
    "return if continue for foreach while switch break case else try throw finally catch",
    Language.LUA: "local function if for while repeat",
    Language.ELIXIR: "def defp defmodule defprotocol defmacro defmacrop if unless case cond with "
    "for do",
    Language.POWERSHELL: "function param if foreach for while switch class try catch finally",
}

_SOLIDITY = (
    "pragma,using,contract,interface,library,constructor,type,function,event,modifier,error,"
    "struct,enum,if,for,while,do while,assembly"
)
_HASKELL = (
    "main ::,main =,let,in,do,where,::,=,data,newtype,type,module,import,qualified,"
    "import qualified,class,instance,case"
)
_COBOL_DIVISIONS = (
    "IDENTIFICATION DIVISION.,ENVIRONMENT DIVISION.,DATA DIVISION.,PROCEDURE DIVISION.,"
    "WORKING-STORAGE SECTION.,LINKAGE SECTION.,FILE SECTION.,INPUT-OUTPUT SECTION."
)
_COBOL_VERBS = "OPEN CLOSE READ WRITE IF ELSE MOVE PERFORM UNTIL VARYING ACCEPT DISPLAY"
_HTML_TAGS = (
    "body div p br li h1 h2 h3 h4 h5 h6 span table tr td th ul ol header footer nav "
    "head style script meta title"
)
_LATEX_PARTS = "chapter section subsection subsubsection"
_LATEX_ENVIRONMENTS = "enumerate itemize description list quote quotation verse verbatim align"
_BASIC_SCOPE = r"(?:Public|Private|Friend|Global|Static)\s+?"
_BASIC_DEFINITIONS = ("Sub", "Function", r"Property\s+(?:Get|Let|Set)", "Type", "Enum")
_BASIC_STATEMENTS = ("ElseIf", "Else", r"Select\s+Case", "Case", "For", "Do", "While", "With")


def _lines(words: Iterable[str]) -> list[str]:
    return [f"\n{word} " for word in words]


_SEPARATORS: dict[Language, list[str]] = {
    **{language: [*_lines(words.split()), *_TEXT] for language, words in _WORDS.items()},
    Language.PYTHON: ["\nclass ", "\ndef ", "\n\tdef ", *_TEXT],
    Language.R: [
        "\nfunction ", "\nsetClass\\(", "\nsetMethod\\(", "\nsetGeneric\\(",
        *_lines(["if", "else", "for", "while", "repeat"]), "\nlibrary\\(", "\nrequire\\(", *_TEXT,
    ],
    Language.RST: ["\n=+\n", "\n-+\n", "\n\\*+\n", "\n\n.. *\n\n", *_TEXT],
    Language.MARKDOWN: [
        "\n#{1,6} ", "```\n", "\n\\*\\*\\*+\n", "\n---+\n", "\n___+\n", *_TEXT,
    ],
    # "$$" and "$" are expressions as well, and match the end of a text: formulas stay whole.
    Language.LATEX: [
        *(f"\n\\\\{part}{{" for part in _LATEX_PARTS.split()),
        *(f"\n\\\\begin{{{name}}}" for name in _LATEX_ENVIRONMENTS.split()),
        "$$", "$", " ", "",
    ],
    Language.HTML: [*(f"<{tag}" for tag in _HTML_TAGS.split()), ""],
    Language.SOL: [*_lines(_SOLIDITY.split(",")), *_TEXT],
    Language.COBOL: [
        *(f"\n{name}" for name in _COBOL_DIVISIONS.split(",")),
        *_lines(_COBOL_VERBS.split()), "\nSTOP RUN.", "\n", " ", "",
    ],
    # "\n| " is an alternative too, of a line's end and a space, so what follows it is never used.
    Language.HASKELL: [*_lines(_HASKELL.split(",")), "\n| ", "\n= {", "\n, ", *_TEXT],
    Language.VISUALBASIC6: [
        *(rf"\n(?!End\s){_BASIC_SCOPE}{name}\s+" for name in _BASIC_DEFINITIONS),
        r"\n(?!End\s)If\s+", *(rf"\n{name}\s+" for name in _BASIC_STATEMENTS),
        r"\n\n", r"\n", " ", "",
    ],
}  # fmt: skip


def separators_of(language: Language | str) -> list[str]:
    """What to cut a language at.

    Raises:
        ConfigError: there is no such language.
    """
    try:
        return list(_SEPARATORS[Language(language)])
    except ValueError as error:
        raise ConfigError(
            f"{language!r} is no language to split by: give one of "
            f"{', '.join(each.value for each in Language)}."
        ) from error
