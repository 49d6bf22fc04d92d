"""`create_agent`: a model that calls tools until it has an answer, as a runnable.

    agent = create_agent("openai:gpt-4o-mini", [search, multiply], system_prompt="Be short.")
    agent.invoke({"messages": [("user", "What is 6 times 7?")]})["messages"][-1].text
    for token, about in agent.stream({"messages": "…"}, stream_mode="messages"): ...

Input: `{"messages": […]}`, or a text, a message or a list of messages. Output: the state, an
`AgentState`, with all messages. What a stream shows is in `_showing.py`, what hooks are in
`_hooks.py`, what becomes of failures in `_calls.py`, what comes next in `_loop.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from .. import _async, _async_plan, _sync, _sync_plan
from .._locate import frame_of
from ..errors import ConfigError
from ..flow import EMPTY, Late
from ..language_models import init_chat_model
from ..messages import AnyMessage, SystemMessage
from ..run import Run
from ..runnables import Runnable, schema
from ..runnables._copying import ByValue
from ..runnables._repr import called
from ..shapes import Flow, Kwargs, Node, Pieces, Plan
from ..tools import BaseTool
from ._advice import advised
from ._saving import BaseSaver
from ._session import Session
from ._setup import as_tool, setup_of, several, waiting
from ._showing import modes_of
from ._threads import Threads
from .state import AgentState, listed

if TYPE_CHECKING:
    from ..config import RunnableConfig
    from ..runnables._typed import AStream, Stream

__all__ = ["Agent", "create_agent"]

Hooks: TypeAlias = Callable[..., Any] | Sequence[Callable[..., Any]] | None
OnError: TypeAlias = Literal["tell", "raise"] | type[Exception] | tuple[type[Exception], ...]


class _Piped(Plan):
    """In a chain a stream is another one than at one's own doors."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        made: Any = cls
        if made._in_open is made._open:
            made._in_open, made._in_aopen = made._open_inside, made._aopen_inside


