"""Chains written once for two libraries: `build(lib)` takes every name from `lib`.

`SAME`: both describe them alike. `BETTER`: Headrace says more, or what is true; the key is the
anchor of the row in docs/differences.md, and what Headrace says is written out.

Annotations here are no strings (no `from __future__ import annotations`): langchain-core cannot
read those of functions.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from operator import itemgetter
from typing import Any

from pydantic import BaseModel
from typing_extensions import TypedDict


class Question(BaseModel):
    question: str
    limit: int = 3


class Asked(TypedDict):
    question: str
    limit: int


def length(text: str) -> int:
    return len(text)


async def alength(text: str) -> int:
    return len(text)


def shout(asked: Asked) -> str:
    return asked["question"].upper()


def answer(question: Question) -> dict[str, int]:
    return {question.question: question.limit}


def untyped(value):  # type: ignore[no-untyped-def]
    return (value["variable"], value.get("other"))


def two_keys(value):  # type: ignore[no-untyped-def]
    inner = {"of": 1}
    return value["a"], inner["of"], value["b"]


def counted(texts: Iterator[str]) -> Iterator[int]:
    for text in texts:
        yield len(text)


async def acounted(texts: AsyncIterator[str]) -> AsyncIterator[int]:
    async for text in texts:
        yield len(text)


def letters(text: str) -> Iterator[str]:
    yield from text


subscript = lambda x: x["foo"]  # noqa: E731 - langchain-core needs a lambda in a line of its own

Build = Callable[[Any], Any]


def _prompt(lib: Any, text: str = "{context} {question}") -> Any:
    return lib.PromptTemplate.from_template(text)


def _fake(lib: Any) -> Any:
    return lib.FakeListLLM(responses=["a"])


def _retriever(lib: Any) -> Any:
    class Finder(lib.BaseRetriever):  # type: ignore[misc,name-defined]
        def _get_relevant_documents(self, query: str, *, run_manager: Any = None) -> list[Any]:
            return []

    return Finder()


def _own(lib: Any) -> Any:
    class Own(lib.Runnable[str, int]):  # type: ignore[misc,name-defined]
        def invoke(self, input: str, config: Any = None, **kwargs: Any) -> int:
            return len(input)

    return Own()


def _own_types(lib: Any) -> Any:
    class Own(lib.Runnable[Any, Any]):  # type: ignore[misc,name-defined]
        @property
        def InputType(self) -> Any:
            return dict[str, int]

        @property
        def OutputType(self) -> Any:
            return list[float]

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return input

    return Own()


def _own_models(lib: Any) -> Any:
    class Own(lib.Runnable[Any, Any]):  # type: ignore[misc,name-defined]
        def get_input_schema(self, config: Any = None) -> Any:
            return Question

        def get_output_schema(self, config: Any = None) -> Any:
            return Question

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            return input

    return Own()


def _strings(lib: Any) -> Any:
    class Flag(lib.BaseOutputParser[bool]):  # type: ignore[misc,name-defined]
        def parse(self, text: str) -> bool:
            return bool(text)

    return Flag()


SAME: dict[str, Build] = {
    "lambda": lambda lib: lib.RunnableLambda(length),
    "lambda-async": lambda lib: lib.RunnableLambda(alength),
    "lambda-both": lambda lib: lib.RunnableLambda(length, alength),
    "lambda-typed-dict": lambda lib: lib.RunnableLambda(shout),
    "lambda-model": lambda lib: lib.RunnableLambda(answer),
    "lambda-streams": lambda lib: lib.RunnableLambda(letters),
    "lambda-named": lambda lib: lib.RunnableLambda(length, name="Measure"),
    "lambda-keys": lambda lib: lib.RunnableLambda(untyped),
    "lambda-two-keys": lambda lib: lib.RunnableLambda(two_keys),
    "lambda-subscript": lambda lib: lib.RunnableLambda(subscript),
    "lambda-unknown": lambda lib: lib.RunnableLambda(lambda x: x),
    "itemgetter": lambda lib: lib.RunnableLambda(itemgetter("one", "two")),
    "itemgetter-number": lambda lib: lib.RunnableLambda(itemgetter(0)),
    "generator": lambda lib: lib.RunnableGenerator(counted),
    "generator-async": lambda lib: lib.RunnableGenerator(acounted),
    "passthrough": lambda lib: lib.RunnablePassthrough(),
    "passthrough-typed": lambda lib: lib.RunnablePassthrough(input_type=int),
    "pick": lambda lib: lib.RunnablePick("a"),
    "prompt-input": lambda lib: _prompt(lib) | _fake(lib),
    "prompt-reserved": lambda lib: _prompt(lib, "{json} {_private} {model_dump}") | _fake(lib),
    "prompt-partial": lambda lib: _prompt(lib).partial(context="c") | _fake(lib),
    "chat-prompt": lambda lib: lib.ChatPromptTemplate.from_messages(
        [("system", "Be {tone}."), ("human", "{question}")]) | _fake(lib),
    "retriever": _retriever,
    "retriever-chain": lambda lib: lib.RunnableLambda(itemgetter("q")) | _retriever(lib),
    "parser": lambda lib: _prompt(lib) | _fake(lib) | _strings(lib),
    "bound": lambda lib: lib.RunnableLambda(length).bind(a=1).with_config(tags=["t"]),
    "retry": lambda lib: lib.RunnableLambda(length).with_retry(),
    "fallbacks": lambda lib: lib.RunnableLambda(length).with_fallbacks(
        [lib.RunnableLambda(alength)]),
    "with-types": lambda lib: lib.RunnableLambda(lambda x: x).with_types(
        input_type=int, output_type=list[str]),
    "with-types-model": lambda lib: lib.RunnableLambda(lambda x: x).with_types(
        input_type=Question),
    "with-types-chain": lambda lib: (_prompt(lib) | _fake(lib)).with_types(input_type=str),
    "own": _own,
    "own-chain": lambda lib: _own(lib) | length,
    "own-types": _own_types,
    "own-types-chain": lambda lib: _own_types(lib) | lib.RunnablePassthrough() | _own_types(lib),
    "own-models": _own_models,
    "own-models-chain": lambda lib: _own_models(lib) | length,
    "parallel-keys": lambda lib: lib.RunnableParallel(
        a=subscript, b=itemgetter("two"), c=subscript),
    "parallel-types": lambda lib: lib.RunnableParallel(a=length, b=alength),
    "parallel-typed-dict": lambda lib: lib.RunnableParallel(a=shout, b=shout),
    "parallel-first": lambda lib: lib.RunnableParallel(
        context=_retriever(lib) | (lambda docs: ""), question=lib.RunnablePassthrough())
        | _prompt(lib) | _fake(lib),
    "parallel-prompts": lambda lib: lib.RunnableParallel(
        a=_prompt(lib) | _fake(lib), b=itemgetter("language")) | length,
    "assign-then-prompt": lambda lib: lib.RunnablePassthrough.assign(
        context=itemgetter("question") | _retriever(lib)) | _prompt(lib) | _fake(lib),
    "assign-then-text": lambda lib: lib.RunnablePassthrough.assign(
        context=itemgetter("question") | _retriever(lib)) | _fake(lib),
    "assign": lambda lib: lib.RunnablePassthrough.assign(
        b=subscript, c=itemgetter("d") | lib.RunnableLambda(length)),
    "assign-last": lambda lib: lib.RunnableLambda(length) | lib.RunnableParallel(
        a=length, b=length) | lib.RunnablePassthrough.assign(c=itemgetter("a") | lib.RunnableLambda(
            length)),
    "pick-last": lambda lib: lib.RunnableLambda(length) | lib.RunnableParallel(a=length, b=alength)
        | lib.RunnablePick(["a"]),
    "pick-last-one": lambda lib: lib.RunnableLambda(length) | lib.RunnableParallel(
        a=length, b=alength) | lib.RunnablePick("b"),
    "branch": lambda lib: lib.RunnableBranch((length, lib.RunnableLambda(length)),
        lib.RunnableLambda(lambda x: x)) | length,
    "history": lambda lib: lib.RunnableWithMessageHistory(
        lib.RunnableLambda(lambda x: x), lambda s: None) | length,
}  # fmt: skip


# ---- where Headrace says more -------------------------------------------------------------------


class Thing:
    """Nothing that pydantic knows."""


def nothing(text: str) -> None: ...


def thing(text: str) -> Thing:
    return Thing()


def later(named: "dict[str, Question]") -> "str":
    return ""


def _keys(title: str, **fields: str | None) -> dict[str, Any]:
    """The JSON schema of a dict with these keys, all required; None is any type."""
    properties = {
        key: {"title": key.title(), **({"type": kind} if kind else {})}
        for key, kind in fields.items()
    }
    return {
        "title": title, "type": "object", "properties": properties, "required": sorted(fields)
    }  # fmt: skip


class Better:
    """A chain, one side of it, and the JSON schema that Headrace gives."""

    def __init__(self, key: str, side: str, build: Build, expected: dict[str, Any]) -> None:
        self.key, self.side, self.build, self.expected = key, side, build, expected

    def __repr__(self) -> str:
        return f"{self.key}-{self.side}"


BETTER: list[Better] = [
    Better("schema-root", "input", lambda lib: lib.RunnableParallel(
        a=lambda x: x, b=itemgetter("c")), _keys("RunnableParallel<a,b>Input", c=None)),
    Better("schema-root", "input", lambda lib: lib.RunnableParallel(a=lib.RunnablePassthrough()),
           {"title": "RunnableParallel<a>Input"}),
    Better("schema-root", "input", lambda lib: lib.RunnableParallel(
        question=lib.RunnablePassthrough(), context=length),
        {"title": "RunnableParallel<question,context>Input", "type": "string"}),
    Better("schema-root", "output", lambda lib: lib.RunnablePassthrough.assign(b=lambda _: 1),
           _keys("RunnableAssignOutput", b=None)),
    Better("schema-passing", "output", lambda lib: lib.RunnableLambda(length)
           | lib.RunnablePassthrough(), {"title": "length_output", "type": "integer"}),
    Better("schema-passing", "input", lambda lib: lib.RunnablePassthrough()
           | lib.RunnableLambda(length), {"title": "length_input", "type": "string"}),
    Better("schema-passing", "output", lambda lib: lib.RunnableLambda(length)
           | {"n": lib.RunnablePassthrough()}, _keys("RunnableParallel<n>Output", n="integer")),
    Better("schema-pick", "input", lambda lib: lib.RunnablePick("a") | lib.RunnableLambda(length),
           _keys("RunnableSequenceInput", a="string")),
    Better("schema-pick", "output", lambda lib: lib.RunnableParallel(a=length, b=subscript)
           | lib.RunnablePick("a"), {"title": "RunnableSequenceOutput", "type": "integer"}),
    Better("schema-pick", "output", lambda lib: lib.RunnableParallel(a=length)
           | lib.RunnablePassthrough.assign(b=lib.RunnablePick("a") | length),
           _keys("RunnableSequenceOutput", a="integer", b="integer")),
    Better("schema-assign", "input", lambda lib: lib.RunnablePassthrough.assign(
        context=itemgetter("q")) | _prompt(lib) | _fake(lib),
        _keys("RunnableSequenceInput", q=None, question="string")),
    Better("schema-map", "input", lambda lib: lib.RunnableLambda(length).map(),
           {"$defs": {"length_input": {"title": "length_input", "type": "string"}},
            "items": {"$ref": "#/$defs/length_input"}, "title": "RunnableEach<length>Input",
            "type": "array"}),
    Better("schema-arms", "output", lambda lib: lib.RunnableBranch(
        (lambda x: x, lib.RunnableLambda(length)), lib.RunnableLambda(nothing)),
        {"title": "RunnableBranchOutput", "anyOf": [{"type": "integer"}, {"type": "null"}]}),
    Better("schema-arms", "output", lambda lib: lib.RouterRunnable({"a": lib.RunnableLambda(
        length)}), {"title": "RouterRunnableOutput", "type": "integer"}),
    Better("schema-history", "output", lambda lib: lib.RunnableWithMessageHistory(
        lib.RunnableLambda(length), lambda s: None),
        {"title": "RunnableWithChatHistoryOutput", "type": "integer"}),
    Better("schema-functions", "input", lambda lib: lib.RunnableLambda(lambda x: x["a"]),
           _keys("RunnableLambdaInput", a=None)),
    Better("schema-functions", "input", lambda lib: [lib.RunnableLambda(lambda x: x["a"]),
           lib.RunnableLambda(lambda x: x["b"])][1], _keys("RunnableLambdaInput", b=None)),
    Better("schema-functions", "output", lambda lib: lib.RunnableLambda(nothing),
           {"title": "nothing_output", "type": "null"}),
    Better("schema-functions", "output", lambda lib: lib.RunnableLambda(thing),
           {"title": "thing_output"}),
    Better("schema-functions", "input", lambda lib: lib.RunnableLambda(later), {
        "title": "later_input", "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Question"},
        "$defs": {
            "Question": {"title": "Question", "type": "object", "required": ["question"],
                         "properties": {"question": {"title": "Question", "type": "string"},
                                        "limit": {"title": "Limit", "type": "integer",
                                                  "default": 3}}},
        }}),
    Better("schema-functions", "output", lambda lib: lib.RunnableLambda[str, int](lambda x: 1),
           {"title": "RunnableLambdaOutput", "type": "integer"}),
    Better("schema-values", "output", _prompt, {
        "title": "PromptTemplateOutput", "$ref": "#/$defs/StringPromptValue",
        "$defs": {"StringPromptValue": {
            "title": "StringPromptValue", "type": "object", "required": ["text"],
            "properties": {
                "text": {"title": "Text", "type": "string"},
                "type": {"title": "Type", "type": "string", "const": "StringPromptValue",
                         "default": "StringPromptValue"}}}}}),
]  # fmt: skip
