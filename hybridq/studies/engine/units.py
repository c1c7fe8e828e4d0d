"""The units of a study: each leaves what it gave in a file, so that the study goes on."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from hybridq.errors import InvalidValueError
from hybridq.records.record import is_sealed, refused, seal
from hybridq.records.results import read_record
from hybridq.records.studies import SealedUnit
from hybridq.studies.engine.pool import Compute
from hybridq.threads import one_thread
from hybridq.utils.files import without_nan, write_csv, write_json
from hybridq.utils.text import counted

MAX_BYTES = 2**30
"""Most bytes of what a unit leaves: it holds the probabilities of all test images."""
LINES = 20
"""Lines of a stage in a log, where no bar is shown."""

logger = logging.getLogger("hybridq")


class Work(Protocol):
    """A unit: what is computed at a time, a pure function of its settings; it can be pickled."""

    @property
    def name(self) -> str:
        """Unique in its stage; the name of its file."""
        ...

    def compute(self) -> dict[str, Any]:
        """What is kept of it, ready for JSON; NaN becomes None."""
        ...


@dataclass
class Stages:
    """Computes the stages of one study, one after the other.

    Attributes:
        folder: The folder of the study; what units gave is in `units/STAGE/` of it.
        compute: What `open_workers` gives.
        seconds: What each unit of a stage took, by stage.
    """

    folder: Path
    compute: Compute[Work, dict[str, Any]]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def run(self, stage: str, works: Sequence[Work]) -> list[dict[str, Any]]:
        """Compute what is not there yet; return what all units gave, in their order.

        Raises:
            InvalidValueError: If a file that is there cannot be read, or two units have one name.
        """
        paths = {work.name: unit_file(self.folder, stage, work.name) for work in works}
        if len(paths) != len(works):
            raise InvalidValueError(
                f"Expected units of different names in the stage {stage!r}, got one twice: make "
                "the name of all settings of a unit."
            )
        found = {name: _read(path) for name, path in paths.items() if path.is_file()}
        missing = [work for work in works if work.name not in found]
        logger.info("%s: %d of %s to compute", stage, len(missing), counted(len(works), "unit"))
        with tqdm(
            total=len(works), initial=len(found), disable=None, unit="unit", desc=stage
        ) as bar:
            for work, result in self.compute(_measured, missing):
                write_json(paths[work.name], seal(without_nan(result)))
                found[work.name] = _read(paths[work.name])
                bar.update()
                if bar.disable and len(found) % max(1, len(works) // LINES) == 0:
                    logger.info("%s: %d of %d units", stage, len(found), len(works))
        results = [found[work.name] for work in works]
        self.seconds[stage] = [result["seconds"] for result in results]
        return results

    def write_seconds(self) -> None:
        """Write `seconds.csv`: the one table that is another each time a study is made."""
        lines = [
            [stage, len(each), round(sum(each), 1), max(each)]
            for stage, each in self.seconds.items()
            if each
        ]
        header = ["stage", "units", "seconds", "longest_unit"]
        write_csv(self.folder / "seconds.csv", header, lines)


def unit_file(folder: Path, stage: str, name: str) -> Path:
    """The file of a unit; a name that no file should have is cut, and told apart by a hash."""
    if len(name) > 100 or not re.fullmatch(r"\w[\w.+-]*", name, re.ASCII):
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
        name = f"{re.sub(r'[^A-Za-z0-9]+', '_', name)[:60]}-{digest[:12]}"
    return folder / "units" / stage / f"{name}.json"


def _read(path: Path) -> dict[str, Any]:
    what, remedy = "what a unit of the study left", "remove it, and it is computed again."
    kept: dict[str, Any] = read_record(path, SealedUnit, what, remedy, limit=MAX_BYTES)
    if not is_sealed(kept):
        raise refused(what, path, "a damaged or edited file", remedy)
    return kept


def _measured(work: Work) -> dict[str, Any]:
    """Compute a unit on one thread: the same sums everywhere, to the last digit."""
    started = time.perf_counter()
    with one_thread():
        result = work.compute()
    return {**result, "seconds": round(time.perf_counter() - started, 2)}
