"""Running executor programs with the client's own converters and local simulator."""

from __future__ import annotations

from datetime import UTC, datetime
from math import prod
from typing import Any

import numpy as np
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import QuantumProgramResultModel
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import run_quantum_program
from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import passthrough_data_to_2_0
from qiskit_ibm_runtime.quantum_program.params_converters import (
    QUANTUM_PROGRAM_PARAMS_CONVERTERS,
)

SCHEMA = "v2.0"


def count_executions(params: dict[str, Any]) -> int:
    """Count the circuits of a program times its shots.

    Args:
        params: An executor program's parameters, as posted.

    Returns:
        The executions, randomizations included.
    """
    program = params["quantum_program"]
    circuits = 0
    for item in program["items"]:
        if item["item_type"] == "samplex":
            circuits += prod(item["shape"])
        else:
            circuits += prod(item["circuit_arguments"]["shape"][:-1])
    return int(circuits * program["shots"])


def job_seed(seed: int, number: int) -> int:
    """Derive the seed of a job from the server's and the job's number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def run_executor(params: dict[str, Any], simulator: AerSimulator, seed: int) -> str:
    """Run an executor program.

    Args:
        params: Its parameters, as posted.
        simulator: What it runs on.
        seed: Seed of the randomizations and the shots.

    Returns:
        The result in JSON, as the client decodes it.
    """
    start = datetime.now(UTC)
    converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[SCHEMA]
    program, _ = converter.decoder(converter.model.model_validate(params))
    for item in program.items:
        if hasattr(item, "samplex"):
            item.samplex.finalize()
    # By default the client rounds angles to five decimals of a quarter turn.
    options = SimulatorOptions(seed_simulator=seed, angle_decimals=12)
    done = run_quantum_program(simulator, program, options)
    spans = [{"start": start, "stop": datetime.now(UTC), "parts": []}]
    model = QuantumProgramResultModel(
        data=[
            {
                "results": {
                    name: CompressedTensorModel.from_numpy(np.asarray(value))
                    for name, value in item.items()
                },
                "metadata": {},
            }
            for item in done
        ],
        metadata={"chunk_timing": spans},
        passthrough_data=passthrough_data_to_2_0(done.passthrough_data),
        semantic_role=done._semantic_role,
    )
    return str(model.model_dump_json())
