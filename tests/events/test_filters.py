"""Filters: which events pass, as in LangChain, and that nothing is built for those that do not."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from events.pieces import bang, chat, fn, libraries, parser, prompt, reporting
from events.watched import astreamed, numbered, streamed
from headrace import events
from headrace.errors import ConfigError
from headrace.runnables import Runnable, RunnableLambda
from headrace.views import Filter

VALUES = {
    "include_names": ["model", "bang"],
    "include_types": ["parser", "chat_model"],
    "include_tags": ["mine", "seq:step:1"],
    "exclude_names": ["StrOutputParser"],
    "exclude_types": ["chat_model", "nothing"],
    "exclude_tags": ["seq:step:4", "hers"],
}
FILTERS = [
    {key: values for (key, values), taken in zip(VALUES.items(), bits, strict=True) if taken}
    for bits in product([False, True], repeat=len(VALUES))
]
FILTERS += [{key: []} for key in VALUES]
FILTERS += [{"include_names": ["nobody"]}, {"include_tags": ["all"]}, {"exclude_tags": ["all"]}]


def chain(m: Any) -> Any:
    return (
        prompt(m).with_config(tags=["hers"])
        | chat(m).with_config(run_name="model", tags=["mine"])
        | parser(m)
        | fn(m, bang, "bang")
    )


def told(seen: list[dict[str, Any]]) -> list[Any]:
    """What passed; the input is told apart, see the row `events-first`."""
    return [
        (e["event"], e["name"], e["tags"], {k: v for k, v in e["data"].items() if k != "input"})
        for e in numbered(seen)
    ]


@pytest.mark.parametrize("chosen", FILTERS, ids=lambda chosen: " ".join(chosen) or "none")
def test_what_passes_is_what_passes_in_langchain(chosen):
    value, config = {"q": "hi"}, {"tags": ["all"]}
    langchain, headrace = libraries()
    theirs, _ = astreamed(chain(langchain), value, config, **chosen)
    ours, _ = astreamed(chain(headrace), value, config, **chosen)
    assert told(ours) == told(theirs)
    inside, _ = streamed(chain(headrace), value, config, **chosen)
    assert numbered(inside) == numbered(ours)


def test_what_is_told_of_a_run_does_not_depend_on_the_filter():
    _, m = libraries()
    everything = [e for e in numbered(astreamed(chain(m), {"q": "hi"})[0]) if e["name"] == "model"]
    chosen = numbered(astreamed(chain(m), {"q": "hi"}, include_names=["model"])[0])
    assert [e["data"] for e in chosen] == [e["data"] for e in everything]
    assert len(chosen) == 7


# ---- before an event is built --------------------------------------------------------------------


@pytest.fixture
def built(monkeypatch):
    """How many events were built, by class and name of the run."""
    counted: Counter[tuple[str, str]] = Counter()

    def counting(kind: Any, made: Any) -> Any:
        def init(self: Any, run: Any, *rest: Any) -> None:
            counted[kind.__name__, run.name] += 1
            made(self, run, *rest)

        return init

    for kind in events.EVENTS:
        monkeypatch.setattr(kind, "__init__", counting(kind, kind.__init__))
    return counted


@pytest.mark.parametrize("door", ["stream_events", "stream_typed"])
@pytest.mark.parametrize("how", [astreamed, streamed])
def test_nothing_is_built_for_runs_that_nobody_wants(built, door, how):
    _, m = libraries()
    watched = _through(door, how)
    assert watched(chain(m), include_names=["nobody"]) == []
    assert not built
    assert len(watched(chain(m), include_types=["parser"])) == 7
    assert {name for _, name in built} == {"StrOutputParser"}
    built.clear()
    watched(chain(m), exclude_types=["chat_model", "chain"])
    assert {name for _, name in built} == {"ChatPromptTemplate", "StrOutputParser"}
    built.clear()
    watched(chain(m))
    assert {"model", "bang", "RunnableSequence"} <= {name for _, name in built}


def _through(door: str, how: Any) -> Any:
    def watched(runnable: Any, **chosen: Any) -> list[Any]:
        if door == "stream_events":
            return how(runnable, {"q": "hi"}, **chosen)[0]
        if how is streamed:
            return list(runnable.stream_typed({"q": "hi"}, **chosen))
        return _atyped(runnable, chosen)

    return watched


def _atyped(runnable: Any, chosen: Any) -> list[Any]:
    import asyncio

    async def main() -> list[Any]:
        return [event async for event in runnable.astream_typed({"q": "hi"}, **chosen)]

    return asyncio.run(main())


def test_chunks_of_dicts_need_no_events_at_all(built):
    _, m = libraries()
    seen, _ = streamed(chain(m), {"q": "hi"})
    assert sum(e["event"].endswith("_stream") for e in seen) == 12
    assert not [kind for kind, _ in built if kind == "RunChunk"]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("door", ["stream_events", "astream_events"])
def test_a_filter_is_a_list(name, door):
    runnable: Runnable[Any, Any] = chain(libraries()[1])
    with pytest.raises(ConfigError, match=rf"{name} is the string 'model': give a list"):
        getattr(runnable, door)({"q": "hi"}, **{name: "model"})


# ---- what cannot be a filter ---------------------------------------------------------------------

DOORS = pytest.mark.parametrize(
    "door", ["stream_events", "astream_events", "stream_typed", "stream_log", "astream_log", "open"]
)


def _asked(door: str, **chosen: Any) -> Any:
    runnable: Runnable[Any, Any] = chain(libraries()[1])
    if door != "open":
        return getattr(runnable, door)({"q": "hi"}, **chosen)
    with runnable.open({"q": "hi"}) as run:
        return run.events(**chosen)


@DOORS
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (5, "include_types is 5: give a list of strings"),
        (b"llm", "include_types is b'llm': give a list of strings"),
        ({"llm": True}, r"include_types is {'llm': True}: give a list of strings"),
        ([5], "include_types holds 5: give a list of strings"),
        (["llm", None], "include_types holds None: give a list of strings"),
    ],
)
def test_what_is_no_list_of_strings(door, given, why):
    with pytest.raises(ConfigError, match=why):
        _asked(door, include_types=given)


@pytest.mark.parametrize("given", [("model",), {"model"}, iter(["model"])])
def test_any_collection_of_strings_is_one(given):
    seen, _ = astreamed(chain(libraries()[1]), {"q": "hi"}, include_names=given)
    assert {event["name"] for event in seen} == {"model"}


MEANT = {
    "chatmodel": "chat_model",
    "ChatModel": "chat_model",
    "chat-model": "chat_model",
    "model": "chat_model",
    "LLM": "llm",
    "llms": "llm",
    "tools": "tool",
    "retreiver": "retriever",
    "promt": "prompt",
    "Parser": "parser",
    "chains": "chain",
}


@pytest.mark.parametrize("word", MEANT)
@pytest.mark.parametrize("side", ["include", "exclude"])
def test_a_type_that_is_nearly_one_is_refused(side, word):
    """events-types"""
    why = f"{side}_types holds '{word}', .* is '{MEANT[word]}' meant.* found by {side}_names"
    with pytest.raises(ConfigError, match=why):
        Filter(**{f"{side}_types": ["chain", word]})


@DOORS
def test_so_says_every_door(door):
    with pytest.raises(ConfigError, match="is 'chat_model' meant"):
        _asked(door, exclude_types=["chatmodel"])


def test_what_user_code_reports_still_goes_by_its_label():
    """As in LangChain, where labels count as types."""
    for m in libraries():
        seen, _ = astreamed(reporting(m), "hi", include_types=["first"])
        assert [(e["event"], e["name"]) for e in seen] == [("on_custom_event", "first")]


def test_a_type_of_ones_own_is_no_misspelt_one():
    with pytest.raises(ConfigError, match="is 'tool' meant"):
        Filter(include_types=["tool3"])

    class Tool2(RunnableLambda[str, str]):
        _run_type = "tool2"

    step = RunnableLambda(str.upper) | Tool2(str.lower)
    seen, _ = streamed(step, "A", include_types=["tool2"])
    assert [event["event"] for event in seen][::2] == ["on_tool2_start", "on_tool2_end"]
