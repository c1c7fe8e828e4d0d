"""Write `environment.json`: versions, machine and data of a run, and when it was resumed."""

from __future__ import annotations

import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from hybridq.records.record import RESTORE
from hybridq.records.results import read_environment
from hybridq.threads import computing
from hybridq.utils.files import read_json, write_json

PACKAGES = (
    "hybridq-med",
    "numpy",
    "torch",
    "torchvision",
    "lightning",
    "lightly",
    "kornia",
    "scikit-learn",
    "qiskit",
    "qiskit-aer",
    "qiskit-machine-learning",
    "qiskit-ibm-runtime",
)


def environment(**more: Any) -> dict[str, Any]:
    """Collect versions, platform, commit, threads and torch's settings for `environment.json`."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "git_commit": _git_commit(),
        "versions": versions,
        "computing": computing(),
        **more,
    }


def _git_commit() -> str | None:
    """Find the commit of the source tree that this package runs from; None if installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None


def write_environment(folder: Path, **more: Any) -> None:
    """Write `environment.json`."""
    write_json(folder / "environment.json", environment(**more))


def recorded_data(folder: Path) -> Any:
    """Read the record of the data in the `environment.json` of a run; None without one."""
    path = folder / "environment.json"
    found = read_json(path, "the record of a run", RESTORE) if path.is_file() else {}
    return found.get("data") if isinstance(found, dict) else None


def note_resumption(folder: Path) -> None:
    """Add the time and the versions of a resumption to `environment.json`."""
    path = folder / "environment.json"
    found = read_environment(folder)
    here = environment()
    now = {key: here[key] for key in ("time", "git_commit", "versions", "computing")}
    write_json(path, {**found, "resumed": [*found.get("resumed", []), now]})


def note_computing(folder: Path) -> None:
    """Update the field `computing` of `environment.json` after a change."""
    path = folder / "environment.json"
    if path.is_file():
        found = read_environment(folder)
        last = found["resumed"][-1] if found.get("resumed") else found
        last["computing"] = computing()
        write_json(path, found)
