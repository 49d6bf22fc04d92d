"""From a function's signature to what its arguments must be, and from an input to a call.

A `Body` is a function (or a bound `_run`) taken apart once: the parameters that callers give, and
those that a run fills in (`run_manager` and `callbacks` by name, a `RunnableConfig` by annotation),
which are no part of the schema. A parameter's description is the string or the `Field` in its
`Annotated`. `arguments_of` checks an input against a schema; `Body.call` makes of the checked
values what the function is called with.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from ..config import RunnableConfig
from ..errors import ConfigError
from ..json_schema import Check, checker
from ..run import Run, RunCallbacks
from ..runnables import schema
from ..runnables.annotations import annotation_in
from .docstrings import read_docstring
from .errors import ToolArgumentsError, ToolSchemaError, is_about_arguments, with_sentence
from .injected import InjectedToolArg, InjectedToolCallId, is_injected

__all__ = [
    "FILLED",
    "Body",
    "Kind",
    "arguments_of",
    "checked_schema",
    "create_schema_from_function",
    "fields_of",
    "injected_in",
    "is_of_signature",
    "kind_of",
    "subset",
]

FILLED = ("run_manager", "callbacks")
"""Parameters that a run fills in, by name."""

Kind: TypeAlias = Literal["function", "coroutine", "generator", "async generator"]

_KINDS: dict[Kind, Callable[[Any], bool]] = {
    "coroutine": inspect.iscoroutinefunction,
    "async generator": inspect.isasyncgenfunction,
    "generator": inspect.isgeneratorfunction,
}

_Kind = inspect.Parameter


class Body:
    """A function as a tool calls it.

    fields: the annotation and default (`...`: none) of what callers give, by name, in order.
    fills: the parameters that a run fills in; `config` among them under its own name.
    injected: the fields that no model gives; `call_ids`: those of them that get the call's id.
    starred: the name of `*args`; `keywords`: the name of `**kwargs`; None without.
    kind: whether it yields, and whether it is async.
    ahead, named: the parameters that may only be given by place, only by name.
    """

    __slots__ = ("ahead", "call_ids", "config", "fields", "fills", "injected", "keywords", "kind",
                 "named", "simple", "starred")  # fmt: skip

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fields: dict[str, tuple[Any, Any]] = {}
        self.fills: tuple[str, ...] = ()
        self.config: str | None = None
        self.injected: frozenset[str] = frozenset()
        self.call_ids: frozenset[str] = frozenset()
        self.ahead: tuple[str, ...] = ()
        self.named: tuple[str, ...] = ()
        self.kind: Kind = kind_of(function)
        self.starred: str | None = None
        self.keywords: str | None = None
        for place, parameter in enumerate(_parameters(function)):
            if place or not _is_bound_later(parameter, function):
                self._take(parameter, function)
        self.simple = not any((self.ahead, self.starred, self.keywords))

    def _take(self, parameter: inspect.Parameter, function: Callable[..., Any]) -> None:
        name, kind = parameter.name, parameter.kind
        if name in FILLED and kind in (_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY):
            self.fills += (name,)
            return
        annotation = _said(parameter, function)
        if _is_config(annotation):
            self.config = name
            return
        if is_injected(annotation):
            self.injected |= {name}
            if is_injected(annotation, kind=InjectedToolCallId):
                self.call_ids |= {name}
        default = ... if parameter.default is _Kind.empty else parameter.default
        if kind is _Kind.VAR_POSITIONAL:
            self.starred, annotation, default = name, list[annotation], None  # type: ignore[valid-type]
        elif kind is _Kind.VAR_KEYWORD:
            self.keywords, annotation, default = name, dict[str, annotation], None  # type: ignore[valid-type]
        elif kind is _Kind.POSITIONAL_ONLY:
            self.ahead += (name,)
        elif kind is _Kind.KEYWORD_ONLY:
            self.named += (name,)
        self.fields[name] = (_described(annotation), default)

    def filled(self, run: Run, manager: Callable[[Run], RunCallbacks]) -> dict[str, Any]:
        """What the run fills in."""
        given: dict[str, Any] = {name: manager(run) for name in self.fills}
        if self.config is not None:
            given[self.config] = run.config()
        return given

    def call(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments for these values by parameter."""
        if self.simple:
            return (), values
        rest = dict(values)
        more = rest.pop(self.keywords, None) if self.keywords else None
        stars = rest.pop(self.starred, None) if self.starred else None
        places = [name for name in self.fields if name not in self.named] if stars else self.ahead
        before = [rest.pop(name) for name in places if name in rest]
        return (*before, *(stars or ())), {**rest, **(more or {})}


