"""Submissions on disk: how they are named, found, listed, and what damage is told as."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq.config import SubmitConfig
from hybridq.errors import InvalidValueError
from hybridq.submissions import ChunkState, all_progress, read_values
from hybridq.submissions.deduplication import find_same
from hybridq.submissions.plan.circuit import Part, Program
from hybridq.submissions.plan.images import source_of
from hybridq.submissions.plan.submission import Images, Submission, content_of, fingerprint_of
from hybridq.submissions.report import list_table
from hybridq_backends.jobs.ledger.ledger import Ledger

PLAN = {"device": "fake", "calibration_date": None, "mitigation": "none", "shots": 1}


def submission(**changes):
    fields = {
        "fingerprint": "f",
        "content": "c",
        "run": Path("run"),
        "model_hash": "h",
        "backend": "ibm_rehearsal",
        "device": None,
        "data": "cells",
        "split": "test",
        "class_names": ("benign", "malignant"),
        "positive": 1,
        "task": "binary",
        "threshold": 0.5,
        "plan": PLAN,
        "seed": 0,
        "max_qpu_seconds": None,
    }
    return Submission(**{**fields, **changes})


def program():
    angles = ParameterVector("a", 3)
    circuit = QuantumCircuit(2)
    circuit.ry(angles[0], 0)
    circuit.cz(0, 1)
    circuit.rx(angles[1], 1)
    circuit.rz(2 * angles[2] + 0.5, 1)
    column = ObservablesArray([[{"ZI": 1.0, "XX": -0.25}], [{"IZ": 1.0}]])
    narrow = QuantumCircuit(1)
    narrow.ry(Parameter("b"), 0)
    rng = np.random.default_rng(0)
    return Program(
        (
            Part(circuit, column, rng.normal(size=(4, 3))),
            Part(narrow, ObservablesArray([[{"X": 1.0}]]), rng.normal(size=(8, 1))),
        )
    )


def images():
    rng = np.random.default_rng(0)
    return Images(
        ("a", "b", "c", "d"),
        np.array([0, 1, 0, 1]),
        rng.normal(size=(4, 5)).astype(np.float32),
        rng.uniform(-1, 1, (4, 2)),
        rng.uniform(-1, 1, (4, 2)),
    )


@pytest.fixture
def make(tmp_path):
    """Make the folder of a submission of four images in two chunks."""

    def call(name="one", **changes):
        folder = tmp_path / "runs" / "submit" / name
        folder.mkdir(parents=True)
        submission(**changes).save(folder)
        images().save(folder)
        program().save(folder)
        Ledger.create(folder, [(0, 2), (2, 4)], name=name)
        return folder

    return call


def test_a_program_comes_back_as_it_was(tmp_path):
    saved = program()
    saved.save(tmp_path)
    found = Program.load(tmp_path)
    assert [part.circuit for part in found.parts] == [part.circuit for part in saved.parts]
    assert [p.name for p in found.parts[0].circuit.parameters] == ["a[0]", "a[1]", "a[2]"]
    for one, other in zip(found.parts, saved.parts, strict=True):
        np.testing.assert_array_equal(one.angles, other.angles)
    assert found.parts[0].column.tolist() == [[{"ZI": 1.0, "XX": -0.25}], [{"IZ": 1.0}]]
    for rows in ((0, 2), (2, 4), (4, 12), (11, 12)):
        circuit, column, angles = found.pub(*rows)
        part = saved.parts[rows[0] >= 4]
        first = 4 if rows[0] >= 4 else 0
        assert circuit == part.circuit
        assert column.tolist() == part.column.tolist()
        np.testing.assert_array_equal(angles, part.angles[rows[0] - first : rows[1] - first])


def test_a_program_of_an_earlier_version_is_read(tmp_path):
    saved = program().parts[0]
    with (tmp_path / "circuit.qpy").open("wb") as file:
        qpy.dump(saved.circuit, file)
    (tmp_path / "observables.json").write_text('[{"ZI": 1.0, "XX": -0.25}, {"IZ": 1.0}]')
    np.save(tmp_path / "angles.npy", saved.angles)
    (found,) = Program.load(tmp_path).parts
    assert found.circuit == saved.circuit
    np.testing.assert_array_equal(found.angles, saved.angles)
    assert found.column.tolist() == saved.column.tolist()


DAMAGE = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "random": lambda content: np.random.default_rng(3).bytes(16),
    "text": lambda content: b"\xff\xfe not it",
}
READERS = {
    "images.npz": Images.load,
    "angles.npz": Program.load,
    "circuit.qpy": Program.load,
    "observables.json": Program.load,
    "submission.json": Submission.load,
}


def check_line(error, name):
    assert str(error).startswith(f"Expected {name} in ")
    assert "restore it from a copy" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line(make, name, damage):
    path = make() / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(InvalidValueError) as found:
        READERS[name](path.parent)
    check_line(found.value, name)


@pytest.mark.parametrize("name", ["observables.json", "submission.json"])
@pytest.mark.parametrize(
    "value",
    [*(None, 3, "Z", [], {}, [[]], [3], ["ZZ"], [{"ZZ": "x"}], [{"ZZZ": 1.0}], {"format": []})],
    ids=repr,
)
def test_json_of_the_wrong_type_is_one_line(make, name, value):
    path = make() / name
    path.write_text(json.dumps(value))
    with pytest.raises(InvalidValueError) as found:
        READERS[name](path.parent)
    check_line(found.value, name)


def test_arrays_of_another_submission_are_noticed(make):
    folder = make()
    np.save(folder / "angles.npy", np.zeros((4, 2)))
    with pytest.raises(InvalidValueError, match=r"Expected angles\.npy"):
        Program.load(folder)
    whole = images()
    np.savez(
        folder / "images.npz",
        ids=np.array(whole.ids[:3]),
        labels=whole.labels,
        features=whole.features,
        ideal=whole.ideal,
        simulated=whole.simulated,
    )
    with pytest.raises(InvalidValueError, match=r"Expected images\.npz"):
        Images.load(folder)
    whole.save(folder)
    assert len(Images.load(folder, count=len(whole.ids)).ids) == len(whole.ids)
    with pytest.raises(InvalidValueError, match=r"Expected images\.npz"):
        Images.load(folder, count=len(whole.ids) + 1)


def test_a_ledger_damaged_behind_its_first_page_is_one_line(make):
    folder = make()
    damage_ledger(folder)
    for opened in (Ledger.read, Ledger.write):
        with pytest.raises(InvalidValueError, match="got a damaged file"), opened(folder):
            pass


def test_a_lost_ledger_is_not_passed_over(make, caplog):
    folder = make()
    runs = folder.parents[1]
    (folder / "jobs.sqlite").unlink()
    assert find_same(runs, "f", "c", is_paid=True) is None  # killed before anything was posted
    (folder / "jobs.lock").touch()
    assert find_same(runs, "f", "c", is_paid=False) is None
    assert "its jobs.sqlite is lost" in caplog.text
    with pytest.raises(InvalidValueError, match=r"its jobs\.sqlite is lost"):
        find_same(runs, "f", "c", is_paid=True)


def test_images_that_another_backend_has_begun_are_not_sent_by_mistake(make):
    folder = make(device="ibm_fez")
    runs = folder.parents[1]
    assert find_same(runs, "other", "c", is_paid=True) is None  # nothing was posted
    with Ledger.write(folder) as ledger:
        ledger.accept(ledger.chunks()[0], "job")
    with pytest.raises(InvalidValueError, match="has posted some of these images with backend"):
        find_same(runs, "other", "c", is_paid=True)
    assert find_same(runs, "other", "other", is_paid=True) is None
    with Ledger.write(folder) as ledger:
        for chunk in ledger.chunks():
            ledger.keep(chunk, np.zeros((chunk.size, 2)), np.zeros((chunk.size, 2)))
    assert find_same(runs, "other", "c", is_paid=True) is None  # finished: another experiment


def test_a_lost_or_empty_ledger_is_listed_with_what_to_do(make):
    lost, empty, never = make("lost"), make("empty"), make("never")
    (lost / "jobs.sqlite").unlink()
    (lost / "jobs.lock").touch()
    (empty / "jobs.sqlite").write_bytes(b"")
    (never / "jobs.sqlite").unlink()
    rows = {found.folder.name: found.unreadable for found in all_progress(lost.parents[1])}
    for folder in (lost, empty):
        assert f"`hybridq jobs recover {folder}` rebuilds it" in rows[folder.name]
    assert "nothing was posted" in rows["never"]
    assert list_table(all_progress(lost.parents[1])).count("unreadable") == 3


def test_a_missing_file_is_told_as_that(make):
    folder = make()
    (folder / "images.npz").unlink()
    with pytest.raises(InvalidValueError, match="got no such file"):
        Images.load(folder)


def damage_ledger(folder):
    """Damage behind the first pages, which opening does not see."""
    path = folder / "jobs.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x07" * len(content[4096:])
    path.write_bytes(content)


DAMAGED_FOLDERS = {
    "ledger": damage_ledger,
    "whole ledger": lambda folder: (folder / "jobs.sqlite").write_bytes(b"junk" * 999),
    "submission": lambda folder: (folder / "submission.json").write_text("{"),
    "no submission": lambda folder: (folder / "submission.json").unlink(),
}


@pytest.mark.parametrize("what", DAMAGED_FOLDERS)
def test_a_damaged_folder_is_listed_with_its_reason_and_holds_up_nothing(make, what):
    runs = make("a").parents[1]
    DAMAGED_FOLDERS[what](make("b"))
    make("c")
    found = all_progress(runs)
    assert [one.folder.name for one in found] == ["c", "b", "a"]
    assert [len(one.chunks) for one in found] == [2, 0, 2]
    assert not found[1].complete
    text = list_table(found)
    assert text.count("2 planned") == 2
    (line,) = [line for line in text.splitlines() if "unreadable" in line]
    assert str(found[1].folder) in line


@pytest.mark.parametrize("what", DAMAGED_FOLDERS)
def test_a_damaged_folder_is_not_passed_over_in_silence(make, what, caplog):
    same = make("a")
    runs = same.parents[1]
    damaged = make("b")
    DAMAGED_FOLDERS[what](damaged)
    found = find_same(runs, "f", "c", is_paid=False)
    if "ledger" in what:  # it is known to be the same work
        assert found == damaged
        assert not caplog.records
    else:
        assert found == same
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert str(damaged) in record.getMessage()
        with pytest.raises(InvalidValueError, match="give --again") as refused:
            find_same(runs, "f", "c", is_paid=True)
        assert str(damaged) in str(refused.value)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder.parent


def test_files_are_the_same_however_they_are_named(run, tmp_path, monkeypatch):
    cells = tmp_path / "cells"
    cells.mkdir()
    for index in range(2):
        Image.fromarray(np.full((4, 4), 60 * index, np.uint8)).save(cells / f"{index}.png")
    (tmp_path / "link").symlink_to(cells)
    monkeypatch.chdir(tmp_path)
    found = set()
    for named in (
        [cells],
        [Path("cells")],
        [Path("cells/")],
        [Path("./cells/../cells")],
        [Path("link")],
        [cells / "0.png", Path("cells/1.png")],
        [cells / "1.png", cells / "0.png", cells],  # each is sent once
    ):
        source = source_of(SubmitConfig(run=run, images=tuple(named)), None, None)
        found.add(content_of(run, source.ids, source.images))
        assert source.ids == (str(cells / "0.png"), str(cells / "1.png"))
    assert len(found) == 1


def test_a_calibration_file_is_the_same_however_it_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backends = [
        f"ibm_rehearsal,rehearse={path}" for path in ("c.json", "./c.json", tmp_path / "c.json")
    ]
    found = {fingerprint_of("content", backend) for backend in backends}
    assert len(found) == 1
    assert fingerprint_of("content", "ibm_rehearsal,rehearse=d.json") not in found
    assert fingerprint_of("other", backends[0]) not in found


def test_values_are_read_for_each_image(make):
    folder = make()
    whole = images()
    found = read_values(folder)
    assert found.ids == whole.ids
    assert not found.here.any()
    assert found.values.shape == found.stds.shape == (4, 2)
    assert np.isnan(found.values).all()
    with Ledger.write(folder) as ledger:
        chunk = ledger.chunks()[1]
        ledger.keep(chunk, np.array([[0.1, 0.2], [0.3, 0.4]]), np.full((2, 2), 0.01))
        assert ledger.chunks(ChunkState.DONE)
    found = read_values(folder)
    assert found.here.tolist() == [False, False, True, True]
    assert found.values[2:].tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert np.isnan(found.values[:2]).all()
    assert (found.stds[2:] == 0.01).all()
    np.testing.assert_array_equal(found.ideal, whole.ideal)
    np.testing.assert_array_equal(found.simulated, whole.simulated)
    np.testing.assert_array_equal(found.labels, whole.labels)
