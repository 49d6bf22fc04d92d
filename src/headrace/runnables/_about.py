"""What a runnable says of itself: its types, its settings, its parts, its picture.

None of this runs anything. Schemas are made by `schema.py`, which alone loads pydantic; graphs are
a view that lives above (`headrace.graph`), imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ..config import ConfigurableFieldSpec
from ..shapes import Node
from . import schema
from ._settings import config_model, unique_specs
from .explain import Explanation, explain


class About(Node):
    """The part of `Runnable` that answers questions."""

    # ------------------------------------------------------------- types

    @property
    def InputType(self) -> Any:
        """The type of one input, as an annotation; a property to override.

        Raises:
            TypeUnknownError: nothing says it, neither the class line nor an annotation.
        """
        return schema.annotation_of(schema.told(self, "input"))

    @property
    def OutputType(self) -> Any:
        """The type of the value that comes out; like `InputType`."""
        return schema.annotation_of(schema.told(self, "output"))

    def get_input_schema(self, config: Any = None) -> Any:
        """A pydantic model of the input: of its fields where it is a dict whose keys are known,
        else a root model. `config` counts where it chooses what runs."""
        return schema.own_model(self, "input", config)

    def get_output_schema(self, config: Any = None) -> Any:
        """A pydantic model of the output."""
        return schema.own_model(self, "output", config)

    def get_input_jsonschema(self, config: Any = None) -> dict[str, Any]:
        """The JSON schema of the input."""
        return schema.json_schema(self.get_input_schema(config))

    def get_output_jsonschema(self, config: Any = None) -> dict[str, Any]:
        """The JSON schema of the output."""
        return schema.json_schema(self.get_output_schema(config))

    @property
    def input_schema(self) -> Any:
        """`get_input_schema()`."""
        return schema.shown_model(self, "input")

    @property
    def output_schema(self) -> Any:
        """`get_output_schema()`."""
        return schema.shown_model(self, "output")

    # Each class says its two sides; a step of a sequence may also ask its neighbour.

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        """The input or the output, as data; by default what the class line says."""
        root = next(cls for cls in type(self).__mro__ if About in cls.__bases__)
        return schema.own_types(self, side, root)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any] | None:
        """The runnable whose types these are, if they are another's, and its config."""
        return None

    def _needs(self, after: schema.Ask | None, config: Any) -> schema.Data:
        return schema.said(self, "input", config)

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        return schema.said(self, "output", config)

    # ------------------------------------------------------------- settings

    _chooses: ClassVar[bool] = False  # what runs depends on the config

    def _check_choice(self, configurable: Any, *, sync: bool) -> None:
        """Of one that chooses: raise, before anything runs, if what these settings choose is not
        there, or cannot run `sync`."""

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The keys of `config["configurable"]` that this runnable and its parts know, by id.

        Raises:
            ConfigError: two parts mean different things by one key.
        """
        parts = [child for _, child in self._children() if isinstance(child, About)]
        return unique_specs(spec for part in parts for spec in part.config_specs)

    def config_schema(self, include: Sequence[str] | None = None) -> Any:
        """A pydantic model of the config: of what is configurable, and of those fields of
        `RunnableConfig` that `include` lists."""
        return config_model(self._config_title(), self.config_specs, include)

    def get_config_jsonschema(self, include: Sequence[str] | None = None) -> dict[str, Any]:
        """`config_schema` as a JSON schema."""
        return schema.json_schema(self.config_schema(include))

    def _config_title(self) -> str:
        named: Any = self
        return named.get_name("Config")  # type: ignore[no-any-return]

    # ------------------------------------------------------------- parts

    def _walk(self) -> Iterator[Any]:
        """This runnable and all those inside it, outermost first."""
        yield self
        for _, child in self._children():
            if isinstance(child, About):
                yield from child._walk()

    def _shown(self, config: Any) -> Iterator[Any]:
        """`_walk` among what runs under a config."""
        yield self
        for _, child in self._children():
            if isinstance(child, About):
                yield from child._shown(config)

    def explain(self) -> Explanation:
        """Per step: does it stream, wait for its whole input (and what to write instead) or make
        the stream. Print it for the text; iterate it for the data."""
        return explain(self)

    def get_graph(self, config: Any = None) -> Any:
        """A `headrace.graph.Graph` of this runnable, to draw or to read."""
        from ..graph.build import build_graph

        return build_graph(self, config)

    def get_prompts(self, config: Any = None) -> list[Any]:
        """The prompt templates in this runnable, as `config` chooses, in the order in which they
        are met."""
        return [node for node in self._shown(config) if node._run_type == "prompt"]
