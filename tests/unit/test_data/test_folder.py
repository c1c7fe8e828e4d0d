"""Folders of images, with and without a manifest."""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from hybridq.data import UNLABELLED, load_data
from hybridq.data.sources.images import probe_image, read_image
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError


def test_class_folders(folder):
    (folder / "train" / "benign" / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "benign" / "._0.png").write_bytes(b"x")
    (folder / "train" / ".cache").mkdir()
    data = load_data(str(folder))
    assert (data.name, data.task, data.positive) == ("cells", "binary", 1)
    assert data.class_names == ("benign", "malignant")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 32,
        "val": 8,
        "test": 10,
    }
    train = data.splits["train"]
    assert train.images.shape == (32, 8, 10, 1)
    assert train.groups is None
    assert data.notes == ()
    for index in (0, 17, 31):
        pixels = np.asarray(Image.open(folder / train.ids[index]))
        np.testing.assert_array_equal(train.images[index, ..., 0], pixels)
        assert data.class_names[train.labels[index]] == train.ids[index].split("/")[1]
    assert load_data(str(folder), positive="benign").positive == 0


def test_val_is_taken_from_train(folder):
    for path in sorted((folder / "val").rglob("*.png")):
        path.unlink()
    for name in ("benign", "malignant"):
        (folder / "val" / name).rmdir()
    (folder / "val").rmdir()
    data = load_data(str(folder))
    assert {name: np.bincount(s.labels).tolist() for name, s in data.splits.items()} == {
        "train": [14, 14],
        "val": [2, 2],
        "test": [5, 5],
    }
    assert not set(data.splits["train"].ids) & set(data.splits["val"].ids)
    assert any("eighth of train" in note for note in data.notes)
    again = load_data(str(folder), splits=("val",))
    assert again.splits["val"].ids == data.splits["val"].ids


def test_missing_test_split_matters_only_when_asked_for(folder):
    (folder / "test").rename(folder / "held out")
    assert set(load_data(str(folder), splits=("train", "val")).splits) == {"train", "val"}
    with pytest.raises(MissingFileError, match="test split"):
        load_data(str(folder))


def test_sizes_and_colour_of_the_whole_folder_count(folder, picture):
    picture(folder / "test" / "benign" / "odd.png", size=(30, 20), mode="RGB")
    data = load_data(str(folder), splits=("val",))
    assert data.splits["val"].images.shape == (8, 224, 224, 3)
    assert any("resized to 224" in note for note in data.notes)
    data = load_data(str(folder), image_size=16)
    assert data.splits["test"].images.shape == (11, 16, 16, 3)
    with pytest.raises(InvalidValueError, match="image_size"):
        load_data(str(folder), image_size=0)


def test_class_without_images_in_val_is_noted(folder):
    for path in (folder / "val" / "malignant").iterdir():
        path.unlink()
    (folder / "val" / "malignant").rmdir()
    assert "The val split has no image of malignant." in load_data(str(folder)).notes


@pytest.fixture
def classes(tmp_path, picture):
    """A folder `class/*.png` of 20 images each, without splits."""
    for name in ("benign", "malignant"):
        for index in range(20):
            picture(tmp_path / "cells" / name / f"{index}.png")
    return tmp_path / "cells"


def test_class_folders_without_splits_are_dealt_out(classes):
    data = load_data(str(classes))
    assert data.class_names == ("benign", "malignant")
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 28,
        "val": 4,
        "test": 8,
    }
    ids = [one for split in data.splits.values() for one in split.ids]
    assert sorted(ids) == sorted(f"{name}/{n}.png" for name in data.class_names for n in range(20))
    for split in data.splits.values():
        named = [one.split("/")[0] == "malignant" for one in split.ids]
        assert split.labels.tolist() == [int(is_malignant) for is_malignant in named]
        assert split.labels.mean() == 0.5
    assert data.notes[0].endswith("made 70/10/20, seed 0.")
    assert load_data(str(classes)).splits["test"].ids == data.splits["test"].ids


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "benign/0.png").rename(root / "0.png"), r"CLASS/\*\.png"),
        (lambda root: (root / "notes").mkdir(), "images of the class 'notes'"),
        (lambda root: (root / "benign/p7").mkdir(), "the folder p7"),
        (lambda root: (root / "testing").mkdir(), r"CLASS/\*\.png"),
    ],
)
def test_faulty_class_folders(classes, spoil, words):
    spoil(classes)
    with pytest.raises(HybridqError, match=words) as caught:
        load_data(str(classes))
    assert "\n" not in str(caught.value)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: _truncate(root / "val/benign/0.png"), r"val/benign/0\.png"),
        (lambda root: (root / "val/benign/0.png").write_bytes(b""), r"val/benign/0\.png"),
        (lambda root: (root / "val/benign/x.jpg").write_text("hello"), r"x\.jpg"),
        (lambda root: (root / "train/zebra").mkdir(), "zebra"),
        (lambda root: (root / "train").rename(root / "training"), r"train/CLASS/\*\.png"),
        (lambda root: (root / "val").rename(root / "valid"), "rename it to val"),
        (lambda root: (root / "train/benign").rename(root / "gone"), "none of 'benign'"),
        (lambda root: (root / "train/benign/0.png").rename(root / "train/0.png"), r"0\.png"),
        (lambda root: (root / "train/benign").rename(root / "train/malignant/b"), "the folder b"),
    ],
)
def test_faulty_folders(folder, spoil, words):
    spoil(folder)
    with pytest.raises(HybridqError, match=words) as caught:
        load_data(str(folder))
    assert "\n" not in str(caught.value)


