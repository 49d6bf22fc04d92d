"""Which graph a runnable has: one layout after the other."""

from __future__ import annotations

from typing import Any

import pytest

from graph.pieces import CHAINS, branch, deep, edges, long, model, prompt, shout
from headrace.graph import Graph
from headrace.output_parsers import StrOutputParser
from headrace.runnables import (
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)


def names(graph: Graph) -> list[str]:
    return list(graph.reid().nodes)


def test_a_sequence_is_a_row_between_its_input_and_its_output():
    graph = (prompt() | model() | StrOutputParser()).get_graph()
    assert edges(graph) == [
        ("PromptInput", "ChatPromptTemplate", None),
        ("ChatPromptTemplate", "FakeListChatModel", None),
        ("StrOutputParser", "StrOutputParserOutput", None),
        ("FakeListChatModel", "StrOutputParser", None),
    ]


def test_the_ends_carry_the_schemas():
    parts = prompt() | model() | StrOutputParser()
    graph = parts.get_graph()
    first, last = graph.first_node(), graph.last_node()
    assert first is not None and last is not None
    assert first.data.model_json_schema() == parts.get_input_jsonschema()
    assert last.data.model_json_schema() == StrOutputParser().get_output_jsonschema()


def test_a_parallel_is_a_fork_and_a_join():
    both = RunnableParallel(a=RunnableLambda(shout), b=RunnablePassthrough())
    assert edges(both.get_graph()) == [
        ("Parallel<a,b>Input", "shout", None),
        ("shout", "Parallel<a,b>Output", None),
        ("Parallel<a,b>Input", "Passthrough", None),
        ("Passthrough", "Parallel<a,b>Output", None),
    ]


def test_one_arm_inside_a_chain_needs_no_fork():
    graph = (prompt() | {"a": model()} | shout).get_graph()
    assert names(graph) == [
        "PromptInput",
        "ChatPromptTemplate",
        "FakeListChatModel",
        "shout",
        "shout_output",
    ]


def test_assign_has_the_input_beside_its_arms():
    graph = RunnablePassthrough.assign(a=shout).get_graph()
    first, last = graph.first_node(), graph.last_node()
    assert first is not None and last is not None
    inner = [name for name in names(graph) if name not in (first.name, last.name)]
    assert inner == ["shout", "Passthrough"]
    assert {edge[0] for edge in edges(graph)} == {first.name, *inner}
    assert len(graph.edges) == 4


def test_a_branch_says_on_which_condition():
    graph = (branch() | RunnablePassthrough()).get_graph()
    assert [edge for edge in edges(graph) if edge[2]] == [
        ("Branch", "shout", "is_long"),
        ("Branch", "StrOutputParser", "lambda text: '?' in text"),
        ("Branch", "Passthrough_1", "default"),
    ]
    behind = [source for source, target, _ in edges(graph) if target == "Passthrough_2"]
    assert behind == ["shout", "StrOutputParser", "Passthrough_1"]
    assert [edge.conditional for edge in graph.edges].count(True) == 3


def test_conditions_that_have_no_name_are_counted():
    two = RunnableBranch((lambda x: x, shout), (lambda x: not x, shout), shout)  # in one line
    said = [edge[2] for edge in edges(two.get_graph()) if edge[2]]
    assert said == ["condition 1", "condition 2", "default"]


def test_a_long_condition_is_cut():
    wordy = RunnableBranch(
        (lambda text: text == "a text that is long enough not to be shown in full", shout), shout
    )
    said = next(edge[2] for edge in edges(wordy.get_graph()) if edge[2])
    assert said is not None
    assert said.startswith("lambda text: text == ")
    assert "..." in said
    assert said.endswith("shown in full'")
    assert len(said) == 48


def test_both_ends_of_an_assign_are_called_after_it():
    one, two = (
        RunnablePassthrough.assign(**dict.fromkeys(keys, shout)).get_graph() for keys in ("a", "ab")
    )
    for graph, keys in ((one, "a"), (two, "a,b")):
        first, last = graph.first_node(), graph.last_node()
        assert first is not None and last is not None
        assert (first.name, last.name) == (f"Assign<{keys}>Input", f"Assign<{keys}>Output")


