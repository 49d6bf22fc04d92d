"""Messages that are written into a prompt as they are: what is handed out is the caller's."""

from __future__ import annotations

from typing import Any

from headrace.messages import AIMessage, HumanMessage
from headrace.prompts import ChatPromptTemplate
from laws.colours import every_colour


@every_colour
def test_changing_what_came_out_does_not_change_the_prompt(colour):
    def body(doors):
        blocks: list[Any] = [{"type": "text", "text": "look"}]
        calls = [{"name": "f", "args": {"a": 1}, "id": "c"}]
        prompt = ChatPromptTemplate.from_messages(
            [HumanMessage(blocks, id="h"), AIMessage("", tool_calls=calls), ("human", "{x}")]
        )
        inner = ChatPromptTemplate.from_messages([prompt, HumanMessage("end")])
        for each in (prompt, inner):
            first = doors.invoke(each, {"x": "y"})
            before = first.model_copy(deep=True)
            first.messages[0].content[0]["cache_control"] = {"type": "ephemeral"}
            first.messages[0].id = "other"
            first.messages[1].additional_kwargs["seen"] = True
            first.messages[1].tool_calls[0]["args"]["a"] = 2
            assert doors.invoke(each, {"x": "y"}) == before
            assert doors.stream(each, {"x": "y"}) == [before]
        assert prompt.messages[0] == HumanMessage([{"type": "text", "text": "look"}], id="h")

    colour.run(body)
