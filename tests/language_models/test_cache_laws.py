"""Any sequence of calls, left and failing ones among them, against a dictionary; and beside
langchain-core."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.caches import InMemoryCache, SQLiteCache
from headrace.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from headrace.merge import merge
from headrace.messages import AIMessageChunk, message_chunk_to_message
from headrace.outputs import ChatGenerationChunk, Generation
from laws.colours import both_drivers

USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
TEXTS = st.text(max_size=3)
PIECES = st.lists(
    st.fixed_dictionaries({"content": TEXTS})
    | st.fixed_dictionaries({"content": st.lists(
        st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS, "index": st.just(0)}),
        max_size=2,
    )})
    | st.fixed_dictionaries({
        "content": st.just(""),
        "tool_call_chunks": st.lists(st.fixed_dictionaries({
            "name": st.none() | st.just("f"), "args": st.sampled_from(['{"a"', ": 1}", "", '"']),
            "id": st.none() | st.just("c"), "index": st.integers(0, 1),
        }), max_size=2),
    })
    | st.just({"content": "", "usage_metadata": USAGE})
    | st.just({"content": "", "response_metadata": {"why": "stop"}})
    | st.just({"content": "x", "id": "given"}),
    min_size=1, max_size=5,
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["invoke", "stream", "leave", "fail", "batch"]), st.sampled_from("ab")
    ),
    max_size=8,
)


class Told(BaseChatModel):
    """Streams the given pieces and the number of the call."""

    pieces: list[dict[str, Any]]
    _fails: bool = False
    _calls: int = 0

    def _chunks_of(self, number: int) -> Any:
        last = {"content": f"#{number}"}
        return [ChatGenerationChunk(AIMessageChunk(**piece)) for piece in [*self.pieces, last]]

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self._calls += 1
        yield from self._chunks_of(self._calls)
        if self._fails:
            raise ConnectionError


class ToldAsync(Told):
    async def _astream(self, messages: Any, stop: Any = None, **kw: Any) -> Any:
        for chunk in self._stream(messages):
            yield chunk


def bare(messages: list[Any]) -> list[Any]:
    out = []
    for message in messages:
        copied = message.model_copy(deep=True)
        if (copied.id or "").startswith("run-"):
            copied.id = None
        if copied.usage_metadata:
            copied.usage_metadata.pop("total_cost", None)
        out.append(copied)
    return out


@pytest.mark.parametrize("cache", [InMemoryCache, lambda: SQLiteCache(":memory:")])
@pytest.mark.parametrize("kind", [Told, ToldAsync])
@both_drivers
@given(pieces=PIECES, steps=STEPS)
def test_any_sequence_of_calls(colour, cache, kind, pieces, steps):
    def body(doors: Any) -> None:
        model = kind(pieces=pieces, cache=cache())
        stored: dict[str, int] = {}  # by prompt: the call that gave what is kept
        for what, prompt in steps:
            calls = model._calls
            model._fails = what == "fail"
            if model._fails:
                if prompt in stored:
                    assert len(doors.stream(model, prompt)) > 0
                else:
                    with pytest.raises(ConnectionError):
                        doors.stream(model, prompt)
            elif what == "leave":
                stream = doors.open(model, prompt)
                stream.next()
                stream.close()
            else:
                given = [prompt] if what == "batch" else prompt
                found = getattr(doors, what)(model, given)
                if prompt not in stored:
                    stored[prompt] = calls + 1
                check(model, what, found, stored[prompt])
            expected = calls if prompt in stored and stored[prompt] <= calls else calls + 1
            assert model._calls == expected
        if isinstance(model.cache, SQLiteCache):
            model.cache.close()

    colour.run(body, limit=60)


def _at(model: Any, calls: int) -> Any:
    """A model that says the same, after that many calls."""
    made = type(model)(pieces=model.pieces)
    made._calls = calls
    return made


def check(model: Any, what: str, found: Any, number: int) -> None:
    """It is what the call of that number gave."""
    fresh = list(_at(model, number - 1).stream("x"))
    if what == "stream":
        assert bare(found) == bare(fresh)
        assert len({chunk.id for chunk in found if chunk.id != "given"}) <= 1
    else:
        assert bare(found if what == "batch" else [found]) == bare(
            [message_chunk_to_message(merge(fresh))]
        )


# ---- beside langchain-core ----------------------------------------------------------------------

PROMPTS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@given(prompts=PROMPTS, own=st.sampled_from([None, False, "own"]), there=st.booleans())
def test_answers_are_langchains(prompts, own, there):
    import langchain_core.caches as their_caches
    import langchain_core.globals as their_globals
    import langchain_core.language_models as theirs

    from headrace import caches as our_caches
    from headrace import globals as our_globals

    answers = []
    for models, caches, settings in (
        ((FakeListChatModel, FakeListLLM), our_caches, our_globals),
        ((theirs.FakeListChatModel, theirs.FakeListLLM), their_caches, their_globals),
    ):
        settings.set_llm_cache(caches.InMemoryCache() if there else None)
        try:
            for kind in models:
                cache = caches.InMemoryCache() if own == "own" else own
                model = kind(responses=list("123456789"), cache=cache)
                found = [model.invoke(prompt) for prompt in prompts]
                answers.append([getattr(answer, "content", answer) for answer in found])
        finally:
            settings.set_llm_cache(None)
    assert answers[:2] == answers[2:]


@given(
    steps=st.lists(st.tuples(st.sampled_from("luc"), st.sampled_from("ab"), st.text(max_size=2)))
)
def test_a_cache_without_bound_is_langchains(steps):
    from langchain_core.caches import InMemoryCache as TheirCache
    from langchain_core.outputs import Generation as TheirGeneration

    ours, theirs = InMemoryCache(), TheirCache()
    for what, key, text in steps:
        if what == "u":
            ours.update(key, text, [Generation(text)])
            theirs.update(key, text, [TheirGeneration(text=text)])
        elif what == "c":
            ours.clear()
            theirs.clear()
        found, their_found = ours.lookup(key, text), theirs.lookup(key, text)
        assert (found is None) == (their_found is None)
        assert [one.text for one in found or ()] == [one.text for one in their_found or ()]
