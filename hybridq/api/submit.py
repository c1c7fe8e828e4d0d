"""Jobs on IBM hardware from Python."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from hybridq.api.images import Images, files_and_pixels
from hybridq.api.model import Model
from hybridq.api.parts import Data, backend_of, data_of, recorded_source
from hybridq.config import JobsCollectConfig, SubmitConfig
from hybridq.config.complaints import config_of
from hybridq.data import SPLITS, ImageData
from hybridq.errors import InvalidValueError
from hybridq.evaluation.locked.asked_data import in_classes_of
from hybridq.runs.folder import create_run, read_result
from hybridq.submissions.collect import Progress, progress
from hybridq.submissions.collect import collect as run_collect
from hybridq.submissions.plan.images import Source, source_of_data
from hybridq.submissions.plan.plan import Plan
from hybridq.submissions.report import plan_table, result_table, status_table
from hybridq.submissions.submit import submit as run_submit
from hybridq.utils.processes import stop_if_run_again
from hybridq_backends import Spec

logger = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Submission:
    """Jobs that were posted, or would be; its folder has all that is known of them.

    Attributes:
        folder: Where they are on record; None for a dry run.
        plan: What they cost; None where an earlier submission went on.
    """

    folder: Path | None
    plan: Plan | None = None

    @property
    def progress(self) -> Progress:
        """How far it has come, without asking the service."""
        return progress(self._kept())

    def collect(self, wait: float = 0.0) -> Submission:
        """Fetch what is done.

        Args:
            wait: How long to go on asking, in seconds; 0 asks once.

        Returns:
            The same submission, whose `result` says what is here.

        Raises:
            HybridqError: If another process is at work on it.
        """
        found = run_collect(config_of(JobsCollectConfig, submission=self._kept(), wait=wait))
        if found.trouble is not None:
            logger.warning("%s", found.trouble)
        return self

    @property
    def result(self) -> dict[str, Any]:
        """Figures on the device beside those without noise, once something was collected."""
        return read_result(self._kept())

    def __str__(self) -> str:
        """Show figures if there are any, else how far it has come, or what it would cost."""
        if self.folder is None:
            return "" if self.plan is None else plan_table(self.plan)
        if (self.folder / "result.json").is_file():
            return result_table(self.result)
        return status_table(self.progress)

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return f"<pre>{escape(str(self))}</pre>"

    def _kept(self) -> Path:
        if self.folder is None:
            raise InvalidValueError(
                "Expected a submission whose jobs were posted, got a dry run: leave `dry_run` out."
            )
        return self.folder


def submit(
    model: Model,
    data: Data | Images | None = None,
    *,
    backend: str | Spec = "ibm",
    runs: str | Path = "runs",
    **options: Any,
) -> Submission:
    """Send images to IBM hardware, or to its rehearsal on this machine, as jobs.

    The jobs outlive this process, so that they and the model are kept in folders: a model that is
    in none is saved under `runs` first. The same call again goes on with the same submission.

    Args:
        model: A model with a quantum head.
        data: `ImageData`, a name, a dataset of pairs or `(images, labels)`, whose test split is
            sent, and whose val split gives the threshold of a model that has none; images alone,
            as an array, a tensor, a list or files; or None for the data that the model was trained
            on.
        backend: `ibm` with its fields, such as `ibm,device=ibm_fez,shots=1024`, or
            `ibm_rehearsal`, which needs no account; or a spec without a secret.
        runs: Folder in which the submission is kept.
        **options: Any other field of `hybridq.config.SubmitConfig`, such as `max_qpu_seconds`,
            `limit` or `dry_run`.

    Returns:
        The submission; `collect(wait=...)` fetches the results.

    Raises:
        HybridqError: If what was asked for cannot be done; nothing is posted then.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> model = hq.finetune(None, data, epochs=1, freeze_encoder=True)
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     sent = hq.submit(model, data, backend="ibm_rehearsal", runs=runs, limit=2)
        ...     sent.collect(wait=60).result["complete"]
        True
    """
    stop_if_run_again("submit")
    run = model.folder
    if run is None:
        name = f"{model.spec.data}-{model.spec.head.name}"
        run = model.save(create_run(Path(runs), "finetune", name))
    source: Source | None = None
    named: dict[str, Any] = {}
    if isinstance(data, Dataset) or (isinstance(data, tuple) and len(data) in (2, 3)):
        data = data_of(data, SPLITS, model.class_names)
    if isinstance(data, ImageData):
        data = in_classes_of(model.spec, data)
        named = {"data": recorded_source(data)}
    elif _is_source(data):
        named = {"data": str(data)}
    elif data is not None:
        files, pixels = files_and_pixels(data)
        if files is not None:
            named = {"images": tuple(files)}
        else:
            ids = tuple(f"image_{number}" for number in range(len(pixels)))
            source = Source("arrays", None, ids, np.empty(0, int), list(pixels), None)
    named["backend"] = backend_of(backend)[0]
    config = config_of(SubmitConfig, run=run, runs=Path(runs), **named, **options)
    if isinstance(data, ImageData):
        source = source_of_data(data, config)
    outcome = run_submit(config, source=source)
    if outcome.trouble is not None:
        logger.warning("%s", outcome.trouble)
    return Submission(outcome.folder, outcome.plan)


def _is_source(data: object) -> bool:
    """Whether it names data with splits rather than images: a text, unless it is an image file."""
    if isinstance(data, str | Path) and Path(data).suffix.lower() == ".npz":
        return True
    return isinstance(data, str) and not Path(data).is_file()


def collect(submission: Submission | str | Path, *, wait: float = 0.0) -> Submission:
    """Fetch the results of a submission, of this process or of any other.

    Args:
        submission: What `submit` returned, or its folder.
        wait: How long to go on asking, in seconds; 0 asks once.

    Raises:
        HybridqError: If the folder is none of a submission.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     model = hq.finetune(None, data, epochs=1, freeze_encoder=True, runs=runs)
        ...     sent = hq.submit(model, data, backend="ibm_rehearsal,rehearse=fake_manila,shots=64",
        ...         limit=4, runs=runs)
        ...     hq.collect(sent.folder, wait=60).result["images"]
        4
    """
    if not isinstance(submission, Submission):
        submission = Submission(Path(submission))
    return submission.collect(wait)
