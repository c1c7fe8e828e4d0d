"""The noisy torch engine as a Qiskit estimator."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.primitives import DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.primitives.containers.estimator_pub import EstimatorPub, EstimatorPubLike
from qiskit.primitives.containers.observables_array import ObservablesArray

from hybridq.quantum.density.expvals import NoisyExpvals, shot_noise
from hybridq_backends.compile.pauli_tables import broadcast_terms
from hybridq_backends.compile.transpile import fingerprint
from hybridq_backends.simulators.aer import Machine
from hybridq_backends.utils.seeds import SeedSequenceCounter, derive_seed, shots_of

_MOST_KEPT = 16


class NoisyEstimator(BaseEstimatorV2):  # type: ignore[misc]
    """An estimator of compiled circuits with noise, exact or with shot noise.

    Args:
        machine_for: A function from a circuit to its machine.
        shots: Shots for one circuit unless a PUB gives a precision; None is exact.
        seeds: Seeds of the draws.
    """

    def __init__(
        self,
        machine_for: Callable[[QuantumCircuit], Machine],
        *,
        shots: int | None,
        seeds: SeedSequenceCounter,
    ) -> None:
        self._machine_for = machine_for
        self._shots = shots
        self._seeds = seeds
        self._made: OrderedDict[Any, NoisyExpvals] = OrderedDict()

    def run(
        self,
        pubs: Iterable[EstimatorPubLike],
        *,
        precision: float | None = None,
        seed: int | None = None,
    ) -> PrimitiveJob:
        """Estimate the observables of each PUB; see `BaseEstimatorV2.run`.

        Args:
            pubs: (circuit, observables, parameter values) each; circuits compiled by `prepare`.
            precision: Standard deviation asked for, 1 / sqrt(shots); ignored when exact.
            seed: Seed of this job's shots; the default is the next of the sequence.
        """
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        first = self._seeds.next() if seed is None and self._shots is not None else seed
        job = PrimitiveJob(self._run, coerced, first)
        job._submit()
        return job

    def _run(self, pubs: Sequence[EstimatorPub], seed: int | None) -> PrimitiveResult:
        seeds = [None if seed is None else derive_seed(seed, i, 0) for i in range(len(pubs))]
        results = [self.run_pub(pub, one) for pub, one in zip(pubs, seeds, strict=True)]
        return PrimitiveResult(results, metadata={"version": 2})

    def run_pub(self, pub: EstimatorPub, seed: int | None = None) -> PubResult:
        """Estimate the observables of one PUB, in this thread.

        Args:
            pub: The PUB.
            seed: Seed of its shots; the default is the next of the sequence.
        """
        count = int(np.prod(pub.parameter_values.shape, dtype=int))
        parameters = list(pub.circuit.parameters)
        points = np.zeros((count, 0))
        if parameters:
            table = pub.parameter_values.as_array(parameters)
            points = np.asarray(table, dtype=np.float64).reshape(count, len(parameters))
        angles = torch.from_numpy(points)
        varies = (points != points[:1]).any(axis=0).tolist()
        column = ObservablesArray([[one] for one in pub.observables.ravel()])
        with torch.no_grad():
            function = self._function(pub.circuit, column)
            values = function.values(angles, varies)
            stds = torch.zeros_like(values)
            if self._shots is not None:
                shots = shots_of(pub.precision, self._shots)
                seed = self._seeds.next() if seed is None else seed
                covariances = function.covariances(angles, varies)
                generator = torch.Generator().manual_seed(seed)
                values = values + shot_noise(covariances, shots, generator)
                variances = covariances.diagonal(dim1=1, dim2=2).clamp(min=0.0)
                stds = (variances / shots).sqrt()
        evs = broadcast_terms(values.numpy(), pub)
        errors = broadcast_terms(stds.numpy(), pub)
        return PubResult(DataBin(evs=evs, stds=errors, shape=evs.shape))

    def _function(self, circuit: QuantumCircuit, column: ObservablesArray) -> NoisyExpvals:
        """Return the function of a circuit; the least recently used functions are dropped."""
        key = (fingerprint(circuit, (), None), repr(column.tolist()))
        # each step is atomic: jobs run in threads of their own
        function = self._made.pop(key, None)
        if function is None:
            function = NoisyExpvals(circuit, column, self._machine_for(circuit))
        self._made[key] = function
        while len(self._made) > _MOST_KEPT:
            self._made.popitem(last=False)
        return function
