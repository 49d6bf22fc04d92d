"""Word pieces: the numbers that the `tokenizers` library gives for the same vocabulary."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece as Theirs
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from headrace.local.wordpiece import WordPiece, read_vocabulary

VOCABULARY = read_vocabulary()
OURS = WordPiece(VOCABULARY)
THEIRS = Tokenizer(Theirs(VOCABULARY, unk_token="[UNK]", max_input_chars_per_word=100))
THEIRS.normalizer = BertNormalizer(lowercase=True)
THEIRS.pre_tokenizer = BertPreTokenizer()

OLD = unicodedata.ucd_3_2_0


def _settled(char: str) -> bool:
    """Whether a character is what it was in Unicode 3.2. That library's tables are of an older
    Unicode than ours, and do not know what was assigned in between."""
    return OLD.category(char) == unicodedata.category(char) not in ("Cn", "Co", "Cs")


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(_settled), max_size=40)


def test_the_vocabulary_is_berts():
    text = "".join(f"{piece}\n" for piece in VOCABULARY)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert digest == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    assert len(VOCABULARY) == 30_522 and list(VOCABULARY.values()) == list(range(30_522))


@given(TEXTS)
@example("Hello, World! naïve CAFÉ don't $5 <tag> x_y 3.14")
@example("你好 world。 日本語テスト")
@example("ΣΊΣΥΦΟΣ İstanbul straße ﬁne")
@example("a\u0301 e\u0300\u0301 \u0301")
@example("tab\tnew\nline\r\u00a0\u2028\u3000\u200b\x00\x07\ufffd")
@example("🤗 emoji 👍🏽")
@example("a" * 100 + " " + "a" * 101)
@example("unbelievabilities antidisestablishmentarianism qxzvkj")
def test_the_same_numbers(text):
    assert OURS.numbers(text) == THEIRS.encode(text, add_special_tokens=False).ids


def test_real_documents_have_the_same_numbers():
    for file in sorted((Path(__file__).parents[2] / "docs").rglob("*.md")):
        text = file.read_text(encoding="utf-8")
        assert OURS.numbers(text) == THEIRS.encode(text, add_special_tokens=False).ids, file


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00"], ids=repr)
def test_a_text_of_nothing_has_no_pieces(text):
    assert OURS.numbers(text) == []


def test_names_of_special_pieces_in_a_text_are_text():
    assert OURS.start not in OURS.numbers("[CLS] [SEP]")


def test_a_text_that_is_no_unicode():
    assert OURS.numbers("a \ud800 b") == OURS.numbers("a b")
