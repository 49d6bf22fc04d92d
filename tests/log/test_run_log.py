"""`RunLogPatch`, `RunLog` and the document under them, with the library `jsonpatch` as referee."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import jsonpatch
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.views import RunLog, RunLogPatch
from headrace.views._document import Document
from laws.effort import examples

START = {"op": "replace", "path": "", "value": {"out": [], "logs": {}}}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


# ---- sums --------------------------------------------------------------------------------------


def test_two_patches_make_a_log() -> None:
    log = RunLogPatch(START) + RunLogPatch(add("/out/-", 1), add("/logs/a", {"x": []}))
    assert type(log) is RunLog
    assert log.state == {"out": [1], "logs": {"a": {"x": []}}}
    assert log.ops == [START, add("/out/-", 1), add("/logs/a", {"x": []})]
    assert START["value"] == {"out": [], "logs": {}}, "what was given is as it was"


def test_a_log_goes_on_from_a_state() -> None:
    log = RunLog(START, state={"out": [1], "logs": {}}) + RunLogPatch(add("/out/-", 2))
    assert log.state == {"out": [1, 2], "logs": {}}
    assert log.ops == [START, add("/out/-", 2)]
    empty = RunLog(state=None)
    assert empty.state is None
    assert (empty + RunLogPatch(START)).state == {"out": [], "logs": {}}


def test_two_logs_may_go_on_from_one() -> None:
    one = RunLogPatch(START) + RunLogPatch(add("/out/-", 1))
    left, right = one + RunLogPatch(add("/out/-", "l")), one + RunLogPatch(add("/out/-", "r"))
    more = left + RunLogPatch(add("/out/-", "ll"))
    states: list[Any] = [log.state for log in (right, more, one, left)]
    assert [state["out"] for state in states] == [
        [1, "r"], [1, "l", "ll"], [1], [1, "l"],
    ]  # fmt: skip
    assert [len(log.ops) for log in (more, left, right, one)] == [4, 3, 3, 2]


def test_only_patches_can_be_added() -> None:
    patch, log = RunLogPatch(START), RunLog(START, state=None)
    for left, right in [(patch, log), (log, log), (patch, [START]), (log, START)]:
        with pytest.raises(TypeError, match="unsupported operand"):
            _ = left + right


def test_equal_and_not() -> None:
    one = RunLogPatch(START) + RunLogPatch(add("/out/-", 1))
    assert one == RunLog(START, add("/out/-", 1), state={"out": [1], "logs": {}})
    assert one != RunLog(START, add("/out/-", 1), state={"out": [2], "logs": {}})
    assert one != RunLog(START, state=one.state)
    assert one != RunLogPatch(*one.ops)
    assert RunLogPatch(*one.ops) == RunLogPatch(START, add("/out/-", 1))
    assert RunLogPatch(START) != [START]


def test_how_they_look() -> None:
    assert repr(RunLogPatch(add("/a", 1))) == "RunLogPatch({'op': 'add', 'path': '/a', 'value': 1})"
    assert repr(RunLog(state={"a": 1})) == "RunLog({'a': 1})"


def test_copies_and_pickles_are_logs_of_their_own() -> None:
    log = RunLogPatch(START) + RunLogPatch(add("/out/-", 1))
    others: list[Any] = [pickle.loads(pickle.dumps(log)), copy.deepcopy(log)]
    for other in others:
        assert other == log
        assert (other + RunLogPatch(add("/out/-", 2))).state["out"] == [1, 2]
    assert pickle.loads(pickle.dumps(RunLogPatch(START))) == RunLogPatch(START)
    assert log.state == {"out": [1], "logs": {}}


def test_states_are_plain_for_serializers_in_c() -> None:
    log: Any = RunLogPatch(START)
    state: Any = None
    for number in range(500):
        log += RunLogPatch(add("/out/-", number))
        state = log.state
    assert orjson.loads(orjson.dumps(state)) == json.loads(json.dumps(state))
    assert json.loads(json.dumps(state))["out"] == list(range(500))


def test_kept_states_stay_as_they_were() -> None:
    log: Any = RunLogPatch(START)
    kept = []
    for number in range(400):
        log += RunLogPatch(add("/out/-", number), add("/logs/a", {"n": number}))
        kept.append((log, log.state, log.ops))
        if number % 3 == 0:
            kept[-1][1]["out"].append("the holder's own")
    for number, (log, state, ops) in enumerate(kept):
        own = ["the holder's own"] if number % 3 == 0 else []
        assert state == {"out": [*range(number + 1), *own], "logs": {"a": {"n": number}}}
        assert log.state is state
        assert len(ops) == 2 * number + 3


def test_states_that_nobody_looked_at_can_be_had_later_in_any_order() -> None:
    log: Any = RunLogPatch(START)
    logs = [log := log + RunLogPatch(add("/out/-", number)) for number in range(50)]
    for number in (30, 3, 49, 48, 0):
        assert logs[number].state["out"] == list(range(number + 1))
        assert logs[number].ops[1:] == [add("/out/-", n) for n in range(number + 1)]


def test_what_does_not_fit_is_said() -> None:
    log = RunLogPatch(add("/out/-", 1)) + RunLogPatch(add("/out/-", 2))
    with pytest.raises(InputError, match=r"'/out/-'.* does not fit the document.*first one on"):
        _ = log.state
    with pytest.raises(InputError, match="its op is one of add, remove, replace"):
        Document({}).apply({"op": "append", "path": "/a", "value": 1})
    with pytest.raises(InputError, match="no JSON pointer"):
        Document({}).apply(add("a", 1))


# ---- the document ------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "~", "a/b", "0", ""])
LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.text("xy", max_size=2)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
PARTS = KEYS | st.sampled_from(["-", "1", "2", "01"])
PATHS = st.lists(PARTS, max_size=3).map(
    lambda parts: "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"op": st.just("add"), "path": PATHS, "value": VALUES}),
    st.fixed_dictionaries({"op": st.just("replace"), "path": PATHS, "value": VALUES}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": PATHS}),
    st.fixed_dictionaries({"op": st.just("move"), "from": PATHS, "path": PATHS}),
    st.fixed_dictionaries({"op": st.just("copy"), "from": PATHS, "path": PATHS}),
    st.fixed_dictionaries({"op": st.just("test"), "path": PATHS, "value": VALUES}),
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4) | st.lists(VALUES, max_size=4)


def refereed(before: Any, operation: dict[str, Any]) -> Any:
    """What the library makes of it; `...` where it refuses."""
    try:
        return jsonpatch.apply_patch(before, copy.deepcopy([operation]))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError):
        return ...


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=8))
@examples(300)
def test_the_document_does_what_the_library_does(start: Any, operations: list[Any]) -> None:
    """And gives values that stay as they are, and changes nothing that it was given."""
    given_values = copy.deepcopy((start, operations))
    document, expected = Document(start), copy.deepcopy(start)
    values = []
    for operation in operations:
        after = refereed(expected, operation)
        if after is ... or operation == {"op": "remove", "path": ""}:
            continue
        document.apply(operation)
        expected = after
        values.append((document.value(), copy.deepcopy(expected)))
    assert (start, operations) == given_values
    for value, then in values:
        assert value == then
