"""EstimatorQNN and TorchConnector, run on an executable and mended.

The stock classes send one PUB for each observable and one for each shift of each sample, without
the precision, compute in single precision, register the weight twice, and derive by what is
frozen. These subclasses keep the interfaces and replace how values and gradients are computed
(see `gradient`).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN
from torch import Tensor, nn

from hybridq.quantum.gradient import ExpvalsFunction, ShiftRule
from hybridq.quantum.phases import split_circuit

if TYPE_CHECKING:
    from backends import Executable

FloatArray = NDArray[np.float64]


class ExecutableQNN(EstimatorQNN):  # type: ignore[misc]
    """An EstimatorQNN whose forward and backward are one broadcast PUB each, in one job.

    Input gradients are always on. The precision is the executable's, not a default of its own.

    Args:
        circuit: The logical circuit.
        input_params: Its parameters that are inputs.
        weight_params: Its trainable parameters.
        observables: What is measured.
        executable: Where it runs.

    Attributes:
        rule: Values and gradients on the executable in use.
    """

    def __init__(
        self,
        *,
        circuit: QuantumCircuit,
        input_params: Sequence[Parameter],
        weight_params: Sequence[Parameter],
        observables: Sequence[SparsePauliOp],
        executable: Executable,
    ) -> None:
        self._split = split_circuit(circuit, input_params, weight_params)
        super().__init__(
            circuit=circuit,
            estimator=executable.estimator,
            observables=list(observables),
            input_params=input_params,
            weight_params=weight_params,
            input_gradients=True,
            default_precision=executable.precision,
        )
        self.rule = ShiftRule(self._split, list(observables), executable)

    def use_backend(self, executable: Executable) -> None:
        """Run on another executable from now on."""
        self.rule = ShiftRule(self._split, self._observables, executable)
        self.estimator = executable.estimator
        self.gradient = ParamShiftEstimatorGradient(executable.estimator)
        self._default_precision = executable.precision

    def __deepcopy__(self, memo: dict[int, Any]) -> ExecutableQNN:
        """A copy that shares the executable and the circuits, none of which it changes."""
        return copy(self)

    def _forward(self, input_data: FloatArray | None, weights: FloatArray | None) -> FloatArray:
        phi = self._split.phases(*self._tensors(input_data, weights))
        values: FloatArray = self.rule.expvals(phi).numpy()
        return values

    def _backward(
        self, input_data: FloatArray | None, weights: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        by_inputs, by_weights = self.rule.jacobians(*self._tensors(input_data, weights))
        return by_inputs.numpy(), by_weights.numpy()

    def _tensors(
        self, inputs: FloatArray | None, weights: FloatArray | None
    ) -> tuple[Tensor, Tensor]:
        """Inputs and weights as tensors; None stands for a network that has none."""
        inputs = np.zeros((1, 0)) if inputs is None else inputs
        weights = np.zeros(0) if weights is None else weights
        return torch.from_numpy(inputs), torch.from_numpy(weights)


class ExecutableConnector(TorchConnector):  # type: ignore[misc]
    """A TorchConnector in double precision, with one weight and only the gradients needed.

    Args:
        network: The network.
        initial_weights: `(num_weights,)`, radians; its dtype is that of the parameter.
    """

    def __init__(self, network: ExecutableQNN, initial_weights: Tensor) -> None:
        super().__init__(network, initial_weights=np.zeros(network.num_weights))
        del self._parameters["_weights"]  # the stock class registers its weight twice
        self._parameters["weight"] = nn.Parameter(initial_weights.detach().clone())

    @property
    def weight(self) -> nn.Parameter:
        """The trainable circuit weights in radians, `(num_weights,)`."""
        weight = self._parameters.get("weight")
        if not isinstance(weight, nn.Parameter):  # the stock class asks before there is one
            raise AttributeError("weight")
        return weight

    def forward(self, input_data: Tensor) -> Tensor:
        """Angles `(batch, num_inputs)` on any device to expectation values on the CPU, double."""
        inputs = input_data.cpu().double()
        weights = self.weight.cpu().double()
        values: Tensor = ExpvalsFunction.apply(inputs, weights, self.neural_network)
        return values