def test_truncated_pixels_name_the_file(folder, picture):
    path = picture(folder / "train" / "benign" / "big.png", size=(100, 80))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InvalidValueError, match=r"train/benign/big\.png.*damaged"):
        load_data(str(folder))


def test_one_class_only(folder):
    for split in ("train", "val", "test"):
        (folder / split / "benign").rename(folder / f"{split} benign")
    with pytest.raises(InvalidValueError, match="at least 2 classes"):
        load_data(str(folder))


def _write_manifest_rows(groups=20, per_group=3):
    return [
        f"g{group}_{index}.png,{'abc'[(group * per_group + index) % 3]},p{group}"
        for group in range(groups)
        for index in range(per_group)
    ]


def test_manifest_without_splits_keeps_groups_whole(manifest):
    root = manifest(_write_manifest_rows(), header="path,label,group")
    data = load_data(str(root))
    groups = {name: set(split.groups.tolist()) for name, split in data.splits.items()}
    assert len(set.union(*groups.values())) == sum(map(len, groups.values())) == 20
    assert (data.task, data.positive) == ("multiclass", None)
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 42,
        "val": 6,
        "test": 12,
    }
    assert any("70/10/20" in note for note in data.notes)


def test_manifest_with_unlabelled_images(manifest):
    rows = [f"{i}.png,{'ab'[i % 2]},,{('train', 'val', 'test')[i % 3]}" for i in range(24)]
    data = load_data(str(manifest([*rows, "x.png,,,train", "sub/y.png,,,train"])))
    train = data.splits["train"]
    assert np.bincount(train.labels + 1).tolist() == [2, 4, 4]
    assert [i for i, label in zip(train.ids, train.labels, strict=True) if label == UNLABELLED] == [
        "x.png",
        "sub/y.png",
    ]
    assert train.groups is None


def test_unlabelled_images_never_reach_val_or_test(manifest):
    rows = [f"{i}.png,{'ab'[i % 2]},g{i // 2}" for i in range(60)]
    rows += [f"u{i}.png,,g{i}" for i in range(30)] + ["alone.png,,h"]
    data = load_data(str(manifest(rows, header="path,label,group")))
    for name in ("val", "test"):
        assert (data.splits[name].labels != UNLABELLED).all()
    train = data.splits["train"]
    assert "alone.png" in train.ids
    left_out = 91 - sum(map(len, data.splits.values()))
    assert left_out > 0
    assert any(note.startswith(f"{left_out} images without a label") for note in data.notes)


