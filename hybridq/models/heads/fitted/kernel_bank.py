"""Kernels between rows of angles, by name: of circuits, and classical ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import torch
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor, nn
from torch.compiler import is_compiling

from hybridq.errors import InvalidValueError
from hybridq.quantum.kernels.feature_maps import (
    FEATURE_MAPS,
    all_zeros,
    build_feature_map,
    overlap_circuit,
)
from hybridq.quantum.kernels.states import StateMap, fidelities, projected_kernel
from hybridq.quantum.layer import QuantumLayer
from hybridq.quantum.look_up import look_up
from hybridq.quantum.modules import is_exact

if TYPE_CHECKING:
    from hybridq.quantum import Executable

PROJECTED = "projected-"
"""How the name of a projected kernel begins, before that of its map."""


@lru_cache(maxsize=64)
def _state_map(name: str, num_qubits: int, repeats: int, entanglement: str) -> StateMap:
    """Make the function to the states of a feature map, once for all heads that have it."""
    return StateMap(build_feature_map(name, num_qubits, repeats=repeats, entanglement=entanglement))


class FidelityKernel(nn.Module):
    """The kernel `|<x|y>|^2` of the states of a feature map.

    Where the backend is exact and torch computes, it is a product of the states. Elsewhere each
    pair of rows is a circuit, `U(y)^dagger U(x)`, whose chance of all zeros it is.

    Args:
        layer: The circuit of a pair, and the projector on all zeros.
        sizes: What the feature map was built with: its name, qubits, repeats and entanglement.

    Shape: angles `(rows, num_qubits)` and `(columns, num_qubits)` to `(rows, columns)`.
    """

    def __init__(self, layer: QuantumLayer, sizes: tuple[str, int, int, str]) -> None:
        super().__init__()
        self.layer = layer
        self._sizes = sizes

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the kernel of all pairs."""
        if is_exact(self.layer) and not is_compiling():
            first = self._states(rows)
            return fidelities(first, self._states(columns)).to(rows)
        count, others = rows.shape[0], columns.shape[0]
        found: Tensor = self._by_circuits(
            rows[:, None].expand(-1, others, -1), columns[None].expand(count, -1, -1)
        )
        return found

    def gram(self, rows: Tensor) -> Tensor:
        """Compute the kernel of all pairs of rows, each once; that of a row with itself is 1."""
        if is_exact(self.layer):
            states = self._states(rows)
            return fidelities(states, states).to(rows)
        first, second = torch.triu_indices(len(rows), len(rows), offset=1)
        found = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        found[first, second] = self._by_circuits(rows[first], rows[second])
        found[second, first] = found[first, second]
        return found

    def _states(self, rows: Tensor) -> Tensor:
        return _state_map(*self._sizes)(rows.double(), self.layer.weight.double())

    def _by_circuits(self, rows: Tensor, columns: Tensor) -> Tensor:
        found: Tensor = self.layer(torch.cat([rows, columns], dim=-1))[..., 0]
        return found


class ProjectedKernel(nn.Module):
    """The kernel `exp(-sum_k |rho_k(x) - rho_k(y)|^2)` over the reduced states of the qubits.

    A row is a circuit of its own, so that a device runs as many as there are rows, and not pairs.

    Args:
        layer: The circuit of a row, and X, Y and Z on each qubit.

    Shape: angles `(rows, num_qubits)` and `(columns, num_qubits)` to `(rows, columns)`.
    """

    def __init__(self, layer: QuantumLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the kernel of all pairs."""
        first, second = (self.layer(one).unflatten(-1, (-1, 3)) for one in (rows, columns))
        return projected_kernel(first, second, 1.0)

    def gram(self, rows: Tensor) -> Tensor:
        """Compute the kernel of all pairs of rows, from one circuit for each row."""
        own = self.layer(rows).unflatten(-1, (-1, 3))
        return projected_kernel(own, own, 1.0)


class ClassicalKernel(nn.Module):
    """A classical kernel of two rows of angles."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the kernel of all pairs."""
        return self.function(rows, columns)

    def gram(self, rows: Tensor) -> Tensor:
        """Compute the kernel of all pairs of rows."""
        return self.function(rows, rows)


def _rbf(rows: Tensor, columns: Tensor) -> Tensor:
    """Compute `exp(-|x - y|^2 / (2 q))` of rows of q values."""
    squares = rows.square().sum(1)[:, None] + columns.square().sum(1)[None] - 2 * rows @ columns.T
    return torch.exp(-squares.clamp(min=0) / (2 * rows.shape[1]))


def _linear(rows: Tensor, columns: Tensor) -> Tensor:
    """Compute `x y / q` of rows of q values."""
    return rows @ columns.T / rows.shape[1]


def _cubic(rows: Tensor, columns: Tensor) -> Tensor:
    """Compute `(1 + x y / q)^3 / 8`."""
    return (1 + _linear(rows, columns)) ** 3 / 8


CLASSICAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rbf": _rbf,
    "linear": _linear,
    "cubic": _cubic,
}
"""Classical kernels by name."""


def kernel_names(text: str) -> list[str]:
    """Read names of kernels that are joined by commas.

    Raises:
        InvalidValueError: If one is unknown or there twice, or there is none.
    """
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found or len(set(found)) < len(found):
        raise InvalidValueError(
            f"Expected `kernels` as names, each once, joined by commas, got {text!r}: such as "
            "angle,zz."
        )
    known = {**CLASSICAL, **FEATURE_MAPS, **{PROJECTED + name: None for name in FEATURE_MAPS}}
    for name in found:
        look_up("kernel", name, known)
    return found


def is_quantum(name: str) -> bool:
    """Whether a kernel has circuits."""
    return name not in CLASSICAL


Kernel: TypeAlias = FidelityKernel | ProjectedKernel | ClassicalKernel
"""A module with the kernel of rows and columns, and the Gram matrix of rows."""


def make_kernel(
    name: str,
    num_qubits: int,
    repeats: int,
    entanglement: str,
    backend: Executable | None,
    generator: torch.Generator,
) -> Kernel:
    """Make a kernel by its name.

    Raises:
        InvalidValueError: If it has circuits and there is no backend, or they do not fit it.
    """
    if not is_quantum(name):
        return ClassicalKernel(CLASSICAL[name])
    if backend is None:
        raise InvalidValueError(
            f"Expected a backend for kernel {name!r}, got None: pass `backend=` what "
            "`open_backend` returns."
        )
    projected = name.startswith(PROJECTED)
    sizes = name.removeprefix(PROJECTED), num_qubits, repeats, entanglement
    feature_map = build_feature_map(*sizes[:2], repeats=repeats, entanglement=entanglement)
    made = feature_map if projected else overlap_circuit(feature_map)
    layer = QuantumLayer(
        made.circuit,
        input_params=made.input_params,
        weight_params=made.weight_params,
        observables=_paulis(num_qubits) if projected else all_zeros(num_qubits),
        backend=backend,
        generator=generator,
        init_std=1.0,
    )
    return ProjectedKernel(layer) if projected else FidelityKernel(layer, sizes)


def _paulis(num_qubits: int) -> list[SparsePauliOp]:
    """Make X, Y and Z on each qubit, qubit after qubit."""
    return [
        SparsePauliOp.from_sparse_list([(pauli, [qubit], 1.0)], num_qubits=num_qubits)
        for qubit in range(num_qubits)
        for pauli in "XYZ"
    ]
