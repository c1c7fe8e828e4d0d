"""Where circuits run: simulators, device snapshots and IBM hardware behind one object.

`open_backend("aer_noisy", device="FakeTorino", shots=4096)` gives an `Executable`, which
prepares circuits for its backend and runs batches of parameter values. Names are loaded
on first use, so that importing this package, or reading a spec, does not import Qiskit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridq_backends.accepted import BackendLike, open_backend, opened_backend
    from hybridq_backends.checks.probes import Probe
    from hybridq_backends.checks.profile import CheckReport, check_backend, check_executable
    from hybridq_backends.compile.transpile import Prepared
    from hybridq_backends.deferred import Deferred
    from hybridq_backends.executable import Executable
    from hybridq_backends.expvals import Expvals
    from hybridq_backends.specs.base import Spec
    from hybridq_backends.specs.ibm_runtime import IbmRuntime
    from hybridq_backends.specs.kinds import KINDS, KindEntry
    from hybridq_backends.specs.noisy import Noisy
    from hybridq_backends.specs.profiles import Profile, list_backends, parse_backend
    from hybridq_backends.specs.statevector import Statevector

_HOMES = {
    "BackendLike": "hybridq_backends.accepted",
    "open_backend": "hybridq_backends.accepted",
    "opened_backend": "hybridq_backends.accepted",
    "CheckReport": "hybridq_backends.checks.profile",
    "Probe": "hybridq_backends.checks.probes",
    "check_backend": "hybridq_backends.checks.profile",
    "check_executable": "hybridq_backends.checks.profile",
    "Deferred": "hybridq_backends.deferred",
    "Executable": "hybridq_backends.executable",
    "Expvals": "hybridq_backends.executable",
    "Prepared": "hybridq_backends.compile.transpile",
    "Profile": "hybridq_backends.specs.profiles",
    "list_backends": "hybridq_backends.specs.profiles",
    "parse_backend": "hybridq_backends.specs.profiles",
    "IbmRuntime": "hybridq_backends.specs.ibm_runtime",
    "KINDS": "hybridq_backends.specs.kinds",
    "KindEntry": "hybridq_backends.specs.kinds",
    "Noisy": "hybridq_backends.specs.noisy",
    "Spec": "hybridq_backends.specs.base",
    "Statevector": "hybridq_backends.specs.statevector",
}

__all__ = [
    "KINDS",
    "BackendLike",
    "CheckReport",
    "Deferred",
    "Executable",
    "Expvals",
    "IbmRuntime",
    "KindEntry",
    "Noisy",
    "Prepared",
    "Probe",
    "Profile",
    "Spec",
    "Statevector",
    "check_backend",
    "check_executable",
    "list_backends",
    "open_backend",
    "opened_backend",
    "parse_backend",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
