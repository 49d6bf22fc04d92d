"""The exceptions of Headrace, one tree. Whoever catches `HeadraceError` catches them all.

    HeadraceError(Exception)
    ├── InputError(ValueError)             a value handed in cannot be used
    ├── ConfigError(ValueError)            a component or a config is set up wrongly
    ├── AsyncOnlyError(TypeError)          a sync call reached a step that only runs async
    ├── MissingVariablesError(KeyError)    a prompt lacks variables
    ├── MissingExtraError(ImportError)     an optional dependency is not installed
    ├── RecursionLimitError(RecursionError)  runnables that return runnables went too deep
    ├── OutputParserException(ValueError)  a model's output cannot be parsed
    ├── JsonSyntaxError(ValueError)        a text is not JSON: where, and what was expected
    │   └── JsonDepthError(RecursionError)   its containers are nested too deep
    ├── EventTooLongError(ValueError)      a server-sent event is longer than was agreed
    ├── XmlSyntaxError(ValueError)         a text is not XML, or XML that is refused: where, and why
    ├── Timeout(TimeoutError)              a stream kept its consumer waiting longer than agreed
    ├── SlowConsumerError(RuntimeError)    a consumer of a live run was too slow, as was agreed
    ├── CircuitOpenError(RuntimeError)     not called: it has failed too often of late
    ├── ModelError(RuntimeError)           a model, or what serves it, gave no proper answer
    │   ├── ModelRefusalError              it declined; an OutputParserException as well
    │   └── ProviderError                  what came from a provider, or did not; see its fields
    │       ├── AuthenticationError(PermissionError)    no key, or one that is not accepted (401)
    │       ├── PermissionDeniedError(PermissionError)  the key may not do this (403)
    │       ├── NotFoundError(LookupError)     no such model, deployment or address (404)
    │       ├── BadRequestError(ValueError)    the request is refused as it stands (other 4xx)
    │       │   ├── ContextLengthError         the prompt is longer than the model's context
    │       │   └── ContentFilterError         a filter stopped the prompt or the answer
    │       ├── RateLimitError                 too many requests or tokens, or no credit (429)
    │       ├── ServerError                    the provider failed (5xx)
    │       │   ├── OverloadedError            it has no capacity just now (503, 529)
    │       │   └── GatewayTimeout             it gave up waiting for itself (408, 504); a Timeout
    │       ├── ConnectionError(ConnectionError)  no connection, or it broke before an answer
    │       │   └── ConnectionTimeout          it took longer than the model's `timeout`; a Timeout
    │       ├── StreamError                    the provider reported an error inside the stream
    │       └── IncompleteStream               the stream ended without its terminal signal
    ├── TracerException(LookupError)       a tracer is told of a run that it does not know
    └── WeightsError(OSError)              a model's weights are missing, damaged or out of reach

    HeadraceWarning(UserWarning)
    └── NoRunWarning(RuntimeWarning)       something needs a run around it, and there is none

Each also derives from the builtin that a caller would catch without knowing Headrace. A message is
a sentence that names the offending value and says what to do about it. This file imports nothing.
"""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

__all__ = [
    "AsyncOnlyError",
    "AuthenticationError",
    "BadRequestError",
    "CircuitOpenError",
    "ConfigError",
    "ConnectionError",
    "ConnectionTimeout",
    "ContentFilterError",
    "ContextLengthError",
    "EventTooLongError",
    "GatewayTimeout",
    "HeadraceError",
    "HeadraceWarning",
    "IncompleteStream",
    "InputError",
    "JsonDepthError",
    "JsonSyntaxError",
    "MissingExtraError",
    "MissingVariablesError",
    "ModelError",
    "ModelRefusalError",
    "NoRunWarning",
    "NotFoundError",
    "OutputParserException",
    "OverloadedError",
    "PermissionDeniedError",
    "ProviderError",
    "RateLimitError",
    "RecursionLimitError",
    "ServerError",
    "SlowConsumerError",
    "StreamError",
    "Timeout",
    "TracerException",
    "WeightsError",
    "XmlSyntaxError",
]


