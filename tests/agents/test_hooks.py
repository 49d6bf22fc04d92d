"""Hooks: functions of the user's around the model and the tools."""

from __future__ import annotations

from typing import Any

import pytest

from agents.scripted import Scripted, call, says, transcript
from headrace.agents import REMOVE_ALL_MESSAGES, InMemorySaver, create_agent
from headrace.errors import AsyncOnlyError, ConfigError, InputError
from headrace.merge import merge
from headrace.messages import HumanMessage, RemoveMessage, ToolMessage
from headrace.run import current_run
from headrace.tools import tool
from laws.colours import every_colour


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


SCRIPT = [says("Hm.", call("multiply", "m1", a=6, b=7)), says("Done.")]


@every_colour
def test_hooks_of_the_model_see_the_state_and_update_it(colour):
    def body(doors):
        seen: list[Any] = []

        def before(state: Any) -> Any:
            seen.append(("before", len(state["messages"])))
            return {"asked": state.get("asked", 0) + 1}

        def after(state: Any) -> Any:
            seen.append(("after", len(state["messages"])))

        agent = create_agent(
            Scripted(script=SCRIPT), [multiply], before_model=before, after_model=[after, after]
        )
        state = doors.invoke(agent, "Go")
        once = [("before", 1), ("after", 2), ("after", 2)]
        again = [("before", 3), ("after", 4), ("after", 4)]
        assert seen == [*once, *again]
        assert state["asked"] == 2
        updates = doors.stream(agent, "Go")
        assert [list(chunk) for chunk in updates] == [
            ["before"], ["model"], ["tools"], ["before"], ["model"]
        ]  # fmt: skip
        assert updates[0] == {"before": {"asked": 1}}

    colour.run(body)


@every_colour
def test_hooks_replace_and_remove_messages(colour):
    def body(doors):
        def forget(state: Any) -> Any:
            messages = state["messages"]
            if len(messages) == 3:
                gone = [RemoveMessage(m.id) for m in messages[1:]]
                first = HumanMessage("Changed", id=messages[0].id)
                return {"messages": [*gone, first, ("user", "More")]}
            return None

        def all_of_it(state: Any) -> Any:
            if len(state["messages"]) != 3:
                return None
            return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), ("user", "Anew")]}

        def middle(state: Any) -> Any:
            return None

        for hook, left in ((forget, ["Changed", "More"]), (all_of_it, ["Anew"])):
            model = Scripted(script=[SCRIPT[0], says("Done.")])
            agent = create_agent(model, [multiply], before_model=[middle, hook], max_steps=2)
            model.script.insert(0, SCRIPT[0])  # it is asked for its first line once more
            with pytest.raises(Exception, match="asked 2 times"):
                doors.invoke(agent, "Go")
            assert [m.content for m in model.asked[1][0]] == left
            model.script[:] = [SCRIPT[0], says("Done.")]
            agent = create_agent(Scripted(script=[says("Hm.", *SCRIPT[0].tool_calls)]), [multiply],
                                 before_model=hook, max_steps=2)  # fmt: skip
            with pytest.raises(Exception, match="asked 2 times") as raised:
                doors.invoke(agent, "Go")
            assert [m.content for m in raised.value.messages[: len(left)]] == left

    colour.run(body)


def test_pieces_add_up_to_the_state_whatever_hooks_remove():
    def shorten(state: Any) -> Any:
        if state["messages"][-1].content != "Done.":
            return None
        return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), state["messages"][-1]]}

    agent = create_agent(Scripted(script=SCRIPT), [multiply], after_model=shorten)
    # what is said in the end is the model's last message, and the loop ends with it
    state = agent.invoke("Go")
    assert transcript(state) == [("AIMessage", "Done.", [], (None, None))]
    pieces = list(agent.stream("Go", stream_mode="pieces"))
    assert transcript(merge(pieces)) == transcript(state)


