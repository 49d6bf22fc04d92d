"""`StructuredPrompt` and `PipelinePromptTemplate`: what they hand to a model."""

from __future__ import annotations

import pickle
from typing import Any

import langchain_core.prompts.structured
import pytest
from pydantic import BaseModel

from headrace.errors import ConfigError, MissingVariablesError
from headrace.language_models import FakeListChatModel
from headrace.messages import AIMessage, HumanMessage, SystemMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompt_values import ChatPromptValue, StringPromptValue
from headrace.prompts import (
    ChatPromptTemplate,
    MessagesPlaceholder,
    NoStructureError,
    PipelinePromptTemplate,
    PromptTemplate,
    StringPromptTemplate,
    StructuredPrompt,
)
from headrace.runnables import RunnableLambda, RunnablePassthrough, RunnableSequence
from laws.colours import every_colour


class Answer(BaseModel):
    name: str


class Model(FakeListChatModel):
    """Its structured output tells what it was asked for."""

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        def told(prompt: Any) -> Any:
            return (prompt.to_string(), schema, kwargs)

        return RunnableLambda(told) | RunnableLambda(list)


MODEL = Model(responses=["plain"])
EXPECTED = ["Human: hi X", Answer, {"method": "json_mode", "strict": True}]


def prompt(**more: Any) -> StructuredPrompt:
    return StructuredPrompt([("human", "hi {x}")], Answer, method="json_mode", strict=True, **more)


CHAINS: dict[str, Any] = {
    "or": lambda: prompt() | MODEL,
    "pipe": lambda: prompt().pipe(MODEL, RunnablePassthrough(), name="n"),
    "goes on": lambda: prompt() | MODEL | RunnablePassthrough(),
    "in a longer chain": lambda: {"x": RunnablePassthrough()} | prompt() | MODEL,
    "longer still": lambda: ({"x": RunnablePassthrough()} | prompt()).pipe(MODEL, list),
    "a bound model": lambda: {"x": RunnablePassthrough()} | prompt() | MODEL.bind(stop=["x"]),
    "a sequence": lambda: RunnableSequence(RunnablePassthrough(), prompt(), MODEL),
    "with a config": lambda: prompt().with_config(tags=["a"]) | MODEL,
    "partial": lambda: prompt().partial(y=1) | MODEL,
    "pickled": lambda: pickle.loads(pickle.dumps(prompt())) | MODEL,
}


@every_colour
@pytest.mark.parametrize("name", CHAINS)
def test_the_model_gets_the_schema(colour: Any, name: str) -> None:
    def body(doors: Any) -> None:
        chain, given = CHAINS[name](), {"x": "X"}
        value: Any = (
            "X" if name in ("in a longer chain", "longer still", "a bound model") else given
        )
        assert doors.invoke(chain, value) == EXPECTED
        assert doors.stream(chain, value)[-1] == EXPECTED
        assert doors.batch(chain, [value]) == [EXPECTED]

    colour.run(body)


def test_a_schema_is_given_once() -> None:
    chain = prompt() | MODEL
    again = RunnableSequence(RunnablePassthrough(), chain) | RunnablePassthrough()
    assert [type(step) for step in again.steps[1:-1]] == [type(step) for step in chain.steps]
    assert chain.invoke({"x": "X"}) == EXPECTED


class JsonModel(FakeListChatModel):
    """Its JSON mode changes nothing of the model, so its first step is the model as it is."""

    structured_modes = ("json_mode",)


@every_colour
def test_a_real_structured_output_streams_and_is_validated(colour: Any) -> None:
    def body(doors: Any) -> None:
        model = JsonModel(responses=['{"name": "Ann"}'])
        asked = StructuredPrompt(["{x}"], Answer, method="json_mode")
        for chain in (
            asked | model,
            {"x": RunnablePassthrough()} | asked | model,
            asked | model | (lambda a: a),
        ):
            assert doors.invoke(chain, {"x": 1}) == Answer(name="Ann")
        chunks = doors.stream(asked | model, {"x": 1})
        assert [name for name in dict.fromkeys(c.name for c in chunks) if name] == [
            "A",
            "An",
            "Ann",
        ]
        assert chunks[-1] == Answer(name="Ann")

    colour.run(body)


@pytest.mark.parametrize("wrong", [StrOutputParser(), str, {"a": str}, None])
def test_what_follows_must_be_a_model(wrong: Any) -> None:
    with pytest.raises(NoStructureError, match="with_structured_output"):
        _ = prompt() | wrong
    with pytest.raises(NotImplementedError):
        prompt().pipe()


