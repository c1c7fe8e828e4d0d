"""The IBM Quantum account: finding a device with it, and errors that never show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.accounts import AccountNotFoundError

from backends.errors import UnavailableError
from backends.secrets import HIDDEN, redact
from backends.specs import IbmRuntime

_NO_SESSIONS = "1352"


def find_device(spec: IbmRuntime) -> BackendV2:
    """Open the service and find the device of a spec.

    Args:
        spec: `device` by name, or the least busy; `service_options` for the service.

    Returns:
        The device.

    Raises:
        UnavailableError: If there is no account, or the service refuses; one line.
    """
    with service_errors(spec):
        service = QiskitRuntimeService(**spec.service_options)
        if spec.device is None:
            return service.least_busy(operational=True, simulator=False)
        try:
            return service.backend(spec.device)
        except QiskitBackendNotFoundError as error:
            names = sorted(device.name for device in service.backends())
            raise UnavailableError(
                f"Expected one of the account's devices ({', '.join(names) or 'it has none'}), got "
                f"{spec.device!r}: name another with device=..., or another instance."
            ) from error


@contextmanager
def service_errors(spec: IbmRuntime) -> Iterator[None]:
    """Turn the client's errors into one line without secrets.

    Args:
        spec: Whose `service_options` may hold secrets.

    Raises:
        UnavailableError: For what the client raises inside the block.
    """
    try:
        yield
    except AccountNotFoundError as error:
        raise UnavailableError(
            "Expected an IBM Quantum account, got none: save one with "
            "QiskitRuntimeService.save_account(token=...), or set QISKIT_IBM_TOKEN (and "
            "QISKIT_IBM_INSTANCE), or name its file in a profile's table `service_options` "
            '(filename = "account.json"); without one use ibm_rehearsal.'
        ) from error
    except (QiskitError, OSError, ValueError) as error:
        text = without_secrets(str(error), spec)
        if _NO_SESSIONS in text:
            remedy = "this plan has no sessions, use mode=batch or mode=job."
        else:
            remedy = "check the account, the device's name and the network."
        message = f"Expected IBM Quantum to answer, got {type(error).__name__} ({text}): {remedy}"
        # A cause that quotes a secret is left out of the traceback, any other is kept.
        raise UnavailableError(message) from (None if HIDDEN in text else error)


def without_secrets(text: str, spec: IbmRuntime) -> str:
    """Redact what the options, the environment and the saved accounts hold."""
    options = dict(spec.service_options)
    try:
        filename = options.get("filename")
        saved = QiskitRuntimeService.saved_accounts(filename=filename)
    except (QiskitError, OSError, ValueError):
        saved = {}
    tokens = [account.get("token", "") for account in saved.values()]
    return redact(text, {**options, "saved_tokens": tokens})
