"""Give each parametrised gate its own plain angle, and compute those angles in torch.

A circuit whose gates have expressions such as `2*(pi - x)*(pi - y)` or share a parameter is split
in two: a circuit in which each parametrised gate has one plain parameter of its own, phi_k, and a
map phi = f(inputs, weights) which torch evaluates for a batch and differentiates. Shifting one
phi_k is then the whole parameter-shift rule, however the angles depend on inputs and weights, and
no expression reaches the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy
import torch
from qiskit import transpile
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit, Qubit
from torch import Tensor

from hybridq.errors import InvalidValueError

ROTATIONS = ("rx", "ry", "rz", "p", "rxx", "ryy", "rzz", "rzx")
"""Gates of one angle whose generator has two eigenvalues 1 apart, so that a shift of pi/2 to
either side gives the exact derivative."""

_FIXED = ("id", "h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "sxdg", "cx", "cy", "cz", "swap")

_FUNCTIONS = {
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "Abs": torch.abs,
    "sign": torch.sign,
}


@dataclass(frozen=True)
class SplitCircuit:
    """A circuit of plain angles, and the map from inputs and weights to those angles.

    Attributes:
        circuit: The circuit; its parameters are `params`, each in one gate.
        params: The plain angles phi_k, in the order of the map's columns.
        phases: The map from inputs and weights to phi.
    """

    circuit: QuantumCircuit
    params: tuple[Parameter, ...]
    phases: PhaseMap


class PhaseMap:
    """The angles of the gates as a function of inputs and weights, in double precision.

    Linear expressions are one matrix product; the others are compiled to torch functions.

    Args:
        expressions: One for each angle phi_k.
        input_params: The parameters that are inputs.
        weight_params: The parameters that are weights.

    Attributes:
        on_inputs: Whether phi_k depends on an input, bool `(num_phases,)`.
        on_weights: Whether phi_k depends on a weight, bool `(num_phases,)`.
    """

    def __init__(
        self,
        expressions: Sequence[ParameterExpression],
        input_params: Sequence[Parameter],
        weight_params: Sequence[Parameter],
    ) -> None:
        self.num_inputs = len(input_params)
        names = [param.name for param in (*input_params, *weight_params)]
        column = {name: index for index, name in enumerate(names)}
        self._matrix = torch.zeros(len(expressions), len(names), dtype=torch.float64)
        self._offset = torch.zeros(len(expressions), dtype=torch.float64)
        self._rows: list[int] = []
        self._formulas: list[tuple[list[int], tuple[Any, ...], Any]] = []
        uses = torch.zeros(len(expressions), len(names), dtype=torch.bool)

        for row, expression in enumerate(expressions):
            formula = _formula(expression)
            symbols = sorted(formula.free_symbols, key=lambda symbol: column[symbol.name])
            columns = [column[symbol.name] for symbol in symbols]
            uses[row, columns] = True
            slopes = [sympy.diff(formula, symbol) for symbol in symbols]
            if all(slope.is_number for slope in slopes):
                self._matrix[row, columns] = torch.tensor(
                    [float(slope) for slope in slopes], dtype=torch.float64
                )
                self._offset[row] = float(formula.subs(dict.fromkeys(symbols, 0)))
            else:
                self._rows.append(row)
                check_functions(formula)
                self._formulas.append((columns, tuple(symbols), formula))
        self.on_inputs = uses[:, : self.num_inputs].any(dim=1)
        self.on_weights = uses[:, self.num_inputs :].any(dim=1)

    def __call__(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Angles of the gates, differentiable.

        Args:
            inputs: `(batch, num_inputs)`, double.
            weights: `(num_weights,)` or `(batch, num_weights)`, double, on the same device.

        Returns:
            phi in radians, `(batch, num_phases)`.
        """
        theta = torch.cat([inputs, weights.expand(len(inputs), -1)], dim=1)
        phi = theta @ self._matrix.to(theta.device).T + self._offset.to(theta.device)
        if not self._rows:
            return phi
        values = [
            compiled_formula(symbols, formula)(*(theta[:, index] for index in columns))
            for columns, symbols, formula in self._formulas
        ]
        rows = torch.tensor(self._rows, device=phi.device)
        return phi.index_copy(1, rows, torch.stack(values, dim=1))


