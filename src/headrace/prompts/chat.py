"""Chat prompts: messages and templates of messages, filled in to a list of messages.

A message is written as a message, a template of one, another chat prompt, a string (the user's), a
pair of a role, a class of message or a class of template with a text or a list of content blocks,
or a dict of `role` and `content`. The roles are those of `_ROLES`, and `"placeholder"`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias, overload

from headrace.errors import ConfigError
from headrace.messages import BaseMessage
from headrace.prompt_values import ChatPromptValue
from headrace.prompts.base import BasePromptTemplate, PromptInputError, check_declared
from headrace.prompts.formats import PromptTemplateFormat
from headrace.prompts.message import (
    AIMessagePromptTemplate,
    BaseMessagePromptTemplate,
    BaseStringMessagePromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    SystemMessagePromptTemplate,
)
from headrace.prompts.string import PromptTemplate

__all__ = ["BaseChatPromptTemplate", "ChatPromptTemplate", "MessageLike"]


class BaseChatPromptTemplate(BasePromptTemplate[str]):
    """Base of prompts that are messages. Subclass it with `format_messages`."""

    _value_type: ClassVar[Any] = ChatPromptValue

    @abstractmethod
    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The messages for these variables."""

    async def aformat_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """`format_messages`, async."""
        return self.format_messages(**kwargs)

    def format_prompt(self, /, **kwargs: Any) -> ChatPromptValue:
        """The messages for these variables, as a prompt value."""
        return ChatPromptValue(self.format_messages(**kwargs))

    async def aformat_prompt(self, /, **kwargs: Any) -> ChatPromptValue:
        """`format_prompt`, async."""
        return ChatPromptValue(await self.aformat_messages(**kwargs))

    def format(self, /, **kwargs: Any) -> str:
        """The messages for these variables, as one text."""
        return self.format_prompt(**kwargs).to_string()

    async def aformat(self, /, **kwargs: Any) -> str:
        """`format`, async."""
        return (await self.aformat_prompt(**kwargs)).to_string()

    @classmethod
    def _use_own_formatting(cls) -> None:
        super()._use_own_formatting()
        cls._add_to = BaseChatPromptTemplate._add_to  # type: ignore[method-assign]

    def _add_to(self, messages: list[BaseMessage], values: Mapping[str, Any]) -> None:
        """As a part of another chat prompt."""
        messages += self.format_messages(**values)


Part: TypeAlias = BaseMessage | BaseMessagePromptTemplate | BaseChatPromptTemplate
MessageLike: TypeAlias = Part | tuple[Any, Any] | str | Mapping[str, Any]

_ROLES: dict[str, type[BaseStringMessagePromptTemplate]] = {
    "human": HumanMessagePromptTemplate,
    "user": HumanMessagePromptTemplate,
    "ai": AIMessagePromptTemplate,
    "assistant": AIMessagePromptTemplate,
    "system": SystemMessagePromptTemplate,
}


