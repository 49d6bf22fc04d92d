"""What there is to say of a node: as JSON, as a label, as lines about its metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..runnables import Runnable
from .parts import Node, shown_name

__all__ = ["label_of", "metadata_lines", "node_json", "one_line"]


def node_json(node: Node, *, with_schemas: bool, with_kinds: bool) -> dict[str, Any]:
    """What `Graph.to_json` says of a node, apart from its id.

    `type` is `"runnable"` (`data`: the class's dotted path in parts, and the name), `"schema"`
    (`data`: the name or the JSON schema) or `"unknown"`.
    """
    entry: dict[str, Any] = {}
    data = node.data
    if isinstance(data, Runnable):
        kind = type(data)
        path = [*kind.__module__.split("."), kind.__name__]
        entry = {"type": "runnable", "data": {"id": path, "name": node.name}}
    elif data is not None:
        is_schema = isinstance(data, type) and hasattr(data, "model_json_schema")
        entry["type"] = "schema" if is_schema else "unknown"
        entry["data"] = shown_name(node.id, data)
        if is_schema and with_schemas:
            entry["data"] = _schema(data)
    if with_kinds and node.kind:
        entry["kind"] = node.kind
    if node.metadata is not None:
        entry["metadata"] = node.metadata
    return entry


def _schema(model: Any) -> Any:
    from pydantic.errors import PydanticInvalidForJsonSchema

    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # a field that JSON has no type for
        return {"title": model.__name__}


def label_of(node: Node) -> str:
    """A node's name; one that is named by its id goes by the id's last part in a subgraph."""
    return node.id.rpartition(":")[2] if node.name == node.id else node.name


_LEFT_OUT = "..."  # in every font


def one_line(text: str, longest: int) -> str:
    """A text in one line, without what a terminal would obey. Of a longer one the middle is left
    out: names of the same thing differ at their ends."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    if len(shown) <= longest:
        return shown
    end = longest * 2 // 5
    return f"{shown[: longest - end - len(_LEFT_OUT)]}{_LEFT_OUT}{shown[-end:]}"


def metadata_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    """A line for each entry that can be said in one."""
    for key, value in metadata.items():
        if isinstance(value, str | int | float):
            yield f"{key} = {value}"
        elif isinstance(value, list | tuple | set | frozenset) and all(
            isinstance(each, str | int | float) for each in value
        ):
            texts = [str(each) for each in value]
            in_order = sorted(texts) if isinstance(value, set | frozenset) else texts
            yield f"{key} = {', '.join(in_order)}"
