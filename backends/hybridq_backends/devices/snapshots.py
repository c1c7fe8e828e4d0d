"""Open snapshots of devices: fake devices by name, saved calibrations by file."""

from __future__ import annotations

import inspect
from functools import lru_cache

from qiskit.providers import BackendV2

from hybridq_backends.errors import InvalidValueError
from hybridq_backends.specs.base import Spec
from hybridq_backends.utils.suggest import nearest


def _short(name: str) -> str:
    """Reduce FakeJakartaV2, fake_jakarta and jakarta to one word."""
    word = name.strip().lower().replace("_", "").replace("-", "")
    return word.removeprefix("fake").removesuffix("v2")


@lru_cache(maxsize=1)
def _classes() -> dict[str, type[BackendV2]]:
    """Collect the fake devices of qiskit-ibm-runtime by short name."""
    from qiskit_ibm_runtime import fake_provider
    from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2

    return {
        _short(name): member
        for name, member in inspect.getmembers(fake_provider, inspect.isclass)
        if issubclass(member, FakeBackendV2) and name.startswith("Fake")
    }


@lru_cache(maxsize=8)
def _open(short: str) -> BackendV2:
    """Make one device, once."""
    return _classes()[short]()


def check_device(spec: Spec) -> None:
    """Look up the device that a spec names, unless only an account can tell.

    Raises:
        InvalidValueError: If there is none of that name, or its file is damaged.
        MissingFileError: If its file cannot be read.
    """
    if spec.snapshot is not None:
        fake_device(spec.snapshot)


def fake_device(name: str) -> BackendV2:
    """Open a snapshot of an IBM device.

    Args:
        name: A class name such as FakeTorino or FakeJakartaV2; `fake_torino` and `torino`
            are understood too. What ends in .json is a file of `save_calibration`.

    Returns:
        The device; a fake one is shared by all who ask for it, a file is read anew.

    Raises:
        InvalidValueError: If there is none of that name, or the file is damaged.
        MissingFileError: If the file cannot be read.
    """
    if name.endswith(".json"):
        from hybridq_backends.devices.calibration import load_calibration

        return load_calibration(name)
    short = _short(name)
    classes = _classes()
    if short not in classes:
        guess = nearest(short, classes)
        remedy = f"did you mean {classes[guess].__name__}?" if guess else "try FakeTorino."
        raise InvalidValueError(
            f"Expected `device` to be one of the {len(classes)} fake devices, got {name!r}: "
            f"{remedy}"
        )
    return _open(short)
