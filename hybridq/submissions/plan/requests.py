"""Note the requests of a model for a set of images, and compute its logits from the answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import BATCH
from hybridq.quantum.modules import running_on
from hybridq_backends import Deferred, Executable

Floats = NDArray[np.float64]


@torch.inference_mode()
def note(head: nn.Module, features: Tensor, later: Deferred) -> None:
    """Let a head make its requests, without computing anything.

    Args:
        head: The head, in evaluation mode.
        features: Features of the images, `(images, *feature_shape)`.
        later: The object that notes the requests.

    Raises:
        InvalidValueError: If it asks for nothing.
    """
    with running_on(head, later):
        for batch in torch.split(features, BATCH):
            head(batch)
    if not later.requests:
        raise InvalidValueError(
            "Expected a run with a quantum head, such as pqc, got one without a circuit: there is "
            "nothing in it for a quantum device to compute."
        )


@torch.inference_mode()
def read(head: nn.Module, features: Tensor, later: Deferred, values: Floats) -> Tensor:
    """Compute the logits `(images, num_classes)` from the values of all requests.

    Args:
        head: The head, as in `note`.
        features: The features, as in `note`.
        later: The object that noted the requests.
        values: The values of each row, `(rows, columns)`, as `stacked` makes them. NaN stands for
            an unknown value, and the logits that depend on it are NaN too.

    Raises:
        InvalidValueError: If the head makes other requests with these values, since its circuits
            depend on the results of others.
    """
    later.answer(split(values, later))
    with running_on(head, later):
        return torch.cat([head(batch) for batch in torch.split(features, BATCH)])


def computed(later: Deferred, executable: Executable) -> Floats:
    """Compute all requests on the backend for which they were prepared, and stack the values."""
    return stacked(
        [executable.run(request.prepared, request.rows).values for request in later.requests]
    )


def stacked(values: Sequence[Floats]) -> Floats:
    """Stack the values of all requests, `(rows, columns)`; narrower ones end with NaN."""
    width = max(one.shape[1] for one in values)
    return np.concatenate(
        [np.pad(one, ((0, 0), (0, width - one.shape[1])), constant_values=np.nan) for one in values]
    )


def split(values: Floats, later: Deferred) -> list[Floats]:
    """Cut stacked values into the values of each request."""
    edges = np.cumsum([len(request.rows) for request in later.requests])[:-1]
    return [
        np.ascontiguousarray(part[:, : request.prepared.num_observables])
        for part, request in zip(np.split(values, edges), later.requests, strict=True)
    ]
