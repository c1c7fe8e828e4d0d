"""The data of an ablation, the labels that its models see, and how a model is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.config import AblationStudyConfig
from hybridq.data import ImageData, labelled_data, load_data
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import threshold_for
from hybridq.evaluation.metrics.scores import auc
from hybridq.utils.pseudonyms import pseudonyms_of

Floats = NDArray[np.float64]


def study_data(config: AblationStudyConfig, *splits: str) -> ImageData:
    """Read splits of the study's data; the others are not read."""
    return load_data(
        config.data,
        data_root=config.data_root,
        splits=splits,
        positive=config.positive,
        pseudonyms=pseudonyms_of(config, folder=config.runs),
    )


@dataclass(frozen=True)
class SeedWork:
    """What the units of an ablation have in common.

    Attributes:
        config: Of the study.
        folder: Of the study.
        seed: Of encoder, labels and heads.
    """

    config: AblationStudyConfig
    folder: Path
    seed: int


def check_fractions(data: ImageData, fractions: Sequence[float], seeds: Sequence[int]) -> None:
    """Refuse fractions that cannot be cut, or two that choose the same images for every seed.

    Raises:
        InvalidValueError: If there are such.
    """
    cuts = []
    for fraction in fractions:
        chosen = [labelled_data(data, fraction, seed=seed)[1] for seed in seeds]
        cuts.append([(one["train"].tolist(), one["val"].tolist()) for one in chosen])
    for (low, below), (high, above) in pairwise(zip(fractions, cuts, strict=True)):
        if below == above:
            raise InvalidValueError(
                f"Expected --labels that choose different images, got {low:g} and {high:g}, which "
                f"both choose {len(below[0][0])} of train: leave one out."
            )


def judged(data: ImageData, on_val: Floats, on_test: Floats, **about: Any) -> dict[str, Any]:
    """Say of a model what the tables take, ready for JSON.

    Args:
        data: The labelled images of train and validation.
        on_val: Probabilities of the labelled validation images, `(images, classes)`.
        on_test: Probabilities of the test images.
        about: Columns of `ablation.csv` that say which model it is.
    """
    return {
        **about,
        "train_images": len(data.splits["train"]),
        "val_images": len(data.splits["val"]),
        "val_auc": auc(data.splits["val"].labels, on_val),
        "threshold": threshold_for(data, on_val),
        "probs": on_test.tolist(),
    }
