"""One trained model on one device at one noise scale: what a worker of a noise study computes."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import FinetuneConfig, NoiseStudyConfig
from hybridq.data import ImageData, ImageSplit
from hybridq.evaluation.cautions import one_class
from hybridq.evaluation.evaluate import BATCH, classify, data_for, limited_split, threshold_for
from hybridq.evaluation.metrics.scores import all_metrics, balanced_accuracy, predict_labels
from hybridq.evaluation.statistics import Metrics
from hybridq.models.checkpoint import load_model, read_spec
from hybridq.models.classifier import HybridClassifier, probabilities
from hybridq.quantum.captured import captured, replaced
from hybridq.runs.folder import read_config
from hybridq.studies.noise.grid import BY_SCALE, REHEARSED, Grid, Pair, device_name
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq_backends import Executable, Noisy, open_backend

logger = logging.getLogger("hybridq")

Floats = NDArray[np.float64]

FIGURES = (
    "auc",
    "balanced_accuracy",
    "adapted_balanced_accuracy",
    "accuracy",
    "calibration_error",
)
COMPARED = ("auc", "balanced_accuracy", "calibration_error")
MARGIN_QUANTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Unit:
    """What one worker computes at a time.

    Attributes:
        pair: The quantum model and its control.
        device: A fake device, or a saved calibration.
        noise_scale: Strength of the noise, a factor.
        grid: The other settings.
        config: Of the study.
    """

    pair: Pair
    device: str
    noise_scale: float
    grid: Grid
    config: NoiseStudyConfig

    @property
    def name(self) -> str:
        """Its name in the study's folder; the models of a study differ by their seed."""
        return f"s{self.pair.spec.seed}-{device_name(self.device)}-x{self.noise_scale:.12g}"

    def compute(self) -> dict[str, Any]:
        """A row for each setting."""
        return {"rows": measure(self)}

    def seed(self, shots: int | None, mitigation: str, repeat: int) -> int:
        """A seed of its own for each setting, whatever else is in the grid."""
        model = f"{self.pair.run.name} {self.device} {self.noise_scale:.12g}"
        words = "|".join(map(str, (self.config.seed, model, shots, mitigation, repeat)))
        digest = hashlib.sha256(words.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:4], "big")


@dataclass(frozen=True)
class Loaded:
    """A model without noise, its control, and what of both noise does not change.

    Attributes:
        model: The quantum model.
        data: Its validation split, and the split of the study.
        split: The images of the study.
        features: Of the validation images and then those of the study, `(images, *feature_shape)`.
        expvals: Of each call of a quantum layer on all of these images, without noise,
            `(..., num_observables)`, images first.
        threshold: On the positive class's probability, chosen on validation without noise.
        predicted: Labels of the study's images without noise.
        fixed: The columns that are the same in all rows.
    """

    model: HybridClassifier
    data: ImageData
    split: ImageSplit
    features: Tensor
    expvals: list[Tensor]
    threshold: float
    predicted: NDArray[np.int64]
    fixed: dict[str, Any]

    def error(self, expvals: list[Tensor]) -> float:
        """Root of the mean square by which values of the study's images are off."""
        squares = [
            self.of_study(one.double() - exact.double()).square().flatten()
            for one, exact in zip(expvals, self.expvals, strict=True)
        ]
        return float(torch.cat(squares).mean().sqrt())

    def probs(self, expvals: list[Tensor]) -> tuple[Floats, Floats]:
        """Probabilities of the validation images and of the study's from expectation values."""
        with torch.inference_mode(), replaced(self.model.head, expvals):
            logits = self.model.head(self.features).double()
            multilabel = self.data.task == "multilabel"
            probs = probabilities(logits, multilabel=multilabel).numpy()
        return probs[: len(self.data.splits["val"])], self.of_study(probs)

    def of_study(self, values: Any) -> Any:
        """Take the study's part of what is listed for all images, `(images, ...)`."""
        images = len(self.features)
        return values.reshape(images, -1)[len(self.data.splits["val"]) :]

    def decide(self, probs: Floats, threshold: float) -> NDArray[np.int64]:
        """Predicted labels."""
        return predict_labels(
            probs,
            multilabel=self.data.task == "multilabel",
            positive=self.data.positive,
            threshold=threshold,
        )


def measure(unit: Unit) -> list[dict[str, Any]]:
    """A row for each setting of a unit, with the indices of the images that flip as `flipped`."""
    loaded = load(unit.pair.run, unit.pair.control, unit.config)
    labels = loaded.split.labels
    rows = []
    for shots, mitigation, repeat in unit.grid.points():
        seed = unit.seed(shots, mitigation, repeat)
        expvals, described = noisy_expvals(loaded, unit, shots, mitigation, seed)
        on_val, probs = loaded.probs(expvals)
        figures = _metrics(loaded.data, loaded.threshold)(labels, probs)
        adapted = loaded.decide(probs, threshold_for(loaded.data, on_val))
        figures["adapted_balanced_accuracy"] = balanced_accuracy(labels, adapted)
        flips = loaded.decide(probs, loaded.threshold) != loaded.predicted
        flips = flips.any(axis=1) if flips.ndim == 2 else flips
        margins = np.percentile(true_margins(labels, probs), MARGIN_QUANTILES)
        rows.append(
            {
                **loaded.fixed,
                "device": device_name(unit.device),
                "calibration_date": described.get("calibration_date"),
                "noise_scale": unit.noise_scale,
                "shots": shots,
                "mitigation": mitigation,
                "repeat": repeat,
                "engine": described["engine"],
                **{name: figures[name] for name in FIGURES},
                "flips": float(flips.mean()),
                "rms_error": loaded.error(expvals),
                **{
                    f"margin_p{share:02d}": float(value)
                    for share, value in zip(MARGIN_QUANTILES, margins, strict=True)
                },
                "flipped": np.flatnonzero(flips).tolist(),
            }
        )
    return rows


