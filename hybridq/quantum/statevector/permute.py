"""Permute amplitudes so that the gradient is a permutation too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def permute(states: Tensor, source: Tensor, inverse: Tensor) -> Tensor:
    """Compute `new[i] = states[source[i]]`, differentiable any number of times.

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
    generate_vmap_rule = True

    @staticmethod
    def forward(states: Tensor, source: Tensor, inverse: Tensor) -> Tensor:
        return states.index_select(0, source)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        source, inverse = ctx.saved_tensors
        return permute(grad, inverse, source), None, None
