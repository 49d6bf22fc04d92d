"""`ChatModelConformance` for each of our classes, over a server that does what is asked.

Slow are those who differ from another one in names and addresses alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from headrace.errors import ConfigError
from headrace.language_models import BaseChatModel
from headrace.testing import ChatModelConformance
from providers.models import KEY
from wires.answering import answering
from wires.wire import model


class Conformance(ChatModelConformance):
    """Those who derive from it name a dialect."""

    __test__ = False
    dialect: ClassVar[str]
    structured_methods = ("json_schema", "function_calling", "json_mode")
    reads_images = True
    secret = KEY

    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        self.made: list[Any] = []
        with answering(self.dialect) as self.url:
            yield
            for each in self.made:
                each.close()

    def make_model(self, **settings: Any) -> BaseChatModel:
        ours: BaseChatModel = model(self.dialect, self.url, **settings)
        self.made.append(ours)
        return ours


class TestOpenAI(Conformance):
    __test__ = True
    dialect = "openai"


class TestResponses(Conformance):
    """The Responses API has no `stop`."""

    __test__ = True
    dialect = "responses"

    def test_texts_that_end_an_answer(self) -> None:
        """Asking for that is an error."""
        with pytest.raises(ConfigError, match="stop"):
            self.make_model().invoke("Count from 1 to 20.", stop=["e"])


class TestAzure(Conformance):
    __test__ = True
    dialect = "azure"


class TestAnthropic(Conformance):
    """There is no mode for any JSON."""

    __test__ = True
    dialect = "anthropic"
    structured_methods = ("json_schema", "function_calling")


class TestGemini(Conformance):
    __test__ = True
    dialect = "gemini"


@pytest.mark.slow
class TestVertex(Conformance):
    __test__ = True
    dialect = "vertex"
    secret = "a-token"  # of the credentials


class TestCohere(Conformance):
    __test__ = True
    dialect = "cohere"


@pytest.mark.slow
class TestNVIDIA(Conformance):
    __test__ = True
    dialect = "nvidia"


@pytest.mark.slow
class TestFireworks(Conformance):
    __test__ = True
    dialect = "fireworks"


class TestGroq(Conformance):
    __test__ = True
    dialect = "groq"


class TestMistral(Conformance):
    __test__ = True
    dialect = "mistral"


@pytest.mark.slow
class TestTogether(Conformance):
    __test__ = True
    dialect = "together"
