"""Models on disk from Python."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from hybridq.api.model import Model
from hybridq.api.run_folders import read_records
from hybridq.config.handed import check_made
from hybridq.models.checkpoint import load_model
from hybridq_backends import open_backend


def load(
    run: str | Path, *, encoder: nn.Module | None = None, head: nn.Module | None = None
) -> Model:
    """Load a model from the folder of a run.

    Args:
        run: The folder that `hybridq finetune`, `finetune(..., runs=...)` or `Model.save` made.
        encoder: The network, where one was handed over as a module; its weights are replaced.
        head: The head, where one was handed over as a module; its weights are replaced.

    Returns:
        The model. Circuits run where it was trained, unless another backend is given.

    Raises:
        MissingFileError: If there is no model.
        InvalidValueError: If it is damaged, was changed, or needs the module that it was made of.

    Example:
        >>> import tempfile
        >>> import hybridq as hq
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     trained = hq.finetune(
        ...         None, "phantom,size=16,count=40", head="linear", epochs=1, freeze_encoder=True
        ...     )
        ...     hq.load(trained.save(runs + "/mine")).class_names
        ('no lesion', 'lesion')
    """
    check_made("encoder", encoder)
    check_made("head", head)
    folder = Path(run)
    exact = open_backend("statevector")
    module, spec = load_model(folder, backend=exact, encoder=encoder, head=head)
    return Model(module, spec, folder=folder, records=read_records(folder))
