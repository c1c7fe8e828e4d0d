"""Processes of this machine: each computes on one thread, and ends with the one that made it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process

from hybridq.threads import set_environment
from hybridq.utils.memory import keep_freed_memory

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""What stops a command from outside and lets it end in order."""


@contextmanager
def own_processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, whatever ends it; Ctrl-C does not wait for their units."""
    # a fresh interpreter, since the threads of torch and Aer do not survive a fork
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start_worker)
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in active_children():
            worker.terminate()
        raise
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


def start_worker() -> None:
    """Compute on one thread, leave Ctrl-C to the process that waits, and end when it ends."""
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
