"""Write arrays to a file that other programs read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.utils.files import write_bytes


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False
) -> None:
    """Write arrays as `.npz`, atomically; the same arrays give the same bytes.

    Args:
        path: The file.
        arrays: Arrays by name; none is of objects, so that `numpy.load` reads it as it is.
        compressed: Whether they are compressed.
    """
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())
