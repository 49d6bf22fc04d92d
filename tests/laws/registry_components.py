"""The registry's components: prompts, models, parsers, retrievers, tools, and chains of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from enum import Enum
from itertools import chain as chained
from itertools import cycle, repeat
from typing import Any, ClassVar
from xml.etree import ElementTree

from hypothesis import strategies as st

from headrace.chat_history import InMemoryChatMessageHistory
from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import ServerError
from headrace.example_selectors import BaseExampleSelector
from headrace.flow import last
from headrace.indexing import InMemoryDocumentIndex
from headrace.language_models import (
    LLM,
    BaseChatModel,
    FakeChatModel,
    FakeListChatModel,
    FakeListLLM,
    FakeMessagesListChatModel,
    FakeStreamingListLLM,
    GenericFakeChatModel,
    ParrotFakeChatModel,
    SimpleChatModel,
)
from headrace.language_models.configurable import ConfigurableModel
from headrace.messages import AIMessage, AIMessageChunk, BaseMessage
from headrace.output_parsers import (
    BaseOutputParser,
    BaseTransformOutputParser,
    BooleanOutputParser,
    CommaSeparatedListOutputParser,
    DatetimeOutputParser,
    EnumOutputParser,
    JsonOutputParser,
    JsonOutputToolsParser,
    ListOutputParser,
    MarkdownListOutputParser,
    NumberedListOutputParser,
    OutputFixingParser,
    PydanticOutputParser,
    RegexDictParser,
    RegexParser,
    StrOutputParser,
    XMLOutputParser,
    YamlOutputParser,
)
from headrace.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from headrace.prompts import (
    ChatPromptTemplate,
    DictPromptTemplate,
    FewShotChatMessagePromptTemplate,
    FewShotPromptTemplate,
    FewShotPromptWithTemplates,
    ImagePromptTemplate,
    MessagesPlaceholder,
    PipelinePromptTemplate,
    PromptTemplate,
    StructuredPrompt,
)
from headrace.retrievers import BaseRetriever
from headrace.runnables import (
    ConfigurableField,
    RunnablePassthrough,
    RunnableWithMessageHistory,
)
from headrace.tools import BaseTool, StructuredTool, Tool, tool
from headrace.vectorstores import InMemoryVectorStore
from laws.entry import Entry
from laws.kinds import DICT, TEXT, Kind, cut_text, texts
from laws.ledger import LEDGER
from laws.patched import patched
from laws.registry_tool_calls import PARSERS_OF_CALLS, Spell


def seen(value: Any) -> Any:
    """What is compared of an output: all of a message but the id made up for its run and whether
    it is a whole one or the sum of chunks."""
    if isinstance(value, BaseMessage):
        kind = type(value).__mro__
        name = next(c.__name__ for c in kind if not c.__name__.startswith("_"))
        calls = [
            (call["name"], call["args"], call.get("id"))
            for call in getattr(value, "tool_calls", None) or []
        ]
        usage = getattr(value, "usage_metadata", None)
        return (name.removesuffix("Chunk"), value.content, calls, usage, value.additional_kwargs)
    if isinstance(value, list):
        return [seen(item) for item in value]
    if isinstance(value, dict):
        return {key: seen(item) for key, item in value.items()}
    return value


# ---- kinds of input -----------------------------------------------------------------------------


def _json_pieces(n: int) -> list[str]:
    return ["[1]"] if n == 1 else ["[", *["1,"] * (n - 2), "1]"]


WORDS = Kind(
    "words",
    st.lists(st.text("abX", min_size=1, max_size=3), max_size=4).map(", ".join),
    cut_text,
    lambda: cycle(["ab, ", "X,", " b"]),
    lambda n: list("a,b," * n)[:n],
)
LINES = Kind(
    "lines",
    st.lists(st.text("abX", min_size=1, max_size=3), max_size=4).map(
        lambda words: "".join(f"{n}. {word}\n- {word}\n" for n, word in enumerate(words))
    ),
    cut_text,
    lambda: cycle(["1. a", "b\n- ", "X\n"]),
    lambda n: list("1. ab\n- c\n" * n)[:n],
)


def _xml_pieces(n: int) -> list[str]:
    return ["<r/>"] if n == 1 else ["<r>", *["<a>x</a>"] * (n - 2), "</r>"]


XML = Kind(
    "xml",
    st.recursive(
        st.text("abX", max_size=3).map(lambda text: f"<a>{text}</a>"),
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(
            lambda parts: f"<b>{''.join(parts)}</b>"
        ),
        max_leaves=6,
    ),
    cut_text,
    lambda: chained(["<r>"], cycle(["<a>x", "</a><", "b/>"])),
    _xml_pieces,
)


YAML = Kind(
    "yaml",
    st.lists(st.integers(-99, 99), min_size=1).map(
        lambda numbers: "".join(f"- {n}\n" for n in numbers)
    ),
    cut_text,
    lambda: cycle(["- 1\n"]),
    lambda n: ["- 1\n"] * n,
)


def _answers(*texts_: str) -> Kind:
    """One of these answers; longer ones have spaces behind them."""
    return Kind(
        "answers",
        st.sampled_from(texts_),
        cut_text,
        lambda: cycle([texts_[0]]),
        lambda n: [texts_[0], *[" "] * (n - 1)],
    )


def _in_xml(element: Any) -> dict[str, Any]:
    inner = [_in_xml(child) if len(child) else {child.tag: child.text} for child in element]
    return {element.tag: element.text or inner}


JSON = Kind(
    "json",
    st.recursive(
        st.none() | st.booleans() | st.integers(-99, 99) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
        max_leaves=6,
    ).map(json.dumps),
    cut_text,
    lambda: chained(["["], cycle(["1,", '"ab', '",'])),
    _json_pieces,
)


def _cut_message(message: AIMessageChunk, draw: Any) -> list[AIMessageChunk]:
    return [AIMessageChunk(content=piece) for piece in cut_text(str(message.content), draw)]


MESSAGE = Kind(
    "message",
    texts.map(lambda text: AIMessageChunk(content=text)),
    _cut_message,
    lambda: repeat(AIMessageChunk(content="ab")),
    lambda n: [AIMessageChunk(content="ab") for _ in range(n)],
)


# ---- components of a user -----------------------------------------------------------------------

_PIECES: list[dict[str, Any]] = [
    {"content": "I "},
    {"content": "call"},
    {"content": "", "tool_call_chunks": [{"name": "f", "args": "", "id": "t1", "index": 0}]},
    {"content": "", "tool_call_chunks": [{"name": None, "args": '{"a": ', "id": None, "index": 0}]},
    {"content": "", "tool_call_chunks": [{"name": "g", "args": "{}", "id": "t2", "index": 1}]},
    {"content": "", "tool_call_chunks": [{"name": None, "args": "1}", "id": None, "index": 0}]},
    {
        "content": "",
        "usage_metadata": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
]


class ToolModel(BaseChatModel):
    """Streams two tool calls, their deltas interleaved, and usage; both colours."""

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        with LEDGER.body("tool-model"):
            for piece in _PIECES:
                yield ChatGenerationChunk(message=AIMessageChunk(**piece))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        with LEDGER.body("tool-model"):
            for piece in _PIECES:
                yield ChatGenerationChunk(message=AIMessageChunk(**piece))

    @property
    def _llm_type(self) -> str:
        return "tool-model"


class BlockingModel(ToolModel):
    """Only the sync half: async runs stream it through a worker thread."""

    _astream = BaseChatModel._astream  # type: ignore[assignment]


class BreakingModel(BaseChatModel):
    """Its stream breaks in the middle, as long as it is not given the beginning of its answer."""

    takes_prefix: ClassVar[bool] = True
    repeats_prefix: ClassVar[bool | None] = False

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        with LEDGER.body("breaking-model"):
            given = messages[-1].content if isinstance(messages[-1], AIMessage) else ""
            for word in ("The ", "wheel ", "turns ", "again."):
                if word == "turns " and not given:
                    raise ServerError("down")
                if word not in given:
                    yield ChatGenerationChunk(message=AIMessageChunk(word))

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        answer = AIMessage("The wheel turns again.")
        return ChatResult(generations=[ChatGeneration(message=answer)])

    @property
    def _llm_type(self) -> str:
        return "breaking"


def _continued() -> Any:
    return BreakingModel().with_retry(when="continue", wait_exponential_jitter=False)


class EchoModel(SimpleChatModel):
    def _call(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        return str(messages[-1].content)

    @property
    def _llm_type(self) -> str:
        return "echo"


class EchoLLM(LLM):
    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
        return prompt

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any
    ) -> Iterator[GenerationChunk]:
        with LEDGER.body("echo-llm"):
            for character in prompt:
                yield GenerationChunk(text=character)

    @property
    def _llm_type(self) -> str:
        return "echo"


class Upper(BaseOutputParser[str]):
    """Takes the whole text."""

    def parse(self, text: str) -> str:
        return text.upper()


class Commas(ListOutputParser):
    """Says what an element looks like."""

    def parse_iter(self, text: str) -> Iterator[re.Match[str]]:
        return re.finditer("([^,]+)", text)


class Hue(Enum):
    RED = "red"
    BLUE = "blue"


class Swapper(BaseTransformOutputParser[str]):
    """Takes it piece by piece."""

    def parse(self, text: str) -> str:
        return text.swapcase()


class Finder(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any = None) -> list[Document]:
        return [Document(page_content=query), Document(page_content=query * 2)]


@tool
def glue(x: str, y: str = "") -> str:
    """Put two texts together."""
    with LEDGER.body("glue"):
        return f"{x}+{y}"


@tool
async def aglue(x: str, y: str = "") -> str:
    """Put two texts together."""
    with LEDGER.body("aglue"):
        return f"{x}+{y}"


@tool
def glue_slowly(x: str, y: str = "") -> Iterator[str]:
    """Put two texts together, and say how far it is."""
    with LEDGER.body("glue-slowly"):
        yield "looked"
        yield f"{x}+"
        return f"{x}+{y}"


@tool
async def aglue_slowly(x: str, y: str = "") -> AsyncIterator[str]:
    """Put two texts together, and say how far it is; the last is the result."""
    with LEDGER.body("aglue-slowly"):
        yield "looked"
        yield f"{x}+{y}"


def _timed_glue() -> StructuredTool:
    return StructuredTool.from_function(
        glue_slowly.func, aglue_slowly.coroutine, name="glue", timeout=60
    )


class Gluer(BaseTool):
    name: str = "gluer"
    description: str = "Put two texts together."

    def _run(self, x: str, y: str = "", run_manager: Any = None) -> str:
        return f"{x}+{y}"


def _both_glue() -> StructuredTool:
    return StructuredTool.from_function(glue.func, aglue.coroutine, name="glue")


def _store() -> InMemoryVectorStore:
    return InMemoryVectorStore.from_texts(["abXY", "é a", "b"], DeterministicFakeEmbedding(size=4))


def _message() -> AIMessage:
    return AIMessage(content="two words", id="7")


def _history() -> Any:
    stores: dict[str, Any] = {}
    remembered = RunnableWithMessageHistory(
        ParrotFakeChatModel(),
        lambda session_id: stores.setdefault(session_id, InMemoryChatMessageHistory()),
    )
    return remembered.with_config(configurable={"session_id": "s"})


def _speaking(given: Any, values: Any) -> Any:
    return _fake({**given, **values}["model"])


def _of_a_call() -> Any:
    """A chat model that the config of a call names."""
    return ConfigurableModel(make=_speaking, given={"model": "usual"}, fields=("model",))


def _chat(template: str = "{x} and {y}") -> Any:
    return ChatPromptTemplate.from_messages([("system", "be {y}"), ("human", template)])


def _fake(text: str = "abc def") -> Any:
    return FakeListChatModel(responses=[text])


# ---- the entries --------------------------------------------------------------------------------


def _messages(value: dict[str, str]) -> list[tuple[str, str]]:
    return [("system", f"be {value['y']}"), ("human", f"{value['x']} and {value['y']}")]


def _prompt_seen(value: Any) -> Any:
    return [(m.type, m.content) for m in value.to_messages()]


class Echoing(BaseExampleSelector):
    """The input's own `x` is its only example."""

    def add_example(self, example: dict[str, Any]) -> None:
        raise NotImplementedError

    def select_examples(self, input_variables: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"a": input_variables["x"]}]


