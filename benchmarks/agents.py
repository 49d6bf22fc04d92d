"""What a tool call and a step of an agent cost: Headrace beside langchain-core's tools and
`langchain.agents.create_agent`, with a model that says what a script says.

    python -m benchmarks.agents                     seven rounds, about a minute
    python -m benchmarks.agents --rounds 3 --steps 10

Nothing but the frameworks takes time: the model's body takes a line from a list that was made
before, and the tool adds two numbers. A step is the model's message and the tools' answers; the
time of a run is spread over its steps, what it takes to begin and to end is in it. Times are those
of this process' processor (of all its threads), the best round of each contender, contenders in
turn. A sync tool in an async run is called in a worker thread, by both: what that takes with
asyncio alone is said below the table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from importlib import import_module
from math import inf
from time import process_time
from typing import Any, NamedTuple, TypeAlias

NUMBERS = {"a": 20, "b": 22}
CALL = {"type": "tool_call", "id": "call_1", "name": "add", "args": NUMBERS}
QUESTION = {"messages": [("user", "Add numbers.")]}
WORDS = ("They ", "are ", "added.")
AIM = 10  # times faster, at least
REPEATED = 5  # times in each round; the best counts


class Contender(NamedTuple):
    """A library: its parts, its agents, and how a run of theirs may take many steps."""

    core: str
    agents: str
    settings: Callable[[int], dict[str, Any]]
    config: Callable[[int], dict[str, Any]]


CONTENDERS = {
    "headrace": Contender(
        "headrace", "headrace.agents", lambda steps: {"max_steps": steps + 1}, lambda steps: {}
    ),
    "langchain": Contender(
        "langchain_core", "langchain.agents", lambda steps: {},
        lambda steps: {"recursion_limit": 3 * steps + 9},
    ),
}  # fmt: skip


# ---- what is run ---------------------------------------------------------------------------------


def tools_of(contender: str) -> tuple[Any, Any]:
    """A tool of a function, and one of an async function."""
    tool: Any = import_module(f"{CONTENDERS[contender].core}.tools").tool

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    async def awaited(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return add, tool("add")(awaited)


def lines_of(contender: str, steps: int, width: int) -> list[tuple[Any, list[Any]]]:
    """What the model says: `steps` times `width` calls, then the answer; whole, and in pieces of a
    stream (two of each call, three of the answer)."""
    core = CONTENDERS[contender].core
    messages, outputs = import_module(f"{core}.messages"), import_module(f"{core}.outputs")

    def line(number: int) -> tuple[Any, list[Any]]:
        ids = [f"call_{number}_{n}" for n in range(width)] if number < steps else []
        calls, text = [{**CALL, "id": id} for id in ids], "" if ids else "".join(WORDS)
        said = messages.AIMessage(text, tool_calls=calls, id=f"said_{number}")
        whole = outputs.ChatResult(generations=[outputs.ChatGeneration(message=said)])
        pieces = [{"content": word} for word in WORDS] if not ids else _in_pieces(ids)
        pieces[-1]["chunk_position"] = "last"
        given = [{"content": "", "id": said.id, **piece} for piece in pieces]
        chunks = [messages.AIMessageChunk(**fields) for fields in given]
        return whole, [outputs.ChatGenerationChunk(message=chunk) for chunk in chunks]

    return [line(number) for number in range(steps + 1)]


def _in_pieces(ids: list[str]) -> list[dict[str, Any]]:
    parts = [
        part
        for n, id in enumerate(ids)
        for part in (
            {"name": "add", "args": "", "id": id, "index": n},
            {"name": None, "args": '{"a": 20, "b": 22}', "id": None, "index": n},
        )
    ]
    return [{"tool_call_chunks": [part]} for part in parts]


def models_of(contender: str, steps: int, width: int) -> tuple[Any, Any]:
    """Chat models that say the lines: whole; piece by piece. Which one follows from how many
    messages there are."""
    base: Any = import_module(f"{CONTENDERS[contender].core}.language_models").BaseChatModel
    lines = lines_of(contender, steps, width)

    def due(asked: Any) -> tuple[Any, list[Any]]:
        return lines[(len(asked) - 1) // (width + 1)]

    class Whole(base):  # type: ignore[misc]
        """Says each line at once."""

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None) -> Any:
            return due(messages)[0]

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None) -> Any:
            return due(messages)[0]

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

        @property
        def _llm_type(self) -> str:
            return "scripted"

    class Streamed(Whole):
        """Says them piece by piece."""

        def _stream(
            self, messages: Any, stop: Any = None, run_manager: Any = None
        ) -> Iterator[Any]:
            yield from due(messages)[1]

        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None
        ) -> AsyncIterator[Any]:
            for chunk in due(messages)[1]:
                yield chunk

    return Whole(), Streamed()


Work: TypeAlias = Callable[[], Any]
"""Does all of a measurement; what it gives is looked at (awaited, where it is to be) for what was
done."""


def tool_jobs(contender: str, calls: int) -> dict[str, Work]:
    """So many calls of a tool, by name."""
    add, awaited = tools_of(contender)

    def sync(given: Any) -> Work:
        return lambda: [add.invoke(given) for _ in range(calls)]

    def alone(tool: Any, given: Any) -> Work:
        async def go() -> list[Any]:
            return [await tool.ainvoke(given) for _ in range(calls)]

        return go

    return {
        "tool, arguments": sync(NUMBERS),
        "tool, call": sync(CALL),
        "tool, arguments, async": alone(awaited, NUMBERS),
        "tool, call, async": alone(awaited, CALL),
        "sync tool, call, async": alone(add, CALL),
    }


def agent_jobs(contender: str, steps: int, width: int) -> dict[str, Work]:
    """One run of an agent of so many steps of so many calls, by name."""
    library = CONTENDERS[contender]
    create_agent = import_module(library.agents).create_agent
    (whole, streamed), (add, awaited) = models_of(contender, steps, width), tools_of(contender)
    given = (QUESTION, library.config(steps))

    def agent(model: Any, tool: Any) -> Any:
        return create_agent(model, [tool], **library.settings(steps))

    at_once, at_once_async = agent(whole, add), agent(whole, awaited)
    tokens, tokens_async = agent(streamed, add), agent(streamed, awaited)
    updates, messages = {"stream_mode": "updates"}, {"stream_mode": "messages"}
    kind = f"step of {width} call{'s' * (width > 1)}"
    return {
        f"{kind}, invoke": lambda: at_once.invoke(*given)["messages"],
        f"{kind}, ainvoke": lambda: _messages(at_once_async.ainvoke(*given)),
        f"{kind}, stream updates": lambda: [*at_once.stream(*given, **updates)],
        f"{kind}, astream updates": lambda: _listed(at_once_async.astream(*given, **updates)),
        f"{kind}, stream messages": lambda: [*tokens.stream(*given, **messages)],
        f"{kind}, astream messages": lambda: _listed(tokens_async.astream(*given, **messages)),
        f"{kind}, astream_events": lambda: _listed(
            tokens_async.astream_events(*given, version="v2")
        ),
    }


async def _messages(state: Awaitable[Any]) -> Any:
    return (await state)["messages"]


async def _listed(stream: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


async def _in_threads(calls: int) -> list[Any]:
    """What a sync tool in an async run takes without a framework."""
    loop = asyncio.get_running_loop()
    return [await loop.run_in_executor(None, lambda: 20 + 22) for _ in range(calls)]


# ---- the clock -----------------------------------------------------------------------------------


def jobs(contender: str, steps: int, calls: int) -> dict[str, tuple[Work, int]]:
    """All that is measured, and how many things each does."""
    made: dict[str, tuple[Work, int]] = {}
    for name, work in tool_jobs(contender, calls).items():
        made[name] = (work, calls)
    for width in (1, 4):
        for name, work in agent_jobs(contender, steps, width).items():
            made[name] = (work, steps)
    return made


def measure(rounds: int, steps: int, calls: int) -> dict[str, dict[str, float]]:
    """Microseconds a call or a step, by name and contender; "bare": without a framework."""
    made = {contender: jobs(contender, steps, calls) for contender in CONTENDERS}
    made["bare"] = {"sync tool, call, async": (lambda: _in_threads(calls), calls)}
    best: dict[str, dict[str, float]] = {}
    with asyncio.Runner() as runner:
        for turn in range(rounds + 1):  # the first one imports
            for name in made["headrace"]:
                for contender in (each for each in made if name in made[each]):
                    work, count = made[contender][name]
                    taken = _timed(work, count, runner) / count * 1e6
                    known = best.setdefault(name, {}).get(contender, taken)
                    best[name][contender] = min(known, taken) if turn > 1 else taken
    return best


def result_of(work: Work, runner: asyncio.Runner) -> Any:
    """What a measurement gives, in either colour."""
    given = work()
    if not isinstance(given, Coroutine):
        return given
    # not by `run`, which hands Ctrl-C over and for that writes out what the task gave
    return runner.get_loop().run_until_complete(given)


def _timed(work: Work, count: int, runner: asyncio.Runner) -> float:
    gc.collect()
    best = inf
    for _ in range(REPEATED):
        began = process_time()
        found = result_of(work, runner)
        best = min(best, process_time() - began)
        assert len(found) >= count, f"{count} things were to be done and {len(found)} were"
    return best


def report(found: dict[str, dict[str, float]]) -> str:
    """A table: microseconds a call or a step, and how many times faster Headrace is."""
    lines = [f"{'µs':<36}{'headrace':>10}{'langchain':>11}{'faster':>9}"]
    for name, times in found.items():
        ours, theirs = times["headrace"], times["langchain"]
        mark = "" if theirs >= AIM * ours else f"  below {AIM}"
        lines.append(f"{name:<36}{ours:>10.1f}{theirs:>11.1f}{theirs / ours:>8.1f}x{mark}")
        if "bare" in times:
            lines.append(f"{'  asyncio alone':<36}{times['bare']:>10.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--calls", type=int, default=500, help="of a tool")
    options = parser.parse_args()
    print(report(measure(options.rounds, options.steps, options.calls)))


if __name__ == "__main__":
    main()
