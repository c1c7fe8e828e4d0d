"""Make and read run folders: one for each computing command, never overwritten."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from pydantic import ValidationError

from hybridq.config import (
    AblationStudyConfig,
    BlocksStudyConfig,
    CapacityStudyConfig,
    Config,
    FinetuneConfig,
    KernelsStudyConfig,
    NoiseStudyConfig,
    PretrainConfig,
)
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError, UnavailableError
from hybridq.records import Record
from hybridq.records.record import RESTORE as RESTORE
from hybridq.records.results import (
    RESULTS,
    Kind,
    UnitsResult,
    read_environment,
    read_record,
)
from hybridq.utils.files import read_json, remove_leftovers, write_json
from hybridq.utils.outside import space_error
from hybridq.utils.pseudonyms import tell_names

STUDY_LOCK = "study.lock"
"""The lock file in the folder of a study."""

TRAINING_LOCK = "training.lock"
"""The lock file in the folder of a training."""

RESUMABLE: dict[str, type[Config]] = {
    "pretrain": PretrainConfig,
    "finetune": FinetuneConfig,
    "study noise": NoiseStudyConfig,
    "study ablation": AblationStudyConfig,
    "study capacity": CapacityStudyConfig,
    "study blocks": BlocksStudyConfig,
    "study kernels": KernelsStudyConfig,
}
"""The commands with `--resume`, and the models of the `config.json` in their folders."""

ConfigT = TypeVar("ConfigT", bound=Config)

_made_for: dict[Path, tuple[Path, ...]] = {}
"""The parent folders that this process made, for each run folder that it made."""

logger = logging.getLogger("hybridq")


def create_run(runs: Path, command: str, name: str) -> Path:
    """Make and return the new folder `runs/<command>/<time>-<name>`.

    A name that begins with the time of another run loses that time.

    Args:
        runs: The folder of runs.
        command: Name of the command.
        name: Name of the run.

    Raises:
        InvalidValueError: If the folder cannot be made there.
        OSError: If the disk is full.
    """
    own = re.sub(r"^\d{8}-\d{6}-", "", name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", own).strip("._") or "run"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        folder = runs / command / (f"{stamp}-{safe}" + (f"-{attempt}" if attempt else ""))
        above = tuple(one for one in folder.absolute().parents if not one.exists())
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            if not (runs / command).is_dir():
                break
            continue
        except OSError as error:
            _remove_empty(above)
            if space_error(error):
                raise
            raise InvalidValueError(
                f"Expected a folder for runs that can be written to, got {str(runs)!r} "
                f"({error.strerror}): choose another with --runs."
            ) from error
        _made_for[folder] = above
        tell_names()
        return folder
    raise InvalidValueError(
        f"Expected a folder for runs, got {str(runs)!r}, in which none can be made: "
        "choose another with --runs."
    )


def discard_if_empty(folder: Path) -> None:
    """Remove a run folder without any work in it, after a command failed early.

    Parent folders that were made for it are removed as well, unless others use them.
    """
    early = {"config.json", "environment.json", "log.txt", STUDY_LOCK, TRAINING_LOCK}
    if folder.is_dir() and all(
        entry.name in early or (entry.name == "metrics.jsonl" and entry.stat().st_size == 0)
        for entry in folder.iterdir()
    ):
        shutil.rmtree(folder)
        _remove_empty(_made_for.pop(folder, ()))


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:  # the innermost first
        with suppress(OSError):  # another run is in it, or it was never made
            folder.rmdir()


@contextmanager
def to_go_on_with(folder: Path | None, *, is_new: bool) -> Iterator[None]:
    """Run a block so that a failure leaves a folder that `--resume` can continue, or none.

    A new folder without any work in it is removed if the user's input was wrong. Any other end of
    the command leaves it. Leftovers of killed writers in an old folder are removed.

    Args:
        folder: The folder of the run or study; None if another process writes it.
        is_new: Whether this command made it.
    """
    if folder is None:
        yield
        return
    try:
        if not is_new:
            remove_leftovers(folder)
        yield
    except HybridqError:
        if is_new:
            discard_if_empty(folder)
        raise
    except (Exception, KeyboardInterrupt):
        if not (folder / "config.json").is_file():
            discard_if_empty(folder)
        raise


def tell_if_finished(folder: Path) -> None:
    """Say of a run that is gone on with that nothing is left to do, if that is so."""
    if (folder / "result.json").is_file():
        logger.info("%s is finished: nothing is left to compute", folder)


@contextmanager
def told_how_to_go_on(folder: Path, command: str) -> Iterator[None]:
    """Run a block, and add to the message of an early end the command that continues the run.

    Args:
        folder: The folder of the run or study.
        command: The command with `--resume`.
    """
    place = quote(str(folder))
    try:
        yield
    except HybridqError as error:
        if isinstance(error, UnavailableError) and (folder / "config.json").is_file():
            logger.warning("`hybridq %s --resume %s` goes on with this one", command, place)
        raise
    except (Exception, KeyboardInterrupt) as error:
        if not (folder / "config.json").is_file():
            raise
        if isinstance(error, KeyboardInterrupt):
            logger.warning("interrupted: go on with `hybridq %s --resume %s`", command, place)
        else:
            error.add_note(f"`hybridq {command} --resume {place}` goes on with this one")
        raise


def write_config(folder: Path, config: Config) -> None:
    """Write the resolved config; `--config` takes it back."""
    write_json(folder / "config.json", config.model_dump(mode="json"))


def read_config(folder: Path, model: type[ConfigT], command: str) -> ConfigT:
    """Read the config of a run of `command`.

    Args:
        folder: The run folder.
        model: The model of its config.
        command: Name of the command.

    Raises:
        MissingFileError: If `folder` is not a run folder.
        InvalidValueError: If it belongs to another command.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise MissingFileError(
            f"Expected a run folder of `hybridq {command}`, got {str(folder)!r}, which "
            f"{'has no config.json' if folder.is_dir() else 'is no folder'}: give the folder "
            "that the command printed."
        )
    other = InvalidValueError(
        f"Expected a run folder of `hybridq {command}`, got {str(folder)!r}, whose "
        f"config.json is not one of that command: give a run of `hybridq {command}`."
    )
    values = read_json(path, "the config of a run", RESTORE)
    if not values:  # every command writes all of its options
        raise other
    try:
        return model.model_validate(values)
    except ValidationError as error:
        cause = error.errors()[0].get("ctx", {}).get("error")
        if isinstance(cause, HybridqError):  # such as a part of one's own that cannot be imported
            raise cause from error
        raise other from error


