"""The Rydberg reservoir against closed forms and a dense exponential."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import SparsePauliOp
from scipy.linalg import expm

from hybridq.errors import InvalidValueError
from hybridq.quantum.reservoir.rydberg import RydbergChain, embed, evolve, readouts

OMEGA = 2 * math.pi


def zeros(rows, atoms):
    return torch.zeros(rows, atoms, dtype=torch.float64)


def hamiltonian(chain, detunings):
    """The Hamiltonian as a matrix, from Pauli operators."""
    n = chain.num_atoms
    terms = [("X", [j], chain.rabi / 2) for j in range(n)]
    for j, delta in enumerate(detunings):  # -delta (1 - Z)/2
        terms += [("I", [j], -delta / 2), ("Z", [j], delta / 2)]
    for j in range(n):
        for k in range(j):
            v = chain.c6 / (chain.spacing * (j - k)) ** 6 / 4
            terms += [("I", [j], v), ("Z", [j], -v), ("Z", [k], -v), ("ZZ", [j, k], v)]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=n).to_matrix()


@pytest.mark.parametrize("atoms", [1, 3, 5])
def test_the_evolution_is_that_of_a_dense_exponential(atoms):
    chain = RydbergChain(atoms, times=(0.3, 0.5, 2.0))
    detunings = torch.from_numpy(np.random.default_rng(0).uniform(-6, 6, (2, atoms)))
    found = evolve(chain, detunings).numpy()
    for row, own in enumerate(detunings.numpy()):
        matrix = hamiltonian(chain, own)
        for place, time in enumerate(chain.times):
            wanted = expm(-1j * time * matrix)[:, 0]
            np.testing.assert_allclose(found[place, row], wanted, atol=1e-10)


def test_norms_stay_one():
    states = evolve(RydbergChain(8), 6 * torch.rand(3, 8, dtype=torch.float64))
    norms = states.abs().square().sum(-1)
    np.testing.assert_allclose(norms, 1, atol=1e-10)


def test_rabi_oscillations():
    """Far apart and on resonance each atom has <Z>(t) = cos(Omega t)."""
    chain = RydbergChain(3, spacing=1e4, rabi=OMEGA)
    found = readouts(evolve(chain, zeros(1, 3)))[0].reshape(8, 6)
    for time, row in zip(chain.times, found, strict=True):
        np.testing.assert_allclose(row[:3], math.cos(OMEGA * time), atol=1e-9)
        np.testing.assert_allclose(row[3:], math.cos(OMEGA * time) ** 2, atol=1e-9)


@pytest.mark.parametrize("delta", [-5.0, 0.5, 9.0])
def test_detuned_rabi_oscillations(delta):
    chain = RydbergChain(1, times=(0.11, 0.7, 3.0))
    found = embed(chain, torch.tensor([[delta]], dtype=torch.float64))[0]
    total = math.hypot(OMEGA, delta)
    for time, z in zip(chain.times, found, strict=True):
        wanted = 1 - 2 * (OMEGA / total) ** 2 * math.sin(total * time / 2) ** 2
        assert float(z) == pytest.approx(wanted, abs=1e-10)


def test_two_atoms_in_blockade_oscillate_root_two_times_as_fast():
    """One excitation is shared: <Z> of each is (1 + cos(sqrt(2) Omega t)) / 2."""
    chain = RydbergChain(2, spacing=2.0, times=(0.1, 0.37, 0.9))  # V = 8.5e4 rad/us
    found = embed(chain, zeros(1, 2))[0].reshape(3, 3)
    for time, (first, second, _) in zip(chain.times, found.tolist(), strict=True):
        wanted = 0.5 + 0.5 * math.cos(math.sqrt(2) * OMEGA * time)
        assert first == pytest.approx(wanted, abs=2e-3)
        assert second == pytest.approx(wanted, abs=2e-3)


def test_rows_do_not_depend_on_each_other():
    chain = RydbergChain(4)
    detunings = torch.from_numpy(np.random.default_rng(1).uniform(-6, 6, (5, 4)))
    whole = embed(chain, detunings)
    assert whole.shape == (5, chain.num_readouts) == (5, 80)
    for row, own in zip(detunings, whole, strict=True):
        np.testing.assert_allclose(embed(chain, row[None])[0], own, atol=1e-11)
    assert embed(chain, detunings[:0]).shape == (0, 80)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_atoms": 0}, "from 1 to 12 atoms, got 0"),
        ({"num_atoms": 13}, "from 1 to 12 atoms, got 13"),
        ({"num_atoms": 2, "spacing": 0.0}, "spacing above 0"),
        ({"num_atoms": 2, "times": (1.0, 0.5)}, "times above 0 that grow"),
        ({"num_atoms": 2, "times": ()}, "times above 0 that grow"),
        ({"num_atoms": 2, "times": (math.nan, 1.0)}, "times above 0 that grow"),
        ({"num_atoms": 2, "c6": math.inf}, "finite Rabi frequency and C6"),
    ],
)
def test_chains_that_cannot_be(fields, words):
    with pytest.raises(InvalidValueError, match=words):
        RydbergChain(**fields)


def test_energies_that_are_too_large():
    with pytest.raises(InvalidValueError, match="widen the spacing"):
        embed(RydbergChain(2, spacing=0.1), zeros(1, 2))


def test_detunings_that_do_not_fit():
    with pytest.raises(InvalidValueError, match="detunings of 2 atoms, got shape"):
        evolve(RydbergChain(2), zeros(1, 3))
    with pytest.raises(InvalidValueError, match="finite detunings"):
        evolve(RydbergChain(2), zeros(1, 2) + math.nan)
