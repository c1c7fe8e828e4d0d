"""The noise study: trained models under many kinds and strengths of noise, as one table."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hybridq.config import FinetuneConfig, NoiseStudyConfig
from hybridq.data import ImageData, ImageSplit, data_record, notes_of
from hybridq.data.provenance import other_splits
from hybridq.errors import InvalidValueError
from hybridq.evaluation.evaluate import limited_split
from hybridq.models.checkpoint import check_model
from hybridq.records.findings import Findings
from hybridq.records.record import refused
from hybridq.runs.folder import read_config
from hybridq.runs.recorded import check_hidden
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages, unit_file
from hybridq.studies.noise.findings import findings
from hybridq.studies.noise.grid import pair_with_controls, read_grid
from hybridq.studies.noise.plots import save_noise_figures
from hybridq.studies.noise.unit import Unit, check_devices, study_data
from hybridq.studies.summary import flip_table, summarise
from hybridq.studies.tables import write_rows
from hybridq.utils.files import write_csv
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import listed

logger = logging.getLogger("hybridq")

Row = dict[str, Any]


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
    for one in (one for pair in pairs for one in (pair.run, pair.control)):
        check_hidden(read_config(one, FinetuneConfig, "finetune"), pseudonyms)
        check_model(one)
    notes, record = notes_of(data), data_record(data)
    if others := [p.run.name for p in pairs if other_splits(p.spec.data_hashes, record)]:
        notes.append(
            f"Trained on other images or labels than those of this study: {listed(others)}."
        )
        logger.warning("%s", notes[-1])
    check_devices(pairs[0].run, grid)
    units = [
        Unit(pair, device, scale, grid, config)
        for pair in pairs
        for device in grid.devices
        for scale in grid.noise_scales
    ]

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        rows = _rows(stages, units)
        split = limited_split(data, config.split, config.limit, seed=config.seed)
        summary, figures = _write(stages.folder, rows, data, split)
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
            "notes": notes,
        }
        return findings(result, summary), result

    return Plan(f"noise-{pairs[0].spec.data.split(',')[0]}", compute, data, pseudonyms)


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
    folder: Path, found: Sequence[Row], data: ImageData, split: ImageSplit
) -> tuple[list[Row], list[Path]]:
    """Write tables and figures from all rows; return the summary, and the figures' files."""
    unknown = ("shots", "calibration_date")  # are None; figures are NaN
    rows = [
        {
            name: math.nan if value is None and name not in unknown else value
            for name, value in row.items()
        }
        for row in found
    ]
    summary = summarise(rows)
    for name, lines in (("study", rows), ("summary", summary)):
        named = [{**line, "shots": line["shots"] or "none"} for line in lines]
        columns = [column for column in named[0] if column != "flipped"]
        write_rows(folder / f"{name}.csv", named, columns)
    write_csv(folder / "flips.csv", *flip_table(rows, split.ids, split.labels))
    return summary, save_noise_figures(folder / "figures", rows, split, data.class_names)
