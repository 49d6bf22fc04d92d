"""What an author's model takes and gives, where it is not what it must be: a sentence that says
which class, which method, what came and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.language_models import LLM, BaseChatModel, BaseLLM, SimpleChatModel
from headrace.language_models.bodies import ModelBodyError
from headrace.messages import AIMessage
from headrace.outputs import ChatGeneration, ChatResult, GenerationChunk, LLMResult
from laws.colours import every_colour


def model(base: type, **bodies: Any) -> Any:
    for name, body in bodies.items():
        body.__name__ = name
    return type("Mine", (base,), {"__module__": __name__, **bodies})()


def gives(value: Any) -> Any:
    return lambda self, asked, stop=None, run_manager=None, **kw: value


async def a_none(self: Any, asked: Any, stop: Any, run_manager: Any, **kw: Any) -> Any:
    return None


async def a_texts(self: Any, asked: Any, stop: Any, run_manager: Any, **kw: Any) -> Any:
    yield "piece"


def bare() -> Any:
    return lambda self, messages: ChatResult([ChatGeneration(message=AIMessage("hi"))])


WRONG: list[tuple[Any, str]] = [
    (model(LLM, _call=gives(None)), r"Mine\._call returned None \(NoneType\): return a string"),
    (model(LLM, _call=gives(3)), r"Mine\._call returned 3 \(int\): return a string"),
    (model(LLM, _call=bare()), r"Mine\._call does not take stop, run_manager: write `def _call\("),
    (model(BaseLLM, _generate=gives("x")), r"Mine\._generate returned 'x' \(str\): .*LLMResult"),
    (model(BaseLLM, _generate=gives(LLMResult(generations=[]))), "without generations"),
    (model(SimpleChatModel, _call=gives(None)), r"Mine\._call returned None"),
    (model(BaseChatModel, _generate=gives("x")), r"_generate returned 'x' \(str\): .*ChatResult"),
    (model(BaseChatModel, _generate=gives(ChatResult(generations=[]))), "without generations"),
    (model(BaseChatModel, _generate=bare()),
     r"Mine\._generate does not take stop, run_manager: write "
     r"`def _generate\(self, messages, stop=None, run_manager=None, \*\*kwargs\)`"),
]  # fmt: skip
WRONG_STREAMS: list[tuple[Any, str]] = [
    (model(BaseChatModel, _stream=gives(["a"])), "gave 'a' .str.: yield ChatGenerationChunk"),
    (model(BaseChatModel, _stream=gives([{"a": 1}])), "gave {'a': 1} .dict."),
    (model(BaseLLM, _stream=gives(["a"])), r"gave 'a' \(str\): yield GenerationChunk\(text"),
    (model(BaseLLM, _stream=gives(None)), r"Mine\._stream returned None .*give the chunks with"),
    (model(BaseChatModel, _stream=bare()), r"Mine\._stream does not take stop, run_manager"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG + WRONG_STREAMS)
@every_colour
def test_the_error_says_what_to_write(wrong: Any, said: str, colour: Any):
    def body(doors: Any) -> None:
        with pytest.raises(ModelBodyError, match=said):
            doors.invoke(wrong, "x")
        with pytest.raises(ModelBodyError, match=said):
            doors.stream(wrong, "x")

    colour.run(body)


async def test_async_bodies():
    with pytest.raises(ModelBodyError, match=r"Mine\._acall returned None"):
        await model(LLM, _acall=a_none).ainvoke("x")
    with pytest.raises(ModelBodyError, match=r"Mine\._agenerate returned None"):
        await model(BaseChatModel, _agenerate=a_none).ainvoke("x")
    with pytest.raises(ModelBodyError, match="gave 'piece'"):
        await model(BaseChatModel, _astream=a_texts).ainvoke("x")
    with pytest.raises(ModelBodyError, match=r"Mine\._astream returned <coroutine"):
        await model(BaseChatModel, _astream=a_none).ainvoke("x")


def test_errors_of_the_body_itself_come_as_they_are():
    def broken(self: Any, asked: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        return len(3)  # type: ignore[arg-type]

    for base, name in ((LLM, "_call"), (BaseLLM, "_generate"), (BaseChatModel, "_stream")):
        with pytest.raises(TypeError, match=r"object of type 'int' has no len\(\)") as caught:
            model(base, **{name: broken}).invoke("x")
        assert not isinstance(caught.value, ModelBodyError)


def test_an_attribute_error_of_the_body_is_its_own():
    def broken(self: Any, asked: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        yield GenerationChunk(text="a")
        raise AttributeError("mine")

    with pytest.raises(AttributeError, match=r"^mine"):
        list(model(BaseLLM, _stream=broken).stream("x"))
