"""Read `.npz` files in MedMNIST's format without unpickling anything."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hybridq.data.dataset import UNLABELLED, ImageSplit
from hybridq.errors import HybridqError, InvalidValueError, MissingFileError
from hybridq.utils.files import open_regular
from hybridq_backends.utils.names import legible

CLASS_NAMES = "class_names"
"""The array with the names of the classes, which files of MedMNIST do not have."""

_MAX_CLASSES = 1000
_MOST_TIMES = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""The largest factor by which each method of a zip archive can compress."""


class NpzReader:
    """An open `.npz` file with the arrays `train_images`, `train_labels`, `val_images`, ...

    Arrays are read one at a time, when asked for. Use `open_npz` to make one.
    """

    def __init__(self, path: Path, archive: Any) -> None:
        self.path = path
        self._archive = archive

    def has_split(self, split: str) -> bool:
        """Whether both arrays of `split` are in the file."""
        return all(f"{split}_{kind}" in self._archive.files for kind in ("images", "labels"))

    def images(self, split: str) -> NDArray[np.uint8]:
        """Read the images of a split, `(count, height, width, channels)`, uint8, 1 or 3 channels.

        Raises:
            MissingFileError: If the file has no such array.
            InvalidValueError: If the array is not uint8, or not of that shape.
        """
        key = f"{split}_images"
        array = self._array(key)
        if array.dtype != np.uint8:
            raise InvalidValueError(
                f"Expected `{key}` of dtype uint8 in {self.path}, got {array.dtype}: scale the "
                "images to 0..255 and store them as uint8."
            )
        if array.ndim == 3:
            array = array[..., None]
        if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
            raise InvalidValueError(
                f"Expected `{key}` of shape (count, height, width) or (count, height, width, 3) in "
                f"{self.path}, got {array.shape}: store whole images, channels last."
            )
        return array

    def labels(self, split: str) -> NDArray[np.int64]:
        """Read the labels of a split: `(count,)` classes, or `(count, labels)` of 0 and 1.

        A file that names its classes may have -1 in train, for an image without a label.

        Raises:
            MissingFileError: If the file has no such array.
            InvalidValueError: If they are not whole numbers from 0, or of another shape.
        """
        key = f"{split}_labels"
        array = self._array(key)
        if array.dtype.kind not in "iub":
            raise InvalidValueError(
                f"Expected `{key}` of an integer dtype in {self.path}, got {array.dtype}: store "
                "class indices 0, 1, ..."
            )
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim not in (1, 2) or 0 in array.shape:
            raise InvalidValueError(
                f"Expected `{key}` of shape (count, 1) or (count, labels) in {self.path}, got "
                f"{array.shape}: store one row for each image."
            )
        top = 1 if array.ndim == 2 else _MAX_CLASSES - 1
        may_lack = split == "train" and array.ndim == 1 and CLASS_NAMES in self._archive.files
        for value in (array.min(), array.max()):
            if not (UNLABELLED if may_lack else 0) <= int(value) <= top:
                wanted = "0 or 1" if array.ndim == 2 else f"from 0 to {top}"
                raise InvalidValueError(
                    f"Expected labels {wanted} in `{key}` of {self.path}, got {int(value)}: "
                    "correct the labels."
                )
        return array.astype(np.int64)

    def split(self, split: str) -> ImageSplit:
        """Read images and labels of a split, and the groups of its images if the file has them.

        Raises:
            MissingFileError: If an array is not in the file.
            InvalidValueError: If an array has another shape or type, or the lengths differ.
        """
        labels = self.labels(split)
        images = self.images(split)
        if len(images) != len(labels):
            raise InvalidValueError(
                f"Expected as many labels as images for {split} in {self.path}, got {len(labels)} "
                f"labels and {len(images)} images: store one row of labels for each image."
            )
        ids = tuple(f"{split}_{index}" for index in range(len(images)))
        groups = self._texts(f"{split}_groups")
        if groups is not None and len(groups) != len(images):
            raise InvalidValueError(
                f"Expected as many groups as images for {split} in {self.path}, got {len(groups)} "
                f"and {len(images)}: store one for each image."
            )
        return ImageSplit(images=images, labels=labels, ids=ids, groups=groups)

    def class_names(self) -> tuple[str, ...] | None:
        """Read the names of the classes; None if the file has none.

        Raises:
            InvalidValueError: If they are not two texts or more, each another.
        """
        found = self._texts(CLASS_NAMES)
        if found is None:
            return None
        names = tuple(legible(str(name)) for name in found)
        if not 2 <= len(set(names)) == len(names) <= _MAX_CLASSES:
            raise InvalidValueError(
                f"Expected names of two classes or more in `{CLASS_NAMES}` of {self.path}, got "
                f"{len(names)}, {len(set(names))} of them different: correct them."
            )
        return names

    def text(self, key: str) -> str | None:
        """Read a text that stands alone, such as the positive class; None if there is none."""
        found = self._texts(key)
        return None if found is None or not len(found) else legible(str(found[0]))

    def _texts(self, key: str) -> NDArray[np.str_] | None:
        """Read an array of texts as a vector; None if the file has none of that name."""
        if key not in self._archive.files:
            return None
        array = np.atleast_1d(self._array(key))
        if array.dtype.kind != "U" or array.ndim != 1:
            raise InvalidValueError(
                f"Expected texts in `{key}` of {self.path}, got {array.dtype} {array.shape}: store "
                "a vector of strings."
            )
        return array

    def _array(self, key: str) -> NDArray[Any]:
        if key not in self._archive.files:
            held = ", ".join(map(repr, self._archive.files[:8])) or "nothing"
            raise MissingFileError(
                f"Expected the array `{key}` in {self.path}, got {held}: store "
                "train_images, train_labels, val_images, ... as MedMNIST does."
            )
        with _readable(self.path, f"the array `{key}`"):
            self._check_size(key)
            array = self._archive[key]
        if not isinstance(array, np.ndarray):
            raise InvalidValueError(
                f"Expected `{key}` in {self.path} to be a NumPy array, got raw bytes: write the "
                "file with numpy.savez_compressed."
            )
        return array

    def _check_size(self, key: str) -> None:
        """Refuse an array whose header names another number of bytes than the archive holds.

        NumPy allocates the memory that the header names before it reads, so that a damaged header
        would look like a lack of memory.
        """
        members = {member.filename: member for member in self._archive.zip.infolist()}
        member = members.get(f"{key}.npy")
        if member is None:
            return
        most = _MOST_TIMES.get(member.compress_type)
        if most is not None and member.file_size > most * member.compress_size:
            raise ValueError(f"{member.file_size} bytes said to be in {member.compress_size}")
        with self._archive.zip.open(member) as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                return
            file.seek(0)
            first = np.lib.format.read_magic(file) == (1, 0)
            header = "read_array_header_1_0" if first else "read_array_header_2_0"
            shape, _, dtype = getattr(np.lib.format, header)(file)
            size = file.tell() + math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and size != member.file_size:
            raise ValueError(f"{member.file_size} bytes for an array of {size}")


