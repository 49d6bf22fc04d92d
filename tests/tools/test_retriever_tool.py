"""`create_retriever_tool`: the same answers as langchain-core's, a child run, in every colour."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from langchain_core.documents import Document as LcDocument
from langchain_core.prompts import PromptTemplate as LcPromptTemplate
from langchain_core.retrievers import BaseRetriever as LcRetriever
from langchain_core.tools import create_retriever_tool as lc_create

from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.errors import ConfigError, InputError
from headrace.events import RunStarted
from headrace.messages import ToolMessage
from headrace.prompts import PromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableLambda
from headrace.tools import StructuredTool, convert_to_openai_tool, create_retriever_tool
from headrace.vectorstores import InMemoryVectorStore
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import Recorder


class Finder(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any = None) -> list[Document]:
        return found(Document, query)


class LcFinder(LcRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[LcDocument]:
        return found(LcDocument, query)


def found(kind: Any, query: str) -> Any:
    if query == "nothing":
        return []
    return [kind(page_content=f"{query} {n}", metadata={"page": n}) for n in (1, 2)]


CALL = {"type": "tool_call", "id": "c1", "name": "look", "args": {"query": "cats"}}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "separator": {"document_separator": "\n---\n"},
    "prompt": {"document_prompt": "{page}: {page_content}"},
    "artifact": {"response_format": "content_and_artifact"},
    "all": {
        "document_prompt": "[{page}] {page_content}", "document_separator": "|",
        "response_format": "content_and_artifact",
    },
}  # fmt: skip


def made(create: Any, retriever: Any, template: Any, options: dict[str, Any]) -> Any:
    given = dict(options)
    if "document_prompt" in given:
        given["document_prompt"] = template.from_template(given["document_prompt"])
    return create(retriever, "look", "Look it up.", **given)


@every_colour
@pytest.mark.parametrize("kind", OPTIONS)
def test_the_same_answers_as_langchains(colour, kind):
    mine = made(create_retriever_tool, Finder(), PromptTemplate, OPTIONS[kind])
    theirs = made(lc_create, LcFinder(), LcPromptTemplate, OPTIONS[kind])

    def body(doors: Any) -> None:
        for query in ("cats", "nothing"):
            call = {**CALL, "args": {"query": query}}
            answer, wanted = doors.invoke(mine, call), theirs.invoke(call)
            assert type(answer) is ToolMessage
            assert (answer.content, answer.tool_call_id) == (wanted.content, "c1")
            artifact = [(d.page_content, d.metadata) for d in answer.artifact or ()]
            assert artifact == [(d.page_content, d.metadata) for d in wanted.artifact or ()]
            assert doors.invoke(mine, {"query": query}) == theirs.invoke({"query": query})

    colour.run(body)


@every_colour
def test_the_retriever_is_a_child(colour):
    def body(doors: Any) -> None:
        recorder = Recorder()
        look = create_retriever_tool(Finder(), "look", "Look it up.")
        assert doors.invoke(look, "cats", recorder.config) == "cats 1\n\ncats 2"
        paths = [e.path for e in recorder.events if isinstance(e, RunStarted)]
        assert paths == ["look", "look/Finder"]
        check_events(recorder.events)

    colour.run(body)


def test_what_a_model_is_told():
    look = create_retriever_tool(Finder(), "look", "Look it up.", timeout=3, tags=["t"])
    assert isinstance(look, StructuredTool)
    assert (look.timeout, look.tags) == (3, ["t"])
    assert convert_to_openai_tool(look)["function"] == {
        "name": "look",
        "description": "Look it up.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "what to look for"}},
            "required": ["query"],
        },
    }
    assert get_type_hints(look.func)["query"] is str


def test_any_runnable_that_finds_documents():
    find = RunnableLambda(lambda query: found(Document, query))
    assert create_retriever_tool(find, "look", "Look.").invoke("a") == "a 1\n\na 2"


def test_what_is_no_retriever():
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=3))
    with pytest.raises(ConfigError, match=r"store\.as_retriever\(\)"):
        create_retriever_tool(store, "look", "Look.")


@every_colour
def test_metadata_that_a_document_lacks(colour):
    prompt = PromptTemplate.from_template("{author}: {page_content}")
    look = create_retriever_tool(Finder(), "look", "Look.", document_prompt=prompt)

    def body(doors: Any) -> None:
        with pytest.raises(InputError, match="author"):
            doors.invoke(look, "cats")

    colour.run(body)
