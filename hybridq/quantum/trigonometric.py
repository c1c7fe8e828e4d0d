"""The classical trigonometric polynomial that a circuit is as a function of its inputs."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq.quantum.qnn import ExecutableQNN
from hybridq.quantum.split_circuit import split_circuit
from hybridq_backends import opened_backend

if TYPE_CHECKING:
    from hybridq.quantum.modules import CircuitInfo

MOST_COEFFICIENTS = 2**16
"""Coefficients of a polynomial for each observable: as many times the circuit is computed."""
BLOCK = 4096
"""Points of the grid that are computed at a time."""


def trigonometric_degrees(circuit: CircuitInfo) -> tuple[int, ...]:
    """Count how often each input enters a circuit: the highest frequency of its polynomial.

    A gate with the angle `m * x + c` counts `abs(m)` times. The polynomial of one input of degree
    d has 2 d + 1 coefficients.

    Args:
        circuit: The circuit, its inputs and its weights.

    Raises:
        InvalidValueError: If a gate's angle is no whole multiple of the inputs, such as the
            products of inputs of the `zz` encoding, or there would be too many coefficients.
    """
    split = split_circuit(circuit.circuit, circuit.input_params, circuit.weight_params)
    slopes = split.phases.slopes.abs()
    whole = slopes.round()
    if not bool(((slopes - whole).abs() < 1e-12).all()):
        raise InvalidValueError(
            "Expected gate angles that are whole multiples of the inputs, got others, such as a "
            "product of inputs: the circuit is no trigonometric polynomial; take the encoding "
            "`angle` or `reupload`."
        )
    degrees = tuple(int(degree) for degree in whole.sum(dim=0))
    count = math.prod(2 * degree + 1 for degree in degrees)
    if count > MOST_COEFFICIENTS:
        raise InvalidValueError(
            f"Expected at most {MOST_COEFFICIENTS:,} coefficients of a polynomial, got {count:,}: "
            "take fewer qubits, or repeat the inputs less often."
        )
    return degrees


def trigonometric_coefficients(circuit: CircuitInfo, weights: Tensor) -> Tensor:
    """Compute the coefficients of the polynomial that equals a circuit with fixed weights.

    An expectation value is a trigonometric polynomial of the inputs, whose frequencies the gates
    fix (Schuld, Sweke & Meyer, arXiv:2008.08605, eq. 5). With one rotation for each input it is

        f(a) = sum over k in {0, 1, 2}^n of c_k * product over i of (1, cos a_i, sin a_i)[k_i].

    The circuit is computed exactly on the grid of the angles `2 pi j / (2 d_i + 1)`, and the
    coefficients follow by the discrete Fourier transform; nothing is fitted.

    Args:
        circuit: The circuit, its inputs and its weights, as `QuantumLayer.circuits` lists it.
        weights: `(num_weights,)`, radians.

    Returns:
        `(num_observables, 2 d_1 + 1, ..., 2 d_n + 1)`, double, over
        `1, cos a_i, sin a_i, cos 2 a_i, sin 2 a_i, ...` of each input, where d_i is its degree by
        `trigonometric_degrees`: `(num_observables, 3, ..., 3)` with one rotation for each input.

    Raises:
        InvalidValueError: As `trigonometric_degrees`.

    Example:
        >>> import torch
        >>> from qiskit import QuantumCircuit
        >>> from qiskit.circuit import Parameter
        >>> import hybridq as hq
        >>> from hybridq.quantum.trigonometric import trigonometric_coefficients
        >>> angle = Parameter("angle")
        >>> circuit = QuantumCircuit(1)
        >>> _ = circuit.ry(angle, 0)
        >>> layer = hq.QuantumLayer(
        ...     circuit, input_params=[angle], weight_params=[], observables="Z",
        ...     backend="statevector",
        ... )
        >>> trigonometric_coefficients(layer.circuits()[0], layer.weight).round(decimals=9).abs()
        tensor([[0., 1., 0.]], dtype=torch.float64)
    """
    degrees = trigonometric_degrees(circuit)
    axes = [2 * math.pi * torch.arange(2 * d + 1).double() / (2 * d + 1) for d in degrees]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    weights = weights.detach().double().cpu()
    with opened_backend("statevector") as exact, torch.no_grad():
        network = ExecutableQNN(
            circuit=circuit.circuit,
            input_params=circuit.input_params,
            weight_params=circuit.weight_params,
            observables=circuit.observables,
            executable=exact,
        )
        values = torch.cat([network.expvals(block, weights) for block in torch.split(grid, BLOCK)])
    found = values.T.reshape(-1, *(len(axis) for axis in axes))
    for place, axis in enumerate(axes, start=1):
        basis = _basis(axis, len(axis))
        norms = basis.square().sum(dim=0)  # the basis is orthogonal on the grid
        found = torch.tensordot(found, basis / norms, dims=([place], [0])).movedim(-1, place)
    return found


def trigonometric_values(coefficients: Tensor, angles: Tensor) -> Tensor:
    """Evaluate trigonometric polynomials as a torch function of coefficients and angles.

    Args:
        coefficients: `(num_observables, 2 d_1 + 1, ..., 2 d_n + 1)`, as
            `trigonometric_coefficients` returns them.
        angles: `(..., n)`, radians, in the dtype of the coefficients.

    Returns:
        `(..., num_observables)`.
    """
    sizes = coefficients.shape[1:]
    bases = [_basis(angles[..., place], size) for place, size in enumerate(sizes)]
    products = reduce(lambda a, b: (a[..., :, None] * b[..., None, :]).flatten(-2), bases)
    return products @ coefficients.flatten(1).T


def _basis(angles: Tensor, size: int) -> Tensor:
    """Return `1, cos a, sin a, cos 2 a, sin 2 a, ...` of angles `(...)`, as `(..., size)`."""
    parts = [torch.ones_like(angles)]
    for frequency in range(1, size // 2 + 1):
        parts += [torch.cos(frequency * angles), torch.sin(frequency * angles)]
    return torch.stack(parts, dim=-1)
