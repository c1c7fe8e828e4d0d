"""Calling the command line with bad input, and looking at what it says and leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybridq.cli import main as cli

PATIENCE = 120
"""Seconds after which a command counts as hanging."""
MOST_MEMORY = 600_000_000
"""Bytes by which a refusal may raise the resident memory of the process, imports included."""
SMALL = 200_000
"""Bytes up to which a file of a shared run is copied; larger ones are linked."""


class HangingError(BaseException):
    """The command took too long; no `except Exception` can hide it."""


class Bench:
    """A working folder with copies of good runs, which a case damages.

    Attributes:
        work: The working folder.
        runs: Shared finished runs by name; never written to.
    """

    def __init__(self, work: Path, runs: dict[str, Path], capture: Any) -> None:
        self.work = work
        self.runs = runs
        self._capture = capture

    def copy(self, name: str) -> Path:
        """Copy a shared run as the folder of that name; large files are linked."""

        def keep(source: str, target: str) -> None:
            if os.path.getsize(source) > SMALL:
                os.link(source, target)
            else:
                shutil.copy2(source, target)

        folder = Path(name)
        shutil.copytree(self.runs[name], folder, copy_function=keep)
        return folder

    def put(self, path: str | Path, content: bytes | str | None) -> None:
        """Put a file in place of what is there; None removes it."""
        path = Path(path)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def edit(self, path: str | Path, place: str, value: Any) -> None:
        """Set a field of a JSON file, as `encoder.image_size`; `...` takes it away."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        inside: Any = content
        *above, last = place.split(".")
        for name in above:
            inside = inside[int(name) if isinstance(inside, list) else name]
        key: Any = int(last) if isinstance(inside, list) else last
        if value is ...:
            del inside[key]
        else:
            inside[key] = value
        self.put(path, json.dumps(content))

    def call(self, *arguments: object) -> tuple[int, str, str]:
        """Run a command; its exit code, standard output and standard error."""
        self._capture.readouterr()
        try:
            with _limited():
                code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = self._capture.readouterr()
        return code, out, err

    def refused(self, *arguments: object, says: str = "", told: str | None = None) -> str:
        """Run a command that must refuse in one line and leave everything as it was.

        Args:
            arguments: The command.
            says: What the line says.
            told: What a line of the log says before it, where there is one.
        """
        before = listing(self.work.parent)
        code, out, err = self.call(*arguments)
        assert code == 2, f"exit code {code}\n{out}\n{err}"
        lines = err.splitlines()
        if told is not None:
            assert told in lines.pop(0), err
        assert len(lines) == 1, err
        assert lines[0].startswith("hybridq: error: "), err
        assert "Traceback" not in out + err
        assert says in lines[0], err
        assert len(lines[0]) < 1500, err
        after = listing(self.work.parent)
        left = {name for name in after if name not in before}
        assert not left, f"left behind: {sorted(left)}"
        assert after == before
        return lines[0]

    def warned(self, *arguments: object, says: str) -> None:
        """Run a command that must go on, and name what it met in one line."""
        code, out, err = self.call(*arguments)
        assert code == 0, f"exit code {code}\n{out}\n{err}"
        assert "Traceback" not in out + err
        assert sum(says in line for line in (out + err).splitlines()) == 1, out + err


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Every file, folder and link below a path, with size and time of change of the files.

    Size and time of a folder change with what comes and goes in it, which the names tell.
    """
    found = {}
    for folder, names, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            state = os.lstat(path)
            found[os.path.relpath(path, root)] = (state.st_size, state.st_mtime_ns)
        for name in names:
            found[os.path.relpath(os.path.join(folder, name), root)] = (0, 0)
    return found


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """End what takes too long, and look at how much memory it took at its height."""

    def hang(number: int, frame: object) -> None:
        raise HangingError(f"no end within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hang)
    resident = _reset_peak()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert _memory("VmHWM") - resident < MOST_MEMORY


def _reset_peak() -> int:
    """Begin the height of resident memory anew, where the system can; bytes in use now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    """A field of the process's status in bytes; 0 on systems that have none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith(field)), f"{field}: 0")
    return int(line.split()[1]) * 1024
