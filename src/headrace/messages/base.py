"""Messages: slotted values, nothing validated beyond their shape, and the base of every kind.

A message has `content`, `id` and `name` in slots of their own. All other fields are rare: they
live together in one dict, `_more`, which is None until one of them is set, and are declared as
`Rare` descriptors that name their default, what a given value becomes, and how the values of the
chunks of a stream merge. So a message of text alone costs four slots to build, and a kind of
message is a class with a few declarations.

Messages compare by class and fields, are mutable and not hashable. Subclasses may add attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from headrace.errors import InputError
from headrace.merge import copy_tree, merge_dicts
from headrace.messages.content import (
    Content,
    ContentBlock,
    as_content,
    standard_blocks,
    text_of,
)
from headrace.values import read_json

__all__ = ["BaseMessage", "Rare", "is_empty", "title_line"]

T = TypeVar("T")
_new = object.__new__


class Rare(Generic[T]):
    """A field of a message that is seldom set, kept in `_more`.

    Args:
        default: its value when unset; called when callable, and then the result is kept, so that
            a message's dict or list can be filled in place.
        given: makes the stored value of a given one (a copy of a container, a checked value).
        merge: the value of a sum from those of its addends that have one, in order, linear and
            sharing no container with them. Without one, sums do not have the field.
        required: a message cannot be built without it.
    """

    __slots__ = ("default", "given", "merge", "name", "required")

    def __init__(
        self,
        default: Any = None,
        *,
        given: Callable[[Any], T] | None = None,
        merge: Callable[[list[Any]], Any] | None = None,
        required: bool = False,
    ) -> None:
        self.name = ""
        self.default = default
        self.given = given
        self.merge = merge
        self.required = required

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, message: None, owner: type) -> Self: ...
    @overload
    def __get__(self, message: BaseMessage, owner: type) -> T: ...
    def __get__(self, message: BaseMessage | None, owner: type) -> Self | T:
        if message is None:
            return self
        more = message._more
        if more.__class__ is not dict:
            if more is not None:
                more = message._settle()
            elif not callable(self.default):
                return self.default  # type: ignore[no-any-return]
            else:
                more = message._more = {}
        try:
            return more[self.name]  # type: ignore[no-any-return]
        except KeyError:
            return self.absent(message, more)

    def absent(self, message: BaseMessage, more: dict[str, Any]) -> T:
        """The value of a field that is not among a message's rare fields."""
        if not callable(self.default):
            return self.default  # type: ignore[no-any-return]
        return more.setdefault(self.name, self.default())  # type: ignore[no-any-return]

    def __set__(self, message: BaseMessage, value: T) -> None:
        more = message._more
        if more.__class__ is not dict:
            more = message._more = {} if more is None else message._settle()
        more[self.name] = value


def _copied(kind: Callable[[Any], T], what: str) -> Callable[[Any], T]:
    """A `given` that copies a container, so that the caller's stays apart."""

    def copied(value: Any) -> T:
        try:
            return kind(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"Expected {what}, received {value!r}.") from error

    return copied


