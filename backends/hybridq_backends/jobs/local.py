"""The jobs of a rehearsal: run when they are posted, and kept in a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.expvals import Expvals, checked_expvals
from hybridq_backends.ibm.rehearsal import RehearsalEngine
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.service import FoundJob, JobReport, JobService, JobState
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.files import atomic_path
from hybridq_backends.utils.seeds import derive_seed


class LocalJobs(JobService):
    """The stand-in for IBM's service on a fake device.

    Args:
        spec: The spec; each job's seed derives from `spec.seed` and the end of its tag, so that a
            rehearsal can be repeated.
        folder: The folder of the jobs, one file each.
    """

    is_local = True

    def __init__(self, spec: IbmRuntime, folder: Path) -> None:
        self._spec = spec
        self._folder = folder

    def post(
        self, pub: tuple[Any, ...], tags: Sequence[str], *, max_seconds: int | None = None
    ) -> str:
        """Run the PUB, and keep its result; a rehearsal takes no QPU time to limit."""
        tag = tags[0]
        seed = derive_seed(self._spec.seed, *_numbers(tag))
        found = self._engine.values(pub, seed)
        with atomic_path(self._path(tag)) as path, path.open("wb") as file:
            np.savez(file, values=found.values, stds=found.stds)
        return tag

    def find(self, tag: str) -> list[FoundJob]:
        """Find the job of that tag, which is also its id, or those whose tags begin with it."""
        names = sorted(path.stem for path in self._folder.glob("*.npz"))
        return [
            FoundJob(name, (name,)) for name in names if name == tag or name.startswith(f"{tag}-")
        ]

    def report(self, job_id: str) -> JobReport:
        """Report a job, which is done if its file exists."""
        if not self._path(job_id).is_file():
            return JobReport(JobState.FAILED, f"there is no file {self._path(job_id).name}")
        return JobReport(JobState.DONE, qpu_seconds=0.0)

    def result(self, job_id: str) -> Expvals:
        """Read the job's file."""
        path = self._path(job_id)
        try:
            with np.load(path, allow_pickle=False) as found:
                return checked_expvals(found["values"], found["stds"])
        except Exception as error:
            raise ServiceError(
                f"Expected the result of a rehearsed job in {path}, got {type(error).__name__}: "
                "delete the file and retry the chunk.",
                Trouble.RESULT,
            ) from error

    def cancel(self, job_id: str) -> None:
        """Do nothing: a rehearsed job has run when it has an id."""
        return

    @cached_property
    def _engine(self) -> RehearsalEngine:
        return RehearsalEngine(self._spec)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.npz"


def _numbers(tag: str) -> tuple[int, int]:
    """Read chunk and attempt of a tag that ends in `-{chunk}-{attempt}`."""
    match = re.search(r"-(\d+)-(\d+)$", tag)
    if match is None:
        raise InvalidValueError(
            f"Expected a tag that ends in chunk and attempt, such as name-0000-1, got {tag!r}."
        )
    return int(match[1]), int(match[2])
