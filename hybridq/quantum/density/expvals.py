"""Expectation values on the torch engine with noise, differentiated by torch in reverse mode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.quantum.density.channels import circuit_channels
from hybridq.quantum.density.measurement import measured_groups, pairs
from hybridq.quantum.density.simulator import DensityEngine, check_width
from hybridq.quantum.gate_angles.compiled import CompiledAngles
from hybridq.quantum.gate_angles.gate_angles import SplitCircuit
from hybridq.quantum.statevector.reverse import TorchRule

if TYPE_CHECKING:
    from hybridq_backends import Executable


class NoisyRule(TorchRule):
    """Values with the noise of a device, by the `DensityEngine`.

    The circuit is compiled for the executable as it is for Aer, and its noise read from the same
    noise model. With shots, a draw with the exact covariance of so many shots is added to the
    exact values, while the gradient stays that of the exact values.

    Args:
        split: The circuit and the map to its angles.
        observables: What is measured.
        executable: A noisy simulator whose engine is `torch`.

    Raises:
        InvalidValueError: If the compiled circuit is too wide for a density matrix.
    """

    def __init__(
        self, split: SplitCircuit, observables: Sequence[SparsePauliOp], executable: Executable
    ) -> None:
        super().__init__(split, executable)
        check_width(split.circuit.num_qubits)
        prepared = executable.prepare(split.circuit, list(observables))
        self._num_qubits = prepared.circuit.num_qubits
        check_width(self._num_qubits)
        machine = executable.machine(prepared)
        self._angles = CompiledAngles(prepared, split)
        self._channels = circuit_channels(
            prepared.circuit, list(prepared.circuit.parameters), machine.noise_model
        )
        self._groups = measured_groups(prepared.column, machine)
        self._observables = torch.stack([group.means for group in self._groups]).sum(dim=0)
        self._shots: int | None = getattr(executable.spec, "shots", None)

    @cached_property
    def _engine(self) -> DensityEngine:
        """The engine for weights that all samples share."""
        return DensityEngine(self._channels, self._num_qubits, self._angles.on_inputs)

    @cached_property
    def _engine_of_rows(self) -> DensityEngine:
        """The engine for weights that differ between the samples."""
        every = [True] * len(self._angles.on_inputs)
        return DensityEngine(self._channels, self._num_qubits, every)

    def _values(self, phi: Tensor, *, same_weights: bool) -> Tensor:
        engine = self._engine if same_weights else self._engine_of_rows
        angles = self._angles(phi)
        values = engine(angles, self._observables.to(phi))
        if self._shots is None:
            return values
        generator = torch.Generator().manual_seed(self.executable.next_seed())
        noise = shot_noise(self._covariances(engine, angles), self._shots, generator)
        return values + noise.to(phi)

    @torch.no_grad()
    def _covariances(self, engine: DensityEngine, angles: Tensor) -> Tensor:
        """Covariances of one shot, summed over the circuits, `(batch, observables, observables)`.

        Each group of terms has circuits of its own, so that groups are independent.
        """
        count = len(self._observables)
        total = angles.new_zeros(len(angles), count, count)
        rows, columns = zip(*pairs(count), strict=True)
        for group in self._groups:
            both = engine(angles, torch.cat([group.means, group.products]).to(angles))
            means, products = both[:, :count], both[:, count:]
            second = angles.new_zeros(len(angles), count, count)
            second[:, rows, columns] = products
            second[:, columns, rows] = products
            total += second - means[:, :, None] * means[:, None, :]
        return total


def shot_noise(covariances: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Draw what the mean of many shots is off by.

    The central limit theorem makes it Gaussian; with a few shots the true draws are discrete.

    Args:
        covariances: Of one shot, `(batch, num_observables, num_observables)`.
        shots: Their count.
        generator: Source of the draws, on the CPU.

    Returns:
        `(batch, num_observables)`, double, on the CPU.
    """
    variances, axes = torch.linalg.eigh(covariances.detach().double().cpu())
    draws = torch.randn(variances.shape, generator=generator, dtype=torch.float64)
    spread = (variances.clamp(min=0.0) / shots).sqrt() * draws
    noise: Tensor = (axes @ spread[:, :, None]).squeeze(2)
    return noise
