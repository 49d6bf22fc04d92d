"""The embedded engine: one llama.cpp server per process and settings, and streams of its answers.

    load(path, ...) -> Engine      lazy, thread-safe: the second caller waits for the first's load
    engine.stream(request)         iterator of llama.cpp's chunks (dicts), closed by `close()`
    engine.astream(request)        the same as an async iterator, closed by `aclose()`
    engine.complete(request)       the fold of the stream

How a stream runs. Nothing happens before the first `next`. Then the stream waits for a slot, and
one worker thread calls llama.cpp, which calls back with each chunk in that thread. Closing sets a
flag that the next callback answers; the worker has ended when `close()` or `aclose()` returns.

What closing can interrupt. While tokens are generated there is a callback per token (7 to 40 ms).
While the prompt is evaluated llama.cpp would be silent; asked for progress reports it calls back
after each batch of `n_batch` tokens, so closing waits for one batch, and the slot for one more.

What a paused reader does. llama.cpp knows no flow control: it generates up to `max_tokens` whether
or not anybody reads. So nothing is held back here either (that would only keep the slot from
others, and deadlock whoever zips more streams than there are slots): a stream is ahead of its
reader by at most the tokens of one answer.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from headrace.errors import ModelError

from .inbox import Inbox
from .server import Answer, Settings, failure_of, immortal, refusal, start
from .slots import Slots, Ticket

__all__ = ["Engine", "load", "loaded"]

_STREAM_OPTIONS: dict[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "return_progress": True,  # a callback per batch of the prompt: a chance to stop
}
_FAREWELL = 10.0  # seconds that the interpreter's exit grants a worker; it needs some ms
_STARTING = 0.5  # seconds in which a thread that the system has made comes to life


class _Work:
    """One request and its worker thread, made before it has a slot or a thread.

    `put` takes each chunk in that thread, `end` is called when no more will come.
    """

    __slots__ = (
        *("_end", "_pid", "_put", "done", "failure"),
        *("request", "stopped", "thread", "ticket"),
    )

    def __init__(
        self,
        request: Mapping[str, Any],
        put: Callable[[Answer], None],
        end: Callable[[], None],
    ) -> None:
        self.request = request
        self._put = put
        self._end = end
        self._pid = os.getpid()
        self.ticket = Ticket()
        self.thread: threading.Thread | None = None
        self.stopped = False  # written by anyone, read by the callback
        self.failure: BaseException | None = None
        self.done = threading.Event()

    def run(self, server: Any) -> None:
        """Call llama.cpp. What it swallows or raises ends up in `failure`."""

        def on_chunk(chunk: Answer) -> bool:
            """True makes llama.cpp stop. An exception here would be lost, hence the net."""
            if self.stopped:
                return True
            try:
                if "error" in chunk:
                    self.failure = failure_of(chunk)
                    return True
                if "prompt_progress" not in chunk:
                    self._put(chunk)
            except BaseException as error:
                self.failure = error
                return True
            return self.stopped

        try:
            if not self.stopped:
                request = {**self.request, **_STREAM_OPTIONS}
                server.handle_chat_completions(request, on_chunk)
        except (ValueError, TypeError, RuntimeError) as error:
            self.failure = refusal(error)
        except BaseException as error:
            self.failure = error

    def finish(self, *, told: bool) -> None:
        """The thread is through; where `told`, its reader learns of it."""
        self.done.set()
        if told:
            self._end()

    def stop(self, failure: BaseException | None = None) -> None:
        """Ask for the end; `failure` is what its reader is told."""
        if failure is not None and self.failure is None:
            self.failure = failure
        self.stopped = True

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread; whether it has ended."""
        thread = self.thread
        # The garbage collector may close an abandoned stream in that stream's own worker.
        if thread is None or thread is threading.current_thread():
            return True
        if self._pid != os.getpid():  # the thread stayed behind in the process we were forked from
            return True
        if thread.ident is None:  # Ctrl-C came into its start: it may or may not come to life
            return self.done.wait(_STARTING)
        # First the event: `Thread.join` of Python 3.11, interrupted by Ctrl-C, takes a thread that
        # still runs for one that has ended.
        if not self.done.wait(timeout):
            return False
        thread.join()
        return True


