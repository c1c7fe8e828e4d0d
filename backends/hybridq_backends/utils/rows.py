"""Check arrays of parameter values and angles before they are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hybridq_backends.errors import InvalidValueError


def check_batch(values: npt.ArrayLike, columns: int, name: str) -> npt.NDArray[np.float64]:
    """Check an array to be (batch, columns) of finite numbers.

    Args:
        values: The array.
        columns: The number of columns that it must have.
        name: The name of the array in messages.

    Raises:
        InvalidValueError: If it is anything else, or has no row.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"Expected `{name}` to be real numbers, got {type(values).__name__}: convert it."
        ) from error
    if array.ndim != 2 or array.shape[1] != columns or not len(array):
        raise InvalidValueError(
            f"Expected `{name}` of shape (batch, {columns}), got {array.shape}: give one row "
            "for each point and one column for each parameter."
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = (int(place) for place in bad[0])
        raise InvalidValueError(
            f"Expected finite `{name}`, got {array[row, column]} in row {row}, column {column}: "
            "check the inputs."
        )
    return array