def resumed_folder(resume: Path) -> Path:
    """Return the run folder to be resumed.

    Raises:
        MissingFileError: If it is not a run folder.
    """
    if not (resume / "config.json").is_file():
        raise MissingFileError(
            f"Expected a run folder after --resume, got {str(resume)!r} without config.json: give "
            "the folder that the command printed."
        )
    return resume


def check_finished(folder: Path) -> None:
    """Refuse the folder of an interrupted run or study.

    Raises:
        MissingFileError: If it has a config but no result; the message says how to go on.
    """
    config = folder / "config.json"
    if not config.is_file() or (folder / "result.json").is_file():
        return
    try:
        fields = set(read_json(config, "the config of a run", RESTORE))
    except (HybridqError, TypeError):
        return
    study = read_environment(folder).get("study")
    own = {f"study {study}": None} if isinstance(study, str) else RESUMABLE
    for command, model in own.items():
        if model is None or (fields and fields <= model.model_fields.keys()):
            raise MissingFileError(
                f"Expected a finished run, got {str(folder)!r}, without result.json: go on with "
                f"`hybridq {command} --resume {quote(str(folder))}`."
            )


def read_result(folder: Path, kind: Kind | None = None) -> dict[str, Any]:
    """Read `result.json` of a run folder.

    Args:
        folder: The run folder.
        kind: The command that made it, if the result has to have that command's form.

    Raises:
        MissingFileError: If the run has no result.
        InvalidValueError: If it cannot be read, or has another form.
    """
    check_finished(folder)
    path = folder / "result.json"
    if not path.is_file():
        raise MissingFileError(
            f"Expected a finished run, got {str(folder)!r} without result.json: finish it with "
            "--resume."
        )
    model = Record if kind is None else RESULTS.get(kind, UnitsResult)
    what = f"a result of `hybridq {kind or '...'}`"
    result: dict[str, Any] = read_record(path, model, what)
    return result


class _LogFile(logging.FileHandler):
    """A log file that ends with a line on standard error if its disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the file if the disk fails; report a defect as logging does."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logger.removeHandler(self)
        self.close()
        logger.warning("%s ends here: %s", self.baseFilename, error.strerror)

    def close(self) -> None:
        """Close the file, even if the disk fails."""
        with suppress(OSError):
            super().close()


def check_recorded(run: Path, name: str, found: str) -> None:
    """Refuse a file whose hash differs from that in the run's `result.json`, if it has one.

    Args:
        run: The run folder.
        name: Name of the hash in its `result.json`.
        found: The hash of the file.

    Raises:
        InvalidValueError: If they differ, or `result.json` cannot be read.
    """
    if not (run / "result.json").is_file():
        return
    result = read_json(run / "result.json", "the result of a run", RESTORE)
    hashes = result.get("hashes") if isinstance(result, dict) else None
    recorded = hashes.get(name, found) if isinstance(hashes, dict) else found
    if recorded != found:
        raise InvalidValueError(
            f"Expected the {name} that the run {run} ended with, got others than the hash in its "
            "result.json says: they were changed or damaged; restore the run from a copy, or train "
            "again."
        )


@contextmanager
def log_to_file(folder: Path) -> Iterator[None]:
    """Run a block that also writes hybridq's log to `log.txt` in the run folder."""
    handler = _LogFile(folder / "log.txt", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
