"""Cut a batch into chunks, so that its intermediate states fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

MEMORY = 512 * 2**20
"""The bytes of intermediate states above which a batch is cut into chunks."""


def in_chunks(function: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """Apply a function chunk by chunk; the backward pass computes each chunk again.

    The memory of a second derivative is not limited in this way.

    Args:
        function: A function of `(batch, columns)` that treats each row by itself.
        rows: `(batch, columns)`.
        size: The number of rows of a chunk.

    Returns:
        The result of the function for all rows.
    """
    if is_compiling() or rows.shape[0] <= size:
        return function(rows)
    values: Tensor = _InChunks.apply(rows, function, size)
    return values


class _InChunks(torch.autograd.Function):
    """A function of rows, chunk by chunk; the backward pass computes each chunk again."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, function: Callable[[Tensor], Tensor], size: int) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.function = function
        ctx.size = size
        return torch.cat([function(part) for part in torch.split(rows, size)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        twice = torch.is_grad_enabled()  # create_graph=True
        found: list[Tensor] = []
        with torch.enable_grad():
            for part, part_grad in zip(
                torch.split(rows, ctx.size), torch.split(grad, ctx.size), strict=True
            ):
                leaf = part if twice else part.detach().requires_grad_()
                found += torch.autograd.grad(
                    ctx.function(leaf), leaf, part_grad, create_graph=twice
                )
        return torch.cat(found), None, None