def kind_of(function: Any) -> Kind:
    """What calling it gives; of an object with `__call__`, what that gives."""
    called = getattr(function, "__call__", None)  # noqa: B004 - the method, not callability
    for kind, tells in _KINDS.items():
        if tells(function) or tells(called):
            return kind
    return "function"


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise ToolSchemaError(
            f"The arguments of a tool are read from its signature, and {function!r} has none that "
            "Python knows: wrap it in a function with annotated parameters, or give args_schema."
        ) from error


def _is_bound_later(first: inspect.Parameter, function: Any) -> bool:
    """Whether it is the `self` of a method that is written in a class body."""
    around = getattr(function, "__qualname__", "").rpartition(".")[0]
    return first.name in ("self", "cls") and around != "" and not around.endswith("<locals>")


def _said(parameter: inspect.Parameter, function: Any) -> Any:
    """Its annotation. One that cannot be read would leave an argument unchecked."""
    found, written = annotation_in(function, parameter.name), parameter.annotation
    if found is Any and isinstance(written, str) and not written.endswith("Any"):
        raise ToolSchemaError(
            f"The annotation {written!r} of the argument {parameter.name!r} names what is not to "
            "be found from its function: import or define it in the module, outside of functions "
            "and of `if TYPE_CHECKING`."
        )
    return found


def _is_config(annotation: Any) -> bool:
    """Whether it is `RunnableConfig`, alone or `| None`."""
    if get_origin(annotation) in (Union, UnionType):
        return RunnableConfig in get_args(annotation)
    return annotation is RunnableConfig


def _described(annotation: Any) -> Any:
    """The annotation, where a string in its `Annotated` is the description of the field."""
    if get_origin(annotation) is not Annotated:
        return annotation
    notes = annotation.__metadata__
    if any(isinstance(note, FieldInfo) for note in notes):
        return annotation  # pydantic reads it itself
    text = next((note for note in notes if isinstance(note, str)), None)
    return annotation if text is None else Annotated[annotation, Field(description=text)]


# -------------------------------------------------------------------- models


def create_schema_from_function(
    model_name: str,
    func: Callable[..., Any],
    *,
    filter_args: Iterable[str] = (),
    parse_docstring: bool = False,
    error_on_invalid_docstring: bool = False,
    include_injected: bool = True,
    description: str | None = None,
) -> Any:
    """The pydantic model of the arguments that a caller gives to `func`.

    Args:
        model_name: the title of its JSON schema.
        func: what is read; its docstring is the description where none is given.
        filter_args: arguments to leave out.
        parse_docstring: take the descriptions of the arguments from the docstring, and for the
            description what stands before them; Google, NumPy or reST style.
        error_on_invalid_docstring: a function of arguments whose docstring describes none, or one
            that the function has not, is a mistake.
        include_injected: False leaves out the arguments that no model gives.

    Raises:
        ToolSchemaError: `func` has no signature; an annotation names what is not there; a
            docstring that is a mistake.
    """
    body = Body(func)
    hidden = {*filter_args, *(() if include_injected else body.injected)}
    fields = {name: field for name, field in body.fields.items() if name not in hidden}
    text = inspect.getdoc(func) if description is None else description
    if parse_docstring:
        summary, said = read_docstring(inspect.getdoc(func))
        if error_on_invalid_docstring:
            _check_docstring(func, body, said)
        fields = {
            name: _documented(*field, (said or {}).get(name)) for name, field in fields.items()
        }
        text = summary if description is None else description
    model = _titled(model_name, fields, text)
    model.__of_signature__ = parse_docstring  # how to make it again
    return model


def _check_docstring(func: Any, body: Body, said: Mapping[str, str] | None) -> None:
    name = getattr(func, "__name__", repr(func))
    if said is None and body.fields:
        raise ToolSchemaError(
            f"Found invalid Google-Style docstring of {name!r}: it describes none of its "
            f"arguments ({sorted(body.fields)}); write a section 'Args:' behind an empty line, or "
            "set error_on_invalid_docstring=False."
        )
    known = {*body.fields, *body.fills, *([body.config] if body.config else [])}
    for each in said or {}:
        if each not in known:
            raise ToolSchemaError(
                f"Arg {each} in docstring not found in function signature of {name!r} (its "
                f"arguments: {sorted(known)})."
            )


def _documented(annotation: Any, default: Any, text: str | None) -> tuple[Any, Any]:
    """A field with the description that a docstring has of it."""
    return (Annotated[annotation, Field(description=text)] if text else annotation), default


def is_of_signature(model: Any) -> bool:
    """Whether it was made here, and so can be made again."""
    return isinstance(model, type) and "__of_signature__" in vars(model)


