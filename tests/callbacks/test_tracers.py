"""Trees of runs, tracers over them, and the context manager that collects them."""

from __future__ import annotations

import asyncio
import copy
import gc
import re
import subprocess
import sys
import threading
import weakref
from datetime import UTC
from uuid import uuid4

import pytest

from headrace.callbacks import (
    AsyncBaseTracer,
    BaseTracer,
    ConsoleCallbackHandler,
    Run,
    RunCancelledError,
    RunCollectorCallbackHandler,
    StdOutCallbackHandler,
    StreamingStdOutCallbackHandler,
    collect_runs,
)
from headrace.documents import Document
from headrace.language_models import FakeListChatModel, FakeListLLM
from headrace.messages import AIMessage
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.retrievers import BaseRetriever
from headrace.runnables import RunnableLambda, RunnableParallel
from laws.colours import every_colour, sync_colours


class Kept(BaseTracer):
    def __init__(self):
        super().__init__()
        self.runs, self.moments = [], []

    def _persist_run(self, run):
        self.runs.append(run)

    def _on_run_create(self, run):
        self.moments.append(f"+{run.name}")

    def _on_run_update(self, run):
        self.moments.append(f"-{run.name}")


class KeptAwaited(AsyncBaseTracer):
    def __init__(self):
        super().__init__()
        self.runs, self.moments = [], []

    async def _persist_run(self, run):
        await asyncio.sleep(0)
        self.runs.append(run)

    async def _on_run_create(self, run):
        await asyncio.sleep(0)
        self.moments.append(f"+{run.name}")

    async def _on_run_update(self, run):
        await asyncio.sleep(0)
        self.moments.append(f"-{run.name}")


class Library(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(page_content=query)]


both_kinds = pytest.mark.parametrize("kind", [Kept, KeptAwaited])


def chat():
    prompt = ChatPromptTemplate.from_messages([("system", "be nice"), ("human", "{q}")])
    return prompt | FakeListChatModel(responses=["foo"], name="model") | StrOutputParser()


def check_tree(run, above=None):
    """Times, ids and orders of a tree of ended runs."""
    assert run.start_time.tzinfo is UTC
    assert run.start_time <= run.end_time
    assert run.events[0]["name"] == "start"
    assert run.events[-1]["name"] == ("error" if run.error else "end")
    stamp = f"{run.start_time:%Y%m%dT%H%M%S%fZ}{run.id}"
    if above is None:
        assert (run.parent_run_id, run.trace_id, run.dotted_order) == (None, run.id, stamp)
    else:
        assert (run.parent_run_id, run.trace_id) == (above.id, above.trace_id)
        assert run.dotted_order == f"{above.dotted_order}.{stamp}"
    for child in run.child_runs:
        check_tree(child, run)


@every_colour
@both_kinds
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_tree_of_a_chain(colour, kind, way):
    def body(doors):
        tracer, run_id = kind(), uuid4()
        config = {"callbacks": [tracer], "run_id": run_id, "tags": ["t"], "metadata": {"m": 1}}
        getattr(doors, way)(chat(), {"q": "hi"}, config)
        (root,) = tracer.runs
        check_tree(root)
        assert (root.id, root.run_type) == (run_id, "chain")
        assert (root.inputs, root.outputs) == ({"q": "hi"}, {"output": "foo"})
        assert (root.tags, root.metadata) == (["t"], {"m": 1})
        prompt, model, parser = root.child_runs
        assert [prompt.run_type, model.run_type, parser.run_type] == ["prompt", "llm", "parser"]
        assert model.tags == ["seq:step:2", "t"]
        assert model.inputs == {"prompts": ["System: be nice\nHuman: hi"]}
        ((answer,),) = model.outputs["generations"]
        assert (answer["text"], answer["message"].content) == ("foo", "foo")
        assert parser.outputs == {"output": "foo"}
        tokens = [event for event in model.events if event["name"] == "new_token"]
        assert [token["kwargs"]["token"] for token in tokens] == (
            ["f", "o", "o"] if way == "stream" else []
        )
        assert tracer.run_map == {}

    colour.run(body)


