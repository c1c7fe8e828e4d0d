"""Open IBM hardware or its rehearsal, as an engine or as the service that takes jobs."""

from __future__ import annotations

from pathlib import Path

from qiskit.providers import BackendV2

from hybridq_backends.jobs.engine import HardwareEngine, RehearsedEngine
from hybridq_backends.jobs.local import LocalJobs
from hybridq_backends.jobs.runtime import RuntimeJobs
from hybridq_backends.jobs.service import JobService
from hybridq_backends.simulators.engine import Engine
from hybridq_backends.specs.ibm_runtime import IbmRuntime


def open_runtime(spec: IbmRuntime) -> Engine:
    """Open IBM hardware, or its rehearsal."""
    return HardwareEngine(spec) if spec.is_paid else RehearsedEngine(spec)


def open_jobs(spec: IbmRuntime, folder: Path, device: BackendV2 | None = None) -> JobService:
    """Open the service that takes a backend's jobs; nothing is asked of it yet.

    Args:
        spec: IBM hardware, or its rehearsal.
        folder: The folder in which a rehearsal keeps its jobs.
        device: IBM's device, if it is open already; its instance is asked.
    """
    return RuntimeJobs(spec, device) if spec.is_paid else LocalJobs(spec, folder)
