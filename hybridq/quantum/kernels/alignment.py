"""How well kernels fit labels, and the combination that fits best.

Centred alignment and `alignf` are those of Cortes, Mohri & Rostamizadeh, "Algorithms for Learning
Kernels Based on Centered Alignment", JMLR 13 (2012) 795, eqs. 5 and 13.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hybridq.errors import InvalidValueError

Floats = NDArray[np.float64]


def target_gram(labels: NDArray[np.int64], num_classes: int) -> Floats:
    """Compute the Gram matrix of labels: 1 where two are equal, else 0.

    Of two classes it is, once centred, half of `y y^T` with y of -1 and 1.
    """
    rows = np.eye(num_classes)[labels]
    found: Floats = rows @ rows.T
    return found


def centred(gram: Floats) -> Floats:
    """Subtract the means of rows and columns: the Gram matrix of features of mean 0."""
    means = gram.mean(axis=0)
    found: Floats = gram - means[None] - gram.mean(axis=1)[:, None] + means.mean()
    return found


def centred_alignment(a: Floats, b: Floats) -> float:
    """Compute the cosine of two centred Gram matrices; 0 where one of them is constant."""
    first, second = centred(a), centred(b)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norms if norms > 0 else 0.0


def aligned_weights(grams: Sequence[Floats], target: Floats) -> Floats:
    """Compute the weights, at least 0, of the sum of kernels that is best aligned.

    They are `argmin_(v >= 0) v^T M v - 2 v^T a` with `M_kl = <K_k, K_l>` and `a_k = <K_k, target>`
    of centred matrices (eq. 13), brought to the sum 1. The minimum is that of
    `|sum_k v_k K_k - target|`, so that a kernel which is there twice changes the sum by nothing.

    Args:
        grams: Gram matrices of the training set, `(n, n)` each.
        target: That of the labels, `(n, n)`.

    Returns:
        Weights `(kernels,)`; all equal where no kernel is aligned at all.

    Raises:
        InvalidValueError: If there is no kernel.
    """
    if not grams:
        raise InvalidValueError("Expected kernels to combine, got none: name at least one.")
    flat = np.stack([centred(one).ravel() for one in grams])
    wanted = centred(target).ravel()
    products, onto = flat @ flat.T, flat @ wanted
    values, vectors = np.linalg.eigh(products)
    kept = values > values[-1] * 1e-13 if values[-1] > 0 else np.zeros(len(values), dtype=bool)
    roots = np.sqrt(values[kept])
    factor = roots[:, None] * vectors[:, kept].T  # factor^T factor = M
    goal = (vectors[:, kept].T @ onto) / roots
    weights: Floats = nnls(factor, goal)[0] if kept.any() else np.zeros(len(grams))
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(grams), 1 / len(grams))
