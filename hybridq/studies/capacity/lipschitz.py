"""How much the values of a block, or of a whole head, can change with their inputs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from scipy.stats import qmc
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

SAMPLE = 512
"""Points at which a block's slopes are computed; a power of two."""
CLIMBERS = 8
"""The steepest of them, from which the climb begins."""
STEPS = 25
FIRST_STEP = 0.2
"""Length of the first step of the climb, radians; the last one is a hundredth of it."""


def block_lipschitz(blocks: Sequence[nn.Module], num_inputs: int) -> list[float]:
    """Estimate the Lipschitz constant of blocks over the angles that heads give them, (0, pi).

    It is the largest spectral norm of the Jacobian that is found on a scrambled Sobol sample and by
    ascent of the gradient from the steepest of its points: each value is attained, so that it is a
    lower bound of the constant, and near it where the block is smooth on the scale of the sample.

    Args:
        blocks: The blocks of one architecture, differentiable twice, from `(batch, num_inputs)`.
        num_inputs: The number of angles.

    Returns:
        One for each block.
    """
    if not blocks:
        return []
    own = [copy.deepcopy(block).double().eval() for block in blocks]
    weights, buffers = stack_module_state(own)
    state = {name: value.detach() for name, value in (weights | buffers).items()}

    def values(points: Tensor) -> Tensor:
        """Map `(blocks, points, num_inputs)` to `(blocks, points, outputs)`."""
        if not state:
            return torch.stack([own[0](some) for some in points])
        one = vmap(lambda weights, some: functional_call(own[0], weights, (some,)))
        found: Tensor = one(state, points)
        return found

    sample = qmc.Sobol(num_inputs, rng=0).random(SAMPLE)
    points = torch.from_numpy(math.pi * sample).expand(len(blocks), -1, -1)
    norms = _norms(values, points).detach()
    best = norms.amax(dim=1)
    steepest = norms.topk(min(CLIMBERS, SAMPLE), dim=1).indices[..., None]
    points = points.gather(1, steepest.expand(-1, -1, num_inputs))
    for step in range(STEPS):
        points = points.detach().requires_grad_()
        norms = _norms(values, points)
        best = torch.maximum(best, norms.detach().amax(dim=1))
        if not norms.requires_grad:
            break  # the slopes are the same everywhere
        (uphill,) = torch.autograd.grad(norms.sum(), points, materialize_grads=True)
        length = FIRST_STEP * 100 ** (-step / (STEPS - 1))
        direction = uphill / uphill.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        points = (points + length * direction).clamp(0, math.pi)
    found: list[float] = best.tolist()
    return found


def head_lipschitz(head: nn.Module, features: Tensor) -> float:
    """Compute the largest slope of a head's logits at some features, a spectral norm.

    Args:
        head: A head in evaluation mode.
        features: `(images, num_features)`, at which the slopes are computed.
    """
    norms = _norms(lambda rows: head(rows), features, create_graph=False)
    return float(norms.detach().max())


def _norms(
    values: Callable[[Tensor], Tensor], points: Tensor, *, create_graph: bool = True
) -> Tensor:
    """Compute the spectral norm of the Jacobian at each point, `(..., inputs)` to `(...)`."""
    points = points if points.requires_grad else points.detach().requires_grad_()
    outputs = values(points)
    rows = [
        torch.autograd.grad(
            one.sum(), points, create_graph=create_graph, retain_graph=True, materialize_grads=True
        )[0]
        for one in outputs.unbind(-1)
    ]
    jacobian = torch.stack(rows, dim=-2).double()
    squares = torch.linalg.eigvalsh(jacobian @ jacobian.mT)
    norms: Tensor = squares[..., -1].clamp_min(0).sqrt()
    return norms
