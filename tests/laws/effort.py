"""How hard the property tests try: LAWS_EFFORT=20 makes them draw twenty times as many examples.

The numbers in the tests keep `make test` short; CI tries twice as hard (`.ci/run`), and whoever
hunts for a bug in the engine may try harder still.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

EFFORT = float(os.environ.get("LAWS_EFFORT", "1"))


def examples(number: int, **other: Any) -> settings:
    """Hypothesis settings with so many examples, times the effort."""
    return settings(max_examples=max(1, round(number * EFFORT)), **other)