@lru_cache(maxsize=4)
@torch.inference_mode()
def load(run: Path, control: Path, config: NoiseStudyConfig) -> Loaded:
    """Load a model and its control, and compute what noise does not change."""
    finetuned, data = study_data(run, config)
    split = limited_split(data, config.split, config.limit, seed=config.seed)
    val = data.splits["val"]
    multilabel = data.task == "multilabel"
    classical, _ = load_model(control, backend=None)
    threshold = threshold_for(data, classify(classical, val, multilabel=multilabel))
    beside = _metrics(data, threshold)(
        split.labels, classify(classical, split, multilabel=multilabel)
    )
    # it stays open: what is loaded runs on it whenever it runs on nothing else
    model, spec = load_model(run, backend=open_backend("statevector"))
    features = torch.cat(
        [
            model.features(model.encoder.prepare(part.images[start : start + BATCH]))
            for part in (val, split)
            for start in range(0, len(part), BATCH)
        ]
    )
    with captured(model.head) as expvals:
        model.head(features)
    loaded = Loaded(model, data, split, features, expvals, 0.5, split.labels, {})
    on_val, probs = loaded.probs(expvals)
    threshold = threshold_for(data, on_val)
    noiseless = _metrics(data, threshold)(split.labels, probs)
    predicted = loaded.decide(probs, threshold)
    if caution := one_class(predicted, data.class_names):
        logger.warning("%s: %s, without noise.", run, caution)
    return replace(
        loaded,
        threshold=threshold,
        predicted=predicted,
        fixed={
            "run": run.name,
            "control_run": control.name,
            "data": data.name,
            "split": config.split,
            "images": len(split),
            "head": spec.head.name,
            "seed": finetuned.seed,
            **{f"noiseless_{name}": noiseless[name] for name in COMPARED},
            **{f"control_{name}": beside[name] for name in COMPARED},
        },
    )


def _metrics(data: ImageData, threshold: float) -> Metrics:
    return all_metrics(
        multilabel=data.task == "multilabel",
        positive=data.positive,
        threshold=threshold,
        num_classes=data.num_classes,
    )


def check_devices(run: Path, grid: Grid) -> None:
    """Refuse a device on which the model of a run cannot be computed, before any work is done.

    Raises:
        InvalidValueError: If the device is too small, or the compiled circuit too wide.
    """
    with open_backend("statevector") as exact:
        model, _ = load_model(run, backend=exact)
        for device in grid.devices:
            with (
                open_backend(_spec(device), shots=None) as backend,
                model.running_on(backend),
            ):
                pass


def _spec(device: str) -> Noisy:
    return Noisy(device=device, engine="torch")


def study_data(run: Path, config: NoiseStudyConfig) -> tuple[FinetuneConfig, ImageData]:
    """The config of a run, and its validation split with the split of the study.

    Raises:
        HybridqError: If the run or its data cannot be read.
    """
    finetuned = read_config(run, FinetuneConfig, "finetune")
    splits = ("val",) if config.split == "val" else ("val", config.split)
    data = data_for(
        finetuned,
        read_spec(run),
        data=config.data,
        data_root=config.data_root,
        splits=splits,
        pseudonyms=pseudonyms_of(config, finetuned),
    )
    return finetuned, data


@torch.inference_mode()
def noisy_expvals(
    loaded: Loaded, unit: Unit, shots: int | None, mitigation: str, seed: int
) -> tuple[list[Tensor], dict[str, Any]]:
    """Expectation values under noise as in `Loaded.expvals`, and a description of the backend.

    `none` is computed on the torch engine, mitigation by name in a rehearsal with IBM's estimator,
    and `zne_by_scale` is the quadratic through the values at one, two and three times the noise
    scale, at 0 (Temme, Bravyi & Gambetta, arXiv:1612.02058): an extrapolation over the model of
    the noise, which no device offers.
    """
    common = {"shots": shots, "seed": seed, "transpiler_seed": unit.config.seed}

    head = loaded.model.head

    def run(backend: Executable) -> tuple[list[Tensor], dict[str, Any]]:
        with backend, loaded.model.running_on(backend), captured(head) as expvals:
            head(loaded.features)
            return expvals, backend.describe()

    if mitigation in REHEARSED:
        options = {"resilience_level": 0, "rehearse": unit.device, **REHEARSED[mitigation]}
        scaled = {"noise_scale": unit.noise_scale, **common}
        return run(open_backend("ibm_rehearsal", **options, **scaled))
    values = []
    for factor in (1, 2, 3) if mitigation == BY_SCALE else (1,):
        scaled = {"noise_scale": factor * unit.noise_scale, "seed": (seed + factor - 1) % 2**32}
        one, described = run(open_backend(_spec(unit.device), **{**common, **scaled}))
        values.append(one)
    if mitigation == BY_SCALE:
        combined = [3 * one - 3 * two + three for one, two, three in zip(*values, strict=True)]
        return combined, described
    return values[0], described


def true_margins(labels: NDArray[np.int64], probs: Floats) -> Floats:
    """Probability of the true class less the largest other one, of each image, from -1 to 1.

    With several labels for an image it is `(2 y - 1)(2 p - 1)` of each label.
    """
    if labels.ndim == 2:
        margins: Floats = ((2 * labels - 1) * (2 * probs - 1)).ravel()
        return margins
    rows = np.arange(len(labels))
    others = probs.copy()
    others[rows, labels] = -np.inf
    return np.asarray(probs[rows, labels] - others.max(axis=1), dtype=np.float64)
