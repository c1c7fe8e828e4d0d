"""Write and read the configs of run folders without the paths behind pseudonyms."""

from __future__ import annotations

from typing import TypeVar

from hybridq.config import (
    AblationStudyConfig,
    FinetuneConfig,
    NoiseStudyConfig,
    PretrainConfig,
)
from hybridq.config.base import PseudonymsConfig
from hybridq.data import ImageData
from hybridq.data.source import is_own
from hybridq.errors import InvalidValueError
from hybridq.runs.folder import read_config, resumed_folder
from hybridq.utils.pseudonyms import Pseudonyms, is_pseudonym

Resumable = TypeVar(
    "Resumable", PretrainConfig, FinetuneConfig, NoiseStudyConfig, AblationStudyConfig
)
ConfigT = TypeVar("ConfigT", bound=PseudonymsConfig)


def recorded(config: ConfigT, data: ImageData, pseudonyms: Pseudonyms | None) -> ConfigT:
    """Return a config as it is written, without the path of the key.

    Args:
        config: The config of a command.
        data: The data that it loaded.
        pseudonyms: The pseudonyms that it loaded the data with, or None.
    """
    changes: dict[str, object] = {"pseudonym_key": None, "pseudonyms": pseudonyms is not None}
    if pseudonyms is not None and data.own:
        changes |= {"data": data.name, "data_root": None}
    return config.model_copy(update=changes)


def resumed(config: Resumable, command: str) -> Resumable:
    """Read the config of the folder after `--resume`, and add the path of its data if needed.

    Args:
        config: The config as given, which is returned without `--resume`. For a run with
            pseudonyms it names the data again.
        command: The command of the run.

    Raises:
        MissingFileError: If there is no such folder.
        InvalidValueError: If it belongs to another command.
    """
    if config.resume is None:
        return config
    kept = read_config(resumed_folder(config.resume), type(config), command)
    if not is_pseudonym(kept.data):
        return kept
    given = config.data if config.data != type(config)().data else kept.data
    return kept.model_copy(update={"data": given, "pseudonym_key": config.pseudonym_key})


def check_same_data(config: Resumable, command: str, data: ImageData) -> None:
    """Refuse to resume a run with pseudonyms with other data or another key.

    Args:
        config: The config as given; without `--resume` nothing is checked.
        command: The command of the run.
        data: The data that was loaded.

    Raises:
        InvalidValueError: If they differ.
    """
    if config.resume is None:
        return
    kept = read_config(config.resume, type(config), command).data
    if is_pseudonym(kept) and kept != data.name:
        raise InvalidValueError(
            f"Expected the data, and the key, of {str(config.resume)!r}, which are {kept}, got "
            f"{data.name}: give the same --data and --pseudonym-key as when it was begun."
        )


def check_hidden(run: FinetuneConfig, pseudonyms: Pseudonyms | None) -> None:
    """Refuse to make records with pseudonyms of a run whose own records have names.

    Raises:
        InvalidValueError: If its records have names.
    """
    if pseudonyms is not None and not run.pseudonyms and is_own(run.data):
        raise InvalidValueError(
            "Expected a run that was trained with --pseudonyms, got one that records the path of "
            "its data, as does the name of its folder: train it again with --pseudonyms."
        )
