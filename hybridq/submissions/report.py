"""Put submissions into words: tables for the terminal, and exit codes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hybridq.evaluation.tables import interval, table
from hybridq.submissions.collect import Progress
from hybridq.submissions.plan.plan import Plan
from hybridq_backends.jobs.ledger.chunks import ChunkState

EXIT_PARTLY = 3
EXIT_REFUSED = 2

_NEXT = {
    ChunkState.PLANNED: "give the same `hybridq submit` again (without --again) to post them",
    ChunkState.POSTING: "`hybridq jobs collect` looks them up",
    ChunkState.UNCERTAIN: "`hybridq jobs collect` looks them up again; `hybridq submit ... "
    "--give-up` posts anew what is not listed for a day, --repost at once, and may pay twice",
    ChunkState.POSTED: "`hybridq jobs collect` fetches them",
    ChunkState.FAILED: "`hybridq jobs collect` asks again for results that could not be read; "
    "`hybridq submit ... --retry-failed` posts anew what has no result",
    ChunkState.CANCELLED: "`hybridq submit ... --retry-failed` posts them anew",
}


def status_table(progress: Progress) -> str:
    """Make a table of the chunks, with the next step for those that are not done."""
    rows = [
        [
            str(chunk.index),
            f"{chunk.start}-{chunk.stop - 1}",
            str(chunk.state),
            chunk.job_id or "-",
            "-" if chunk.qpu_seconds is None else f"{chunk.qpu_seconds:.1f}",
            _when(chunk.posted_at),
            chunk.reason or "",
        ]
        for chunk in progress.chunks
    ]
    header = ["chunk", "images", "state", "job", "QPU s", "posted", "reason"]
    return "\n".join([table(header, rows), *next_steps(progress)])


def next_steps(progress: Progress) -> list[str]:
    """List the next steps for the chunks that are not done, a line for each state."""
    lines = []
    for state in ChunkState:
        count = sum(chunk.state is state for chunk in progress.chunks)
        if count and state in _NEXT:
            lines.append(f"{count} {state} ({progress.images(state)} images): {_NEXT[state]}.")
    if progress.trouble is not None:
        lines.append(f"Stopped early: {progress.trouble}")
    return lines


def plan_table(plan: Plan) -> str:
    """Make the table of a submission's device and estimated cost."""
    rows = plan.rows()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def list_table(found: Sequence[Progress]) -> str:
    """Make a table with a row for each submission."""
    rows = [
        [
            str(progress.folder),
            f"{progress.images(ChunkState.DONE)}/{progress.images()}"
            if progress.unreadable is None
            else "?",
            ", ".join(
                f"{count} {state}"
                for state in ChunkState
                if (count := sum(chunk.state is state for chunk in progress.chunks))
            )
            if progress.unreadable is None
            else f"unreadable: {progress.unreadable}",
        ]
        for progress in found
    ]
    return table(["submission", "images here", "chunks"], rows)


def result_table(result: dict[str, Any]) -> str:
    """Make the table of the model without noise, on the simulated device and on the device."""
    done = "all" if result["complete"] else f"PARTIAL: {result['images_here']}"
    lines = [
        f"{done} of {result['images']} images of {result['data']}"
        f"{'' if result['split'] is None else ' (' + result['split'] + ' split)'} on "
        f"{result['device']}, calibrated {result['calibration_date']}; {result['shots']} shots, "
        f"mitigation: {result['mitigation']}"
    ]
    compared = result.get("compared", {})
    if "simulated" in compared:
        lines[0] += ", none in simulated"
    if compared:
        rows = [
            ["RMS error of values", *(f"{entry['rms_error']:.4f}" for entry in compared.values())],
            ["flipped predictions", *(str(entry["flips"]) for entry in compared.values())],
        ]
        names = [name for entry in compared.values() for name in entry.get("figures", {})]
        for name in dict.fromkeys(names):
            cells = [interval(entry["figures"][name]) for entry in compared.values()]
            rows.append([name.replace("_", " "), *cells])
        lines.append(table(["", *compared], rows))
    charged = f"{result['qpu_seconds']:.1f} QPU seconds charged"
    if not result["qpu_seconds_of_all_jobs"]:
        charged += " so far (not known of all jobs)"
    lines.append(f"{charged}, {result['qpu_seconds_estimated']:.1f} estimated")
    return "\n".join(lines)


def exit_code(progress: Progress, *, collected: bool) -> int:
    """Return the exit code: 0 if all is done, 3 if a part is, 2 if nothing was accepted.

    Args:
        progress: The progress of the submission.
        collected: Whether results were asked for, or only that all jobs be accepted.
    """
    wanted = (ChunkState.DONE,) if collected else (ChunkState.DONE, ChunkState.POSTED)
    if all(chunk.state in wanted for chunk in progress.chunks):
        return 0
    return EXIT_REFUSED if progress.untouched and progress.trouble is not None else EXIT_PARTLY


def _when(seconds: float | None) -> str:
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
