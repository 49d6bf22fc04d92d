"""`bind_tools`: a chat model that is told of tools at every call.

    model.bind_tools([search, Person], tool_choice="any")

binds `tools`, their descriptions in OpenAI's form (`headrace.tools.convert_to_openai_tool`), and
`tool_choice`, in the words below; a model finds both in the `kwargs` of its `_generate` and
`_stream`, and says them to its vendor in the vendor's words. Models that override `bind_tools`
bind what they like.

| `tool_choice` | bound as | the model |
|---|---|---|
| None, False | nothing | as the vendor does, usually "auto" |
| "auto", {"type": "auto"} | "auto" | calls tools or answers, as it likes |
| "none", {"type": "none"} | "none" | answers |
| "any", "required", True, {"type": "any"} | "any" | calls a tool |
| a name, or a dict in a vendor's form that has one | the name | calls that tool |
| a dict of a type that the vendor alone knows (`_own_choices`) | as it is | as the vendor says |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..errors import ConfigError
from ..runnables._construction import nearest
from ..runnables.base import Runnable
from ..runnables.binding import RunnableBinding

if TYPE_CHECKING:
    from ..messages import AIMessage

__all__ = [
    "BindsTools",
    "ModelBinding",
    "described_tool",
    "described_tools",
    "names_bound",
    "refuse_misspelled",
    "tool_choice_of",
]

_WORDS: Final = {"auto": "auto", "none": "none", "any": "any", "required": "any"}
_NEARLY: Final = 0.8  # of difflib's ratio: other keywords are not so near
_ABOUT_TOOLS: Final = ("tools", "tool_choice", "parallel_tool_calls")


class BindsTools:
    """What a chat model has for tools; see the head of the file."""

    _own_choices: ClassVar[tuple[str, ...]] = ()
    """Types of `tool_choice` that the vendor has beside those of the table."""

    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """This model, told of tools that it may ask to be called.

        Args:
            tools: functions, `@tool`s, pydantic classes, TypedDicts, dataclasses, JSON schemas, or
                descriptions in a vendor's form.
            tool_choice: "auto", "any", "none" or the name of a tool; see the table in this file.
            strict: whether the vendor is to hold the model to the schemas.
            parallel_tool_calls: whether one answer may have several calls; None: as the vendor
                does.
            kwargs: more keyword arguments for each call.

        Raises:
            ConfigError: no tools, two of one name, a `tool_choice` that is none of them.
            ToolSchemaError: what describes no tool.
        """
        refuse_misspelled("bind_tools", kwargs, ("tool_choice", "strict", "parallel_tool_calls"))
        described = described_tools(tools, strict=strict, describe=self._described_tool)
        bound: dict[str, Any] = {"tools": described}
        names = [name for name, _ in _named(described)]
        choice: Any
        if isinstance(tool_choice, Mapping) and tool_choice.get("type") in self._own_choices:
            choice = _of_vendor(tool_choice, names)
        else:
            choice = tool_choice_of(tool_choice, names)
        if choice is not None:
            bound["tool_choice"] = choice
        if parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        return self.bind(**bound, **kwargs)

    def _described_tool(self, tool: Any, strict: bool | None) -> dict[str, Any]:
        """A tool as it is bound: in OpenAI's form. Models whose vendor has tools of its own bind
        those as they are."""
        return described_tool(tool, strict)

    def bind(self, **kwargs: Any) -> Runnable[Any, Any]:
        """With these keyword arguments at every call."""
        return ModelBinding(bound=self, kwargs=kwargs)


BindsTools.bind_tools.__qualname__ = "BaseChatModel.bind_tools"  # as users know it


class ModelBinding(RunnableBinding[Any, Any]):
    """A chat model with keyword arguments: further tools and schemas are bound beside them."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        """As the model does it; tools that were bound before are replaced."""
        made = self.bound.bind_tools(tools, **kwargs)
        kept = {k: v for k, v in self.kwargs.items() if k not in _ABOUT_TOOLS}
        if not isinstance(made, RunnableBinding):  # a runnable of the author's own making
            return self._again(bound=made, kwargs={})  # type: ignore[no-any-return]
        if made.bound is self.bound and not made.config:
            return self._again(kwargs={**kept, **made.kwargs})  # type: ignore[no-any-return]
        return self._again(bound=made, kwargs=kept)  # type: ignore[no-any-return]

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[Any, Any]:
        """As the model does it, with what is bound here."""
        method = type(self.bound).with_structured_output
        if method.__module__.startswith(__package__ or " "):  # it asks for `bind` and no more
            return method(self, schema, **kwargs)  # type: ignore[no-any-return]
        return self.bound.with_structured_output(schema, **kwargs)  # type: ignore[no-any-return]


def refuse_misspelled(function: str, given: Iterable[str], own: Sequence[str]) -> None:
    """Raise ConfigError for a keyword that would be bound, and is nearly one of the function's."""
    for word in given:
        meant = nearest(word, own, alike=_NEARLY)
        if meant is not None:
            raise ConfigError(
                f"{function} has no {word!r}, and would bind it as a keyword of each call: did you "
                f"mean {meant!r}? If not, use bind({word}=…)."
            )


