"""What a runnable says of itself: its types, its settings, its parts, its picture.

None of this runs anything. Schemas are made by `schema.py`, which alone loads pydantic; graphs are
a view that lives above (`headrace.graph`), imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..shapes import Node
from .explain import Explanation, explain


class About(Node):
    """The part of `Runnable` that answers questions."""

    # ------------------------------------------------------------- parts

    def _walk(self) -> Iterator[Any]:
        """This runnable and all those inside it, outermost first."""
        yield self
        for _, child in self._children():
            if isinstance(child, About):
                yield from child._walk()

    def explain(self) -> Explanation:
        """Per step: does it stream, wait for its whole input (and what to write instead) or make
        the stream. Print it for the text; iterate it for the data."""
        return explain(self)

    def get_prompts(self, config: Any = None) -> list[Any]:
        """The prompt templates in this runnable, in the order in which they are met."""
        return [node for node in self._walk() if node._run_type == "prompt"]
