"""A chain of Rydberg atoms whose detunings are features, evolved exactly.

The Hamiltonian over hbar, in radians per microsecond, is that of Bernien et al. (Nature 551 (2017)
579) with a detuning for each atom:

    H = Omega/2 sum_j X_j - sum_j Delta_j n_j + sum_(j<k) C6 / r_jk^6 n_j n_k

with n = (1 - Z)/2. As a reservoir (Kornjaca et al., arXiv:2407.02553) it evolves from all atoms in
the ground state, and `<Z_j>` and `<Z_j Z_k>` at several times are the features' embedding.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, field

import torch
from scipy.special import jv
from torch import Tensor

from hybridq.errors import InvalidValueError

C6 = 2 * math.pi * 862690.0
"""Van der Waals coefficient of rubidium's 70S states, in rad/us um^6."""
MAX_ATOMS = 12
TOLERANCE = 1e-13
"""What the terms of the series that are left out may weigh."""
MOST_TERMS = 1_000_000
"""About how many terms a series may have."""
CHUNK = 2**16
"""Amplitudes that are evolved at once."""


@dataclass(frozen=True)
class RydbergChain:
    """A chain of atoms with equal spacing.

    Attributes:
        num_atoms: The number of atoms, from 1 to 12.
        spacing: The distance of neighbours in micrometres.
        rabi: The Rabi frequency Omega in radians per microsecond.
        times: When the atoms are read, in microseconds, growing.
        c6: The van der Waals coefficient, in radians per microsecond times micrometres to the 6th.
    """

    num_atoms: int
    spacing: float = 10.0
    rabi: float = 2 * math.pi
    times: tuple[float, ...] = field(default=tuple(0.5 * k for k in range(1, 9)))
    c6: float = C6

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            InvalidValueError: If a number is out of range, or times do not grow.
        """
        if not 1 <= self.num_atoms <= MAX_ATOMS:
            raise InvalidValueError(
                f"Expected from 1 to {MAX_ATOMS} atoms, got {self.num_atoms}: change it."
            )
        if not (0 < self.spacing < math.inf and abs(self.rabi) < math.inf > abs(self.c6)):
            raise InvalidValueError(
                "Expected a spacing above 0, and a finite Rabi frequency and C6, got "
                f"{self.spacing}, {self.rabi} and {self.c6}: correct them."
            )
        steps = [b - a for a, b in zip((0.0, *self.times), self.times, strict=False)]
        if not steps or not all(0 < step < math.inf for step in steps):
            raise InvalidValueError(
                f"Expected times above 0 that grow, got {self.times}: correct them."
            )

    @property
    def num_readouts(self) -> int:
        """The length of an embedding: `<Z_j>` and `<Z_j Z_k>` at every time."""
        return len(self.times) * (self.num_atoms * (self.num_atoms + 1) // 2)

    def interactions(self) -> Tensor:
        """Compute the energy of the interactions in every basis state, `(2**n,)`, double.

        Atom 0 is the lowest bit, and a bit of 1 a Rydberg atom.
        """
        excited = occupations(self.num_atoms)
        total = torch.zeros(2**self.num_atoms, dtype=torch.float64)
        for j in range(self.num_atoms):
            for k in range(j):
                total += self.interaction(j - k) * excited[j] * excited[k]
        return total

    def interaction(self, places: int) -> float:
        """Compute the interaction of two atoms so many places apart, in radians per us."""
        return self.c6 / (self.spacing * places) ** 6


def occupations(num_atoms: int) -> Tensor:
    """List the bits of every basis state, `(num_atoms, 2**num_atoms)`, double."""
    states = torch.arange(2**num_atoms)
    return torch.stack([(states >> atom & 1).double() for atom in range(num_atoms)])


def evolve(chain: RydbergChain, detunings: Tensor) -> Tensor:
    """Evolve all atoms from the ground state, for every row of detunings.

    The evolution from one time to the next is a Chebyshev series of the Hamiltonian (Tal-Ezer &
    Kosloff, J. Chem. Phys. 81 (1984) 3967), with as many terms as double precision needs.

    Args:
        chain: The atoms.
        detunings: In radians per microsecond, `(rows, num_atoms)`, double.

    Returns:
        The states at every time, `(times, rows, 2**n)`, complex.

    Raises:
        InvalidValueError: If there is not one finite detuning for each atom.
    """
    if detunings.ndim != 2 or detunings.shape[1] != chain.num_atoms:
        raise InvalidValueError(
            f"Expected detunings of {chain.num_atoms} atoms, got shape {tuple(detunings.shape)}: "
            "give one for each."
        )
    if not torch.isfinite(detunings).all():
        raise InvalidValueError("Expected finite detunings, got others: correct them.")
    size = 2**chain.num_atoms
    if not len(detunings):
        return torch.zeros(len(chain.times), 0, size, dtype=torch.complex128)
    parts = torch.split(detunings, max(1, CHUNK // size))
    return torch.cat([_evolved(chain, part.double()) for part in parts], dim=1)


def _evolved(chain: RydbergChain, detunings: Tensor) -> Tensor:
    """Evolve a batch; states are held as `(2**n, rows)`."""
    energies = chain.interactions()[:, None] - (detunings @ occupations(chain.num_atoms)).T
    reach = abs(chain.rabi) / 2 * chain.num_atoms
    low, high = float(energies.min()) - reach, float(energies.max()) + reach
    middle, radius = (high + low) / 2, max((high - low) / 2, 1e-12)
    scaled = _Scaled((energies - middle) / radius, chain.rabi / (2 * radius), chain.num_atoms)
    states = torch.zeros(energies.shape, dtype=torch.complex128)
    states[0] = 1
    found, now = [], 0.0
    longest = max(b - a for a, b in zip((0.0, *chain.times), chain.times, strict=False))
    if radius * longest > MOST_TERMS:
        raise InvalidValueError(
            f"Expected energies that turn phases by at most {MOST_TERMS} radians between two "
            f"times, got {radius * longest:.3g}: widen the spacing, or read more often."
        )
    for time in chain.times:
        states = _series(scaled, states, radius * (time - now))
        states = states * cmath.exp(-1j * middle * (time - now))
        found.append(states.T)
        now = time
    return torch.stack(found)


class _Scaled:
    """The Hamiltonian of a batch, brought to the interval from -1 to 1.

    It is real, so that it is applied to real and imaginary parts alike. The sum of all X is a sum
    of two over the upper and the lower half of the atoms, each a product with a small matrix.
    """

    def __init__(self, diagonal: Tensor, half: float, num_atoms: int) -> None:
        self._diagonal = diagonal.contiguous()[..., None]
        lower = num_atoms // 2
        self._upper, self._lower = (half * _flips(one) for one in (num_atoms - lower, lower))

    def __call__(self, states: Tensor) -> Tensor:
        """Apply it to parts of states, `(2**n, rows, 2)`."""
        result = self._diagonal * states
        upper, lower = len(self._upper), len(self._lower)
        result += (self._upper @ states.view(upper, -1)).view_as(result)
        result += (self._lower @ states.view(upper, lower, -1)).view_as(result)
        return result


def _flips(num_atoms: int) -> Tensor:
    """Make the matrix of the sum of X over atoms, `(2**n, 2**n)`, double."""
    states = torch.arange(2**num_atoms)
    found = torch.zeros(len(states), len(states), dtype=torch.float64)
    for atom in range(num_atoms):
        found[states, states ^ (1 << atom)] = 1
    return found


def _series(scaled: _Scaled, states: Tensor, angle: float) -> Tensor:
    """Compute `exp(-i angle H)` of states by Chebyshev polynomials of H with norm 1 at most."""
    weights = _weights(angle)
    before = torch.view_as_real(states)
    last = scaled(before)
    total = weights[0] * states - 2j * weights[1] * torch.view_as_complex(last)
    factor = -1j
    for weight in weights[2:]:
        before, last = last, 2 * scaled(last) - before
        factor *= -1j
        total += 2 * factor * weight * torch.view_as_complex(last)
    return total


def _weights(angle: float) -> list[float]:
    """List the Bessel functions of the angle until they are negligible, at least two."""
    count = int(abs(angle)) + 20
    while abs(jv(count, angle)) > TOLERANCE:
        count += 10
    return [float(jv(k, angle)) for k in range(max(2, count + 1))]


def readouts(states: Tensor) -> Tensor:
    """Compute `<Z_j>` of every atom and then `<Z_j Z_k>` of every pair j < k, at every time.

    Args:
        states: As `evolve` returns them, `(times, rows, 2**n)`.

    Returns:
        `(rows, times * n (n + 1) / 2)`, double, time after time.
    """
    num_atoms = states.shape[-1].bit_length() - 1
    signs = 1 - 2 * occupations(num_atoms)
    pairs = [signs[j] * signs[k] for j in range(num_atoms) for k in range(j + 1, num_atoms)]
    table = torch.stack([*signs, *pairs])
    chances = states.real.square() + states.imag.square()
    return (chances @ table.T).transpose(0, 1).flatten(1)


def embed(chain: RydbergChain, detunings: Tensor) -> Tensor:
    """Compute the embedding of every row of detunings, `(rows, chain.num_readouts)`.

    Rows are taken in parts, whose states alone are held.
    """
    parts = torch.split(detunings, max(1, CHUNK // 2**chain.num_atoms))
    return torch.cat([readouts(evolve(chain, part)) for part in parts])
