"""Programs for both libraries, combinator by combinator, with a log of what user code was called.

A case makes a runnable from a namespace `m` (the names of either library) and a `Log`. Its
functions write into the log when they are called, so that two libraries can be compared by what
comes out, by which exception comes out, and by how often user code ran.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Log:
    """Calls of user code by name; several threads write to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.kept: dict[str, Any] = {}  # what is looked at when the call is over

    def tell(self, name: str) -> int:
        """Note a call; how many of that name there have been, this one included."""
        with self._lock:
            self.calls.append(name)
            return self.calls.count(name)

    # ---- functions, in both colours

    def step(self, m: Any, name: str, function: Callable[..., Any]) -> Any:
        """A RunnableLambda of a function of one argument, with an async twin."""

        def call(value: Any) -> Any:
            self.tell(name)
            return function(value)

        async def acall(value: Any) -> Any:
            self.tell(name)
            return function(value)

        return m.RunnableLambda(call, acall, name=name)

    def mark(self, m: Any, name: str) -> Any:
        """Adds its name to a text."""
        return self.step(m, name, lambda text: f"{text}<{name}>")

    def fails(self, m: Any, name: str, error: type[Exception] = ValueError) -> Any:
        def call(value: Any) -> Any:
            raise error(f"{name} cannot")

        return self.step(m, name, call)

    def flaky(self, m: Any, name: str, times: int = 1, error: type[Exception] = ValueError) -> Any:
        """Fails `times` times for each input, then adds its name."""

        def call(value: Any) -> Any:
            if self.tell(f"{name}:{value}") <= times:
                raise error(f"{name} again")
            return f"{value}<{name}>"

        return self.step(m, name, call)

    # ---- generators, in both colours

    def letters(self, m: Any, name: str, fail_at: int | None = None, end: str = ".") -> Any:
        """Chunks in upper case, then `end` (nothing if empty). Raises at chunk `fail_at`."""

        def check(at: int) -> None:
            if at == fail_at:
                raise KeyError(f"{name} at {at}")

        def stream(chunks: Iterator[str]) -> Iterator[str]:
            self.tell(name)
            at = 0
            for at, chunk in enumerate(chunks):
                check(at)
                yield chunk.upper()
            check(at + 1)
            if end:
                yield end

        async def astream(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
            self.tell(name)
            at = -1
            async for chunk in chunks:
                at += 1
                check(at)
                yield chunk.upper()
            check(max(at, 0) + 1)
            if end:
                yield end

        return m.RunnableGenerator(stream, astream, name=name)

    def nothing(self, m: Any, name: str) -> Any:
        """A stream that ends without a chunk."""

        def stream(chunks: Iterator[str]) -> Iterator[str]:
            self.tell(name)
            for _ in chunks:
                pass
            yield from ()

        async def astream(chunks: AsyncIterator[str]) -> AsyncIterator[str]:
            self.tell(name)
            async for _ in chunks:
                pass
            for never in list[str]():
                yield never

        return m.RunnableGenerator(stream, astream, name=name)


class Case(NamedTuple):
    """`make(m, log)` and the input in pieces.

    `columns`: how its dicts interleave is free. `own`: what is raised is the library's own error,
    whose text is its own. `kwargs`: of the call. `doors`: those that it is tried with, if not all.
    """

    make: Callable[[Any, Log], Any]
    pieces: list[Any]
    columns: bool = False
    own: bool = False
    kwargs: Mapping[str, Any] = {}
    doors: tuple[str, ...] | None = None


TEXT = ["ab", "cd", "e"]
DICTS = [{"x": "ab"}, {"y": "cd"}]
LISTS = [["a", "b"], ["c"]]
FAST = {"wait_exponential_jitter": False}


def _has(letter: str) -> Callable[[str], bool]:
    return lambda text: letter in text


def _branch(*chosen: str) -> Callable[[Any, Log], Any]:
    """A branch of two conditions, on a letter each, and a default."""

    def make(m: Any, log: Log) -> Any:
        return m.RunnableBranch(
            (log.step(m, "first?", _has(chosen[0])), log.letters(m, "first")),
            (log.step(m, "second?", _has(chosen[1])), log.mark(m, "second")),
            log.letters(m, "default"),
        )

    return make


RETRY = {
    "retry at once": Case(lambda m, g: g.mark(m, "f").with_retry(**FAST), TEXT),
    "retry second time": Case(lambda m, g: g.flaky(m, "f").with_retry(**FAST), TEXT),
    "retry third time": Case(lambda m, g: g.flaky(m, "f", 2).with_retry(**FAST), TEXT),
    "retry in vain": Case(lambda m, g: g.fails(m, "f").with_retry(**FAST), TEXT),
    "retry once only": Case(
        lambda m, g: g.flaky(m, "f").with_retry(stop_after_attempt=1, **FAST), TEXT
    ),
    "retry other type": Case(
        lambda m, g: g.flaky(m, "f").with_retry(retry_if_exception_type=(KeyError,), **FAST), TEXT
    ),
    "retry right type": Case(
        lambda m, g: g.flaky(m, "f", 1, OSError).with_retry(
            retry_if_exception_type=(OSError,), **FAST
        ),
        TEXT,
    ),
    "retry of a chain": Case(
        lambda m, g: (g.mark(m, "a") | g.flaky(m, "f")).with_retry(**FAST) | g.mark(m, "b"), TEXT
    ),
    "retry in a map": Case(lambda m, g: g.flaky(m, "f").with_retry(**FAST).map(), LISTS),
    "retry of a map": Case(lambda m, g: g.mark(m, "f").map().with_retry(**FAST), LISTS),
    "retry in a parallel": Case(
        lambda m, g: m.RunnableParallel(a=g.flaky(m, "f").with_retry(**FAST), b=g.mark(m, "b")),
        TEXT,
        columns=True,
    ),
    "retry of a bound one": Case(
        lambda m, g: g.mark(m, "f").with_config(tags=["t"]).with_retry(**FAST), TEXT
    ),
    "retry of a stream": Case(lambda m, g: g.letters(m, "f").with_retry(**FAST), TEXT),
    "retry after a chunk": Case(lambda m, g: g.letters(m, "f", 1).with_retry(**FAST), TEXT),
    "retry in a row": Case(
        lambda m, g: g.letters(m, "s") | g.flaky(m, "f").with_retry(**FAST) | g.letters(m, "t"),
        TEXT,
    ),
}

FALLBACKS = {
    "fallbacks not needed": Case(
        lambda m, g: g.mark(m, "a").with_fallbacks([g.mark(m, "b")]), TEXT
    ),
    "fallbacks second": Case(lambda m, g: g.fails(m, "a").with_fallbacks([g.mark(m, "b")]), TEXT),
    "fallbacks third": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks([g.fails(m, "b", OSError), g.mark(m, "c")]),
        TEXT,
    ),
    "fallbacks all fail": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks([g.fails(m, "b", OSError)]), TEXT
    ),
    "fallbacks other type": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks(
            [g.mark(m, "b")], exceptions_to_handle=(KeyError,)
        ),
        TEXT,
    ),
    "fallbacks right type": Case(
        lambda m, g: g.fails(m, "a", OSError).with_fallbacks(
            [g.mark(m, "b")], exceptions_to_handle=(OSError, KeyError)
        ),
        TEXT,
    ),
    "fallbacks other type later": Case(
        lambda m, g: g.fails(m, "a", OSError).with_fallbacks(
            [g.fails(m, "b"), g.mark(m, "c")], exceptions_to_handle=(OSError,)
        ),
        TEXT,
    ),
    "fallbacks exception key": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks(
            [g.step(m, "b", lambda d: f"{d['x']} {type(d['e']).__name__} {d['e']}")],
            exception_key="e",
        ),
        DICTS,
    ),
    "fallbacks exception key not needed": Case(
        lambda m, g: g.step(m, "a", sorted).with_fallbacks([g.mark(m, "b")], exception_key="e"),
        DICTS,
    ),
    "fallbacks exception key without a dict": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks([g.mark(m, "b")], exception_key="e"),
        TEXT,
        own=True,
    ),
    "fallbacks exception key twice": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks(
            [g.fails(m, "b", OSError), g.step(m, "c", lambda d: str(d["e"]))], exception_key="e"
        ),
        DICTS,
    ),
    "fallbacks stream": Case(
        lambda m, g: g.letters(m, "a", 0).with_fallbacks([g.letters(m, "b")]), TEXT
    ),
    "fallbacks after a chunk": Case(
        lambda m, g: g.letters(m, "a", 1).with_fallbacks([g.letters(m, "b")]), TEXT
    ),
    "fallbacks empty stream": Case(
        lambda m, g: g.nothing(m, "a").with_fallbacks([g.letters(m, "b")]), TEXT
    ),
    "fallbacks of a chain": Case(
        lambda m, g: (
            (g.mark(m, "a") | g.fails(m, "f")).with_fallbacks([g.letters(m, "b")]) | g.mark(m, "c")
        ),
        TEXT,
    ),
    "fallbacks of a retry": Case(
        lambda m, g: g.fails(m, "a").with_retry(**FAST).with_fallbacks([g.mark(m, "b")]), TEXT
    ),
    "fallbacks in a parallel": Case(
        lambda m, g: m.RunnableParallel(
            a=g.fails(m, "a").with_fallbacks([g.mark(m, "b")]), c=g.mark(m, "c")
        ),
        TEXT,
        columns=True,
    ),
}

