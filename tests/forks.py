"""The command line in processes of its own that do not import torch and Qiskit again.

A Python that imports them takes seconds to start. Each process here is a fork of a server that has
imported them, and can be stopped and killed like any other.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HEAVY = [
    "hybridq.evaluation.evaluate",
    "hybridq.evaluation.predict",
    "hybridq.submissions.collect",
    "hybridq.submissions.submit",
    "hybridq.reports",
    "hybridq.studies.ablation.study",
    "hybridq.studies.noise.study",
    "hybridq.training.finetune",
    "hybridq.training.pretrain",
]


CHANGES = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0}
"""Audit events that change files, and which of their arguments is the path that changes."""


class Counter:
    """Counts what changes files below the working folder; ends the process at one of them.

    Args:
        kill_at: The change before which the process is killed; 0 is none.
        note: Where the count is written, when there is one to write.
    """

    def __init__(self, kill_at: int, note: Path) -> None:
        self._kill_at = kill_at
        self._note = note
        self._count = 0
        self._place = os.getcwd()
        self._is_busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See one audit event of the interpreter."""
        if event not in CHANGES or self._is_busy:
            return
        path = arguments[CHANGES[event]]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if event == "open" and not _writes(*arguments[1:]):
            return
        self._is_busy = True
        if os.path.abspath(os.fsdecode(path)).startswith(self._place + os.sep):
            self._count += 1
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        self._is_busy = False

    def write(self) -> None:
        """Write how many changes there were."""
        self._note.write_text(str(self._count))


def _writes(mode: str | None, flags: int) -> bool:
    """Whether a file is opened to be written."""
    if mode is not None:
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR))


def _run(
    arguments: list[str],
    environment: dict[str, str],
    place: str,
    written: list[Path],
    kill_at: int | None,
) -> None:
    """What a fork does: takes the caller's place, and runs the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    for path, number in zip(written, (1, 2), strict=False):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    for stream in ("stdout", "stderr"):
        setattr(sys, stream, open(getattr(sys, f"__{stream}__").fileno(), "w", closefd=False))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)
    from hybridq.cli.main import main

    if kill_at is None:
        sys.exit(main(arguments))
    counter = Counter(kill_at, written[2])
    sys.addaudithook(counter)
    code = main(arguments)
    counter.write()
    sys.exit(code)


class Fork:
    """`hybridq` with these arguments, on one thread, in the working folder and environment of now.

    Has what is used of `subprocess.Popen`.

    Args:
        arguments: The command.
        kill_at: Before which of its changes to files below the working folder it is killed; 0
            counts them, None does not.
    """

    def __init__(self, *arguments: object, kill_at: int | None = None) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(HEAVY)
        self._written = [Path(tempfile.mkstemp()[1]) for _ in range(3)]
        self._process = context.Process(
            target=_run,
            args=(
                [str(argument) for argument in arguments],
                {**os.environ, "OMP_NUM_THREADS": "1"},
                os.getcwd(),
                self._written,
                kill_at,
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
        out, err, changes = (path.read_text(encoding="utf-8") for path in self._written)
        self.changes = int(changes or 0)
        for path in self._written:
            path.unlink()
        return out, err


@dataclass(frozen=True)
class Done:
    """What a command came to.

    Attributes:
        code: Its exit code; below nothing the signal that ended it.
        output: What it printed and logged.
        changes: How many changes it made to files below the working folder, if it was not killed.
    """

    code: int
    output: str
    changes: int


def forked(*arguments: object, kill_at: int = 0) -> Done:
    """Run a command to its end, or kill it before one of its changes to files."""
    fork = Fork(*arguments, kill_at=kill_at)
    out, err = fork.communicate(timeout=600)
    assert fork.returncode is not None
    return Done(fork.returncode, out + err, fork.changes)
