"""Prompts as steps: streaming, async, events, explain, copies, and users' own classes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.documents import Document
from headrace.errors import InputError, MissingVariablesError
from headrace.events import RunStarted
from headrace.language_models import GenericFakeChatModel, ParrotFakeChatModel
from headrace.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompt_values import ChatPromptValue, PromptValue, StringPromptValue
from headrace.prompts import (
    BaseChatPromptTemplate,
    BaseMessagePromptTemplate,
    BasePromptTemplate,
    ChatPromptTemplate,
    DictPromptTemplate,
    HumanMessagePromptTemplate,
    ImagePromptTemplate,
    MessagesPlaceholder,
    PromptInputError,
    PromptTemplate,
    StringPromptTemplate,
    aformat_document,
    format_document,
)
from headrace.runnables import AddableDict, Runnable, RunnableLambda, RunnablePassthrough

SRC = Path(__file__).parents[2] / "src"

CHAT = ChatPromptTemplate([("system", "be {mood}"), ("placeholder", "{h}"), "{x}"])
TEXT = PromptTemplate.from_template("{mood} {x}")
GIVEN = {"mood": "M", "x": "X"}
SAID = ChatPromptValue([SystemMessage("be M"), HumanMessage("X")])

COLOURS = ["invoke", "stream", "transform", "ainvoke", "astream", "atransform", "batch", "abatch"]


async def run(runnable: Runnable[Any, Any], door: str, value: Any, config: Any = None) -> Any:
    """The one output of a runnable, by any of its doors."""
    if door.endswith("invoke"):
        made = getattr(runnable, door)(value, config)
        return await made if door[0] == "a" else made
    if door.endswith("batch"):
        made = getattr(runnable, door)([value], config)
        return (await made if door[0] == "a" else made)[0]
    if door == "transform":
        value = iter([value])
    if door == "atransform":

        async def source(only: Any = value) -> Any:
            yield only

        value = source()
    stream = getattr(runnable, door)(value, config)
    chunks = [c async for c in stream] if door[0] == "a" else list(stream)
    assert len(chunks) == 1
    return chunks[0]


# ---- as steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("door", COLOURS)
async def test_every_door(door: str) -> None:
    assert await run(CHAT, door, GIVEN) == SAID
    assert await run(TEXT, door, GIVEN) == StringPromptValue("M X")
    assert await run(CHAT | (lambda value: value.to_string()), door, GIVEN) == SAID.to_string()
    both: Any = {"x": RunnablePassthrough(), "mood": lambda _: "M"} | CHAT
    assert await run(both, door, "X") == SAID
    with pytest.raises(MissingVariablesError):
        await run(CHAT, door, {"x": 1})
    with pytest.raises(PromptInputError):
        await run(TEXT | str, door, "bare")


async def test_a_model_gets_the_messages_and_streams_on() -> None:
    model = ParrotFakeChatModel()
    chain = ChatPromptTemplate.from_template("say {x}") | model | StrOutputParser()
    assert chain.invoke("hi") == await chain.ainvoke("hi") == "say hi"
    fake = GenericFakeChatModel(messages=iter([AIMessage("one two"), AIMessage("one two")]))
    chain = CHAT | fake | StrOutputParser()
    assert list(chain.stream(GIVEN)) == ["one", " ", "two"]
    assert [chunk async for chunk in chain.astream(GIVEN)] == ["one", " ", "two"]


async def test_input_in_chunks_is_collected() -> None:
    def letters(text: str) -> Iterator[AddableDict]:
        for letter in text:
            yield AddableDict(x=letter)

    chain = RunnableLambda(letters) | CHAT.partial(mood="M")
    assert list(chain.stream("abc")) == [
        ChatPromptValue([SystemMessage("be M"), HumanMessage("abc")])
    ]
    assert [c async for c in chain.astream("abc")] == list(chain.stream("abc"))


def test_nothing_runs_before_the_input_is_checked() -> None:
    called: list[Any] = []
    chain = TEXT | called.append
    with pytest.raises(PromptInputError, match="takes a dict"):
        chain.invoke("bare")
    with pytest.raises(MissingVariablesError):
        list(chain.stream({"x": 1}))
    assert called == []


def test_the_step_that_failed_is_noted() -> None:
    with pytest.raises(MissingVariablesError) as caught:
        (RunnablePassthrough() | CHAT).invoke({})
    assert any("2:ChatPromptTemplate" in note for note in caught.value.__notes__)


def test_explain() -> None:
    steps = list((CHAT | str).explain())
    assert [(s.name, s.type, s.kind, s.advice) for s in steps][1] == (
        "ChatPromptTemplate",
        "prompt",
        "barrier",
        "",
    )


class Seen:
    """An observer that keeps the runs that started."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, Any]] = []

    def on_event(self, event: Any) -> None:
        if isinstance(event, RunStarted):
            self.runs.append((event.run.path, event.run.run_type, event.input))


