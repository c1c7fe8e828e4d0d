"""Sort the gates of a circuit into few blocks, each of which is one cheap operation on a state.

Gates move to the earliest block that they can reach past gates on other qubits. On a state of
`2**n` amplitudes the blocks are:

- `LocalBlock`: one product of single-qubit gates on each qubit, later joined by Kronecker products;
- `DiagonalBlock`: exp(-i/2 sum_k phi_k Z_k), each Z_k a product of Z on some qubits;
- `MonomialBlock`: a run of constant gates that permute amplitudes and multiply them by numbers
  (a whole layer of CX or CZ);
- `PauliBlock`: exp(-i phi P / 2) for a Pauli string P;
- `DenseBlock`: any other constant gate, by its matrix.

Amplitudes are numbered as in Qiskit: qubit 0 is the lowest bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator

from hybridq.errors import InvalidValueError

ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

_TINY = 1e-15  # below it, an entry of a gate's matrix is a rounding error
_MOST_BY_MATRIX = 5  # qubits of a gate that is taken by its matrix
_SKIPPED = frozenset({"barrier", "delay", "id", "global_phase"})
_LOCAL = frozenset({"rx", "ry", "rz", "p"})
_PAULIS = {"rxx": "XX", "ryy": "YY", "rzx": "XZ"}  # as Qiskit labels: the last letter is qubit 0's


@dataclass(frozen=True)
class Rotation:
    """A gate of one plain angle on one qubit.

    Attributes:
        axis: `rx`, `ry` or `rz`; `p` is `rz` up to its global phase.
        angle: Index of the angle.
    """

    axis: str
    angle: int


Factor = Rotation | tuple[complex, complex, complex, complex]
"""A rotation, or the four entries of a constant 2 x 2 matrix, row by row."""


@dataclass
class LocalBlock:
    """Products of single-qubit gates.

    Attributes:
        runs: The factors on each qubit, in the order in which they act.
    """

    runs: dict[int, list[Factor]] = field(default_factory=dict)

    @property
    def qubits(self) -> set[int]:
        """The qubits it acts on."""
        return set(self.runs)

    @property
    def is_diagonal(self) -> bool:
        """Whether it holds only rotations about Z."""
        return bool(self.runs) and all(
            isinstance(factor, Rotation) and factor.axis == "rz"
            for run in self.runs.values()
            for factor in run
        )


@dataclass
class DiagonalBlock:
    """The diagonal operation exp(-i/2 sum_k phi_k Z_k).

    Attributes:
        terms: For each k the bits of the qubits of Z_k, and the index of phi_k.
    """

    terms: list[tuple[int, int]]

    @property
    def qubits(self) -> set[int]:
        """The qubits it acts on."""
        bits = int(np.bitwise_or.reduce([mask for mask, _ in self.terms]))
        return {qubit for qubit in range(bits.bit_length()) if bits >> qubit & 1}


@dataclass
class MonomialBlock:
    """A permutation with factors, `new[i] = factor[i] * old[source[i]]`.

    Attributes:
        qubits: The qubits that it acts on.
        source: Index of the old amplitude for each new one, `(2**n,)`.
        factor: Factor of each amplitude, `(2**n,)`.
    """

    qubits: set[int]
    source: IntArray
    factor: ComplexArray


@dataclass
class PauliBlock:
    """The Pauli rotation exp(-i phi P / 2).

    Attributes:
        qubits: The qubits that it acts on.
        x: Bits of the qubits where P is X or Y.
        z: Bits of the qubits where P is Z or Y.
        angle: Index of phi.
    """

    qubits: set[int]
    x: int
    z: int
    angle: int


@dataclass
class DenseBlock:
    """A constant gate, given by its matrix.

    Attributes:
        targets: The qubits, the lowest bit of the matrix first.
        matrix: The matrix, `(2**k, 2**k)`.
    """

    targets: tuple[int, ...]
    matrix: ComplexArray

    @property
    def qubits(self) -> set[int]:
        """The qubits it acts on."""
        return set(self.targets)


Block = LocalBlock | DiagonalBlock | MonomialBlock | PauliBlock | DenseBlock


def make_blocks(circuit: QuantumCircuit, params: Sequence[Parameter]) -> list[Block]:
    """Sort the gates of a circuit into blocks; the first is a `LocalBlock`, maybe an empty one.

    Args:
        circuit: A circuit without classical bits, whose parametrised gates are rotations of one
            plain parameter each, as `split_circuit` makes it.
        params: Its parameters, in the order of the angles.

    Raises:
        InvalidValueError: If an instruction is not unitary.
    """
    column = {param: index for index, param in enumerate(params)}
    blocks: list[Block] = [LocalBlock()]
    for operation, qubits in _elementary(circuit, tuple(range(circuit.num_qubits))):
        angles: list[Any] = list(getattr(operation, "params", ()))
        given = angles[0] if angles else None
        if isinstance(given, ParameterExpression) and given.parameters:
            _add_rotation(blocks, operation.name, qubits, column[next(iter(given.parameters))])
        else:
            _add_constant(blocks, _matrix(operation), qubits, circuit.num_qubits)
    return _with_diagonals(blocks)


def _elementary(
    circuit: QuantumCircuit, places: tuple[int, ...]
) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield the operations of a circuit and their qubits in the whole circuit.

    An operation that is defined by a circuit and not by a matrix, or whose matrix would be large,
    is decomposed, as Aer does, so that no matrix of `4**k` entries is made.
    """
    for item in circuit.data:
        operation = item.operation
        if operation.name in _SKIPPED:
            continue
        qubits = tuple(places[circuit.find_bit(qubit).index] for qubit in item.qubits)
        definition = getattr(operation, "definition", None)
        by_matrix = hasattr(operation, "__array__") and (
            len(qubits) <= _MOST_BY_MATRIX or isinstance(operation, UnitaryGate)
        )
        if definition is None or by_matrix:
            yield operation, qubits
        else:
            yield from _elementary(definition, qubits)


