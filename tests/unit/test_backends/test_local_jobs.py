"""Jobs of a rehearsal: repeatable, and results that are damaged on disk."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives.containers import DataBin, PrimitiveResult, PubResult

from hybridq_backends import IbmRuntime, open_backend
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.expvals import read_expvals
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.jobs.local import LocalJobs

SPEC = IbmRuntime(rehearse="fake_manila", resilience_level=0, shots=200)


@pytest.fixture(scope="module")
def pub():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    with open_backend(SPEC) as executable:
        prepared = executable.prepare(circuit, "Z", initial_layout=[1])
    return prepared.circuit, prepared.column, np.zeros((8, 0))


@pytest.fixture
def jobs(tmp_path):
    return LocalJobs(SPEC, tmp_path / "rehearsed")


def test_a_rehearsal_repeats_whatever_it_is_called(jobs, pub):
    def values(tag):
        return jobs.result(jobs.post(pub, (tag,))).values

    first = values("hybridq-3fa0-0001-1")
    np.testing.assert_array_equal(first, values("hybridq-77bc-0001-1"))
    for other in ("hybridq-3fa0-0002-1", "hybridq-3fa0-0001-2", "hybridq-3fa0-0000-1"):
        assert not np.array_equal(first, values(other))


def test_a_tag_without_chunk_and_attempt_is_refused(jobs, pub):
    with pytest.raises(InvalidValueError, match="ends in chunk and attempt"):
        jobs.post(pub, ("tag",))


@pytest.mark.parametrize("kept", [0, 1, 30, 0.5, 0.9])
def test_a_damaged_file_is_a_result_that_cannot_be_read(jobs, pub, kept):
    job_id = jobs.post(pub, ("name-0000-1",))
    path = jobs._path(job_id)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    refused(jobs, job_id)


@pytest.mark.parametrize("place", range(0, 500, 37))
def test_a_flipped_byte_is_noticed_or_harmless(jobs, pub, place):
    job_id = jobs.post(pub, ("name-0000-1",))
    before = jobs.result(job_id)
    path = jobs._path(job_id)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0xFF
    path.write_bytes(content)
    with contextlib.suppress(ServiceError):
        np.testing.assert_array_equal(jobs.result(job_id), before)


@pytest.mark.parametrize(
    "arrays",
    [
        {"values": np.zeros((2, 1))},
        {"stds": np.zeros((2, 1))},
        {"values": np.zeros((2, 1)), "stds": np.zeros((3, 1))},
        {"values": np.zeros(2), "stds": np.zeros(2)},
        {"values": np.array([["a"]]), "stds": np.zeros((1, 1))},
        {"values": np.array([[None]], dtype=object), "stds": np.zeros((1, 1))},
    ],
)
def test_a_file_of_other_arrays_cannot_be_read(jobs, arrays):
    path = jobs._path("name-0000-1")
    path.parent.mkdir()
    np.savez(path, **arrays)
    refused(jobs, "name-0000-1")


def refused(jobs, job_id):
    with pytest.raises(ServiceError, match="retry the chunk") as caught:
        jobs.result(job_id)
    assert caught.value.trouble is Trouble.RESULT
    assert not caught.value.trouble.passes
    assert "\n" not in str(caught.value)


def result(**data):
    shape = next(iter(data.values())).shape
    return PrimitiveResult([PubResult(DataBin(**data, shape=shape))])


def test_values_and_errors_of_a_job_are_turned_over():
    evs, stds = np.arange(6.0).reshape(2, 3), np.full((2, 3), np.nan)
    found = read_expvals(result(evs=evs, stds=stds))
    np.testing.assert_array_equal(found.values, evs.T)
    assert np.isnan(found.stds).all()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (result(evs=np.zeros((1, 2))), "standard errors in a job's result, got PrimitiveResult"),
        (None, "got NoneType"),
        (PrimitiveResult([]), "got PrimitiveResult"),
        (result(evs=np.zeros(2), stds=np.zeros(2)), r"got \(2,\) and \(2,\)"),
    ],
)
def test_a_result_without_standard_errors_is_refused(given, match):
    """They are not taken for 0, which means exact."""
    with pytest.raises(InvalidValueError, match=match):
        read_expvals(given)
