"""What chat models and text models share: what they are given, how their calls are made.

A model is a leaf: `invoke` runs its `_generate` or `_agenerate`, `stream` its `_stream` or
`_astream`; each falls back on the next best that the class has, and a sync body runs in one worker
thread in async runs. Which one is in the tables below.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

from pydantic import Field

from .. import _async, _sync
from .._bridge import call_in_thread, stream_in_thread
from ..caches import BaseCache
from ..callbacks.run_managers import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from ..errors import ConfigError, InputError
from ..flow import Once
from ..messages import BaseMessage, MessageLikeRepresentation, convert_to_messages
from ..messages.convert import what_instead
from ..prompt_values import PromptValue
from ..rate_limiters import BaseRateLimiter
from ..run import Run
from ..runnables.base import Output, Runnable
from ..runnables.serializable import RunnableSerializable
from ..shapes import Flow, Kwargs, Leaf
from .bodies import ask, checked_stream
from .caching import cache_of, cached_astream, cached_stream, kept_of, params_of, place_of
from .limiting import Grant, agrant, grant
from .tokens import TokenCounting

__all__ = ["BaseLanguageModel", "LangSmithParams", "LanguageModelInput", "LanguageModelLike",
           "LanguageModelOutput", "ModelRunManager", "to_messages", "to_text"]  # fmt: skip

_ASKED = {"_generate", "_agenerate", "_call", "_acall"}  # bodies that give a whole answer
_WHOLE = {*_ASKED, "_stream"}  # and one that adds up to it in sync code

LanguageModelInput: TypeAlias = PromptValue | str | Sequence[MessageLikeRepresentation]
LanguageModelOutput: TypeAlias = BaseMessage | str
LanguageModelLike: TypeAlias = Runnable[LanguageModelInput, LanguageModelOutput]


class LangSmithParams(TypedDict, total=False):
    """What `_get_ls_params` says of a model; limits in tokens."""

    ls_provider: str
    ls_model_name: str
    ls_model_type: Literal["chat", "llm"]
    ls_temperature: float | None
    ls_max_tokens: int | None
    ls_stop: list[str] | None
    ls_integration: str


def to_messages(value: Any) -> list[BaseMessage]:
    """The messages that a model's input stands for.

    Raises:
        InputError: it is nothing that a model can be asked.
    """
    if type(value) is list:
        return convert_to_messages(value)
    if isinstance(value, PromptValue):
        return value.to_messages()
    if isinstance(value, (str, BaseMessage)):
        return convert_to_messages([value])
    if hasattr(value, "to_messages"):
        return convert_to_messages(value)
    if isinstance(value, (bytes, bytearray, memoryview)) or not isinstance(value, Sequence):
        instead = what_instead(value) or (
            ": pass a string, a message, a list of messages or a prompt value, or put a prompt "
            "before the model that makes one of it"
        )
        raise InputError(f"A model cannot be asked {value!r} ({type(value).__name__}){instead}.")
    return convert_to_messages(value)


def to_text(value: Any) -> str:
    """The text that a model's input stands for."""
    if isinstance(value, str):
        return value
    if isinstance(value, PromptValue):
        return value.to_string()
    from ..messages import get_buffer_string

    return get_buffer_string(to_messages(value))


class ModelRunManager(CallbackManagerForLLMRun):
    """What a model's `_generate` and `_stream` get as `run_manager`.

    What `_stream` yields is reported by itself; a `_generate` that reads a stream inside reports
    its tokens with `on_llm_new_token`.
    """

    __slots__ = ("_reports",)

    def __init__(self, run: Run, *, reports: bool) -> None:
        super().__init__(run)
        self._reports = reports and run.observed

    def on_llm_new_token(self, token: str, *, chunk: Any = None, **_: Any) -> None:
        """Report a token; `chunk` is the generation chunk it came in."""
        if self._reports:
            self.run.chunk(getattr(chunk, "message", chunk) if chunk is not None else token)


class AsyncModelRunManager(AsyncCallbackManagerForLLMRun):
    """The same for `_agenerate` and `_astream`, which await it."""

    __slots__ = ("_reports",)

    def __init__(self, run: Run, *, reports: bool) -> None:
        super().__init__(run)
        self._reports = reports and run.observed

    def get_sync(self) -> ModelRunManager:
        """The twin for sync code."""
        return ModelRunManager(self.run, reports=self._reports)


