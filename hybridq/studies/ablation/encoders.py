"""The encoders of an ablation, one for each method and seed, and what they make of the images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridq.config import (
    AblationStudyConfig,
    EncoderConfig,
    FinetuneConfig,
    PretrainConfig,
    ssl_config,
)
from hybridq.data import ImageData
from hybridq.evaluation.features import image_features
from hybridq.models.encoders.encoder import Encoder, random_encoder_like
from hybridq.models.encoders.initial import encoder_for, imagenet_like
from hybridq.records.record import refused
from hybridq.records.studies import read_arrays
from hybridq.runs.folder import read_result
from hybridq.studies.ablation.grid import RANDOM, given_encoders
from hybridq.studies.ablation.labels import SeedWork, study_data
from hybridq.training.pretrain import pretrain
from hybridq.training.run import finished_run
from hybridq.utils.arrays import write_arrays

ConfigT = TypeVar("ConfigT", PretrainConfig, FinetuneConfig)

READ = ("train", "test")
"""The splits that frozen features are computed of."""


def recipe_of(kind: type[ConfigT], config: AblationStudyConfig, **fields: Any) -> ConfigT:
    """Make the config of a training on the study's data."""
    same = ("data", "data_root", "positive", "pseudonyms", "pseudonym_key")
    return kind(**{name: getattr(config, name) for name in same}, **fields)


@dataclass(frozen=True)
class PretrainWork(SeedWork):
    """The pretraining of one encoder.

    Attributes:
        method: The self-supervised method.
    """

    method: str

    @property
    def name(self) -> str:
        """The unit's name."""
        return f"{self.method}-s{self.seed}"

    def compute(self) -> dict[str, Any]:
        """Say where the encoder is: a run given, or one in the study's folder."""
        given = given_encoders(self.config)
        if given:
            path = run = given[self.method, self.seed].resolve()
        else:
            recipe = recipe_of(
                PretrainConfig,
                self.config,
                ssl=ssl_config(self.method),
                image_size=self.config.image_size,
                steps=self.config.pretrain_steps,
                epochs=self.config.pretrain_epochs,
                runs=self.folder / "encoders",
                name=self.name,
                seed=self.seed,
            )
            run = finished_run(recipe, pretrain)
            path = run.relative_to(self.folder)
        result = read_result(run, "pretrain")
        return {"run": path.as_posix(), "epochs": result["epochs"], "loss": result["loss"]}


@dataclass(frozen=True)
class FeatureWork(SeedWork):
    """What one encoder makes of the images of train and test; no label is read.

    Attributes:
        kind: A method, `random` or `imagenet`.
        run: The pretraining, whose network and input size the others share.
    """

    kind: str
    run: Path

    @property
    def name(self) -> str:
        """The unit's name."""
        return f"{self.kind}-s{self.seed}"

    def compute(self) -> dict[str, Any]:
        """Write the features, `(count, num_features)` of each split."""
        data = study_data(self.config, *READ)
        encoder, views = self._encoder(data).eval(), self.config.views
        path = features_file(self.folder, self.kind, self.seed)
        parts = {
            name: image_features(encoder, data.splits[name].images, views=views).numpy()
            for name in READ
        }
        write_arrays(path, parts)
        return {
            "features": path.relative_to(self.folder).as_posix(),
            "encoder": encoder.spec.model_dump(mode="json"),
        }

    def _encoder(self, data: ImageData) -> Encoder:
        images, size = data.splits["train"].images, self.config.image_size
        own = EncoderConfig(weights=str(self.run))
        trained = encoder_for(images, own, image_size=size, stem="auto", seed=self.seed)
        if self.kind == RANDOM:
            return random_encoder_like(trained, self.seed)
        return imagenet_like(trained, images) if self.kind == "imagenet" else trained


def features_file(folder: Path, kind: str, seed: int) -> Path:
    """Where the features of an encoder are kept: `train` and `test`."""
    return folder / "features" / f"{kind}-s{seed}.npz"


def read_features(path: Path, *splits: str) -> dict[str, NDArray[Any]]:
    """Read the features of splits, `(count, features)`.

    Raises:
        InvalidValueError: If they cannot be read.
    """
    unit = path.parents[1] / "units" / "features" / f"{path.stem}.json"
    what = "the features that an encoder made"
    remedy = f"remove it and {unit}, and they are computed again."
    found = read_arrays(path, what, remedy)
    for name in splits:
        part = found.get(name, np.empty(0))
        if part.ndim != 2 or not len(part) or part.dtype.kind != "f":
            raise refused(what, path, f"no features as {name!r}", remedy)
        if part.shape[1] != found[splits[0]].shape[1] or not np.isfinite(part).all():
            raise refused(what, path, f"other numbers as {name!r}", remedy)
    return {name: found[name] for name in splits}