def injected_in(model: Any, kind: type = InjectedToolArg) -> frozenset[str]:
    """The fields of a model (or of a JSON schema: none) whose values no model gives."""
    if model is None or isinstance(model, dict):
        return frozenset()
    if hasattr(model, "model_fields"):
        fields = model.model_fields.items()
        return frozenset(n for n, f in fields if is_injected(f.annotation, f.metadata, kind))
    hints = get_type_hints(model, include_extras=True)
    return frozenset(n for n in model.__fields__ if is_injected(hints.get(n), kind=kind))


def _titled(name: str, fields: Mapping[str, tuple[Any, Any]], text: str | None) -> Any:
    model = schema.model_of(schema.Fields(name, fields))
    model.__doc__ = text or None
    return model


def subset(model: Any, name: str, description: str, hidden: frozenset[str]) -> Any:
    """A model of the same fields but the hidden ones, under a tool's name and description."""
    if not hasattr(model, "model_fields"):
        return _old_subset(model, name, description, hidden)
    if not getattr(model, "__pydantic_complete__", True):
        model.model_rebuild()  # a field without its type must not go missing unseen
    data = schema.of_model(model)
    fields = data.fields if isinstance(data, schema.Fields) else {}
    shown = {key: field for key, field in fields.items() if key not in hidden}
    return _titled(name, shown, description)


def _old_subset(model: Any, name: str, description: str, hidden: frozenset[str]) -> Any:
    """The same of a model of pydantic 1, whose constraints pydantic 2 does not know."""
    from pydantic.v1 import create_model

    said = get_type_hints(model)
    fields: dict[str, Any] = {
        key: (said.get(key, field.outer_type_), field.field_info)
        for key, field in model.__fields__.items()
        if key not in hidden
    }
    made = create_model(name, **fields)
    made.__doc__ = description
    return made


def checked_schema(given: Any) -> None:
    """Raises ToolSchemaError for what is neither a pydantic model nor a JSON schema."""
    if isinstance(given, dict):
        _check_of(given)
    if given is None or isinstance(given, dict) or _is_model(given):
        return
    raise ToolSchemaError(
        f"args_schema is a pydantic model class or a JSON schema as a dict; received {given!r}."
    )


def _check_of(given: dict[str, Any]) -> Check:
    """The check by a tool's JSON schema; ToolSchemaError where it is none."""
    try:
        return checker(given)
    except ConfigError as error:
        raise ToolSchemaError(f"The args_schema of a tool cannot be used. {error}") from error


def _is_model(given: Any) -> bool:
    found = isinstance(given, type)
    return found and (hasattr(given, "model_fields") or hasattr(given, "__fields__"))


def fields_of(model: Any) -> Mapping[str, Any]:
    """The fields of a model of either version of pydantic, by name."""
    found: Mapping[str, Any] | None = getattr(model, "__pydantic_fields__", None)  # `model_fields`
    return model.__fields__ if found is None else found  # is a property, and asked for in each call


# -------------------------------------------------------------------- inputs


def arguments_of(
    tool: str,
    given: Any,
    model: Any,
    known: Mapping[str, Any],
    injected: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The checked values of an input, by parameter. A string is the first argument.

    Args:
        tool: its name, for errors.
        known: the parameters of the function. A field that goes by another name (an argument
            `copy`, which pydantic has no room for) is found there by its alias.
        injected: those of them that no model gives; a JSON schema that has no word on one lets it
            pass, also where it is closed.

    Raises:
        ValidationError: pydantic's, of the version of the model; a note says it as a sentence.
        ToolArgumentsError: the schema is a dict, and the input does not go with it.
    """
    if isinstance(model, dict):
        return _by_json_schema(tool, given, model, injected)
    fields = fields_of(model)
    if not fields:
        return {}  # it takes nothing, whatever is said
    if isinstance(given, str):
        first, field = next(iter(fields.items()))
        given = {field.alias or first: given}
    validate = model.model_validate if issubclass(model, BaseModel) else model.parse_obj
    try:
        checked = validate(given)
    except ValueError as error:
        if is_about_arguments(error):
            hidden = injected | injected_in(model)
            raise with_sentence(error, tool, given, hidden) from None
        raise
    values = {_parameter(key, fields[key], known): getattr(checked, key) for key in fields}
    return {**values, **(getattr(checked, "model_extra", None) or {})}


def _parameter(key: str, field: Any, known: Mapping[str, Any]) -> str:
    alias = field.alias
    return alias if alias and key not in known and alias in known else key


def _by_json_schema(
    tool: str, given: Any, model: dict[str, Any], injected: frozenset[str]
) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ToolArgumentsError(
            f"Tool {tool!r} has a JSON schema and takes a dict of arguments; received {given!r}."
        )
    unsaid = injected.difference(model.get("properties", ()))
    wrong = _check_of(model)({key: one for key, one in given.items() if key not in unsaid})
    if wrong is not None:
        raise ToolArgumentsError(f"Tool {tool!r} has not run: {wrong}")
    return dict(given)
