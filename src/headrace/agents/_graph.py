"""The picture of an agent: its model, which goes on to tools or to the end, and its tools, which
come back to it."""

from __future__ import annotations

from typing import Any

from ..graph import Graph

__all__ = ["graph_of"]


def graph_of(agent: Any, config: Any) -> Graph:
    """See `Agent.get_graph`."""
    graph, setup = Graph(), agent._setup
    start = graph.add_node(agent.get_input_schema(config))
    end_schema = agent.get_output_schema(config)
    model = graph.add_node(setup.model, "model")
    first = last = model
    for hook in reversed(setup.before):
        node = graph.add_node(hook, _free(graph, hook.name))
        graph.add_edge(node, first)
        first = node
    for hook in setup.after:
        node = graph.add_node(hook, _free(graph, hook.name))
        graph.add_edge(last, node)
        last = node
    graph.add_edge(start, first)
    for name, tool in setup.tools.items():
        node = graph.add_node(tool, _free(graph, name))
        graph.add_edge(last, node, conditional=True)
        if tool.return_direct:
            continue
        graph.add_edge(node, first)
    end = graph.add_node(end_schema)
    graph.add_edge(last, end, conditional=bool(setup.tools))
    for name in setup.rules.direct:
        graph.add_edge(graph.nodes[name], end)
    return graph


def _free(graph: Graph, name: str) -> str:
    """An id that is not taken; one with a colon would stand in a subgraph."""
    id = name.replace(":", "_")
    while id in graph.nodes:
        id += "_"
    return id
