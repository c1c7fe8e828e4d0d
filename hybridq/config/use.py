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
    MAX_RUNS,
    MAX_WORKERS,
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
    split: Literal["val", "test"] = "test"
    """The split whose figures are reported; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2, le=MAX_LIMIT)
    """Evaluate this many images only, drawn stratified; for slow backends."""
    views: Literal["one", "flip", "shift", "zoom"] = "one"
    """Views averaged: the image; 2 with its mirror image, 10 moved too, 12 enlarged too."""
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


class NoiseStudyConfig(PseudonymsConfig):
    """Trained models under noise: devices, noise scales, shots, mitigation, and their controls."""

    models: Positional[tuple[Path, ...]] = Field((), max_length=MAX_RUNS)
    """Run folders of `hybridq finetune`: quantum heads, and a classical control for each."""
    resume: Path | None = None
    """A study's folder to go on with; its own config counts, and other flags are refused."""
    device: str = "FakeTorino"
    """Fake devices or saved calibrations (.json), joined by commas."""
    noise_scale: str = "0,0.5,1,2,3"
    """Strengths of the noise, factors joined by commas: 0 is none, 1 the device."""
    shots: str = "none,4096"
    """Shots for one circuit, counts joined by commas; `none` is exact."""
    mitigation: str = "none"
    """Joined by commas: `none`, `trex`, `zne`, `dd`, `trex+zne`, `zne_by_scale`; see the guide."""
    repeats: int = Field(1, ge=1, le=1000)
    """Draws of the shots for each setting."""
    data: str | None = None
    """Other data of the same classes; that of the runs where it is not given."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    split: Literal["val", "test"] = "test"
    """The split whose figures are reported; the threshold always comes from `val`."""
    limit: int | None = Field(None, ge=2, le=MAX_LIMIT)
    """This many images only, drawn stratified."""
    workers: int = Field(2, ge=1, le=MAX_WORKERS)
    """Processes on this machine, one thread each."""
    ray: str | None = None
    """Address of a Ray cluster to run on (`auto`, `ray://...`), or `local`; extra `ray`."""
    runs: Path = Path("runs")
    """Folder in which the study's folder is made."""
    name: str | None = None
    """Name of the study; the data's name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the transpiler and of the shots."""
