"""Compute noisy expectation values on the torch engine, differentiable in reverse mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from qiskit import QuantumCircuit
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.quantum.density.channels import circuit_channels
from hybridq.quantum.density.measurement import measured_groups, pairs
from hybridq.quantum.density.simulator import DensityEngine
from hybridq.quantum.split_circuit import CompiledAngles, SplitCircuit
from hybridq.quantum.statevector.reverse import TorchRule
from hybridq.quantum.tracing import not_traced, refuse_export
from hybridq_backends.simulators.aer import Machine
from hybridq_backends.utils.seeds import SeedSequenceCounter

if TYPE_CHECKING:
    from hybridq_backends import Executable


class NoisyExpvals:
    """A torch function that computes the expectation values of a compiled, noisy circuit.

    Args:
        circuit: The compiled circuit, with a plain parameter for each gate angle.
        column: The observables, a column `(num_observables, 1)`.
        machine: The machine with its noise model and its changes of basis.
    """

    def __init__(self, circuit: QuantumCircuit, column: ObservablesArray, machine: Machine) -> None:
        self._num_qubits = circuit.num_qubits
        self._channels = circuit_channels(circuit, list(circuit.parameters), machine.noise_model)
        self._groups = measured_groups(column, machine)
        self._observables = torch.stack([group.means for group in self._groups]).sum(dim=0)
        self._engines: dict[tuple[bool, ...], DensityEngine] = {}

    def values(self, angles: Tensor, varies: Sequence[bool]) -> Tensor:
        """Compute exact values `(batch, num_observables)`, differentiable.

        Args:
            angles: `(batch, num_angles)`, radians, double.
            varies: For each angle whether it differs between the rows.
        """
        return self.engine(varies)(angles, self._observables.to(angles))

    @torch.no_grad()
    def covariances(self, angles: Tensor, varies: Sequence[bool]) -> Tensor:
        """Compute the covariances of one shot, `(batch, observables, observables)`.

        They are summed over the groups of terms, which have their own circuits and are independent.

        Args:
            angles: `(batch, num_angles)`, radians, double.
            varies: For each angle whether it differs between the rows.
        """
        count = len(self._observables)
        total = angles.new_zeros(len(angles), count, count)
        rows, columns = zip(*pairs(count), strict=True)
        for group in self._groups:
            measured = torch.cat([group.means, group.products]).to(angles)
            both = self.engine(varies)(angles, measured)
            means, products = both[:, :count], both[:, count:]
            second = angles.new_zeros(len(angles), count, count)
            second[:, rows, columns] = products
            second[:, columns, rows] = products
            total += second - means[:, :, None] * means[:, None, :]
        return total

    def engine(self, varies: Sequence[bool]) -> DensityEngine:
        """The engine for angles that differ between the rows or not; made once."""
        key = tuple(varies)
        if key not in self._engines:
            self._engines[key] = DensityEngine(self._channels, self._num_qubits, key)
        return self._engines[key]


class NoisyRule(TorchRule):
    """The rule that computes values with the noise of a device by the `DensityEngine`.

    The circuit is compiled for the executable as it is for Aer, and its noise read from the same
    noise model. With shots, a draw with the exact covariance of so many shots is added to the
    exact values, while the gradient stays that of the exact values.

    Args:
        split: The circuit and the map to its angles.
        observables: The observables.
        executable: A noisy simulator whose engine is `torch`.
        shots: Shots for one circuit, a count; None is exact.
        seeds: Seeds of the draws.

    Raises:
        InvalidValueError: If the compiled circuit is too wide for a density matrix.
    """

    def __init__(
        self,
        split: SplitCircuit,
        observables: Sequence[SparsePauliOp],
        executable: Executable,
        *,
        shots: int | None,
        seeds: SeedSequenceCounter,
    ) -> None:
        super().__init__(split, executable)
        prepared = executable.prepare(split.circuit, list(observables))
        self._angles = CompiledAngles(prepared, split)
        self._expvals = NoisyExpvals(
            prepared.circuit, prepared.column, executable.machine(prepared)
        )
        self._expvals.engine(self._angles.on_inputs)  # a trace would make it of tensors of its own
        self._shots = shots
        self._seeds = seeds

    def _values(self, phi: Tensor, *, same_weights: bool) -> Tensor:
        varies = [one or not same_weights for one in self._angles.on_inputs]
        angles = self._angles(phi)
        values = self._expvals.values(angles, varies)
        return values if self._shots is None else values + self._noise(angles, varies, self._shots)

    @not_traced
    def _noise(self, angles: Tensor, varies: Sequence[bool], shots: int) -> Tensor:
        """Draw what values by so many shots are off by."""
        refuse_export(self.executable.profile)
        generator = torch.Generator().manual_seed(self._seeds.next())
        return shot_noise(self._expvals.covariances(angles, varies), shots, generator).to(angles)


def shot_noise(covariances: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Draw the error of the mean of many shots.

    By the central limit theorem it is Gaussian; with a few shots true draws are discrete.

    Args:
        covariances: Covariances of one shot, `(batch, num_observables, num_observables)`.
        shots: The number of shots.
        generator: Source of the draws, on the CPU.

    Returns:
        `(batch, num_observables)`, double, on the CPU.
    """
    variances, axes = torch.linalg.eigh(covariances.detach().double().cpu())
    draws = torch.randn(variances.shape, generator=generator, dtype=torch.float64)
    spread = (variances.clamp(min=0.0) / shots).sqrt() * draws
    noise: Tensor = (axes @ spread[:, :, None]).squeeze(2)
    return noise
