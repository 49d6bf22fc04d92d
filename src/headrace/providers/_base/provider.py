"""`Provider`: what chat models and embeddings of a provider share: whose key, which address, the
SDK's clients, and what its exceptions mean.
"""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
)

from headrace.errors import HeadraceError, ProviderError
from headrace.runnables._construction import readable
from headrace.runnables.base import Runnable

from .clients import Clients, sdk, want_sdk
from .errors import Fault, broken_off, chain, is_page, provider_error, unreachable
from .frames import NoEvents
from .keys import (
    Key,
    KeyFunction,
    KeyNames,
    compared,
    environment,
    hidden,
    is_secret,
    shown,
    silenced,
    without_secrets,
)

__all__ = ["Call", "Key", "Provider", "cause_of", "named"]


def named(*names: str, **more: Any) -> Any:
    """A field that may be given under several names; the first one is its own."""
    options: dict[str, Any] = more if "default_factory" in more else {"default": None, **more}
    return Field(validation_alias=AliasChoices(*names), **options)


class Call:
    """One request, and what is known of its answer while it comes.

    request: the SDK's arguments.
    streams: it is to come in events, and not as a whole.
    opened: the answer has begun. headers, status: of it. sent: the HTTP client's request.
    """

    __slots__ = ("headers", "opened", "request", "sent", "status", "streams")

    def __init__(self, request: dict[str, Any], *, streams: bool = False) -> None:
        self.request = request
        self.streams = streams
        self.opened = False
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.sent: Any = None

    def begun(self, response: Any) -> None:
        """The head of the answer is there; `response` is the HTTP client's."""
        self.opened, self.headers, self.status = True, response.headers, response.status_code
        self.sent = response.request

    def answered(self, response: Any) -> Mapping[str, Any]:
        """The whole answer, as the wire has it, of a response that was read."""
        self.begun(response)
        answer: Mapping[str, Any] = json.loads(response.content)
        return answer

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request, from the headers."""
        return Fault(self.status, headers=self.headers).id

    def partial(self) -> Any:
        """What has come of the answer."""
        return None


class Provider(BaseModel):
    """See the head of the file; `ProviderChatModel` says what the fields are."""

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    provider: ClassVar[str]
    """The provider's name: in `response_metadata`, errors, traces and `init_chat_model`."""
    _sdk: ClassVar[tuple[str, str]]
    """The SDK's package, and the extra that brings it."""
    _put_off: ClassVar[tuple[str, ...]] = ()
    """Modules that the SDK imports when they are first used: too slow for an event loop."""
    _key_names: ClassVar[tuple[str, ...]] = ()
    """Environment variables that may hold the key; the first one that is set counts."""
    _url_names: ClassVar[tuple[str, ...]] = ()
    _usual_url: ClassVar[str | None] = None
    """Address of the API where the SDK does not know it."""
    _added: ClassVar[tuple[str, ...]] = ()
    """What the SDK adds to an address by itself, such as "/v1", and users may have written too."""
    _asks_for_key: ClassVar[bool] = False
    """Whether the SDK takes a function that gives the key, and asks it at each request. It is asked
    here where not."""
    _advice: ClassVar[Mapping[str, str]]
    """Of settings that LangChain's classes have and these have not: what to write instead."""

    timeout: Any = named("timeout", "request_timeout")
    max_retries: int | None = Field(default=None, ge=0)
    api_key: Key = Field(default=None, exclude=True)
    base_url: str | None = None
    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    default_query: Mapping[str, Any] | None = Field(default=None, exclude=True, repr=False)
    http_client: Any = Field(default=None, exclude=True, repr=False)
    http_async_client: Any = Field(default=None, exclude=True, repr=False)

    _clients: Clients = PrivateAttr(default_factory=Clients)

    @field_validator("timeout", check_fields=False)
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, (str, bool)) or (number and not value > 0):
            raise ValueError("a timeout is a number of seconds above 0, or None")
        return value

    @field_validator("base_url", check_fields=False)
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value and not value.lower().startswith(("http://", "https://")):
            raise ValueError("an address begins with http:// or https://")
        return value

    if not TYPE_CHECKING:

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                told = error if isinstance(self, Runnable) else readable(error, type(self))
                wrong = without_secrets(told, self._beyond)
            else:
                return
            raise wrong from None

        __init__.__pydantic_base_init__ = True  # as BaseModel's: validation need not call it

    @classmethod
    def _beyond(cls, name: str) -> str:
        """What is to be said of an argument that the class does not have."""
        if "model_kwargs" not in cls.model_fields or name in cls._advice:
            return ""
        return f" A parameter of the API goes into model_kwargs={{{name!r}: …}}."

    def __repr_args__(self) -> Any:
        """The model first, then what differs from its default."""
        fields = type(self).model_fields
        usual = {
            name: field.get_default(call_default_factory=True) for name, field in fields.items()
        }
        told = [
            (name, shown(name or "", value))
            for name, value in super().__repr_args__()
            if name == "model" or name not in usual or value != usual[name]
        ]
        return sorted(told, key=lambda pair: pair[0] != "model")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy. It uses the same connections, unless it is to go elsewhere, or as somebody else.

        Args:
            update: fields to change; they are not validated. Keys become secrets.
            deep: copy the values too.
        """
        fields = type(self).model_fields
        given = {
            name: hidden(value) if name in fields and is_secret(fields[name].annotation) else value
            for name, value in (update or {}).items()
        }
        copied = super().model_copy(update=given, deep=deep)
        if not given.keys().isdisjoint(Provider.model_fields):
            copied._clients = Clients()  # which end with the copy: there may be one per request
        return copied

    def model_post_init(self, context: Any, /) -> None:
        """The SDK is wanted at once, so that its absence is told where the model is made."""
        super().model_post_init(context)
        want_sdk(*self._sdk, purpose=type(self).__name__)

    def _what_counts(self) -> dict[str, Any]:
        """All settings that an answer may depend on, for comparing; secrets as short hashes."""
        fields = type(self).model_fields
        found: dict[str, Any] = {
            name: compared(name, getattr(self, name), secret=name in _MAY_HOLD_SECRETS)
            for name in fields.keys() - _COUNT_FOR_NOTHING
            if not is_secret(fields[name].annotation)
        }
        found["base_url"] = compared("base_url", self._url())
        return {n: found[n] for n in sorted(found) if found[n] is not None and found[n] != {}}

    def _sdk_module(self) -> Any:
        return sdk(*self._sdk, purpose=type(self).__name__)

    # ---- what vendors write ---------------------------------------------------------------------

    @abstractmethod
    def _make_client(self, settings: Mapping[str, Any], *, is_async: bool) -> Any:
        """A client of the SDK."""

    @abstractmethod
    def _fault_of(self, error: Exception) -> Fault | None:
        """What an exception of the SDK's says of the answer; None for one that is no answer."""

    def _sdk_error(self, event: Mapping[str, Any], call: Call) -> Exception | None:
        """The exception that the SDK has for an event that tells of an error."""
        return None

    def _connection(self, *, is_async: bool) -> dict[str, Any]:
        """What a client is made with. Two calls with equal settings share a client."""
        key = self._key()
        settings = {
            "api_key": key.awaited() if is_async and isinstance(key, KeyFunction) else key,
            "base_url": self._url(),
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "default_headers": self.default_headers,
            "default_query": self.default_query,
            "http_client": self.http_async_client if is_async else self.http_client,
        }
        return {name: value for name, value in settings.items() if value is not None}

    # ---- the client -----------------------------------------------------------------------------

    def _client(self) -> Any:
        settings = self._connection(is_async=False)
        return self._clients.sync(settings, lambda s: self._make_client(s, is_async=False))

    async def _aclient(self) -> Any:
        settings = self._connection(is_async=True)
        modules = (self._sdk[0], *self._put_off)
        return await self._clients.in_loop(
            settings, lambda s: self._make_client(s, is_async=True), modules
        )

    def close(self) -> None:
        """Close the connections that were kept for sync calls; the next call opens others."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections that were kept for calls in this event loop, and for sync ones."""
        await self._clients.aclose()

    def _whose(self) -> KeyNames:
        return KeyNames(type(self).__name__, self.provider, self._key_names)

    def _key(self) -> Any:
        """The key, or a `KeyFunction` where the SDK takes one.

        Raises:
            AuthenticationError: there is none, or it is none that a request can carry.
        """
        key = self.api_key
        names = self._whose()
        if key is None:
            found = environment(*self._key_names)
            if found is None:
                raise names.missing("is missing")
            return names.usable(found)
        if isinstance(key, (SecretStr, str)):
            return names.usable(key)
        asked = KeyFunction(key, names)
        return asked if self._asks_for_key else asked()

    def _url(self) -> str | None:
        url = self.base_url or environment(*self._url_names) or self._usual_url
        if url is not None and self._added:
            url = url.rstrip("/")
            url = next((url[: -len(end)] for end in self._added if url.endswith(end)), url)
        return url

    def _secrets(self) -> Sequence[str]:
        """Texts that no error may show."""
        key = self.api_key
        if isinstance(key, SecretStr):
            return (key.get_secret_value(),)
        return tuple(os.environ[name] for name in self._key_names if os.environ.get(name))

    # ---- failures -------------------------------------------------------------------------------

    def _reported(self, event: Mapping[str, Any], call: Call) -> ProviderError:
        """The error for an event that tells of one."""
        inner = event["error"]
        stated = (inner.get("status_code"), inner.get("code")) if isinstance(inner, Mapping) else ()
        status = next((one for one in stated if isinstance(one, int)), call.status)
        error = self._error(Fault(status, event, call.headers, streaming=True), call)
        error.__cause__ = self._sdk_error(event, call)
        return error

    def _error(self, fault: Fault, call: Call) -> ProviderError:
        return provider_error(self.provider, fault, call.partial(), secrets=self._secrets())

    def _failure(self, error: Exception, call: Call) -> Exception:
        """What is raised for an exception: our own error for what the provider, its SDK or the
        network did; any other is a mistake somewhere, and passes as it is."""
        if isinstance(error, ProviderError):
            error.request_id = error.request_id or call.request_id
            return error
        if isinstance(error, HeadraceError):
            return error
        fault = self._fault_of(error)  # before the error is changed, which its body may be read of
        silenced(error, self._secrets())
        streaming = call.opened and call.streams
        if fault is not None:
            headers = fault.headers or call.headers
            return self._error(fault._replace(headers=headers, streaming=streaming), call)
        if isinstance(error, UnicodeDecodeError):  # of an SDK that reads it
            said = {"message": f"It sent what is no text in UTF-8: {error.object!r:.200}"}
            return self._error(Fault(None, said, call.headers, streaming=streaming), call)
        if call.opened and isinstance(error, ValueError):  # of `json`: not what it promised
            return self._error(_no_json(error, call), call)
        silent = _in_family(error, _TIMEOUTS)
        if not silent and not _in_family(error, _BROKEN):
            return error
        seconds = self.timeout if isinstance(self.timeout, (int, float)) else None
        if not streaming:
            return unreachable(
                self.provider, error, timed_out=silent, seconds=seconds,
                opened=call.opened, request_id=call.request_id,
            )  # fmt: skip
        partial = call.partial()
        return broken_off(
            self.provider, error, partial,
            timed_out=silent, seconds=seconds, request_id=call.request_id,
        )  # fmt: skip


