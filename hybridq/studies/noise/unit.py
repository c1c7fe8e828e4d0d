"""One trained model on one device at one noise scale: what a worker of a noise study computes."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import FinetuneConfig, NoiseStudyConfig
from hybridq.data import ImageData
from hybridq.evaluation.cautions import one_class
from hybridq.evaluation.evaluate import (
    classify,
    limited_split,
    metrics_for,
    threshold_for,
)
from hybridq.evaluation.features import image_features
from hybridq.evaluation.locked.asked_data import data_for
from hybridq.evaluation.metrics.scores import balanced_accuracy, true_margins
from hybridq.models.checkpoint import load_model, read_spec
from hybridq.models.classifier import probabilities
from hybridq.quantum.captured import captured, replaced
from hybridq.runs.folder import read_config
from hybridq.studies.noise.grid import BY_SCALE, REHEARSED, Grid, Pair, device_name
from hybridq.studies.summary import MARGINS
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq_backends import Noisy, open_backend

logger = logging.getLogger("hybridq")

Floats = NDArray[np.float64]

FIGURES = ("auc", "balanced_accuracy", "adapted_balanced_accuracy", "accuracy", "calibration_error")
COMPARED = ("auc", "balanced_accuracy", "calibration_error")
MARGIN_QUANTILES = (5, 25, 50, 75, 95)


class Loaded:
    """A model without noise, and what of it and of its control noise does not change.

    Args:
        run: Run folder of the quantum model.
        control: The run folder of its control.
        config: The config of the study.

    Attributes:
        model: The quantum model.
        data: Its validation split, and the split of the study.
        split: The images of the study.
        features: The features `(images, *feature_shape)` of the validation images, then those of
            the study's.
        expvals: The expectation values of each call of a quantum layer on all of these images,
            without noise, `(..., num_observables)`, images first.
        metrics: The figures at the threshold that was chosen on validation without noise.
        predicted: Labels of the study's images without noise.
        fixed: The columns that are the same in all rows.
    """

    @torch.inference_mode()
    def __init__(self, run: Path, control: Path, config: NoiseStudyConfig) -> None:
        finetuned, data = study_data(run, config)
        self.data, self._val = data, data.splits["val"]
        self._multilabel = data.task == "multilabel"
        self.split = limited_split(data, config.split, config.limit, seed=config.seed)
        labels = self.split.labels
        classical, _ = load_model(control, backend=None)
        on_val, on_split = (
            classify(classical, part, multilabel=self._multilabel)
            for part in (self._val, self.split)
        )
        beside = metrics_for(data, threshold_for(data, on_val))(labels, on_split)
        # it stays open: what is loaded runs on it whenever it runs on nothing else
        self.model, spec = load_model(run, backend=open_backend("statevector"))
        self.features = torch.cat(
            [
                image_features(self.model.encoder, part.images, of=self.model.features)
                for part in (self._val, self.split)
            ]
        )
        with captured(self.model.head) as self.expvals:
            self.model.head(self.features)
        on_val, probs = self.probs(self.expvals)
        self.metrics = metrics_for(data, threshold_for(data, on_val))
        self.predicted = self.metrics.predicted(probs)
        if caution := one_class(self.predicted, data.class_names):
            logger.warning("%s: %s, without noise.", run, caution)
        noiseless = self.metrics(labels, probs)
        self.fixed = {
            "run": run.name,
            "control_run": control.name,
            "data": data.name,
            "split": config.split,
            "images": len(self.split),
            "head": spec.head.name,
            "seed": finetuned.seed,
            **{f"noiseless_{name}": noiseless[name] for name in COMPARED},
            **{f"control_{name}": beside[name] for name in COMPARED},
        }

    def error(self, expvals: list[Tensor]) -> float:
        """Root of the mean square by which values of the study's images are off.

        Circuits that no image enters, such as those that generate weights, count as they are.
        """
        squares = []
        for one, exact in zip(expvals, self.expvals, strict=True):
            off = one.double() - exact.double()
            squares.append(self.of_study(off) if len(off) == len(self.features) else off)
        return float(torch.cat([off.square().flatten() for off in squares]).mean().sqrt())

    def probs(self, expvals: list[Tensor]) -> tuple[Floats, Floats]:
        """Probabilities of the validation images and of the study's from expectation values."""
        with torch.inference_mode(), replaced(self.model.head, expvals):
            logits = self.model.head(self.features).double()
            probs = probabilities(logits, multilabel=self._multilabel).numpy()
        return probs[: len(self._val)], self.of_study(probs)

    def of_study(self, values: Any) -> Any:
        """Take the study's part of what is listed for all images, `(images, ...)`."""
        return values.reshape(len(self.features), -1)[len(self._val) :]


