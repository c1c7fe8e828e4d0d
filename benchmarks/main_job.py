"""The main job with seeds: every figure of docs/results comes from this script.

    python benchmarks/main_job.py --data breastmnist
    python benchmarks/main_job.py --data ../shared/data/bccd_cells

It runs `hybridq pretrain`, `finetune` and `evaluate` for each seed, label fraction, initial encoder
and head, and writes `docs/results/NAME.csv` (a row for each evaluation and figure) and `NAME.md`
(tables of means over seeds). Runs that are finished are not repeated, so it goes on where it was
stopped; `--stage finetune` stops before the test split is read.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SEEDS = (0, 1, 2)
FIGURES = ("auc", "accuracy", "balanced_accuracy", "macro_f1", "calibration_error")
TITLES = {
    "breastmnist": "BreastMNIST",
    "bccd_cells": "Blood cells (BCCD)",
    "pneumoniamnist": "PneumoniaMNIST",
}
OTHER_BACKENDS = ("fake_torino", "ibm_rehearsal")


@dataclass(frozen=True)
class Recipe:
    """Options of the commands; those of `hybridq finetune` by label fraction and encoder.

    Chosen on train and validation, then frozen. Each pretraining begins with the encoder of the one
    before it.
    """

    pretrain: tuple[dict[str, Any], ...]
    finetune: dict[tuple[float, str], dict[str, Any]]
    evaluate: dict[str, Any] = field(default_factory=dict)


SMALL: dict[str, Any] = {"image_size": 32, "stem": "stride2"}
EARLIER: dict[str, Any] = {
    "warmup_epochs": 10,
    "batch_size": 128,
    "augment": {"crop_min": 0.5, "blur": 0.3},
}
"""What the defaults of pretraining were when these recipes were frozen."""
RECIPES = {
    "breastmnist": Recipe(
        pretrain=({"epochs": 200, **EARLIER}, {"epochs": 400, **EARLIER}),
        finetune={
            (0.1, "simclr"): {
                "freeze_encoder": True,
                "head_start": "random",
                "epochs": 10,
                "batch_size": 32,
                "head_learning_rate": 1e-2,
            },
            (0.1, "scratch"): {"epochs": 100, "batch_size": 32},
            (1.0, "simclr"): {"image_size": 84},
            (1.0, "scratch"): {"image_size": 84},
        },
        evaluate={"views": "zoom"},
    ),
    "bccd_cells": Recipe(
        pretrain=({"epochs": 60, **EARLIER, **SMALL},),
        finetune={
            (0.1, "simclr"): {"epochs": 60, "batch_size": 32, **SMALL},
            (0.1, "scratch"): {"epochs": 60, "batch_size": 32, **SMALL},
            (1.0, "simclr"): {"epochs": 30, "batch_size": 32, "learning_rate": 1e-3, **SMALL},
            (1.0, "scratch"): {"epochs": 30, "batch_size": 32, "learning_rate": 1e-3, **SMALL},
        },
    ),
    "pneumoniamnist": Recipe(  # short, for the noise study: only the views were chosen
        pretrain=({"epochs": 15, **EARLIER, "warmup_epochs": 2},),
        finetune={
            (0.1, "simclr"): {"epochs": 30, "batch_size": 32},
            (1.0, "simclr"): {"epochs": 20},
            (1.0, "scratch"): {"epochs": 20},
        },
        evaluate={"views": "zoom"},
    ),
}


@dataclass(frozen=True)
class Job:
    """One run: what is fine-tuned, from what, on how many labels."""

    data: str
    seed: int
    labels: float
    start: str
    head: str

    @property
    def name(self) -> str:
        """Name of its run folder."""
        short = Path(self.data).name
        return f"{short}-{self.labels:g}-{self.start}-{self.head}-s{self.seed}"


def main() -> None:
    """Read the arguments and run the stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="breastmnist")
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--stage", choices=("pretrain", "finetune", "evaluate"), default="evaluate")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--labels", type=float, nargs="+", help="fractions; those of the recipe")
    parser.add_argument("--starts", nargs="+", help="simclr, scratch; those of the recipe")
    args = parser.parse_args()
    short = Path(args.data).name
    recipe = RECIPES[short]
    jobs = [
        Job(args.data, seed, labels, start, head)
        for seed in args.seeds
        for labels, start in recipe.finetune
        if (args.labels is None or labels in args.labels)
        and (args.starts is None or start in args.starts)
        for head in ("pqc", "mlp")
    ]
    options = {"data_root": args.data_root, "runs": args.runs}
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(run_pretrain, args.data, s, options) for s in args.seeds]:
            future.result()
        if args.stage == "pretrain":
            return
        for future in [pool.submit(run_finetune, job, options) for job in jobs]:
            future.result()
        if args.stage == "finetune":
            return
        evaluations = [(job, backend) for job in jobs for backend in backends_of(job)]
        futures = [pool.submit(run_evaluate, *one, options) for one in evaluations]
        rows = [row for future in futures for row in future.result()]
    write_results(short, rows, recipe, args.seeds)


