"""The command line in processes of its own that do not import torch and Qiskit again.

A Python that imports them takes seconds to start. Each process here is a fork of a server that has
imported them, and can be stopped and killed like any other.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

HEAVY = [
    "hybridq.evaluation.evaluate",
    "hybridq.hardware.collect",
    "hybridq.hardware.submit",
    "hybridq.studies.noise",
    "hybridq.training.finetune",
    "hybridq.training.pretrain",
]


def _run(arguments: list[str], environment: dict[str, str], place: str, out: str, err: str) -> None:
    """What a fork does: takes the caller's place, and runs the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    for path, number in ((out, 1), (err, 2)):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    for stream in ("stdout", "stderr"):
        setattr(sys, stream, open(getattr(sys, f"__{stream}__").fileno(), "w", closefd=False))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)
    from hybridq.cli import main

    sys.exit(main(arguments))


class Fork:
    """`hybridq` with these arguments, on one thread, in the working folder and environment of now.

    Has what is used of `subprocess.Popen`.
    """

    def __init__(self, *arguments: object) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(HEAVY)
        self._written = [Path(tempfile.mkstemp()[1]) for _ in range(2)]
        self._process = context.Process(
            target=_run,
            args=(
                [str(argument) for argument in arguments],
                {**os.environ, "OMP_NUM_THREADS": "1"},
                os.getcwd(),
                *map(str, self._written),
            ),
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit code, below nothing the signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to standard output and to standard error."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"still running after {timeout} seconds")
        out, err = (path.read_text(encoding="utf-8") for path in self._written)
        for path in self._written:
            path.unlink()
        return out, err
