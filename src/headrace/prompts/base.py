"""`BasePromptTemplate`: variables in, a prompt value out; what every kind of prompt shares.

A prompt needs its whole input, a dict of variables; one with a single variable also takes the bare
value. Public methods take variables as keywords. Inside, they travel as one dict: `_apply` is what
a run calls, and a class that gives formatting methods of its own (`format`, `format_prompt`,
`format_messages` or an async twin) has them called instead, as user code, async ones awaited.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar

from pydantic import ConfigDict, Field

from headrace.documents import Document
from headrace.errors import ConfigError, HeadraceWarning, InputError
from headrace.flow import Machine, Whole
from headrace.prompt_values import PromptValue
from headrace.prompts._missing import in_braces, missing_variables
from headrace.run import Run
from headrace.runnables import schema
from headrace.runnables.serializable import RunnableSerializable
from headrace.shapes import Barrier, Kwargs

__all__ = [
    "BasePromptTemplate",
    "PromptInputError",
    "aformat_document",
    "format_document",
]

FormatOutput = TypeVar("FormatOutput")

_FORMATTING = ("format", "format_prompt", "format_messages")  # each with an async twin


class PromptInputError(InputError, TypeError):
    """A prompt got something that cannot be its variables."""


def adopt_formatting(cls: type) -> bool:
    """Whether a class outside of Headrace gave one of the formatting methods of `cls`.

    Async runs then call a method that was given in sync only, in place of our own async twin.
    """
    names = [*_FORMATTING, *(f"a{name}" for name in _FORMATTING)]
    own = {name for name in names if _is_own(cls, name)}
    for name in own.intersection(_FORMATTING):
        if f"a{name}" not in own:
            setattr(cls, f"a{name}", _async_twin(name))
    return bool(own)


def _is_own(cls: type, name: str) -> bool:
    method = getattr(cls, name, None)
    return method is not None and not method.__module__.startswith("headrace.")


def _async_twin(name: str) -> Callable[..., Any]:
    async def twin(self: Any, /, **kwargs: Any) -> Any:
        return getattr(self, name)(**kwargs)

    return twin


class BasePromptTemplate(Barrier, RunnableSerializable[Any, PromptValue], Generic[FormatOutput]):
    """Base of every prompt. Subclass it with `format_prompt` and `format`.

    Args:
        input_variables: names of the variables that must be given.
        optional_variables: names of those that may be.
        input_types: the types of variables, for schemas; `str` where not named.
        output_parser: how to parse what a model answers to this prompt.
        partial_variables: values that are filled in already; a callable is called each time.
        metadata: for the events of the prompt's runs.
        tags: likewise.
    """

    # Validators are built when a class is first used, so that importing all of them is cheap.
    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    _run_type: ClassVar[str] = "prompt"
    _custom: ClassVar[bool] = False  # formats itself: see the top of this file

    input_variables: list[str] = Field(default_factory=list)
    optional_variables: list[str] = Field(default_factory=list)
    input_types: dict[str, Any] = Field(default_factory=dict, exclude=True)
    output_parser: Any = None
    partial_variables: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._custom = adopt_formatting(cls)
        if cls._custom:
            cls._use_own_formatting()

    @classmethod
    def _use_own_formatting(cls) -> None:
        """Undo the shortcuts past the public methods, which are now somebody's own."""
        cls._apply = BasePromptTemplate._apply  # type: ignore[method-assign]

    # ---------------------------------------------------------------- formatting

    @abstractmethod
    def format_prompt(self, /, **kwargs: Any) -> PromptValue:
        """The prompt value for these variables."""

    async def aformat_prompt(self, /, **kwargs: Any) -> PromptValue:
        """`format_prompt`, async."""
        return self.format_prompt(**kwargs)

    @abstractmethod
    def format(self, /, **kwargs: Any) -> FormatOutput:
        """The prompt for these variables in its plain form, mostly a string."""

    async def aformat(self, /, **kwargs: Any) -> FormatOutput:
        """`format`, async."""
        return self.format(**kwargs)

    def partial(self, /, **kwargs: Any) -> Self:
        """A copy with some variables filled in; a callable is called each time."""
        return self.model_copy(
            update={
                "input_variables": [name for name in self.input_variables if name not in kwargs],
                "partial_variables": {**self.partial_variables, **kwargs},
            }
        )

    # ---------------------------------------------------------------- variables

    def _checked(self, value: Any) -> Mapping[str, Any]:
        """The variables in an input, none missing."""
        if value.__class__ is not dict and not isinstance(value, Mapping):
            if len(self.input_variables) != 1:
                raise PromptInputError(
                    f"{self.get_name()} takes a dict with the variables {self.input_variables}; "
                    f"received {value!r}, a {type(value).__name__}."
                )
            return {self.input_variables[0]: value}
        for name in self.input_variables:
            if name not in value:
                self._lacks(value)
        return value

    def _lacks(self, values: Mapping[str, Any]) -> NoReturn:
        used = {*self.input_variables, *self.optional_variables, *self.partial_variables}
        missing = set(self.input_variables).difference(values)
        raise missing_variables(missing, values, used, in_braces(self))

    def _complete(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Variables together with those that are filled in already, which they override."""
        partials = self.partial_variables
        if not partials:
            return values
        filled = {
            name: value() if callable(value) else value
            for name, value in partials.items()
            if name not in values
        }
        return {**filled, **values}

    def _merge_partial_and_user_variables(self, /, **kwargs: Any) -> dict[str, Any]:
        """What users' own `format` methods call by this name to get all variables."""
        return dict(self._complete(kwargs))

    # ---------------------------------------------------------------- running

    def _awaits(self) -> bool:
        """Whether formatting is user code, which is called in the run and awaited."""
        return self._custom

    def _apply(self, value: Any, /) -> PromptValue:
        return self.format_prompt(**self._checked(value))

    async def _aapply(self, value: Any, /) -> PromptValue:
        return await self.aformat_prompt(**self._checked(value))

    def _start(self, fold: Any) -> Machine | None:
        return None if self._awaits() else Whole(self._apply, fold)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._apply(value) if run.bare else run.call(self._apply, value)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self._awaits():
            return await run.acall(self._aapply, value)
        return self._value(value, run, kw)

    # ---------------------------------------------------------------- types

    _value_type: ClassVar[Any] = PromptValue  # what formatting gives

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return schema.Plain(schema.title(self, side), self._value_type)
        types = {**self._types(), **self.input_types}
        fields = {name: (types.get(name, str), ...) for name in self.input_variables}
        more = {name: (types.get(name, str), None) for name in self.optional_variables}
        return schema.Fields("PromptInput", {**fields, **more})

    def _types(self) -> dict[str, Any]:
        """The types of the variables that are not texts."""
        return {}

    # ---------------------------------------------------------------- showing

    def pretty_repr(self, html: bool = False) -> str:
        """The prompt as text, variables as `{name}`; `html` is accepted and ignored."""
        raise NotImplementedError(f"{type(self).__name__} has no pretty_repr.")

    def pretty_print(self) -> None:
        """Print `pretty_repr()`."""
        print(self.pretty_repr())  # noqa: T201 - to print is what it is for


def check_declared(
    declared: Sequence[str] | None, found: set[str], owner: str, template_format: str = "f-string"
) -> None:
    """What `validate_template=True` asks for: the variables declared are those of the template.

    A jinja2 template only warns: it may ask itself whether a variable is there.
    """
    if declared is None or set(declared) == found:
        return
    missing, extra = found.difference(declared), set(declared).difference(found)
    parts = (("Missing", missing), ("Extra", extra))
    sides = [f"{side} variables: {_as_set(names)}." for side, names in parts if names]
    sentence = (
        f"{owner} declares input_variables={sorted(declared)}, and its template has the "
        f"variables {sorted(found)}. {' '.join(sides)}"
    )
    if template_format != "jinja2":
        raise ConfigError(sentence)
    warnings.warn(sentence, HeadraceWarning, stacklevel=4)


def _as_set(names: Iterable[str]) -> str:
    return f"{{{', '.join(map(repr, sorted(names)))}}}"


def known_to(prompt: BasePromptTemplate[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a prompt knows: its `format` may be a user's, with parameters."""
    names = {*prompt.input_variables, *prompt.optional_variables, *prompt.partial_variables}
    return {name: value for name, value in values.items() if name in names}


def format_document(doc: Document, prompt: BasePromptTemplate[str]) -> str:
    """A document as text: the prompt with the variable `page_content` and those of the metadata.

    Raises:
        InputError: the metadata lacks a variable of the prompt.
    """
    return prompt.format(**_document_variables(doc, prompt))


async def aformat_document(doc: Document, prompt: BasePromptTemplate[str]) -> str:
    """`format_document`, async."""
    return await prompt.aformat(**_document_variables(doc, prompt))


def _document_variables(doc: Document, prompt: BasePromptTemplate[str]) -> dict[str, Any]:
    known = {"page_content": doc.page_content, **doc.metadata}
    missing = sorted(set(prompt.input_variables).difference(known))
    if missing:
        raise InputError(
            f"The prompt for documents needs the metadata {missing}, which a document lacks: it "
            f"has {sorted(doc.metadata)}."
        )
    return {name: known[name] for name in prompt.input_variables}
