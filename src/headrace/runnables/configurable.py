"""Steps whose fields, or who themselves, are chosen by the config of a call.

`RunnableConfigurableFields` is a runnable built again with the values that a call's
`config["configurable"]` has for some of its fields; `RunnableConfigurableAlternatives` is one of
several runnables, named there. Both are transparent, as bindings are: drivers look through them at
what was chosen, which makes its own run and streams its own chunks.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config import ConfigurableFieldSpec
from ..errors import ConfigError
from ..run import Run
from ..shapes import Node
from ._chosen import Chooser, Configurable
from ._doors import no_sync_body
from ._rebuild import canonical, rebuilt, setting
from ._repr import called
from ._settings import (
    AnyConfigurableField,
    ConfigurableField,
    ConfigurableFieldMultiOption,
    ConfigurableFieldSingleOption,
    choice_spec,
    field_spec,
    prefixed,
    unique_specs,
)
from .base import Input, Output, Runnable, makers
from .coerce import coerce_to_runnable

__all__ = [
    "AnyConfigurableField",
    "ConfigurableField",
    "ConfigurableFieldMultiOption",
    "ConfigurableFieldSingleOption",
    "RunnableConfigurableAlternatives",
    "RunnableConfigurableFields",
]


class RunnableConfigurableFields(Chooser, Runnable[Input, Output]):
    """`default`, with the values that a call has for `fields`; what `configurable_fields` makes.

    Args:
        fields: by the name of a field (of a pydantic component) or of a constructor parameter (of
            any other runnable), what may be set of it.
        config: what goes with every call.

    With a value the runnable is built again, for that call alone (a batch with one config is one).
    """

    def __init__(
        self,
        *,
        default: Any,
        fields: Mapping[str, AnyConfigurableField],
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.default = coerce_to_runnable(default)
        self.fields = {canonical(self.default, name): _field(f) for name, f in fields.items()}
        self.config = dict(config or {})
        self._derive()

    def _arms(self) -> list[Any]:
        return [self.default]

    def _knows_all(self) -> bool:
        return not self.fields

    def _choose(self, configurable: Configurable) -> tuple[Any, Configurable]:
        values = dict(self._values(configurable))
        return (self._made(rebuilt(self.default, values)) if values else self.default), configurable

    def _values(self, configurable: Configurable) -> Iterator[tuple[str, Any]]:
        for name, field in self.fields.items():
            if isinstance(field, ConfigurableField):
                if field.id in configurable:
                    yield name, configurable[field.id]
            elif isinstance(field, ConfigurableFieldSingleOption):
                key = configurable.get(field.id)
                yield name, _option(field, field.default if key is None else key)
            else:
                keys = configurable.get(field.id, field.default)
                if isinstance(keys, str) or not isinstance(keys, Sequence):
                    raise ConfigError(
                        f"config['configurable'][{field.id!r}] is {keys!r}: give a list of keys "
                        f"out of {list(field.options)}."
                    )
                yield name, [_option(field, key) for key in keys]

    def _check_choice(self, configurable: Configurable, *, sync: bool) -> None:
        seen = {**self.config.get("configurable", {}), **configurable}
        values = dict(self._values(seen))  # an option that is not there raises
        if isinstance(self.default, Chooser):
            self.default._check_choice(seen, sync=sync)
        elif sync and self.default._async_only is not None:
            chosen = rebuilt(self.default, values) if values else self.default
            if chosen._async_only is not None:
                raise no_sync_body(chosen._async_only)

    def configurable_fields(self, **fields: Any) -> Runnable[Input, Output]:
        return self._again(fields={**self.fields, **fields})  # type: ignore[no-any-return]

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The fields that a call may set, and what may be set inside the default."""
        mine = []
        for name, field in self.fields.items():
            now = setting(self.default, name)
            mine.append(field_spec(field, now.value, now.annotation, now.about))
        return unique_specs([*mine, *self.default.config_specs])

    def __repr__(self) -> str:
        keys = {name: field.id for name, field in self.fields.items()}
        settings = {"config": self.config} if self.config else {}
        return called(type(self).__name__, self.default, fields=keys, **settings)


def _field(field: Any) -> Any:
    """The field, if it is one and its default is among its options."""
    if isinstance(field, ConfigurableField):
        return field
    if isinstance(field, ConfigurableFieldSingleOption):
        _option(field, field.default)
    elif isinstance(field, ConfigurableFieldMultiOption):
        for key in field.default:
            _option(field, key)
    else:
        raise ConfigError(
            f"A configurable field is a ConfigurableField, a ConfigurableFieldSingleOption or a "
            f"ConfigurableFieldMultiOption, and this is {field!r}: write ConfigurableField(id=…)."
        )
    return field


def _option(field: Any, key: Any) -> Any:
    try:
        return field.options[key]
    except (KeyError, TypeError):
        raise ConfigError(
            f"There is no option {key!r} for the configurable field {field.id!r}: it has "
            f"{list(field.options)}."
        ) from None


