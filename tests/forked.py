"""Commands in forks of a process that has imported everything, see `fork_server`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """What a command came to.

    Attributes:
        code: Its exit code; below nothing the signal that ended it.
        output: What it printed and logged.
        changes: How many changes it made to files, if it was not killed.
    """

    code: int
    output: str
    changes: int


class Forked:
    """The server, started at the first command."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def __call__(
        self,
        *arguments: object,
        kill_at: int | None = None,
        most_memory: int | None = None,
        folder: Path | None = None,
    ) -> Done:
        """Run a command in the working folder, or kill it at one of its changes to files."""
        with tempfile.TemporaryDirectory() as place:
            output = Path(place) / "output"
            request = {
                "arguments": [str(argument) for argument in arguments],
                "folder": str(folder or Path.cwd()),
                "environment": {**os.environ, "OMP_NUM_THREADS": "1"},
                "output": str(output),
                "kill_at": kill_at,
                "most_memory": most_memory,
            }
            server = self._started()
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            answer = json.loads(server.stdout.readline())
            text = output.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()
        changes = [line for line in lines if line.startswith("changes: ")]
        kept = [line for line in lines if not line.startswith("changes: ")]
        count = int(changes[-1].split()[1]) if changes else 0
        return Done(answer["code"], "\n".join(kept), count)

    def _started(self) -> subprocess.Popen[str]:
        if self._server is None:
            path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
            self._server = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            )
        return self._server

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
