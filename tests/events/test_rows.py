"""Rows of docs/differences.md about events: a program for each, run in both libraries."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from events.pieces import (
    bang,
    calling,
    chat,
    fn,
    libraries,
    parser,
    prompt,
    reporting,
    retried,
    telling_llm,
)
from events.watched import astreamed, numbered, streamed
from headrace.errors import ConfigError


def both(made: Any, value: Any, config: Any = None, **how: Any) -> tuple[Any, Any]:
    """What LangChain tells and what Headrace tells."""
    theirs, ours = (astreamed(made(m), value, config, **how) for m in libraries())
    return theirs, ours


def lines(seen: list[dict[str, Any]]) -> list[str]:
    return [f"{e['event']} {e['name']} {len(e['above'])}" for e in numbered(seen)]


def test_first():
    """events-first"""

    def made(m: Any) -> Any:
        return prompt(m) | chat(m) | parser(m)

    (theirs, _), (ours, _) = both(made, {"q": "hi"}, include_types=["chat_model"])
    assert theirs[0]["data"] == {"input": {"q": "hi"}}
    assert "input" not in theirs[-1]["data"]
    (messages,) = ours[0]["data"]["input"]["messages"]
    assert [message.content for message in messages] == ["Be brief.", "hi"]
    assert ours[-1]["data"]["input"] == ours[0]["data"]["input"]


def test_retry():
    """events-retry"""
    (theirs, _), (ours, _) = both(lambda m: retried(m, fn(m, bang)), "hi")
    assert lines(theirs) == ["on_chain_start bang 0", "on_chain_stream bang 0",
                             "on_chain_end bang 0"]  # fmt: skip
    assert lines(ours) == ["on_chain_start bang 0", "on_chain_start bang 1",
                           "on_chain_stream bang 1", "on_chain_stream bang 0",
                           "on_chain_end bang 1", "on_chain_end bang 0"]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "inside", "counts"),
    [
        (lambda m: m.FakeStreamingListLLM(responses=["ab"]), False, (0, 2)),
        (telling_llm, False, (2, 2)),
        (telling_llm, True, (0, 2)),
    ],
)
def test_text_tokens(model, inside, counts):
    """events-text-tokens"""
    found = both(lambda m: fn(m, model(m).ainvoke, "outer") if inside else model(m), "hi")
    streams = [sum(e["event"] == "on_llm_stream" for e in seen) for seen, _ in found]
    assert tuple(streams) == counts


@pytest.mark.allows_leaks(reason="langchain-core leaves a generator open when its handler fails")
def test_same_id():
    """events-same-id"""
    same = uuid.UUID(int=7)

    def made(m: Any) -> Any:
        inner = m.RunnableLambda(lambda text: text + "!", name="inner")

        async def outer(text: str, config: Any) -> Any:
            return await inner.ainvoke(text, {**config, "run_id": same})

        return m.RunnableLambda(outer)

    (theirs, _), (ours, error) = both(made, "hi", {"run_id": same})
    assert lines(theirs) == ["on_chain_start outer 0"]
    assert lines(ours) == ["on_chain_start outer 0", "on_chain_start inner 1",
                           "on_chain_end inner 1", "on_chain_stream outer 0",
                           "on_chain_end outer 0"]  # fmt: skip
    assert error is None


def test_map():
    """events-map"""
    (_, their_error), (ours, error) = both(lambda m: fn(m, bang).map(), ["a", "b"])
    assert isinstance(their_error, NotImplementedError)
    assert error is None
    assert ours[-1]["data"]["output"] == ["a!", "b!"]


@pytest.mark.parametrize("version", ["v1", "v3", "v2.1"])
@pytest.mark.parametrize("door", ["stream_events", "astream_events"])
def test_versions(version, door):
    """events-v1"""
    _, m = libraries()
    with pytest.raises(ConfigError, match='version="v2"'):
        getattr(fn(m, bang), door)("hi", version=version)


def test_ls():
    """events-ls"""
    (theirs, _), (ours, _) = both(lambda m: chat(m).bind(stop=["."], temperature=0.5), "hi")
    said = {"ls_provider": "genericfakechatmodel", "ls_model_type": "chat", "ls_stop": ["."],
            "ls_temperature": 0.5}  # fmt: skip
    assert ours[0]["metadata"] == said
    theirs_said = {k: v for k, v in theirs[0]["metadata"].items() if k.startswith("ls_")}
    assert theirs_said == {**said, "ls_integration": "langchain_chat_model"}


def test_sync():
    """events-sync"""
    langchain, m = libraries()
    assert isinstance(streamed(calling(langchain, "invokes"), "hi")[1], NotImplementedError)
    seen, error = streamed(calling(m, "invokes"), "hi")
    assert error is None
    assert len(seen) == 9


# ---- what the metadata says, beyond the row ------------------------------------------------------


def test_arguments_of_a_call_count_more_than_a_models_fields_and_its_metadata_counts_less():
    _, m = libraries()

    class Chat2(m.ParrotFakeChatModel):  # type: ignore[misc, name-defined]
        model: str = "small"
        max_tokens: int = 7

    def metadata(runnable: Any, config: Any = None) -> Any:
        return astreamed(runnable, "hi", config)[0][0]["metadata"]

    known = {"ls_provider": "2", "ls_model_type": "chat", "ls_max_tokens": 7}
    assert metadata(Chat2()) == {**known, "ls_model_name": "small"}
    assert metadata(Chat2().bind(model="big")) == {**known, "ls_model_name": "big"}
    mine = {"metadata": {"ls_provider": "mine"}}
    assert metadata(Chat2(), mine)["ls_provider"] == "2"
    assert metadata(Chat2(**mine))["ls_provider"] == "mine"
    assert metadata(Chat2(metadata={"a": 1})) == {**known, "ls_model_name": "small", "a": 1}


def test_what_a_component_says_of_itself_counts_more_than_what_it_inherits():
    """Its tags stand behind the inherited ones, its metadata over them; in both libraries."""
    told = []
    for m in libraries():
        own = {"tags": ["own"], "metadata": {"k": "own"}}
        config = {"tags": ["call"], "metadata": {"k": "call", "ls_provider": "call", "l": "call"}}
        bound = {"tags": ["with"], "metadata": {"k": "with", "b": "with"}}
        model = m.ParrotFakeChatModel(**own).with_config(**bound)
        chain = m.RunnableLambda(lambda x: x) | model | m.RunnableLambda(lambda x: x)
        runs = [e for e in astreamed(chain, "hi", config)[0] if e["event"].endswith("_start")]
        keys = ("k", "l", "b", "ls_provider")
        told.append(
            [(e["tags"], {k: v for k, v in e["metadata"].items() if k in keys}) for e in runs]
        )
    theirs, ours = told
    assert ours == theirs
    tags, metadata = ours[2]
    assert tags == ["seq:step:2", "call", "with", "own"]
    assert (metadata["k"], metadata["l"]) == ("own", "call")


def test_a_provider_says_itself_what_it_is():
    for m in libraries():

        class Chat3(m.ParrotFakeChatModel):  # type: ignore[misc, name-defined]
            def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
                return {"ls_provider": "acme", "ls_model_type": "chat"}

        said = astreamed(Chat3(), "hi")[0][0]["metadata"]
        assert said["ls_provider"] == "acme"


def test_custom_tags():
    """events-custom-tags"""
    (theirs, _), (ours, _) = both(lambda m: fn(m, bang) | reporting(m), "hi", {"tags": ["all"]})
    found = [
        [e["tags"] for e in seen if e["event"] == "on_custom_event"] for seen in (theirs, ours)
    ]
    assert [sorted(tags) for tags in found[0]] == [["all"]] * 2
    assert [sorted(tags) for tags in found[1]] == [["all", "seq:step:2"]] * 2
