"""Templates of messages: a text, or a list of content blocks, said by somebody; and a placeholder.

Inside a chat prompt each template adds its messages to a list (`_add_to`); one whose formatting
methods are a user's own has those called instead, async ones awaited.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from headrace.errors import ConfigError, InputError
from headrace.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)
from headrace.messages.base import title_line
from headrace.prompts._missing import missing_variables
from headrace.prompts.base import BasePromptTemplate, adopt_formatting
from headrace.prompts.blocks import DictPromptTemplate, ImagePromptTemplate
from headrace.prompts.formats import PromptTemplateFormat
from headrace.prompts.string import PromptTemplate, StringPromptTemplate

__all__ = [
    "AIMessagePromptTemplate",
    "BaseMessagePromptTemplate",
    "BaseStringMessagePromptTemplate",
    "ChatMessagePromptTemplate",
    "HumanMessagePromptTemplate",
    "MessagesPlaceholder",
    "SystemMessagePromptTemplate",
]

_BLOCKS = (StringPromptTemplate, ImagePromptTemplate, DictPromptTemplate)


class BaseMessagePromptTemplate(BaseModel, ABC):
    """Base of what makes messages in a chat prompt. Subclass it with the two abstract members."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, defer_build=True
    )

    _custom: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._custom = adopt_formatting(cls)
        if cls._custom:
            cls._add_to = BaseMessagePromptTemplate._add_to  # type: ignore[method-assign]

    @abstractmethod
    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The messages for these variables."""

    async def aformat_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """`format_messages`, async."""
        return self.format_messages(**kwargs)

    @property
    @abstractmethod
    def input_variables(self) -> list[str]:
        """The names of the variables that must be given."""

    def _add_to(self, messages: list[BaseMessage], values: Mapping[str, Any]) -> None:
        messages += self.format_messages(**values)

    def _awaits(self) -> bool:
        """Whether formatting is user code, which async runs await."""
        return self._custom

    def __add__(self, other: Any) -> Any:
        """A chat prompt of this template and what follows it."""
        assert BaseMessage._prompt_of is not None  # set by chat.py, which the package loads
        return BaseMessage._prompt_of(self, other)

    def __repr_args__(self) -> Any:
        """Only what was set, as prompts show themselves."""
        fields = super().__repr_args__()
        return [(key, value) for key, value in fields if key in self.model_fields_set]

    def pretty_repr(self, html: bool = False) -> str:
        """The template as text; `html` is accepted and ignored."""
        raise NotImplementedError(f"{type(self).__name__} has no pretty_repr.")

    def pretty_print(self) -> None:
        """Print `pretty_repr()`."""
        print(self.pretty_repr())  # noqa: T201 - to print is what it is for


class MessagesPlaceholder(BaseMessagePromptTemplate):
    """A place for messages that are given as a variable, such as the history of a chat.

    Args:
        variable_name: the variable: a list of messages, or of what describes some.
        optional: whether it may be missing; there are no messages then.
        n_messages: take only so many, the last ones.
    """

    variable_name: str
    optional: bool = False
    n_messages: PositiveInt | None = None

    def __init__(self, variable_name: str, *, optional: bool = False, **fields: Any) -> None:
        super().__init__(variable_name=variable_name, optional=optional, **fields)  # type: ignore[call-arg]

    @property
    def input_variables(self) -> list[str]:
        """The variable, unless it is optional."""
        return [] if self.optional else [self.variable_name]

    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The messages given. Raises InputError for what is no list of messages."""
        messages: list[BaseMessage] = []
        self._add_to(messages, kwargs)
        return messages

    def _add_to(self, messages: list[BaseMessage], values: Mapping[str, Any]) -> None:
        try:
            given = values[self.variable_name]
        except KeyError:
            if self.optional:
                return
            name = self.variable_name
            raise missing_variables([name], values, [name]) from None
        if not isinstance(given, (list, tuple)) and not hasattr(given, "to_messages"):
            raise InputError(
                f"The variable {self.variable_name!r} stands for a list of messages; received "
                f"{given!r}, a {type(given).__name__}."
            )
        found = convert_to_messages(given)
        messages += found[-self.n_messages :] if self.n_messages else found

    def pretty_repr(self, html: bool = False) -> str:
        """The variable under a title line."""
        return f"{title_line('Messages Placeholder')}\n\n{{{self.variable_name}}}"


