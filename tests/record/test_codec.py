"""Events through JSON and back: every class of event, every kind of value."""

from __future__ import annotations

import json
import math
import sys
import types
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace import errors, messages, outputs, prompt_values
from headrace.documents import Document
from headrace.errors import ConfigError, InputError, ModelError
from headrace.events import (
    EVENTS,
    BlockDelta,
    BlockEnded,
    BlockStarted,
    CustomEvent,
    RunCancelled,
    RunChunk,
    RunEnded,
    RunFailed,
    RunRetried,
    RunStarted,
    RunWon,
    StreamReset,
    ToolProgress,
)
from headrace.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from headrace.resilience import Reset
from headrace.runnables import RunnableLambda
from headrace.views.codec import (
    Opaque,
    RecordedError,
    RecordedRun,
    decode_event,
    decode_value,
    encode_value,
    from_json,
    to_json,
)
from record import users

# ------------------------------------------------------------------ sameness


def same(one, two):
    """Equal and of the same types all the way down; NaN is itself, -0.0 is not 0.0."""
    assert type(one) is type(two), (one, two)
    if isinstance(one, float):
        assert repr(one) == repr(two)
    elif isinstance(one, complex):
        same([one.real, one.imag], [two.real, two.imag])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            same(left, right)
    elif isinstance(one, dict):
        same(list(one), list(two))
        for left, right in zip(one.values(), two.values(), strict=True):
            same(left, right)
    elif isinstance(one, (set, frozenset)):
        assert sorted(map(repr, one)) == sorted(map(repr, two))
    elif isinstance(one, BaseException):
        same([one.args, str(one), getattr(one, "__notes__", [])],
             [two.args, str(two), getattr(two, "__notes__", [])])  # fmt: skip
        same({k: v for k, v in vars(one).items() if k != "__notes__"},
             {k: v for k, v in vars(two).items() if k != "__notes__"})  # fmt: skip
    elif isinstance(one, BaseMessage):
        same(one.model_dump(), two.model_dump())
    elif isinstance(one, (datetime, time)):
        assert (one, one.fold, str(one.tzinfo)) == (two, two.fold, str(two.tzinfo))
    elif isinstance(one, Decimal):
        assert str(one) == str(two)
    else:
        assert one == two


def through(value, **options):
    """A value after a trip through a line of text, and the same line after a second trip."""
    line = json.dumps(encode_value(value))
    assert line.isascii()
    back = decode_value(json.loads(line), **options)
    assert json.dumps(encode_value(back)) == line
    return back


# ------------------------------------------------------------------ values

texts = st.text(st.characters(exclude_categories=()), max_size=6)  # lone surrogates too
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))])
atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.complex_numbers()
    | texts
    | st.binary(max_size=6)
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.uuids()
    | st.decimals()
)
keys = st.none() | st.integers() | texts | st.just("$") | st.binary(max_size=3) | st.tuples(texts)
nested = st.recursive(
    atoms | st.builds(bytearray, st.binary(max_size=4)) | st.sets(texts) | st.frozensets(keys),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
        | st.fixed_dictionaries({"$": st.sampled_from(["tuple", "error", "object"]) | inner,
                                 "items": inner})
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300)
@given(nested)
@example("\ud83d\ude00")  # two halves that JSON would join
@example({"\ud83d\ude00": "\ud83d\ude00"})
@example({"$": "$", "a": {"$": {"$": 1}}})
@example([float("nan"), float("inf"), -0.0, 1e308, 5e-324])
@example(10**5000)
@example({1: "int", "1": "text", None: 0, (1, ("\udc00",)): ()})
def test_plain_values_come_back(value):
    same(through(value), value)


def test_zones_and_folds_come_back():
    there = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Rome"), fold=1)
    same(through(there), there)
    assert through(there).utcoffset() == timedelta(hours=1)


