"""Parameters of an answer: those of the model, those of a call, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from headrace.errors import InputError
from headrace.local.sampling import Sampling

SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}


def test_a_call_replaces_the_model_s_and_adds_stops():
    model = Sampling(temperature=0.5, max_tokens=9, stop="END")
    assert model._for_call(None, {}) == {"temperature": 0.5, "max_tokens": 9, "stop": ["END"]}
    assert model._for_call(["\n", "END"], {"temperature": 0, "seed": 3, "max_tokens": None}) == {
        "temperature": 0.0,
        "seed": 3,
        "stop": ["END", "\n"],
    }
    assert model._for_call(None, {"stop": "x", "response_format": SCHEMA})["stop"] == ["x"]
    assert Sampling()._for_call(None, {}) == {"temperature": 0.0, "max_tokens": 256}
    assert model.stop == ["END"]


def test_an_unknown_parameter_is_a_type_error_that_lists_the_known():
    with pytest.raises(TypeError, match=r"takes no 'tools'; for one call .*temperature, seed"):
        Sampling()._for_call(None, {"tools": []})


FAULTS = {
    "temperature": (-1, float("nan"), float("inf"), "hot"),
    "seed": (-1, 2**32 - 1, "x"),
    "max_tokens": (0, -1, 2**31),
    "stop": ([""], "", 5, [1]),
    "response_format": (
        {"type": "nope"},
        {},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "x"}},
        "json",
    ),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FAULTS.items() for value in values]
)
def test_what_is_out_of_range_is_refused_on_the_model_and_in_a_call(name, value):
    with pytest.raises(ValidationError):
        Sampling(**{name: value})
    with pytest.raises(InputError, match=f"ChatLocal cannot use {name}"):
        Sampling()._for_call(None, {name: value})
