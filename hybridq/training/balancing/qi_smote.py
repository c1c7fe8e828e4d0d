"""QI-SMOTE: oversampling between points that a circuit has moved, arXiv:2509.02863.

The paper makes of each sample of a rare class a circuit with a qubit for each feature, a Hadamard
gate on each and layers of entanglement, lets it evolve, refines it by a routine adapted from the
variational quantum eigensolver, and interpolates as SMOTE does. It prints no circuit and no
settings, and publishes no code: the gates below, their angles and that features go back by a linear
map are ours, and the refinement, which is not described, is left out.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
from qiskit.circuit import ParameterVector, QuantumCircuit
from scipy import sparse
from sklearn.utils._param_validation import Interval

from hybridq.quantum.circuits import ParametrizedCircuit, z_observables
from hybridq.quantum.layer import QuantumLayer
from hybridq_backends import Executable, opened_backend

Floats = NDArray[np.float64]


def moving_circuit(
    num_qubits: int, *, angle: float, gamma: float, layers: int
) -> ParametrizedCircuit:
    """Make the circuit that moves a point: Z of its qubits are the point's new features.

    H and RY prepare a product state whose Z are the features, as the inputs are minus their arc
    sines. Each layer is RZZ(gamma) on a ring of neighbours and RY(angle) on each qubit, so that
    without an angle nothing moves, and without gamma each feature moves by itself.

    Args:
        num_qubits: Features of a point.
        angle: Rotation of each qubit in a layer, in radians.
        gamma: Rotation of each pair of neighbours in a layer, in radians.
        layers: How many layers.
    """
    inputs = tuple(ParameterVector("x", num_qubits))
    circuit = QuantumCircuit(num_qubits)
    for qubit, one in enumerate(inputs):
        circuit.h(qubit)
        circuit.ry(one, qubit)
    pairs = [(one, one + 1) for one in range(num_qubits - 1)]
    pairs += [(num_qubits - 1, 0)] if num_qubits > 2 else []
    for _ in range(layers):
        for first, second in pairs:
            circuit.rzz(gamma, first, second)
        for qubit in range(num_qubits):
            circuit.ry(angle, qubit)
    return ParametrizedCircuit(circuit, inputs, ())


class QISMOTE(SMOTE):  # type: ignore[misc]
    """SMOTE between points of a class that a circuit has moved.

    Features of each class that is oversampled are brought to [-1, 1] by their least and largest
    value in it, moved by the circuit, and brought back; new samples lie between a moved point and
    one of the moved points of its nearest neighbours, which are those of SMOTE. Points with more
    features than the circuit has qubits are taken in parts, a circuit each. Where `angle` is 0
    nothing moves and it is SMOTE.

    Args:
        angle: Rotation of each qubit in a layer, in radians.
        gamma: Entangling rotation of neighbours in a layer, in radians.
        layers: Layers of the circuit.
        num_qubits: Most qubits of a circuit.
        backend: Where circuits run, as `open_backend` takes it.
        sampling_strategy: As in imbalanced-learn's `SMOTE`.
        random_state: As there.
        k_neighbors: As there.

    Example:
        >>> import numpy as np
        >>> from hybridq.training.balancing.qi_smote import QISMOTE
        >>> features = np.random.default_rng(0).normal(size=(40, 4))
        >>> labels = np.arange(40) < 10
        >>> _, balanced = QISMOTE(random_state=0).fit_resample(features, labels)
        >>> int(balanced.sum()), len(balanced)
        (30, 60)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 (scikit-learn's own form)
        **SMOTE._parameter_constraints,
        "angle": [Interval(Real, None, None, closed="neither")],
        "gamma": [Interval(Real, None, None, closed="neither")],
        "layers": [Interval(Integral, 1, 100, closed="both")],
        "num_qubits": [Interval(Integral, 1, 12, closed="both")],
        "backend": "no_validation",
    }

    def __init__(
        self,
        *,
        angle: float = 0.3,
        gamma: float = 0.8,
        layers: int = 2,
        num_qubits: int = 4,
        backend: Any = "statevector",
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        k_neighbors: Any = 5,
    ) -> None:
        super().__init__(
            sampling_strategy=sampling_strategy, random_state=random_state, k_neighbors=k_neighbors
        )
        self.angle = angle
        self.gamma = gamma
        self.layers = layers
        self.num_qubits = num_qubits
        self.backend = backend

    def _make_samples(
        self,
        X: Any,
        y_dtype: Any,
        y_type: Any,
        nn_data: Any,
        nn_num: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Interpolate between moved points; neighbours, and what is drawn, are those of SMOTE."""
        moved = self.moved(X)
        return super()._make_samples(moved, y_dtype, y_type, moved, nn_num, *args, **kwargs)

    def moved(self, points: Any) -> Any:
        """Move the points of one class, `(rows, features)`, in their own type."""
        if self.angle == 0:
            return points
        if sparse.issparse(points):
            return points.__class__(self.moved(points.toarray()))
        low, high = points.min(axis=0), points.max(axis=0)
        half = np.where(high > low, (high - low) / 2, 1.0)
        middle = (high + low) / 2
        scaled = np.clip((points - middle) / half, -1, 1)
        found = self._values(np.asarray(scaled, dtype=np.float64))
        steady = high == low
        result: Floats = np.where(steady, points, middle + half * found).astype(points.dtype)
        return result

    def _values(self, scaled: Floats) -> Floats:
        """Run the circuits of all points, part by part of their features."""
        angles = torch.from_numpy(-np.arcsin(scaled))
        layers: dict[int, QuantumLayer] = {}
        found = []
        with opened_backend(self.backend) as backend, torch.inference_mode():
            for part in torch.split(angles, self.num_qubits, dim=1):
                width = part.shape[1]
                if width not in layers:
                    layers[width] = self._layer(width, backend)
                found.append(layers[width](part))
        values: Floats = torch.cat(found, dim=1).numpy()
        return values

    def _layer(self, width: int, backend: Executable) -> QuantumLayer:
        made = moving_circuit(width, angle=self.angle, gamma=self.gamma, layers=self.layers)
        return QuantumLayer(
            made.circuit,
            input_params=made.input_params,
            weight_params=(),
            observables=z_observables(width),
            backend=backend,
        )
