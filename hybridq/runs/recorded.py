"""Write and read the configs of run folders without the paths behind pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from hybridq.config import Config, RunConfig
from hybridq.data import ImageData
from hybridq.data.pool import Pool
from hybridq.data.source import JOINT, find_source, is_own, sources_of
from hybridq.errors import HybridqError, InvalidValueError
from hybridq.runs.folder import read_config, resumed_folder
from hybridq.utils.pseudonyms import Pseudonyms, has_pseudonym

ConfigT = TypeVar("ConfigT", bound=Config)


def absolute(config: ConfigT) -> ConfigT:
    """The config with its paths made absolute: `--resume` may be called from another folder."""
    changes: dict[str, object] = {}
    for name, value in config:
        if isinstance(value, tuple):
            changes[name] = tuple(_absolute(one) for one in value)
        elif name not in ("runs", "resume"):
            changes[name] = _absolute(value)
    if (data := _data(config)) is not None:
        changes["data"] = absolute_source(data)
    return config.model_copy(update=changes)


def _absolute(value: Any) -> Any:
    return value.resolve() if isinstance(value, Path) else value


def absolute_source(data: str) -> str:
    """A data source, its path made absolute if it is one that exists; several, each of them."""
    if len(parts := sources_of(data)) > 1:
        return JOINT.join(map(absolute_source, parts))
    try:
        found = find_source(data)
    except HybridqError:
        return data
    return data if found.path is None else data.replace(found.name, str(found.path.resolve()), 1)


def recorded(config: ConfigT, data: ImageData | Pool, pseudonyms: Pseudonyms | None) -> ConfigT:
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


def resumed(config: ConfigT, command: str) -> ConfigT:
    """Read the config of the folder after `--resume`, and add the path of its data if needed.

    Args:
        config: The config as given, which is returned without `--resume`. For a run with
            pseudonyms it names the data again.
        command: The command of the run.

    Raises:
        MissingFileError: If there is no such folder.
        InvalidValueError: If it belongs to another command.
    """
    if (resume := _resume(config)) is None:
        return config
    kept = read_config(resumed_folder(resume), type(config), command)
    source = _data(kept)
    if not has_pseudonym(source):
        return kept
    given = _data(config) if _data(config) != _data(type(config)()) else source
    key = getattr(config, "pseudonym_key", None)
    return kept.model_copy(update={"data": given, "pseudonym_key": key})


def _resume(config: ConfigT) -> Path | None:
    """The folder to go on with."""
    resume: Path | None = getattr(config, "resume", None)
    return resume


def _data(config: ConfigT) -> str | None:
    """What the config says of its data; studies of one's own need not say it."""
    data = getattr(config, "data", None)
    return data if isinstance(data, str) else None


def check_same_data(config: ConfigT, command: str, data: ImageData | Pool) -> None:
    """Refuse to resume a run with pseudonyms with other data or another key.

    Args:
        config: The config as given; without `--resume` nothing is checked.
        command: The command of the run.
        data: The data that was loaded.

    Raises:
        InvalidValueError: If they differ.
    """
    if (resume := _resume(config)) is None:
        return
    kept = _data(read_config(resume, type(config), command))
    if has_pseudonym(kept) and kept != data.name:
        raise InvalidValueError(
            f"Expected the data, and the key, of {str(resume)!r}, which are {kept}, got "
            f"{data.name}: give the same --data and --pseudonym-key as when it was begun."
        )


def check_hidden(run: RunConfig, pseudonyms: Pseudonyms | None) -> None:
    """Refuse to make records with pseudonyms of a run whose own records have names.

    Raises:
        InvalidValueError: If its records have names.
    """
    if pseudonyms is not None and not run.pseudonyms and is_own(run.data):
        raise InvalidValueError(
            "Expected a run that was trained with --pseudonyms, got one that records the path of "
            "its data, as does the name of its folder: train it again with --pseudonyms."
        )
