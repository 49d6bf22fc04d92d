"""What configurable fields and alternatives share: they choose, and what they chose is seen.

Drivers look through them, as through bindings, at what the config of a call chooses; the public
doors are those of what was chosen. What a call says wins over what `with_config` said before, in a
chain as by itself.
"""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, TypeAlias

from ..config import ConfigurableFieldSpec, merge_configs
from ..errors import ConfigError
from ..run import Run
from ..shapes import Flow, Kwargs, Node, Pieces, lacking_all, side_by_side
from . import schema
from ._copying import ByValue
from ._doors import DOORS, seen_from_outside
from ._methods import AWAITED, BATCHES, batch_through, is_method, takes_config, through, with_config
from ._rebuild import rebuilt
from .base import Runnable
from .configs import as_told, ensure_config, get_config_list

_RECENT = 32  # runnables made for calls that one step remembers for errors to name
Configurable: TypeAlias = Mapping[str, Any]


class Chooser(ByValue):
    """What both share: the look-through, the doors, and the attributes of what is configured."""

    _transparent = True
    _chooses = True
    _derived: ClassVar[tuple[str, ...]] = ("_async_only", "_fold", "_many", "_recent")
    default: Any
    config: dict[str, Any]

    @abstractmethod
    def _choose(self, configurable: Configurable) -> tuple[Any, Configurable]:
        """What runs under these settings, and what it sees of them."""

    @abstractmethod
    def _arms(self) -> list[Any]:
        """All that may run, as far as that is known beforehand; the default first."""

    def _again(self, **changes: Any) -> Any:
        """Another one of the kind."""
        return rebuilt(self, changes)

    def _derive(self) -> None:
        """What combinators ask before anything is chosen."""
        arms = self._arms()
        self._fold = self._fold_after(None)
        self._many = max(arm._many for arm in arms)
        self._async_only = lacking_all(arms) if self._knows_all() else None
        self._recent: deque[Any] = deque(maxlen=_RECENT)

    @abstractmethod
    def _knows_all(self) -> bool:
        """Whether nothing else may run."""

    def _fold_after(self, fold: Any) -> Any:
        """That of the arms where they agree; for certain it is known when one has been chosen."""
        folds = [arm._fold_after(fold) for arm in self._arms()]
        return folds[0] if all(each is folds[0] for each in folds) else None

    # ------------------------------------------------------------- what drivers see

    def _unwrap(self, run: Run, kw: Kwargs) -> tuple[Node, Run, Kwargs]:
        run = self._under(run)
        chosen, seen = self._choose(run.scope.configurable)
        return chosen, _seeing(run, seen), kw

    def _behind(self, config: Any, kw: Kwargs) -> tuple[Any, Any, Kwargs]:
        chosen, config = self._prepared(config)
        return seen_from_outside(chosen), config, kw

    def _under(self, run: Run) -> Run:
        return run.configured(self.config) if self.config else run

    def _branch_machine(self, fold: Any, run: Run, tag: str | None) -> Any:
        if self._overridden or any(arm._start(fold) is None for arm in self._arms()):
            return None
        run = self._under(run)
        chosen, seen = self._choose(run.scope.configurable)
        if chosen._fold_after(fold) is not self._fold_after(fold):
            return None  # a stream can say how its chunks add up, a machine cannot
        return chosen._branch_machine(fold, _seeing(run, seen), tag)

    def _made(self, runnable: Any) -> Any:
        """Remember what was made for a call, so that an error in it can be told to be of here."""
        self._recent.append(weakref.ref(runnable))
        return runnable

    def _made_for_a_call(self, node: Any) -> bool:
        return any(made() is node for made in list(self._recent))

    @abstractmethod
    def _check_choice(self, configurable: Configurable, *, sync: bool) -> None:
        """As in `About`."""

    # ------------------------------------------------------------- what callers see

    def _prepared(self, config: Any) -> tuple[Any, Any]:
        """What runs under a call's config, and its config."""
        merged: Any = merge_configs(self.config, config) if self.config else config
        full: Any = ensure_config(merged)
        chosen, seen = self._choose(full["configurable"])
        if seen is not full["configurable"]:
            merged = full = {**full, "configurable": dict(seen)}
        return chosen, full if getattr(chosen, "_overridden", None) else merged

    def _configured(self, config: Any) -> tuple[Any, Any]:
        """The same, down to what is no choice itself."""
        chosen, config = self._prepared(config)
        return chosen._configured(config) if isinstance(chosen, Chooser) else (chosen, config)

    def _for_batch(self, inputs: list[Any], config: Any, keep_errors: bool) -> tuple[Any, Any, Any]:
        """What has the batch, with which inputs and config: what all of them chose, or one that
        keeps for each what that one did. Each chooses once."""
        if not isinstance(config, Sequence):
            try:
                chosen, config = self._prepared(config)
            except ConfigError as error:
                if not keep_errors:
                    raise
                return _Several([error] * len(inputs)), list(enumerate(inputs)), config
            return chosen, inputs, config
        called: list[Any] = []
        configs: list[Any] = []
        for each in get_config_list(config, len(inputs)):
            try:
                chosen, prepared = self._prepared(each)
            except ConfigError as error:
                if not keep_errors:
                    raise
                chosen, prepared = error, each
            called.append(chosen)
            configs.append(prepared)
        first = called[0] if called else self.default
        if all(each is first for each in called) and not isinstance(first, ConfigError):
            return first, inputs, configs
        return _Several(called), list(enumerate(inputs)), configs

    def with_config(self, config: Any = None, **kwargs: Any) -> Any:
        """As everywhere. Attributes are then those of what this config chooses."""
        return self._again(config=merge_configs(self.config, as_told(self, config, kwargs)))

    # ------------------------------------------------------------- about itself

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        named = name or self.config.get("run_name")
        return self.default.get_name(suffix, name=named)  # type: ignore[no-any-return]

    def get_graph(self, config: Any = None) -> Any:
        """The graph of what the config chooses."""
        chosen, config = self._prepared(config)
        return chosen.get_graph(config)

    def _typed_by(self, side: schema.Side, config: Any) -> tuple[Any, Any]:
        return self._prepared(config)

    def _config_title(self) -> str:
        return f"{type(self).__name__}Config"

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [(None, self.default)]

    def _reads(self) -> Pieces:
        return max(arm._reads() for arm in self._arms())  # type: ignore[no-any-return]

    def _flow(self) -> Flow:
        flows = [arm._flow() for arm in self._arms()]
        return flows[0] if len({flow.kind for flow in flows}) == 1 else side_by_side(flows)

    def __getattr__(self, name: str) -> Any:
        """What is not here is the default's. A method is called on what its `config` argument
        chooses, or else what `with_config` said. One that makes a runnable (`bind_tools`,
        `with_structured_output`) gives what makes it, at each call, of what that one chooses."""
        if name.startswith("__") or name in ("default", "config") or "default" not in vars(self):
            raise AttributeError(name)
        found = getattr(self.default, name)
        if not is_method(found):
            return getattr(self._configured(None)[0], name) if self.config else found

        if takes_config(found):
            return with_config(found, lambda given: self._method(name, given))

        @wraps(found, updated=())
        def method(*args: Any, **kwargs: Any) -> Any:
            called, config = self._method(name, kwargs.get("config"))
            if "config" in kwargs:
                return called(*args, **{**kwargs, "config": config})
            made = called(*args, **kwargs)
            if not isinstance(made, Runnable) or name.startswith("_"):
                return made
            return OfChosen(chooser=self, method=name, args=args, kwargs=kwargs, config=self.config)

        return method

    def _method(self, name: str, given: Any) -> tuple[Any, Any]:
        """A method of what a config chooses, and the config for it."""
        if given is None and not self.config:
            return getattr(self.default, name), None
        chosen, config = self._configured(given)
        return getattr(chosen, name), config

    def _shown(self, config: Any) -> Iterator[Any]:
        yield self
        chosen, config = self._prepared(config)
        yield from chosen._shown(config)