GOOD = ["a.png,x,g1,train", "b.png,y,g2,train", "c.png,x,g3,val", "d.png,y,g4,test"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "only a header"),
        (["", " , , , "], "only a header"),
        ([*GOOD, "e.png,x,g1,test"], "group 'g1' in test and train"),
        ([*GOOD, "a.png,x,g1,train"], r"a\.png in lines 2 and 6"),
        ([*GOOD, "./sub/../a.png,x,g1,train"], r"lines 2 and 6"),
        ([*GOOD, "../e.png,x,g5,train"], "outside"),
        ([*GOOD, "sub/../../e.png,x,g5,train"], "outside"),
        ([*GOOD, "/etc/passwd,x,g5,train"], "outside"),
        ([*GOOD, ".,x,g5,train"], "outside"),
        ([*GOOD, "gone.jpg,x,g5,train"], r"gone\.jpg, got no such file \(line 6"),
        ([*GOOD, ",x,g5,train"], "line 6"),
        ([*GOOD, '"e\n.jpg",x,g5,train'], "line 6"),
        ([*GOOD, "e.png,x,g5,valid"], "'valid'"),
        ([*GOOD, "e.png,x,g5,"], "line 6"),
        ([*GOOD, "e.png,,g5,test"], "only train may hold"),
        ([*GOOD, "e.png,z,g5,test"], "none of 'z'"),
        ([*GOOD, "e.png,x"], "4 fields in line 6"),
        ([*GOOD, "e.png,x,g5,train,more"], "got 5"),
        (["a.png,x,g1,train", "b.png,x,g2,test"], "at least 2 classes"),
        ([*GOOD, 'e.png,"x,g5,train'], "CSV"),
    ],
)
def test_faulty_manifests(manifest, rows, words):
    with pytest.raises(HybridqError, match=words) as caught:
        load_data(str(manifest(rows)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["file,class", "path,label,label", "path,label,grup", ""])
def test_faulty_headers(manifest, header):
    with pytest.raises(InvalidValueError, match=r"column|header"):
        load_data(str(manifest(["a.png,x,1"], header=header)))


def test_too_few_groups_for_three_splits(manifest):
    rows = ["a.png,x,g", "b.png,y,g", "c.png,x,h"]
    with pytest.raises(InvalidValueError, match="got none for"):
        load_data(str(manifest(rows, header="path,label,group")))


def test_other_columns_and_byte_order_mark(manifest):
    root = manifest([f"7,{row}" for row in GOOD], header="age,Path, Label,group,split")
    for name in "abcd":
        Image.new("L", (4, 4)).save(root / f"{name}.png")
    path = root / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_data(str(root), splits=("train",)).class_names == ("x", "y")


def test_manifest_that_is_not_text(manifest):
    root = manifest(GOOD)
    (root / "manifest.csv").write_bytes(b"path,label\n\xff\xfe\x00")
    with pytest.raises(InvalidValueError, match="UTF-8"):
        load_data(str(root))


def test_bccd_cells(real_data):
    root = real_data / "bccd_cells"
    data = load_data(str(root), splits=("val", "test"), image_size=32)
    with (root / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = Counter((row["split"], row["label"]) for row in rows)
    assert data.class_names == ("platelets", "rbc", "wbc")
    assert data.task == "multiclass"
    splits_of = defaultdict(set)
    for row in rows:
        splits_of[row["group"]].add(row["split"])
    for name, split in data.splits.items():
        assert split.images.shape[1:] == (32, 32, 3)
        counts = np.bincount(split.labels)
        assert counts.tolist() == [expected[name, label] for label in data.class_names]
        assert all(splits_of[group] == {name} for group in set(split.groups.tolist()))


def test_resize_keeps_the_whole_image(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 64, dtype=np.uint8)[None], 32, axis=0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    image = read_image(tmp_path / "ramp.png", channels=1, image_size=16)
    assert image.shape == (16, 16, 1)
    means = ramp.reshape(32, 16, 4).mean(axis=(0, 2))  # what an area average gives
    np.testing.assert_allclose(image[8, 1:-1, 0], means[1:-1], atol=1)


def test_sixteen_bit_grey_is_scaled(tmp_path):
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert probe_image(tmp_path / "deep.png") == (1, 4, 1)
    assert read_image(tmp_path / "deep.png", channels=1).ravel().tolist() == [0, 1, 128, 255]


def test_alpha_palette_and_black_and_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], dtype=np.uint8)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png", channels=3).ravel().tolist() == [
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    Image.fromarray(rgba[..., [0, 3]], "LA").save(tmp_path / "la.png")
    assert probe_image(tmp_path / "la.png")[2] == 1
    assert read_image(tmp_path / "la.png", channels=1).ravel().tolist() == [10, 40]
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    palette.putpalette([200, 0, 7, 0, 90, 9])
    palette.save(tmp_path / "p.png")
    assert probe_image(tmp_path / "p.png") == (1, 2, 3)
    assert read_image(tmp_path / "p.png", channels=3).ravel().tolist() == [200, 0, 7, 0, 90, 9]
    palette.putpalette([5, 5, 5, 77, 77, 77])
    palette.save(tmp_path / "grey.png")
    assert probe_image(tmp_path / "grey.png") == (1, 2, 1)
    assert read_image(tmp_path / "grey.png", channels=1).ravel().tolist() == [5, 77]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bw.png")
    assert read_image(tmp_path / "bw.png", channels=1).ravel().tolist() == [255, 0]
    assert read_image(tmp_path / "bw.png", channels=3).shape == (1, 2, 3)


def test_exif_orientation(tmp_path):
    pixels = np.zeros((16, 32), dtype=np.uint8)
    pixels[:, :8] = 255  # left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise: left becomes top
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert probe_image(tmp_path / "turned.jpg") == (32, 16, 1)
    image = read_image(tmp_path / "turned.jpg", channels=1)
    assert image.shape == (32, 16, 1)
    assert image[:7].min() > 200
    assert image[9:].max() < 50


def test_kinds_that_are_refused(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (0, 9)]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidValueError, match="2 frames"):
        read_image(tmp_path / "stack.tif", channels=1)
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InvalidValueError, match="floating point"):
        read_image(tmp_path / "float.tif", channels=1)
    Image.fromarray(np.full((2, 2), 70000, dtype=np.int32)).save(tmp_path / "int.tif")
    with pytest.raises(InvalidValueError, match="70000"):
        read_image(tmp_path / "int.tif", channels=1)
    with pytest.raises(MissingFileError):
        read_image(tmp_path / "gone.png", channels=1)


def test_a_split_that_is_not_there_names_those_that_are(folder):
    shutil.rmtree(folder / "test")
    with pytest.raises(MissingFileError, match=r"test split .* of train, val where a split"):
        load_data(str(folder))