@every_colour
@both_kinds
def test_every_run_is_told_as_it_starts_and_ends(colour, kind):
    def body(doors):
        tracer = kind()
        chain = RunnableLambda(len, name="a") | RunnableLambda(str, name="b")
        doors.invoke(chain, "xy", {"callbacks": [tracer]})
        want = ["+RunnableSequence", "+a", "-a", "+b", "-b", "-RunnableSequence"]
        assert tracer.moments == want

    colour.run(body)


@every_colour
@both_kinds
def test_errors_and_runs_that_were_left(colour, kind):
    def body(doors):
        tracer = kind()
        config = {"callbacks": [tracer]}
        with pytest.raises(ZeroDivisionError):
            doors.invoke(RunnableLambda(lambda x: x) | RunnableLambda(lambda x: 1 // x), 0, config)
        stream = doors.open(chat(), {"q": "hi"}, config)
        stream.next()
        stream.close()
        failed, left = tracer.runs
        check_tree(failed)
        check_tree(left)
        assert [run.error is None for run in failed.child_runs] == [True, False]
        assert "ZeroDivisionError(" in failed.error
        assert "1 // x" in failed.error
        assert failed.outputs == {}
        assert left.error.startswith(RunCancelledError.__name__)
        assert left.outputs == {"output": "f"}

    colour.run(body)


@every_colour
def test_values_are_held_and_not_copied(colour):
    class Value:
        pass

    def body(doors):
        tracer, value = Kept(), Value()
        doors.invoke(RunnableLambda(lambda x: x), value, {"callbacks": [tracer]})
        (run,) = tracer.runs
        assert run.inputs["input"] is value
        assert run.outputs["output"] is value
        dead = weakref.ref(value)
        tracer.runs.clear()
        del run, value
        gc.collect()
        assert dead() is None

    colour.run(body)


@every_colour
def test_the_methods_of_each_kind_of_run(colour):
    seen = []

    class Kinds(Kept):
        pass

    for name in (
        *("_on_llm_start", "_on_chat_model_start", "_on_llm_end", "_on_llm_error"),
        *("_on_chain_start", "_on_chain_end", "_on_chain_error"),
        *("_on_retriever_start", "_on_retriever_end"),
    ):
        setattr(Kinds, name, lambda self, run, name=name: seen.append((name, run.name)))

    def body(doors):
        config = {"callbacks": [Kinds()]}
        doors.invoke(FakeListChatModel(responses=["x"]), "q", config)
        doors.invoke(FakeListLLM(responses=["x"]), "q", config)
        doors.invoke(Library(), "q", config)
        with pytest.raises(ZeroDivisionError):
            doors.invoke(RunnableLambda(lambda x: 1 // x, name="f"), 0, config)
        assert seen == [
            ("_on_chat_model_start", "FakeListChatModel"), ("_on_llm_end", "FakeListChatModel"),
            ("_on_llm_start", "FakeListLLM"), ("_on_llm_end", "FakeListLLM"),
            ("_on_retriever_start", "Library"), ("_on_retriever_end", "Library"),
            ("_on_chain_start", "f"), ("_on_chain_error", "f"),
        ]  # fmt: skip
        seen.clear()

    colour.run(body)


@every_colour
@both_kinds
def test_the_order_of_the_methods_at_an_end(colour, kind):
    class Order(kind):
        def _on_chain_start(self, run):
            self.moments.append("start of its kind")

        def _on_chain_end(self, run):
            self.moments.append(f"end of its kind, kept: {len(self.runs)}")

    def body(doors):
        tracer = Order()
        doors.invoke(RunnableLambda(len, name="f"), "ab", {"callbacks": [tracer]})
        assert tracer.moments == ["+f", "start of its kind", "-f", "end of its kind, kept: 1"]

    colour.run(body)


def test_inputs_and_outputs_of_retrievers_and_dicts():
    tracer = Kept()
    Library().invoke("moby", {"callbacks": [tracer]})
    RunnableParallel(a=len).invoke("xy", {"callbacks": [tracer]})
    retriever, parallel = tracer.runs
    assert retriever.inputs == {"query": "moby"}
    assert retriever.outputs == {"documents": [Document(page_content="moby")]}
    assert (parallel.inputs, parallel.outputs) == ({"input": "xy"}, {"a": 2})


def test_hooks_of_a_tracer_are_called_too():
    class Both(Kept):
        def on_llm_new_token(self, token, **kwargs):
            self.moments.append(token)

    tracer = Both()
    list(FakeListChatModel(responses=["ab"], name="m").stream("q", {"callbacks": [tracer]}))
    assert tracer.moments == ["+m", "a", "b", "-m"]


def test_a_run_copies_compares_and_dumps():
    run = Run(id=str(uuid4()), name="r", inputs={"a": [1]})
    again = run.copy(update={"name": "s"})
    assert (again.name, again.inputs is run.inputs, again == run) == ("s", True, False)
    assert run.model_copy() == run
    assert copy.deepcopy(run).inputs is not run.inputs
    assert Run.model_validate(run.model_dump()) == run
    assert not hasattr(run, "__dict__")
    assert (run.metadata, run.extra) == ({}, {"metadata": {}})


def test_a_tracer_is_not_copied_by_config_helpers():
    tracer = RunCollectorCallbackHandler()
    assert copy.copy(tracer) is tracer
    assert copy.deepcopy({"callbacks": [tracer]})["callbacks"][0] is tracer


# ---- collecting ---------------------------------------------------------------------------------


@sync_colours
def test_what_starts_inside_the_block_is_collected_once(colour):
    def body(doors):
        inner = RunnableLambda(len, name="inner")
        outer = RunnableLambda(lambda text: inner.invoke(text), name="outer")
        with collect_runs() as outside:
            with collect_runs() as inside:
                doors.invoke(outer, "ab")
                doors.batch(inner, ["a", "b", "c"])
            doors.invoke(inner, "ab", {"callbacks": [outside]})
        doors.invoke(outer, "ab")
        assert [run.name for run in inside.traced_runs] == ["outer"] + ["inner"] * 3
        assert [run.name for run in outside.traced_runs] == ["outer"] + ["inner"] * 4
        assert [run.name for run in inside.traced_runs[0].child_runs] == ["inner"]

    colour.run(body)


def test_a_task_collects_what_it_and_the_tasks_it_makes_run():
    step = RunnableLambda(len)

    async def collects(text):
        with collect_runs() as cb:
            await asyncio.gather(step.ainvoke(text), asyncio.to_thread(step.invoke, text))
        return [run.inputs["input"] for run in cb.traced_runs]

    async def main():
        return await asyncio.gather(collects("a"), collects("b"))

    assert asyncio.run(main()) == [["a", "a"], ["b", "b"]]


def test_threads_that_collect_for_the_first_time_at_once_lose_nothing():
    code = """
import threading, time
lines = [0] * 8
def slow(frame, event, arg):
    if frame.f_code.co_name == "observed":
        number = int(threading.current_thread().name)
        lines[number] += event == "line"
        if lines[number] == 2:  # all have done the first line of it; then one after the other
            time.sleep(0.003 * (1 + number))
        return slow
threading.settrace(slow)
from headrace.callbacks import collect_runs
from headrace.runnables import RunnableLambda
step, all_there, got = RunnableLambda(len), threading.Barrier(8), []
def work():
    all_there.wait()
    with collect_runs() as cb:
        all_there.wait()
        step.invoke("ab")
    got.append(len(cb.traced_runs))
threads = [threading.Thread(target=work, name=str(n)) for n in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert got == [1] * 8, got
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_threads_and_an_exception_end_it():
    chain = RunnableLambda(len)
    with pytest.raises(RuntimeError), collect_runs() as cb:
        other = threading.Thread(target=lambda: chain.invoke("other thread"))
        other.start()
        other.join()
        chain.invoke("ab")
        raise RuntimeError
    chain.invoke("after")
    assert [run.inputs for run in cb.traced_runs] == [{"input": "ab"}]


def test_tags_metadata_and_handlers_of_the_call_stay():
    tracer = Kept()
    step = RunnableLambda(len).with_config({"tags": ["mine"], "metadata": {"a": 1}})
    with collect_runs() as cb:
        step.invoke("ab", {"tags": ["call"], "metadata": {"b": 2}, "callbacks": [tracer]})
    (run,), (same,) = cb.traced_runs, tracer.runs
    assert sorted(run.tags) == ["call", "mine"]
    assert run.extra["metadata"] == {"a": 1, "b": 2}
    assert run.id == same.id


# ---- printing -----------------------------------------------------------------------------------


def test_streaming_handler_prints_tokens(capsys):
    handler = StreamingStdOutCallbackHandler()
    list(FakeListChatModel(responses=["foo"]).stream("q", {"callbacks": [handler]}))
    assert capsys.readouterr().out == "foo"


def test_stdout_handler_names_chains_and_colours_text(capsys):
    handler = StdOutCallbackHandler(color="green")
    RunnableLambda(len, name="steps").invoke("ab", {"callbacks": [handler]})
    handler.on_text("hello", end="!\n")
    out = capsys.readouterr().out
    assert out.index("Entering steps") < out.index("Chain is done") < out.index("hello")
    assert "\033[32mhello\033[0m!\n" in out


def test_stdout_handler_puts_a_tools_output_between_its_prefixes(capsys):
    StdOutCallbackHandler().on_tool_end("out", observation_prefix="Seen: ", llm_prefix="Thought:")
    assert capsys.readouterr().out == "\nSeen: out\nThought:"


def test_console_handler_shows_what_json_cannot(capsys, caplog):
    config = {"callbacks": [ConsoleCallbackHandler()]}
    loop = []
    loop.append(loop)
    for value in ({(1, 2): "tuple key"}, {"loop": loop}):
        RunnableLambda(lambda x: x).invoke(value, config)
        assert repr(value) in capsys.readouterr().out
    assert not caplog.records


def test_console_handler_prints_the_tree_with_inputs_outputs_and_errors(capsys):
    config = {"callbacks": [ConsoleCallbackHandler()]}
    (RunnableLambda(len, name="a") | RunnableLambda(str, name="b")).invoke("xy", config)
    with pytest.raises(ZeroDivisionError):
        RunnableLambda(lambda x: 1 // x, name="f").invoke(0, config)
    FakeListChatModel(responses=["é"], name="m").invoke("q", config)
    out = capsys.readouterr().out
    assert '[chain/start] [RunnableSequence > a]\n{\n  "input": "xy"\n}' in out
    out = re.sub(r"\b\d+ ms", "some ms", out)
    assert '[RunnableSequence > b] some ms\n{\n  "output": "2"\n}' in out
    assert "[chain/error] [f] some ms\nZeroDivisionError(" in out
    assert '"text": "é"' in out


def test_messages_in_a_models_outputs_are_the_objects_themselves():
    message = AIMessage("hello")
    tracer = Kept()

    class Says(FakeListChatModel):
        def _generate(self, *args, **kwargs):
            result = super()._generate(*args, **kwargs)
            result.generations[0].message = message
            return result

    Says(responses=["x"]).invoke("q", {"callbacks": [tracer]})
    assert tracer.runs[0].outputs["generations"][0][0]["message"] is message
