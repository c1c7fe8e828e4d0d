"""Links within a folder of images, and what is no file at all."""

from __future__ import annotations

import os

import pytest

from hybridq.data import check_data, load_data
from hybridq.data.sources.images import probe_image, read_image
from hybridq.errors import HybridqError, MissingFileError
from hybridq.evaluation.predict import image_files

ROWS = [
    *("a.png,x,train", "b.png,y,train", "c.png,x,val", "d.png,y,val", "e.png,x,test"),
    *("f.png,y,test", "g.png,x,train"),
]
HEADER = "path,label,split"


@pytest.fixture
def outside(tmp_path, picture):
    """A picture and a folder of pictures that belong to no data set."""
    picture(tmp_path / "outside" / "class" / "secret.png")
    return tmp_path / "outside"


def link_out(root, outside):
    (root / "g.png").unlink()
    (root / "g.png").symlink_to("../outside/class/secret.png")


def through_a_folder(root, outside):
    (root / "sub").symlink_to("../outside/class")
    text = (root / "manifest.csv").read_text()
    (root / "manifest.csv").write_text(text.replace("g.png", "sub/secret.png"))


def pipe(root, outside):
    (root / "g.png").unlink()
    os.mkfifo(root / "g.png")


def device(root, outside):
    (root / "g.png").unlink()
    (root / "g.png").symlink_to("/dev/zero")


def nothing(root, outside):
    (root / "g.png").unlink()
    (root / "g.png").symlink_to("gone.png")


def loop(root, outside):
    (root / "g.png").unlink()
    (root / "g.png").symlink_to("g.png")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (link_out, "leads outside"),
        (through_a_folder, "leads outside"),
        (pipe, "a named pipe"),
        (device, "leads outside"),
        (nothing, "a link to nothing"),
        (loop, "symbolic links"),
    ],
)
def test_a_manifest_does_not_reach_out(manifest, outside, spoil, words):
    root = manifest(ROWS, header=HEADER)
    spoil(root, outside)
    with pytest.raises(HybridqError, match=words) as error:
        load_data(str(root))
    assert "line 8" in str(error.value)
    assert "\n" not in str(error.value)
    (fault,) = (found.detail for found in check_data(str(root)) if found.level == "error")
    assert words in fault


def image_out(root, outside):
    (root / "train" / "benign" / "more.png").symlink_to(outside / "class" / "secret.png")


def class_out(root, outside):
    (root / "train" / "secret").symlink_to(outside / "class")


def split_out(root, outside):
    (root / "test").rename(root.with_name("moved"))
    (root / "test").symlink_to("../moved")


def image_pipe(root, outside):
    os.mkfifo(root / "val" / "benign" / "more.png")


def image_gone(root, outside):
    (root / "val" / "benign" / "more.png").symlink_to("gone.png")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (image_out, "leads outside"),
        (class_out, "leads outside"),
        (split_out, "leads outside"),
        (image_pipe, "a named pipe"),
        (image_gone, "a link to nothing"),
    ],
)
def test_a_folder_of_classes_does_not_reach_out(folder, outside, spoil, words):
    spoil(folder, outside)
    with pytest.raises(HybridqError, match=words) as error:
        load_data(str(folder))
    assert "\n" not in str(error.value)
    (fault,) = (found.detail for found in check_data(str(folder)) if found.level == "error")
    assert words in fault


def test_links_within_the_folder_are_followed(folder, tmp_path):
    (folder / "train" / "benign" / "again.png").symlink_to("0.png")
    (folder / "pool").mkdir()
    (folder / "train" / "benign" / "1.png").rename(folder / "pool" / "1.png")
    (folder / "train" / "benign" / "1.png").symlink_to("../../pool/1.png")
    (tmp_path / "linked").symlink_to("cells")
    data = load_data(str(tmp_path / "linked"))
    assert len(data.splits["train"]) == 33
    assert "train/benign/again.png" in data.splits["train"].ids


@pytest.mark.parametrize("read", [probe_image, lambda path: read_image(path, channels=1)])
def test_only_regular_files_are_opened(tmp_path, read):
    os.mkfifo(tmp_path / "x.png")
    (tmp_path / "y.png").symlink_to("/dev/zero")
    for name in ("x.png", "y.png", "gone.png"):
        with pytest.raises(MissingFileError, match=name):
            read(tmp_path / name)


def test_only_regular_files_are_loaded(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(MissingFileError, match="a named pipe"):
        load_data(str(tmp_path / "x.npz"))


def test_images_that_are_named(folder, outside):
    images = folder / "val" / "benign"
    assert image_files([images, outside / "class" / "secret.png"]) == [
        *sorted(images.iterdir()),
        outside / "class" / "secret.png",
    ]
    (images / "x.png").symlink_to(outside / "class" / "secret.png")
    assert image_files([images / "x.png"]) == [
        images / "x.png"
    ]  # named itself, it may lie anywhere
    with pytest.raises(HybridqError, match="leads outside"):
        image_files([images])
    (images / "x.png").unlink()
    os.mkfifo(images / "x.png")
    for named in (images, images / "x.png"):
        with pytest.raises(MissingFileError, match="a named pipe"):
            image_files([named])
