"""A model's call and its cache: asked before the rate limiter and the provider, in every door.

| | |
|---|---|
| asked | once per call, where the prompt is known; `cache` of the model, else the global one |
| key | the messages without ids and without what a provider told of earlier answers (usage, response metadata); the model's class, `_llm_type`, `_identifying_params` (where there are none, the fields that were set, as far as they are plain data: what a model counts belongs in a private attribute), model name and temperature; `stop`, tools and all other arguments of the call, but for `stream` and those that begin with `ls_` |
| stored | the chunks of a stream that ended, or the candidates of an answer that was no stream; nothing of a stream that was left, failed or was cancelled, nor of an empty one |
| a hit | the same chunks with a new id where Headrace had made it up, and `total_cost: 0` in their usage; `invoke` is their sum. A whole answer, as a stream, is one chunk |
| no key | arguments that are no plain data (functions, clients) cannot be compared: such a call goes past the cache, which is logged once |
| trouble | a cache that raises, or gives what is no answer, is a miss and logged as a warning |

Equal calls at the same time may each ask the model; the last one's answer stays.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import _async, _sync, globals
from .._lazy import Lazy
from ..caches import BaseCache, StreamedChatGeneration, StreamedGeneration
from ..errors import ConfigError
from ..flow import Once
from ..merge import copy_tree, merge
from ..messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from ..outputs import ChatGeneration, Generation
from ..run import Run
from ..shapes import Kwargs

if TYPE_CHECKING:
    import json
    import logging
else:
    json, logging = Lazy("json"), Lazy("logging")  # an import of a model must not pay for them

__all__ = ["Place", "cache_of", "cached_astream", "cached_stream", "params_of", "place_of"]

MADE_UP = "run-"  # how ids begin that Headrace gives to messages
_UNTOLD = frozenset({"id", "usage_metadata", "response_metadata"})  # not sent to a provider
_NO_SETTINGS = frozenset({  # fields of every model, which do not change what it answers
    "name", "tags", "metadata", "disable_streaming", "custom_get_token_ids", "verbose",
    "output_version", "streaming",
})  # fmt: skip
_said: set[tuple[type, str]] = set()  # the arguments that were complained of


def cache_of(model: Any) -> BaseCache | None:
    """The cache of a model's calls.

    Raises:
        ConfigError: the model asks for the global cache, and there is none.
    """
    cache = model.cache
    if cache is None:
        return globals.get_llm_cache()
    if cache is False:
        return None
    if cache is True:
        found = globals.get_llm_cache()
        if found is None:
            raise ConfigError(
                f"{model.get_name()} has cache=True and no global cache is set: call "
                "headrace.globals.set_llm_cache(InMemoryCache()), or give the model a cache."
            )
        return found
    return cache  # type: ignore[no-any-return]


# ------------------------------------------------------------------ keys


class _Unwritable(Exception):
    """What a value is that has no place in a key."""


@cache
def _writer_class() -> Any:
    """Makes values into JSON for a key: equal data gives equal text, in every process."""
    from ..load.plain import Writer

    class KeyWriter(Writer):
        __slots__ = ()

        def _put_other(self, value: Any, kind: type) -> Any:
            if hasattr(kind, "get_secret_value"):  # who asks, not what is asked
                return {"$": "secret"}
            if isinstance(value, type) and hasattr(value, "model_json_schema"):
                return {"$": "model", "schema": self.put(value.model_json_schema())}
            try:
                return self._put_by_family(value, kind)
            except Exception as error:
                raise _Unwritable(f"{value!r:.200}") from error

        def put_opaque(self, value: Any) -> Any:
            if not value.form:
                raise _Unwritable(value.repr)
            return super().put_opaque(value)

    return KeyWriter


def params_of(model: Any, kw: Kwargs) -> str:
    """Which model is asked, and with which parameters, as JSON.

    Raises:
        _Unwritable: with the parameter's name and what it is.
    """
    kind = type(model)
    told = model._get_ls_params(**kw)
    asked = {n: value for n, value in kw.items() if n != "stream" and not n.startswith("ls_")}
    parts: dict[str, Any] = {
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "_type": model._llm_type,
        **{f"model.{name}": value for name, value in _settings(model).items()},
        **{name: told[name] for name in ("ls_model_name", "ls_temperature") if name in told},
        **({"output": "v1"} if getattr(model, "output_version", None) == "v1" else {}),
        **{f"call.{name}": value for name, value in asked.items() if value is not None},
    }
    return json.dumps({name: _part(name, value) for name, value in parts.items()}, sort_keys=True)


def _settings(model: Any) -> dict[str, Any]:
    """What the model says of itself; else the plain ones of its fields that were set, when it was
    made or since."""
    own: dict[str, Any] = model._identifying_params
    fields = type(model).model_fields
    secrets = set(getattr(model, "lc_secrets", ()))  # as classes for LangChain name them
    names = () if own else sorted(model.model_fields_set - _NO_SETTINGS - secrets)
    given = {n: getattr(model, n) for n in names if n in fields and not fields[n].exclude}
    return own or {name: value for name, value in given.items() if _is_plain(name, value)}


def _is_plain(name: str, value: Any) -> bool:
    try:
        _part(name, value)
    except _Unwritable:
        return False
    return True


def _part(name: str, value: Any) -> Any:
    try:
        return _writer_class()().put(value)
    except _Unwritable as error:
        raise _Unwritable(name, str(error)) from error


def _prompt_text(prompt: Any) -> str:
    """What is asked: a text as it is, messages as JSON."""
    if isinstance(prompt, str):
        return prompt
    told = []
    for message in prompt:
        whole = message_chunk_to_message(message)
        # all fields, because some are only worked out when somebody looks at them
        fields = {n: v for n, v in whole.model_dump().items() if n not in _UNTOLD and v}
        told.append(_part("messages", {**fields, "class": type(whole).__name__}))
    return json.dumps(told, sort_keys=True)


def place_of(model: Any, cache: BaseCache, prompt: Any, run: Run, kw: Kwargs) -> Place | None:
    """Where a call's answer is kept; None where its parameters cannot be compared."""
    try:
        params, asked = params_of(model, kw), _prompt_text(prompt)
    except _Unwritable as error:
        name, what = error.args
        said = (type(model), name)
        if said not in _said:
            _said.add(said)
            logging.getLogger("headrace").warning(
                "Calls of %s with %s=%s go past the cache: no plain data, so calls with it cannot "
                "be compared.", model.get_name(), name, what,
            )  # fmt: skip
        return None
    return Place(cache, asked, params, run, chat=not isinstance(prompt, str))


