"""Prompts: templates that turn variables into the input of a model."""

from headrace.prompts.base import (
    BasePromptTemplate,
    PromptInputError,
    aformat_document,
    format_document,
)
from headrace.prompts.blocks import DictPromptTemplate, ImagePromptTemplate
from headrace.prompts.chat import BaseChatPromptTemplate, ChatPromptTemplate, MessageLike
from headrace.prompts.formats import PromptTemplateFormat, get_template_variables
from headrace.prompts.message import (
    AIMessagePromptTemplate,
    BaseMessagePromptTemplate,
    BaseStringMessagePromptTemplate,
    ChatMessagePromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    SystemMessagePromptTemplate,
)
from headrace.prompts.string import PromptTemplate, StringPromptTemplate

__all__ = [
    "AIMessagePromptTemplate",
    "BaseChatPromptTemplate",
    "BaseMessagePromptTemplate",
    "BasePromptTemplate",
    "BaseStringMessagePromptTemplate",
    "ChatMessagePromptTemplate",
    "ChatPromptTemplate",
    "DictPromptTemplate",
    "HumanMessagePromptTemplate",
    "ImagePromptTemplate",
    "MessageLike",
    "MessagesPlaceholder",
    "PromptInputError",
    "PromptTemplate",
    "PromptTemplateFormat",
    "StringPromptTemplate",
    "SystemMessagePromptTemplate",
    "aformat_document",
    "format_document",
    "get_template_variables",
]
