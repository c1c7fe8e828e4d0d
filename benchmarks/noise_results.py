"""Tables and pictures of finished noise studies for the documentation.

    python benchmarks/noise_results.py runs/study/...-noise-breastmnist --name breastmnist

copies `study.csv`, `summary.csv`, `flips.csv` and the pictures of a study to
`docs/results/noise/NAME-...`, and writes `docs/results/noise/NAME.md`: means over the models with
95% Student-t intervals over their seeds, and the commands that make the study.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import read_rows

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "noise"
SHOWN = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy, threshold kept",
    "adapted_balanced_accuracy": "threshold chosen anew",
    "calibration_error": "calibration error",
    "flips": "flips",
    "rms_error": "RMS error",
}


def cell(row: dict[str, str]) -> str:
    """Mean and half of the interval."""
    if not row["mean"]:
        return "-"
    if not row["low"]:
        return f"{float(row['mean']):.3f}"
    return f"{float(row['mean']):.3f} ± {float(row['high']) - float(row['mean']):.3f}"


def lines_of(summary: Sequence[dict[str, str]], shots: str) -> list[str]:
    """A table of the settings with so many shots."""
    several = len({row["mitigation"] for row in summary}) > 1
    first = "| device | scale |" + (" mitigation |" if several else "")
    lines = [
        f"{first} " + " | ".join(SHOWN.values()) + " | AUC less the control's |",
        "|---" * (3 + several + len(SHOWN)) + "|",
    ]
    settings: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in summary:
        if row["shots"] == shots:
            key = (row["device"], row["noise_scale"], row["mitigation"])
            settings.setdefault(key, {})[row["figure"]] = row
    for (device, scale, mitigation), figures in settings.items():
        auc = figures["auc"]
        half = float(auc["minus_control_high"]) - float(auc["minus_control"])
        cells = [device, f"{float(scale):g}", *([mitigation] if several else [])]
        cells += [cell(figures[name]) for name in SHOWN]
        lines.append(
            "| " + " | ".join(cells) + f" | {float(auc['minus_control']):+.3f} ± {half:.3f} |"
        )
    return lines


def table_lines(rows: Sequence[dict[str, str]]) -> list[str]:
    """The table of the page, from the rows of `summary.csv`."""
    return lines_of(rows, shown_shots(rows))


def shown_shots(summary: Sequence[dict[str, str]]) -> str:
    """The number of shots whose settings are shown: none where there are such, or the largest."""
    every = list(dict.fromkeys(row["shots"] for row in summary))
    return "none" if "none" in every else every[-1]


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    from hybridq.utils.files import write_text

    config: dict[str, Any] = json.loads((args.study / "config.json").read_text())
    environment = json.loads((args.study / "environment.json").read_text())
    result = json.loads((args.study / "result.json").read_text())
    RESULTS.mkdir(exist_ok=True)
    for name in ("study", "summary", "flips"):
        shutil.copyfile(args.study / f"{name}.csv", RESULTS / f"{args.name}-{name}.csv")
    for picture in sorted((args.study / "figures").glob("*.png")):
        shutil.copyfile(picture, RESULTS / f"{args.name}-{picture.name}")
    summary = read_rows(args.study / "summary.csv")
    rows = read_rows(args.study / "study.csv")
    models = {row["run"]: row for row in rows}
    control = sum(float(row["control_auc"]) for row in models.values()) / len(models)
    accuracy = sum(float(row["control_balanced_accuracy"]) for row in models.values()) / len(models)
    calibrated = sorted({f"{row['device']} {row['calibration_date'][:10]}" for row in rows})
    options = " ".join(
        f"--{name.replace('_', '-')} {config[name]}"
        for name in ("device", "noise_scale", "shots", "mitigation")
    )
    shots = shown_shots(summary)
    versions = environment["versions"]
    named = ", ".join(
        f"{p} {versions[p]}" for p in ("torch", "qiskit", "qiskit-aer", "qiskit-ibm-runtime")
    )
    text = [
        *table_lines(summary),
        "",
        f"{'Exact values' if shots == 'none' else shots + ' shots'}; {result['images']} images of "
        f"the {config['split']} split; mean over {len(models)} models (seeds "
        f"{', '.join(sorted({row['seed'] for row in rows}, key=int))}) and 95% Student-t interval "
        f"over the seeds. Control `mlp`: AUC {control:.3f}, balanced accuracy {accuracy:.3f}, "
        "whatever the noise. "
        + " ".join(note.rstrip(".") + "." for note in result["notes"])
        + f" Calibrations: {', '.join(calibrated)}. All settings are in "
        f"`docs/results/noise/{args.name}-summary.csv`, every model in `{args.name}-study.csv`.",
        "",
        f"Made by `hybridq study noise RUN... {options}` at commit {environment['git_commit']} "
        f"and `python benchmarks/noise_results.py STUDY --name {args.name}`; {named}.",
        "",
    ]
    write_text(RESULTS / f"{args.name}.md", "\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
