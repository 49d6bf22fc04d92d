"""`explain()`: what happens to a stream at each step of a chain, as data and as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ._again import Again

_SAYS = {
    "streams": "streams",
    "barrier": "waits for its whole input",
    "source": "waits for its whole input, then streams",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `path` as in events and errors; `kind` is `"streams"`, `"barrier"` or `"source"`;
    `advice` what to write instead of a barrier ("" where there is nothing better, or where it would
    change nothing because a later step waits anyway). Of a policy: `policy`, its class, and
    `terms`, what it was given."""

    path: str
    label: str
    name: str
    type: str
    depth: int
    kind: str
    advice: str = ""
    policy: str = ""
    terms: str = ""


class Explanation:
    """The steps of a chain, outermost first. Iterate it, `str()` it, or take `to_dicts()`."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def barriers(self) -> list[Step]:
        """The steps that give nothing until their input has ended."""
        return [step for step in self.steps if step.kind == "barrier"]

    @property
    def streams(self) -> bool:
        """Whether the end of the chain gives chunks while there is more to come."""
        return bool(self.steps) and self.steps[0].kind != "barrier"

    def to_dicts(self) -> list[dict[str, Any]]:
        return [asdict(step) for step in self.steps]

    def __str__(self) -> str:
        names = [
            f"{'  ' * step.depth}{f'{step.label}: ' if step.label else ''}"
            + (step.name if step.name.startswith(step.policy) else f"{step.policy}<{step.name}>")
            for step in self.steps
        ]
        width = max(map(len, names), default=0) + 2
        lines = []
        for name, step in zip(names, self.steps, strict=True):
            terms = f" ({step.terms})" if step.terms else ""
            lines.append(f"{name:<{width}}{_SAYS[step.kind]}{terms}")
            if step.advice:
                lines.append(f"{' ' * width}→ {step.advice}")
        return "\n".join(lines)

    __repr__ = __str__


def explain(node: Any) -> Explanation:
    """Walk a runnable and say of each step what it does to a stream."""
    return Explanation(list(_walk(node, "", "", 0, True)))


def _walk(node: Any, label: str | None, parent: str, depth: int, shows: bool) -> Iterator[Step]:
    """`shows`: whether it would change what comes out of the whole if this one streamed."""
    while node._transparent and node._children():
        named = node.get_name()
        node = node._children()[0][1]
        if named != node.get_name():
            node = node if node._transparent else _Named(node, named)
    name = node.get_name()
    here = f"{label}:{name}" if label else name
    path = f"{parent}/{here}" if parent else name
    own = node._node if isinstance(node, _Named) else node
    flow = own.flow_read(outermost=not parent) if isinstance(own, Again) else own._flow()
    advice = flow.advice if shows else ""
    policy = _policy(own)
    yield Step(path, label or "", name, node._run_type, depth, flow.kind, advice, *policy)
    for number, (child_label, child) in enumerate(node._children()):
        yield from _walk(child, child_label, path, depth + 1, shows and node._shows(number))


def _policy(node: Any) -> tuple[str, str]:
    terms = getattr(type(node), "_terms_told", None)
    return ("", "") if terms is None else (type(node).__name__, terms(node))


class _Named:
    """A node under the name that a binding gives it."""

    _transparent = False

    def __init__(self, node: Any, name: str) -> None:
        self._node, self._name = node, name
        self._run_type = node._run_type

    def get_name(self) -> str:
        return self._name

    def _shows(self, number: int) -> bool:
        return self._node._shows(number)  # type: ignore[no-any-return]

    def _children(self) -> Any:
        return self._node._children()
