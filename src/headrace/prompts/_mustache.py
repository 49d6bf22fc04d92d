"""Mustache templates, without partials and without other delimiters: both are refused.

`{{name}}` is HTML-escaped, `{{{name}}}` and `{{&name}}` are not; `{{#name}}…{{/name}}` is a section
(once for a value, once for each item of a list, not for what is empty), `{{^name}}…{{/name}}` the
opposite, `{{! … }}` a comment. Dotted names go into dicts and, by index, lists, never into
attributes; what is not there is shown as nothing. The syntax is that of mustache(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["SECTION", "Mustache"]

SECTION = ""  # in a shape: the name around it is that of a section; no name is empty

_TAG = re.compile(
    r"\{\{\{\s*(?P<raw>.*?)\s*\}\}\}|\{\{(?P<sign>[#^/!&>=]?)\s*(?P<name>.*?)\s*\}\}", re.S
)
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
_LINE_END = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_MISSING = object()


class _Variable(NamedTuple):
    path: tuple[str, ...]
    raw: bool


class _Section(NamedTuple):
    path: tuple[str, ...]
    inverted: bool
    parts: list[Any]


class Mustache:
    """A parsed mustache template. `variables`: the names used outside of any section; `nested`:
    those of them that are a section, or into which a dotted name goes.

    Raises ValueError, with what is wrong, for a malformed one.
    """

    __slots__ = ("_parts", "nested", "variables")

    def __init__(self, template: str) -> None:
        self._parts = _parse(template)
        tags = [part for part in self._parts if not isinstance(part, str) and part.path]
        self.variables = tuple(sorted({tag.path[0] for tag in tags}))
        deep = {tag.path[0] for tag in tags if tag.path[1:] or isinstance(tag, _Section)}
        self.nested = tuple(sorted(deep))

    def shape(self) -> dict[str, Any]:
        """The names used, as a tree: in each, those that are looked up in it."""
        tree: dict[str, Any] = {}
        _grow(self._parts, tree)
        return tree

    def render(self, values: Mapping[str, Any]) -> str:
        out: list[str] = []
        _render(self._parts, [values], out)
        return "".join(out)


def _parse(template: str) -> list[Any]:
    parts: list[Any] = []
    open_: list[tuple[str, list[Any]]] = []  # sections: their name, and the parts around them
    position = 0
    for tag in _TAG.finditer(template):
        raw, sign, name = tag["raw"], tag["sign"], tag["name"]
        start, end = tag.span()
        if sign and sign in "#^/!":
            start, end = _alone(template, start, end)
        parts.append(template[position : max(start, position)])
        position = end
        if raw is not None or sign in ("", "&"):
            parts.append(_Variable(_path(raw or name), raw is not None or sign == "&"))
        elif sign in "#^":
            section = _Section(_path(name), sign == "^", [])
            parts.append(section)
            open_.append((name, parts))
            parts = section.parts
        elif sign == "/":
            if not open_ or open_[-1][0] != name:
                raise ValueError(f"{{{{/{name}}}}} closes no open section")
            parts = open_.pop()[1]
        elif sign != "!":
            what = "partials" if sign == ">" else "other delimiters"
            raise ValueError(f"{tag.group()} asks for {what}, which are not supported")
    if open_:
        raise ValueError(f"the section {{{{#{open_[-1][0]}}}}} is not closed")
    rest = template[position:]
    if "{{" in rest:
        raise ValueError(f"the tag {rest[rest.index('{{') :][:20]!r} is not closed")
    parts.append(rest)
    return parts


def _alone(template: str, start: int, end: int) -> tuple[int, int]:
    """The span of a tag; with its line, where nothing else stands on that."""
    line = template.rfind("\n", 0, start) + 1
    after = _LINE_END.match(template, end)
    if after is None or template[line:start].strip(" \t"):
        return start, end
    return line, after.end()


def _path(name: str) -> tuple[str, ...]:
    if name == ".":
        return ()
    if not name or not all(name.split(".")):
        raise ValueError(f"{name!r} is no name")
    return tuple(name.split("."))


def _grow(parts: Sequence[Any], tree: dict[str, Any]) -> None:
    for part in parts:
        if isinstance(part, str):
            continue
        node = tree
        for name in part.path:
            node = node.setdefault(name, {})
        if isinstance(part, _Section):
            if part.path:
                node.setdefault(SECTION, {})
            _grow(part.parts, node)


def _look_up(path: tuple[str, ...], scopes: list[Any]) -> Any:
    if not path:
        return scopes[-1]
    found = (_item(scope, path[0]) for scope in reversed(scopes))
    value = next((value for value in found if value is not _MISSING), _MISSING)
    for name in path[1:]:
        value = _item(value, name)
    return None if value is _MISSING else value


def _item(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name, _MISSING)
    if isinstance(holder, (list, tuple)) and name.isdigit() and int(name) < len(holder):
        return holder[int(name)]
    return _MISSING


def _render(parts: Sequence[Any], scopes: list[Any], out: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            out.append(part)
            continue
        value = _look_up(part.path, scopes)
        if isinstance(part, _Variable):
            text = "" if value is None else str(value)
            out.append(text if part.raw else text.translate(_ESCAPES))
        elif part.inverted:
            if not value:
                _render(part.parts, scopes, out)
        elif value:
            for item in value if isinstance(value, (list, tuple)) else (value,):
                _render(part.parts, [*scopes, item], out)
