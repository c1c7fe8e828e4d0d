"""The ablation: what SimCLR and the quantum layer each add, with a verdict on every pair."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hybridq.config import AblationStudyConfig, FinetuneConfig
from hybridq.data import data_record, notes_of
from hybridq.runs.recorded import check_same_data, recorded, resumed
from hybridq.studies.ablation.choice import Choice, choose
from hybridq.studies.ablation.encoders import (
    EncoderKind,
    FeatureWork,
    PretrainWork,
    encoder_kinds,
    study_data,
)
from hybridq.studies.ablation.frozen import FrozenWork, SearchWork, check_fractions
from hybridq.studies.ablation.grid import (
    PENALTIES,
    SETTINGS,
    STARTS,
    WHOLE_HEADS,
    absolute_source,
    fractions,
    given_encoders,
    seeds,
    whole_fractions,
)
from hybridq.studies.ablation.pixels import PixelSearchWork, PixelWork
from hybridq.studies.ablation.plots import save_ablation_figures
from hybridq.studies.ablation.tables import (
    gather,
    search_rows,
    summarise,
    write_rows,
    write_tables,
)
from hybridq.studies.ablation.verdicts import cautions, check_test_labels, verdicts
from hybridq.studies.ablation.whole import WholeWork
from hybridq.studies.engine.folder import study_folder
from hybridq.studies.engine.pool import worker_pool
from hybridq.studies.engine.units import Work, run_stage
from hybridq.training.compute import check_training_memory
from hybridq.utils.files import without_nan, write_csv, write_json
from hybridq.utils.limits import check_workers
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted

logger = logging.getLogger("hybridq")


def ablation_study(config: AblationStudyConfig) -> Path:
    """Run an ablation, or go on with one; return its folder.

    It holds `ablation.csv` (a row for each model, fraction and seed), `summary.csv` (means with
    intervals), `comparisons.csv` and `.json` (verdicts), `search.csv`, `seconds.csv`,
    `predictions.npz`, `figures/` and `result.json`.

    Raises:
        HybridqError: If data, runs or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    given, resume = config, config.resume
    config = resumed(given, "study ablation")
    check_workers(config.workers)
    whole_fractions(config)
    given_encoders(config)
    data = study_data(config, "train", "val", "test")
    check_same_data(given, "study ablation", data)
    if config.whole and config.image_size is not None:
        recipe = FinetuneConfig()
        check_training_memory(
            recipe.compute,
            image_size=config.image_size,
            stem="stride2",
            images=min(recipe.batch_size, len(data.splits["train"])),
        )
    check_test_labels(data.splits["test"].labels, data.class_names)
    check_fractions(data, fractions(config), seeds(config))
    if resume is None:
        config = _absolute(config)
    name = config.name or f"ablation-{data.name}"
    kept = recorded(config, data, pseudonyms_of(config))
    with (
        study_folder(
            kept,
            "ablation",
            name,
            runs=config.runs,
            seed=config.seed,
            resume=resume,
            data=data_record(data),
        ) as folder,
        worker_pool(config.workers) as pool,
    ):
        _run(config, folder.resolve(), pool)
    return folder


def _absolute(config: AblationStudyConfig) -> AblationStudyConfig:
    """The config with its paths made absolute: `--resume` may be called from another folder."""
    changes: dict[str, object] = {
        "encoder_runs": tuple(run.resolve() for run in config.encoder_runs),
        "data": absolute_source(config.data),
    }
    if config.data_root is not None:
        changes["data_root"] = config.data_root.resolve()
    return config.model_copy(update=changes)


@dataclass
class _Log:
    """Seconds of the stages, and a line or a bar for each."""

    folder: Path
    pool: ProcessPoolExecutor | None
    seconds: dict[str, list[float]]

    def stage(self, name: str, works: Sequence[Work]) -> list[dict[str, Any]]:
        """Compute a stage, and keep the seconds of its units."""
        logger.info("%s: %s", name, counted(len(works), "unit"))
        with tqdm(total=len(works), disable=None, unit="unit", desc=name) as bar:
            done: Callable[[Work], None] = partial(_advance, bar, name)
            found = run_stage(self.folder, name, works, pool=self.pool, on_done=done)
        self.seconds[name] = [result["seconds"] for result in found]
        logger.info("%s: %.1f s of work", name, sum(self.seconds[name]))
        return found


def _advance(bar: Any, stage: str, work: Work) -> None:
    bar.update()
    if bar.disable:
        logger.info("%s: %s done", stage, work.name)


