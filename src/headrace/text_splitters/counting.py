"""How long a text is in tokens: functions to measure chunks with, made of tokenizers.

Nothing here imports a tokenizer before one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeAlias

from headrace.errors import ConfigError, MissingExtraError

__all__ = ["Special", "counter", "tiktoken_counter", "tiktoken_encoding"]

Special: TypeAlias = Literal["all"] | AbstractSet[str] | Collection[str]


def tiktoken_encoding(encoding_name: str, model_name: str | None) -> Any:
    """An encoding of tiktoken, by its name or that of a model. It may be fetched over the network
    when it is first used.

    Raises:
        MissingExtraError: tiktoken is not installed.
        ConfigError: it knows no such encoding or model, or cannot fetch it.
    """
    try:
        import tiktoken
    except ImportError as error:
        purpose = "Splitting by OpenAI's tokens"
        raise MissingExtraError("tiktoken", extra="tokens", purpose=purpose) from error
    try:
        if model_name is not None:
            return tiktoken.encoding_for_model(model_name)
        return tiktoken.get_encoding(encoding_name)
    except (KeyError, ValueError, OSError) as error:
        what = f"model {model_name!r}" if model_name is not None else f"encoding {encoding_name!r}"
        # What requests raises is an OSError; some of it a ValueError as well.
        if isinstance(error, OSError):
            raise ConfigError(
                f"tiktoken could not fetch its vocabulary for the {what} ({error!s:.200}): set "
                "TIKTOKEN_CACHE_DIR to a directory that has it, or give a tokenizer at hand, "
                "from_tokenizer(…)."
            ) from error
        raise ConfigError(
            f"tiktoken knows no {what}: give encoding_name, one of "
            f"{', '.join(tiktoken.list_encoding_names())}."
        ) from error


def tiktoken_counter(
    encoding: Any, allowed_special: Special, disallowed_special: Special
) -> Callable[[str], int]:
    """How many tokens a text has in an encoding of tiktoken."""

    def count(text: str) -> int:
        return len(
            encoding.encode(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )
        )

    return count


def counter(tokenizer: Any) -> Callable[[str], int]:
    """How many tokens a text has, without those that only mark its beginning and end.

    Args:
        tokenizer: a tokenizer of transformers (`tokenize`), of tokenizers (`encode(…).ids`) or of
            tiktoken (`encode`), or a model of Headrace (`get_num_tokens`).

    Raises:
        ConfigError: it is none of these.
    """
    if callable(getattr(tokenizer, "get_num_tokens", None)):
        return lambda text: int(tokenizer.get_num_tokens(text))
    if callable(getattr(tokenizer, "tokenize", None)):
        return lambda text: len(tokenizer.tokenize(text))
    if callable(getattr(tokenizer, "encode_ordinary", None)):
        return lambda text: len(tokenizer.encode_ordinary(text))
    if callable(getattr(tokenizer, "encode_batch", None)):
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
    raise ConfigError(
        f"Tokens cannot be counted with {tokenizer!r:.200}: give a tokenizer of transformers, "
        "tokenizers or tiktoken, or a model; or write length_function=…, from a text to a number."
    )
