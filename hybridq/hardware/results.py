"""What a submission's results say: predictions, figures with intervals, and three columns.

The three are the model without noise, on the noise of the device as it was calibrated, and on the
device. Intervals are of the bootstrap over images; on the device each draw also has shot noise of
its own, Gaussian with the standard errors that the jobs gave.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backends import open_backend
from hybridq.checkpoint import load_model
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.evaluation.metrics import all_metrics, predict_labels
from hybridq.evaluation.predict import predicted_name
from hybridq.evaluation.statistics import stratified_bootstrap
from hybridq.files import without_nan, write_csv, write_json
from hybridq.hardware.card import write_hardware_note
from hybridq.hardware.chunks import ChunkState
from hybridq.hardware.ledger import Ledger
from hybridq.hardware.submission import Images, Submission, model_hash
from hybridq.model import HybridClassifier, probabilities

logger = logging.getLogger("hybridq")

RESAMPLES = 2000

Floats = NDArray[np.float64]


def write_results(folder: Path, submission: Submission, ledger: Ledger) -> dict[str, Any]:
    """Write `result.json` and `predictions/device.csv` of the images whose results are here.

    Returns:
        What was written to `result.json`.

    Raises:
        InvalidValueError: If the run's model is not the one that was submitted.
    """
    if model_hash(submission.run) != submission.model_hash:
        raise InvalidValueError(
            f"Expected the model that was submitted in {submission.run}, got other weights: "
            "restore the run folder; the values of the jobs are kept in jobs.sqlite."
        )
    here, values, stds = ledger.results()
    chunks = ledger.chunks()
    charged = [job.qpu_seconds for job in ledger.jobs()]
    known = [seconds for seconds in charged if seconds is not None]
    result: dict[str, Any] = {
        "complete": all(chunk.state is ChunkState.DONE for chunk in chunks),
        "images": len(here),
        "images_here": int(here.sum()),
        "run": str(submission.run),
        "data": submission.data,
        "split": submission.split,
        "backend": submission.backend,
        "device": submission.plan["device"],
        "calibration_date": submission.plan["calibration_date"],
        "mitigation": submission.plan["mitigation"],
        "shots": submission.plan["shots"],
        "qpu_seconds": sum(known),
        "qpu_seconds_of_all_jobs": len(known) == len(charged),
        "qpu_seconds_estimated": submission.plan["qpu_seconds"],
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
    if here.any():
        images = Images.load(folder)
        with open_backend("statevector") as exact:
            model, _ = load_model(submission.run, backend=exact)
            reader = _Readout(model, submission, images, here)
            result |= reader.compare(values[here], stds[here])
            reader.write_predictions(folder / "predictions" / "device.csv", values[here])
    write_json(folder / "result.json", without_nan(result))
    if result["complete"]:
        try:
            write_hardware_note(submission.run, folder, result)
        except (OSError, HybridqError) as error:
            logger.warning("the model card was not extended: %s", error)
    return result


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
    def probs(self, expvals: Floats, rows: NDArray[np.intp] | None = None) -> Floats:
        """Probabilities `(images, num_classes)` of expectation values of all or some images."""
        features = self._features if rows is None else self._features[rows]
        logits = self._model.readout(features, torch.from_numpy(expvals).to(features.dtype))
        multilabel = self._submission.task == "multilabel"
        return probabilities(logits.double(), multilabel=multilabel).numpy()

    def compare(self, values: Floats, stds: Floats) -> dict[str, Any]:
        """Figures of the three, and how far each is from the first."""
        columns: dict[str, tuple[Floats, Floats | None]] = {"ideal": (self._ideal, None)}
        if self._simulated is not None:
            columns["simulated"] = (self._simulated, None)
        # a fake device is never called hardware
        name = "rehearsal" if self._submission.device is None else "hardware"
        columns[name] = (values, stds)
        base = self._predicted(self.probs(self._ideal))
        compared = {}
        for name, (expvals, errors) in columns.items():
            predicted = self._predicted(self.probs(expvals))
            entry: dict[str, Any] = {
                "rms_error": float(np.sqrt(np.mean((expvals - self._ideal) ** 2))),
                "flips": int(np.any(np.atleast_2d((predicted != base).T), axis=0).sum()),
            }
            if len(self._labels):
                entry["figures"] = self._figures(expvals, errors)
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

    def _figures(self, expvals: Floats, stds: Floats | None) -> dict[str, dict[str, float]]:
        submission = self._submission
        metrics = all_metrics(
            multilabel=submission.task == "multilabel",
            positive=submission.positive,
            threshold=submission.threshold,
            num_classes=len(submission.class_names),
        )
        noise = None
        if stds is not None:
            spread = np.where(np.isfinite(stds), stds, 0.0)

            def noise(rng: np.random.Generator, chosen: NDArray[np.intp]) -> Floats:
                drawn = rng.normal(expvals[chosen], spread[chosen])
                return self.probs(drawn, chosen)

        return stratified_bootstrap(
            metrics,
            self._labels,
            self.probs(expvals),
            resamples=RESAMPLES,
            seed=submission.seed,
            draw=noise,
        )
