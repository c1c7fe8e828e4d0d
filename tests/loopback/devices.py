"""The device: a small one, its simulator, and its documents as the service writes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeTorino

from hybridq_backends.compile.subset import CutBackend
from hybridq_backends.noise.device import device_noise

NAME = "ibm_loopback"
MOCK = "mock_loopback"
MOST_QUBITS = 8
CALIBRATED = "2025-02-25T21:00:00Z"
_QUBITS = (1, 2, 3, 4, 5)  # a line of FakeTorino
_CONTROL_FLOW = ("if_else", "for_loop", "while_loop", "switch_case")
_NOT_GATES = ("measure", "reset", "delay", *_CONTROL_FLOW)


@lru_cache(maxsize=1)
def default_device() -> BackendV2:
    """Cut a line of five qubits out of FakeTorino, once."""
    return CutBackend(FakeTorino(), _QUBITS)


@lru_cache(maxsize=8)
def simulator_of(device: BackendV2, ideal: bool) -> AerSimulator:
    """Build the simulator of a device, once.

    Args:
        device: The device.
        ideal: Without noise; else with gate, relaxation and readout errors.

    Returns:
        The simulator that jobs run on.
    """
    if ideal:
        return AerSimulator(method="statevector")
    return AerSimulator.from_backend(
        device, method="density_matrix", noise_model=device_noise(device)
    )


def configuration(device: BackendV2, name: str) -> dict[str, Any]:
    """Write what `GET /backends/{name}/configuration` answers.

    Args:
        device: The device.
        name: What the client calls it.

    Returns:
        Read from the device's target.
    """
    target = device.target
    gates = [
        {
            "name": gate,
            "parameters": [str(parameter) for parameter in _parameters(target, gate)],
            "coupling_map": [list(where) for where in _places(target, gate)],
            "qasm_def": f"gate {gate} q {{ }}",
        }
        for gate in target.operation_names
        if gate not in _NOT_GATES
    ]
    pairs = {tuple(where) for gate in gates for where in gate["coupling_map"] if len(where) == 2}
    return {
        "backend_name": name,
        "backend_version": device.backend_version or "1.0.0",
        "n_qubits": target.num_qubits,
        "basis_gates": [gate["name"] for gate in gates],
        "gates": gates,
        "local": False,
        "simulator": False,
        "conditional": False,
        "open_pulse": False,
        "memory": True,
        "coupling_map": sorted(list(pair) for pair in pairs),
        "meas_levels": [1, 2],
        "meas_map": [list(range(target.num_qubits))],
        "supported_instructions": list(target.operation_names),
        "supported_features": ["qasm3"],
        "dynamic_reprate_enabled": True,
        "rep_delay_range": [0.0, 500.0],
        "default_rep_delay": 250.0,
        "max_shots": 100000,
        "max_experiments": 300,
        "n_registers": 1,
        "credits_required": True,
        "online_date": "2023-11-02T04:00:00Z",
        "description": f"{target.num_qubits} qubit device of tests",
        "dt": 4.0 if target.dt is None else target.dt * 1e9,
        "dtm": 4.0 if target.dt is None else target.dt * 1e9,
        "processor_type": {"family": "Heron", "revision": "1"},
        "parametric_pulses": [],
        "timing_constraints": {
            "granularity": target.granularity,
            "min_length": target.min_length,
            "pulse_alignment": target.pulse_alignment,
            "acquire_alignment": target.acquire_alignment,
        },
    }


def properties(device: BackendV2, name: str) -> dict[str, Any]:
    """Write what `GET /backends/{name}/properties` answers.

    Args:
        device: The device.
        name: What the client calls it.

    Returns:
        Read from the device's target.
    """
    target = device.target
    gates = [
        {
            "gate": gate,
            "name": gate + "_".join(map(str, where)),
            "qubits": list(where),
            "parameters": _values(
                [
                    ("gate_error", "", value.error),
                    ("gate_length", "ns", _times(value.duration, 1e9)),
                ]
            ),
        }
        for gate in target.operation_names
        if gate not in _NOT_GATES
        for where in _places(target, gate)
        if (value := target[gate][where]) is not None
    ]
    return {
        "backend_name": name,
        "backend_version": device.backend_version or "1.0.0",
        "last_update_date": CALIBRATED,
        "qubits": [_qubit(target, qubit) for qubit in range(target.num_qubits)],
        "gates": gates,
        "general": [],
    }


def _qubit(target: Any, qubit: int) -> list[dict[str, Any]]:
    """Write one qubit's times, frequency and readout."""
    known = target.qubit_properties[qubit] if target.qubit_properties else None
    measured = target["measure"].get((qubit,))
    error = getattr(measured, "error", None)
    return _values(
        [
            ("T1", "us", _times(getattr(known, "t1", None), 1e6)),
            ("T2", "us", _times(getattr(known, "t2", None), 1e6)),
            ("frequency", "GHz", _times(getattr(known, "frequency", None), 1e-9)),
            ("readout_error", "", error),
            ("prob_meas0_prep1", "", error),
            ("prob_meas1_prep0", "", error),
            ("readout_length", "ns", _times(getattr(measured, "duration", None), 1e9)),
        ]
    )


def _values(triples: Iterable[tuple[str, str, float | None]]) -> list[dict[str, Any]]:
    """Write names, units and values, leaving out what is not known."""
    return [
        {"date": CALIBRATED, "name": name, "unit": unit, "value": value}
        for name, unit, value in triples
        if value is not None
    ]


def _times(value: float | None, factor: float) -> float | None:
    """Change a value's unit."""
    return None if value is None else value * factor


def _places(target: Any, gate: str) -> list[tuple[int, ...]]:
    """List the qubits that a gate is defined on."""
    return sorted(where for where in target[gate] if where is not None)


def _parameters(target: Any, gate: str) -> list[Any]:
    """List a gate's parameters."""
    return list(target.operation_from_name(gate).params)