class Engine:
    """A loaded model. Made by `load`; safe to use from any thread and any event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.slots = Slots(settings.n_parallel)
        self._lock = threading.RLock()
        self._live: set[_Work] = set()
        self._pid = os.getpid()
        self._exiting = False
        self._server: Any = start(settings)

    def stream(self, request: Mapping[str, Any]) -> Generator[Answer, None, None]:
        """Chunks of the answer, as llama.cpp sends them; the last one carries `usage`.

        Args:
            request: an OpenAI-style chat request, of what JSON can say.

        Raises:
            ContextLengthError: the prompt is longer than the context of a slot.
            InputError: llama.cpp cannot make sense of the request.
            ModelError: the engine failed or was closed.
        """
        chunks = SimpleQueue[Answer | None]()
        work = _Work(request, chunks.put, lambda: chunks.put(None))
        try:
            self.slots.acquire(work.ticket)
            self._begin(work)
            while (chunk := chunks.get()) is not None:
                yield chunk
                self._check_process()
            if work.failure is not None:
                raise work.failure
        finally:
            work.stop()
            work.join()
            self.slots.release(work.ticket)

    async def astream(self, request: Mapping[str, Any]) -> AsyncGenerator[Answer, None]:
        """The async twin of `stream`: one worker thread, one call into the loop per batch."""
        inbox = Inbox[Answer](asyncio.get_running_loop())
        work = _Work(request, inbox.put, inbox.end)
        try:
            await self.slots.aacquire(work.ticket)
            self._begin(work)
            while batch := await inbox.take():
                for chunk in batch:
                    yield chunk
                self._check_process()
            if work.failure is not None:
                raise work.failure
        finally:
            work.stop()
            try:
                if work.thread is not None:
                    await inbox.ended()
            finally:
                work.join()
                self.slots.release(work.ticket)

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The whole answer: content, finish_reason, usage, timings, id and model.

        It is the fold of `stream`, so that the two cannot disagree. Raises what `stream` raises.
        """
        answer: dict[str, Any] = {"content": "", "finish_reason": None}
        parts: list[str] = []
        for chunk in self.stream(request):
            answer.update({key: chunk[key] for key in _KEPT if key in chunk})
            for choice in chunk["choices"]:
                parts.append(choice["delta"].get("content") or "")
                answer["finish_reason"] = choice["finish_reason"] or answer["finish_reason"]
        answer["content"] = "".join(parts)
        return answer

    @property
    def live(self) -> int:
        """Requests that have a worker thread now."""
        return len(self._live)

    def close(self) -> None:
        """Stop every stream, wait for them, and unload the model. The next `load` loads anew."""
        with _registry_lock:
            for key, engine in list(_engines.items()):
                if engine is self:
                    del _engines[key]
        self._shut()
        self.slots.disband()

    # ---- inside ---------------------------------------------------------------------------------

    def _begin(self, work: _Work) -> None:
        self._check_process()
        with self._lock:
            server = self._server
            if server is None:
                raise ModelError(_CLOSED)
            self._live.add(work)
        # A daemon, so that the interpreter's exit is not held up; `_at_exit` waits for it.
        work.thread = threading.Thread(
            target=self._job, args=(work, server), name="headrace-local", daemon=True
        )
        try:
            work.thread.start()
        except RuntimeError:  # the system has no thread left
            work.thread = None
            self._live.discard(work)
            raise

    def _job(self, work: _Work, server: Any) -> None:
        work.run(server)
        del server  # the last to let go of a closed engine's server destroys it, here if need be
        with self._lock:
            self._live.discard(work)
        if not self._exiting:
            self.slots.release(work.ticket)
        work.finish(told=not self._exiting)

    def _shut(self, timeout: float | None = None) -> None:
        with self._lock:
            server, self._server = self._server, None
            live = list(self._live)
        for work in live:
            work.stop(ModelError(_CLOSED))
        late = [work for work in live if not work.join(timeout)]
        if late and server is not None:
            immortal(server)  # destroyed under a running request, it would crash the exit

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise ModelError(_FORKED)

    def _abandon(self) -> None:
        """In a forked child: the threads are gone, so neither use the server nor destroy it."""
        if self._server is not None:
            immortal(self._server)


