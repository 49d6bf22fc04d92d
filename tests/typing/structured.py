# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What `with_structured_output` gives is what the schema says."""

from typing import Any, assert_type

from pydantic import BaseModel
from typing_extensions import TypedDict

from headrace.language_models import FakeChatModel, LanguageModelInput
from headrace.runnables import Runnable


class Joke(BaseModel):
    setup: str


class JokeDict(TypedDict):
    setup: str


model = FakeChatModel()
assert_type(model.with_structured_output(Joke), Runnable[LanguageModelInput, Joke])
assert_type(model.with_structured_output(JokeDict).invoke("x"), JokeDict)
assert_type(model.with_structured_output(list[Joke]).invoke("x"), list[Joke])
assert_type(model.with_structured_output({"title": "x"}).invoke("x"), Any)
assert_type(model.with_structured_output(Joke, method="json_mode").invoke("x"), Joke)
assert_type(model.with_structured_output(Joke, include_raw=True).invoke("x"), dict[str, Any])
