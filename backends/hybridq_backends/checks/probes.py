"""Questions put to a backend by small circuits, each answered by a `Probe`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from hybridq_backends.compile.transpile import Prepared
from hybridq_backends.executable import Executable
from hybridq_backends.specs.base import Spec

FloatArray: TypeAlias = npt.NDArray[np.float64]
_SIGMAS = 6.0
_MAPPING_ANGLES = (0.3, 1.2, 1.9, 2.8)
_POINTS = 96
_PAIRS = (20, 80, 320)
_ODD_PAIRS = (21, 83, 331)


@dataclass(frozen=True)
class Probe:
    """One question put to a backend.

    Attributes:
        name: What was asked.
        passed: Whether the answer is as claimed.
        expected: The claim, in words and numbers.
        measured: The answer.
    """

    name: str
    passed: bool
    expected: str
    measured: str


def _single_z(num_qubits: int) -> list[SparsePauliOp]:
    """Write Z on each qubit."""
    return [
        SparsePauliOp.from_sparse_list([("Z", [q], 1.0)], num_qubits) for q in range(num_qubits)
    ]


def _means(executable: Executable, prepared: Prepared) -> tuple[FloatArray, FloatArray]:
    """Run a circuit without parameters and average.

    Returns:
        Means and what they may be off by, each (num_observables,): rounding where the backend
        is exact, else six standard errors as the repeated runs show them.
    """
    if executable.is_exact:
        values = executable.run(prepared, np.zeros((1, 0))).values[0]
        return values, np.full(values.shape, executable.rounding)
    repeats = 4 if _is_paid(executable) else 16
    values = executable.run(prepared, np.zeros((repeats, 0))).values
    errors = np.std(values, axis=0, ddof=1) / math.sqrt(repeats)
    return values.mean(axis=0), _SIGMAS * errors + 3.0 * executable.precision**2


def ask_mapping(executable: Executable) -> Probe:
    """Give every qubit its own <Z>, on a layout out of order that may need swaps."""
    n = min(len(_MAPPING_ANGLES), executable.num_qubits)
    circuit = QuantumCircuit(n)
    for qubit in range(n):
        circuit.ry(_MAPPING_ANGLES[qubit], qubit)
    wanted = np.cos(_MAPPING_ANGLES[:n])
    if n > 1:
        circuit.cx(0, n - 1)
        wanted[n - 1] *= wanted[0]
    layout = scattered_layout(executable.target, n, executable.num_qubits)
    prepared = executable.prepare(circuit, _single_z(n), initial_layout=layout)
    values, margins = _means(executable, prepared)
    name = f"mapping on layout {list(layout)}"
    measured = f"{_numbers(values)}, off by {np.abs(values - wanted).max():.2g}"
    if executable.spec is not None and not executable.spec.has_noise:
        passed = bool((np.abs(values - wanted) <= margins).all())
        return Probe(name, passed, f"{_numbers(wanted)} within {margins.max():.2g}", measured)
    # Noise shrinks and shifts the values, but leaves them in order, one for each qubit.
    clear = np.hypot(margins[:-1], margins[1:])
    passed = bool((values[:-1] - values[1:] > clear).all())
    return Probe(name, passed, f"the order of {_numbers(wanted)}", measured)


def ask_closed_forms(executable: Executable) -> Probe:
    """Compare <Z> and <XX> of an entangled pair with their closed forms."""
    angles = ParameterVector("t", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(angles[0], 0)
    circuit.cx(0, 1)
    circuit.ry(angles[1], 1)
    prepared = executable.prepare(circuit, ["IZ", "ZI", SparsePauliOp(["XX", "ZZ"], [1.0, 0.5])])
    theta = np.random.default_rng(1).uniform(-np.pi, np.pi, (_POINTS // 8, 2))
    t, u = theta.T
    last = np.sin(t) * np.cos(u) + 0.5 * np.cos(u)
    wanted = np.stack([np.cos(t), np.cos(u) * np.cos(t), last], axis=1)
    worst = float(np.abs(executable.run(prepared, theta).values - wanted).max())
    factor = 6.0 if _is_mitigated(executable) else 1.5
    margin = max(executable.rounding, factor * _SIGMAS * executable.precision)
    return Probe("closed forms", worst <= margin, f"within {margin:.2g}", f"off by {worst:.2g}")


def ask_repeats(executable: Executable) -> Probe:
    """Run the same batch twice: an exact backend repeats itself to the last bit."""
    prepared = _equator(executable)
    first = executable.run(prepared, np.full((2, 1), np.pi / 2))
    again = executable.run(prepared, np.full((2, 1), np.pi / 2))
    worst = float(np.abs(first.values - again.values).max())
    largest = float(max(first.stds.max(), again.stds.max()))
    return Probe(
        "no shot noise",
        worst == 0.0 and largest == 0.0,
        "two runs the same, standard errors 0",
        f"a difference of {worst:.2g}, standard errors up to {largest:.2g}",
    )


def ask_shot_noise(executable: Executable) -> Probe:
    """Measure the spread of <Z> on the equator against 1 / sqrt(shots)."""
    mitigated = _is_mitigated(executable)
    points = 32 if mitigated else _POINTS
    result = executable.run(_equator(executable), np.full((points, 1), np.pi / 2))
    spread = float(np.std(result.values, axis=0, ddof=1).mean()) / executable.precision
    width = _SIGMAS / math.sqrt(2 * (points - 1))
    low, high = max(0.3, 1.0 - width), (6.0 if mitigated else 1.0 + width)
    reported = float(np.median(result.stds)) / executable.precision
    return Probe(
        "shot noise",
        low <= spread <= high and low <= reported <= high,
        f"{low:.2f} to {high:.2f} times 1 / sqrt(shots)",
        f"{spread:.2f} times, reported as {reported:.2f} times",
    )


def _equator(executable: Executable) -> Prepared:
    """Prepare one qubit turned by a parameter about y."""
    angle = ParameterVector("t", 1)
    circuit = QuantumCircuit(1)
    circuit.ry(angle[0], 0)
    return executable.prepare(circuit, "Z")


def ask_readout(executable: Executable) -> Probe:
    """Measure qubits on which nothing happened: only readout can be wrong."""
    n = min(len(_MAPPING_ANGLES), executable.num_qubits)
    prepared = executable.prepare(QuantumCircuit(n), _single_z(n))
    values, margins = _means(executable, prepared)
    physical = [prepared.qubits[place] for place in prepared.layout]
    spec = executable.spec or Spec(kind="unknown")
    wanted = np.array([_readout_contrast(spec, executable.target, qubit) for qubit in physical])
    if spec.takes_jobs:
        # Mitigation leaves a bias, and hardware drifts away from its calibration.
        margins = margins + (0.1 if spec.is_paid else 0.01)
    passed = bool((np.abs(values - wanted) <= margins).all())
    return Probe(
        "readout error alone",
        passed,
        f"<Z> = {_numbers(wanted)} within {margins.max():.2g}",
        f"{_numbers(values)}, off by {np.abs(values - wanted).max():.2g}",
    )


def _readout_contrast(spec: Spec, target: Target | None, qubit: int) -> float:
    """Predict <Z> of a qubit in |0> from the claimed probabilities of reading wrongly."""
    zero, one = spec.readout_error_of(qubit, target)
    # One application maps <Z> to shift + shrink <Z>; strengths between are mixtures.
    shrink, shift = 1.0 - zero - one, one - zero
    scale = float(getattr(spec, "noise_scale", 1.0))
    value = 1.0
    rest = scale - math.floor(scale)
    value += rest * (shift + shrink * value - value)
    for _ in range(math.floor(scale)):
        value = shift + shrink * value
    return value


def _is_paid(executable: Executable) -> bool:
    """Whether runs are paid for, so that few should be made."""
    return executable.spec is not None and executable.spec.is_paid


def _is_mitigated(executable: Executable) -> bool:
    """Whether values are spread wider than by shots alone."""
    return executable.spec is not None and executable.spec.is_mitigated


def ask_gate_noise(executable: Executable) -> Probe:
    """Repeat a two-qubit gate that does nothing in the end, and see -<Z> of |1> fall."""
    start, spread = _excitation(executable, 0)
    for pairs in _PAIRS[:1] if _is_paid(executable) else _PAIRS:
        end, margin = _excitation(executable, pairs)
        margin = max(math.hypot(spread, margin), 1e-6)
        if start - end > margin:
            break
    return Probe(
        "gate noise",
        start - end > margin,
        f"-<Z> to fall by more than {margin:.2g} over {2 * pairs} two-qubit gates",
        f"a fall of {start - end:.2g} (from {start:.4f})",
    )


def _excitation(executable: Executable, pairs: int) -> tuple[float, float]:
    """Measure -<Z> of the control in |1> after pairs of cx that cancel, and its margin."""
    circuit = QuantumCircuit(2)
    circuit.x([0, 1])
    mean, margin = _after_pairs(executable, circuit, pairs, "IZ")
    return -mean, margin


def ask_phase_noise(executable: Executable) -> Probe:
    """Repeat a two-qubit gate on a control in (|0> + |1>) / sqrt(2), and see its <X> move.

    Dephasing shrinks <X>. The angles of a coherent over-rotation add up and turn it, as
    cos(g angle) for g gates: it may also come back, but not at all of the depths.
    """
    start, spread = _coherence(executable, 0)
    for pairs in _ODD_PAIRS:
        end, margin = _coherence(executable, pairs)
        margin = max(math.hypot(spread, margin), 1e-6)
        if abs(start - end) > margin:
            break
    return Probe(
        "phase noise",
        abs(start - end) > margin,
        f"<X> to move by more than {margin:.2g} over {2 * pairs} two-qubit gates",
        f"a move of {end - start:.2g} (from {start:.4f})",
    )


def _coherence(executable: Executable, pairs: int) -> tuple[float, float]:
    """Measure <X> of the control after pairs of cx that cancel, and its margin of error."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    return _after_pairs(executable, circuit, pairs, "IX")


