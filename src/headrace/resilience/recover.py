"""Streams that go on after a failure: `when="restart"` and `when="continue"` of `with_retry` and
`with_fallbacks`.

| `when` | a stream fails when chunks are out |
|---|---|
| `"before_first_chunk"` | the failure is raised: starting over would repeat them |
| `"restart"` | it starts over. Chunks are held back until a try has ended well: one clean stream |
| `"restart"`, `resets=True` | it starts over. The reader of the policy's own stream gets chunks at
  once and, before the next try, a `Reset`: discard what came. Inside a chain, where another step
  reads that has not asked for it, chunks are held back |
| `"continue"` | a chat model goes on where it stopped, its text so far put before its answer |

What a chain reports tells of each restart with the event `StreamReset`, held back or not.

Continuing is for chat models that take the beginning of their answer (`takes_prefix`), alone or in
a time limit, a limit of calls or a breaker. What a model repeats of it is left out, as its
`repeats_prefix` says (see `recover_text`), its usage is added up, and the message keeps its first
id. An answer with tool calls, with JSON or with content other than text is not continued: the
failure is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..errors import ConfigError
from ..events import Reset, StreamReset
from ..flow import Command, Emit, Forward, Late, Outcome, Read, fold_chunks
from ..merge import merge
from ..messages import AIMessage, AIMessageChunk
from ..run import Run
from ..runnables._again import Again, Tries
from ..runnables.sequence import RunnableSequence
from ..shapes import Contest, Kwargs
from .recover_text import Joining

__all__ = ["Live", "forgetting", "tries_of"]


def forgetting(late: Any) -> Late:
    """A stream with resets, its sum that of the chunks since the last one."""

    def fold(chunks: list[Any]) -> Any:
        begin = max((i for i, chunk in enumerate(chunks, 1) if type(chunk) is Reset), default=0)
        return fold_chunks(late.told[-1], chunks[begin:])

    return Late(late, [fold])


class Live:
    """A policy whose chunks are not held back, as its plan's driver sees it."""

    _restarts = False

    def __init__(self, policy: Again) -> None:
        self._policy = policy

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        return self._policy._policy(run, self._policy._tries(run, kw, True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)


class _Counted(list[Any]):
    """Counts what it is given, and keeps nothing."""

    def __init__(self) -> None:
        self.seen = 0

    def append(self, chunk: Any) -> None:
        self.seen += 1


class Restarting(Tries):
    """Tries that start over whatever has come."""

    __slots__ = ("_counted", "_given")

    def __init__(self, run: Run, kw: Kwargs, live: bool) -> None:
        super().__init__(run, kw, live)
        self._given: Any = ...

    def forward(
        self, node: Any, tag: str | None = None, value: Any = ...
    ) -> Generator[Command, Outcome, Outcome]:
        if value is ...:
            if self._given is ...:  # all of it: it may be needed again at any moment
                self._given = (yield Read()).value
            value = self._given
        self._counted = _Counted()
        return (yield Forward(node, tag, value=value, keep=self._counted, held=not self.live))

    def lost(self, outcome: Outcome) -> bool:
        return False

    def restarted(self, attempt: int, error: Exception) -> Generator[Command, Outcome, None]:
        out = self._counted.seen
        if self.run.observed:
            self.run.tell(StreamReset, attempt, error, out)
        if out:
            yield Emit(Reset(attempt, error, out))


class Continuing(Tries):
    """Tries that go on where the text stopped."""

    __slots__ = ("_given", "_kept")

    def __init__(self, run: Run, kw: Kwargs, live: bool) -> None:
        super().__init__(run, kw, live)
        self._given: Any = ...
        self._kept: list[Any] = []

    def forward(
        self, node: Any, tag: str | None = None, value: Any = ...
    ) -> Generator[Command, Outcome, Outcome]:
        if self._given is ...:
            self._given = (yield Read()).value
        value = self._given
        if self._kept:
            node, value = _continued(node, value, merge(self._kept))
        return (yield Forward(node, tag, value=value, keep=self._kept))

    def lost(self, outcome: Outcome) -> bool:
        return bool(self._kept) and not _may_go_on(merge(self._kept), self.kw)


_TRIES: dict[str, Callable[[Run, Kwargs, bool], Tries]] = {
    "restart": Restarting,
    "continue": Continuing,
}


def tries_of(when: str, tried: Sequence[Any]) -> Callable[[Run, Kwargs, bool], Tries]:
    """How a policy tries again that may run each of `tried`. Raises ConfigError where it cannot."""
    if when == "continue":
        for runnable in tried:
            _check_continues(runnable)
    return _TRIES[when]


# ------------------------------------------------------------------ going on


def _models_of(runnable: Any) -> list[Any]:
    """What runs in the place of a runnable, seen through bindings, choices and the policies whose
    chunks are those of what is in them."""
    while _shows_through(runnable) and runnable._children():
        arms = getattr(runnable, "_arms", None) if runnable._transparent else None
        if arms is not None:
            return [model for arm in arms() for model in _models_of(arm)]
        runnable = runnable._children()[0][1]
    return [runnable]


def _shows_through(runnable: Any) -> bool:
    return runnable._transparent or getattr(type(runnable), "_passes", False)


def _check_continues(runnable: Any) -> None:
    for model in _models_of(runnable):
        takes = getattr(model, "takes_prefix", None)
        if takes:
            continue
        if takes is not None:
            raise ConfigError(
                f'when="continue" around {_model(model)}, which does not take the beginning '
                'of its answer (`takes_prefix` is false): give when="restart".'
            )
        raise ConfigError(
            f'when="continue" around {_called(model)}, which is no chat model: put the policy on '
            'the model itself, as in prompt | model.with_retry(when="continue") | parser, or give '
            'when="restart".'
        )


def _model(model: Any) -> str:
    """Its class, and the model that it asks: whether one goes on may depend on that."""
    asked = getattr(model, "model", None)
    return type(model).__name__ + (f" ({asked})" if isinstance(asked, str) else "")


def _called(runnable: Any) -> str:
    name: str = runnable.get_name()
    kind = type(runnable).__name__
    of_another = isinstance(runnable, (Again, Contest)) and not name.startswith(kind)
    return f"{kind}({name})" if of_another else name


def _continued(node: Any, value: Any, partial_: AIMessageChunk) -> tuple[Any, Any]:
    """What goes on after a partial answer, and its input."""
    from ..language_models.base import to_messages

    text = str(partial_.content)
    messages, said = to_messages(value), ""
    models = _models_of(node)
    if text.strip():
        messages = models[0]._prefixed(messages, AIMessage(content=text))
        said = str(messages[-1].content)
    unsaid = text[len(said) :] if text.startswith(said) else ""
    name = f"{node.get_name()} continued"
    ways = {getattr(model, "repeats_prefix", None) for model in models}
    repeats = ways.pop() if len(ways) == 1 else None
    step = RunnableSequence(node, Joining(partial_, unsaid, repeats), name=name)
    step.continues = Continuing  # type: ignore[attr-defined]
    return step, messages


_STRUCTURED = ("response_format", "ls_structured_output_format", "structured_output_format")
_JSON = ("{", "[", "```json")
_FIELDS = ("tool_calls", "tool_call_chunks", "invalid_tool_calls", "additional_kwargs")


def _may_go_on(message: Any, kw: Kwargs) -> bool:
    """Whether a partial answer can be continued: nothing but text that is not JSON, its end not
    said yet."""
    if not isinstance(message, AIMessageChunk) or not isinstance(message.content, str):
        return False
    if any(kw.get(name) for name in _STRUCTURED) or message.content.lstrip().startswith(_JSON):
        return False
    if any(getattr(message, name, None) for name in _FIELDS):
        return False
    ended = message.response_metadata.get("finish_reason") or message.chunk_position == "last"
    return not ended
