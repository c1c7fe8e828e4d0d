"""The noise study: trained models under many kinds and strengths of noise, as one table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hybridq.config import FinetuneConfig, NoiseStudyConfig
from hybridq.data import data_record, notes_of
from hybridq.data.provenance import other_splits
from hybridq.evaluation.evaluate import limited_split
from hybridq.evaluation.tables import interval, table
from hybridq.models.checkpoint import check_model
from hybridq.records import check_record
from hybridq.records.record import is_sealed, read_rows, refused, seal
from hybridq.records.studies import NOISE_REMEDY, NoiseSummaryRow, NoiseUnit
from hybridq.runs.folder import read_config
from hybridq.runs.recorded import check_hidden, check_same_data, recorded, resumed
from hybridq.studies.engine.folder import study_folder
from hybridq.studies.engine.pool import run_units
from hybridq.studies.noise.grid import Grid, Pair, pair_with_controls, read_grid
from hybridq.studies.noise.plots import save_noise_figures
from hybridq.studies.noise.unit import Unit, check_devices, measure, study_data
from hybridq.studies.summary import flip_table, summarise
from hybridq.utils.files import (
    append_jsonl,
    read_jsonl,
    without_nan,
    write_csv,
    write_json,
    write_jsonl,
)
from hybridq.utils.limits import check_workers
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted, listed

logger = logging.getLogger("hybridq")

UNITS = "units.jsonl"


def noise_study(config: NoiseStudyConfig) -> Path:
    """Run a study, or go on with one; return its folder.

    It holds `study.csv` (a row for each setting and model), `summary.csv` (means over the models
    with intervals), `flips.csv` (which images change their class) and `figures/`.

    Raises:
        HybridqError: If a run, its data, or a setting cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    given, resume = config, config.resume
    config = resumed(given, "study noise")
    if config.ray is None:
        check_workers(config.workers)
    grid = read_grid(config)
    pairs = pair_with_controls(config.models)
    run, data = study_data(pairs[0].run, config)
    pseudonyms = pseudonyms_of(config, run, folder=config.runs)
    for pair in pairs:
        for one in (pair.run, pair.control):
            check_hidden(read_config(one, FinetuneConfig, "finetune"), pseudonyms)
            check_model(one)
    check_same_data(given, "study noise", data)
    record = data_record(data)
    if others := _trained_on_others(pairs, record):
        logger.warning("%s", others)
    check_devices(pairs[0].run, grid)
    if resume is None:
        config = _absolute(config)
    name = config.name or f"noise-{_name(pairs)}"
    kept = recorded(config, data, pseudonyms)
    with study_folder(
        kept,
        "noise",
        name,
        runs=config.runs,
        seed=config.seed,
        resume=resume,
        data=record,
    ) as folder:
        _run(config, grid, pairs, folder)
    return folder


def _absolute(config: NoiseStudyConfig) -> NoiseStudyConfig:
    """The config with its paths made absolute: `--resume` may be called from another folder."""
    devices = [
        str(Path(word.strip()).resolve()) if word.strip().endswith(".json") else word.strip()
        for word in config.device.split(",")
    ]
    changes: dict[str, object] = {
        "models": tuple(model.resolve() for model in config.models),
        "device": ",".join(devices),
    }
    if config.data is not None and Path(config.data).exists():
        changes["data"] = str(Path(config.data).resolve())
    if config.data_root is not None:
        changes["data_root"] = config.data_root.resolve()
    return config.model_copy(update=changes)


def _name(pairs: Sequence[Pair]) -> str:
    return pairs[0].spec.data.split(",")[0]


