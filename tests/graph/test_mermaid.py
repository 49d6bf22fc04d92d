"""The text for Mermaid."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from graph.pieces import CHAINS, deep, long, model, prompt
from headrace.graph import CurveStyle, Edge, Graph, Node, NodeStyles
from headrace.graph.mermaid import safe_id
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda

_ID = r"(?:[\w-]|\\[0-9a-f])+"
_BOX = rf"{_ID}\(.*\)(:::\w+)?"
_LINK = r"(-->|-\.->|-- &nbsp;.*&nbsp; -->|-\. &nbsp;.*&nbsp; \.->)"
_LINES = {
    "subgraph": re.compile(rf"\tsubgraph {_ID}(\[\".*\"\])?"),
    "end": re.compile(r"\tend"),
    "class": re.compile(r"\tclassDef \w+ \S+"),
    "edge": re.compile(rf"\t{_ID} {_LINK} {_ID};"),
    "node": re.compile(rf"\t{_BOX}"),
}


def kinds(text: str) -> list[str]:
    """What each line of a flowchart is; fails for one that is nothing."""
    body = text.split("graph TD;\n")[1]
    found = []
    for line in body.splitlines():
        match = [kind for kind, pattern in _LINES.items() if pattern.fullmatch(line)]
        assert match, line
        found.append(match[0])
    assert found.count("subgraph") == found.count("end")
    return found


def graph_of(*ids: str, **options: Any) -> Graph:
    nodes = {id: Node(id, id, BaseModel, options.get("metadata")) for id in ids}
    return Graph(nodes, [Edge(a, b) for a, b in itertools.pairwise(ids)])


def test_a_sequence():
    chain = prompt() | model().with_config(metadata={"key": 2}) | StrOutputParser()
    assert chain.get_graph().draw_mermaid() == (
        "---\n"
        "config:\n"
        "  flowchart:\n"
        "    curve: linear\n"
        "---\n"
        "graph TD;\n"
        "\tPromptInput([PromptInput]):::first\n"
        "\tChatPromptTemplate(ChatPromptTemplate):::barrier\n"
        "\tFakeListChatModel(FakeListChatModel<hr/><small><em>key = 2</em></small>)\n"
        "\tStrOutputParser(StrOutputParser)\n"
        "\tStrOutputParserOutput([StrOutputParserOutput]):::last\n"
        "\tPromptInput --> ChatPromptTemplate;\n"
        "\tChatPromptTemplate --> FakeListChatModel;\n"
        "\tStrOutputParser --> StrOutputParserOutput;\n"
        "\tFakeListChatModel --> StrOutputParser;\n"
        "\tclassDef default fill:#f2f0ff,line-height:1.2\n"
        "\tclassDef first fill-opacity:0\n"
        "\tclassDef last fill:#bfb6fc\n"
        "\tclassDef barrier fill:#ffe8cc,stroke:#d9480f,stroke-width:2px,line-height:1.2\n"
    )


def test_without_styles_there_are_edges_only():
    text = CHAINS["sequence"]().get_graph().draw_mermaid(with_styles=False)
    assert text.startswith("graph TD;\n\tPromptInput --> ")
    assert set(kinds(text)) == {"edge"}


@pytest.mark.parametrize("name", list(CHAINS))
@pytest.mark.parametrize("with_styles", [True, False])
def test_every_line_is_something(name, with_styles):
    graph = CHAINS[name]().get_graph()
    found = kinds(graph.draw_mermaid(with_styles=with_styles))
    assert found.count("edge") == len(graph.edges)
    assert found.count("node") == (len(graph.nodes) if with_styles else 0)


def test_colours_and_curve():
    text = graph_of("a", "b").draw_mermaid(
        curve_style=CurveStyle.BUMP_X, node_colors=NodeStyles(first="fill:#fff", barrier="x:y")
    )
    assert "    curve: bumpX\n" in text
    assert "\tclassDef first fill:#fff\n" in text
    assert "barrier" not in text  # nothing here waits


def test_front_matter():
    text = graph_of("a", "b").draw_mermaid(
        frontmatter_config={
            "title": "It's: a test",
            "config": {
                "theme": "neutral",
                "look": "handDrawn",
                "flowchart": {"nodeSpacing": 30, "htmlLabels": True},
                "themeVariables": {"primaryColor": "#e2e2e2", "empty": {}, "list": [1, "yes"]},
            },
        }
    )
    read = yaml.safe_load(text.split("---\n")[1])
    assert read["title"] == "It's: a test"
    assert read["config"] == {
        "theme": "neutral",
        "look": "handDrawn",
        "flowchart": {"nodeSpacing": 30, "htmlLabels": True, "curve": "linear"},
        "themeVariables": {"primaryColor": "#e2e2e2", "empty": {}, "list": [1, "yes"]},
    }
    assert "    primaryColor: '#e2e2e2'\n" in text


def test_labels_of_edges_are_wrapped_and_dotted_where_conditional():
    nodes = graph_of("a", "b").nodes
    graph = Graph(nodes, [Edge("a", "b", "one two three four"), Edge("b", "a", "x -- y", True)])
    text = graph.draw_mermaid(with_styles=False, wrap_label_n_words=3)
    assert "\ta -- &nbsp;one two three&nbsp<br>&nbspfour&nbsp; --> b;\n" in text
    assert "\tb -. &nbsp;x #45;#45; y&nbsp; .-> a;\n" in text


def test_subgraphs_by_ids_with_colons():
    ids = ("start", "child:one:deep", "child:one:deeper", "child:two", "end_")
    text = graph_of(*ids).draw_mermaid()
    body = text.split("graph TD;\n")[1].split("\tclassDef")[0]
    assert body == (
        "\tstart([start]):::first\n"
        "\tend_([end_]):::last\n"
        "\tstart --> child\\3aone\\3adeep;\n"
        "\tchild\\3atwo --> end_;\n"
        "\tsubgraph child\n"
        "\tchild\\3atwo(two)\n"
        "\tchild\\3aone\\3adeeper --> child\\3atwo;\n"
        "\tsubgraph one\n"
        "\tchild\\3aone\\3adeep(deep)\n"
        "\tchild\\3aone\\3adeeper(deeper)\n"
        "\tchild\\3aone\\3adeep --> child\\3aone\\3adeeper;\n"
        "\tend\n"
        "\tend\n"
    )


def test_subgraphs_of_one_name_get_ids_of_their_own():
    text = graph_of("a:x:1", "a:x:2", "b:x:1", "b:x:2").draw_mermaid()
    assert '\tsubgraph a\\3ax["x"]\n' in text
    assert '\tsubgraph b\\3ax["x"]\n' in text
    ids = re.findall(r"\tsubgraph ([^\[\n]+)", text)
    assert len(set(ids)) == len(ids) == 4


ODD = ['say "hi"', "a(b)[c]{d}", "a|b;c%d#e", "开始", "Parallel<a,b>", "two\nlines", "back\\slash",
       "end", "Subgraph", "*bold*", "_", "é ß", "-->", "%%"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_names(name):
    for chain in (
        RunnableLambda(len, name=name) | StrOutputParser(),
        RunnableLambda(len, name=name).with_retry().with_config(run_name=name),
    ):
        text = chain.get_graph().draw_mermaid()
        assert "edge" in kinds(text)
        labels = re.findall(r"\(\[?(.*?)\]?\)(?::::\w+)?$", text, re.MULTILINE)
        assert labels
        for label in labels:
            plain = re.sub(r"</?p>", "", label)
            assert not re.search(r'[\[\](){}"<>|]', plain), label


@pytest.mark.parametrize(
    ("name", "id"),
    [("foo", "foo"), ("foo-bar_1", "foo-bar_1"), ("#a b", "\\23a\\20b"), ("é", "\\e9")],
)
def test_ids_are_safe(name, id):
    assert safe_id(name) == id


def test_metadata_in_one_line_each():
    metadata = {
        "tools": ["a", 2],
        "set": {"z", "y"},
        "nested": {"a": 1},
        "lists": [[1]],
        "note": '"[x]" | #1',
        "none": None,
    }
    text = graph_of("a", "b", metadata=metadata).draw_mermaid()
    assert (
        "\ta([a<hr/><small><em>tools = a, 2\nset = y, z\n"
        "note = #quot;#91;x#93;#quot; #124; #35;1</em></small>]):::first\n"
    ) in text


def test_depth_and_length():
    assert kinds(deep(200).get_graph().draw_mermaid()).count("subgraph") == 200
    assert kinds(long(200).get_graph().draw_mermaid()).count("edge") == 201


def test_an_end_that_waits_is_both():
    graph = Graph()
    first = graph.add_node(None, "first", kind="barrier")
    graph.add_edge(first, graph.add_node(None, "last"))
    text = graph.draw_mermaid()
    assert "\tfirst([first]):::first\n\tclass first barrier;\n\tlast([last]):::last\n" in text
