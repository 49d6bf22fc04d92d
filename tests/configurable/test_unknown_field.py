"""A field that is not there: the error asks whether one that is like it was meant."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigError
from headrace.language_models import FakeListChatModel
from headrace.runnables import ConfigurableField


def test_a_field_that_is_like_it_is_named() -> None:
    model = FakeListChatModel(responses=["a"])
    with pytest.raises(
        ConfigError, match=r"'respones' .*\(did you mean 'responses'\?\): it has \["
    ):
        model.configurable_fields(respones=ConfigurableField(id="a"))
    with pytest.raises(
        ConfigError, match=r"has no field 'zzz' that could be configured: it has \["
    ):
        model.configurable_fields(zzz=ConfigurableField(id="a"))
