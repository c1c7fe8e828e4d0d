"""What the commands that use a trained model can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from tyro.conf import Positional

from hybridq.config.base import (
    MAX_BATCH,
    MAX_FILES,
    MAX_LIMIT,
    MAX_RESAMPLES,
    PseudonymsConfig,
)


class EvaluateConfig(PseudonymsConfig):
    """Figures of a fine-tuned run on a split it was not trained on."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`."""
    data: str | None = None
    """Other data of the same classes; that of the run where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    backend: str | None = None
    """Another backend for the same weights; that of the run where it is not given."""
    split: Literal["val", "test", "all"] = "test"
    """The split whose figures are reported; `all` is every labelled image of other data."""
    limit: int | None = Field(None, ge=2, le=MAX_LIMIT)
    """Evaluate this many images only, drawn stratified; for slow backends."""
    views: Literal["one", "flip", "shift", "zoom"] | None = None
    """Views averaged: the image; 2 with its mirror image, 10 moved too, 12 enlarged too; those
    that are stored with the model where it is not given."""
    recalibrate: bool = False
    """Add the figures at a threshold that is chosen on the validation split of the data."""
    recalibration: Literal["none", "temperature", "platt", "prior"] = "none"
    """Add the figures of probabilities that are set right on that split."""
    at_specificity: float | None = Field(None, gt=0, lt=1)
    """Add the sensitivity at this specificity, read off the ROC curve."""
    prevalence: float | None = Field(None, gt=0, lt=1)
    """Add the predictive values where this share of the images is positive."""
    subgroups: str | None = None
    """Add the figures by columns of the manifest, as `site,sex,age:40:60` with edges of bands."""
    checklist: bool = False
    """Also write `checklist.md`: TRIPOD+AI and CLAIM, filled from the run as far as it can be."""
    baselines: bool = True
    """Also fit the majority class and two logistic regressions on the same labels."""
    baseline_cache: bool = True
    """Take baselines on the same data and labels from the user's cache, and keep them there."""
    resamples: int = Field(2000, ge=100, le=MAX_RESAMPLES)
    """Bootstrap resamples behind each 95% interval."""
    runs: Path = Path("runs")
    """Folder in which the run folder is made."""
    name: str | None = None
    """Name of the evaluation; the run's own name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the bootstrap and of the random-encoder baseline."""


class PredictConfig(PseudonymsConfig):
    """Class probabilities for image files."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`."""
    images: Positional[tuple[Path, ...]] = Field(max_length=MAX_FILES)
    """Image files, or folders of them."""
    backend: str | None = None
    """Another backend for the same weights; that of the run where it is not given."""
    out: Path | None = None
    """CSV file to write; standard output where it is not given."""
    force: bool = False
    """Replace the file if it exists."""
    batch_size: int = Field(128, ge=1, le=MAX_BATCH)
    """Images at a time."""
