"""Models for other programs from Python."""

from __future__ import annotations

from pathlib import Path

from hybridq.api.load import load
from hybridq.api.model import Model
from hybridq.config import ExportConfig
from hybridq.config.complaints import config_of
from hybridq.exports.export import export_model


def export(
    model: Model | str | Path,
    out: str | Path,
    *,
    format: str = "onnx",  # noqa: A002  the name of the command's option
    threshold: float | None = None,
    force: bool = False,
) -> Path:
    """Write a trained model as files that other programs run.

    Args:
        model: A model, or the folder of a run.
        out: Folder to make.
        format: `onnx`, with the circuits as QPY and OpenQASM 3 and a program `run.py` that needs
            onnxruntime, NumPy and Qiskit alone; `torch`, one file for `torch.export.load`;
            `qasm3` or `qpy`, the circuits alone.
        threshold: The threshold on the probability of the positive class, or of each label; it is
            written down for the program that takes decisions. The model's own if None.
        force: Whether an earlier export in that folder is replaced.

    Returns:
        The folder. Its `model.json` has classes, threshold, preprocessing and circuits.

    Raises:
        HybridqError: If the model cannot be exported so, or the folder cannot be made; nothing is
            written then.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> data = hq.load_data("phantom,size=16,count=40")
        >>> model = hq.finetune(None, data, epochs=1, freeze_encoder=True)
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folder = hq.export(model, place + "/circuit", format="qasm3")
        ...     sorted(path.name for path in folder.iterdir())
        ['circuit.qasm', 'model.json']
    """
    trained = model if isinstance(model, Model) else load(model)
    config = config_of(
        ExportConfig,
        run=trained.folder or Path(),
        out=Path(out),
        format=format,
        threshold=threshold,
        force=force,
    )
    return export_model(trained.module, trained.spec, config)