def test_one_fallback_needs_no_number():
    graph = RunnableLambda(shout).with_fallbacks([StrOutputParser()]).get_graph()
    assert [edge[2] for edge in edges(graph) if edge[2]] == ["first", "on error"]


def test_fallbacks_follow_on_errors():
    safe = (prompt() | model()).with_fallbacks([shout, StrOutputParser()]) | StrOutputParser()
    graph = safe.get_graph()
    assert [edge for edge in edges(graph) if edge[2]] == [
        ("WithFallbacks", "ChatPromptTemplate", "first"),
        ("WithFallbacks", "shout", "on error 1"),
        ("WithFallbacks", "StrOutputParser_1", "on error 2"),
    ]
    behind = [source for source, target, _ in edges(graph) if target == "StrOutputParser_2"]
    assert behind == ["FakeListChatModel", "shout", "StrOutputParser_1"]


def test_a_router_says_its_keys():
    router = RouterRunnable({"a:b": RunnableLambda(shout), "c": StrOutputParser()})
    said = [edge[2] for edge in edges(router.get_graph()) if edge[2]]
    assert said == ["a:b", "c"]


def test_a_policy_is_a_subgraph():
    graph = (prompt() | model()).with_retry().get_graph()
    assert [id for id in graph.nodes if ":" in id] == [
        "Retry:ChatPromptTemplate",
        "Retry:FakeListChatModel",
    ]
    nested = deep(3).get_graph()
    assert [id for id in nested.nodes if ":" in id] == ["Retry:Retry:Retry:shout"]


def test_subgraphs_of_one_kind_stay_apart():
    twice = prompt().with_retry() | model().with_retry() | RunnableLambda(shout).map()
    ids = [id for id in twice.get_graph().nodes if ":" in id]
    assert [id.split(":")[0] for id in ids] == ["Retry", "Retry_2", "Each<shout>"]


def test_nodes_of_one_name_in_a_subgraph_stay_apart():
    graph = (RunnableLambda(shout) | shout | shout).with_retry().get_graph()
    assert [id for id in graph.nodes if ":" in id] == [
        "Retry:shout",
        "Retry:shout_2",
        "Retry:shout_3",
    ]
    assert len(graph.edges) == 4


def test_bindings_are_looked_through_and_leave_their_name_and_metadata():
    bound = model().bind(stop=["x"]).with_config(run_name="my model", metadata={"key": 2})
    graph = (prompt() | bound).get_graph()
    node = next(node for node in graph.nodes.values() if node.name == "my model")
    assert node.metadata == {"key": 2}
    assert type(node.data).__name__ == "FakeListChatModel"
    named = (prompt() | model()).with_retry().with_config(run_name="patient: very")
    assert any(id.startswith("patient_ very:") for id in named.get_graph().nodes)


def test_metadata_reaches_what_it_will_reach_when_it_runs():
    graph = (prompt() | {"a": model(), "b": shout}).get_graph({"metadata": {"who": "me"}})
    steps = [node for node in graph.nodes.values() if isinstance(node.data, Runnable)]
    assert [node.metadata for node in steps] == [{"who": "me"}] * 3


# ---- functions ----------------------------------------------------------------------------------

PARSER = StrOutputParser()


class Holder:
    def __init__(self) -> None:
        self.model = model()

    def run(self, value: Any) -> Any:
        return [self.model.invoke(each) for each in value]


def test_a_function_shows_the_runnables_that_it_refers_to():
    inner = model()

    def choose(value: Any) -> Any:
        return inner if value else PARSER

    graph = (prompt() | choose).get_graph()
    assert ("choose_input", "FakeListChatModel", None) in edges(graph)
    assert ("StrOutputParser", "choose_output", None) in edges(graph)
    assert next(n for n in graph.nodes.values() if n.name == "choose_input").kind == "barrier"


