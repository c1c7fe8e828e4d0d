"""What is accepted where a backend is wanted, and what becomes of it.

Who opens a backend closes it. What comes open, an executable, stays open: it belongs to whoever
opened it. What is opened here from a name or a spec is closed by `opened_backend` at the end of its
block, and by whoever called `open_backend`.
"""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from qiskit.primitives.base import BaseEstimatorV2, BaseSamplerV2
from qiskit.providers import BackendV2

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.executable import Executable, open_spec
from hybridq_backends.simulators.primitive import PrimitiveEngine
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.profiles import override_spec, parse_backend, profile_name

BackendLike: TypeAlias = str | Spec | Executable | BackendV2 | BaseEstimatorV2
"""A profile's name or `name,field=value,...`, a spec, an open executable, a ready Qiskit backend,
or an estimator (`EstimatorV2`)."""

_READY = frozenset({"shots", "seed"})
"""What can be told to a ready Qiskit backend."""


def open_backend(backend: BackendLike, **overrides: Any) -> Executable:
    """Open a backend.

    Args:
        backend: A profile's name, `name,field=value,...`, a spec, a ready Qiskit backend such as
            `AerSimulator()`, `FakeTorino()` or `GenericBackendV2(5)`, or an estimator such as
            Aer's `EstimatorV2()` or `StatevectorEstimator()`. An open executable comes back as it
            is.
        **overrides: Fields of the spec that win over all others; for a ready Qiskit backend
            `shots` (by default 4096) and `seed` (by default 0).

    Returns:
        The open executable, to be used in a `with` block or closed.

    Raises:
        InvalidValueError: On an unknown name, field or device, a value out of range, or something
            that is no backend.
        UnavailableError: If an account or an engine is missing.

    Example:
        >>> from hybridq_backends import open_backend
        >>> from qiskit import QuantumCircuit
        >>> bell = QuantumCircuit(2)
        >>> _ = bell.h(0), bell.cx(0, 1)
        >>> with open_backend("aer_statevector") as backend:
        ...     prepared = backend.prepare(bell, ["ZZ", "XX", "ZI"])
        ...     values, stds = backend.run(prepared, [[]])
        >>> values.round(6).tolist()
        [[1.0, 1.0, 0.0]]
    """
    if isinstance(backend, str):
        return open_spec(parse_backend(backend, **overrides), profile_name(backend))
    if isinstance(backend, Spec):
        return open_spec(override_spec(backend, **overrides), backend.kind)
    known = _READY if isinstance(backend, BackendV2) else frozenset()
    for name in overrides.keys() - known:
        raise InvalidValueError(
            f"Expected {' or '.join(sorted(known)) or 'no fields'} with a backend that is ready, "
            f"got `{name}`: leave it out, or name a profile."
        )
    if isinstance(backend, Executable):
        backend.check_open()
        return backend
    if isinstance(backend, BackendV2):
        return Executable.from_backend(backend, **overrides)
    if isinstance(backend, BaseEstimatorV2):
        return Executable(PrimitiveEngine(backend), None, type(backend).__name__)
    raise _refused(backend)


@contextmanager
def opened_backend(backend: BackendLike, **overrides: Any) -> Iterator[Executable]:
    """Open a backend for a `with` block, at whose end it is closed, unless it came open.

    Args:
        backend: What `open_backend` takes.
        **overrides: As `open_backend` takes them.

    Raises:
        HybridqError: As `open_backend` does.
    """
    opened = open_backend(backend, **overrides)
    try:
        yield opened
    finally:
        if opened is not backend:
            opened.close()


def _refused(got: object) -> InvalidValueError:
    """Say what is accepted, and what may have been meant."""
    remedy = "name a profile, such as 'statevector'; `list_backends()` has them all."
    if inspect.isclass(got) and issubclass(got, BackendV2 | BaseEstimatorV2 | Spec):
        remedy = f"make one of the class, {got.__name__}(...)."
    elif isinstance(got, BaseSamplerV2):
        remedy = "give an estimator; a sampler has no expectation values."
    return InvalidValueError(
        "Expected a backend as a profile's name, a spec, an open executable, a Qiskit backend or "
        f"an EstimatorV2, got {reprlib.repr(got)}: {remedy}"
    )