def backends_of(job: Job) -> tuple[str, ...]:
    """Exact for all; noisy ones for the quantum head."""
    return ("aer_statevector", *OTHER_BACKENDS) if job.head == "pqc" else ("aer_statevector",)


def one_thread() -> None:
    """Let this process compute on one core: several of them share the machine."""
    import torch

    from hybridq.cli.main import set_up_logging

    torch.set_num_threads(1)
    set_up_logging()
    logging.getLogger("hybridq").setLevel(logging.WARNING)


def finished(runs: Path, command: str, name: str) -> Path | None:
    """The finished run folder of that name, if there is one."""
    found = sorted((runs / command).glob(f"*-{name}/result.json"))
    return found[-1].parent if found else None


def encoder_name(short: str, seed: int, stage: int | None = None) -> str:
    """Name of the run folder of a pretraining, by default the last, counted from 0."""
    number = len(RECIPES[short].pretrain) if stage is None else stage + 1
    return f"{short}-s{seed}" + (f"-{number}" if number > 1 else "")


def run_pretrain(data: str, seed: int, options: dict[str, Any]) -> None:
    """SimCLR with one seed, one pretraining after the other."""
    one_thread()
    from hybridq.config import PretrainConfig
    from hybridq.training.pretrain import pretrain

    short, encoder = Path(data).name, "none"
    for stage, own in enumerate(RECIPES[short].pretrain):
        name = encoder_name(short, seed, stage)
        run = finished(options["runs"], "pretrain", name)
        run = run or pretrain(
            PretrainConfig(data=data, seed=seed, name=name, encoder=encoder, **own, **options)
        )
        encoder = str(run)


def run_finetune(job: Job, options: dict[str, Any]) -> Path:
    """Fine-tune one model."""
    one_thread()
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.training.finetune import finetune

    done = finished(options["runs"], "finetune", job.name)
    if done:
        return done
    short = Path(job.data).name
    encoder = "none"
    if job.start == "simclr":
        encoder = str(finished(options["runs"], "pretrain", encoder_name(short, job.seed)))
    return finetune(
        FinetuneConfig(
            data=job.data,
            seed=job.seed,
            name=job.name,
            encoder=encoder,
            backend="statevector",
            labels=job.labels,
            head=head_config(name=job.head),
            views=RECIPES[short].evaluate.get("views", "one"),
            **RECIPES[short].finetune[job.labels, job.start],
            **options,
        )
    )