BRANCH = {
    "branch first": Case(_branch("a", "b"), TEXT),
    "branch second": Case(_branch("z", "b"), TEXT),
    "branch default": Case(_branch("y", "z"), TEXT),
    "branch condition fails": Case(
        lambda m, g: m.RunnableBranch((g.fails(m, "?"), g.mark(m, "a")), g.mark(m, "b")), TEXT
    ),
    "branch arm fails": Case(
        lambda m, g: m.RunnableBranch(
            (g.step(m, "?", bool), g.fails(m, "a", OSError)), g.mark(m, "b")
        ),
        TEXT,
    ),
    "branch arm fails later": Case(
        lambda m, g: m.RunnableBranch(
            (g.step(m, "?", bool), g.mark(m, "m") | g.letters(m, "a", 1)), g.mark(m, "b")
        ),
        TEXT,
    ),
    "branch truthy": Case(
        lambda m, g: m.RunnableBranch((g.step(m, "?", len), g.mark(m, "a")), g.mark(m, "b")), TEXT
    ),
    "branch of functions": Case(
        lambda m, g: m.RunnableBranch((_has("a"), str.upper), str.title), TEXT
    ),
    "branch of a dict": Case(
        lambda m, g: m.RunnableBranch((_has("a"), {"k": g.mark(m, "a")}), g.mark(m, "b")), TEXT
    ),
    "branch nested": Case(
        lambda m, g: m.RunnableBranch((_has("z"), g.mark(m, "a")), _branch("x", "b")(m, g)), TEXT
    ),
    "branch in a row": Case(
        lambda m, g: g.letters(m, "s") | _branch("z", "A")(m, g) | g.letters(m, "t"), TEXT
    ),
}

