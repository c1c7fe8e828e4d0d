"""HQViT: attention whose coefficients a swap test measures, arXiv:2504.02730.

The paper encodes the tokens of a whole image by amplitudes, turns them in a query and a key
register with parametrised gates, and measures their overlaps by swap tests; values and what follows
are classical. Here the tokens are positions of the encoder's feature map. Their number, their
size, the temperature and what follows the attention are not published, and are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hybridq.config import HeadConfig
from hybridq.config.base import MAX_LAYERS
from hybridq.models.heads.base import ConfiguredBuilder, make_linear, needed_backend
from hybridq.models.heads.entry import HeadEntry
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.modules import is_exact
from hybridq.quantum.swap_test import (
    amplitude_angles,
    ancilla,
    num_amplitude_qubits,
    overlaps,
    swap_test_circuit,
)

if TYPE_CHECKING:
    from hybridq.quantum import Executable


class AttentionConfig(HeadConfig):
    """Attention over tokens of the feature map: by swap tests, or by its classical control."""

    tokens: Literal[1, 4, 9, 16] = 4
    """Tokens of an image: cells of a square grid over the feature map, each the mean of its
    positions. A pair of tokens is a circuit."""
    token_dim: Literal[2, 4, 8] = 4
    """Values of a token, which are amplitudes of the registers: 1, 2 or 3 qubits each."""
    num_layers: int = Field(2, ge=1, le=MAX_LAYERS)
    """Trainable layers of each register."""
    temperature: float = Field(0.2, gt=0, le=100)
    """What coefficients are divided by before the softmax."""
    init_std: float = Field(0.3, ge=0, le=100)
    """Standard deviation of the initial circuit weights, in radians."""


class AttentionHead(nn.Module):
    """The head `logits = Linear(mean over i of sum over j of softmax_j(s_ij / T) V x_j)`.

    Args:
        in_shape: The shape of the feature maps, `(channels, rows, columns)`.
        num_classes: The number of logits.
        config: The config of the head.
        make_scores: A function from a generator to a module from tokens
            `(batch, tokens, token_dim)` to scores s `(batch, tokens, tokens)`.
        generator: Source of the initial weights.

    Shape: maps `(batch, channels, rows, columns)` to logits `(batch, num_classes)`.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        num_classes: int,
        config: AttentionConfig,
        make_scores: Callable[[torch.Generator], nn.Module],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.side = math.isqrt(config.tokens)
        self.temperature = config.temperature
        self.classifier = make_linear(config.token_dim, num_classes, generator)
        self.embed = make_linear(in_shape[0], config.token_dim, generator, bias=False)
        self.norm = nn.BatchNorm1d(config.token_dim, affine=False)
        self.value = make_linear(config.token_dim, config.token_dim, generator, bias=False)
        self.block = make_scores(generator)

    def circuit_parameters(self) -> list[nn.Parameter]:
        """List the parameters that learn at the circuit's rate: those of the scores."""
        return list(self.block.parameters())

    def tokens(self, maps: Tensor) -> Tensor:
        """Map maps `(batch, channels, rows, columns)` to tokens `(batch, tokens, token_dim)`."""
        cells = functional.adaptive_avg_pool2d(maps, self.side).flatten(2).mT
        tokens: Tensor = self.norm(self.embed.weight @ cells.mT).mT
        return tokens

    def attention(self, tokens: Tensor) -> Tensor:
        """Compute the coefficients `(batch, tokens, tokens)`, whose rows sum to 1."""
        scores: Tensor = self.block(tokens)
        return (scores / self.temperature).softmax(dim=-1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map maps `(batch, channels, rows, columns)` to logits `(batch, num_classes)`."""
        tokens = self.tokens(maps)
        attended = self.attention(tokens) @ self.value(tokens)
        logits: Tensor = self.classifier(attended.mean(dim=1))
        return logits


class SwapScores(nn.Module):
    """Squared overlaps of tokens, turned as queries and as keys.

    Where the backend is exact and torch computes, they are products of small matrices. Elsewhere
    each pair of tokens is a swap test, equal in expectation.

    Args:
        config: The config of the head.
        backend: The backend of the circuit.
        generator: Source of the initial weights.

    Shape: tokens `(batch, tokens, token_dim)` to scores `(batch, tokens, tokens)` in [0, 1].
    """

    def __init__(
        self, config: AttentionConfig, backend: Executable, generator: torch.Generator
    ) -> None:
        super().__init__()
        num_qubits = num_amplitude_qubits(config.token_dim)
        parts = swap_test_circuit(num_qubits, config.num_layers)
        self.num_layers = config.num_layers
        self.layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=ancilla(num_qubits),
            backend=backend,
            generator=generator,
            init_std=config.init_std,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens to the squared overlaps of all their pairs."""
        if is_exact(self.layer):
            return overlaps(tokens, tokens, self.layer.weight, self.num_layers)
        angles = amplitude_angles(tokens)
        count = angles.shape[1]
        queries = angles[:, :, None].expand(-1, -1, count, -1)
        keys = angles[:, None].expand(-1, count, -1, -1)
        scores: Tensor = self.layer(torch.cat([queries, keys], dim=-1))[..., 0]
        return scores


class BilinearScores(nn.Module):
    """The scores `x_i^T M x_j` of unit tokens with M of low rank: the control of `SwapScores`.

    The rank is the one, of at least 1, whose number of parameters, `2 * token_dim * rank`, is
    nearest to that of the circuit.

    Args:
        token_dim: Values of a token.
        num_circuit_weights: The number of trainable weights of the circuit it stands in for.
        generator: Source of the initial weights.

    Attributes:
        num_circuit_weights: The number of trainable weights of that circuit.

    Shape: tokens `(batch, tokens, token_dim)` to scores `(batch, tokens, tokens)`.
    """

    def __init__(
        self, token_dim: int, num_circuit_weights: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.num_circuit_weights = num_circuit_weights
        rank = max(1, round(num_circuit_weights / (2 * token_dim)))
        self.query = make_linear(token_dim, rank, generator, bias=False)
        self.key = make_linear(token_dim, rank, generator, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens to the scores of all their pairs."""
        unit = functional.normalize(tokens, dim=-1)
        scores: Tensor = self.query(unit) @ self.key(unit).mT
        return scores


def swap_scores(
    config: AttentionConfig, backend: Executable | None
) -> Callable[[torch.Generator], SwapScores]:
    """Return a function that makes scores which a swap test measures.

    Raises:
        InvalidValueError: If there is no backend.
    """
    return partial(SwapScores, config, needed_backend(config, backend))


def bilinear_scores(
    config: AttentionConfig, backend: Executable | None = None
) -> Callable[[torch.Generator], BilinearScores]:
    """Return a function that makes classical scores of matched size."""
    count = 2 * num_amplitude_qubits(config.token_dim) * (config.num_layers + 1)
    return partial(BilinearScores, config.token_dim, count)


SWAP_ATTENTION = HeadEntry(
    AttentionConfig,
    ConfiguredBuilder(AttentionHead, swap_scores),
    "HQViT, attention by swap tests",
    control="attention",
    input="map",
)
ATTENTION = HeadEntry(
    AttentionConfig,
    ConfiguredBuilder(AttentionHead, bilinear_scores),
    "classical attention",
    input="map",
)
