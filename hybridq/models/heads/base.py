"""The parts of heads around a block: features to angles, and the block itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.quantum import ParametrizedCircuit, QuantumLayer, build_circuit, z_observables
from hybridq.utils.text import counted

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig
    from hybridq.quantum import Executable

ReducerKind: TypeAlias = Literal["linear", "pca", "random"]
"""Where the weights of an `AngleReducer` come from."""

MakeBlock = Callable[[torch.Generator], nn.Module]
"""A function from a generator of initial weights to the block of a `BlockHead`."""


class BlockHead(nn.Module):
    """A head in which angles go through a block: a circuit, or its classical control.

    Args:
        in_features: The number of features.
        num_qubits: The number of angles and of the block's outputs.
        classifier: The layer that computes the logits. It is made first, so that heads of one seed
            and one shape of classifier begin with the same one.
        make_block: A function from a generator to a module from `(batch, num_qubits)` angles to
            `(batch, num_qubits)` values in [-1, 1].
        generator: Source of the initial weights.
        reducer: Where the weights of the map from features to angles come from.
    """

    def __init__(
        self,
        in_features: int,
        num_qubits: int,
        classifier: nn.Linear,
        make_block: MakeBlock,
        generator: torch.Generator,
        reducer: ReducerKind = "linear",
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.reducer = AngleReducer(in_features, num_qubits, generator, reducer)
        self.block = make_block(generator)

    def fit_reducer(self, features: Tensor) -> None:
        """Fit the map to the angles to features `(images, in_features)`, where it is `pca`."""
        self.reducer.fit(features)

    def circuit_parameters(self) -> list[nn.Parameter]:
        """List the parameters that learn at the circuit's rate: those of the circuit or control."""
        return list(self.block.parameters())


class AngleReducer(nn.Module):
    """A module from features to angles `pi/2 * (1 + tanh(norm(W h)))`, within (0, pi) radians.

    `norm` is batch normalisation (Ioffe & Szegedy, arXiv:1502.03167) without parameters. It keeps
    tanh from saturating, whatever the scale and the mean of the features. In this range
    `<Z> = cos(angle)` after an RY is one to one, and steepest in the middle.

    W is a parameter where it is `linear`, and a buffer where it is not trained: `pca` has the first
    principal components as rows and is zero until it is fitted, and `random` stays as it is drawn.

    Args:
        in_features: The number of features.
        num_qubits: The number of angles.
        generator: Source of the initial weights.
        kind: Where W comes from.

    Raises:
        InvalidValueError: If there are fewer features than principal components.
    """

    def __init__(
        self,
        in_features: int,
        num_qubits: int,
        generator: torch.Generator,
        kind: ReducerKind = "linear",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.linear = make_linear(in_features, num_qubits, generator, bias=False)
        self.norm = nn.BatchNorm1d(num_qubits, affine=False)
        if kind == "linear":
            return
        weight = self.linear.weight.detach()
        del self.linear.weight
        self.linear.register_buffer("weight", weight)
        if kind == "pca":
            self._check_size("features", in_features)
            weight.zero_()

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be fitted before the reducer is used."""
        return self.kind != "pca" or bool(self.linear.weight.any())

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

        num_qubits = len(self.linear.weight)
        self._check_size("images", len(features) - 1)
        pca = PCA(num_qubits, svd_solver="covariance_eigh").fit(features.double().cpu().numpy())
        self.linear.weight.copy_(torch.from_numpy(pca.components_))

    def _check_size(self, what: str, most: int) -> None:
        """Refuse more components than features or images can have."""
        num_qubits = self.norm.num_features
        if most < num_qubits:
            raise InvalidValueError(
                f"Expected {what} for {num_qubits} principal components, got enough for {most}: "
                "lower `num_qubits`, or take another `reducer`."
            )

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to angles `(batch, num_qubits)`."""
        # The weight comes first, so that gradients of many heads at once (vmap) are fast.
        reduced = (self.linear.weight @ features.mT).mT
        angles: Tensor = math.pi / 2 * (1 + torch.tanh(self.norm(reduced)))
        return angles


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


def width_note(head: nn.Module) -> str | None:
    """Warn in words of a bottleneck that is narrower than there are classes; None if it is not."""
    if reducer_of(head) is None:
        return None
    classifier = head.classifier
    if not isinstance(classifier, nn.Linear) or classifier.in_features >= classifier.out_features:
        return None
    width = counted(classifier.in_features, "value")
    return (
        f"the bottleneck has {width} for {classifier.out_features} "
        "classes, whose logits then depend on one another: raise `head.num_qubits`"
    )


def make_linear(
    in_features: int, out_features: int, generator: torch.Generator, *, bias: bool = True
) -> nn.Linear:
    """Make a linear layer with torch's usual initialisation, drawn from `generator`.

    Weight and bias are uniform within 1 / sqrt(in_features); the global random state is untouched.

    Args:
        in_features: The number of inputs.
        out_features: The number of outputs.
        generator: Source of the initial weights.
        bias: Whether it has a bias.
    """
    linear = nn.Linear(in_features, out_features, bias=bias, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(in_features)
    with torch.no_grad():
        for param in linear.parameters():
            values = torch.rand(param.shape, generator=generator, device=generator.device)
            param.copy_((2 * values - 1) * bound)
    return linear


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """Return the given generator, or a new one seeded with 0."""
    return torch.Generator().manual_seed(0) if generator is None else generator


@dataclass(frozen=True)
class BlockBuilder:
    """The builder of a head around a block, as `HeadEntry.build` is called.

    Attributes:
        head: The head, which is given features, classes, qubits, block, generator and reducer.
        block: A function from the config of the head, and the backend of its circuit, to the
            function that makes its block; classical blocks ignore the backend.
    """

    head: Callable[..., BlockHead]
    block: Callable[[CircuitHeadConfig, Executable | None], MakeBlock]

    def __call__(
        self,
        in_features: int,
        num_classes: int,
        config: CircuitHeadConfig,
        *,
        backend: Executable | None = None,
        generator: torch.Generator | None = None,
    ) -> BlockHead:
        """Build the head.

        Args:
            in_features: The number of features.
            num_classes: The number of logits.
            config: The config of the head.
            backend: The backend of the circuit; heads without a circuit ignore it.
            generator: Source of the initial weights; one seeded with 0 if None.

        Raises:
            InvalidValueError: If the block needs a backend and there is none, or the config does
                not fit it.
        """
        make_block = self.block(config, backend)
        sizes = in_features, num_classes, config.num_qubits
        return self.head(*sizes, make_block, seeded(generator), config.reducer)


def make_circuit(config: CircuitHeadConfig) -> ParametrizedCircuit:
    """Build the circuit that the config describes."""
    return build_circuit(
        config.num_qubits,
        encoding=config.encoding,
        ansatz=config.ansatz,
        num_layers=config.num_layers,
        entanglement=config.entanglement,
    )


def quantum_block(
    config: CircuitHeadConfig, backend: Executable | None
) -> Callable[[torch.Generator], QuantumLayer]:
    """Return a function that makes the quantum layer of the config, measuring Z on each qubit.

    Raises:
        InvalidValueError: If there is no backend, or the config does not fit it.
    """
    if backend is None:
        raise InvalidValueError(
            f"Expected a backend for head {config.name!r}, got None: pass `backend=` what "
            "`open_backend` returns."
        )
    parts = make_circuit(config)

    def make(generator: torch.Generator) -> QuantumLayer:
        return QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(config.num_qubits),
            backend=backend,
            generator=generator,
            init_std=config.init_std,
        )

    return make