@pytest.mark.parametrize(
    "function",
    [
        Holder().run,
        lambda value, call=None: [PARSER.invoke(each) for each in value],
        lambda value: [PARSER.invoke(each) for each in value],
    ],
    ids=["method", "comprehension", "lambda"],
)
def test_where_a_function_may_refer_to_one(function):
    graph = RunnableLambda(function).get_graph()
    assert len(graph.nodes) == 3
    assert [node.name for node in graph.nodes.values()][2] in (
        "FakeListChatModel",
        "StrOutputParser",
    )


@chain
def again(value: Any) -> Any:
    return again if value else mutual


@chain
def mutual(value: Any) -> Any:
    return again


def test_functions_that_call_each_other_have_an_end():
    assert names(again.get_graph()) == ["again_input", "again_output", "mutual"]


# ---- marks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CHAINS))
def test_what_waits_is_what_explain_says(name):
    made = CHAINS[name]()
    waiting = sorted(
        node.name for node in made.get_graph().nodes.values() if node.kind == "barrier"
    )
    told = sorted(
        step.name.removeprefix("Runnable")
        for step, node in _explained(made)
        if node._layout in ("step", "one") and step.kind == "barrier"  # the others are no boxes
    )
    assert waiting == told
    assert waiting or name == "single"


def _explained(made: Any) -> list[tuple[Any, Any]]:
    """The steps of an explanation, each with its runnable; conditions are labels in a graph."""

    def walk(node: Any) -> list[Any]:
        while node._transparent:
            node = node._children()[0][1]
        return [node, *(each for _, child in node._children() for each in walk(child))]

    pairs = list(zip(made.explain(), walk(made), strict=True))
    return [(step, node) for step, node in pairs if not step.label.startswith("condition:")]


# ---- users' own ---------------------------------------------------------------------------------


class Own(Runnable[Any, Any]):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input

    def get_graph(self, config: Any = None) -> Graph:
        graph = Graph()
        ends = [graph.add_node(None, id) for id in ("start", "mine", "end")]
        graph.add_edge(ends[0], ends[1])
        graph.add_edge(ends[1], ends[2], "done")
        return graph


def test_a_graph_of_the_users_own_is_shown():
    graph = (RunnableLambda(shout) | Own() | Own().with_retry() | shout).get_graph()
    assert [edge for edge in edges(graph) if "mine" in edge] == [
        ("shout_1", "mine", None),
        ("mine", "mine", None),
        ("mine", "shout_2", None),
    ]
    assert {"mine", "Retry:mine"} <= set(graph.nodes)
    assert "start" not in graph.nodes
    alone = RunnableParallel(a=Own(), b=Own()).get_graph()
    assert {"mine", "mine_2"} <= set(alone.nodes)


class Polite(Runnable[Any, Any]):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input

    def get_graph(self, config: Any = None) -> Graph:
        graph = super().get_graph(config)
        graph.trim_first_node()
        return graph


def test_a_get_graph_may_call_that_of_its_base():
    assert names(Polite().get_graph()) == ["Polite", "PoliteOutput"]
    assert "Polite" in names((Polite() | shout).get_graph())


class NoTypes(Runnable[Any, Any]):
    @property
    def InputType(self) -> Any:
        raise TypeError("no input")

    @property
    def OutputType(self) -> Any:
        raise NameError("no output")

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return input


def test_types_that_cannot_be_told_do_not_take_the_graph_away():
    assert names(NoTypes().get_graph()) == ["NoTypesInput", "NoTypes", "NoTypesOutput"]


# ---- sizes --------------------------------------------------------------------------------------


def test_two_hundred_steps_in_a_row():
    graph = long(200).get_graph()
    assert (len(graph.nodes), len(graph.edges)) == (202, 201)


def test_two_hundred_policies_in_each_other():
    graph = deep(200).get_graph()
    assert len(graph.nodes) == 3
    assert max(id.count(":") for id in graph.nodes) == 200
