"""A permutation of amplitudes whose gradient is a permutation too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def permute(states: Tensor, source: Tensor, inverse: Tensor) -> Tensor:
    """`new[i] = states[source[i]]`, any number of times differentiable.

    torch's own indexing would add up its gradient entry by entry, which takes longer.

    Args:
        states: `(size, batch)`.
        source: A permutation, `(size,)`.
        inverse: Its inverse, `(size,)`.

    Returns:
        `(size, batch)`.
    """
    permuted: Tensor = _Permute.apply(states, source, inverse)
    return permuted


class _Permute(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, source: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(source, inverse)
        return states.index_select(0, source)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        source, inverse = ctx.saved_tensors
        return permute(grad, inverse, source), None, None
