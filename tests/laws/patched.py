"""What JSON-patch operations (RFC 6902: `add`, `replace`) make of null, one after the other."""

from __future__ import annotations

from typing import Any

Operation = dict[str, Any]


def patched(chunks: list[list[Operation]]) -> Any:
    """The value that lists of such operations, one after the other, make of null.

    Values that the operations hold are copied where something is put into them.
    """
    root: list[Any] = [None]
    own: set[int] = set()
    keep: list[Any] = []  # so that no id is given twice
    for operations in chunks:
        for operation in operations:
            _apply(root, operation, own, keep)
    return root[0]


def _apply(root: list[Any], operation: Operation, own: set[int], keep: list[Any]) -> None:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")]
    holder: Any = root
    at: Any = 0
    for part in parts[1:]:
        inner = holder[at]
        if id(inner) not in own:
            inner = dict(inner) if isinstance(inner, dict) else list(inner)
            holder[at] = inner
            own.add(id(inner))
            keep.append(inner)
        holder, at = inner, int(part) if isinstance(inner, list) else part
    if isinstance(holder, list) and at == len(holder):
        holder.append(operation["value"])
    else:
        holder[at] = operation["value"]
