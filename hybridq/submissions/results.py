"""Write the results of a submission: predictions, and figures with intervals in three columns.

The columns are the model without noise, the model with the noise of the calibrated device (without
shots and without mitigation), and the model on the device.

An interval covers new images and, on the device, new shots. Each image that came back is one draw
of both, so the bootstrap over images spreads as the figure does (Efron & Tibshirani 1993, chapter
6). Drawing shot noise once more would count it twice. What the images of one job have in common
(its readout calibration, drift between jobs) is in no resample, and so in no interval.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.errors import HybridqError
from hybridq.evaluation.metrics.scores import all_metrics, predict_labels
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.models.checkpoint import load_model
from hybridq.models.classifier import probabilities
from hybridq.models.decision import names_of
from hybridq.records.findings import write_findings
from hybridq.runs.folder import read_result
from hybridq.submissions.findings import submission_findings
from hybridq.submissions.model_card_note import write_hardware_note
from hybridq.submissions.plan.requests import note, read
from hybridq.submissions.plan.submission import Images, Submission
from hybridq.utils.files import UNREADABLE, without_nan, write_csv, write_json
from hybridq_backends import Deferred, open_backend
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger

logger = logging.getLogger("hybridq")

RESULT = "result.json"
PREDICTIONS = Path("predictions") / "device.csv"
RESAMPLES = 2000
FIGURES = ("images_here", "compared", "shot_noise", "rms_error_of_simulation")

Floats = NDArray[np.float64]


def write_results(
    folder: Path, submission: Submission, ledger: Ledger, *, looked_up: bool
) -> dict[str, Any]:
    """Write `predictions/device.csv` and `result.json` of the images whose results are here.

    Earlier figures are kept if no result has come since.

    Args:
        folder: The folder of the submission.
        submission: The submission.
        ledger: The ledger of the submission.
        looked_up: Whether the service has just listed the jobs.

    Returns:
        The content of `result.json`.

    Raises:
        MissingFileError: If the run was moved.
        InvalidValueError: If its model is not the one that was submitted.
    """
    submission.check_model()
    here, values, stds = ledger.results()
    images = Images.load(folder, count=len(here))
    result = _counts(submission, ledger, images=len(images.ids), looked_up=looked_up)
    figures, charge_known = _figures_of_same(folder, result)
    if figures is not None:
        result |= figures
    elif here.any():
        with open_backend("statevector") as exact:
            model, _ = load_model(submission.run, backend=exact)
            later, features = Deferred(exact), torch.from_numpy(images.features)
            note(model.head, features, later)
            reader = _Readout(
                lambda one: read(model.head, features, later, one), submission, images, values, here
            )
            result |= reader.compare(stds)
            reader.write_predictions(folder / PREDICTIONS)
    written: dict[str, Any] = without_nan(result)
    if written["complete"] and (figures is None or not charge_known):
        try:
            write_hardware_note(submission, folder, written)
        except (OSError, HybridqError) as error:
            logger.warning("the model card was not extended: %s", error)
    write_findings(folder, submission_findings(written))
    write_json(folder / RESULT, written)  # last: what it says is then all there
    return written


def _counts(
    submission: Submission, ledger: Ledger, *, images: int, looked_up: bool
) -> dict[str, Any]:
    """Count the results that are here, and their charges."""
    chunks = ledger.chunks()
    charged = [job.qpu_seconds for job in ledger.jobs()]
    known = [seconds for seconds in charged if seconds is not None]
    planned = submission.planned
    return {
        "complete": all(chunk.state is ChunkState.DONE for chunk in chunks),
        "images": images,
        "images_here": 0,
        "run": str(submission.run),
        "data": submission.data,
        "split": submission.split,
        "backend": submission.backend,
        "device": planned.device,
        "calibration_date": planned.calibration_date,
        "mitigation": planned.mitigation,
        "simulated_mitigation": "none",
        "shots": planned.shots,
        "qpu_seconds": sum(known),
        "qpu_seconds_of_all_jobs": (
            looked_up and len(known) == len(charged) and not ledger.has_doubts()
        ),
        "qpu_seconds_estimated": planned.qpu_seconds,
        "chunks": [
            {
                "rows": [chunk.start, chunk.stop],
                "state": str(chunk.state),
                "job_id": chunk.job_id,
                "qpu_seconds": chunk.qpu_seconds,
                "reason": chunk.reason,
            }
            for chunk in chunks
        ],
    }


def _figures_of_same(folder: Path, result: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """Read the figures in `result.json` if they belong to the results of the same jobs.

    Returns:
        The figures or None, and whether the file has the charges of those jobs.
    """
    try:
        earlier = read_result(folder)
        same = _jobs_here(earlier) == _jobs_here(result) and (folder / PREDICTIONS).is_file()
        if not same:
            return None, False
        figures = {name: earlier[name] for name in FIGURES if name in earlier}
        return figures, earlier["qpu_seconds"] == result["qpu_seconds"]
    except UNREADABLE:  # also MissingFileError
        return None, False


def _jobs_here(result: dict[str, Any]) -> list[tuple[list[int], str]]:
    return [
        (chunk["rows"], chunk["job_id"]) for chunk in result["chunks"] if chunk["state"] == "done"
    ]


class _Readout:
    """Probabilities and figures of the images whose expectation values are here.

    An image is here if all rows on which its logits depend are here.
    """

    def __init__(
        self,
        logits_of: Callable[[Floats], Tensor],
        submission: Submission,
        images: Images,
        values: Floats,
        here: NDArray[np.bool_],
    ) -> None:
        """Compute the logits of the results.

        Args:
            logits_of: A function from values `(rows, columns)` to logits `(images, num_classes)`,
                NaN if they depend on a value that is NaN.
            submission: The submission.
            images: The images of the submission.
            values: The results, `(rows, columns)`.
            here: Whether each row has a result, `(rows,)`.
        """
        self._submission = submission
        self._rows = here
        self._columns = {"ideal": images.ideal}
        if len(images.simulated):
            self._columns["simulated"] = images.simulated
        # a fake device is never called hardware
        self._own = "rehearsal" if submission.device is None else "hardware"
        self._columns[self._own] = values
        logits = {name: logits_of(found).double().numpy() for name, found in self._columns.items()}
        self._here: NDArray[np.bool_] = np.asarray(np.isfinite(logits[self._own]).all(axis=1))
        self._probs = {name: self._probabilities(found) for name, found in logits.items()}
        self._ids = [name for name, is_here in zip(images.ids, self._here, strict=True) if is_here]
        self._labels = images.labels[self._here] if len(images.labels) else images.labels

    def _probabilities(self, logits: Floats) -> Floats:
        """Compute probabilities `(images, num_classes)` of the images that are here."""
        multilabel = self._submission.task == "multilabel"
        probs: Floats = probabilities(
            torch.from_numpy(logits[self._here]), multilabel=multilabel
        ).numpy()
        return probs

    def compare(self, stds: Floats) -> dict[str, Any]:
        """Compute the figures of the three columns, and the distance of each from the first."""
        ideal = self._columns["ideal"]
        base = self._predicted(self._probs["ideal"])
        compared = {}
        for name, expvals in self._columns.items():
            predicted = self._predicted(self._probs[name])
            entry: dict[str, Any] = {
                "rms_error": _rms(expvals[self._rows] - ideal[self._rows]),
                "flips": int(np.any(np.atleast_2d((predicted != base).T), axis=0).sum()),
            }
            if len(self._labels):
                entry["figures"] = self._figures(self._probs[name])
            compared[name] = entry
        found: dict[str, Any] = {"images_here": len(self._ids), "compared": compared}
        if np.isfinite(stds[self._rows]).any():
            found["shot_noise"] = _rms(stds[self._rows])
        if "simulated" in self._columns:
            difference = self._columns[self._own] - self._columns["simulated"]
            found["rms_error_of_simulation"] = _rms(difference[self._rows])
        return found

    def write_predictions(self, path: Path) -> None:
        """Write a row for each image: prediction, probabilities, and values if it has one row."""
        submission = self._submission
        probs = self._probs[self._own]
        expvals = self._columns[self._own]
        if len(expvals) == len(self._here):
            expvals = expvals[self._here]
        else:
            expvals = np.empty((len(probs), 0))
        header = ["id", "label", "predicted"]
        header += [f"prob_{index}" for index in range(probs.shape[1])]
        header += [f"expval_{index}" for index in range(expvals.shape[1])]
        labels = [""] * len(self._ids)
        if len(self._labels):
            labels = ["".join(map(str, np.atleast_1d(label))) for label in self._labels]
        called = names_of(self._predicted(probs), submission.class_names)
        rows = []
        for name, label, predicted, row, own in zip(
            self._ids, labels, called, probs, expvals, strict=True
        ):
            numbers = [repr(float(number)) for number in (*row, *own)]
            rows.append([name, label, predicted, *numbers])
        write_csv(path, header, rows)

    def _predicted(self, probs: Floats) -> NDArray[np.int64]:
        return predict_labels(
            probs,
            multilabel=self._submission.task == "multilabel",
            positive=self._submission.positive,
            threshold=self._submission.threshold,
        )

    def _figures(self, probs: Floats) -> dict[str, dict[str, float]]:
        submission = self._submission
        metrics = all_metrics(
            multilabel=submission.task == "multilabel",
            positive=submission.positive,
            threshold=submission.threshold,
            num_classes=len(submission.class_names),
        )
        return stratified_bootstrap(
            metrics,
            self._labels,
            probs,
            resamples=RESAMPLES,
            seed=submission.seed,
        )


def _rms(differences: Floats) -> float:
    """Compute the root of the mean square of the values that are not NaN."""
    return float(np.sqrt(np.nanmean(np.square(differences))))