def test_a_summary_stands_before_what_is_kept():
    def summary(state: Any) -> Any:
        if len(state["messages"]) < 3:
            return None
        kept = state["messages"][-2:]
        return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), ("user", "In short: go"), *kept]}

    model = Scripted(script=[SCRIPT[0], says("Done.")])
    saver = InMemorySaver()
    agent = create_agent(model, [multiply], before_model=summary, saver=saver)
    config = {"configurable": {"thread_id": "1"}}
    state = agent.invoke("Go", config)
    kinds = ["HumanMessage", "AIMessage", "ToolMessage", "AIMessage"]
    assert [type(m).__name__ for m in state["messages"]] == kinds
    assert [type(m).__name__ for m in model.asked[-1][0]] == kinds[:3]
    assert state["messages"][0].content == "In short: go"
    assert agent.get_state(config).messages == state["messages"]
    config["configurable"]["thread_id"] = "2"
    assert transcript(merge(list(agent.stream("Go", config, stream_mode="pieces")))) == (
        transcript(state)
    )


def test_removing_what_is_not_there():
    def wrong(state: Any) -> Any:
        return {"messages": [RemoveMessage("nobody")]}

    with pytest.raises(InputError, match="'nobody'"):
        create_agent(Scripted(script=SCRIPT), [multiply], before_model=wrong).invoke("Go")


def test_what_is_asked_for_once_only():
    def last_only(state: Any) -> Any:
        return {"llm_input_messages": state["messages"][-1:]}

    model = Scripted(script=[says("Hi.")])
    agent = create_agent(model, before_model=last_only, system_prompt="Short.")
    state = agent.invoke(["One", "Two"])
    assert [m.content for m in model.asked[0][0]] == ["Short.", "Two"]
    assert [m.content for m in state["messages"]] == ["One", "Two", "Hi."]
    assert "llm_input_messages" not in state


@every_colour
def test_a_hook_that_gives_no_update(colour):
    def body(doors):
        agent = create_agent(Scripted(script=SCRIPT), [multiply], after_model=lambda state: 3)
        with pytest.raises(InputError, match="after_model") as raised:
            doors.invoke(agent, "Go")
        assert raised.value.__notes__ == ["In step Agent/after_model:after_model"]

    colour.run(body)


@every_colour
def test_wrap_tool_stands_around_each_call(colour):
    def body(doors):
        order: list[str] = []

        def outer(asked: Any, run_tool: Any) -> Any:
            order.append(f"outer {asked['args']['b']}")
            return run_tool({**asked, "args": {**asked["args"], "b": 100}})

        def inner(asked: Any, run_tool: Any) -> Any:
            order.append(f"inner {asked['args']['b']}")
            answer = run_tool(asked)
            return answer.model_copy(update={"content": answer.content + "!"})

        agent = create_agent(Scripted(script=SCRIPT), [multiply], wrap_tool=[outer, inner])
        for mode in ("pieces", "custom"):
            doors.stream(agent.bind(stream_mode=mode), "Go")
        order.clear()
        state = doors.invoke(agent, "Go")
        assert state["messages"][2].content == "600!"
        assert order == ["outer 7", "inner 100"]

    colour.run(body)


@every_colour
def test_wrap_tool_may_answer_retry_and_fail(colour):
    def body(doors):
        tries: list[int] = []

        @tool
        def shaky(a: int) -> str:
            """Fail twice."""
            tries.append(a)
            if len(tries) < 3:
                raise ValueError("again")
            return "at last"

        def retry(asked: Any, run_tool: Any) -> Any:
            for _ in range(2):
                try:
                    return run_tool(asked)
                except ValueError:
                    continue
            return run_tool(asked)

        script = [says("", call("shaky", a=1)), says("Done.")]
        agent = create_agent(Scripted(script=script), [shaky], wrap_tool=retry)
        assert doors.invoke(agent, "Go")["messages"][2].content == "at last"

        def deny(asked: Any, run_tool: Any) -> Any:
            return "Not allowed."

        agent = create_agent(Scripted(script=script), [shaky], wrap_tool=deny)
        answer = doors.invoke(agent, "Go")["messages"][2]
        assert isinstance(answer, ToolMessage) and answer.content == "Not allowed."
        assert len(tries) == 3

        def wrong(asked: Any, run_tool: Any) -> Any:
            return 3

        agent = create_agent(Scripted(script=script), [shaky], wrap_tool=wrong, on_error="raise")
        with pytest.raises(InputError, match="gave 3"):
            doors.invoke(agent, "Go")

    colour.run(body)


