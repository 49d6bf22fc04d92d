"""JSON schemas that programs give: what their references name, and whether a value goes with them.

Importing this costs nothing: the library that checks is imported by the first check.
"""

from .check import Check, checker
from .references import UnknownReferenceError, dereference_refs, find, self_contained

__all__ = [
    "Check",
    "UnknownReferenceError",
    "checker",
    "dereference_refs",
    "find",
    "self_contained",
]
