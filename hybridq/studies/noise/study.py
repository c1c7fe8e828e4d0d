"""The noise study: trained models under many kinds and strengths of noise, as one table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hybridq.config import FinetuneConfig, NoiseStudyConfig
from hybridq.data import ImageData, data_record, notes_of
from hybridq.data.provenance import other_splits
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import limited_split
from hybridq.evaluation.tables import interval
from hybridq.models.checkpoint import check_model
from hybridq.records.record import refused
from hybridq.records.studies import StudyReport, StudyTable
from hybridq.runs.folder import read_config
from hybridq.runs.recorded import check_hidden
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages, unit_file
from hybridq.studies.noise.grid import Grid, Pair, pair_with_controls, read_grid
from hybridq.studies.noise.plots import save_noise_figures
from hybridq.studies.noise.unit import Unit, check_devices, study_data
from hybridq.studies.summary import flip_table, summarise
from hybridq.studies.tables import write_rows
from hybridq.utils.files import write_csv
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted, listed

logger = logging.getLogger("hybridq")

Row = dict[str, Any]

SHOWN = ("auc", "balanced_accuracy", "adapted_balanced_accuracy", "flips", "rms_error")


def noise_study(config: NoiseStudyConfig) -> Path:
    """Run a study, or go on with one; return its folder.

    It holds `study.csv` (a row for each setting and model), `summary.csv` (means over the models
    with intervals), `flips.csv` (which images change their class) and `figures/`.

    Raises:
        HybridqError: If a run, its data, or a setting cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    words = [word.strip() for word in config.device.split(",")]
    files = [str(Path(word).resolve()) if word.endswith(".json") else word for word in words]
    given = config.model_copy(update={"device": ",".join(files)})
    return run_study(given, name="noise", plan=_plan)


def _plan(config: NoiseStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    grid = read_grid(config)
    pairs = pair_with_controls(config.models)
    run, data = study_data(pairs[0].run, config)
    pseudonyms = pseudonyms_of(config, run, folder=config.runs)
    for pair in pairs:
        for one in (pair.run, pair.control):
            check_hidden(read_config(one, FinetuneConfig, "finetune"), pseudonyms)
            check_model(one)
    if others := _trained_on_others(pairs, data):
        logger.warning("%s", others)
    check_devices(pairs[0].run, grid)

    def compute(stages: Stages) -> tuple[StudyReport, dict[str, Any]]:
        found = _rows(stages, _units(config, grid, pairs))
        return _write(config, grid, pairs, data, stages.folder, found)

    return Plan(f"noise-{pairs[0].spec.data.split(',')[0]}", compute, data, pseudonyms)


def _trained_on_others(pairs: Sequence[Pair], data: ImageData) -> str | None:
    """A sentence on the models whose data were others than the study's; None if there are none."""
    record = data_record(data)
    names = [pair.run.name for pair in pairs if other_splits(pair.spec.data_hashes, record)]
    if not names:
        return None
    return f"Trained on other images or labels than those of this study: {listed(names)}."


def _units(config: NoiseStudyConfig, grid: Grid, pairs: Sequence[Pair]) -> list[Unit]:
    return [
        Unit(pair, device, scale, grid, config)
        for pair in pairs
        for device in grid.devices
        for scale in grid.noise_scales
    ]


def _rows(stages: Stages, units: Sequence[Unit]) -> list[Row]:
    """A row for each setting and model.

    Raises:
        InvalidValueError: If a unit was computed with other settings, or by an earlier version.
    """
    if (stages.folder / "units.jsonl").exists():
        raise InvalidValueError(
            f"Expected a noise study whose units are in units/, got {str(stages.folder)!r} of an "
            "earlier version, with units.jsonl: begin anew with `hybridq study noise --config "
            f"{stages.folder / 'config.json'}`."
        )
    found = []
    for unit, left in zip(units, stages.run("noise", units), strict=True):
        there = [(row["shots"], row["mitigation"], row["repeat"]) for row in left["rows"]]
        if there != unit.grid.points():
            path = unit_file(stages.folder, "noise", unit.name)
            what, remedy = "what a unit of the study left", "remove it, and it is computed again."
            raise refused(what, path, "one of other settings", remedy)
        found += left["rows"]
    return found


def _write(
    config: NoiseStudyConfig,
    grid: Grid,
    pairs: Sequence[Pair],
    data: ImageData,
    folder: Path,
    found: Sequence[Row],
) -> tuple[StudyReport, dict[str, Any]]:
    """Write tables and figures from all rows."""
    split = limited_split(data, config.split, config.limit, seed=config.seed)
    ids = list(split.ids)
    flipped = [row["flipped"] for row in found]
    unknown = ("shots", "calibration_date")  # are None; figures are NaN
    rows = [
        {
            name: math.nan if value is None and name not in unknown else value
            for name, value in row.items()
            if name != "flipped"
        }
        for row in found
    ]
    summary = summarise(rows)
    for name, lines in (("study", rows), ("summary", summary)):
        named = [{**line, "shots": line["shots"] or "none"} for line in lines]
        write_rows(folder / f"{name}.csv", named)
    write_csv(folder / "flips.csv", *flip_table(rows, flipped, ids, split.labels))
    figures = save_noise_figures(
        folder / "figures",
        rows,
        flipped=flipped,
        ids=ids,
        labels=split.labels,
        images=split.images,
        class_names=data.class_names,
    )
    result = {
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
        "notes": [*notes_of(data), *filter(None, [_trained_on_others(pairs, data)])],
    }
    return findings(result, summary), result


def findings(result: Mapping[str, Any], summary: Sequence[Row]) -> StudyReport:
    """The figures without mitigation, and of each mitigation, in each setting.

    Args:
        result: What `result.json` says.
        summary: Rows of `summary.csv`.
    """
    settings: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in summary:
        setting = (row["device"], row["noise_scale"], row["shots"] or "none", row["mitigation"])
        settings.setdefault(setting, {})[row["figure"]] = row
    header = ["device", "scale", "shots", "mitigation", "AUC", "balanced accuracy", "adapted"]
    table = StudyTable(
        title=f"{result['data']} {result['split']} split, {counted(result['images'], 'image')}",
        columns=[*header, "flips", "RMS error", "AUC less control's"],
        rows=[
            [*map(str, setting), *(_mean(of[name]) for name in SHOWN), _less_control(of["auc"])]
            for setting, of in settings.items()
        ],
    )
    means = (
        f"Means over {counted(max(row['seeds'] for row in summary), 'model')} with 95% Student-t "
        "intervals over their seeds; adapted: balanced accuracy with the threshold chosen anew "
        "under the noise, on validation."
    )
    sentences = [means, *(f"Note: {note}" for note in result["notes"])]
    return StudyReport(study="noise", data=result["data"], sentences=sentences, tables=[table])


def _mean(row: Row) -> str:
    if row["mean"] is None:
        return "undefined"
    if row["low"] is None:
        return f"{row['mean']:.3f}"
    return interval({"value": row["mean"], "low": row["low"], "high": row["high"]})


def _less_control(row: Row) -> str:
    """The difference of a model's AUC from that of its control, paired by seed."""
    low, high = row["minus_control_low"], row["minus_control_high"]
    ends = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    known = math.nan if row["minus_control"] is None else row["minus_control"]
    return f"{known:+.3f}{ends}"
