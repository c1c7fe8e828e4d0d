"""Plain gate angles: every parameterised gate of a circuit gets its own Parameter.

The angles phi of a compiled circuit are functions of the parameters theta of the logical
one, nearly always affine: phi = A theta + c. Keeping that map outside the circuit lets one
broadcast run take any angles (parameter-shift moves each phi by itself, and rz, rx, ry,
rzz and p all obey the two-term rule), and no symbolic expression ever reaches a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import sympy
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterExpression, Qubit
from qiskit.circuit.library import RZGate

from hybridq_backends.errors import InvalidValueError

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AngleMap:
    """The map from parameters theta, (batch, P), to gate angles phi, (batch, K), in radians.

    Attributes:
        matrix: A of phi = A theta + c, (K, P); rows of expressions are zero.
        offset: c, (K,), in radians; rows of expressions are zero.
        rows: Indices of the angles that are not affine in theta.
        expressions: One sympy expression for each of `rows`.
        symbols: One sympy symbol for each parameter, in column order.
    """

    matrix: FloatArray
    offset: FloatArray
    rows: tuple[int, ...] = ()
    expressions: tuple[sympy.Expr, ...] = ()
    symbols: tuple[sympy.Symbol, ...] = ()

    @property
    def uses(self) -> npt.NDArray[np.bool_]:
        """Whether parameter p enters angle k, (K, P)."""
        found = np.asarray(self.matrix != 0)
        for row, expression in zip(self.rows, self.expressions, strict=True):
            found[row] = [symbol in expression.free_symbols for symbol in self.symbols]
        return found

    def __call__(self, parameter_values: FloatArray) -> FloatArray:
        """Compute the angles phi, (..., K), of parameter values theta, (..., P)."""
        theta = np.asarray(parameter_values, dtype=np.float64)
        phi = theta @ self.matrix.T + self.offset
        for row, expression in zip(self.rows, self.expressions, strict=True):
            phi[..., row] = _function(expression, self.symbols)(*np.moveaxis(theta, -1, 0))
        return phi

    def jacobian(self, parameter_values: FloatArray) -> FloatArray:
        """Compute d phi / d theta, (..., K, P), at parameter values theta, (..., P)."""
        theta = np.asarray(parameter_values, dtype=np.float64)
        slopes = np.broadcast_to(self.matrix, (*theta.shape[:-1], *self.matrix.shape)).copy()
        columns = np.moveaxis(theta, -1, 0)
        for row, expression in zip(self.rows, self.expressions, strict=True):
            for column, symbol in enumerate(self.symbols):
                if symbol in expression.free_symbols:
                    slope = _function(sympy.diff(expression, symbol), self.symbols)
                    slopes[..., row, column] = slope(*columns)
        return slopes


def split_angles(
    circuit: QuantumCircuit,
    parameters: Sequence[Parameter],
    *,
    angle: Callable[[int], Parameter] | None = None,
    merge: bool = False,
) -> tuple[QuantumCircuit, AngleMap]:
    """Give every parameterised gate angle its own Parameter.

    A phase gate with such an angle becomes RZ, which is the same up to a global phase: Qiskit's
    translation to a basis with RZ adds up the phases of phase gates as one expression, which takes
    twice as long for each of them.

    Args:
        circuit: A circuit whose angles may be expressions of `parameters`.
        parameters: The P parameters theta, in column order.
        angle: Makes the Parameter of an angle, counted from 0; by default the same one in all
            circuits.
        merge: Whether equal gates of one angle that follow one another on the same qubits, as
            rotations about one axis do, become one, whose angle is the sum.

    Returns:
        A copy without the global phase, whose K parameters, in `circuit.parameters` order, are
        the angles in the order of the gates, and the map from theta to them.

    Raises:
        InvalidValueError: If something other than a gate takes a parameter.
    """
    angle = angle or _angle
    plain = circuit.copy_empty_like()
    plain.global_phase = 0.0
    found: list[ParameterExpression] = []
    last: dict[Qubit, tuple[str, Sequence[Qubit], int] | None] = {}
    for instruction in circuit.data:
        operation, qubits = instruction.operation, instruction.qubits
        name = "rz" if operation.name == "p" else operation.name
        values = list(getattr(operation, "params", []))
        loose = [i for i, v in enumerate(values) if isinstance(v, ParameterExpression)]
        if loose:
            if not isinstance(operation, Gate):
                raise InvalidValueError(
                    f"Expected parameters in gates only, got one in `{operation.name}`: bind it."
                )
            free = [i for i in loose if values[i].parameters]
            before = last.get(qubits[0])
            follows = before is not None and before[:2] == (name, qubits)
            if merge and free and follows and all(last.get(qubit) == before for qubit in qubits):
                found[before[2]] = found[before[2]] + values[0]  # type: ignore[index]
                continue
            last.update(dict.fromkeys(qubits, (name, qubits, len(found)) if free else None))
            for i in loose:
                if i not in free:
                    values[i] = float(values[i])
                    continue
                fresh = angle(len(found))
                found.append(values[i])
                values[i] = fresh
            if operation.name == "p" and free:
                operation = RZGate(values[0])
            else:
                operation = operation.to_mutable()
                operation.params = values
        else:
            last.update(dict.fromkeys(qubits))
        plain.append(operation, qubits, instruction.clbits, copy=False)
    return plain, _map_of(found, parameters)


@lru_cache(maxsize=4096)
def _angle(index: int) -> Parameter:
    """Make the parameter of an angle, the same one in all circuits.

    IBM's client remembers the boxes it has tagged for as long as the process lives, by their
    parameters among others, and gives up at the thirteenth that looks the same but is not equal.
    """
    return Parameter(f"phi_{index:06d}")


def _map_of(
    expressions: Sequence[ParameterExpression], parameters: Sequence[Parameter]
) -> AngleMap:
    """Work out A and c row by row; what is not affine is kept as an expression."""
    column = {parameter: i for i, parameter in enumerate(parameters)}
    matrix = np.zeros((len(expressions), len(parameters)))
    offset = np.zeros(len(expressions))
    rows: list[int] = []
    kept: list[sympy.Expr] = []
    for row, expression in enumerate(expressions):
        try:
            slopes = {p: _number(expression.gradient(p)) for p in expression.parameters}
        except RuntimeError:  # of a function that Qiskit does not derive, such as sign
            slopes = dict.fromkeys(expression.parameters)
        if any(slope is None for slope in slopes.values()):
            rows.append(row)
            kept.append(_formula(expression))
            continue
        constant = _number(expression.bind(dict.fromkeys(expression.parameters, 0.0)))
        offset[row] = 0.0 if constant is None else constant
        for parameter, slope in slopes.items():
            matrix[row, column[parameter]] = 0.0 if slope is None else slope
    symbols = tuple(sympy.Symbol(parameter.name) for parameter in parameters) if rows else ()
    return AngleMap(matrix, offset, tuple(rows), tuple(kept), symbols)


def _formula(expression: ParameterExpression) -> sympy.Expr:
    """Write an expression in sympy with exact numbers: lambdify would print 15 digits of them."""
    formula = sympy.sympify(expression.sympify())
    exact = {number: sympy.Rational(float(number)) for number in formula.atoms(sympy.Float)}
    return formula.xreplace(exact)


def _number(value: object) -> float | None:
    """Read a real number, or None where parameters are left."""
    if isinstance(value, ParameterExpression):
        if value.parameters:
            return None
        value = value.numeric()
    number = complex(value)  # type: ignore[call-overload]
    if abs(number.imag) > 1e-12:
        raise InvalidValueError(
            f"Expected real gate angles, got the complex value {number}: correct the circuit."
        )
    return float(number.real)


@lru_cache(maxsize=4096)
def _function(
    expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...]
) -> Callable[..., FloatArray]:
    """Compile an expression into a function of one array per symbol."""
    real = {symbol: sympy.Dummy(real=True) for symbol in symbols}
    function: Callable[..., FloatArray] = sympy.lambdify(
        [real[symbol] for symbol in symbols], expression.subs(real), modules="numpy"
    )
    return function