class HeadraceError(Exception):
    """Root of every exception that Headrace raises on purpose."""


class InputError(HeadraceError, ValueError):
    """A value handed to a function or a constructor cannot be used."""


class ConfigError(HeadraceError, ValueError):
    """A component, or the config of a run, is set up in a way that cannot work."""


class AsyncOnlyError(HeadraceError, TypeError, NotImplementedError):
    """A sync call reached a step that only has an async body."""


class MissingVariablesError(HeadraceError, KeyError):
    """A template was formatted without all of its variables.

    `str()` gives the sentence itself; a bare `KeyError` would show its repr, quotes and all.
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissingExtraError(HeadraceError, ImportError):
    """An optional dependency is missing.

    Args:
        package: the import or distribution that is missing, e.g. `"xllamacpp"`.
        extra: the Headrace extra that brings it, e.g. `"local"`; without one, the package
            itself is what the message tells to install.
        purpose: what needs it, e.g. `"ChatLocal"`.
    """

    def __init__(self, package: str, *, extra: str | None = None, purpose: str = "") -> None:
        self.package = package
        self.extra = extra
        self.purpose = purpose
        self.install = f'pip install "headrace[{extra}]"' if extra else f"pip install {package}"
        needs = f"{purpose} needs {package!r}" if purpose else f"{package!r} is needed"
        super().__init__(f"{needs}, which is not installed: run `{self.install}`.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.package,), dict(self.__dict__), self.args)


class RecursionLimitError(HeadraceError, RecursionError):
    """Runnables that return runnables went deeper than `recursion_limit`."""


class OutputParserException(HeadraceError, ValueError):
    """A model's output could not be parsed.

    Args:
        error: the sentence, or the exception that was caught.
        observation: what to tell the model about it.
        llm_output: the output that could not be parsed.
        send_to_llm: whether an agent should hand `observation` and `llm_output` back to the
            model, so that it can correct itself; both must then be given.
        position: where it goes wrong, in characters of the text from 0; None where that is not
            known.
        expected: what was expected there, e.g. `"':' after the key"`; None likewise.
    """

    def __init__(
        self,
        error: Any,
        observation: str | None = None,
        llm_output: str | None = None,
        send_to_llm: bool = False,
        *,
        position: int | None = None,
        expected: str | None = None,
    ) -> None:
        if send_to_llm and (observation is None or llm_output is None):
            raise InputError(
                "OutputParserException(send_to_llm=True) sends the observation and the output to "
                "the model: give both 'observation' and 'llm_output'."
            )
        super().__init__(error)
        self.observation = observation
        self.llm_output = llm_output
        self.send_to_llm = send_to_llm
        self.position = position
        self.expected = expected


class JsonSyntaxError(HeadraceError, ValueError):
    """A text is not JSON, or ends before its JSON does.

    Args:
        expected: what JSON wants at that place, e.g. `"':' after the key"`.
        position: index in the whole text, in characters from 0.
        found: the offending character; empty where the text ended too early.
    """

    def __init__(self, expected: str, position: int, found: str = "") -> None:
        self.expected = expected
        self.position = position
        self.found = found
        what = f"found {found!r}" if found else "the text ends there"
        super().__init__(f"Invalid JSON at character {position}: expected {expected}, {what}.")

    def __reduce__(self) -> tuple[Any, ...]:
        first = (self.expected, self.position, self.found)
        return _rebuild, (type(self), first, dict(self.__dict__), self.args)


class XmlSyntaxError(HeadraceError, ValueError):
    """A text is not XML, ends before its XML does, or holds what is refused.

    Args:
        reason: what is wrong, e.g. `"mismatched tag"`.
        position: index in the whole text, in characters from 0.
    """

    def __init__(self, reason: str, position: int) -> None:
        self.reason = reason
        self.position = position
        super().__init__(f"Invalid XML at character {position}: {reason}.")

    def __reduce__(self) -> tuple[Any, ...]:
        first = (self.reason, self.position)
        return _rebuild, (type(self), first, dict(self.__dict__), self.args)


class JsonDepthError(JsonSyntaxError, RecursionError):
    """A JSON text has more containers open at a time than may be."""


class EventTooLongError(HeadraceError, ValueError):
    """A server-sent event is longer than its decoder accepts.

    Args:
        limit: characters that one event may have.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"A server-sent event has more than {limit:,} characters: give SseDecoder a larger "
            "max_event, or have the server send smaller events."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.limit,), dict(self.__dict__), self.args)


