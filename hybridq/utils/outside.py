"""Explain causes outside the program: a full disk, too little memory, an unreadable file."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's errors for a full disk, a used-up quota and the limit of a file's size."""

_MEMORY_WORDS = re.compile(
    "allocate memory|out of memory|bad_alloc|insufficient memory|could not create a (primitive|"
    "memory)|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""Matches messages of libraries that have no error class for a lack of memory."""


def outside_cause(error: BaseException) -> str | None:
    """Explain an error from outside the program in one line; None for a defect."""
    from hybridq_backends.utils.secrets import redact

    full = space_error(error)
    if full is not None:
        line = (
            f"Expected space on the disk{_place(full)}, got none left ({_said(full)}): free some, "
            "then give the same command again"
        )
    elif is_out_of_memory(error):
        line = (
            f"Expected enough memory, got none left ({type(error).__name__}: {_said(error)}): "
            "take a smaller --batch-size, image size or number of workers, fewer images or qubits, "
            "or a machine with more memory"
        )
    elif isinstance(error, OSError | sqlite3.Error):
        line = (
            "Expected files that can be read and written, got "
            f"{type(error).__name__} ({_said(error)}): check the path, its permissions and the "
            "space on its disk, then give the same command again"
        )
    else:
        return None
    notes = "; ".join(getattr(error, "__notes__", ()))
    return redact(f"{line}; {notes}." if notes else f"{line}.", {})


def space_error(error: BaseException) -> Exception | None:
    """Find the error of a full disk in an error or its causes; None without one."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in NO_SPACE:
            return one
        if isinstance(one, sqlite3.Error) and "disk is full" in str(one):
            return one
        if isinstance(one, Exception) and "No space left on device" in str(one):
            return one  # as safetensors says it, with an error of its own
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    kinds = (RuntimeError, ImportError, SystemError)
    return isinstance(error, kinds) and _MEMORY_WORDS.search(str(error)) is not None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and not any(here is one for one in seen):
        seen.append(here)
        yield here
        here = here.__cause__ or here.__context__


def _place(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return "" if name is None else f" of {name}"


def _said(error: BaseException) -> str:
    """Write the message of an error in one short line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{text}: {error.filename}" if error.errno not in NO_SPACE else text
    words = " ".join(str(text).split()) or "nothing said"
    return words if len(words) <= 200 else f"{words[:200]}..."