class Place:
    """Where the answer of one call is kept in a cache."""

    __slots__ = ("_cache", "_chat", "_key", "_run")

    def __init__(self, cache: BaseCache, prompt: str, params: str, run: Run, *, chat: bool) -> None:
        self._cache, self._key, self._run, self._chat = cache, (prompt, params), run, chat

    def look(self) -> list[Generation] | None:
        """The answer, copied, or None."""
        try:
            return self._taken(self._run.call(self._cache.lookup, *self._key))
        except Exception as error:
            self._failed("lookup", error)
            return None

    async def alook(self) -> list[Generation] | None:
        try:
            return self._taken(await self._run.acall(self._cache.alookup, *self._key))
        except Exception as error:
            self._failed("alookup", error)
            return None

    def keep(self, made: Callable[[], list[Generation]]) -> None:
        """Keep the answer that `made` gives, whose values nobody else has."""
        try:
            answer = made()
            if answer:
                self._run.call(self._cache.update, *self._key, answer)
        except Exception as error:
            self._failed("update", error)

    async def akeep(self, made: Callable[[], list[Generation]]) -> None:
        try:
            answer = made()
            if answer:
                await self._run.acall(self._cache.aupdate, *self._key, answer)
        except Exception as error:
            self._failed("aupdate", error)

    def _taken(self, found: Any) -> list[Generation] | None:
        if found is None:
            return None
        if not isinstance(found, (list, tuple)) or not found:
            raise TypeError(f"it gave {found!r:.200}, and not a list of generations or None")
        return [self._own(generation) for generation in found]

    def _own(self, given: Any) -> Generation:
        """A copy that fits the model, at no cost."""
        if not isinstance(given, Generation):
            raise TypeError(f"it gave {given!r:.200}, which is no generation")
        info = copy_tree(given.generation_info)
        if not self._chat:
            if isinstance(given, StreamedGeneration):
                return StreamedGeneration(given.text, info, given.chunks)
            return Generation(given.text, info)
        if not isinstance(given, ChatGeneration):
            return ChatGeneration(AIMessage(content=given.text), info)
        message = _free(message_chunk_to_message(_copied(given.message)))
        if isinstance(given, StreamedChatGeneration):
            chunks = [_free(_copied(chunk)) for chunk in given.chunks]
            return StreamedChatGeneration(message, info, chunks=chunks)
        return ChatGeneration(message, info)

    def _failed(self, door: str, error: Exception) -> None:
        logging.getLogger("headrace").warning(
            "%s of the cache %r failed, and the call goes on without it: %s: %s",
            door, self._cache, type(error).__name__, error,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Place({self._cache!r}, {self._key!r})"


# ------------------------------------------------------------------ what is stored


def _copied(message: Any) -> Any:
    """A copy that shares nothing, its id left out where Headrace made it up: who gets the answer
    next gives it one of its own."""
    copied = message.model_copy(deep=True)
    if copied.id is not None and copied.id.startswith(MADE_UP):
        copied.id = None
    return copied


def _free(message: Any) -> Any:
    """With the cost of a hit in its usage."""
    usage = getattr(message, "usage_metadata", None)
    if usage:
        message.usage_metadata = {**usage, "total_cost": 0}
    return message


def kept_of(candidates: list[Generation]) -> Callable[[], list[Generation]]:
    """The candidates of an answer that was no stream, as they are to be kept."""
    return lambda: [
        ChatGeneration(_copied(one.message), copy_tree(one.generation_info))
        if isinstance(one, ChatGeneration)
        else Generation(one.text, copy_tree(one.generation_info))
        for one in candidates
    ]


class _Recorder:
    """Keeps the chunks of one stream."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def take(self, chunk: Any) -> None:
        self.chunks.append(_copied(chunk) if isinstance(chunk, BaseMessage) else chunk)

    def answer(self) -> list[Generation]:
        chunks = self.chunks
        if not chunks:
            return []
        if isinstance(chunks[0], str):
            return [StreamedGeneration("".join(chunks), chunks=chunks)]
        whole = message_chunk_to_message(chunks[0] if len(chunks) == 1 else merge(chunks))
        return [StreamedChatGeneration(whole, chunks=chunks)]


def _replayed(answer: list[Generation]) -> list[Any]:
    """The chunks of an answer: of its first candidate."""
    first = answer[0]
    if isinstance(first, (StreamedChatGeneration, StreamedGeneration)) and first.chunks:
        return list(first.chunks)
    if not isinstance(first, ChatGeneration):
        return [first.text]
    message = first.message
    if first.generation_info:
        message.response_metadata = {**first.generation_info, **message.response_metadata}
    return [_as_chunk(message)]


def _as_chunk(message: BaseMessage) -> BaseMessage:
    if type(message) is not AIMessage:
        return message
    fields: Mapping[str, Any] = {
        name: value
        for name, value in message.model_dump().items()
        if name != "type" and (value or name == "content")
    }
    return AIMessageChunk(**fields, chunk_position="last")


# ------------------------------------------------------------------ streams


def cached_stream(model: Any, cache: BaseCache, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
    """A model's stream: out of the cache, or out of the model and into the cache when it ends."""
    prompt = model._coerce(_sync.fold_source(source))
    place = place_of(model, cache, prompt, run, kw)
    found = None if place is None else place.look()
    if found is not None:
        yield from model._replay(_replayed(found), run)
        return
    stream = model._opened(Once(prompt), run, kw)
    run.holds(stream, model)
    if place is None:
        yield from stream
        return
    recorder = _Recorder()
    for chunk in stream:
        recorder.take(chunk)
        yield chunk
    place.keep(recorder.answer)


async def cached_astream(
    model: Any, cache: BaseCache, source: Any, run: Run, kw: Kwargs
) -> AsyncIterator[Any]:
    """The same, async."""
    prompt = model._coerce(await _async.fold_source(source))
    place = place_of(model, cache, prompt, run, kw)
    found = None if place is None else await place.alook()
    if found is not None:
        for chunk in model._replay(_replayed(found), run):
            yield chunk
        return
    stream = model._aopened(Once(prompt), run, kw)
    run.holds(stream, model)
    recorder = None if place is None else _Recorder()
    async for chunk in stream:
        if recorder is not None:
            recorder.take(chunk)
        yield chunk
    if place is not None and recorder is not None:
        await place.akeep(recorder.answer)
