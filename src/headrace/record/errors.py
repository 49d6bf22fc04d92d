"""What goes wrong with recordings."""

from __future__ import annotations

from ..errors import HeadraceError, InputError

__all__ = ["NotAPathError", "NotRecordedError", "RecordingError", "RecordingNotFoundError"]


class RecordingError(HeadraceError, ValueError, OSError):
    """A file is no recording, is damaged, or cannot be written."""


class RecordingNotFoundError(RecordingError, FileNotFoundError):
    """There is no such file."""


class NotAPathError(InputError, TypeError):
    """A recording was named by what is no path."""


class NotRecordedError(HeadraceError, LookupError):
    """A replay was asked what the recording does not answer."""
