"""The report of `hybridq data check`."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from hybridq.data import check_data, load_data
from hybridq.errors import HybridqError


def by_level(findings, level):
    return [finding.detail for finding in findings if finding.level == level]


def test_clean_folder(folder):
    findings = check_data(str(folder))
    assert {finding.level for finding in findings} == {"info"}
    details = {finding.subject: finding.detail for finding in findings}
    assert details["train"] == "32 images: benign 16, malignant 16"
    assert details["sizes"] == "8 x 10 x 1: 50"


def test_all_faults_of_a_folder_are_listed(folder, picture):
    (folder / "train" / "benign" / "0.png").write_bytes(b"broken")
    (folder / "test" / "malignant" / "1.png").write_bytes(b"")
    (folder / "train" / "zebra").mkdir()
    picture(folder / "val" / "unknown" / "0.png")
    shutil.copy(folder / "train/benign/5.png", folder / "test/benign/copy.png")
    findings = check_data(str(folder))
    errors = by_level(findings, "error")
    assert len(errors) == 4
    for words in ("train/benign/0.png", "test/malignant/1.png", "zebra", "'unknown'"):
        assert sum(words in error for error in errors) == 1
    (warning,) = by_level(findings, "warning")
    assert "train/benign/5.png (train)" in warning
    assert "test/benign/copy.png (test)" in warning


def test_all_faults_of_a_manifest_are_listed(manifest):
    rows = ["a.png,x,g1,train", "b.png,y,g2,train", "c.png,x,g3,val", "d.png,y,g4,test"]
    rows += ["e.png,x,g1,test", "a.png,x,g1,train", "../f.png,x,g,train", "gone.jpg,x,g,train"]
    rows += ["h.png,x,g2,val", "i.png,,,val", "j.png,x,g,nowhere", "short.png,x"]
    errors = by_level(check_data(str(manifest(rows))), "error")
    assert len(errors) == 8
    for words in ("'g1'", "'g2'", "lines 2 and 7", "../f.png", "gone.jpg", "i.png", "nowhere"):
        assert sum(words in error for error in errors) == 1
    assert all("\n" not in error for error in errors)


def test_manifest_without_labels_does_not_stop_the_check(manifest):
    findings = check_data(str(manifest(["a.png,", "b.png,"], header="path,label")))
    assert any("at least 2 classes" in error for error in by_level(findings, "error"))


def test_npz_with_one_damaged_split(npz):
    findings = check_data(str(npz(val_images=None)))
    assert [f.subject for f in findings if f.level == "info"] == ["train", "test", "sizes"]
    (error,) = by_level(findings, "error")
    assert "val_images" in error


def test_a_split_that_lacks_a_class(manifest, npz):
    rows = ["a.png,x,g1,train", "b.png,y,g2,train", "c.png,x,g3,val", "d.png,y,g4,test"]
    findings = check_data(str(manifest(rows)))
    assert not by_level(findings, "error")
    warned = {f.subject: f.detail for f in findings if f.level == "warning" and "no im" in f.detail}
    assert warned.keys() == {"val", "test"}
    assert "no image of y:" in warned["val"]
    assert "no image of x:" in warned["test"]
    assert "1 image: x 1" in by_level(findings, "info")
    path = npz(val_labels=np.zeros((6, 1), np.uint8))
    (warning,) = by_level(check_data(str(path)), "warning")
    assert "no image of 1:" in warning


def test_breastmnist_has_a_test_image_in_train(real_data):
    findings = check_data("breastmnist", data_root=real_data)
    details = {finding.subject: finding.detail for finding in findings}
    assert details["test"] == "156 images: malignant 42, 'normal, benign' 114"
    assert "(train)" in details["duplicate"]
    assert "(test)" in details["duplicate"]
    assert "28 of the 156" in details["note"]


def test_bccd_cells(real_data):
    findings = check_data(str(real_data / "bccd_cells"))
    assert not by_level(findings, "error")
    details = {finding.subject: finding.detail for finding in findings}
    assert details["sizes"] == "64 x 64 x 3: 2125"


RNG = np.random.default_rng(3)
ARRAYS = {
    "nothing": {},
    "another size in val": {"val_images": RNG.integers(0, 256, (6, 9, 8), dtype=np.uint8)},
    "colour in test": {"test_images": RNG.integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)},
    "a class of val alone": {"val_labels": np.array([[0], [1], [2], [0], [1], [0]])},
    "a class that train lacks": {"train_labels": np.array([[0], [2]] * 6)},
    "one class": {
        f"{split}_labels": np.zeros((n, 1), int) for split, n in (("train", 12), ("val", 6))
    },
    "several labels in val": {"val_labels": np.array([[0, 1]] * 6)},
    "labels out of range": {"test_labels": np.array([[-1]] * 9)},
    "fewer labels": {"test_labels": np.zeros((8, 1), int)},
    "real images": {"train_images": RNG.random((12, 8, 8))},
    "no val": {"val_images": None},
    "labels of other counts": {"val_labels": np.zeros((6, 1, 1), int)},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_has_an_error_where_loading_refuses_it(npz, name):
    path = str(npz(**ARRAYS[name]))
    errors = by_level(check_data(path), "error")
    refusal = None
    try:
        load_data(path)
    except HybridqError as error:
        refusal = str(error)
    assert errors == [] if refusal is None else refusal in errors


def test_phantom():
    details = {finding.subject: finding.detail for finding in check_data("phantom,count=20")}
    assert details["sizes"] == "32 x 32 x 1: 20"


@pytest.mark.parametrize("source", ["brestmnist", "no/such/folder"])
def test_nothing_to_check(source):
    with pytest.raises(HybridqError):
        check_data(source)


def test_nothing_is_downloaded(tmp_path):
    (error,) = by_level(check_data("breastmnist", data_root=tmp_path), "error")
    assert "hybridq data fetch breastmnist" in error


def test_heavy_packages_are_not_imported():
    code = (
        "import sys, hybridq.data; "
        "print([m for m in ('torch', 'PIL', 'pooch', 'scipy', 'sklearn', 'tqdm', 'requests') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
