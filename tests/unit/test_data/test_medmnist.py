"""The table of named sets, and the reader of `.npz` files."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from hybridq.cli import main as cli
from hybridq.data import MEDMNIST, list_data, load_data
from hybridq.data.sources.npz import open_npz
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError


class Trap:
    """An object that leaves a mark if it is ever unpickled."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_table_is_whole():
    assert len(MEDMNIST) == 12
    sums = [md5 for entry in MEDMNIST.values() for md5 in entry.md5]
    assert len(set(sums)) == 48
    assert all(len(md5) == 32 and int(md5, 16) >= 0 for md5 in sums)
    for name, entry in MEDMNIST.items():
        assert entry.name == name
        assert (entry.task == "binary") == (len(entry.class_names) == 2)
        assert (entry.positive is None) == (entry.task != "binary")
    assert MEDMNIST["chestmnist"].task == "multilabel"
    assert len(MEDMNIST["chestmnist"].class_names) == 14
    assert MEDMNIST["retinamnist"].task == "multiclass"
    assert MEDMNIST["dermamnist"].licence == "CC BY-NC 4.0"
    assert "non-commercial" in MEDMNIST["dermamnist"].notes[0]
    assert sum(MEDMNIST["chestmnist"].counts) == 112_120  # NIH-ChestXray14
    assert MEDMNIST["pathmnist"].url(28).endswith("/pathmnist.npz?download=1")
    assert MEDMNIST["pathmnist"].url(224).endswith("/pathmnist_224.npz?download=1")


def test_breastmnist(real_data):
    data = load_data("breastmnist", data_root=real_data, download=False)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 546,
        "val": 78,
        "test": 156,
    }
    assert (data.task, data.positive, data.num_classes) == ("binary", 0, 2)
    assert data.class_names[0] == "malignant"
    # 210 malignant of 780, as in Al-Dhabyani et al. 2020
    assert sum(int((split.labels == 0).sum()) for split in data.splits.values()) == 210
    assert data.splits["test"].images.shape == (156, 28, 28, 1)
    assert any("28 of the 156" in note for note in data.notes)


def test_pneumoniamnist_from_the_environment(real_data, monkeypatch):
    monkeypatch.setenv("HYBRIDQ_DATA", str(real_data / "medmnist"))
    data = load_data("pneumoniamnist", splits=("val",), download=False)
    assert list(data.splits) == ["val"]
    assert data.positive == 1
    assert np.bincount(data.splits["val"].labels).tolist() == [135, 389]


def test_only_the_wanted_splits_are_read(npz):
    path = npz(test_images=np.array([{}], dtype=object), test_labels=np.zeros((1, 1), np.uint8))
    data = load_data(str(path), splits=("train", "val"))
    assert set(data.splits) == {"train", "val"}
    with pytest.raises(InvalidValueError, match="pickle"):
        load_data(str(path), splits=("test",))


@pytest.mark.parametrize("compressed", [True, False])
def test_own_file(npz, compressed):
    path = npz(compressed=compressed)
    data = load_data(str(path))
    with np.load(path) as arrays:
        np.testing.assert_array_equal(data.splits["val"].images[..., 0], arrays["val_images"])
        np.testing.assert_array_equal(data.splits["val"].labels, arrays["val_labels"][:, 0])
    assert (data.name, data.class_names, data.positive) == ("own", ("0", "1"), 1)
    assert data.splits["val"].labels.dtype == np.int64
    assert len(set(data.splits["val"].ids)) == 6
    assert load_data(str(path), positive="0").positive == 0


def test_number_of_classes_does_not_depend_on_the_splits(npz):
    path = npz(classes=3, val_labels=np.zeros((6, 1), np.int32))
    assert load_data(str(path), splits="val").num_classes == 3


def test_colour_and_multilabel(npz):
    labels = np.eye(4, dtype=np.uint8)[np.arange(12) % 4]
    path = npz(shape=(8, 8, 3), train_labels=labels, val_labels=labels[:6], test_labels=labels[:9])
    data = load_data(str(path))
    assert (data.task, data.num_classes, data.positive) == ("multilabel", 4, None)
    assert data.splits["train"].images.shape == (12, 8, 8, 3)
    assert data.splits["train"].labels.shape == (12, 4)


