"""Arrays, tensors and datasets of images as data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from hybridq.data import UNLABELLED, ImageData, load_data, make_phantom
from hybridq.data.pixels import pixels_of
from hybridq.data.provenance import split_hash
from hybridq.errors import InvalidValueError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GREY, GREY[..., None]),
        (COLOUR, COLOUR),
        (np.moveaxis(COLOUR, 3, 1), COLOUR),
        (torch.from_numpy(COLOUR).permute(0, 3, 1, 2), COLOUR),
        (torch.from_numpy(GREY)[:, None], GREY[..., None]),
        (COLOUR / 255, COLOUR),
        (torch.from_numpy(COLOUR / 255).float().permute(0, 3, 1, 2).requires_grad_(), COLOUR),
        (list(COLOUR), COLOUR),
        ([torch.from_numpy(one)[None] for one in GREY], GREY[..., None]),
        (GREY[:, :3, :3, None].repeat(3, 3), GREY[:, :3, :3, None].repeat(3, 3)),
        ([Image.fromarray(one) for one in COLOUR], COLOUR),
        (Image.fromarray(GREY[0]), GREY[:1, :, :, None]),
        (Image.fromarray(COLOUR[0]).convert("RGBA"), COLOUR[:1]),
    ],
)
def test_images_of_every_form_are_the_same_pixels(given, expected):
    found = pixels_of(given)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (GREY.astype(np.uint16) * 200, "got uint16"),
        (GREY / 25.0, "from 0 to"),
        (
            np.where(np.arange(6)[:, None, None] > 3, np.nan, GREY / 255),
            "2 of 6 images, the first is images[4]",
        ),
        (COLOUR[0], "got the shape (5, 4, 3) of one: give image[None]"),
        (GREY[0], "of one: give image[None]"),
        (None, "got a NoneType"),
        (torch.utils.data.DataLoader([GREY]), "got a DataLoader: give its dataset"),
        (GREY[0, 0], "got (4,)"),
        (RNG.random((2, 5, 5, 2)), "1 or 3 channels"),
        ([GREY[0], GREY[1, :3]], "of one size"),
        ([], "got no image"),
        (np.empty((0, 5, 5)), "at least one image, got none in the shape (0, 5, 5, 1)"),
    ],
)
def test_other_images_are_refused_in_one_line(given, words):
    with pytest.raises(InvalidValueError, match=r"^Expected .*: ") as caught:
        pixels_of(given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_splits_are_made_by_group_and_by_class():
    images = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    labels = np.arange(60) % 2
    groups = np.arange(60) // 4
    data = ImageData.from_arrays(images, labels, groups=groups, name="mine")
    assert (data.name, data.task, data.class_names, data.own) == (
        "mine",
        "binary",
        ("0", "1"),
        True,
    )
    assert data.positive == 1
    assert data.source is None
    assert "70/10/20" in data.notes[0]
    of = {name: set(split.groups) for name, split in data.splits.items()}
    assert sum(map(len, of.values())) == 15 == len(set.union(*of.values()))
    assert sum(map(len, data.splits.values())) == 60
    for split in data.splits.values():
        assert abs(split.labels.mean() - 0.5) < 0.01
    again = ImageData.from_arrays(images, labels, groups=groups)
    for name, split in data.splits.items():
        np.testing.assert_array_equal(split.images, again.splits[name].images)


def test_names_of_classes_are_labels():
    labels = ["b", "a", "b", "a", "c", "c"]
    data = ImageData.from_arrays(train=(GREY, labels), val=(GREY, labels), test=(GREY, labels))
    assert data.class_names == ("a", "b", "c")
    assert data.task == "multiclass"
    assert data.splits["val"].labels.tolist() == [1, 0, 1, 0, 2, 2]
    two = ImageData.from_arrays(
        train=(GREY, list("xyxyxy")), val=(GREY, list("xxxyyy")), class_names=["y", "x"],
        positive="y",
    )  # fmt: skip
    assert two.splits["val"].labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert two.positive == 0


def test_a_dataset_of_pairs_and_a_missing_validation():
    dataset = torch.utils.data.TensorDataset(
        torch.from_numpy(RNG.random((40, 1, 8, 8))), torch.arange(40) % 2
    )
    data = ImageData.from_arrays(train=dataset, test=(RNG.random((6, 8, 8)), [0, 1] * 3))
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 36, "val": 4, "test": 6,
    }  # fmt: skip
    assert "an eighth of train" in data.notes[0]


class Pictures(torch.utils.data.Dataset):
    """A dataset as torchvision's ImageFolder is one."""

    def __init__(self, classes):
        self.classes = classes

    def __len__(self):
        return len(GREY)

    def __getitem__(self, number):
        return Image.fromarray(GREY[number]), number % 2


def test_a_dataset_that_names_its_classes():
    whole = Pictures(["cat", "dog"])
    half = torch.utils.data.Subset(whole, [0, 1])
    data = ImageData.from_arrays(train=whole, val=half)
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data.splits["train"].images[..., 0], GREY)
    named = ImageData.from_arrays(train=whole, val=half, class_names=["a", "b"])
    assert named.class_names == ("a", "b")
    with pytest.raises(InvalidValueError, match="same `classes`, got train cat, dog; val dog, cat"):
        ImageData.from_arrays(train=whole, val=Pictures(["dog", "cat"]))


