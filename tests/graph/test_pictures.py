"""Pictures in characters, as SVG and as PNG."""

from __future__ import annotations

import io
import re
import sys
import time
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graph.pieces import CHAINS, Drawn, deep, long, model, overlapping, prompt, shout
from headrace.cli.graphing import draw
from headrace.errors import ConfigError, InputError, MissingExtraError
from headrace.graph import Edge, Graph, MermaidDrawMethod, Node, NodeStyles, fonts
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableLambda, RunnableParallel

EVERY = pytest.mark.parametrize("name", list(CHAINS))


def graph_of(count: int, edges: list[tuple[int, int]], prefix: str = "") -> Graph:
    nodes = {
        f"{prefix}n{i}": Node(f"{prefix}n{i}", f"{prefix}n{i}", None, None) for i in range(count)
    }
    return Graph(nodes, [Edge(f"{prefix}n{a}", f"{prefix}n{b}") for a, b in edges])


def image(png: bytes | None) -> Any:
    assert png is not None
    return Image.open(io.BytesIO(png))


# ---- characters ---------------------------------------------------------------------------------


def test_a_sequence_in_characters(capsys):
    graph = (prompt() | StrOutputParser()).get_graph()
    graph.print_ascii()
    drawn = capsys.readouterr().out
    assert [line.rstrip() for line in drawn.splitlines()] == [
        "     +-------------+",
        "     | PromptInput |",
        "     +-------------+",
        "            *",
        "            *",
        "            *",
        "  +====================+",
        "  | ChatPromptTemplate |",
        "  +====================+",
        "            *",
        "            *",
        "            *",
        "   +-----------------+",
        "   | StrOutputParser |",
        "   +-----------------+",
        "            *",
        "            *",
        "            *",
        "+-----------------------+",
        "| StrOutputParserOutput |",
        "+-----------------------+",
        "",
        "[=] waits for its whole input",
    ]


def test_no_legend_where_nothing_waits():
    assert "waits" not in StrOutputParser().get_graph().draw_ascii()
    assert "waits" not in "".join(Drawn(StrOutputParser().get_graph().draw_svg()).texts)


@EVERY
def test_every_box_is_whole_in_characters(name):
    graph = CHAINS[name]().get_graph()
    drawn = graph.draw_ascii()
    for node in graph.nodes.values():
        assert f"| {node.name} |" in drawn
    boxes = [line.count("| ") for line in drawn.splitlines() if "| " in line]
    assert sum(boxes) >= len(graph.nodes)
    lines = drawn.split("\n\n[=]")[0].split("\n")
    assert len({len(line) for line in lines}) == 1


def test_frames_and_labels_in_characters():
    drawn = CHAINS["nested"]().get_graph().draw_ascii()
    assert drawn.count(" Retry ") == 2
    assert " is_long " in drawn
    assert " default " in drawn


def arms(count: int) -> Graph:
    return RunnableParallel({f"k{i}": RunnableLambda(shout) for i in range(count)}).get_graph()


def test_three_arms_in_characters():
    assert [line.rstrip() for line in arms(3).draw_ascii().splitlines()[:9]] == [
        "         +-------------------------+",
        "         | Parallel<k0,k1,k2>Input |",
        "         +-------------------------+",
        "                      *",
        "    *************************************",
        "    *                 *                 *",
        "+=======+         +=======+         +=======+",
        "| shout |         | shout |         | shout |",
        "+=======+         +=======+         +=======+",
    ]