@every_colour
def test_coroutine_hooks(colour):
    def body(doors):
        order: list[str] = []

        async def before(state: Any) -> Any:
            order.append("before")

        async def wrap(asked: Any, run_tool: Any) -> Any:
            order.append("wrap")
            return await run_tool(asked)

        for given in ({"before_model": before}, {"wrap_tool": wrap}, {"after_model": before}):
            agent = create_agent(Scripted(script=SCRIPT), [multiply], **given)
            if doors.asynchronous:
                assert doors.invoke(agent, "Go")["messages"][2].content == "42"
                assert doors.stream(agent.bind(stream_mode="custom"), "Go") == []
            else:
                with pytest.raises(AsyncOnlyError, match=r"before|wrap"):
                    doors.invoke(agent, "Go")
        assert bool(order) == doors.asynchronous

    colour.run(body)


@every_colour
def test_what_hooks_call_is_below_them(colour):
    def body(doors):
        paths: dict[str, str] = {}

        def note(what: str) -> None:
            run = current_run()
            assert run is not None
            paths[what] = run.path

        def before(state: Any) -> None:
            note("before")

        def wrap(asked: Any, run_tool: Any) -> Any:
            note("wrap")
            return run_tool(asked)

        @tool
        def inside() -> str:
            """Look around."""
            note("tool")
            return "ok"

        script = [says("", call("inside")), says("Done.")]
        agent = create_agent(Scripted(script=script), [inside], before_model=before, wrap_tool=wrap)
        doors.invoke(agent, "Go", {"callbacks": [Silent()]})
        assert paths == {
            "before": "Agent/before_model:before",
            "wrap": "Agent/tools",
            "tool": "Agent/tools/inside",
        }

    colour.run(body)


class Silent:
    def on_event(self, event: Any) -> None: ...


def test_colours_of_wrappers_agree():
    async def awaited(asked: Any, run_tool: Any) -> Any:
        return await run_tool(asked)

    def plain(asked: Any, run_tool: Any) -> Any:
        return run_tool(asked)

    @tool
    async def later() -> str:
        """Wait."""
        return "ok"

    model = Scripted(script=SCRIPT)
    with pytest.raises(ConfigError, match="plain functions and coroutine functions"):
        create_agent(model, [multiply], wrap_tool=[awaited, plain])
    with pytest.raises(ConfigError, match="'later' can only run async"):
        create_agent(model, [later], wrap_tool=plain)


@every_colour
def test_hooks_may_end_the_run(colour):
    def body(doors):
        def stop(state: Any) -> Any:
            return {"jump_to": "end", "messages": [("assistant", "No.")]}

        model = Scripted(script=SCRIPT)
        state = doors.invoke(create_agent(model, [multiply], before_model=stop), "Go")
        assert [m.content for m in state["messages"]] == ["Go", "No."] and model.asked == []
        assert "jump_to" not in state
        state = doors.invoke(create_agent(model, [multiply], after_model=stop), "Go")
        assert [m.content for m in state["messages"]] == ["Go", "Hm.", "No."]

        end = create_agent(model, [multiply], after_model=lambda state: {"jump_to": "end"})
        assert [m.content for m in doors.invoke(end, "Go")["messages"]] == ["Go", "Hm."]
        assert [list(chunk) for chunk in doors.stream(end, "Go")] == [["model"]]

        agent = create_agent(model, [multiply], after_model=lambda state: {"jump_to": "tools"})
        with pytest.raises(InputError, match="jump to 'tools'"):
            doors.invoke(agent, "Go")

    colour.run(body)
