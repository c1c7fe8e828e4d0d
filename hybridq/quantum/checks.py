"""Check that the torch engine computes the same values as Aer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybridq.errors import InvalidValueError
from hybridq.quantum.circuits import ANSAETZE, ENCODINGS, build_circuit, z_observables
from hybridq.quantum.layer import QuantumLayer
from hybridq_backends import Probe, open_backend

if TYPE_CHECKING:
    from hybridq_backends import Executable

_NUM_QUBITS = 4
_BATCH = 3


def check_torch_engine(executable: Executable) -> list[Probe]:
    """Compare values and gradients of the shipped circuits with Aer's.

    Args:
        executable: An open backend whose engine is `torch`.

    Returns:
        Two answers: on expectation values, and on gradients by parameter shift.
    """
    spec = executable.spec
    if spec is None or not spec.is_differentiable:
        raise InvalidValueError(
            f"Expected a backend whose engine is torch, got {executable.profile!r}: open one."
        )
    on_aer: dict[str, Any] = {"engine": "aer", "shots": None}
    within = (1e-10, 1e-10)
    if spec.scales_noise:  # on some devices Aer leaves out Kraus operators as weak as 1e-9
        within = (1e-8, 1e-6)
    elif executable.rounding > 1e-9:  # single precision, which Aer does not have
        within = (executable.rounding, executable.rounding)
        on_aer["dtype"] = "float64"
    ours = executable if executable.is_exact else open_backend(spec, shots=None)
    reference = open_backend(spec, **on_aer)
    errors = np.zeros(2)
    with reference as aer:
        for encoding in ENCODINGS:
            for ansatz in ANSAETZE:
                found = [_run(encoding, ansatz, backend) for backend in (ours, aer)]
                worst = [float((a - b).abs().max()) for a, b in zip(*found, strict=True)]
                errors = np.maximum(errors, worst)
    names = ("values of the shipped circuits", "gradients of the shipped circuits")
    return [
        Probe(name, bool(error <= most), f"Aer's within {most:g}", f"off by {error:.2g}")
        for name, error, most in zip(names, errors, within, strict=True)
    ]


def _run(encoding: str, ansatz: str, backend: Executable) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute values, and the gradients by angles and weights in one row."""
    parts = build_circuit(_NUM_QUBITS, encoding=encoding, ansatz=ansatz)
    generator = torch.Generator().manual_seed(0)
    layer = QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(_NUM_QUBITS),
        backend=backend,
        generator=generator,
        init_std=1.0,
    ).double()
    angles = torch.randn(_BATCH, _NUM_QUBITS, generator=generator, dtype=torch.float64)
    angles.requires_grad_()
    values = layer(angles)
    values.square().sum().backward()
    gradients = [leaf.grad for leaf in (angles, layer.weight) if leaf.grad is not None]
    return values.detach(), torch.cat([gradient.flatten() for gradient in gradients])
