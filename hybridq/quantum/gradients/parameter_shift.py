"""Compute expectation values on an executable, and parameter-shift gradients in one job.

For a gate exp(-i phi P / 2) with P*P = 1, df/dphi = (f(phi + pi/2) - f(phi - pi/2)) / 2 exactly
(Mitarai et al., arXiv:1803.00745; Schuld et al., arXiv:1811.11184, eq. 14), also under noise that
does not depend on phi. The shifted points of all gates and all samples are stacked into the rows
of one array of parameter values, hence one broadcast PUB in one job.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from torch import Tensor

from hybridq.quantum.split_circuit import SplitCircuit

if TYPE_CHECKING:
    from hybridq.quantum.modules import Backend

FloatArray = NDArray[np.float64]


@dataclass
class Spsa:
    """An estimate of derivatives from random directions, with two points for each direction.

    It is the simultaneous perturbation method (Spall, IEEE Trans. Autom. Control 37, 332 (1992)).
    Along a direction of random signs d, df/dphi_k is estimated by
    d_k (f(phi + c d) - f(phi - c d)) / (2 c). Every sample and every call draws its own directions;
    the mean is exact up to terms of order c^2.

    Attributes:
        generator: Source of the signs, on the CPU.
        repeats: The number of directions for each sample.
        step: The step c, in radians; with a small one shot noise dominates.
    """

    generator: torch.Generator
    repeats: int = 1
    step: float = 0.3

    def signs(self, batch: int, count: int) -> Tensor:
        """Draw random signs, `(batch, repeats, count)`."""
        drawn = torch.randint(2, (batch, self.repeats, count), generator=self.generator)
        return 2.0 * drawn - 1.0


class ShiftRule:
    """The rule that computes values of a split circuit, and derivatives by its plain angles.

    Args:
        split: The circuit and the map to its angles.
        observables: The observables.
        executable: The backend; the circuit is prepared for it once, here.
        initial_layout: A physical qubit for each logical one; the transpiler's choice if None.
        spsa: How to estimate derivatives at random instead of shifting each angle.

    Attributes:
        prepared: The prepared circuit.
    """

    def __init__(
        self,
        split: SplitCircuit,
        observables: Sequence[SparsePauliOp],
        executable: Backend,
        *,
        initial_layout: Sequence[int] | None = None,
        spsa: Spsa | None = None,
    ) -> None:
        self.split = split
        self.executable = executable
        self.spsa = spsa
        self.num_observables = len(observables)
        self.prepared = executable.prepare(
            split.circuit, list(observables), initial_layout=initial_layout
        )
        column = {param.name: index for index, param in enumerate(split.params)}
        # the backend may have dropped an angle that no longer matters; its own order counts
        self._columns = [column[param.name] for param in self.prepared.parameters]
        kept = torch.zeros(len(split.params), dtype=torch.bool)
        kept[self._columns] = True
        self._on_inputs = split.phases.on_inputs & kept
        self._on_weights = split.phases.on_weights & kept

    def gradient(self, estimator: Any) -> Any:
        """Get the gradient of the stock class on an estimator; None without an estimator."""
        return None if estimator is None else ParamShiftEstimatorGradient(estimator)

    def expvals(self, phi: Tensor) -> Tensor:
        """Compute the expectation values of a batch of angles in one job; no job if it is empty.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double.

        Returns:
            `(batch, num_observables)`, double.
        """
        if len(phi) == 0:
            return phi.new_zeros(0, self.num_observables)
        values = self.executable.run(self.prepared, self.parameter_values(phi)).values
        return torch.from_numpy(np.array(values, dtype=np.float64))

    def parameter_values(self, phi: Tensor) -> FloatArray:
        """Convert angles `(batch, num_phases)`, radians, to those of the prepared circuit."""
        points: FloatArray = phi.detach().numpy()[:, self._columns]
        return np.ascontiguousarray(points)

    def shifted(self, for_inputs: bool, for_weights: bool) -> Tensor:
        """Find the angles that must be shifted for the wanted gradients.

        Args:
            for_inputs: Whether the gradient by the inputs is wanted.
            for_weights: Whether the gradient by the weights is wanted.

        Returns:
            Indices of the angles, `(num_shifted,)`.
        """
        wanted = torch.zeros_like(self._on_inputs)
        if for_inputs:
            wanted |= self._on_inputs
        if for_weights:
            wanted |= self._on_weights
        return wanted.nonzero().flatten()

    def jacobian(self, phi: Tensor, angles: Tensor) -> Tensor:
        """Compute derivatives by some of the angles in one job; no job without such angles.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double.
            angles: Indices of the angles to derive by, `(num_shifted,)`.

        Returns:
            `(batch, num_shifted, num_observables)`, per radian.
        """
        if len(phi) == 0 or len(angles) == 0:
            return phi.new_zeros(len(phi), len(angles), self.num_observables)
        shifts, factors = self._shifts(phi, angles)
        return self._derivatives(self._expvals_at(phi, [shifts, -shifts]), factors)

    def values_and_jacobian(self, phi: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Compute expectation values and their derivatives by some of the angles in one job.

        Args:
            phi: Angles of the gates in radians, `(batch, num_phases)`, double.
            angles: Indices of the angles to derive by, `(num_shifted,)`.

        Returns:
            `(batch, num_observables)` and `(batch, num_shifted, num_observables)`.
        """
        if len(phi) == 0 or len(angles) == 0:
            return self.expvals(phi), self.jacobian(phi, angles)
        shifts, factors = self._shifts(phi, angles)
        found = self._expvals_at(phi, [torch.zeros_like(shifts[:, :1]), shifts, -shifts])
        return found[:, 0], self._derivatives(found[:, 1:], factors)

    def _shifts(self, phi: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the shifts to either side, and the factors of the differences.

        Returns:
            Shifts in radians, `(1 or batch, points, num_phases)`, and factors
            `(1 or batch, points, num_shifted)`.
        """
        if self.spsa is not None:
            signs = self.spsa.signs(len(phi), len(angles)).to(phi)
            shifts = phi.new_zeros(*signs.shape[:2], phi.shape[1])
            shifts[:, :, angles] = self.spsa.step * signs
            return shifts, signs / (2 * self.spsa.step * self.spsa.repeats)
        count = len(angles)
        shifts = phi.new_zeros(1, count, phi.shape[1])
        shifts[:, torch.arange(count), angles] = math.pi / 2
        return shifts, torch.eye(count).to(phi)[None] / 2

    def _expvals_at(self, phi: Tensor, shifts: Sequence[Tensor]) -> Tensor:
        """Compute values at shifted angles, `(batch, points, num_observables)`, in one job."""
        points = phi.detach()[:, None, :] + torch.cat(list(shifts), dim=1)
        return self.expvals(points.flatten(0, 1)).view(len(phi), -1, self.num_observables)

    @staticmethod
    def _derivatives(found: Tensor, factors: Tensor) -> Tensor:
        """Turn values on either side `(batch, 2 * points, num_observables)` into derivatives."""
        up, down = found.chunk(2, dim=1)
        return factors.mT @ (up - down)

    def vjp(
        self,
        inputs: Tensor,
        weights: Tensor,
        grad: Tensor,
        wanted: tuple[bool, bool],
        jacobian: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute the gradient of `(grad * expvals).sum()` by inputs and weights, in one job.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double.
            grad: `(batch, num_observables)`.
            wanted: Whether the gradient by the inputs, and by the weights, is wanted.
            jacobian: The Jacobian by the shifted angles, if it is known; then no job is needed.

        Returns:
            The two gradients; None for one that is not wanted.
        """
        if not any(wanted):
            return None, None
        leaves = (
            inputs.detach().requires_grad_(wanted[0]),
            weights.detach().requires_grad_(wanted[1]),
        )
        with torch.enable_grad():
            phi = self.split.phases(*leaves)
        angles = self.shifted(*wanted)
        if jacobian is None:
            jacobian = self.jacobian(phi, angles)
        grad_phi = torch.zeros_like(phi)
        grad_phi[:, angles] = torch.einsum("bko,bo->bk", jacobian, grad)
        return _chain(phi, grad_phi, leaves)

    def jacobians(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the full Jacobians by inputs and weights in one job.

        Args:
            inputs: `(batch, num_inputs)`, radians, double.
            weights: `(num_weights,)`, radians, double.

        Returns:
            `(batch, num_observables, num_inputs)` and `(batch, num_observables, num_weights)`.
        """
        leaves = leaves_of_rows(inputs, weights)
        with torch.enable_grad():
            phi = self.split.phases(*leaves)
        angles = self.shifted(True, True)
        jacobian = self.jacobian(phi, angles)
        rows = []
        for observable in range(self.num_observables):
            grad_phi = torch.zeros_like(phi)
            grad_phi[:, angles] = jacobian[:, :, observable]
            rows.append(_chain(phi, grad_phi, leaves))
        by_inputs, by_weights = zip(*rows, strict=True)
        return torch.stack(by_inputs, dim=1), torch.stack(by_weights, dim=1)


def leaves_of_rows(inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Make leaves to derive by: the inputs, and separate weights for each row."""
    rows = weights.detach().expand(len(inputs), -1).clone()
    return inputs.detach().requires_grad_(True), rows.requires_grad_(True)


def _chain(phi: Tensor, grad_phi: Tensor, leaves: tuple[Tensor, Tensor]) -> tuple[Any, Any]:
    """Turn the gradient by the angles into those by the leaves; None for unwanted ones."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    found = iter(torch.autograd.grad(phi, wanted, grad_phi, retain_graph=True))
    by_inputs, by_weights = (next(found) if leaf.requires_grad else None for leaf in leaves)
    return by_inputs, by_weights


class ExpvalsFunction(torch.autograd.Function):
    """The torch function of expectation values: one job forward, one backward.

    Through IBM's service a forward whose gradient will be needed is one job that also has the
    points of the backward, which then needs no job. Only needed gradients are computed: nothing
    runs for inputs or weights without `requires_grad`. Differentiating twice raises a
    RuntimeError.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, network: Any) -> Tensor:
        """Map inputs `(batch, num_inputs)` and weights `(num_weights,)` to expectation values.

        Args:
            ctx: The context that keeps values for the gradient.
            inputs: Radians, double.
            weights: Radians, double.
            network: The `ExecutableQNN`, whose `forward` computes the values and whose `rule`
                computes the gradient.

        Returns:
            `(batch, num_observables)`, double.
        """
        rule: ShiftRule = network.rule
        ctx.rule = rule
        wanted: tuple[bool, bool] = ctx.needs_input_grad[:2]
        if any(wanted) and rule.executable.takes_jobs:
            phi = rule.split.phases(inputs.detach(), weights.detach())
            values, jacobian = rule.values_and_jacobian(phi, rule.shifted(*wanted))
            ctx.save_for_backward(inputs, weights, jacobian)
            return values
        ctx.save_for_backward(inputs, weights)
        return torch.from_numpy(network.forward(inputs.detach().numpy(), weights.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Compute the needed gradients by inputs and weights."""
        inputs, weights, *known = ctx.saved_tensors
        rule: ShiftRule = ctx.rule
        wanted: tuple[bool, bool] = ctx.needs_input_grad[:2]
        with torch.no_grad():
            grads: list[Tensor | None] = list(rule.vjp(inputs, weights, grad, wanted, *known))
        if torch.is_grad_enabled():  # create_graph=True
            grads = [
                None if found is None else _NotTwice.apply(found, inputs, weights, grad)
                for found in grads
            ]
        return grads[0], grads[1], None


class _NotTwice(torch.autograd.Function):
    """A function that passes a gradient on, and raises if it is to be differentiated.

    torch's `once_differentiable` is not enough: if the incoming gradient is a constant, it returns
    a constant too, and second derivatives would silently be zero.
    """

    @staticmethod
    def forward(ctx: Any, found: Tensor, *origins: Tensor) -> Tensor:
        """Return the gradient; `origins` are the tensors that it depends on."""
        return found.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> NoReturn:
        """Raise a RuntimeError: second derivatives are not available."""
        raise RuntimeError(
            "Expected first derivatives of the quantum layer, got a second one: "
            "leave `create_graph` out, or keep the layer's gradient out of the loss."
        )