@pytest.mark.parametrize("door", COLOURS)
async def test_events_say_prompt(door: str) -> None:
    seen = Seen()
    assert await run(CHAT, door, GIVEN, {"callbacks": [seen]}) == SAID
    assert [(path, kind) for path, kind, _ in seen.runs] == [("ChatPromptTemplate", "prompt")]
    if "transform" not in door:
        assert seen.runs[0][2] == GIVEN


def test_names() -> None:
    named = PromptTemplate.from_template("{x}", name="joke")
    assert named.get_name() == "joke"
    assert named.partial(y=1).get_name() == "joke"
    assert TEXT.get_name() == "PromptTemplate"


# ---- as values ---------------------------------------------------------------------------------

EVERY: list[Any] = [
    TEXT.partial(mood="a"),
    PromptTemplate.from_template("{{x}}", template_format="mustache"),
    PromptTemplate.from_template("{{x}}", template_format="jinja2"),
    CHAT.partial(mood="M"),
    ChatPromptTemplate(["{x}", HumanMessage("m"), MessagesPlaceholder("h", optional=True)]),
    ChatPromptTemplate([("human", ["{x}", {"image_url": "u"}, {"a": "{x}"}])]),
    ImagePromptTemplate({"url": "{x}"}),
    DictPromptTemplate({"a": "{x}"}),
]


@pytest.mark.parametrize("prompt", EVERY, ids=lambda prompt: type(prompt).__name__)
def test_prompts_copy_and_pickle(prompt: Any) -> None:
    value = prompt.invoke({"x": "X"})
    for other in (copy.copy(prompt), copy.deepcopy(prompt), pickle.loads(pickle.dumps(prompt))):
        assert type(other) is type(prompt)
        assert other == prompt
        assert other.invoke({"x": "X"}) == value


def test_prompts_compare_by_their_fields() -> None:
    assert ChatPromptTemplate(["{x}"]) == ChatPromptTemplate.from_template("{x}")
    assert ChatPromptTemplate(["{x}"]) != ChatPromptTemplate(["{y}"])
    assert TEXT.partial(x=1) != TEXT


def test_a_deep_copy_is_apart() -> None:
    other = copy.deepcopy(CHAT)
    other.append("more")
    assert len(other) == len(CHAT) + 1


def test_output_lists_are_fresh() -> None:
    prompt = ChatPromptTemplate([HumanMessage("a"), MessagesPlaceholder("h")])
    history = [AIMessage("b")]
    prompt.invoke({"h": history}).messages.append(HumanMessage("c"))
    assert len(prompt.invoke({"h": history}).messages) == 2
    assert history == [AIMessage("b")]


# ---- images, dicts, documents ------------------------------------------------------------------


