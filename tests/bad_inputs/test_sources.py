"""Data that cannot be used: names, folders, manifests, archives, and the files in them."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

READERS = (("data", "check"), ("finetune", "--epochs", "1", "--data"))
"""Commands that read data: each case is given to one of the two in turn."""


def reader(number: int) -> tuple[str, ...]:
    return READERS[number % 2]


def png(size: int = 8, *, mode: str = "L", value: int = 7) -> bytes:
    buffer = io.BytesIO()
    colour = value if mode in ("L", "I;16") else (value, value, value)
    Image.new(mode, (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def noisy(seed: int, size: int = 8) -> bytes:
    """A PNG unlike those of other seeds."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_folder(bench, *, splits=("train", "val", "test"), classes=("a", "b"), count=3) -> None:
    """Write `cells/SPLIT/CLASS/*.png`, each image its own."""
    for place, split in enumerate(splits):
        for level, label in enumerate(classes):
            for index in range(count):
                seed = 100 * place + 10 * level + index
                bench.put(f"cells/{split}/{label}/{index}.png", noisy(seed))


SOURCES = [
    "",
    " ",
    ",",
    "breastmnist,size=63",
    "breastmnist,size=0",
    "breastmnist,size=",
    "breastmnist,colour=1",
    "breastmnist,size=28,size=28",
    "brestmnist",
    "BREASTMNIST2",
    "nothing.npz",
    "./nothing",
    "/nothing/at/all",
    "phantom,size=15",
    "phantom,size=513",
    "phantom,size=-1",
    "phantom,size=1e2",
    "phantom,size=" + "9" * 5000,
    "phantom,count=0",
    "phantom,count=-5",
    "phantom,count=1",
    "phantom,count=" + "9" * 30,
    "phantom,balance=0",
    "phantom,balance=1",
    "phantom,balance=2",
    "phantom,balance=nan",
    "phantom,balance=inf",
    "phantom,seed=-1",
    "phantom,seed=x",
    "phantom,seed",
    "phantom,seed=1=2",
    "phantom,,",
    "phantom,shape=round",
    "a\0b",
    "~nobody-of-that-name/data",
    "a" * 5000,
    "http://127.0.0.1/data.npz",
]


@pytest.mark.parametrize("number", range(len(SOURCES)))
def test_names_of_sources(bare_bench, number):
    bare_bench.refused(*reader(number), SOURCES[number], says="xpected")


# Folders of classes.


def _nothing(bench):
    Path("cells").mkdir()


def _only_text(bench):
    bench.put("cells/train/a/notes.txt", "no image")


def _one_class(bench):
    make_folder(bench, classes=("a",))


def _no_train(bench):
    make_folder(bench, splits=("val", "test"))


def _a_class_missing_in_train(bench):
    make_folder(bench)
    for index in range(3):
        bench.put(f"cells/val/c/{index}.png", noisy(900 + index))


def _images_at_the_top(bench):
    for index in range(4):
        bench.put(f"cells/{index}.png", noisy(index))


def _an_empty_class(bench):
    make_folder(bench)
    Path("cells/train/c").mkdir()


def _files_for_splits(bench):
    bench.put("cells/train", "a file")


def _a_fifo(bench):
    make_folder(bench)
    os.mkfifo("cells/train/a/9.png")


def _a_folder_named_as_an_image(bench):
    make_folder(bench)
    Path("cells/train/a/9.png").mkdir()


def _a_dangling_link(bench):
    make_folder(bench)
    Path("cells/train/a/9.png").symlink_to("nowhere.png")


def _a_loop(bench):
    make_folder(bench)
    Path("cells/train/a/9.png").symlink_to("9.png")


def _a_device(bench):
    make_folder(bench)
    Path("cells/train/a/9.png").symlink_to("/dev/zero")


def _a_link_out(bench):
    make_folder(bench)
    bench.put("secret.png", noisy(999))
    Path("cells/train/a/9.png").symlink_to("../../../secret.png")


def _an_empty_file(bench):
    make_folder(bench)
    bench.put("cells/val/b/9.png", b"")