def _formula(expression: ParameterExpression) -> Any:
    """The expression in sympy, its numbers exact: lambdify would print them with 15 digits."""
    formula = sympy.sympify(expression.sympify())
    exact = {number: sympy.Rational(float(number)) for number in formula.atoms(sympy.Float)}
    return formula.xreplace(exact)


def check_functions(formula: Any) -> None:
    """Refuse functions that torch has no counterpart of here."""
    unknown = sorted(
        {type(part).__name__ for part in formula.atoms(sympy.Function)} - set(_FUNCTIONS)
    )
    if unknown:
        raise InvalidValueError(
            f"Expected gate angles made of {', '.join(_FUNCTIONS)}, got {', '.join(unknown)}: "
            "rewrite the circuit's expressions."
        )


@lru_cache(maxsize=1024)
def compiled_formula(symbols: tuple[Any, ...], formula: Any) -> Callable[..., Tensor]:
    """A torch function of one tensor for each symbol; kept apart so that a map can be pickled."""
    function: Callable[..., Tensor] = sympy.lambdify(symbols, formula, modules=[_FUNCTIONS])
    return function


def split_circuit(
    circuit: QuantumCircuit,
    input_params: Sequence[Parameter],
    weight_params: Sequence[Parameter],
) -> SplitCircuit:
    """Split a circuit into one of plain angles and the map to those angles.

    Parametrised gates other than `ROTATIONS` (`u`, `cp`, `crx`, boxes, ...) are first decomposed
    into them; rotations about the same axis that follow one another become one, whose angle is the
    sum; a global phase is dropped, for no expectation value depends on it.

    Args:
        circuit: The logical circuit, without measurements.
        input_params: Its parameters that are inputs.
        weight_params: Its parameters that are weights; together they are all of its parameters.

    Returns:
        The split circuit, equal to the given one up to its global phase.

    Raises:
        InvalidValueError: If the parameters do not fit the circuit, or it has control flow.
    """
    _check_parameters(circuit, input_params, weight_params)
    circuit = circuit.copy()
    circuit.global_phase = 0
    if any(_is_free(item.operation) and item.name not in ROTATIONS for item in circuit.data):
        basis = [*ROTATIONS, *_FIXED]
        circuit = transpile(circuit, basis_gates=basis, optimization_level=0)

    plain = circuit.copy_empty_like()
    plain.global_phase = 0
    params: list[Parameter] = []
    expressions: list[ParameterExpression] = []
    last: dict[Qubit, tuple[str, Sequence[Qubit], int] | None] = {}
    for item in circuit.data:
        operation = item.operation
        if _is_free(operation):
            before = last.get(item.qubits[0])
            same = before is not None and before[:2] == (item.name, item.qubits)
            if before is not None and same and all(last.get(q) == before for q in item.qubits):
                expressions[before[2]] = expressions[before[2]] + operation.params[0]
                continue
            last.update(dict.fromkeys(item.qubits, (item.name, item.qubits, len(params))))
            param = Parameter(f"phi_{len(params):05d}")
            params.append(param)
            expressions.append(operation.params[0])
            operation = operation.to_mutable()
            operation.params = [param]
        else:
            last.update(dict.fromkeys(item.qubits))
        plain.append(operation, item.qubits, item.clbits)
    phases = PhaseMap(expressions, input_params, weight_params)
    return SplitCircuit(plain, tuple(params), phases)


def _is_free(operation: Any) -> bool:
    """Whether the operation has an angle that is not a number."""
    params = getattr(operation, "params", ())
    return any(isinstance(p, ParameterExpression) and p.parameters for p in params)


def _check_parameters(
    circuit: QuantumCircuit, input_params: Sequence[Parameter], weight_params: Sequence[Parameter]
) -> None:
    """Refuse a circuit whose parameters are not exactly the inputs and the weights."""
    given = [*input_params, *weight_params]
    if circuit.cregs or circuit.clbits:
        raise InvalidValueError(
            f"Expected a circuit without classical bits, got {circuit.num_clbits}: "
            "remove measurements and control flow."
        )
    if len(set(given)) != len(given) or set(given) != set(circuit.parameters):
        names = sorted(param.name for param in set(given) ^ set(circuit.parameters))
        raise InvalidValueError(
            "Expected `input_params` and `weight_params` to be the circuit's parameters, "
            f"each once, got a difference in {names}: name all of them."
        )