def described_tool(tool: Any, strict: bool | None = None) -> dict[str, Any]:
    """The description of a tool in OpenAI's form."""
    from ..tools.function_calling import convert_to_openai_tool  # pydantic and its tools, first now

    return convert_to_openai_tool(tool, strict=strict)


def described_tools(
    tools: Iterable[Any],
    *,
    strict: bool | None = None,
    describe: Callable[[Any, bool | None], dict[str, Any]] = described_tool,
) -> list[dict[str, Any]]:
    """The descriptions of tools, by default in OpenAI's form. Raises what `bind_tools` does."""
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise ConfigError(
            f"bind_tools takes a list of tools; received {tools!r} ({type(tools).__name__}): write "
            "bind_tools([…])."
        )
    described = [describe(tool, strict) for tool in tools]
    if not described:
        raise ConfigError("bind_tools got no tools: give at least one, or leave the call out.")
    seen: set[str] = set()
    for name, place in _named(described):
        if name in seen and name != described[place].get("type"):  # of one vendor's type: servers
            raise ConfigError(
                f"bind_tools got two tools of the name {name!r} (the second one at place {place}): "
                "the model's calls could not be told apart. Rename one."
            )
        seen.add(name)
    return described


def tool_choice_of(given: Any, names: Sequence[str]) -> str | None:
    """A `tool_choice` in the words of the table.

    Args:
        names: of the tools that there are.

    Raises:
        ConfigError: it is none of them.
    """
    if given is None or given is False:
        return None
    if given is True:
        return "any"
    name = _name_in(given) if isinstance(given, Mapping) else given
    if name in names and name not in _WORDS:
        return str(name)
    if isinstance(name, str) and name in _WORDS:
        return _WORDS[name]
    raise _not_bound(given, names)


def _not_bound(given: Any, names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"tool_choice={given!r} is no tool that was bound: use one of {', '.join(map(repr, names))}"
        ", or 'auto', 'any', 'none'."
    )


def _of_vendor(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A choice in a vendor's form, whose tools are there: OpenAI's `allowed_tools`, as either of
    its APIs writes it, or one of the tools that go by their type (`mcp`)."""
    kind = given["type"]
    inner = given.get(kind, given)
    tools = inner.get("tools") if isinstance(inner, Mapping) else None
    wanted = [_name_in(tool) for tool in tools] if isinstance(tools, list) else [kind]
    if not set(wanted) <= set(names):
        raise _not_bound(dict(given), names)
    return dict(given)


def _name_in(given: Mapping[str, Any]) -> Any:
    """The name, or the word, in a dict of OpenAI's form or of Anthropic's."""
    function = given.get("function")
    if isinstance(function, Mapping):
        return function.get("name")
    return given.get("name", given.get("type"))


def _named(described: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, int]]:
    """The names of tools, each with its place; tools that a vendor has go by their type."""
    for place, tool in enumerate(described):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
        yield str(name or tool.get("type")), place


def names_bound(bound: Any) -> tuple[str, ...]:
    """The names of the tools that go with each call of a model; none where that cannot be seen."""
    tools = bound.kwargs.get("tools") if isinstance(bound, RunnableBinding) else None
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        return ()
    names = [tool.get("function", tool).get("name") for tool in tools]
    return tuple(names) if all(isinstance(name, str) for name in names) else ()
