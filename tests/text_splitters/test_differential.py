"""The same chunks as langchain-text-splitters, for the same texts and settings.

Where they differ, docs/differences.md says so, and `test_where_they_differ` shows it.
"""

from __future__ import annotations

from pathlib import Path

import langchain_text_splitters as theirs
import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st

import headrace.text_splitters as ours

DOCS = sorted((Path(__file__).parents[2] / "docs" / "guide").glob("*.md"))
LANGUAGES = [each for each in ours.Language if each is not ours.Language.PERL]

texts = st.text(alphabet="ab .\n", max_size=80) | st.text(max_size=40)
lengths = st.sampled_from([len, lambda text: len(text.split()), lambda text: 2 * len(text)])


@st.composite
def settings(draw, keep=(True, False, "start", "end")):
    size = draw(st.integers(1, 15))
    return {
        "chunk_size": size,
        "chunk_overlap": draw(st.integers(0, size)),
        "length_function": draw(lengths),
        "keep_separator": draw(st.sampled_from(keep)),
        "strip_whitespace": draw(st.booleans()),
    }


def same(name, text, *args, **kwargs):
    expected = getattr(theirs, name)(*args, **kwargs).split_text(text)
    assert getattr(ours, name)(*args, **kwargs).split_text(text) == expected


@given(texts, settings(), st.sampled_from(["\n\n", " ", "", "a", "  "]))
def test_at_one_separator(text, options, separator):
    same("CharacterTextSplitter", text, separator, **options)


@given(texts, settings(keep=(True, "start", "end")), st.sampled_from(["a+", r"\s", "(?<=b)"]))
def test_at_a_pattern(text, options, separator):
    same("CharacterTextSplitter", text, separator, is_separator_regex=True, **options)


@given(
    texts,
    settings(),
    st.sampled_from([None, ["\n", "a"], ["\n\n"], ["b", "", "\n"], [".", " "]]),
)
@example("", {"chunk_size": 1, "chunk_overlap": 0}, None)
@example(" \n\n ", {"chunk_size": 1, "chunk_overlap": 1}, None)
def test_at_the_coarsest_of_several(text, options, separators):
    same("RecursiveCharacterTextSplitter", text, separators, **options)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda each: each.value)
def test_languages(language):
    name = theirs.Language(language.value)
    recursive = theirs.RecursiveCharacterTextSplitter
    separators = ours.RecursiveCharacterTextSplitter.get_separators_for_language(language)
    assert separators == recursive.get_separators_for_language(name)
    text = "\n".join(f"{each.strip()} x = {n}\n  more" for n, each in enumerate(separators))
    for size in (10, 25, 60):
        expected = recursive.from_language(name, chunk_size=size, chunk_overlap=0).split_text(text)
        splitter = ours.RecursiveCharacterTextSplitter.from_language(
            language, chunk_size=size, chunk_overlap=0
        )
        assert splitter.split_text(text) == expected


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.stem)
def test_real_documents(file):
    text = file.read_text(encoding="utf-8")
    same("RecursiveCharacterTextSplitter", text, chunk_size=500, chunk_overlap=80)
    same("PythonCodeTextSplitter", text, chunk_size=300, chunk_overlap=0)
    same("CharacterTextSplitter", text, chunk_size=700, chunk_overlap=200)


@given(texts, settings())
def test_documents_and_their_metadata(text, options):
    def documents(package):
        splitter = package.RecursiveCharacterTextSplitter(**options)
        made = splitter.create_documents([text, "a b"], [{"n": [1]}, {}])
        return [(each.page_content, each.metadata) for each in made]

    assert documents(ours) == documents(theirs)


# ---- headings ----------------------------------------------------------------------------------

LINES = [
    "# A", "## B", "### C", "#", "##", "text", "  text two  ", "", "- item", "```", "```py", "~~~",
    "**Bold**", "***B***", "** **", "#nospace", "```x```", "# A", "\ufeff# Mark",
]  # fmt: skip
HEADERS = [
    [("#", "one"), ("##", "two")],
    [("##", "two")],
    [("#", "one"), ("##", None), ("###", "three"), ("**", "bold")],
]


def sections(package, text, *args, **options):
    found = package.MarkdownHeaderTextSplitter(*args, **options).split_text(text)
    # Code stays as it is here; there, white space and what is not seen goes.
    return [
        (
            "\n".join(line.strip(" \t\ufeff") for line in each.page_content.split("\n")),
            each.metadata,
        )
        for each in found
    ]


@given(
    st.lists(st.sampled_from(LINES), max_size=14),
    st.sampled_from(HEADERS),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, {"**": 1}, {"**": 2, "***": 3}]),
)
def test_headings(lines, headers, each_line, strip, custom):
    given = ("\n".join(lines), headers, each_line, strip, custom)
    assert sections(ours, *given) == sections(theirs, *given)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.stem)
def test_headings_of_real_documents(file):
    given = (file.read_text(encoding="utf-8"), [("#", "one"), ("##", "two"), ("###", "three")])
    assert sections(ours, *given) == sections(theirs, *given)


# ---- tokens ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """An encoding that needs no network, under the name "tiny" and a model's name."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for merged in (b"th", b"he", b"the", b" t", b" the", b"in", b"\xc3\xa9"):
        ranks[merged] = len(ranks)
    encoding = tiktoken.Encoding(
        "tiny",
        pat_str=r"\w+| \w+|\s+|[^\w\s]+",
        mergeable_ranks=ranks,
        special_tokens={"<|end|>": 300},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiktoken, "get_encoding", {"tiny": encoding}.__getitem__)
        patch.setattr(tiktoken, "encoding_for_model", {"small": encoding}.__getitem__)
        yield encoding


