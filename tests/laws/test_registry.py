"""Every Runnable class of the package is in the registry."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace.runnables import Runnable
from laws.registry import ENTRIES, classes_in

# Bases that nobody instantiates, and what needs more than this machine gives; with the reason.
EXEMPT = {
    "RunnableSerializable": "the base of configurable components, with no shape of its own",
    "FunctionTool": "what StructuredTool and Tool have in common, with no use of its own",
    "Rivals": "what a race and a hedge have in common",
    "AskingAgain": "what OutputFixingParser and RetryOutputParser have in common",
    "LineListOutputParser": "what the two parsers of lists by line have in common",
    "_OfArguments": "a PydanticOutputParser inside of with_structured_output; tests/structure",
    "_FewShotText": "what FewShotPromptTemplate and FewShotPromptWithTemplates have in common",
    "RetryOutputParser": "needs the prompt, so it is no step: tests/output_parsers/test_mending.py",
    "RetryWithErrorOutputParser": "the same",
    "RecordedChatModel": "needs a recording: tests/record holds its streams to the same",
    "RecordedRunnable": "the same",
    "KeptAgentTool": "made for one step of an agent with a saver; tests/agents/test_killed.py",
    "Joining": "behind a model that goes on, in a try of a policy; tests/resilience",
    **dict.fromkeys(
        (
            "LangChainChatModel",
            "LangChainLLM",
            "LangChainRetriever",
            "LangChainRunnable",
            "LangChainTool",
        ),
        "needs langchain-core: tests/langchain_bridge holds it to the same",
    ),
    **dict.fromkeys(
        (
            "AzureChatOpenAI",
            "ChatAnthropic",
            "ChatCohere",
            "ChatCompletionsModel",
            "ChatFireworks",
            "ChatGoogleGenerativeAI",
            "ChatGroq",
            "ChatMistralAI",
            "ChatNVIDIA",
            "ChatOpenAI",
            "ChatTogether",
            "ChatVertexAI",
            "GoogleChatModel",
        ),
        "needs a server: tests/providers holds its streams to the same",
    ),
    "ChatLocal": "needs 98 MB of weights: tests/local holds its streams to the same",
}


def modules() -> Iterator[Any]:
    for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def is_ours(cls: type) -> bool:
    # Pydantic makes a class of its own for Model[Arg]; the model itself is what counts.
    return cls.__module__.startswith("headrace") and "[" not in cls.__name__


def test_every_runnable_class_is_in_the_registry():
    for _ in modules():
        pass
    covered: set[type] = set()
    for entry in ENTRIES:
        for cls in classes_in(entry.make()):
            # A base that needs a user's methods is covered by the tests' own subclass of it.
            covered.update([cls] if is_ours(cls) else cls.__mro__)
    missing = {
        f"{cls.__module__}.{cls.__name__}"
        for cls in subclasses(Runnable)
        if is_ours(cls) and not inspect.isabstract(cls)
        if cls not in covered and cls.__name__ not in EXEMPT
    }
    assert not missing, f"add an entry to tests/laws/registry.py for each of {sorted(missing)}"


def test_the_walk_finds_the_classes_there_are():
    for _ in modules():
        pass
    found = {cls.__name__ for cls in subclasses(Runnable) if is_ours(cls)}
    assert {"RunnableSequence", "RunnableRetry", "RunnablePick"} <= found


def test_names_of_entries_are_unique():
    names = [entry.name for entry in ENTRIES]
    assert len(names) == len(set(names))


@given(st.data())
def test_cut_inputs_add_up_to_the_input(data):
    entry = data.draw(st.sampled_from(ENTRIES))
    value = data.draw(entry.kind.values)
    pieces = entry.kind.cut(value, data.draw)
    from headrace.merge import merge

    assert merge(pieces) == value