def _run(config: AblationStudyConfig, folder: Path, pool: ProcessPoolExecutor | None) -> None:
    log = _Log(folder, pool, {})
    of_seeds, kinds = seeds(config), encoder_kinds()
    pretrained = log.stage("encoders", [PretrainWork(config, folder, seed) for seed in of_seeds])
    run_of = {seed: folder / found["run"] for seed, found in zip(of_seeds, pretrained, strict=True)}
    log.stage(
        "features",
        [FeatureWork(config, folder, kind, s, run_of[s]) for kind in kinds for s in of_seeds],
    )
    searches = [
        SearchWork(config, folder, kind, seed, fraction)
        for kind in kinds
        for fraction in fractions(config)
        for seed in of_seeds
    ]
    found = iter(log.stage("search", searches))
    choices = [
        choose(kind, fraction, SETTINGS, {seed: next(found)["val_auc"] for seed in of_seeds})
        for kind in kinds
        for fraction in fractions(config)
    ]
    pixel_searches = [PixelSearchWork(config, s, f) for f in fractions(config) for s in of_seeds]
    found = iter(log.stage("pixel_search", pixel_searches))
    of_pixels = [
        choose(
            "none",
            fraction,
            PENALTIES,
            {seed: {"logistic_regression": next(found)["val_auc"]} for seed in of_seeds},
        )
        for fraction in fractions(config)
    ]
    results = log.stage(
        "pixels",
        [
            PixelWork(config, seed, choice.fraction, choice.setting)
            for choice in of_pixels
            for seed in of_seeds
        ],
    )
    results += log.stage(
        "frozen",
        [
            FrozenWork(config, folder, kind, seed, choice.fraction, choice.setting)
            for kind in kinds
            for choice in choices
            if choice.encoder == kind
            for seed in of_seeds
        ],
    )
    if config.whole:
        results += log.stage(
            "whole",
            [
                WholeWork(config, folder, start, head, seed, fraction, run_of[seed])
                for start in STARTS
                for fraction in whole_fractions(config)
                for seed in of_seeds
                for head in WHOLE_HEADS
            ],
        )
    models = [model for result in results for model in result["models"]]
    _write(config, folder, models, [*choices, *of_pixels], kinds, log.seconds)


def _write(
    config: AblationStudyConfig,
    folder: Path,
    models: Sequence[dict[str, Any]],
    choices: Sequence[Choice[Any]],
    kinds: Sequence[EncoderKind],
    seconds: dict[str, list[float]],
) -> None:
    """Write tables, verdicts and figures; the test labels are read here."""
    results = gather(study_data(config, "train", "test"), models)
    data, test = results.data, results.data.splits["test"]
    write_tables(folder, results, seeds(config))
    write_rows(folder / "search.csv", search_rows(choices))
    compared = verdicts(test.labels, results.predictions, margin=config.margin)
    write_json(folder / "comparisons.json", without_nan(compared))
    flat = [{k: v for k, v in item.items() if k != "variance"} for item in compared]
    if flat:
        write_rows(folder / "comparisons.csv", flat)
    write_csv(
        folder / "seconds.csv",
        ["stage", "units", "seconds", "longest_unit"],
        [[name, len(each), round(sum(each), 1), max(each)] for name, each in seconds.items()],
    )
    where = f"{data.name}, {len(test)} test images, {counted(config.seeds, 'seed')}"
    figures = save_ablation_figures(
        folder / "figures", summarise(results), compared, where=where, margin=config.margin
    )
    notes = [*notes_of(data), *cautions(config, test.labels, data.class_names)]
    if "imagenet" not in kinds:
        notes.append(
            "ImageNet weights are not on this machine and were not downloaded: no such encoder."
        )
    write_json(
        folder / "result.json",
        {
            "data": data.name,
            "class_names": list(data.class_names),
            "positive": None if data.positive is None else data.class_names[data.positive],
            "images": len(test),
            "images_without_duplicates": int(results.unlike.sum()),
            "seeds": config.seeds,
            "labels": list(fractions(config)),
            "margin": config.margin,
            "models": list(dict.fromkeys(row["model"] for row in results.rows)),
            "settings": [
                {
                    "encoder": choice.encoder,
                    "labels": choice.fraction,
                    **vars(choice.setting),
                    "mean_val_auc": choice.means[choice.chosen],
                }
                for choice in choices
            ],
            "comparisons": len(compared),
            "verdicts": {
                verdict: sum(item["verdict"] == verdict for item in compared)
                for verdict in ("better", "worse", "equivalent", "undecided")
            },
            "figures": [path.name for path in figures],
            "notes": notes,
        },
    )
