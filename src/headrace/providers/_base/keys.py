"""Keys: what may be one, how the SDKs are given it, and that nothing shows it.

A key is a text, kept as a `SecretStr`, or a function that gives it, which may be a coroutine
function where all calls are async. What a user's mistake makes pydantic say quotes the arguments;
`without_secrets` takes out of it what may be a key, also under a name that no setting has.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, get_args

from pydantic import BeforeValidator, SecretStr, ValidationError

from headrace._bridge import call_in_thread
from headrace.errors import AuthenticationError, ConfigError

__all__ = [
    "HIDDEN",
    "Key",
    "KeyFunction",
    "KeyNames",
    "cleaned",
    "compared",
    "environment",
    "hidden",
    "is_secret",
    "shown",
    "silenced",
    "without_secrets",
]

HIDDEN: Final = "**********"
"""What stands for a secret, as in pydantic's `SecretStr`."""


def environment(*names: str) -> str | None:
    """The first of these environment variables that is set, and not empty."""
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def hidden(key: Any) -> Any:
    """A key, as a secret where it is a text."""
    return SecretStr(key) if isinstance(key, str) else key


Key: TypeAlias = Annotated[SecretStr | str | Callable[..., Any] | None, BeforeValidator(hidden)]
"""A key, which is a secret from here on, or a function that gives it."""


@dataclass(frozen=True)
class KeyNames:
    """Whose key it is, for errors: the class, the provider, the environment's variables."""

    cls: str
    provider: str
    variables: tuple[str, ...]

    def missing(self, why: str) -> AuthenticationError:
        """The error for a key that is none."""
        return AuthenticationError(
            f"The key of {self.cls} {why}: set the environment variable "
            f"{' or '.join(self.variables)}, or give api_key=….",
            provider=self.provider,
        )

    def usable(self, found: Any) -> str:
        """The key, as a request can carry it.

        Raises:
            AuthenticationError: it is none that a request can carry.
        """
        if isinstance(found, SecretStr):
            found = found.get_secret_value()
        if not isinstance(found, str) and found:
            raise self.missing(f"is no text (its function gave a value of {type(found).__name__})")
        if not found:
            raise self.missing("is empty")
        if not found.isascii() or not found.isprintable() or " " in found:
            wrong = "has a space, a line break or another character that keys do not have"
            raise self.missing(wrong)
        return str(found)


@dataclass(frozen=True)
class KeyFunction:
    """A function that gives a key, as clients for sync calls want it. Two of one are equal, so that
    they share a client."""

    given: Callable[[], Any]
    names: KeyNames

    def __call__(self) -> str:
        """The key. Raises ConfigError where it would have to be awaited."""
        key = self.given()
        if inspect.isawaitable(key):
            if inspect.iscoroutine(key):
                key.close()
            raise ConfigError(
                f"The key of {self.names.cls} is given by a coroutine function, and this call "
                "cannot await it: give api_key=… a plain function, or use the async methods of a "
                "model of OpenAI's kind."
            )
        return self.names.usable(key)

    def awaited(self) -> AwaitedKey:
        """The same for clients for async calls."""
        return AwaitedKey(self.given, self.names)


@dataclass(frozen=True)
class AwaitedKey:
    """A function that gives a key or awaits one, as clients for async calls want it."""

    given: Callable[[], Any]
    names: KeyNames

    async def __call__(self) -> str:
        """The key; a plain function, which may ask a vault, works in a thread."""
        awaits = inspect.iscoroutinefunction(self.given)
        key = self.given() if awaits else await call_in_thread(self.given)
        return self.names.usable(await key if inspect.isawaitable(key) else key)


# ---- what shows nothing --------------------------------------------------------------------------

_LONG_ENOUGH: Final = 8  # characters of a secret; a shorter one, such as "any", is none


def cleaned(value: Any, secrets: Sequence[str]) -> Any:
    """The same text, or lists and dicts with texts, without the secrets in it."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _LONG_ENOUGH:
                value = value.replace(secret, HIDDEN)
    elif isinstance(value, (list, tuple)):
        return type(value)([cleaned(each, secrets) for each in value])
    elif isinstance(value, dict):
        return {name: cleaned(each, secrets) for name, each in value.items()}
    return value


def silenced(error: BaseException, secrets: Sequence[str]) -> None:
    """Take the secrets out of what an SDK's exception, and what it came from, says: a traceback
    shows them all. Providers quote keys that they refuse."""
    seen: BaseException | None = error
    while seen is not None:
        seen.args = cleaned(seen.args, secrets)
        for name in ("message", "body"):
            held = vars(seen).get(name)
            if isinstance(held, (str, dict, list)) and cleaned(held, secrets) != held:
                setattr(seen, name, cleaned(held, secrets))
        seen = seen.__cause__ or seen.__context__


# Names of arguments that hold secrets, misspelled ones included.
_SECRET: Final = re.compile(r"ke[ey]|token(?!s|ize)|secret|passw|credential|header|auth", re.I)


def is_secret(annotation: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return annotation is SecretStr or SecretStr in get_args(annotation)


def without_secrets(error: ValidationError, advice: Callable[[str], str]) -> ValidationError:
    """The same of pydantic's errors, without the keys that it quotes.

    Args:
        advice: from the name of an argument that is unknown to what is to be said behind it.
    """
    from pydantic_core import PydanticCustomError

    lines: list[Any] = []
    for each in error.errors(include_url=False):
        loc = each["loc"]
        name = str(loc[0]) if loc else ""
        said: Any = each["msg"] + (advice(name) if each["type"] == "extra_forbidden" else "")
        if each["type"] == "missing" and name == "model":
            said += f": write {error.title}(model='…'), with the name that the provider has for it."
        type_: Any = each["type"]
        kind = PydanticCustomError(type_, said, each.get("ctx"))
        lines.append({"type": kind, "loc": loc, "input": _masked(name, each["input"])})
    return ValidationError.from_exception_data(error.title, lines)


def _masked(name: str, value: Any) -> Any:
    if _SECRET.search(name) and value is not None:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _masked(str(key), each) for key, each in value.items()}
    return value


# What of an address may be a secret: who asks, and the values of its query.
_IN_URL: Final = re.compile(r"(?<=://)[^/?#@]+(?=@)|(?<=[?&])([^=&#]+=)[^&#]+")


def shown(name: str, value: Any) -> Any:
    """A setting as its model's `repr` may show it: without what may be a secret in it."""
    if isinstance(value, Mapping):
        return {key: _masked(str(key), shown(str(key), each)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(name, each) for each in value]
    if isinstance(value, str) and "://" in value:
        return _IN_URL.sub(lambda found: (found[1] or "") + HIDDEN, value)
    return value


def compared(name: str, value: Any, *, secret: bool = False) -> Any:
    """A setting as the key of a cache may have it: with a short hash where it may be a secret.

    Args:
        secret: all values in it may be.
    """
    if isinstance(value, Mapping):
        return {
            str(key): compared(str(key), each, secret=secret or bool(_SECRET.search(str(key))))
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [compared(name, each, secret=secret) for each in value]
    seen = shown(name, value)
    if not secret and (seen is value or seen == value):
        return value
    text = json.dumps(value, default=str, sort_keys=True)
    told = seen if isinstance(seen, str) and not secret else HIDDEN
    return f"{told} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
