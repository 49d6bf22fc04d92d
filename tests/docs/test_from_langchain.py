"""The table of import paths is right, and no name that both libraries have is missing from it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import anthropic
import groq
import langchain_core
import langchain_core.exceptions
import openai
import pytest
from pydantic import ValidationError

from docs.pages import ROOT
from headrace import errors, providers
from headrace.documents import Document
from headrace.embeddings import DeterministicFakeEmbedding
from headrace.providers import ChatGoogleGenerativeAI, ChatOpenAI, OpenAIEmbeddings
from headrace.providers._base.errors import Fault, provider_error, unreachable
from headrace.tools import Tool, convert_to_openai_tool
from headrace.vectorstores import InMemoryVectorStore

PAGE = ROOT / "docs" / "from-langchain.md"
_ROW = re.compile(r"^\| `(langchain_core[\w.]+)` \| `(headrace[\w.]+)` \| (.+) \|$", re.MULTILINE)

# Packages whose place is not their first two names.
MOVED = {
    "langchain_core.exceptions": "headrace.errors",
    "langchain_core.runnables.graph": "headrace.runnables.graph",
    "langchain_core.utils.function_calling": "headrace.tools",
    "langchain_core.utils.json": "headrace.jsonstream",
    "langchain_core.utils.json_schema": "headrace.tools",
}
# (new path, name) -> what it is here is another thing than there
OTHERS = {("headrace.errors", "ModelError"), ("headrace.callbacks", "Run")}


def rows(text: str) -> list[tuple[str, str, list[str]]]:
    return [(old, new, re.findall(r"`(\w+)`", names)) for old, new, names in _ROW.findall(text)]


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def new_path(old: str) -> str:
    return MOVED.get(old, "headrace." + old.split(".")[1])


def public(module: ModuleType) -> list[str]:
    """What a module of langchain_core defines for others."""
    listed: Any = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    names: dict[str, Any] = vars(module)
    own = (n for n, v in names.items() if getattr(v, "__module__", None) == module.__name__)
    return [name for name in own if not name.startswith("_")]


def wanted() -> Iterator[tuple[str, str, list[str]]]:
    """The rows that the two libraries, as they are installed, call for."""
    for found in walk_packages(langchain_core.__path__, "langchain_core."):
        old = found.name
        if any(part.startswith("_") for part in old.split(".")) or (
            old.count(".") < 2 and old not in MOVED
        ):
            continue
        try:
            here, there = import_module(new_path(old)), import_module(old)
        except ImportError:  # no such part here, or one of theirs that needs something more
            continue
        names = sorted(set(public(there)) & set(here.__all__))
        names = [name for name in names if (here.__name__, name) not in OTHERS]
        if names:
            yield old, here.__name__, names


def table() -> str:
    return "".join(
        f"| `{old}` | `{new}` | {', '.join(f'`{name}`' for name in names)} |\n"
        for old, new, names in wanted()
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of modules of langchain_core that are deprecated
def test_the_table_is_whole() -> None:
    if os.environ.get("UPDATE_DOCS") == "1":
        text = PAGE.read_text(encoding="utf-8")
        head, _, rest = text.partition("|---|---|---|\n")
        after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
        PAGE.write_text(f"{head}|---|---|---|\n{table().rstrip()}{after}", encoding="utf-8")
    assert rows(PAGE.read_text(encoding="utf-8")) == list(wanted())


@pytest.mark.parametrize(("old", "new", "names"), ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(old: str, new: str, names: list[str]) -> None:
    here = import_module(new)
    assert [name for name in names if getattr(here, name, None) is None] == []
    assert new == new_path(old)


def test_the_rule_above_the_table() -> None:
    """The `sed` lines of the page, as Python."""
    text = (
        "from langchain_core.runnables.base import Runnable\n"
        "from langchain_core.prompts import PromptTemplate\n"
        "from langchain_core.exceptions import OutputParserException\n"
        "from langchain_core.utils.function_calling import convert_to_openai_tool\n"
        "from langchain_core.utils.json_schema import dereference_refs\n"
        "from langchain_core.runnables.graph import Graph\n"
        "from langchain_openai import ChatOpenAI\n"
        "from langchain_google_vertexai.chat_models import ChatVertexAI\n"
        "from langchain.chat_models import init_chat_model\n"
        "from langchain.agents import create_agent\n"
        "from langchain_classic.agents.react.agent import create_react_agent\n"
        "from langchain_core.agents import AgentAction, AgentFinish\n"
        "from langgraph.checkpoint.sqlite import SqliteSaver\n"
    )
    for pattern, new in sed_lines(PAGE.read_text(encoding="utf-8")):
        text = re.sub(pattern, new, text)
    assert text == (
        "from headrace.runnables import Runnable\n"
        "from headrace.prompts import PromptTemplate\n"
        "from headrace.errors import OutputParserException\n"
        "from headrace.tools import convert_to_openai_tool\n"
        "from headrace.tools import dereference_refs\n"
        "from headrace.runnables.graph import Graph\n"
        "from headrace.providers import ChatOpenAI\n"
        "from headrace.providers import ChatVertexAI\n"
        "from headrace.language_models import init_chat_model\n"
        "from headrace.agents import create_agent\n"
        "from headrace.agents import create_react_agent\n"
        "from headrace.agents import AgentAction, AgentFinish\n"
        "from headrace.agents import SqliteSaver\n"
    )
    space: dict[str, Any] = {}
    exec(text, space)
    assert {"Runnable", "PromptTemplate", "OutputParserException", "Graph"} <= set(space)


def section(title: str) -> str:
    """What stands below a heading of the page, to the next one."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def cells(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads."""
    found = [
        re.split(r" *(?<!\\)\| *", line)[1:-1] for line in text.splitlines() if line[:2] == "| "
    ]
    return [row for row in found if "`" in "".join(row[:1]) and "(`openai`" not in row[0]]


