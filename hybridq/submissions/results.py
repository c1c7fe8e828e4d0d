"""What a submission's results say: predictions, figures with intervals, and three columns.

The three are the model without noise, on the noise of the device as it was calibrated (without
shots and without mitigation), and on the device.

An interval is of the expected figure over new images and, on the device, new shots with them. Each
image that came back is one draw of both, so the plain bootstrap over images spreads as the figure
does (Efron & Tibshirani 1993, chapter 6). Shot noise drawn once more on top would count it twice,
and pull the AUC of each resample below that of the device. What the images of one job have in
common (its readout calibration, drift between jobs) is in no resample, and so in no interval.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybridq.errors import HybridqError
from hybridq.evaluation.metrics.scores import all_metrics, predict_labels
from hybridq.evaluation.predict import predicted_name
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.models.checkpoint import load_model
from hybridq.models.classifier import HybridClassifier, probabilities
from hybridq.runs.folder import read_result
from hybridq.submissions.ledger.chunks import ChunkState
from hybridq.submissions.ledger.ledger import Ledger
from hybridq.submissions.model_card_note import write_hardware_note
from hybridq.submissions.plan.submission import Images, Submission
from hybridq.utils.files import UNREADABLE, without_nan, write_csv, write_json
from hybridq_backends import open_backend

logger = logging.getLogger("hybridq")

RESULT = "result.json"
PREDICTIONS = Path("predictions") / "device.csv"
RESAMPLES = 2000
FIGURES = ("compared", "shot_noise", "rms_error_of_simulation")

Floats = NDArray[np.float64]


def write_results(
    folder: Path, submission: Submission, ledger: Ledger, *, looked_up: bool
) -> dict[str, Any]:
    """Write `predictions/device.csv` and `result.json` of the images whose results are here.

    Figures that are written already are kept if no result has come since.

    Args:
        folder: The submission's folder.
        submission: The submission.
        ledger: Its ledger.
        looked_up: Whether the service has just said which jobs there are.

    Returns:
        What was written to `result.json`.

    Raises:
        MissingFileError: If the run is not where it was.
        InvalidValueError: If its model is not the one that was submitted.
    """
    submission.check_model()
    result = _counts(submission, ledger, looked_up=looked_up)
    figures, charge_known = _figures_of_same(folder, result)
    if figures is not None:
        result |= figures
    elif result["images_here"]:
        here, values, stds = ledger.results()
        images = Images.load(folder, count=len(here))
        with open_backend("statevector") as exact:
            model, _ = load_model(submission.run, backend=exact)
            reader = _Readout(model, submission, images, here)
            result |= reader.compare(values[here], stds[here])
            reader.write_predictions(folder / PREDICTIONS, values[here])
    written: dict[str, Any] = without_nan(result)
    if written["complete"] and (figures is None or not charge_known):
        try:
            write_hardware_note(submission, folder, written)
        except (OSError, HybridqError) as error:
            logger.warning("the model card was not extended: %s", error)
    write_json(folder / RESULT, written)  # last: what it says is then all there
    return written


def _counts(submission: Submission, ledger: Ledger, *, looked_up: bool) -> dict[str, Any]:
    """What is here, of what, and what it was charged."""
    chunks = ledger.chunks()
    charged = [job.qpu_seconds for job in ledger.jobs()]
    known = [seconds for seconds in charged if seconds is not None]
    planned = submission.planned
    return {
        "complete": all(chunk.state is ChunkState.DONE for chunk in chunks),
        "images": sum(chunk.size for chunk in chunks),
        "images_here": sum(chunk.size for chunk in chunks if chunk.state is ChunkState.DONE),
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
                "images": [chunk.start, chunk.stop],
                "state": str(chunk.state),
                "job_id": chunk.job_id,
                "qpu_seconds": chunk.qpu_seconds,
                "reason": chunk.reason,
            }
            for chunk in chunks
        ],
    }


def _figures_of_same(folder: Path, result: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The figures in `result.json` if they are of the same jobs' results, None if not.

    And whether it has what they were charged.
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
        (chunk["images"], chunk["job_id"]) for chunk in result["chunks"] if chunk["state"] == "done"
    ]


class _Readout:
    """From expectation values to probabilities and figures, for the images that are here."""

    def __init__(
        self,
        model: HybridClassifier,
        submission: Submission,
        images: Images,
        here: NDArray[np.bool_],
    ) -> None:
        self._model = model
        self._submission = submission
        self._ids = [name for name, is_here in zip(images.ids, here, strict=True) if is_here]
        self._labels = images.labels[here] if len(images.labels) else images.labels
        self._features = torch.from_numpy(images.features[here])
        self._ideal = images.ideal[here]
        self._simulated = images.simulated[here] if len(images.simulated) else None

    @torch.inference_mode()
    def probs(self, expvals: Floats) -> Floats:
        """Probabilities `(images, num_classes)` of the images' expectation values."""
        features = self._features
        logits = self._model.readout(features, torch.from_numpy(expvals).to(features.dtype))
        multilabel = self._submission.task == "multilabel"
        return probabilities(logits.double(), multilabel=multilabel).numpy()

    def compare(self, values: Floats, stds: Floats) -> dict[str, Any]:
        """Figures of the three, and how far each is from the first."""
        columns = {"ideal": self._ideal}
        if self._simulated is not None:
            columns["simulated"] = self._simulated
        # a fake device is never called hardware
        columns["rehearsal" if self._submission.device is None else "hardware"] = values
        base = self._predicted(self.probs(self._ideal))
        compared = {}
        for name, expvals in columns.items():
            predicted = self._predicted(self.probs(expvals))
            entry: dict[str, Any] = {
                "rms_error": float(np.sqrt(np.mean((expvals - self._ideal) ** 2))),
                "flips": int(np.any(np.atleast_2d((predicted != base).T), axis=0).sum()),
            }
            if len(self._labels):
                entry["figures"] = self._figures(expvals)
            compared[name] = entry
        found: dict[str, Any] = {"compared": compared}
        finite = np.isfinite(stds)
        if finite.any():
            found["shot_noise"] = float(np.sqrt(np.mean(stds[finite] ** 2)))
        if self._simulated is not None:
            difference = (values - self._simulated) ** 2
            found["rms_error_of_simulation"] = float(np.sqrt(np.mean(difference)))
        return found

    def write_predictions(self, path: Path, values: Floats) -> None:
        """Write a row for each image: prediction, probabilities, values."""
        submission = self._submission
        probs = self.probs(values)
        header = ["id", "label", "predicted"]
        header += [f"prob_{index}" for index in range(probs.shape[1])]
        header += [f"expval_{index}" for index in range(values.shape[1])]
        labels = [""] * len(self._ids)
        if len(self._labels):
            labels = ["".join(map(str, np.atleast_1d(label))) for label in self._labels]
        names = submission.class_names
        rows = []
        for name, label, row, expvals in zip(self._ids, labels, probs, values, strict=True):
            predicted = predicted_name(row, names, submission.task)
            if submission.task != "multilabel":
                predicted = names[int(self._predicted(row[None])[0])]
            numbers = [repr(float(number)) for number in (*row, *expvals)]
            rows.append([name, label, predicted, *numbers])
        write_csv(path, header, rows)

    def _predicted(self, probs: Floats) -> NDArray[np.int64]:
        return predict_labels(
            probs,
            multilabel=self._submission.task == "multilabel",
            positive=self._submission.positive,
            threshold=self._submission.threshold,
        )

    def _figures(self, expvals: Floats) -> dict[str, dict[str, float]]:
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
            self.probs(expvals),
            resamples=RESAMPLES,
            seed=submission.seed,
        )
