"""Templates for the blocks of a message's content: images, and dicts of any shape.

Strings inside a dict are templates, at any depth, in lists too; keys and other values stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from headrace.errors import ConfigError, InputError
from headrace.prompt_values import ImagePromptValue
from headrace.prompts.base import BasePromptTemplate, PromptInputError
from headrace.prompts.formats import PromptTemplateFormat, compiled
from headrace.runnables import schema
from headrace.runnables.serializable import RunnableSerializable
from headrace.shapes import Pure

__all__ = ["DictPromptTemplate", "ImagePromptTemplate"]

_NO_FILES = (
    "An image was asked for with {given}: a prompt reads no files, because its variables may come "
    "from strangers. Give a 'url'; a data: URL holds the image."
)


def _variables(tree: Any, template_format: str) -> set[str]:
    if isinstance(tree, str):
        return set(compiled(tree, template_format).variables)
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if not isinstance(tree, (list, tuple)):
        return set()
    return {name for item in tree for name in _variables(item, template_format)}


def _filled(tree: Any, template_format: str, values: Mapping[str, Any]) -> Any:
    if isinstance(tree, str):
        return compiled(tree, template_format).render(values)
    if isinstance(tree, Mapping):
        return {key: _filled(item, template_format, values) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)([_filled(item, template_format, values) for item in tree])
    return tree


class DictPromptTemplate(Pure, RunnableSerializable[dict[str, Any], dict[str, Any]]):
    """A dict whose strings are templates; gives the dict with its variables filled in.

    Raises:
        ConfigError: a string in it is no template of the format.
    """

    _run_type: ClassVar[str] = "prompt"

    template: dict[str, Any]
    template_format: PromptTemplateFormat = "f-string"

    def __init__(
        self,
        template: dict[str, Any],
        template_format: PromptTemplateFormat = "f-string",
        **fields: Any,
    ) -> None:
        _variables(template, template_format)
        fields.update(template=template, template_format=template_format)
        super().__init__(**fields)

    @property
    def input_variables(self) -> list[str]:
        """The names of its variables, sorted."""
        return sorted(_variables(self.template, self.template_format))

    def format(self, /, **kwargs: Any) -> dict[str, Any]:
        """The dict for these variables; raises MissingVariablesError if some are missing."""
        return _filled(self.template, self.template_format, kwargs)  # type: ignore[no-any-return]

    async def aformat(self, /, **kwargs: Any) -> dict[str, Any]:
        """`format`, async."""
        return self.format(**kwargs)

    def _block(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.format(**values)

    def _apply(self, value: Any, /) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise PromptInputError(
                f"{self.get_name()} takes a dict with the variables {self.input_variables}; "
                f"received {value!r}, a {type(value).__name__}."
            )
        return self._block(value)

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        if side == "output":
            return super()._data(side)
        fields = dict.fromkeys(self.input_variables, (Any, ...))
        return schema.Fields(schema.title(self, side), fields)

    def pretty_repr(self, html: bool = False) -> str:
        """The dict as it was written."""
        return str(self.template)


class ImagePromptTemplate(BasePromptTemplate[dict[str, Any]]):
    """An image by its URL.

    Args:
        template: a dict with templates for `url` and, if wanted, `detail`, or the one for `url`;
            what it lacks can be given to `format` under these names.
        template_format: the language of the templates.

    Raises:
        ConfigError: a template is malformed, or has a `path`: files are not read for a prompt.
        InputError: when formatted, there is no `url`, or a `path` is given.
    """

    _value_type: ClassVar[Any] = ImagePromptValue

    template: dict[str, Any] = Field(default_factory=dict)
    template_format: PromptTemplateFormat = "f-string"

    def __init__(
        self,
        template: str | Mapping[str, Any] | None = None,
        *,
        template_format: PromptTemplateFormat = "f-string",
        input_variables: Any = None,  # found in the template
        **fields: Any,
    ) -> None:
        if isinstance(template, str):
            template = {"url": template}
        elif not isinstance(template or {}, Mapping):
            raise ConfigError(
                f"An image's template is a dict of 'url' and 'detail', or the url; received "
                f"{template!r}, a {type(template).__name__}."
            )
        template = dict(template or {})
        if "path" in template:
            raise ConfigError(_NO_FILES.format(given=f"template={template!r}"))
        found = _variables(template, template_format).difference(
            fields.get("partial_variables", ())
        )
        fields.update(template=template, template_format=template_format)
        super().__init__(input_variables=sorted(found), **fields)

    def format(self, /, **kwargs: Any) -> dict[str, Any]:
        """`{"url": …}`, with `detail` if there is one."""
        if "path" in kwargs and "path" not in self.input_variables:
            raise InputError(_NO_FILES.format(given=f"path={kwargs['path']!r}"))
        return self._image(self._checked(kwargs), kwargs)

    def format_prompt(self, /, **kwargs: Any) -> ImagePromptValue:
        """`format`, as a prompt value."""
        return ImagePromptValue(self.format(**kwargs))

    async def aformat_prompt(self, /, **kwargs: Any) -> ImagePromptValue:
        """`format_prompt`, async."""
        return ImagePromptValue(await self.aformat(**kwargs))

    def _image(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        image = _filled(self.template, self.template_format, self._complete(values))
        for name in ("url", "detail"):
            if not image.get(name) and given.get(name):
                image[name] = given[name]
        if not isinstance(image.get("url"), str) or not image["url"]:
            raise InputError(f"An image needs a 'url', a string; the prompt gave {image!r}.")
        return {name: image[name] for name in ("url", "detail") if image.get(name)}

    def _block(self, values: Mapping[str, Any]) -> dict[str, Any]:
        image = self.format(**values) if self._custom else self._image(values, {})
        return {"type": "image_url", "image_url": image}

    def pretty_repr(self, html: bool = False) -> str:
        """The template as it was written."""
        return str(self.template)
