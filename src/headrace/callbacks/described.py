"""What hooks of chat models find beside the message, where they look for it in LangChain.

    llm_output        token_usage, under OpenAI's names; model_name, model_provider, …
    generation_info   finish_reason, model_name, logprobs, … of each candidate

Both are made of the message, when a hook is told of it: so every provider has them, and a stream
has the same as a whole answer, and the message itself does not depend on how it was asked for.
What a model's author says in these places counts first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from ..messages import AIMessage
from ..messages.usage import UsageMetadata, sum_usage
from ..outputs import ChatGeneration, Generation, LLMResult

__all__ = ["combined", "described", "info_of", "token_usage"]

Facts = Mapping[str, Any]

_OF_THE_CALL: Final = ("model_name", "model_provider", "system_fingerprint", "service_tier")
_OF_NO_CANDIDATE: Final = frozenset({"other_choices"})  # which are candidates themselves

# Names of counts: in OpenAI's usage, and in `usage_metadata`.
_COUNTS: Final = (
    ("prompt_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
    ("total_tokens", "total_tokens"),
)
_DETAILS: Final = (
    ("prompt_tokens_details", "input_token_details",
     {"cached_tokens": "cache_read", "cache_creation_tokens": "cache_creation",
      "audio_tokens": "audio"}),
    ("completion_tokens_details", "output_token_details",
     {"reasoning_tokens": "reasoning", "audio_tokens": "audio"}),
)  # fmt: skip


def described(result: LLMResult) -> LLMResult:
    """A result whose candidates and whose `llm_output` say what their messages know.

    It is the same one where the messages are no provider's, which name it (`model_provider`):
    then nobody but their author knows what there is to say.
    """
    first = next((each for answers in result.generations for each in answers), None)
    message: Any = getattr(first, "message", None)
    if not _knows(message):
        return result
    facts = message.response_metadata
    found = {
        "token_usage": token_usage(message.usage_metadata),
        **{name: facts[name] for name in _OF_THE_CALL if name in facts},
        **(result.llm_output or {}),
    }
    generations = [[_candidate(each) for each in answers] for answers in result.generations]
    return LLMResult(generations, found, result.run)


def info_of(message: Any) -> dict[str, Any] | None:
    """The `generation_info` of a provider's message, or of the chunk that says how it ended."""
    if not _knows(message):
        return None
    facts = message.response_metadata.items()
    return {name: value for name, value in facts if name not in _OF_NO_CANDIDATE}


def token_usage(usage: Facts | None) -> dict[str, Any]:
    """A message's `usage_metadata` under OpenAI's names; empty where there is none."""
    if not usage:
        return {}
    found: dict[str, Any] = {theirs: usage.get(ours, 0) for theirs, ours in _COUNTS}
    for theirs, ours, names in _DETAILS:
        known = usage.get(ours) or {}
        details = {name: known[own] for name, own in names.items() if own in known}
        if details:
            found[theirs] = details
    return found


def combined(outputs: Sequence[Facts | None]) -> dict[str, Any]:
    """The `llm_output` of several calls that tell of tokens: their sum, and what all of them say
    alike; empty where none does."""
    told = [output for output in outputs if output and "token_usage" in output]
    if not told:
        return {}
    first, *others = told
    alike = {name: value for name, value in first.items() if _all_say(others, name, value)}
    usages = [cast(UsageMetadata, output["token_usage"] or None) for output in told]
    return {**alike, "token_usage": sum_usage(usages) or {}}


def _all_say(outputs: Iterable[Facts], name: str, value: Any) -> bool:
    return all(name in output and output[name] == value for output in outputs)


def _knows(message: Any) -> bool:
    return isinstance(message, AIMessage) and bool(message.response_metadata.get("model_provider"))


def _candidate(generation: Generation) -> Generation:
    if not isinstance(generation, ChatGeneration):
        return generation
    known, stated = info_of(generation.message), generation.generation_info
    if known is None:
        return generation
    return type(generation)(generation.message, {**known, **(stated or {})})
