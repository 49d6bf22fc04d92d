"""Messages, documents, prompt values and generations of LangChain as Headrace's, and back.

    to_headrace(value)     to_langchain(value)

| converted | how |
|---|---|
| messages and their chunks, `RemoveMessage` too | field by field; containers are copied |
| `Document`, prompt values, generations, results | field by field |
| `AddableDict` | the other's, so that its chunks add up there as well |
| list, tuple, dict and their subclasses | itself, or a copy where an item is converted |
| langgraph's `Command` | a copy, where its `update` or `resume` is converted |
| anything else: dataclasses, models, your own classes | itself |

Nothing is lost on the way there and back: ids, tool calls (whole, in chunks, invalid), usage,
metadata, content blocks, artifacts. Fields that a LangChain message has beyond those of its class
(`extra="allow"` there) travel in `additional_kwargs["__langchain__"]`. An answer of ours with
thoughts or a vendor's own tools in it is of LangChain's `output_version` "v1" there, so that its
integrations can send it back to the vendor. An object of somebody's own subclass of a message,
document or generation becomes one of the nearest class of the two libraries; one of a prompt value
becomes the messages that it stands for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import langchain_core.documents as their_documents
import langchain_core.messages as their_messages
import langchain_core.outputs as their_outputs
import langchain_core.prompt_values as their_prompts
from langchain_core.runnables.utils import AddableDict as TheirAddableDict

from ... import documents, messages, outputs, prompt_values
from ...merge import copy_tree
from ...messages.base import is_empty
from ...runnables.addable import AddableDict

__all__ = ["to_headrace", "to_langchain"]

_EXTRA = "__langchain__"
_MARK = "__headrace__"  # in `additional_kwargs` of an answer that was marked: see `_marked`
_STANDARD = frozenset({"reasoning", "server_tool_call", "server_tool_result", "non_standard"})
_THEIR_NAMES = {"mistral": "mistralai"}
"""Names of vendors by which LangChain's integrations know answers of their own."""
_KEPT = ("content", "artifact")  # even where they are empty
_CONTAINERS = (list, tuple, dict)
_Convert = Callable[[Any], Any]


# ------------------------------------------------------------------ messages


def _message_here(kind: Any) -> _Convert:
    def convert(message: Any) -> Any:
        fields = {
            name: copy_tree(value) if type(value) in (list, dict) else value
            for name, value in message.__dict__.items()
            if name in known and value is not None and (name in _KEPT or not is_empty(value))
        }
        _unmarked(fields)
        strange = {k: v for k, v in message.__dict__.items() if k not in known and k != "type"}
        strange.update(message.__pydantic_extra__ or {})
        if strange:
            fields["additional_kwargs"] = {**fields.get("additional_kwargs", {}), _EXTRA: strange}
        if "artifact" in fields:
            fields["artifact"] = to_headrace(message.artifact)
        return kind(**fields)

    known = frozenset(("content", "id", "name", *kind._rare))
    return convert


def _message_there(kind: Any) -> _Convert:
    def convert(message: Any) -> Any:
        fields = {
            name: copy_tree(value) if type(value) in (list, dict) else value
            for name, value in message._fields().items()
            if name != "type"
        }
        fields.update(fields["additional_kwargs"].pop(_EXTRA, None) or {})
        if kind is their_messages.AIMessage:
            _marked(fields)
        if fields.get("artifact") is not None:
            fields["artifact"] = to_langchain(message.artifact)
        # not validated: it was, here; and pydantic would drop what its types have no key for
        return kind.model_construct(**fields)

    return convert


def _marked(fields: dict[str, Any]) -> None:
    """Of an answer with blocks that LangChain's integrations read only where they are told that
    the content has the standard form (`output_version`): say so. Its calls are in the content
    then."""
    content, facts = fields["content"], fields["response_metadata"]
    if isinstance(content, str) or "output_version" in facts or not any(map(_standard, content)):
        return
    texts = [at for at, block in enumerate(content) if isinstance(block, str)]
    fields["content"] = [
        {"type": "text", "text": block} if isinstance(block, str) else block for block in content
    ]
    fields["content"] += [{"type": "tool_call", **call} for call in fields["tool_calls"]]
    facts["output_version"] = "v1"
    named = facts.get("model_provider")
    if named in _THEIR_NAMES:
        facts["model_provider"] = _THEIR_NAMES[named]
    fields["additional_kwargs"][_MARK] = [len(content), texts, named]


def _standard(block: Any) -> bool:
    """Whether a block is of a standard form that integrations do not take for their vendor's;
    OpenAI's own reasoning has a `summary`."""
    kind = block.get("type") if isinstance(block, dict) else None
    return kind in _STANDARD and (kind != "reasoning" or "reasoning" in block)


def _unmarked(fields: dict[str, Any]) -> None:
    """What `_marked` did undone, in a message that came back."""
    more = fields.get("additional_kwargs") or {}
    mark = more.pop(_MARK, None)
    if mark is None or isinstance(fields["content"], str):  # or somebody wrote it anew
        return
    length, texts, named = mark
    content = fields["content"][:length]
    fields["content"] = [b["text"] if at in texts else b for at, b in enumerate(content)]
    facts = fields["response_metadata"]
    facts.pop("output_version", None)
    if named in _THEIR_NAMES and facts.get("model_provider") == _THEIR_NAMES[named]:
        facts["model_provider"] = named


# ------------------------------------------------------------------ other values


def _generation(kind: Any, others: _Convert) -> _Convert:
    def convert(made: Any) -> Any:
        return kind(message=others(made.message), generation_info=made.generation_info)

    return convert