def _run(config: NoiseStudyConfig, grid: Grid, pairs: Sequence[Pair], folder: Path) -> None:
    units = [
        Unit(pair.run, pair.control, device, scale, grid, config)
        for pair in pairs
        for device in grid.devices
        for scale in grid.noise_scales
    ]
    finished = _finished(folder / UNITS, units)
    if finished:  # without a last line that a kill has cut short
        write_jsonl(folder / UNITS, [_line(unit, rows) for unit, rows in finished.items()])
    elif (folder / UNITS).exists():
        (folder / UNITS).unlink()
    missing = [unit for unit in units if unit.key not in finished]
    logger.info(
        "%s, %d settings each, %d of %s of work to do",
        counted(len(pairs), "model"),
        len(grid.points()) * len(grid.devices) * len(grid.noise_scales),
        len(missing),
        counted(len(units), "unit"),
    )
    bar = tqdm(total=len(units), initial=len(units) - len(missing), disable=None, unit="unit")
    with bar:
        for unit, rows in run_units(measure, missing, workers=config.workers, ray=config.ray):
            finished[unit.key] = without_nan(rows)
            append_jsonl(folder / UNITS, _line(unit.key, finished[unit.key]))
            bar.update()
            if bar.disable and len(finished) % max(1, len(units) // 20) == 0:
                logger.info("%d of %d units", len(finished), len(units))
    _write(config, grid, pairs, folder, [row for unit in units for row in finished[unit.key]])


def _line(unit: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return seal({"unit": unit, "rows": rows})


def _finished(path: Path, units: Sequence[Unit]) -> dict[str, list[dict[str, Any]]]:
    """What units have left already, by their keys.

    Raises:
        InvalidValueError: If a line is damaged, or of other settings than the study's.
    """
    remedy = "remove the line, and it is computed again."
    points = {unit.key: unit.grid.points() for unit in units}
    found: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        what = f"what a unit of the study left in line {number}"
        check_record(NoiseUnit, row, what, path, remedy)
        if not is_sealed(row):
            raise refused(what, path, "a damaged or edited line", remedy)
        there = [(one["shots"], one["mitigation"], one["repeat"]) for one in row["rows"]]
        if there != points.get(row["unit"], there):
            raise refused(what, path, "a line of other settings", remedy)
        found[row["unit"]] = row["rows"]
    return found


def _write(
    config: NoiseStudyConfig,
    grid: Grid,
    pairs: Sequence[Pair],
    folder: Path,
    found: list[dict[str, Any]],
) -> None:
    """Write tables and figures from all rows."""
    flipped = [row["flipped"] for row in found]
    rows = [
        {
            name: math.nan if value is None and name not in ("shots", "calibration_date") else value
            for name, value in row.items()
            if name != "flipped"
        }
        for row in found
    ]
    _, data = study_data(pairs[0].run, config)
    split = limited_split(data, config.split, config.limit, seed=config.seed)
    record = data_record(data)
    summary = summarise(rows)
    for name, lines in (("study", rows), ("summary", summary)):
        header = list(lines[0])
        cells = [[_cell(line[column], column) for column in header] for line in lines]
        write_csv(folder / f"{name}.csv", header, cells)
    write_csv(folder / "flips.csv", *flip_table(rows, flipped, list(split.ids), split.labels))
    figures = save_noise_figures(
        folder / "figures",
        rows,
        flipped=flipped,
        ids=list(split.ids),
        labels=split.labels,
        images=split.images,
        class_names=data.class_names,
    )
    write_json(
        folder / "result.json",
        {
            "data": data.name,
            "split": config.split,
            "images": len(split),
            "models": [
                {"run": pair.run.name, "control": pair.control.name, "seed": pair.spec.seed}
                for pair in pairs
            ],
            "grid": asdict(grid),
            "rows": len(rows),
            "figures": [path.name for path in figures],
            "notes": [*notes_of(data), *filter(None, [_trained_on_others(pairs, record)])],
        },
    )


def _trained_on_others(pairs: Sequence[Pair], record: Mapping[str, Any]) -> str | None:
    """A sentence on the models whose data were others than the study's; None if there are none."""
    names = [pair.run.name for pair in pairs if other_splits(pair.spec.data_hashes, record)]
    if not names:
        return None
    return f"Trained on other images or labels than those of this study: {listed(names)}."


def _cell(value: Any, column: str) -> str:
    """A value in full; no shots are `none`, what is unknown is empty."""
    if value is None:
        return "none" if column == "shots" else ""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)


def summary_table(folder: Path) -> str:
    """The figures of a study without mitigation, and of each mitigation, as text.

    Args:
        folder: What `noise_study` returned.
    """
    what = "the summary of a noise study"
    found = read_rows(folder / "summary.csv", NoiseSummaryRow, what, NOISE_REMEDY)
    settings: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for row in found:
        setting = tuple(row[name] for name in ("device", "noise_scale", "shots", "mitigation"))
        settings.setdefault(setting, {})[row["figure"]] = row
    shown = ("auc", "balanced_accuracy", "adapted_balanced_accuracy", "flips", "rms_error")
    rows = [
        [*setting, *(_mean(figures[name]) for name in shown), _against_control(figures["auc"])]
        for setting, figures in settings.items()
    ]
    header = ["device", "scale", "shots", "mitigation", "AUC", "balanced accuracy", "adapted"]
    models = max(int(row["seeds"]) for row in found)
    return "\n".join(
        [
            table([*header, "flips", "RMS error", "AUC less control's"], rows),
            f"(means over {counted(models, 'model')} with 95% Student-t intervals over their "
            "seeds; adapted: balanced accuracy with the threshold chosen anew under the noise, on "
            "validation)",
        ]
    )


def _mean(row: dict[str, str]) -> str:
    if not row["mean"]:
        return "undefined"
    if not row["low"]:
        return f"{float(row['mean']):.3f}"
    return interval(
        {"value": float(row["mean"]), "low": float(row["low"]), "high": float(row["high"])}
    )


def _against_control(row: dict[str, str]) -> str:
    """The difference of a model's AUC from that of its control, paired by seed."""
    low, high = row["minus_control_low"], row["minus_control_high"]
    ends = f" [{float(low):+.3f}, {float(high):+.3f}]" if low and high else ""
    return f"{float(row['minus_control'] or 'nan'):+.3f}{ends}"
