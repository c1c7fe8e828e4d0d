"""What a model costs: parameters, floating-point operations, and an estimate of energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from hybridq.models.classifier import HybridClassifier
from hybridq.quantum.modules import circuits_of, quantum_parameters, quantum_parts
from hybridq_backends import Deferred, open_backend

JOULES_PER_WATT_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Size and work of a model.

    Attributes:
        parameters: of encoder and head.
        head_parameters: of the head, circuit weights included.
        circuit_parameters: weights of the circuit; 0 without one.
        flops: operations of one image, two for each multiply and add, without the circuit.
        circuit_rows: circuits that run for one image.
        circuit_gates: gates of the circuit, or of all different ones.
        circuit_depth: its depth, or the sum of their depths.
    """

    parameters: int
    head_parameters: int
    circuit_parameters: int
    flops: int
    circuit_rows: int
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
    with open_backend("statevector") as exact:
        nothing = Deferred(exact)
        with (
            torch.no_grad(),
            model.running_on(nothing),
            FlopCounterMode(display=False) as counter,
            _inside(model.head, counter.get_total_flops) as inside,
        ):
            model(image)
        rows = sum(len(request.rows) for request in nothing.requests)
    gates = [circuit.circuit for circuit in circuits_of(model.head)]
    return Cost(
        parameters=sum(weight.numel() for weight in model.parameters()),
        head_parameters=sum(weight.numel() for weight in model.head.parameters()),
        circuit_parameters=sum(weight.numel() for weight in quantum_parameters(model.head)),
        flops=int(counter.get_total_flops() - sum(inside)),
        circuit_rows=rows,
        circuit_gates=sum(circuit.size() for circuit in gates),
        circuit_depth=sum(circuit.depth() for circuit in gates),
    )


@contextmanager
def _inside(head: nn.Module, total: Callable[[], float]) -> Iterator[list[float]]:
    """Collect what a counter counts inside each call of a quantum module."""
    began: list[float] = []
    counted: list[float] = []
    hooks = []
    for part in quantum_parts(head):
        hooks.append(part.register_forward_pre_hook(lambda *_: began.append(total())))
        hooks.append(part.register_forward_hook(lambda *_: counted.append(total() - began.pop())))
    try:
        yield counted
    finally:
        for hook in hooks:
            hook.remove()


def energy_estimate(seconds: float, watts: float) -> float:
    """Energy in watt-hours, `seconds * watts / 3600`: an estimate, not a measurement.

    Args:
        seconds: wall time.
        watts: assumed mean power of the machine while it computed.
    """
    return seconds * watts / JOULES_PER_WATT_HOUR