LISTED = {
    "map": Case(lambda m, g: g.mark(m, "f").map(), LISTS),
    "map of a chain": Case(lambda m, g: (g.mark(m, "f") | g.letters(m, "s")).map(), LISTS),
    "map of nothing": Case(lambda m, g: g.mark(m, "f").map(), [[]]),
    "map fails": Case(lambda m, g: g.fails(m, "f").map(), [["a"]]),
    "map of nothing then lambda": Case(
        lambda m, g: g.mark(m, "f").map() | g.step(m, "n", len), [[]]
    ),
    "map of no list": Case(lambda m, g: g.mark(m, "f").map(), [3], own=True),
    "map of a map": Case(lambda m, g: g.mark(m, "f").map().map(), [[["a"], []], [["b", "c"]]]),
    "map then lambda": Case(lambda m, g: g.mark(m, "f").map() | g.step(m, "j", "".join), LISTS),
    "map of a dict": Case(
        lambda m, g: m.RunnableParallel(a=g.mark(m, "a"), b=g.mark(m, "b")).map(), LISTS
    ),
    "map bound": Case(lambda m, g: g.mark(m, "f").with_config(tags=["t"]).map(), LISTS),
}

DICT_STEPS = {
    "assign": Case(
        lambda m, g: m.RunnablePassthrough.assign(z=g.step(m, "z", sorted)), DICTS, columns=True
    ),
    "assign two": Case(
        lambda m, g: m.RunnablePassthrough.assign(z=g.step(m, "z", sorted), y=g.step(m, "y", len)),
        DICTS,
        columns=True,
    ),
    "assign fails": Case(lambda m, g: m.RunnablePassthrough.assign(z=g.fails(m, "z")), DICTS),
    "assign a stream": Case(
        lambda m, g: m.RunnablePassthrough.assign(z=m.RunnablePick("x") | g.letters(m, "z")),
        DICTS,
        columns=True,
    ),
    "assign to no dict": Case(
        lambda m, g: m.RunnablePassthrough.assign(z=g.mark(m, "z")), TEXT, own=True
    ),
    "assign after assign": Case(
        lambda m, g: m.RunnablePassthrough.assign(z=g.step(m, "z", len)).assign(
            w=g.step(m, "w", lambda d: d["z"])
        ),
        DICTS,
        columns=True,
    ),
    "assign nested": Case(
        lambda m, g: m.RunnablePassthrough.assign(p={"q": g.step(m, "q", len)}),
        DICTS,
        columns=True,
    ),
    "pick": Case(lambda m, g: m.RunnablePick("y"), DICTS),
    "pick many": Case(lambda m, g: m.RunnablePick(["x", "none"]), DICTS),
    "pick missing": Case(lambda m, g: m.RunnablePick("none"), DICTS),
    "pick none of many": Case(lambda m, g: m.RunnablePick(["none"]), DICTS),
    "pick of no dict": Case(lambda m, g: m.RunnablePick("x"), TEXT, own=True),
    "pick of a parallel": Case(
        lambda m, g: m.RunnableParallel(a=g.letters(m, "a"), b=g.mark(m, "b")).pick("a"), TEXT
    ),
}