FOLDERS = {
    "nothing in it": _nothing,
    "only text": _only_text,
    "one class": _one_class,
    "no train": _no_train,
    "a class that is not in train": _a_class_missing_in_train,
    "images without classes": _images_at_the_top,
    "an empty class": _an_empty_class,
    "a file in place of a split": _files_for_splits,
    "a FIFO": _a_fifo,
    "a folder named as an image": _a_folder_named_as_an_image,
    "a dangling link": _a_dangling_link,
    "a loop of links": _a_loop,
    "a device": _a_device,
    "a link that leads out": _a_link_out,
    "an empty file": _an_empty_file,
}


@pytest.mark.parametrize("command", READERS, ids=("check", "finetune"))
@pytest.mark.parametrize("name", FOLDERS)
def test_folders(bare_bench, name, command):
    FOLDERS[name](bare_bench)
    found_by(bare_bench, command, "cells")


def found_by(bench, command, source) -> None:
    """Refused by a command in one line; `data check` prints its table of faults before it."""
    if command[0] == "data":
        code, out, err = bench.call(*command, source)
        assert code == 2, out + err
        assert "Traceback" not in out + err
        assert len(err.splitlines()) == 1, err
        assert err.startswith("hybridq: error: "), err
        assert not [line for line in out.splitlines() if len(line) > 3000]
    else:
        bench.refused(*command, source, says="xpected")


# One image of a folder that cannot be read.


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it is enormous."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(10)))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


IMAGES = {
    "empty": b"",
    "text": b"this is no image",
    "half a PNG": noisy(1, 64)[:200],
    "a PNG's first bytes": noisy(1)[:8],
    "a PNG with a flipped bit": noisy(2, 64)[:100] + b"\xff" + noisy(2, 64)[101:],
    "a PNG that says it is enormous": _bomb(100_000),
    "a PNG beyond the sides there can be": _bomb(2**31 - 1),
    "a PNG without rows": b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 0, 0, 0, 0))
    + _chunk(b"IEND", b""),
    "a GIF's first bytes": b"GIF89a",
    "a JPEG's first bytes": b"\xff\xd8\xff\xe0",
    "a TIFF's first bytes": b"II*\0\xff\xff\xff\x7f",
    "a WebP's first bytes": b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
    "a BMP's first bytes": b"BM" + bytes(30),
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x02os\x94.",
    "a zip": b"PK\x03\x04" + bytes(40),
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("number", range(len(IMAGES)), ids=list(IMAGES))
def test_an_image_of_a_folder(bare_bench, number):
    make_folder(bare_bench)
    bare_bench.put("cells/train/a/9.png", list(IMAGES.values())[number])
    found_by(bare_bench, reader(number), "cells")


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_to_predict(bench, name):
    run = bench.copy("linear")
    bench.put("good.png", noisy(1, 16))
    bench.put("bad.png", IMAGES[name])
    bench.refused("predict", run, "good.png", "bad.png", says="bad.png")


def test_what_is_no_image_to_predict(bench):
    run = bench.copy("linear")
    os.mkfifo("fifo.png")
    Path("folder").mkdir()
    Path("dangling.png").symlink_to("nothing.png")
    Path("zero.png").symlink_to("/dev/zero")
    for name in ("fifo.png", "folder", "dangling.png", "zero.png", "nothing.png", "a\0b", "."):
        bench.refused("predict", run, name, says="xpected")
    Path("images").mkdir()
    os.mkfifo("images/x.png")
    bench.refused("predict", run, "images", says="xpected")
    bench.put("good.png", noisy(1, 16))
    for out in ("folder", "good.png", "good.png/below.csv", "a\0b", "/dev/null/x.csv"):
        bench.refused("predict", run, "good.png", "--out", out, says="xpected")


# Manifests.

GOOD = (
    "path,label,group,split\n"
    + "".join(
        f"{split}{index}.png,{'ab'[index % 2]},g{split}{index},{split}\n"
        for split in ("train", "val", "test")
        for index in range(4)
    )
)  # fmt: skip

