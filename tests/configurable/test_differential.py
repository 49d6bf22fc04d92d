"""The same configurable programs on langchain-core and here: outputs, streams, specs, schemas."""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import langchain_core.language_models as their_models
import langchain_core.output_parsers as their_parsers
import langchain_core.prompts as their_prompts
import langchain_core.runnables as their_runnables
import pytest

import headrace.language_models as our_models
import headrace.output_parsers as our_parsers
import headrace.prompts as our_prompts
import headrace.runnables as our_runnables
from laws.colours import ASYNC, SYNC, Colour

Program = Callable[[Any], Any]


NAMES = [
    "ConfigurableField",
    "ConfigurableFieldMultiOption",
    "ConfigurableFieldSingleOption",
    "FakeListChatModel",
    "FakeListLLM",
    "PromptTemplate",
    "RouterRunnable",
    "RunnableGenerator",
    "RunnableLambda",
    "RunnableParallel",
    "StrOutputParser",
]


def library(*modules: Any) -> Any:
    return SimpleNamespace(
        **{name: next(getattr(m, name) for m in modules if hasattr(m, name)) for name in NAMES}
    )


THEIRS = library(their_runnables, their_models, their_parsers, their_prompts)
OURS = library(our_runnables, our_models, our_parsers, our_prompts)


# ---- programs -----------------------------------------------------------------------------------


def llm(lib: Any) -> Any:
    return lib.FakeListLLM(responses=["abc"]).configurable_fields(
        responses=lib.ConfigurableField("said", name="Said", description="what it says")
    )


def chat(lib: Any) -> Any:
    return lib.FakeListChatModel(responses=["xyz"]).configurable_fields(
        responses=lib.ConfigurableFieldMultiOption(
            "chat_said", {"hi": "Hi there", "bye": "Bye"}, ["hi", "bye"], name="Chat said"
        ),
        sleep=lib.ConfigurableField("pause", is_shared=True),
    )


def prompt(lib: Any) -> Any:
    return lib.PromptTemplate.from_template("tell {x}").configurable_fields(
        template=lib.ConfigurableFieldSingleOption(
            "prompt", {"short": "{x}", "long": "please tell {x}"}, "short", name="Prompt"
        )
    )


def either(lib: Any, *, prefix: bool = False) -> Any:
    return llm(lib).configurable_alternatives(
        lib.ConfigurableField("llm", name="LLM", description="which"),
        default_key="plain",
        prefix_keys=prefix,
        chat=chat(lib) | lib.StrOutputParser(),
        made=lambda: lib.FakeListLLM(responses=["made"]),
    )


def nested(lib: Any) -> Any:
    return either(lib, prefix=True).configurable_alternatives(
        lib.ConfigurableField("outer"), prefix_keys=True, upper=llm(lib) | str.upper
    )


def swap(chunks: Any) -> Any:
    for chunk in chunks:
        yield chunk.swapcase()


async def aswap(chunks: Any) -> Any:
    async for chunk in chunks:
        yield chunk.swapcase()


PROGRAMS: dict[str, Program] = {
    "fields": lambda lib: lib.RunnableLambda(str) | llm(lib),
    "options": prompt,
    "several": lambda lib: prompt(lib) | chat(lib) | lib.StrOutputParser(),
    "chain": lambda lib: prompt(lib) | llm(lib) | lib.StrOutputParser(),
    "either": lambda lib: prompt(lib) | either(lib) | lib.RunnableLambda(str.upper),
    "streams": lambda lib: prompt(lib) | either(lib) | lib.RunnableGenerator(swap, aswap),
    "prefixed": lambda lib: prompt(lib) | either(lib, prefix=True),
    "nested": lambda lib: prompt(lib) | nested(lib),
    "parallel": lambda lib: prompt(lib) | lib.RunnableParallel(a=either(lib), b=either(lib)),
    "held": lambda lib: prompt(lib) | either(lib).with_config(configurable={"llm": "chat"}),
    "bound": lambda lib: (prompt(lib) | either(lib)).with_config(configurable={"llm": "chat"}),
    "retry": lambda lib: prompt(lib) | either(lib).with_retry(wait_exponential_jitter=False),
    "router": lambda lib: (
        lib.RunnableLambda(lambda d: {"key": d["x"][0], "input": d})
        | lib.RouterRunnable({"a": prompt(lib) | either(lib), "b": prompt(lib) | llm(lib)})
    ),
}
CONFIGS: list[dict[str, Any]] = [
    {},
    {"said": ["other"]},
    {"prompt": "long"},
    {"llm": "chat"},
    {"llm": "made"},
    {"llm": "plain", "said": ["s"]},
    {"llm": "chat", "chat_said": ["bye"]},
    {"llm==chat/chat_said": ["bye"], "llm": "chat"},
    {"llm==plain/said": ["p"]},
    {"outer": "upper"},
    {"outer": "upper", "outer==upper/said": ["up"]},
    {"outer==default/llm": "chat", "outer==default/llm==chat/chat_said": ["bye"]},
    {"llm": "nobody"},
    {"prompt": "nothing"},
    {"llm": "chat", "chat_said": ["nothing"]},
]


