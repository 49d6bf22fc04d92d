"""`headrace explain`: what each step of a runnable does to a stream."""

from __future__ import annotations

import json

from .screen import Screen
from .target import load_target

__all__ = ["explain"]


def explain(target: str, *, as_json: bool) -> None:
    """Print `runnable.explain()`.

    Args:
        target: a TARGET.
        as_json: as a JSON array with an object for each step, instead of text.
    """
    explanation = load_target(target).explain()
    shown = json.dumps(explanation.to_dicts(), indent=2) if as_json else str(explanation)
    Screen().show(f"{shown}\n")
