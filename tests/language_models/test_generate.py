"""`generate` and its like: several conversations, every candidate, the ids of the runs."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import Field

from headrace.callbacks import BaseCallbackHandler
from headrace.language_models import BaseChatModel, FakeListChatModel, GenericFakeChatModel
from headrace.messages import AIMessage, HumanMessage
from headrace.outputs import ChatGeneration, ChatResult
from headrace.prompt_values import StringPromptValue
from headrace.runnables import RunnableLambda


class Several(BaseChatModel):
    """Two candidates for each question, and what a vendor says of the call."""

    asked: list[Any] = Field(default_factory=list)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append((messages[-1].content, stop, kwargs))
        if messages[-1].content == "fail":
            raise ValueError("no")
        texts = [f"{messages[-1].content}{number}" for number in (1, 2)]
        candidates = [ChatGeneration(message=AIMessage(text)) for text in texts]
        return ChatResult(generations=candidates, llm_output={"tokens": 5})

    def _combine_llm_outputs(self, llm_outputs):
        return {"tokens": sum(output["tokens"] for output in llm_outputs)}


class Notes(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts: list[Any] = []
        self.ends: list[Any] = []

    def on_chat_model_start(self, card, messages, *, run_id, **told):
        self.starts.append((messages[0][-1].content, run_id, told))

    def on_llm_end(self, response, **told):
        self.ends.append(response)


@pytest.fixture(params=["sync", "async"])
def generate(request):
    def call(model: Any, *args: Any, prompts: bool = False, **kwargs: Any) -> Any:
        name = "generate_prompt" if prompts else "generate"
        if request.param == "sync":
            return getattr(model, name)(*args, **kwargs)
        return asyncio.run(getattr(model, f"a{name}")(*args, **kwargs))

    return call


def test_every_candidate_and_run_of_every_conversation(generate):
    model, notes, first = Several(), Notes(), uuid4()
    result = generate(
        model,
        [[HumanMessage("a")], [HumanMessage("b")]],
        ["."],
        [notes],
        tags=["t"],
        metadata={"m": 1},
        run_name="asked",
        run_id=first,
        temperature=0,
    )
    texts = [[candidate.text for candidate in candidates] for candidates in result.generations]
    assert texts == [["a1", "a2"], ["b1", "b2"]]
    assert result.llm_output == {"tokens": 10}
    assert sorted(model.asked, key=str) == [
        ("a", ["."], {"temperature": 0}),
        ("b", ["."], {"temperature": 0}),
    ]
    starts = sorted(notes.starts, key=lambda start: str(start[0]))
    assert [run.run_id for run in result.run] == [start[1] for start in starts]
    assert result.run[0].run_id == first
    for _, _, told in starts:
        assert told["name"] == "asked"
        assert told["tags"] == ["t"]
        assert told["metadata"]["m"] == 1
    assert [len(end.generations[0]) for end in notes.ends] == [2, 2]


def test_prompt_values(generate):
    result = generate(Several(), [StringPromptValue(text="q")], prompts=True, stop=["x"])
    assert result.generations[0][0].text == "q1"


def test_nothing_asked_nothing_answered(generate):
    result = generate(GenericFakeChatModel(messages=iter([])), [])
    assert (result.generations, result.llm_output) == ([], {})


def test_the_first_failure_is_raised(generate):
    with pytest.raises(ValueError, match="no"):
        generate(Several(), [["fail"], ["b"]])


def test_it_is_seen_inside_a_run(generate):
    notes = Notes()

    def inside(question: str) -> str:
        return FakeListChatModel(responses=["answer"]).generate([[question]]).generations[0][0].text

    assert RunnableLambda(inside).invoke("why?", {"callbacks": [notes]}) == "answer"
    assert [start[0] for start in notes.starts] == ["why?"]


def test_usage_and_metadata_are_those_of_invoke(generate):
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    answer = AIMessage("x", usage_metadata=usage, response_metadata={"model_name": "m"})
    model = GenericFakeChatModel(messages=iter([answer]))
    message = generate(model, [["q"]]).generations[0][0].message
    assert message.usage_metadata == usage
    assert message.response_metadata == {"model_name": "m"}
