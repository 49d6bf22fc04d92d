"""What retry and fallbacks share: what becomes of a stream that fails when chunks are out.

Both run a child again, or another one, by way of `Tries`. The default here lets such a failure
through; the other two ways, `"restart"` and `"continue"`, are in `headrace.resilience.recover`,
loaded for policies that ask for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, ClassVar, Literal, TypeAlias

from ..errors import ConfigError
from ..flow import Command, Forward, Outcome
from ..run import Run
from ..shapes import Flow, Kwargs, Plan

When: TypeAlias = Literal["before_first_chunk", "restart", "continue"]
WHEN: tuple[str, ...] = ("before_first_chunk", "restart", "continue")


class Tries:
    """The tries of one run, when `"before_first_chunk"`: as long as no chunk is out."""

    __slots__ = ("kw", "live", "run")

    def __init__(self, run: Run, kw: Kwargs, live: bool) -> None:
        self.run, self.kw, self.live = run, kw, live

    def forward(
        self, node: Any, tag: str | None = None, value: Any = ...
    ) -> Generator[Command, Outcome, Outcome]:
        """One try; its outcome."""
        return (yield Forward(node, tag, value=value))

    def lost(self, outcome: Outcome) -> bool:
        """Whether what is out stands in the way of another try."""
        return outcome.started

    def restarted(self, attempt: int, error: Exception) -> Generator[Command, Outcome, None]:
        """What is to be said before the next try."""
        yield from ()


class Again(Plan):
    """A policy that tries again. `when` and `resets` are as `RunnableRetry` says."""

    _restarts = True
    _derived: ClassVar[tuple[str, ...]] = ("_tries",)
    when: When
    resets: bool
    _tries: Callable[[Run, Kwargs, bool], Tries]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        made: Any = cls  # a step that reads it has not asked for resets: its reader has
        if made._in_open is made._open:
            made._in_open, made._in_aopen = Plan._open, Plan._aopen

    def _tried(self) -> list[Any]:
        """All that may run."""
        raise NotImplementedError

    def _policy(self, run: Run, tries: Tries) -> Generator[Command, Outcome, None]:
        """The plan."""
        raise NotImplementedError

    def _derive(self) -> None:
        if self.when not in WHEN:
            raise ConfigError(
                f"when is {self.when!r}: give one of {', '.join(map(repr, WHEN))}, which say what "
                "becomes of a stream that fails when chunks are out."
            )
        if self.resets and self.when != "restart":
            raise ConfigError(
                f"resets=True with when={self.when!r}: nothing is ever discarded then. Give "
                'when="restart" with it, or leave it out.'
            )
        self._tries = Tries
        if self.when != "before_first_chunk":
            from ..resilience.recover import tries_of

            self._tries = tries_of(self.when, self._tried())

    def _plan(self, run: Run, kw: Kwargs) -> Generator[Command, Outcome, None]:
        return self._policy(run, self._tries(run, kw, False))

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if not self.resets:
            return super()._open(source, run, kw)
        from ..resilience.recover import Live, forgetting

        return forgetting(Plan._open(Live(self), source, run, kw))  # type: ignore[arg-type]

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if not self.resets:
            return super()._aopen(source, run, kw)
        from ..resilience.recover import Live, forgetting

        return forgetting(Plan._aopen(Live(self), source, run, kw))  # type: ignore[arg-type]

    def _flow(self) -> Flow:
        """As a step of another one, which has not asked for resets."""
        return self.flow_read(outermost=False)

    def flow_read(self, *, outermost: bool) -> Flow:
        """How it treats a stream: of the `outermost` one, whose reader is the chain's own, and of
        one that another step reads."""
        first: Flow = self._tried()[0]._flow()
        if self.when != "restart" or first.kind == "barrier":
            return first
        if not self.holds_back(outermost=outermost):
            return Flow("source")
        return Flow(
            "barrier",
            "put it around the whole chain, with resets=True: its reader gets the chunks at once, "
            "and is told what to discard",
        )

    def holds_back(self, *, outermost: bool) -> bool:
        """Whether its stream gives nothing before a try has ended well."""
        return self.when == "restart" and not (self.resets and outermost)

    def _speaks(self) -> bool:
        """Whether what is said are its chunks, and not those of the models in it: one that goes on
        may repeat what was said."""
        return self.when == "continue"

    def _when_shown(self) -> dict[str, Any]:
        """For the repr: what was asked for."""
        asked = {"when": self.when, "resets": self.resets}
        usual = ("before_first_chunk", False)
        return {name: value for name, value in asked.items() if value not in usual}

    def _terms_told(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self._when_shown().items())

    def _made_for_a_call(self, node: Any) -> bool:
        return getattr(node, "continues", None) is self._tries
