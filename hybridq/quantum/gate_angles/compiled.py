"""The angles of a compiled circuit as a torch function of those of the logical one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hybridq.quantum.gate_angles.gate_angles import SplitCircuit, check_functions, compiled_formula

if TYPE_CHECKING:
    from hybridq_backends import Prepared


class CompiledAngles:
    """From the plain angles of a split circuit to those of the gates it was compiled to.

    Args:
        prepared: The split circuit, prepared by a backend.
        split: The split circuit.

    Attributes:
        on_inputs: For each angle of the compiled circuit whether an input enters it.

    Raises:
        InvalidValueError: If the compiler made an expression that torch cannot compute.
    """

    def __init__(self, prepared: Prepared, split: SplitCircuit) -> None:
        column = {param.name: index for index, param in enumerate(split.params)}
        # the backend has its own order
        self._columns = [column[param.name] for param in prepared.parameters]
        found = prepared.angles
        self._matrix = torch.from_numpy(found.matrix)
        self._offset = torch.from_numpy(found.offset)
        entering = split.phases.on_inputs[self._columns]
        on_inputs = ((self._matrix != 0) & entering).any(dim=1)
        self._rows = list(found.rows)
        self._functions = []
        for row, formula in zip(found.rows, found.expressions, strict=True):
            check_functions(formula)
            used = [i for i, symbol in enumerate(found.symbols) if symbol in formula.free_symbols]
            symbols = tuple(found.symbols[i] for i in used)
            self._functions.append((used, compiled_formula(symbols, formula)))
            on_inputs[row] = bool(entering[used].any())
        self.on_inputs: list[bool] = on_inputs.tolist()

    def __call__(self, phi: Tensor) -> Tensor:
        """Angles `(batch, num_angles)` of angles `(batch, num_phases)`, radians, differentiable."""
        theta = phi[:, self._columns]
        angles = theta @ self._matrix.to(theta).T + self._offset.to(theta)
        if not self._rows:
            return angles
        values = [function(*(theta[:, i] for i in used)) for used, function in self._functions]
        rows = torch.tensor(self._rows, device=phi.device)
        return angles.index_copy(1, rows, torch.stack(values, dim=1))