def test_subclasses_of_builtin_types_come_back_as_these():
    kinds = {"Text": str, "Many": list, "Table": dict, "Number": int}
    values = [type(name, (base,), {})() for name, base in kinds.items()]
    same(through(values), ["", [], {}, 0])


# ------------------------------------------------------------------ messages and their like

blocks = st.lists(
    texts
    | st.fixed_dictionaries({"type": st.just("text"), "text": texts})
    | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.just({"url": "x"})}),
    max_size=3,
)
common = {
    "content": texts | blocks,
    "id": st.none() | texts,
    "name": st.none() | texts,
    "additional_kwargs": st.dictionaries(texts, nested, max_size=2),
    "response_metadata": st.dictionaries(texts, nested, max_size=2),
}
calls = st.lists(
    st.fixed_dictionaries(
        {"name": texts, "args": st.dictionaries(texts, nested, max_size=2), "id": texts}
    ),
    max_size=2,
)
pieces = st.lists(
    st.fixed_dictionaries(
        {"name": st.none() | texts, "args": st.sampled_from(['{"a', '": 1}', "{}", "x"]),
         "id": st.none() | texts, "index": st.none() | st.integers(0, 2)}
    ),
    max_size=2,
)  # fmt: skip
usage = st.none() | st.just({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})
OWN_FIELDS = {
    "AIMessage": {"tool_calls": calls, "usage_metadata": usage},
    "AIMessageChunk": {
        "tool_call_chunks": pieces, "usage_metadata": usage,
        "chunk_position": st.sampled_from([None, "last"]),
    },
    "ToolMessage": {"tool_call_id": texts, "artifact": nested,
                    "status": st.sampled_from(["error", "success"])},
    "ToolMessageChunk": {"tool_call_id": texts, "artifact": nested},
    "ChatMessage": {"role": texts},
    "ChatMessageChunk": {"role": texts},
    "FunctionMessage": {"name": texts},
    "FunctionMessageChunk": {"name": texts},
}  # fmt: skip
CLASSES = sorted(
    name
    for name in messages.__all__
    if isinstance(kind := getattr(messages, name), type)
    and issubclass(kind, BaseMessage)
    and name not in ("BaseMessage", "BaseMessageChunk", "RemoveMessage")
)


def message_of(name):
    kind = getattr(messages, name)
    return st.fixed_dictionaries({**common, **OWN_FIELDS.get(name, {})}).map(
        lambda fields: kind(**fields)
    )


@pytest.mark.parametrize("name", CLASSES)
def test_messages_of_every_class_come_back(name):
    @settings(max_examples=40)
    @given(message_of(name))
    def check(message):
        same(through(message), message)

    check()


def test_there_is_no_class_of_message_that_is_not_tried():
    assert len(CLASSES) == 12
    same(through(messages.RemoveMessage(id="x")), messages.RemoveMessage(id="x"))


@settings(max_examples=40)
@given(st.lists(message_of("AIMessageChunk"), min_size=2, max_size=4))
def test_sums_that_nobody_has_read_come_back(chunks):
    def added():
        total = chunks[0].model_copy(deep=True)
        for chunk in chunks[1:]:
            total = total + chunk
        return total

    back = decode_value(encode_value(added()))
    assert type(back) is AIMessageChunk
    same(back.model_dump(), added().model_dump())
    same((back + chunks[0]).model_dump(), (added() + chunks[0]).model_dump())


def test_tool_calls_of_chunks_are_parsed_after_the_trip():
    first = AIMessageChunk(
        "", tool_call_chunks=[{"name": "f", "args": '{"a"', "id": "1", "index": 0}]
    )
    more = AIMessageChunk(
        "", tool_call_chunks=[{"name": None, "args": ": 2}", "id": None, "index": 0}]
    )
    whole = through(first) + through(more)
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("f", {"a": 2})]


