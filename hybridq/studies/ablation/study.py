"""The ablation: what self-supervision and the quantum layer each add, with a verdict on each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridq.config import AblationStudyConfig, FinetuneConfig
from hybridq.data import ImageData, notes_of
from hybridq.data.splits import labelled_mask
from hybridq.errors import InvalidValueError
from hybridq.evaluation.drawings import draw_curves, draw_forests
from hybridq.evaluation.statistics.intervals import check_test_labels
from hybridq.evaluation.summaries import forests
from hybridq.models.encoders.build import imagenet_is_here
from hybridq.models.encoders.file import load_encoder
from hybridq.plotting import save_png
from hybridq.records.findings import Findings
from hybridq.studies.ablation import grid
from hybridq.studies.ablation.encoders import FeatureWork, PretrainWork
from hybridq.studies.ablation.findings import findings
from hybridq.studies.ablation.frozen import FrozenWork
from hybridq.studies.ablation.labels import check_budgets, study_data
from hybridq.studies.ablation.tables import gather, write_tables
from hybridq.studies.ablation.verdicts import cautions, primary, questions, verdicts
from hybridq.studies.ablation.whole import SEARCHED, RateWork, WholeWork, best_rate
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages
from hybridq.studies.tables import write_rows
from hybridq.training.compute import check_training_memory
from hybridq.utils.files import without_nan, write_json
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted


def ablation_study(config: AblationStudyConfig) -> Path:
    """Run an ablation, or go on with one; return its folder.

    It holds `ablation.csv` (a row for each model, budget and encoder), `summary.csv` (means with
    intervals), `comparisons.csv` and `.json` (verdicts), `search.csv`, `seconds.csv`, `measured/`
    (of which the tables can be computed again), `predictions.npz`, `figures/` and `result.json`.

    Raises:
        HybridqError: If data, runs or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    if config.plan:
        raise InvalidValueError(
            "Expected `plan` in the shell alone, where it prints and stops, got it from Python: "
            "run `hybridq study ablation --plan`."
        )
    return run_study(config, name="ablation", plan=_plan)


