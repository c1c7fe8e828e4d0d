"""Independent units of work over processes of this machine, or over a Ray cluster."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from hybridq.errors import UnavailableError
from hybridq.threads import one_thread, set_environment
from hybridq.utils.memory import keep_freed_memory

Unit = TypeVar("Unit")
Result = TypeVar("Result")

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""What stops a command from outside and lets it end in order."""


def run_units(
    function: Callable[[Unit], Result], units: Sequence[Unit], *, workers: int, ray: str | None
) -> Iterator[tuple[Unit, Result]]:
    """Run a function on each unit; yield units with their results as they are finished.

    Args:
        function: A function of a module, of one unit; what it needs it loads itself.
        units: What it is called with; they can be pickled.
        workers: Processes of one thread each; 1 computes in this process.
        ray: Address of a Ray cluster, or `local` for one of its own on this machine; None for
            processes. Paths in the units then have to be the same on all its machines.

    Raises:
        UnavailableError: If there is no Ray, or no cluster at that address, or a worker process
            was killed.
    """
    if ray is not None:
        yield from _on_ray(function, units, ray)
    else:
        with worker_pool(workers if len(units) > 1 else 1) as pool:
            yield from run_in(pool, function, units)


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes of one thread each, for several rounds of units; None for 1.

    They end with the process that opened the pool, whatever ends it; Ctrl-C does not wait for the
    units under way.
    """
    if workers == 1:
        yield None
        return
    # a fresh interpreter, since the threads of torch and Aer do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_in(
    pool: ProcessPoolExecutor | None, function: Callable[[Unit], Result], units: Sequence[Unit]
) -> Iterator[tuple[Unit, Result]]:
    """`run_units` in the processes of `worker_pool`, or in this one for None."""
    if pool is None:
        for unit in units:
            with one_thread():  # as in a process of the pool: the same sums, to the last digit
                result = function(unit)
            yield unit, result
        return
    with _undisturbed():  # a process that is stopped while it is made complains
        running: dict[Future[Result], Unit] = {pool.submit(function, unit): unit for unit in units}
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            try:
                result = future.result()
            except BrokenProcessPool as error:
                raise UnavailableError(
                    "Expected all worker processes to live, got one that was ended from outside, "
                    "as happens where memory runs out: go on with --resume, and fewer --workers."
                ) from error
            yield running.pop(future), result


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside, Ctrl-C and requests to end wait; processes made there wait with them, too."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: waiting.append(got)) for number in STOPPING
    }
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        signal.raise_signal(waiting[0])


def _start_worker() -> None:
    """Compute on one thread, leave Ctrl-C to the process that waits, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _compute_alone()


def _compute_alone() -> None:
    """Set this process to one thread, before torch and Aer are loaded."""
    set_environment(threads=1)
    keep_freed_memory()
    import torch

    torch.set_num_threads(1)


def _run_packed(packed: bytes) -> Any:
    """Run a pickled function on its unit; to unpickle them may load torch."""
    _compute_alone()
    function, unit = pickle.loads(packed)
    return function(unit)


def _end_with_parent() -> None:
    """Leave when the parent was killed: its successor may be at the same units already."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _on_ray(
    function: Callable[[Unit], Result], units: Sequence[Unit], address: str
) -> Iterator[tuple[Unit, Result]]:
    if find_spec("ray") is None:
        raise UnavailableError(
            "Expected Ray for --ray, got none installed: install it with `pip install ray`."
        )
    _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to no one
    import ray

    options: dict[str, Any] = {"log_to_driver": False}
    if address == "local":
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    answer = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"Expected a Ray cluster at {address!r}, got {' '.join(str(error).split())[:200]}: "
            "check --ray."
        ) from error
    if answer is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, answer)  # Ray has put one in its place that exits with 15
    try:
        remote = ray.remote(num_cpus=1)(_run_packed)
        running = {remote.remote(ray.cloudpickle.dumps((function, unit))): unit for unit in units}
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error  # what the function raised
            yield running.pop(done[0]), result
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse an address where no one listens: Ray itself would try for minutes.

    Raises:
        UnavailableError: If `host:port`, or `ray://host:port`, cannot be connected to.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        return  # `local` and `auto`
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise UnavailableError(
            f"Expected a Ray cluster at {address!r}, got no answer ({error}): check --ray."
        ) from error
