"""The error for a prompt that lacks variables: it names them, and what was given in their place.

Variables that a prompt does not use are no error by themselves: the dict that goes through a chain
mostly has more keys than each prompt of it needs. Where one is missing, an unused one is the likely
typing error, so then they are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.errors import MissingVariablesError

__all__ = ["in_braces", "missing_variables"]

_ALIKE = 0.6  # of difflib's ratio: "tpoic" is like "topic", "count" is not like "content"


def missing_variables(
    missing: Iterable[str],
    received: Iterable[str],
    used: Iterable[str] = (),
    braces: Iterable[str] = (),
) -> MissingVariablesError:
    """The error, to be raised.

    Args:
        used: further variables that the prompt can do something with.
        braces: those that stand in an f-string template, where `{name}` may have been meant as
            text; writing braces twice helps in no other format.
    """
    lacks, has = sorted(set(missing)), sorted(map(str, received))
    names = f"{{{', '.join(map(repr, lacks))}}}"  # as a set shows itself, in one order
    meant = sorted(set(lacks).intersection(braces))
    twice = (
        f"; if braces were meant as text, write them twice: '{{{{{meant[0]}}}}}'" if meant else ""
    )
    return MissingVariablesError(
        f"The prompt needs the variables {names}, which were not given (received: {has})."
        f"{_unused(lacks, sorted(set(has).difference(used)))} Pass them in the input{twice}."
    )


def in_braces(prompt: Any) -> set[str]:
    """The variables of a prompt, or of a template of a message, that stand in f-strings."""
    if isinstance(prompt, (list, tuple)):
        return set().union(*map(in_braces, prompt))
    written = getattr(prompt, "template_format", None)
    if written is not None:
        return set(prompt.input_variables) if written == "f-string" else set()
    parts = getattr(prompt, "messages", None) or getattr(prompt, "prompt", None)
    return in_braces(parts) if parts is not None else set()


def _unused(missing: list[str], unused: list[str]) -> str:
    from difflib import get_close_matches  # slow to import, and nothing is missing mostly

    if not unused:
        return ""
    likely = {name: get_close_matches(name, unused, 1, _ALIKE) for name in missing}
    meant = [f"{found[0]!r} for {name!r}" for name, found in likely.items() if found]
    hint = f"; is {' and '.join(meant)} a typing error?" if meant else "."
    return f" It has no use for {unused}{hint}"
