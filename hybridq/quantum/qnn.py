"""EstimatorQNN and TorchConnector, run on an executable and mended.

The stock classes send one PUB for each observable and one for each shift of each sample, without
the precision, compute in single precision, register the weight twice, and derive by what is
frozen. These subclasses keep the interfaces and replace how values and gradients are computed:
by jobs (see `gradient`) or on the torch engine (see `reverse`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from torch import Tensor, nn

from hybridq.errors import UnavailableError
from hybridq.quantum.gradients.parameter_shift import ExpvalsFunction, ShiftRule, Spsa
from hybridq.quantum.split_circuit import SplitCircuit, check_parameters, split_circuit
from hybridq.quantum.statevector.reverse import TorchRule
from hybridq.quantum.tracing import not_traced, refuse_export
from hybridq_backends.compile.observables import coerce_observables

if TYPE_CHECKING:
    from hybridq.quantum.modules import Backend
    from hybridq_backends.compile.observables import Observables

FloatArray = NDArray[np.float64]

logger = logging.getLogger("hybridq")

_MADE_ANEW = ("estimator", "gradient", "_now", "_before")


@dataclass(frozen=True)
class _Running:
    """How a network runs on one executable."""

    rule: ShiftRule | TorchRule
    estimator: Any = None
    gradient: Any = None


class ExecutableQNN(EstimatorQNN):  # type: ignore[misc]
    """An EstimatorQNN whose values and gradients come from an executable, in as few jobs as can be.

    Where the executable's engine is `torch` there are no jobs, and the derivative is torch's own;
    elsewhere a forward and a backward are one broadcast PUB each, in one job. Input gradients are
    always on. The precision is the executable's, not a default of its own.

    Args:
        circuit: The logical circuit.
        input_params: Its parameters that are inputs.
        weight_params: Its trainable parameters.
        observables: What is measured, in every form that Qiskit takes.
        executable: Where it runs.
    """

    def __init__(
        self,
        *,
        circuit: QuantumCircuit,
        input_params: Sequence[Parameter],
        weight_params: Sequence[Parameter],
        observables: Observables,
        executable: Backend,
    ) -> None:
        inputs, weights = check_parameters(circuit, input_params, weight_params)
        self._split = split_circuit(circuit, inputs, weights)
        self.spsa: Spsa | None = None
        self._now: _Running | None = None
        self._before: _Running | None = None
        super().__init__(
            circuit=circuit,
            estimator=executable.estimator,
            observables=list(coerce_observables(observables, circuit.num_qubits)),
            input_params=inputs,
            weight_params=weights,
            input_gradients=True,
        )
        self.use_backend(executable)

    @property
    def is_connected(self) -> bool:
        """Whether there is a backend; a pickle leaves a remote one out."""
        return self._now is not None

    @property
    def rule(self) -> ShiftRule | TorchRule:
        """Values and gradients on the executable in use.

        Raises:
            UnavailableError: If the network comes from a pickle that left the connection out.
        """
        if self._now is None:
            raise UnavailableError(
                "Expected a quantum layer with a backend, got one from a pickle, which keeps only "
                "simulators opened from a name or a spec: call `use_backend` first."
            )
        return self._now.rule

    @property
    def split(self) -> SplitCircuit:
        """The circuit with a plain angle for each gate, and the map to its angles."""
        return self._split

    def use_backend(self, executable: Backend) -> None:
        """Run on another executable from now on; going back to one costs nothing."""
        now, before = self._now, self._before
        if now is not None and now.rule.executable is executable:
            return
        if before is not None and before.rule.executable is executable:
            self._now, self._before = before, now
        else:
            self._now, self._before = self._made_on(executable), now
        self._now.rule.spsa = self.spsa
        self._default_precision = executable.precision
        if self._now.estimator is not None:
            self.estimator = self._now.estimator
            self.gradient = self._now.gradient

    def _made_on(self, executable: Backend) -> _Running:
        """Choose how values and gradients are computed on an executable."""
        make = executable.rule or ShiftRule
        rule = make(self._split, self._observables, executable)
        estimator = executable.estimator
        return _Running(rule, estimator, rule.gradient(estimator))

    def use_spsa(self, spsa: Spsa | None) -> None:
        """Estimate derivatives at random where they come from jobs; None shifts each angle."""
        self.spsa = spsa
        if self._now is not None:
            self._now.rule.spsa = spsa

    def expvals(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Expectation values as a torch function.

        Args:
            inputs: `(batch, num_inputs)`, radians.
            weights: `(num_weights,)`, radians.

        Returns:
            `(batch, num_observables)`, double, on the device of the inputs if the engine is
            `torch`, else on the CPU.
        """
        rule = self.rule
        if isinstance(rule, ShiftRule) or inputs.device.type == "mps":  # which has no double
            inputs, weights = inputs.cpu(), weights.cpu()
        inputs, weights = inputs.double(), weights.to(inputs.device).double()
        if isinstance(rule, TorchRule):
            return rule.values(inputs, weights)
        values: Tensor = self._by_jobs(inputs, weights)
        return values

    @not_traced
    def _by_jobs(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Expectation values that are no torch function, and so cannot be part of a program."""
        refuse_export(self.rule.executable.profile)
        if not torch.is_grad_enabled():  # which the function itself cannot see
            inputs, weights = inputs.detach(), weights.detach()
        values: Tensor = ExpvalsFunction.apply(inputs, weights, self)
        return values

    def __getstate__(self) -> dict[str, Any]:
        """Everything that cannot be made anew, and no connection to a remote backend."""
        state = {name: value for name, value in self.__dict__.items() if name not in _MADE_ANEW}
        executable = None if self._now is None else self._now.rule.executable
        if executable is not None and not executable.is_local:
            logger.warning(
                "the pickle leaves out the connection to backend %r: call `use_backend` on what "
                "is read from it",
                executable.profile,
            )
            executable = None
        return {**state, "executable": executable}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state, and make the rest anew where there is a backend."""
        executable = state.pop("executable")
        self.__dict__.update(state)
        self._now = self._before = None
        if executable is not None:
            self.use_backend(executable)

    def __deepcopy__(self, memo: dict[int, Any]) -> ExecutableQNN:
        """A copy that shares the executable and the circuits, none of which it changes."""
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        return twin

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
        """Angles `(batch, num_inputs)` to expectation values `(batch, num_observables)`, double.

        They are on the device of the angles if the engine is `torch`, else on the CPU.
        """
        network: ExecutableQNN = self.neural_network
        return network.expvals(input_data, self.weight)