class BaseLanguageModel(TokenCounting, Leaf, RunnableSerializable[LanguageModelInput, Output]):
    """Base of chat models and text models.

    Args:
        tags, metadata: of the model's own runs.
        disable_streaming: answer `stream` with one chunk from `invoke`; `"tool_calling"` only
            where tools are bound. A call's `stream=False` does it too, as does a field `streaming`
            of the class that is set to False; True makes `invoke` the fold of the stream.
        custom_get_token_ids: a tokenizer, for `get_num_tokens` and its like.
        rate_limiter: asked once before each call, whatever its door; see `headrace.rate_limiters`.
        cache: where answers are kept: a cache, True (the global one, which must be set), None (the
            global one, if there is one), False (none). See `caching.py` in this folder.
    """

    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    disable_streaming: bool | Literal["tool_calling"] = Field(default=False)
    custom_get_token_ids: Callable[[str], list[int]] | None = Field(default=None, exclude=True)
    rate_limiter: BaseRateLimiter | None = Field(default=None, exclude=True)
    cache: BaseCache | bool | None = Field(default=None, exclude=True)
    _bodies: ClassVar[frozenset[str]] = frozenset()
    _collects: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = ("_generate", "_agenerate", "_stream", "_astream", "_call", "_acall")
        written = {name: getattr(cls, name, None) for name in names}
        cls._bodies = frozenset(n for n, body in written.items()
                                if body is not None and not hasattr(body, "_default"))  # fmt: skip

    def _messages_in(self, given: Any) -> list[BaseMessage]:
        return to_messages(given)

    @property
    def _llm_type(self) -> str:
        return type(self).__name__

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {}

    def asdict(self) -> dict[str, Any]:
        """The model's identifying parameters and its kind."""
        return {**self._identifying_params, "_type": self._llm_type}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """Which model is asked, and with which parameters: the second half of a cache's key."""
        return params_of(self, {**kwargs, "stop": stop})

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What the metadata of its runs says of the model, in LangSmith's words: `ls_provider`
        (the class's name, for want of better: providers override this), `ls_model_type`,
        `ls_model_name`, `ls_temperature`, `ls_max_tokens`, `ls_stop`, as far as known.

        Args:
            stop, kwargs: of the call; they count more than the model's fields.
        """
        said: dict[str, Any] = {
            "ls_provider": _provider(type(self).__name__),
            "ls_model_type": "llm" if self._run_type == "llm" else "chat",
        }
        if stop:
            said["ls_stop"] = stop
        for key, names, kinds in _LS_PARAMS:
            value = kwargs.get(names[0])
            for name in names:
                if not isinstance(value, kinds):
                    value = _own(self, name)
            if isinstance(value, kinds):
                said[key] = value
        return said

    def _metadata_of(self, kw: Kwargs) -> Mapping[str, Any]:
        return {**self._get_ls_params(**kw), **(self.metadata or {})}

    def _hook_extras(self, kw: Kwargs) -> dict[str, Any]:
        """What start hooks are told of the call: everything it is made with, what the caller gave,
        and for how many prompts."""
        stop, rest = _stop_of(kw)
        return {"invocation_params": {**self.asdict(), "stop": stop, **rest},
                "options": {"stop": stop, **rest, **_format_of(kw)},
                "batch_size": getattr(kw, "size", 1)}  # fmt: skip

    def _whole(self, answer: Any) -> Any:
        """The answer that the chunks of a stream add up to, as `invoke` gives it."""
        return answer

    # Each kind of model says these.

    def _coerce(self, value: Any) -> Any:
        raise NotImplementedError

    def _one(self, prompt: Any, run: Run, kw: Kwargs) -> Any:
        """The result that the author's body gives."""
        raise NotImplementedError

    async def _aone(self, prompt: Any, run: Run, kw: Kwargs) -> Any:
        raise NotImplementedError

    def _candidates(self, result: Any) -> list[Any]:
        """The generations in a result; `_result` is the way back."""
        raise NotImplementedError

    def _result(self, candidates: list[Any]) -> Any:
        raise NotImplementedError

    def _answer(self, result: Any, run: Run) -> Any:
        """What a result is to the caller; the run is told all of it."""
        raise NotImplementedError

    def _chunks(self, opened: Callable[[], Iterator[Any]], run: Run) -> Iterator[Any]:
        raise NotImplementedError

    def _achunks(
        self, opened: Callable[[], Awaitable[AsyncIterator[Any]]], run: Run
    ) -> AsyncIterator[Any]:
        raise NotImplementedError

    def _replay(self, chunks: list[Any], run: Run) -> Iterator[Any]:
        """Chunks that were kept, as `_chunks` gave them."""
        raise NotImplementedError

    # ------------------------------------------------------------- values

    def _shows_tokens(self, run: Run, kw: Kwargs, *bodies: str) -> bool:
        """Whether an answer that is asked for as a whole is to be streamed: a view wants to see
        its tokens, or the call or the model says so."""
        return (
            ((run.observed and run.scope.tokens) or self._wish(kw) is True)
            and not self._bodies.isdisjoint(bodies)
            and self._streams_with(kw)
        )

    def _wish(self, kw: Kwargs) -> bool | None:
        """What the call's `stream`, or else the model's `streaming`, says."""
        if "stream" in kw:
            return bool(kw["stream"])
        return getattr(self, "streaming") if "streaming" in self.model_fields_set else None  # noqa: B009

    def _adds_up(self, kw: Kwargs, *streams: str) -> bool:
        """Whether a whole answer is the sum of a stream, which a cache should see as one."""
        return (
            self._bodies.isdisjoint(_ASKED)
            and not self._bodies.isdisjoint(streams)
            and self._streams_with(kw)
        )

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        prompt = self._coerce(value)
        cache = cache_of(self)
        shown = self._shows_tokens(run, kw, "_stream")
        if shown or (cache is not None and self._adds_up(kw, "_stream")):
            return self._whole(_sync.value_by_fold(self, value, run, kw, shown=shown))
        place = None if cache is None else place_of(self, cache, prompt, run, kw)
        found = None if place is None else place.look()
        if found is not None:
            return self._answer(self._result(found), run)
        granted = None if self.rate_limiter is None else grant(self, prompt, run)
        result = self._one(prompt, run, kw)
        if granted is not None:
            granted.answered(self._candidates(result))
        if place is not None:
            place.keep(kept_of(self._candidates(result)))
        return self._answer(result, run)

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        prompt = self._coerce(value)
        cache = cache_of(self)
        shown = self._shows_tokens(run, kw, "_stream", "_astream")
        if shown or (cache is not None and self._adds_up(kw, "_stream", "_astream")):
            return self._whole(await _async.value_by_fold(self, value, run, kw, shown=shown))
        alone = not self._bodies & _WHOLE and "_astream" in self._bodies
        if alone and self._streams_with(kw):
            return await _async.value_by_fold(self, value, run, kw)
        place = None if cache is None else place_of(self, cache, prompt, run, kw)
        found = None if place is None else await place.alook()
        if found is not None:
            return self._answer(self._result(found), run)
        granted = None if self.rate_limiter is None else await agrant(self, prompt, run)
        if alone or "_agenerate" in self._bodies or "_acall" in self._bodies:
            result = await self._aone(prompt, run, kw)
        else:
            result = await call_in_thread(self._one, prompt, run, kw)
        if granted is not None:
            granted.answered(self._candidates(result))
        if place is not None:
            await place.akeep(kept_of(self._candidates(result)))
        return self._answer(result, run)

    # ------------------------------------------------------------- streams

    def _streams_with(self, kw: Kwargs) -> bool:
        off = self.disable_streaming
        if off and (off != "tool_calling" or kw.get("tools")):
            return False
        return self._wish(kw) is not False

    def _asked_once(self, kw: Kwargs, *, sync: bool) -> bool:
        streams = self._bodies & ({"_stream"} if sync else {"_stream", "_astream"})
        own = type(self)._in_open is not type(self)._open
        return not own and not (streams and self._streams_with(kw))

    def _open(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        if "_stream" in self._bodies and self._streams_with(kw):
            cache = cache_of(self)
            if cache is not None:
                return cached_stream(self, cache, source, run, kw)
            return self._opened(source, run, kw)
        run.answers = run.observed
        return self._single(source, run, kw)

    def _opened(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        """The model's own stream."""
        return self._chunks(lambda: self._streamed(source, run, kw), run)

    def _single(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        yield self._value(_sync.fold_source(source), run, kw)

    def _streamed(self, source: Any, run: Run, kw: Kwargs) -> Iterator[Any]:
        """What the author's `_stream` gives for the source's value."""
        prompt = self._coerce(_sync.fold_source(source))
        granted = None if self.rate_limiter is None else grant(self, prompt, run)
        return self._called(prompt, run, kw, granted)

    def _called(self, prompt: Any, run: Run, kw: Kwargs, granted: Grant | None) -> Iterator[Any]:
        stop, rest = _stop_of(kw)
        manager = ModelRunManager(run, reports=False)
        given = {"stop": stop, "run_manager": manager, **rest}
        stream = ask(run, self._stream, prompt, given)  # type: ignore[attr-defined]
        entered = _sync.entered(iter(checked_stream(stream, "__iter__", self, "_stream")), run)
        run.holds(entered, self)
        if granted is not None:
            entered = granted.metered(entered)
            run.holds(entered, self)
        return entered

    def _aopen(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if self._bodies & {"_stream", "_astream"} and self._streams_with(kw):
            cache = cache_of(self)
            if cache is not None:
                return cached_astream(self, cache, source, run, kw)
            return self._aopened(source, run, kw)
        run.answers = run.observed
        return self._asingle(source, run, kw)

    def _aopened(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        if "_astream" in self._bodies:
            return self._achunks(lambda: self._astreamed(source, run, kw), run)
        return self._athreaded(source, run, kw)

    async def _asingle(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        yield await self._avalue(await _async.fold_source(source), run, kw)

    async def _athreaded(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        """The sync stream in a worker thread, its input read here."""
        prompt = self._coerce(await _async.fold_source(source))
        granted = None if self.rate_limiter is None else await agrant(self, prompt, run)

        def opened(_: Any) -> Iterator[Any]:
            return self._chunks(lambda: self._called(prompt, run, kw, granted), run)

        chunks = stream_in_thread(self, opened, Once(prompt))
        run.holds(chunks, self)
        async for chunk in chunks:
            yield chunk

    async def _astreamed(self, source: Any, run: Run, kw: Kwargs) -> AsyncIterator[Any]:
        prompt = self._coerce(await _async.fold_source(source))
        granted = None if self.rate_limiter is None else await agrant(self, prompt, run)
        stop, rest = _stop_of(kw)
        manager = AsyncModelRunManager(run, reports=False)
        given = {"stop": stop, "run_manager": manager, **rest}
        stream = ask(run, self._astream, prompt, given)  # type: ignore[attr-defined]
        checked_stream(stream, "__aiter__", self, "_astream")
        entered = _async.entered(stream.__aiter__(), run)
        run.holds(entered, self)
        if granted is not None:
            entered = granted.ametered(entered)
            run.holds(entered, self)
        return entered

    def _flow(self) -> Flow:
        streams = self._bodies & {"_stream", "_astream"} and self.disable_streaming is not True
        return Flow("source") if streams else Flow("barrier", "give the model a `_stream` method")

    def _no_body(self, *names: str) -> ConfigError:
        return ConfigError(
            f"{type(self).__name__} has none of {', '.join(names)}: define one of them."
        )


_LS_PARAMS: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("ls_model_name", ("model", "model_name"), str),
    ("ls_temperature", ("temperature",), (int, float)),
    ("ls_max_tokens", ("max_tokens",), int),
)


def _own(model: Any, name: str) -> Any:
    """A field, or an attribute of the class; `getattr` takes long to say that there is none."""
    cls: Any = type(model)
    if name in vars(model) or _has(cls, name):
        return getattr(model, name)
    return None


@lru_cache(maxsize=512)
def _has(cls: type, name: str) -> bool:
    return any(name in vars(each) for each in cls.__mro__)


@lru_cache(maxsize=512)
def _provider(name: str) -> str:
    """From `ChatSome`, `SomeChat` or `SomeLLM`: `some`."""
    if name.startswith("Chat"):
        return name.removeprefix("Chat").lower()
    return name.removesuffix("Chat").removesuffix("LLM").lower()


def default(function: Any) -> Any:
    """Mark a body that only stands for one that a model may define."""
    function._default = True
    return function


def _stop_of(kw: Kwargs) -> tuple[list[str] | None, dict[str, Any]]:
    rest = {name: value for name, value in kw.items() if name not in _FORMATS}
    return rest.pop("stop", None), rest


# Keywords under which LangChain's models tell traces of the schema; no author's code gets them.
_FORMATS = ("ls_structured_output_format", "structured_output_format")


def _format_of(kw: Kwargs) -> dict[str, Any]:
    """What start hooks are told of the schema that the answer is to have."""
    told = next((kw[name] for name in _FORMATS if kw.get(name)), None)
    if told is None:
        return {}
    from ..output_parsers.schemas import schema_of

    try:
        return {_FORMATS[0]: {**told, "schema": schema_of(told["schema"]).json_schema()}}
    except ConfigError:  # of a provider's own making, and nobody but a trace wants it
        return {}
