"""The bridge to LangChain: its runnables here, Headrace's there.

    from langchain_openai import ChatOpenAI
    chain = prompt | from_langchain(ChatOpenAI(model="…")) | StrOutputParser()

    graph.add_node("answer", as_langchain(chain))

`pip install "headrace[langchain]"` brings `langchain-core`; integrations and LangGraph are yours.

| given | `from_langchain` makes | `as_langchain` makes |
|---|---|---|
| chat model | a `BaseChatModel` | a `BaseChatModel` |
| text model | a `BaseLLM` | a runnable |
| tool | a `BaseTool` | a `BaseTool` |
| retriever | a `BaseRetriever` | a `BaseRetriever` |
| embeddings | `Embeddings` | `Embeddings` |
| a binding (`bind`, `with_config`, `bind_tools`) | one of the above, bound | one of those, bound |
| any other runnable, a compiled graph too | a runnable | a runnable |
| what the other one made | what it was made of | what it was made of |

**Values** (messages, documents, prompt values, generations) are converted on the way in and out,
also inside lists, tuples and dicts; `to_headrace` and `to_langchain` do it by hand.

**Runs** show on both sides, each once: what LangChain runs inside a step of ours appears in our
events, handlers and logs below that step; what ours run inside LangChain appears in its
`astream_events`, tracers and graphs' `stream_mode="messages"`. **Errors** are the same object on
both sides. **Closing** and cancelling go through.

What differs from having it all in one library:

- Chunks of chains inside LangChain are told only to views that show tokens (`astream_events`,
  `stream_events`, handles), because LangChain gives them only together with streaming models that
  are invoked. Starts, ends and errors are told to all.
- Code of yours that LangChain runs and that calls Headrace without a bridge is a child of the step
  around LangChain, not of LangChain's inner run.
- A compiled graph streams its state as it grows, so that the last chunk is what `invoke` gives;
  `stream_mode=…` gives LangGraph's other streams.
- State that is a dataclass or a pydantic model goes through as it is, with LangChain's messages in
  it: pick them out with a function, `to_headrace(state.messages)`.
- Subclasses of messages and documents become their base.
- `with_structured_output` of a LangChain model tells the vendor what its integration does, and
  reads the answer as Headrace does: values grow, and what cannot be read is Headrace's
  OutputParserException. Inside a LangChain chain it is LangChain's, which Headrace's parsers and
  retries do not know by class.
- Retries of `Runnable.with_retry` in LangChain show as failed runs and new ones, since it tells no
  more; what restarts a stream here (`when="restart"`) has no word there.
- LangGraph's newest events (`stream_events(version="v3")`) show tokens of models; of a chain that
  `as_langchain` made they show the whole answer, and of a model that it made, the tokens.
"""

from __future__ import annotations

from typing import Any

from ..errors import InputError, MissingExtraError

# `bridge/` has no `__init__.py`: it is a package all the same, and what walks through all modules
# of Headrace (writers of documentation, checks) does not find it, and so does not load LangChain.

__all__ = ["as_langchain", "from_langchain", "to_headrace", "to_langchain"]


def from_langchain(thing: Any) -> Any:
    """A runnable, model, tool, retriever or embeddings of LangChain's as one of Headrace's; see the
    table in this file.

    Raises:
        InputError: it is none of these.
        MissingExtraError: `langchain-core` is not installed.
    """
    _need("from_langchain")
    from .bridge.choosing import from_theirs

    made = from_theirs(thing)
    if made is None:
        raise InputError(
            f"from_langchain got {thing!r:.200} ({type(thing).__name__}): give a runnable, model, "
            "tool, retriever or embeddings of LangChain's. Values such as messages are converted "
            "by to_headrace."
        )
    return made


def as_langchain(thing: Any) -> Any:
    """A runnable, model, tool, retriever or embeddings of Headrace's as one of LangChain's; also a
    function or a dict, as beside `|`.

    Raises:
        InputError: it is none of these.
        MissingExtraError: `langchain-core` is not installed.
    """
    _need("as_langchain")
    from .bridge.choosing import as_theirs

    return as_theirs(thing)


def to_headrace(value: Any) -> Any:
    """The value with LangChain's messages, documents, prompt values and generations in it, at any
    depth of lists, tuples and dicts, as Headrace's; anything else is itself.

    Raises:
        MissingExtraError: `langchain-core` is not installed.
    """
    _need("to_headrace")
    from .bridge.values import to_headrace as convert

    return convert(value)


def to_langchain(value: Any) -> Any:
    """The value with Headrace's messages, documents, prompt values and generations in it as
    LangChain's; anything else is itself.

    Raises:
        MissingExtraError: `langchain-core` is not installed.
    """
    _need("to_langchain")
    from .bridge.values import to_langchain as convert

    return convert(value)


def _need(purpose: str) -> None:
    try:
        import langchain_core  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("langchain-core", extra="langchain", purpose=purpose) from error
