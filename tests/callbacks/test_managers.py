"""Managers as `config["callbacks"]`, merged configs, and runs opened by hand."""

from __future__ import annotations

import asyncio

import pytest

from headrace.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManager,
    CallbackManagerForChainGroup,
    RunCancelledError,
    RunCollectorCallbackHandler,
    StdOutCallbackHandler,
    atrace_as_chain_group,
    trace_as_chain_group,
)
from headrace.errors import ConfigError
from headrace.runnables import Runnable, RunnableLambda, RunnablePassthrough, merge_configs
from headrace.runnables.configs import ensure_config, patch_config
from laws.colours import every_colour
from laws.events import check_events
from laws.ledger import Recorder

double = RunnableLambda(lambda x: x * 2, name="double")


# ---- managers -----------------------------------------------------------------------------------


@every_colour
def test_a_manager_brings_handlers_tags_and_metadata(colour):
    def body(doors):
        seen, also = Recorder(), Recorder()
        manager = CallbackManager([seen], inheritable_handlers=[seen, also])
        manager.add_tags(["mine", "mine"])
        manager.add_metadata({"m": 1}, inherit=False)
        chain = double | double
        assert doors.invoke(chain, 1, {"callbacks": manager, "tags": ["call"]}) == 4
        check_events(seen.events)
        assert len(seen.events) == len(also.events) == 6
        assert seen.events[0].run.all_tags == ["mine", "call"]
        assert seen.events[1].run.all_tags == ["seq:step:1", "mine", "call"]
        assert all(event.run.metadata == {"m": 1} for event in seen.events)

    colour.run(body)


def test_handlers_are_added_once_and_removed_everywhere():
    one, two = BaseCallbackHandler(), BaseCallbackHandler()
    manager = BaseCallbackManager([one], inheritable_handlers=[two])
    assert manager.observers == (one, two)
    manager.add_handler(one)
    assert (manager.handlers, manager.inheritable_handlers) == ([one], [two, one])
    manager.remove_handler(one)
    manager.remove_handler(one)
    assert manager.observers == (two,)
    manager.set_handlers([one, two], inherit=False)
    assert (manager.handlers, manager.inheritable_handlers) == ([one, two], [])
    manager.set_handler(two)
    assert (manager.handlers, manager.inheritable_handlers) == ([two], [two])
    manager.add_tags(["a", "b"])
    manager.remove_tags(["a"])
    manager.add_metadata({"x": 1, "y": 2})
    manager.remove_metadata(["x", "absent"])
    assert manager.brings == {"tags": ["b"], "metadata": {"y": 2}}


def test_a_copy_and_a_merge_keep_the_kinds_apart_and_change_no_argument():
    handlers = [BaseCallbackHandler() for _ in range(4)]
    first = CallbackManager(handlers[:1], inheritable_handlers=handlers[1:2], tags=["a"])
    second = AsyncCallbackManager(
        handlers[2:3], inheritable_handlers=handlers[3:], inheritable_tags=["b"]
    )
    merged = first.merge(second)
    assert isinstance(merged, CallbackManager)
    assert merged.handlers == [handlers[0], handlers[2]]
    assert merged.inheritable_handlers == [handlers[1], handlers[3]]
    assert (merged.tags, merged.inheritable_tags) == (["a"], ["b"])
    assert (first.observers, second.tags) == (tuple(handlers[:2]), [])
    copied = second.copy()
    copied.add_handler(handlers[0])
    assert second.observers == tuple(handlers[2:])
    assert (first.is_async, copied.is_async) == (False, True)


