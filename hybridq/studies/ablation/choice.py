"""One setting for all arms and seeds together, so that none is tuned in its own favour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybridq.studies.ablation.grid import Inputs, Setting, settings_of

ValAuc = Mapping[int, Mapping[str, Sequence[float | None]]]
"""By seed and arm, the validation AUC in each setting; None is undefined."""


@dataclass(frozen=True)
class Choice:
    """What the search found on one kind of input at one fraction.

    Attributes:
        encoder: Kind of the encoder that makes the inputs; `none` for pixels.
        fraction: Of the labels.
        val_auc: Of each arm and seed in each of the settings.
        means: Over all arms and seeds, of each of them.
        chosen: Index of the setting with the best mean, the first among equals.
    """

    encoder: Inputs
    fraction: float
    val_auc: ValAuc
    means: tuple[float, ...]
    chosen: int

    @property
    def setting(self) -> Setting:
        """The one chosen."""
        return settings_of(self.encoder)[self.chosen]


def choose(encoder: Inputs, fraction: float, val_auc: ValAuc) -> Choice:
    """Choose the setting with the best mean validation AUC over all arms and seeds."""
    every = [values for arms in val_auc.values() for values in arms.values()]
    values = np.ma.masked_invalid(np.array(every, dtype=np.float64))
    means = values.mean(axis=0).filled(0.0)
    chosen = int(np.argmax(np.round(means, 12)))
    return Choice(encoder, fraction, val_auc, tuple(means.tolist()), chosen)
