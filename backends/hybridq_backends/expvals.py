"""The result of a job of one broadcast PUB: expectation values and their standard errors."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hybridq_backends.errors import InvalidValueError

FloatArray: TypeAlias = npt.NDArray[np.float64]


class Expvals(NamedTuple):
    """Expectation values and their standard errors, each (batch, num_observables)."""

    values: FloatArray
    stds: FloatArray


def read_expvals(result: Any) -> Expvals:
    """Read the values and errors of a job of one broadcast PUB, (batch, num_observables) each.

    Raises:
        InvalidValueError: If there are none, or their shapes do not fit each other.
    """
    try:
        data = result[0].data
        values, stds = data.evs, data.stds
    except (TypeError, IndexError, KeyError, AttributeError) as error:
        raise InvalidValueError(
            "Expected expectation values and standard errors in a job's result, got "
            f"{type(result).__name__} without ({error}): run the job again."
        ) from error
    return checked_expvals(np.transpose(values), np.transpose(stds))


def checked_expvals(values: npt.ArrayLike, stds: npt.ArrayLike) -> Expvals:
    """Check that values and standard errors are numbers, (batch, num_observables) each.

    Raises:
        InvalidValueError: If they are not.
    """
    try:
        found = Expvals(
            np.ascontiguousarray(values, dtype=np.float64),
            np.ascontiguousarray(stds, dtype=np.float64),
        )
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"Expected numbers in a job's result, got others ({error}): run the job again."
        ) from error
    if found.values.ndim != 2 or found.values.shape != found.stds.shape:
        raise InvalidValueError(
            "Expected values and standard errors of one shape, (batch, num_observables), got "
            f"{found.values.shape} and {found.stds.shape}: run the job again."
        )
    return found
