"""Read the expectation values of a submission; for a usual model a row is an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.submissions.plan.submission import Images
from hybridq_backends.jobs.ledger.ledger import Ledger

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """The values of each image of a submission.

    Attributes:
        ids: Names of the images.
        labels: `(images,)` or `(images, num_classes)`; empty without labels.
        here: Whether each row has its result, `(rows,)`.
        values: The values of the device, `(rows, num_observables)`; NaN without a result.
        stds: Standard errors of `values` by the shots, of the same shape; NaN if unknown.
        ideal: The values without noise, of the same shape.
        simulated: The values with the noise of the calibrated device, without shots and without
            mitigation, of the same shape; empty if it was not simulated.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    here: NDArray[np.bool_]
    values: Floats
    stds: Floats
    ideal: Floats
    simulated: Floats


def read_values(folder: Path) -> Values:
    """Read the values of a submission that are here, without asking the service.

    Args:
        folder: The folder that `submit` made and `collect` filled.

    Raises:
        MissingFileError: If it is not such a folder.
        InvalidValueError: If it is damaged.
    """
    with Ledger.read(folder) as ledger:
        here, values, stds = ledger.results()
    images = Images.load(folder, count=len(here))
    if not here.any():
        values, stds = np.full((2, *images.ideal.shape), np.nan)
    return Values(images.ids, images.labels, here, values, stds, images.ideal, images.simulated)
