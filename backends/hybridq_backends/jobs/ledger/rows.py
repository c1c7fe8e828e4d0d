"""Check the rows of a ledger once, when it is opened.

A ledger is a file that anybody can edit or damage. After this check its rows are trusted.
"""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hybridq_backends.jobs.ledger.chunks import ChunkState, numbers_of
from hybridq_backends.utils.names import field_name

MOST_ROWS = 1_000_000
"""The most rows of a submission."""
MOST_STORED = 10 * MOST_ROWS
"""The most rows of a ledger; that of a run grows step by step."""
_MOST_COLUMNS = 10_000
_LATEST = 1e11  # seconds since 1970, some thousand years on

_Count = Annotated[int, Field(ge=0, le=2**53)]
_Limit = Annotated[int, Field(ge=0, le=10**9)]
_Seconds = Annotated[float, Field(ge=0, le=1e9)]
_Time = Annotated[float, Field(ge=0, le=_LATEST)]
_Text = Annotated[str, Field(max_length=100_000)]
_Name = Annotated[str, Field(min_length=1, max_length=1000)]


class _Row(BaseModel):
    """A row of the ledger; any other type than those written means damage."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Meta(_Row):
    name: _Name
    value: _Text

    @model_validator(mode="after")
    def _is_request(self) -> _Meta:
        if self.name.startswith("request "):
            number, words = self.name.removeprefix("request "), self.value.split()
            if not re.fullmatch("[0-9]{1,9}", number, re.ASCII) or len(words) != 2:
                raise ValueError("a request that cannot be read")
            if not 0.0 <= float(words[1]) <= 1e9:
                raise ValueError("a request without its seconds")
        if self.name == "settings" and not isinstance(json.loads(self.value), dict):
            raise ValueError("settings that cannot be read")
        return self


class _Chunk(_Row):
    number: _Count
    start: _Count
    stop: Annotated[int, Field(ge=1, le=MOST_STORED)]
    state: _Name
    attempt: Annotated[int, Field(ge=1, le=10**6)]
    tag: _Name
    job_id: _Name | None
    reason: _Text | None
    posted_at: _Time | None
    vals: bytes | None
    stds: bytes | None
    columns: Annotated[int, Field(ge=1, le=_MOST_COLUMNS)] | None

    @model_validator(mode="after")
    def _fits_its_state(self) -> _Chunk:
        if self.stop <= self.start:
            raise ValueError("a chunk without rows")
        state = ChunkState(self.state)
        if self.job_id is None and state is ChunkState.POSTED:
            raise ValueError("a chunk that is posted without a job")
        if state is ChunkState.DONE:
            self._check_values()
        return self

    def _check_values(self) -> None:
        if self.vals is None or self.stds is None or self.columns is None:
            raise ValueError("a chunk that is done without values")
        size = 8 * (self.stop - self.start) * self.columns
        if len(self.vals) != size or len(self.stds) != size:
            raise ValueError("values of another number of rows")
        if not np.isfinite(np.frombuffer(self.vals)).all():
            raise ValueError("values that are not finite")


class _Intent(_Row):
    tag: _Name
    number: _Count
    max_seconds: _Limit | None


class _Session(_Row):
    session_id: _Name | None
    max_seconds: _Limit
    closed: Annotated[int, Field(ge=0, le=1)]


class _Job(_Row):
    job_id: _Name
    number: _Count
    tag: _Name
    max_seconds: _Limit | None
    qpu_seconds: _Seconds | None


class _Event(_Row):
    at: Annotated[float, Field(ge=-_LATEST, le=_LATEST)]
    number: _Count
    tag: _Name
    state: _Name
    job_id: _Name | None
    reason: _Text | None


_TABLES: dict[str, type[_Row]] = {
    "meta": _Meta,
    "chunks": _Chunk,
    "intents": _Intent,
    "sessions": _Session,
    "jobs": _Job,
    "events": _Event,
}


def check_rows(connection: sqlite3.Connection) -> None:
    """Check every row of a ledger, and that they fit together.

    Raises:
        ValueError: If they do not; the message says what is wrong.
        sqlite3.Error: If they cannot be read.
    """
    connection.execute("begin")  # all tables as they were at one time
    try:
        rows: dict[str, list[Any]] = {
            table: _rows_of(connection, table, model) for table, model in _TABLES.items()
        }
    finally:
        connection.rollback()
    names = [row.value for row in rows["meta"] if row.name == "name"]
    if len(names) != 1 or not names[0]:
        raise ValueError("no name")
    chunks: list[_Chunk] = rows["chunks"]
    if [chunk.number for chunk in chunks] != list(range(len(chunks))) or not chunks:
        raise ValueError("chunks are missing")
    if [chunk.start for chunk in chunks] != [0, *(chunk.stop for chunk in chunks[:-1])]:
        raise ValueError("chunks that do not follow one another")
    for row in (*chunks, *rows["intents"], *rows["jobs"]):
        numbers = numbers_of(names[0], row.tag)
        if numbers is None or numbers[0] != row.number or row.number >= len(chunks):
            raise ValueError(f"the tag {row.tag!r} at chunk {row.number}")
        if isinstance(row, _Chunk) and numbers[1] > row.attempt:
            raise ValueError(f"the tag {row.tag!r} at attempt {row.attempt}")
    known = {job.job_id: job.number for job in rows["jobs"]}
    for chunk in chunks:
        if chunk.job_id is not None and known.get(chunk.job_id) != chunk.number:
            raise ValueError(f"chunk {chunk.number} with a job that is not on record")


def _rows_of(connection: sqlite3.Connection, table: str, model: type[_Row]) -> list[_Row]:
    """Read the rows of a table.

    Raises:
        ValueError: If one is damaged.
    """
    columns = [str(row[1]) for row in connection.execute(f"pragma table_info({table})")]
    if columns != list(model.model_fields):
        raise ValueError(f"the table {table} with other columns")
    fields = ", ".join(columns)
    found = []
    order = "number" if table == "chunks" else "rowid"
    for values in connection.execute(f"select {fields} from {table} order by {order}"):
        try:
            row = dict(zip(model.model_fields, values, strict=True))
            found.append(model.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = field_name(first["loc"])
            raise ValueError(f"{table}{f'.{where}' if where else ''}: {first['msg']}") from error
    return found
