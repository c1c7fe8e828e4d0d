"""Measure a job as IBM's own client would make it, without posting it.

The client turns a PUB into a quantum program: randomised circuits, folded ones, and one
circuit that calibrates the readout. Its own functions make that program and the body of the
request here; nothing is sent.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.providers import BackendV2
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.executor import Executor
from qiskit_ibm_runtime.executor_estimator.prepare import prepare
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

from hybridq_backends.ibm.options import estimator_options
from hybridq_backends.specs.ibm_runtime import IbmRuntime

SECONDS_PER_JOB = 2.0
"""The fixed cost of a job, in QPU seconds, as IBM documents it."""
SECONDS_PER_EXECUTION = 0.00035
"""The cost of one shot of one circuit, in QPU seconds, by IBM's quick estimate."""

_SESSION_ID = "0" * 36


@dataclass(frozen=True)
class ProgramSize:
    """The size of a job.

    Attributes:
        circuits: Circuits that are run, a count: after broadcasting, randomisation, folding,
            and with the calibration of the readout.
        shots_per_circuit: Shots of each of them, a count.
        body_bytes: Length of the body of POST /jobs, in bytes. Preparing the same job again
            differs by some: the client names its parameters, and folds gates, at random.
        device_seconds: The time of all executions on the device, in seconds: for each the
            device's delay between two executions and the duration of the circuit. None if the
            device does not report both.
    """

    circuits: int
    shots_per_circuit: int
    body_bytes: int
    device_seconds: float | None = None

    @property
    def executions(self) -> int:
        """The number of shots that the QPU runs: circuits times shots of each."""
        return self.circuits * self.shots_per_circuit

    @property
    def quick_seconds(self) -> float:
        """IBM's quick estimate of the job's usage, in seconds: 2 + 0.00035 * executions."""
        return SECONDS_PER_JOB + SECONDS_PER_EXECUTION * self.executions

    @property
    def qpu_seconds(self) -> float:
        """The estimated usage in seconds: 2 plus `device_seconds`, or else `quick_seconds`."""
        if self.device_seconds is None:
            return self.quick_seconds
        return SECONDS_PER_JOB + self.device_seconds


def repetition_delay(device: BackendV2) -> float | None:
    """Read the time that a device waits between two executions.

    Args:
        device: A whole device; one that was cut has no configuration.

    Returns:
        Its `default_rep_delay` in seconds; None if its configuration has none.
    """
    configuration = getattr(device, "configuration", None)
    found = configuration() if callable(configuration) else None
    delay = getattr(found, "default_rep_delay", None)
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        return None
    return float(delay) if math.isfinite(delay) and delay >= 0 else None


def program_size(
    circuit: QuantumCircuit,
    column: ObservablesArray,
    angles: npt.ArrayLike,
    spec: IbmRuntime,
    device: BackendV2,
    *,
    rep_delay: float | None = None,
) -> ProgramSize:
    """Prepare one broadcast PUB as the client does, and measure it.

    Args:
        circuit: The narrowed ISA circuit with K plain parameters: `Prepared.circuit`.
        column: The observables as a column, (O, 1): `Prepared.column`.
        angles: (batch, K), radians.
        spec: Shots, mitigation and mode.
        device: The device the job is for.
        rep_delay: The delay between two executions, in seconds, from `repetition_delay`.

    Returns:
        The circuits that the QPU would run, their time, and the bytes that would be posted.
    """
    # The client tags its boxes for local simulation only, and a posted body has no tags.
    program, options = prepare(
        [(circuit, column, angles)], estimator_options(spec), add_tags=False, backend=device
    )
    program._semantic_role = "estimator_v2"
    return ProgramSize(
        circuits=sum(int(item.size()) for item in program.items),
        shots_per_circuit=int(program.shots),
        body_bytes=len(_body(program, options, spec, device)),
        device_seconds=_device_seconds(program, device, rep_delay),
    )


def _device_seconds(program: Any, device: BackendV2, rep_delay: float | None) -> float | None:
    """Add up delays and durations of all executions; None where one of them is not known."""
    if rep_delay is None:
        return None
    seconds = 0.0
    for item in program.items:
        try:
            duration = float(item.circuit.estimate_duration(device.target))
        except QiskitError:  # the target has no duration of some instruction
            return None
        if not math.isfinite(duration) or duration < 0:
            return None
        seconds += int(item.size()) * (rep_delay + duration)
    return int(program.shots) * seconds


def _body(program: Any, options: Any, spec: IbmRuntime, device: BackendV2) -> bytes:
    """Write the body of POST /jobs as `Executor.run` and the client's REST adapter do."""
    converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[Executor._SCHEMA_VERSION]
    environment = options.environment
    optional = {
        "runtime": environment.image,
        "log_level": environment.log_level,
        "backend": device.name,
        # What a batch or session is called is not known before it is open.
        "session_id": None if spec.mode == "job" else _SESSION_ID,
        "tags": environment.job_tags,
        "cost": options.max_execution_time or environment.max_execution_time,
        "private": environment.private,
        "calibration_id": getattr(device, "calibration_id", None),
    }
    payload = {
        "program_id": Executor._PROGRAM_ID,
        "params": converter.encoder(program, options).model_dump(mode="json"),
        **{name: value for name, value in optional.items() if value},
    }
    return json.dumps(payload, cls=RuntimeEncoder).encode()
