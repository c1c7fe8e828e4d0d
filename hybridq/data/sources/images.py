"""Read one image file as 8-bit grey or colour."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import HybridqError, InvalidValueError
from hybridq.utils.files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""The endings of the files that are read from a folder, in lower case."""

_EXIF_ORIENTATION = 0x0112
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")


def is_image_file(path: Path) -> bool:
    """Whether a folder's entry counts as an image: by its ending, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def probe_image(path: Path) -> tuple[int, int, int]:
    """Read height, width and channels (1 or 3) of an image from its header alone.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If the file is not an image.
    """
    with _opened(path) as image:
        width, height = image.size
        if image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8):
            width, height = height, width
        return height, width, 1 if _is_grey(image) else 3


def check_image(path: Path) -> None:
    """Refuse a file that is not an image, as far as its header shows it.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is not an image, or one of a kind that is not read.
    """
    with _opened(path) as image:
        if image.mode == "F":
            raise _floating_point(path)
        image.verify()


def read_image(path: Path, *, channels: int, image_size: int | None = None) -> NDArray[np.uint8]:
    """Read an image as `(height, width, channels)`, uint8.

    16-bit grey is scaled from 0..65535 to 0..255, palettes become colours, an alpha channel is
    dropped, and the EXIF orientation is honoured.

    Args:
        path: Path of the file.
        channels: 1 for grey, 3 for colour (grey images are repeated).
        image_size: Side in pixels to which the whole image is resized, bilinear and antialiased,
            without crop or padding; None keeps the size.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If the file is damaged, or of a kind that is not read.
    """
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        image = _eight_bit(ImageOps.exif_transpose(opened), path)
        image = image.convert("L" if channels == 1 else "RGB")
        if image_size is not None and image.size != (image_size, image_size):
            image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


def picture_pixels(image: Image) -> NDArray[np.uint8]:
    """Turn a picture of Pillow into `(height, width, channels)`, uint8, 1 channel if it is grey.

    It is converted as `read_image` converts a file.

    Raises:
        InvalidValueError: If it has floating-point pixels, or more than 16 bits.
    """
    from PIL import ImageOps

    where = Path("a picture of Pillow")
    if image.mode == "F":
        raise _floating_point(where)
    grey = _is_grey(image)
    eight = _eight_bit(ImageOps.exif_transpose(image), where)
    pixels = np.asarray(eight.convert("L" if grey else "RGB"), dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], 1 if grey else 3)


def _is_grey(image: Image) -> bool:
    if image.mode != "P":
        return image.mode in _GREY_MODES
    palette = np.array(image.getpalette("RGB") or [0, 0, 1]).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _eight_bit(image: Image, path: Path) -> Image:
    """Convert an image to a mode that Pillow converts to grey or colour without clipping."""
    from PIL import Image as pillow

    if image.mode == "F":
        raise _floating_point(path)
    if image.mode.startswith("I"):
        values: NDArray[Any] = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InvalidValueError(
                f"Expected 8 or 16 bits per value in {path}, got {values.min()} to "
                f"{values.max()}: save it as 16-bit PNG."
            )
        return pillow.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode in ("P", "PA"):
        return image.convert("RGBA")  # its alpha is dropped by the next conversion
    return image


def _floating_point(path: Path) -> InvalidValueError:
    return InvalidValueError(
        f"Expected 8 or 16 bits per value in {path}, got floating point: save it as PNG."
    )


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """Open an image; any fault becomes one line that names the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # What Pillow thinks odd in a file that it reads all the same.
            warnings.filterwarnings("ignore", module=r"PIL\..*")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with (
                open_regular(
                    path, "an image", "restore it, or remove it where it is named."
                ) as file,
                Image.open(file) as image,
            ):
                frames = getattr(image, "n_frames", 1)
                if frames != 1 and image.format != "MPO":
                    raise InvalidValueError(
                        f"Expected one picture in {path}, got {frames} frames: save each frame as "
                        "a file."
                    )
                yield image
    except HybridqError:
        raise
    except MemoryError as error:
        error.add_note(f"{path} was being read")
        raise
    except UnidentifiedImageError as error:
        raise InvalidValueError(
            f"Expected an image in {path}, got a file that is none, or of a kind that is not read: "
            f"give {', '.join(suffix.removeprefix('.') for suffix in IMAGE_SUFFIXES)}."
        ) from error
    except (
        OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError,
        OverflowError, NotImplementedError, Image.DecompressionBombError, struct.error, zlib.error,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).replace(str(path), "file").split())[:100]
        raise InvalidValueError(
            f"Expected an image in {path}, got a damaged file ({reason}): replace or remove it."
        ) from error
