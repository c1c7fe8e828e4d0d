"""How many directions a table of numbers has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_of(values: NDArray[np.floating[Any]]) -> float:
    """Count directions by their singular values: exp of the entropy of their shares.

    Roy & Vetterli, EUSIPCO 2007: the number of values where all are equal, 1 where only one is
    not 0, and 0 where all are 0.

    Args:
        values: Singular values, none below 0.
    """
    values = values[values > 0]
    if not len(values):
        return 0.0
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def rank_me(features: NDArray[np.floating[Any]]) -> float:
    """Compute RankMe of features `(images, features)`, without centring them.

    Garrido et al., arXiv:2210.02885, equation 1: from 1, where all features are multiples of one
    vector, to the smaller of their number and their length; 0 where all are 0.
    """
    return rank_of(np.linalg.svd(features.astype(np.float64), compute_uv=False))