def _text(kind: Any) -> _Convert:
    return lambda made: kind(text=made.text, generation_info=made.generation_info)


def _chat_result(kind: Any, others: _Convert) -> _Convert:
    return lambda result: kind(
        generations=[others(made) for made in result.generations], llm_output=result.llm_output
    )


def _llm_result(kind: Any, info: Any, others: _Convert) -> _Convert:
    def convert(result: Any) -> Any:
        rows = [[others(made) for made in row] for row in result.generations]
        runs = result.run and [info(run_id=run.run_id) for run in result.run]
        return kind(generations=rows, llm_output=result.llm_output, run=runs)

    return convert


def _document(kind: Any, others: _Convert) -> _Convert:
    return lambda found: kind(
        page_content=found.page_content, metadata=others(found.metadata), id=found.id
    )


def _prompt(kind: Any, others: _Convert) -> _Convert:
    return lambda prompt: kind(messages=[others(each) for each in prompt.to_messages()])


def _text_prompt(kind: Any) -> _Convert:
    return lambda prompt: kind(text=prompt.text)


def _image_prompt(kind: Any) -> _Convert:
    return lambda prompt: kind(image_url=dict(prompt.image_url))


def _addable(kind: Any, others: _Convert) -> _Convert:
    return lambda chunk: kind({key: others(value) for key, value in chunk.items()})


# ------------------------------------------------------------------ the tables

_KINDS = ("AIMessage", "HumanMessage", "SystemMessage", "ToolMessage", "ChatMessage",
          "FunctionMessage")  # fmt: skip
_MESSAGES = (*_KINDS, *(f"{name}Chunk" for name in _KINDS), "RemoveMessage")


def _table(
    message: Callable[[Any], _Convert],
    others: _Convert,
    source: tuple[Any, Any, Any, Any, Any],
    target: tuple[Any, Any, Any, Any, Any],
) -> dict[type, _Convert]:
    """The converters by class, from the five modules of `source` to those of `target`."""
    (m, o, p, d, addable), (to_m, to_o, to_p, to_d, to_addable) = source, target
    return {
        **{getattr(m, name): message(getattr(to_m, name)) for name in _MESSAGES},
        o.Generation: _text(to_o.Generation),
        o.GenerationChunk: _text(to_o.GenerationChunk),
        o.ChatGeneration: _generation(to_o.ChatGeneration, others),
        o.ChatGenerationChunk: _generation(to_o.ChatGenerationChunk, others),
        o.ChatResult: _chat_result(to_o.ChatResult, others),
        o.LLMResult: _llm_result(to_o.LLMResult, to_o.RunInfo, others),
        o.RunInfo: lambda info: to_o.RunInfo(run_id=info.run_id),
        p.PromptValue: _prompt(to_p.ChatPromptValue, others),
        p.ChatPromptValueConcrete: _prompt(to_p.ChatPromptValueConcrete, others),
        p.StringPromptValue: _text_prompt(to_p.StringPromptValue),
        p.ImagePromptValue: _image_prompt(to_p.ImagePromptValue),
        d.Document: _document(to_d.Document, others),
        addable: _addable(to_addable, others),
    }


def to_headrace(value: Any) -> Any:
    """The value with everything of LangChain's in it converted; see the head of the file."""
    convert = _here(value.__class__)
    return value if convert is None else convert(value)


def to_langchain(value: Any) -> Any:
    """The value with everything of Headrace's in it converted."""
    convert = _there(value.__class__)
    return value if convert is None else convert(value)


_OURS = (messages, outputs, prompt_values, documents, AddableDict)
_THEIRS = (their_messages, their_outputs, their_prompts, their_documents, TheirAddableDict)
_HERE = _table(_message_here, to_headrace, _THEIRS, _OURS)
_THERE = _table(_message_there, to_langchain, _OURS, _THEIRS)


@cache
def _here(kind: type) -> _Convert | None:
    return _found(kind, _HERE, to_headrace)


@cache
def _there(kind: type) -> _Convert | None:
    return _found(kind, _THERE, to_langchain)


def _found(kind: type, table: Mapping[type, _Convert], others: _Convert) -> _Convert | None:
    """What converts objects of a class; None for what stays."""
    for base in kind.__mro__:
        if base in table:
            return table[base]
    if issubclass(kind, _CONTAINERS):
        return _container(others)
    if kind.__name__ == "Command" and kind.__module__.startswith("langgraph."):
        return _command(others)
    return None


# ------------------------------------------------------------------ containers


def _container(others: _Convert) -> _Convert:
    """A container's items converted: in a copy, where one of them is another then."""

    def convert(container: Any) -> Any:
        try:
            keyed = isinstance(container, dict)
            items = list(container.items()) if keyed else list(enumerate(container))
            changed = {k: new for k, old in items if (new := others(old)) is not old}
        except RecursionError:  # it contains itself, so it is none that is passed on as data
            return container
        if not changed:
            return container
        if isinstance(container, tuple):
            values = [changed.get(k, old) for k, old in items]
            return getattr(type(container), "_make", type(container))(values)
        copied = copy.copy(container)
        for key, new in changed.items():
            copied[key] = new
        return copied

    return convert


def _command(others: _Convert) -> _Convert:
    def convert(command: Any) -> Any:
        changes = {
            name: new
            for name in ("update", "resume")
            if (new := others(old := getattr(command, name))) is not old
        }
        if not changes:
            return command
        copied = copy.copy(command)
        for name, new in changes.items():
            object.__setattr__(copied, name, new)  # it is frozen, and the copy nobody's yet
        return copied

    return convert
