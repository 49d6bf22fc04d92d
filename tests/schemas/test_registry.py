"""Every runnable of the registry answers the six questions about its types, truly: its input schema
takes the input that it is known to take, its output schema what it then gives."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.messages import BaseMessage
from headrace.outputs import Generation
from headrace.prompt_values import PromptValue
from laws.entry import Entry
from laws.registry import ENTRIES


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_answers_all(entry: Entry) -> None:
    runnable = entry.make()
    assert runnable.InputType is not None
    assert runnable.OutputType is not None
    for side in ("input", "output"):
        model = getattr(runnable, f"get_{side}_schema")()
        shown = getattr(runnable, f"get_{side}_jsonschema")()
        assert shown["title"] == model.__name__ == getattr(runnable, f"{side}_schema").__name__
        assert json.loads(json.dumps(shown)) == shown
        assert model.model_json_schema() == shown


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_is_true(entry: Entry, data: Any) -> None:
    value = data.draw(entry.kind.values)
    runnable = entry.make()
    runnable.get_input_schema().model_validate(value)
    output = asyncio.run(runnable.ainvoke(value))
    validated = runnable.get_output_schema().model_validate(output)
    if hasattr(validated, "root") and isinstance(output, (BaseMessage, PromptValue, Generation)):
        assert validated.root is output  # checked, not copied


def test_a_wrong_input_is_told() -> None:
    """The checks above can fail: most schemas are not `Any`."""
    closed = 0
    for entry in ENTRIES:
        try:
            entry.make().get_input_schema().model_validate(object())
        except ValueError:
            closed += 1
    assert closed > len(ENTRIES) // 4