_KEPT = ("id", "model", "usage", "timings")
_CLOSED = "The embedded model was closed while this stream was open: `load` it again."
_FORKED = (
    "This process was forked from one that had the embedded model loaded, and the model's threads "
    "did not come along: make a new stream here (the model loads anew), or fork before first use."
)


# ---- one engine per process and settings --------------------------------------------------------

_registry_lock = threading.RLock()
_loading: dict[Settings, threading.Lock] = {}
_engines: dict[Settings, Engine] = {}
_loads: set[threading.Event] = set()  # those under way; each is set at its end


def load(
    model_path: str | os.PathLike[str],
    *,
    n_ctx: int = 4096,
    n_parallel: int = 2,
    n_threads: int = 1,
    n_batch: int = 32,
) -> Engine:
    """The engine of a GGUF file, loaded once per process and settings.

    Args:
        model_path: the file; links are followed, so two names of one file share an engine.
        n_ctx: tokens of context of each request, prompt and answer together. Memory grows by
            `n_ctx * n_parallel` (for the default model 23 kB a token).
        n_parallel: requests generated at once; more wait in a queue.
        n_threads: threads that compute. More than idle cores makes it many times slower.
        n_batch: prompt tokens evaluated between two looks at whether the stream was closed. Below
            64, equal requests have equal answers whatever else runs.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        WeightsError: there is no such file, or llama.cpp cannot load it.
    """
    settings = _settings(model_path, n_ctx, n_parallel, n_threads, n_batch)
    engine = _engines.get(settings)
    if engine is not None:
        return engine
    with _registry_lock:
        gate = _loading.setdefault(settings, threading.Lock())
    made: list[Engine] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def job() -> None:
        try:
            with gate:
                if settings not in _engines:
                    _engines[settings] = Engine(settings)
                made.append(_engines[settings])
        except BaseException as error:
            failures.append(error)
        _loads.discard(ended)
        ended.set()

    # In a thread of its own, where Ctrl-C cannot strike: importing the library would crash, and a
    # server destroyed before its first request can hang. The caller leaves when the load is done.
    loader = threading.Thread(target=job, name="headrace-local-load")
    try:
        _loads.add(ended)
        loader.start()
        ended.wait()
    except BaseException:
        _see_off(loader, ended)
        raise
    loader.join()
    if failures:
        raise failures[0]
    return made[0]


def _see_off(loader: threading.Thread, ended: threading.Event) -> None:
    """Ctrl-C came while a load was started or under way: leave when nothing of it runs."""
    ended.wait(_STARTING)
    if loader.ident is None:  # struck before the system had made the thread: it will never end
        _loads.discard(ended)
    else:
        ended.wait(_FAREWELL)


def loaded(
    model_path: str | os.PathLike[str],
    *,
    n_ctx: int = 4096,
    n_parallel: int = 2,
    n_threads: int = 1,
    n_batch: int = 32,
) -> Engine | None:
    """The engine that `load` would return, if it needs no loading."""
    return _engines.get(_settings(model_path, n_ctx, n_parallel, n_threads, n_batch))


def _settings(model_path: str | os.PathLike[str], *numbers: int) -> Settings:
    return Settings(os.path.realpath(os.path.expanduser(model_path)), *numbers)


def _at_exit() -> None:
    """Before the interpreter goes: a thread inside llama.cpp at that time can crash it."""
    with _deaf():
        for ended in list(_loads):
            ended.wait(_FAREWELL)
        for engine in list(_engines.values()):
            # Readers that are left are daemon threads: like all of those they stop where they are,
            # rather than print an error on the way out.
            engine._exiting = True
            engine._shut(_FAREWELL)
        _engines.clear()


@contextmanager
def _deaf() -> Iterator[None]:
    """No Ctrl-C for a moment: the second of two would leave a thread inside llama.cpp."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python, which cannot be put back.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _after_fork() -> None:
    """In the child: forget the parent's engines; they are loaded anew when they are asked for."""
    global _registry_lock
    for engine in _engines.values():
        engine._abandon()
    _registry_lock = threading.RLock()
    _loading.clear()
    _loads.clear()
    _engines.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
