"""Filters of metadata: what they mean, what they refuse, and that SQL means the same."""

from __future__ import annotations

import json

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.vectorstores._sql_filters import where
from headrace.vectorstores.filters import parsed, predicate

ROWS = {
    "a": {"year": 1999, "by": "ann", "tags": ["x"]},
    "b": {"year": 2000, "by": "bob", "draft": True},
    "c": {"year": 2001.5, "by": None},
    "d": {"by": "ann", "year": "2000"},
}


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({}, "abcd"),
        ({"by": "ann"}, "ad"),
        ({"by": None}, "c"),
        ({"draft": None}, "acd"),
        ({"year": 2000}, "b"),
        ({"year": {"$eq": 2000}}, "b"),
        ({"year": {"$ne": 2000}}, "acd"),
        ({"year": {"$neq": 2000}}, "acd"),
        ({"year": [1999, 2000]}, "ab"),
        ({"year": {"$in": (1999, "2000")}}, "ad"),
        ({"year": {"$nin": [1999, "2000"]}}, "bc"),
        ({"year": {"$gt": 1999, "$lt": 2001.5}}, "b"),
        ({"year": {"$gte": 2000}}, "bc"),
        ({"year": {"$lte": "2000"}}, "d"),
        ({"nothing": {"$gt": 0}}, ""),
        ({"by": {"$lt": None}}, ""),
        ({"by": "ann", "year": {"$lt": 2000}}, "a"),
        ({"$and": [{"by": "ann"}, {"year": 1999}]}, "a"),
        ({"$or": [{"by": "bob"}, {"year": 1999}]}, "ab"),
        ({"$or": []}, ""),
        ({"$and": []}, "abcd"),
        ({"$not": {"by": "ann"}}, "bc"),
        ({"$not": {"$or": [{"by": "ann"}, {"by": "bob"}]}}, "c"),
        ({"$or": [{"by": "ann"}, {"by": "bob"}], "year": {"$gte": 2000}}, "b"),
        ({"tags": {"$eq": ["x"]}}, "a"),
        ({"draft": 1}, "b"),
        pytest.param(lambda metadata: "tags" in metadata, "a", id="function"),
    ],
    ids=repr,
)
def test_what_a_filter_lets_through(filter, found):
    allows = predicate(filter)
    assert "".join(name for name, metadata in ROWS.items() if allows(metadata)) == found


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ("year > 2000", "filter is 'year > 2000': give a dict of metadata"),
        ({"$xor": []}, r"The filter has '\$xor' where an operator stands: use one of \$and, \$eq"),
        ({"year": {"$near": 2000}}, r"has '\$near' where an operator stands"),
        ({"year": {"from": 2000}}, "has 'from' where an operator stands"),
        ({"$and": {"year": 2000}}, r"The filter's \$and is \{'year': 2000\}: give a list"),
        ({"$not": [{"year": 2000}]}, r"filter is \[\{'year': 2000\}\]: give a dict"),
        ({"year": {"$in": "2000"}}, r"The filter's \$in of 'year' is '2000': give a list"),
    ],
    ids=repr,
)
def test_what_is_refused(filter, says):
    with pytest.raises(InputError, match=says):
        predicate(filter)


# ---- SQL -----------------------------------------------------------------------------------------

fields = st.sampled_from(["a", "b", "a b", "it's", "ä", "$a", "a.b", "a[0]", "", 'say "a"', "\\"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "B", "1", "ä", "\U0001f600", "\uffff", "\0", "it's"]),
    st.text(max_size=3),
)
stored = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "B", "1", "ä", "\U0001f600", "\uffff", "\0", "it's", "[1]"]),
    st.text(max_size=3),
    st.lists(st.integers(0, 1), max_size=1),
    st.just({"a": 1}),
)
comparisons = st.dictionaries(
    st.sampled_from(["$eq", "$ne", "$neq", "$gt", "$gte", "$lt", "$lte"]), scalars, min_size=1
)
lists = st.lists(scalars, max_size=3)
conditions = st.one_of(
    scalars,
    lists,
    comparisons,
    st.fixed_dictionaries({"$in": lists}),
    st.fixed_dictionaries({"$nin": lists}),
    st.just({"$eq": [1]}),
)
plain = st.dictionaries(fields.filter(lambda name: name != "$a"), conditions, max_size=2)
filters = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"$or": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)
CONNECTION = apsw.Connection(":memory:")


@given(filter=filters, metadata=st.dictionaries(fields, stored, max_size=4))
@example(filter={"a": "[1]"}, metadata={"a": [1]})
@example(filter={"a": {"$gt": 1}}, metadata={"a": "2"})
@example(filter={"$not": {"a": {"$gt": 1}}}, metadata={})
@example(filter={"a": {"$nin": [None]}}, metadata={"a": None})
@example(filter={"a": 1}, metadata={"a": True})
@example(filter={"a": 0.1}, metadata={"a": 0.1})
def test_sql_says_what_python_says(filter, metadata):
    said = where(parsed(filter))
    if said is not None:
        sql, parameters = said
        rows = CONNECTION.execute(
            f"SELECT {sql} FROM (SELECT ? AS metadata)", [*parameters, json.dumps(metadata)]
        ).fetchall()
        assert rows == [(predicate(filter)(metadata),)]


@pytest.mark.parametrize(
    "filter",
    [
        {"a": {"$eq": [1]}},
        {"a": {"$gt": [1]}},
        {"a": [1, {"b": 2}]},
        {"a": float("inf")},
        {"a": 2**60},
        {"a": "\ud800"},
        {"a": list(range(1000))},
        {'"': 1},
        {"\n": 1},
        {"$or": [{"b": 1}, {"a": {"$ne": (1,)}}]},
        {"$not": {"a": {"$in": [[]]}}},
    ],
    ids=repr,
)
def test_what_sql_cannot_say_is_left_to_python(filter):
    assert where(parsed(filter)) is None


def test_most_filters_are_said_in_sql():
    sql, parameters = where(parsed({"year": {"$gte": 2000}, "by": ["ann", None]}))
    assert sql.count("metadata") >= 4
    assert parameters == [2000, "ann"]
