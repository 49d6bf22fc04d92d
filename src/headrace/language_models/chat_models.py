"""Chat models: messages in, a message out, in chunks where the model can.

Authors write `_generate(messages, stop, run_manager, **kwargs) -> ChatResult` or, for a model that
streams, `_stream(…) -> Iterator[ChatGenerationChunk]`, the async twins where there are any, and
`_llm_type`. A class with `_stream` alone gets `invoke` as the fold of its stream.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, overload

from pydantic import Field, model_validator

from .._bridge import call_in_thread
from ..errors import InputError
from ..merge import merge
from ..messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from ..outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from ..run import Run, fresh_id
from ..shapes import Kwargs
from .base import (
    AsyncModelRunManager,
    BaseLanguageModel,
    LanguageModelInput,
    ModelRunManager,
    _stop_of,
    default,
    to_messages,
)
from .binding import BindsTools
from .bodies import aask, ask, checked_answer, explained_call, opened_stream, wrong_chunk
from .generating import Generating
from .model_profile import ModelProfile, warn_unknown_keys
from .output_version import Blocks, as_blocks, chosen_version, settled
from .structured import Modes, structured

if TYPE_CHECKING:
    from ..config import RunnableConfig
    from ..runnables._typed import AStream, Stream
    from ..runnables.base import Runnable

_LOG = logging.getLogger(__name__)

M = TypeVar("M")
Method: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]

__all__ = ["BaseChatModel", "SimpleChatModel", "agenerate_from_stream", "generate_from_stream"]


if TYPE_CHECKING:
    _Base: TypeAlias = BaseLanguageModel[AIMessage]
else:  # the schema of the output is that of all messages
    _Base = BaseLanguageModel[BaseMessage]


class BaseChatModel(BindsTools, Generating, _Base):
    """Base of chat models; see the file's head for what to write.

    Args:
        output_version: "v1" puts standard content blocks into `content`; None or "v0" leaves it as
            the model gives it. Without it, the environment's LC_OUTPUT_VERSION counts.
        profile: what is known of the model; without it, what `_resolve_model_profile` gives.

    Input: a string, a prompt value, or a list of messages, `(role, text)` tuples, dicts. Output:
    an `AIMessage`; as a stream, `AIMessageChunk`s that share one id and whose last one has
    `chunk_position == "last"`. The chunks that `_stream` yields belong to the stream from then on:
    their id is set.
    """

    _run_type: ClassVar[str] = "chat_model"
    structured_modes: ClassVar[Modes] = ("function_calling",)
    """The modes of `with_structured_output` that the class has, the preferred one first: names of
    `structured.MODES`, or a mapping of names to modes of its own."""
    takes_prefix: ClassVar[bool] = False
    """Whether it goes on with an answer whose beginning is the last message of its input."""
    repeats_prefix: ClassVar[bool | None] = None
    """What it says of that beginning again: False: nothing, it goes on exactly where it stopped;
    True: all of it, each time; None: not known, and what looks like a repetition is taken for one
    (see `headrace.resilience.recover_text.Overlap`)."""

    output_version: str | None = Field(default_factory=chosen_version)
    profile: ModelProfile | None = Field(default=None, exclude=True)

    def _coerce(self, value: Any) -> list[BaseMessage]:
        return to_messages(value)

    def _whole(self, answer: Any) -> BaseMessage:
        if answer is None:
            raise _no_answer()
        return settled(message_chunk_to_message(answer))  # type: ignore[no-any-return]

    # ------------------------------------------------------------- what authors write

    @default
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        """One answer. Without a body of the author's: the fold of `_stream`."""
        if "_stream" not in self._bodies:
            raise self._no_body("_generate", "_stream")
        given = {"stop": stop, "run_manager": run_manager, **kwargs}
        stream = opened_stream(self, messages, given)
        return generate_from_stream(stream)

    @default
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        """One answer, async. Without a body of the author's: `_generate` in a worker thread, or the
        sum of `_astream` where that is all there is."""
        if self._bodies == {"_astream"}:
            stream = self._astream(messages, stop=stop, run_manager=run_manager, **kwargs)
            return generate_from_stream(iter([chunk async for chunk in stream]))
        result: ChatResult = await call_in_thread(
            self._generate, messages, stop=stop, run_manager=run_manager, **kwargs
        )
        return result

    @default
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """The answer in chunks, for models that stream."""
        raise self._no_body("_stream")

    @default
    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """The answer in chunks, async, for models that stream."""
        raise self._no_body("_astream")

    # ------------------------------------------------------------- what users call

    if TYPE_CHECKING:

        def bind(self, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]: ...
        def stream(
            self,
            input: LanguageModelInput,
            config: RunnableConfig | None = None,
            **kwargs: Any,
        ) -> Stream[AIMessageChunk]: ...
        def astream(
            self,
            input: LanguageModelInput,
            config: RunnableConfig | None = None,
            **kwargs: Any,
        ) -> AStream[AIMessageChunk]: ...

    @overload
    def with_structured_output(
        self,
        schema: type[M],
        *,
        method: Method | None = None,
        include_raw: Literal[False] = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, M]: ...
    @overload
    def with_structured_output(
        self,
        schema: Any,
        *,
        method: Method | None = None,
        include_raw: Literal[True],
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...
    @overload
    def with_structured_output(
        self,
        schema: Any,
        *,
        method: Method | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]: ...
    def with_structured_output(
        self,
        schema: Any,
        *,
        method: Method | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """This model, answering with values of `schema`.

        A stream gives the value as it grows (see `PydanticOutputParser`) and ends with the
        validated one, which is what `invoke` gives.

        Args:
            schema: a pydantic class, a TypedDict, a dataclass, a type such as `list[Country]`, or
                a JSON schema (also in a function definition).
            method: how the model is told: "json_schema" (the vendor holds it to the schema),
                "function_calling" (it answers by calling a tool), "json_mode" (any JSON: the
                prompt must say which). None: the first of the class's `structured_modes`.
            include_raw: give `{"raw": message, "parsed": value, "parsing_error": None}`; what
                cannot be parsed is then no exception but `"parsed": None` and the exception.
            strict: whether the vendor is to enforce the schema to the letter.
            kwargs: more keywords for each call of the model.

        Raises:
            NoModeError: the model has no such method, or none.
            ConfigError: `schema` is none.
        """
        return structured(  # type: ignore[no-any-return]
            self, schema, method=method, include_raw=include_raw, strict=strict, options=kwargs
        )

    def _prefixed(self, messages: list[BaseMessage], partial: AIMessage) -> list[BaseMessage]:
        """What to ask for the rest of an answer whose beginning, text alone, is `partial`: for
        models that take a prefix and want it marked, or without white space at its end."""
        return [*messages, partial]

    # ------------------------------------------------------------- the profile

    def _resolve_model_profile(self) -> ModelProfile | None:
        """The profile of a model that is given none: for providers, who look it up by name."""
        return None

    @model_validator(mode="after")
    def _set_model_profile(self) -> Self:
        if self.profile is None:
            try:
                self.profile = self._resolve_model_profile()
            except Exception as error:  # nobody should lose a model for want of its description
                _LOG.warning("%s has no profile: %r", type(self).__name__, error)
        return self

    @model_validator(mode="after")
    def _check_profile_keys(self) -> Self:
        """After the other, whatever a provider makes of that one."""
        if self.profile:
            warn_unknown_keys(self.profile, type(self).__name__)
        return self

    # ------------------------------------------------------------- one answer

    def _one(self, prompt: Any, run: Run, kw: Kwargs) -> ChatResult:
        stop, rest = _stop_of(kw)
        manager = ModelRunManager(run, reports=True)
        given = {"stop": stop, "run_manager": manager, **rest}
        return _told(ask(run, self._generate, prompt, given), self, "_generate")

    async def _aone(self, prompt: Any, run: Run, kw: Kwargs) -> ChatResult:
        stop, rest = _stop_of(kw)
        manager = AsyncModelRunManager(run, reports=True)
        given = {"stop": stop, "run_manager": manager, **rest}
        return _told(await aask(run, self._agenerate, prompt, given), self, "_agenerate")

    def _candidates(self, result: ChatResult) -> list[Any]:
        return result.generations

    def _result(self, candidates: list[Any]) -> ChatResult:
        return ChatResult(generations=candidates)

    def _answer(self, result: ChatResult, run: Run) -> BaseMessage:
        if self.output_version == "v1":
            for generation in result.generations:
                generation.message = as_blocks(generation.message)
        return _answer(result, run)

    # ------------------------------------------------------------- chunks

    def _replay(self, chunks: list[Any], run: Run) -> Iterator[Any]:
        return self._chunks(lambda: iter(chunks), run)

    def _chunks(self, opened: Callable[[], Iterator[Any]], run: Run) -> Iterator[AIMessageChunk]:
        messages = _Messages(self, run)
        for chunk in opened():
            yield messages.take(chunk)
        yield from messages.ended()

    async def _achunks(
        self, opened: Callable[[], Awaitable[AsyncIterator[Any]]], run: Run
    ) -> AsyncIterator[AIMessageChunk]:
        messages = _Messages(self, run)
        async for chunk in await opened():
            yield messages.take(chunk)
        for message in messages.ended():
            yield message


class _Messages:
    """What the chunks of one stream become: messages with an id, the last one marked so."""

    __slots__ = ("_blocks", "_ident", "_message", "_model", "_run")

    def __init__(self, model: BaseChatModel, run: Run) -> None:
        self._run = run
        self._model = model
        self._ident: str | None = None
        self._message: Any = None
        self._blocks = Blocks() if model.output_version == "v1" else None

    def take(self, chunk: Any) -> AIMessageChunk:
        """The message of a chunk."""
        try:
            if isinstance(chunk, ChatGenerationChunk):
                message: Any = chunk.message
                if chunk.generation_info:
                    _add_info(message, chunk.generation_info)
            else:
                message = chunk
            if self._blocks is not None:
                message = self._blocks(message)
            self._ident = message.id = message.id or self._ident or _id_for(self._run)
        except AttributeError as error:
            if isinstance(getattr(chunk, "message", chunk), BaseMessage):
                raise
            raise wrong_chunk(chunk, ChatGenerationChunk, self._model) from error
        self._message = message
        return message  # type: ignore[no-any-return]

    def ended(self) -> Iterator[AIMessageChunk]:
        """What the model itself has not said: that it was the last one."""
        message = self._message
        if message is not None and getattr(message, "chunk_position", "last") != "last":
            yield AIMessageChunk(content="", id=message.id, chunk_position="last")


def _id_for(run: Run) -> str:
    """A message's id: its run's where events tell of that, else one of its own, because models
    of one unobserved chain share a run."""
    return f"run-{run.key if run.observed else fresh_id()}"


def _answer(result: ChatResult, run: Run) -> BaseMessage:
    if run.observed:
        run.result = result  # hooks are told of all candidates, and of `llm_output`
    generation = result.generations[0]
    message = generation.message
    if message.id is None:
        message.id = f"{_id_for(run)}-0"
    if generation.generation_info:
        _add_info(message, generation.generation_info)
    return message


def _told(answer: Any, model: BaseChatModel, body: str) -> ChatResult:
    """What a body gave, checked; its one answer says what is known of the call, because a reader
    sees no more than that."""
    result: ChatResult = checked_answer(answer, ChatResult, model, body)
    if result.llm_output and len(result.generations) == 1:
        _add_info(result.generations[0].message, result.llm_output)
    return result


def _add_info(message: Any, info: dict[str, Any]) -> None:
    message.response_metadata = {**info, **message.response_metadata}


def _no_answer() -> InputError:
    return InputError("The model's stream ended without a chunk: there is no answer to give.")


def generate_from_stream(stream: Iterator[ChatGenerationChunk]) -> ChatResult:
    """The result that a stream of generation chunks adds up to."""
    chunks = list(stream)
    if not chunks:
        raise _no_answer()
    for chunk in chunks:
        if not hasattr(chunk, "message"):
            raise wrong_chunk(chunk, ChatGenerationChunk, None)
    whole = merge(chunks)
    message = message_chunk_to_message(whole.message)
    return ChatResult(
        generations=[ChatGeneration(message=message, generation_info=whole.generation_info)]
    )


async def agenerate_from_stream(stream: AsyncIterator[ChatGenerationChunk]) -> ChatResult:
    """The same of an async stream."""
    return generate_from_stream(iter([chunk async for chunk in stream]))


class SimpleChatModel(BaseChatModel):
    """A chat model of one function: `_call(messages, stop, run_manager, **kwargs) -> str`."""

    @default
    def _call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> str:
        """The answer's text."""
        raise self._no_body("_call")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        given = {"stop": stop, "run_manager": run_manager, **kwargs}
        try:
            text = self._call(messages, **given)
        except TypeError as error:
            raise explained_call(error, self._call, messages, given)  # noqa: B904
        checked_answer(text, str, self, "_call")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])
