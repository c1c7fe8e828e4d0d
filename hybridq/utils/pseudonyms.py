"""Make pseudonyms: keyed hashes in place of the names of images and data.

Names of files and folders may be those of patients. A pseudonym is HMAC-SHA256 of such a name,
cut to 96 bits. With the key the pseudonym of a name can be computed; without it the name cannot be
found. The same key gives the same pseudonyms, so that tables can be joined. Two of a million names
get the same pseudonym with a chance of 1 in 10^17. A command never writes the key.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hybridq.config.base import PseudonymsConfig
from hybridq.errors import InvalidValueError
from hybridq.utils.files import read_text

KEY_VARIABLE = "HYBRIDQ_PSEUDONYM_KEY"
"""The environment variable that holds the key itself."""
SHORTEST_KEY = 16
DIGITS = 24
"""The number of hexadecimal digits of a pseudonym."""

_DATA = re.compile(rf"data-[0-9a-f]{{{DIGITS}}}")

logger = logging.getLogger("hybridq")


@dataclass
class _Names:
    """Whether this command has read names, and has reported that it records them."""

    read: str | None = None
    told: bool = False


_names = _Names()


class Pseudonyms:
    """A maker of pseudonyms, which reads its key when the first one is made.

    Args:
        path: File of the key. None takes the environment variable, or if that is not set a file in
            the user's config folder. A missing file is made.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def image(self, name: str) -> str:
        """Return the pseudonym of an image's id or path."""
        return self._of("image", name)

    def data(self, name: str) -> str:
        """Return the pseudonym of a data set's name."""
        return self._of("data", name)

    def group(self, name: str) -> str:
        """Return the pseudonym of a group, such as a patient."""
        return self._of("group", name)

    def _of(self, kind: str, name: str) -> str:
        text = f"{kind}\0{name}".encode(errors="surrogatepass")
        return f"{kind}-{hmac.new(self._key, text, hashlib.sha256).hexdigest()[:DIGITS]}"

    @cached_property
    def _key(self) -> bytes:
        return read_key(self.path)


def pseudonyms_of(
    config: PseudonymsConfig, *runs: PseudonymsConfig, folder: Path | None = None
) -> Pseudonyms | None:
    """Return the pseudonyms that a command records; None if it records names.

    Args:
        config: The config of the command.
        runs: Configs of the runs that it reads; if one has pseudonyms, the command has them too.
        folder: The folder in which the command writes; the key must not lie there.

    Raises:
        InvalidValueError: If the key lies there.
    """
    path = config.pseudonym_key
    if not (config.pseudonyms or path or any(run.pseudonyms for run in runs)):
        return None
    if path and folder and path.resolve().is_relative_to(folder.resolve()):
        raise InvalidValueError(
            f"Expected --pseudonym-key outside of {folder}, got {str(path)!r} in it, where it "
            "would be passed on with the runs: move it."
        )
    return Pseudonyms(path)


def is_pseudonym(source: str | None) -> bool:
    """Whether a source of data is the pseudonym of one."""
    return source is not None and _DATA.fullmatch(source) is not None


def has_pseudonym(source: str | None) -> bool:
    """Whether a source of data, or one of several joined by `+`, is the pseudonym of one."""
    return source is not None and any(map(is_pseudonym, source.split("+")))


def note_names(what: str) -> None:
    """Note that images were read with their names, for `tell_names`.

    Args:
        what: Name of the data.
    """
    _names.read = _names.read or what


def tell_names() -> None:
    """Log once in a command that names of files are recorded, if some were read."""
    if _names.read is not None and not _names.told:
        _names.told = True
        logger.info(
            "names of files and folders (%s) are recorded as they are; --pseudonyms records keyed "
            "hashes in their place",
            _names.read,
        )


def forget_names() -> None:
    """Forget the names that were noted, before another command in this process."""
    _names.read, _names.told = None, False


def read_key(path: Path | None) -> bytes:
    """Read a key, or make the file of one.

    Args:
        path: The file, as in `Pseudonyms`.

    Raises:
        MissingFileError: If the file cannot be read.
        InvalidValueError: If the key is too short to be one.
    """
    text = os.environ.get(KEY_VARIABLE) if path is None else None
    where = f"${KEY_VARIABLE}"
    if text is None:
        path = path or default_path()
        where = str(path)
        if not os.path.lexists(path):
            make_key(path)
        text = read_text(path, "a key for pseudonyms", "check --pseudonym-key.", limit=4096)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning("others can read the key of the pseudonyms: chmod 600 %s", path)
    key = text.strip().encode(errors="surrogateescape")
    if len(key) < SHORTEST_KEY:
        raise InvalidValueError(
            f"Expected a key for pseudonyms of at least {SHORTEST_KEY} characters in {where}, got "
            f"{len(key)}: short ones can be guessed; remove it, and one is made."
        )
    return key


def default_path() -> Path:
    """Return the default path of a user's key."""
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "hybridq" / "pseudonyms.key"


def make_key(path: Path) -> None:
    """Write a new random key that only its owner can read; one that is there already stays.

    Args:
        path: The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        os.link(temporary, path)
    except FileExistsError:
        return  # another process was first
    finally:
        os.unlink(temporary)
    logger.info("made a key for pseudonyms, %s: keep it, and keep it apart from the runs", path)
