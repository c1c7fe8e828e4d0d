"""Give each parametrised gate its own plain angle, and compute those angles in torch.

A circuit whose gates have expressions such as `2*(pi - x)*(pi - y)` or share a parameter is split
in two: a circuit in which each parametrised gate has its own plain parameter phi_k, and a map
phi = f(inputs, weights) that torch evaluates for a batch and differentiates. The parameter-shift
rule then only shifts phi_k, however the angles depend on inputs and weights, and no expression
reaches the backend.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
import torch
from qiskit import transpile
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit
from torch import Tensor

from hybridq.errors import InvalidValueError
from hybridq_backends.compile.gate_angles import AngleMap, split_angles

if TYPE_CHECKING:
    from hybridq_backends import Prepared

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


class TorchAngles:
    """A torch function that evaluates an angle map in double precision.

    Args:
        angles: The map from parameters theta to gate angles phi.

    Raises:
        InvalidValueError: If an expression has a function that torch cannot compute here.
    """

    def __init__(self, angles: AngleMap) -> None:
        self._matrix = torch.from_numpy(angles.matrix)
        self._offset = torch.from_numpy(angles.offset)
        self._rows = list(angles.rows)
        self._formulas: list[tuple[list[int], _Formula]] = []
        for formula in angles.expressions:
            check_functions(formula)
            used = [i for i, one in enumerate(angles.symbols) if one in formula.free_symbols]
            self._formulas.append((used, _Formula(tuple(angles.symbols[i] for i in used), formula)))

    def __call__(self, theta: Tensor) -> Tensor:
        """Map parameters `(batch, num_parameters)` to angles `(batch, num_angles)`."""
        phi = theta @ self._matrix.to(theta.device).T + self._offset.to(theta.device)
        if not self._rows:
            return phi
        values = [
            formula.function(*(theta[:, index] for index in columns))
            for columns, formula in self._formulas
        ]
        rows = torch.tensor(self._rows, device=phi.device)
        return phi.index_copy(1, rows, torch.stack(values, dim=1))


class PhaseMap:
    """A map from inputs and weights to the angles of the gates.

    Args:
        angles: The map from inputs and weights, in this order, to phi.
        num_inputs: The number of its parameters that are inputs.

    Attributes:
        on_inputs: Whether phi_k depends on an input, bool `(num_phases,)`.
        on_weights: Whether phi_k depends on a weight, bool `(num_phases,)`.
        slopes: d phi_k / d input_i, double `(num_phases, num_inputs)`; NaN where phi_k depends on
            an input and is not affine.
    """

    def __init__(self, angles: AngleMap, num_inputs: int) -> None:
        self._angles = TorchAngles(angles)
        uses = torch.from_numpy(angles.uses)
        self.on_inputs = uses[:, :num_inputs].any(dim=1)
        self.on_weights = uses[:, num_inputs:].any(dim=1)
        self.slopes = torch.from_numpy(angles.matrix[:, :num_inputs].copy())
        curved = torch.zeros(len(uses), 1, dtype=torch.bool)
        curved[list(angles.rows)] = True
        self.slopes[curved & uses[:, :num_inputs]] = torch.nan

    def __call__(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Compute the angles of the gates, differentiable.

        Args:
            inputs: `(batch, num_inputs)`, double.
            weights: `(num_weights,)` or `(batch, num_weights)`, double, on the same device.

        Returns:
            phi in radians, `(batch, num_phases)`.
        """
        return self._angles(torch.cat([inputs, weights.expand(inputs.shape[0], -1)], dim=1))


class CompiledAngles:
    """A map from the plain angles of a split circuit to those of its compiled gates.

    Args:
        prepared: The split circuit, prepared by a backend.
        split: The split circuit.

    Attributes:
        on_inputs: Whether an input enters each angle of the compiled circuit.

    Raises:
        InvalidValueError: If the compiler made an expression that torch cannot compute.
    """

    def __init__(self, prepared: Prepared, split: SplitCircuit) -> None:
        column = {param.name: index for index, param in enumerate(split.params)}
        # the backend has its own order
        self._columns = [column[param.name] for param in prepared.parameters]
        self._angles = TorchAngles(prepared.angles)
        uses = torch.from_numpy(prepared.angles.uses)
        entering = split.phases.on_inputs[self._columns]
        self.on_inputs: list[bool] = (uses & entering).any(dim=1).tolist()

    def __call__(self, phi: Tensor) -> Tensor:
        """Map angles `(batch, num_phases)` to angles `(batch, num_angles)`, radians."""
        return self._angles(phi[:, self._columns])