class BaseStringMessagePromptTemplate(BaseMessagePromptTemplate):
    """A template of one message. Subclass it with `_message`, or with `format`.

    Args:
        prompt: the template of its text, or a list of templates of content blocks.
        additional_kwargs: passed on to the message.
    """

    prompt: Any
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)

    @field_validator("prompt")
    @classmethod
    def _templates_only(cls, prompt: Any) -> Any:
        blocks = prompt if isinstance(prompt, list) else []
        if isinstance(prompt, StringPromptTemplate) or (
            blocks is prompt and all(isinstance(block, _BLOCKS) for block in blocks)
        ):
            return prompt
        raise ConfigError(
            f"{cls.__name__} takes as prompt a PromptTemplate or a list of templates of content "
            f"blocks; received {prompt!r}. {cls.__name__}.from_template makes them of text."
        )

    @classmethod
    def from_template(
        cls,
        template: str | Sequence[Any],
        template_format: PromptTemplateFormat = "f-string",
        *,
        partial_variables: Mapping[str, Any] | None = None,
        input_variables: Any = None,  # found in the template
        **fields: Any,
    ) -> Self:
        """A message of this text, or of a list of texts, text blocks, image blocks and dicts.

        Raises:
            ConfigError: a template is malformed, or nothing that content can be made of.
        """
        if isinstance(template, str):
            prompt: Any = PromptTemplate(
                template, template_format=template_format, partial_variables=partial_variables
            )
        elif not isinstance(template, (list, tuple)):
            raise ConfigError(
                f"A message's template is a string or a list of content blocks; received "
                f"{template!r}, a {type(template).__name__}."
            )
        elif partial_variables:
            raise ConfigError(
                "partial_variables cannot be given for a list of content blocks: call partial() "
                f"of the chat prompt. Received {dict(partial_variables)!r}."
            )
        else:
            prompt = [_block_template(block, template_format) for block in template]
        return cls(prompt=prompt, **fields)

    @classmethod
    def from_template_file(
        cls, template_file: str | Path, input_variables: Any = None, **fields: Any
    ) -> Self:
        """A message of the text in a file, UTF-8. Its variables are found in it."""
        return cls.from_template(Path(template_file).read_text("utf-8"), **fields)

    @property
    def input_variables(self) -> list[str]:
        """The names of the variables of its prompt, or prompts."""
        return list(dict.fromkeys(name for p in self._prompts() for name in p.input_variables))

    def _prompts(self) -> list[Any]:
        return self.prompt if isinstance(self.prompt, list) else [self.prompt]

    def _awaits(self) -> bool:
        return self._custom or any(
            isinstance(prompt, BasePromptTemplate) and prompt._awaits()
            for prompt in self._prompts()
        )

    # ---------------------------------------------------------------- formatting

    def _message(self, content: Any) -> BaseMessage:
        """The message of this content."""
        raise NotImplementedError(f"{type(self).__name__} defines neither format nor _message.")

    def format(self, /, **kwargs: Any) -> BaseMessage:
        """The message for these variables."""
        return self._message(self._content(kwargs))

    async def aformat(self, /, **kwargs: Any) -> BaseMessage:
        """`format`, async."""
        if not isinstance(self.prompt, list):
            return self._message(await self.prompt.aformat(**kwargs))
        blocks = [
            {"type": "text", "text": await prompt.aformat(**kwargs)}
            if isinstance(prompt, StringPromptTemplate)
            else prompt._block(kwargs)
            for prompt in self.prompt
        ]
        return self._message(_without_empty(blocks))

    def format_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """The message for these variables, in a list."""
        return [self.format(**kwargs)]

    async def aformat_messages(self, /, **kwargs: Any) -> list[BaseMessage]:
        """`format_messages`, async."""
        return [await self.aformat(**kwargs)]

    def _add_to(self, messages: list[BaseMessage], values: Mapping[str, Any]) -> None:
        messages.append(self._message(self._content(values)))

    def _content(self, values: Mapping[str, Any]) -> Any:
        prompt = self.prompt
        if not isinstance(prompt, list):
            return prompt._render(values)
        blocks = [
            {"type": "text", "text": each._render(values)}
            if isinstance(each, StringPromptTemplate)
            else each._block(values)
            for each in prompt
        ]
        return _without_empty(blocks)

    def pretty_repr(self, html: bool = False) -> str:
        """Its templates under a title line."""
        title = title_line(type(self).__name__.replace("MessagePromptTemplate", " Message"))
        return "\n\n".join([title, *(prompt.pretty_repr() for prompt in self._prompts())])


def _without_empty(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without text blocks of no text, which models refuse."""
    return [block for block in blocks if block.get("type") != "text" or block.get("text") != ""]


def _block_template(block: Any, template_format: PromptTemplateFormat) -> Any:
    """The template of one item in a list of content."""
    if isinstance(block, _BLOCKS):
        return block
    keys = set(block) if isinstance(block, dict) else set()
    if isinstance(block, str) or ("text" in keys and keys <= {"type", "text"}):
        text = block if isinstance(block, str) else block["text"]
        return PromptTemplate(text, template_format=template_format)
    if "image_url" in keys and keys <= {"type", "image_url"}:
        image = block["image_url"]
        if isinstance(image, str):
            image = {"url": image}
        if isinstance(image, dict):
            return ImagePromptTemplate(image, template_format=template_format)
    elif isinstance(block, dict):
        return DictPromptTemplate(block, template_format)
    raise ConfigError(
        f"{block!r}, a {type(block).__name__}, is no content of a message: give a string or a "
        "dict such as {'type': 'text', 'text': …} or {'type': 'image_url', 'image_url': …}."
    )


class ChatMessagePromptTemplate(BaseStringMessagePromptTemplate):
    """A template of a message by a speaker with any `role`."""

    role: str

    def _message(self, content: Any) -> BaseMessage:
        return ChatMessage(content, role=self.role, additional_kwargs=self.additional_kwargs)


class _RoleMessagePromptTemplate(BaseStringMessagePromptTemplate):
    _message_class: ClassVar[type[BaseMessage]]

    def _message(self, content: Any) -> BaseMessage:
        if self.additional_kwargs:
            return self._message_class(content, additional_kwargs=self.additional_kwargs)
        return self._message_class(content)


class HumanMessagePromptTemplate(_RoleMessagePromptTemplate):
    """A template of what the user says."""

    _message_class = HumanMessage


class AIMessagePromptTemplate(_RoleMessagePromptTemplate):
    """A template of what the model says."""

    _message_class = AIMessage


class SystemMessagePromptTemplate(_RoleMessagePromptTemplate):
    """A template of what tells the model how to behave."""

    _message_class = SystemMessage
