"""Prompts: templates that turn variables into the input of a model.

Those with examples or a schema, and what works on bare templates, are loaded when asked for.
"""

from typing import TYPE_CHECKING, Any

from headrace._lazy import later, listed
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

if TYPE_CHECKING:
    from headrace.prompts.few_shot import (
        FewShotChatMessagePromptTemplate,
        FewShotPromptTemplate,
        FewShotPromptWithTemplates,
    )
    from headrace.prompts.formatting import (
        StrictFormatter,
        check_valid_template,
        formatter,
        jinja2_formatter,
        mustache_formatter,
        mustache_schema,
        mustache_template_vars,
        validate_jinja2,
    )
    from headrace.prompts.pipeline import PipelinePromptTemplate
    from headrace.prompts.structured import NoStructureError, StructuredPrompt

__all__ = [
    "AIMessagePromptTemplate",
    "BaseChatPromptTemplate",
    "BaseMessagePromptTemplate",
    "BasePromptTemplate",
    "BaseStringMessagePromptTemplate",
    "ChatMessagePromptTemplate",
    "ChatPromptTemplate",
    "DictPromptTemplate",
    "FewShotChatMessagePromptTemplate",
    "FewShotPromptTemplate",
    "FewShotPromptWithTemplates",
    "HumanMessagePromptTemplate",
    "ImagePromptTemplate",
    "MessageLike",
    "MessagesPlaceholder",
    "NoStructureError",
    "PipelinePromptTemplate",
    "PromptInputError",
    "PromptTemplate",
    "PromptTemplateFormat",
    "StrictFormatter",
    "StringPromptTemplate",
    "StructuredPrompt",
    "SystemMessagePromptTemplate",
    "aformat_document",
    "check_valid_template",
    "format_document",
    "formatter",
    "get_template_variables",
    "jinja2_formatter",
    "mustache_formatter",
    "mustache_schema",
    "mustache_template_vars",
    "validate_jinja2",
]

_LATER = {
    "FewShotChatMessagePromptTemplate": "few_shot",
    "FewShotPromptTemplate": "few_shot",
    "FewShotPromptWithTemplates": "few_shot",
    "NoStructureError": "structured",
    "PipelinePromptTemplate": "pipeline",
    "StrictFormatter": "formatting",
    "StructuredPrompt": "structured",
    "check_valid_template": "formatting",
    "formatter": "formatting",
    "jinja2_formatter": "formatting",
    "mustache_formatter": "formatting",
    "mustache_schema": "formatting",
    "mustache_template_vars": "formatting",
    "validate_jinja2": "formatting",
}


def __getattr__(name: str) -> Any:
    return later(__name__, _LATER, name)


def __dir__() -> list[str]:
    return listed(globals(), __all__)
