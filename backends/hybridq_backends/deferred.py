"""Note what is asked of a backend now, and answer it later.

A model that runs on a `Deferred` runs twice. In the first pass every request is noted and answered
with zeros. What was noted is then computed wherever that is wanted: at once, in jobs of another
day, under another noise. In the second pass the answers are given back in the order of the
requests, so that the model ends where it would have ended on a backend that had computed them:

    later = Deferred(device)
    with running_on(model, later):
        model(images)
    later.answer([device.run(request.prepared, request.rows) for request in later.requests])
    with running_on(model, later):
        logits = model(images)

Circuits whose inputs depend on the results of other circuits would need one round for each of
them. They ask for something else in the second pass, which is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from hybridq_backends.compile.observables import Observables
from hybridq_backends.compile.transpile import Prepared
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.executable import Executable
from hybridq_backends.expvals import Expvals, FloatArray
from hybridq_backends.specs.base import Spec
from hybridq_backends.utils.rows import check_batch

SAME = 1e-6
"""Most by which a parameter value of the second pass may differ from the first, in radians."""

Layouts = Callable[[QuantumCircuit], Sequence[int] | None]
"""A function from a logical circuit to the physical qubit of each of its qubits, or None."""


@dataclass(frozen=True)
class Request:
    """All the rows that were asked of one circuit.

    Attributes:
        circuit: The logical circuit.
        prepared: The same circuit, prepared on the backend behind.
        rows: Parameter values in radians, (rows, num_parameters), in the order in which they were
            asked for.
    """

    circuit: QuantumCircuit
    prepared: Prepared
    rows: FloatArray


@dataclass
class _Noted:
    """The rows asked of one circuit, and how many of them this pass has answered."""

    prepared: Prepared
    number: int
    batches: list[FloatArray] = field(default_factory=list)
    place: int = 0

    @property
    def rows(self) -> FloatArray:
        """All rows, stacked once after the last batch has come."""
        if len(self.batches) > 1:
            self.batches = [np.concatenate(self.batches)]
        return self.batches[0]


class Deferred:
    """An executable that computes nothing: it notes requests, and gives back their answers."""

    def __init__(self, executable: Executable, *, layouts: Layouts | None = None) -> None:
        """Stand in for an executable.

        Args:
            executable: The backend that circuits are prepared for.
            layouts: Chooses the qubits of each circuit that comes without a layout.
        """
        self._executable = executable
        self._layouts = layouts
        # by the identity of what `prepare` gave, which the backend behind keeps
        self._circuits: dict[int, QuantumCircuit] = {}
        self._noted: dict[int, _Noted] = {}
        self._answers: list[Expvals] | None = None

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests so far, one for each circuit, in the order of first use."""
        return tuple(
            Request(self._circuits[key], one.prepared, one.rows) for key, one in self._noted.items()
        )

    def answer(self, answers: Iterable[Expvals | FloatArray]) -> None:
        """Take the answers for the next pass, in the order of `requests`.

        Args:
            answers: For each request its expectation values, (rows, num_observables), with or
                without their standard errors. NaN stands for what is not known.

        Raises:
            InvalidValueError: If their number or shapes do not fit the requests.
        """
        found = [
            one if isinstance(one, Expvals) else Expvals(one, np.zeros_like(one)) for one in answers
        ]
        wanted = [(len(one.rows), one.prepared.num_observables) for one in self.requests]
        if [one.values.shape for one in found] != wanted:
            raise InvalidValueError(
                f"Expected answers of the shapes {wanted}, got "
                f"{[one.values.shape for one in found]}: give one array for each request."
            )
        self._answers = found
        for one in self._noted.values():
            one.place = 0

    def prepare(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        *,
        initial_layout: Sequence[int] | None = None,
    ) -> Prepared:
        """Compile a circuit for the backend behind, as `Executable.prepare` does.

        Args:
            circuit: A logical circuit without measurements in the middle.
            observables: Hermitian operators on the logical qubits.
            initial_layout: A physical qubit for each logical one; None takes that of `layouts`.
        """
        if initial_layout is None and self._layouts is not None:
            initial_layout = self._layouts(circuit)
        prepared = self._executable.prepare(circuit, observables, initial_layout=initial_layout)
        self._circuits[id(prepared)] = circuit
        return prepared

    def run(
        self, prepared: Prepared, parameter_values: npt.ArrayLike, *, seed: int | None = None
    ) -> Expvals:
        """Note a batch and answer with zeros, or give back its answer.

        Args:
            prepared: The circuit, from `prepare`.
            parameter_values: Parameter values in radians, (batch, num_parameters).
            seed: Accepted and ignored: nothing is sampled here.

        Raises:
            InvalidValueError: If the batch is not the one that was noted at this place.
        """
        rows = check_batch(parameter_values, prepared.num_parameters, "parameter_values")
        if self._answers is None:
            noted = self._noted.setdefault(id(prepared), _Noted(prepared, len(self._noted)))
            noted.batches.append(rows)
            zeros = np.zeros((len(rows), prepared.num_observables))
            return Expvals(zeros, zeros)
        if id(prepared) not in self._noted:
            raise _differs("a circuit that the first pass did not have")
        noted = self._noted[id(prepared)]
        known, answer = noted.rows, self._answers[noted.number]
        start, stop = noted.place, noted.place + len(rows)
        if stop > len(known):
            raise _differs(f"{stop} rows of a circuit of which the first pass had {len(known)}")
        if not np.allclose(rows, known[start:stop], rtol=0.0, atol=SAME):
            raise _differs("other parameter values")
        noted.place = stop
        return Expvals(answer.values[start:stop], answer.stds[start:stop])

    @property
    def spec(self) -> Spec | None:
        """The spec that the backend behind was opened from."""
        return self._executable.spec

    @property
    def profile(self) -> str:
        """The name by which the backend behind was asked for."""
        return self._executable.profile

    @property
    def estimator(self) -> None:
        """None: nothing is computed here."""
        return

    @property
    def rule(self) -> None:
        """None: requests are noted as they would be posted."""
        return

    @property
    def takes_jobs(self) -> bool:
        """False: no derivatives are asked for."""
        return False

    @property
    def precision(self) -> float:
        """Standard deviation of an expectation value of the backend behind."""
        return self._executable.precision

    @property
    def num_qubits(self) -> int:
        """The most qubits a circuit may have."""
        return self._executable.num_qubits

    @property
    def is_local(self) -> bool:
        """False: the noted requests belong to one object, which is not copied or pickled."""
        return False

    def describe(self) -> dict[str, Any]:
        """Describe the backend behind."""
        return self._executable.describe()

    def __repr__(self) -> str:
        """Show the backend behind and how much was asked for."""
        rows = sum(len(request.rows) for request in self.requests)
        return f"Deferred({self._executable!r}, circuits={len(self._noted)}, rows={rows})"


def _differs(what: str) -> InvalidValueError:
    return InvalidValueError(
        f"Expected the requests of the first pass, got {what}: circuits whose inputs depend on the "
        "results of other circuits need one round of jobs for each of them, which is not done; "
        "give such a model another order, or run it on a simulator."
    )
