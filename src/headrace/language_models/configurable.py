"""`ConfigurableModel`: the chat model that the config of a call names, and no other. What
`init_chat_model(configurable_fields=…)` gives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, ClassVar, Literal

from ..config import ConfigurableFieldSpec
from ..errors import ConfigError
from ..runnables._chosen import Chooser, Configurable
from ..runnables._doors import no_sync_body
from ..runnables._repr import called
from ..runnables.base import Runnable

__all__ = ["ConfigurableModel"]

_KEPT = 32  # models that were made for calls, each with its connections
_NAMED = ("model", "model_provider")


class ConfigurableModel(Chooser, Runnable[Any, Any]):
    """A chat model that is chosen by `config["configurable"]`; without a choice, the one `given`.

    Args:
        make: makes a model of what was given and the values of a call.
        given: the arguments of the model that is used where a call says nothing.
        fields: the arguments that a call may set; "any" for all that the model's class has.
        prefix: of the keys in `config["configurable"]`, without its underscore.
        config: what goes with every call.

    `bind_tools` and `with_structured_output` are those of the model that a call chooses.
    """

    _derived: ClassVar[tuple[str, ...]] = (*Chooser._derived, "default", "_kept", "_lock")

    def __init__(
        self,
        *,
        make: Callable[[Mapping[str, Any], Mapping[str, Any]], Any],
        given: Mapping[str, Any],
        fields: Literal["any"] | Sequence[str] = "any",
        prefix: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(fields, str) and fields != "any":
            raise ConfigError(f'configurable_fields={fields!r}: give a list of names, or "any".')
        self.make = make
        self.given = dict(given)
        self.fields: Literal["any"] | tuple[str, ...] = "any" if fields == "any" else tuple(fields)
        self.prefix = prefix
        self.config = dict(config or {})
        self._derive()

    def _derive(self) -> None:
        self.default = self.make(self.given, {})
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()
        super()._derive()

    def _arms(self) -> list[Any]:
        return [self.default]

    def _knows_all(self) -> bool:
        return False

    def _choose(self, configurable: Configurable) -> tuple[Any, Configurable]:
        values = self._values(configurable)
        if not values:
            return self.default, configurable
        key = repr(sorted(values.items()))  # of secrets too, which stay in here
        with self._lock:
            model = self._kept.pop(key, None) or self._made(self.make(self.given, values))
            self._kept[key] = model
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return model, configurable

    def _values(self, configurable: Configurable) -> dict[str, Any]:
        start = f"{self.prefix}_" if self.prefix else ""
        found = {k.removeprefix(start): v for k, v in configurable.items() if k.startswith(start)}
        if self.fields != "any":
            return {name: value for name, value in found.items() if name in self.fields}
        if start:  # what is so named is meant for the model, which refuses what it does not know
            return found
        known = {*_NAMED, *type(self.default).model_fields}
        return {name: value for name, value in found.items() if name in known}

    def _check_choice(self, configurable: Configurable, *, sync: bool) -> None:
        model, _ = self._choose({**self.config.get("configurable", {}), **configurable})
        if sync and model._async_only is not None:
            raise no_sync_body(model._async_only)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What a call may set."""
        names = _NAMED if self.fields == "any" else self.fields
        start = f"{self.prefix}_" if self.prefix else ""
        fields = type(self.default).model_fields
        return [
            ConfigurableFieldSpec(
                id=f"{start}{name}",
                annotation=fields[name].annotation if name in fields else str,
                name=name,
                default=self.given.get(name),
            )
            for name in names
        ]

    def __repr__(self) -> str:
        shown = {name: self.given[name] for name in _NAMED if name in self.given}
        return called(type(self).__name__, **shown, fields=self.fields)
