"""Reservoirs of Rydberg atoms: their Hamiltonian, its exact evolution, and what is read from it."""