MANIFESTS = {
    "empty": "",
    "only a header": "path,label\n",
    "blank lines": "\n\n\n",
    "no header": GOOD.split("\n", 1)[1],
    "no column of paths": GOOD.replace("path,", "file,"),
    "no column of labels": GOOD.replace("label", "diagnosis"),
    "a column nearly named": GOOD.replace("split", "splits", 1),
    "a column twice": GOOD.replace("group", "label", 1),
    "a field too few": GOOD + "train0.png,a\n",
    "a field too many": GOOD + "train0.png,a,g,train,more\n",
    "a path twice": GOOD + "train0.png,a,gtrain0,train\n",
    "a path twice in other words": GOOD + "./train0.png,a,gtrain0,train\n",
    "no path": GOOD + ",a,g,train\n",
    "a path that is not there": GOOD + "nothing.png,a,g,train\n",
    "a path that leads out": GOOD + "../secret.png,a,g,train\n",
    "an absolute path": GOOD + "/etc/hostname,a,g,train\n",
    "a path through a link that leads out": GOOD + "link.png,a,g,train\n",
    "a path through a linked folder that leads out": GOOD + "away/secret.png,a,g,train\n",
    "a FIFO": GOOD + "fifo.png,a,g,train\n",
    "a device": GOOD + "zero.png,a,g,train\n",
    "the folder itself": GOOD + ".,a,g,train\n",
    "a folder": GOOD + "folder,a,g,train\n",
    "a control character": GOOD + "a\x07.png,a,g,train\n",
    "a NUL": GOOD + "a\0.png,a,g,train\n",
    "an unknown split": GOOD + "train0.png,a,g,training\n",
    "a group in two splits": GOOD.replace("gval0", "gtrain0"),
    "one class": GOOD.replace(",b,", ",a,"),
    "no labels": GOOD.replace(",a,", ",,").replace(",b,", ",,"),
    "an unlabelled image in val": GOOD.replace("val0.png,a", "val0.png,"),
    "a class that is not in train": GOOD.replace("val0.png,a", "val0.png,c"),
    "no train": "\n".join(line for line in GOOD.split("\n") if "train" not in line),
    "half a quote": GOOD + '"train0.png,a,g,train\n',
    "a quote within": GOOD + 'tr"ain0.png,a,g,train\n',
    "a field of 200,000 letters": GOOD + "a" * 200_000 + ",a,g,train\n",
    "Latin-1": GOOD.encode() + "Müller.png,a,g,train\n".encode("latin-1"),
    "UTF-16": GOOD.encode("utf-16"),
    "semicolons": GOOD.replace(",", ";"),
    "a picture": png(),
}


@pytest.mark.parametrize("number", range(len(MANIFESTS)), ids=list(MANIFESTS))
def test_manifests(bare_bench, number):
    for place, split in enumerate(("train", "val", "test")):
        for index in range(4):
            bare_bench.put(f"cells/{split}{index}.png", noisy(10 * place + index))
    bare_bench.put("secret.png", noisy(77))
    Path("cells/folder").mkdir()
    Path("cells/link.png").symlink_to("../secret.png")
    Path("cells/away").symlink_to("..")
    Path("cells/zero.png").symlink_to("/dev/zero")
    os.mkfifo("cells/fifo.png")
    bare_bench.put("cells/manifest.csv", list(MANIFESTS.values())[number])
    found_by(bare_bench, reader(number), "cells")


def test_manifests_that_are_no_files(bare_bench):
    make_folder(bare_bench)
    for make in (
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("nothing.csv"),
    ):
        bare_bench.put("cells/manifest.csv", None)
        make(Path("cells/manifest.csv"))
        bare_bench.refused("finetune", "--data", "cells", says="manifest.csv")
        Path("cells/manifest.csv").rmdir() if Path("cells/manifest.csv").is_dir() else None


# Archives.