class BaseMessage:
    """What every message has. Use the kinds: `HumanMessage`, `AIMessage` and the others.

    Args:
        content: a string, or a list of strings and content blocks. Required, here or as
            `content_blocks`.
        content_blocks: content as a list of standard blocks.
        id: the message's id, ideally the provider's.
        name: a name for the speaker.
        additional_kwargs: a provider's own fields.
        response_metadata: headers, log probabilities, model name and the like.

    Raises:
        InputError: an unknown field, or a value of the wrong shape.
    """

    __slots__ = ("_more", "_n", "_pieces", "content", "id", "name")

    type: ClassVar[str] = "base"
    _rare: ClassVar[dict[str, Rare[Any]]] = {}  # every Rare of the class, by name

    _json: ClassVar[Mapping[str, Any]] = {  # the fields in JSON schemas
        "content": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
            ]
        },
        "additional_kwargs": {"type": "object", "optional": True},
        "response_metadata": {"type": "object", "optional": True},
        "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "id": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    }

    # Set from outside, because what they do needs every kind of message, or a higher floor:
    # `_read` (convert.py) makes a message of a dict, a tuple or a string; `_prompt_of` (prompts)
    # makes the chat prompt that adding messages gives.
    _read: ClassVar[Callable[[Any], BaseMessage]]
    _prompt_of: ClassVar[Callable[[Any, Any], Any] | None] = None

    content: Content
    id: str | None
    name: str | None
    _more: Any  # None, the dict of the rare fields that are set, or (in sums) not yet merged
    _pieces: list[Content]  # of a sum that was not read yet: see chunks.py
    _n: int

    additional_kwargs = Rare[dict[str, Any]](
        dict, given=_copied(dict, "additional_kwargs as a dict"), merge=merge_dicts
    )
    response_metadata = Rare[dict[str, Any]](
        dict, given=_copied(dict, "response_metadata as a dict"), merge=merge_dicts
    )

    def __init__(
        self,
        content: Content | None = None,
        content_blocks: Sequence[Mapping[str, Any]] | None = None,
        *,
        id: str | None = None,
        name: str | None = None,
        **more: Any,
    ) -> None:
        if content.__class__ is str and content_blocks is None:
            self.content = content  # pyright: ignore[reportAttributeAccessIssue]
        else:
            self._take(content, content_blocks, more)
        self.id = id if id is None or id.__class__ is str else str(id)
        self.name = name
        self._more = self._given(more) if more and not self._says_nothing(more) else None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._rare = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Rare)
        }

    # ---------------------------------------------------------------- building

    def _take(
        self,
        content: Any,
        blocks: Sequence[Mapping[str, Any]] | None,
        more: dict[str, Any],
    ) -> None:
        """Set content that is no plain string; a kind may move blocks into `more`."""
        self.content = as_content(content if blocks is None else list(blocks), type(self).__name__)

    @classmethod
    def _says_nothing(cls, more: dict[str, Any]) -> bool:
        """Whether all are known fields and None, as much providers' code gives them."""
        for name, value in more.items():  # noqa: SIM110 - a loop costs a third of `all`
            if value is not None or name not in cls._rare:
                return False
        return True

    @classmethod
    def _given(cls, more: dict[str, Any]) -> dict[str, Any] | None:
        """The rare fields as stored, from those given to the constructor."""
        kind = more.pop("type", cls.type)
        if kind != cls.type:
            raise InputError(f"{cls.__name__} has type {cls.type!r}; received type={kind!r}.")
        stored = {}
        for name, value in more.items():
            field = cls._rare.get(name)
            if field is None:
                known = ["content", "content_blocks", "id", "name", *cls._rare]
                raise InputError(
                    f"{cls.__name__} has no field {name!r}. Its fields: {', '.join(known)}."
                )
            if value is not None:
                stored[name] = value if field.given is None else field.given(value)
        return stored or None

    def _require(self) -> None:
        """Raise InputError unless the fields that this kind requires are set."""
        for name, field in self._rare.items():
            if field.required and getattr(self, name) is None:
                raise InputError(f"{type(self).__name__} needs {name!r}.")

    def _settle(self) -> dict[str, Any]:
        """The rare fields of this message as a dict; sums merge theirs here (chunks.py)."""
        if self._more is None:
            self._more = {}
        return self._more  # type: ignore[no-any-return]

    # ---------------------------------------------------------------- reading

    @property
    def text(self) -> str:
        """The text of the content: its strings and text blocks, joined."""
        content = self.content
        return content if isinstance(content, str) else text_of(content)

    @property
    def content_blocks(self) -> list[ContentBlock]:
        """The content as a list of standard blocks."""
        return standard_blocks(self.content)

    def _fields(self) -> dict[str, Any]:
        """Every field and its value, in the order of `model_dump`."""
        fields: dict[str, Any] = {"content": self.content}
        fields["additional_kwargs"] = self.additional_kwargs
        fields["response_metadata"] = self.response_metadata
        fields.update(type=self.type, name=self.name, id=self.id)
        for name in self._rare:
            if name not in fields:
                fields[name] = getattr(self, name)
        return fields

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BaseMessage):
            return NotImplemented
        if self._fields() != other._fields():
            return False
        return self.__class__ is other.__class__ and _extra(self) == _extra(other)

    __hash__ = None  # type: ignore[assignment]

    def _shown(self) -> list[str]:
        """The fields that are set, as `name=value`: what `repr` and `str` show."""
        shown = [f"content={self.content!r}"]
        for name, value in self._fields().items():
            field = self._rare.get(name)
            usual = None if field is None or callable(field.default) else field.default
            if name not in ("content", "type") and not is_empty(value) and value is not usual:
                shown.append(f"{name}={value!r}")
        return shown

    def __repr__(self) -> str:
        shown = ", ".join(self._shown())
        return f"{type(self).__name__}({shown})"

    def __str__(self) -> str:
        return " ".join(self._shown())

    # ---------------------------------------------------------------- copying

    def __reduce__(self) -> tuple[Any, ...]:
        content = self.content  # first: a sum becomes a plain chunk
        more = dict(self._settle())
        return _restore, (self.__class__, content, self.id, self.name, more, _extra(self))

    def __copy__(self) -> Self:
        restore, args = self.__reduce__()
        return restore(*args)  # type: ignore[no-any-return]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; with `deep`, its containers are copies too."""
        copied = self.__copy__()
        if deep:
            copied.content = copy_tree(copied.content)
            copied._more = copy_tree(copied._settle())
        for name, value in (update or {}).items():
            setattr(copied, name, value)
        return copied

    def model_dump(
        self,
        *,
        include: Collection[str] | None = None,
        exclude: Collection[str] = (),
        exclude_none: bool = False,
        **ignored: Any,
    ) -> dict[str, Any]:
        """The message as a dict of plain values: its fields, or some of them, copied."""
        return {
            name: copy_tree(value)
            for name, value in self._fields().items()
            if (include is None or name in include)
            and name not in (exclude or ())
            and not (exclude_none and value is None)
        }

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """`model_dump` as JSON; values that JSON does not know become strings."""
        import json

        fields = self.model_dump(exclude_none=exclude_none)
        return json.dumps(fields, ensure_ascii=False, indent=indent, default=str)

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """A message of this class from itself or from the dict that `model_dump` gives."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls._coerced(value) if cls.type == BaseMessage.type else cls(**value)  # type: ignore[return-value]
        raise InputError(f"{cls.__name__} cannot be read from {value!r}: pass a dict of fields.")

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """A message of this class from the text that `model_dump_json` gives."""
        return cls.model_validate(read_json(text))

    @classmethod
    def model_json_schema(cls, **options: Any) -> dict[str, Any]:
        """The JSON schema of such a message; the options are those of `TypeAdapter.json_schema`."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).json_schema(**options)

    # ---------------------------------------------------------------- adding, showing

    def __add__(self, other: Any) -> Any:
        """A chat prompt of this message and what follows it."""
        make = BaseMessage._prompt_of
        if make is None:
            raise InputError(
                "Adding messages makes a ChatPromptTemplate: import headrace.prompts first, or "
                "put the messages in a list."
            )
        return make(self, other)

    def pretty_repr(self, html: bool = False) -> str:
        """The message under a title line of 80 columns; `html` is accepted and ignored."""
        lines = [title_line(f"{self.type.title()} Message")]
        if self.name is not None:
            lines.append(f"Name: {self.name}")
        return "\n".join([*lines, "", str(self.content)])

    def pretty_print(self) -> None:
        """Print `pretty_repr()`."""
        print(self.pretty_repr())  # noqa: T201 - to print is what it is for

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from headrace.validation import value_schema

        kind = {"type": {"type": "string"}} if cls.type == BaseMessage.type else {}
        return value_schema(cls, cls._coerced, {**cls._json, **kind})

    @classmethod
    def _coerced(cls, value: Any) -> BaseMessage:
        """A field of a user's model: a message of this class, or what describes one."""
        if isinstance(value, cls):
            return value
        described = isinstance(value, dict) and not value.keys() & {"role", "type"}
        if described and cls.type != BaseMessage.type:
            return cls(**value)
        message = BaseMessage._read(value)
        if not isinstance(message, cls):
            raise InputError(f"Expected a {cls.__name__}, received a {type(message).__name__}.")
        return message


def is_empty(value: Any) -> bool:
    """Whether a field's value says nothing: None, or a dict or list with nothing in it."""
    return value is None or (value.__class__ in (dict, list) and not value)


def title_line(title: str) -> str:
    """A title in the middle of a line of 80 columns."""
    return f" {title} ".center(80, "=")


def _extra(message: BaseMessage) -> dict[str, Any]:
    """Attributes that a user's subclass without slots added."""
    return getattr(message, "__dict__", {})


def _restore(
    kind: type[BaseMessage],
    content: Content,
    id: str | None,
    name: str | None,
    more: dict[str, Any],
    extra: dict[str, Any],
) -> BaseMessage:
    """Rebuild a copied or pickled message."""
    message = _new(kind)
    message.content = content
    message.id = id
    message.name = name
    message._more = more or None
    for key, value in extra.items():
        setattr(message, key, value)
    return message
