"""`headrace ask`: find passages in a store and let a chat model answer from them, token by token.

The passages are shown below the answer, since a small model may say less than they do; also where
the model fails, because they were found all the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from headrace.documents import Document
from headrace.language_models import BaseChatModel, init_chat_model
from headrace.local import ChatLocal
from headrace.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough

from .clock import Clock
from .given import read_input
from .library import Library
from .outcome import UsageError
from .passages import as_value, fitting, shown
from .pumping import pump
from .screen import OutputClosed, Screen, remark
from .weights import fetch_for

__all__ = ["answering", "ask"]

# Asked at the end and in one line, the embedded model says "The answer is:" and nothing else least
# often (of four ways to ask, 1 in 15 questions on this repository's docs; 2 to 5 with the others).
_PROMPT = """{passages}

Using the text above, answer in one sentence: {question}"""

# The embedded model: it reads prose, not much of it (tokens), and has said what it can say in one
# paragraph; code makes it write code, and what follows the first paragraph repeats it.
_READS = 300
_CODE = re.compile(r"^```.*?(^```|\Z)\n?", re.DOTALL | re.MULTILINE)
_EMBEDDED: Mapping[str, Any] = {"max_tokens": 100, "stop": ["\n\n", "```", "\nQuestion:"]}
_SPARE = 16  # tokens by which a prompt may be longer than the sum of its parts
_CHARACTERS = 60_000  # of passages, that other models read; few have room for less


def ask(words: Sequence[str], *, k: int, as_json: bool, model: str | None) -> None:
    """Answer a question from the passages of a store.

    Args:
        words: `DIR QUESTION`; `-` reads the question from standard input.
        k: how many passages to find.
        as_json: a line of JSON for each passage, and for each piece of the answer.
        model: a name for `init_chat_model`; None for the embedded model.

    Raises:
        UsageError: the words make no sense.
        LibraryError: there is no store, or nothing in it.
    """
    folder, question = _sort_out(words)
    if k < 1:
        raise UsageError(f"--k is {k}: give 1 or more.")
    library = Library.open(Path(folder))
    chat, remarks = _chat(model)
    asked = _Asked(as_json)
    try:
        with _waiting() as asked.arrived:
            pump(answering(library, chat, k), "stream", question, asked.take)
    except OutputClosed:
        raise
    except BaseException as error:  # Ctrl-C, too
        asked.end(passages=isinstance(error, Exception))
        raise
    asked.end()
    about = " · ".join(filter(None, [asked.about(), *remarks]))
    if about:
        remark(about)


class _Asked:
    """What comes of a question, as it is shown."""

    def __init__(self, as_json: bool) -> None:
        self._clock = Clock()
        self.arrived: Callable[[], None] = lambda: None  # told when there is something to see
        self._screen = Screen(lines=as_json)
        self._as_json = as_json
        self._passages: list[Document] = []
        self._answer = ""

    def take(self, chunk: Mapping[str, Any]) -> None:
        """A piece of the chain's output."""
        if "passages" in chunk:
            self._passages += chunk["passages"]
            if self._as_json:
                self.arrived()
                for number, passage in enumerate(self._passages, 1):
                    self._screen.show({"passage": as_value(number, passage)})
        if "answer" in chunk:
            piece = chunk["answer"]
            self._clock.tick(piece)
            if piece.text:
                self.arrived()
                self._answer += piece.text
                self._screen.show({"answer": piece.text} if self._as_json else piece)

    def about(self) -> str:
        """What there is to say of the answer."""
        said = self._answer.strip()
        nothing = not said or said.endswith(":")  # it has said that an answer comes, and none came
        return "the model gave no answer" if nothing else self._clock.about_tokens()

    def end(self, *, passages: bool = True) -> None:
        """The answer is there, or will not come."""
        self._screen.end_line()
        if passages and self._passages and not self._as_json:
            self._screen.show(f"\n{shown(self._passages)}")


def answering(library: Library, model: BaseChatModel, k: int) -> Runnable[Any, Any]:
    """The chain: of a question makes `{"question", "passages", "answer"}`, streamed in that order.

    Args:
        library: where to look.
        model: what answers.
        k: how many passages to find.
    """
    found = RunnableParallel(question=RunnablePassthrough(), passages=library.retriever(k))
    answer = RunnableLambda(partial(_prompt, model)) | model
    return found | RunnablePassthrough.assign(answer=answer)


def _prompt(model: BaseChatModel, found: Mapping[str, Any]) -> str:
    """The prompt, with as many passages as the model can read."""
    texts = [passage.page_content for passage in found["passages"]]
    if not isinstance(model, ChatLocal):
        texts = fitting(texts, _CHARACTERS, len)
    else:
        if model.model_path is None:
            texts = [_CODE.sub("", text) for text in texts]
        texts = fitting(texts, _room(model, found["question"]), model.get_num_tokens)
    return _PROMPT.format(passages="\n\n".join(texts), question=found["question"])


def _room(model: ChatLocal, question: str) -> int:
    """The tokens that a local model has for passages."""
    asked = model.get_num_tokens_from_messages(_PROMPT.format(passages="", question=question))
    left = model.n_ctx - asked - (model.max_tokens or 0) - _SPARE
    return min(left, _READS) if model.model_path is None else left


def _sort_out(words: Sequence[str]) -> tuple[str, str]:
    """DIR and QUESTION."""
    if len(words) > 2:
        raise UsageError(
            f"`headrace ask` takes a DIR and a QUESTION, and got {len(words)} words: put a "
            "QUESTION of several words in quotes."
        )
    if len(words) < 2:
        raise UsageError(
            "QUESTION is missing: give the DIR of a store and a question, or - to read standard "
            'input, as in `headrace ask my.store "what is a barrier?"`.'
        )
    folder, word = words
    question = str(read_input(word, as_text=True).value).strip()
    if not question:
        raise UsageError("The QUESTION is empty: ask something.")
    return folder, question


def _chat(name: str | None) -> tuple[BaseChatModel, list[str]]:
    """The model that answers, loaded if it is a local one, and remarks about that."""
    made: Any = init_chat_model(name, **(_EMBEDDED if name is None else {}))
    model: BaseChatModel = made
    if not isinstance(model, ChatLocal):
        return model, []
    fetch_for(model)
    start = time.perf_counter()
    model._engine()
    return model, [f"model loaded in {time.perf_counter() - start:.2f} s"]


@contextmanager
def _waiting() -> Iterator[Callable[[], None]]:
    """A sign of life on standard error until the function that it gives is called; nothing where
    that is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    status = console.status("reading", spinner_style="default") if console.is_terminal else None
    if status is not None:
        status.start()
    stop = status.stop if status is not None else lambda: None
    try:
        yield stop
    finally:
        stop()
