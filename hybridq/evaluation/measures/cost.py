"""What a model costs: parameters, floating-point operations, and an estimate of energy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hybridq.models.classifier import HybridClassifier
from hybridq.models.heads import quantum_layers

JOULES_PER_WATT_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Size and work of a model.

    Attributes:
        parameters: of encoder and head.
        head_parameters: of the head, circuit weights included.
        circuit_parameters: weights of the circuit; 0 without one.
        flops: operations of one image, two for each multiply and add, without the circuit.
        circuit_gates: gates of the circuit of one image.
        circuit_depth: its depth.
    """

    parameters: int
    head_parameters: int
    circuit_parameters: int
    flops: int
    circuit_gates: int
    circuit_depth: int


def model_cost(model: HybridClassifier) -> Cost:
    """Count what one image costs, on an image of zeros.

    Convolutions and matrix products are counted (torch's flop counter), the simulation of the
    circuit is not: on a quantum computer there is none.
    """
    from torch.utils.flop_counter import FlopCounterMode

    spec = model.encoder.spec
    image = torch.zeros(1, 3, spec.image_size, spec.image_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = model.features(image)
        if not model.head.has_quantum:
            model.head(features)
    flops = counter.get_total_flops()
    if model.head.has_quantum:
        flops += _around_circuit(model, features)
    layers = quantum_layers(model.head)
    circuits = [layer.qnn.circuit for layer in layers]
    return Cost(
        parameters=sum(weight.numel() for weight in model.parameters()),
        head_parameters=sum(weight.numel() for weight in model.head.parameters()),
        circuit_parameters=sum(layer.weight.numel() for layer in layers),
        flops=int(flops),
        circuit_gates=sum(circuit.size() for circuit in circuits),
        circuit_depth=sum(circuit.depth() for circuit in circuits),
    )


def _around_circuit(model: HybridClassifier, features: Tensor) -> int:
    """Operations of a quantum head before and after its circuit."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad():
        with FlopCounterMode(display=False) as before:
            angles = model.angles(features)
        expvals = model.expvals(angles)
        with FlopCounterMode(display=False) as after:
            model.readout(features, expvals)
    return int(before.get_total_flops() + after.get_total_flops())


def energy_estimate(seconds: float, watts: float) -> float:
    """Energy in watt-hours, `seconds * watts / 3600`: an estimate, not a measurement.

    Args:
        seconds: wall time.
        watts: assumed mean power of the machine while it computed.
    """
    return seconds * watts / JOULES_PER_WATT_HOUR
