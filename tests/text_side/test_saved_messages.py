"""`headrace.load`: what is written comes back equal, and what is read executes nothing.

Texts come from strangers: whatever they say, reading gives a value of a known type, or raises
InputError.
"""

from __future__ import annotations

import base64
import builtins
import collections
import contextlib
import copy
import dataclasses
import datetime
import decimal
import enum
import importlib
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace.documents import Document
from headrace.errors import HeadraceError, InputError
from headrace.load import dumpd, dumps, load, loads
from headrace.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from headrace.prompt_values import ChatPromptValue, StringPromptValue
from headrace.prompts import ChatPromptTemplate
from text_side.kit import Counting, told

ANY_TEXT = st.text(st.characters(), max_size=6)  # lone surrogates, too
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | ANY_TEXT
    | st.binary(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(ANY_TEXT | st.sampled_from(["$", "lc", "type"]), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
DICTS = st.dictionaries(ANY_TEXT, VALUES, max_size=3)
BLOCKS = st.lists(
    ANY_TEXT
    | st.builds(lambda text: {"type": "text", "text": text}, ANY_TEXT)
    | st.builds(lambda data: {"type": "media", "data": data}, st.binary(max_size=4)),
    max_size=3,
)
CALLS = st.lists(
    st.builds(
        lambda n, a, i: {"name": n, "args": a, "id": i}, ANY_TEXT, DICTS, st.none() | ANY_TEXT
    ),
    max_size=2,
)
PIECES = st.lists(
    st.builds(
        lambda n, a, i, x: {"name": n, "args": a, "id": i, "index": x},
        st.none() | ANY_TEXT,
        st.none() | ANY_TEXT,
        st.none() | ANY_TEXT,
        st.none() | st.integers(0, 5),
    ),
    max_size=2,
)
COMMON = {
    "content": ANY_TEXT | BLOCKS,
    "id": st.none() | ANY_TEXT,
    "name": st.none() | ANY_TEXT,
    "additional_kwargs": DICTS,
    "response_metadata": DICTS,
}
USAGE = st.none() | st.builds(told, st.integers(0, 9), st.integers(0, 9))
KINDS = [
    *(
        st.builds(kind, **COMMON)
        for kind in (
            HumanMessage,
            SystemMessage,
            HumanMessageChunk,
            SystemMessageChunk,
        )
    ),
    st.builds(AIMessage, **COMMON, tool_calls=CALLS, usage_metadata=USAGE),
    st.builds(AIMessageChunk, **COMMON, tool_call_chunks=PIECES, usage_metadata=USAGE),
    *(st.builds(kind, **COMMON, role=ANY_TEXT) for kind in (ChatMessage, ChatMessageChunk)),
    *(
        st.builds(kind, **{**COMMON, "name": ANY_TEXT})
        for kind in (FunctionMessage, FunctionMessageChunk)
    ),
    *(
        st.builds(
            kind,
            **COMMON,
            tool_call_id=ANY_TEXT,
            artifact=VALUES,
            status=st.sampled_from(["success", "error"]),
        )
        for kind in (ToolMessage, ToolMessageChunk)
    ),
    st.builds(RemoveMessage, id=ANY_TEXT),
]
MESSAGES = st.one_of(KINDS)
WRITABLE = (
    MESSAGES
    | st.builds(Document, ANY_TEXT, metadata=DICTS, id=st.none() | ANY_TEXT)
    | st.lists(MESSAGES, max_size=3)
    | st.builds(lambda m: ChatGeneration(message=m), MESSAGES)
    | st.builds(lambda t, i: Generation(text=t, generation_info=i), ANY_TEXT, DICTS)
    | st.builds(lambda m: ChatPromptValue(messages=m), st.lists(MESSAGES, max_size=2))
    | st.builds(lambda t: StringPromptValue(text=t), ANY_TEXT)
    | VALUES
)


def same(one, two):
    """Equal, and of the same types all the way down."""
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return (
            type(two) is dict
            and list(one) == list(two)
            and all(same(one[key], two[key]) for key in one)
        )
    return type(one) is type(two) and one == two


@given(WRITABLE)
def test_everything_comes_back(value):
    text = dumps(value)
    assert same(loads(text), value)
    assert same(load(dumpd(value)), value)
    assert same(loads(dumps(value, pretty=True)), value)
    assert same(loads(text.encode()), value)
    assert dumps(loads(text)) == text


@given(MESSAGES)
def test_written_text_is_plain_json_with_a_version(message):
    told_ = json.loads(dumps(message))
    assert isinstance(told_["headrace"], int)
    assert json.loads(json.dumps(dumpd(message))) == told_


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        float("-inf"),
        -0.0,
        2**64,
        -(2**63) - 1,
        {1: "a", None: "b", (1, 2): "c"},
        {"$": "AIMessage", "content": "x"},
        {"$": {"$": "dict", "items": []}},
        {"lc": 1, "type": "constructor", "id": ["a"], "kwargs": {}},
        {"headrace": 1, "value": 7},
        set(),
        {1, 2},
        frozenset({"a"}),
        [[[[]]]],
        b"",
        bytearray(b"x"),
        1 + 2j,
    ],
    ids=str,
)
def test_odd_values_come_back_or_are_refused(value):
    """Either is fair; changing them in silence is not."""
    try:
        text = dumps(value)
    except InputError:
        return
    back = loads(text)
    assert type(back) is type(value)
    assert back == value
    assert str(back) == str(value)


