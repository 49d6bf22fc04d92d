"""`FileCallbackHandler`: what `StdOutCallbackHandler` prints, written to a file."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from ..errors import ConfigError
from .stdout import StdOutCallbackHandler, coloured

__all__ = ["FileCallbackHandler"]


class FileCallbackHandler(StdOutCallbackHandler):
    """Writes when chains start and end, and what tools and agents say. The file is opened when the
    handler is made; use it as a context manager, or call `close()`.

    Args:
        filename: of the file, UTF-8.
        mode: "a" adds to what is there, "w" starts over, "x" wants a new file.
        color: as for `StdOutCallbackHandler`; colours are escape sequences in the file.
    """

    def __init__(self, filename: str | Path, mode: str = "a", color: str | None = None) -> None:
        super().__init__(color)
        if mode not in ("a", "w", "x"):
            raise ConfigError(f"mode={mode!r} does not write text: give 'a', 'w' or 'x'.")
        self.filename, self.mode = filename, mode
        self._lock = Lock()
        self.file = Path(filename).open(  # noqa: SIM115 - closed by `close`
            mode, encoding="utf-8", errors="surrogatepass"
        )

    def _write(self, text: str, color: str | None = None, end: str = "") -> None:
        with self._lock:
            if self.file.closed:
                raise ConfigError(
                    f"{str(self.filename)!r} has been closed: use the handler inside its `with` "
                    "block, or before close()."
                )
            self.file.write(coloured(text, color) + end)
            self.file.flush()

    def close(self) -> None:
        """Close the file; once is enough, more do no harm."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
