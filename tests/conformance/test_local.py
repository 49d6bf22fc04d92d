"""The embedded model does what is expected of chat models."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.local import ChatLocal
from headrace.testing import ChatModelConformance

pytestmark = pytest.mark.slow


class TestChatLocal(ChatModelConformance):
    structured_methods = ("json_schema", "function_calling")

    def make_model(self, **settings: Any) -> ChatLocal:
        return ChatLocal(**{"max_tokens": 60, **settings})
