"""Does training under noise help under noise?

    python benchmarks/noise_aware.py --data breastmnist --runs runs

For each seed one SimCLR encoder (of `benchmarks/main_job.py`, frozen), and heads on it: `pqc`
trained without noise, with the noise of FakeTorino at scales 1, 2 and 4, and with a curriculum;
and the control `mlp`. All are evaluated on the test split at noise scales 0 to 4, exactly, by
`hybridq study noise`. Tables go to `docs/results/noise_aware_NAME.csv` and `.md`, with the
difference to training without noise, paired by seed.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from main_job import RECIPES, TITLES, finished, one_thread, options_text
from rows import read_rows
from scipy.stats import t as student
from timing import machine, versions

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
NOISY = "fake_torino,engine=torch,shots=none"
ARMS: dict[str, dict[str, Any]] = {
    "no noise": {"backend": "statevector"},
    "scale 1": {"backend": NOISY},
    "scale 2": {"backend": f"{NOISY},noise_scale=2"},
    "scale 4": {"backend": f"{NOISY},noise_scale=4"},
    "curriculum 0, 1, 2, 4": {"backend": NOISY, "noise_curriculum": "0,1,2,4"},
}
CONTROL = "control"
SCALES = (0.0, 1.0, 2.0, 3.0, 4.0)
FIGURES = ("auc", "balanced_accuracy", "calibration_error", "flips")
LABELS = {"breastmnist": 1.0, "pneumoniamnist": 0.1}


def train(data: str, arm: str, seed: int, options: dict[str, Any]) -> Path:
    """Fine-tune one head on a frozen encoder."""
    one_thread()
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune

    name = f"{data}-frozen-{arm.replace(', ', '-').replace(' ', '-')}-s{seed}"
    done = finished(options["runs"], "finetune", name)
    encoder = finished(options["runs"], "pretrain", f"{data}-s{seed}")
    if encoder is None:
        raise FileNotFoundError(f"no encoder of seed {seed}: run benchmarks/main_job.py first")
    return done or finetune(
        FinetuneConfig(
            data=data,
            seed=seed,
            name=name,
            encoder=str(encoder),
            freeze_encoder=True,
            head_start="random",
            labels=LABELS[data],
            head=head_config(name="mlp" if arm == CONTROL else "pqc"),
            **(ARMS.get(arm, {})),
            **options,
        )
    )


def study(data: str, arm: str, models: list[Path], options: dict[str, Any]) -> list[dict[str, str]]:
    """Evaluate the models of one arm under noise; the rows of the study."""
    from hybridq.config import NoiseStudyConfig
    from hybridq.studies.noise.study import noise_study

    name = f"noise-aware-{data}-{arm.replace(', ', '-').replace(' ', '-')}"
    folder = finished(options["runs"], "study", name) or noise_study(
        NoiseStudyConfig(
            models=tuple(models),
            noise_scale=",".join(f"{scale:g}" for scale in SCALES),
            shots="none",
            name=name,
            workers=options["workers"],
            runs=options["runs"],
            data_root=options["data_root"],
        )
    )
    return [{"arm": arm, **row} for row in read_rows(folder / "study.csv")]


def mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """Mean over the seeds and half of its 95% Student-t interval."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def column(rows: list[dict[str, str]], arm: str, scale: float, figure: str) -> np.ndarray:
    """A figure of one arm at one scale, in the order of the seeds."""
    chosen = [row for row in rows if row["arm"] == arm and float(row["noise_scale"]) == scale]
    return np.array([float(row[figure]) for row in sorted(chosen, key=lambda r: int(r["seed"]))])


def table(rows: list[dict[str, str]], figure: str) -> list[str]:
    """Lines of one table: arms against scales, and differences to training without noise."""
    lines = [
        "| trained | " + " | ".join(f"scale {scale:g}" for scale in SCALES) + " |",
        "|---" * (1 + len(SCALES)) + "|",
    ]
    for arm in ARMS:
        cells = []
        for scale in SCALES:
            values = column(rows, arm, scale, figure)
            middle, half = mean_and_half(values)
            cells.append(f"{middle:.3f} ± {half:.3f}")
            if arm != "no noise":
                by, within = mean_and_half(values - column(rows, "no noise", scale, figure))
                cells[-1] += f" (difference {by:+.3f} ± {within:.3f})"
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    if figure != "flips":
        middle, half = mean_and_half(column(rows, "no noise", 0.0, f"control_{figure}"))
        lines.append(f"| control `mlp` | {middle:.3f} ± {half:.3f} |" + " = |" * (len(SCALES) - 1))
    return lines


def table_lines(rows: list[dict[str, str]]) -> list[str]:
    """The tables of the page, one for each figure, from the rows of the CSV file."""
    lines = []
    for figure in FIGURES:
        lines += [f"**{figure.replace('_', ' ')}**", "", *table(rows, figure), ""]
    return lines[:-1]


def main() -> None:
    """Train, evaluate and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", choices=tuple(LABELS), default="breastmnist")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    args = parser.parse_args()
    from hybridq.cli.main import set_up_logging
    from hybridq.utils.files import write_csv, write_text

    set_up_logging()
    options = {"data_root": args.data_root, "runs": args.runs}
    arms = [*ARMS, CONTROL]
    jobs = [(arm, seed) for arm in arms for seed in args.seeds]
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(train, args.data, arm, seed, options) for arm, seed in jobs]
        runs = dict(zip(jobs, [future.result() for future in futures], strict=True))
    controls = [runs[CONTROL, seed] for seed in args.seeds]
    rows = []
    for arm in ARMS:
        models = [runs[arm, seed] for seed in args.seeds] + controls
        rows += study(args.data, arm, models, {**options, "workers": args.workers})
    name = f"noise_aware_{args.data}"
    kept = [key for key in rows[0] if key not in ("run", "control_run")]
    write_csv(RESULTS / f"{name}.csv", kept, [[row[key] for key in kept] for row in rows])
    lines = [
        f"### {TITLES[args.data]}, {LABELS[args.data]:.0%} of the labels",
        "",
        f"{rows[0]['images']} test images, {len(args.seeds)} seeds (encoder, subset and head), "
        "encoder frozen. Mean and 95% Student-t interval over the seeds; in brackets the "
        "difference to training without noise, paired by seed.",
        "",
    ]
    lines += [
        *table_lines(rows),
        "",
        f"Made by `python benchmarks/noise_aware.py --data {args.data}` on {machine()}; "
        f"{versions('torch', 'qiskit', 'qiskit-aer')}. SimCLR "
        + ", then ".join(map(options_text, RECIPES[args.data].pretrain))
        + ".",
        "",
    ]
    write_text(RESULTS / f"{name}.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
