"""What a Gram matrix says before anything is trained: concentration, and geometric difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import InvalidValueError

Floats = NDArray[np.float64]

ALARM = 4.0
"""How many times the values of Haar-random states mean and spread may be before it is quiet."""
LARGE = 0.2
"""Mean fidelity above which a Gram matrix is far from the identity."""


@dataclass(frozen=True)
class Concentration:
    """Whether the states of a kernel are as far from one another as random ones.

    Attributes:
        mean: Mean of the fidelities off the diagonal.
        variance: Their variance.
        haar_mean: That mean of Haar-random states of as many qubits, 2^-n.
        haar_variance: That variance, (2^n - 1) / (2^2n (2^n + 1)).
    """

    mean: float
    variance: float
    haar_mean: float
    haar_variance: float

    @property
    def is_concentrated(self) -> bool:
        """Whether mean and spread are both within `ALARM` times those of random states.

        Such a Gram matrix is nearly the identity: what a machine learns from it is each row by
        itself, and on a device the entries drown in the noise of the shots. Random states of one
        or two qubits overlap by more than `LARGE`, so that there is no alarm.
        """
        spread, haar = self.variance**0.5, self.haar_variance**0.5
        near = self.mean <= ALARM * self.haar_mean and spread <= ALARM * haar
        return near and self.mean <= LARGE


def concentration(gram: Floats, num_qubits: int) -> Concentration:
    """Compare the fidelities of a Gram matrix with those of random states.

    Args:
        gram: Fidelities of all pairs of at least two rows, `(n, n)`.
        num_qubits: The number of qubits of the states.

    Raises:
        InvalidValueError: If there are fewer than two rows.
    """
    if len(gram) < 2:
        raise InvalidValueError(
            f"Expected a Gram matrix of at least two rows, got {len(gram)}: give more rows."
        )
    off = gram[~np.eye(len(gram), dtype=bool)]
    size = 2.0**num_qubits
    variance = (size - 1) / (size**2 * (size + 1))
    return Concentration(float(off.mean()), float(off.var()), 1 / size, variance)


def geometric_difference(classical: Floats, quantum: Floats, *, ridge: float = 1e-3) -> float:
    """Compute the geometric difference of a quantum kernel from a classical one.

    It is `g = sqrt(|sqrt(K_Q) (K_C + ridge I)^-1 sqrt(K_Q)|)` with the spectral norm, of Gram
    matrices whose trace is their number of rows (Huang et al. 2021, Nat. Commun. 12:2631, eq. 5;
    with the ridge, their supplementary eq. F19 without its second factor). Where it is small
    against the square root of the number of rows, no labels are learnt from fewer samples by the
    quantum kernel than by the classical one.

    Args:
        classical: A classical Gram matrix `(n, n)`.
        quantum: A quantum Gram matrix `(n, n)`.
        ridge: What is added to the diagonal of the classical one, above 0.
    """
    count = len(quantum)
    first, second = (one * count / np.trace(one) for one in (classical, quantum))
    values, vectors = np.linalg.eigh(second)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = root @ np.linalg.solve(first + ridge * np.eye(count), root)
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh((inner + inner.T) / 2)[-1])))


def nearest_psd(gram: Floats) -> tuple[Floats, float]:
    """Set the negative eigenvalues of a symmetric matrix to 0.

    Returns:
        The nearest positive semidefinite matrix in the Frobenius norm, and the least eigenvalue
        that was there.
    """
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    found: Floats = (vectors * values.clip(0)) @ vectors.T
    return found, float(values[0])