def test_configure_takes_managers_lists_tags_and_verbosity():
    one, two = BaseCallbackHandler(), BaseCallbackHandler()
    manager = CallbackManager.configure(
        CallbackManager([one]), [two], True, ["t"], ["u"], {"m": 1}, {"n": 2}
    )
    assert manager.observers[:2] == (one, two)
    assert isinstance(manager.observers[2], StdOutCallbackHandler)
    assert (manager.inheritable_tags, manager.tags) == (["t"], ["t", "u"])
    assert manager.brings["metadata"] == {"m": 1, "n": 2}
    again = AsyncCallbackManager.configure([StdOutCallbackHandler()], verbose=True)
    assert len(again.observers) == 1
    assert isinstance(again, AsyncCallbackManager)


@pytest.mark.parametrize("first", ["manager", "list", "handler"])
@pytest.mark.parametrize("second", ["manager", "list", "handler"])
def test_merged_configs_have_every_handler_once(first, second):
    one, two = BaseCallbackHandler(), BaseCallbackHandler()
    forms = {"manager": lambda h: CallbackManager([h]), "list": lambda h: [h], "handler": list}
    forms["handler"] = lambda h: h
    given, more = forms[first](one), forms[second](two)
    merged = merge_configs({"callbacks": given}, {"callbacks": more}, {"callbacks": [one]})
    callbacks = merged["callbacks"]
    if "manager" in (first, second):
        assert isinstance(callbacks, CallbackManager)
        assert set(callbacks.observers) == {one, two}
        assert len(callbacks.observers) == 2
    else:
        assert callbacks == [one, two]
    if first == "manager":
        assert given.observers == (one,)


@every_colour
def test_a_binding_adds_handlers_to_those_of_the_run_it_is_called_in(colour):
    def body(doors):
        outside, added = Recorder(), Recorder()
        inner = double.with_config(callbacks=[added])

        @RunnableLambda
        def calls(x, config):
            return inner.invoke(x, config)

        assert doors.invoke(calls, 2, outside.config) == 4
        check_events(outside.events)
        assert len(added.events) == 2
        root = outside.events[0].run.id
        assert {event.run.parent_ids[-1] for event in added.events} == {root}

    colour.run(body)


@every_colour
def test_a_step_observed_alone_has_no_parent_that_is_never_told_of(colour):
    def body(doors):
        seen = Recorder()
        chain = RunnablePassthrough() | double.with_config(callbacks=[seen])
        assert doors.invoke(chain, 1) == 2
        check_events(seen.events)

    colour.run(body)


# ---- runs opened by hand ------------------------------------------------------------------------


