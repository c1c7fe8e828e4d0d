"""Multiply a few neighbouring qubits of many states by small matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

_FEWEST_COLUMNS = 8  # below it, the states are turned to make one tall product


def multiply_shared(matrix: Tensor, states: Tensor, low: int) -> Tensor:
    """Apply one matrix to the qubits from `low` upwards of all samples.

    Args:
        matrix: The matrix, `(2**k, 2**k)`.
        states: The states, `(2**n, batch)`.
        low: The lowest qubit.

    Returns:
        `(2**n, batch)`.
    """
    size = len(matrix)
    columns = 2**low * states.shape[1]
    if is_compiling() or columns >= _FEWEST_COLUMNS:
        view = states.reshape(-1, size, columns)
        if view.shape[0] == 1:
            return (matrix @ view[0]).view(states.shape)
        product: Tensor = _SharedProduct.apply(matrix, view)
        return product.view(states.shape)
    tall = states.reshape(-1, size, columns).transpose(1, 2).reshape(-1, size)
    turned = (tall @ matrix.T).view(-1, columns, size)
    return turned.transpose(1, 2).reshape(states.shape)


def multiply_each(matrices: Tensor | None, rows: Tensor, size: int) -> Tensor:
    """Apply a matrix for each sample to the lowest qubits, which then become the highest.

    After products on all qubits, each qubit is in its place again.

    Args:
        matrices: The matrices, `(1 or batch, size, size)`; None for the identity.
        rows: The states as rows, `(batch, 2**n)`.
        size: 2 to the power of the number of qubits.

    Returns:
        `(batch, 2**n)`.
    """
    view = rows.view(rows.shape[0], -1, size).transpose(1, 2)
    if matrices is None:
        return view.flatten(1)
    return torch.bmm(matrices.expand(rows.shape[0], -1, -1), view).flatten(1)


def multiply_runs(bank: Tensor, runs: Sequence[Sequence[int]]) -> Tensor:
    """Multiply the matrices of each run, the first to act on the right.

    Args:
        bank: The matrices, `(1 or batch, matrices, size, size)`; the first is the identity.
        runs: The indices of the matrices of each run.

    Returns:
        `(1 or batch, runs, size, size)`.
    """
    longest = max(len(run) for run in runs)
    padded = [[*run, *[0] * (longest - len(run))] for run in runs]
    product = bank[:, [run[0] for run in padded]]
    for step in range(1, longest):
        product = bank[:, [run[step] for run in padded]] @ product
    return product


def join_runs(runs: Tensor, members: Sequence[Sequence[int]]) -> Tensor:
    """Compute Kronecker products of runs, the highest qubit first.

    Args:
        runs: The matrices of the runs, `(1 or batch, runs, size, size)`.
        members: The indices of the runs of each product.

    Returns:
        `(1 or batch, products, size**k, size**k)`, with k members each.
    """
    product = runs[:, [rows[0] for rows in members]]
    for place in range(1, len(members[0])):
        factor = runs[:, [rows[place] for rows in members]]
        product = product[:, :, :, None, :, None] * factor[:, :, None, :, None, :]
        product = product.flatten(2, 3).flatten(3, 4)
    return product


class _SharedProduct(torch.autograd.Function):
    """The product `matrix @ views[i]` for all i, without the copy of torch's broadcasting."""

    generate_vmap_rule = True

    @staticmethod
    def forward(matrix: Tensor, views: Tensor) -> Tensor:
        return torch.bmm(matrix.expand(views.shape[0], -1, -1), views)

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
