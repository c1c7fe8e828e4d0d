"""What the export can be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from tyro.conf import Positional

from hybridq.config.base import Config


class ExportConfig(Config):
    """A trained model as files that other programs run: ONNX, torch, OpenQASM 3, QPY."""

    run: Positional[Path]
    """The run folder of `hybridq finetune`."""
    out: Path
    """Folder to make."""
    format: str = "onnx"
    """`onnx`, with the circuit and a program that runs it all; `torch`; `qasm3`; or `qpy`."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Threshold on the positive class or on each label; that of the model where it is not given."""
    force: bool = False
    """Replace an earlier export in that folder."""