def shown(value: Any) -> Any:
    if hasattr(value, "to_string"):
        return value.to_string()
    if isinstance(value, dict):
        return {key: shown(item) for key, item in sorted(value.items())}
    return getattr(value, "content", value)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception:  # a KeyError, a ValueError, under retry tenacity's own
        return "refused"


def chunks(made: list[Any], unordered: bool) -> Any:
    found = [shown(chunk) for chunk in made]
    return sorted(found, key=repr) if unordered else found


@pytest.mark.parametrize("colour", [SYNC, ASYNC], ids=repr)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_comes_out(name, colour: Colour):
    make, given = PROGRAMS[name], {"x": "a word"}
    fans = name == "parallel"

    def told(lib: Any, doors: Any) -> list[Any]:
        found = []
        for number, values in enumerate(CONFIGS):
            config = {"configurable": values}
            found.append(
                (
                    number,
                    outcome(lambda c=config: shown(doors.invoke(make(lib), given, c))),
                    outcome(lambda c=config: chunks(doors.stream(make(lib), given, c), fans)),
                    outcome(lambda c=config: list(map(shown, doors.batch(make(lib), [given], c)))),
                )
            )
        configs = [{"configurable": values} for values in CONFIGS[:7]]
        found.append(shown_all(doors.batch(make(lib), [given] * 7, configs)))
        return found

    ours = colour.run(lambda doors: told(OURS, doors), limit=30)
    theirs = SYNC.run(lambda doors: told(THEIRS, doors), limit=30)  # async leaves tasks behind
    assert ours == theirs


def shown_all(values: list[Any]) -> list[Any]:
    return [shown(value) for value in values]


# ---- specs and schemas --------------------------------------------------------------------------


def annotation(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return (kind.__name__, [member.value for member in kind])
    inner = get_args(kind)
    return (str(getattr(kind, "__origin__", kind)), *map(annotation, inner)) if inner else kind


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_can_be_told(name):
    make = PROGRAMS[name]
    ours, theirs = make(OURS).config_specs, make(THEIRS).config_specs
    assert [(*s[:1], annotation(s.annotation), *s[2:]) for s in ours] == [
        (*s[:1], annotation(s.annotation), *s[2:]) for s in theirs
    ]


@pytest.mark.parametrize("include", [None, ["tags", "metadata", "run_name", "recursion_limit"]])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_schema(name, include):
    make = PROGRAMS[name]
    ours = make(OURS).get_config_jsonschema(include=include)
    assert ours == make(THEIRS).get_config_jsonschema(include=include)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lib: llm(lib).configurable_fields(nothing=lib.ConfigurableField("x")),
        lambda lib: lib.FakeListLLM(responses=["a"]).configurable_fields(
            nothing=lib.ConfigurableField("x")
        ),
        lambda lib: (
            lib.RunnableParallel(
                a=llm(lib),
                b=lib.FakeListLLM(responses=["b"]).configurable_fields(
                    responses=lib.ConfigurableField("said")
                ),
            ).config_specs
        ),
        lambda lib: lib.RouterRunnable({}).invoke({"key": "a", "input": 1}),
    ],
)
def test_both_refuse(wrong):
    for lib in (THEIRS, OURS):
        with pytest.raises(ValueError, match=r"."):
            wrong(lib)
