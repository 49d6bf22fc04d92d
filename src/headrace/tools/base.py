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
chunk, `explain()` shows a barrier. What the body invokes is a child of the tool's run. A body that
is a generator function reports: each `yield` is a `ToolProgress` event; see `progress.py`, which
also has the door for agents, `reporting()`.
"""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, Field, PrivateAttr

from .._awaited import settle
from .._bridge import call_in_thread
from ..callbacks.arguments import note_end
from ..callbacks.run_managers import CallbackManagerForToolRun
from ..config import RunnableConfig
from ..errors import ConfigError, InputError
from ..events import ToolProgress
from ..run import Run
from ..runnables import schema
from ..runnables._doors import no_sync_body
from ..runnables.serializable import RunnableSerializable
from ..shapes import Barrier, Kwargs
from .answers import Answer, as_call, asked, config_of, formatted, items, without
from .errors import (
    SchemaAnnotationError,
    ToolArgumentsError,
    ToolException,
    ToolSchemaError,
    is_about_arguments,
)
from .injected import InjectedToolCallId
from .progress import Progress, Reporting, Work, carry
from .schema import (
    FILLED,
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

    Either may be a generator function (`_arun` an async one), whose yields are progress. Both may
    have parameters that the run fills in and that are no arguments of the tool:
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
        timeout: seconds that the body may take, its progress and whoever holds it up by reading
            that slowly included. Then it is closed (async code is cancelled; sync code, which runs
            in a worker thread, is broken off where it waits for what can be, as `with_timeout`
            says) and `ToolTimeout` raised, which is a ToolException as well.
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
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    # models made when first asked for, each behind what it was made of
    _shown_schema: Any = PrivateAttr(default=None)
    _inferred: Any = PrivateAttr(default=None)
    _kept_back: tuple[Any, frozenset[str] | None] = PrivateAttr(default=(None, None))
    _for_ids: tuple[Any, frozenset[str]] = PrivateAttr(default=(None, frozenset()))

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
        shown = self._kept["_shown_schema"]
        if shown is None or shown[0] != made_of:
            whole = self._schema()
            model = subset(whole, self.name, self.description, injected_in(whole))
            shown = self._shown_schema = (made_of, model)
        return shown[1]

    def _schema(self) -> Any:
        """What inputs are checked against: the given schema, or one of the body's signature."""
        if self.args_schema is not None:
            return self.args_schema
        inferred = self._kept["_inferred"]
        if inferred is None or inferred[0] != self.name:
            model = create_schema_from_function(self.name, self._source(), description="")
            inferred = self._inferred = (self.name, model)
        return inferred[1]

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
        forgotten = {"_shown_schema": None, "_inferred": None, "_kept_back": (None, None)}
        private = {**private, **forgotten, "_for_ids": (None, frozenset())}
        return {**state, "__dict__": fields, "__pydantic_private__": private}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        again = self.args_schema
        if isinstance(again, _Again):
            self.args_schema = create_schema_from_function(
                again.name, self._source(), parse_docstring=again.documented
            )

    # ------------------------------------------------------------- a call

    @property
    def _kept(self) -> Mapping[str, Any]:
        """The private attributes. pydantic takes 2 µs to get at one by its name."""
        return self.__pydantic_private__  # type: ignore[return-value]

    def _body(self, name: str) -> Body:
        """A body taken apart."""
        body = self._read.get(name)
        if body is None:
            body = self._read[name] = Body(getattr(self, name))
        return body

    def _target(self, colour: Literal["sync", "async"]) -> tuple[Callable[..., Any], Body]:
        """What to call in a run of that colour, taken apart."""
        if colour == "async" and "_arun" in self._written:
            return self._arun, self._body("_arun")
        return self._run, self._body("_run")

    def _bodies(self) -> list[Body]:
        """The bodies there are."""
        return [self._body(name) for name in sorted(self._written)]

    def _hidden(self) -> frozenset[str]:
        """The arguments that are no observer's business: those that no model gives."""
        kept: tuple[Any, frozenset[str] | None] = self._kept["_kept_back"]
        given, found = kept
        if found is None or given is not self.args_schema:
            given, bodies = self.args_schema, self._bodies()
            own = frozenset(body.config for body in bodies if body.config is not None)
            marked = frozenset().union(*(body.injected for body in bodies))
            found = own | marked | injected_in(given) | {*FILLED}
            self._kept_back = given, found
        return found

    def _shown_input(self, value: Any) -> Any:
        """An input without what is injected, for events."""
        try:
            return without(self._hidden(), value)
        except ToolSchemaError:  # the call says so itself
            return value

    def _ready(self, given: Any, run: Run, function: Any, body: Body) -> Callable[[], Any]:
        """The call to make, arguments checked and filled in."""
        if self.args_schema is not None:
            values = arguments_of(self.name, given, self.args_schema, body.fields, body.injected)
            unsaid = body.injected.difference(values)
            values = {**values, **{k: v for k, v in items(given) if k in unsaid}}
        else:
            values = self._by_signature(given, body)
        args, kwargs = body.call(values)
        return partial(function, *args, **kwargs, **body.filled(run, ToolRunManager))

    def _with_call_id(self, given: Any, call_id: str | None, body: Body) -> Any:
        """The input, with the id of its call where the body wants it."""
        of_schema = self._kept["_for_ids"]
        if of_schema[0] is not self.args_schema:
            fields = injected_in(self.args_schema, InjectedToolCallId)
            of_schema = self._for_ids = self.args_schema, fields
        wanted = body.call_ids | of_schema[1]
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
        values = arguments_of(self.name, given, self._schema(), body.fields, body.injected)
        known = body.fields
        more = {key: one for key, one in items(given) if key not in known}
        if more and body.keywords is None:
            raise ToolArgumentsError(
                f"Tool {self.name!r} has not run: it has no argument "
                f"{', '.join(map(repr, sorted(more)))} (its arguments: {sorted(known)})."
            )
        if more and body.keywords is not None:
            values[body.keywords] = {**(values.get(body.keywords) or {}), **more}
        return values

    def _work(
        self, colour: Literal["sync", "async"], given: Any, call: str | None, run: Run
    ) -> Work:
        """The call to make, and how."""
        function, body = self._target(colour)
        ready = self._ready(self._with_call_id(given, call, body), run, function, body)
        return Work(self.name, ready, body.kind, run, self._limit())

    def _limit(self) -> float | None:
        """`timeout`, where it is one: a subclass may have a field of that name for something else,
        such as an HTTP client's settings."""
        given: Any = self.timeout
        real = isinstance(given, (int, float)) and not isinstance(given, bool)
        return given if real and given > 0 else None

    def reporting(self) -> Reporting:
        """The door for agents: a step over the same input that hands on `Progress` items as they
        come, and at last the answer; see `progress.py`."""
        return Reporting(self)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        answer = None
        for step in self._steps(value, run):
            answer = step
        return answer

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        # `_asteps` without its chunks: an event loop takes 3 µs to begin and to end a stream
        given, call_id = asked(self.name, value, run)
        answer: Answer | None
        try:
            work = self._work("async", given, call_id, run)
            if work.has_steps:
                async with aclosing(self._atold(work, call_id, run)) as told:
                    async for _ in told:
                        pass
            else:
                await self._acalled(work, call_id)
            answer = self._answer(work.result)
        except BaseException as error:
            answer = self._instead(error, run)
            if answer is None:
                raise
        return formatted(*answer, call_id, self.name)

    def _steps(self, value: Any, run: Run) -> Generator[Any, None, None]:
        """A call: `Progress` for all that the body yields, told as well; then the answer."""
        given, call_id = asked(self.name, value, run)
        answer: Answer | None
        try:
            work = self._work("sync", given, call_id, run)
            if work.has_steps:
                yield from self._told(work, call_id, run)
            else:
                work.call()
            answer = self._answer(work.result)
        except BaseException as error:
            answer = self._instead(error, run)
            if answer is None:
                raise
        yield formatted(*answer, call_id, self.name)

    async def _asteps(self, value: Any, run: Run) -> AsyncGenerator[Any, None]:
        """`_steps`, async."""
        given, call_id = asked(self.name, value, run)
        answer: Answer | None
        try:
            work = self._work("async", given, call_id, run)
            if work.has_steps:
                async with aclosing(self._atold(work, call_id, run)) as told:
                    async for each in told:
                        yield each
            else:
                await self._acalled(work, call_id)
            answer = self._answer(work.result)
        except BaseException as error:
            answer = self._instead(error, run)
            if answer is None:
                raise
        yield formatted(*answer, call_id, self.name)

    def _told(self, work: Work, call_id: str | None, run: Run) -> Generator[Progress, None, None]:
        """What the body yields."""
        valve = run.scope.valve
        with closing(work.steps()) as steps:
            for each in steps:
                run.tell(ToolProgress, each, call_id)
                if valve is not None and valve.full:
                    valve.wait(run)
                yield Progress(each, call_id)

    async def _atold(
        self, work: Work, call_id: str | None, run: Run
    ) -> AsyncGenerator[Progress, None]:
        """The same in an async run."""
        valve = run.scope.valve
        async with aclosing(work.asteps()) as steps:
            async for each in steps:
                run.tell(ToolProgress, each, call_id)
                if run.pending:
                    await settle(run)
                if valve is not None and valve.full:
                    await valve.room(run)
                yield Progress(each, call_id)

    async def _acalled(self, work: Work, call_id: str | None) -> None:
        """Calls a function's body. A cancellation during which it has ended carries the answer."""
        try:
            await work.acall()
        except BaseException as error:
            if work.finished and not isinstance(error, Exception):
                carry(error, formatted(*self._answer(work.result), call_id, self.name))
            raise

    def _answer(self, returned: Any) -> Answer:
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

    def _instead(self, error: BaseException, run: Run) -> Answer | None:
        """What to answer in place of raising, or None."""
        if not isinstance(error, Exception):
            note_end(run, error)
            return None
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
        asked = as_call(tool_input, tool_call_id, self.name)
        return self.invoke(asked, config_of(config, callbacks, given))

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
        asked = as_call(tool_input, tool_call_id, self.name)
        return await self.ainvoke(asked, config_of(config, callbacks, given))
