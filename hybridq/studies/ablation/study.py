"""The ablation: what SimCLR and the quantum layer each add, with a verdict on every pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridq.config import AblationStudyConfig, FinetuneConfig
from hybridq.data import ImageData, notes_of
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
from hybridq.studies.ablation.frozen import Choice, FrozenWork, SearchWork, choose
from hybridq.studies.ablation.labels import check_fractions, study_data
from hybridq.studies.ablation.tables import gather, search_rows, write_tables
from hybridq.studies.ablation.verdicts import cautions, verdicts
from hybridq.studies.ablation.whole import WholeWork
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages
from hybridq.studies.tables import write_rows
from hybridq.training.compute import check_training_memory
from hybridq.utils.files import without_nan, write_json
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted


def ablation_study(config: AblationStudyConfig) -> Path:
    """Run an ablation, or go on with one; return its folder.

    It holds `ablation.csv` (a row for each model, fraction and seed), `summary.csv` (means with
    intervals), `comparisons.csv` and `.json` (verdicts), `search.csv`, `seconds.csv`,
    `predictions.npz`, `figures/` and `result.json`.

    Raises:
        HybridqError: If data, runs or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    return run_study(config, name="ablation", plan=_plan)


def _plan(config: AblationStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    grid.whole_fractions(config)
    grid.given_encoders(config)
    data = study_data(config, "train", "val", "test")
    if config.whole and config.image_size is not None:
        recipe = FinetuneConfig()
        check_training_memory(
            recipe.compute,
            image_size=config.image_size,
            stem="stride2",
            images=min(recipe.batch_size, len(data.splits["train"])),
        )
    check_test_labels(data.splits["test"].labels, data.class_names)
    check_fractions(data, grid.fractions(config), grid.seeds(config))

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        return _write(config, stages.folder, data, *_stages(config, stages))

    return Plan(f"ablation-{data.name}", compute, data, pseudonyms_of(config))


def _stages(
    config: AblationStudyConfig, stages: Stages
) -> tuple[list[dict[str, Any]], list[Choice]]:
    """Compute all stages: every model on the test split, and what the searches chose."""
    folder, of_seeds = stages.folder, grid.seeds(config)
    pretrained = stages.run("encoders", [PretrainWork(config, folder, s) for s in of_seeds])
    run_of = {seed: folder / found["run"] for seed, found in zip(of_seeds, pretrained, strict=True)}
    network = load_encoder(run_of[of_seeds[0]]).spec.architecture
    kinds = [kind for kind in grid.ENCODERS if kind != "imagenet" or imagenet_is_here(network)]
    stages.run(
        "features",
        [FeatureWork(config, folder, s, kind, run_of[s]) for kind in kinds for s in of_seeds],
    )
    points = [
        (kind, fraction) for kind in (*kinds, grid.PIXELS) for fraction in grid.fractions(config)
    ]
    searches = [SearchWork(config, folder, s, *point) for point in points for s in of_seeds]
    found = iter(stages.run("search", searches))
    choices = [
        choose(kind, fraction, {seed: next(found)["val_auc"] for seed in of_seeds})
        for kind, fraction in points
    ]
    results = stages.run(
        "frozen",
        [
            FrozenWork(config, folder, seed, one.encoder, one.fraction, one.setting)
            for one in sorted(choices, key=lambda one: one.encoder != grid.PIXELS)  # pixels first
            for seed in of_seeds
        ],
    )
    if config.whole:
        results += stages.run(
            "whole",
            [
                WholeWork(config, folder, seed, start, head, fraction, run_of[seed])
                for start in grid.STARTS
                for fraction in grid.whole_fractions(config)
                for seed in of_seeds
                for head in grid.WHOLE_HEADS
            ],
        )
    return [model for result in results for model in result["models"]], choices


def _write(
    config: AblationStudyConfig,
    folder: Path,
    data: ImageData,
    models: Sequence[dict[str, Any]],
    choices: Sequence[Choice],
) -> tuple[Findings, dict[str, Any]]:
    """Write tables, verdicts and figures."""
    results = gather(data, models)
    test = data.splits["test"]
    summary = write_tables(folder, results, grid.seeds(config))
    write_rows(folder / "search.csv", search_rows(choices))
    compared = verdicts(test.labels, results.predictions, margin=config.margin)
    write_json(folder / "comparisons.json", without_nan(compared))
    if compared:
        columns = [name for name in compared[0] if name != "variance"]
        write_rows(folder / "comparisons.csv", compared, columns)
    notes = [*notes_of(data), *cautions(config, test.labels, data.class_names)]
    if "imagenet" not in {choice.encoder for choice in choices}:
        notes.append(
            "ImageNet weights are not on this machine and were not downloaded: no such encoder."
        )
    result = {
        "data": data.name,
        "class_names": list(data.class_names),
        "positive": None if data.positive is None else data.class_names[data.positive],
        "images": len(test),
        "images_without_duplicates": int(results.unlike.sum()),
        "seeds": config.seeds,
        "labels": list(grid.fractions(config)),
        "margin": config.margin,
        "models": list(dict.fromkeys(row["model"] for row in results.rows)),
        "settings": [
            {
                "encoder": choice.encoder,
                "labels": choice.fraction,
                **choice.setting,
                "mean_val_auc": choice.means[choice.chosen],
            }
            for choice in choices
        ],
        "comparisons": len(compared),
        "verdicts": {
            verdict: sum(item["verdict"] == verdict for item in compared)
            for verdict in ("better", "worse", "equivalent", "undecided")
        },
        "notes": notes,
    }
    found = findings(result, results.rows, summary, compared)
    drawn = folder / "figures"
    where = f"{data.name}, {len(test)} test images, {counted(config.seeds, 'seed')}"
    save_png(drawn / "labels.png", lambda figure: draw_curves(figure, found.curves, where))
    if found.compared is not None:
        shown = forests(found.compared)
        save_png(
            drawn / "differences.png",
            lambda figure: draw_forests(figure, shown, title=where),
            width=6,
        )
    return found, result
