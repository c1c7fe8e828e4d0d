"""Configs as run folders keep them: without the path of data that a pseudonym stands for."""

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
    """A config as it is written: never with the place of the key.

    Args:
        config: Of a command.
        data: What it has loaded.
        pseudonyms: What it was loaded with.
    """
    changes: dict[str, object] = {"pseudonym_key": None, "pseudonyms": pseudonyms is not None}
    if pseudonyms is not None and data.own:
        changes |= {"data": data.name, "data_root": None}
    return config.model_copy(update=changes)


def resumed(config: Resumable, command: str) -> Resumable:
    """The config of the folder after `--resume`, with the path of its data where that has none.

    Args:
        config: As it was given, which is what counts without `--resume`; of a run with pseudonyms
            it names the data again.
        command: Whose run it is.

    Raises:
        MissingFileError: If there is no such folder.
        InvalidValueError: If it is one of another command.
    """
    if config.resume is None:
        return config
    kept = read_config(resumed_folder(config.resume), type(config), command)
    if not is_pseudonym(kept.data):
        return kept
    given = config.data if config.data != type(config)().data else kept.data
    return kept.model_copy(update={"data": given, "pseudonym_key": config.pseudonym_key})


def check_same_data(config: Resumable, command: str, data: ImageData) -> None:
    """Refuse to go on with other data, or another key, than a run with pseudonyms was begun with.

    Args:
        config: As it was given; without `--resume` there is nothing to check.
        command: Whose run it is.
        data: What was loaded.

    Raises:
        InvalidValueError: If they are others.
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
        InvalidValueError: If the run does.
    """
    if pseudonyms is not None and not run.pseudonyms and is_own(run.data):
        raise InvalidValueError(
            "Expected a run that was trained with --pseudonyms, got one that records the path of "
            "its data, as does the name of its folder: train it again with --pseudonyms."
        )
