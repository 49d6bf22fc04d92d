"""Steps that let the input through: as it is, with keys added, or only some keys of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import _async, _async_fan, _sync, _sync_fan
from .._bridge import call_in_thread
from ..errors import InputError
from ..flow import Branch, Folded, Machine, Stepped, fold_chunks
from ..run import Run
from ..shapes import Kwargs, Leaf, Node, Op
from .addable import AddableDict
from .base import Other, Runnable, makers
from .function import _check, _extras, _filled_in, _is_async, _name_of
from .parallel import RunnableParallel


class NotADictError(InputError, TypeError):
    """A step that works on dicts got something else."""


def _same(value: Any) -> Any:
    return value


class RunnablePassthrough(Leaf, Runnable[Other, Other]):
    """The input, unchanged; costs nothing per chunk.

    Args:
        func: called with the whole input when it has gone by, for its side effect.
        afunc: the same for async runs; without it `func` runs in a thread there.
    """

    def __init__(self, func: Any = None, afunc: Any = None, *, name: str | None = None) -> None:
        for function in (func, afunc):
            if function is not None:
                _check(function, "RunnablePassthrough")
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

    def __repr__(self) -> str:
        return f"RunnablePassthrough({_name_of(self.func, self.afunc) or ''})"

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

    def __init__(self, mapper: Any, *, name: str | None = None) -> None:
        self.mapper = mapper if isinstance(mapper, RunnableParallel) else RunnableParallel(mapper)
        self.name = name
        keys = frozenset(self.mapper.steps__)

        def without(chunk: Any) -> Any:
            given = _checked(chunk, self.get_name())
            rest = {key: value for key, value in given.items() if key not in keys}
            return AddableDict(rest) if rest or not given else None

        self._through = Branch(None, _same, machine=lambda: _Picker(without))
        self._branches = [self._through]
        if keys:
            self._branches.append(Branch(None, _same, self.mapper))
        self._fold = self.mapper._fold
        self._many = self.mapper._many
        self._async_only = self.mapper._async_only

    def _fold_after(self, fold: Any) -> Any:
        return self.mapper._fold_after(fold)

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        return _sync_fan.fan_out(self, self._branches, source, run)

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        return _async_fan.fan_out(self, self._branches, source, run)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = _checked(value, self.get_name())
        return {**given, **_sync.value_step(self.mapper, value, run)}

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = _checked(value, self.get_name())
        return {**given, **await _async.value_step(self.mapper, value, run)}

    def _kind_name(self) -> str:
        return f"RunnableAssign<{','.join(self.mapper.steps__)}>"

    def _children(self) -> Sequence[tuple[str | None, Node]]:
        return [("", self.mapper)]

    def __repr__(self) -> str:
        return f"RunnableAssign({self.mapper!r})"

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
        return _Picker(self._pick)

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        return self._pick(value)

    def _fold_after(self, fold: Any) -> Any:
        if fold is None:
            return None
        whole = self._pick

        def by_key(chunks: list[Any]) -> Any:
            if not isinstance(self.keys, str):
                return whole(fold(chunks))
            return fold([{self.keys: chunk} for chunk in chunks]).get(self.keys)

        return by_key

    def _kind_name(self) -> str:
        keys = [self.keys] if isinstance(self.keys, str) else self.keys
        return f"RunnablePick<{','.join(keys)}>"

    def __repr__(self) -> str:
        return f"RunnablePick({self.keys!r})"

    def __eq__(self, other: object) -> bool:
        return self.keys == other.keys if isinstance(other, RunnablePick) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class _Picker:
    """The machine of a function from chunk to chunk, or to None for a chunk to leave out."""

    __slots__ = ("_pick",)

    def __init__(self, pick: Callable[[Any], Any]) -> None:
        self._pick = pick

    def feed(self, chunk: Any) -> Iterable[Any]:
        picked = self._pick(chunk)
        return () if picked is None else (picked,)

    def finish(self) -> Iterable[Any]:
        return ()


makers["assign"] = RunnableAssign
makers["pick"] = RunnablePick
