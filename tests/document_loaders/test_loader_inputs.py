"""What users hand to loaders that is no path, no loader or no argument."""

from __future__ import annotations

import pytest

from headrace.document_loaders import (
    BSHTMLLoader,
    CSVLoader,
    DirectoryLoader,
    HTMLLoader,
    JSONLinesLoader,
    JSONLoader,
    MarkdownLoader,
    PyPDFLoader,
    TextLoader,
)
from headrace.errors import ConfigError

LOADERS = [
    *(BSHTMLLoader, CSVLoader, HTMLLoader, JSONLinesLoader, JSONLoader, MarkdownLoader),
    *(PyPDFLoader, TextLoader),
]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("path", [None, 0, ["a.txt"]], ids=["None", "number", "list"])
def test_a_path_is_one(loader, path):
    with pytest.raises(ConfigError, match=r"file_path is .* give the path of one file"):
        loader(path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": None}, r"path is None \(NoneType\): give the path of a directory"),
        ({"path": ".", "glob": 5}, "pattern 5 is no string"),
        ({"path": ".", "max_concurrency": "3"}, "max_concurrency is '3': give a number"),
    ],
    ids=["path", "glob", "max_concurrency"],
)
def test_where_a_directory_is_and_what_of_it(arguments, says):
    with pytest.raises(ConfigError, match=says):
        DirectoryLoader(**arguments)


def test_a_loader_of_a_directory_is_a_class(tmp_path):
    with pytest.raises(ConfigError, match=r"'TextLoader' \(str\): give a class of loaders"):
        DirectoryLoader(tmp_path, loader_cls="TextLoader")
    with pytest.raises(ConfigError, match="give a class of loaders"):
        DirectoryLoader(tmp_path, loaders={".txt": TextLoader(tmp_path / "a.txt")})


@pytest.mark.parametrize("wrong", [{"delimeter": ";"}, {"delimiter": ";;"}], ids=["name", "value"])
def test_arguments_of_csv(wrong):
    with pytest.raises(ConfigError, match=r"csv.DictReader refuses it"):
        CSVLoader("a.csv", csv_args=wrong)
