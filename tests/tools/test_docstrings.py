"""What a docstring says of arguments, in three styles; compared with langchain-core where it reads
them at all (Google style)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.utils.function_calling import _parse_google_docstring

from headrace.tools.docstrings import read_docstring

GOOGLE = """Look something up.

Args:
    query (str): What to look
        for: in words.
    limit: How many.

Returns:
    found: them.
"""
NUMPY = """Look something up.

Parameters
----------
query : str
    What to look
    for: in words.
limit : int, optional
    How many.

Returns
-------
list
    Them.
"""
SPHINX = """Look something up.

:param query: What to look
    for: in words.
:type query: str
:param int limit: How many.
:returns: Them.
"""
SAID = {"query": "What to look for: in words.", "limit": "How many."}


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_three_styles_say_the_same(text: str):
    assert read_docstring(text) == ("Look something up.", SAID)


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_indentation_as_in_a_source_file_makes_no_difference(text: str):
    first, *rest = text.splitlines()
    indented = "\n".join([first, *(f"        {line}" if line else "" for line in rest)])
    assert read_docstring(indented) == read_docstring(text)


@pytest.mark.parametrize("text", [None, "", "One line.", "A line.\n\nNote: and more."])
def test_nothing_said_of_arguments(text: str | None):
    said = read_docstring(text)
    assert said.arguments is None
    assert said.summary == (text or "").replace("\n\n", " ")


def test_a_section_has_an_empty_line_before_it():
    said = read_docstring("The foo.\nArgs:\n    bar: The bar.")
    assert said.arguments is None


def test_several_names_stars_and_paragraphs():
    said = read_docstring(
        """Add.

        Numbers only.

        Parameters
        ----------
        a, b : int
            Addends.
        *more : int
            More of them.

        Notes
        -----
        None.
        """
    )
    assert said.summary == "Add. Numbers only."
    assert said.arguments == {"a": "Addends.", "b": "Addends.", "more": "More of them."}


def test_an_empty_line_inside_a_google_section_does_not_end_it():
    said = read_docstring("F.\n\nArgs:\n    a: One.\n\n    b: Two.\n\nRaises:\n    c: No.")
    assert said.arguments == {"a": "One.", "b": "Two."}


def test_keyword_arguments_have_a_section_of_their_own():
    said = read_docstring("F.\n\nArgs:\n    a: One.\n\nKeyword Args:\n    b (int): Two.")
    assert said == ("F.", {"a": "One.", "b": "Two."})


STYLES = {
    "google-types": ("""F.

    Args:
        a (dict[str, int], optional): One: two.
        b (Optional[str]): Three. Defaults to None.
        *args (int): Rest.
        **kw: More.

    Example:
        >>> f(a={})
    """, {"a": "One: two.", "b": "Three. Defaults to None.", "args": "Rest.", "kw": "More."}),
    "google-other-title": ("""F.

    Arguments:
      a: One
        two.
      b:
        On the next line.

    Note:
      Not an arg: really.
    """, {"a": "One two.", "b": "On the next line."}),
    "google-tabs": ("F.\n\nArgs:\n\ta: A.\n\tb: B.", {"a": "A.", "b": "B."}),
    "google-crlf": ("F.\r\n\r\nArgs:\r\n    a: A.\r\n", {"a": "A."}),
    "google-colons": ("""F.

    Args:
        a: See https://x.y/z:80 for more.
        b: Such as `x: 1`.
    """, {"a": "See https://x.y/z:80 for more.", "b": "Such as `x: 1`."}),
    "numpy-types": ("""F.

    Parameters
    ----------
    a : dict of str to int, optional
        One: two.

        Second paragraph.
    b : {'x', 'y'}, default 'x'
        Three.
    *args
        Rest.

    See Also
    --------
    other : thing.
    """, {"a": "One: two. Second paragraph.", "b": "Three.", "args": "Rest."}),
    "numpy-untidy": ("""F.

    Parameters
    ----------
    a: int
        No space before the colon.
    b
        No type.
    """, {"a": "No space before the colon.", "b": "No type."}),
    "numpy-others": ("""F.

    Parameters
    ----------
    a : int
        A.

    Other Parameters
    ----------------
    b : int
        B.
    """, {"a": "A.", "b": "B."}),
    "rest-types": ("""F.

    :param a: One: two.
    :type a: dict[str, int]
    :param int | None b: Three,
      over two lines.
    :param dict[str, int] c: Four.
    :raises ValueError: never
    """, {"a": "One: two.", "b": "Three, over two lines.", "c": "Four."}),
    "rest-words": ("F.\n\n:arg a: A.\n:argument b: B.\n:key c: C.\n:keyword d: D.",
                   {"a": "A.", "b": "B.", "c": "C.", "d": "D."}),
    "rest-glued": ("F.\n:param a: A.\n:param int | None b: B.", {"a": "A.", "b": "B."}),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_what_people_write(style: str):
    text, arguments = STYLES[style]
    assert read_docstring(text) == ("F.", arguments)


pieces = st.sampled_from(
    ["Args:", "a: b", ":param x", ":", "----", "\n", "    ", "Parameters", " "]
)


@given(st.lists(pieces, max_size=12).map("".join) | st.text(alphabet=":-\n aA(", max_size=30))
def test_whatever_it_is_nothing_is_raised(text: str):
    said = read_docstring(text)
    assert said.arguments != {}
    assert said.summary == said.summary.strip()


names = st.sampled_from(["a", "b_c", "query", "limit2"])
words = st.text(alphabet="abc :.(){}", min_size=1, max_size=20).map(str.strip).filter(bool)


@given(st.dictionaries(names, words, min_size=1), st.booleans(), words)
def test_google_style_as_langchain_reads_it(said: dict[str, str], typed: bool, summary: str):
    if summary.endswith(":"):
        summary += "."
    lines = [f"    {name}{' (int)' if typed else ''}: {text}" for name, text in said.items()]
    text = "\n".join([summary, "", "Args:", *lines, "", "Returns:", "    x: y"])
    assert read_docstring(text) == _parse_google_docstring(text, list(said))
