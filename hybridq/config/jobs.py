"""What the commands of jobs on hardware can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from tyro.conf import Positional

from hybridq.config.base import MAX_FILES, MAX_LIMIT, Config, PseudonymsConfig

MAX_SECONDS = 30 * 24 * 3600
"""Longest wait: thirty days."""


class SubmitConfig(PseudonymsConfig):
    """Send a trained run's images to IBM hardware as jobs; the same command again goes on."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`, with a quantum head."""
    images: Positional[tuple[Path, ...]] = Field((), max_length=MAX_FILES)
    """Image files or folders; without any, the images of `--split`."""
    backend: str = "ibm"
    """Where: `ibm,device=ibm_fez,mode=batch,...`, or `ibm_rehearsal`, which needs no account."""
    levels: tuple[Literal[0, 1, 2], ...] = Field((), max_length=3)
    """Resilience levels to compare on the same images, with one budget for all of them."""
    compare: tuple[str, ...] = Field((), max_length=20)
    """Further backends to compare on the same images, with one budget for all of them."""
    data: str | None = None
    """Other data of the same classes; that of the run where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose images are sent; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2, le=MAX_LIMIT)
    """Send this many images of the split only, drawn stratified."""
    dry_run: bool = False
    """Print device, layout, cost and upload, and post nothing."""
    max_qpu_seconds: float | None = Field(None, gt=0, le=10_000_000)
    """Most QPU time that all jobs may take together, in seconds; the service stops what exceeds it,
    approximately."""
    tight_budget: bool = False
    """Accept a budget without the margin above the estimate; a job that is stopped is charged."""
    yes: bool = False
    """Agree to an estimate above 60 QPU seconds without a budget."""
    wait: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """Go on collecting for this long after posting, in seconds."""
    repost: bool = False
    """Post chunks again that may or may not have been accepted; both may then be charged."""
    retry_failed: bool = False
    """Post chunks again whose jobs failed or were cancelled."""
    give_up: bool = False
    """Take chunks in doubt for not posted once IBM has not listed them for `--give-up-after`."""
    give_up_after: float = Field(86_400.0, ge=0, le=366 * 86_400)
    """How long that must be, in seconds since they were posted; a day where it is not given."""
    again: bool = False
    """Make a new submission although there is one of the same images."""
    layout_seeds: int = Field(8, ge=1, le=100)
    """Seeds of the transpiler whose layouts are compared by expected error."""
    job_executions: int = Field(5_000_000, ge=1, le=1_000_000_000)
    """Most executions of one job (circuits times shots, mitigation included)."""
    job_bytes: int = Field(4_000_000, ge=1000, le=1_000_000_000)
    """Most bytes of the request that posts one job."""
    posts_per_minute: int = Field(5, ge=1, le=1000)
    """Most jobs posted in a minute; IBM allows a user 5."""
    settle_seconds: float = Field(60.0, ge=0, le=MAX_SECONDS)
    """How long to wait before a job that is not listed is looked up again, in seconds."""
    runs: Path = Path("runs")
    """Folder in which the submission's folder is made."""
    name: str | None = None
    """Name of the submission; the run's own name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the draw of `--limit` and of the intervals."""


class JobsListConfig(Config):
    """The submissions in a folder of runs, and how far each has come."""

    runs: Path = Path("runs")
    """Folder of runs."""


class SubmissionConfig(Config):
    """What every command on one submission can be told."""

    submission: Positional[Path]
    """The folder that `hybridq submit` printed."""


class JobsStatusConfig(SubmissionConfig):
    """Where each chunk of a submission stands; asks the service nothing."""


class _AskingConfig(SubmissionConfig):
    """What commands that ask the service can be told."""

    settle_seconds: float = Field(60.0, ge=0, le=MAX_SECONDS)
    """How long to wait before a job that is not listed is looked up again, in seconds."""


class JobsCollectConfig(_AskingConfig):
    """Fetch the results of a submission; what is missing stays for another day."""

    wait: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """Go on asking for this long, in seconds; 0 asks once."""
    run: Path | None = None
    """The run folder of the model, if it is not where it was when it was submitted."""


class JobsCancelConfig(_AskingConfig):
    """Cancel the jobs of a submission that have not ended; time used so far is charged."""

    give_up: bool = False
    """Take chunks in doubt for not posted once IBM has not listed them for `--give-up-after`."""
    give_up_after: float = Field(86_400.0, ge=0, le=366 * 86_400)
    """How long that must be, in seconds since they were posted; a day where it is not given."""


class JobsRecoverConfig(_AskingConfig):
    """Rebuild a submission's lost or damaged ledger from what the service lists."""

    tag: str | None = None
    """The tag that all its jobs share, for folders of earlier versions, which do not tell it."""
