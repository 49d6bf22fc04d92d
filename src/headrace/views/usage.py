"""What the models of a run read and wrote, in tokens."""

from __future__ import annotations

from ..messages.usage import UsageMetadata, sum_usage
from .hub import Hub

__all__ = ["Usage"]


class Usage:
    """Tokens that the models of a run read and wrote, as far as has been told.

    Args:
        total: their sum; None where no model tells.
        by_path: of each run, by its path; runs of one path are added up.
        by_model: by the model's name, where the provider gives it.
    """

    __slots__ = ("by_model", "by_path", "total")

    def __init__(self, hub: Hub) -> None:
        self.by_path: dict[str, UsageMetadata] = {}
        self.by_model: dict[str, UsageMetadata] = {}
        with hub.lock:
            for run, answer in hub.of_models().items():
                usage = answer.settle().usage
                if usage is not None:
                    _count(self.by_path, run.path, usage)
                    if answer.model:
                        _count(self.by_model, answer.model, usage)
        self.total = sum_usage(self.by_path.values())

    def __repr__(self) -> str:
        return f"Usage(total={self.total!r}, by_model={self.by_model!r}, by_path={self.by_path!r})"


def _count(counts: dict[str, UsageMetadata], key: str, usage: UsageMetadata) -> None:
    counts[key] = sum_usage([counts.get(key), usage]) or usage