async def test_image_prompts() -> None:
    image = ImagePromptTemplate({"url": "http://{x}", "detail": "low"})
    assert image.input_variables == ["x"]
    assert image.format(x="a") == {"url": "http://a", "detail": "low"}
    assert (await image.aformat_prompt(x="a")).to_string() == "http://a"
    assert image.invoke("a") == image.format_prompt(x="a")
    assert ImagePromptTemplate().format(url="u", detail="high") == {"url": "u", "detail": "high"}
    assert image.partial(x="p").format() == {"url": "http://p", "detail": "low"}


async def test_dict_prompts() -> None:
    prompt = DictPromptTemplate({"a": "{x}", "b": ["{y}", 1], "c": ("{x}",)})
    assert prompt.input_variables == ["x", "y"]
    expected = {"a": "X", "b": ["Y", 1], "c": ("X",)}
    assert prompt.format(x="X", y="Y") == await prompt.aformat(x="X", y="Y") == expected
    assert prompt.invoke({"x": "X", "y": "Y"}) == expected
    with pytest.raises(MissingVariablesError, match="'y'"):
        prompt.invoke({"x": "X"})
    with pytest.raises(PromptInputError, match="takes a dict"):
        prompt.invoke("X")


async def test_documents_as_text() -> None:
    prompt = PromptTemplate.from_template("{page}: {page_content}")
    doc = Document("text", metadata={"page": 3, "other": 4})
    assert format_document(doc, prompt) == "3: text"
    assert await aformat_document(doc, prompt) == "3: text"
    with pytest.raises(InputError, match=r"needs the metadata \['page'\].*\['title'\]"):
        format_document(Document("text", metadata={"title": "t"}), prompt)


# ---- users' own classes ------------------------------------------------------------------------


class Shouting(StringPromptTemplate):
    """Written as for LangChain."""

    def format(self, **kwargs: Any) -> str:
        kwargs = self._merge_partial_and_user_variables(**kwargs)
        return str(kwargs["x"]).upper()


class Patient(Shouting):
    async def aformat(self, **kwargs: Any) -> str:
        return "awaited " + self.format(**kwargs)


class Rhyming(PromptTemplate):
    def format(self, **kwargs: Any) -> str:
        return super().format(**kwargs) + " and " + super().format(**kwargs)


class Polite(ChatPromptTemplate):
    def format_messages(self, **kwargs: Any) -> list[BaseMessage]:
        return [*super().format_messages(**kwargs), HumanMessage("please")]


class Echo(BaseChatPromptTemplate):
    def format_messages(self, **kwargs: Any) -> list[BaseMessage]:
        return [HumanMessage(kwargs["x"])]


class Twice(BaseMessagePromptTemplate):
    """A template of messages with an async side of its own."""

    @property
    def input_variables(self) -> list[str]:
        return ["x"]

    def format_messages(self, **kwargs: Any) -> list[BaseMessage]:
        return [HumanMessage(kwargs["x"])] * 2

    async def aformat_messages(self, **kwargs: Any) -> list[BaseMessage]:
        return [AIMessage(kwargs["x"])] * 2


class Raw(BasePromptTemplate[str]):
    def format(self, **kwargs: Any) -> str:
        return "never called"

    def format_prompt(self, **kwargs: Any) -> PromptValue:
        return StringPromptValue(f"raw {kwargs['x']}")


class Mixin:
    def format(self, **kwargs: Any) -> str:
        return "mixed in"


class Mixed(Mixin, PromptTemplate):
    pass


class Invoked(PromptTemplate):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> PromptValue:
        return StringPromptValue("invoked " + super().invoke(input, config).to_string())


def human(prompt: StringPromptTemplate) -> ChatPromptTemplate:
    return ChatPromptTemplate([HumanMessagePromptTemplate(prompt=prompt)])


