"""Columns of a manifest: kept with the images, and a way to choose among them."""

from __future__ import annotations

import numpy as np
import pytest

from hybridq.data import ImageData, check_data, load_data
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError

ROWS = [
    f"{index}.png,{'abc'[index % 3]},{'north' if index % 2 else 'south'},{30 + index}"
    for index in range(60)
]
HEADER = "path,label,Site,age"


@pytest.fixture
def sites(manifest):
    return manifest(ROWS, header=HEADER)


def test_columns_go_with_their_images(sites):
    data = load_data(str(sites))
    for split in data.splits.values():
        numbers = [int(one.removesuffix(".png")) for one in split.ids]
        assert split.columns["age"].tolist() == [str(30 + number) for number in numbers]
        assert split.columns["site"].tolist() == [
            "north" if number % 2 else "south" for number in numbers
        ]
        some = split.take(np.array([2, 0]))
        assert some.columns["age"].tolist() == split.columns["age"][[2, 0]].tolist()
        assert split.files is None  # all of one size


@pytest.mark.parametrize(
    ("fields", "count", "classes", "positive"),
    [
        ("site=north", 30, ("a", "b", "c"), None),
        ("site=north+south", 60, ("a", "b", "c"), None),
        ("SITE=south, label=a+b", 20, ("a", "b"), 1),
        ("classes=b+rest", 60, ("b", "rest"), 0),
        ("site=north,classes=a+c", 20, ("a", "c"), 1),
    ],
)
def test_images_are_chosen_by_columns(sites, fields, count, classes, positive):
    data = load_data(f"{sites},{fields}")
    assert sum(map(len, data.splits.values())) == count
    assert (data.class_names, data.positive) == (classes, positive)
    assert data.name.startswith("listed,")
    for split in data.splits.values():
        for name, label in zip(split.ids, split.labels, strict=True):
            true = "abc"[int(name.removesuffix(".png")) % 3]
            assert data.class_names[label] == (true if true in classes else "rest")
    assert not [one for one in check_data(f"{sites},{fields}") if one.level == "error"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("site=east", "`site` of .* among north, south, got 'east'"),
        ("sex=f", "a column of .* among age, label, site or classes, got 'sex'"),
        ("classes=d+rest", "`classes` of .* among a, b, c, got 'd'"),
        ("site=north,site=south", "`site` once"),
        ("label=a", "at least 2 classes"),
        ("site", "nothing there"),
    ],
)
def test_columns_that_cannot_be_chosen_by(sites, fields, words):
    with pytest.raises(HybridqError, match=words):
        load_data(f"{sites},{fields}")


def test_a_folder_whose_path_has_commas(sites, tmp_path):
    moved = sites.rename(tmp_path / "a,b=c")
    assert len(load_data(str(moved)).splits["train"]) == 42
    assert len(load_data(f"{moved},site=north").splits["train"]) == 21


def test_images_of_several_sizes_keep_their_files(manifest, picture):
    root = manifest(ROWS, header=HEADER)
    picture(root / "0.png", size=(14, 12))
    split = load_data(str(root), splits=("train",)).splits["train"]
    assert split.files == tuple(root / name for name in split.ids)
    assert split.take(np.array([3])).files == (root / split.ids[3],)
    assert load_data(str(root), image_size=16).splits["train"].files is None
    assert load_data(f"{root},site=north").splits["train"].files is None  # these are alike


def test_a_set_with_a_test_split_only(folder, manifest, npz):
    for name in ("train", "val"):
        (folder / name).rename(folder.parent / name)
    listed = manifest([f"{i}.png,{'ab'[i % 2]},,test" for i in range(8)])
    arrays = npz(**dict.fromkeys(
        ("train_images", "train_labels", "val_images", "val_labels")))  # fmt: skip
    for source, count in ((folder, 10), (listed, 8), (arrays, 9)):
        optional = load_data(str(source), optional=("train", "val"))
        for data in (optional, load_data(str(source), splits=("test",))):
            assert {name: len(split) for name, split in data.splits.items()} == {"test": count}
        with pytest.raises(HybridqError):
            load_data(str(source))
    with pytest.raises(MissingFileError):
        load_data(str(folder), splits=("val",))
    images = np.zeros((4, 8, 8), np.uint8)
    data = ImageData.from_arrays(test=(images, ["x", "y", "x", "y"]))
    assert (set(data.splits), data.class_names) == ({"test"}, ("x", "y"))
    with pytest.raises(InvalidValueError, match="neither"):
        ImageData.from_arrays(val=(images, [0, 1, 0, 1]))