def check_functions(formula: Any) -> None:
    """Refuse functions that torch cannot compute here."""
    unknown = sorted(
        {type(part).__name__ for part in formula.atoms(sympy.Function)} - set(_FUNCTIONS)
    )
    if unknown:
        raise InvalidValueError(
            f"Expected gate angles made of {', '.join(_FUNCTIONS)}, got {', '.join(unknown)}: "
            "rewrite the circuit's expressions."
        )


class _Formula:
    """An expression as a torch function, which a pickle makes anew.

    Args:
        symbols: Its symbols, in the order of the function's arguments.
        expression: The expression, in sympy.

    Attributes:
        function: Takes and gives tensors `(batch,)`.
    """

    def __init__(self, symbols: tuple[Any, ...], expression: Any) -> None:
        self._parts = symbols, expression
        plain = expression.replace(sympy.sign, sympy.Function("sign"))  # or printed as an `if`
        self.function: Callable[..., Tensor] = sympy.lambdify(symbols, plain, modules=[_FUNCTIONS])

    def __reduce__(self) -> tuple[type[_Formula], tuple[Any, ...]]:
        """Keep the symbols and the expression."""
        return _Formula, self._parts


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
    inputs, weights = check_parameters(circuit, input_params, weight_params)
    circuit = circuit.copy()
    circuit.global_phase = 0
    if any(_is_free(item.operation) and item.name not in ROTATIONS for item in circuit.data):
        basis = [*ROTATIONS, *_FIXED]
        circuit = transpile(circuit, basis_gates=basis, optimization_level=0)

    plain, angles = split_angles(circuit, [*inputs, *weights], angle=_fresh, merge=True)
    phases = PhaseMap(angles, len(inputs))
    return SplitCircuit(plain, tuple(plain.parameters), phases)


def _fresh(index: int) -> Parameter:
    """Make a new parameter for an angle, so that no two circuits share one."""
    return Parameter(f"phi_{index:05d}")


def _is_free(operation: Any) -> bool:
    """Whether the operation has an angle that is not a number."""
    params = getattr(operation, "params", ())
    return any(isinstance(p, ParameterExpression) and p.parameters for p in params)


def check_parameters(
    circuit: QuantumCircuit, input_params: Sequence[Parameter], weight_params: Sequence[Parameter]
) -> tuple[tuple[Parameter, ...], tuple[Parameter, ...]]:
    """Check that the parameters of a circuit are exactly the inputs and the weights.

    Args:
        circuit: The logical circuit, without measurements.
        input_params: Its parameters that are inputs.
        weight_params: Its parameters that are weights.

    Returns:
        The inputs and the weights, in the order given.

    Raises:
        InvalidValueError: If they are not, come without an order, or the circuit has classical
            bits.
    """
    inputs = _listed("input_params", input_params)
    weights = _listed("weight_params", weight_params)
    given = [*inputs, *weights]
    if circuit.cregs or circuit.clbits:
        raise InvalidValueError(
            f"Expected a circuit without classical bits, got {circuit.num_clbits}: "
            "remove measurements and control flow."
        )
    twice = sorted({param.name for param in given if given.count(param) > 1})
    if twice:
        raise InvalidValueError(
            "Expected `input_params` and `weight_params` to name the circuit's parameters each "
            f"once, got {', '.join(twice)} more than once: leave one out."
        )
    own = set(circuit.parameters)
    missing = {param.name for param in own - set(given)}
    strange = {param.name for param in set(given) - own}
    namesakes = sorted(missing & strange)
    if namesakes:
        raise InvalidValueError(
            "Expected the Parameter objects that the circuit was built with, got others of the "
            f"same names ({', '.join(namesakes)}): two Parameters of one name are different; take "
            f'those of the circuit, as in circuit.get_parameter("{namesakes[0]}").'
        )
    if missing or strange:
        raise InvalidValueError(
            "Expected `input_params` and `weight_params` to be the circuit's parameters, "
            f"each once, got a difference in {sorted(missing | strange)}: name all of them."
        )
    return inputs, weights


def _listed(name: str, params: object) -> tuple[Parameter, ...]:
    """Check that parameters come as a list, in an order."""
    if isinstance(params, Set | Mapping):
        raise InvalidValueError(
            f"Expected `{name}` in the order of the columns, got a {type(params).__name__}, which "
            "promises none: give a list."
        )
    if isinstance(params, ParameterExpression | str) or not isinstance(params, Iterable):
        raise InvalidValueError(
            f"Expected `{name}` as a list of the circuit's parameters, got {reprlib.repr(params)}: "
            "put it into a list."
        )
    listed = tuple(params)
    for param in listed:
        if not isinstance(param, Parameter):
            remedy = "give the Parameter objects that the circuit was built with."
            if isinstance(param, str):
                remedy = f'take circuit.get_parameter("{param}").'
            raise InvalidValueError(
                f"Expected `{name}` to be parameters of the circuit, got {reprlib.repr(param)}: "
                f"{remedy}"
            )
    return listed