@contextmanager
def open_npz(path: Path) -> Iterator[NpzReader]:
    """Open a `.npz` file for reading, with pickles refused.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not an `.npz` file, is cut short, or holds a pickle.
    """
    with open_regular(path, "an .npz file", "check the path.") as file:
        with _readable(path, "an .npz archive"):
            foreign = _is_foreign(file)
        if foreign:
            raise InvalidValueError(
                f"Expected an .npz archive at {path}, got a file of another format: write it with "
                "numpy.savez_compressed and the keys train_images, train_labels, ..."
            )
        with _readable(path, "an .npz archive"):
            archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InvalidValueError(
                f"Expected an .npz archive at {path}, got a single array: write it with "
                "numpy.savez_compressed and the keys train_images, train_labels, ..."
            )
        with archive:
            yield NpzReader(path, archive)


def class_count(reader: NpzReader, splits: Sequence[str]) -> tuple[int, bool]:
    """Count the classes or labels in a file, and say whether it is a multi-label task.

    The train labels are counted if the file has them, so that the result does not depend on the
    requested splits; otherwise the labels of `splits`.

    Raises:
        MissingFileError: If the file has none of these splits.
        InvalidValueError: If the labels have another shape or type, or are of one class only.
    """
    counted = ("train",) if reader.has_split("train") else tuple(splits)
    labels = [reader.labels(split) for split in counted]
    if labels[0].ndim == 2:
        return labels[0].shape[1], True
    if (names := reader.class_names()) is not None:
        return len(names), False
    count = 1 + max(int(array.max()) for array in labels)
    if count < 2:
        raise InvalidValueError(
            f"Expected at least 2 classes in {reader.path}, got 1: add images of another class."
        )
    return count, False


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    """Turn the many ways in which NumPy refuses a file into one line."""
    try:
        yield
    except HybridqError:
        raise
    except MemoryError as error:
        error.add_note(f"{what} in {path} was being read")
        raise
    except ValueError as error:
        if "pickle" in str(error):
            raise InvalidValueError(
                f"Expected {what} in {path} without pickled objects, got a pickle, which can run "
                "code when read: store plain uint8 and integer arrays."
            ) from error
        raise _damaged(path, what, error) from error
    except (
        OSError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise _damaged(path, what, error) from error


def _is_foreign(file: BinaryIO) -> bool:
    """Whether a file is neither archive nor pickle: NumPy treats unknown files as pickles.

    A pickle of protocol 2 or later, which every Python writes, begins with the byte 0x80.
    """
    start = file.read(6)
    file.seek(0)
    return start[:2] != b"PK" and start[:1] != b"\x80" and start != b"\x93NUMPY"


def _damaged(path: Path, what: str, error: BaseException) -> InvalidValueError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return InvalidValueError(
        f"Expected {what} in {path}, got a damaged file ({reason}): fetch or write it again."
    )
