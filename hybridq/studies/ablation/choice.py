"""One setting for all arms and seeds together, so that none is tuned in its own favour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from hybridq.studies.ablation.grid import Penalty, Setting

SettingT = TypeVar("SettingT", Setting, Penalty)
ValAuc = Mapping[int, Mapping[str, Sequence[float | None]]]
"""By seed and arm, the validation AUC in each setting; None is undefined."""


@dataclass(frozen=True)
class Choice(Generic[SettingT]):
    """What the search found on one kind of input at one fraction.

    Attributes:
        encoder: Kind of the encoder that makes the inputs; `none` for pixels.
        fraction: Of the labels.
        settings: Those tried.
        val_auc: Of each arm and seed in each of them.
        means: Over all arms and seeds, of each of them.
        chosen: Index of the setting with the best mean, the first among equals.
    """

    encoder: str
    fraction: float
    settings: Sequence[SettingT]
    val_auc: ValAuc
    means: tuple[float, ...]
    chosen: int

    @property
    def setting(self) -> SettingT:
        """The one chosen."""
        return self.settings[self.chosen]


def choose(
    encoder: str, fraction: float, settings: Sequence[SettingT], val_auc: ValAuc
) -> Choice[SettingT]:
    """Choose the setting with the best mean validation AUC over all arms and seeds."""
    every = [values for arms in val_auc.values() for values in arms.values()]
    values = np.ma.masked_invalid(np.array(every, dtype=np.float64))
    means = values.mean(axis=0).filled(0.0)
    chosen = int(np.argmax(np.round(means, 12)))
    return Choice(encoder, fraction, settings, val_auc, tuple(means.tolist()), chosen)
