"""What needs no encoder: logistic regression on the pixels, searched as the heads are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.data import SPLITS, ImageData
from hybridq.evaluation.baselines import logistic_regression, pixel_inputs
from hybridq.evaluation.evaluate import threshold_for
from hybridq.evaluation.metrics.scores import auc
from hybridq.studies.ablation.encoders import standardised, study_data
from hybridq.studies.ablation.frozen import cut_labels, with_cut
from hybridq.studies.ablation.grid import PENALTIES, RAW_PIXELS, Penalty

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _OneFraction:
    """Regressions on the labels of one seed.

    Attributes:
        config: Of the study.
        seed: Of the labels.
        fraction: Of the labels.
    """

    config: AblationStudyConfig
    seed: int
    fraction: float

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"s{self.seed}-l{self.fraction:g}"

    def _labelled(self, *splits: str) -> tuple[ImageData, dict[str, Floats]]:
        """The labelled images, and the pixels of the splits, standardised as features are."""
        data = study_data(self.config, *splits)
        pixels = {name: pixel_inputs(data.splits[name].images) for name in splits}
        cut = cut_labels(data, self.fraction, seed=self.seed)
        parts = dict(zip(splits, standardised(pixels["train"], *pixels.values()), strict=True))
        parts |= {name: parts[name][chosen] for name, chosen in cut.items()}
        return with_cut(data, cut), parts


@dataclass(frozen=True)
class PixelSearchWork(_OneFraction):
    """All penalties, judged on the labelled validation; the test split is not read."""

    def compute(self) -> dict[str, Any]:
        """Validation AUC of each penalty, in the order of `PENALTIES`."""
        data, inputs = self._labelled("train", "val")
        labels = data.splits["val"].labels
        return {
            "val_auc": [
                auc(labels, fitted(setting, data, inputs["train"]).predict_proba(inputs["val"]))
                for setting in PENALTIES
            ]
        }


@dataclass(frozen=True)
class PixelWork(_OneFraction):
    """The regression with the penalty that was chosen, and the test images.

    Attributes:
        setting: The one for all seeds.
    """

    setting: Penalty

    def compute(self) -> dict[str, Any]:
        """One model."""
        data, inputs = self._labelled(*SPLITS)
        model = fitted(self.setting, data, inputs["train"])
        on_val = model.predict_proba(inputs["val"])
        outputs = 1 if data.num_classes == 2 and data.task != "multilabel" else data.num_classes
        return {
            "models": [
                {
                    "model": RAW_PIXELS,
                    "training": "pixels",
                    "encoder": "none",
                    "head": "logistic_regression",
                    "labels": self.fraction,
                    "seed": self.seed,
                    "train_images": len(data.splits["train"]),
                    "val_images": len(data.splits["val"]),
                    "parameters": outputs * (inputs["train"].shape[1] + 1),
                    "circuit_parameters": 0,
                    "penalty": self.setting.penalty,
                    "val_auc": auc(data.splits["val"].labels, on_val),
                    "threshold": threshold_for(data, on_val),
                    "probs": model.predict_proba(inputs["test"]).tolist(),
                }
            ]
        }


def fitted(setting: Penalty, data: ImageData, inputs: Floats) -> Any:
    """The regression, fitted to the train images of `data`."""
    labels = data.splits["train"].labels
    return logistic_regression(setting.penalty, several=labels.ndim == 2).fit(inputs, labels)
