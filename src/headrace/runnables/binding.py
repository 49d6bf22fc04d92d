"""`RunnableBinding`: a runnable with keyword arguments and config that go with every call.

A binding is no step of its own: drivers look through it, so it costs nothing per chunk and makes no
run. Its doors are those of what it binds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..config import merge_configs
from ..run import Run
from ..shapes import Flow, Kwargs, Node
from . import schema
from ._copying import ByValue
from ._doors import DOORS, seen_from_outside
from ._methods import AWAITED, BATCHES, batch_through, is_method, takes_config, through, with_config
from ._rebuild import rebuilt
from ._repr import called
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable
from .configs import as_told


class RunnableBinding(ByValue, Runnable[Input, Output]):
    """`bound`, called with `kwargs`, under `config`.

    Args:
        config_factories: functions from the config of a call to more config for it.
        custom_input_type, custom_output_type: types to report instead of those of `bound`.
    """

    _transparent = True

    def __init__(
        self,
        *,
        bound: Any,
        kwargs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        config_factories: Sequence[Callable[[Any], Mapping[str, Any]]] = (),
        custom_input_type: Any = None,
        custom_output_type: Any = None,
        **other_kwargs: Any,
    ) -> None:
        self.bound = coerce_to_runnable(bound)
        self.kwargs = {**(kwargs or {}), **other_kwargs}
        self.config: dict[str, Any] = dict(config or {})
        self.config_factories = list(config_factories)
        self.custom_input_type = custom_input_type
        self.custom_output_type = custom_output_type
        self._fold, self._many = self.bound._fold, self.bound._many
        self._async_only = self.bound._async_only

    # ------------------------------------------------------------- what drivers see

    def _unwrap(self, run: Run, kw: Kwargs) -> tuple[Node, Run, Kwargs]:
        if self.kwargs:
            kw = {**self.kwargs, **kw}
        if self.config:
            run = run.configured(self.config)
        for factory in self.config_factories:
            run = run.configured(factory(run.config()), over=True)
        return self.bound, run, kw

    def _behind(self, config: Any, kw: Kwargs) -> tuple[Any, Any, Kwargs]:
        config, kwargs = self._called(config, kw)
        return seen_from_outside(self.bound), config, kwargs

    def _fold_after(self, fold: Any) -> Any:
        return self.bound._fold_after(fold)

    def _start(self, fold: Any) -> Any:
        return None if self.kwargs else self.bound._start(fold)

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Any:
        if self.kwargs or self.config_factories or self._overridden:
            return None
        if self.config:
            run = run.configured(self.config)
        return self.bound._branch_machine(fold, run, tag)

    # ------------------------------------------------------------- what callers see

    def _called(self, config: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        merged: Any = config
        if self.config or self.config_factories:
            merged = merge_configs(self.config, config)
        for factory in self.config_factories:
            merged = merge_configs(merged, factory(merged))
        return merged, {**self.kwargs, **kwargs}

    def bind(self, **kwargs: Any) -> Runnable[Input, Output]:
        return self._again(kwargs={**self.kwargs, **kwargs})  # type: ignore[no-any-return]

    def with_config(self, config: Any = None, **kwargs: Any) -> Runnable[Input, Output]:
        return self._again(config=merge_configs(self.config, as_told(self, config, kwargs)))  # type: ignore[no-any-return]

    def with_retry(self, **kwargs: Any) -> Runnable[Input, Output]:
        return self._again(bound=self.bound.with_retry(**kwargs))  # type: ignore[no-any-return]

    def _again(self, **changes: Any) -> Any:
        return rebuilt(self, changes)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        named = name or self.config.get("run_name")
        return self.bound.get_name(suffix, name=named)  # type: ignore[no-any-return]

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        custom = self.custom_input_type if side == "input" else self.custom_output_type
        return schema.Plain(schema.title(self, side), custom)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any] | None:
        custom = self.custom_input_type if side == "input" else self.custom_output_type
        return (self.bound, self._called(config, {})[0]) if custom is None else None

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [(None, self.bound)]

    def _flow(self) -> Flow:
        return self.bound._flow()  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        """What is not here is the bound runnable's; its methods that take a config get this one's
        as well."""
        if name.startswith("__") or name == "bound":
            raise AttributeError(name)
        found = getattr(self.bound, name)
        if name.startswith("_") or not is_method(found) or not takes_config(found):
            return found
        return with_config(found, lambda given: (found, merge_configs(self.config, given)))

    def _shown(self, config: Any) -> Iterator[Any]:
        yield self
        yield from self.bound._shown(self._called(config, {})[0])

    def __repr__(self) -> str:
        names = ("kwargs", "config", "config_factories", "custom_input_type", "custom_output_type")
        settings = {name: getattr(self, name) for name in names}
        return called(type(self).__name__, self.bound, **{k: v for k, v in settings.items() if v})


def _door(name: str) -> Callable[..., Any]:
    def door(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        config, kwargs = self._called(config, kwargs)
        return getattr(self.bound, name)(input, config, **kwargs)

    async def awaited(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        config, kwargs = self._called(config, kwargs)
        return await getattr(self.bound, name)(input, config, **kwargs)

    return through(name, awaited if name in AWAITED else door)


def _batch_door(name: str) -> Callable[..., Any]:
    def called(self: Any, inputs: Any, config: Any, keep_errors: bool, kwargs: Any) -> Any:
        if isinstance(config, Sequence) and not isinstance(config, str):
            config = [self._called(each, {})[0] for each in config]
        else:
            config = self._called(config, {})[0]
        method = getattr(self.bound, name)
        return method(inputs, config, return_exceptions=keep_errors, **{**self.kwargs, **kwargs})

    return batch_through(name, called)


for _name in DOORS:
    setattr(RunnableBinding, _name, _door(_name))
for _name in BATCHES:
    setattr(RunnableBinding, _name, _batch_door(_name))

makers["binding"] = RunnableBinding
