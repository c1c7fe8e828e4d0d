"""Find the file of a named set, or download it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from hybridq.data.sources.medmnist import MedMnistSet, check_size
from hybridq.errors import MissingFileError, UnavailableError

DATA_ROOT_VARIABLE = "HYBRIDQ_DATA"
"""The environment variable that names the folder of data sets."""

_log = logging.getLogger(__name__)


def search_folders(data_root: str | Path | None) -> list[Path]:
    """List the folders in which a named set is looked for; downloads go to the first.

    Args:
        data_root: Folder of data sets. None means that of the environment variable HYBRIDQ_DATA,
            or the user's cache folder if it is not set.
    """
    root = data_root if data_root is not None else os.environ.get(DATA_ROOT_VARIABLE) or None
    cache = user_cache_path("hybridq") / "medmnist"
    if root is None:
        return [cache]
    base = Path(os.path.expanduser(root))
    return [base / "medmnist", base, cache]


def find_file(entry: MedMnistSet, size: int, folders: Sequence[Path]) -> Path | None:
    """Find the first file of a set and size in some folders; None without one.

    Args:
        entry: The set.
        size: Side of the images, in pixels.
        folders: The folders, in the order of the search.
    """
    name = entry.file_name(check_size(size))
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def ensure_file(
    entry: MedMnistSet, size: int, data_root: str | Path | None, *, download: bool = True
) -> Path:
    """Return the path of a set's file: a local one as it is, or a download checked by its MD5.

    The download is written beside its place and moved there once its MD5 agrees, so that a
    half-written file never gets the name.

    Args:
        entry: The set.
        size: Side of the images, in pixels.
        data_root: Folder of data sets, as in `search_folders`.
        download: Whether a missing file may be downloaded.

    Raises:
        InvalidValueError: If MedMNIST is not published at `size`.
        MissingFileError: If there is no local file and `download` is False.
        UnavailableError: If the download fails, or does not have the official MD5.
    """
    folders = search_folders(data_root)
    found = find_file(entry, size, folders)
    if found is not None:
        return found
    target = folders[0] / entry.file_name(size)
    if not download:
        raise MissingFileError(
            f"Expected {target.name} at {target}, got no such file: run "
            f"`hybridq data fetch {entry.name},size={size}`, or put the file of "
            f"{entry.url(size)} there."
        )
    _download(entry.url(size), entry.md5_of(size), target)
    return target


def _download(url: str, md5: str, target: Path) -> None:
    made = [folder for folder in (target.parent, target.parent.parent) if not folder.exists()]
    try:
        _retrieve(url, md5, target)
    except UnavailableError:
        for folder in made:
            with suppress(OSError):  # it is no longer empty
                folder.rmdir()
        raise


def _retrieve(url: str, md5: str, target: Path) -> None:
    import pooch

    terminal = sys.stderr.isatty()
    _log.info("downloading %s to %s", url, target)
    try:
        pooch.retrieve(
            url,
            known_hash=f"md5:{md5}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=terminal, timeout=60),
        )
    except ValueError as error:
        raise UnavailableError(
            f"Expected a download of {url} with MD5 {md5}, got other bytes: try again, or put "
            f"the file {target.name} at {target} yourself."
        ) from error
    except OSError as error:  # also every exception of requests
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise UnavailableError(
            f"Expected to download {target.name}, got {type(error).__name__} ({reason}): on a "
            f"machine with a network fetch {url} (MD5 {md5}) and put it at {target}."
        ) from error
