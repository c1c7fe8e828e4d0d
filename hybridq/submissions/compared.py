"""Put the results of the submissions of a comparison side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridq.config import JobsCancelConfig, JobsCollectConfig
from hybridq.errors import HybridqError, MissingFileError
from hybridq.evaluation.tables import interval, table
from hybridq.runs.folder import read_result
from hybridq.submissions.collect import Progress, cancel, collect, progress
from hybridq.submissions.plan.comparison import (
    Comparison,
    comparisons,
    each_folder,
    is_comparison,
    labels,
)
from hybridq.submissions.plan.plan import Plan
from hybridq.submissions.report import EXIT_PARTLY
from hybridq.submissions.results import RESULT
from hybridq.utils.files import write_json
from hybridq_backends.jobs.rate_limit import Clock

_KEPT = (
    *("complete", "images", "images_here", "data", "split", "backend", "device"),
    *("calibration_date", "mitigation", "shots", "qpu_seconds", "qpu_seconds_of_all_jobs"),
    *("qpu_seconds_estimated", "compared", "shot_noise"),
)
"""The fields of each submission's `result.json` that the comparison's repeats."""


def each_progress(folder: Path) -> list[Progress]:
    """Read the progress of each submission, without asking the service."""
    return [progress(one) for one in each_folder(folder)]


def collect_each(config: JobsCollectConfig, *, clock: Clock | None = None) -> list[Progress]:
    """Collect each submission within one waiting time, and compare the results that are here."""
    clock = clock or Clock()
    ends = clock.now() + config.wait
    found = []
    for one in each_folder(config.submission):
        wait = max(0.0, ends - clock.now()) if config.wait else 0.0
        own = config.model_copy(update={"submission": one, "wait": wait})
        found.append(collect(own, clock=clock))
    if is_comparison(config.submission):
        write_comparison(config.submission)
    return found


def cancel_each(config: JobsCancelConfig, *, clock: Clock | None = None) -> list[Progress]:
    """Cancel the jobs of each submission that have not ended."""
    folders = each_folder(config.submission)
    return [cancel(config.model_copy(update={"submission": one}), clock=clock) for one in folders]


def write_comparison(folder: Path) -> dict[str, Any]:
    """Write `result.json` of a comparison from those of its submissions."""
    comparison = Comparison.load(folder)
    members = []
    named = labels([member.backend for member in comparison.members])
    for member, label, one in zip(
        comparison.members, named, comparison.folders(folder), strict=True
    ):
        try:
            result = read_result(one)
        except MissingFileError:  # nothing of it was collected yet
            continue
        kept = {name: result[name] for name in _KEPT if name in result}
        members.append({"label": label, "submission": member.name, **kept})
    found = {
        "complete": len(members) == len(named) and all(one["complete"] for one in members),
        "qpu_seconds": sum(one["qpu_seconds"] for one in members),
        "max_qpu_seconds": comparison.max_qpu_seconds,
        "members": members,
    }
    write_json(folder / RESULT, found)
    return found


def comparison_table(result: dict[str, Any]) -> str:
    """Make the table of the submissions of a comparison, on the same images."""
    members = [one for one in result["members"] if one.get("compared")]
    lines = []
    for one in result["members"]:
        here = "all" if one["complete"] else f"PARTIAL: {one['images_here']}"
        lines.append(
            f"{one['label']}: {here} of {one['images']} images on {one['device']}, calibrated "
            f"{one['calibration_date']}; {one['shots']} shots, mitigation: {one['mitigation']}"
        )
    if members:
        columns = _columns(members)
        rows = [
            ["RMS error of values", *(f"{entry['rms_error']:.4f}" for _, entry, _ in columns)],
            ["flipped predictions", *(str(entry["flips"]) for _, entry, _ in columns)],
        ]
        names = [name for _, entry, _ in columns for name in entry.get("figures", {})]
        for name in dict.fromkeys(names):
            figures = [entry.get("figures", {}).get(name) for _, entry, _ in columns]
            cells = ["-" if figure is None else interval(figure) for figure in figures]
            rows.append([name.replace("_", " "), *cells])
        charged = ["-" if one is None else f"{one['qpu_seconds']:.1f}" for _, _, one in columns]
        rows.append(["QPU seconds", *charged])
        lines.append(table(["", *(label for label, _, _ in columns)], rows))
    budget = result["max_qpu_seconds"]
    of = "" if budget is None else f" of a budget of {budget:g}"
    unknown = all(one["qpu_seconds_of_all_jobs"] for one in result["members"])
    so_far = "" if unknown else " so far (not known of all jobs)"
    lines.append(f"{result['qpu_seconds']:.1f} QPU seconds charged{so_far}{of}")
    return "\n".join(lines)


def _columns(
    members: Sequence[dict[str, Any]],
) -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    """List heading and figures of each column, and the submission whose jobs were charged."""
    first = members[0]["compared"]
    columns: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
        ("ideal", first["ideal"], None)
    ]
    seen = set()
    for one in members:
        if "simulated" in one["compared"] and one["device"] not in seen:
            seen.add(one["device"])
            columns.append((f"simulated {one['device']}", one["compared"]["simulated"], None))
    for one in members:
        measured = one["compared"].get("hardware") or one["compared"].get("rehearsal")
        if measured is not None:
            columns.append((one["label"], measured, one))
    return columns


def list_comparisons(runs: Path) -> list[str]:
    """Write a line for each comparison, the newest first."""
    lines = []
    for folder in comparisons(runs):
        try:
            names = [member.name for member in Comparison.load(folder).members]
            lines.append(f"{folder} compares {', '.join(names)}")
        except HybridqError as error:
            lines.append(f"{folder} unreadable: {error}")
    return lines


def plans_table(plans: Sequence[Plan], *, budget: float | None) -> str:
    """Make the table of the costs of each submission of a comparison, and of all together."""
    named = labels([plan.backend for plan in plans])
    rows = [
        [
            label,
            plan.device,
            plan.mitigation,
            f"{plan.expected_error:.3f}",
            str(len(plan.jobs)),
            *_cost(plan.executions, plan.qpu_seconds, plan.quick_seconds, plan.least_budget),
            str(sum(job.max_seconds for job in plan.jobs)) if budget is not None else "-",
        ]
        for label, plan in zip(named, plans, strict=True)
    ]
    total = _cost(
        sum(plan.executions for plan in plans),
        sum(plan.qpu_seconds for plan in plans),
        sum(plan.quick_seconds for plan in plans),
        sum(plan.least_budget for plan in plans),
    )
    limits = sum(job.max_seconds for plan in plans for job in plan.jobs)
    jobs = str(sum(len(plan.jobs) for plan in plans))
    rows.append(["total", "", "", "", jobs, *total, "-" if budget is None else str(limits)])
    header = ["backend", "device", "mitigation", "expected error", "jobs", "executions"]
    header += ["QPU s", "quick formula s", "least budget s", "limits s"]
    left = [plan.seconds_left for plan in plans if plan.seconds_left is not None]
    lines = [
        f"{plans[0].images} images, {', '.join(sorted({str(plan.shots) for plan in plans}))} shots "
        f"each, the same for all; modes: {', '.join(sorted({plan.mode for plan in plans}))}",
        table(header, rows),
        f"budget of all together: {'none' if budget is None else f'{budget:g} s'}; the account "
        f"has {f'{min(left):.0f} s left' if left else 'no limit that is known'}",
    ]
    return "\n".join(lines)


def _cost(executions: int, seconds: float, quick: float, least: int) -> list[str]:
    return [str(executions), f"{seconds:.1f}", f"{quick:.1f}", str(least)]


def exit_code_of_all(codes: Sequence[int]) -> int:
    """Return the common exit code of all submissions, or 3 if they differ."""
    return codes[0] if len(set(codes)) == 1 else EXIT_PARTLY
