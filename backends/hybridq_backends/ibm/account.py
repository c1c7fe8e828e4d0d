"""Open the service of an IBM Quantum account, and find a device with it."""

from __future__ import annotations

import contextlib
from typing import Any, cast

from qiskit.providers import BackendV2
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session
from qiskit_ibm_runtime import __version__ as VERSION

from hybridq_backends.devices.snapshots import fake_device
from hybridq_backends.errors import InvalidValueError
from hybridq_backends.ibm.door import Door
from hybridq_backends.ibm.exceptions import Act
from hybridq_backends.ibm.timed_requests import forget_failure, has_failed, watch
from hybridq_backends.ibm.trouble import ServiceError, Trouble
from hybridq_backends.specs.base import Spec
from hybridq_backends.specs.ibm_runtime import IbmRuntime
from hybridq_backends.utils.secrets import reveal


def open_service(spec: IbmRuntime) -> QiskitRuntimeService:
    """Open the service of a spec's account.

    Args:
        spec: Its `service_options` are handed to the service.

    Raises:
        ServiceError: If there is no account, or it is not accepted; one line without secrets.
    """

    def opened() -> QiskitRuntimeService:
        service = QiskitRuntimeService(**reveal(spec.service_options))
        watch(service)
        return service

    return Door(spec).ask(opened, Act.OPEN)


def find_device(spec: IbmRuntime, service: QiskitRuntimeService | None = None) -> BackendV2:
    """Find the device of a spec.

    Args:
        spec: `device` by name, or the least busy; `service_options` for the service.
        service: The service, if it is open already.

    Returns:
        The device.

    Raises:
        ServiceError: If there is no account, the service refuses, or the account has no such
            device; one line without secrets.
    """
    return Door(spec).ask(lambda: _found(spec, service or open_service(spec)))


def watch_posts(device: BackendV2) -> None:
    """Make sure that each job is posted to a device only once.

    Raises:
        ServiceError: If IBM's client is another than the one that hybridq knows.
    """
    service = getattr(device, "service", None)  # None on this machine
    if service is not None and not watch(service):
        raise ServiceError(
            f"Expected IBM's client as of qiskit-ibm-runtime 0.51, got {VERSION}, whose "
            "connections are not found, so that it might post a job again on its own: install a "
            "version that hybridq allows.",
            Trouble.REQUEST,
        )


def read_calibration(door: Door, device: BackendV2) -> None:
    """Read the properties of a device, and its target from them; the client then keeps both.

    Otherwise it would read them wherever they are first used, with no limit of time.

    Raises:
        ServiceError: If they cannot be read, or there are none.
    """

    def properties() -> Any:
        found = device.properties() if hasattr(device, "properties") else device.target
        return found and device.target

    if not door.ask(properties, Act.DEVICE):
        raise ServiceError(
            f"Expected the calibration of device {device.name} from IBM Quantum, got none: wait, "
            "or name another with device=...",
            Trouble.DEVICE,
        )


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


def _found(spec: IbmRuntime, service: QiskitRuntimeService) -> BackendV2:
    """Look for a device, and look again: the client also finds none if it could not ask.

    Raises:
        QiskitBackendNotFoundError: If none takes jobs, or a request failed.
        ServiceError: If there is none of that name, or it cannot be read.
    """
    device = _find(spec, service)
    if device is None:
        _list_again(service)
        forget_failure()
        device = _find(spec, service)
    if device is not None:
        return device
    if has_failed():
        raise QiskitBackendNotFoundError("a request failed")
    listed = sorted(_listed(service))
    wanted = [spec.device] if spec.device is not None else listed
    if spec.device is not None and spec.device not in listed:
        raise ServiceError(
            f"Expected one of the account's devices ({', '.join(listed) or 'it has none'}), got "
            f"{spec.device!r}: name another with device=..., or another instance.",
            Trouble.DEVICE,
        )
    if spec.device is not None or (listed and not service.backends(simulator=False)):
        raise ServiceError(
            f"Expected the configuration of {' or '.join(wanted)} from IBM Quantum, got none that "
            "can be read: check the network and https://quantum.cloud.ibm.com/status, or name "
            "another device with device=...",
            Trouble.NETWORK,
        )
    raise QiskitBackendNotFoundError(f"of the account's {len(listed)} devices none takes jobs")


def _find(spec: IbmRuntime, service: QiskitRuntimeService) -> BackendV2 | None:
    with contextlib.suppress(QiskitBackendNotFoundError):
        if spec.device is None:
            return service.least_busy(operational=True, simulator=False)
        return service.backend(spec.device)
    return None


def _listed(service: QiskitRuntimeService) -> set[str]:
    """List the names of the devices of all instances of the account."""
    infos = service._backends_info_per_instance.values()
    return {str(one["name"]) for info in infos for one in info if one.get("class") != "mock"}


def _list_again(service: QiskitRuntimeService) -> None:
    """Ask for the devices of each instance, if the client could not when it was opened.

    Raises:
        Exception: The cause, if no instance can be asked.
    """
    if service._backends_info_per_instance:
        return
    for client in service._api_clients.values():
        client.list_backends(True)
    service._backend_instance_groups.clear()  # where the client keeps that there are none


def calibrated_device(spec: Spec) -> BackendV2:
    """Open the device behind a spec.

    Args:
        spec: One with a device: a fake or saved one, or an IBM device.

    Returns:
        The device.

    Raises:
        InvalidValueError: If the spec has no device, or names one that does not exist.
        UnavailableError: If it needs an account, and there is none.
    """
    if spec.snapshot is not None:
        return fake_device(spec.snapshot)
    if spec.is_paid:
        runtime = cast(IbmRuntime, spec)
        device = find_device(runtime)
        read_calibration(Door(runtime), device)
        return device
    raise InvalidValueError(
        f"Expected a backend with a device, got one of kind {spec.kind!r} without: name one, as "
        "in ibm,device=ibm_fez or fake_torino."
    )
