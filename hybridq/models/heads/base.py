"""The parts of heads around a block: features to angles, and the block itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.models.reducers import AngleReducer, make_linear, reducer_of
from hybridq.quantum import ParametrizedCircuit, QuantumLayer, build_circuit, z_observables
from hybridq.quantum.registers import Registers
from hybridq.utils.text import counted

if TYPE_CHECKING:
    from hybridq.config import CircuitHeadConfig, HeadConfig
    from hybridq.quantum import Executable

__all__ = [
    "BlockBuilder",
    "BlockHead",
    "ConfiguredBuilder",
    "MakeBlock",
    "MakeReducer",
    "layer_maker",
    "make_circuit",
    "make_linear",
    "needed_backend",
    "num_circuit_weights",
    "quantum_block",
    "reducer_maker",
    "seeded",
    "width_note",
]

MakeReducer = Callable[[int, int, torch.Generator], AngleReducer]
"""A function from features, angles and a generator of initial weights to a reducer."""

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
        make_reducer: A function that makes the map from features to angles.
    """

    def __init__(
        self,
        in_features: int,
        num_qubits: int,
        classifier: nn.Linear,
        make_block: MakeBlock,
        generator: torch.Generator,
        make_reducer: MakeReducer = AngleReducer,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.reducer = make_reducer(in_features, num_qubits, generator)
        self.block = make_block(generator)

    def fit_reducer(self, features: Tensor) -> None:
        """Fit the map to the angles to features `(images, in_features)`, where it is `pca`."""
        self.reducer.fit(features)

    def circuit_parameters(self) -> list[nn.Parameter]:
        """List the parameters that learn at the circuit's rate: those of the circuit or control."""
        return list(self.block.parameters())


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


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """Return the given generator, or a new one seeded with 0."""
    return torch.Generator().manual_seed(0) if generator is None else generator


@dataclass(frozen=True)
class BlockBuilder:
    """The builder of a head around a block, as `HeadEntry.build` is called.

    Attributes:
        head: The head, which is given features, classes, qubits, what makes its block, a
            generator, and what makes its reducer.
        block: A function from the config of the head, and the backend of its circuit, to the
            function that makes its block; classical blocks ignore the backend.
    """

    head: Callable[..., BlockHead]
    block: Callable[[Any, Executable | None], MakeBlock]

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
        return self.head(*sizes, make_block, seeded(generator), reducer_maker(config))


@dataclass(frozen=True)
class ConfiguredBuilder:
    """The builder of a head that reads its own config, as `HeadEntry.build` is called.

    Attributes:
        head: The head, which is given the shape of its input, classes, config, a function that
            makes its block, and a generator.
        block: A function from the config of the head, and the backend of its circuit, to the
            function that makes its block; classical blocks ignore the backend.
    """

    head: Callable[..., nn.Module]
    block: Callable[[Any, Executable | None], Callable[[torch.Generator], nn.Module]]

    def __call__(
        self,
        in_shape: int | tuple[int, ...],
        num_classes: int,
        config: HeadConfig,
        *,
        backend: Executable | None = None,
        generator: torch.Generator | None = None,
    ) -> nn.Module:
        """Build the head.

        Args:
            in_shape: The number of features, or the shape of the feature maps.
            num_classes: The number of logits.
            config: The config of the head.
            backend: The backend of the circuit; heads without a circuit ignore it.
            generator: Source of the initial weights; one seeded with 0 if None.

        Raises:
            InvalidValueError: If the block needs a backend and there is none, or the config does
                not fit it.
        """
        make_block = self.block(config, backend)
        return self.head(in_shape, num_classes, config, make_block, seeded(generator))


def reducer_maker(config: CircuitHeadConfig) -> MakeReducer:
    """Return a function that makes the reducer of the config."""
    return partial(AngleReducer, kind=config.reducer, rank=config.tt_rank)


def make_circuit(config: CircuitHeadConfig) -> ParametrizedCircuit:
    """Build the circuit that the config describes, or that of one of its registers."""
    return build_circuit(
        config.num_qubits // config.registers,
        encoding=config.encoding,
        ansatz=config.ansatz,
        num_layers=config.num_layers,
        entanglement=config.entanglement,
    )


def num_circuit_weights(config: CircuitHeadConfig) -> int:
    """Count the trainable weights of the circuits that the config describes."""
    return config.registers * len(make_circuit(config).weight_params)


def needed_backend(config: HeadConfig, backend: Executable | None) -> Executable:
    """Return the backend of a head's circuit.

    Raises:
        InvalidValueError: If there is none.
    """
    if backend is None:
        raise InvalidValueError(
            f"Expected a backend for head {config.name!r}, got None: pass `backend=` what "
            "`open_backend` returns."
        )
    return backend


def layer_maker(
    config: CircuitHeadConfig, backend: Executable | None
) -> Callable[[torch.Generator], QuantumLayer]:
    """Return a function that makes one circuit of the config, measuring Z on each qubit.

    Raises:
        InvalidValueError: If there is no backend, or the config does not fit it.
    """
    opened = needed_backend(config, backend)
    parts = make_circuit(config)

    def make(generator: torch.Generator) -> QuantumLayer:
        return QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(parts.circuit.num_qubits),
            backend=opened,
            generator=generator,
            init_std=config.init_std,
        )

    return make


def quantum_block(config: CircuitHeadConfig, backend: Executable | None) -> MakeBlock:
    """Return a function that makes the circuit of the config, or as many as it has registers.

    Raises:
        InvalidValueError: If there is no backend, or the config does not fit it.
    """
    make = layer_maker(config, backend)

    def several(generator: torch.Generator) -> Registers:
        return Registers([make(generator) for _ in range(config.registers)])

    return make if config.registers == 1 else several