@pytest.mark.parametrize("name", [*CHAINS, 3, 5, 8])
def test_lines_touch_no_border_but_its_middle(name):
    graph = arms(name) if isinstance(name, int) else CHAINS[name]().get_graph()
    drawn = graph.draw_ascii().split("\n\n[=]")[0].splitlines()
    for row, line in enumerate(drawn):
        assert not re.search(r"[*.][+|]|[+|][*.]", line)
        for border in re.finditer(r"\+[-=]+\+", line):
            for beside in {row - 1, row + 1} & set(range(len(drawn))):
                met = {
                    at - border.start()
                    for at in range(border.start(), border.end())
                    if drawn[beside][at] == "*"
                }
                wide = border.end() - border.start()
                assert met <= {(wide - 1) // 2, wide // 2}


def test_lines_that_only_cross_have_rows_of_their_own():
    nodes = {id: Node(id, id, None, None) for id in "abcwxyz"}
    pairs = ["ax", "ay", "bz", "by", "cx", "cz", "aw"]
    graph = Graph(nodes, [Edge(pair[0], pair[1]) for pair in pairs])
    rows = [line.rstrip() for line in graph.draw_ascii().splitlines()[3:-3]]
    assert ["***" in row for row in rows] == [False, True, False, True, False, True, False]
    assert any("* * *" in row for row in rows)


def test_a_width_to_fit_into():
    graph = CHAINS["nested"]().get_graph()
    roomy, narrow = graph.draw_ascii(), graph.draw_ascii(width=100)
    assert max(map(len, roomy.splitlines())) > 101
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 100
    assert graph.draw_ascii(width=200) == roomy
    for name in ("shout", "Branch", "ChatPromptTemplate"):
        assert f"| {name} |" in narrow
    assert "| ChatPromptTemplate |" in graph.draw_ascii(width=20)  # nothing is cut in vain


@pytest.mark.parametrize(("columns", "said"), [(60, True), (300, False)])
def test_a_terminal_that_is_too_narrow(columns, said, tmp_path, capsys, monkeypatch):
    (tmp_path / "arms.py").write_text(
        "from headrace.runnables import RunnableParallel\n"
        "chain = RunnableParallel({f'k{i}': (lambda v: v) for i in range(9)})\n"
    )
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    draw(f"{tmp_path / 'arms.py'}:chain", format=None, output=None)
    out, err = capsys.readouterr()
    assert "Input |" in out
    assert (f"columns wide, the terminal has {columns}: write an image" in err) == said


def test_long_names_keep_what_tells_them_apart():
    graph = RunnableParallel({f"a_rather_long_key_{i}": shout for i in range(5)}).get_graph()
    drawn = graph.draw_ascii()
    assert all(f"{side} |" in drawn for side in ("Input", "Output"))
    texts = Drawn(graph.draw_svg()).texts
    for side in ("Input", "Output"):
        name = next(text for text in texts if text.endswith(side))
        assert "..." in name
        assert len(name) == 60


def test_wide_characters_take_two_columns():
    drawn = RunnableLambda(len, name="开始").with_retry().get_graph().draw_ascii()
    line = next(line for line in drawn.splitlines() if "开始" in line)
    above = drawn.splitlines()[drawn.splitlines().index(line) - 1]
    assert line.index("|") == above.index("+")
    assert line.rindex("|") + 2 == above.rindex("+")  # two characters, four columns


def test_what_a_terminal_would_obey_is_left_out():
    drawn = RunnableLambda(len, name="a\x1b[31m\nb").get_graph().draw_ascii()
    assert "| a [31m b |" in drawn
    assert "\x1b" not in drawn


# ---- SVG ----------------------------------------------------------------------------------------


def check(graph: Graph, texts: bool = True) -> Drawn:
    """An image in which every box is apart and everything inside."""
    drawn = Drawn(graph.draw_svg())
    assert len(drawn.nodes) == len(graph.nodes)
    assert not overlapping(drawn.nodes)
    wide, high = drawn.size
    for x, y, w, h in drawn.rects:
        assert x >= 0 and y >= 0
        assert x + w <= wide + 0.11 and y + h <= high + 0.11
    for left, right, base in drawn.text_spans():
        assert left >= -0.1 and right <= wide + 0.1
        assert 0 < base < high
    return drawn


@EVERY
def test_every_box_is_apart_and_every_label_inside(name):
    graph = CHAINS[name]().get_graph()
    drawn = check(graph)
    for node in graph.nodes.values():
        assert node.name in drawn.texts
    for edge in graph.edges:
        if edge.data is not None:
            assert str(edge.data) in drawn.texts
    assert ("waits for its whole input" in drawn.texts) == (name != "single")


def test_the_title_of_a_frame_is_left_of_its_line_and_a_name_in_the_middle():
    graph = RunnableLambda(shout, name="a_long_name_for_a_step").map().get_graph()
    drawn = check(graph)
    ((x, _, w, _),) = drawn.frames
    title = drawn.texts.index("Each<a_long_name_for_a_step>")
    assert drawn.text_spans()[title][1] < x + w / 2
    left, right, _ = drawn.text_spans()[drawn.texts.index("a_long_name_for_a_step")]
    assert abs(left + right - 2 * (x + w / 2)) < 1


def test_texts_fit_into_their_boxes():
    graph = RunnableLambda(len, name="A rather LONG name, WIDER than most").get_graph()
    drawn = check(graph)
    (x, _, w, _), (left, right, _) = drawn.nodes[1], drawn.text_spans()[1]
    assert x <= left and right <= x + w


def test_frames_hold_what_is_in_them():
    drawn = check(CHAINS["nested"]().get_graph())
    assert len(drawn.frames) == 3
    for node in drawn.nodes:
        for x, y, w, h in drawn.frames:
            inside = x <= node[0] and node[0] + node[2] <= x + w
            inside = inside and y <= node[1] and node[1] + node[3] <= y + h
            assert inside or not overlapping([node, (x, y, w, h)])


ODD = ["<&>\"'", "]]>", "tab\there", "nul\x00", "开始", "emoji 🦜", "x" * 500, "", "\ud800"]


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_odd_names(name):
    graph = (RunnableLambda(len, name=name) | StrOutputParser()).get_graph()
    check(graph)
    graph.draw_ascii()
    assert image(graph.draw_png()).format == "PNG"


def test_labels_of_ones_own():
    graph = CHAINS["fallbacks"]().get_graph().reid()
    labels: Any = {"nodes": {"shout": "Plan B"}, "edges": {"on error 2": "else"}}
    texts = Drawn(graph.draw_svg(labels=labels)).texts
    assert texts.count("Plan B") == 1
    assert texts.count("else") == 1
    assert "on error 1" in texts
    assert "on error 2" not in texts


def test_colours():
    styles = NodeStyles(default="fill:rgb(1,2,3),color:#040506", last="fill:none")
    svg = StrOutputParser().get_graph().draw_svg(node_colors=styles, background_color=None)
    assert 'fill="rgb(1,2,3)"' in svg
    assert 'fill="#040506"' in svg
    assert "white" not in svg
    pixels = StrOutputParser().get_graph().draw_png(node_colors=styles)
    assert (1, 2, 3) in {color for _, color in image(pixels).getcolors(1_000_000)}


# ---- shapes of graphs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "edges"),
    [
        (1, []),
        (3, []),
        (1, [(0, 0)]),
        (2, [(0, 1), (1, 0)]),
        (3, [(0, 1), (1, 2), (2, 0)]),
        (3, [(0, 1), (0, 1), (1, 2), (0, 2)]),
        (5, [(0, 1), (2, 3)]),
        (6, [(0, 3), (0, 4), (0, 5), (1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]),
    ],
    ids=["one", "loose", "loop", "there and back", "circle", "twice", "pieces", "crossing"],
)
def test_graphs_of_ones_own(count, edges):
    graph = graph_of(count, edges)
    check(graph)
    drawn = graph.draw_ascii()
    assert all(f"| n{i} |" in drawn for i in range(count))
    assert image(graph.draw_png()).size[0] > 10


def test_boxes_that_the_layout_alone_lets_overlap():
    long_names, short_names = {1, 4, 5, 7, 14, 15, 17, 18}, {3, 8, 9, 19}
    edges = [(13, 8), (8, 15), (1, 11), (13, 10), (3, 12), (11, 5), (4, 1), (8, 14), (8, 18)]
    edges += [(11, 3), (4, 15), (3, 15)]
    graph = graph_of(20, edges)
    for number, (id, node) in enumerate(graph.nodes.items()):
        size = 40 if number in long_names else 1 if number in short_names else 5
        graph.nodes[id] = node.copy(name="n" * size + str(number))
    check(graph)


GRAPHS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=16),
        st.lists(st.sampled_from(["", "a:", "a:b:", "c:"]), min_size=n, max_size=n),
    )
)


