"""The layers that `quantum_layer.py` compares: ours, stock Qiskit, and three peers.

Each function takes a circuit of the package and returns a torch function of inputs
`(batch, num_qubits)` and weights `(num_weights,)`, driven as a torch training step drives it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridq.quantum import ParametrizedCircuit, z_observables

Layer = Callable[[Tensor, Tensor], Tensor]
Gate = tuple[str, list[int], tuple[str, int] | None]


def gates_of(parts: ParametrizedCircuit) -> list[Gate]:
    """Name, qubits, and which input ("x") or weight ("w") is the angle, of each gate."""
    source = {param.name: ("x", index) for index, param in enumerate(parts.input_params)}
    source |= {param.name: ("w", index) for index, param in enumerate(parts.weight_params)}
    found: list[Gate] = []
    for item in parts.circuit.data:
        qubits = [parts.circuit.find_bit(qubit).index for qubit in item.qubits]
        params = item.operation.params
        found.append((item.operation.name, qubits, source[params[0].name] if params else None))
    return found


def hybridq(parts: ParametrizedCircuit, backend: str) -> Layer:
    """`QuantumLayer` on a backend of the package."""
    from hybridq.quantum import QuantumLayer
    from hybridq_backends import open_backend

    layer = QuantumLayer(
        parts.circuit,
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        observables=z_observables(parts.circuit.num_qubits),
        backend=open_backend(backend),
    )

    def run(inputs: Tensor, weights: Tensor) -> Tensor:
        layer.connector._parameters["weight"] = weights  # the weights of the comparison
        return layer(inputs)

    return run


def stock_qiskit(parts: ParametrizedCircuit) -> Layer:
    """`EstimatorQNN` and `TorchConnector` as they come, with Aer's estimator made exact."""
    from qiskit_aer.primitives import EstimatorV2
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.neural_networks import EstimatorQNN

    qnn = EstimatorQNN(
        circuit=parts.circuit.decompose(),
        estimator=EstimatorV2(options={"default_precision": 0.0}),
        observables=z_observables(parts.circuit.num_qubits),
        input_params=parts.input_params,
        weight_params=parts.weight_params,
        input_gradients=True,
        default_precision=0.0,
    )
    connector = TorchConnector(qnn)

    def run(inputs: Tensor, weights: Tensor) -> Tensor:
        return torch.func.functional_call(
            connector, {"weight": weights, "_weights": weights}, (inputs,)
        )

    return run


def pennylane(parts: ParametrizedCircuit, device: str, diff: str, c_dtype: Any) -> Layer:
    """A QNode with the torch interface and broadcasting; RZ RY RZ as one `Rot`."""
    import pennylane as qml

    num_qubits = parts.circuit.num_qubits
    options = {} if c_dtype is None else {"c_dtype": c_dtype}
    kinds = {"rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "cx": qml.CNOT, "cz": qml.CZ}
    gates = gates_of(parts)

    @qml.qnode(qml.device(device, wires=num_qubits, **options), interface="torch", diff_method=diff)
    def node(inputs: Tensor, weights: Tensor) -> Any:
        def angle(source: tuple[str, int]) -> Tensor:
            kind, index = source
            return inputs[:, index] if kind == "x" else weights[index]

        place = 0
        while place < len(gates):
            name, qubits, source = gates[place]
            three = gates[place : place + 3]
            if [gate[0] for gate in three] == ["rz", "ry", "rz"]:
                qml.Rot(*(angle(gate[2]) for gate in three if gate[2]), wires=qubits)
                place += 3
                continue
            kinds[name](wires=qubits) if source is None else kinds[name](angle(source), qubits[0])
            place += 1
        return [qml.expval(qml.PauliZ(qubit)) for qubit in range(num_qubits)]

    return lambda inputs, weights: torch.stack(list(node(inputs, weights)), dim=1)


def torchquantum(parts: ParametrizedCircuit, method: str) -> Layer:
    """A batched device and the functional gates."""
    import torchquantum as tq
    import torchquantum.functional as tqf

    gates = gates_of(parts)
    kinds = {"rx": tqf.rx, "ry": tqf.ry, "rz": tqf.rz, "cx": tqf.cnot, "cz": tqf.cz}
    measure = tq.MeasureAll(tq.PauliZ)

    def run(inputs: Tensor, weights: Tensor) -> Tensor:
        device = tq.QuantumDevice(n_wires=parts.circuit.num_qubits, bsz=len(inputs))
        for name, qubits, source in gates:
            if source is None:
                kinds[name](device, wires=qubits, comp_method=method)
                continue
            kind, index = source
            angle = inputs[:, index : index + 1] if kind == "x" else weights[index].view(1, 1)
            kinds[name](device, wires=qubits, params=angle, comp_method=method)
        return measure(device)

    return run


def tensorcircuit(parts: ParametrizedCircuit, dtype: str, measure: str, backend: str) -> Layer:
    """A circuit mapped over the batch, on the backend `pytorch`, or on `jax` jitted.

    Args:
        parts: The circuit.
        dtype: `complex64` or `complex128`.
        measure: `expectation` for one expectation value after the other, `state` for all of them
            from the amplitudes.
        backend: `pytorch` or `jax`; `choose_tensorcircuit` has to come before each call.
    """
    import tensorcircuit as tc

    num_qubits = parts.circuit.num_qubits
    gates = gates_of(parts)
    bits = np.arange(2**num_qubits)[:, None] >> np.arange(num_qubits)[::-1] & 1
    real = {"complex64": "float32", "complex128": "float64"}[dtype]
    choose_tensorcircuit(dtype, backend)
    array = tc.backend
    signs = array.convert_to_tensor((1 - 2 * bits).astype(real))

    def one(inputs: Any, weights: Any) -> Any:
        circuit = tc.Circuit(num_qubits)
        for name, qubits, source in gates:
            if source is None:
                getattr(circuit, name)(*qubits)
                continue
            kind, index = source
            theta = inputs[index] if kind == "x" else weights[index]
            getattr(circuit, name)(qubits[0], theta=theta)
        if measure == "expectation":
            values = [circuit.expectation_ps(z=[qubit]) for qubit in range(num_qubits)]
            return array.real(array.stack(values))
        state = circuit.state()
        return array.matmul((array.real(state) ** 2 + array.imag(state) ** 2)[None], signs)[0]

    mapped = array.vmap(one, vectorized_argnums=0)
    if backend == "jax":
        mapped = tc.interfaces.torch_interface(mapped, jit=True, enable_dlpack=True)

    return mapped


def choose_tensorcircuit(dtype: str, backend: str) -> None:
    """Set its backend and precision, of which a process has one at a time."""
    import tensorcircuit as tc

    tc.set_backend(backend)
    tc.set_dtype(dtype)