@given(
    st.text(alphabet="the in, é", max_size=50), st.integers(2, 9), st.integers(0, 8), st.booleans()
)
def test_tokens(tiny, text, size, overlap, by_model):
    options = {"chunk_size": size, "chunk_overlap": min(overlap, size - 1)}
    name = {"model_name": "small"} if by_model else {"encoding_name": "tiny"}
    same("TokenTextSplitter", text, **name, **options)
    for kind in ("RecursiveCharacterTextSplitter", "CharacterTextSplitter", "TokenTextSplitter"):
        expected = getattr(theirs, kind).from_tiktoken_encoder(**name, **options).split_text(text)
        splitter = getattr(ours, kind).from_tiktoken_encoder(**name, **options)
        assert splitter.split_text(text) == expected
    both = [
        package.split_text_on_tokens(
            text=text,
            tokenizer=package.Tokenizer(options["chunk_overlap"], size, tiny.decode, tiny.encode),
        )
        for package in (ours, theirs)
    ]
    assert both[0] == both[1]


def test_special_tokens():
    options = {"chunk_size": 3, "chunk_overlap": 0, "allowed_special": {"<|end|>"}}
    same("TokenTextSplitter", "in the end<|end|>the", "tiny", **options)
    for package in (ours, theirs):
        with pytest.raises(ValueError, match="disallowed special token"):
            package.TokenTextSplitter("tiny").split_text("<|end|>")


# ---- JSON --------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(alphabet="xé", max_size=20),
    lambda inner: (
        st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=4), inner, max_size=5)
        | st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)
objects = st.dictionaries(st.text(alphabet="abc", max_size=4), values, max_size=6)


@given(objects, st.integers(10, 200), st.none() | st.integers(3, 40), st.booleans(), st.booleans())
def test_json(data, largest, smallest, lists, ascii_only):
    splitters = [package.RecursiveJsonSplitter(largest, smallest) for package in (ours, theirs)]
    made = [each.split_json(data, lists) for each in splitters]
    assert made[0] == made[1]
    written = [each.split_text(data, lists, ascii_only) for each in splitters]
    assert written[0] == written[1]
    documents = [
        [
            (d.page_content, d.metadata)
            for d in each.create_documents([data], lists, metadatas=[{"n": 1}])
        ]
        for each in splitters
    ]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("largest", range(20, 90, 3))
def test_json_of_many_small_values(largest):
    data = {f"k{n}": {"a": "x" * (n % 7), "b": {"c": n, "d": "y" * (n % 5)}} for n in range(30)}
    for smallest in (None, 10, largest // 2, largest):
        made = [
            package.RecursiveJsonSplitter(largest, smallest).split_json(data)
            for package in (ours, theirs)
        ]
        assert made[0] == made[1]


def test_sizes_of_json_by_default():
    for sizes in ((), (2000,), (249,), (100,), (100, 7)):
        mine, yours = (package.RecursiveJsonSplitter(*sizes) for package in (ours, theirs))
        assert mine.max_chunk_size == yours.max_chunk_size
        assert mine.min_chunk_size == yours.min_chunk_size


# ---- and where not -----------------------------------------------------------------------------


def test_where_they_differ():
    def both(name, text, *args, **options):
        return tuple(
            [
                each if isinstance(each, str) else each.page_content
                for each in getattr(package, name)(*args, **options).split_text(text)
            ]
            for package in (ours, theirs)
        )

    # What a pattern matched is put back between pieces, and measured, rather than the pattern.
    made = both("CharacterTextSplitter", "aa1bb2cc", r"\d", True, chunk_size=5, chunk_overlap=0)
    assert made == (["aa1bb", "cc"], ["aa", "bb", "cc"])
    made = both("CharacterTextSplitter", "aa1bb2cc", r"\d", True, chunk_size=6, chunk_overlap=0)
    assert made == (["aa1bb", "cc"], [r"aa\dbb", "cc"])
    # Markdown is cut at its headings; there, the pattern for them is looked for as it is written.
    text = "one\n\ntwo\n# Title\nthree\nfour"
    made = both("MarkdownTextSplitter", text, chunk_size=16, chunk_overlap=0)
    assert made[0] == ["one\n\ntwo", "# Title\nthree", "four"]
    assert made[1] == ["one", "two\n# Title", "three\nfour"]
    # Where a chunk begins is known, rather than looked for.
    starts = [
        [
            each.metadata["start_index"]
            for each in package.CharacterTextSplitter(
                " ", chunk_size=3, chunk_overlap=0, add_start_index=True
            ).create_documents(["a   b c"])
        ]
        for package in (ours, theirs)
    ]
    assert starts == [[0, 6], [-1, 6]]
    # Code keeps its indentation.
    code = "# A\n```\nif x:\n    y\n```"
    mine, yours = both("MarkdownHeaderTextSplitter", code, [("#", "one")])
    assert mine == ["```\nif x:\n    y\n```"] and yours == ["```\nif x:\ny\n```"]
    # A character is not cut in two.
    mine, yours = both("TokenTextSplitter", "漢字", "tiny", chunk_size=2, chunk_overlap=0)
    assert mine == ["漢", "字"] and "\ufffd" in "".join(yours)
