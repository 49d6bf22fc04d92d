"""What is read has the fields of its class, as what is constructed has."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.documents import Document
from headrace.errors import InputError
from headrace.load import dumpd, load
from headrace.messages import AIMessageChunk, HumanMessage
from headrace.outputs import ChatGeneration

VALUES: list[Any] = [
    HumanMessage("x"),
    AIMessageChunk("x"),
    Document("x"),
    ChatGeneration(message=HumanMessage("x")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_of_our_own_form(value):
    told = dumpd(value)
    assert load(told) == value
    told["value"]["contents"] = 1
    name = type(value).__name__
    with pytest.raises(InputError, match=f"{name} has no field 'contents'. Its fields: "):
        load(told)
    with pytest.raises(InputError, match=f"{name} has no field 'contents'"):
        load({"headrace": 1, "value": {"in a dict": [told["value"]]}})


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (["langchain", "schema", "messages", "HumanMessage"], {"content": "x"}),
        (["langchain", "schema", "document", "Document"], {"page_content": "x"}),
    ],
)
def test_of_langchains(path, fields):
    told = {"lc": 1, "type": "constructor", "id": path, "kwargs": fields}
    load(told)
    with pytest.raises(InputError, match=rf"{path[-1]}.*'contents'.*Its fields: "):
        load({**told, "kwargs": {**fields, "contents": 1}})


def test_validated_values():
    with pytest.raises(InputError, match=r"is no Document: .*'contents'.*Its fields: "):
        Document.model_validate({"page_content": "x", "contents": 1})
    with pytest.raises(InputError, match=r"is no Document: .*page_content"):
        Document.model_validate({"metadata": {}})