def test_nan_comes_back_as_nan():
    back = loads(dumps([float("nan")]))
    assert back[0] != back[0]


def test_results_come_back():
    generation = ChatGeneration(message=AIMessage("x", usage_metadata=told(1, 2)))
    chunk = ChatGenerationChunk(message=AIMessageChunk("x"), generation_info={"a": 1})
    for value in (
        ChatResult(generations=[generation], llm_output={"m": 1}),
        LLMResult(generations=[[generation], [Generation(text="t")]], llm_output=None),
        chunk,
    ):
        assert same(loads(dumps(value)), value)


def test_the_sum_of_a_stream_can_be_written():
    whole = None
    for chunk in Counting().stream("hi"):
        whole = chunk if whole is None else whole + chunk
    back = loads(dumps(whole))
    assert back == whole
    assert isinstance(back, AIMessageChunk)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


class Typed(BaseModel):
    x: int


FOUND_IN_METADATA = [
    datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC),
    datetime.datetime(2026, 1, 2, 3),
    datetime.date(2026, 1, 2),
    datetime.timedelta(seconds=1.5),
    uuid.UUID(int=7),
    decimal.Decimal("1.10"),
    pathlib.PurePosixPath("/a"),
    Colour.RED,
    Point(1),
    Typed(x=1),
    collections.OrderedDict(a=1),
    collections.defaultdict(list, a=[1]),
    range(3),
    re.compile("x"),
    ValueError("x"),
    True,
    1,
]


@pytest.mark.parametrize("value", FOUND_IN_METADATA, ids=lambda value: type(value).__name__)
def test_what_users_keep_in_metadata_comes_back_or_is_refused(value):
    for holder in (
        Document("x", metadata={"k": value}),
        HumanMessage("x", additional_kwargs={"k": [value]}),
    ):
        try:
            text = dumps(holder)
        except InputError as error:
            assert type(value).__name__ in str(error)
            continue
        assert loads(text) == holder


class Text(str):
    __slots__ = ()


def test_subclasses_of_builtins_come_back_as_these():
    back = loads(dumps([Text("warm"), collections.OrderedDict(a=1)]))
    assert back == ["warm", {"a": 1}]
    assert [type(item) for item in back] == [str, dict]


@pytest.mark.parametrize("depth", [10, 90, 200, 2000])
def test_deep_values_come_back_or_are_refused(depth):
    value: Any = "x"
    for number in range(depth):
        value = [value] if number % 2 else {"k": value}
    message = HumanMessage("x", additional_kwargs={"deep": value})
    try:
        text = dumps(message)
    except InputError:
        assert depth > 50
        return
    assert loads(text) == message