class ChatPromptTemplate(BaseChatPromptTemplate):
    """Messages with variables.

    Args:
        messages: what the prompt is made of, in any form that the top of this file names.
        template_format: `"f-string"`, `"mustache"` or `"jinja2"`, of the texts among them.
        input_variables: found in the messages; what is given counts with `validate_template`.
        partial_variables: values that are filled in already; a callable is called each time.
        validate_template: raise unless `input_variables` are those of the messages.

    Raises:
        ConfigError: something is no message, or a template is malformed or unsafe.
    """

    messages: list[Any]
    validate_template: bool = False

    def __init__(
        self,
        messages: Sequence[Any],
        *,
        template_format: PromptTemplateFormat = "f-string",
        input_variables: Sequence[str] | None = None,
        optional_variables: Sequence[str] | None = None,  # found in the messages
        validate_template: bool = False,
        **fields: Any,
    ) -> None:
        parts = [_part(message, template_format) for message in messages]
        required, optional = _variables(parts, fields.get("partial_variables") or {})
        if validate_template:
            check_declared(input_variables, set(required), type(self).__name__)
            fields["validate_template"] = True
        if optional:
            fields["optional_variables"] = optional
        fields.update(input_variables=required, messages=parts)
        super().__init__(**fields)

    @classmethod
    def from_messages(
        cls, messages: Sequence[Any], template_format: PromptTemplateFormat = "f-string"
    ) -> Self:
        """A prompt of these messages."""
        return cls(messages, template_format=template_format)

    @classmethod
    def from_template(cls, template: str, **fields: Any) -> Self:
        """A prompt of one message of the user; `fields` as for `PromptTemplate.from_template`."""
        prompt = PromptTemplate.from_template(template, **fields)
        return cls([HumanMessagePromptTemplate(prompt=prompt)])

    # ---------------------------------------------------------------- formatting

    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The messages for these variables; raises MissingVariablesError if some are missing."""
        return self._messages(self._checked(kwargs))

    async def aformat_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """`format_messages`, async."""
        values = self._complete(self._checked(kwargs))
        messages: list[BaseMessage] = []
        for part in self.messages:
            if isinstance(part, BaseMessage):  # the caller may change its message, not the prompt
                messages.append(part.model_copy(deep=True))
            else:
                messages += await part.aformat_messages(**values)
        return messages

    def _messages(self, values: Mapping[str, Any]) -> list[BaseMessage]:
        if self.partial_variables:
            values = self._complete(values)
        messages: list[BaseMessage] = []
        for part in self.messages:
            if isinstance(part, BaseMessage):  # the caller may change its message, not the prompt
                messages.append(part.model_copy(deep=True))
            else:
                part._add_to(messages, values)
        return messages

    def _apply(self, value: Any, /) -> ChatPromptValue:
        return ChatPromptValue(self._messages(self._checked(value)))

    def _add_to(self, messages: list[BaseMessage], values: Mapping[str, Any]) -> None:
        messages += self._messages(values)

    def _awaits(self) -> bool:
        return self._custom or any(
            part._awaits() for part in self.messages if not isinstance(part, BaseMessage)
        )

    def _types(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in self.messages:
            if isinstance(part, MessagesPlaceholder):
                found[part.variable_name] = list[BaseMessage]
            elif isinstance(part, BaseChatPromptTemplate):
                found.update(part._types())
            elif isinstance(part, BaseStringMessagePromptTemplate):
                for prompt in part._prompts():
                    found.update(prompt._types() if isinstance(prompt, BasePromptTemplate) else {})
        return found

    # ---------------------------------------------------------------- composition

    def _with(self, messages: list[Any], partials: Mapping[str, Any]) -> Self:
        """A copy with other messages and other variables filled in."""
        required, optional = _variables(messages, partials)
        return self.model_copy(
            update={
                "messages": messages,
                "partial_variables": dict(partials),
                "input_variables": required,
                "optional_variables": optional,
            }
        )

    def partial(self, /, **kwargs: Any) -> Self:
        """A copy with some variables filled in; a callable is called each time."""
        return self._with(list(self.messages), {**self.partial_variables, **kwargs})

    def __add__(self, other: Any) -> Self:
        """A copy with more messages: a prompt, a message, a template, a string, a (role, text)
        pair, or a list of such."""
        more = getattr(other, "partial_variables", None)
        partials = {**self.partial_variables, **(more or {})}
        if isinstance(other, ChatPromptTemplate):
            return self._with(self.messages + other.messages, partials)
        if _is_several(other):
            return self._with(self.messages + [_part(item) for item in other], partials)
        return self._with([*self.messages, _part(other)], partials)

    def append(self, message: Any) -> None:
        """Add a message at the end of this prompt, in any form."""
        self.extend([message])

    def extend(self, messages: Iterable[Any]) -> None:
        """Add messages at the end of this prompt, in any form."""
        self.messages.extend([_part(message) for message in messages])
        found = _variables(self.messages, self.partial_variables)
        self.input_variables, self.optional_variables = found

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One part, or a prompt of several."""
        if isinstance(index, slice):
            return self._with(self.messages[index], self.partial_variables)
        return self.messages[index]

    def __len__(self) -> int:
        return len(self.messages)

    def pretty_repr(self, html: bool = False) -> str:
        """Its messages and templates, one below the other; `html` is accepted and ignored."""
        return "\n\n".join(part.pretty_repr() for part in self.messages)


