"""`Graph`: nodes and edges as data, and the doors to their pictures.

A graph knows nothing of runnables beyond names: `build.py` makes one from a runnable, the drawing
modules read one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .parts import LabelsDict, is_uuid
from .structure import Structure
from .styles import CurveStyle, MermaidDrawMethod, NodeStyles

__all__ = ["Graph"]


@dataclass
class Graph(Structure):
    """Nodes by id, and edges. True if there are nodes."""

    # ------------------------------------------------------------- as text and data

    def to_json(
        self, *, with_schemas: bool = False, with_kinds: bool = False
    ) -> dict[str, list[dict[str, Any]]]:
        """Nodes and edges as JSON values; UUIDs become the node's number.

        Args:
            with_schemas: with the JSON schemas of schema nodes instead of their names.
            with_kinds: with the `kind` of nodes that have one: `"barrier"` waits for its whole
                input.
        """
        from .describe import node_json

        ids: dict[str, Any] = {
            id: number if is_uuid(id) else id for number, id in enumerate(self.nodes)
        }
        edges = []
        for edge in self.edges:
            entry = {"source": ids[edge.source], "target": ids[edge.target]}
            if edge.data is not None:
                entry["data"] = edge.data
            if edge.conditional:
                entry["conditional"] = True
            edges.append(entry)
        nodes = [
            {"id": ids[id], **node_json(node, with_schemas=with_schemas, with_kinds=with_kinds)}
            for id, node in self.nodes.items()
        ]
        return {"nodes": nodes, "edges": edges}

    def draw_mermaid(
        self,
        *,
        with_styles: bool = True,
        curve_style: CurveStyle = CurveStyle.LINEAR,
        node_colors: NodeStyles | None = None,
        wrap_label_n_words: int = 9,
        frontmatter_config: dict[str, Any] | None = None,
    ) -> str:
        """The graph in Mermaid's language.

        Args:
            with_styles: with shapes, labels, classes and the front matter; else edges only.
            curve_style: of the edges.
            node_colors: the looks of the classes `default`, `first`, `last`, `barrier`.
            wrap_label_n_words: after how many words the text of an edge is broken.
            frontmatter_config: Mermaid's own configuration, such as
                `{"config": {"theme": "neutral"}}`.
        """
        from .mermaid import mermaid_text

        return mermaid_text(
            self.reid(),
            with_styles=with_styles,
            curve=curve_style,
            styles=node_colors or NodeStyles(),
            wrap=wrap_label_n_words,
            frontmatter=frontmatter_config or {},
        )

    # ------------------------------------------------------------- as pictures

    def draw_ascii(self, *, width: int | None = None) -> str:
        """The graph in characters. Boxes with `=` wait for their whole input.

        Args:
            width: in columns, where there are no more: boxes then stand closer, and long names
                lose their middle, as far as it takes or goes. The result can still be wider.

        Raises:
            MissingExtraError: grandalf is not installed (`pip install "headrace[graph]"`).
        """
        from .ascii import ascii_text

        return ascii_text(self, width)

    def print_ascii(self) -> None:
        """Print `draw_ascii()`."""
        print(self.draw_ascii())  # noqa: T201 - what it is for

    def draw_svg(
        self,
        output_file_path: str | Path | None = None,
        *,
        labels: LabelsDict | None = None,
        node_colors: NodeStyles | None = None,
        background_color: str | None = "white",
    ) -> str:
        """The graph as an SVG image: its text, also written to a file if a path is given.

        Raises:
            MissingExtraError: grandalf is not installed (`pip install "headrace[graph]"`).
        """
        from .picture import picture
        from .svg import svg_text

        text = svg_text(picture(self, labels, node_colors or NodeStyles()), background_color)
        if output_file_path is not None:
            Path(output_file_path).write_text(text, encoding="utf-8")
        return text

    def draw_png(
        self,
        output_file_path: str | Path | None = None,
        fontname: str | None = None,
        labels: LabelsDict | None = None,
        *,
        node_colors: NodeStyles | None = None,
        background_color: str | None = "white",
        padding: int = 10,
    ) -> bytes | None:
        """The graph as a PNG image, drawn on this machine.

        Args:
            output_file_path: where to put it; then nothing is returned.
            fontname: a font file (or the name of one) to prefer. Otherwise it is the one of Pillow
                and the usual ones of this machine that has all the characters; what no font has
                is shown by its number, as in `\\u68c0`.
            labels: texts to show instead of the usual ones.
            background_color: None for a transparent one.
            padding: around the graph, in pixels.

        Raises:
            MissingExtraError: grandalf or Pillow is not installed
                (`pip install "headrace[graph]"`).
        """
        from .fonts import Fonts
        from .picture import picture
        from .png import png_bytes

        fonts = Fonts(fontname)
        made = picture(self, labels, node_colors or NodeStyles(), padding, fonts.readable)
        image = png_bytes(made, background_color, fonts)
        if output_file_path is None:
            return image
        Path(output_file_path).write_bytes(image)
        return None

    def draw_mermaid_png(
        self,
        *,
        curve_style: CurveStyle = CurveStyle.LINEAR,
        node_colors: NodeStyles | None = None,
        wrap_label_n_words: int = 9,
        output_file_path: str | Path | None = None,
        draw_method: MermaidDrawMethod = MermaidDrawMethod.LOCAL,
        background_color: str | None = "white",
        padding: int = 10,
        max_retries: int = 1,
        retry_delay: float = 1.0,
        frontmatter_config: dict[str, Any] | None = None,
        base_url: str | None = None,
        proxies: dict[str, str] | None = None,
    ) -> bytes:
        """`draw_png` under the name, and with the arguments, of a picture made by Mermaid.

        What only Mermaid or its web service can use (curves, front matter, retries, addresses) is
        accepted and left aside: nothing is sent anywhere.

        Raises:
            ConfigError: another `draw_method` than LOCAL was asked for.
        """
        if draw_method is not MermaidDrawMethod.LOCAL or base_url is not None:
            asked = f"base_url={base_url!r}" if base_url is not None else str(draw_method)
            raise ConfigError(
                f"draw_mermaid_png was asked for {asked}, and Headrace sends no graph to a service "
                "or a browser: leave it out to draw here, or give the text of draw_mermaid() to "
                "the service."
            )
        image = self.draw_png(
            node_colors=node_colors, background_color=background_color, padding=padding
        )
        assert image is not None
        if output_file_path is not None:
            Path(output_file_path).write_bytes(image)
        return image
