"""A ledger that was edited or damaged is one line; one that nobody may write to is read."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from hybridq.errors import HybridqError, InvalidValueError
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.ledger.storage import FILE

TABLES = ("meta", "chunks", "intents", "sessions", "jobs", "events")
VALUES = (
    *(None, -1, 0, 7, 2**62, -(2**63), 1.5, float("inf"), -1e300, "", "x", "done", "posted"),
    *("abc\x00", b"", b"\x00" * 48, b"\xff\xfe", "job1", "used-0001-1", "used--1-x", "9" * 400),
)


def fill(folder):
    """A ledger with something in each of its tables."""
    Ledger.create(folder, [(0, 3), (3, 6), (6, 9), (9, 12)], name="used")
    with Ledger.write(folder) as ledger:
        first, second, third, _ = ledger.chunks()
        for chunk in (first, second, third):
            ledger.intend(chunk, max_seconds=10)
        ledger.accept(first, "job0")
        ledger.keep(ledger.chunks()[0], np.ones((3, 2)), np.ones((3, 2)))
        ledger.charge("job0", 3.5)
        ledger.accept(second, "job1")
        ledger.fail(ledger.chunks()[1], "no reason")
        ledger.begin_anew(ledger.chunks()[1])
        ledger.opened_session(ledger.begin_session(50), "session")
        ledger.keep_account("abcd")


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    folder = tmp_path_factory.mktemp("used")
    fill(folder)
    return folder


def read_all(folder):
    with Ledger.read(folder) as ledger:
        for chunk in ledger.chunks():
            time.localtime(chunk.posted_at or 0)
        found = [ledger.jobs(), ledger.events(), ledger.doubts(), ledger.open_sessions()]
        estimates = {chunk.index: 3.0 for chunk in ledger.chunks()}
        return [*found, ledger.results(), ledger.spent(estimates), ledger.name, ledger.account]


def work_on(folder):
    with Ledger.write(folder) as ledger:
        for chunk in ledger.chunks(ChunkState.PLANNED):
            ledger.intend(chunk, max_seconds=5)
            ledger.accept(chunk, f"new{chunk.index}")
        for doubt in ledger.doubts():
            ledger.give_up(doubt, "test")
        for chunk in ledger.chunks(ChunkState.POSTED):
            ledger.keep(chunk, np.ones((chunk.size, 2)), np.ones((chunk.size, 2)))
        for chunk in ledger.chunks():
            ledger.begin_anew(chunk)


def edit(path, statement, *values):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update chunks set start = 'x' where number = 1",
        "update chunks set stop = 4.5 where number = 0",
        "update chunks set stop = 9223372036854775807 where number = 3",
        "update chunks set state = 'nonsense'",
        "update chunks set state = x'00'",
        "update chunks set attempt = -1",
        "update chunks set tag = 'other-0000-1' where number = 0",
        "update chunks set tag = 'used-0000-7' where number = 0",
        "update chunks set posted_at = 1e300",
        "update chunks set posted_at = 'yesterday'",
        "update chunks set columns = 3 where number = 0",
        "update chunks set vals = 'text' where number = 0",
        "update chunks set vals = null where number = 0",
        "update chunks set job_id = 'unknown' where number = 0",
        "update chunks set state = 'posted', job_id = null where number = 3",
        "update chunks set number = 9 where number = 3",
        "delete from chunks where number = 1",
        "delete from chunks",
        "update jobs set qpu_seconds = 'much' where job_id = 'job0'",
        "update jobs set qpu_seconds = -5",
        "update jobs set max_seconds = x'ff'",
        "update jobs set number = 99",
        "update intents set number = 'x'",
        "update intents set max_seconds = -7",
        "update sessions set max_seconds = 'x'",
        "update sessions set closed = 7",
        "update events set at = 'then'",
        "update meta set value = x'ff' where name = 'name'",
        "delete from meta where name = 'name'",
        "alter table chunks rename column job_id to job",
        "alter table jobs add column more",
        "drop table sessions",
        "update chunks set reason = cast(x'ff' as text)",
    ],
)
def test_an_edited_ledger_is_one_line_that_names_the_remedy(used, tmp_path, statement):
    shutil.copy(used / FILE, tmp_path)
    edit(tmp_path / FILE, statement)
    for use in (read_all, work_on):
        with pytest.raises(InvalidValueError) as found:
            use(tmp_path)
        message = str(found.value)
        assert "got a damaged file" in message
        assert f"`hybridq jobs recover {tmp_path}` rebuilds it" in message
        assert "\n" not in message


def mutate(path, rng):
    """Edit some cells, rows or columns, or flip some bytes."""
    if rng.random() < 0.2:
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 3, 30])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.randrange(len(content))] if rng.random() < 0.1 else content)
        return
    connection = sqlite3.connect(path, isolation_level=None)
    for _ in range(rng.choice([1, 1, 2, 3])):
        table = rng.choice(TABLES)
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        if not columns:
            continue
        column, value, what = rng.choice(columns), rng.choice(VALUES), rng.random()
        row = f"(select rowid from {table} order by random() limit {rng.choice([1, 1, 9])})"
        cell = "cast(? as text)" if isinstance(value, bytes) and rng.random() < 0.4 else "?"
        edits = [
            (
                0.84,
                f"update or replace {table} set {column} = {cell} where rowid in {row}",
                [value],
            ),
            (0.92, f"delete from {table} where rowid in {row}", []),
            (0.96, f"drop table {table}", []),
            (1.00, f"alter table {table} rename column {column} to other", []),
        ]
        statement, values = next(one[1:] for one in edits if what <= one[0])
        with suppress(sqlite3.Error):  # what the tables refuse
            connection.execute(statement, values)
    connection.close()


def fuzz(used, folder, rng):
    shutil.copy(used / FILE, folder)
    mutate(folder / FILE, rng)
    for use in (read_all, work_on):
        try:
            use(folder)
        except HybridqError as error:
            assert "\n" not in str(error)  # noqa: PT017  nothing else may be raised
    for path in folder.glob(f"{FILE}*"):
        path.unlink()


def test_ledgers_that_were_edited_at_random_raise_nothing_else(used, tmp_path):
    rng = random.Random(1)
    for _ in range(40):
        fuzz(used, tmp_path, rng)


@pytest.mark.slow
def test_five_minutes_of_ledgers_that_were_edited_at_random(used, tmp_path):
    rng, ends, count = random.Random(2), time.monotonic() + 300, 0
    while time.monotonic() < ends:
        fuzz(used, tmp_path, rng)
        count += 1
    assert count > 500


@contextmanager
def nobody():
    """Be a user who may read what is readable for all, and write nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def archived():
    """A folder that others can reach, and a function that takes the right to write away."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "submission"
        folder.mkdir()
        Path(name).chmod(0o755)

        def close():
            for path in folder.iterdir():
                path.chmod(0o444)
            folder.chmod(0o555)
            return folder

        yield folder, close
        folder.chmod(0o755)


def test_a_closed_ledger_is_one_file_that_anybody_can_read(used, archived):
    folder, close = archived
    fill(folder)
    assert [path.name for path in folder.glob(f"{FILE}*")] == [FILE]
    close()
    expected = read_all(used)
    with nobody():
        assert not os.access(folder, os.W_OK, effective_ids=True)
        found = read_all(folder)
    assert found[0] == expected[0]
    assert found[-2:] == expected[-2:]
    np.testing.assert_array_equal(found[4][1], expected[4][1])


def test_what_a_killed_writer_left_is_read_where_nobody_can_write(used, archived):
    folder, close = archived
    shutil.copy(used / FILE, folder)
    connection = sqlite3.connect(folder / FILE)
    connection.execute("pragma journal_mode = wal")
    with connection:
        connection.execute("update chunks set reason = 'newest' where number = 3")
    kept = {path.name: path.read_bytes() for path in folder.glob(f"{FILE}*")}
    connection.close()
    for name, content in kept.items():  # as a kill leaves them
        (folder / name).write_bytes(content)
    assert f"{FILE}-wal" in kept
    close()
    read_all(used)
    with nobody(), Ledger.read(folder) as ledger:
        assert ledger.chunks()[3].reason == "newest"