def run_evaluate(job: Job, backend: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Evaluate one model on one backend; return a row for each model and figure."""
    one_thread()
    from hybridq.config import EvaluateConfig
    from hybridq.evaluation.evaluate import evaluate
    from hybridq.runs.folder import read_result

    name = f"{job.name}-{backend}"
    folder = finished(options["runs"], "evaluate", name)
    if folder is None:
        run = finished(options["runs"], "finetune", job.name)
        if run is None:
            raise FileNotFoundError(f"no finished run named {job.name}")
        baselines = job.head == "mlp" and job.start == "simclr"
        folder = evaluate(
            EvaluateConfig(
                run=run,
                backend=backend,
                name=name,
                baselines=baselines,
                **RECIPES[Path(job.data).name].evaluate,
                **options,
            )
        )
    result = read_result(folder)
    environment = json.loads((folder / "environment.json").read_text())
    entries = {job.head: result["model"], **result["baselines"]}
    return [
        {
            "model": model,
            "start": job.start if model == job.head else "",
            "labels": job.labels,
            "seed": job.seed,
            "backend": backend if model == "pqc" else "none",
            "figure": figure,
            **values,
            "images": result["images"],
            "commit": environment["git_commit"],
        }
        for model, entry in entries.items()
        for figure, values in entry["figures"].items()
    ]


def write_results(short: str, rows: list[dict[str, Any]], recipe: Recipe, seeds: list[int]) -> None:
    """Write the long CSV and the page of tables."""
    from hybridq.runs.environment import environment
    from hybridq.utils.files import write_csv, write_text

    folder = Path(__file__).resolve().parent.parent / "docs" / "results"
    header = list(rows[0])
    write_csv(folder / f"{short}.csv", header, [[row[name] for name in header] for row in rows])
    versions = environment()["versions"]
    named = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "qiskit", "qiskit-aer", "lightning")
    )
    fractions = {row["labels"] for row in rows}
    lines = [
        f"# {TITLES[short]}",
        "",
        f"Mean over seeds {', '.join(map(str, seeds))}; in round brackets the lowest and the "
        "highest seed; in square brackets the 95% stratified-bootstrap interval over the test "
        "images, its ends averaged over the seeds (each single one is in "
        f"`docs/results/{short}.csv`). The last epoch's model is evaluated, with a threshold "
        f"chosen on validation. The test split ({rows[0]['images']} images) was read once with "
        "this recipe, which was frozen before; `docs/results/log.md` counts the reads:",
        "",
        *(
            f"- `hybridq pretrain`{', from that encoder' if stage else ''} {options_text(options)}"
            for stage, options in enumerate(recipe.pretrain)
        ),
        *(
            f"- `hybridq finetune --labels {labels:g}`, {start}: {options_text(options)}"
            for (labels, start), options in recipe.finetune.items()
            if labels in fractions
        ),
        f"- `hybridq evaluate` {options_text(recipe.evaluate)}",
        "",
    ]
    lines += [
        *table_lines(rows),
        "",
        f"Made by `python benchmarks/main_job.py --data {short}` on {platform.system()} "
        f"{platform.machine()}, two processes of one thread; Python {platform.python_version()}, "
        f"{named}.",
        "",
    ]
    write_text(folder / f"{short}.md", "\n".join(lines))
    print("\n".join(lines))


def options_text(options: dict[str, Any]) -> str:
    """Options as they are written on the command line."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        nested = value if isinstance(value, dict) else None
        flat |= {name: value} if nested is None else {f"{name}.{k}": v for k, v in nested.items()}
    words = []
    for name, value in flat.items():
        flag = "--" + name.replace("_", "-")
        words.append(f"`{flag}`" if value is True else f"`{flag} {value}`")
    return " ".join(words) or "with its defaults"


def table_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The tables of the page, one for each fraction of the labels, from rows of the CSV file."""
    lines = []
    for labels in sorted({row["labels"] for row in rows}):
        lines += [f"**{labels:.0%} of the labels**", "", *markdown(rows, labels, FIGURES), ""]
    return lines[:-1]


def markdown(rows: Sequence[dict[str, Any]], labels: float, figures: tuple[str, ...]) -> list[str]:
    """One table: a line for each model, start and backend."""
    titles = [figure.replace("_", " ").replace("auc", "AUC") for figure in figures]
    lines = [
        "| model | encoder | backend | " + " | ".join(titles) + " |",
        "|---" * (3 + len(figures)) + "|",
    ]
    groups: dict[tuple[str, str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        if row["labels"] == labels and row["value"] is not None:
            key = (row["model"], row["start"], row["backend"])
            groups.setdefault(key, {}).setdefault(row["figure"], []).append(row)
    for (model, start, backend), found in sorted(groups.items()):
        cells = [cell(found[name]) for name in figures]
        lines.append(
            f"| {model.replace('_', ' ')} | {start or '-'} | "
            f"{'-' if backend == 'none' else backend} | " + " | ".join(cells) + " |"
        )
    return lines


def cell(rows: list[dict[str, Any]]) -> str:
    """Mean over seeds, the lowest and highest seed, and the mean ends of their intervals."""
    values = [row["value"] for row in rows]
    low, high = (statistics.mean(row[end] for row in rows) for end in ("low", "high"))
    middle = statistics.mean(values)
    return f"{middle:.3f} ({min(values):.3f}-{max(values):.3f}) [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