class RunnableConfigurableAlternatives(Chooser, Runnable[Input, Output]):
    """`default` or one of `alternatives`, as a call says; what `configurable_alternatives` makes.

    Args:
        which: under which key a call names the one it wants.
        default: the one if it names none, or `default_key`.
        alternatives: by key, runnables, or functions that make one; such a function is called at
            each use (in the event loop in async runs), so that it can look something up.
        prefix_keys: settings of an alternative go by `"<which.id>==<key>/<their id>"`, so that
            alternatives may have settings of the same id; shared ones keep theirs.
        config: what goes with every call.
    """

    def __init__(
        self,
        *,
        which: ConfigurableField,
        default: Any,
        alternatives: Mapping[str, Any],
        default_key: str = "default",
        prefix_keys: bool = False,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(which, ConfigurableField):
            raise ConfigError(
                f"The choice between alternatives is a ConfigurableField and this is {which!r}: "
                "write ConfigurableField(id=…)."
            )
        if not isinstance(alternatives, Mapping):
            raise ConfigError(
                f"The alternatives are {alternatives!r} ({type(alternatives).__name__}): give a "
                "dict of runnables by key."
            )
        if default_key in alternatives:
            raise ConfigError(
                f"Both the default and an alternative are called {default_key!r}: give another "
                "default_key."
            )
        self.which = which
        self.default = coerce_to_runnable(default)
        self.alternatives = {
            key: _maker(key, arm)
            if _made_later(arm)
            else coerce_to_runnable(arm, f"the alternative {key!r}")
            for key, arm in alternatives.items()
        }
        self.default_key = default_key
        self.prefix_keys = prefix_keys
        self.config = dict(config or {})
        self._derive()

    def _arms(self) -> list[Any]:
        return [self.default, *(a for a in self.alternatives.values() if not _made_later(a))]

    def _knows_all(self) -> bool:
        return not any(map(_made_later, self.alternatives.values()))

    @property
    def _keys(self) -> list[str]:
        return [*self.alternatives, self.default_key]

    def _look_up(self, configurable: Configurable) -> tuple[Any, Configurable]:
        key = configurable.get(self.which.id, self.default_key)
        if key not in self._keys:
            raise ConfigError(
                f"Unknown alternative {key!r}: config['configurable'][{self.which.id!r}] is one of "
                f"{self._keys}."
            )
        if self.prefix_keys:
            configurable = _unprefixed(configurable, f"{self.which.id}=={key}/")
        if key == self.default_key:
            return self.default, configurable
        return self.alternatives[key], configurable

    def _choose(self, configurable: Configurable) -> tuple[Any, Configurable]:
        arm, configurable = self._look_up(configurable)
        return (self._made(coerce_to_runnable(arm())) if _made_later(arm) else arm), configurable

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Any:
        if not self._knows_all():
            return None  # looking whether there is one would be another call of the function
        return super()._branch_machine(fold, run, tag)

    def _check_choice(self, configurable: Configurable, *, sync: bool) -> None:
        arm, seen = self._look_up({**self.config.get("configurable", {}), **configurable})
        if isinstance(arm, Chooser):
            arm._check_choice(seen, sync=sync)
        elif sync and isinstance(arm, Runnable) and arm._async_only is not None:
            raise no_sync_body(arm._async_only)

    def configurable_fields(self, **fields: Any) -> Runnable[Input, Output]:
        """Of the default."""
        return self._again(default=self.default.configurable_fields(**fields))  # type: ignore[no-any-return]

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The choice, and what may be set in each alternative that is a runnable already."""
        specs = [choice_spec(self.which, self._keys, self.default_key)]
        for key, arm in [(self.default_key, self.default), *self.alternatives.items()]:
            if not _made_later(arm):
                inside = arm.config_specs
                prefix = f"{self.which.id}=={key}"
                specs += [prefixed(s, prefix) for s in inside] if self.prefix_keys else inside
        return unique_specs(specs)

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        known = [(k, a) for k, a in self.alternatives.items() if not _made_later(a)]
        return [(None, self.default), *known]

    def __repr__(self) -> str:
        arms = {self.default_key: self.default, **self.alternatives}
        settings = {"config": self.config} if self.config else {}
        return called(type(self).__name__, self.which.id, **{**arms, **settings})


def _made_later(arm: Any) -> bool:
    """Whether an alternative is a function that makes one."""
    return callable(arm) and not isinstance(arm, Runnable)


def _maker(key: str, arm: Any) -> Any:
    """A function that makes an alternative: it is called without arguments."""
    try:
        parameters = inspect.signature(arm).parameters.values()
    except (ValueError, TypeError):  # a builtin that does not tell
        return arm
    some = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needs = [p.name for p in parameters if p.default is p.empty and p.kind not in some]
    if needs:
        raise ConfigError(
            f"The alternative {key!r} is {arm!r}, which needs {', '.join(needs)}: a bare function "
            "is called without arguments to MAKE the alternative. If it is to be the alternative "
            "itself, wrap it: RunnableLambda(…)."
        )
    return arm


def _unprefixed(configurable: Configurable, prefix: str) -> Configurable:
    """The settings as the chosen alternative knows them: those with its prefix lose it, and win."""
    own = {k[len(prefix) :]: v for k, v in configurable.items() if k.startswith(prefix)}
    if not own:
        return configurable
    rest = {k: v for k, v in configurable.items() if not k.startswith(prefix)}
    return {**rest, **own}


makers["configurable_fields"] = RunnableConfigurableFields
makers["configurable_alternatives"] = RunnableConfigurableAlternatives
