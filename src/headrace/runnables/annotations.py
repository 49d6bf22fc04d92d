"""What classes and functions say about the types they take and give; read without pydantic.

Of a class: the type arguments on its class line, through any number of generic bases. Of a
function: its annotations, strings among them resolved where they can be; of one without, the keys
that it reads of its first parameter (`x["key"]`, `x.get("key")`), from its source. What is not
said is `Any`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

__all__ = [
    "UNSAID",
    "annotation_in",
    "chunks_of",
    "class_types",
    "given_by",
    "item_of",
    "keys_read",
    "resolved",
    "taken_by",
]

UNSAID = TypeVar("UNSAID")
"""Stands for a type argument that a class line leaves out."""

_ITERATORS = (Iterator, AsyncIterator)
_STREAMS = (*_ITERATORS, Iterable, AsyncIterable, Generator, AsyncGenerator)


# -------------------------------------------------------------------- classes


def class_types(node: Any, root: Any) -> tuple[Any, ...]:
    """The type arguments of the generic class `root` for an instance of a subclass of it."""
    cls = type(node)
    given = get_args(getattr(node, "__orig_class__", None))  # X[str, int](...) says it, too
    table = dict(zip(getattr(cls, "__parameters__", ()), given, strict=False))
    said = (_substituted(argument, table) for argument in _class_line(cls, root))
    space = vars(sys.modules.get(cls.__module__, sys))
    return tuple(_settled(resolved(argument, space)) for argument in said)


def _class_line(cls: Any, root: Any) -> tuple[Any, ...]:
    if cls is root:
        return root.__parameters__  # type: ignore[no-any-return]
    for base in vars(cls).get("__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, root):
            parameters = getattr(origin, "__parameters__", ())
            given = get_args(base) or (UNSAID,) * len(parameters)
            table = dict(zip(parameters, given, strict=False))
            return tuple(_substituted(a, table) for a in _class_line(origin, root))
    return (UNSAID,) * len(root.__parameters__)


def _substituted(annotation: Any, table: Mapping[Any, Any]) -> Any:
    if isinstance(annotation, TypeVar):
        return table.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or isinstance(annotation, type):
        return annotation
    return annotation[tuple(table.get(each, each) for each in parameters)]


def _settled(annotation: Any) -> Any:
    """A type variable that nobody filled in stands for its bound."""
    if isinstance(annotation, TypeVar) and annotation is not UNSAID:
        return annotation.__bound__ or Any
    return annotation


# -------------------------------------------------------------------- annotations of functions


def taken_by(function: Any) -> Any:
    """The type of a function's first parameter."""
    signature = _signature(function)
    first = next(iter(signature.parameters.values()), None) if signature else None
    return Any if first is None else _annotation(first.annotation, function)


def given_by(function: Any) -> Any:
    """The type of what calling it gives: of one item, for a generator function; of a class,
    itself."""
    if isinstance(function, type):
        return function
    found = chunks_of(function)
    body = _body(function)
    streams = inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body)
    return item_of(found) if get_origin(found) in (_STREAMS if streams else _ITERATORS) else found


def chunks_of(function: Any) -> Any:
    """The annotation of what a generator function gives: of the stream, not of an item."""
    signature = _signature(function)
    return _annotation(signature.return_annotation, function) if signature else Any


def item_of(annotation: Any) -> Any:
    """The type of the items of an annotated iterator: its first type argument."""
    return next(iter(get_args(annotation)), Any)


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):  # builtins and classes that do not say
        return None


def annotation_in(function: Any, parameter: str) -> Any:
    """The annotation of a function's parameter, by its name."""
    return _annotation(inspect.signature(function).parameters[parameter].annotation, function)


def _annotation(annotation: Any, function: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    body = _body(function)
    inside = {}
    for name, cell in zip(
        getattr(getattr(body, "__code__", None), "co_freevars", ()),
        getattr(body, "__closure__", None) or (),
        strict=False,
    ):
        try:
            inside[name] = cell.cell_contents
        except ValueError:  # a name that has no value yet
            continue
    return resolved(annotation, getattr(body, "__globals__", {}), inside)


def _body(function: Any) -> Any:
    """The plain function behind a partial, a decorated function, a method, a callable object."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    if hasattr(function, "__code__"):
        return function
    return getattr(type(function), "__call__", function)  # noqa: B004 - the method itself


def resolved(
    annotation: Any, names: Mapping[str, Any], inside: Mapping[str, Any] | None = None
) -> Any:
    """An annotation without strings in it, or `Any` where one names what is not to be found."""
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        hints = get_type_hints(holder, dict(names), dict(inside or {}), include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return annotation if isinstance(annotation, (type, TypeVar)) else Any
    return hints["it"]


# -------------------------------------------------------------------- keys that a function reads


def keys_read(function: Any) -> list[str]:
    """The keys that a function reads of its first parameter, sorted; those of an `itemgetter`."""
    if isinstance(function, itemgetter):
        items = function.__reduce__()[1]
        return list(items) if all(isinstance(item, str) for item in items) else []
    code = getattr(function, "__code__", None)
    if code is None or not code.co_argcount:
        return []
    try:
        lines, _ = inspect.findsource(code)
        definition = _definition(_parsed("".join(lines)), code)
    except (OSError, SyntaxError, ValueError):  # no source, or not the one that runs
        return []
    if definition is None or not definition.args.args:
        return []
    name = definition.args.args[0].arg
    keys = (_key(node, name) for node in ast.walk(definition))
    return sorted({key for key in keys if key})


@lru_cache(maxsize=8)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _definition(tree: ast.Module, code: Any) -> Any:
    """Where in its file the code of a function was written. Lambdas have no name, and there may be
    several in a line: theirs is the one whose body some instruction has as its place."""
    places = set(code.co_positions())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min(part.lineno for part in (node, *node.decorator_list))
            if node.name == code.co_name and code.co_firstlineno in (first, node.lineno):
                return node
        elif isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
            body = node.body
            place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
            if code.co_name == "<lambda>" and place in places:
                return node
    return None


def _key(node: ast.AST, name: str) -> str | None:
    """The key in `name["key"]` or `name.get("key")`."""
    owner: Any = None
    key: Any = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        owner, key = node.value, node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and node.args
    ):
        owner, key = node.func.value, node.args[0]
    if not isinstance(owner, ast.Name) or owner.id != name or not isinstance(key, ast.Constant):
        return None
    return key.value if isinstance(key.value, str) else None
