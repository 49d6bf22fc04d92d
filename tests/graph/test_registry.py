"""Every runnable of the registry draws, in every format."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from laws.registry import ENTRIES


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_it_draws(entry):
    graph = entry.make().get_graph()
    assert graph.nodes
    assert graph.first_node() is not None
    assert json.loads(json.dumps(graph.to_json()))["nodes"]
    assert graph.draw_mermaid().count("\t") >= len(graph.nodes)
    drawn = graph.draw_ascii()
    assert all(f"| {node.name} |" in drawn for node in graph.nodes.values())
    ElementTree.fromstring(graph.draw_svg())
    assert graph.draw_png().startswith(b"\x89PNG\r\n")
