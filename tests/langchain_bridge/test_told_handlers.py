"""What LangChain's handlers are told of a model of ours: `generation_info`, whole or streamed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler as TheirHandler

from headrace.langchain import as_langchain
from laws.colours import both_drivers
from providers.models import model_for
from providers.replay import Exchange, recording, recordings, replaying
from providers.replay_colours import run


class Ends(TheirHandler):
    run_inline = True

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.told.append(response)


ANSWERS = [
    recording("openai/chat-completions.text.gpt-4.09ffa9"),
    recording("openai/chat-completions.text_stream.gpt-4o-mini.744123"),
    recordings("openai", "responses", "text_stream")[0],
    recording("anthropic/messages.text_stream.claude-haiku-4-5-20251001.00e45d"),
]


@pytest.mark.parametrize("exchange", ANSWERS, ids=repr)
@both_drivers
def test_how_an_answer_ended(exchange: Exchange, colour: Any) -> None:
    with replaying(exchange) as server:
        model = model_for(exchange, server.url)

        def body(doors: Any) -> None:
            handler = Ends()
            door = doors.stream if exchange.is_stream else doors.invoke
            door(as_langchain(model), "Hi", {"callbacks": [handler]})
            ((answer,),) = handler.told[0].generations
            facts = answer.message.response_metadata
            for key in ("model_provider", "model_name", "finish_reason"):
                assert answer.generation_info[key] == facts[key]

        run(colour, model, body)
