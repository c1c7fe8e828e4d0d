"""The features of the encoders of a study, which its heads are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridq.config.study import EncodersStudyConfig
from hybridq.evaluation.features import image_features, standardised
from hybridq.studies.ablation.encoders import features_file, read_features
from hybridq.studies.heads.given import Given, encoder_of
from hybridq.studies.heads.labelled import read_images
from hybridq.utils.arrays import write_arrays


@dataclass(frozen=True)
class FeatureWork:
    """What one encoder makes of every image; no label is read.

    Attributes:
        config: The config of the study.
        given: What its runs give.
        folder: The folder of the study.
        encoder: Place of the encoder among those given.
    """

    config: EncodersStudyConfig
    given: Given
    folder: Path
    encoder: int

    @property
    def name(self) -> str:
        """Name of the unit."""
        return features_file(self.folder, "encoder", self.encoder).stem

    def compute(self) -> dict[str, Any]:
        """Write the features of train and test, `(count, features)` each."""
        splits = read_images(self.config, self.given).splits
        encoder = encoder_of(self.given.encoders[self.encoder]).eval()
        made = {name: image_features(encoder, one.images).numpy() for name, one in splits.items()}
        path = features_file(self.folder, "encoder", self.encoder)
        write_arrays(path, made)
        return {"features": path.relative_to(self.folder).as_posix()}


def features_of(folder: Path, encoder: int) -> tuple[Tensor, Tensor]:
    """Read what `FeatureWork` wrote of train and of test, standardised by all train images."""
    path = features_file(folder, "encoder", encoder)
    parts = standardised(read_features(path, "train", "test"))
    train, test = (torch.from_numpy(parts[n].astype(np.float32)) for n in ("train", "test"))
    return train, test
