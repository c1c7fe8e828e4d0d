"""Translate a spec into the options of IBM's estimator: shots, mitigation, limits."""

from __future__ import annotations

from qiskit_ibm_runtime.options_models.estimator import EstimatorOptions

from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.seeds import precision_of


def estimator_options(spec: IbmRuntime, *, seed: int | None = None) -> EstimatorOptions:
    """Translate a spec into the options of IBM's estimator.

    Args:
        spec: The spec.
        seed: Seed of a local simulation; hardware has none.

    Returns:
        Options with the exact number of shots.
    """
    options = EstimatorOptions(
        default_shots=spec.shots,
        default_precision=precision_of(spec.shots),
        resilience_level=spec.resilience_level,
        max_execution_time=spec.max_execution_time,
    )
    # What is None stays unset: the client warns of what it finds set, even to None.
    for group, name, choice in (
        (options.resilience, "measure_mitigation", spec.measure_mitigation),
        (options.resilience, "zne_mitigation", spec.zne_mitigation),
        (options.twirling, "enable_gates", spec.gate_twirling),
        (options.twirling, "enable_measure", spec.measure_twirling),
    ):
        if choice is not None:
            setattr(group, name, choice)
    # In rehearsal, too, pulses and delays are inserted; memoryless noise is not refocused.
    options.dynamical_decoupling.enable = spec.dynamical_decoupling
    if seed is not None:
        options.simulator.seed_simulator = seed
    return options
