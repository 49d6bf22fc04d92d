"""Functions of a conversation that are also runnables: called without messages, they give one.

trim_messages(messages, max_tokens=100, token_counter=model)      # a list of messages
trim_messages(max_tokens=100, token_counter=model) | model        # a chain
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, cast, overload

from ..errors import InputError
from ..messages import BaseMessage, MessageLikeRepresentation
from ..prompt_values import PromptValue
from ..runnables import Runnable, RunnableLambda
from ..runnables._construction import nearest

__all__ = ["Conversation", "KindLike", "is_of_kind", "kinds_of", "over_messages"]

P = ParamSpec("P")
Conversation: TypeAlias = Iterable[MessageLikeRepresentation] | PromptValue
Kind: TypeAlias = str | type[BaseMessage]
KindLike: TypeAlias = Kind | Iterable[Kind]
_TYPES = frozenset(("ai", "human", "system", "tool", "function", "chat"))  # nothing to look up


class OverMessages(Protocol[P]):
    """A function of messages that without them gives a runnable."""

    @overload
    def __call__(
        self, messages: None = None, *args: P.args, **kwargs: P.kwargs
    ) -> Runnable[Any, list[BaseMessage]]: ...
    @overload
    def __call__(
        self, messages: Conversation, *args: P.args, **kwargs: P.kwargs
    ) -> list[BaseMessage]: ...


def over_messages(
    quick: bool,
) -> Callable[[Callable[Concatenate[Any, P], list[BaseMessage]]], OverMessages[P]]:
    """Make a function of messages give a runnable, named as it, when it is called without them.

    Args:
        quick: it only computes, so that async runs need no thread for it.
    """

    def decorate(function: Callable[..., Any]) -> OverMessages[P]:
        @wraps(function)
        def door(messages: Any = None, *args: Any, **kwargs: Any) -> Any:
            if messages is not None:
                return function(messages, *args, **kwargs)
            ready = partial(function, **kwargs)

            async def at_once(value: Any) -> Any:
                return ready(value)

            return RunnableLambda(ready, at_once if quick else None, name=function.__name__)

        return cast(OverMessages[P], door)

    return decorate


def kinds_of(kinds: KindLike | None) -> tuple[frozenset[str], tuple[type[BaseMessage], ...]]:
    """Kinds of messages as names and classes; one kind, several, or none.

    Raises:
        InputError: one is neither a type's name nor a class of messages.
    """
    if kinds is None:
        return frozenset(), ()
    given = [kinds] if isinstance(kinds, (str, type)) else list(kinds)
    for kind in given:
        known: Any = kind  # anything may be given here
        is_class = isinstance(known, type) and issubclass(known, BaseMessage)
        if not isinstance(known, str) and not is_class:
            raise InputError(
                f"{kind!r} is no kind of message: give a name such as 'human', or a class such as "
                "HumanMessage."
            )
    names = frozenset(kind for kind in given if isinstance(kind, str))
    unknown = sorted(names - _TYPES) and sorted(names - _known_types())
    if unknown:
        known = sorted(_known_types())
        meant = nearest(unknown[0], known)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise InputError(
            f"{unknown[0]!r} is no type of message{hint}: the types are {', '.join(known)}, and a "
            "class of your own has the `type` that it says."
        )
    return names, tuple(kind for kind in given if isinstance(kind, type))


def _known_types() -> frozenset[str]:
    """The `type` of every class of messages that there is, users' included."""
    todo, found = [BaseMessage], set()
    while todo:
        cls: Any = todo.pop()
        todo += cls.__subclasses__()
        found.add(cls.__dict__.get("type"))
    return frozenset(name for name in found if name and isinstance(name, str))


def is_of_kind(
    message: BaseMessage, kinds: tuple[frozenset[str], tuple[type[BaseMessage], ...]]
) -> bool:
    """Whether a message is of one of the kinds that `kinds_of` gave."""
    names, classes = kinds
    return message.type in names or isinstance(message, classes)
