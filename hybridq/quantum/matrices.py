"""Products of small matrices with a few neighbouring qubits of many states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_FEWEST_COLUMNS = 8  # below it, the states are turned to make one tall product


def multiply_shared(matrix: Tensor, states: Tensor, low: int) -> Tensor:
    """A matrix on the qubits from `low` upwards, the same for all samples.

    Args:
        matrix: `(2**k, 2**k)`.
        states: `(2**n, batch)`.
        low: The lowest qubit.

    Returns:
        `(2**n, batch)`.
    """
    size = len(matrix)
    columns = 2**low * states.shape[1]
    if columns >= _FEWEST_COLUMNS:
        view = states.reshape(-1, size, columns)
        if len(view) == 1:
            return (matrix @ view[0]).view(states.shape)
        product: Tensor = _SharedProduct.apply(matrix, view)
        return product.view(states.shape)
    tall = states.reshape(-1, size, columns).transpose(1, 2).reshape(-1, size)
    turned = (tall @ matrix.T).view(-1, columns, size)
    return turned.transpose(1, 2).reshape(states.shape)


def multiply_each(matrices: Tensor | None, rows: Tensor, size: int) -> Tensor:
    """Matrices on the lowest qubits, one for each sample; those qubits then become the highest.

    After a sequence of products that covers all qubits, each is in its place again.

    Args:
        matrices: `(1 or batch, size, size)`; None for the identity.
        rows: States as rows, `(batch, 2**n)`.
        size: 2 to the number of qubits.

    Returns:
        `(batch, 2**n)`.
    """
    view = rows.view(len(rows), -1, size).transpose(1, 2)
    if matrices is None:
        return view.flatten(1)
    return torch.bmm(matrices.expand(len(rows), -1, -1), view).flatten(1)


class _SharedProduct(torch.autograd.Function):
    """`matrix @ views[i]` for all i: torch's own broadcasting would copy the states first."""

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, views: Tensor) -> Tensor:
        return torch.bmm(matrix.expand(len(views), -1, -1), views)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        matrix, views = ctx.saved_tensors
        by_matrix = None
        if ctx.needs_input_grad[0]:
            by_matrix = torch.bmm(grad, views.mH).sum(dim=0)
        return by_matrix, _SharedProduct.apply(matrix.mH, grad)
