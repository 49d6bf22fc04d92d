"""What splitters do with documents, and with arguments that are no good."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import headrace.text_splitters as splitters
from headrace.documents import BaseDocumentTransformer, Document
from headrace.errors import ConfigError, InputError, MissingExtraError
from headrace.language_models import FakeListChatModel
from headrace.runnables import RunnableLambda
from headrace.text_splitters import (
    CharacterTextSplitter,
    Language,
    LatexTextSplitter,
    MarkdownHeaderTextSplitter,
    MarkdownTextSplitter,
    PythonCodeTextSplitter,
    RecursiveCharacterTextSplitter,
    RecursiveJsonSplitter,
    TextSplitter,
    Tokenizer,
    TokenTextSplitter,
    split_text_on_tokens,
)
from laws.colours import every_colour

SMALL = {"chunk_size": 4, "chunk_overlap": 0}


def words(**vocabulary):
    fast = FastTokenizer(WordLevel({"?": 0, **vocabulary}, unk_token="?"))
    fast.pre_tokenizer = Whitespace()
    return fast


# ---- documents ---------------------------------------------------------------------------------


@every_colour
def test_documents_are_transformed_in_every_colour(colour):
    splitter = CharacterTextSplitter(" ", **SMALL)
    documents = [Document("aaa bbb", {"source": "x"}), Document("cc dd", {"source": "y"})]

    def body(doors):
        if doors.asynchronous:
            return doors.wait(splitter.atransform_documents(documents))
        return splitter.transform_documents(documents)

    assert [(each.page_content, each.metadata) for each in colour.run(body)] == [
        ("aaa", {"source": "x"}),
        ("bbb", {"source": "x"}),
        ("cc", {"source": "y"}),
        ("dd", {"source": "y"}),
    ]


async def test_the_async_twin_works_in_a_worker_thread():
    threads = []

    class Telling(BaseDocumentTransformer):
        def transform_documents(self, documents, **kwargs):
            threads.append(threading.current_thread())
            return [*documents, kwargs]

    assert await Telling().atransform_documents([1], k=2) == [1, {"k": 2}]
    assert threads != [threading.current_thread()]


def test_a_splitter_is_a_step_by_its_method():
    chain = RunnableLambda(CharacterTextSplitter(" ", **SMALL).split_text) | len
    assert chain.invoke("aaa bbb ccc") == 3


def test_each_chunk_has_metadata_of_its_own():
    known = {"tags": ["x"]}
    first, second = CharacterTextSplitter(" ", **SMALL).create_documents(["aaa bbb"], [known])
    first.metadata["tags"].append("y")
    assert second.metadata == known == {"tags": ["x"]}


def test_documents_are_split_one_at_a_time_and_their_source_is_closed():
    seen = []

    def source():
        try:
            for text in ("aaa bbb", "ccc"):
                seen.append(text)
                yield Document(text)
        finally:
            seen.append("closed")

    chunks = CharacterTextSplitter(" ", **SMALL).lazy_split_documents(source())
    assert seen == []
    assert next(chunks).page_content == "aaa" and seen == ["aaa bbb"]
    chunks.close()
    assert seen == ["aaa bbb", "closed"]


def test_a_subclass_of_ones_own_joins_its_pieces():
    class Syllables(TextSplitter):
        def split_text(self, text):
            return self._merge_splits(text.split("-"), "+")

    made = Syllables(chunk_size=5, chunk_overlap=2).split_text("a-b-c-dd- ")
    assert made == ["a+b+c", "c+dd", "dd+"]


def test_a_chunk_that_cannot_be_cut_is_logged(caplog):
    with caplog.at_level(logging.WARNING, "headrace"):
        assert CharacterTextSplitter(" ", **SMALL).split_text("aaaaaaa b") == ["aaaaaaa", "b"]
    (record,) = caplog.records
    assert "made a chunk of 7 where chunk_size is 4" in record.getMessage()


# ---- languages and markup ----------------------------------------------------------------------


def test_python_is_cut_at_its_definitions():
    code = "import os\n\nclass A:\n    x = 1\n\ndef f():\n    return 1\n"
    splitter = PythonCodeTextSplitter(chunk_size=30, chunk_overlap=0)
    assert splitter.split_text(code) == [
        "import os",
        "class A:\n    x = 1",
        "def f():\n    return 1",
    ]


def test_latex_is_cut_at_its_parts_and_formulas_stay_whole():
    text = "Begin\n\\section{One}\nText $x + y$ more\n\\section{Two}\nEnd"
    splitter = LatexTextSplitter(chunk_size=35, chunk_overlap=0)
    assert splitter.split_text(text) == [
        "Begin",
        "\\section{One}\nText $x + y$ more",
        "\\section{Two}\nEnd",
    ]


def test_perl_is_a_language_too():
    splitter = RecursiveCharacterTextSplitter.from_language("perl", chunk_size=20, chunk_overlap=0)
    assert splitter.split_text("use strict;\nsub f { 1 }\nsub g { 2 }") == [
        "use strict;",
        "sub f { 1 }",
        "sub g { 2 }",
    ]


def test_markdown_is_cut_at_headings_whatever_their_level():
    splitter = MarkdownTextSplitter(chunk_size=12, chunk_overlap=0)
    assert splitter.split_text("# A\ntext\n### B\nmore") == ["# A\ntext", "### B\nmore"]


def test_sections_keep_what_was_known_of_their_document():
    splitter = MarkdownHeaderTextSplitter([("#", "part"), ("##", "chapter")])
    document = Document("# One\nA\n## Two\nB\n# Three\nC", {"source": "x.md"})
    assert [
        (each.page_content, each.metadata) for each in splitter.transform_documents([document])
    ] == [
        ("A", {"source": "x.md", "part": "One"}),
        ("B", {"source": "x.md", "part": "One", "chapter": "Two"}),
        ("C", {"source": "x.md", "part": "Three"}),
    ]


def test_code_in_markdown_is_left_as_it_is():
    code = "```py\nif x:\n\n    # no heading\n\ty\n```"
    (section,) = MarkdownHeaderTextSplitter([("#", "h")]).split_text(f"# A\n{code}")
    assert section.page_content == code and section.metadata == {"h": "A"}


def test_code_that_closes_on_its_own_line_hides_no_heading():
    text = "```one line```\n# A\nx\n~~~\n# no\n```\n~~~\n# B\ny"
    made = MarkdownHeaderTextSplitter([("#", "h")]).split_text(text)
    assert [(each.page_content, each.metadata) for each in made] == [
        ("```one line```", {}),
        ("x\n~~~\n# no\n```\n~~~", {"h": "A"}),
        ("y", {"h": "B"}),
    ]


def test_words_stay_apart_where_a_tab_is_between_them():
    (section,) = MarkdownHeaderTextSplitter([("#", "h")]).split_text("\ufeff# A\none\ttwo\u200b")
    assert (section.page_content, section.metadata) == ("one\ttwo", {"h": "A"})


# ---- tokens ------------------------------------------------------------------------------------


def test_tokens_of_a_tokenizer_at_hand():
    fast = words(one=1, two=2, three=3)
    text = "one, two  three one"
    splitter = TokenTextSplitter(
        tokenizer=fast, chunk_size=3, chunk_overlap=1, add_start_index=True
    )
    made = splitter.create_documents([text])
    assert [(each.page_content, each.metadata["start_index"]) for each in made] == [
        ("one, two", 0),
        ("two  three one", 5),
    ]
    same = TokenTextSplitter.from_huggingface_tokenizer(fast, chunk_size=3, chunk_overlap=1)
    assert same.split_text(text) == ["one, two", "two  three one"]
    assert splitter.split_text("") == []


class OfTransformers:
    """What a fast tokenizer of transformers offers."""

    is_fast = True

    def tokenize(self, text):
        return text.split()

    def __call__(self, text, *, add_special_tokens, return_offsets_mapping):
        assert return_offsets_mapping and not add_special_tokens
        return {"offset_mapping": words().encode(text).offsets}


def test_a_tokenizer_of_transformers():
    splitter = TokenTextSplitter(tokenizer=OfTransformers(), chunk_size=2, chunk_overlap=0)
    assert splitter.split_text("a b c") == ["a b", "c"]


@pytest.mark.parametrize(
    "tokenizer",
    [words(), OfTransformers(), FakeListChatModel(responses=[], custom_get_token_ids=str.split)],
    ids=["tokenizers", "transformers", "model"],
)
def test_lengths_in_tokens(tokenizer):
    for make in ("from_tokenizer", "from_huggingface_tokenizer"):
        splitter = getattr(RecursiveCharacterTextSplitter, make)(
            tokenizer, chunk_size=3, chunk_overlap=0
        )
        assert splitter.split_text("a b c d e f g") == ["a b c", "d e f", "g"]


def test_tokens_without_tiktoken(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    for make in (TokenTextSplitter, CharacterTextSplitter.from_tiktoken_encoder):
        with pytest.raises(MissingExtraError, match=r"'tiktoken'.*headrace\[tokens\]"):
            make()


@pytest.mark.parametrize("name", [None, "gpt-4"], ids=["encoding", "model"])
def test_tokens_without_the_network(monkeypatch, name):
    import tiktoken

    def fails(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(tiktoken, "get_encoding", fails)
    monkeypatch.setattr(tiktoken, "encoding_for_model", fails)
    for make in (TokenTextSplitter, CharacterTextSplitter.from_tiktoken_encoder):
        with pytest.raises(ConfigError, match=r"no route to .* TIKTOKEN_CACHE_DIR .*from_token"):
            make(model_name=name)


# ---- what is refused ---------------------------------------------------------------------------

BAD = {
    "no size": (lambda: CharacterTextSplitter(chunk_size=0), "chunk_size is 0"),
    "overlap": (lambda: CharacterTextSplitter(chunk_overlap=-1), "chunk_overlap is -1"),
    "too much": (lambda: CharacterTextSplitter(chunk_size=5, chunk_overlap=6), "smaller overlap"),
    "keep": (lambda: CharacterTextSplitter(keep_separator="both"), "keep_separator is 'both'"),
    "pattern": (lambda: CharacterTextSplitter("(", True), "no regular expression"),
    "separator": (lambda: CharacterTextSplitter(None), "A separator is a string; received None"),
    "one separator": (
        lambda: RecursiveCharacterTextSplitter(separators="--"),
        "separators is the string '--': give a list",
    ),
    "language": (lambda: RecursiveCharacterTextSplitter.from_language("klingon"), "klingon"),
    "headings": (lambda: MarkdownHeaderTextSplitter(["##"]), "give pairs"),
    "names": (lambda: MarkdownHeaderTextSplitter([("#", "one", "two")]), "give pairs"),
    "tokens": (
        lambda: TokenTextSplitter(tokenizer=words(), chunk_size=2, chunk_overlap=2),
        "smaller overlap",
    ),
    "tokenizer": (lambda: TokenTextSplitter(tokenizer=3), "where its tokens are"),
    "counter": (
        lambda: CharacterTextSplitter.from_huggingface_tokenizer(3),
        "Tokens cannot be counted with 3",
    ),
    "encoding": (lambda: TokenTextSplitter("nothing"), "no encoding 'nothing'"),
    "model": (lambda: TokenTextSplitter(model_name="nothing"), "no model 'nothing'"),
    "on tokens": (
        lambda: split_text_on_tokens(text="", tokenizer=Tokenizer(2, 2, str, list)),
        "smaller overlap",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_are_no_good(name):
    make, message = BAD[name]
    with pytest.raises(ConfigError, match=message):
        make()


def test_input_that_is_no_good():
    splitter = CharacterTextSplitter()
    with pytest.raises(InputError, match="2 texts and 1 metadatas"):
        splitter.create_documents(["a", "b"], [{}])
    with pytest.raises(InputError, match="splits strings, and this is 3"):
        splitter.create_documents([3])
    with pytest.raises(InputError, match="splits strings"):
        MarkdownHeaderTextSplitter([]).split_text(None)
    with pytest.raises(InputError, match="convert_lists=True"):
        RecursiveJsonSplitter().split_json([1])
    with pytest.raises(InputError, match="1 objects and 2 metadatas"):
        RecursiveJsonSplitter().create_documents([{}], metadatas=[{}, {}])


def test_transformers_and_compressors_are_found_where_documents_are():
    from headrace import document_transformers, documents, retrievers

    assert documents.BaseDocumentTransformer is document_transformers.BaseDocumentTransformer
    assert documents.BaseDocumentCompressor is retrievers.BaseDocumentCompressor
    assert issubclass(TextSplitter, documents.BaseDocumentTransformer)
    with pytest.raises(AttributeError, match=r"'headrace\.documents' has no attribute 'Other'"):
        _ = documents.Other


def test_every_name_is_there_and_importing_them_imports_no_library():
    for name in splitters.__all__:
        assert getattr(splitters, name).__name__ == name
    assert Language("python") is Language.PYTHON
    code = (
        "import sys, headrace.text_splitters, headrace.document_loaders\n"
        "found = {'tiktoken', 'pydantic', 'numpy', 'bs4', 'pypdf', 'jq', 'markdown_it', 'rich'}\n"
        "print(sorted(found & set(sys.modules)))"
    )
    src = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(src)}
    )
    assert done.stdout.strip() == "[]", done.stderr
