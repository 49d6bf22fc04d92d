"""`RunnableLike`: the type of what may stand beside `|`. A module of its own, as the alias takes a
millisecond to make, which a program that does not name it need not wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ._typed import A, AStreamed, Awaited, B, Filled, FilledAwaited, FilledStreamed, Streamed, Whole
from .base import Runnable, Step

RunnableLike: TypeAlias = (
    Runnable[A, B]
    | Whole[A, B]
    | Awaited[A, B]
    | Streamed[A, B]
    | AStreamed[A, B]
    | Filled[A, B]
    | FilledAwaited[A, B]
    | FilledStreamed[A, B]
    | Mapping[str, Step[A]]
)
"""What stands for a runnable from `A` to `B`: one, a function, a generator function, or a dict of
those."""
