"""The picture on the page of the guide is that of the chain on the page."""

from __future__ import annotations

import os
from typing import Any

from docs.pages import GUIDE, ROOT, blocks

PAGE = GUIDE / "13-graphs.md"
PICTURE = ROOT / "docs" / "assets" / "graph.svg"


def test_the_picture_is_of_the_chain(capsys):
    first = next(block for block in blocks(PAGE.read_text("utf-8")) if block.language == "python")
    names: dict[str, Any] = {}
    exec(first.body, names)
    drawn = names["chain"].get_graph().draw_svg()
    if os.environ.get("UPDATE_DOCS"):
        PICTURE.write_text(drawn, "utf-8")
    assert PICTURE.read_text("utf-8") == drawn
    assert capsys.readouterr().out