def _no_json(error: ValueError, call: Call) -> Fault:
    """The fault of an answer that is none: a web page, text, JSON that breaks off."""
    sent = str(getattr(error, "doc", ""))
    events = isinstance(error, NoEvents)
    page = is_page(sent) and call.partial() is None
    what = "no stream of events" if events else f"not JSON ({error})"
    said = sent if page else {"message": f"It sent what is {what}: {sent:.200}"}
    streaming = call.streams and not (events or page)
    return Fault(call.status, said, call.headers, streaming=streaming)


_MAY_HOLD_SECRETS: Final = frozenset({"default_headers", "default_query"})

# Settings that no answer depends on: as whom, how long and over which connection it is asked for,
# and what a runnable is told of its runs.
_COUNT_FOR_NOTHING: Final = frozenset(
    {
        "api_key", "azure_ad_token", "azure_ad_token_provider", "azure_ad_async_token_provider",
        "credentials", "timeout", "max_retries", "http_client", "http_async_client", "streaming",
        "name", "callbacks", "custom_get_token_ids", "tags", "metadata", "disable_streaming",
        "rate_limiter", "cache", "output_version", "profile",
    }
)  # fmt: skip


# Exceptions of the HTTP clients and of the SDKs that wrap them, by name, because which of them is
# loaded depends on the SDK: httpx, httpx2, requests.
_TIMEOUTS = frozenset({"TimeoutException", "APITimeoutError", "Timeout", "TimeoutError"})
_BROKEN = frozenset(
    {"TransportError", "APIConnectionError", "RequestException", "ConnectionError", "StreamError"}
)


def _in_family(error: BaseException, names: frozenset[str]) -> bool:
    """Whether an exception, or what it wraps, is of a class with one of these names."""
    return any(kind.__name__ in names for one in chain(error) for kind in type(one).__mro__)


def cause_of(error: Exception) -> BaseException | None:
    """What our error names as its cause: nothing where it is raised as it came."""
    return error.__cause__ if isinstance(error, HeadraceError) else error
