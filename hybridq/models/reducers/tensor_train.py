"""A linear map whose matrix is a tensor train: Oseledets, SIAM J. Sci. Comput. 33:2295 (2011).

The matrix `(out, in)` is cut along factors of both sizes, `out = o_1 ... o_K`, `in = i_1 ... i_K`,
and held as K cores `(r_{k-1}, o_k, i_k, r_k)` with `r_0 = r_K = 1`: the form of Novikov et al.,
"Tensorizing neural networks", arXiv:1509.06569, which TTN-VQC (Qi et al., arXiv:2306.03741) puts
before a circuit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from hybridq.errors import InvalidValueError

CORES = 3
"""Cores of a train at most, as in TTN-VQC."""


class TensorTrainLinear(nn.Module):
    """The map `y = W x` without a bias, whose matrix W is a tensor train.

    Args:
        in_features: The number of inputs.
        out_features: The number of outputs.
        rank: The largest rank between two cores; no rank is larger than a full train needs.
        generator: Source of the initial weights. The entries of W have the variance that torch's
            usual initialisation gives them, 1 / (3 in_features).

    Attributes:
        cores: The cores `(r_{k-1}, o_k, i_k, r_k)`, three where the sizes have factors enough.
        out_factors: The factors o_k, in ascending order.
        in_factors: The factors i_k, in ascending order.

    Shape: `(..., in_features)` to `(..., out_features)`.

    Raises:
        InvalidValueError: If the rank is below 1.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        if rank < 1:
            raise InvalidValueError(f"Expected a rank of at least 1, got {rank}: raise it.")
        pairs = zip(factors(out_features), factors(in_features), strict=True)
        # A core of one entry would be nothing but a scale.
        kept = [pair for pair in pairs if pair != (1, 1)] or [(1, 1)]
        self.out_factors, self.in_factors = map(tuple, zip(*kept, strict=True))
        ranks = bounded_ranks(self.out_factors, self.in_factors, rank)
        spread = (3 * in_features * math.prod(ranks)) ** (-1 / (2 * len(kept)))
        shapes = zip(ranks[:-1], self.out_factors, self.in_factors, ranks[1:], strict=True)
        self.cores = nn.ParameterList(
            spread * torch.randn(shape, generator=generator, device=generator.device).cpu()
            for shape in shapes
        )

    @property
    def weight(self) -> Tensor:
        """The matrix W, `(out_features, in_features)`, computed from the cores."""
        return contracted(list(self.cores))

    @torch.no_grad()
    def take(self, weight: Tensor) -> None:
        """Give the cores the nearest train to a matrix that successive SVDs find.

        Args:
            weight: `(out_features, in_features)`.
        """
        rank = max(core.shape[-1] for core in self.cores)
        found = tt_svd(weight.double(), self.out_factors, self.in_factors, rank)
        for core, value in zip(self.cores, found, strict=True):
            core.copy_(value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(..., in_features)` to `(..., out_features)`."""
        return inputs @ self.weight.mT

    def extra_repr(self) -> str:
        """The factors of both sizes, and the ranks."""
        ranks = [1, *(core.shape[-1] for core in self.cores)]
        return f"{list(self.in_factors)} -> {list(self.out_factors)}, ranks={ranks}"


def factors(size: int, count: int = CORES) -> tuple[int, ...]:
    """Cut a size into so many factors of the smallest sum, in ascending order.

    Example:
        >>> factors(1280), factors(8), factors(7)
        ((8, 10, 16), (2, 2, 2), (1, 1, 7))
    """
    if count == 1:
        return (size,)
    divisors = [one for one in range(1, math.isqrt(size) + 1) if size % one == 0]
    found = [(one, *factors(size // one, count - 1)) for one in divisors]
    return min((tuple(sorted(one)) for one in found), key=lambda one: (sum(one), one))


def bounded_ranks(
    out_factors: Sequence[int], in_factors: Sequence[int], rank: int
) -> tuple[int, ...]:
    """List the ranks `(1, r_1, ..., r_{K-1}, 1)`: `rank`, or what a full train needs if less."""
    sizes = [o * i for o, i in zip(out_factors, in_factors, strict=True)]
    full = [min(math.prod(sizes[:k]), math.prod(sizes[k:])) for k in range(1, len(sizes))]
    return (1, *(min(rank, one) for one in full), 1)


def contracted(cores: Sequence[Tensor]) -> Tensor:
    """Multiply cores `(r_{k-1}, o_k, i_k, r_k)` to the matrix `(out, in)` that they stand for."""

    def joined(left: Tensor, right: Tensor) -> Tensor:
        both = torch.einsum("aoib,bpjc->aopijc", left, right)
        return both.flatten(3, 4).flatten(1, 2)

    return reduce(joined, cores)[0, ..., 0]


def tt_svd(
    weight: Tensor, out_factors: Sequence[int], in_factors: Sequence[int], rank: int
) -> list[Tensor]:
    """Approximate a matrix by a tensor train: Oseledets 2011, algorithm 1.

    The Frobenius norm of what is lost is at most the root of the sum of the squares of all singular
    values that were left out (theorem 2.2 there).

    Args:
        weight: `(out, in)`.
        out_factors: Factors of `out`.
        in_factors: As many factors of `in`.
        rank: The largest rank.

    Returns:
        The cores `(r_{k-1}, o_k, i_k, r_k)`.

    Example:
        >>> matrix = torch.arange(24.0).reshape(4, 6)
        >>> cores = tt_svd(matrix, (2, 2), (2, 3), rank=6)
        >>> bool((contracted(cores) - matrix).abs().max() < 1e-4)
        True
    """
    count = len(out_factors)
    pairs = [axis for k in range(count) for axis in (k, count + k)]
    left = weight.reshape(*out_factors, *in_factors).permute(pairs)
    ranks = bounded_ranks(out_factors, in_factors, rank)
    cores = []
    for k in range(count - 1):
        shape = ranks[k], out_factors[k], in_factors[k]
        u, values, vh = torch.linalg.svd(left.reshape(math.prod(shape), -1), full_matrices=False)
        kept = ranks[k + 1]
        cores.append(u[:, :kept].reshape(*shape, kept))
        left = values[:kept, None] * vh[:kept]
    return [*cores, left.reshape(ranks[-2], out_factors[-1], in_factors[-1], 1)]
