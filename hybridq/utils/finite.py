"""Check that weights, features, logits, probabilities and figures are finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._C import _functorch

from hybridq.errors import InvalidValueError

DAMAGED = (
    "the weights are damaged, or their training diverged; restore them from a copy, or train again."
)
"""The remedy for a model that computes NaN or infinity."""


class NotFiniteError(InvalidValueError):
    """Some numbers are NaN or infinite that have to be finite.

    Attributes:
        got: The values that were found, in words, for another message.
    """

    def __init__(self, what: str, got: str, remedy: str) -> None:
        super().__init__(what, got, remedy)  # what a worker process hands over is made of them
        self.got = f"{what} with {got}"

    def __str__(self) -> str:
        """Return the message."""
        what, got, remedy = self.args
        return f"Expected finite {what}, got {got}: {remedy}"


def check_finite(
    what: str,
    values: Tensor | NDArray[Any] | float | Mapping[str, Tensor],
    remedy: str = DAMAGED,
) -> None:
    """Refuse NaN and infinity.

    Args:
        what: What the values are, in the plural.
        values: Numbers; or tensors by their names, such as the weights of a network.
        remedy: What to do, as the end of a sentence.

    Raises:
        NotFiniteError: If a value is NaN or infinite.
    """
    named = values if isinstance(values, Mapping) else {"": values}
    for name, value in named.items():
        tensor = torch.as_tensor(value).detach()
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        if torch.compiler.is_compiling():  # a program cannot branch on values, but can end there
            message = f"Expected finite {what}, got NaN: {remedy}"
            torch._assert_async(tensor.isfinite().all(), message)
            continue
        while _functorch.is_functorch_wrapped_tensor(tensor):  # inside vmap, all of them at once
            tensor = _functorch.get_unwrapped(tensor)
        finite = tensor.isfinite()
        if not finite.all():
            wrong, place = int((~finite).sum()), f" in {name}" if name else ""
            got = f"{wrong} NaN or infinite of {tensor.numel()}{place}"
            raise NotFiniteError(what, got, remedy)
