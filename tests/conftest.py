"""What every test is held to: it leaves nothing running.

After each test these are counted, and one left over fails it (as an error at its teardown):

- asyncio tasks not yet done when their event loop closes (`asyncio.run` would cancel them unseen);
- async generators of ours that were started and neither finished nor closed: still open at the
  end, or dropped and left to the garbage collector;
- threads that were not there before (a named few may stay: see `THREADS_THAT_STAY`).

Sockets and files left open come as ResourceWarning, which pytest's settings make an error.
A test that leaks on purpose says so: `@pytest.mark.allows_leaks(reason="...")`.

Hypothesis runs the profile named by HYPOTHESIS_PROFILE: "dev" (the default) or "ci".
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from hypothesis import settings

# A shell starts what runs in the background with Ctrl-C ignored, and Python leaves it so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=50, derandomize=True, database=None, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# What comparisons with langchain-core run must not report to anybody, whatever the shell has set.
os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

# Threads that outlive a test by design: pools are made once per process and their workers wait.
THREADS_THAT_STAY = ("headrace-pool", "AnyIO worker thread")
# Open connections of a model's, by the generator that closes them when their event loop ends.
GENERATORS_THAT_STAY = ("_keeper",)
# A thread that has done its work needs a moment to be gone from the interpreter's list.
THREAD_GRACE = 0.25  # seconds, for all threads of one test together

AsyncGen = AsyncGenerator[Any, Any]
Hook = Callable[[AsyncGen], None]
FAILED = pytest.StashKey[bool]()


class Leaks:
    """Watches one test: what it started and did not finish, as sentences in `found`."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._open: WeakKeyDictionary[AsyncGen, Any] = WeakKeyDictionary()
        self._threads = set(threading.enumerate())

    def generator_started(self, agen: AsyncGen) -> None:
        if _is_ours(agen):
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # driven by hand: it belongs to no loop
                loop = None
            self._open[agen] = loop

    def generator_dropped(self, agen: AsyncGen) -> None:
        if _is_ours(agen) and agen.__name__ not in GENERATORS_THAT_STAY:
            self.found.append(f"async generator dropped without aclose(): {_where(agen)}")
            self._open.pop(agen, None)

    def loop_closes(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called before the loop cancels its tasks and closes its generators by itself."""
        for task in asyncio.all_tasks(loop):
            self.found.append(f"task still pending when its loop closed: {task!r}")
        for agen, owner in list(self._open.items()):
            if owner is loop and agen.__name__ not in GENERATORS_THAT_STAY:
                self._judge_generator(agen)

    def test_ended(self) -> None:
        for agen, owner in list(self._open.items()):
            stays = agen.__name__ in GENERATORS_THAT_STAY and not owner.is_closed()
            if not stays:
                self._judge_generator(agen)
        deadline = time.monotonic() + THREAD_GRACE
        for thread in set(threading.enumerate()) - self._threads:
            if _may_not_stay(thread):
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    self.found.append(f"thread still alive: {thread!r}")

    def _judge_generator(self, agen: AsyncGen) -> None:
        self._open.pop(agen, None)
        if agen.ag_frame is not None:
            self.found.append(f"async generator still open: {_where(agen)}")


def _is_ours(agen: AsyncGen) -> bool:
    """Code of Headrace or of a test. What an installed library leaves open is its own affair."""
    file: str = agen.ag_code.co_filename.replace(os.sep, "/")
    outside = "/site-packages/" in file or file.startswith(sys.base_prefix.replace(os.sep, "/"))
    return not outside or "/site-packages/headrace/" in file


def _where(agen: AsyncGen) -> str:
    return f"{agen.__qualname__} ({agen.ag_code.co_filename}:{agen.ag_code.co_firstlineno})"


def _may_not_stay(thread: threading.Thread) -> bool:
    if thread.name.startswith(THREADS_THAT_STAY):
        return False
    # The interpreter waits for other threads at exit; a daemon counts where it is one of ours.
    return not thread.daemon or thread.name.startswith("headrace")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[Leaks]:
    """Fail the test over what it left running; a test that failed already is left alone."""
    leaks = Leaks()
    with _watched_loops(leaks), _watched_generators(leaks):
        yield leaks
    leaks.test_ended()
    marker = request.node.get_closest_marker("allows_leaks")
    if marker and not marker.kwargs.get("reason"):
        pytest.fail("allows_leaks needs reason='...'", pytrace=False)
    if leaks.found and not marker and FAILED not in request.node.stash:
        pytest.fail("the test left things running:\n  " + "\n  ".join(leaks.found), pytrace=False)


@contextmanager
def _watched_loops(leaks: Leaks) -> Iterator[None]:
    # asyncio.run and pytest-asyncio both go through asyncio.Runner.
    close = asyncio.Runner.close

    def closing(self: asyncio.Runner) -> None:
        try:
            leaks.loop_closes(self.get_loop())
        except RuntimeError as error:  # closed before: nothing to see
            assert "closed" in str(error), error
        close(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Runner, "close", closing)
        yield


@contextmanager
def _watched_generators(leaks: Leaks) -> Iterator[None]:
    # A loop sets hooks of its own when it starts to run, so they are chained where it sets them.
    set_hooks, before = sys.set_asyncgen_hooks, sys.get_asyncgen_hooks()

    def setting(firstiter: Hook | None = None, finalizer: Hook | None = None) -> None:
        set_hooks(
            firstiter=_chained(leaks.generator_started, firstiter),
            finalizer=_chained(leaks.generator_dropped, finalizer),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "set_asyncgen_hooks", setting)
        setting(*before)
        yield
    set_hooks(*before)


def _chained(ours: Hook, theirs: Hook | None) -> Hook:
    # A loop that stops puts back the hooks it found, which are chained already.
    theirs = getattr(theirs, "chained", theirs)

    def hook(agen: AsyncGen) -> None:
        ours(agen)
        if theirs:
            theirs(agen)

    hook.chained = theirs  # type: ignore[attr-defined]
    return hook