def test_a_value_that_is_there_twice_is_no_circle():
    shared = {"a": [1]}
    value = [HumanMessage("x", additional_kwargs={"one": shared, "two": shared}), shared]
    assert same(loads(dumps(value)), value)


class Mine(HumanMessage):
    pass


def test_a_users_subclass_comes_back_as_its_base():
    back = loads(dumps(Mine("x", id="1")))
    assert type(back) is HumanMessage
    assert (back.content, back.id) == ("x", "1")


CIRCLE: list = []
CIRCLE.append(CIRCLE)
DEEP: list = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 1,
        [Counting()],  # by itself it is described, for eyes
        {"prompt": ChatPromptTemplate.from_messages([("human", "{x}")])},
        HumanMessage,
        CIRCLE,
        DEEP,
        HumanMessage("x", additional_kwargs={"f": open}),
        [HumanMessage("x"), {"deep": [object()]}],
        sys,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_be_read_back_is_not_written(value):
    for write in (dumps, dumpd):
        with pytest.raises(InputError):
            write(value)


# ---- hostile texts ------------------------------------------------------------------------------


def lc(*path, kind="constructor", **kwargs):
    return {"lc": 1, "type": kind, "id": list(path), "kwargs": kwargs}


CANARY = "HEADRACE_TEST_SECRET"
HOSTILE = [
    lc("subprocess", "Popen", args="touch pwned"),
    lc("os", "system", command="touch pwned"),
    lc("builtins", "eval", source="1"),
    lc("langchain_core", "utils", "formatting", "StrictFormatter"),
    lc("langchain_core", "messages", "..", "os", "system"),
    lc("langchain_core", "messages", "human", "__import__"),
    lc("langchain_core", "prompts", "prompt", "PromptTemplate", template="{{ x }}"),
    lc("langchain_core", "messages", "human", "HumanMessage", kind="not_implemented"),
    lc("langchain_core", "messages", "human", "HumanMessage", kind="nonsense", content="x"),
    lc("langchain_core", "messages", "human", "HumanMessage", content={"x": 1}),
    lc("langchain_core", "messages", "human", "HumanMessage", content="x", __class__="y"),
    lc("langchain_core", "messages", "human", "HumanMessage"),
    {"lc": 1, "type": "secret", "id": [CANARY]},
    {"lc": 1, "type": "secret"},
    {"lc": 99, "type": "constructor", "id": ["langchain_core", "x"], "kwargs": {}},
    {"lc": 1, "type": "constructor", "id": "HumanMessage", "kwargs": {}},
    {"lc": 1, "type": "constructor", "id": [], "kwargs": {}},
    {"lc": 1, "type": "constructor", "id": [1, 2], "kwargs": []},
    {"lc": 1},
    {"headrace": 999, "value": {"$": "HumanMessage", "content": "x"}},
    {"headrace": 0, "value": 1},
    {"headrace": "1", "value": 1},
    {"headrace": -1, "value": 1},
    {"headrace": 1.5, "value": 1},
    {"headrace": None, "value": 1},
    {"headrace": 1},
    {"headrace": 1, "value": {"$": "os.system", "command": "touch pwned"}},
    {"headrace": 1, "value": {"$": "object", "class": "os:system", "data": "touch pwned"}},
    {"headrace": 1, "value": {"$": "object", "class": "subprocess:Popen", "form": "init",
                              "data": {"args": "ls"}}},
    {"headrace": 1, "value": {"$": "pickle", "base64": base64.b64encode(b"x").decode()}},
    {"headrace": 1, "value": {"$": "__class__"}},
    {"headrace": 1, "value": {"$": "__init__"}},
    {"headrace": 1, "value": {"$": None}},
    {"headrace": 1, "value": {"$": ["HumanMessage"]}},
    {"headrace": 1, "value": {"$": {"$": "bytes", "base64": "AA=="}}},
    {"headrace": 1, "value": {"$": "HumanMessage"}},
    {"headrace": 1, "value": {"$": "HumanMessage", "content": 7}},
    {"headrace": 1, "value": {"$": "HumanMessage", "content": "x", "additional_kwargs": 7}},
    {"headrace": 1, "value": {"$": "AIMessage", "content": "x", "tool_calls": "f"}},
    {"headrace": 1, "value": {"$": "AIMessage", "content": "x", "tool_calls": [7]}},
    {"headrace": 1, "value": {"$": "AIMessage", "content": "x", "tool_calls": [{"a": 1}]}},
    {"headrace": 1, "value": {"$": "AIMessage", "content": "x", "usage_metadata": "lots"}},
    {"headrace": 1, "value": {"$": "ToolMessage", "content": "x"}},
    {"headrace": 1, "value": {"$": "ToolMessage", "content": "x", "tool_call_id": "1",
                              "status": "great"}},
    {"headrace": 1, "value": {"$": "AIMessageChunk", "content": "x", "tool_call_chunks": [7]}},
    {"headrace": 1, "value": {"$": "RemoveMessage"}},
    {"headrace": 1, "value": {"$": "Document"}},
    {"headrace": 1, "value": {"$": "Document", "page_content": 7}},
    {"headrace": 1, "value": {"$": "Document", "page_content": "x", "metadata": 7}},
    {"headrace": 1, "value": {"$": "ChatGeneration"}},
    {"headrace": 1, "value": {"$": "ChatGeneration", "message": "x"}},
    {"headrace": 1, "value": {"$": "ChatPromptValue", "messages": "abc"}},
    {"headrace": 1, "value": {"$": "ChatPromptValue", "messages": [7]}},
    {"headrace": 1, "value": {"$": "StringPromptValue", "text": 7}},
    {"headrace": 1, "value": {"$": "LLMResult", "generations": [[7]]}},
    {"headrace": 1, "value": {"$": "bytes", "base64": "not base64!"}},
    {"headrace": 1, "value": {"$": "bytes", "base64": 7}},
    {"headrace": 1, "value": {"$": "bytes"}},
    {"headrace": 1, "value": {"$": "tuple", "items": 7}},
    {"headrace": 1, "value": {"$": "tuple"}},
    {"headrace": 1, "value": {"$": "dict", "items": [[1]]}},
    {"headrace": 1, "value": {"$": "dict", "items": [[[], 1]]}},
    {"headrace": 1, "value": {"$": "dict", "items": 7}},
    {"headrace": 1, "value": {"$": "set", "items": [[1]]}},
    {"headrace": 1, "value": {"$": "int", "text": "9" * 5000}},
    {"headrace": 1, "value": {"$": "int", "value": "x"}},
    {"headrace": 1, "value": {"$": "float", "value": "x"}},
]  # fmt: skip


