"""`JSONLoader` and `JSONLinesLoader`: documents of what stands in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from headrace.documents import Document

from .base import BaseLoader
from .blobs import PathLike
from .json_paths import PathError, compiled
from .reading import LoadError, checked, checked_path, open_text

__all__ = ["JSONLinesLoader", "JSONLoader"]

MetadataFunc: TypeAlias = Callable[[Any, dict[str, Any]], dict[str, Any]]


class JSONLoader(BaseLoader):
    """What a path leads to in a JSON file, each of it a document.

    Metadata: "source", the absolute path, and "seq_num", from 1.

    Args:
        file_path: the file. It is read as a whole, unless it has JSON lines.
        jq_schema: where the documents are, in jq's words: a path such as `.messages[]`. Programs
            that are more than a path need the extra "jq".
        content_key: the key of the text in what was found; by default that is the text itself.
        is_content_key_jq_parsable: whether `content_key` is a program of jq too.
        metadata_func: makes the metadata, of what was found and of the metadata so far.
        text_content: whether anything but a string is an error; else it becomes JSON, and null an
            empty text.
        json_lines: each line is JSON of its own, and read when it is its turn.
        encoding: how its bytes are text. By default its byte order mark says so, else it is UTF-8.

    Raises:
        MissingExtraError: jq is needed and not installed.
        ConfigError: jq does not understand a program, or there is no such encoding.
    """

    def __init__(
        self,
        file_path: PathLike,
        jq_schema: str = ".",
        content_key: str | None = None,
        is_content_key_jq_parsable: bool | None = False,
        metadata_func: MetadataFunc | None = None,
        text_content: bool = True,
        json_lines: bool = False,
        *,
        encoding: str | None = None,
    ) -> None:
        checked(encoding)
        self.file_path = Path(checked_path(file_path)).resolve()
        self.encoding = encoding
        self._find = compiled(jq_schema)
        self._content_key = content_key
        self._content_program = None
        if content_key is not None and is_content_key_jq_parsable:
            self._content_program = compiled(content_key)
        self._metadata_func = metadata_func
        self._text_content = text_content
        self._json_lines = json_lines

    def lazy_load(self) -> Iterator[Document]:
        """The documents; of JSON lines, the file is open meanwhile.

        Raises:
            LoadError: the file is no JSON, or not what it was said to be.
            OSError: it cannot be read.
        """
        number = 0
        for where, data in self._data():
            found = self._find(data)
            while True:
                try:
                    sample = next(found)
                    text = self._text(sample)
                except StopIteration:
                    break
                except PathError as error:
                    raise LoadError(f"{where}: {error}.") from error
                number += 1
                yield Document(text, self._metadata(sample, number))

    def _data(self) -> Iterator[tuple[str, Any]]:
        """Each JSON value of the file, and where it stands."""
        with open_text(self.file_path, self.encoding, autodetect=False) as file:
            if not self._json_lines:
                yield str(self.file_path), self._parsed(file.read(), None)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{self.file_path}, line {number}", self._parsed(line, number)

    def _parsed(self, text: str, line: int | None) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise LoadError(
                f"{self.file_path}, line {line or error.lineno}, column {error.colno}: no JSON "
                f"({error.msg}).",
                "If each line is JSON of its own, give json_lines=True."
                if line is None and error.msg == "Extra data"
                else "",
            ) from error
        except RecursionError as error:
            raise LoadError(f"{self.file_path}: its JSON is nested too deep.") from error

    def _text(self, sample: Any) -> str:
        content = self._content(sample)
        if isinstance(content, str):
            return content
        if self._text_content:
            raise PathError(
                "what is to be the text is null: see that the path is right, or give "
                "text_content=False to have it as an empty text"
                if content is None
                else f"what is to be the text is no string: {json.dumps(content)[:100]}; give "
                "content_key=…, or text_content=False for its JSON"
            )
        if content in (None, {}, []):
            return ""
        # Objects and lists as JSON, with letters as they are; True and 1.5 as Python shows them.
        if isinstance(content, dict | list):
            return json.dumps(content, ensure_ascii=False)
        return str(content)

    def _content(self, sample: Any) -> Any:
        if self._content_program is not None:
            return next(self._content_program(sample), None)
        if self._content_key is None:
            return sample
        if not isinstance(sample, dict):
            raise PathError(
                f"content_key {self._content_key!r} is looked up in objects, and this is "
                f"{json.dumps(sample)[:100]}"
            )
        if self._content_key not in sample:
            keys = ", ".join(repr(key) for key in sample) or "none"
            raise PathError(f"there is no key {self._content_key!r}; its keys are {keys}")
        return sample[self._content_key]

    def _metadata(self, sample: Any, number: int) -> dict[str, Any]:
        metadata = {"source": str(self.file_path), "seq_num": number}
        if self._metadata_func is None:
            return metadata
        made = self._metadata_func(sample, metadata)
        if not isinstance(made, dict):
            raise LoadError(
                f"{self.file_path}: metadata_func returned {made!r:.100}; let it return a dict."
            )
        return made


class JSONLinesLoader(JSONLoader):
    """`JSONLoader` with `json_lines=True`: a file with one JSON value per line, read one by one.

    Args:
        file_path: the file.
        jq_schema: where the documents are in each value.
        kwargs: the other arguments of `JSONLoader`.
    """

    def __init__(self, file_path: PathLike, jq_schema: str = ".", **kwargs: Any) -> None:
        super().__init__(file_path, jq_schema, **{**kwargs, "json_lines": True})
