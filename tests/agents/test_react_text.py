"""What a model writes in the form of ReAct: sections, calls and answers, at any cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.agents import AgentAction, AgentFinish, ReActSingleInputOutputParser
from headrace.agents._react_reading import ReActOutputParser
from headrace.errors import OutputParserException
from headrace.language_models.binding import described_tools
from headrace.merge import merge
from headrace.messages import AIMessage, AIMessageChunk
from laws.counted import assert_linear


def search(query: str) -> str:
    """Search."""
    return query


def wait(seconds: int) -> str:
    """Wait."""
    return str(seconds)


def now() -> str:
    """The time."""
    return "noon"


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


TOOLS = described_tools([search, wait, now, add])
PARSER = ReActOutputParser(TOOLS)

# What is written, what is thought, the call, the answer.
FORMS: list[tuple[str, str, str, Any, str]] = [
    (
        "plain",
        "I look.\nAction: search\nAction Input: a b\n",
        "I look.",
        ("search", {"query": "a b"}),
        "",
    ),
    (
        "json",
        'Thought: Hm\nAction: add\nAction Input: {"a": 1, "b": 2}',
        "Hm",
        ("add", {"a": 1, "b": 2}),
        "",
    ),
    (
        "junk-behind",
        'Action: search\nAction Input: {"query": "}{"} as I said\n',
        "",
        ("search", {"query": "}{"}),
        "",
    ),
    (
        "fence",
        'Action: add\nAction Input:\n```json\n{"a": 1,\n "b": 2}\n```',
        "",
        ("add", {"a": 1, "b": 2}),
        "",
    ),
    (
        "fenced-text",
        "Action: search\nAction Input: ```\nSELECT 1\n```\n",
        "",
        ("search", {"query": "SELECT 1"}),
        "",
    ),
    ("fence-in-a-line", "Action: search\nAction Input: `x`", "", ("search", {"query": "x"}), ""),
    (
        "quotes",
        "Action: search\nAction Input: \"say 'hi'\"\n",
        "",
        ("search", {"query": "say 'hi'"}),
        "",
    ),
    (
        "inner-quotes",
        'Action: search\nAction Input: a "b" c\\d',
        "",
        ("search", {"query": 'a "b" c\\d'}),
        "",
    ),
    (
        "lines",
        "Action: search\nAction Input: a\nAction: b\n",
        "",
        ("search", {"query": "a\nAction: b"}),
        "",
    ),
    ("number", "Action: wait\nAction Input: 5\n", "", ("wait", {"seconds": 5}), ""),
    ("none", "Action: now\nAction Input: None\n", "", ("now", {}), ""),
    ("no-input", "It is late.\nAction: now", "It is late.", ("now", {}), ""),
    (
        "made-up",
        "Action: now\nAction Input:\nObservation: 3\nThought: so\nFinal Answer: 3",
        "",
        ("now", {}),
        "",
    ),
    (
        "marked",
        "**Thought:** Hm.\n**Action:** `search`\n**Action Input:** x",
        "Hm.",
        ("search", {"query": "x"}),
        "",
    ),
    (
        "marked-inside",
        "**Thought**: Hm.\n**Action**: [search]\n**Action Input**: x",
        "Hm.",
        ("search", {"query": "x"}),
        "",
    ),
    (
        "numbered",
        "Thought 1: Hm.\nAction 1: search\nAction Input 1: x",
        "Hm.",
        ("search", {"query": "x"}),
        "",
    ),
    (
        "case",
        "thought: Hm.\nACTION: search\naction input: x",
        "Hm.",
        ("search", {"query": "x"}),
        "",
    ),
    ("answer", "I know.\nFinal Answer: It is\n\n- 4\n- 2\n", "I know.", None, "It is\n\n- 4\n- 2"),
    ("bold-answer", "Final Answer: **42**", "", None, "**42**"),
    ("answer-with-words", "Final Answer: so\nAction: rest", "", None, "so\nAction: rest"),
    (
        "several-thoughts",
        "One.\nThought: two.\n\nAction plan: none\nFinal Answer: x",
        "One.\ntwo.\n\nAction plan: none",
        None,
        "x",
    ),
]
CASES = [pytest.param(*rest, id=name) for name, *rest in FORMS]


def cut(text: str, at: set[int]) -> list[str]:
    edges = [0, *sorted(at), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def told(message: Any) -> tuple[Any, ...]:
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    assert message.invalid_tool_calls == []
    return (
        message.additional_kwargs.get("reasoning_content", ""),
        *(calls or [None]),
        message.content,
    )


@pytest.mark.parametrize(("text", "thought", "call", "answer"), CASES)
def test_what_is_written_at_any_cut(text: str, thought: str, call: Any, answer: str):
    expected = (thought, call, answer)
    assert told(PARSER.invoke(text)) == expected
    assert told(merge(list(PARSER.transform(iter(text))))) == expected  # sign by sign
    for at in range(1, len(text)):
        assert told(merge(list(PARSER.transform(iter(cut(text, {at})))))) == expected


TEXTS = st.sampled_from([form[1] for form in FORMS])


@given(st.data())
def test_the_same_at_any_cuts(data: Any):
    text = data.draw(TEXTS) + data.draw(st.text('aA: \n`"*{}', max_size=12)) + data.draw(TEXTS)
    at = data.draw(st.sets(st.integers(1, len(text) - 1)))
    whole, pieces = PARSER.invoke(text), merge(list(PARSER.transform(iter(cut(text, at)))))
    for name in ("content", "additional_kwargs", "response_metadata"):
        assert getattr(whole, name) == getattr(pieces, name)
    for name in ("tool_calls", "invalid_tool_calls"):
        bare = [[(c["name"], c["args"]) for c in getattr(m, name)] for m in (whole, pieces)]
        assert bare[0] == bare[1]


@given(st.text(st.sampled_from("Thought: Ac\nFinalAswerObv*`"), max_size=60))
def test_no_text_makes_it_fail(text: str):
    message = merge(list(PARSER.transform(iter([text]))))
    has = bool(message.tool_calls or message.invalid_tool_calls or message.content)
    assert has != ("format_error" in message.response_metadata) or "Final Answer" in text


def test_each_piece_goes_out_when_it_is_there():
    text = 'I see.\nAction: add\nAction Input: {"a": 1, "b": 2}'
    read: list[str] = []

    def signs() -> Any:
        for sign in text:
            read.append(sign)
            yield sign

    seen = [(len(read), chunk) for chunk in PARSER.transform(signs())]
    first_args = next(n for n, c in seen for piece in c.tool_call_chunks if piece["args"])
    assert first_args == text.index("{") + 1
    answer = list(PARSER.transform(iter(["Final Answer: It", " is", " 42", "."])))
    assert [chunk.content for chunk in answer] == ["It", " is", " 42", ".", ""]


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("Action: add\nAction Input: 1 and 2", "1 and 2"),
        ('Action: add\nAction Input: {"a": 1, "b"', '{"a": 1, "b"'),
        ("Action: wait\nAction Input: soon", '{"seconds": soon}'),
        ("Action: nobody\nAction Input: x", "x"),
    ],
)
def test_arguments_that_are_none_are_kept_for_the_model_to_see(text: str, args: str):
    message = PARSER.invoke(text)
    assert [call["args"] for call in message.invalid_tool_calls] == [args]


def test_neither_action_nor_answer_says_what_is_lacking():
    message = PARSER.invoke("I wonder.")
    assert message.response_metadata["format_error"] == (
        'There is no "Action:" in what you wrote. Write "Action:" with one of search, wait, now, '
        'add and "Action Input:" with its arguments, or "Final Answer:" with your answer.'
    )
    must = ReActOutputParser(TOOLS[:1], answers=False).invoke("")
    assert must.response_metadata["format_error"].endswith('"Action Input:" with its arguments.')


def test_what_a_message_says_besides_is_kept():
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    chunks = [
        AIMessageChunk("Final", id="m", additional_kwargs={"reasoning_content": "Deep. "}),
        AIMessageChunk(" Answer: 42", id="m", chunk_position="last"),
        AIMessageChunk("", id="m", usage_metadata=usage, response_metadata={"model_name": "x"}),
    ]
    whole = merge(list(PARSER.transform(iter(chunks))))
    assert (whole.content, whole.id, whole.usage_metadata) == ("42", "m", usage)
    assert whole.response_metadata == {"model_name": "x"}
    assert whole.additional_kwargs == {"reasoning_content": "Deep. "}
    assert (
        PARSER.invoke(AIMessage("x\nFinal Answer: 42", usage_metadata=usage)).usage_metadata
        == usage
    )


def test_long_texts_take_time_in_proportion():
    def run(source: Any) -> None:
        for _ in PARSER.transform(source):
            pass

    def pieces(n: int) -> list[str]:
        rest = ["thi", "nk\n", "Act ", "now\n"] * (n // 4)
        return [*rest, "Action: search\nAction Input: ", *rest]

    assert_linear(run, pieces, 400)


# ------------------------------------------------------------------ as actions


def test_a_whole_text_as_an_action_or_an_answer():
    parser = ReActSingleInputOutputParser()
    text = 'Hm.\nAction: search\nAction Input: "a b"\n'
    assert parser.invoke(text) == AgentAction("search", "a b", text)
    assert parser.invoke("Final Answer: 42 ") == AgentFinish({"output": "42"}, "Final Answer: 42 ")
    args = parser.parse('Action: add\nAction Input: {"a": 1}').tool_input
    assert json.loads(args) == {"a": 1}
    for text, lacks in [("Hm.", "Action:"), ("Action: search", "Action Input:")]:
        with pytest.raises(OutputParserException) as caught:
            parser.parse(text)
        assert f'"{lacks}"' in caught.value.observation
        assert caught.value.send_to_llm and caught.value.llm_output == text
    assert "Final Answer:" in parser.get_format_instructions()