def test_several_labels_and_none():
    several = np.array([[0, 1, 1]] * 6)
    data = ImageData.from_arrays(train=(GREY, several), val=(GREY, several))
    assert data.task == "multilabel"
    assert data.num_classes == 3
    assert data.positive is None
    bare = ImageData.from_arrays(GREY)
    assert bare.class_names == ()
    assert (bare.splits["train"].labels == UNLABELLED).all()
    some = ImageData.from_arrays(
        train=(GREY, [0, 1, -1, -1, 0, 1]), val=(GREY, [0, 1] * 3), test=(GREY, [0.0, 1.0] * 3)
    )
    assert some.splits["train"].labels.tolist() == [0, 1, -1, -1, 0, 1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "got neither"),
        ({"images": GREY, "train": (GREY, [0, 1] * 3)}, "got both"),
        ({"images": GREY, "labels": [0, 1]}, "as many labels as images"),
        ({"images": GREY, "labels": [0, 1] * 3, "groups": ["a"]}, "as many groups as images"),
        ({"images": GREY, "labels": [0, 2] * 3}, "none of '1'"),
        ({"images": GREY, "labels": [0] * 6}, "at least 2 classes, got the class 0 alone"),
        ({"images": GREY, "labels": [1, 2] * 3}, "start at 0, got 1 to 2: subtract 1"),
        ({"images": GREY, "labels": [1, 2] * 3, "class_names": ["a", "b"]}, "start at 0, got 1 to"),
        ({"images": GREY, "labels": [0, np.nan] * 3}, "got NaN or infinity: give -1"),
        ({"train": torch.utils.data.DataLoader([GREY])}, "give its dataset"),
        ({"images": GREY, "labels": [0.5, 1] * 3}, "whole numbers"),
        ({"images": GREY, "labels": [-2, 1] * 3}, "labels from 0"),
        ({"images": GREY, "labels": np.zeros((6, 2, 2))}, "labels of shape (count,)"),
        ({"train": (GREY, [0, 1] * 3), "val": (GREY, ["a", "b"] * 3)}, "of one kind"),
        ({"train": (GREY, [0, 1] * 3), "val": (GREY,)}, "labels for val, got none"),
        ({"train": (GREY, [0, 1] * 3), "val": (GREY, [0, -1] * 3)}, "images without one"),
        ({"train": (GREY, [0, 1] * 3), "val": (COLOUR, [0, 1] * 3)}, "of one shape"),
        ({"train": (GREY, [0, 1] * 3, list("aabbcc")), "val": (GREY, [0, 1] * 3, list("ccdddd"))},
         "group in one split"),
        ({"images": GREY, "labels": [0, 1] * 3, "class_names": ["a"]}, "2 class names, got 1"),
        ({"images": GREY, "labels": [0, 1] * 3, "class_names": ["a", "a"]}, "a name of its own"),
        ({"images": GREY, "labels": list("ababab"), "class_names": ["a", "c"]}, "got 'b'"),
        ({"images": GREY, "labels": [0, 1] * 3, "positive": "2"}, "one of two classes"),
        ({"train": (GREY, np.ones((6, 2), int))}, "`val` for images with several labels"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(given, words):
    with pytest.raises(InvalidValueError, match=r"^Expected .*: ") as caught:
        ImageData.from_arrays(**given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_what_is_saved_is_read_back(kind, tmp_path):
    labels = {
        "binary": ["b", "a"] * 3,
        "multiclass": [0, 1, 2, -1, 1, 0],
        "multilabel": [[0, 1, 1], [1, 0, 0]] * 3,
    }[kind]
    names = ["x", "y", "z"] if kind != "binary" else None
    known = labels if kind != "multiclass" else [0, 1, 2] * 2
    groups = list("aabbcc") if kind == "binary" else None
    data = ImageData.from_arrays(
        train=(COLOUR, labels, groups), val=(COLOUR, known), test=(COLOUR, known),
        class_names=names, positive="a" if kind == "binary" else None, licence="CC BY 4.0",
    )  # fmt: skip
    path = data.save(tmp_path / "mine" / "cells.npz")
    again = load_data(str(path))
    assert again.name == "cells"
    for name in ("task", "class_names", "positive", "licence", "own"):
        assert getattr(again, name) == getattr(data, name)
    for name, split in data.splits.items():
        assert split_hash(again, again.splits[name]) == split_hash(data, split)
    with pytest.raises(InvalidValueError, match=r"a new file, got .* force=True"):
        data.save(path)
    data.save(path, force=True)
    assert [one.name for one in path.parent.iterdir()] == ["cells.npz"]
    with pytest.raises(InvalidValueError, match=r"ends in .npz, got .*: write '.*cells\.npz'"):
        data.save(tmp_path / "cells")


def test_images_alone_are_not_saved(tmp_path):
    with pytest.raises(InvalidValueError, match="got images alone"):
        ImageData.from_arrays(GREY).save(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_names": np.array(["a", "a"])}, "2, 1 of them different"),
        ({"class_names": np.array([0, 1])}, "Expected texts in `class_names`"),
        ({"class_names": np.array(["a", "b"]), "train_labels": np.arange(6)}, "from 0 to 1"),
        ({"positive": np.array("c")}, "one of two classes, got 'c'"),
        ({"train_groups": np.array(["a"])}, "as many groups as images"),
    ],
)
def test_a_file_that_does_not_fit_itself_is_refused(changes, words, tmp_path):
    arrays = {"train_images": GREY, "train_labels": np.arange(6) % 2, **changes}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InvalidValueError, match=r"Expected .*: ") as caught:
        load_data(str(tmp_path / "x.npz"), splits=("train",))
    assert words in str(caught.value)


def test_loaded_data_say_where_they_come_from():
    data = load_data("phantom,size=16,count=40")
    assert data.source == "phantom,size=16,count=40"
    same = make_phantom(size=16, count=40)
    np.testing.assert_array_equal(data.splits["test"].images, same.splits["test"].images)
