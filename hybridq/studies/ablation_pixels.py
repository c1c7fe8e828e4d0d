"""What needs no encoder: logistic regression on the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hybridq.config import AblationStudyConfig
from hybridq.data import SPLITS
from hybridq.evaluation.baselines import LogisticBaseline, pixel_inputs
from hybridq.evaluation.evaluate import threshold_for
from hybridq.evaluation.metrics import auc
from hybridq.studies.ablation_encoders import study_data
from hybridq.studies.ablation_frozen import cut_labels, with_cut
from hybridq.studies.ablation_grid import RAW_PIXELS


@dataclass(frozen=True)
class PixelWork:
    """The regression of one seed's labels; its penalty is chosen on the labelled validation.

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

    def compute(self) -> dict[str, Any]:
        """One model."""
        data = study_data(self.config, *SPLITS)
        data = with_cut(data, cut_labels(data, self.fraction, seed=self.seed))
        train, val, test = (data.splits[split] for split in SPLITS)
        on_train, on_val, on_test = (pixel_inputs(split.images) for split in (train, val, test))
        model = LogisticBaseline((on_train, train.labels), (on_val, val.labels), data.num_classes)
        probs = model.probs(on_val)
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
                    "train_images": len(train),
                    "val_images": len(val),
                    "parameters": outputs * (on_train.shape[1] + 1),
                    "circuit_parameters": 0,
                    "penalty": model.penalty,
                    "val_auc": auc(val.labels, probs),
                    "threshold": threshold_for(data, probs),
                    "probs": model.probs(on_test).tolist(),
                }
            ]
        }
