"""The encoders of an ablation, one for each seed, and what they make of the images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybridq.config import AblationStudyConfig, EncoderConfig, PretrainConfig
from hybridq.data import SPLITS, ImageData, load_data
from hybridq.evaluation.views import Views, views_of
from hybridq.models.encoders.encoder import Encoder, random_encoder_like
from hybridq.models.encoders.initial import encoder_for
from hybridq.records.record import refused
from hybridq.records.studies import read_arrays
from hybridq.runs.folder import read_result
from hybridq.studies.ablation.grid import given_encoders
from hybridq.training.pretrain import pretrain
from hybridq.utils.files import atomic_path
from hybridq.utils.pseudonyms import pseudonyms_of

BATCH = 128

EncoderKind = Literal["random", "simclr", "imagenet"]


def encoder_kinds() -> tuple[EncoderKind, ...]:
    """The encoders that can be had without a download."""
    return ("random", "simclr", "imagenet") if imagenet_is_here() else ("random", "simclr")


def imagenet_is_here() -> bool:
    """Whether torchvision's ImageNet weights have been downloaded before."""
    from torchvision.models import MobileNet_V2_Weights

    name: str = MobileNet_V2_Weights.IMAGENET1K_V2.url.rpartition("/")[2]
    return (Path(str(torch.hub.get_dir())) / "checkpoints" / name).is_file()


def study_data(config: AblationStudyConfig, *splits: str) -> ImageData:
    """Splits of the study's data; the others are not read."""
    return load_data(
        config.data,
        data_root=config.data_root,
        splits=splits,
        positive=config.positive,
        pseudonyms=pseudonyms_of(config, folder=config.runs),
    )


def finished_run(runs: Path, command: str, name: str, train: Callable[[Path | None], Path]) -> Path:
    """The run of that name below `runs`: the one that is there, gone on with, or a new one.

    Args:
        runs: Folder of runs that holds at most one run of that name.
        command: `pretrain` or `finetune`.
        name: Of the run.
        train: Trains, from the run folder to go on with, or anew for None.
    """
    begun = [
        run
        for run in sorted((runs / command).glob(f"{'[0-9]' * 8}-{'[0-9]' * 6}-{name}"))
        if (run / "config.json").is_file()
    ]
    run = begun[-1] if begun else None
    if run is None or not (run / "result.json").is_file():
        run = train(run)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return run


@dataclass(frozen=True)
class PretrainWork:
    """SimCLR of one seed.

    Attributes:
        config: Of the study.
        folder: Of the study.
        seed: Of the encoder.
    """

    config: AblationStudyConfig
    folder: Path
    seed: int

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"simclr-s{self.seed}"

    def compute(self) -> dict[str, Any]:
        """Where the encoder is: a run given, or one in the study's folder."""
        given = given_encoders(self.config)
        run = given[self.seed].resolve() if given else self._pretrained()
        result = read_result(run, "pretrain")
        path = run if given else run.relative_to(self.folder)
        return {"run": path.as_posix(), "epochs": result["epochs"], "loss": result["loss"]}

    def _pretrained(self) -> Path:
        def train(begun: Path | None) -> Path:
            if begun is not None:
                return pretrain(
                    PretrainConfig(
                        resume=begun,
                        data=self.config.data,
                        pseudonym_key=self.config.pseudonym_key,
                    )
                )
            return pretrain(
                PretrainConfig(
                    pseudonyms=self.config.pseudonyms,
                    pseudonym_key=self.config.pseudonym_key,
                    data=self.config.data,
                    data_root=self.config.data_root,
                    positive=self.config.positive,
                    image_size=self.config.image_size,
                    epochs=self.config.pretrain_epochs,
                    runs=self.folder / "encoders",
                    name=self.name,
                    seed=self.seed,
                )
            )

        return finished_run(self.folder / "encoders", "pretrain", self.name, train)


@dataclass(frozen=True)
class FeatureWork:
    """What one encoder makes of every image; no label is read.

    Attributes:
        config: Of the study.
        folder: Of the study.
        kind: Of the encoder.
        seed: Of the encoder.
        run: Of SimCLR, that seed.
    """

    config: AblationStudyConfig
    folder: Path
    kind: EncoderKind
    seed: int
    run: Path

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"{self.kind}-s{self.seed}"

    def compute(self) -> dict[str, Any]:
        """Write the features, `(count, 1280)` of each split."""
        data = study_data(self.config, *SPLITS)
        encoder = self._encoder(data).eval()
        views = self.config.views
        parts = {
            split: encoded(encoder, data.splits[split].images, views=views) for split in SPLITS
        }
        path = features_file(self.folder, self.kind, self.seed)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **parts)  # type: ignore[arg-type]
        return {
            "features": path.relative_to(self.folder).as_posix(),
            "encoder": encoder.spec.model_dump(mode="json"),
        }

    def _encoder(self, data: ImageData) -> Encoder:
        images = data.splits["train"].images
        size = self.config.image_size
        own = EncoderConfig(weights=str(self.run))
        trained = encoder_for(images, own, image_size=size, stem="auto", seed=self.seed)
        if self.kind == "simclr":
            return trained
        if self.kind == "random":
            return random_encoder_like(trained, self.seed)
        return encoder_for(
            images,
            EncoderConfig(weights=self.kind, name=trained.spec.architecture),
            image_size=trained.spec.image_size,
            stem=trained.spec.stem,
            seed=self.seed,
        )


@torch.inference_mode()
def encoded(
    encoder: Encoder, images: NDArray[np.uint8], *, views: Views = "one"
) -> NDArray[np.float32]:
    """Features `(count, 1280)` of images `(count, height, width, channels)`, means over views."""
    parts = []
    for start in range(0, len(images), BATCH):
        prepared = encoder.prepare(images[start : start + BATCH])
        features = [encoder(view) for view in views_of(prepared, views)]
        parts.append(torch.stack(features).mean(dim=0))
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def features_file(folder: Path, kind: EncoderKind, seed: int) -> Path:
    """Where the features of an encoder are kept: `train`, `val` and `test`."""
    return folder / "features" / f"{kind}-s{seed}.npz"


def read_features(path: Path, *splits: str) -> list[Tensor]:
    """Features of splits, `standardised`.

    Raises:
        InvalidValueError: If they cannot be read.
    """
    unit = path.parents[1] / "units" / "features" / f"{path.stem}.json"
    what = "the features that an encoder made"
    remedy = f"remove it and {unit}, and they are computed again."
    found = read_arrays(path, what, remedy)
    for name in ("train", *splits):
        part = found.get(name)
        if part is None or part.ndim != 2 or not len(part) or part.dtype.kind != "f":
            raise refused(what, path, f"no features as {name!r}", remedy)
        if part.shape[1] != found["train"].shape[1] or not np.isfinite(part).all():
            raise refused(what, path, f"other numbers as {name!r}", remedy)
    parts = standardised(found["train"], *(found[split] for split in splits))
    return [torch.from_numpy(part.astype(np.float32)) for part in parts]


def standardised(train: NDArray[Any], *parts: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Inputs `(count, inputs)`, each column standardised by all train images, labelled or not.

    An encoder that was never trained gives features of any scale, 1e-9 for a random MobileNetV2,
    with which no learning rate would be fair. A column that hardly varies is only centred.
    """
    train = train.astype(np.float64)
    mean, std = train.mean(axis=0), train.std(axis=0)
    scale = np.where(std > 1e-5 * np.abs(mean), std, 1.0)
    return [(part.astype(np.float64) - mean) / scale for part in parts]
