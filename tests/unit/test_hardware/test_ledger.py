from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from hybridq.errors import InvalidValueError, MissingFileError
from hybridq_backends.jobs.ledger.chunks import ChunkState
from hybridq_backends.jobs.ledger.ledger import Ledger
from hybridq_backends.jobs.ledger.storage import FILE


def test_a_chunk_goes_through_its_states(folder):
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[1]
        assert (chunk.start, chunk.stop, chunk.state, chunk.tag) == (3, 6, "planned", "test-0001-1")
        ledger.intend(chunk)
        ledger.accept(chunk, "abc")
        chunk = ledger.chunks()[1]
        assert (chunk.state, chunk.job_id) == (ChunkState.POSTED, "abc")
        ledger.keep(chunk, np.ones((3, 2)), np.zeros((3, 2)))
        ledger.charge("abc", 2.5)
        assert ledger.chunks()[1].qpu_seconds == 2.5
        assert ledger.counts() == {ChunkState.PLANNED: 3, ChunkState.DONE: 1}
        here, values, stds = ledger.results()
        assert here.tolist() == [False] * 3 + [True] * 3 + [False] * 6
        assert (values[3:6] == 1).all()
        assert np.isnan(values[~here]).all()
        assert stds.shape == (12, 2)
        assert [event[3] for event in ledger.events()] == ["posting", "posted", "done"]


def test_a_new_attempt_has_a_new_tag_and_the_old_job_stays_on_record(folder):
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[0]
        ledger.accept(chunk, "abc")
        ledger.fail(ledger.chunks()[0], "calibration drifted")
        ledger.begin_anew(ledger.chunks()[0])
        again = ledger.chunks()[0]
        assert (again.tag, again.attempt, again.job_id, again.state) == (
            "test-0000-2",
            2,
            None,
            ChunkState.PLANNED,
        )
        assert ("abc", None) in [(event[4], event[5]) for event in ledger.events()]


def test_one_job_belongs_to_one_chunk(folder):
    with Ledger.write(folder) as ledger:
        one, other = ledger.chunks()[:2]
        ledger.accept(one, "abc")
        with pytest.raises(sqlite3.IntegrityError):
            ledger.accept(other, "abc")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 2)), "Expected values and errors of 3 rows"),
        (np.full((3, 2), np.nan), "Expected finite values"),
    ],
)
def test_a_wrong_result_is_not_kept(folder, values, message):
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[0]
        with pytest.raises(InvalidValueError, match=message):
            ledger.keep(chunk, values, np.zeros(values.shape))
        assert ledger.chunks()[0].state is ChunkState.PLANNED


def hold(folder, ready, done):
    with Ledger.write(folder):
        ready.set()
        done.wait(30)


def test_only_one_writes_and_others_read(folder):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(folder, ready, done))
    process.start()
    try:
        assert ready.wait(30)
        with (
            pytest.raises(InvalidValueError, match="Expected to be the only one at work"),
            Ledger.write(folder),
        ):
            pass
        with Ledger.read(folder) as ledger:
            assert len(ledger.chunks()) == 4
    finally:
        done.set()
        process.join(30)
    with Ledger.write(folder) as ledger:
        assert ledger.chunks()


KILLED = """
import os, signal, sys
from pathlib import Path
from hybridq_backends.jobs.ledger.ledger import Ledger
with Ledger.write(Path(sys.argv[1])) as ledger:
    ledger.intend(ledger.chunks()[0])
    ledger.accept(ledger.chunks()[1], "abc")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_outlives_a_kill_and_the_lock_does_not(folder):
    found = subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=os.environ, check=False)
    assert found.returncode == -signal.SIGKILL
    with Ledger.write(folder) as ledger:
        states = [chunk.state for chunk in ledger.chunks()]
        assert states[:2] == [ChunkState.POSTING, ChunkState.POSTED]


def test_what_is_no_ledger(tmp_path):
    with pytest.raises(MissingFileError, match=r"has no jobs\.sqlite"), Ledger.read(tmp_path):
        pass
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to look at" * 30)
    with pytest.raises(InvalidValueError, match="damaged file"), Ledger.read(tmp_path):
        pass
