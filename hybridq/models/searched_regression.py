"""Penalised logistic regression whose penalty is chosen by cross-validation on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to fit to, and rows to judge on."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of scikit-learn's C that are tried."""

FOLDS = 5
"""Most parts that labelled images are cut into."""
BELOW = 5.0
"""How far the logit of a class without labelled images is below the lowest of the others."""
NEWTON = 300
"""Up to this many weights Newton's method is used, which ends nearer to the optimum than L-BFGS."""


def mean_and_scale(inputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute what standardises each column of `(count, inputs)`; a steady one is only centred."""
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)
    return mean, np.where(std > 1e-5 * np.abs(mean), std, 1.0)


def logistic_regression(penalty: float, *, several: bool, newton: bool = False) -> Any:
    """A logistic regression of scikit-learn with balanced classes, not fitted yet.

    Args:
        penalty: scikit-learn's C.
        several: whether an image can have several labels: one regression for each.
        newton: whether it is fitted by Newton's method, else by L-BFGS.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    how = {"solver": "newton-cholesky", "tol": 1e-8} if newton else {"solver": "lbfgs"}
    model = LogisticRegression(C=penalty, max_iter=2000, class_weight="balanced", **how)
    return OneVsRestClassifier(model) if several else model


def folds_of(
    labels: Ints, groups: NDArray[Any] | None = None, *, seed: int, most: int = FOLDS
) -> list[Fold]:
    """Cut labelled images into parts for cross-validation, stratified and by group.

    There are as many parts as the rarest class has images or groups, at least 2 and at most
    `most`. A class that is in one part only is missing where the rest is fitted.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1, whose combinations are strata.
        groups: `(images,)` patients or slides, whose images stay together.
        seed: Seed of the cut.
        most: Most parts.

    Returns:
        For each part the rows of all others, and its own; nothing where no class has two images.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    strata = np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    names = np.arange(len(labels)) if groups is None else groups
    rarest = min(len(np.unique(names[strata == one])) for one in np.unique(strata))
    count = min(most, max(2, rarest), len(np.unique(names)))
    if count < 2 or np.unique(strata, return_counts=True)[1].max() < count:
        return []  # an image of each class leaves none to fit
    cut = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    found = _quietly(cut, strata, names)
    return [(train, held) for train, held in found if len(train) and len(held)]


def drawn_by_class(
    labels: Ints, most: int, fewest: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draw about so many images, of each class its share and at least a few.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1, whose combinations are strata.
        most: About how many in all.
        fewest: How many of each stratum at least, where it has as many.
        rng: Source of the draw.

    Returns:
        Their rows, sorted; all where there are no more.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    strata = np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    parts = []
    for one in np.unique(strata):
        own = np.flatnonzero(strata == one)
        count = max(fewest, round(most * len(own) / len(labels)))
        parts.append(rng.permutation(own)[:count])
    return np.sort(np.concatenate(parts))


def _quietly(cut: Any, strata: Ints, names: NDArray[Any]) -> list[Fold]:
    """Cut without scikit-learn's warning that a class has fewer images than parts."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return list(cut.split(np.zeros(len(strata)), strata, names))


def balanced_log_loss(labels: Ints, probs: Floats) -> float:
    """Compute the mean over the classes of the mean of -log p of an image's own class.

    With several labels an image, each label counts as a question of its own.

    Args:
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        probs: `(images, classes)`; NaN rows are left out.
    """
    kept = np.isfinite(probs).all(axis=1)
    labels, probs = labels[kept], np.clip(probs[kept], 1e-7, 1 - 1e-7)
    if labels.ndim == 2:
        losses = np.where(labels == 1, -np.log(probs), -np.log(1 - probs))
        parts = [losses[:, k][labels[:, k] == v] for k in range(probs.shape[1]) for v in (0, 1)]
    else:
        own = -np.log(probs[np.arange(len(labels)), labels])
        parts = [own[labels == k] for k in np.unique(labels)]
    means = [float(part.mean()) for part in parts if len(part)]
    return float(np.mean(means)) if means else float("inf")


@dataclass(frozen=True)
class SearchedRegression:
    """A logistic regression, and how its penalty was chosen.

    Attributes:
        model: Scikit-learn's, on the coordinates of `axes`.
        axes: `(inputs, rank)`, the directions that the labelled images span.
        num_classes: Number of classes.
        penalty: Scikit-learn's C.
        held_out: `(images, classes)` probabilities of the labelled images, each from a fit without
            its part; NaN where there was none.
        losses: Balanced log loss of these for every penalty tried.
    """

    model: Any
    axes: Floats
    num_classes: int
    penalty: float
    held_out: Floats
    losses: tuple[float, ...]

    def probs(self, inputs: Floats) -> Floats:
        """Compute probabilities `(count, num_classes)` of inputs `(count, inputs)`."""
        return _probs(self.model, inputs @ self.axes, self.num_classes)

    def linear(self) -> tuple[Floats, Floats]:
        """Read the weights `(num_classes, inputs)` and the biases `(num_classes,)` of logits."""
        weight, bias = _weights(self.model, self.num_classes)
        return weight @ self.axes.T, bias


def searched_regression(
    inputs: Floats,
    labels: Ints,
    num_classes: int,
    folds: Sequence[Fold],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> SearchedRegression:
    """Fit a logistic regression with the penalty that has the lowest held-out log loss.

    A penalised regression lies in the span of the images it is fitted to, so that it is computed
    in at most as many coordinates as there are images, with the same result.

    Args:
        inputs: `(images, inputs)`, standardised.
        labels: `(images,)`, or `(images, classes)` of 0 and 1.
        num_classes: Number of classes.
        folds: What `folds_of` gives; without any the smallest C is taken.
        penalties: Values of scikit-learn's C, ascending; the smallest among equals is taken.
    """
    left, scale, right = np.linalg.svd(inputs, full_matrices=False)
    kept = scale > 1e-10 * max(scale[0], 1e-300)
    axes: Floats = right[kept].T
    points = left[:, kept] * scale[kept]
    several = labels.ndim == 2
    tried, losses = [], []
    for penalty in penalties:
        probs = np.full((len(labels), num_classes), np.nan)
        for train, held in folds:
            if several or len(np.unique(labels[train])) > 1:
                fitted = _fitted(penalty, points[train], labels[train])
                probs[held] = _probs(fitted, points[held], num_classes)
        tried.append(probs)
        losses.append(balanced_log_loss(labels, probs))
    best = int(np.argmin(np.round(losses, 9)))
    model = _fitted(penalties[best], points, labels)
    return SearchedRegression(model, axes, num_classes, penalties[best], tried[best], tuple(losses))


def _fitted(penalty: float, points: Floats, labels: Ints) -> Any:
    """Fit without warnings of a label that all images have, and of a fit that is cut short.

    Of many images L-BFGS ends before the optimum where the penalty is weak; such a fit is judged as
    it is.
    """
    import warnings

    from scipy.linalg import LinAlgWarning

    several = labels.ndim == 2
    outputs = 1 if several or (classes := len(np.unique(labels))) == 2 else classes
    newton = outputs * points.shape[1] <= NEWTON
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", LinAlgWarning)  # then scikit-learn takes L-BFGS
        return logistic_regression(penalty, several=several, newton=newton).fit(points, labels)


def _probs(model: Any, points: Floats, num_classes: int) -> Floats:
    """Put a model's probabilities in the columns of all classes; one it never saw has 0."""
    found = np.asarray(model.predict_proba(points), dtype=np.float64)
    if found.shape[1] == num_classes:
        return found
    probs = np.zeros((len(points), num_classes))
    probs[:, model.classes_] = found
    return probs


def _weights(model: Any, num_classes: int) -> tuple[Floats, Floats]:
    """Read weights and biases of all classes from a model of scikit-learn."""
    if hasattr(model, "estimators_"):  # one regression for each label
        one_each = [_weights_of_label(one, model) for one in model.estimators_]
        return np.stack([weight for weight, _ in one_each]), np.array([b for _, b in one_each])
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    every = np.zeros((num_classes, weight.shape[1])), np.full(num_classes, bias.min() - BELOW)
    every[0][model.classes_], every[1][model.classes_] = weight, bias
    return every


def _weights_of_label(one: Any, model: Any) -> tuple[Floats, float]:
    """Read those of one label; a label that all images have, or none, has no regression."""
    if hasattr(one, "coef_"):
        return one.coef_[0], float(one.intercept_[0])
    return np.zeros(model.n_features_in_), BELOW if bool(one.y_[0]) else -BELOW