USER_CODE = {
    "passthrough func": Case(
        lambda m, g: m.RunnablePassthrough(lambda v: g.tell(f"saw {v}")), TEXT
    ),
    "passthrough func fails": Case(
        lambda m, g: m.RunnablePassthrough(lambda v: {}["k"]) | g.mark(m, "f"), TEXT
    ),
    "passthrough func config": Case(
        lambda m, g: m.RunnablePassthrough(
            lambda v, config: g.tell(f"{v} {config['tags']}")
        ).with_config(tags=["t"]),
        TEXT,
    ),
    "passthrough afunc": Case(
        lambda m, g: m.RunnablePassthrough(lambda v: g.tell(f"sync {v}"), _told(g)),
        TEXT,
    ),
    "generator": Case(lambda m, g: g.letters(m, "s"), TEXT),
    "generator fails first": Case(lambda m, g: g.letters(m, "s", 0), TEXT),
    "generator fails later": Case(lambda m, g: g.letters(m, "s", 1) | g.letters(m, "t"), TEXT),
    "generator of nothing": Case(lambda m, g: g.nothing(m, "s"), TEXT),
    "generator of nothing in a row": Case(lambda m, g: g.nothing(m, "s") | g.letters(m, "t"), TEXT),
    "generator bound": Case(lambda m, g: g.letters(m, "s").bind().with_config(run_name="n"), TEXT),
    "lambda fails": Case(lambda m, g: g.fails(m, "f", OSError), TEXT),
    "lambda gives a runnable": Case(
        lambda m, g: g.step(m, "f", lambda text: g.letters(m, "s")) | g.mark(m, "b"), TEXT
    ),
    "lambda gives a chain": Case(
        lambda m, g: g.step(m, "f", lambda text: g.mark(m, "a") | g.letters(m, "s")), TEXT
    ),
    "lambda gives a lambda": Case(
        lambda m, g: g.step(m, "f", lambda text: g.step(m, "h", lambda t: g.mark(m, "a"))), TEXT
    ),
    "lambda gives what fails": Case(
        lambda m, g: g.step(m, "f", lambda text: g.fails(m, "a")), TEXT
    ),
    "lambda gives None": Case(lambda m, g: g.step(m, "f", lambda text: None), TEXT),
    "lambda without end": Case(
        lambda m, g: _endless(m, g).with_config(recursion_limit=4), TEXT, own=True
    ),
}


