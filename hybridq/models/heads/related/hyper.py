"""TensorHyper-VQC: a tensor train generates the circuit's weights (Qi et al., 2026).

Weights `w = TT(z)` of a fixed random vector z, of which only the train's cores are trained, so that
a circuit of many weights has few that are. With `--gradient spsa` circuits run forward only, two
for each random direction, whatever the number of weights. The length of z and the rank are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from hybridq.config import CircuitHeadConfig
from hybridq.config.base import MAX_LAYERS, MAX_RANK
from hybridq.errors import InvalidValueError
from hybridq.models.heads.base import BlockBuilder, MakeBlock, layer_maker, num_circuit_weights
from hybridq.models.heads.entry import HeadEntry
from hybridq.models.heads.mlp import ControlBlock
from hybridq.models.heads.pqc import BottleneckHead
from hybridq.models.reducers.tensor_train import TensorTrainLinear, contracted
from hybridq.quantum.layer import QuantumLayer

if TYPE_CHECKING:
    from hybridq.quantum import Executable


class HyperConfig(CircuitHeadConfig):
    """The bottleneck head whose circuit has weights that a tensor train generates."""

    num_layers: int = Field(6, ge=1, le=MAX_LAYERS)
    """Repetitions of the trainable layer."""
    ansatz: str = "strongly_entangling"
    """The trainable part: `ry_cz`, `real_amplitudes`, `efficient_su2`, `strongly_entangling`."""
    init_std: float = Field(0.01, gt=0, le=100)
    """Standard deviation of the initial circuit weights, in radians, about."""
    hyper_inputs: int = Field(8, ge=1, le=4096)
    """Length of the fixed random vector that the train multiplies."""
    hyper_rank: int = Field(2, ge=1, le=MAX_RANK)
    """Largest rank of the train that generates the weights."""


class TensorTrainWeights(nn.Module):
    """The weights `w = W z` with a tensor train W and a fixed vector z.

    It is a parametrisation of torch: the circuit's `weight` is computed from the cores wherever it
    is asked for.

    Args:
        size: The number of weights.
        inputs: The length of z.
        rank: The largest rank.
        spread: The standard deviation of the initial weights, about.
        generator: Source of z, normal with variance 1, and of the cores.
    """

    vector: Tensor

    def __init__(
        self, size: int, inputs: int, rank: int, spread: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        drawn = torch.randn(inputs, generator=generator, device=generator.device)
        self.register_buffer("vector", drawn.cpu())
        train = TensorTrainLinear(inputs, size, rank, generator)
        scale = (spread * 3**0.5) ** (1 / len(train.cores))
        self._first = [scale * core.detach() for core in train.cores]

    def forward(self, *cores: Tensor) -> Tensor:
        """Compute the weights `(size,)` from the cores."""
        weights: Tensor = contracted(cores) @ self.vector.to(cores[0].dtype)
        return weights

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Begin with the cores as they were drawn, whatever the weights were."""
        return tuple(core.to(weight) for core in self._first)


def hyper_block(
    config: HyperConfig, backend: Executable | None
) -> Callable[[torch.Generator], QuantumLayer]:
    """Return a function that makes the circuit of the config with its generated weights.

    Raises:
        InvalidValueError: If there is no backend, the config does not fit it, or there are several
            registers.
    """
    if config.registers > 1:
        raise InvalidValueError(
            f"Expected one register for head {config.name!r}, got {config.registers}: one train "
            "generates the weights of one circuit; set `registers` to 1."
        )
    make_layer = layer_maker(config, backend)

    def make(generator: torch.Generator) -> QuantumLayer:
        layer = make_layer(generator)
        weights = TensorTrainWeights(
            len(layer.weight), config.hyper_inputs, config.hyper_rank, config.init_std, generator
        )
        register_parametrization(layer.connector, "weight", weights, unsafe=True)
        return layer

    return make


def hyper_control(config: HyperConfig, backend: Executable | None = None) -> MakeBlock:
    """Return a function that makes a classical block with as many parameters as the train."""
    train = TensorTrainLinear(
        config.hyper_inputs, num_circuit_weights(config), config.hyper_rank, torch.Generator()
    )
    count = sum(core.numel() for core in train.cores)

    def make(generator: torch.Generator) -> ControlBlock:
        return ControlBlock(config.num_qubits, count, generator)

    return make


HYPER = HeadEntry(
    HyperConfig,
    BlockBuilder(BottleneckHead, hyper_block),
    "TensorHyper-VQC, generated circuit weights",
    control="hyper_mlp",
)
HYPER_MLP = HeadEntry(
    HyperConfig, BlockBuilder(BottleneckHead, hyper_control), "control of TensorHyper-VQC"
)
