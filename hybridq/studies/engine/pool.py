"""Where units of work are computed: here, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

from hybridq.errors import UnavailableError
from hybridq.utils.limits import check_workers
from hybridq.utils.processes import LOST, compute_alone, own_processes, undisturbed

Unit = TypeVar("Unit")
Result = TypeVar("Result")
Function = Callable[[Unit], Result]
Compute = Callable[[Function[Unit, Result], Sequence[Unit]], Iterator[tuple[Unit, Result]]]
"""Calls a function of a module with each unit; yields units with their results as they finish."""

LOCAL = "local"
"""The address of a Ray cluster of this machine alone."""


def check_place(workers: int, ray: str | None) -> None:
    """Refuse processes or a cluster that cannot be had, before anything is made.

    Raises:
        InvalidValueError: If the memory of this machine does not hold so many processes.
        UnavailableError: If there is no Ray, or no answer at its address.
    """
    if ray in (None, LOCAL):
        check_workers(workers)
    if ray is not None and find_spec("ray") is None:
        raise UnavailableError(
            "Expected Ray for --ray, got none installed: install it with `pip install ray`."
        )
    host, separator, port = (ray or "").removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        return  # `local` and `auto`
    try:  # Ray itself would try for minutes
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise UnavailableError(
            f"Expected a Ray cluster at {ray!r}, got no answer ({error}): check --ray."
        ) from error


@contextmanager
def open_workers(workers: int, ray: str | None) -> Iterator[Compute[Any, Any]]:
    """Yield what computes units, for any number of stages.

    Args:
        workers: Processes of one thread each on this machine; 1 computes in this process.
        ray: Address of a Ray cluster, or `local` for one of `workers` processes; None for
            processes. Paths in the units have to be the same on all machines of a cluster.

    Raises:
        UnavailableError: If there is no cluster at that address, or a worker was killed.
    """
    if ray is not None:
        with _cluster(ray, workers) as compute:
            yield compute
    elif workers == 1:
        yield lambda function, units: ((unit, function(unit)) for unit in units)
    else:
        with own_processes(workers) as pool:
            yield partial(_compute, pool.submit)


def _compute(
    submit: Callable[[Function[Unit, Result], Unit], Future[Result]],
    function: Function[Unit, Result],
    units: Sequence[Unit],
) -> Iterator[tuple[Unit, Result]]:
    with undisturbed():  # a process that is stopped while it is made complains
        running = {submit(function, unit): unit for unit in units}
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            try:
                result = future.result()
            except Exception as error:
                cause = getattr(error, "cause", None)  # Ray wraps what the function raised
                if isinstance(cause, Exception):
                    raise cause from error
                if type(error).__module__.startswith("ray."):
                    raise UnavailableError(LOST) from error
                raise
            yield running.pop(future), result


@contextmanager
def _cluster(address: str, workers: int) -> Iterator[Compute[Any, Any]]:
    """A cluster, which is connected to when there is a unit to compute."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to no one
    import ray

    is_theirs = ray.is_initialized()
    here = {name: value for name, value in os.environ.items() if name == "HYBRIDQ_DATA"}

    def submit(function: Function[Any, Any], unit: Any) -> Future[Any]:
        packed = ray.cloudpickle.dumps((function, unit, here))
        future: Future[Any] = ray.remote(num_cpus=1)(_run_packed).remote(packed).future()
        return future

    def compute(function: Function[Any, Any], units: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        if units and not ray.is_initialized():
            _connect(ray, address, workers)
        return _compute(submit, function, units)

    try:
        yield compute
    finally:
        if not is_theirs:
            ray.shutdown()


def _connect(ray: Any, address: str, workers: int) -> None:
    options: dict[str, Any] = {"log_to_driver": False}
    if address == LOCAL:
        options |= {"num_cpus": workers, "include_dashboard": False}
        options |= {"_node_ip_address": "127.0.0.1"}
    answer = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        got = " ".join(str(error).split())[:200]
        raise UnavailableError(
            f"Expected a Ray cluster at {address!r}, got {got}: check --ray."
        ) from error
    if answer is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, answer)  # Ray's own in its place would exit with 15


def _run_packed(packed: bytes) -> Any:
    """Run a pickled function on its unit; to unpickle them may load torch."""
    compute_alone()
    function, unit, environment = pickle.loads(packed)
    os.environ.update(environment)
    return function(unit)
