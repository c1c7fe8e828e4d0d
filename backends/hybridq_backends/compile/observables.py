"""Observables in every form in which Qiskit takes them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import Operator, Pauli, PauliList, SparseObservable, SparsePauliOp

from hybridq_backends.errors import InvalidValueError

Observable: TypeAlias = (
    str | Pauli | SparsePauliOp | SparseObservable | Operator | Mapping[str | Pauli, float]
)
"""One observable: a label such as `ZZI`, an operator, or coefficients by label."""

Observables: TypeAlias = Observable | Iterable[Observable] | PauliList | ObservablesArray
"""One observable or several."""

_ONE = (str, Pauli, SparsePauliOp, SparseObservable, Operator, Mapping)


def coerce_observables(observables: Observables, num_qubits: int) -> tuple[SparsePauliOp, ...]:
    """Check observables on the logical qubits.

    Args:
        observables: Hermitian operators of `num_qubits` qubits, one or several: labels such as
            `ZZI` (qubit 0 is the last letter), `Pauli`, `SparsePauliOp`, `SparseObservable`,
            `Operator`, a dict such as `{"ZZI": 0.5, "IXX": 1.0}`, a `PauliList` or an
            `ObservablesArray`. A list of labels is a list of observables, not their sum.
        num_qubits: Qubits of the logical circuit.

    Returns:
        One simplified operator each.

    Raises:
        InvalidValueError: If there is none, one is no observable, has another width or is not
            Hermitian.
    """
    if isinstance(observables, _ONE):
        listed: list[Any] = [observables]
    elif isinstance(observables, ObservablesArray):
        listed = list(np.ravel(np.asarray(observables)))
    elif _is_matrix(observables):
        listed = [observables]
    elif isinstance(observables, PauliList | Iterable):
        listed = list(observables)
    else:
        raise _refused(observables)
    if not listed:
        raise InvalidValueError("Expected at least one observable, got none: add one.")
    return tuple(_coerced(observable, num_qubits) for observable in listed)


def _coerced(observable: Any, num_qubits: int) -> SparsePauliOp:
    """Check one observable."""
    try:
        operator = _operator(observable)
        free = sorted(map(str, getattr(operator, "parameters", ())))
        if free:
            raise InvalidValueError(
                f"Expected observables with numbers as coefficients, got the parameter {free[0]}: "
                "bind it with `assign_parameters`."
            )
        coefficients = np.asarray(operator.coeffs, dtype=complex)
    except InvalidValueError:
        raise
    except (QiskitError, TypeError, ValueError) as error:
        raise _refused(observable) from error
    if operator.num_qubits != num_qubits:
        raise InvalidValueError(
            f"Expected observables of {num_qubits} qubits, got one of {operator.num_qubits}: give "
            "them on the logical circuit's qubits."
        )
    if not np.isfinite(coefficients).all():
        raise InvalidValueError(
            "Expected observables with finite coefficients, got nan or inf: correct them."
        )
    if not np.allclose(coefficients.imag, 0.0, atol=1e-12):
        raise InvalidValueError(
            "Expected Hermitian observables, got a complex coefficient: make them real."
        )
    return operator.simplify()


def _operator(observable: Any) -> SparsePauliOp:
    """Write an observable as a sum of Pauli terms."""
    if isinstance(observable, Operator):
        return SparsePauliOp.from_operator(observable)
    if isinstance(observable, SparsePauliOp | Pauli):
        return SparsePauliOp(observable)
    if isinstance(observable, str) and not set(observable) - set("IXYZ"):
        return SparsePauliOp(observable)
    # labels with projectors, such as "0", "+" or "r", and what has such terms
    return SparsePauliOp.from_sparse_observable(ObservablesArray.coerce_observable(observable))


def _is_matrix(got: object) -> bool:
    return isinstance(got, np.ndarray) and got.dtype.kind in "biufc"


def _refused(got: object) -> InvalidValueError:
    remedy = "write it with the letters I, X, Y, Z."
    if _is_matrix(got):
        remedy = "write a matrix as Operator(matrix)."
    return InvalidValueError(
        "Expected an observable as a label such as 'ZII', a Pauli, a SparsePauliOp or "
        f"{{'ZII': 0.5}}, or a list of these, got {reprlib.repr(got)}: {remedy}"
    )