class Agent(ByValue, _Piped, Threads, Runnable[Any, AgentState]):
    """Made by `create_agent`, which says what the arguments are; each is an attribute."""

    _layout = "inside"
    _many = Pieces.SURE
    _derived: ClassVar[tuple[str, ...]] = ("_async_only", "_setup")

    model: Any
    tools: list[Any]
    system_prompt: str | SystemMessage | None
    response_format: Any
    name: str | None
    max_steps: int
    max_errors: int
    parallel_tool_calls: bool
    max_concurrency: int | None
    on_error: OnError
    before_model: Hooks
    after_model: Hooks
    wrap_tool: Hooks
    interrupt_before: list[str]
    saver: BaseSaver | None

    def __init__(self, model: Any, tools: Iterable[Any] | None = None, **settings: Any) -> None:
        usual = _usual_settings()
        for name in settings:
            if name not in usual:
                raise ConfigError(f"Agent has no argument {name}: see create_agent.")
        vars(self).update(usual | settings)
        self.model = init_chat_model(model) if isinstance(model, str) else model
        self.tools = [as_tool(each) for each in several(tools)]
        self.interrupt_before = waiting(self.interrupt_before)
        self._derive()

    def _derive(self) -> None:
        self._setup = setup_of(self)
        self._async_only = self._setup.async_only

    # ------------------------------------------------------------- running

    def _session(self, kw: Kwargs, usual: str | None) -> Session:
        """What runs. `usual`: the mode of a stream, unless the call says another."""
        unknown = [key for key in kw if key != "stream_mode"]
        if unknown:
            raise ConfigError(
                f"{self.get_name()} was called with {unknown[0]}=…, and takes stream_mode only: "
                "settings of the model go to the model, by model.bind(…)."
            )
        wish = kw.get("stream_mode")
        modes, paired = modes_of(usual or "values" if wish is None else wish)
        return Session(self, self._setup, *(((), False) if usual is None else (modes, paired)))

    def _plan(self, run: Run, kw: Kwargs) -> Any:
        return self._session(kw, None)._plan(run, EMPTY)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._opened(self._session(kw, "updates"), source, run)

    def _open_inside(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return self._opened(self._session(kw, "pieces"), source, run)

    def _opened(self, session: Session, source: Any, run: Run) -> Iterator[Any]:
        items = _sync_plan.run_plan(session, source, run, EMPTY, [None])
        run.streams.append((items, self, frame_of(items)))
        return Late(_sync.run_machine(self, items, _shown(session)), [session._fold])

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._aopened(self._session(kw, "updates"), source, run)

    def _aopen_inside(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return self._aopened(self._session(kw, "pieces"), source, run)

    def _aopened(self, session: Session, source: Any, run: Run) -> AsyncIterator[Any]:
        items = _async_plan.run_plan(session, source, run, EMPTY, [None])
        run.streams.append((items, self, frame_of(items)))
        return Late(_async.run_machine(self, items, _shown(session)), [session._fold])

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return _sync_plan.value_plan(self._session(kw, None), value, run, EMPTY)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return await _async_plan.value_plan(self._session(kw, None), value, run, EMPTY)

    if TYPE_CHECKING:  # a stream's chunks are as its mode says

        def stream(
            self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
        ) -> Stream[Any]: ...
        def astream(
            self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
        ) -> AStream[Any]: ...

    # ------------------------------------------------------------- as a tool of another agent

    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: Mapping[str, Any] | None = None,
    ) -> BaseTool:
        """A tool that gives this agent a request, a text, and whose result is the text of its last
        message. With `args_schema` or `arg_types`, a tool of the whole state as of any runnable.

        Args:
            name: by default the agent's.
            description: for the model that calls it: what the agent is for.

        Raises:
            ConfigError: it has no name; no description; calls of its own that need approval.
        """
        from ._tool import agent_tool, check_goes_through

        check_goes_through(self, name)
        if args_schema is not None or arg_types is not None:
            made: BaseTool = super().as_tool(
                args_schema, name=name, description=description, arg_types=arg_types
            )
            return made
        return agent_tool(self, name, description)

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        messages: Any = list[AnyMessage] if side == "output" else _GIVEN
        fields: dict[str, Any] = {"messages": (messages, ...)}
        if side == "output" and self.response_format is not None:
            form = self.response_format
            fields["structured_response"] = (Any if isinstance(form, Mapping) else form, None)
        return schema.Fields(schema.title(self, side), fields)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [
            *(("before_model", hook) for hook in self._setup.before),
            ("model", self._setup.model),
            *(("after_model", hook) for hook in self._setup.after),
            *(("", each) for each in self._setup.tools.values()),
        ]

    def _shows(self, number: int) -> bool:
        return False  # what its parts do to a stream is seen by its modes

    def _reads(self) -> Pieces:
        return Pieces.NONE

    def _flow(self) -> Flow:
        return Flow("source")

    def get_graph(self, config: Any = None) -> Any:
        """A `headrace.graph.Graph`: the model, its tools, and the ways between them."""
        from ._graph import graph_of

        return graph_of(self, config)

    def __repr__(self) -> str:
        return called("create_agent", self.model, self.tools, **self._settings())

    def _settings(self) -> dict[str, Any]:
        """What was given besides, and is not as usual."""
        usual = _usual_settings() | {"interrupt_before": []}
        given = {name: getattr(self, name) for name in usual}
        return {k: v for k, v in given.items() if v is not usual[k] and v != usual[k]}


@advised()
def create_agent(
    model: Any,
    tools: Iterable[Any] | None = None,
    *,
    system_prompt: str | SystemMessage | None = None,
    response_format: Any = None,
    name: str | None = None,
    max_steps: int = 25,
    max_errors: int = 3,
    parallel_tool_calls: bool = True,
    max_concurrency: int | None = None,
    on_error: OnError = "tell",
    before_model: Hooks = None,
    after_model: Hooks = None,
    wrap_tool: Hooks = None,
    interrupt_before: str | Sequence[str] | bool | None = (),
    saver: BaseSaver | None = None,
    checkpointer: BaseSaver | None = None,
) -> Agent:
    """An agent: asks `model`, makes the calls that it asks for, and asks again, until it answers.

    Args:
        model: a chat model, something with its `bind_tools` (fallbacks, bindings), or a name for
            `init_chat_model`.
        tools: tools, functions, other agents or runnables; dicts are tools that the model's vendor
            runs, and are only told of.
        system_prompt: comes before the conversation in each question, and is no part of it.
        response_format: the answer's form: a pydantic class, a TypedDict, a dataclass or a JSON
            schema. The value is the state's `"structured_response"`.
        name: of its runs and of its messages.
        max_steps: how often the model is asked in one run, at most; then MaxStepsError.
        max_errors: how often in a row it is told of its mistakes, at most; then MaxErrorsError.
        parallel_tool_calls: False: the calls of one step are made one after the other; models that
            know the setting are told to ask for one at a time.
        max_concurrency: how many calls of one step are made at once; None: all, or as many as
            `config["max_concurrency"]` lets.
        on_error: what becomes of an exception of a tool: "tell" the model, "raise" it (the other
            calls of the step are cancelled and awaited), or the classes of those to tell.
        before_model, after_model: functions of the state that may give an update of it.
        wrap_tool: functions `(call, run_tool)` around each call of a tool.
        interrupt_before: tools whose calls wait for approval, or True: the run ends with the
            calls in the state's `"__interrupt__"`, `invoke(None, config)` makes them, and
            `invoke(Resume(…), config)` does what a person has decided on each (`resuming.py`).
        saver: keeps conversations, by `config["configurable"]["thread_id"]`.
        checkpointer: another word for `saver`.

    Raises:
        ConfigError: something of this cannot work.
    """
    settings = {**locals()}  # the arguments, by name
    if saver is not None and checkpointer is not None:
        raise ConfigError("create_agent got saver and checkpointer, which are the same: give one.")
    if settings.pop("checkpointer") is not None:
        settings["saver"] = checkpointer
    return Agent(**settings)


@cache
def _usual_settings() -> dict[str, Any]:
    """What an agent has besides its model and tools, unless something else is given."""
    parameters = inspect.signature(create_agent).parameters
    usual = {name: each.default for name, each in parameters.items()}
    return {k: v for k, v in usual.items() if k not in ("model", "tools", "checkpointer")}


def _shown(session: Session) -> Any:
    return session.shown


class _AnyForm:
    """Lets a pydantic field of messages take them in any form."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(listed, handler(source))


_GIVEN: Any = Annotated[list[AnyMessage], _AnyForm()]
