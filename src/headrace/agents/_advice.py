"""`advised`: what a function that makes an agent says to arguments that it does not have.

Programs written for LangChain give some that are called otherwise here, or that are not needed; a
bare TypeError would not say what to write. The typed signature stays as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from ..errors import ConfigError
from ..runnables._construction import nearest

__all__ = ["advised"]

P = ParamSpec("P")
R = TypeVar("R")

_HOOKS: Final = "write functions as before_model=…, after_model=… and wrap_tool=…"
_STATE: Final = "the state is an AgentState; tools and hooks get what else they need by closure"
_CONFIG: Final = "what a run is told goes into its config: config['configurable']"
_STEPS: Final = "write max_steps=…, how often the model may be asked"
_EVENTS: Final = "look at a run with stream(stream_mode=…) or stream_events()"
_TEXT: Final = "write the prompt and its parser as a chain, or give create_react_agent a prompt="
_THREADS: Final = "write saver=… and give a thread_id; the state then has all messages"
_ALL_STEPS: Final = "the state has all messages; intermediate_steps(state) pairs calls and results"
_AFTER: Final = "a run stops before calls: write interrupt_before=…"

# Arguments of LangChain's and LangGraph's functions, and of AgentExecutor: what to write instead.
ADVICE: Final[Mapping[str, str]] = {
    "agent_executor_kwargs": "write them as arguments of create_agent",
    "cache": "give the model a cache: init_chat_model(…, cache=…)",
    "config_schema": _CONFIG,
    "context_schema": _CONFIG,
    "debug": _EVENTS,
    "early_stopping_method": _STEPS,
    "handle_parsing_errors": "write max_errors=…: the model is told of its mistakes as it is",
    "interrupt_after": _AFTER,
    "llm": "write model=…",
    "max_execution_time": "write agent.with_timeout(total=…)",
    "max_iterations": _STEPS,
    "memory": _THREADS,
    "middleware": _HOOKS,
    "output_parser": _TEXT,
    "post_model_hook": "write after_model=…",
    "pre_model_hook": "write before_model=…",
    "prompt": "write system_prompt=…",
    "recursion_limit": _STEPS,
    "return_intermediate_steps": _ALL_STEPS,
    "state_modifier": "write system_prompt=…, or before_model=… for what changes",
    "state_schema": _STATE,
    "store": "give tools and hooks the store by closure",
    "tools_renderer": "put the descriptions of tools into the prompt yourself",
    "verbose": _EVENTS,
    "version": "leave it out: there is one",
}


def advised(*also: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of functions that make an agent. `also`: those that it hands arguments on to.

    Raises:
        ConfigError: when the function is called with an argument that none of them has.
    """

    def around(make: Callable[P, R]) -> Callable[P, R]:
        known = {name for each in (make, *also) for name in inspect.signature(each).parameters}

        @wraps(make)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in known:
                    raise ConfigError(_said(make.__name__, name, known))
            return make(*args, **kwargs)

        return checked

    return around


def _said(maker: str, name: str, known: set[str]) -> str:
    advice = ADVICE.get(name)
    if advice is None:
        meant = nearest(name, sorted(known))
        names = ", ".join(sorted(known - {"settings"}))
        advice = f"write {meant}=…" if meant else f"its arguments are {names}"
    return f"{maker} has no argument {name}: {advice}."