def archive(**changes) -> bytes:
    """An `.npz` in MedMNIST's form with arrays replaced; None leaves one out."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 12), ("val", 6), ("test", 6)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    arrays.update(changes)
    buffer = io.BytesIO()
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(buffer, allow_pickle=True, **kept)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(text: str) -> bytes:
    """A `.npy` of a header and nothing else."""
    body = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(body)) + body


def labels(*values) -> np.ndarray:
    return np.array(values)[:, None]


ONES = np.ones((12, 8, 8), dtype=np.uint8)
ARCHIVES = {
    "empty": b"",
    "text": b"no archive",
    "half an archive": archive()[:1500],
    "the end cut off": archive()[:-30],
    "a flipped byte": archive()[:300] + b"\xff\xff" + archive()[302:],
    "an empty archive": zipped(),
    "members that are no arrays": zipped(train_images=b"x", train_labels=b"y"),
    "a header of ten thousand billion": zipped(
        train_images=header(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000, 1000000)}"
        )
    ),
    "a header below nothing": zipped(
        train_images=header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 8, 8)}")
    ),
    "a header that is an expression": zipped(
        train_images=header("__import__('os').system('touch ran')")
    ),
    "no images of train": archive(train_images=None),
    "no labels of train": archive(train_labels=None),
    "no images of val": archive(val_images=None),
    "no labels of val": archive(val_labels=None),
    "no images at all": archive(train_images=ONES[:0], train_labels=labels()[:0]),
    "as many labels as there are not": archive(train_labels=labels(0, 1, 0)),
    "images of floats": archive(train_images=ONES.astype(float)),
    "images of 16 bits": archive(train_images=ONES.astype(np.uint16)),
    "images of bools": archive(train_images=ONES.astype(bool)),
    "images of words": archive(train_images=np.array(["a"] * 12)),
    "images of objects": archive(train_images=np.array([{}] * 12)),
    "images of complex numbers": archive(train_images=ONES.astype(complex)),
    "images of one dimension": archive(train_images=np.ones(12, dtype=np.uint8)),
    "images of five dimensions": archive(train_images=ONES[..., None, None]),
    "images of two channels": archive(train_images=np.ones((12, 8, 8, 2), dtype=np.uint8)),
    "images of four channels": archive(train_images=np.ones((12, 8, 8, 4), dtype=np.uint8)),
    "images without pixels": archive(train_images=np.ones((12, 0, 8), dtype=np.uint8)),
    "images that are not square": archive(train_images=np.ones((12, 8, 9), dtype=np.uint8)),
    "images of another size in val": archive(val_images=np.ones((6, 9, 9), dtype=np.uint8)),
    "images of another depth in val": archive(val_images=np.ones((6, 8, 8, 3), dtype=np.uint8)),
    "labels of floats": archive(train_labels=labels(*([0.5] * 12))),
    "labels of NaN": archive(train_labels=labels(*([np.nan] * 12))),
    "labels below nothing": archive(train_labels=labels(*([-1, 0] * 6))),
    "labels of words": archive(train_labels=labels(*(["a", "b"] * 6))),
    "labels of objects": archive(train_labels=np.array([None] * 12)[:, None]),
    "labels of one class": archive(train_labels=labels(*([0] * 12))),
    "labels with a gap": archive(train_labels=labels(*([0, 2] * 6))),
    "labels that are huge": archive(train_labels=labels(*([0, 2**62] * 6))),
    "labels beyond 64 bits": archive(
        train_labels=np.array([2**63 + 5, 1] * 6, dtype=np.uint64)[:, None]
    ),
    "labels of val beyond train's": archive(val_labels=labels(0, 1, 2, 0, 1, 2)),
    "labels of three dimensions": archive(train_labels=np.ones((12, 1, 1), dtype=np.uint8)),
    "several labels that are not 0 or 1": archive(train_labels=np.full((12, 3), 2)),
    "several labels in train alone": archive(train_labels=np.ones((12, 3), dtype=np.uint8)),
    "labels without columns": archive(train_labels=np.ones((12, 0), dtype=np.uint8)),
}


@pytest.mark.parametrize("command", READERS, ids=("check", "finetune"))
@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(bare_bench, name, command):
    bare_bench.put("own.npz", ARCHIVES[name])
    found_by(bare_bench, command, "own.npz")
    assert not Path("ran").exists()


def test_archives_that_are_no_files(bare_bench):
    os.mkfifo("fifo.npz")
    Path("dangling.npz").symlink_to("nothing.npz")
    Path("zero.npz").symlink_to("/dev/zero")
    bare_bench.put("cells.tar", b"x")
    bare_bench.put("own.NPY", b"x")
    for name in ("fifo.npz", "dangling.npz", "zero.npz", "cells.tar", "own.NPY"):
        for command in READERS:
            found_by(bare_bench, command, name)


def test_a_positive_class_that_is_none(bare_bench):
    make_folder(bare_bench)
    for positive in ("c", "", "A", "a\0"):
        bare_bench.refused("finetune", "--data", "cells", "--positive", positive, says="xpected")
