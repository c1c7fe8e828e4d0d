from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hybridq.quantum import QuantumLayer, build_circuit, z_observables
from hybridq_backends import Executable, open_backend


@pytest.fixture
def exact() -> Executable:
    return open_backend("aer_statevector")


@pytest.fixture
def make_layer(exact: Executable) -> Callable[..., QuantumLayer]:
    """Make a layer in double precision with weights of order one."""

    def make(num_qubits: int = 3, backend: Executable = exact, **kwargs: object) -> QuantumLayer:
        parts = build_circuit(num_qubits, **kwargs)
        layer = QuantumLayer(
            parts.circuit,
            input_params=parts.input_params,
            weight_params=parts.weight_params,
            observables=z_observables(num_qubits),
            backend=backend,
            generator=torch.Generator().manual_seed(1),
            init_std=1.0,
        )
        return layer.double()

    return make


@pytest.fixture
def random_angles() -> Callable[..., torch.Tensor]:
    """Make angles in double precision, always the same for one shape."""

    def make(*shape: int, requires_grad: bool = False) -> torch.Tensor:
        generator = torch.Generator().manual_seed(2)
        angles = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return angles.requires_grad_(requires_grad)

    return make
