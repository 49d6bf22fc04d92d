"""What an agent's settings amount to, worked out once and checked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import ConfigError
from ..language_models import BaseChatModel
from ..messages import SystemMessage
from ..runnables import Runnable
from ..runnables._rebuild import rebuilt
from ..tools import BaseTool, tool
from ._form import Form
from ._hooks import Hook, Wrap, hooks_of, wrap_of
from ._loop import Rules
from ._saving import BaseSaver

__all__ = ["Setup", "as_tool", "at_least", "setup_of", "waiting"]


class Setup(NamedTuple):
    """name: of the model's messages. model: told of the tools. tools: those that the agent runs, by
    name. system: what comes before the conversation. told: the exceptions of tools that the model
    is told of. lanes: how many calls are made at once; None: all."""

    name: str | None
    model: Any
    tools: Mapping[str, BaseTool]
    rules: Rules
    form: Form | None
    system: SystemMessage | None
    before: Sequence[Hook]
    after: Sequence[Hook]
    wrap: Wrap | None
    told: tuple[type[Exception], ...]
    lanes: int | None
    saver: BaseSaver | None

    @property
    def async_only(self) -> Any:
        """The part that has no sync body, if any."""
        parts = (self.model, *self.tools.values(), *self.before, *self.after, self.wrap)
        lacking = (getattr(each, "_async_only", None) for each in parts)
        return next((each for each in lacking if each is not None), None)


def setup_of(agent: Any) -> Setup:
    """The setup of an agent, of its attributes.

    Raises:
        ConfigError: something of them cannot work.
    """
    mine = [each for each in agent.tools if isinstance(each, BaseTool)]
    form = None if agent.response_format is None else Form(agent.response_format)
    names = [*(each.name for each in mine), *([] if form is None else [form.name])]
    _check_names(names, mine, agent.interrupt_before)
    _check_saver(agent.saver, agent.interrupt_before)
    wrap = wrap_of(agent.wrap_tool)
    _check_colours(mine, wrap)
    rules = Rules(
        at_least(1, "max_steps", agent.max_steps),
        at_least(0, "max_errors", agent.max_errors),
        frozenset(each.name for each in mine if each.return_direct),
        None if "tools" in agent.interrupt_before else frozenset(agent.interrupt_before),
        None if form is None else form.name,
    )
    lanes = agent.max_concurrency
    if lanes is not None:
        at_least(1, "max_concurrency", lanes)
    return Setup(
        # vendors who are sent a name refuse one with blanks or signs in it
        name=agent.name and re.sub(r"[^\w-]+", "_", agent.name),
        model=_told_of_tools(agent, form),
        tools={each.name: each for each in mine},
        rules=rules,
        form=form,
        system=_as_system(agent.system_prompt),
        before=hooks_of(agent.before_model, "before_model"),
        after=hooks_of(agent.after_model, "after_model"),
        wrap=wrap,
        told=_told(agent.on_error),
        lanes=lanes if agent.parallel_tool_calls else 1,
        saver=agent.saver,
    )


def waiting(given: Any) -> list[str]:
    """The names in `interrupt_before`; "tools" stands for all of them, as True and "*" do.

    Raises:
        ConfigError: it is none.
    """
    if given is None or given is False:
        return []
    if given is True or given == "*":
        return ["tools"]
    if isinstance(given, str):
        return [given]
    if isinstance(given, (list, tuple, set, frozenset)) and all(isinstance(x, str) for x in given):
        return list(given)
    raise ConfigError(
        f"interrupt_before is {given!r} ({type(given).__name__}): give the name of a tool, a list "
        "of names, or True for all."
    )


def _check_names(names: list[str], mine: list[BaseTool], waiting: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"The agent has two tools of the name {name!r}: rename one.")
    for name in waiting:
        if name != "tools" and name not in [each.name for each in mine]:
            raise ConfigError(
                f"interrupt_before names {name!r}, and the tools are {names}: name some of them, "
                "or True for all."
            )


def _check_saver(saver: Any, waiting: Sequence[str]) -> None:
    if waiting and saver is None:
        raise ConfigError(
            "interrupt_before needs a saver, from which the agent goes on when its calls are "
            "approved: give create_agent one, e.g. saver=InMemorySaver()."
        )
    if saver is not None and not isinstance(saver, BaseSaver):
        raise ConfigError(
            f"saver is {saver!r} ({type(saver).__name__}): give a saver of headrace.agents, or a "
            "subclass of its BaseSaver."
        )


def _check_colours(mine: list[BaseTool], wrap: Wrap | None) -> None:
    blocked = [each.name for each in mine if each._async_only is not None]
    if blocked and wrap is not None and not wrap.awaited:
        raise ConfigError(
            f"wrap_tool is a plain function and tool {blocked[0]!r} can only run async: make "
            "wrap_tool an `async def`."
        )


def _told_of_tools(agent: Any, form: Form | None) -> Any:
    """The model, told of the tools."""
    model = agent.model
    if not isinstance(model, Runnable):
        raise ConfigError(
            "The model of an agent is a chat model, or the name of one; received "
            f"{model!r} ({type(model).__name__})."
        )
    told = [*agent.tools, *([] if form is None else [form.tool])]
    if not told:
        return model
    return _telling(model, told, agent.parallel_tool_calls, form is not None)


def _telling(model: Any, told: list[Any], parallel: bool, must_call: bool) -> Any:
    """A model told of tools; one inside a policy (a retry, a time limit) is told inside of it."""
    bind = getattr(model, "bind_tools", None)
    if bind is None:
        inner = getattr(model, "bound", None)
        if isinstance(inner, Runnable):
            return rebuilt(model, {"bound": _telling(inner, told, parallel, must_call)})
        raise ConfigError(
            f"{model!r:.200} has no bind_tools, so it cannot be told of tools: give a chat model."
        )
    options: dict[str, Any] = {}
    if must_call and _takes(bind, "tool_choice"):
        options["tool_choice"] = "any"
    if not parallel and _takes(bind, "parallel_tool_calls") and _knows_one_at_a_time(model):
        options["parallel_tool_calls"] = False
    return bind(told, **options)


# Vendors whose API has no word for one call at a time; their models refuse the setting.
_MANY_AT_A_TIME = frozenset({"cohere", "google_genai", "google_vertexai"})


def _knows_one_at_a_time(model: Any) -> bool:
    """Whether every model in it can be told to ask for one call at a time."""
    models = [node for node in model._walk() if isinstance(node, BaseChatModel)]
    return not any(m._get_ls_params().get("ls_provider") in _MANY_AT_A_TIME for m in models)


def several(tools: Any) -> Iterable[Any]:
    """What is given as `tools`. One alone is refused: it may be iterable, over its fields."""
    if isinstance(tools, (str, Mapping, Runnable)) or callable(tools):
        shown = getattr(tools, "name", None) or getattr(tools, "__name__", None) or repr(tools)
        raise ConfigError(
            f"tools is {shown} ({type(tools).__name__}) by itself: give a list, tools=[…]."
        )
    return tools or ()


def as_tool(given: Any) -> Any:
    if isinstance(given, (BaseTool, Mapping)):
        return given
    if isinstance(given, Runnable):
        return given.as_tool()
    if callable(given) and not isinstance(given, type):
        return tool(given)
    raise ConfigError(
        f"The tools of an agent are tools, functions and runnables; received {given!r} "
        f"({type(given).__name__})."
    )


def _as_system(given: Any) -> SystemMessage | None:
    if given is None or isinstance(given, SystemMessage):
        return given
    if isinstance(given, str):
        return SystemMessage(given)
    raise ConfigError(
        f"system_prompt is {given!r} ({type(given).__name__}): give a text or a SystemMessage. "
        "What changes with the state, a before_model hook can put into it."
    )


def _told(on_error: Any) -> tuple[type[Exception], ...]:
    """The exceptions of tools that the model is told of."""
    if on_error in ("tell", "raise"):
        return (Exception,) if on_error == "tell" else ()
    kinds = on_error if isinstance(on_error, tuple) else (on_error,)
    if kinds and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        return kinds
    raise ConfigError(
        f"on_error is {on_error!r}: give 'tell', 'raise', or the classes of the exceptions that "
        "the model is to be told of."
    )


def _takes(function: Callable[..., Any], parameter: str) -> bool:
    parameters = inspect.signature(function).parameters
    return parameter in parameters or any(
        each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()
    )


def at_least(least: int, name: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ConfigError(f"{name} is {given!r}: give a whole number of at least {least}.")
    return given
