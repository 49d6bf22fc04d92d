"""What policies say of what was given wrong or has failed; loaded when there is something to say.

| who | says |
|---|---|
| `check_sdks` | that an SDK's exception is never raised by a provider's model |
| `lacking`, `Enclosing` | that a policy has no method of what is in it: where to call that |
| `first_of` | of a failure, which other ones came after it |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .. import errors
from ..errors import ConfigError

__all__ = ["Enclosing", "check_sdks", "first_of", "lacking"]

_SDKS = ("openai", "anthropic", "groq", "cohere", "mistralai", "google.genai", "httpx", "httpx2")
_MAKERS = ("bind", "with_")  # with these begin methods that make a runnable
_OWN = ("headrace.providers.", "headrace.prompts.", "headrace.output_parsers.")
_OURS = {  # what is raised for it, where the name is not the same
    "APIConnectionError": "ConnectionError",
    "APITimeoutError": "Timeout",
    "ForbiddenError": "PermissionDeniedError",
    "GatewayTimeoutError": "GatewayTimeout",
    "HTTPValidationError": "BadRequestError",
    "InternalServerError": "ServerError",
    "InvalidTokenError": "AuthenticationError",
    "ServiceUnavailableError": "ServerError",
    "StreamError": "ConnectionError",  # httpx's, when one that is closed is read
    "TimeoutException": "Timeout",
    "TooManyRequestsError": "RateLimitError",
    "TransportError": "ConnectionError",
    "UnauthorizedError": "AuthenticationError",
    "UnprocessableEntityError": "BadRequestError",
}


def check_sdks(argument: str, kinds: Sequence[type], policy: Any) -> None:
    """Raises ConfigError for a class of a provider's SDK where nothing but providers' models can
    fail: these raise `headrace.errors`. User code in the parts of `policy` may raise anything."""
    for kind in kinds:
        home = f"{kind.__module__}."
        sdk = next((name for name in _SDKS if home.startswith(f"{name}.")), None)
        if sdk is not None and _asks_providers(policy):
            raise ConfigError(
                f"{argument} holds {sdk}.{kind.__name__}, which is never raised here: use "
                f"headrace.errors.{_ours(kind)}. Headrace's models raise its own errors, with "
                "the SDK's as the __cause__."
            )


def _asks_providers(node: Any) -> bool:
    """Whether all that can fail in it are providers' models: so no code of a user's."""
    homes = [f"{type(leaf).__module__}." for leaf in _leaves(node)]
    asks = any(home.startswith(_OWN[0]) for home in homes)
    return asks and all(home.startswith(_OWN) for home in homes)


def _leaves(node: Any) -> Iterator[Any]:
    children = node._children()
    if not children:
        yield node
    for _, child in children:
        yield from _leaves(child)


def _ours(kind: type) -> str:
    """The name of ours that is nearest to an SDK's."""
    for base in kind.__mro__:
        name = _OURS.get(base.__name__, base.__name__)
        ours = getattr(errors, name, None) if base.__module__ != "builtins" else None
        if isinstance(ours, type) and issubclass(ours, (errors.ProviderError, errors.Timeout)):
            return name
    return "ProviderError"


def lacking(policy: Any, name: str) -> AttributeError:
    """Of an attribute that a policy around `bound` does not have. To hand on what a model's method
    makes would lose the policy."""
    kind = type(policy).__name__
    owner = None if name.startswith("_") else _owner(policy, name)
    said = f"{kind!r} object has no attribute {name!r}"
    if owner is not None:
        said = f"{kind} has no {name!r}, which is of the {type(owner).__name__} in it: "
        call = f"{name}(…)"
        if name.startswith(_MAKERS):
            other = "" if vars(policy).get("other") is None else f"other.{call}, "
            written = policy._written.format(call=call, other=other)
            said += f"call that first, and put the policy around what it makes, as in {written}."
        else:
            said += f"call it there, as in model.{call}."
    return AttributeError(said, name=name, obj=policy)


def _owner(inner: Any, name: str) -> Any:
    """What has such a method: `inner`, or what is in it."""
    if callable(getattr(type(inner), name, None)):
        return inner
    held = getattr(inner, "__dict__", {})
    parts = [held[key] for key in ("bound", "runnable", "other") if held.get(key) is not None]
    owners = (_owner(part, name) for part in [*parts, *held.get("runnables", ())])
    return next((owner for owner in owners if owner is not None), None)


class Enclosing:
    """A policy around `bound`. `_written`: how it is put around what a `call` of a model makes.

    Its run has a name of its own, as that of a race: what is inside has a run besides.
    """

    _written: ClassVar[str]
    bound: Any
    name: str | None

    def _kind_name(self) -> str:
        inside = [self.bound, vars(self).get("other")]
        names = ",".join(each.get_name() for each in inside if each is not None)
        return f"{type(self).__name__.partition('[')[0]}<{names}>"

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> Any:
            raise lacking(self, name)


def first_of(failed: Sequence[tuple[Any, Exception]]) -> Exception:
    """The first failure of several runnables, with a note for each other one's."""
    (_, first), *others = failed
    for number, (fallback, error) in enumerate(others, 1):
        note = (
            f"The fallback {number} ({fallback.get_name()}) failed as well: "
            f"{type(error).__name__}: {error}"
        )
        if error is not first and note not in getattr(first, "__notes__", ()):
            first.add_note(note)
    return first
