"""Proving that a backend is what its profile claims, by small probe circuits.

Exact backends must match closed forms, sampling ones must show shot noise of the right
size, noisy ones must show gate noise and the readout error they claim, and on all of them
each expectation value must belong to its own logical qubit, whatever the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from hybridq_backends.accepted import BackendLike, opened_backend
from hybridq_backends.checks.probes import (
    Probe,
    ask_closed_forms,
    ask_gate_noise,
    ask_mapping,
    ask_phase_noise,
    ask_readout,
    ask_repeats,
    ask_shot_noise,
)
from hybridq_backends.executable import Executable


@dataclass(frozen=True)
class CheckReport:
    """The answers of a backend to all probes.

    Attributes:
        profile: The name of the backend.
        probes: One entry for each question.
    """

    profile: str
    probes: tuple[Probe, ...]

    @property
    def passed(self) -> bool:
        """Whether every probe passed."""
        return all(probe.passed for probe in self.probes)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as JSON-safe values."""
        return {**asdict(self), "probes": [asdict(p) for p in self.probes], "passed": self.passed}

    def lines(self) -> list[str]:
        """Write a line for each probe."""
        return [
            f"{'ok  ' if p.passed else 'FAIL'} {p.name}: expected {p.expected}, got {p.measured}"
            for p in self.probes
        ]


def check_backend(backend: BackendLike, **overrides: Any) -> CheckReport:
    """Open a backend and check what it claims.

    Args:
        backend: What `open_backend` takes. Hardware spends a few jobs.
        **overrides: As for `open_backend`.

    Returns:
        The report.

    Raises:
        InvalidValueError: If the backend cannot be opened as asked.
        UnavailableError: If it needs something that is missing.
    """
    with opened_backend(backend, **overrides) as executable:
        return check_executable(executable)


def check_executable(executable: Executable) -> CheckReport:
    """Check an open backend.

    Args:
        executable: The backend.

    Returns:
        The report.
    """
    spec = executable.spec
    questions: list[Callable[[Executable], Probe]] = [ask_mapping]
    if spec is not None and not spec.has_noise:
        questions.append(ask_closed_forms)
    questions.append(ask_repeats if executable.is_exact else ask_shot_noise)
    if spec is not None and spec.has_noise:
        questions.append(ask_readout)
        if spec.has_gate_noise and executable.num_qubits > 1:
            questions.append(ask_gate_noise)
        if spec.has_phase_noise and executable.num_qubits > 1:
            questions.append(ask_phase_noise)
    return CheckReport(executable.profile, tuple(ask(executable) for ask in questions))
