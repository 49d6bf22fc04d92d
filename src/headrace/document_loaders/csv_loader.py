"""`CSVLoader`: a table as one document per row. The standard library's `csv` reads it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headrace.documents import Document
from headrace.errors import ConfigError

from .base import BaseLoader
from .blobs import PathLike
from .reading import LoadError, checked, checked_path, open_text

__all__ = ["CSVLoader"]


class CSVLoader(BaseLoader):
    """The rows of a CSV file, each a document of lines `column: value`, read one at a time.

    Metadata: "source" (the path, or what stands in `source_column`), "row" (from 0), and the
    columns that are asked for.

    Args:
        file_path: the file.
        source_column: the column that says where a row is from.
        metadata_columns: columns for the metadata, and not for the text.
        csv_args: arguments of `csv.DictReader`, e.g. `{"delimiter": ";"}`.
        encoding: how its bytes are text. By default its byte order mark says so, else it is UTF-8.
        autodetect_encoding: guess the encoding if that one does not fit (extra "encodings").
        content_columns: the columns for the text; by default all that are not for the metadata.

    Raises:
        ConfigError: there is no such encoding.
    """

    def __init__(
        self,
        file_path: PathLike,
        source_column: str | None = None,
        metadata_columns: Sequence[str] = (),
        csv_args: Mapping[str, Any] | None = None,
        encoding: str | None = None,
        autodetect_encoding: bool = False,
        *,
        content_columns: Sequence[str] = (),
    ) -> None:
        checked(encoding)
        self.file_path = checked_path(file_path)
        self.source_column = source_column
        self.metadata_columns = metadata_columns
        self.csv_args = dict(csv_args or {})
        try:
            csv.DictReader((), **self.csv_args)
        except (TypeError, csv.Error) as error:
            raise ConfigError(
                f"csv_args is {self.csv_args!r:.200}, and csv.DictReader refuses it ({error}): "
                "give arguments that it knows, e.g. {'delimiter': ';'}."
            ) from error
        self.encoding = encoding
        self.autodetect_encoding = autodetect_encoding
        self.content_columns = content_columns

    def lazy_load(self) -> Iterator[Document]:
        """The documents, row by row; the file is open meanwhile.

        Raises:
            LoadError: the file is no text in its encoding or no CSV, or lacks a column.
            OSError: it cannot be read.
        """
        with open_text(self.file_path, self.encoding, self.autodetect_encoding, "") as file:
            reader = csv.DictReader(file, **self.csv_args)
            for number, row in enumerate(self._rows(reader)):
                if number == 0:
                    self._check(row)
                yield self._document(number, row)

    def _rows(self, reader: csv.DictReader[str]) -> Iterator[dict[Any, Any]]:
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                line = reader.reader.line_num
                raise LoadError(
                    f"{self.file_path}, line {line}: no CSV ({error}).",
                    "See whether csv_args says how it is written; csv.field_size_limit() sets how "
                    "long a field may be.",
                ) from error
            if row is None:
                return
            yield row

    def _check(self, row: Mapping[Any, Any]) -> None:
        named: Iterable[str] = [
            *([] if self.source_column is None else [self.source_column]),
            *self.metadata_columns,
            *self.content_columns,
        ]
        for column in named:
            if column not in row:
                raise LoadError(
                    f"{self.file_path}: there is no column {column!r}; its columns are "
                    f"{', '.join(repr(each) for each in row)}."
                )

    def _document(self, number: int, row: Mapping[Any, Any]) -> Document:
        source = str(self.file_path) if self.source_column is None else row[self.source_column]
        metadata = {"source": source, "row": number}
        metadata.update({column: row[column] for column in self.metadata_columns})
        lines = (
            f"{_stripped(column)}: {_stripped(value)}"
            for column, value in row.items()
            if self._is_content(column)
        )
        return Document("\n".join(lines), metadata)

    def _is_content(self, column: Any) -> bool:
        if self.content_columns:
            return column in self.content_columns
        return column not in self.metadata_columns


def _stripped(value: Any) -> Any:
    """A field as text; those beyond the last column come as a list, missing ones as None."""
    if isinstance(value, list):
        return ",".join(str(each).strip() for each in value)
    return value.strip() if isinstance(value, str) else value
