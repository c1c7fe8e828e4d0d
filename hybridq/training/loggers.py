"""Loggers of figures that a flag can name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from hybridq.config.handed import check_made
from hybridq.errors import InvalidValueError, UnavailableError


def check_beside(callbacks: Sequence[object], loggers: Sequence[object]) -> None:
    """Refuse what are not Lightning's callbacks and loggers, before anything is trained.

    Raises:
        InvalidValueError: If one is something else.
    """
    for what, kind, path, given in (
        ("callback", Callback, "Callback", callbacks),
        ("logger", Logger, "loggers.Logger", loggers),
    ):
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise InvalidValueError(
                f"Expected a list of {what}s, got a {type(given).__name__}: give [{what}]."
            )
        for one in given:
            check_made(what, one)
            if not isinstance(one, kind):
                raise InvalidValueError(
                    f"Expected a {what} of Lightning's, got a {type(one).__name__}: make a "
                    f"subclass of lightning.pytorch.{path}."
                )


def check_logger(name: str) -> None:
    """Refuse a logger whose library is not installed.

    Raises:
        UnavailableError: If it is not.
    """
    if name == "tensorboard" and not (find_spec("tensorboard") or find_spec("tensorboardX")):
        raise UnavailableError(
            "Expected TensorBoard for --logger tensorboard, got none installed: install it with "
            "`pip install tensorboard`, or take --logger csv."
        )


def loggers_of(name: str, folder: Path | None) -> list[Logger]:
    """Make the logger of a name, which writes to a folder of that name in the run folder.

    Args:
        name: `none`, `csv` or `tensorboard`.
        folder: The folder of the run; None on a process that writes nothing.
    """
    if folder is None or name == "none":
        return []
    if name == "csv":
        return [CSVLogger(folder, name="csv")]
    return [TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)]