@every_colour
def test_calls_in_a_group_are_children_of_its_run(colour):
    def body(doors):
        seen = Recorder()
        with trace_as_chain_group("group", [seen], inputs={"a": 1}, tags=["t"]) as manager:
            assert isinstance(manager, CallbackManagerForChainGroup)
            doors.invoke(double, 1, {"callbacks": manager})
            doors.invoke(double, 2, {"callbacks": manager.get_child("second")})
            doors.stream(double, 3, patch_config({}, callbacks=manager))
            doors.invoke(double, 4, ensure_config({"callbacks": manager}))
            manager.on_chain_end({"b": 2})
        check_events(seen.events)
        assert (seen.events[0].input, seen.events[-1].output) == ({"a": 1}, {"b": 2})
        assert seen.events[-1].run.id == manager.run_id
        tags = [event.run.all_tags for event in seen.events if event.run.name == "double"]
        assert tags[::3][:1] == [["t"]]
        assert ["t", "second"] in tags
        assert sum(event.run.name == "group" for event in seen.events) == 2

    colour.run(body)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_group_that_fails_ends_with_its_error(error):
    class Errors(BaseCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_chain_error(self, error, **kwargs):
            self.seen.append(error)

    handler = Errors()
    with pytest.raises(error), trace_as_chain_group("group", CallbackManager([handler])):
        raise error
    (seen,) = handler.seen
    assert isinstance(seen, error if error is ValueError else RunCancelledError)


def test_an_async_group_awaits_its_handlers():
    class Awaited(AsyncCallbackHandler):
        def __init__(self):
            self.log = []

        async def on_chain_start(self, serialized, inputs, *, name, **kwargs):
            await asyncio.sleep(0)
            self.log.append(f"+{name}")

        async def on_chain_end(self, outputs, **kwargs):
            await asyncio.sleep(0)
            self.log.append(f"-{outputs}")

        async def on_chain_error(self, error, **kwargs):
            await asyncio.sleep(0)
            self.log.append(type(error).__name__)

    async def main():
        handler = Awaited()
        async with atrace_as_chain_group("g", [handler]) as manager:
            assert isinstance(manager, AsyncCallbackManager)
            assert handler.log == ["+g"]
            await double.ainvoke(1, {"callbacks": manager})
            await manager.on_chain_end("out")
        assert handler.log == ["+g", "+double", "-2", "-out"]
        handler.log.clear()
        with pytest.raises(ValueError, match="no"):
            async with atrace_as_chain_group("g", [handler]):
                raise ValueError("no")
        assert handler.log == ["+g", "ValueError"]

    asyncio.run(main())


def test_a_cancelled_async_group_tells_before_it_ends():
    async def main():
        collector, here = RunCollectorCallbackHandler(), asyncio.Event()

        async def work():
            async with atrace_as_chain_group("g", [collector]):
                here.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return collector.traced_runs

    (run,) = asyncio.run(main())
    assert run.error.startswith("RunCancelledError")


def test_a_group_nobody_observes_makes_no_event_and_passes_calls_on():
    with trace_as_chain_group("group") as manager:
        assert double.invoke(1, {"callbacks": manager}) == 2
        assert manager.handlers == []


# ---- batches stage by stage ---------------------------------------------------------------------


class OwnBatch(Runnable):
    def invoke(self, input, config=None, **kwargs):
        return input + 1

    def batch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
        configs = config if isinstance(config, list) else [config] * len(inputs)
        return [double.invoke(x, c) for x, c in zip(inputs, configs, strict=True)]

    async def abatch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
        configs = config if isinstance(config, list) else [config] * len(inputs)
        return [await double.ainvoke(x, c) for x, c in zip(inputs, configs, strict=True)]


@every_colour
def test_a_batch_in_stages_has_a_run_for_each_input(colour):
    def body(doors):
        collector = RunCollectorCallbackHandler()
        chain = double | OwnBatch() | double
        assert doors.batch(chain, [1, 2], {"callbacks": [collector]}) == [8, 16]
        assert [run.inputs["input"] for run in collector.traced_runs] == [1, 2]
        assert [run.outputs["output"] for run in collector.traced_runs] == [8, 16]
        assert {run.name for run in collector.traced_runs} == {"RunnableSequence"}
        assert [len(run.child_runs) for run in collector.traced_runs] == [3, 3]

    colour.run(body)


@every_colour
@pytest.mark.parametrize("keep", [False, True])
def test_a_batch_in_stages_that_fails_ends_every_run(colour, keep):
    def body(doors):
        collector = RunCollectorCallbackHandler()
        chain = RunnableLambda(lambda x: 6 // x) | OwnBatch()
        config = {"callbacks": [collector]}
        if keep:
            out = doors.batch(chain, [0, 2], config, return_exceptions=True)
            assert isinstance(out[0], ZeroDivisionError)
            assert out[1] == 6
        else:
            with pytest.raises(ZeroDivisionError):
                doors.batch(chain, [0, 2], config)
        whole = [run for run in collector.traced_runs if run.name == "RunnableSequence"]
        assert [run.error is None for run in whole] == ([False, True] if keep else [False, False])

    colour.run(body)


# ---- a run's own callbacks ----------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize("brings", [False, True])
def test_a_manager_of_a_binding_joins_the_run_it_is_called_in(colour, brings, caplog):
    def body(doors):
        outside, added = Recorder(), Recorder()
        manager = CallbackManager([added], tags=["mine"] if brings else [])
        inner = double.with_config(callbacks=manager)
        outer = RunnableLambda(lambda x, config: inner.invoke(x, config), name="outer")
        assert doors.invoke(outer, 1, {"callbacks": [outside]}) == 2
        check_events(outside.events)
        root = outside.events[0].run.id
        assert [event.run.parent_ids for event in added.events] == [[root]] * 2
        assert added.events[0].run.all_tags == (["mine"] if brings else [])
        assert not caplog.records

    colour.run(body)


@every_colour
def test_a_group_inside_a_function_is_a_child_of_its_run(colour, caplog):
    def body(doors):
        seen = Recorder()

        @RunnableLambda
        def outer(x, config):
            with trace_as_chain_group("g", config["callbacks"]) as manager:
                assert manager.handlers == [seen]
                return double.invoke(x, {"callbacks": manager})

        assert doors.invoke(outer, 1, {"callbacks": [seen]}) == 2
        check_events(seen.events)
        starts = [e.run for e in seen.events if type(e).__name__ == "RunStarted"]
        assert [run.name for run in starts] == ["outer", "g", "double"]
        assert starts[1].parent_ids == [starts[0].id]
        assert starts[2].parent_ids == [starts[0].id, starts[1].id]
        assert not caplog.records

    colour.run(body)


@every_colour
def test_configure_takes_what_callbacks_are_inside_a_run(colour):
    def body(doors):
        seen, added = Recorder(), Recorder()

        @RunnableLambda
        def outer(x, config):
            manager = CallbackManager.configure(config["callbacks"], [CallbackManager([added])])
            assert manager.observers == (seen, added)
            assert manager.parent_run_id == config["callbacks"].run_id
            return double.invoke(x, {"callbacks": manager})

        assert doors.invoke(outer, 1, {"callbacks": [seen]}) == 2
        check_events(seen.events)
        assert added.events[0].run.parent_ids == [seen.events[0].run.id]

    colour.run(body)


# ---- taking things out of a group ---------------------------------------------------------------


@every_colour
def test_what_is_taken_out_of_a_group_is_not_inherited_any_more(colour):
    def body(doors):
        stays, goes, comes = Recorder(), Recorder(), Recorder()
        given = CallbackManager([goes], tags=["brought"])
        given.add_handler(stays)
        with trace_as_chain_group("g", given, tags=["a", "b"], metadata={"m": 1, "n": 2}) as group:
            child = group.get_child()
            group.remove_handler(goes)
            group.remove_tags(["a", "brought"])
            group.remove_metadata(["m"])
            doors.invoke(double, 1, {"callbacks": group})
            doors.invoke(double, 1, {"callbacks": child})
            group.set_handlers([comes])
            doors.invoke(double, 1, {"callbacks": group})
        first, second = [e.run for e in stays.events if e.run.name == "double"][::2]
        assert (first.all_tags, first.metadata) == (["b"], {"n": 2})
        assert (sorted(second.all_tags), second.metadata) == (
            ["a", "b", "brought"],
            {"m": 1, "n": 2},
        )
        assert first.parent_ids == second.parent_ids == [group.run_id]
        assert [e.run.name for e in goes.events] == ["g", "double", "double", "g"]
        assert [e.run.name for e in comes.events] == ["double", "double"]
        assert comes.events[0].run.parent_ids == [group.run_id]
        assert given.observers == (goes, stays)

    colour.run(body)


def test_a_group_may_have_an_empty_name():
    seen = Recorder()
    with trace_as_chain_group("", [seen]) as manager:
        assert double.invoke(1, {"callbacks": manager}) == 2
    assert [event.run.name for event in seen.events] == ["", "double", "double", ""]
    assert seen.events[1].run.path == "/double"


def test_a_handler_class_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"the class StdOutCallbackHandler: give an instance"):
        double.invoke(1, {"callbacks": [StdOutCallbackHandler]})
