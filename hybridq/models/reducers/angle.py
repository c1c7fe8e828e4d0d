"""Reduce features to angles: a linear map, batch norm and tanh."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.models.reducers.linear import FixedLinear, make_linear
from hybridq.models.reducers.tensor_train import TensorTrainLinear

ReducerKind: TypeAlias = Literal["linear", "pca", "random", "tt"]
"""Where the matrix of an `AngleReducer` comes from."""

RANK = 3
"""The usual rank of a tensor train: 3% of the parameters of a dense map from 1280 to 8."""

LinearMap: TypeAlias = nn.Linear | FixedLinear | TensorTrainLinear
"""A linear map without a bias, with its matrix as `weight`."""

MakeMap: TypeAlias = Callable[[int, int, int, torch.Generator], LinearMap]
"""A function from inputs, outputs, rank and generator to a linear map with a `weight`."""


def _dense(inputs: int, outputs: int, _rank: int, generator: torch.Generator) -> LinearMap:
    return make_linear(inputs, outputs, generator, bias=False)


def _random(inputs: int, outputs: int, _rank: int, generator: torch.Generator) -> LinearMap:
    return FixedLinear(make_linear(inputs, outputs, generator, bias=False).weight.detach())


def _pca(inputs: int, outputs: int, _rank: int, generator: torch.Generator) -> LinearMap:
    make_linear(inputs, outputs, generator, bias=False)  # so that what is drawn later is the same
    return FixedLinear(torch.zeros(outputs, inputs))


MAPS: dict[ReducerKind, MakeMap] = {
    "linear": _dense,
    "pca": _pca,
    "random": _random,
    "tt": TensorTrainLinear,
}
"""The linear map of each kind of reducer."""


class AngleReducer(nn.Module):
    """A module from features to angles `pi/2 * (1 + tanh(norm(W h)))`, within (0, pi) radians.

    `norm` is batch normalisation (Ioffe & Szegedy, arXiv:1502.03167) without parameters. It keeps
    tanh from saturating, whatever the scale and the mean of the features. In this range
    `<Z> = cos(angle)` after an RY is one to one, and steepest in the middle.

    W is trained where it is `linear`, and where it is `tt`, a tensor train. It is a buffer
    otherwise: `pca` has the first principal components as rows and is zero until it is fitted, and
    `random` stays as it is drawn.

    Args:
        in_features: The number of features.
        num_qubits: The number of angles.
        generator: Source of the initial weights.
        kind: Where W comes from.
        rank: The largest rank of a tensor train.

    Attributes:
        linear: The map, with its matrix W as `weight`.
        frozen: Whether it is out of training, its batch norm included.

    Raises:
        InvalidValueError: If there are fewer features than principal components.
    """

    def __init__(
        self,
        in_features: int,
        num_qubits: int,
        generator: torch.Generator,
        kind: ReducerKind = "linear",
        rank: int = RANK,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.frozen = False
        self.linear: LinearMap = MAPS[kind](in_features, num_qubits, rank, generator)
        self.norm = nn.BatchNorm1d(num_qubits, affine=False)
        if kind == "pca":
            self._check_size("features", in_features)

    @property
    def weight(self) -> Tensor:
        """The matrix W, `(num_qubits, in_features)`."""
        return self.linear.weight

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be fitted before the reducer is used."""
        return self.kind != "pca" or bool(self.weight.any())

    @property
    def is_trained(self) -> bool:
        """Whether training changes W."""
        return any(weight.requires_grad for weight in self.linear.parameters())

    def freeze(self) -> None:
        """Take it out of training permanently, its batch norm included."""
        self.requires_grad_(False)
        self.frozen = True
        self.eval()

    def train(self, mode: bool = True) -> AngleReducer:
        """Switch to training mode; frozen, it stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    @torch.no_grad()
    def take(self, weight: Tensor) -> None:
        """Take a matrix `(num_qubits, in_features)` for W, or the nearest tensor train to it."""
        if isinstance(self.linear, TensorTrainLinear):
            self.linear.take(weight)
        else:
            self.weight.copy_(weight)

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Take the first principal components of features, where the reducer is `pca`.

        Args:
            features: `(images, in_features)`; labels are not needed. They are centred.

        Raises:
            InvalidValueError: If there are no more images than components.
        """
        if self.kind != "pca":
            return
        from sklearn.decomposition import PCA

        self._check_size("images", len(features) - 1)
        pca = PCA(self.norm.num_features, svd_solver="covariance_eigh")
        self.take(torch.from_numpy(pca.fit(features.double().cpu().numpy()).components_))

    def _check_size(self, what: str, most: int) -> None:
        """Refuse more components than features or images can have."""
        num_qubits = self.norm.num_features
        if most < num_qubits:
            raise InvalidValueError(
                f"Expected {what} for {num_qubits} principal components, got enough for {most}: "
                "lower `num_qubits` (of the head `generated`: `inputs`), or take another `reducer`."
            )

    def reduced(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to `norm(W h)`, `(batch, num_qubits)`."""
        # The weight comes first, so that gradients of many heads at once (vmap) are fast.
        normed: Tensor = self.norm((self.weight @ features.mT).mT)
        return normed

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to angles `(batch, num_qubits)`."""
        return math.pi / 2 * (1 + torch.tanh(self.reduced(features)))


def reducer_of(head: nn.Module) -> AngleReducer | None:
    """Find the reducer of a bottleneck or residual head; None where it has none."""
    reducer = getattr(head, "reducer", None)
    return reducer if isinstance(reducer, AngleReducer) else None


def check_reducer(head: nn.Module) -> None:
    """Refuse to train a head whose principal components have not been fitted.

    Raises:
        InvalidValueError: If they have not.
    """
    reducer = reducer_of(head)
    if reducer is not None and not reducer.is_ready:
        raise InvalidValueError(
            "Expected a head whose principal components are fitted, got one without: call "
            "`head.fit_reducer(features)` with the features of all train images first."
        )
