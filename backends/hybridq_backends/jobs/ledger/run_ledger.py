"""The ledger of a run, whose jobs are not known in advance: it grows request by request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.jobs.ledger.chunks import Chunk, Request, tag_of
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.ledger.rows import MOST_STORED
from hybridq_backends.jobs.ledger.storage import has_ledger

Floats = NDArray[np.float64]


class RunLedger(Ledger):
    """A ledger in which each chunk is a request, identified by a hash of its content."""

    @property
    def settings(self) -> dict[str, Any] | None:
        """The settings of the backend when the first job was posted; None before."""
        kept = self._meta("settings")
        found: dict[str, Any] | None = None if kept is None else json.loads(kept)
        return found

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Note the settings of the backend."""
        with self._connection:
            self._connection.execute(
                "insert into meta values ('settings', ?)", [json.dumps(settings)]
            )

    def add(self, rows: int, key: str, seconds: float) -> int:
        """Plan one more chunk after the last one, and return its number.

        Args:
            rows: The number of its rows.
            key: A hash of its content.
            seconds: QPU seconds that its job is estimated to take.

        Raises:
            InvalidValueError: If there are more rows than a ledger holds.
        """
        last = self.chunks()[-1]
        index, start = last.index + 1, last.stop
        if start + rows > MOST_STORED:
            raise InvalidValueError(
                f"Expected at most {MOST_STORED} rows of jobs in one run, got {start + rows}: take "
                "fewer steps or smaller batches."
            )
        self._connection.execute(  # in the transaction that `request` ends
            "insert into chunks (number, start, stop, state, attempt, tag) "
            "values (?, ?, ?, 'planned', 1, ?)",
            [index, start, start + rows, tag_of(self.name, index, 1)],
        )
        self.request(index, key, seconds)
        return index

    def request(self, index: int, key: str, seconds: float) -> None:
        """Note the hash of a chunk's request, and the estimated QPU seconds of its job.

        Args:
            index: The number of the chunk.
            key: A hash of its content.
            seconds: QPU seconds that its job is estimated to take.
        """
        with self._connection:
            self._connection.execute(
                "insert or replace into meta values (?, ?)",
                [f"request {index}", f"{key} {seconds}"],
            )

    def requests(self) -> dict[int, Request]:
        """Read the requests that were noted, by the numbers of their chunks."""
        rows = self._connection.execute(
            "select name, value from meta where name like 'request %'"
        ).fetchall()
        found = {int(name.split()[1]): value.split() for name, value in rows}
        return {index: Request(found[index][0], float(found[index][1])) for index in sorted(found)}

    def result(self, chunk: Chunk) -> tuple[Floats, Floats]:
        """Read values and errors of a finished chunk, `(size, num_observables)` each."""
        vals, stds, width = self._connection.execute(
            "select vals, stds, columns from chunks where number = ?", [chunk.index]
        ).fetchone()
        values, errors = (np.frombuffer(one).reshape(-1, width).copy() for one in (vals, stds))
        return values, errors


def device_of(folder: Path) -> str | None:
    """Find the device that a folder's jobs were posted to; None without jobs.

    Raises:
        InvalidValueError: If the ledger cannot be read.
    """
    if not has_ledger(folder):
        return None
    with RunLedger.read(folder) as ledger:
        found = (ledger.settings or {}).get("device")
        return found if isinstance(found, str) else None