@pytest.fixture
def nothing_executed(monkeypatch, tmp_path):
    """Any call that could do harm fails the test, and leaves a trace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CANARY, "very secret")
    called: list[str] = []

    def trap(name):
        def fail(*args, **kwargs):
            called.append(name)
            raise AssertionError(f"{name} was called")

        return fail

    # Modules that reading needs are loaded before the traps are set.
    loads(dumps([HumanMessage("x"), Document("x"), b"x", (1,)]))
    loads(json.dumps(lc("langchain_core", "messages", "human", "HumanMessage", content="x")))
    for module, name in (
        (os, "system"),
        (os, "popen"),
        (subprocess, "Popen"),
        (builtins, "eval"),
        (builtins, "exec"),
        (pickle, "loads"),
        (importlib, "import_module"),
    ):
        monkeypatch.setattr(module, name, trap(f"{module.__name__}.{name}"))
    yield
    assert called == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: json.dumps(value)[:60])
def test_hostile_values_are_input_errors(hostile, nothing_executed):
    before = copy.deepcopy(hostile)
    with pytest.raises(InputError) as caught:
        load(hostile)
    assert "very secret" not in str(caught.value)
    assert len(str(caught.value)) > 20
    assert hostile == before


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: json.dumps(value)[:60])
def test_hostile_values_inside_of_others_are_data_or_errors(hostile, nothing_executed):
    """In what Headrace wrote, LangChain's and its own envelope are dicts like any other."""
    wrapped = dumpd({"kept": hostile})
    assert load(wrapped) == {"kept": hostile}
    if hostile.get("headrace", 1) != 1:
        return
    inner = hostile.get("value", hostile)
    try:
        got = load({"headrace": 1, "value": [inner]})
    except InputError:
        return
    assert got == [inner]


