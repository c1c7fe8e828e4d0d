"""Find earlier submissions of the same work, so that no image is paid for twice by mistake."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from hybridq.errors import HybridqError, InvalidValueError
from hybridq.submissions.plan.submission import COMMAND, SUBMISSION_FILE, Submission
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import LOCK, Ledger
from hybridq_backends.jobs.ledger.storage import FILE, has_ledger, rebuilds

logger = logging.getLogger("hybridq")

_PAID = (ChunkState.POSTING, ChunkState.UNCERTAIN, ChunkState.POSTED, ChunkState.DONE)


def submissions(runs: Path) -> list[Path]:
    """List the folders of submissions, the newest first, also those without their ledger."""
    return [
        folder
        for folder in _folders(runs)
        if has_ledger(folder) or (folder / SUBMISSION_FILE).is_file()
    ]


def find_same(
    runs: Path,
    fingerprint: str,
    content: str,
    *,
    is_paid: bool,
    beside: Collection[str] = (),
) -> Path | None:
    """Find the newest submission of the same work.

    Args:
        runs: The folder of runs.
        fingerprint: The hash of images, model and backend.
        content: The hash of images and model.
        is_paid: Whether jobs cost QPU time; then work that might be the same is refused, otherwise
            it is only named in the log.
        beside: Fingerprints of submissions that are compared with it on the same images.

    Raises:
        InvalidValueError: If a submission may be the same and cannot be read, has lost its ledger,
            or has posted some of the same images with another backend.
    """
    for folder in _folders(runs):
        if not has_ledger(folder) and not (folder / SUBMISSION_FILE).is_file():
            continue
        try:
            found = Submission.load(folder)
        except HybridqError as error:
            _doubt(f"{folder} may be of the same images and cannot be read ({error})", is_paid)
            continue
        if found.fingerprint == fingerprint:
            if has_ledger(folder):
                return folder
            if (folder / LOCK).exists():  # else it was killed before anything was posted
                _doubt(
                    f"{folder} is of the same images and its {FILE} is lost; {rebuilds(folder)}",
                    is_paid,
                )
        elif found.fingerprint in beside:
            continue
        elif found.content == content and found.device is not None and _is_begun(folder):
            _doubt(
                f"{folder} has posted some of these images with backend {found.backend!r}, which "
                "that backend given again goes on with",
                is_paid,
            )
    return None


def _folders(runs: Path) -> list[Path]:
    folder = runs / COMMAND
    return sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []


def _is_begun(folder: Path) -> bool:
    """Whether images of a submission were posted and not all results are here."""
    if not has_ledger(folder):
        return (folder / LOCK).exists()
    with Ledger.read(folder) as ledger:
        chunks = ledger.chunks()
        all_here = all(chunk.state is ChunkState.DONE for chunk in chunks)
        return not all_here and any(chunk.state in _PAID for chunk in chunks)


def _doubt(what: str, is_paid: bool) -> None:
    if is_paid:
        raise InvalidValueError(
            f"Expected images that no other submission has posted, got this: {what}. Restore or "
            "finish it, or give --again to post all images anew, which may pay for some twice."
        )
    logger.warning("%s", what)