NOT_HERE = cells(section("Names of the providers' packages that are not here"))


def test_what_is_said_not_to_be_here_is_not() -> None:
    gone = {name for left, _ in NOT_HERE for name in re.findall(r"`(\w+)`", left)}
    assert {"OpenAI", "NVIDIAEmbeddings", "Serializable", "BaseToolkit"} <= gone
    for module in ("providers", "tools", "documents", "load", "tracers", "runnables"):
        here = import_module(f"headrace.{module}")
        assert [name for name in sorted(gone) if hasattr(here, name)] == []


def test_what_is_written_in_their_place() -> None:
    text = section("Names of the providers' packages that are not here")
    for url in re.findall(r'base_url="(.+?)"', text):
        made = OpenAIEmbeddings(
            model="m",
            base_url=url,
            api_key="k",
            encoding_format="float",
            model_kwargs={"extra_body": {"input_type": "query"}},
        )
        assert made.base_url == url
    harm = {"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH"}
    google = ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key="k", safety_settings=harm)
    assert str(google.safety_settings) in text.replace('"', "'")
    custom = Tool(name="t", description="d", func=str, metadata={"type": "custom_tool"})
    assert convert_to_openai_tool(custom) == {"type": "custom", "name": "t", "description": "d"}


def test_a_tool_of_a_retriever() -> None:
    def join(documents: list[Document]) -> str:
        return " and ".join(each.page_content for each in documents)

    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    store.add_texts(["a"])
    find = (store.as_retriever() | join).as_tool(name="find", description="Find.")
    assert (find.name, find.invoke("a")) == ("find", "a")


def test_arguments_by_their_other_names() -> None:
    kind: Any = ChatOpenAI
    model = kind(
        model_name="m", openai_api_key="k", openai_api_base="http://h/v1", request_timeout=3
    )
    assert (model.model, model.base_url, model.timeout) == ("m", "http://h/v1", 3)
    assert model.api_key.get_secret_value() == "k"
    with pytest.raises(ValidationError, match="model"):
        kind()
    with pytest.raises(ValidationError, match="leave it out; events tell"):
        kind(model="m", verbose=True)
    with pytest.raises(ValidationError, match="model_kwargs="):
        kind(model="m", no_such_thing=1)


@pytest.mark.parametrize("sdk", [openai, anthropic, groq], ids=lambda sdk: sdk.__name__)
def test_the_errors_of_sdks(sdk: Any) -> None:
    statuses = {"InternalServerError": 500}
    silent = {"APIConnectionError": False, "APITimeoutError": True}
    found = cells(section("Errors of providers"))
    assert len(found) == 10
    for theirs, core, ours in found:
        wanted = getattr(errors, ours.strip("`"))
        assert not core or hasattr(langchain_core.exceptions, core.strip("`"))
        for name in re.findall(r"`(\w+)`", theirs):
            kind = getattr(sdk, name)
            status = statuses.get(name) or getattr(kind, "status_code", None)
            if name in silent:
                made = unreachable("p", OSError("x"), timed_out=silent[name])
                assert type(made) is wanted
            elif status is not None:
                assert type(provider_error("p", Fault(status))) is wanted
            else:
                assert wanted is errors.ProviderError
                assert issubclass(sdk.RateLimitError, kind)


@pytest.mark.parametrize("name", providers.__all__)
def test_a_class_s_help_tells_all_its_arguments(name: str) -> None:
    """`help(ChatOpenAI)` needs no other class's: none that is private, and no file's head."""
    kind = getattr(providers, name)
    text = kind.__doc__
    told = set(re.findall(r"\w+", text.partition("Args:")[2]))
    assert sorted(set(kind.model_fields) - told) == []
    assert re.findall(r"See `\w+`|ProviderChatModel|ChatCompletionsModel|head of this", text) == []


def sed_lines(page: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in re.finditer(r"-e 's/(.+?)/(.*?)/'", page)]
