"""Heads that embed principal components by something fixed, and fit a readout to the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from hybridq.config import HeadConfig
from hybridq.models.heads.base import seeded
from hybridq.models.heads.fitted.components import (
    check_one_label,
    principal_components,
    searched_rows,
)
from hybridq.models.heads.fitted.readouts import Fitted, Readout, fit_readout, widths_of
from hybridq.models.searched_regression import Fold, folds_of, mean_and_scale

if TYPE_CHECKING:
    from hybridq.quantum import Executable

Floats = NDArray[np.float64]

BATCH = 512


class EmbeddedConfig(HeadConfig):
    """What heads on a fixed embedding have in common."""

    num_qubits: int = Field(4, ge=1, le=12)
    """Principal components; qubits, which are atoms, where there are any."""
    readout: Readout = "logistic"
    """What reads the embedding: `logistic` or `ridge` regression, or `mlp`, a network with 32
    hidden units."""


class Embedding(nn.Module):
    """Base of fixed functions of components, at a scale that is chosen.

    Its `forward(components, scale)` embeds components in [-1, 1], `(rows, num_qubits)`, as `(rows,
    num_values)`.

    Attributes:
        scales: Scales that are tried; the one of the least held-out loss of a logistic regression
            is taken.
        num_values: The length of an embedding.
    """

    scales: Sequence[float]
    num_values: int


class EmbeddedHead(nn.Module):
    """The head `logits = readout((embedding(x) - mean) / std)`.

    x are the first principal components of standardised features, divided by the largest magnitude
    that a labelled image has in any, and cut off at -1 and 1.

    Args:
        in_features: The number of features.
        num_classes: The number of logits.
        config: The config of the head.
        embedding: What is read.

    Shape: features `(batch, in_features)` to logits `(batch, num_classes)`.
    """

    mean: Tensor
    axes: Tensor
    scale: Tensor
    values_mean: Tensor
    values_std: Tensor

    def __init__(
        self, in_features: int, num_classes: int, config: EmbeddedConfig, embedding: Embedding
    ) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.embedding: Embedding = embedding
        values = embedding.num_values
        layers: list[nn.Module] = []
        for inputs, outputs in widths_of(config.readout, values, num_classes):
            layers += [nn.ReLU()] if layers else []
            layers.append(_empty_linear(inputs, outputs))
        self.readout = nn.Sequential(*layers)
        self.requires_grad_(False)
        empty = {
            "mean": (in_features,),
            "axes": (config.num_qubits, in_features),
            "scale": (),
            "values_mean": (values,),
            "values_std": (values,),
        }
        for name, shape in empty.items():
            whole = torch.ones if name == "values_std" else torch.zeros
            self.register_buffer(name, whole(shape))

    @torch.no_grad()
    def fit(self, features: Tensor, labels: Tensor) -> None:
        """Fit components, scale and readout to labelled features.

        Args:
            features: `(images, in_features)`.
            labels: `(images,)` class numbers.

        Raises:
            InvalidValueError: If images have several labels.
        """
        classes = labels.cpu().numpy()
        check_one_label(classes, self.config.name)
        inputs = features.double().cpu().numpy()
        mean, axes = principal_components(inputs, self.config.num_qubits, whiten=False)
        components = torch.from_numpy((inputs - mean) @ axes.T)
        some = searched_rows(classes)
        scales = self.embedding.scales
        folds, losses = folds_of(classes[some], seed=0), []
        for scale in scales if len(scales) > 1 else []:
            values = self._values(components[some], scale)
            losses.append(self._fitted("logistic", values, classes[some], folds).loss)
        scale = scales[int(np.argmin(losses))] if losses else scales[0]
        values = self._values(components, scale)
        values_mean, values_std = mean_and_scale(values)
        folds = folds if len(some) == len(classes) else folds_of(classes, seed=0)
        fitted = self._fitted(self.config.readout, values, classes, folds)
        kept = {
            "mean": mean,
            "axes": axes,
            "scale": np.array(scale),
            "values_mean": values_mean,
            "values_std": values_std,
        }
        for name, value in kept.items():
            getattr(self, name).copy_(torch.as_tensor(value))
        linear = [layer for layer in self.readout if isinstance(layer, nn.Linear)]
        for layer, (weight, bias) in zip(linear, fitted.layers, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        self.after_fit(components)

    def after_fit(self, components: Tensor) -> None:
        """Do what else is due once the head is fitted; nothing here."""

    def forward(self, features: Tensor) -> Tensor:
        """Map features `(batch, in_features)` to logits `(batch, num_classes)`."""
        components = ((features - self.mean) @ self.axes.T).clamp(-1, 1)
        values = self.embedding(components, self.scale)
        logits: Tensor = self.readout((values - self.values_mean) / self.values_std)
        return logits

    def _values(self, components: Tensor, scale: float) -> Floats:
        """Embed components at a scale, part by part."""
        at = torch.tensor(scale, dtype=torch.float64)
        parts = torch.split(components, BATCH)
        values: Floats = torch.cat([self.embedding(part, at) for part in parts]).cpu().numpy()
        return values

    def _fitted(
        self, kind: Readout, values: Floats, classes: NDArray[np.int64], folds: Sequence[Fold]
    ) -> Fitted:
        mean, std = mean_and_scale(values)
        scaled = (values - mean) / std
        return fit_readout(kind, scaled, classes, self.num_classes, folds, seed=0)


def _empty_linear(inputs: int, outputs: int) -> nn.Linear:
    """Make a layer of zeros, which draws nothing from torch's global random state."""
    made: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


@dataclass(frozen=True)
class EmbeddedBuilder:
    """The builder of an `EmbeddedHead` without circuits, as `HeadEntry.build` is called.

    Attributes:
        make: A function from the head's config and a generator of what is drawn to the embedding.
    """

    make: Callable[..., Embedding]

    def __call__(
        self,
        in_features: int,
        num_classes: int,
        config: EmbeddedConfig,
        *,
        backend: Executable | None = None,
        generator: torch.Generator | None = None,
    ) -> EmbeddedHead:
        """Build the head; the backend is not used."""
        made = self.make(config, seeded(generator))
        return EmbeddedHead(in_features, num_classes, config, made)