load = lru_cache(maxsize=4)(Loaded)
"""Loads a model, or has it still; a worker computes several units of one."""


@dataclass(frozen=True)
class Unit:
    """What one worker computes at a time.

    Attributes:
        pair: The quantum model and its control.
        device: A fake device, or a saved calibration.
        noise_scale: Strength of the noise, a factor.
        grid: The other settings.
        config: The config of the study.
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
        """A row for each setting, with the indices of the images that flip as `flipped`."""
        loaded = load(self.pair.run, self.pair.control, self.config)
        return {"rows": [self._row(loaded, *point) for point in self.grid.points()]}

    def _row(
        self, loaded: Loaded, shots: int | None, mitigation: str, repeat: int
    ) -> dict[str, Any]:
        labels = loaded.split.labels
        seed = self.seed(shots, mitigation, repeat)
        expvals, described = noisy_expvals(loaded, self, shots, mitigation, seed)
        on_val, probs = loaded.probs(expvals)
        figures = loaded.metrics(labels, probs)
        adapted = metrics_for(loaded.data, threshold_for(loaded.data, on_val)).predicted(probs)
        figures["adapted_balanced_accuracy"] = balanced_accuracy(labels, adapted)
        flips = loaded.metrics.predicted(probs) != loaded.predicted
        flips = flips.any(axis=1) if flips.ndim == 2 else flips
        margins = np.percentile(true_margins(labels, probs), MARGIN_QUANTILES)
        return {
            **loaded.fixed,
            "device": device_name(self.device),
            "calibration_date": described.get("calibration_date"),
            "noise_scale": self.noise_scale,
            "shots": shots,
            "mitigation": mitigation,
            "repeat": repeat,
            "engine": described["engine"],
            **{name: figures[name] for name in FIGURES},
            "flips": float(flips.mean()),
            "rms_error": loaded.error(expvals),
            **dict(zip(MARGINS, margins.tolist(), strict=True)),
            "flipped": np.flatnonzero(flips).tolist(),
        }

    def seed(self, shots: int | None, mitigation: str, repeat: int) -> int:
        """A seed of its own for each setting, whatever else is in the grid."""
        model = f"{self.pair.run.name} {self.device} {self.noise_scale:.12g}"
        words = "|".join(map(str, (self.config.seed, model, shots, mitigation, repeat)))
        digest = hashlib.sha256(words.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:4], "big")


def check_devices(run: Path, grid: Grid) -> None:
    """Refuse a device on which the model of a run cannot be computed, before any work is done.

    Raises:
        InvalidValueError: If the device is too small, or the compiled circuit too wide.
    """
    with open_backend("statevector") as exact:
        model, _ = load_model(run, backend=exact)
        for device in grid.devices:
            noisy = Noisy(device=device, engine="torch")
            with open_backend(noisy, shots=None) as backend, model.running_on(backend):
                pass


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
    head, values = loaded.model.head, []
    for factor in (1, 2, 3) if mitigation == BY_SCALE else (1,):
        fields: dict[str, Any] = {"shots": shots, "transpiler_seed": unit.config.seed}
        fields |= {"noise_scale": factor * unit.noise_scale, "seed": (seed + factor - 1) % 2**32}
        asked: str | Noisy = Noisy(device=unit.device, engine="torch")
        if mitigation in REHEARSED:
            asked = "ibm_rehearsal"
            fields |= {"resilience_level": 0, "rehearse": unit.device, **REHEARSED[mitigation]}
        with (
            open_backend(asked, **fields) as backend,
            loaded.model.running_on(backend),
            captured(head) as expvals,
        ):
            head(loaded.features)
            described = backend.describe()
        values.append(expvals)
    if mitigation == BY_SCALE:
        combined = [3 * one - 3 * two + three for one, two, three in zip(*values, strict=True)]
        return combined, described
    return values[0], described
