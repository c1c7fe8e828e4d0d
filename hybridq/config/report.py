"""What the report can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from tyro.conf import Positional

from hybridq.config.base import MAX_RESAMPLES, MAX_RUNS, PseudonymsConfig


class ReportConfig(PseudonymsConfig):
    """One HTML file about runs and studies, to be opened in a browser without a network."""

    folders: Positional[tuple[Path, ...]] = Field(max_length=MAX_RUNS)
    """Folders that `pretrain`, `finetune`, `evaluate`, `submit` or `study` printed."""
    out: Path
    """HTML file to write."""
    force: bool = False
    """Replace the file if it exists."""
    title: str | None = None
    """Heading of the report; the names of the data where it is not given."""
    data: str | None = None
    """Where the images of runs with pseudonyms lie, whose records do not say; for pictures."""
    data_root: Path | None = None
    """Folder of named data sets; `HYBRIDQ_DATA` where it is not given."""
    embedding: Literal["tsne", "umap", "both", "none"] = "tsne"
    """Pictures of the features; `umap` needs the extra `report`."""
    gallery: int = Field(12, ge=0, le=100)
    """Images with Grad-CAM, two thirds of them the worst mistakes."""
    resamples: int = Field(1000, ge=100, le=MAX_RESAMPLES)
    """Bootstrap resamples behind each band."""
    watts: float = Field(65.0, gt=0, le=1_000_000)
    """Assumed mean power of the machine, in watts, for the estimate of energy."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of bands and pictures."""