VALUES = [
    Document("a\ud800", {"k": b"\xff", 1: (2,)}, "id"),
    outputs.Generation("text", {"why": float("inf")}),
    outputs.GenerationChunk("text"),
    outputs.ChatGeneration(AIMessage("hi"), {"a": 1}),
    outputs.ChatGenerationChunk(AIMessageChunk("hi")),
    outputs.ChatResult([outputs.ChatGeneration(AIMessage("hi"))], {"model": "m"}),
    outputs.LLMResult([[outputs.Generation("a")], []], {"n": 1}, [outputs.RunInfo(UUID(int=3))]),
    outputs.RunInfo(UUID(int=3)),
    prompt_values.StringPromptValue("text"),
    prompt_values.ChatPromptValue([HumanMessage("x")]),
    prompt_values.ChatPromptValueConcrete([ToolMessage("x", tool_call_id="1")]),
    prompt_values.ImagePromptValue({"url": "x"}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_documents_generations_and_prompt_values_come_back(value):
    back = through(value)
    same(back, value)
    same([getattr(back, name) for name in value._shown], [getattr(value, n) for n in value._shown])


# ------------------------------------------------------------------ exceptions

OWN_ERRORS = [
    errors.InputError("a"),
    errors.MissingExtraError("numpy", extra="x", purpose="y"),
    errors.OutputParserException("a", observation="b", llm_output="c", send_to_llm=True),
    errors.JsonSyntaxError("a colon", 3, "x"),
    errors.ContextLengthError(5, 4),
    errors.IncompleteStream("cut", AIMessageChunk("par")),
    errors.MissingVariablesError("no\ud800ne"),
    errors.WeightsError(2, "gone"),
    errors.RecursionLimitError("deep"),
]
BUILTIN = [
    ValueError("a", 2, None),
    KeyError("key"),
    StopIteration(3),
    OSError(2, "No such file", "name"),
    FileNotFoundError(2, "No such file", "a", None, "b"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ImportError("no", name="n", path="p"),
    TimeoutError(),
    SystemExit(3),
    SyntaxError("bad", ("f.py", 1, 2, "x=", 1, 3)),
    json.JSONDecodeError("bad", "doc", 1),
    ExceptionGroup("both", [ValueError("a"), KeyError("b")]),
]


@pytest.mark.parametrize("error", OWN_ERRORS + BUILTIN, ids=lambda error: type(error).__name__)
def test_errors_come_back_as_the_same_classes(error):
    error.add_note("In the step \ud800.")
    back = through(error)
    if isinstance(error, ExceptionGroup):
        assert str(back) == str(error)
        same(back.exceptions[0], error.exceptions[0])
        return
    same(back, error)
    if isinstance(error, OSError):
        assert (back.errno, back.filename, back.filename2) == (
            error.errno, error.filename, error.filename2
        )  # fmt: skip


def test_causes_come_back():
    error = ValueError("late")
    error.__cause__ = KeyError("first")
    same(through(error).__cause__, KeyError("first"))


def test_every_error_of_headrace_comes_back_as_itself():
    kinds = [getattr(errors, name) for name in errors.__all__]
    for kind in kinds:
        error = kind("x") if issubclass(kind, errors.ProviderError) else kind.__new__(kind, "x")
        error.args = ("x",)
        assert type(through(error)) is kind


def test_foreign_errors_come_back_described_and_survive_a_second_trip():
    error = users.RateLimited("slow down", retry_after=3)
    error.add_note("In the model.")
    back = through(error)
    assert type(back) is RecordedError
    assert isinstance(back, errors.HeadraceError)
    assert str(back) == "slow down (3 s)"
    assert back.type == f"{users.__name__}:RateLimited"
    assert (back.args, back.retry_after, back.__notes__) == (("slow down",), 3, ["In the model."])
    again = through(back)
    same(again, back)
    revived = decode_value(encode_value(again), allow=[users])
    assert type(revived) is users.RateLimited
    same(revived, error)


def test_what_python_keeps_in_an_error_is_not_written_over():
    told = encode_value(ValueError("x")) | {"state": {"__traceback__": "no", "own": 1}}
    back = decode_value(told)
    assert (back.__traceback__, back.own) == (None, 1)


def test_an_error_that_cannot_say_what_it_is():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no")

        __repr__ = __str__

    assert str(through(Broken())) == "<no repr: RuntimeError>"


# ------------------------------------------------------------------ objects of the user's classes

FOREIGN = [
    users.Point(1, [users.Colour.RED]),
    users.Frozen("x"),
    users.Settings(name="n", inner=users.Inner(number=1)),
    users.Open(known=1, more=2),
    users.Colour.RED,
    users.Power.READ | users.Power.WRITE,
    users.Pair(1, (2,)),
]


@pytest.mark.parametrize("value", FOREIGN, ids=lambda value: type(value).__name__)
def test_foreign_objects_come_back_where_their_module_is_allowed(value):
    described = through(value)
    assert type(described) is Opaque
    assert described.type == f"{users.__name__}:{type(value).__qualname__}"
    for allow in ([users], [users.__name__], [users.__name__.split(".")[0]]):
        back = decode_value(encode_value(described), allow=allow)
        assert type(back) is type(value)
        assert back == value
    other = decode_value(encode_value(value), allow=["json", users.__name__ + ".other"])
    assert other == described


def test_opaque_values_keep_what_they_held():
    assert through(users.Point(1, [2])).data == {"x": 1, "y": [2]}
    assert (
        through(users.Settings(name="n", inner=users.Inner(number=1))).data["fields"]["name"] == "n"
    )


def test_no_code_of_a_class_runs_when_it_is_not_allowed():
    users.RAN.clear()
    line = encode_value(
        [users.Point(1, 2), users.Loud(value=3), users.RateLimited("x", retry_after=1)]
    )
    users.RAN.clear()
    decode_value(line)
    assert users.RAN == []
    assert decode_value(line, allow=[users])[1].value == 3
    assert users.RAN == []  # nor is a constructor needed where it is


def test_nothing_is_imported_that_is_not_allowed(tmp_path, monkeypatch):
    (tmp_path / "headrace_evil.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    told = [
        {"$": "object", "class": "headrace_evil:A", "form": "dataclass", "data": {}},
        {"$": "error", "class": "headrace_evil:A", "args": [], "text": "x"},
        {
            "$": "Document",
            "$class": "headrace_evil:A",
            "page_content": "x",
            "metadata": {},
            "id": None,
        },
        {"$": "HumanMessage", "$class": "headrace_evil:A", "content": "x"},
    ]
    back = decode_value(told)
    assert [type(value) for value in back] == [Opaque, RecordedError, Document, HumanMessage]
    assert "headrace_evil" not in sys.modules
    with pytest.raises(RuntimeError, match="imported"):
        decode_value(told, allow=["headrace_evil"])


@pytest.mark.parametrize("path", ["os:system", "subprocess:Popen", "builtins:eval", "users:Point"])
def test_what_is_found_must_be_a_class_of_the_form_that_was_said(path):
    told = {"$": "object", "class": path, "form": "dataclass", "data": {"args": ["true"]}}
    assert type(decode_value(told, allow=["os", "subprocess", "builtins", "users"])) is Opaque
    error = {"$": "error", "class": path, "args": ["true"], "text": "x"}
    assert type(decode_value(error, allow=["os", "subprocess"])) is RecordedError


def test_unknown_objects_are_kept_as_their_repr():
    back = through({"f": users.plain_function, "o": users.Thing(), "r": RunnableLambda(str)})
    assert back["f"].type == "builtins:function"
    assert back["o"] == Opaque(f"{users.__name__}:Thing", "<a thing \ud800>")
    assert isinstance(back["r"], Opaque)
    assert "only this repr was recorded; a dataclass or" in repr(back["o"])
    assert "repr" not in repr(through(users.Point(1, 2)))
    assert len({back["o"], through(back)["o"]}) == 1
    assert through(users.NoRepr()).repr == "<no repr: RuntimeError>"
    assert len(through(users.Long()).repr) == 10_001


def test_objects_whose_own_code_fails_are_kept_as_their_repr():
    back = through([[users.Failing(1)], 2])
    assert back[1] == 2
    assert back[0] == [Opaque(f"{users.__name__}:Failing", "<failing>")]


def test_keys_that_cannot_be_keys_any_more_are_described():
    class Hashable(list):
        __hash__ = object.__hash__

    back = decode_value(encode_value({Hashable([1]): "a"}))
    assert back == {Opaque("builtins:list", "[1]"): "a"}


def test_circles_and_depth_do_not_hang():
    circle = [1]
    circle.append(circle)
    assert through(circle) == [1, Opaque("builtins:list", "<a circle>")]
    deep = []
    for _ in range(5000):
        deep = [deep]
    back, depth = through(deep), 0
    while isinstance(back, list):
        back, depth = back[0], depth + 1
    assert (back.repr, depth) == ("<more than 100 deep>", 100)
    shared = [1]
    same(through([shared, shared]), [[1], [1]])


def test_messages_of_users_come_back_as_what_they_derive_from():
    message = users.Styled("hi", colour="red", id="1")
    message.note = "extra"
    back = through_foreign(message)
    assert type(back) is AIMessage
    assert (back.content, back.id) == ("hi", "1")
    revived = decode_value(encode_value(message), allow=[users])
    assert type(revived) is users.Styled
    assert (revived.colour, revived.note) == ("red", "extra")
    page = users.Page("text", {"a": 1})
    page.number = 7
    assert through_foreign(page) == Document("text", {"a": 1})
    assert decode_value(encode_value(page), allow=[users]).number == 7


def through_foreign(value):
    return decode_value(json.loads(json.dumps(encode_value(value))))


# ------------------------------------------------------------------ events


def a_run(**more):
    facts = {
        "id": UUID(int=7),
        "parent_ids": [UUID(int=1), UUID(int=2)],
        "name": "n\ud800",
        "run_type": "chat_model",
        "all_tags": ["seq:step:1", "a"],
        "metadata": {"m": (1, b"\x00")},
        "path": "a/1:n",
    }
    return RecordedRun(**{**facts, **more})


@st.composite
def events(draw, kind):
    def value():
        return draw(nested)

    error = ValueError("x")
    args = {
        RunStarted: lambda: (value(), draw(st.booleans())),
        RunChunk: lambda: (value(), draw(st.booleans())),
        RunEnded: lambda: (value(), value()),
        RunFailed: lambda: (error, value()),
        RunCancelled: lambda: (value(),),
        RunRetried: lambda: (draw(st.integers(1, 9)), error, draw(st.floats(0, 9))),
        StreamReset: lambda: (draw(st.integers(1, 9)), error, draw(st.integers(0, 99))),
        RunWon: lambda: (draw(texts),),
        CustomEvent: lambda: (draw(texts), value()),
        ToolProgress: lambda: (value(), draw(st.none() | texts)),
        BlockStarted: lambda: (draw(st.integers(0, 9)), {"type": "text", "a": value()}),
        BlockDelta: lambda: (draw(st.integers(0, 9)), {"type": "text", "a": value()}),
        BlockEnded: lambda: (draw(st.integers(0, 9)), {"type": "text", "a": value()}),
    }
    run = a_run(metadata=draw(st.dictionaries(texts, nested, max_size=2)), name=draw(texts))
    return kind(run, draw(st.integers(0, 10**6)), *args[kind]())


def fields(event):
    names = [name for base in type(event).__mro__ for name in getattr(base, "__slots__", ())]
    return {name: getattr(event, name) for name in names}


@pytest.mark.parametrize("kind", sorted(EVENTS, key=lambda kind: kind.kind), ids=lambda k: k.kind)
def test_events_of_every_class_come_back(kind):
    @settings(max_examples=50)
    @given(events(kind))
    def check(event):
        line = to_json(event)
        assert line.isascii()
        assert "\n" not in line
        back = from_json(line)
        assert type(back) is kind
        for name, value in fields(event).items():
            if name == "run":
                told = "id", "parent_ids", "name", "run_type", "all_tags", "metadata", "path"
                for fact in told:
                    same(getattr(back.run, fact), getattr(value, fact))
            else:
                same(getattr(back, name), value)
        assert to_json(back) == line

    check()


def test_events_of_a_real_run_come_back():
    def failing(value):
        raise users.RateLimited("no", retry_after=1)

    told = []
    chain = RunnableLambda(lambda x: x + 1).with_config(tags=["t"], metadata={"k": 1}) | failing
    with pytest.raises(users.RateLimited):
        told.extend(chain.stream_typed(1))
    runs = {}
    for event in told:
        back = from_json(to_json(event), runs=runs)
        assert (back.kind, back.seq, back.time, back.path) == (
            event.kind, event.seq, event.time, event.path
        )  # fmt: skip
        assert back.run.parent_ids == event.run.parent_ids
        assert back.run.all_tags == event.run.all_tags
    assert len(runs) == 3
    assert told[-1].kind == "error"


def test_runs_are_shared_and_named_by_id():
    runs = {}
    event = RunChunk(a_run(), 1, "a")
    first = from_json(to_json(event), runs=runs)
    short = json.loads(to_json(event)) | {"run": str(event.run.id)}
    second = decode_event(short, runs=runs)
    assert first.run is second.run
    assert {first.run: 1}[second.run] == 1
    with pytest.raises(InputError, match="no event as Headrace writes them"):
        decode_event(short)


def chunk_of(told, run=None):
    told = {"kind": "chunk", "seq": 1, "time": 1, "chunk": told, "whole": False, "run": run}
    return json.dumps(told)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("1" * 5000, "is no JSON"),
        ("[]", "An event is a JSON object"),
        ("{}", "no event as Headrace writes them (KeyError: 'kind')"),
        ('{"kind": "later"}', "kind 'later', which this version of Headrace does not know"),
        ('{"kind": ["x"]}', "no event"),
        (chunk_of({"$": "later"}), "it is 'later'"),
        (chunk_of({"$": ["x"]}), "it is ['x']"),
        (chunk_of({"$": "bytes", "base64": "?"}), "(Error"),
        (chunk_of({"$": "UUID", "text": "x"}), "badly formed"),
        (chunk_of({"$": "Decimal", "text": "x"}), "(InvalidOperation"),
        (chunk_of({"$": "tuple"}), "(KeyError: 'items'"),
        (chunk_of({"$": "dict", "items": [1]}), "no event"),
        (chunk_of({"$": "AIMessage"}), "(KeyError: 'content'"),
        (chunk_of(1, run={"id": "x"}), "no event"),
        (chunk_of(1, run=3), "no event"),
    ],
)
def test_lines_that_are_no_events_are_refused_with_a_sentence(line, says):
    with pytest.raises(InputError) as caught:
        from_json(line)
    assert says in str(caught.value)


def test_allow_takes_modules_and_names_only():
    with pytest.raises(ConfigError, match=r"give a list, \['users'\]"):
        decode_value(1, allow="users")
    with pytest.raises(ConfigError, match="give modules or their names"):
        decode_value(1, allow=[3])
    assert isinstance(users, types.ModuleType)


def test_a_date_and_a_nan_are_what_they_were():
    assert through(date(2025, 1, 2)) == date(2025, 1, 2)
    assert math.isnan(through(float("nan")))


def test_a_reset_in_a_stream_comes_back():
    one = Reset(2, ModelError("broke off"), 7)
    back = through(one)
    assert type(back) is Reset
    assert (back.attempt, back.discarded) == (2, 7)
    same(back.error, one.error)
