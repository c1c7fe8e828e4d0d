"""Where circuits run: simulators, device snapshots and IBM hardware behind one object.

`open_backend("aer_noisy", device="FakeTorino", shots=4096)` gives an `Executable`, which
prepares circuits for its backend and runs batches of parameter values. Names are loaded
on first use, so that importing this package, or reading a spec, does not import Qiskit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.checks import CheckReport, check_backend, check_executable
    from backends.executable import Executable, open_backend
    from backends.expvals import Expvals
    from backends.isa import Prepared
    from backends.probes import Probe
    from backends.registry import Profile, list_backends, parse_backend
    from backends.specs import IbmRuntime, Noisy, Spec, Statevector

_HOMES = {
    "CheckReport": "backends.checks",
    "Probe": "backends.probes",
    "check_backend": "backends.checks",
    "check_executable": "backends.checks",
    "Executable": "backends.executable",
    "Expvals": "backends.executable",
    "open_backend": "backends.executable",
    "Prepared": "backends.isa",
    "Profile": "backends.registry",
    "list_backends": "backends.registry",
    "parse_backend": "backends.registry",
    "IbmRuntime": "backends.specs",
    "Noisy": "backends.specs",
    "Spec": "backends.specs",
    "Statevector": "backends.specs",
}

__all__ = [
    "CheckReport",
    "Executable",
    "Expvals",
    "IbmRuntime",
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
