"""Write to disk so that a file is either the old one or the whole new one."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hybridq_backends.errors import HybridqError

ENDING = ".part"
"""The ending of the temporary file that is written before it gets its name."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    Missing folders are made, and leftovers of killed writers of the same file are removed. After a
    failure nothing new is left.

    Raises:
        OSError: If the disk fails; the error names `path`.
    """
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.name)
        handle, temporary = _begin(path)
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            if handle is not None:
                os.close(handle)
    except BaseException as error:
        for folder in made:  # the innermost first
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        if isinstance(error, OSError) and _is_of(error, temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def check_writable(path: Path) -> None:
    """Try whether `path` could be written; the disk is left as it was.

    Raises:
        OSError: If it could not.
    """
    with suppress(FileNotFoundError):
        os.lstat(path)  # whose name may be too long
    with suppress(_TriedError), atomic_path(path):
        raise _TriedError


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the leftovers of killed writers; files that are still being written are kept.

    Args:
        folder: The folder in which they wrote.
        name: The file that they wrote; None means all files in the folder and below it.
    """
    if name is None:
        found = list(folder.rglob(f".*{ENDING}"))
    else:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.name.endswith(ENDING) and entry.name.startswith(_beginning(name))
            ]
    for path in found:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if _hold(handle, wait=False):
                    path.unlink()
            finally:
                os.close(handle)


class _TriedError(Exception):
    """Raised to end an attempt before anything is written."""


def _is_of(error: OSError, temporary: Path | None) -> bool:
    """Whether an error of the disk is about the temporary file, which has another name."""
    if isinstance(error, HybridqError) or error.errno is None:
        return False
    return error.filename is None or error.filename == str(temporary)


def _beginning(name: str) -> str:
    return f".{name.encode(errors='surrogateescape')[:100].decode(errors='ignore')}."


def _begin(path: Path) -> tuple[int | None, Path]:
    """Make a temporary file and lock it, so that no process takes it for a leftover."""
    while True:
        handle, name = tempfile.mkstemp(
            prefix=_beginning(path.name), suffix=ENDING, dir=path.parent
        )
        if sys.platform == "win32":  # which does not rename what is open
            os.close(handle)
            return None, Path(name)
        _hold(handle, wait=True)
        if os.fstat(handle).st_nlink:  # nobody removed it before it was held
            return handle, Path(name)
        os.close(handle)


def _hold(handle: int, *, wait: bool) -> bool:
    """Lock an open file, which ends with its process; False where that cannot be done."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