OWN: list[tuple[Any, str, str]] = [
    (Shouting(input_variables=["x"]), "A", "A"),
    (human(Shouting(input_variables=["x"])), "Human: A", "Human: A"),
    (Patient(input_variables=["x"]), "A", "awaited A"),
    (human(Patient(input_variables=["x"])), "Human: A", "Human: awaited A"),
    (Rhyming.from_template("{x}"), "a and a", "a and a"),
    (human(Rhyming.from_template("{x}")), "Human: a and a", "Human: a and a"),
    (Polite.from_template("{x}"), "Human: a\nHuman: please", "Human: a\nHuman: please"),
    (ChatPromptTemplate([Polite.from_template("{x}")]), *["Human: a\nHuman: please"] * 2),
    (Echo(input_variables=["x"]), "Human: a", "Human: a"),
    (ChatPromptTemplate([Twice()]), "Human: a\nHuman: a", "AI: a\nAI: a"),
    (Raw(input_variables=["x"]), "raw a", "raw a"),
    (Mixed.from_template("{x}"), "mixed in", "mixed in"),
]


@pytest.mark.parametrize("door", COLOURS)
@pytest.mark.parametrize(
    ("prompt", "sync", "async_"), OWN, ids=lambda o: o if isinstance(o, str) else type(o).__name__
)
async def test_own_formatting_is_used_by_every_door(
    prompt: Any, sync: str, async_: str, door: str
) -> None:
    expected = async_ if door[0] == "a" else sync
    assert (await run(prompt, door, {"x": "a"})).to_string() == expected
    assert await run(prompt | (lambda v: v.to_string()), door, "a") == expected
    seen = Seen()
    parallel: Any = {"p": prompt, "q": RunnablePassthrough()} | RunnableLambda(lambda d: d["p"])
    made = await run(parallel, door, "a", {"callbacks": [seen]})
    assert made.to_string() == expected
    kinds = [kind for path, kind, _ in seen.runs if path.endswith(type(prompt).__name__)]
    assert kinds[:1] == ["prompt"]


@pytest.mark.parametrize("door", COLOURS)
async def test_an_own_invoke_is_used_in_chains(door: str) -> None:
    chain = Invoked.from_template("{x}") | (lambda value: value.to_string())
    assert await run(chain, door, "a") == "invoked a"


@pytest.mark.parametrize("door", COLOURS)
async def test_what_own_formatting_invokes_is_a_child(door: str) -> None:
    inner = RunnableLambda(lambda text: text + "!", name="inner")

    class Calling(StringPromptTemplate):
        def format(self, **kwargs: Any) -> str:
            return str(inner.invoke(kwargs["x"]))

    seen = Seen()
    config = {"callbacks": [seen]}
    assert (await run(Calling(input_variables=["x"]), door, "a", config)).to_string() == "a!"
    assert [path for path, _, _ in seen.runs] == ["Calling", "Calling/inner"]


def test_own_formatting_gets_its_partials() -> None:
    assert Shouting(input_variables=["x"]).partial(x=lambda: "a").invoke({}).to_string() == "A"


def test_own_fields_survive_partial_and_adding() -> None:
    class Tagged(ChatPromptTemplate):
        label: str = "none"

    prompt = Tagged(["{x}"], label="mine")
    assert isinstance(prompt.partial(x=1), Tagged)
    assert (prompt + "more").label == "mine"
    assert prompt.partial(x=1).label == "mine"


# ---- cost --------------------------------------------------------------------------------------


def test_importing_prompts_loads_nothing_heavy() -> None:
    code = "import sys, headrace.prompts; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"jinja2", "numpy", "html", "yaml", "rich", "langchain_core", "tenacity", "httpx"}
    assert "pydantic" in done.stdout.split()
    assert heavy.isdisjoint(done.stdout.split())


def test_invoke_validates_nothing_and_calls_few_functions() -> None:
    prompt = ChatPromptTemplate.from_template("tell me a joke about {topic}")
    prompt.invoke("warm")
    calls: list[str] = []

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(profile)
    try:
        prompt.invoke({"topic": "rain"})
    finally:
        sys.setprofile(None)
    assert not [name for name in calls if "BaseModel" in name or "validate" in name]
    assert len(calls) <= 16, calls
