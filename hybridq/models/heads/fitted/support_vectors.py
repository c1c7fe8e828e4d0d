"""Machines on Gram matrices, with settings and calibration from held-out parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from hybridq.models.searched_regression import balanced_log_loss, folds_of
from hybridq.quantum.kernels.alignment import aligned_weights, target_gram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Values of scikit-learn's C that are tried."""
ABSENT = 30.0
"""How far the logit of a class without labelled images is below 0."""
MachineKind: TypeAlias = Literal["svm", "ridge", "gp"]
"""A support vector machine, least squares, or the mode of a Gaussian process."""
NEWTON_STEPS = 50
"""Most steps to the mode of a Gaussian process."""
LARGE = 1e3
"""Penalty of the regression that turns decision values into probabilities: hardly any."""


@dataclass(frozen=True)
class Machine:
    """Fitted machines, one for each class, or one where there are two.

    Attributes:
        alpha: Coefficients of the rows, `(rows, machines)`.
        offset: What is added, `(machines,)`.
        slope: What decision values are multiplied by for a logit, `(machines,)`.
        shift: What is added then, `(machines,)`.
    """

    alpha: Floats
    offset: Floats
    slope: Floats
    shift: Floats

    def logits(self, kernel: Floats) -> Floats:
        """Compute the logits of rows whose kernel with the training rows is given."""
        found: Floats = self.slope * (kernel @ self.alpha + self.offset) + self.shift
        return found


@dataclass(frozen=True)
class Chosen:
    """A setting and what its held-out parts gave.

    Attributes:
        place: Place of the setting among the banks that were tried.
        penalty: Scikit-learn's C.
        slope: What decision values are multiplied by for a logit, `(machines,)`.
        shift: What is added then, `(machines,)`.
    """

    place: int
    penalty: float
    slope: Floats
    shift: Floats


def targets_of(labels: Ints, num_classes: int) -> Floats:
    """Signs `(rows, machines)` of each class against the others, or of the second of two."""
    signs: Floats = 2.0 * np.eye(num_classes)[labels] - 1
    return signs[:, 1:] if num_classes == 2 else signs


def combine(grams: Iterable[Floats], weights: Floats) -> Floats:
    """Compute the weighted sum of kernels, at least one, adding one at a time."""
    parts = iter(grams)
    found: Floats = weights[0] * next(parts)
    for weight, gram in zip(weights[1:], parts, strict=True):
        found += weight * gram
    return found


def fit_alpha(
    gram: Floats, signs: Floats, penalty: float, kind: MachineKind = "svm"
) -> tuple[Floats, Floats]:
    """Fit a machine to each column of signs; one with a single sign answers with that alone.

    Classes weigh the same in all of them.

    Args:
        gram: Gram matrix `(rows, rows)`.
        signs: `(rows, machines)` of -1 and 1.
        penalty: How much errors cost against the norm of the function, scikit-learn's C.
        kind: `svm`; `ridge`, least squares; or `gp`, a Gaussian process whose covariance is the
            kernel times the penalty.

    Returns:
        Coefficients of the rows `(rows, machines)`, and what is added `(machines,)`.
    """
    fit = {"svm": _support_vectors, "ridge": _least_squares, "gp": _gaussian_process}[kind]
    alpha, offset = np.zeros(signs.shape), np.zeros(signs.shape[1])
    for k, own in enumerate(signs.T):
        if len(np.unique(own)) < 2:
            offset[k] = own[0]
        else:
            alpha[:, k], offset[k] = fit(gram, own, penalty)
    return alpha, offset


def _support_vectors(gram: Floats, signs: Floats, penalty: float) -> tuple[Floats, float]:
    from sklearn.svm import SVC

    machine = SVC(C=penalty, kernel="precomputed", class_weight="balanced").fit(gram, signs)
    alpha = np.zeros(len(signs))
    alpha[machine.support_] = machine.dual_coef_[0]
    return alpha, float(machine.intercept_[0])


def _least_squares(gram: Floats, signs: Floats, penalty: float) -> tuple[Floats, float]:
    """Minimise `penalty sum_i w_i (y_i - f_i)^2 + |f|^2`, with f a function plus a constant.

    It is a weighted least-squares support vector machine (Suykens et al. 2002).
    """
    from sklearn.utils.class_weight import compute_sample_weight

    count = len(signs)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = gram + np.diag(
        1 / (penalty * compute_sample_weight("balanced", signs))
    )
    system[:count, count] = system[count, :count] = 1.0
    found = np.linalg.solve(system, np.append(signs, 0.0))
    return found[:count], float(found[count])


def _gaussian_process(gram: Floats, signs: Floats, penalty: float) -> tuple[Floats, float]:
    """Find the mode of a Gaussian process with a logistic likelihood, by Newton's method.

    It is algorithm 3.1 of Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006),
    with a likelihood that weighs classes the same.
    """
    from sklearn.utils.class_weight import compute_sample_weight

    covariance, weight = penalty * gram, compute_sample_weight("balanced", signs)
    values, alpha = np.zeros(len(signs)), np.zeros(len(signs))
    for _ in range(NEWTON_STEPS):
        chance = expit(values)
        curve = weight * chance * (1 - chance)
        root = np.sqrt(curve)
        pulled = curve * values + weight * ((signs + 1) / 2 - chance)
        inner = np.eye(len(signs)) + root[:, None] * covariance * root[None]
        alpha = pulled - root * np.linalg.solve(inner, root * (covariance @ pulled))
        before, values = values, covariance @ alpha
        if np.abs(values - before).max() < 1e-9 * max(1.0, np.abs(values).max()):
            break
    return penalty * alpha, 0.0


