"""The quantum layer: a torch module from angles to expectation values, on any backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from qiskit.circuit import Parameter, QuantumCircuit
from torch import Tensor, nn

from hybridq.errors import InvalidValueError
from hybridq.quantum.modules import CircuitInfo, as_backend
from hybridq.quantum.qnn import ExecutableConnector, ExecutableQNN
from hybridq.utils.finite import check_finite
from hybridq_backends.compile.observables import coerce_observables
from hybridq_backends.compile.transpile import clean_circuit

if TYPE_CHECKING:
    from hybridq.quantum.modules import AnyBackend, Backend
    from hybridq_backends.compile.observables import Observables

SOURCE = "lower the learning rate, or check the input for NaN."


class QuantumLayer(nn.Module):
    """Expectation values of a circuit as a function of angles, with trainable circuit weights.

    It computes in double precision, unless the backend's `dtype` says otherwise, and returns the
    dtype and device of its input. On the torch engine it is an ordinary torch function, on the
    device of its input, with derivatives of any order, and without shots `torch.func.vmap` maps it
    over angles and, by `torch.func.functional_call`, over weights. On any other backend a forward
    is one job and a backward one more (through IBM's service both are one), nothing runs for
    tensors without `requires_grad`, and second derivatives raise a RuntimeError. Its state is one
    tensor, `connector.weight`. `torch.export` and `torch.compile(fullgraph=True)` take it where the
    torch engine is exact; elsewhere `torch.compile` runs it between two programs.

    It can be copied and pickled. A pickle keeps a simulator that was opened from a name or a spec.
    It leaves out any other backend, with a warning: a remote one, and a ready Qiskit object such
    as `AerSimulator()` or `FakeManilaV2()`. Call `use_backend` on what is read from it.

    Args:
        circuit: The logical circuit; measurements at its end are dropped, others refused.
        input_params: Its parameters that are inputs, in the order of the input's columns.
        weight_params: Its trainable parameters; together they are all of its parameters.
        observables: What is measured, one for each column of the output, in every form that Qiskit
            takes: labels such as `"ZZI"`, `Pauli`, `SparsePauliOp`, `{"ZZI": 0.5}`; one or a list.
        backend: Where it runs, as `open_backend` takes it: a profile's name, a spec, an open
            executable, a Qiskit backend or an `EstimatorV2`. What a name opens stays open as long
            as the layer is used; `layer.backend.close()` closes it.
        generator: Source of the initial weights; one seeded with 0 if None. The global random
            state is never touched.
        init_std: Standard deviation of the initial weights, in radians.

    Shape: angles in radians `(..., num_inputs)` to expectation values `(..., num_observables)`.

    Attributes:
        connector: The TorchConnector that holds the weight.

    Raises:
        InvalidValueError: If the parameters are not those of the circuit, come without an order or
            there are none, an observable has another number of qubits, or the circuit is too wide
            for the backend.

    Example:
        >>> import torch
        >>> from qiskit import QuantumCircuit
        >>> from qiskit.circuit import Parameter
        >>> import hybridq as hq
        >>> angle, weight = Parameter("angle"), Parameter("weight")
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.ry(angle, 0), circuit.cx(0, 1), circuit.ry(weight, 1)
        >>> layer = hq.QuantumLayer(
        ...     circuit,
        ...     input_params=[angle],
        ...     weight_params=[weight],
        ...     observables=["IZ", "ZZ"],
        ...     backend="statevector",
        ... )
        >>> expvals = layer(torch.tensor([[0.0], [torch.pi]]))
        >>> expvals.shape, expvals[:, 0].round().tolist()
        (torch.Size([2, 2]), [1.0, -1.0])
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        *,
        input_params: Sequence[Parameter],
        weight_params: Sequence[Parameter],
        observables: Observables,
        backend: AnyBackend,
        generator: torch.Generator | None = None,
        init_std: float = 0.01,
    ) -> None:
        super().__init__()
        if not circuit.num_parameters:
            raise InvalidValueError(
                "Expected a circuit with parameters, got one without: give it inputs or weights."
            )
        operators = coerce_observables(observables, circuit.num_qubits)
        opened = as_backend(backend)
        _check_width(circuit, opened)
        circuit = clean_circuit(circuit, opened.num_qubits)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        qnn = ExecutableQNN(
            circuit=circuit,
            input_params=input_params,
            weight_params=weight_params,
            observables=operators,
            executable=opened,
        )
        initial = init_std * torch.randn(
            qnn.num_weights, generator=generator, device=generator.device
        )
        self.connector = ExecutableConnector(qnn, initial.cpu())

    @property
    def qnn(self) -> ExecutableQNN:
        """The EstimatorQNN behind the connector."""
        qnn: ExecutableQNN = self.connector.neural_network
        return qnn

    @property
    def weight(self) -> nn.Parameter:
        """The trainable circuit weights in radians, `(num_weights,)`."""
        return self.connector.weight

    @property
    def backend(self) -> Backend:
        """Where the layer runs.

        Raises:
            UnavailableError: If the layer comes from a pickle that left the connection out.
        """
        return self.qnn.rule.executable

    def circuits(self) -> list[CircuitInfo]:
        """List the layer's circuit, with what is measured on it."""
        qnn = self.qnn
        return [
            CircuitInfo(
                qnn.circuit,
                tuple(qnn.input_params),
                tuple(qnn.weight_params),
                tuple(qnn.observables),
            )
        ]

    def use_backend(self, backend: AnyBackend) -> None:
        """Run on another backend from now on, with the very same weight tensor.

        Args:
            backend: Where it runs from now on, in the forms that it begins with.

        Raises:
            InvalidValueError: If it is no backend, or the circuit is too wide for it.
        """
        opened = as_backend(backend)
        _check_width(self.qnn.circuit, opened)
        self.qnn.use_backend(opened)

    def forward(self, angles: Tensor) -> Tensor:
        """Angles in radians `(..., num_inputs)` to expectation values `(..., num_observables)`.

        Raises:
            InvalidValueError: If it is no tensor, its last dimension is not `num_inputs`, the
                dtype is not a floating one, or an angle or a weight is NaN or infinite.
        """
        if not isinstance(angles, Tensor):
            raise InvalidValueError(
                f"Expected angles as a torch tensor, got {type(angles).__name__}: convert with "
                "`torch.as_tensor`."
            )
        num_inputs = self.qnn.num_inputs
        if angles.dim() == 0 or angles.shape[-1] != num_inputs:
            raise InvalidValueError(
                f"Expected angles of shape (..., {num_inputs}), got {tuple(angles.shape)}: "
                "give one angle for each input of the circuit."
            )
        if not angles.is_floating_point():
            raise InvalidValueError(
                f"Expected floating-point angles, got {angles.dtype}: convert with `.float()`."
            )
        check_finite("angles", angles, SOURCE)
        check_finite("circuit weights", self.weight, SOURCE)
        lead = angles.shape[:-1]
        expvals: Tensor = self.connector(angles.reshape(math.prod(lead), num_inputs))
        return expvals.to(angles.dtype).to(angles.device).reshape(*lead, expvals.shape[-1])

    def extra_repr(self) -> str:
        """Qubits, numbers of inputs, weights and outputs, and the backend."""
        qnn = self.qnn
        return (
            f"num_qubits={qnn.circuit.num_qubits}, num_inputs={qnn.num_inputs}, "
            f"num_weights={qnn.num_weights}, num_observables={qnn.output_shape[0]}, "
            f"backend={self.backend if qnn.is_connected else None!r}"
        )


def _check_width(circuit: QuantumCircuit, backend: Backend) -> None:
    """Refuse a circuit wider than the backend."""
    if circuit.num_qubits > backend.num_qubits:
        raise InvalidValueError(
            f"Expected at most {backend.num_qubits} qubits on this backend, "
            f"got {circuit.num_qubits}: use fewer (of a head: lower `head.num_qubits`), or take a "
            "larger backend."
        )
