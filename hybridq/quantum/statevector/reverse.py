"""Compute expectation values on the torch engine, differentiable in reverse mode."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from torch import Tensor

from hybridq.quantum.gradients.parameter_shift import Spsa, leaves_of_rows
from hybridq.quantum.split_circuit import SplitCircuit
from hybridq.quantum.statevector.estimator import ReverseEstimatorGradient
from hybridq.quantum.statevector.simulator import StatevectorEngine

if TYPE_CHECKING:
    from hybridq_backends import Executable


class TorchRule(abc.ABC):
    """The rule that computes values of a split circuit in torch, on the device of its inputs.

    It is the counterpart of `ShiftRule` for executables whose engine is `torch`. A backward pass is
    one vector-Jacobian product, whatever the number of angles and observables, and can itself be
    differentiated.

    Args:
        split: The circuit and the map to its angles.
        executable: The executable whose engine this is.
    """

    def __init__(self, split: SplitCircuit, executable: Executable) -> None:
        self.split = split
        self.executable = executable
        self.spsa: Spsa | None = None  # derivatives here are exact

    @abc.abstractmethod
    def _values(self, phi: Tensor, *, same_weights: bool) -> Tensor:
        """Compute values `(batch, num_observables)` of angles `(batch, num_phases)`.

        With `same_weights`, angles that no input enters are the same in all rows.
        """

    def gradient(self, estimator: Any) -> Any:
        """Get the gradient of the stock class, by shifts on an estimator."""
        return ParamShiftEstimatorGradient(estimator)

    def values(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Compute expectation values, differentiable any number of times.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double, on the same device.

        Returns:
            `(batch, num_observables)`, double.
        """
        self.executable.check_open()
        return self._values(self.split.phases(inputs, weights), same_weights=True)

    def expvals(self, phi: Tensor) -> Tensor:
        """Compute the expectation values of a batch of angles without a gradient.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double; those that no
                input enters are the same in all rows.

        Returns:
            `(batch, num_observables)`, double.
        """
        self.executable.check_open()
        with torch.no_grad():
            return self._values(phi, same_weights=True)

    def jacobians(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the full Jacobians by inputs and weights.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double.

        Returns:
            `(batch, num_observables, num_inputs)` and `(batch, num_observables, num_weights)`.
        """
        self.executable.check_open()
        leaves = leaves_of_rows(inputs, weights)
        with torch.enable_grad():
            values = self._values(self.split.phases(*leaves), same_weights=False)
        rows = [
            torch.autograd.grad(column.sum(), leaves, retain_graph=True, materialize_grads=True)
            for column in values.T
        ]
        by_inputs, by_weights = zip(*rows, strict=True)
        return torch.stack(by_inputs, dim=1), torch.stack(by_weights, dim=1)


class ReverseRule(TorchRule):
    """The rule that computes exact values without noise by the `StatevectorEngine`.

    Args:
        split: The circuit and the map to its angles.
        observables: The observables.
        executable: The executable of the engine.
        dtype: Precision of the numbers, `torch.float64` or `torch.float32`.
    """

    def __init__(
        self,
        split: SplitCircuit,
        observables: Sequence[SparsePauliOp],
        executable: Executable,
        *,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(split, executable)
        self._observables = list(observables)
        self._dtype = dtype
        self._engine = StatevectorEngine(split, observables, dtype=self._dtype)

    @cached_property
    def _engine_of_rows(self) -> StatevectorEngine:
        """Make the engine for weights that differ between the samples."""
        return StatevectorEngine(
            self.split, self._observables, same_weights=False, dtype=self._dtype
        )

    def gradient(self, estimator: Any) -> Any:
        """Get the gradient of the stock class, also in reverse mode."""
        return ReverseEstimatorGradient(dtype=self._dtype)

    def _values(self, phi: Tensor, *, same_weights: bool) -> Tensor:
        return (self._engine if same_weights else self._engine_of_rows)(phi)


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch dtype that a spec's `dtype` names."""
    return torch.float32 if name == "float32" else torch.float64