def _after_pairs(
    executable: Executable, start: QuantumCircuit, pairs: int, label: str
) -> tuple[float, float]:
    """Measure an observable after a start and pairs of cx that cancel, and its margin."""
    circuit = start.copy()
    for _ in range(2 * pairs):
        circuit.barrier()
        circuit.cx(0, 1)
    circuit.barrier()
    prepared = executable.prepare(circuit, label, initial_layout=_pair(executable.target))
    means, margins = _means(executable, prepared)
    return float(means[0]), float(margins[0])


def _pair(target: Target | None) -> tuple[int, ...]:
    """Choose two neighbours, the same for both depths of a probe."""
    return (0, 1) if target is None else tuple(_path(target, 2))


def scattered_layout(target: Target | None, length: int, num_qubits: int) -> tuple[int, ...]:
    """Choose physical qubits out of order for a mapping probe.

    Args:
        target: The device; None where every pair is connected.
        length: Qubits needed.
        num_qubits: Qubits there are, where every pair is connected.

    Returns:
        Distinct physical qubits, neighbours on the device but not in ascending order.
    """
    if target is None:
        spaced = [
            min(1, num_qubits // length - 1) + q * (num_qubits // length) for q in range(length)
        ]
    else:
        spaced = _path(target, length)
    spaced = sorted(spaced)
    order = {1: [0], 2: [1, 0], 3: [2, 0, 1]}.get(length, [2, 0, 3, 1])
    return tuple(spaced[i] for i in order)


def _path(target: Target, length: int) -> list[int]:
    """Walk along good couplings of a device, greedily by their errors."""
    errors: dict[tuple[int, int], float] = {}
    for name in target.operation_names:
        for where, properties in (target[name] or {}).items():
            if where is not None and len(where) == 2:
                error = getattr(properties, "error", None)
                errors[where[0], where[1]] = 0.0 if error is None else float(error)
    for first in sorted(errors, key=lambda pair: (errors[pair], pair)):
        path = list(first)
        while len(path) < length:
            steps = [
                (error, b)
                for (a, c) in errors
                for error, b in [(errors[a, c], c if a == path[-1] else a)]
                if path[-1] in (a, c) and b not in path
            ]
            if not steps:
                break
            path.append(min(steps)[1])
        if len(path) >= length:
            return path[:length]
    return list(range(length))


def _numbers(values: FloatArray) -> str:
    """Write a few numbers in a line."""
    return "(" + ", ".join(f"{value:.4f}" for value in values) + ")"
