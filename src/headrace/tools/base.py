"""`BaseTool`: a runnable that does something for a model, or for anybody who calls it.

    class Search(BaseTool):
        name: str = "search"
        description: str = "Look something up."

        def _run(self, query: str, limit: int = 3) -> str:
            return "…"

| input | result |
|---|---|
| a string: the first argument | what `_run` returned |
| a dict of arguments | the same |
| a tool call, `{"type": "tool_call", "id", "name", "args"}` | a `ToolMessage` with that id |

Arguments are checked before the body runs. A tool gives its result at once: `stream` yields one
chunk, `explain()` shows a barrier. What the body invokes is a child of the tool's run.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, PrivateAttr

from .._bridge import call_in_thread
from ..callbacks.arguments import facts
from ..callbacks.run_managers import CallbackManagerForToolRun
from ..config import RunnableConfig, merge_configs
from ..errors import ConfigError, InputError
from ..messages import ToolMessage
from ..messages.tool import ToolOutputMixin
from ..messages.tool_calls import split_call
from ..run import Run
from ..runnables import schema
from ..runnables._doors import no_sync_body
from ..runnables.serializable import RunnableSerializable
from ..shapes import Barrier, Kwargs
from .errors import SchemaAnnotationError, ToolArgumentsError, ToolException, is_about_arguments
from .injected import InjectedToolCallId
from .schema import (
    Body,
    arguments_of,
    checked_schema,
    create_schema_from_function,
    injected_in,
    is_of_signature,
    subset,
)

__all__ = ["BaseTool", "ToolInput", "ToolRunManager"]

ToolInput: TypeAlias = str | dict[str, Any]
"""A tool call is a dict, too; see the head of this file."""

_BLOCKS = frozenset(
    {"text", "image_url", "image", "json", "search_result", "custom_tool_call_output", "document",
     "file"}
)  # fmt: skip
"""The types of content blocks that a message may hold as they are."""

_Answer = tuple[Any, Any, Literal["success", "error"]]  # content, artifact, status


class ToolRunManager(CallbackManagerForToolRun):
    """What a tool's body gets as `run_manager` or `callbacks`; the same one in both colours."""

    __slots__ = ()

    def get_sync(self) -> ToolRunManager:
        """What an async body hands on to a sync one."""
        return self


class _Again(NamedTuple):
    """Stands in a pickle for the schema that a signature says, with its docstring or without."""

    name: str
    documented: bool


