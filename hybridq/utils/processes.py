"""Processes of this machine: each computes on one thread, and ends with the one that made it."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.synchronize import Event

from hybridq.errors import UnavailableError
from hybridq.threads import set_environment
from hybridq.utils.memory import keep_freed_memory

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""What stops a command from outside and lets it end in order."""

LOST = (
    "Expected all worker processes to live, got one that was ended from outside, as happens where "
    "memory runs out: go on with --resume, and fewer --workers."
)
NOT_BEGUN = (
    "Expected worker processes that start, got one that ended before it did anything, as happens "
    'where a script has no `if __name__ == "__main__":` above its calls: add that line, or give '
    "workers=1."
)
RUN_AGAIN = (
    "Expected `hybridq.{name}` in a script's own process, got a worker process that imports the "
    'script: put the calls below `if __name__ == "__main__":`.'
)


@contextmanager
def own_processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, whatever ends it; Ctrl-C does not wait for their units.

    Raises:
        UnavailableError: If one of them was ended from outside, or could not start.
    """
    # a fresh interpreter, since the threads of torch and Aer do not survive a fork
    context = get_context("spawn")
    begun = context.Event()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=start_worker, initargs=(begun,)
    )
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in active_children():
            worker.terminate()
        raise
    except BrokenProcessPool as error:
        raise UnavailableError(LOST if begun.is_set() else NOT_BEGUN) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def undisturbed() -> Iterator[None]:
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


def stop_if_run_again(name: str) -> None:
    """End a worker process that runs a script a second time, to import it, and met a call there.

    A process that is started afresh imports the script of the process that started it. What stands
    there outside of `if __name__ == "__main__":` would be done once more in each: a training, a
    study with processes of its own, jobs that are paid.

    Args:
        name: The name of the function that is called, for the line that is shown.

    Raises:
        SystemExit: If this is such a process; no `except Exception` of the script goes on then.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__mp_main__":
            raise SystemExit(RUN_AGAIN.format(name=name))
        frame = frame.f_back


def start_worker(begun: Event | None = None) -> None:
    """Compute on one thread, leave Ctrl-C to the process that waits, and end when it ends."""
    if begun is not None:
        begun.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=end_with_parent, daemon=True).start()
    compute_alone()


def end_with_parent() -> None:
    """Leave when the parent was killed: its successor may be at the same units already."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def compute_alone() -> None:
    """Set this process to one thread, before torch and Aer are loaded."""
    set_environment(threads=1)
    keep_freed_memory()
    import torch

    torch.set_num_threads(1)
