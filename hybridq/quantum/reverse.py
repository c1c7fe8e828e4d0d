"""Expectation values on the torch engine, differentiated by torch itself in reverse mode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridq.quantum.gradient import leaves_of_rows
from hybridq.quantum.phases import SplitCircuit
from hybridq.quantum.statevector import StatevectorEngine

if TYPE_CHECKING:
    from backends import Executable


class ReverseRule:
    """Values of a split circuit as a torch function, on the device of its inputs.

    The counterpart of `ShiftRule` for executables whose engine is `torch`. A backward pass is one
    vector-Jacobian product, whatever the number of angles and observables, and can itself be
    differentiated.

    Args:
        split: The circuit and the map to its angles.
        observables: What is measured.
        executable: Names the precision, and that the engine is this one.
    """

    def __init__(
        self, split: SplitCircuit, observables: Sequence[SparsePauliOp], executable: Executable
    ) -> None:
        self.split = split
        self.executable = executable
        self._observables = list(observables)
        self._dtype = torch_dtype(executable)
        self._engine = StatevectorEngine(split, observables, dtype=self._dtype)

    @cached_property
    def _engine_of_rows(self) -> StatevectorEngine:
        """The engine for weights that differ between the samples."""
        return StatevectorEngine(
            self.split, self._observables, same_weights=False, dtype=self._dtype
        )

    def values(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Expectation values, differentiable any number of times.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double, on the same device.

        Returns:
            `(batch, num_observables)`, double.
        """
        self.executable.check_open()
        return self._engine(self.split.phases(inputs, weights))

    def expvals(self, phi: Tensor) -> Tensor:
        """Expectation values of a batch of angles, without a gradient.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double; those that no
                input enters are the same in all rows.

        Returns:
            `(batch, num_observables)`, double.
        """
        self.executable.check_open()
        with torch.no_grad():
            return self._engine(phi)

    def jacobians(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Full Jacobians by inputs and weights.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double.

        Returns:
            `(batch, num_observables, num_inputs)` and `(batch, num_observables, num_weights)`.
        """
        self.executable.check_open()
        leaves = leaves_of_rows(inputs, weights)
        with torch.enable_grad():
            values = self._engine_of_rows(self.split.phases(*leaves))
        rows = [
            torch.autograd.grad(column.sum(), leaves, retain_graph=True, materialize_grads=True)
            for column in values.T
        ]
        by_inputs, by_weights = zip(*rows, strict=True)
        return torch.stack(by_inputs, dim=1), torch.stack(by_weights, dim=1)


def torch_dtype(executable: Executable) -> torch.dtype:
    """The precision that the executable's spec names."""
    single = getattr(executable.spec, "dtype", "float64") == "float32"
    return torch.float32 if single else torch.float64
