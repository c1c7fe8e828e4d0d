"""A comparison: submissions of the same images to several backends, with one budget.

Each is a normal submission with its own folder and ledger, and `comparison.json`, in the folder of
the comparison, names them. The budget that one may use depends on the jobs of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from hybridq.config import Config
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq.submissions.plan.submission import COMMAND, Submission
from hybridq.utils.files import read_json, reading, write_json
from hybridq_backends.jobs.budget import Estimate
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import LOCK, Ledger
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")

FOLDER = "compare"
FILE = "comparison.json"


class Member(Config):
    """One submission of a comparison."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$")
    """Name of the folder of the submission."""
    backend: str
    """The backend as it was asked for."""
    fingerprint: str
    """Hash of the images, the model and the backend."""


class Comparison(Config):
    """The content of `comparison.json`."""

    format: int = 1
    """Version of this file."""
    members: tuple[Member, ...] = Field(min_length=1)
    """The submissions, in the order in which they are posted."""
    max_qpu_seconds: float | None
    """QPU seconds that all jobs of all submissions may take together, if the user set them."""

    def save(self, folder: Path) -> None:
        """Write `comparison.json`."""
        write_json(folder / FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read `comparison.json`.

        Raises:
            MissingFileError: If `folder` is not that of a comparison.
            InvalidValueError: If it cannot be read.
        """
        if not is_comparison(folder):
            raise MissingFileError(
                f"Expected the folder of a comparison, got {str(folder)!r} without {FILE}: give "
                "the folder that `hybridq submit` printed."
            )
        with reading(folder / FILE) as path:
            return cls.model_validate(read_json(path, "a comparison", "restore it."))

    def folders(self, folder: Path) -> list[Path]:
        """List the folders of the submissions.

        Args:
            folder: The folder of the comparison.
        """
        beside = folder.absolute().parent.parent / COMMAND
        return [beside / member.name for member in self.members]


@dataclass(frozen=True)
class Beside:
    """The share that the other submissions of a comparison take of the budget.

    Attributes:
        spent: QPU seconds that their jobs took or may still take.
        seconds: Estimated QPU seconds of the jobs that they have yet to post.
        larger: The same by the larger estimate of each job.
        least: The sum of the least limits of those jobs, in whole QPU seconds.
        posted_at: Times of their posts, in seconds since 1970.
        max_qpu_seconds: The budget of all together, if the user set one.
    """

    spent: float = 0.0
    seconds: float = 0.0
    larger: float = 0.0
    least: int = 0
    posted_at: tuple[float, ...] = ()
    max_qpu_seconds: float | None = None


def is_comparison(folder: Path) -> bool:
    """Whether a folder is that of a comparison."""
    return (folder / FILE).is_file()


def each_folder(folder: Path) -> list[Path]:
    """List the submissions of a comparison, or the folder itself if it is a submission.

    Raises:
        InvalidValueError: If the comparison cannot be read.
    """
    return Comparison.load(folder).folders(folder) if is_comparison(folder) else [folder]


def comparisons(runs: Path) -> list[Path]:
    """List the folders of comparisons, the newest first."""
    folder = runs / FOLDER
    found = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
    return [one for one in found if is_comparison(one)]


def find_comparison(runs: Path, fingerprints: Collection[str]) -> Path | None:
    """Find the newest comparison of the same work on the same backends."""
    for folder, found in _readable(runs):
        if {member.fingerprint for member in found.members} == set(fingerprints):
            return folder
    return None


def fingerprints_beside(runs: Path, fingerprint: str) -> set[str]:
    """List the fingerprints of the submissions that are compared with a submission."""
    found = [{member.fingerprint for member in one.members} for _, one in _readable(runs)]
    return {other for group in found if fingerprint in group for other in group}


def comparison_of(folder: Path, submission: Submission) -> Path | None:
    """Find the folder of the comparison that a submission belongs to; None if to none.

    Raises:
        InvalidValueError: If it cannot be read, so that the jobs of the others are unknown.
    """
    if submission.comparison is None:
        return None
    own = folder.absolute().parent.parent / FOLDER / submission.comparison
    try:
        Comparison.load(own)
    except HybridqError as error:
        raise InvalidValueError(
            f"Expected the comparison that {folder} shares its budget with at {own}, got none that "
            f"can be read ({error}): restore it; results can be collected without it."
        ) from error
    return own


@contextmanager
def posting(comparison: Path | None) -> Iterator[None]:
    """Hold the lock of the process that posts jobs of a comparison, if there is one."""
    if comparison is None:
        yield
        return
    with locked(comparison / LOCK, f"posts jobs of {comparison}"):
        yield


def beside(
    comparison: Path | None, folder: Path, *, again: Collection[ChunkState], tight: bool
) -> Beside:
    """Read the jobs that the other submissions of a comparison posted and have yet to post.

    Args:
        comparison: The folder of the comparison; None if there is none.
        folder: The folder of the submission that is not counted.
        again: States of chunks that the user wants to be posted anew.
        tight: Whether the user gave up the margin between estimates and limits.

    Raises:
        HybridqError: If one of them cannot be read.
    """
    if comparison is None:
        return Beside()
    found = Comparison.load(comparison)
    spent = 0.0
    waiting: list[Estimate] = []
    posted_at: list[float] = []
    for other in found.folders(comparison):
        if other.name == folder.absolute().name:
            continue
        with Ledger.read(other) as ledger:
            chunks = ledger.chunks()
            estimates = Submission.load(other).estimates(chunks)
            spent += ledger.spent({index: one.seconds for index, one in estimates.items()})
        waiting += [
            estimates[chunk.index]
            for chunk in chunks
            if chunk.state is ChunkState.PLANNED or chunk.state in again
        ]
        posted_at += [chunk.posted_at for chunk in chunks if chunk.posted_at is not None]
    return Beside(
        spent,
        sum(one.seconds for one in waiting),
        sum(one.larger for one in waiting),
        sum(one.least_limit(tight=tight) for one in waiting),
        tuple(posted_at),
        found.max_qpu_seconds,
    )


def labels(backends: Sequence[str]) -> list[str]:
    """Name backends by the parts of their texts that not all of them have."""
    parts = [[part.strip() for part in backend.split(",")] for backend in backends]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    found = [", ".join(part for part in own if part not in common) for own in parts]
    return [label or backend for label, backend in zip(found, backends, strict=True)]


def _readable(runs: Path) -> Iterator[tuple[Path, Comparison]]:
    """List every comparison that can be read; the log names the others."""
    for folder in comparisons(runs):
        try:
            yield folder, Comparison.load(folder)
        except HybridqError as error:
            logger.warning("%s", error)
