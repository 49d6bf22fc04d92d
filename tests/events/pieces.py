"""Steps for both libraries: each function makes one from a namespace `m`, the names of either."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from functools import cache
from itertools import cycle
from types import SimpleNamespace
from typing import Any

NAMES = {
    "runnables": """ConfigurableField RouterRunnable Runnable RunnableBranch RunnableGenerator
        RunnableLambda RunnableParallel RunnablePassthrough RunnablePick chain""",
    "messages": "AIMessage AIMessageChunk HumanMessage",
    "prompts": "ChatPromptTemplate MessagesPlaceholder PromptTemplate",
    "outputs": "GenerationChunk",
    "output_parsers": """BaseOutputParser CommaSeparatedListOutputParser JsonOutputParser
        StrOutputParser""",
    "language_models": """BaseChatModel FakeListChatModel FakeListLLM FakeStreamingListLLM LLM
        GenericFakeChatModel ParrotFakeChatModel""",
    "documents": "Document",
    "tools": "tool",
    "callbacks.manager": "adispatch_custom_event dispatch_custom_event",
    "retrievers": "BaseRetriever",
    "chat_history": "InMemoryChatMessageHistory",
    "runnables.history": "RunnableWithMessageHistory",
}


def _library(package: str) -> Any:
    found: dict[str, Any] = {"library": package}
    for module, names in NAMES.items():
        imported = importlib.import_module(f"{package}.{module}")
        found.update({name: getattr(imported, name) for name in names.split()})
    return SimpleNamespace(**found)


@cache
def libraries() -> tuple[Any, Any]:
    """langchain-core, Headrace."""
    return _library("langchain_core"), _library("headrace")


def up(text: str) -> str:
    return text.upper()


def bang(text: str) -> str:
    return text + "!"


def fails(value: Any) -> Any:
    raise ValueError(f"cannot take {value!r}")


async def abang(text: str) -> str:
    return text + "!"


def spell(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield from chunk


async def aspell(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async for chunk in chunks:
        for letter in chunk:
            yield letter


def spells_then_fails(chunks: Iterator[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk[0]
        raise KeyError(chunk)


async def aspells_then_fails(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk[0]
        raise KeyError(chunk)


def fn(m: Any, function: Any, name: str | None = None) -> Any:
    return m.RunnableLambda(function, name=name)


def letters(m: Any) -> Any:
    return m.RunnableGenerator(spell, aspell, name="letters")


def breaks(m: Any) -> Any:
    return m.RunnableGenerator(spells_then_fails, aspells_then_fails, name="breaks")


def prompt(m: Any) -> Any:
    return m.ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{q}")])


def longer(m: Any) -> Any:
    return m.ChatPromptTemplate.from_messages([("human", "Tell me more of {q}")])


def chat(m: Any, text: str = "hello big world", **more: Any) -> Any:
    return m.GenericFakeChatModel(messages=cycle([m.AIMessage(content=text)]), **more)


def spelled(m: Any, **more: Any) -> Any:
    return m.FakeListChatModel(responses=["abc"], **more)


def whole_model(m: Any) -> Any:
    """A chat model that does not stream."""
    return m.ParrotFakeChatModel()


def llm(m: Any) -> Any:
    return m.FakeListLLM(responses=["abc"])


def telling_llm(m: Any) -> Any:
    """A text model that streams and tells its tokens, as LangChain asks authors to."""

    def piece(text: str) -> Any:
        return m.GenerationChunk(text=text)

    class Telling(m.LLM):  # type: ignore[misc, name-defined]
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **k: Any) -> str:
            return "ab"

        async def _astream(
            self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> AsyncIterator[Any]:
            for letter in "ab":
                await run_manager.on_llm_new_token(letter, chunk=piece(letter))
                yield piece(letter)

        def _stream(
            self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            for letter in "ab":
                run_manager.on_llm_new_token(letter, chunk=piece(letter))
                yield piece(letter)

        @property
        def _llm_type(self) -> str:
            return "telling"

    return Telling()


def parser(m: Any) -> Any:
    return m.StrOutputParser()


def documents(m: Any) -> Any:
    class Documents(m.BaseRetriever):  # type: ignore[misc, name-defined]
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            return [m.Document(page_content=query), m.Document(page_content="b", metadata={"k": 1})]

    return Documents()


def lost(m: Any) -> Any:
    class Lost(m.BaseRetriever):  # type: ignore[misc, name-defined]
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            raise OSError("no such index")

    return Lost()


def words(m: Any) -> Any:
    class Words(m.BaseOutputParser):  # type: ignore[misc, name-defined]
        def parse(self, text: str) -> list[str]:
            return text.split()

    return Words()


def picky(m: Any) -> Any:
    class Picky(m.BaseOutputParser):  # type: ignore[misc, name-defined]
        def parse(self, text: str) -> list[str]:
            raise ValueError(f"cannot parse {text!r}")

    return Picky()


def calling(m: Any, how: str) -> Any:
    """A function that calls a chain: `how` is the door, "passed" hands the config on by hand."""
    inner = fn(m, up, "up") | fn(m, bang, "bang")

    def invokes(text: str) -> str:
        return inner.invoke(text)  # type: ignore[no-any-return]

    def invokes_passed(text: str, config: Any) -> str:
        return inner.invoke(text, config)  # type: ignore[no-any-return]

    async def ainvokes(text: str) -> str:
        return await inner.ainvoke(text)  # type: ignore[no-any-return]

    async def ainvokes_passed(text: str, config: Any) -> str:
        return await inner.ainvoke(text, config)  # type: ignore[no-any-return]

    async def astreams(text: str) -> str:
        return "".join([chunk async for chunk in inner.astream(text)])

    def streams_passed(text: str, config: Any) -> str:
        return "".join(inner.stream(text, config))

    def returns(text: str) -> Any:
        return inner

    found = [invokes, invokes_passed, ainvokes, ainvokes_passed, astreams, streams_passed, returns]
    return fn(m, next(function for function in found if function.__name__ == how), "outer")


def asks(m: Any, how: str) -> Any:
    """A function that asks a model."""
    model = chat(m)

    def invokes(value: Any, config: Any) -> Any:
        return model.invoke(value, config)

    async def ainvokes(value: Any) -> Any:
        return await model.ainvoke(value)

    async def astreams(value: Any) -> Any:
        return "".join([chunk.content async for chunk in model.astream(value)])

    found = [invokes, ainvokes, astreams]
    return fn(m, next(function for function in found if function.__name__ == how), "outer")


def chained(m: Any) -> Any:
    @m.chain  # type: ignore[untyped-decorator]
    async def talk(text: str) -> str:
        first = await prompt(m).ainvoke({"q": text})
        answer = await chat(m).ainvoke(first)
        return await parser(m).ainvoke(answer)  # type: ignore[no-any-return]

    return talk


def flaky(m: Any, times: int = 1) -> Any:
    calls: list[str] = []

    def sometimes(text: str) -> str:
        calls.append(text)
        if len(calls) <= times:
            raise ValueError("not yet")
        return text + "!"

    return fn(m, sometimes)


def retried(m: Any, step: Any, **more: Any) -> Any:
    return step.with_retry(wait_exponential_jitter=False, **more)


def talked(m: Any) -> Any:
    kept: dict[str, Any] = {}

    def session(session_id: str) -> Any:
        return kept.setdefault(session_id, m.InMemoryChatMessageHistory())

    asked = m.ChatPromptTemplate.from_messages(
        [m.MessagesPlaceholder(variable_name="past"), ("human", "{q}")]
    )
    return m.RunnableWithMessageHistory(
        asked | chat(m), session, input_messages_key="q", history_messages_key="past"
    )


def routed(m: Any) -> Any:
    return m.RouterRunnable({"up": fn(m, up), "bang": fn(m, bang)})


def chosen(m: Any) -> Any:
    return prompt(m).configurable_alternatives(
        m.ConfigurableField(id="which"), default_key="brief", long=longer(m)
    )


def adding(m: Any) -> Any:
    @m.tool  # type: ignore[untyped-decorator]
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    return add


def aadding(m: Any) -> Any:
    @m.tool  # type: ignore[untyped-decorator]
    async def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    return add


def calling_tool(m: Any) -> Any:
    """A tool that runs a chain, with nothing passed by hand."""

    @m.tool  # type: ignore[untyped-decorator]
    async def talk(text: str) -> str:
        """Talks."""
        return await (prompt(m) | chat(m) | parser(m)).ainvoke({"q": text})  # type: ignore[no-any-return]

    return talk


def failing_tool(m: Any) -> Any:
    @m.tool  # type: ignore[untyped-decorator]
    def fail(a: int) -> int:
        """Fails."""
        raise ValueError(f"no {a}")

    return fail


def called(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": "call-1", "type": "tool_call"}


def reporting(m: Any) -> Any:
    def report(text: str, config: Any) -> str:
        m.dispatch_custom_event("first", {"text": text}, config=config)
        m.dispatch_custom_event("second", 2, config=config)
        return text

    return fn(m, report)


def areporting(m: Any) -> Any:
    async def report(text: str) -> str:
        await m.adispatch_custom_event("first", {"text": text})
        return text

    return fn(m, report)


def reporting_tool(m: Any) -> Any:
    @m.tool  # type: ignore[untyped-decorator]
    async def add(a: int) -> int:
        """Adds one."""
        await m.adispatch_custom_event("adding", {"to": a})
        return a + 1

    return add


def generating(m: Any) -> Any:
    model = chat(m)

    async def talk(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        async for chunk in chunks:
            async for piece in model.astream(chunk):
                yield piece.content

    return m.RunnableGenerator(talk)


def gathering(m: Any) -> Any:
    async def outer(text: str) -> Any:
        steps = [fn(m, up), fn(m, bang), prompt(m).pipe(chat(m)).with_config(run_name="chain")]
        inputs = [text, text, {"q": text}]
        given = zip(steps, inputs, strict=True)
        return (await asyncio.gather(*(step.ainvoke(value) for step, value in given)))[0]

    return fn(m, outer)


def batching(m: Any) -> Any:
    async def outer(texts: list[str]) -> Any:
        return await fn(m, bang).abatch(texts)

    return fn(m, outer)


def own_class(m: Any) -> Any:
    class Doubling(m.Runnable):  # type: ignore[misc, name-defined]
        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> str:
            return (fn(m, up) | fn(m, bang)).invoke(input, config) * 2  # type: ignore[no-any-return]

    return Doubling()


def configured(m: Any) -> Any:
    field = m.ConfigurableField(id="answers")
    answers = cycle([m.AIMessage(content="Goodbye world")])
    return (
        chat(m).configurable_fields(messages=field).with_config(configurable={"answers": answers})
    )


def is_short(text: str) -> bool:
    return len(text) < 3