class OfChosen(Chooser, Runnable[Any, Any]):
    """What a method of a configurable step makes: `chooser.default.method(…)`, or that of what a
    call chooses, made for the call where it is not known before.

    Args:
        chooser: the configurable step.
        method, args, kwargs: what is called on what it chooses, to give a runnable.
        config: what goes with every call.
    """

    _derived = (*Chooser._derived, "_ready")

    def __init__(
        self,
        *,
        chooser: Any,
        method: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.chooser = chooser
        self.method = method
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.config = dict(config or {})
        self._derive()

    def _derive(self) -> None:
        self._ready = [(arm, self._of(arm)) for arm in self.chooser._arms()]
        self.default = self._ready[0][1]
        super()._derive()

    def _of(self, arm: Any) -> Any:
        return getattr(arm, self.method)(*self.args, **self.kwargs)

    def _arms(self) -> list[Any]:
        return [made for _, made in self._ready]

    def _knows_all(self) -> bool:
        return self.chooser._knows_all()  # type: ignore[no-any-return]

    def _choose(self, configurable: Configurable) -> tuple[Any, Configurable]:
        chosen, seen = self.chooser._choose(configurable)
        for arm, made in self._ready:
            if arm is chosen:
                return made, seen
        return self._made(self._of(chosen)), seen

    def _check_choice(self, configurable: Configurable, *, sync: bool) -> None:
        seen = {**self.config.get("configurable", {}), **configurable}
        self.chooser._check_choice(seen, sync=sync)

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """Those of the step."""
        return self.chooser.config_specs  # type: ignore[no-any-return]

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        made = {id(arm): each for arm, each in self._ready}
        return [(name, made[id(arm)]) for name, arm in self.chooser._children()]

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"{self.chooser!r}.{self.method}({', '.join(given)})"


def _seeing(run: Run, configurable: Configurable) -> Run:
    """The run with exactly these settings for what is below."""
    if configurable is run.scope.configurable:
        return run
    inner = run.configured({})
    inner.scope.configurable = dict(configurable)  # its scope was made for it just now
    return inner


class _Several:
    """A batch whose inputs go through different runnables; an input here is its number and it."""

    def __init__(self, called: list[Any]) -> None:
        self.called = called  # a runnable each, or why there is none

    def _chosen(self, number: int) -> Any:
        chosen = self.called[number]
        if isinstance(chosen, ConfigError):
            raise chosen
        return chosen

    def invoke(self, numbered: tuple[int, Any], config: Any, **kwargs: Any) -> Any:
        number, value = numbered
        return self._chosen(number).invoke(value, config, **kwargs)

    async def ainvoke(self, numbered: tuple[int, Any], config: Any, **kwargs: Any) -> Any:
        number, value = numbered
        return await self._chosen(number).ainvoke(value, config, **kwargs)


for _name in BATCHES:
    setattr(_Several, _name, getattr(Runnable, _name))


def _door(name: str) -> Callable[..., Any]:
    def door(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        chosen, config = self._prepared(config)
        return getattr(chosen, name)(input, config, **kwargs)

    async def awaited(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        chosen, config = self._prepared(config)
        return await getattr(chosen, name)(input, config, **kwargs)

    return through(name, awaited if name in AWAITED else door)


def _batch_door(name: str) -> Callable[..., Any]:
    def called(self: Any, inputs: Any, config: Any, keep_errors: bool, kwargs: Any) -> Any:
        who, inputs, config = self._for_batch(list(inputs), config, keep_errors)
        return getattr(who, name)(inputs, config, return_exceptions=keep_errors, **kwargs)

    return batch_through(name, called)


for _name in DOORS:
    setattr(Chooser, _name, _door(_name))
for _name in BATCHES:
    setattr(Chooser, _name, _batch_door(_name))
