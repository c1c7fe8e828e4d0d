"""Readouts of fixed embeddings: what turns their standardised values into logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridq.models.heads.fitted.support_vectors import calibrate, probabilities, targets_of
from hybridq.models.searched_regression import (
    Fold,
    balanced_log_loss,
    searched_regression,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Readout: TypeAlias = Literal["logistic", "ridge", "mlp"]
"""Regressions on one layer of weights, or a network of one hidden layer."""

HIDDEN = 32
"""Units of the hidden layer of `mlp`."""
RIDGES = (1000.0, 100.0, 10.0, 1.0, 1e-1, 1e-2)
"""Penalties of `ridge` that are tried; of equal ones the strongest is taken."""
DECAYS = (1.0, 1e-1, 1e-2)
"""Penalties of `mlp` that are tried, scikit-learn's alpha; of equal ones the strongest is taken."""
ITERATIONS = 100
"""Iterations of L-BFGS of `mlp`."""


@dataclass(frozen=True)
class Fitted:
    """Layers of a readout, and what held-out parts of its rows lost.

    Attributes:
        layers: Weights `(outputs, inputs)` and biases `(outputs,)` of each, between which values
            below 0 become 0.
        loss: Balanced log loss of held-out parts; infinite without any.
    """

    layers: list[tuple[Floats, Floats]]
    loss: float


def fit_readout(
    kind: Readout,
    inputs: Floats,
    labels: Ints,
    num_classes: int,
    folds: Sequence[Fold],
    *,
    seed: int,
) -> Fitted:
    """Fit a readout whose penalty has the least log loss on held-out parts.

    Args:
        kind: `logistic`, `ridge` (squared error of classes as -1 and 1, then Platt's calibration),
            or `mlp`.
        inputs: Standardised, `(rows, inputs)`.
        labels: `(rows,)`.
        num_classes: The number of classes.
        folds: What `folds_of` gives.
        seed: Seed of the network's first weights.
    """
    if len(np.unique(labels)) < 2 or not inputs.any():
        return _constant(kind, inputs.shape[1], np.unique(labels), num_classes)
    fit: Callable[..., Fitted] = {"logistic": _logistic, "ridge": _ridge, "mlp": _mlp}[kind]
    return fit(inputs, labels, num_classes, folds, seed)


def widths_of(kind: Readout, inputs: int, num_classes: int) -> list[tuple[int, int]]:
    """List the inputs and outputs of the layers of a readout."""
    if kind == "mlp":
        return [(inputs, HIDDEN), (HIDDEN, num_classes)]
    return [(inputs, num_classes)]


def _constant(kind: Readout, inputs: int, present: Ints, num_classes: int) -> Fitted:
    """Make a readout that answers with the classes that there are, all alike."""
    layers = [
        (np.zeros((outputs, width)), np.zeros(outputs))
        for width, outputs in widths_of(kind, inputs, num_classes)
    ]
    layers[-1][1][present] = 5.0
    return Fitted(layers, np.inf)


def _logistic(
    inputs: Floats, labels: Ints, num_classes: int, folds: Sequence[Fold], seed: int
) -> Fitted:
    found = searched_regression(inputs, labels, num_classes, folds)
    return Fitted([found.linear()], min(found.losses))


def _ridge(
    inputs: Floats, labels: Ints, num_classes: int, folds: Sequence[Fold], seed: int
) -> Fitted:
    """Fit signs of the classes by least squares, in which all classes weigh the same."""
    from sklearn.linear_model import Ridge
    from sklearn.utils.class_weight import compute_sample_weight

    signs = targets_of(labels, num_classes)
    weights = compute_sample_weight("balanced", labels)

    def fitted(penalty: float, rows: Ints | slice) -> Any:
        return Ridge(alpha=penalty).fit(inputs[rows], signs[rows], sample_weight=weights[rows])

    def decided(model: Any, rows: Ints | slice) -> Floats:
        values: Floats = np.asarray(model.predict(inputs[rows])).reshape(-1, signs.shape[1])
        return values

    tried = []
    for penalty in RIDGES:
        held_out = np.full(signs.shape, np.nan)
        for kept, held in folds:
            held_out[held] = decided(fitted(penalty, kept), held)
        slope, shift = calibrate(held_out, signs)
        loss = balanced_log_loss(labels, probabilities(slope * held_out + shift))
        tried.append((loss, penalty, slope, shift))
    loss, penalty, slope, shift = min(tried, key=lambda one: round(one[0], 9))
    model = fitted(penalty, slice(None))
    weight = slope[:, None] * np.reshape(model.coef_, (signs.shape[1], -1))
    bias = slope * np.reshape(model.intercept_, -1) + shift
    if num_classes == 2:
        weight = np.concatenate([np.zeros_like(weight), weight])
        bias = np.concatenate([np.zeros_like(bias), bias])
    return Fitted([(weight, bias)], loss)


def _mlp(
    inputs: Floats, labels: Ints, num_classes: int, folds: Sequence[Fold], seed: int
) -> Fitted:
    losses = []
    for decay in DECAYS:
        probs = np.full((len(labels), num_classes), np.nan)
        for kept, held in folds:
            if len(np.unique(labels[kept])) < 2:
                continue
            model = _network(inputs[kept], labels[kept], decay, seed)
            probs[held] = 0.0
            probs[np.ix_(held, model.classes_)] = model.predict_proba(inputs[held])
        losses.append(balanced_log_loss(labels, probs))
    model = _network(inputs, labels, DECAYS[int(np.argmin(np.round(losses, 9)))], seed)
    (first, last), (first_bias, last_bias) = model.coefs_, model.intercepts_
    if last.shape[1] == 1:  # of two classes scikit-learn keeps the logit of the second
        last = np.concatenate([np.zeros_like(last), last], axis=1)
        last_bias = np.concatenate([np.zeros_like(last_bias), last_bias])
    weight = np.zeros((num_classes, HIDDEN))
    bias = np.full(num_classes, float(last_bias.min()) - 5.0)
    weight[model.classes_], bias[model.classes_] = last.T, last_bias
    return Fitted([(first.T, first_bias), (weight, bias)], min(losses))


def _network(inputs: Floats, labels: Ints, decay: float, seed: int) -> Any:
    """Fit a network of one hidden layer by L-BFGS; one that is cut short is taken as it is."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.class_weight import compute_sample_weight

    model = MLPClassifier(
        (HIDDEN,), solver="lbfgs", alpha=decay, max_iter=ITERATIONS, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(inputs, labels, sample_weight=compute_sample_weight("balanced", labels))