class SlowConsumerError(HeadraceError, RuntimeError):
    """A consumer of a live run with `policy="disconnect"` let too many items wait.

    Args:
        limit: how many may wait, in items.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"This consumer was disconnected: more than {limit} items waited for it. The run goes "
            "on. Read faster, give a larger limit, or choose the policy 'coalesce' (deltas join) "
            "or 'drop_oldest'."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.limit,), dict(self.__dict__), self.args)


class Timeout(HeadraceError, builtins.TimeoutError):
    """A stream, or an answer, kept its consumer waiting longer than was agreed.

    Args:
        message: the sentence.
        which: the limit that fired: "first_chunk", "idle" or "total"; "connect" or "read" where
            it was the connection's own.
        seconds: that limit; None where it is not known.
        partial: the merge of what had come, or None.
    """

    def __init__(
        self,
        message: str = "It took too long.",
        *,
        which: str = "total",
        seconds: float | None = None,
        partial: Any = None,
    ) -> None:
        super().__init__(message)
        self.which = which
        self.seconds = seconds
        self.partial = partial


class CircuitOpenError(HeadraceError, RuntimeError):
    """A call was not made, because those before it failed; see `circuit_breaker`.

    Args:
        message: the sentence.
        retry_after: when the next call may be tried, in seconds from now.
    """

    def __init__(self, message: str = "The circuit is open.", *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelError(HeadraceError, RuntimeError):
    """A model, or what serves it, failed at a request that was in order."""


class ModelRefusalError(ModelError, OutputParserException):
    """A model declined to give what it was asked for, and said so in an answer.

    Args:
        message: the sentence.
        raw_message: the answer in which it refused.
    """

    def __init__(
        self,
        message: str = "The model refused to produce the requested output.",
        *,
        raw_message: Any = None,
    ) -> None:
        OutputParserException.__init__(self, message, llm_output=getattr(raw_message, "text", None))
        self.raw_message = raw_message

    @classmethod
    def from_refusal(cls, refusal: dict[str, Any], *, raw_message: Any) -> ModelRefusalError:
        """The error for a content block of type "refusal" in an answer."""
        category = (refusal.get("extras") or {}).get("category")
        kind = f" (category={category!r})" if category else ""
        said = f": {refusal['refusal']}" if refusal.get("refusal") else ""
        told = f"Model refused to produce the requested output{kind}{said}"
        return cls(told, raw_message=raw_message)


class ProviderError(ModelError):
    """What a provider answered instead of an answer, or that nothing came at all.

    The provider's SDK's own exception, where there is one, is the `__cause__`.

    Args:
        message: the sentence, which names provider and status, and quotes the provider.
        partial: the merge of the chunks that had arrived, or None.
        provider: e.g. "openai"; None where the stream is no provider's.
        status: the HTTP status; None where no answer came. Inside a stream: what the error
            event says, else the status of the stream, 200.
        request_id: the provider's name for the request, which its support asks for.
        provider_message: what the provider said, word for word.
        code: the provider's code or type of the error, e.g. "context_length_exceeded".
        retry_after: seconds after which the provider wants to be asked again; None: it did not say.
    """

    _standard: ClassVar[str] = "The provider gave no answer."

    def __init__(
        self,
        message: str | None = None,
        partial: Any = None,
        *,
        provider: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        provider_message: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message or self._standard)
        self.partial = partial
        self.provider = provider
        self.status = status
        self.request_id = request_id
        self.provider_message = provider_message
        self.code = code
        self.retry_after = retry_after


class AuthenticationError(ProviderError, PermissionError):
    """There is no key, or one that the provider does not accept."""


class PermissionDeniedError(ProviderError, PermissionError):
    """The key is known, and may not do this."""


class NotFoundError(ProviderError, LookupError):
    """The provider has no such model, deployment or address."""


class BadRequestError(ProviderError, ValueError):
    """The provider refuses the request as it stands: asking again would change nothing."""


class ContextLengthError(BadRequestError):
    """The prompt does not fit the model's context.

    Args:
        prompt_tokens: length of the prompt, in tokens; None where the provider does not say.
        context_tokens: size of the context, in tokens; None likewise.
        message: a sentence in place of the standard one.
        facts: as of every `ProviderError`.
    """

    def __init__(
        self,
        prompt_tokens: int | None = None,
        context_tokens: int | None = None,
        message: str | None = None,
        **facts: Any,
    ) -> None:
        has = "is too long" if prompt_tokens is None else f"has {prompt_tokens} tokens"
        holds = "" if context_tokens is None else f" and the model's context holds {context_tokens}"
        super().__init__(
            message
            or f"The prompt {has}{holds}: shorten the prompt or open the model with a larger "
            "context.",
            **facts,
        )
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens

    def __reduce__(self) -> tuple[Any, ...]:
        first = (self.prompt_tokens, self.context_tokens)
        return _rebuild, (type(self), first, dict(self.__dict__), self.args)


class ContentFilterError(BadRequestError):
    """A filter of the provider's stopped the prompt, or the answer."""