def fewer(
    gram: Floats, machine: Machine, labels: Ints, most: int
) -> tuple[NDArray[np.intp], Machine]:
    """Take fewer rows that decide, and make of them the decision values that are nearest.

    Of each class its share of the rows is kept, those of the largest coefficients. New
    coefficients, and what is added, fit the decision values of all rows by least squares.

    Args:
        gram: Gram matrix `(rows, rows)`.
        machine: What was fitted to it.
        labels: `(rows,)`.
        most: How many rows may decide.

    Returns:
        The rows that are kept, sorted, and a machine whose `alpha` is of them.
    """
    heavy = np.abs(machine.alpha).max(axis=1)
    deciding = np.flatnonzero(heavy)
    if len(deciding) <= most:
        return deciding, replace(machine, alpha=machine.alpha[deciding])
    order = deciding[np.argsort(-heavy[deciding], kind="stable")]
    ranks = np.empty(len(order))
    for one in np.unique(labels[order]):
        own = labels[order] == one
        ranks[own] = (np.arange(own.sum()) + 0.5) / own.sum()
    kept = np.sort(order[np.argsort(ranks, kind="stable")[:most]])
    wanted = gram @ machine.alpha
    columns = np.column_stack([gram[:, kept], np.ones(len(gram))])
    found: Floats = np.linalg.lstsq(columns, wanted, rcond=1e-4)[0].astype(np.float64)
    return kept, replace(machine, alpha=found[:-1], offset=machine.offset + found[-1])


def choose(
    banks: Sequence[Sequence[Floats]],
    labels: Ints,
    num_classes: int,
    *,
    seed: int,
    kind: MachineKind = "svm",
) -> Chosen:
    """Choose among banks of Gram matrices, and the penalty, by log loss on held-out parts.

    Weights of kernels and machines are fitted without the part that is judged. Decision values
    become probabilities by one regression on all held-out ones.

    Args:
        banks: For every setting the Gram matrix of each kernel, `(rows, rows)`.
        labels: `(rows,)`.
        num_classes: The number of classes.
        seed: Seed of the cut.
        kind: What is fitted, as in `fit_alpha`.
    """
    signs, folds = targets_of(labels, num_classes), folds_of(labels, seed=seed)
    machines = signs.shape[1]
    best, least = Chosen(0, 1.0, np.ones(machines), np.zeros(machines)), np.inf
    for place, grams in enumerate(banks):
        held_out = {penalty: np.full(signs.shape, np.nan) for penalty in PENALTIES}
        for kept, held in folds:
            own = [one[np.ix_(kept, kept)] for one in grams]
            weights = aligned_weights(own, target_gram(labels[kept], num_classes))
            gram, across = (
                combine(own, weights),
                combine([one[np.ix_(held, kept)] for one in grams], weights),
            )
            for penalty, found in held_out.items():
                alpha, offset = fit_alpha(gram, signs[kept], penalty, kind)
                found[held] = across @ alpha + offset
        for penalty, found in held_out.items():
            slope, shift = calibrate(found, signs)
            loss = balanced_log_loss(labels, probabilities(slope * found + shift))
            if loss < least:
                best, least = Chosen(place, penalty, slope, shift), loss
    return best


def calibrate(decisions: Floats, signs: Floats) -> tuple[Floats, Floats]:
    """Fit Platt's slope and shift of each machine to held-out decision values.

    Both classes weigh the same, as everywhere here. A slope that would turn the order of images
    round is not taken: without held-out values, or with such a slope, it is 1 and the shift 0. A
    class of no image is put `ABSENT` below 0.
    """
    from sklearn.linear_model import LogisticRegression

    slope, shift = np.ones(signs.shape[1]), np.zeros(signs.shape[1])
    known = np.isfinite(decisions).all(axis=1)
    for k in range(signs.shape[1]):
        if (signs[:, k] < 0).all() and signs.shape[1] > 1:
            shift[k] = -ABSENT
        own = signs[known, k]
        if len(np.unique(own)) < 2:
            continue
        model = LogisticRegression(C=LARGE, class_weight="balanced")
        model.fit(decisions[known, k : k + 1], own)
        if model.coef_[0, 0] > 0:
            slope[k], shift[k] = model.coef_[0, 0], model.intercept_[0]
    return slope, shift


def probabilities(logits: Floats) -> Floats:
    """Turn logits of the machines, `(rows, machines)`, into probabilities of the classes."""
    if logits.shape[1] == 1:
        return np.hstack([expit(-logits), expit(logits)])
    found: Floats = softmax(logits, axis=1)
    return found


def fit_machine(
    gram: Floats, labels: Ints, num_classes: int, chosen: Chosen, kind: MachineKind = "svm"
) -> Machine:
    """Fit the machines of all classes, calibrated by held-out decision values.

    Args:
        gram: Gram matrix `(rows, rows)`.
        labels: `(rows,)`.
        num_classes: The number of classes.
        chosen: What `choose` gave, for these rows or for some of them.
        kind: What is fitted, as in `fit_alpha`.
    """
    signs = targets_of(labels, num_classes)
    alpha, offset = fit_alpha(gram, signs, chosen.penalty, kind)
    return Machine(alpha, offset, chosen.slope, chosen.shift)
