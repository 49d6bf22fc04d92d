"""CSV, JSON and JSON lines: one document after another, in constant memory."""

from __future__ import annotations

import json
import sys
import tracemalloc

import jq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from document_loaders.files import loaded, told
from headrace.document_loaders import CSVLoader, JSONLinesLoader, JSONLoader, LoadError
from headrace.document_loaders.json_paths import PathError, compiled
from headrace.errors import ConfigError, MissingExtraError
from laws.colours import every_colour


def written(tmp_path, text, name="a.txt"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8", newline="")
    return file


# ---- CSV ---------------------------------------------------------------------------------------

TABLE = 'name, age \nAnn, 7 \n"Bo\nb","8,5"\n'


@every_colour
def test_each_row_is_a_document(colour, tmp_path):
    file = written(tmp_path, TABLE)
    assert told(loaded(colour, CSVLoader(file))) == [
        ("name: Ann\nage: 7", {"source": str(file), "row": 0}),
        ("name: Bo\nb\nage: 8,5", {"source": str(file), "row": 1}),
    ]


def test_columns_for_the_source_the_metadata_and_the_text(tmp_path):
    file = written(tmp_path, "id;name;age\nx;Ann;7\n")
    semicolons = {"delimiter": ";"}
    loader = CSVLoader(file, "id", ["age"], semicolons)
    assert told(loader.load()) == [("id: x\nname: Ann", {"source": "x", "row": 0, "age": "7"})]
    loader = CSVLoader(file, csv_args=semicolons, content_columns=["name"])
    assert told(loader.load()) == [("name: Ann", {"source": str(file), "row": 0})]


def test_rows_that_are_too_short_or_too_long_lose_nothing(tmp_path):
    file = written(tmp_path, "a,b\n1\n1,2,3, 4\n")
    assert [each.page_content for each in CSVLoader(file).load()] == [
        "a: 1\nb: None",
        "a: 1\nb: 2\nNone: 3,4",
    ]


@pytest.mark.parametrize(
    "columns",
    [{"source_column": "no"}, {"metadata_columns": ["no"]}, {"content_columns": ["no"]}],
    ids=lambda each: next(iter(each)),
)
def test_a_column_that_there_is_not(columns, tmp_path):
    file = written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(LoadError, match=r"no column 'no'; its columns are 'a', 'b'\."):
        CSVLoader(file, **columns).load()


def test_what_is_no_csv_is_an_error_with_its_line(tmp_path):
    file = written(tmp_path, 'a,b\n1,2\n"3" x,4\n')
    rows = CSVLoader(file, csv_args={"strict": True}).lazy_load()
    assert next(rows).metadata["row"] == 0
    with pytest.raises(LoadError, match=r"a.txt, line 3: no CSV"):
        next(rows)


def test_an_empty_table(tmp_path):
    assert CSVLoader(written(tmp_path, "")).load() == []
    assert CSVLoader(written(tmp_path, "a,b\n"), "no").load() == []


# ---- JSON lines --------------------------------------------------------------------------------


@every_colour
def test_each_line_is_a_document(colour, tmp_path):
    file = written(tmp_path, '{"t": "é"}\r\n\n  {"t": ""}\n')
    expected = [
        ("é", {"source": str(file), "seq_num": 1}),
        ("", {"source": str(file), "seq_num": 2}),
    ]
    assert told(loaded(colour, JSONLinesLoader(file, content_key="t"))) == expected
    same = JSONLoader(file, ".t", json_lines=True)
    assert told(loaded(colour, same)) == expected


def test_a_line_that_is_no_json_is_an_error_with_its_number(tmp_path):
    file = written(tmp_path, '"a"\n\n"b\n')
    lines = JSONLinesLoader(file).lazy_load()
    assert next(lines).page_content == "a"
    with pytest.raises(LoadError, match=r"a.txt, line 3, column 3: no JSON"):
        next(lines)
    file = written(tmp_path, '{"a": [1]}\n{"a": {}}\n')
    with pytest.raises(LoadError, match=r"a.txt, line 2: cannot look up 0 in an object"):
        JSONLinesLoader(file, ".a[0]", text_content=False).load()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_large_file_is_read_in_constant_memory(kind, tmp_path):
    file = tmp_path / "large"
    with open(file, "w", encoding="utf-8") as text:
        text.write("t\n" if kind == "csv" else "")
        for number in range(40_000):
            text.write(f"row {number} {'x' * 90}\n" if kind == "csv" else f'"{"x" * 100}"\n')
    size = file.stat().st_size
    loader = CSVLoader(file) if kind == "csv" else JSONLinesLoader(file)
    tracemalloc.start()
    try:
        count = sum(1 for _ in loader.lazy_load())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40_000
    assert peak < size / 10


# ---- JSON --------------------------------------------------------------------------------------

CHAT = {"title": "x", "messages": [{"who": "a", "said": "hé"}, {"who": "b", "said": ""}]}


@every_colour
def test_a_path_leads_to_the_documents(colour, tmp_path):
    file = written(tmp_path, json.dumps(CHAT))
    loader = JSONLoader(
        file, ".messages[]", "said", metadata_func=lambda found, about: about | {"by": found["who"]}
    )
    assert told(loaded(colour, loader)) == [
        ("hé", {"source": str(file), "seq_num": 1, "by": "a"}),
        ("", {"source": str(file), "seq_num": 2, "by": "b"}),
    ]


def test_the_source_is_an_absolute_path(tmp_path, monkeypatch):
    file = written(tmp_path, '"x"')
    monkeypatch.chdir(tmp_path)
    assert JSONLoader("a.txt").load()[0].metadata["source"] == str(file.resolve())


def test_what_is_no_string_becomes_json_where_that_is_wanted(tmp_path):
    file = written(tmp_path, '[{"a": "é"}, [], 1.5, true, null]')
    found = JSONLoader(file, ".[]", text_content=False).load()
    assert [each.page_content for each in found] == ['{"a": "é"}', "", "1.5", "True", ""]
    with pytest.raises(LoadError, match=r'no string: \{"a": "\\u00e9"\}; give content_key=…'):
        JSONLoader(file, ".[]").load()


@pytest.mark.parametrize("lines", [False, True])
def test_null_is_no_text(tmp_path, lines):
    """A path that is misspelt leads to null everywhere, not to documents without text."""
    file = written(tmp_path, '{"text": "a"}')
    with pytest.raises(LoadError) as told:
        JSONLoader(file, ".txet", json_lines=lines).load()
    where = f"{file}, line 1" if lines else str(file)
    assert str(told.value) == (
        f"{where}: what is to be the text is null: see that the path is right, or give "
        "text_content=False to have it as an empty text."
    )
    found = JSONLoader(file, ".txet", json_lines=lines, text_content=False).load()
    assert [each.page_content for each in found] == [""]


def test_programs_of_jq(tmp_path):
    file = written(tmp_path, json.dumps(CHAT))
    loader = JSONLoader(
        file,
        '.messages[] | select(.who == "a")',
        content_key=".said | ascii_upcase",
        is_content_key_jq_parsable=True,
    )
    assert [each.page_content for each in loader.load()] == ["Hé"]
    with pytest.raises(LoadError, match="Cannot iterate over string"):
        JSONLoader(file, ".title | .[]").load()


def test_programs_of_jq_without_jq(monkeypatch):
    monkeypatch.setitem(sys.modules, "jq", None)
    with pytest.raises(MissingExtraError, match=r"'.a \| .b' needs 'jq'.*headrace\[jq\]"):
        JSONLoader("a.json", ".a | .b")
    assert list(compiled(' .a["b c"][0].d ')({"a": {"b c": [{"d": 1}]}})) == [1]


def test_a_program_that_is_none():
    with pytest.raises(ConfigError, match=r"jq does not understand '\.a \|'"):
        JSONLoader("a.json", ".a |")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('{"a": 1,\n "b"}', {}, r"a.txt, line 2, column 5: no JSON .*"),
        ('"a"\n"b"', {}, r"line 2, column 1: no JSON \(Extra data\).*json_lines=True"),
        ("[" * 100_000, {}, "nested too deep"),
        ('[{"a": 1}]', {"jq_schema": ".[]", "content_key": "b"}, "no key 'b'; its keys are 'a'"),
        ("[3]", {"jq_schema": ".[]", "content_key": "b"}, "looked up in objects, and this is 3"),
        ('"x"', {"metadata_func": lambda found, about: 3}, "metadata_func returned 3"),
        ('"x"', {"jq_schema": ".a"}, "cannot look up 'a' in a string"),
        ("true", {"jq_schema": ".[]"}, r"cannot go through a boolean with \[\]"),
    ],
    ids=["syntax", "lines", "deep", "key", "number", "metadata", "path", "each"],
)
def test_what_is_no_good_is_said(text, options, message, tmp_path):
    with pytest.raises(LoadError, match=message):
        JSONLoader(written(tmp_path, text), **options).load()


def test_what_a_metadata_function_raises_comes_out_as_it_is(tmp_path):
    error = KeyError("mine")

    def fails(found, about):
        raise error

    with pytest.raises(KeyError) as caught:
        JSONLoader(written(tmp_path, '"x"'), metadata_func=fails).load()
    assert caught.value is error


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="ab", max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "b", "a key"]), inner, max_size=3)
        | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)
steps = st.sampled_from([".a", '."b"', "[]", ".[]", "[0]", "[-1]", '["a key"]', '.["a"]', "[ 1 ]"])


@given(values, st.lists(steps, max_size=4).map("".join))
def test_paths_lead_where_jq_goes(value, path):
    path = path if path.startswith(".") else f".{path}"
    try:
        expected = list(jq.compile(path).input_value(value))
    except ValueError:
        with pytest.raises(PathError):
            list(compiled(path)(value))
    else:
        assert list(compiled(path)(value)) == expected