LABELS = np.zeros((12, 1), np.uint8)
FAULTS = {
    "pickle": ({"train_images": np.array([Trap()], dtype=object)}, "pickle"),
    "float images": ({"train_images": np.zeros((12, 8, 8))}, "uint8"),
    "image shape": ({"train_images": np.zeros((12, 64), np.uint8)}, "shape"),
    "channels": ({"train_images": np.zeros((12, 8, 8, 4), np.uint8)}, "shape"),
    "no images": ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "shape"),
    "float labels": ({"train_labels": LABELS.astype(float)}, "integer"),
    "label shape": ({"train_labels": LABELS[..., None]}, "shape"),
    "length": ({"train_labels": np.arange(11)[:, None] % 2}, "11 labels and 12 images"),
    "negative": ({"train_labels": np.arange(12) - 1}, "got -1"),
    "huge": ({"train_labels": np.arange(12) * 10**9}, "got 11000000000"),
    "one class": ({"train_labels": LABELS}, "at least 2 classes"),
    "empty class": ({"train_labels": LABELS + 2 * (np.arange(12) % 2)[:, None]}, "none of class 1"),
    "test label": ({"test_labels": np.full((9, 1), 5, np.uint8)}, "from 0 to 1, got 5"),
    "missing split": ({"test_images": None}, "test_images"),
    "other size": ({"test_images": np.zeros((9, 9, 9), np.uint8)}, "one image shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_arrays(npz, fault):
    changes, words = FAULTS[fault]
    with pytest.raises(HybridqError, match=words) as caught:
        load_data(str(npz(**changes)))
    message = str(caught.value)
    assert "own.npz" in message
    assert "\n" not in message
    assert not Trap.sprung


def _single_array(good):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def _lying_header(good):
    """An array that says it has 2**60 elements."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1152921504606846976,), }"
    header = header.ljust(118 - 1) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train_labels.npy", array)
        archive.writestr("train_images.npy", array)
    return buffer.getvalue()


def _lying_archive(good):
    """An archive that says, as its array does, that a few bytes are 2**40."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"
    array = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train_labels.npy", "train_images.npy"):
            archive.writestr(name, array)
            archive.infolist()[-1].file_size = 2**40 + len(array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: b"",
        lambda good: b"not an archive",
        lambda good: good[: len(good) // 2],
        lambda good: good[:200] + bytes(200) + good[400:],
        lambda good: pickle.dumps(Trap()),
        _single_array,
        _lying_header,
        _lying_archive,
    ],
    ids=["empty", "text", "truncated", "overwritten", "pickle", "npy", "header", "archive"],
)
def test_damaged_files(npz, spoil):
    path = npz()
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(HybridqError, match=r"own\.npz") as caught:
        load_data(str(path))
    assert "\n" not in str(caught.value)
    assert not Trap.sprung


def test_too_little_memory_is_not_called_damage(npz, isolated, monkeypatch, capsys):
    path = npz()

    def fail(_archive, _key):
        np.empty(2**60, dtype=np.uint8)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", fail)
    with pytest.raises(MemoryError):
        load_data(str(path))
    assert cli.main(["finetune", "--data", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hybridq: error: Expected enough memory, got none left (MemoryError: ")
    assert f"the array `train_labels` in {path} was being read" in line
    assert "damaged" not in line


def test_what_is_no_archive_is_not_called_a_pickle(npz):
    path = npz()
    path.write_bytes(b"garbage, as it came")
    with pytest.raises(InvalidValueError, match="another format"):
        load_data(str(path))
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InvalidValueError, match="got a pickle"):
        load_data(str(path))
    assert not Trap.sprung


def test_truncated_at_every_length_is_one_clean_error(npz):
    path = npz()
    good = path.read_bytes()
    for length in range(0, len(good), 37):
        path.write_bytes(good[:length])
        with pytest.raises(HybridqError):
            load_data(str(path))


def test_raw_member(npz):
    path = npz(train_labels=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_labels", b"bytes")
    with pytest.raises(InvalidValueError, match="raw bytes"):
        load_data(str(path))


def test_missing_file(tmp_path):
    with pytest.raises(MissingFileError), open_npz(tmp_path / "none.npz"):
        pass


def test_named_file_of_another_size(npz, tmp_path):
    npz("breastmnist.npz")
    with pytest.raises(InvalidValueError, match="not breastmnist at 28 px"):
        load_data("breastmnist", data_root=tmp_path)


def test_named_file_of_64_pixels(npz, tmp_path):
    npz("medmnist/breastmnist_64.npz", shape=(64, 64))
    data = load_data("breastmnist,size=64", data_root=tmp_path, download=False)
    assert data.splits["train"].images.shape == (12, 64, 64, 1)
    rows = {row.name: row for row in list_data(tmp_path)}
    assert rows["breastmnist"].local_sizes == (64,)
    assert rows["pathmnist"].local_sizes == ()
    assert list(rows) == sorted(MEDMNIST)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("brestmnist", "did you mean `breastmnist`"),
        ("phantm", "did you mean `phantom`"),
        ("quux", "known are"),
        ("nonexist", "known are"),
        ("my_imges", "did you mean `my_images`"),
        ("./my_imges", "did you mean 'my_images'"),
        ("breastmnist,size=32", "28, 64, 128, 224, got 32"),
        ("breastmnist,size=big", "whole number"),
        ("breastmnist,count=3", "fields size"),
        ("breastmnist,size", "fields size"),
        ("phantom,size=32,size=64", "twice"),
        ("no/such/folder", "got nothing there"),
        ("gone.npz", "got nothing there"),
        ("", "data set's name"),
    ],
)
def test_unknown_sources(source, words, tmp_path, monkeypatch):
    (tmp_path / "my_images").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HybridqError, match=words) as caught:
        load_data(source, data_root=tmp_path, download=False)
    assert "\n" not in str(caught.value)


def test_unknown_options(npz):
    path = str(npz(classes=3))
    with pytest.raises(InvalidValueError, match="binary task only"):
        load_data(path, positive="1")
    with pytest.raises(InvalidValueError, match="train, val, test"):
        load_data(path, splits=("train", "dev"))
    with pytest.raises(InvalidValueError, match="at least one split"):
        load_data(path, splits=())
    with pytest.raises(InvalidValueError, match="among '0', '1'"):
        load_data(str(npz()), positive="malignant")


def test_a_path_comes_after_a_name(npz, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    folder.rename(tmp_path / "breastmnist")
    assert load_data("./breastmnist").class_names == ("benign", "malignant")
    with pytest.raises(MissingFileError, match="hybridq data fetch breastmnist"):
        load_data("breastmnist", data_root=tmp_path, download=False)


def test_not_a_data_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(InvalidValueError, match=r"notes\.txt"):
        load_data(str(path))
