"""Steps that let the input through: as it is, with keys added, or only some keys of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from .. import _async, _async_fan, _sync, _sync_fan
from .._bridge import call_in_thread
from ..errors import InputError
from ..flow import Branch, Folded, Late, Machine, Stepped, fold_chunks
from ..run import Run
from ..shapes import Kwargs, Leaf, Node, Op
from . import schema
from ._repr import function_shown
from ._typed import Function, Same
from .addable import AddableDict
from .base import Runnable, makers
from .function import _check, _extras, _filled_in, _is_async
from .parallel import RunnableParallel

_SIDES: tuple[schema.Side, schema.Side] = ("input", "output")


class NotADictError(InputError, TypeError):
    """A step that works on dicts got something else."""


def _same(value: Any) -> Any:
    return value


class RunnablePassthrough(Leaf, Runnable[Same, Same]):
    """The input, unchanged; costs nothing per chunk.

    Args:
        func: called with the whole input when it has gone by, for its side effect.
        afunc: the same for async runs; without it `func` runs in a thread there.
        input_type: the type of what passes, where no neighbour in a sequence says it.
    """

    def __init__(
        self,
        func: Function[Same, Any] | None = None,
        afunc: Function[Same, Any] | None = None,
        *,
        input_type: Any = None,
        name: str | None = None,
    ) -> None:
        for function in (func, afunc):
            if function is not None:
                _check(function, "RunnablePassthrough")
        self.input_type = input_type
        if func is not None and afunc is None and _is_async(func):
            func, afunc = None, func
        self.func: Any = func
        self.afunc: Any = afunc
        self.name = name
        self._given, self._agiven = _filled_in(func), _filled_in(afunc)

    @classmethod
    def assign(cls, **kwargs: Any) -> RunnableAssign:  # type: ignore[override]
        """The input dict with the outputs of these steps added under their keys."""
        return RunnableAssign(RunnableParallel(kwargs))

    def _fold_after(self, fold: Any) -> Any:
        return fold

    def _start(self, fold: Any) -> Machine | None:
        return Stepped(_same) if self.func is None and self.afunc is None else None

    # ------------------------------------------------------------- streaming

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        bare = source.source if type(source) is Folded else source
        return iter(bare) if self.func is None else self._told(source, run, kw)

    def _told(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        chunks = []
        for chunk in source:
            chunks.append(chunk)
            yield chunk
        self._tell(fold_chunks(getattr(source, "fold", None), chunks), run, kw)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        bare = source.source if type(source) is Folded else source
        quiet = self.func is None and self.afunc is None
        return bare.__aiter__() if quiet else self._atold(source, run, kw)

    async def _atold(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        chunks = []
        async for chunk in source:
            chunks.append(chunk)
            yield chunk
        await self._atell(fold_chunks(getattr(source, "fold", None), chunks), run, kw)

    # ------------------------------------------------------------- values

    def _tell(self, value: Any, run: Run, kw: Kwargs) -> None:
        run.call(self.func, value, **_extras(self._given, run, kw))

    async def _atell(self, value: Any, run: Run, kw: Kwargs) -> None:
        if self.afunc is not None:
            await run.acall(self.afunc, value, **_extras(self._agiven, run, kw))
        else:
            await call_in_thread(self._tell, value, run, kw)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self.func is not None:
            self._tell(value, run, kw)
        return value

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        if self.func is not None or self.afunc is not None:
            await self._atell(value, run, kw)
        return value

    # ------------------------------------------------------------- about itself

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        found = Any if self.input_type is None else self.input_type
        return schema.Plain(schema.title(self, side), found)

    def _needs(self, after: schema.Ask | None, config: Any) -> schema.Data:
        return self._as(self._data("input"), after)

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        return self._as(self._data("output"), before)

    def _as(self, own: schema.Data, neighbour: schema.Ask | None) -> schema.Data:
        found = schema.known(neighbour if schema.is_unknown(own) else None)
        return own if schema.is_unknown(found) else found

    def __repr__(self) -> str:
        function = self.func or self.afunc
        return f"{type(self).__name__}({'' if function is None else function_shown(function)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunnablePassthrough):
            return NotImplemented
        return (self.func, self.afunc) == (other.func, other.afunc)

    __hash__ = None  # type: ignore[assignment]


def _checked(value: Any, what: str) -> Any:
    if not isinstance(value, Mapping):
        raise NotADictError(
            f"{what} works on a dict and got {value!r} ({type(value).__name__}): put a step before "
            'it that gives a dict, for example {"question": RunnablePassthrough()}.'
        )
    return value


class RunnableAssign(Leaf, Runnable[dict[str, Any], dict[str, Any]]):
    """The input dict with the outputs of `mapper`'s branches added under their keys.

    Chunks of the input go on as they come, without the keys that the mapper gives; the mapper's
    chunks come between them as it has them.
    """

    _layout = "along"

    _derived = ("_without", "_branches")

    def __init__(self, mapper: Any, *, name: str | None = None) -> None:
        self.mapper = mapper if isinstance(mapper, RunnableParallel) else RunnableParallel(mapper)
        self.name = name
        self._derive()
        self._fold = self.mapper._fold
        self._many = self.mapper._many
        self._async_only = self.mapper._async_only

    def _derive(self) -> None:
        keys = frozenset(self.mapper.steps__)

        def without(chunk: Any) -> Any:
            given = _checked(chunk, self.get_name())
            rest = {key: value for key, value in given.items() if key not in keys}
            return AddableDict(rest) if rest or not given else None

        self._without = without
        self._branches = [Branch(None, _same, machine=lambda: _Picker(without))]
        if keys:
            self._branches.append(Branch(None, _same, self.mapper))

    def _fold_after(self, fold: Any) -> Any:
        return self._fold_of(fold, self.mapper._fold_after(fold))

    def _fold_of(self, fold: Any, added: Any) -> Any:
        """How the chunks add up, of those that go by and of the mapper's."""
        if fold is None:
            return added
        both: Any = partial(self._fold_both, fold, added)
        both.knows = True  # where one of the two does
        return both

    def _fold_both(self, fold: Any, added: Any, chunks: list[Any]) -> Any:
        keys = self.mapper.steps__.keys()
        of_mapper = [chunk for chunk in chunks if chunk and chunk.keys() <= keys]
        others = [chunk for chunk in chunks if not chunk or not chunk.keys() <= keys]
        gone_by = fold_chunks(fold, others) or {}
        both = {**gone_by, **(fold_chunks(added, of_mapper) or {})}
        return AddableDict(both) if both or chunks else None

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        branches, told = self._telling(source.fold if type(source) is Folded else None)
        return Late(_sync_fan.fan_out(self, branches, source, run), told)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        branches, told = self._telling(source.fold if type(source) is Folded else None)
        return Late(_async_fan.fan_out(self, branches, source, run), told)

    def _telling(self, fold: Any) -> tuple[list[Branch], list[Any]]:
        """The branches for a source with this fold, and the list in which they say how the chunks
        add up."""
        told = [self._fold_after(fold)]

        def opened(stream: Any) -> None:
            if type(stream) is Late:
                told.append(self._fold_of(fold, stream.fold))

        branches = [branch._replace(opened=opened) for branch in self._branches]
        branches[0] = branches[0]._replace(machine=lambda: _Picker(self._without, fold))
        return branches, told

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = _checked(value, self.get_name())
        return {**given, **_sync.value_step(self.mapper, value, run)}

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = _checked(value, self.get_name())
        return {**given, **await _async.value_step(self.mapper, value, run)}

    def _data(self, side: schema.Side, config: Any = None) -> schema.Data:
        taken, given = (
            schema.known(partial(schema.said, self.mapper, each, config)) for each in _SIDES
        )
        if side == "input" or not isinstance(given, schema.Fields):
            fallback = schema.Plain(schema.title(self, side), schema.ANY_DICT)
            return taken if side == "input" and isinstance(taken, schema.Fields) else fallback
        if isinstance(taken, schema.Fields):
            return schema.Fields("RunnableAssignOutput", {**taken.fields, **given.fields})
        unknown = schema.is_unknown(taken)
        return schema.Fields("RunnableAssignOutput" if unknown else given.name, given.fields)

    def _needs(self, after: schema.Ask | None, config: Any) -> schema.Data:
        own, then = self._data("input", config), schema.known(after)
        if not isinstance(then, schema.Fields):
            return own
        fields = {k: field for k, field in then.fields.items() if k not in self.mapper.steps__}
        more = own.fields if isinstance(own, schema.Fields) else {}
        return schema.Fields("RunnableSequenceInput", schema.together([fields, more]))

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        given = schema.known(before)
        added = schema.known(partial(schema.said, self.mapper, "output", config))
        if not isinstance(given, schema.Fields) or not isinstance(added, schema.Fields):
            return self._data("output", config)
        return schema.Fields("RunnableSequenceOutput", {**given.fields, **added.fields})

    def _kind_name(self) -> str:
        return f"RunnableAssign<{','.join(self.mapper.steps__)}>"

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.mapper)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mapper!r})"

    def __eq__(self, other: object) -> bool:
        return self.mapper == other.mapper if isinstance(other, RunnableAssign) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class RunnablePick(Op, Runnable[dict[str, Any], Any]):
    """One key's value, or a dict of several keys, of a dict; chunks without them are left out."""

    def __init__(self, keys: str | Sequence[str], *, name: str | None = None) -> None:
        self.keys: str | list[str] = keys if isinstance(keys, str) else list(keys)
        self.name = name

    def _pick(self, value: Any) -> Any:
        given = _checked(value, self.get_name())
        if isinstance(self.keys, str):
            return given.get(self.keys)
        picked = {key: given[key] for key in self.keys if key in given}
        return AddableDict(picked) if picked else None

    def _start(self, fold: Any) -> Machine:
        return _Picker(self._pick, fold, self.keys if isinstance(self.keys, str) else None)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._pick(value)

    def _fold_after(self, fold: Any) -> Any:
        return None if fold is None else partial(self._fold_picked, fold)

    def _fold_picked(self, fold: Any, chunks: list[Any]) -> Any:
        if not isinstance(self.keys, str):
            return self._pick(fold(chunks))
        return fold([AddableDict({self.keys: chunk}) for chunk in chunks]).get(self.keys)

    def _needs(self, after: schema.Ask | None, config: Any) -> schema.Data:
        then = schema.known(after)
        if isinstance(self.keys, str):
            field = then if isinstance(then, schema.Fields) else schema.annotation_of(then)
            needed: Any = {self.keys: (field, ...)}
        elif isinstance(then, schema.Fields):
            needed = {key: field for key, field in then.fields.items() if key in self.keys}
        else:
            return schema.said(self, "input", config)
        return schema.Fields("RunnableSequenceInput", needed)

    def _gives(self, before: schema.Ask | None, config: Any) -> schema.Data:
        given = schema.known(before)
        found: Any = given.fields if isinstance(given, schema.Fields) else {}
        if isinstance(self.keys, str) and self.keys in found:
            return schema.Plain("RunnableSequenceOutput", found[self.keys][0])
        if isinstance(self.keys, str) or not isinstance(given, schema.Fields):
            return schema.said(self, "output", config)
        picked = {key: field for key, field in found.items() if key in self.keys}
        return schema.Fields("RunnableSequenceOutput", picked)

    def _kind_name(self) -> str:
        keys = [self.keys] if isinstance(self.keys, str) else self.keys
        return f"RunnablePick<{','.join(keys)}>"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.keys!r})"

    def __eq__(self, other: object) -> bool:
        return self.keys == other.keys if isinstance(other, RunnablePick) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class _Picker:
    """The machine of a function from chunk to chunk, or to None for a chunk to leave out.

    fold: of the input, if it has one. Chunks of it that are no dicts, such as the operations of a
    diff, may add up to one, and so may none: it is picked from then.
    """

    __slots__ = ("_any", "_fold", "_held", "_key", "_pick")

    def __init__(self, pick: Callable[[Any], Any], fold: Any = None, key: Any = None) -> None:
        self._pick, self._key = pick, key
        self._fold = fold
        self._held: list[Any] = []
        self._any = False

    def feed(self, chunk: Any) -> Iterable[Any]:
        if self._held or (self._fold is not None and not isinstance(chunk, Mapping)):
            self._held.append(chunk)
            return ()
        picked = self._pick(chunk)
        # None is as good as absent, but where a fold is to know that it came after a value.
        if picked is None and not (self._any and self._fold is not None and self._key in chunk):
            return ()
        self._any = True
        return (picked,)

    def finish(self) -> Iterable[Any]:
        if self._fold is None or (self._any and not self._held):
            return ()
        value = fold_chunks(self._fold, self._held)
        picked = None if value is None else self._pick(value)
        return () if picked is None else (picked,)


makers["assign"] = RunnableAssign
makers["pick"] = RunnablePick