@given(GRAPHS)
def test_any_graph(given):
    count, edges, prefixes = given
    ids = [f"{prefix}n{i}" for i, prefix in enumerate(prefixes)]
    nodes = {id: Node(id, id, None, None, "barrier" if len(id) > 3 else "") for id in ids}
    graph = Graph(nodes, [Edge(ids[a], ids[b], "x" * (a % 3) or None, a > b) for a, b in edges])
    check(graph)
    drawn = graph.draw_ascii()
    assert all(f"| n{i} |" in drawn for i in range(count))


@pytest.mark.slow
@pytest.mark.parametrize(("make", "painted"), [(long, 200), (deep, 60)], ids=["long", "deep"])
def test_two_hundred(make, painted):
    limit, start = sys.getrecursionlimit(), time.perf_counter()
    graph = make(200).get_graph()
    check(graph)
    graph.draw_ascii()
    picture = image(make(painted).get_graph().draw_png())  # painting box in box takes its time
    assert picture.width * picture.height < 10_000_000
    assert sys.getrecursionlimit() == limit
    assert time.perf_counter() - start < 20


# ---- PNG, files, missing packages ---------------------------------------------------------------


def test_a_png_has_the_size_of_the_svg_and_both_marks():
    graph = (prompt() | model() | shout).get_graph()
    drawn = Drawn(graph.draw_svg())
    picture = image(graph.draw_png())
    assert picture.mode == "RGB"
    for mine, theirs in zip(picture.size, drawn.size, strict=True):
        assert abs(mine - 2 * theirs) <= 2
    colours = {color for _, color in picture.getcolors(1_000_000)}
    assert {(255, 255, 255), (0xFF, 0xE8, 0xCC), (0xD9, 0x48, 0x0F)} <= colours