HOSTILE_TEXTS = [
    "",
    "{",
    "not json",
    '{"headrace": 1, "value": 1} trailing',
    "[" * 100_000,
    '{"headrace": 1, "value": ' + "[" * 50_000 + "]" * 50_000 + "}",
    '{"headrace": 1, "value": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
    '{"headrace": 1, "value": ' + "9" * 10_000 + "}",
    b"\xff\xfe",
    b"\x80\x04\x95\x00",
    '{"headrace": 1, "headrace": 999, "value": 1}',
]


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=lambda text: repr(text[:30]))
def test_hostile_texts_are_input_errors(text, nothing_executed):
    with pytest.raises(InputError) as caught:
        loads(text)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("text", [None, 7, [], object()])
def test_what_is_no_text_is_refused(text):
    with pytest.raises((InputError, TypeError)):
        loads(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$", "lc", "type", "id", "kwargs", "content", "items", "value"])
            | st.text(max_size=3),
            inner
            | st.sampled_from(
                ["HumanMessage", "AIMessageChunk", "dict", "tuple", "bytes", "constructor", "x"]
            ),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_anything_else_is_a_value_or_a_headrace_error(told_):
    for whole in (told_, {"headrace": 1, "value": told_}):
        with contextlib.suppress(HeadraceError):
            load(whole)


# ---- LangChain's texts --------------------------------------------------------------------------


THEIR_KINDS = [
    ("HumanMessage", {"content": "x", "id": "1", "name": "n"}),
    ("SystemMessage", {"content": [{"type": "text", "text": "x"}]}),
    ("AIMessage", {"content": "x", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c"}]}),
    ("AIMessage", {"content": "x", "usage_metadata": told(1, 2)}),
    ("AIMessageChunk", {"content": "x", "tool_call_chunks": [
        {"name": "f", "args": "{}", "id": "c", "index": 0}]}),
    ("ToolMessage", {"content": "x", "tool_call_id": "c", "status": "error"}),
    ("ChatMessage", {"content": "x", "role": "king"}),
    ("FunctionMessage", {"content": "x", "name": "f"}),
    ("RemoveMessage", {"id": "7"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "keywords"), THEIR_KINDS)
def test_what_langchain_wrote_is_read(name, keywords):
    theirs = importlib.import_module("langchain_core.messages")
    write = importlib.import_module("langchain_core.load").dumps
    ours = importlib.import_module("headrace.messages")
    text = write([getattr(theirs, name)(**keywords)])
    (back,) = loads(text)
    assert back == getattr(ours, name)(**keywords)


def test_documents_of_langchain_are_read():
    theirs = importlib.import_module("langchain_core.documents")
    write = importlib.import_module("langchain_core.load").dumps
    text = write(theirs.Document("x", metadata={"a": 1}))
    assert loads(text) == Document("x", metadata={"a": 1})


def test_secrets_come_from_the_map_alone(monkeypatch):
    monkeypatch.setenv(CANARY, "from the environment")
    message = lc("langchain_core", "messages", "human", "HumanMessage")
    message["kwargs"]["content"] = {"lc": 1, "type": "secret", "id": [CANARY]}
    with pytest.raises(InputError):
        load(message)
    assert load(message, secrets_map={CANARY: "given"}) == HumanMessage("given")


def test_reading_in_a_fresh_interpreter_imports_nothing_that_is_named():
    program = (
        "import sys, json; from headrace.load import loads\n"
        "for name in ('wave', 'antigravity', 'this'):\n"
        "    for told in ({'lc':1,'type':'constructor','id':[name,'X'],'kwargs':{}},\n"
        "                 {'headrace':1,'value':{'$':'object','class':name+':X','data':{}}},\n"
        "                 {'headrace':1,'value':{'$':name+'.X'}}):\n"
        "        try: loads(json.dumps(told))\n"
        "        except ValueError: pass\n"
        "        else: print('no error', told)\n"
        "    if name in sys.modules: print('imported', name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