@pytest.mark.filterwarnings("ignore:The class `StructuredPrompt` is in beta")
def test_the_ways_to_make_one() -> None:
    options = {"method": "json_schema"}
    schema = {"title": "a", "type": "object", "properties": {}}
    made: list[Any] = []
    for cls in (StructuredPrompt, langchain_core.prompts.structured.StructuredPrompt):
        prompts = [
            cls(["{x}"], schema),
            cls(["{x}"], schema=schema),
            cls(["{x}"], schema, structured_output_kwargs=options, strict=True),
            cls.from_messages_and_schema([("ai", "{x}")], schema, include_raw=True),
            cls(["{{x.y}}"], schema, template_format="mustache"),
            cls(["{x}"], schema, tags=["t"], name="n"),
        ]
        made.append(
            [(p.schema_, p.structured_output_kwargs, p.input_variables, p.tags) for p in prompts]
        )
    assert made[0] == made[1]
    assert options == {"method": "json_schema"}
    for nothing in (None, {}):
        with pytest.raises(ConfigError, match="schema"):
            StructuredPrompt(["{x}"], nothing)


def test_it_is_a_chat_prompt_that_keeps_its_schema() -> None:
    for other in (prompt() + "more", prompt().partial(x=1), prompt()[:1], prompt().model_copy()):
        assert isinstance(other, StructuredPrompt)
        assert other.schema_ is Answer
        assert other.structured_output_kwargs == {"method": "json_mode", "strict": True}
    assert prompt().invoke({"x": "X"}) == ChatPromptValue([HumanMessage("hi X")])
    with pytest.raises(MissingVariablesError):
        prompt().invoke({})


# ---- prompts of prompts ------------------------------------------------------------------------


def pipeline(**more: Any) -> PipelinePromptTemplate:
    return PipelinePromptTemplate(
        pipeline_prompts=[
            ("who", PromptTemplate.from_template("You are {name}.")),
            ("intro", PromptTemplate.from_template("{who} Be {mood}.")),
            ("past", ChatPromptTemplate([("ai", "I am {name}"), ("placeholder", "{more}")])),
        ],
        final_prompt=ChatPromptTemplate(
            [("system", "{intro}"), MessagesPlaceholder("past"), "{question}"]
        ),
        **more,
    )


@every_colour
def test_each_prompt_fills_a_variable_of_those_after_it(colour: Any) -> None:
    def body(doors: Any) -> None:
        made = pipeline()
        values = {"name": "Ann", "mood": "kind", "question": "{why}?", "unused": 1}
        expected = [
            SystemMessage("You are Ann. Be kind."), AIMessage("I am Ann"), HumanMessage("{why}?")
        ]  # fmt: skip
        assert doors.invoke(made, values) == ChatPromptValue(expected)
        assert doors.stream(made, values) == [ChatPromptValue(expected)]
        with_more = doors.invoke(made, {**values, "more": [("human", "and?")]})
        assert with_more.to_messages()[2] == HumanMessage("and?")
        assert doors.invoke(made.partial(name="Ann"), values) == ChatPromptValue(expected)

    colour.run(body)


async def test_a_pipeline_knows_its_variables() -> None:
    made = pipeline(partial_variables={"mood": lambda: "kind"})
    assert made.input_variables == ["name", "question"]
    assert made.optional_variables == ["more"]
    assert made.get_input_jsonschema()["required"] == ["name", "question"]
    assert made.OutputType is ChatPromptValue
    assert made.format(name="A", question="?") == await made.aformat(name="A", question="?")
    assert made.format(name="A", question="?").startswith("System: You are A. Be kind.\nAI: I am A")
    with pytest.raises(MissingVariablesError, match=r"'name'.*'nmae' for 'name'"):
        made.invoke({"nmae": "A", "question": "?"})
    assert "who = You are {name}." in made.pretty_repr()
    text = PipelinePromptTemplate(
        pipeline_prompts=[], final_prompt=PromptTemplate.from_template("{x}")
    )
    assert text.invoke("X") == StringPromptValue("X")


def test_a_prompt_of_ones_own_gets_what_it_knows() -> None:
    class Own(StringPromptTemplate):
        def format(self, topic: str) -> str:  # type: ignore[override]
            return topic.upper()

    made = PipelinePromptTemplate(
        pipeline_prompts=[("loud", Own(input_variables=["topic"]))],
        final_prompt=PromptTemplate.from_template("{loud} {x}"),
    )
    assert made.format(topic="hi", x="X") == "HI X"


@pytest.mark.parametrize("pairs", [[("a",)], ["ab"], [("a", "text")], [(1, PromptTemplate("a"))]])
def test_what_is_no_pipeline(pairs: Any) -> None:
    with pytest.raises(ConfigError, match="pairs"):
        PipelinePromptTemplate(pipeline_prompts=pairs, final_prompt=PromptTemplate("a"))
    twice = [("a", PromptTemplate("x")), ("a", PromptTemplate("y"))]
    with pytest.raises(ConfigError, match="'a'"):
        PipelinePromptTemplate(pipeline_prompts=twice, final_prompt=PromptTemplate("a"))