def _plan(config: AblationStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    data, budgets = checked(config)

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        found, kinds = _stages(config, stages, data)
        return _write(config, stages.folder, data, budgets, found, kinds)

    return Plan(f"ablation-{data.name}", compute, data, pseudonyms_of(config))


def checked(config: AblationStudyConfig) -> tuple[ImageData, tuple[grid.Budget, ...]]:
    """Read the data and check all settings.

    Returns:
        The data, with all splits, and the amounts of labelled images.

    Raises:
        HybridqError: If anything cannot be used.
    """
    grid.methods(config)
    grid.whole_heads(config)
    grid.whole_rates(config)
    grid.whole_starts(config)
    grid.arms_on(grid.RANDOM, config)
    primary(config)
    data = study_data(config, "train", "val", "test")
    budgets = grid.budgets(config, labelled_images(data))
    if config.whole:
        grid.whole_budgets(config, labelled_images(data))
        if config.image_size is not None:
            recipe = FinetuneConfig()
            check_training_memory(
                recipe.compute,
                image_size=config.image_size,
                stem="stride2",
                images=min(recipe.batch_size, len(data.splits["train"])),
            )
    check_test_labels(data.splits["test"].labels, data.class_names)
    check_budgets(data, config, budgets)
    return data, budgets


def labelled_images(data: ImageData) -> int:
    """Count the images of train that have a label."""
    return int(labelled_mask(data.splits["train"].labels).sum())


def _stages(
    config: AblationStudyConfig, stages: Stages, data: ImageData
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compute all stages; return what all models gave, and the kinds of pretrained encoders."""
    folder, of_seeds, methods = stages.folder, grid.seeds(config), grid.methods(config)
    works = [PretrainWork(config, folder, seed, method) for method in methods for seed in of_seeds]
    run_of = {
        (work.method, work.seed): folder / found["run"]
        for work, found in zip(works, stages.run("encoders", works), strict=True)
    }
    shared = {seed: run_of[methods[0], seed] for seed in of_seeds}
    network = load_encoder(shared[of_seeds[0]]).spec.architecture
    kinds = [*methods, *(["imagenet"] if imagenet_is_here(network) else [])]
    encoders = [
        FeatureWork(config, folder, seed, kind, run_of.get((kind, seed), shared[seed]))
        for kind in (*kinds, grid.RANDOM)
        for seed in of_seeds
    ]
    stages.run("features", encoders)
    images = labelled_images(data)
    first = grid.first_subsets(config, images)
    cells = [(grid.PIXELS, config.seed)]
    cells += [(kind, seed) for kind in (*kinds, grid.RANDOM) for seed in of_seeds]
    found = stages.run(
        "frozen",
        [
            FrozenWork(config, folder, seed, kind, budget, first.get(budget.share, ()))
            for kind, seed in cells
            for budget in grid.budgets(config, images)
        ],
    )
    if config.whole:
        starts: dict[str, dict[int, Path]] = {}
        if grid.SCRATCH in grid.whole_starts(config):
            starts[grid.SCRATCH] = shared
        if grid.PRETRAINED in grid.whole_starts(config):
            starts |= {one: {seed: run_of[one, seed] for seed in of_seeds} for one in methods}
        found += _whole(config, stages, images, starts)
    return found, kinds


def _whole(
    config: AblationStudyConfig, stages: Stages, images: int, starts: dict[str, dict[int, Path]]
) -> list[dict[str, Any]]:
    """Search the encoder's rate for each start and budget, then train the networks."""
    folder, of_seeds, rates = stages.folder, grid.seeds(config), grid.whole_rates(config)
    points = [(start, one) for start in starts for one in grid.whole_budgets(config, images)]
    rate_of = dict.fromkeys(points, rates[0])
    if len(rates) > 1:
        searched = of_seeds[:SEARCHED]
        works = [
            RateWork(config, folder, seed, *point, starts[point[0]][seed])
            for point in points
            for seed in searched
        ]
        found = iter(stages.run("rates", works))
        for point in points:
            rate_of[point] = best_rate(rates, [next(found)["losses"] for _ in searched])
    return stages.run(
        "whole",
        [
            WholeWork(
                *(config, folder, seed, start, budget, starts[start][seed]),
                head=head,
                subset=subset,
                rate=rate_of[start, budget],
            )
            for start, budget in points
            for head in grid.whole_heads(config)
            for seed in (of_seeds[:1] if start == grid.SCRATCH else of_seeds)
            for subset in range(grid.whole_subsets(config, budget, start))
        ],
    )


def _write(
    config: AblationStudyConfig,
    folder: Path,
    data: ImageData,
    budgets: tuple[grid.Budget, ...],
    units: list[dict[str, Any]],
    kinds: list[str],
) -> tuple[Findings, dict[str, Any]]:
    """Write tables, verdicts and figures."""
    first = grid.first_subsets(config, labelled_images(data))
    results = gather(folder, data, budgets, units, first)
    test = data.splits["test"]
    summary = write_tables(folder, results, grid.seeds(config))
    asked = questions(kinds, grid.whole_heads(config), primary(config))
    compared = verdicts(results.models, asked, budgets, margin=config.margin)
    write_json(folder / "comparisons.json", without_nan(compared))
    if compared:
        columns = [name for name in compared[0] if name != "variance"]
        write_rows(folder / "comparisons.csv", compared, columns)
    notes = [*notes_of(data), *cautions(config, test.labels, data.class_names)]
    if "imagenet" not in kinds:
        notes.append(
            "ImageNet weights are not on this machine and were not downloaded: no such encoder."
        )
    declared = [item for item in compared if item["primary"]]
    result = {
        "data": data.name,
        "class_names": list(data.class_names),
        "positive": None if data.positive is None else data.class_names[data.positive],
        "images": len(test),
        "seeds": config.seeds,
        "subsets": config.subsets,
        "labels": [budget.share for budget in budgets],
        "budgets": [budget.text for budget in budgets],
        "kinds": kinds,
        "primary": list(primary(config)),
        "whole_heads": list(grid.whole_heads(config)),
        "margin": config.margin,
        "models": list(dict.fromkeys(row["model"] for row in results.rows)),
        "comparisons": len(compared),
        "verdicts": counts(compared),
        "primary_verdicts": counts(declared),
        "notes": notes,
    }
    found = findings(result, results.rows, summary, compared)
    drawn = folder / "figures"
    where = (
        f"{data.name}, {len(test)} test images, {counted(config.seeds, 'encoder')}, "
        f"{counted(config.subsets, 'label subset')}"
    )
    save_png(drawn / "labels.png", lambda figure: draw_curves(figure, found.curves, where))
    if found.compared is not None:
        shown = forests(found.compared)
        save_png(
            drawn / "differences.png",
            lambda figure: draw_forests(figure, shown, title=where),
            width=6,
        )
    return found, result


def counts(compared: list[dict[str, Any]]) -> dict[str, int]:
    """Count the verdicts of some comparisons."""
    kinds = ("better", "worse", "equivalent", "undecided")
    return {kind: sum(item["verdict"] == kind for item in compared) for kind in kinds}