def _told(log: Log) -> Any:
    async def told(value: Any) -> None:
        log.tell(f"async {value}")

    return told


def _endless(m: Any, log: Log) -> Any:
    def again(text: str) -> Any:
        log.tell("again")
        return step

    async def aagain(text: str) -> Any:
        log.tell("again")
        return step

    step = m.RunnableLambda(again, aagain)
    return step


def _suffixed(log: Log) -> tuple[Any, Any]:
    def call(text: str, suffix: str = "?", times: int = 1) -> str:
        log.tell("f")
        return text + suffix * times

    async def acall(text: str, suffix: str = "?", times: int = 1) -> str:
        return call(text, suffix, times)

    return call, acall


BINDINGS = {
    "bind": Case(lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!"), TEXT),
    "bind twice": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!").bind(times=2, suffix="#"),
        TEXT,
    ),
    "bind and call": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!"), TEXT, kwargs={"times": 2}
    ),
    "bind overruled by the call": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!"), TEXT, kwargs={"suffix": "-"}
    ),
    "call of a chain": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)) | g.mark(m, "b"), TEXT, kwargs={"suffix": "-"}
    ),
    "call of a retry": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).with_retry(**FAST),
        TEXT,
        kwargs={"suffix": "-"},
    ),
    "call of fallbacks": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).with_fallbacks([g.mark(m, "b")]),
        TEXT,
        kwargs={"suffix": "-"},
    ),
    "call of a map": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).map(), LISTS, kwargs={"suffix": "-"}
    ),
    "call of a branch": Case(
        lambda m, g: m.RunnableBranch((_has("z"), g.mark(m, "a")), m.RunnableLambda(*_suffixed(g))),
        TEXT,
        kwargs={"suffix": "-"},
    ),
    "bind unknown": Case(lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(nope=1), TEXT),
    "bind then retry": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!").with_retry(**FAST), TEXT
    ),
    "bind then map": Case(
        lambda m, g: m.RunnableLambda(*_suffixed(g)).bind(suffix="!").map(), LISTS
    ),
    "bind then fallbacks": Case(
        lambda m, g: g.fails(m, "a").with_fallbacks(
            [m.RunnableLambda(*_suffixed(g)).bind(suffix="!")]
        ),
        TEXT,
    ),
    "bind of a fallback": Case(
        lambda m, g: (
            m.RunnableLambda(*_suffixed(g)).with_fallbacks([g.mark(m, "b")]).bind(suffix="!")
        ),
        TEXT,
    ),
    "bind in a parallel": Case(
        lambda m, g: m.RunnableParallel(
            a=m.RunnableLambda(*_suffixed(g)).bind(suffix="!"), b=g.mark(m, "b")
        ),
        TEXT,
        columns=True,
    ),
    "config tags": Case(
        lambda m, g: m.RunnableLambda(
            lambda text, config: f"{text}{config['tags']}{sorted(config['metadata'].items())}"
        ).with_config(tags=["t"], metadata={"k": 1}),
        TEXT,
    ),
    "config of a chain": Case(
        lambda m, g: (
            g.mark(m, "a") | m.RunnableLambda(lambda text, config: text + str(config["tags"]))
        ).with_config(tags=["t"]),
        TEXT,
    ),
    "config over config": Case(
        lambda m, g: (
            m.RunnableLambda(
                lambda text, config: f"{text}{sorted(config['tags'])}{config['configurable']}"
            )
            .with_config(tags=["t"], configurable={"a": 1})
            .with_config(tags=["u"], configurable={"b": 2})
        ),
        TEXT,
    ),
    "types": Case(lambda m, g: g.letters(m, "s").with_types(input_type=str, output_type=str), TEXT),
    "types in a row": Case(
        lambda m, g: g.mark(m, "a").with_types(output_type=str) | g.letters(m, "s"), TEXT
    ),
}

