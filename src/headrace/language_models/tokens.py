"""How many tokens a text or a conversation has, for whoever must fit a model's context.

Counted exactly where the model has a tokenizer: its class overrides `get_token_ids`, or the user
gives `custom_get_token_ids`. Estimated otherwise: a token for four characters, rounded up, and
three more for each message (`conversation.count_tokens_approximately`); prices and limits should
not hang on that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError
from ..messages import BaseMessage, get_buffer_string

__all__ = ["CHARACTERS_PER_TOKEN", "NoTokenizerError", "TokenCounting"]

CHARACTERS_PER_TOKEN = 4.0  # of English under the usual vocabularies, and of the estimate


class NoTokenizerError(ConfigError, NotImplementedError):
    """A model was asked for token ids, and nobody has told it of a tokenizer."""


class TokenCounting:
    """The part of a language model that counts tokens."""

    custom_get_token_ids: Callable[[str], list[int]] | None

    def get_token_ids(self, text: str) -> list[int]:
        """The tokens of `text` by number, in its order.

        Raises:
            NoTokenizerError: the model has no tokenizer here.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        raise NoTokenizerError(
            f"{type(self).__name__} has no tokenizer: give it one as custom_get_token_ids=…, a "
            "function from a text to token ids (of tiktoken: "
            'tiktoken.get_encoding("o200k_base").encode), or ask get_num_tokens for an estimate.'
        )

    def get_num_tokens(self, text: str) -> int:
        """How many tokens `text` has: exactly with a tokenizer, else by its length."""
        if self._counts_exactly:
            return len(self.get_token_ids(text))
        return int(-(-len(text) // CHARACTERS_PER_TOKEN))

    def get_num_tokens_from_messages(
        self, messages: Any, tools: Sequence[Any] | None = None
    ) -> int:
        """How many tokens a conversation has, `tools` (as for `bind_tools`) included. It is given
        as to `invoke`: a list of messages, `(role, text)` tuples and dicts, a text, a prompt value.

        With a tokenizer: those of each message written as `Human: text`, since the base does not
        know what its vendor puts between them; models that do know override this.
        """
        messages = self._messages_in(messages)
        counter = type(self).get_num_tokens
        if not self._counts_exactly and counter is TokenCounting.get_num_tokens:
            from ..conversation import count_tokens_approximately

            return int(count_tokens_approximately(messages, tools=tools))
        described = _described(tools or ())
        return sum(
            self.get_num_tokens(text)
            for text in (*described, *(get_buffer_string([each]) for each in messages))
        )

    def _messages_in(self, given: Any) -> list[BaseMessage]:
        """The messages that what `invoke` takes stands for."""
        raise NotImplementedError

    @property
    def _counts_exactly(self) -> bool:
        own = type(self).get_token_ids is not TokenCounting.get_token_ids
        return own or self.custom_get_token_ids is not None


def _described(tools: Sequence[Any]) -> list[str]:
    if not tools:
        return []
    from ..tools.function_calling import convert_to_openai_tool

    return [json.dumps(convert_to_openai_tool(tool)) for tool in tools]
