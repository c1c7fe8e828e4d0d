"""`environment.json`: what a run was computed with, and when it went on."""

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
    """Versions, platform, commit, threads and settings of torch, for `environment.json`."""
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
    """The commit of the source tree this package runs from, or None for an installed one."""
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
    """What the `environment.json` of a run says of its data; None if nothing."""
    path = folder / "environment.json"
    found = read_json(path, "the record of a run", RESTORE) if path.is_file() else {}
    return found.get("data") if isinstance(found, dict) else None


def note_resumption(folder: Path) -> None:
    """Add to `environment.json` that the run goes on, when, and with what."""
    path = folder / "environment.json"
    found = read_environment(folder)
    here = environment()
    now = {key: here[key] for key in ("time", "git_commit", "versions", "computing")}
    write_json(path, {**found, "resumed": [*found.get("resumed", []), now]})


def note_computing(folder: Path) -> None:
    """Write into `environment.json` what is computed with now, after a change to it."""
    path = folder / "environment.json"
    if path.is_file():
        found = read_environment(folder)
        last = found["resumed"][-1] if found.get("resumed") else found
        last["computing"] = computing()
        write_json(path, found)
