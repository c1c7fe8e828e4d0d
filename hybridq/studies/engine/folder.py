"""The folder of a study: made or gone on with, and left so that `--resume` can go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from hybridq.config.study import StudyConfig
from hybridq.data.provenance import check_same_images
from hybridq.errors import InvalidValueError
from hybridq.records.results import read_environment
from hybridq.runs.environment import note_resumption, recorded_data, write_environment
from hybridq.runs.folder import (
    STUDY_LOCK,
    create_run,
    log_to_file,
    tell_if_finished,
    to_go_on_with,
    told_how_to_go_on,
    write_config,
)
from hybridq_backends.utils.lock import locked

logger = logging.getLogger("hybridq")


@contextmanager
def study_folder(
    config: StudyConfig, kind: str, name: str, resume: Path | None, data: Mapping[str, Any]
) -> Iterator[Path]:
    """The folder of a study while it runs: a new one of that name, or the one to go on with.

    Args:
        config: What is written into a new one.
        kind: Name of the study.
        name: The name of a new folder.
        resume: The folder to go on with, if there is one.
        data: What `data_record` gave of the data that is read.

    Raises:
        InvalidValueError: If another process is at work on it, or it began with other data.
    """
    folder = resume or create_run(config.runs, "study", name)
    with (
        to_go_on_with(folder, is_new=resume is None),
        locked(folder / STUDY_LOCK, "works on this study"),
        log_to_file(folder),
        told_how_to_go_on(folder, f"study {kind}"),
    ):
        if resume is None:
            write_config(folder, config)
            write_environment(folder, seed=config.seed, study=kind, worker_threads=1, data=data)
        else:
            check_same_images(recorded_data(folder), data, folder)
            note_resumption(folder)
            tell_if_finished(folder)
        logger.info("study folder %s", folder)
        yield folder


def check_same_study(folder: Path, kind: str) -> None:
    """Refuse to go on with the folder of another study.

    Raises:
        InvalidValueError: If it is.
    """
    begun = read_environment(folder).get("study", kind)  # earlier versions did not record it
    if begun != kind:
        raise InvalidValueError(
            f"Expected the folder of a study {kind}, got one of a study {begun}: go on with "
            f"`hybridq study {begun} --resume {quote(str(folder))}`."
        )
