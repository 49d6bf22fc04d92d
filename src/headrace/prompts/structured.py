"""`StructuredPrompt`: a chat prompt that knows what the answer is to look like.

`prompt | model` makes of the model its `with_structured_output` of the prompt's schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field

from headrace.errors import ConfigError
from headrace.prompts.chat import ChatPromptTemplate
from headrace.prompts.formats import PromptTemplateFormat

__all__ = ["NoStructureError", "StructuredPrompt"]


class NoStructureError(ConfigError, NotImplementedError):
    """What follows a prompt with a schema cannot give structured output."""


class StructuredPrompt(ChatPromptTemplate):
    """Messages with variables, and the schema of the answer to them.

    Args:
        messages: as for ChatPromptTemplate.
        schema_: a pydantic class, a TypedDict, a dataclass or a JSON schema; `schema=` is the same.
        structured_output_kwargs: arguments of the model's `with_structured_output`, such as
            `method`, `strict` and `include_raw`; unknown keywords of the prompt are added to them.
        template_format: as for ChatPromptTemplate, as are further fields.

    Raises:
        ConfigError: no schema, or what ChatPromptTemplate raises.
    """

    # Unknown keywords never reach pydantic, so nothing is lost by allowing for them.
    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    schema_: Any
    structured_output_kwargs: dict[str, Any] = Field(default_factory=dict)

    def __init__(
        self,
        messages: Sequence[Any],
        schema_: Any = None,
        *,
        structured_output_kwargs: Mapping[str, Any] | None = None,
        template_format: PromptTemplateFormat = "f-string",
        **fields: Any,
    ) -> None:
        schema = schema_ or fields.pop("schema", None)
        if not schema:
            raise ConfigError(
                f"A StructuredPrompt needs the schema of the answer; received {schema!r}: give a "
                "pydantic class, a TypedDict, a dataclass or a JSON schema."
            )
        more = {name: fields.pop(name) for name in set(fields).difference(_KNOWN)}
        kwargs = {**(structured_output_kwargs or {}), **more}
        super().__init__(
            messages,
            template_format=template_format,
            schema_=schema,
            structured_output_kwargs=kwargs,
            **fields,
        )

    @classmethod
    def from_messages_and_schema(cls, messages: Sequence[Any], schema: Any, **kwargs: Any) -> Self:
        """A prompt of these messages; `kwargs` as for the class."""
        return cls(messages, schema, **kwargs)

    def __or__(self, other: Any) -> Any:
        """The prompt, then the model with the prompt's schema."""
        return self.pipe(other)

    def pipe(self, *others: Any, name: str | None = None) -> Any:
        """`self | others[0] | …`, with a name if given. The first must be a model.

        Raises:
            NoStructureError: it has no `with_structured_output`.
        """
        model = others[0] if others else None
        if not hasattr(model, _ASKED):
            raise NoStructureError(
                f"A StructuredPrompt is followed by a model, which gets its schema; {model!r}, a "
                f"{type(model).__name__}, has no '{_ASKED}'. Write prompt | model | …, or use a "
                "ChatPromptTemplate."
            )
        return super().pipe(*others, name=name)

    def _meet(self, step: Any) -> Any:
        """What a sequence has in place of a step that is put after this prompt: of a model that
        model with the schema, so `… | prompt | model` is `… | (prompt | model)`."""
        structured = getattr(step, _ASKED, None)
        if structured is None:
            return step
        return structured(self.schema_, **self.structured_output_kwargs)


_ASKED = "with_structured_output"
_KNOWN = {*StructuredPrompt.model_fields, "input_variables", "optional_variables"}
