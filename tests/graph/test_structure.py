"""`Graph` by itself: building, trimming, ids, JSON."""

from __future__ import annotations

import itertools

import pytest
from pydantic import BaseModel

from headrace.errors import InputError
from headrace.graph import Branch, Edge, Graph, Node
from headrace.output_parsers import StrOutputParser


class Schema(BaseModel):
    a: int


def chain(*ids: str) -> Graph:
    graph = Graph()
    nodes = [graph.add_node(Schema, id) for id in ids]
    for source, target in itertools.pairwise(nodes):
        graph.add_edge(source, target)
    return graph


def test_an_empty_graph_is_false_and_has_no_ends():
    graph = Graph()
    assert not graph
    assert graph.first_node() is graph.last_node() is None
    graph.trim_first_node()
    graph.trim_last_node()
    assert graph.to_json() == {"nodes": [], "edges": []}
    assert graph.draw_ascii() == ""
    assert "<svg" in graph.draw_svg()


def test_nodes_are_named_by_their_id_or_their_data():
    graph = Graph()
    assert graph.add_node(Schema, "x").name == "x"
    made_up = graph.add_node(StrOutputParser())
    assert (made_up.name, made_up.kind, len(made_up.id)) == ("StrOutputParser", "streams", 32)
    assert graph.add_node(Schema).name == "Schema"
    assert graph.nodes["x"] == Node("x", "x", Schema, None)


def test_an_id_is_taken_once():
    graph = chain("a")
    with pytest.raises(InputError, match="'a' already"):
        graph.add_node(Schema, "a")


def test_an_edge_needs_both_its_nodes():
    graph = chain("a")
    with pytest.raises(ValueError, match="no node 'b'"):
        graph.add_edge(graph.nodes["a"], Node("b", "b", Schema, None))


def test_ends_are_where_there_is_exactly_one():
    graph = chain("a", "b", "c")
    assert graph.first_node() is graph.nodes["a"]
    assert graph.last_node() is graph.nodes["c"]
    extra = graph.add_node(Schema, "d")
    assert graph.first_node() is graph.last_node() is None
    graph.remove_node(extra)
    graph.add_edge(graph.nodes["c"], graph.nodes["a"])
    assert graph.first_node() is graph.last_node() is None


def test_removing_a_node_takes_its_edges():
    graph = chain("a", "b", "c")
    graph.remove_node(graph.nodes["b"])
    assert (list(graph.nodes), graph.edges) == (["a", "c"], [])


def test_trimming_leaves_an_end():
    graph = chain("a", "b", "c")
    graph.trim_first_node()
    graph.trim_last_node()
    assert list(graph.nodes) == ["b"]
    graph.trim_first_node()
    assert list(graph.nodes) == ["b"]  # a graph without nodes would have no end


def test_a_fork_is_not_trimmed():
    graph = chain("a", "b", "c")
    graph.add_edge(graph.nodes["a"], graph.nodes["c"])
    graph.trim_first_node()
    graph.trim_last_node()
    assert list(graph.nodes) == ["a", "b", "c"]


def test_extending_gives_the_new_ends_and_puts_ids_under_a_prefix():
    graph = chain("a")
    first, last = graph.extend(chain("x", "y"), prefix="in")
    assert first is not None and last is not None
    assert (first.id, last.id) == ("in:x", "in:y")
    assert list(graph.nodes) == ["a", "in:x", "in:y"]
    assert graph.edges == [Edge("in:x", "in:y")]


def test_made_up_ids_get_no_prefix():
    inner = Graph()
    node = inner.add_node(Schema)
    graph = chain("a")
    first, _ = graph.extend(inner, prefix="in")
    assert first is not None
    assert first.id == node.id in graph.nodes


def test_reid_numbers_names_that_are_shared():
    graph = Graph()
    one, other = graph.add_node(Schema), graph.add_node(Schema)
    graph.add_node(StrOutputParser())
    graph.add_edge(one, other, "to", conditional=True)
    named = graph.reid()
    assert list(named.nodes) == ["Schema_1", "Schema_2", "StrOutputParser"]
    assert named.edges == [Edge("Schema_1", "Schema_2", "to", True)]
    assert all(node.id == id for id, node in named.nodes.items())
    assert list(graph.nodes) != list(named.nodes)


def test_reid_never_makes_two_nodes_one():
    graph = Graph()
    graph.add_node(Schema, "Schema")
    graph.add_node(Schema)
    graph.add_node(Schema, name="a:b")
    assert list(graph.reid().nodes) == ["Schema", "Schema_2", "a_b"]


def test_json():
    graph = Graph()
    start = graph.add_node(Schema)
    step = graph.add_node(StrOutputParser(), "step", metadata={"key": 2})
    end = graph.add_node(None, "end")
    graph.add_edge(start, step)
    graph.add_edge(step, end, "why", conditional=True)
    assert graph.to_json() == {
        "nodes": [
            {"id": 0, "type": "schema", "data": "Schema"},
            {
                "id": "step",
                "type": "runnable",
                "data": {
                    "id": ["headrace", "output_parsers", "string", "StrOutputParser"],
                    "name": "step",
                },
                "metadata": {"key": 2},
            },
            {"id": "end"},
        ],
        "edges": [
            {"source": 0, "target": "step"},
            {"source": "step", "target": "end", "data": "why", "conditional": True},
        ],
    }
    schema = graph.to_json(with_schemas=True)["nodes"][0]["data"]
    assert schema == Schema.model_json_schema()


def test_a_schema_without_json_keeps_its_name():
    class Queer(BaseModel, arbitrary_types_allowed=True):
        a: Graph.__class__  # a metaclass: nothing that JSON has

    graph = Graph()
    graph.add_node(Queer)
    assert graph.to_json(with_schemas=True)["nodes"][0]["data"] == {"title": "Queer"}


def test_branch_is_a_pair():
    def condition(value: str) -> str:
        return value

    assert Branch(condition, {"a": "b"}).ends == {"a": "b"}


def test_the_path_that_users_know():
    from headrace.runnables import graph

    assert graph.Graph is Graph
    import headrace.graph

    assert set(graph.__all__) == set(headrace.graph.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = graph.nothing_of_the_kind


def test_kinds_in_json():
    graph = Graph()
    graph.add_node(None, "a", kind="barrier")
    graph.add_node(None, "b")
    assert graph.to_json(with_kinds=True)["nodes"] == [{"id": "a", "kind": "barrier"}, {"id": "b"}]
    assert graph.to_json()["nodes"] == [{"id": "a"}, {"id": "b"}]
