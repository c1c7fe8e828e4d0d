"""A process that has imported everything, and runs each command line in a fork of itself.

A Python that imports torch and Qiskit takes seconds to start; a fork of one that has takes none.
Run as a script: it reads one JSON object a line, and answers each with one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

WATCHED = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0}
"""Audit events that change files, and which of their arguments is the path that changes."""


class Counter:
    """Counts what changes files below the working folder; ends the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at = kill_at
        self.count = 0
        self._place = os.getcwd()
        self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See one audit event of the interpreter."""
        if event not in WATCHED or self._busy:
            return
        if event == "open" and not self._writes(arguments):
            return
        path = arguments[WATCHED[event]]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        self._busy = True
        inside = os.path.abspath(os.fsdecode(path)).startswith(self._place + os.sep)
        self._busy = False
        if not inside:
            return
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        _, mode, flags = arguments
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return bool(flags & (os.O_WRONLY | os.O_RDWR))


def run(request: dict[str, Any]) -> None:
    """Run one command in this fork, and end it."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    handle = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    if request.get("most_memory") is not None:
        resource.setrlimit(resource.RLIMIT_AS, (request["most_memory"], -1))
    counter = Counter(request["kill_at"])
    sys.addaudithook(counter)
    from hybridq.cli import main

    code = 1
    try:
        code = main(request["arguments"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:  # noqa: BLE001  printed as the interpreter would
        import traceback

        traceback.print_exc()
    finally:
        counter.kill_at = None
        print(f"changes: {counter.count}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Import what commands import, then answer requests until there are no more."""
    import torch

    import hybridq.evaluation.evaluate
    import hybridq.evaluation.predict
    import hybridq.hardware.collect
    import hybridq.hardware.submit
    import hybridq.output
    import hybridq.report
    import hybridq.studies.ablation
    import hybridq.studies.noise
    import hybridq.training.finetune
    import hybridq.training.pretrain  # noqa: F401

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(request)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve()