PROMPTS = [
    Entry("prompt", lambda: PromptTemplate.from_template("{x}+{y}"), DICT,
          lambda d: f"{d['x']}+{d['y']}", view=lambda value: value.to_string()),
    Entry("chat-prompt", _chat, DICT, _messages, view=_prompt_seen),
    Entry("chat-prompt-places", lambda: ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("m", optional=True), ("human", "{x}")]), DICT,
        lambda d: [("human", d["x"])], view=_prompt_seen),
    Entry("dict-prompt", lambda: DictPromptTemplate(template={"a": "{x}", "b": ["{y}"]},
          template_format="f-string"), DICT, lambda d: {"a": d["x"], "b": [d["y"]]}),
    Entry("image-prompt", lambda: ImagePromptTemplate(
        template={"url": "http://host/{x}"}, input_variables=["x"]), DICT, None),
    Entry("few-shot", lambda: FewShotPromptTemplate(
        examples=[{"q": "1", "a": "{x}"}], example_prompt=PromptTemplate.from_template("{q}={a}"),
        prefix="{x}", suffix="{y}?", example_separator="/"), DICT,
        lambda d: "/".join(filter(None, [d["x"], "1={x}", f"{d['y']}?"])),
        view=lambda value: value.to_string()),
    Entry("few-shot-templates", lambda: FewShotPromptWithTemplates(
        examples=[{"q": "1"}], example_prompt=PromptTemplate.from_template("{q}"),
        prefix=PromptTemplate.from_template("{x}"), suffix=PromptTemplate.from_template("{y}?"),
        example_separator="/"), DICT,
        lambda d: "/".join(filter(None, [d["x"], "1", f"{d['y']}?"])),
        view=lambda value: value.to_string()),
    Entry("few-shot-messages", lambda: FewShotChatMessagePromptTemplate(
        example_selector=Echoing(), example_prompt=ChatPromptTemplate([("ai", "{a}")])), DICT,
        lambda d: [("ai", d["x"])], view=_prompt_seen),
    Entry("few-shot-chosen", lambda: ChatPromptTemplate([FewShotChatMessagePromptTemplate(
        example_selector=Echoing(), example_prompt=ChatPromptTemplate([("ai", "{a}")])), "{y}"]),
        DICT, lambda d: [("ai", d["x"]), ("human", d["y"])], view=_prompt_seen),
    Entry("pipeline-prompt", lambda: PipelinePromptTemplate(
        pipeline_prompts=[("both", PromptTemplate.from_template("{x} and {y}"))],
        final_prompt=ChatPromptTemplate([("system", "be {y}"), "{both}"])), DICT, _messages,
        view=_prompt_seen),
]  # fmt: skip
MODELS = [
    Entry("fake-list-chat", _fake, TEXT, None, view=seen),
    Entry("fake-chat", FakeChatModel, TEXT, None, view=seen),
    Entry("chat-of-a-call", lambda: _of_a_call().with_config(configurable={"model": "other"}), TEXT,
          None, view=seen),
    Entry("fake-messages", lambda: FakeMessagesListChatModel(responses=[_message()]), TEXT, None,
          view=seen),
    Entry("fake-generic", lambda: GenericFakeChatModel(messages=repeat(_message())), TEXT, None,
          view=seen),
    Entry("fake-parrot", ParrotFakeChatModel, TEXT, None, view=seen),
    Entry("fake-llm", lambda: FakeListLLM(responses=["abc"]), TEXT, lambda t: "abc"),
    Entry("fake-streaming-llm", lambda: FakeStreamingListLLM(responses=["abc"]), TEXT,
          lambda t: "abc"),
    Entry("model-tools", ToolModel, TEXT, None, view=seen),
    Entry("model-blocking", BlockingModel, TEXT, None, view=seen),
    Entry("model-continue", _continued, TEXT, None, view=seen),
    Entry("model-continue-chain", lambda: _continued() | StrOutputParser(), TEXT,
          lambda text: "The wheel turns again."),
    Entry("model-continue-by", lambda: BreakingModel().with_fallbacks(
        [BreakingModel()], when="continue"), TEXT, None, view=seen),
    Entry("model-simple", EchoModel, TEXT, None, view=seen),
    Entry("llm-streaming", EchoLLM, TEXT, str),
    Entry("model-bound", lambda: ToolModel().bind(stop=["x"]).with_config(tags=["t"]), TEXT, None,
          view=seen),
    Entry("model-history", _history, TEXT, None, view=seen),
]  # fmt: skip
PARSERS = [
    Entry("str-parser", StrOutputParser, MESSAGE, lambda m: m.content, flows=True),
    Entry("str-parser-text", StrOutputParser, TEXT, str, flows=True),
    Entry("json-parser", JsonOutputParser, JSON, json.loads, fold=last, flows=True),
    Entry("json-parser-messages", lambda: StrOutputParser() | JsonOutputParser(), JSON, json.loads,
          fold=last, flows=True),
    Entry("json-parser-goes-on", lambda: JsonOutputParser() | json.dumps, JSON,
          lambda text: json.dumps(json.loads(text))),
    Entry("json-parser-delimited", lambda: JsonOutputParser(emit="delimited"), JSON, json.loads,
          fold=last, flows=True),
    Entry("json-parser-diff", lambda: JsonOutputParser(diff=True), JSON, json.loads, fold=patched,
          flows=True),
    Entry("json-parser-complete", lambda: JsonOutputParser(emit="complete") | json.dumps, JSON,
          lambda text: json.dumps(json.loads(text))),
    Entry("typed-parser", lambda: PydanticOutputParser(object) | json.dumps,
          JSON, lambda text: json.dumps(json.loads(text))),
    Entry("list-parser", CommaSeparatedListOutputParser, WORDS,
          lambda text: next(csv.reader([text], skipinitialspace=True), []), flows=True),
    Entry("list-parser-heard", lambda: CommaSeparatedListOutputParser().with_listeners(
          on_start=str, on_end=str) | RunnablePassthrough(), WORDS,
          lambda text: next(csv.reader([text], skipinitialspace=True), []), flows=True),
    Entry("numbered-list-parser", NumberedListOutputParser, LINES,
          lambda text: re.findall(r"\d\. (.+)", text), flows=True),
    Entry("markdown-list-parser", MarkdownListOutputParser, LINES,
          lambda text: re.findall(r"^- (.+)", text, re.MULTILINE), flows=True),
    Entry("pattern-list-parser", lambda: NumberedListOutputParser(pattern=r"- (.+)"), LINES,
          lambda text: re.findall(r"- (.+)", text), flows=True),
    Entry("own-list-parser", Commas, WORDS, lambda text: re.findall("[^,]+", text), flows=True),
    Entry("enum-parser", lambda: EnumOutputParser(enum=Hue), _answers("red", "Blue", "`RED`."),
          lambda text: Hue(text.strip(" `.").lower())),
    Entry("datetime-parser", lambda: DatetimeOutputParser(format="%Y-%m-%d"),
          _answers("2024-02-29", "1999-12-31"), lambda text: datetime.fromisoformat(text.strip())),
    Entry("boolean-parser", BooleanOutputParser, _answers("Yes.", "no"),
          lambda text: "Yes" in text),
    Entry("regex-parser", lambda: RegexParser(regex="(a*)(X*)", output_keys=["a", "x"]), TEXT,
          lambda text: dict(zip("ax", re.match("(a*)(X*)", text).groups(), strict=True))),
    Entry("regex-dict-parser", lambda: RegexDictParser(output_key_to_format={"k": "K"}),
          _answers("K: one.", "so K: two"), lambda text: {"k": "one" if "one" in text else "two"}),
    Entry("yaml-parser", lambda: YamlOutputParser(pydantic_object=object), YAML,
          lambda text: [int(line) for line in text.replace("- ", "").split()]),
    Entry("xml-parser", XMLOutputParser, XML,
          lambda text: _in_xml(ElementTree.fromstring(text)), flows=True),
    Entry("xml-parser-goes-on", lambda: XMLOutputParser(parser="xml") | json.dumps, XML,
          lambda text: json.dumps(_in_xml(ElementTree.fromstring(text)))),
    Entry("fixing-parser", lambda: OutputFixingParser.from_llm(_fake("[1]"), JsonOutputParser()),
          JSON, json.loads, fold=last, flows=True),
    Entry("fixing-parser-fixes", lambda: OutputFixingParser.from_llm(
          _fake("[1]"), JsonOutputParser()), TEXT, lambda text: [1], fold=last),
    Entry("parser-whole", Upper, TEXT, str.upper),
    Entry("parser-pieces", Swapper, TEXT, str.swapcase, flows=True),
]  # fmt: skip
RETRIEVERS = [
    Entry("retriever", Finder, TEXT,
          lambda t: [Document(page_content=t), Document(page_content=t * 2)]),
    Entry("store-retriever", lambda: _store().as_retriever(search_kwargs={"k": 2}), TEXT, None,
          view=lambda docs: [doc.page_content for doc in docs]),
    Entry("document-index", lambda: InMemoryDocumentIndex(store={"1": Document("abXY", id="1")}),
          TEXT, lambda t: [Document("abXY", id="1")]),
]  # fmt: skip
TOOLS = [
    Entry("tool", lambda: glue, DICT, lambda d: f"{d['x']}+{d['y']}"),
    Entry("tool-async", lambda: aglue, DICT, lambda d: f"{d['x']}+{d['y']}", async_only=True),
    Entry("tool-both", _both_glue, DICT, lambda d: f"{d['x']}+{d['y']}"),
    Entry("tool-reports", lambda: glue_slowly, DICT, lambda d: f"{d['x']}+{d['y']}"),
    Entry("tool-reports-async", lambda: aglue_slowly, DICT, lambda d: f"{d['x']}+{d['y']}",
          async_only=True),
    Entry("tool-timed", _timed_glue, DICT, lambda d: f"{d['x']}+{d['y']}"),
    Entry("tool-class", Gluer, DICT, lambda d: f"{d['x']}+{d['y']}"),
    Entry("tool-text", lambda: Tool("up", str.upper, "Upper case."), TEXT, str.upper),
]  # fmt: skip
CHAINS = [
    Entry("prompt-model-parser", lambda: _chat() | _fake() | StrOutputParser(), DICT,
          lambda d: "abc def"),
    Entry("prompt-model-json", lambda: _chat() | _fake('{"a": [1, 23]}') | JsonOutputParser(), DICT,
          lambda d: {"a": [1, 23]}, fold=last),
    Entry("structured", lambda: _chat() | _fake('{"a": [1, 23]}').with_structured_output(
        {"title": "some", "type": "object"}), DICT, lambda d: {"a": [1, 23]}, fold=last),
    Entry("structured-called", lambda: _chat() | ToolModel().with_structured_output(
        {"title": "f", "type": "object"}, method="function_calling"), DICT, None, fold=last),
    Entry("structured-chosen", lambda: _chat() | _fake('{"a": [1, 23]}').configurable_fields(
        responses=ConfigurableField(id="responses")).with_structured_output(
        {"title": "some", "type": "object"}), DICT, lambda d: {"a": [1, 23]}, fold=last),
    Entry("structured-by-prompt", lambda: StructuredPrompt(
        [("human", "{x} and {y}")], Spell) | _fake('{"a": [1, 23]}'), DICT,
        lambda d: Spell(a=[1, 23]), fold=last),
    Entry("tools-called", lambda: _chat() | ToolModel().bind_tools(
        [{"title": "f", "type": "object"}, {"title": "g", "type": "object"}])
        | JsonOutputToolsParser(), DICT,
        lambda d: [{"type": "f", "args": {"a": 1}}, {"type": "g", "args": {}}], fold=last),
    Entry("structured-raw", lambda: _chat() | _fake('{"a": [1, 23]}').with_structured_output(
        {"title": "some", "type": "object"}, include_raw=True), DICT, None, view=seen),
    Entry("retrieval", lambda: {"x": Finder().with_config(run_name="Docs") | (
        lambda docs: docs[0].page_content), "y": RunnablePassthrough()} | _chat() | EchoModel()
        | StrOutputParser(), TEXT, lambda t: f"{t} and {t}", fans=2),
    Entry("tool-chain", lambda: glue | Tool("up", str.upper, "Upper case.") | RunnablePassthrough(),
          DICT, lambda d: f"{d['x']}+{d['y']}".upper()),
    Entry("model-map", lambda: (_fake() | StrOutputParser()).map(),
          Kind("texts", st.lists(texts, min_size=1, max_size=3), lambda v, draw: [v],
               lambda: cycle([["a"]]), lambda n: [["ab"] for _ in range(n)]),
          lambda items: ["abc def"] * len(items), flows=True, fans=1),
    Entry("model-parallel", lambda: {"a": ToolModel(), "b": _fake() | StrOutputParser()}
          | RunnablePassthrough(), TEXT, None, view=seen, fans=2),
]  # fmt: skip

COMPONENTS: list[Entry] = [
    *PROMPTS,
    *MODELS,
    *PARSERS,
    *PARSERS_OF_CALLS,
    *RETRIEVERS,
    *TOOLS,
    *CHAINS,
]