ONE_BY_ONE = ("invoke", "stream", "batch", "ainvoke", "astream", "abatch")


def _remembered(inner: Callable[[Any, Log], Any], **keys: str) -> Callable[[Any, Log], Any]:
    """A runnable with a history that has one exchange in it."""

    def make(m: Any, log: Log) -> Any:
        history = m.InMemoryChatMessageHistory()
        history.add_messages([m.HumanMessage("before"), m.AIMessage("yes")])
        log.kept["history"] = history
        made = m.RunnableWithMessageHistory(inner(m, log), lambda session_id: history, **keys)
        return made.with_config(configurable={"session_id": "1"})

    return make


def _prompted(m: Any, log: Log) -> Any:
    prompt = m.ChatPromptTemplate.from_messages(
        [("system", "be {x}"), ("placeholder", "{past}"), ("human", "{q}")]
    )
    seen = log.step(m, "seen", lambda given: _told_of(log, given))
    return prompt | seen | m.FakeListChatModel(responses=["hello"])


def _told_of(log: Log, prompt: Any) -> Any:
    log.tell(str([message.content for message in prompt.to_messages()]))
    return prompt


def _counts(m: Any, log: Log) -> Any:
    return log.step(m, "model", lambda messages: m.AIMessage(f"{len(messages)} messages"))


QUESTION = [{"x": "kind", "q": "how are you"}]
BY_KEY = {"input_messages_key": "q", "history_messages_key": "past"}

HISTORY = {
    "history of messages": Case(_remembered(_counts), ["hi"], doors=ONE_BY_ONE),
    "history by key": Case(_remembered(_prompted, **BY_KEY), QUESTION, doors=ONE_BY_ONE),
    "history of what fails": Case(
        _remembered(lambda m, g: g.fails(m, "f")), ["hi"], doors=ONE_BY_ONE
    ),
    "history of text": Case(
        _remembered(lambda m, g: g.step(m, "f", lambda messages: "an answer")),
        ["hi"],
        doors=ONE_BY_ONE,
    ),
    "history of a dict": Case(
        _remembered(
            lambda m, g: g.step(m, "f", lambda d: {"a": m.AIMessage(f"{len(d['past'])} before")}),
            **BY_KEY,
            output_messages_key="a",
        ),
        QUESTION,
        doors=ONE_BY_ONE,
    ),
}

CASES: dict[str, Case] = {
    **RETRY,
    **FALLBACKS,
    **BRANCH,
    **LISTED,
    **DICT_STEPS,
    **USER_CODE,
    **BINDINGS,
    **HISTORY,
}
