"""Runs opened by hand with a manager, tracers told by hand, and the supplied handlers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from headrace.callbacks import (
    AsyncBaseTracer,
    AsyncCallbackManager,
    BaseCallbackHandler,
    BaseTracer,
    CallbackManager,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    FileCallbackHandler,
    UsageMetadataCallbackHandler,
    get_usage_metadata_callback,
)
from headrace.documents import Document
from headrace.errors import ConfigError, HeadraceError, TracerException
from headrace.language_models import GenericFakeChatModel
from headrace.messages import AIMessage, HumanMessage
from headrace.outputs import ChatGeneration, Generation, LLMResult
from headrace.runnables import RunnableLambda
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import Recorder


class Calls(BaseCallbackHandler):
    def __init__(self):
        self.calls = []


def _noting(name):
    def hook(self, *args, **kwargs):
        self.calls.append((name, args, kwargs))

    return hook


for _name in (
    *("on_llm_start", "on_chat_model_start", "on_llm_new_token", "on_llm_end", "on_llm_error"),
    *("on_chain_start", "on_chain_end", "on_chain_error", "on_tool_start", "on_tool_end"),
    *("on_retriever_start", "on_retriever_end", "on_agent_action", "on_text"),
):
    setattr(Calls, _name, _noting(_name))
Calls._learn_hooks()
RESULT = LLMResult([[ChatGeneration(message=AIMessage("hi"))]], {"cost": 1})


# ---- managers -----------------------------------------------------------------------------------


def test_a_chain_opened_by_hand_is_the_parent_of_what_is_called_with_its_child():
    seen, run_id = Recorder(), uuid4()
    manager = CallbackManager.configure([seen], inheritable_tags=["t"])
    run = manager.on_chain_start(None, {"q": 1}, run_id=run_id, name="mine")
    assert isinstance(run, CallbackManagerForChainRun)
    assert RunnableLambda(lambda x: x).invoke(1, {"callbacks": run.get_child("below")}) == 1
    run.on_chain_end({"a": 1})
    run.on_chain_end({"a": 2})  # it is over
    check_events(seen.events)
    start, inner, _, end = seen.events
    assert (start.run.name, start.run.id, start.input) == ("mine", run_id, {"q": 1})
    assert (inner.run.parent_ids, inner.run.all_tags) == ([run_id], ["t", "below"])
    assert end.output == {"a": 1}


def test_hooks_get_what_a_run_was_opened_with():
    handler, above = Calls(), uuid4()
    manager = CallbackManager([handler], parent_run_id=above)
    card = {"name": "gpt", "id": ["a", "gpt"]}
    first, second = manager.on_llm_start(card, ["p1", "p2"], invocation_params={"n": 1})
    assert isinstance(first, CallbackManagerForLLMRun)
    first.on_llm_new_token("t")
    first.on_llm_end(RESULT)
    second.on_llm_error(ValueError("no"))
    names = [name for name, *_ in handler.calls]
    assert names == [*["on_llm_start"] * 2, "on_llm_new_token", "on_llm_end", "on_llm_error"]
    (_, args, told), *_ = handler.calls
    assert args == (card, ["p1"])
    assert told["invocation_params"] == {"n": 1}
    assert (told["name"], told["parent_run_id"], told["run_id"]) == ("gpt", above, first.run_id)
    assert handler.calls[3][1] == (RESULT,)
    assert str(handler.calls[4][1][0]) == "no"


def test_tools_retrievers_and_what_has_no_event():
    handler = Calls()
    manager = CallbackManager([handler])
    chain = manager.on_chain_start({"name": "c"}, 1)
    chain.on_agent_action("act")
    chain.on_text("so", color="red")
    tool = chain.get_child().on_tool_start({"name": "t"}, "{'x': 1}", inputs={"x": 1})
    tool.on_tool_end("done")
    found = chain.get_child().on_retriever_start({"name": "r"}, "moby")
    found.on_retriever_end([Document(page_content="dick")])
    chain.on_chain_error(KeyError("k"))
    by_name = {name: (args, kwargs) for name, args, kwargs in handler.calls}
    assert list(by_name) == [
        *("on_chain_start", "on_agent_action", "on_text", "on_tool_start", "on_tool_end"),
        *("on_retriever_start", "on_retriever_end", "on_chain_error"),
    ]
    assert by_name["on_text"][1] == {
        **{"run_id": chain.run_id, "parent_run_id": None, "tags": []},
        "color": "red",
    }
    assert by_name["on_tool_start"][1]["inputs"] == {"x": 1}
    assert by_name["on_tool_start"][1]["parent_run_id"] == chain.run_id
    assert by_name["on_retriever_start"][0] == ({"name": "r"}, "moby")


def test_async_managers_have_awaited_the_hooks_when_they_return():
    class Slow(BaseCallbackHandler):
        def __init__(self):
            self.names = []

        async def on_chat_model_start(self, serialized, messages, **kwargs):
            await asyncio.sleep(0)
            self.names.append(messages[0][0].content)

        async def on_llm_end(self, response, **kwargs):
            await asyncio.sleep(0)
            self.names.append(response.llm_output)

        async def on_text(self, text, **kwargs):
            await asyncio.sleep(0)
            self.names.append(text)

    async def main():
        handler = Slow()
        manager = AsyncCallbackManager([handler])
        (run,) = await manager.on_chat_model_start({"id": ["m"]}, [[HumanMessage("q")]])
        assert handler.names == ["q"]
        await run.on_text("x")
        await run.on_llm_end(RESULT)
        assert handler.names == ["q", "x", {"cost": 1}]
        assert isinstance(run.get_sync(), CallbackManagerForLLMRun)

    asyncio.run(main())


# ---- tracers ------------------------------------------------------------------------------------


class Kept(BaseTracer):
    def __init__(self):
        super().__init__()
        self.runs, self.said = [], []

    def _persist_run(self, run):
        self.runs.append(run)

    def _on_llm_new_token(self, run, token, chunk):
        self.said.append(token)

    def _on_tool_error(self, run):
        self.said.append(run.error)


def test_a_tracer_told_by_hand_makes_the_same_tree():
    tracer, above, below = Kept(), uuid4(), uuid4()
    assert tracer.on_chain_start({"name": "c"}, 1, run_id=above).inputs == {"input": 1}
    tracer.on_llm_start({"id": ["x", "m"]}, ["p"], run_id=below, parent_run_id=above, n=1)
    tracer.on_llm_new_token("t", run_id=below)
    tracer.on_llm_end(RESULT, run_id=below)
    tracer.on_chain_end({"a": 1}, run_id=above, inputs={"i": 2})
    (run,) = tracer.runs
    (model,) = run.child_runs
    assert (run.name, run.inputs, run.outputs) == ("c", {"i": 2}, {"a": 1})
    assert (model.name, model.run_type, model.inputs) == ("m", "llm", {"prompts": ["p"]})
    assert model.outputs["llm_output"] == {"cost": 1} and model.extra == {"n": 1}
    assert model.parent_run_id == run.id == model.trace_id
    assert [event["name"] for event in model.events] == ["start", "new_token", "end"]
    assert tracer.said == ["t"] and tracer.run_map == {}


def test_an_end_without_a_start_or_of_another_kind_is_an_error():
    tracer, run_id = Kept(), uuid4()
    with pytest.raises(TracerException, match="is going on here"):
        tracer.on_chain_end({}, run_id=run_id)
    tracer.on_tool_start({"name": "t"}, "x", run_id=run_id)
    with pytest.raises(TracerException, match="'tool' and cannot"):
        tracer.on_llm_end(RESULT, run_id=run_id)
    tracer.on_tool_error(OSError("no"), run_id=run_id)
    assert tracer.said[0].startswith("OSError('no')")
    assert issubclass(TracerException, HeadraceError)


def test_async_tracers_are_awaited_by_hand():
    class AsyncKept(AsyncBaseTracer):
        def __init__(self):
            super().__init__()
            self.runs = []

        async def _persist_run(self, run):
            await asyncio.sleep(0)
            self.runs.append(run.name)

    async def main():
        tracer, run_id = AsyncKept(), uuid4()
        await tracer.on_retriever_start({"name": "r"}, "q", run_id=run_id)
        assert tracer.runs == []
        await tracer.on_retriever_end([], run_id=run_id)
        assert tracer.runs == ["r"]

    asyncio.run(main())


@every_colour
def test_a_hook_that_calls_its_supers_does_nothing_twice(colour):
    class Loud(Kept):
        def on_chain_start(self, serialized, inputs, **kwargs):
            self.said.append(super().on_chain_start(serialized, inputs, **kwargs).name)

        def on_chain_end(self, outputs, **kwargs):
            self.said.append(super().on_chain_end(outputs, **kwargs).outputs)

    def body(doors):
        tracer = Loud()
        doors.invoke(RunnableLambda(lambda x: x, name="f"), 1, {"callbacks": [tracer]})
        assert tracer.said == ["f", {"output": 1}]
        assert len(tracer.runs) == 1 and tracer.run_map == {}

    colour.run(body)


# ---- supplied handlers --------------------------------------------------------------------------


def answers(model, *usages):
    def one(n):
        usage = {"input_tokens": n, "output_tokens": 1, "total_tokens": n + 1}
        return AIMessage("x", usage_metadata=usage, response_metadata={"model_name": model})

    return GenericFakeChatModel(messages=iter([one(n) for n in usages]))


@every_colour
def test_usage_is_summed_by_model(colour):
    def body(doors):
        handler = UsageMetadataCallbackHandler()
        for model in (answers("a", 1, 2), answers("b", 5)):
            doors.invoke(model, "q", {"callbacks": [handler]})
        totals = {name: usage["total_tokens"] for name, usage in handler.usage_metadata.items()}
        assert totals == {"a": 2, "b": 6}

    colour.run(body)


def test_usage_is_counted_inside_a_block():
    async def main():
        with get_usage_metadata_callback() as around, get_usage_metadata_callback() as also:
            await answers("a", 3).ainvoke("q")
        await answers("a", 9).ainvoke("q")
        return around, also

    with get_usage_metadata_callback() as outer:
        answers("b", 3).invoke("q")
        around, also = asyncio.run(main())
    assert around.usage_metadata == also.usage_metadata
    assert around.usage_metadata["a"]["input_tokens"] == 3
    assert {name: usage["input_tokens"] for name, usage in outer.usage_metadata.items()} == {
        "a": 12,
        "b": 3,
    }
    assert "'a'" in repr(around)
    with (
        pytest.raises(ConfigError, match=r"get_usage_metadata_callback\(5\): .* is a name, a text"),
        get_usage_metadata_callback(5),  # type: ignore[arg-type]
    ):
        raise AssertionError("not reached")


def test_usage_is_counted_from_many_threads_and_only_where_it_is_known():
    handler = UsageMetadataCallbackHandler()
    usage = {"input_tokens": 1, "output_tokens": 0, "total_tokens": 1}
    named = AIMessage("x", usage_metadata=usage, response_metadata={"model_name": "m"})
    result = LLMResult([[ChatGeneration(message=named)]])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(handler.on_llm_end, [result] * 400))
    for unknown in ([[]], [[Generation("x")]], [[ChatGeneration(message=AIMessage("x"))]]):
        handler.on_llm_end(LLMResult(unknown))
    assert handler.usage_metadata == {
        "m": {"input_tokens": 400, "output_tokens": 0, "total_tokens": 400}
    }
    assert usage["total_tokens"] == 1


@every_colour
def test_a_file_gets_what_the_terminal_would(colour, tmp_path):
    def body(doors):
        path = tmp_path / "log.txt"
        with FileCallbackHandler(path, mode="w", color="green") as handler:
            doors.invoke(RunnableLambda(lambda x: x, name="café"), 1, {"callbacks": [handler]})
            handler.on_text("said\ud800", end="!")
        text = path.read_text(encoding="utf-8", errors="surrogatepass")
        assert "> Entering café" in text and "> Chain is done." in text
        assert text.endswith("\033[32msaid\ud800\033[0m!")
        handler.close()
        with pytest.raises(ConfigError, match="has been closed"):
            handler.on_text("more")
        with FileCallbackHandler(path) as handler:
            handler.on_text("added", color="none")
        assert path.read_text(encoding="utf-8", errors="surrogatepass") == text + "added"

    colour.run(body)


def test_a_file_is_opened_to_write_text():
    with pytest.raises(ConfigError, match="give 'a', 'w' or 'x'"):
        FileCallbackHandler("x", mode="rb")