class BaseTool(Barrier, RunnableSerializable[ToolInput, Any], ABC):
    """Base of tools, which write `_run`, `_arun` or both. Without `_arun`, `_run` is called in a
    worker thread in async runs; without `_run`, sync calls raise AsyncOnlyError.

    Both may have parameters that the run fills in and that are no arguments of the tool:
    `run_manager`, `callbacks`, and one annotated as `RunnableConfig`.

    Args:
        name: what models call it by, and what it is called in events.
        description: for the model: what it does, when to use it.
        args_schema: what arguments it takes: a pydantic model class or a JSON schema. Without one
            they are read from the signature of `_run`.
        return_direct: for agents: the result is the answer.
        tags, metadata: of this tool's runs in events.
        handle_tool_error: what to answer where the body raises ToolException, in place of raising:
            True for the exception's text, a text, or a function of the exception.
        handle_validation_error: the same for arguments that are not valid.
        response_format: "content": the body returns what the model reads; "content_and_artifact":
            a pair of that and of what is for the program.
        extras: settings for providers, e.g. `{"cache_control": {…}}`.
    """

    _run_type: ClassVar[str] = "tool"
    _collects: ClassVar[bool] = True
    _written: ClassVar[frozenset[str]] = frozenset()  # of `_run` and `_arun`, by a user's class
    _read: ClassVar[dict[str, Body]] = {}  # the bodies, taken apart when first needed

    name: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    description: str
    args_schema: Any = None
    return_direct: bool = False
    verbose: bool = False
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    handle_tool_error: bool | str | Callable[[ToolException], Any] | None = False
    handle_validation_error: bool | str | Callable[[Any], Any] | None = False
    response_format: Literal["content", "content_and_artifact"] = "content"
    extras: dict[str, Any] | None = None

    # models made when first asked for, each behind what it was made of
    _shown_schema: Any = PrivateAttr(default=None)
    _inferred: Any = PrivateAttr(default=None)

    def __init__(self, **kwargs: Any) -> None:
        checked_schema(kwargs.get("args_schema"))
        super().__init__(**kwargs)
        if not self._written:
            raise ConfigError(
                f"{type(self).__name__} has no body: define `_run`, `_arun` or both, or make the "
                "tool of a function with @tool."
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.get_annotations(cls).get("args_schema") in (BaseModel, "BaseModel"):
            raise SchemaAnnotationError(
                f"{cls.__name__} annotates args_schema as an instance of a model and it holds a "
                "class: write `args_schema: type[BaseModel] = …`."
            )
        found = {name: getattr(cls, name) for name in ("_run", "_arun")}
        cls._written = frozenset(n for n, f in found.items() if f is not getattr(BaseTool, n))
        cls._read = {}

    # ------------------------------------------------------------- the author's part

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """The work: called with the checked arguments, by name."""
        raise no_sync_body(self)

    async def _arun(self, *args: Any, **kwargs: Any) -> Any:
        """The same for async runs."""
        return await call_in_thread(partial(self._run, *args, **kwargs))

    @property
    def _async_only(self) -> Any:
        return None if "_run" in self._written else self

    # ------------------------------------------------------------- what it takes

    @property
    def args(self) -> dict[str, Any]:
        """The arguments a caller may give: the `properties` of the JSON schema."""
        shown = self.tool_call_schema
        found = shown if isinstance(shown, dict) else schema.json_schema(shown)
        properties: dict[str, Any] = found.get("properties", {})
        return properties

    @property
    def is_single_input(self) -> bool:
        """Whether it takes one argument, `kwargs` not counted."""
        return len([key for key in self.args if key != "kwargs"]) == 1

    @property
    def tool_call_schema(self) -> Any:
        """What a model is told of the arguments: a pydantic model of the tool's name and
        description, or the JSON schema that it was given, with the description."""
        given = self.args_schema
        if isinstance(given, dict):
            return {**given, "description": self.description} if self.description else given
        made_of = (self.name, self.description, given)
        if self._shown_schema is None or self._shown_schema[0] != made_of:
            whole = self._schema()
            model = subset(whole, self.name, self.description, injected_in(whole))
            self._shown_schema = (made_of, model)
        return self._shown_schema[1]

    def _schema(self) -> Any:
        """What inputs are checked against: the given schema, or one of the body's signature."""
        if self.args_schema is not None:
            return self.args_schema
        if self._inferred is None or self._inferred[0] != self.name:
            model = create_schema_from_function(self.name, self._source(), description="")
            self._inferred = (self.name, model)
        return self._inferred[1]

    def _source(self) -> Callable[..., Any]:
        """The body whose signature says what the arguments are."""
        return self._run if "_run" in self._written else self._arun

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return schema.Plain(schema.title(self, side), Any)
        if isinstance(self.args_schema, dict):
            return schema.Plain(schema.title(self, side), ToolInput)
        return schema.of_model(self._schema())

    def __getstate__(self) -> dict[Any, Any]:
        """Without the models that were made; pickle would not find their classes."""
        state = super().__getstate__()
        fields, private = dict(state["__dict__"]), state["__pydantic_private__"]
        if is_of_signature(fields.get("args_schema")):
            given = fields["args_schema"]
            fields["args_schema"] = _Again(given.__name__, given.__of_signature__)
        forgotten = {"_shown_schema": None, "_inferred": None}
        return {**state, "__dict__": fields, "__pydantic_private__": {**private, **forgotten}}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        again = self.args_schema
        if isinstance(again, _Again):
            self.args_schema = create_schema_from_function(
                again.name, self._source(), parse_docstring=again.documented
            )

    # ------------------------------------------------------------- a call

    def _body(self, name: str) -> Body:
        """A body taken apart."""
        body = self._read.get(name)
        if body is None:
            body = self._read[name] = Body(getattr(self, name))
        return body

    def _target(self, colour: Literal["sync", "async"]) -> tuple[Callable[..., Any], Body, bool]:
        """What to call in a run of that colour, taken apart, and whether to await it."""
        if colour == "async" and "_arun" in self._written:
            return self._arun, self._body("_arun"), True
        return self._run, self._body("_run"), False

    def _ready(self, given: Any, run: Run, function: Any, body: Body) -> Callable[[], Any]:
        """The call to make, arguments checked and filled in."""
        if self.args_schema is not None:
            values = arguments_of(self.name, given, self.args_schema, body.fields, body.injected)
            unsaid = body.injected.difference(values)
            values = {**values, **{k: v for k, v in _items(given) if k in unsaid}}
        else:
            values = self._by_signature(given, body)
        args, kwargs = body.call(values)
        return partial(function, *args, **kwargs, **body.filled(run, ToolRunManager))

    def _with_call_id(self, given: Any, call_id: str | None, body: Body) -> Any:
        """The input, with the id of its call where the body wants it."""
        wanted = body.call_ids | injected_in(self.args_schema, InjectedToolCallId)
        if not wanted:
            return given
        if call_id is None:
            if isinstance(given, Mapping) and wanted <= given.keys():
                return given
            raise ToolArgumentsError(
                "When tool includes an InjectedToolCallId argument, tool must always be invoked "
                f"with a full model ToolCall: invoke {self.name!r} with {{'type': 'tool_call', "
                f"'id': …, 'name': {self.name!r}, 'args': …}}."
            )
        return {**given, **dict.fromkeys(wanted, call_id)} if isinstance(given, Mapping) else given

    def _by_signature(self, given: Any, body: Body) -> dict[str, Any]:
        """The checked values where the signature is the schema: nothing more is let in, unless it
        has room for it."""
        if isinstance(given, str) and body.starred == next(iter(body.fields), None):
            return {body.starred: [given]} if body.starred else {}
        values = arguments_of(self.name, given, self._schema(), body.fields)
        known = body.fields
        more = {key: one for key, one in _items(given) if key not in known}
        if more and body.keywords is None:
            raise ToolArgumentsError(
                f"Tool {self.name!r} has not run: it has no argument "
                f"{', '.join(map(repr, sorted(more)))} (its arguments: {sorted(known)})."
            )
        if more and body.keywords is not None:
            values[body.keywords] = {**(values.get(body.keywords) or {}), **more}
        return values

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given, call_id = _asked(self.name, value, run)
        try:
            function, body, _ = self._target("sync")
            given = self._with_call_id(given, call_id, body)
            answer = self._answer(run.call(self._ready(given, run, function, body)))
        except Exception as error:
            instead = self._instead(error)
            if instead is None:
                raise
            answer = instead
        return _formatted(*answer, call_id, self.name)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given, call_id = _asked(self.name, value, run)
        try:
            function, body, awaited = self._target("async")
            given = self._with_call_id(given, call_id, body)
            ready = self._ready(given, run, function, body)
            if awaited:
                answer = self._answer(await run.acall(ready))
            else:
                answer = self._answer(await call_in_thread(run.call, ready))
        except Exception as error:
            instead = self._instead(error)
            if instead is None:
                raise
            answer = instead
        return _formatted(*answer, call_id, self.name)

    def _answer(self, returned: Any) -> _Answer:
        """What the body returned, taken apart as `response_format` says."""
        if self.response_format == "content":
            return returned, None, "success"
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise InputError(
                f"Tool {self.name!r} has response_format='content_and_artifact' and returned "
                f"{returned!r} ({type(returned).__name__}): return a tuple of two, the content "
                "for the model and the artifact for the program."
            )
        return returned[0], returned[1], "success"

    def _instead(self, error: Exception) -> _Answer | None:
        """What to answer in place of raising, or None."""
        if is_about_arguments(error):
            wish: Any = self.handle_validation_error
            text = "Tool input validation error"
        elif isinstance(error, ToolException):
            wish = self.handle_tool_error
            text = error.args[0] if error.args else "Tool execution error"
        else:
            return None
        if not wish:
            return None
        if wish is True:
            return text, None, "error"
        return (wish if isinstance(wish, str) else wish(error)), None, "error"

    # ------------------------------------------------------------- older doors

    def run(
        self,
        tool_input: str | dict[str, Any],
        verbose: bool | None = None,
        start_color: str | None = None,
        color: str | None = None,
        callbacks: Any = None,
        *,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **given: Any,
    ) -> Any:
        """`invoke`, with the fields of the config (`tags`, `metadata`, `run_name`, `run_id`) as
        keyword arguments; colours are for handlers that print, and not needed."""
        asked = _as_call(tool_input, tool_call_id, self.name)
        return self.invoke(asked, _config_of(config, callbacks, given))

    async def arun(
        self,
        tool_input: str | dict[str, Any],
        verbose: bool | None = None,
        start_color: str | None = None,
        color: str | None = None,
        callbacks: Any = None,
        *,
        config: RunnableConfig | None = None,
        tool_call_id: str | None = None,
        **given: Any,
    ) -> Any:
        """`run`, async."""
        asked = _as_call(tool_input, tool_call_id, self.name)
        return await self.ainvoke(asked, _config_of(config, callbacks, given))


def _items(given: Any) -> Any:
    return given.items() if isinstance(given, Mapping) else ()


def _as_call(given: Any, call_id: str | None, name: str) -> Any:
    return given if call_id is None else {
        "type": "tool_call", "id": call_id, "name": name, "args": given
    }  # fmt: skip


_CONFIG = ("tags", "metadata", "run_name", "run_id")


def _config_of(config: Any, callbacks: Any, given: Mapping[str, Any]) -> RunnableConfig:
    said = {key: given[key] for key in _CONFIG if given.get(key) is not None}
    if callbacks is not None:
        said["callbacks"] = callbacks
    return merge_configs(config, said)


def _asked(tool: str, value: Any, run: Run) -> tuple[Any, str | None]:
    """The arguments and the id of the call, if it is one; views find the id with the run."""
    given, call_id = split_call(value)
    if call_id is not None and run.observed:
        facts(run)["tool_call_id"] = call_id
    if given is None and given is not value:
        raise ToolArgumentsError(
            f"A call of tool {tool!r} has the keys 'id', 'name' and 'args'; received {value!r}, "
            "which has no 'args'."
        )
    return given, call_id


def _formatted(content: Any, artifact: Any, status: Any, call_id: str | None, name: str) -> Any:
    """The result for whoever called: of a call with an id a message, unless it is one already."""
    if call_id is None or isinstance(content, ToolOutputMixin):
        return content
    if isinstance(content, list) and content and all(_is_output(each) for each in content):
        return content
    if not isinstance(content, str):
        content = list(content) if _is_blocks(content) else _text(content)
    return ToolMessage(
        content, artifact=artifact, tool_call_id=call_id, name=name, status=status
    )  # fmt: skip


def _is_output(item: Any) -> bool:
    return isinstance(item, ToolOutputMixin)


def _is_blocks(content: Any) -> bool:
    """Whether a message can hold it as it is."""
    return isinstance(content, Sequence) and all(
        isinstance(each, str) or (isinstance(each, dict) and each.get("type") in _BLOCKS)
        for each in content
    )


def _text(content: Any) -> str:
    """A value for a model to read: as JSON where it can be."""
    try:
        return json.dumps(content, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(content)
