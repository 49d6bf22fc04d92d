"""The same chains drawn by langchain-core: the same nodes, edges and plain pictures."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM as TheirModel
from langchain_core.output_parsers import StrOutputParser as TheirParser
from langchain_core.prompts import PromptTemplate as TheirPrompt
from langchain_core.runnables import RunnableLambda as TheirLambda
from langchain_core.runnables import RunnableParallel as TheirParallel
from langchain_core.runnables import RunnablePassthrough as TheirPassthrough
from langchain_core.runnables import graph as theirs

from headrace import graph as mine
from headrace.language_models import FakeListLLM
from headrace.output_parsers import StrOutputParser
from headrace.prompts import PromptTemplate
from headrace.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough


def shout(value: Any) -> Any:
    return value


def names(ours: bool) -> dict[str, Any]:
    """The pieces of either library."""
    prompt = PromptTemplate if ours else TheirPrompt
    kind = FakeListLLM if ours else TheirModel
    return {
        "prompt": prompt.from_template("about {topic}"),
        "model": kind(responses=["a"]),
        "parser": (StrOutputParser if ours else TheirParser)(),
        "through": (RunnablePassthrough if ours else TheirPassthrough)(),
        "step": (RunnableLambda if ours else TheirLambda)(shout),
        "parallel": RunnableParallel if ours else TheirParallel,
        "assign": (RunnablePassthrough if ours else TheirPassthrough).assign,
    }


CHAINS = {
    "single": lambda p: p["parser"],
    "lambda": lambda p: p["step"],
    "sequence": lambda p: p["prompt"] | p["model"] | p["parser"],
    "metadata": lambda p: p["prompt"] | p["model"].with_config(metadata={"key": 2}),
    "parallel": lambda p: p["parallel"](a=p["parser"], b=p["model"]),
    "one arm": lambda p: p["parallel"](a=p["parser"]),
    "one arm inside": lambda p: p["prompt"] | {"a": p["model"]} | p["step"],
    "in the middle": lambda p: p["prompt"] | {"a": p["model"], "b": p["through"]} | p["step"],
    "chains in arms": lambda p: {"a": p["prompt"] | p["model"], "b": p["parser"]} | p["step"],
    "nested": lambda p: p["parallel"](
        a=p["parallel"](b=p["parser"], c=p["step"]), d=p["prompt"] | p["model"]
    ),
    "twice": lambda p: p["prompt"] | {"a": p["model"], "b": p["model"]} | p["parser"],
    "bound": lambda p: p["prompt"] | p["model"].bind(stop=["x"]) | p["parser"],
}


def shape(graph: Any) -> Any:
    """Nodes and edges as JSON, without the paths of classes."""
    read = graph.to_json()
    for node in read["nodes"]:
        if node["type"] == "runnable":
            node["data"] = node["data"]["name"]
        if not node.get("metadata", True):
            del node["metadata"]  # theirs may be there and empty
    return read


@pytest.mark.parametrize("name", list(CHAINS))
def test_the_same_nodes_and_edges(name):
    here, there = (CHAINS[name](names(ours)).get_graph() for ours in (True, False))
    assert shape(here) == shape(there)
    plain = [graph.draw_mermaid(with_styles=False) for graph in (here, there)]
    assert plain[0] == plain[1]


def test_assign_has_the_same_steps():
    here, there = (
        sorted(node.name for node in names(ours)["assign"](a=shout).get_graph().nodes.values()
               if not node.name.endswith(("Input", "Output")))
        for ours in (True, False)
    )  # fmt: skip
    assert here == ["Passthrough", "shout"]
    assert here == there


@pytest.mark.parametrize("name", ["single", "sequence", "metadata"])
def test_the_same_picture_in_characters_but_for_the_marks(name):
    here, there = (CHAINS[name](names(ours)).get_graph().draw_ascii() for ours in (True, False))
    assert here.replace("=", "-").partition("\n\n")[0] == there


def test_the_same_mermaid_where_nothing_waits():
    here, there = (names(ours)["parser"].get_graph().draw_mermaid() for ours in (True, False))
    assert here == there


SUBGRAPHS = {
    "beside": (
        ["s", "in_1:a", "in_1:b", "in_2:a", "in_2:b", "e"],
        [("s", "in_1:a"), ("in_1:a", "in_1:b"), ("s", "in_2:a"), ("in_2:a", "in_2:b"),
         ("in_1:b", "e"), ("in_2:b", "e")],
    ),
    "nested": (
        ["s", "child:one:a", "child:one:b", "child:two", "e"],
        [("s", "child:one:a"), ("child:one:a", "child:one:b"), ("child:one:b", "child:two"),
         ("child:two", "e")],
    ),
    "below a node": (
        ["s", "child:a", "child:a:b", "child:c", "e"],
        [("s", "child:a"), ("child:a", "child:a:b"), ("child:a:b", "child:c"), ("child:c", "e")],
    ),
    "lone": (["s", "sub:only", "e"], [("s", "sub:only"), ("sub:only", "e")]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SUBGRAPHS))
@pytest.mark.parametrize("with_styles", [True, False])
def test_the_same_subgraphs(name, with_styles):
    ids, edges = SUBGRAPHS[name]
    drawn = []
    for library in (mine, theirs):
        nodes = {id: library.Node(id, id.rpartition(":")[2], None, {"key": id}) for id in ids}
        graph = library.Graph(nodes, [library.Edge(*edge) for edge in edges])
        drawn.append(graph.draw_mermaid(with_styles=with_styles))
    assert drawn[0] == drawn[1]