def test_a_transparent_background():
    picture = image(StrOutputParser().get_graph().draw_png(background_color=None))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0))[3] == 0


def test_files(tmp_path):
    graph = StrOutputParser().get_graph()
    assert graph.draw_png(str(tmp_path / "a.png")) is None
    drawn = graph.draw_mermaid_png(output_file_path=tmp_path / "b.png")
    assert drawn == (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert graph.draw_svg(tmp_path / "c.svg") == (tmp_path / "c.svg").read_text("utf-8")
    ElementTree.parse(tmp_path / "c.svg")


@pytest.mark.parametrize(
    "asked",
    [
        {"draw_method": MermaidDrawMethod.API},
        {"draw_method": MermaidDrawMethod.PYPPETEER},
        {"base_url": "https://example.org"},
    ],
)
def test_nothing_is_sent_anywhere(asked):
    with pytest.raises(ConfigError, match=r"sends no graph to a service.*leave it out"):
        StrOutputParser().get_graph().draw_mermaid_png(**asked)


def test_what_no_font_has_is_shown_by_its_number(monkeypatch):
    monkeypatch.setattr(fonts, "_USUAL", ())
    alone = fonts.Fonts(None)
    assert alone.readable("Prüfung 检查 🦜") == r"Pr\xfcfung \u68c0\u67e5 \U0001f99c"
    plain, odd = (
        RunnableLambda(len, name=name).get_graph().draw_png() for name in (r"\u68c0", "检")
    )
    assert plain == odd


def test_another_font_has_what_the_first_one_lacks(monkeypatch):
    known = {None: "abc", "a.ttf": "abcü", "b.ttf": "abж"}
    monkeypatch.setattr(fonts, "_USUAL", ("a.ttf", "b.ttf"))
    monkeypatch.setattr(fonts, "_has", lambda name, sign: sign in known[name])
    monkeypatch.setattr(fonts, "_font", lambda name, size: name)
    found = fonts.Fonts(None)
    assert found.readable("aüж检") == r"aüж\u68c0"
    for text, runs in {
        "abc": [("abc", None)],
        "aü": [("aü", "a.ttf")],
        "aüж": [("aü", "a.ttf"), ("ж", "b.ttf")],
    }.items():
        found.choose(text)
        assert found.runs(text, 10) == runs


def test_a_font_that_is_not_there():
    with pytest.raises(InputError, match=r"no font 'nowhere\.ttf'"):
        StrOutputParser().get_graph().draw_png(fontname="nowhere.ttf")


def test_a_colour_that_is_none():
    with pytest.raises(InputError, match="'reddish' is no colour"):
        StrOutputParser().get_graph().draw_png(background_color="reddish")


@pytest.mark.parametrize(
    ("package", "draw"),
    [
        ("grandalf", lambda graph: graph.draw_ascii()),
        ("grandalf", lambda graph: graph.draw_svg()),
        ("grandalf", lambda graph: graph.draw_png()),
        ("PIL", lambda graph: graph.draw_png()),
    ],
)
def test_a_missing_package_names_what_to_install(monkeypatch, package, draw):
    graph = StrOutputParser().get_graph()
    for name in [m for m in sys.modules if m.partition(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "headrace\[graph\]"'):
        draw(graph)
    assert "StrOutputParser" in graph.draw_mermaid()
    assert graph.to_json()["nodes"]
