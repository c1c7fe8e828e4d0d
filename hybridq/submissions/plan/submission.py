"""A submission on disk: everything that another process needs to continue it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hybridq.config import Config
from hybridq.data.dataset import Task
from hybridq.errors import InvalidValueError, MissingFileError
from hybridq.models.checkpoint import model_folder
from hybridq.submissions.plan.plan import PlannedJob
from hybridq.utils.files import atomic_path, read_json, reading, write_json
from hybridq_backends import IbmRuntime, parse_backend
from hybridq_backends.devices.calibration import SUFFIX
from hybridq_backends.jobs.budget import Estimate
from hybridq_backends.jobs.ledger.chunks import Chunk
from hybridq_backends.jobs.ledger.storage import SUBMISSION_FILE as SUBMISSION_FILE

logger = logging.getLogger("hybridq")

COMMAND = "submit"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Planned(BaseModel):
    """The part of a plan that is read back; plans of earlier versions hold less."""

    model_config = ConfigDict(allow_inf_nan=False)

    device: str
    calibration_date: str | None
    mitigation: str
    shots: int
    qpu_seconds: float = Field(0.0, ge=0, le=1e9)
    jobs: tuple[PlannedJob, ...] = ()

    @field_validator("jobs")
    @classmethod
    def _jobs_are_possible(cls, jobs: tuple[PlannedJob, ...]) -> tuple[PlannedJob, ...]:
        starts = [0, *(job.stop for job in jobs)]
        for job, start in zip(jobs, starts, strict=False):
            seconds = (job.estimate.seconds, job.estimate.quick_seconds, job.max_seconds)
            if not (job.start == start < job.stop and all(0 <= one <= 1e9 for one in seconds)):
                raise ValueError(f"a job of images {job.start} to {job.stop} that cannot be")
        return jobs


class Submission(Config):
    """The content of `submission.json`."""

    format: Literal[1] = 1
    """Version of this file."""
    fingerprint: str
    """Hash of the images, the model and the backend: equal for the same work."""
    content: str
    """Hash of the images and the model alone."""
    run: Path
    """The run folder of the model."""
    model_hash: str
    """SHA-256 of the model's weights."""
    backend: str
    """The backend as it was asked for."""
    device: str | None
    """The device that was chosen; None for a rehearsal."""
    data: str
    """Name of the data."""
    split: Literal["val", "test"] | None
    """The split; None for image files."""
    class_names: tuple[str, ...] = Field(min_length=2)
    """Names of the classes."""
    positive: int | None
    """The class that sensitivity speaks of."""
    task: Task
    """The task: binary, multiclass or multilabel."""
    threshold: float = Field(ge=0, le=1)
    """Threshold on the positive class, that of the model."""
    plan: dict[str, Any]
    """The plan with its estimated cost."""
    seed: int
    """Seed of the intervals."""
    max_qpu_seconds: float | None
    """QPU seconds that all jobs may take together, if the user set them."""
    name: str | None = None
    """The beginning of the tags of its jobs; None in folders of earlier versions."""
    comparison: str | None = None
    """Name of the folder of the comparison that it shares its budget with; None if it is none."""

    @model_validator(mode="after")
    def _positive_is_a_class(self) -> Self:
        """Refuse a positive class that does not exist."""
        if self.positive is not None and not 0 <= self.positive < len(self.class_names):
            raise ValueError(f"Expected `positive` among the classes, got {self.positive}")
        return self

    @property
    def planned(self) -> Planned:
        """The part of the plan that is read back."""
        return Planned.model_validate(self.plan)

    def estimates(self, chunks: Iterable[Chunk]) -> dict[int, Estimate]:
        """Return the estimated QPU seconds of the job of each chunk, by the chunk's number.

        Raises:
            InvalidValueError: If the plan and the ledger belong to different submissions.
        """
        planned = {(job.start, job.stop): job.estimate for job in self.planned.jobs}
        try:
            return {chunk.index: planned[chunk.start, chunk.stop] for chunk in chunks}
        except KeyError as error:
            raise InvalidValueError(
                f"Expected the jobs of {SUBMISSION_FILE} in the ledger, got one of images "
                f"{error}: restore both from the same copy."
            ) from error

    def spec(self) -> IbmRuntime:
        """The backend's spec, on the device that was chosen."""
        spec = runtime_spec(self.backend)
        if self.device is not None:
            spec = spec.model_copy(update={"device": self.device})
        return spec

    def save(self, folder: Path) -> None:
        """Write `submission.json`."""
        write_json(folder / SUBMISSION_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Submission:
        """Read `submission.json`.

        Raises:
            MissingFileError: If `folder` is not that of a submission.
            InvalidValueError: If it cannot be read.
        """
        path = folder / SUBMISSION_FILE
        if not path.is_file():
            raise MissingFileError(
                f"Expected the folder of a submission, got {str(folder)!r}, which "
                f"{'has no ' + SUBMISSION_FILE if folder.is_dir() else 'is no folder'}: give the "
                "folder that `hybridq submit` printed."
            )
        with reading(path):
            found = cls.model_validate(read_json(path, "a submission", "restore it."))
            Planned.model_validate(found.plan)
        return found

    def check_model(self) -> None:
        """Check that the run still has the model that was submitted.

        Raises:
            MissingFileError: If the run was moved.
            InvalidValueError: If it has another model.
        """
        try:
            found = model_hash(self.run)
        except MissingFileError as error:
            raise MissingFileError(
                f"Expected the run that was submitted at {str(self.run)!r}, got no model there: "
                "give its new place with `hybridq jobs collect SUBMISSION --run RUN`; the values "
                "of the jobs are kept in jobs.sqlite."
            ) from error
        if found != self.model_hash:
            raise InvalidValueError(
                f"Expected the model that was submitted in {self.run}, got other weights: restore "
                "the run folder; the values of the jobs are kept in jobs.sqlite."
            )

    def at(self, run: Path, folder: Path) -> Submission:
        """Return the submission with its run in another place, and note the place in its folder.

        Raises:
            HybridqError: If the model that was submitted is not there.
        """
        if run.resolve() == self.run.resolve():
            return self
        moved = self.model_copy(update={"run": run.resolve()})
        moved.check_model()
        moved.save(folder)
        return moved


@dataclass(frozen=True)
class Images:
    """The images of a submission, as far as the readout and the figures need them.

    Attributes:
        ids: Names of the images.
        labels: `(images,)` or `(images, num_classes)`; empty without labels.
        features: The input of the head, `(images, *feature_shape)`, single precision.
        ideal: Expectation values without noise of all rows, `(rows, columns)`.
        simulated: The exact values with the noise of the calibrated device; empty if not
            simulated.
    """

    ids: tuple[str, ...]
    labels: Ints
    features: NDArray[np.float32]
    ideal: Floats
    simulated: Floats

    def save(self, folder: Path) -> None:
        """Write `images.npz`."""
        with atomic_path(folder / "images.npz") as path, path.open("wb") as file:
            np.savez(
                file,
                ids=np.array(self.ids, dtype=np.str_),
                labels=self.labels,
                features=self.features,
                ideal=self.ideal,
                simulated=self.simulated,
            )

    @classmethod
    def load(cls, folder: Path, *, count: int | None = None) -> Images:
        """Read `images.npz`.

        Args:
            folder: The folder of the submission.
            count: The number of rows in the ledger, if it is known.

        Raises:
            InvalidValueError: If it cannot be read, or belongs to another submission.
        """
        with reading(folder / "images.npz") as path:
            with np.load(path, allow_pickle=False) as found:
                parts = {name: found[name] for name in found.files}
            images = cls(tuple(str(name) for name in parts.pop("ids")), **parts)
            rows = len(images.ideal) if count is None else count
            if not (
                len(images.ids) == len(images.features)
                and len(images.ideal) == rows
                and len(images.labels) in (0, len(images.ids))
                and len(images.simulated) in (0, rows)
                and images.ideal.shape[1:] == images.simulated.shape[1:]
            ):
                raise ValueError
        return images


def runtime_spec(backend: str) -> IbmRuntime:
    """Return the spec of a backend that takes jobs.

    Raises:
        InvalidValueError: If it is a simulator.
    """
    spec = parse_backend(backend)
    if not spec.takes_jobs:
        raise InvalidValueError(
            f"Expected a backend that takes jobs, such as ibm or ibm_rehearsal, got {backend!r}, a "
            "simulator: use `hybridq evaluate` for it."
        )
    return cast(IbmRuntime, spec)


def model_hash(run: Path) -> str:
    """Compute the SHA-256 of the weights of a run's model."""
    data = (model_folder(run) / "model.safetensors").read_bytes()
    return hashlib.sha256(data).hexdigest()


def content_of(run: Path, ids: Sequence[str], images: Iterable[NDArray[np.uint8]]) -> str:
    """Hash the images and the model of a submission.

    Args:
        run: The run folder with the weights.
        ids: Names of the images.
        images: Their pixels.
    """
    digest = hashlib.sha256(json.dumps([model_hash(run), list(ids)]).encode())
    for image in images:
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def fingerprint_of(content: str, backend: str) -> str:
    """Hash the work of a submission; the same work has the same hash.

    Args:
        content: The hash by `content_of`.
        backend: The backend as it was asked for.
    """
    spec = runtime_spec(backend).model_dump(mode="json")
    if spec["rehearse"] is not None and spec["rehearse"].endswith(SUFFIX):
        spec["rehearse"] = str(Path(spec["rehearse"]).resolve())
    return hashlib.sha256(json.dumps([content, spec]).encode()).hexdigest()
