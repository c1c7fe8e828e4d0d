"""The IBM Quantum account: opening its service, and finding a device with it."""

from __future__ import annotations

from qiskit.providers import BackendV2
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session

from backends.errands import watch
from backends.jobs import ServiceError, Trouble
from backends.specs import IbmRuntime
from backends.troubles import Act, service_errors


def open_service(spec: IbmRuntime) -> QiskitRuntimeService:
    """Open the service of a spec's account.

    Args:
        spec: Its `service_options` are handed to the service.

    Raises:
        ServiceError: If there is no account, or it is not accepted; one line without secrets.
    """
    with service_errors(spec, Act.OPEN):
        service = QiskitRuntimeService(**spec.service_options)
    watch(service)
    return service


def find_device(spec: IbmRuntime) -> BackendV2:
    """Open the service and find the device of a spec.

    Args:
        spec: `device` by name, or the least busy; `service_options` for the service.

    Returns:
        The device.

    Raises:
        ServiceError: If there is no account, the service refuses, or the account has no such
            device; one line without secrets.
    """
    service = open_service(spec)
    with service_errors(spec):
        if spec.device is None:
            return service.least_busy(operational=True, simulator=False)
        try:
            return service.backend(spec.device)
        except QiskitBackendNotFoundError as error:
            # The client says the same where it could not ask: the second time that shows.
            devices = {device.name: device for device in service.backends()}
            if spec.device in devices:
                return devices[spec.device]
            if not devices:
                service.usage()
            names = ", ".join(sorted(devices)) or "it has none"
            raise ServiceError(
                f"Expected one of the account's devices ({names}), got {spec.device!r}: name "
                "another with device=..., or another instance.",
                Trouble.DEVICE,
            ) from error


def open_mode(
    spec: IbmRuntime, device: BackendV2, session_seconds: int | None
) -> Batch | Session | None:
    """Begin the batch or session of a spec; None in job mode.

    Args:
        spec: Its `mode`.
        device: Where jobs are to run.
        session_seconds: Longest time of a session, in whole seconds, after which the service
            closes it whatever is queued; None leaves the service's own limit. A session is charged
            by wall clock while it is active, idle time included. A batch is charged for its jobs
            alone and gets no limit: it would close while they queue.
    """
    if spec.mode == "batch":
        return Batch(backend=device)
    if spec.mode == "session":
        return Session(backend=device, max_time=session_seconds)
    return None
