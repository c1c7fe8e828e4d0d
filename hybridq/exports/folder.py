"""Write a folder so that it is there with all of its files, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hybridq.errors import InvalidValueError
from hybridq.utils.outside import space_error
from hybridq_backends.utils.atomic import check_writable

ABOUT = "model.json"
"""The file that every export has."""

NAMES = ("run.py", ABOUT, "model.onnx", "model.pt2", "encoder.onnx", "readout.onnx")
"""The files of an export, beside its circuits."""


def check_folder(path: Path, *, force: bool) -> None:
    """Refuse a folder that is there or cannot be made, before anything is computed for it.

    Args:
        path: The folder.
        force: Whether an earlier export in it is replaced.

    Raises:
        InvalidValueError: If something else is in it, or it cannot be made.
        OSError: If the disk is full.
    """
    try:
        what = _no_folder(path)
        if what is None:
            check_writable(path)
    except OSError as error:
        if space_error(error):
            raise
        what = f"cannot be made ({error.strerror})"
    if what is not None:
        raise InvalidValueError(
            f"Expected a new folder after --out, got {str(path)!r}, which {what}: choose another."
        )
    inside = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    others = [name for name in inside if not _is_ours(name)]
    if inside and (others or ABOUT not in inside):
        raise InvalidValueError(
            f"Expected a new folder after --out, got {str(path)!r}, in which there is "
            f"{(others or inside)[0]!r}: choose another."
        )
    if inside and not force:
        raise InvalidValueError(
            f"Expected a new folder after --out, got {str(path)!r}, which holds an export: choose "
            "another, or add --force."
        )


def write_folder(path: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Make a folder with files in it; after a failure nothing has changed.

    Args:
        path: The folder.
        files: The content of each file, by its name.
        force: Whether an earlier export in it is replaced.

    Raises:
        InvalidValueError: If something else is in it.
        OSError: If the disk fails.
    """
    check_folder(path, force=force)
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(
            tempfile.mkdtemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
        )
        try:
            _fill(part / "new", files)
            if path.exists():
                path.rename(part / "old")
            try:
                (part / "new").rename(path)
            except OSError:
                if (part / "old").exists():
                    (part / "old").rename(path)
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except BaseException:
        for folder in made:  # the innermost first
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files and see to it that they are on the disk."""
    folder.mkdir()
    for name, content in files.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _is_ours(name: str) -> bool:
    """Whether a file has the name of one of an export."""
    return name in NAMES or (name.startswith("circuit") and name.endswith((".qpy", ".qasm")))


def _no_folder(path: Path) -> str | None:
    """Say why a folder cannot be made at a path; None if it can."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        return f"lies below the file {above}"
    if path.exists() or path.is_symlink():
        return None if path.is_dir() and not path.is_symlink() else "is no folder"
    return None