class RateLimitError(ProviderError):
    """Too many requests or tokens for the account, or its credit is used up; see `retry_after`."""


class ServerError(ProviderError):
    """The provider failed at a request that was in order."""


class OverloadedError(ServerError):
    """The provider has no capacity just now."""


class GatewayTimeout(ServerError, Timeout):
    """The provider, or what stands before it, gave up waiting for the model.

    Args:
        message, partial, facts: as of every `ProviderError`; `which` is "read".
    """

    def __init__(self, message: str | None = None, partial: Any = None, **facts: Any) -> None:
        ProviderError.__init__(self, message, partial, **facts)
        self.which = "read"
        self.seconds = None


class ConnectionError(ProviderError, builtins.ConnectionError):
    """The provider could not be reached, or the connection broke before its answer."""


class ConnectionTimeout(ConnectionError, Timeout):
    """Connecting, or waiting for the provider's answer, took longer than the model's `timeout`.

    Args:
        message, partial, facts: as of every `ProviderError`.
        which: "connect" or "read".
        seconds: the limit; None where it is not known.
    """

    def __init__(
        self,
        message: str | None = None,
        partial: Any = None,
        *,
        which: str = "read",
        seconds: float | None = None,
        **facts: Any,
    ) -> None:
        ProviderError.__init__(self, message, partial, **facts)
        self.which = which
        self.seconds = seconds


class StreamError(ProviderError):
    """The provider reported an error in the middle of its stream; what had come is `partial`."""


class IncompleteStream(ProviderError):
    """A stream ended without its terminal signal; what had arrived is in `partial`."""

    _standard: ClassVar[str] = "The stream ended before its end."


class WeightsError(HeadraceError, OSError):
    """A model's weights are missing, damaged, unknown to the engine or cannot be fetched."""


def _rebuild(
    kind: type[Exception], first: tuple[Any, ...], state: dict[str, Any], args: tuple[Any, ...]
) -> Exception:
    """Unpickle an exception whose `args` are not the arguments of its constructor."""
    error = kind(*first)
    error.__dict__.update(state)
    error.args = args
    return error


class TracerException(HeadraceError, LookupError):
    """A hook of a tracer was called for a run that the tracer does not know, or not as such."""


class HeadraceWarning(UserWarning):
    """Root of every warning that Headrace gives on purpose."""


class NoRunWarning(HeadraceWarning, RuntimeWarning):
    """What was called needs a run around it, and there is none: it did nothing."""
