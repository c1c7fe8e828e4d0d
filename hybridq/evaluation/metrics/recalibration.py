"""Probabilities that are set right on validation images, without changing what they rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from hybridq.errors import InvalidValueError
from hybridq.evaluation.metrics.calibration import SMALLEST, logits_of
from hybridq.utils.text import listed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["none", "temperature", "platt", "prior"]

LEAST_SCALE = 1e-3
"""The smallest factor of the logits; above 0, so that the order of the images stays."""


@dataclass(frozen=True)
class Recalibration:
    """A change of probabilities: logits times a factor, plus an offset for each class.

    `temperature` has the factor alone, the inverse of the temperature (Guo et al.,
    arXiv:1706.04599, section 4.2); `prior` has the offsets alone, as another share of the classes
    changes the odds; `platt` has both, which for two classes is Platt's logistic curve (Platt,
    Advances in Large Margin Classifiers (1999), page 61).

    Attributes:
        method: What was fitted.
        scale: The factor.
        offsets: One for each class or label.
        several: Whether an image can have several labels.
    """

    method: Method
    scale: float
    offsets: tuple[float, ...]
    several: bool

    def __call__(self, probs: Floats) -> Floats:
        """Change probabilities `(count, num_classes)`."""
        values = self.scale * _logits(probs, several=self.several) + np.asarray(self.offsets)
        changed: Floats = expit(values) if self.several else softmax(values, axis=1)
        return changed

    def threshold(self, threshold: float, positive: int | None) -> float:
        """Where a threshold on the positive class, one of two, comes to lie: decisions stay.

        Args:
            threshold: The threshold on the probabilities as they were.
            positive: The class; None leaves the threshold as it is.
        """
        if positive is None:
            return threshold
        pair = np.full((1, 2), 1 - threshold)
        pair[0, positive] = threshold
        return float(self(pair)[0, positive])

    @property
    def parameters(self) -> dict[str, Any]:
        """What was fitted, for the record."""
        return {"scale": self.scale, "offsets": list(self.offsets)}


def fit_recalibration(
    method: Method, labels: Ints, probs: Floats, class_names: Sequence[str]
) -> Recalibration:
    """Fit a change of probabilities by maximum likelihood on validation images.

    The outcomes are drawn in from 0 and 1 as by Platt (1999), equation 6, so that classes that do
    not overlap give a finite factor.

    Args:
        method: Which.
        labels: `(count,)` classes, or `(count, num_classes)` of 0 and 1 for several labels.
        probs: `(count, num_classes)`.
        class_names: Names of the classes, for the message.

    Raises:
        InvalidValueError: If a class has no image to fit its offset by.
    """
    several, classes = labels.ndim == 2, probs.shape[1]
    hot = labels == 1 if several else labels[:, None] == np.arange(classes)
    lacking = [name for name, own in zip(class_names, hot.T, strict=True) if not own.any()]
    if method in ("platt", "prior") and lacking:
        raise InvalidValueError(
            f"Expected validation images of every class to fit --recalibration {method}, got none "
            f"of {listed(lacking)}: take temperature, or other data."
        )
    logits, targets = _logits(probs, several=several), _targets(hot, several=several)
    has_scale, has_offsets = method in ("temperature", "platt"), method in ("platt", "prior")
    free = classes if several else classes - 1  # a common offset of all classes changes nothing

    def unpack(values: Floats) -> tuple[float, Floats]:
        offsets = np.zeros(classes)
        if has_offsets:
            offsets[:free] = values[-free:]
        return float(values[0]) if has_scale else 1.0, offsets

    def loss(values: Floats) -> tuple[float, Floats]:
        scale, offsets = unpack(values)
        now = scale * logits + offsets
        if several:
            terms = targets * np.logaddexp(0, -now) + (1 - targets) * np.logaddexp(0, now)
            rest = expit(now) - targets
        else:
            terms, rest = -targets * log_softmax(now, axis=1), softmax(now, axis=1) - targets
        slope = [np.sum(rest * logits)] if has_scale else []
        return float(terms.sum()), np.array([*slope, *(rest.sum(axis=0)[:free] * has_offsets)])

    start = np.array([1.0] * has_scale + [0.0] * free)
    bounds = [(LEAST_SCALE, None)] * has_scale + [(None, None)] * free
    found = minimize(loss, start, jac=True, bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9})
    scale, offsets = unpack(np.asarray(found.x))
    offsets = offsets if several else offsets - offsets.mean()
    return Recalibration(method, scale, tuple(map(float, offsets)), several)


def _logits(probs: Floats, *, several: bool) -> Floats:
    if several:
        return logits_of(probs)
    logs: Floats = np.log(np.clip(probs, SMALLEST, 1.0))
    return logs


def _targets(hot: NDArray[np.bool_], *, several: bool) -> Floats:
    """Outcomes `(count, classes)`, as near to 0 and 1 as the numbers of images allow."""
    own = hot.sum(axis=0)
    if several:
        rest = len(hot) - own
        targets: Floats = np.where(hot, (own + 1) / (own + 2), 1 / (rest + 2))
        return targets
    classes = hot.shape[1]
    count = own[hot.argmax(axis=1)][:, None]
    drawn_in: Floats = np.where(hot, count + 1, 1) / (count + classes)
    return drawn_in