def is_real(blocks: Sequence[Block]) -> bool:
    """Whether the blocks keep a real state real."""
    return all(_is_real(block) for block in blocks)


def _is_real(block: Block) -> bool:
    if isinstance(block, LocalBlock):
        factors = [factor for run in block.runs.values() for factor in run]
        return all(
            factor.axis == "ry" if isinstance(factor, Rotation) else not np.imag(factor).any()
            for factor in factors
        )
    if isinstance(block, MonomialBlock):
        return not block.factor.imag.any()
    if isinstance(block, DenseBlock):
        return not block.matrix.imag.any()
    return False


def _matrix(operation: object) -> ComplexArray:
    """Compute the matrix of a constant gate, without a common phase if that makes it real."""
    try:
        matrix = np.array(Operator(operation).data, dtype=np.complex128)
    except QiskitError as error:
        name = getattr(operation, "name", "?")
        remedy = "remove measurements and control flow."
        if name in ("reset", "initialize"):
            remedy = (
                "write `prepare_state` in place of `initialize`, or take `aer_statevector`, which "
                "resets."
            )
        raise InvalidValueError(f"Expected unitary gates, got {name!r}: {remedy}") from error
    largest = matrix.flat[np.abs(matrix).argmax()]
    turned = matrix * (abs(largest) / largest)
    if np.abs(turned.imag).max() < _TINY:
        matrix = turned
    matrix.real[np.abs(matrix.real) < _TINY] = 0
    matrix.imag[np.abs(matrix.imag) < _TINY] = 0
    return matrix


def _reach(blocks: list[Block], qubits: set[int], kind: type[Block]) -> Block | None:
    """Find the earliest block of a kind that a new gate can join past gates on other qubits."""
    found = None
    for block in reversed(blocks):
        if isinstance(block, kind):
            found = block
        if block.qubits & qubits:
            break
    return found


def _add_rotation(blocks: list[Block], name: str, qubits: tuple[int, ...], angle: int) -> None:
    """Add a rotation by a plain angle."""
    if name in _LOCAL:
        _add_local(blocks, qubits[0], Rotation("rz" if name == "p" else name, angle))
    elif name == "rzz":
        block = _reach(blocks, set(qubits), DiagonalBlock)
        term = ((1 << qubits[0]) | (1 << qubits[1]), angle)
        if isinstance(block, DiagonalBlock):
            block.terms.append(term)
        else:
            blocks.append(DiagonalBlock([term]))
    else:
        letters = list(zip(reversed(_PAULIS[name]), qubits, strict=True))
        x = sum(1 << qubit for letter, qubit in letters if letter in "XY")
        z = sum(1 << qubit for letter, qubit in letters if letter in "ZY")
        blocks.append(PauliBlock(set(qubits), x, z, angle))


def _add_local(blocks: list[Block], qubit: int, factor: Factor) -> None:
    """Add a gate on one qubit."""
    block = _reach(blocks, {qubit}, LocalBlock)
    if not isinstance(block, LocalBlock):
        block = LocalBlock()
        blocks.append(block)
    block.runs.setdefault(qubit, []).append(factor)


def _add_constant(
    blocks: list[Block], matrix: ComplexArray, qubits: tuple[int, ...], num_qubits: int
) -> None:
    """Add a constant gate."""
    if len(qubits) == 1:
        a, b, c, d = matrix.flatten()
        _add_local(blocks, qubits[0], (complex(a), complex(b), complex(c), complex(d)))
    elif ((matrix != 0).sum(axis=1) == 1).all():
        source, factor = _monomial(matrix, qubits, num_qubits)
        block = _reach(blocks, set(qubits), MonomialBlock)
        if isinstance(block, MonomialBlock):
            block.factor = factor * block.factor[source]
            block.source = block.source[source]
            block.qubits |= set(qubits)
        else:
            blocks.append(MonomialBlock(set(qubits), source, factor))
    else:
        blocks.append(DenseBlock(qubits, matrix))


def _monomial(
    matrix: ComplexArray, qubits: tuple[int, ...], num_qubits: int
) -> tuple[IntArray, ComplexArray]:
    """Compute source and factor, on all amplitudes, of a gate with one entry in each row."""
    index = np.arange(2**num_qubits)
    row = sum((index >> qubit & 1) << place for place, qubit in enumerate(qubits))
    column = (matrix != 0).argmax(axis=1)[row]
    others = index & ~sum(1 << qubit for qubit in qubits)
    source = others + sum((column >> place & 1) << qubit for place, qubit in enumerate(qubits))
    return source, matrix[row, column]


def _with_diagonals(blocks: list[Block]) -> list[Block]:
    """Turn rotations about Z into diagonals, and join neighbouring diagonals."""
    done: list[Block] = blocks[:1]
    for block in blocks[1:]:
        if isinstance(block, LocalBlock) and block.is_diagonal:
            terms = [
                (1 << qubit, factor.angle)
                for qubit, run in block.runs.items()
                for factor in run
                if isinstance(factor, Rotation)
            ]
            block = DiagonalBlock(terms)
        if isinstance(block, DiagonalBlock) and isinstance(done[-1], DiagonalBlock):
            done[-1].terms.extend(block.terms)
        else:
            done.append(block)
    return done
