"""`BaseRetriever`: a runnable from a question to the documents that may hold its answer.

    class Grep(BaseRetriever):
        documents: list[Document]

        def _get_relevant_documents(self, query: str, *, run_manager=None) -> list[Document]:
            return [d for d in self.documents if query in d.page_content]

A retriever gives its documents all at once: `stream` yields one chunk, the list, and `explain()`
shows a barrier. What is behind it in a chain streams as if the list had been the input.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

from headrace._bridge import call_in_thread
from headrace.callbacks.run_managers import CallbackManagerForRetrieverRun
from headrace.documents import Document
from headrace.errors import InputError
from headrace.run import Run
from headrace.runnables.base import Runnable
from headrace.runnables.serializable import RunnableSerializable
from headrace.shapes import Barrier, Kwargs

__all__ = [
    "BaseRetriever",
    "RetrieverInput",
    "RetrieverLike",
    "RetrieverOutput",
    "RetrieverRunManager",
    "question_of",
]

RetrieverInput: TypeAlias = str
RetrieverOutput: TypeAlias = list[Document]
RetrieverLike: TypeAlias = Runnable[RetrieverInput, RetrieverOutput]


class RetrieverRunManager(CallbackManagerForRetrieverRun):
    """What a retriever's methods get as `run_manager`; the same one in both colours."""

    __slots__ = ()

    def get_sync(self) -> RetrieverRunManager:
        """What an async method hands on to a sync one."""
        return self


class BaseRetriever(Barrier, RunnableSerializable[str, list[Document]], ABC):
    """Base of retrievers, which write `_get_relevant_documents` and, if they can wait without
    blocking, `_aget_relevant_documents`. Without the latter the former runs in a worker thread.

    Both may leave the parameter `run_manager` out. What else they have as parameters can be given
    by callers (`retriever.invoke(query, k=2)`); further keyword arguments are not handed on.

    Args:
        tags: labels of this retriever's runs in events.
        metadata: facts about this retriever, for events.

    Raises:
        InputError: on a call: its methods gave no list of documents.
    """

    _run_type: ClassVar[str] = "retriever"
    _collects: ClassVar[bool] = True
    _takes: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]]
    _atakes: ClassVar[Callable[[Mapping[str, Any]], dict[str, Any]]]

    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._takes = _filter(cls._get_relevant_documents)
        cls._atakes = _filter(cls._aget_relevant_documents)

    @abstractmethod
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        """The documents for a question, best first.

        Args:
            query: the question.
            run_manager: the run this is part of; `{"callbacks": run_manager.get_child()}` is the
                config that makes another runnable's run a child of it in every Python version.
        """

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, **kwargs: Any
    ) -> list[Document]:
        """The same for async runs."""
        given = {"run_manager": run_manager, **kwargs}
        found: list[Document] = await call_in_thread(
            self._get_relevant_documents, query, **type(self)._takes(given)
        )
        return found

    def _get_ls_params(self, **kwargs: Any) -> dict[str, Any]:
        """What the metadata of its runs says of the retriever, in LangSmith's words."""
        name = type(self).__name__
        short = name.removeprefix("Retriever")
        return {"ls_retriever_name": (name.removesuffix("Retriever") if short == name else short)
                .lower()}  # fmt: skip

    def _metadata_of(self, kw: Kwargs) -> Mapping[str, Any]:
        return {**self._get_ls_params(**kw), **(self.metadata or {})}

    def _value(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = type(self)._takes({"run_manager": RetrieverRunManager(run), **kw})
        return self._checked(run.call(self._get_relevant_documents, value, **given))

    async def _avalue(self, value: Any, run: Run, kw: Kwargs) -> Any:
        given = type(self)._atakes({"run_manager": RetrieverRunManager(run), **kw})
        return self._checked(await run.acall(self._aget_relevant_documents, value, **given))

    def _checked(self, found: Any) -> Any:
        """What was found. Documents are known by their text: LangChain's are some, too."""
        several = isinstance(found, (list, tuple))
        if several and (not found or hasattr(found[0], "page_content")):
            return found
        what = f"a list with {found[0]!r:.120}" if several else f"{found!r:.120}"
        kind = type(found[0] if several else found).__name__
        raise InputError(
            f"{type(self).__name__} was asked for documents and gave {what} ({kind}): its "
            "_get_relevant_documents (and _aget_relevant_documents) return a list of Document."
        )


def question_of(retriever: BaseRetriever, query: Any) -> str:
    """What a retriever searches for. Raises InputError for what is no text."""
    if isinstance(query, str):
        return query
    raise InputError(
        f"{retriever.get_name()} searches for a string and got {query!r:.200}, a "
        f"{type(query).__name__}: hand it the question alone, for example "
        "`itemgetter('question') | retriever`."
    )


def _filter(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What picks the keyword arguments that `function` has parameters for; its signature is read
    here, once."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        # `**kwargs` is for the callers' arguments; a run_manager has to be asked for by name.
        named = {p.name for p in parameters}
        return lambda given: {
            key: value for key, value in given.items() if key != "run_manager" or key in named
        }
    names = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
    return lambda given: {key: value for key, value in given.items() if key in names}