def _prompt_of(first: Any, more: Any) -> ChatPromptTemplate:
    prompt: ChatPromptTemplate = ChatPromptTemplate([first]) + more
    return prompt


BaseMessage._prompt_of = _prompt_of


def _variables(parts: Iterable[Part], partials: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The names of the variables that must be given, and of those that may be; both sorted."""
    required: set[str] = set()
    optional: set[str] = set()
    for part in parts:
        if isinstance(part, BaseMessage):
            continue
        required.update(part.input_variables)
        if isinstance(part, BaseChatPromptTemplate):
            optional.update(part.optional_variables)
        elif isinstance(part, MessagesPlaceholder) and part.optional:
            optional.add(part.variable_name)
    return sorted(required.difference(partials)), sorted(optional.difference(required, partials))


# -------------------------------------------------------------------- what users write


def _is_several(given: Any) -> bool:
    """Whether it is a list of messages and not one: ("human", "hi") is one."""
    if isinstance(given, tuple):
        return not (len(given) == 2 and (given[0] in ("placeholder", *_ROLES)))
    return isinstance(given, list)


def _part(given: Any, template_format: PromptTemplateFormat = "f-string") -> Part:
    """The message, or the template, that was written."""
    if isinstance(given, (BaseMessage, BaseMessagePromptTemplate, BaseChatPromptTemplate)):
        return given
    if isinstance(given, str):
        return HumanMessagePromptTemplate.from_template(given, template_format)
    if isinstance(given, Mapping):
        if given.keys() != {"role", "content"}:
            raise ConfigError(
                f"A message given as a dict has 'role' and 'content', nothing else: {given!r}."
            )
        return _said(given["role"], given["content"], template_format)
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise ConfigError(f"A message given as a tuple is (role, text); received {given!r}.")
        return _said(given[0], given[1], template_format)
    raise PromptInputError(
        f"{given!r}, a {type(given).__name__}, is no message: give a string, (role, text), a dict "
        "of 'role' and 'content', a message, or a template of one."
    )


def _said(role: Any, template: Any, template_format: PromptTemplateFormat) -> Part:
    """The template of what somebody says."""
    if role == "placeholder":
        return _placeholder(template)
    if isinstance(role, type) and issubclass(role, BaseStringMessagePromptTemplate):
        return role.from_template(template, template_format)
    if isinstance(role, type) and issubclass(role, BaseMessage):
        role = role.type
    kind = _ROLES.get(role) if isinstance(role, str) else None
    if kind is None:
        raise ConfigError(
            f"Unknown role {role!r}: use one of {[*_ROLES, 'placeholder']}, or put a message or a "
            "ChatMessagePromptTemplate in the list."
        )
    return kind.from_template(template, template_format)


def _placeholder(given: Any) -> MessagesPlaceholder:
    """From "{name}", which is optional, or from ["{name}", whether it is optional]."""
    pair = (given, True) if isinstance(given, str) else given
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        name, optional = pair
        wrapped = isinstance(name, str) and len(name) > 2 and name[0] + name[-1] == "{}"
        if wrapped and isinstance(optional, bool):
            return MessagesPlaceholder(name[1:-1], optional=optional)
    raise ConfigError(
        f"A placeholder is given as '{{name}}', or as ['{{name}}', optional]; received {given!r}."
    )
