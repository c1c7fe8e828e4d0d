"""What every study of units can be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from hybridq.config.base import MAX_WORKERS, Config


class StudyConfig(Config):
    """Base of the configs of studies that are made of units."""

    resume: Path | None = None
    """A study's folder to go on with; its own config counts, and other flags are refused."""
    workers: int = Field(2, ge=1, le=MAX_WORKERS)
    """Processes on this machine, one thread each."""
    runs: Path = Path("runs")
    """Folder in which the study's folder is made."""
    name: str | None = None
    """Name of the study's folder; the study's own name where it is not given."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the study."""
