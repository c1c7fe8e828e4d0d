"""The study of capacity: what the circuit of a head contributes, with its role in words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hybridq.config import CapacityStudyConfig
from hybridq.data import ImageData, notes_of
from hybridq.evaluation.drawings import draw_forests
from hybridq.evaluation.statistics.intervals import check_test_labels
from hybridq.evaluation.summaries import forests
from hybridq.plotting import save_png
from hybridq.records.findings import Findings
from hybridq.studies.capacity.arms import arms_of, no_polynomial, reducers_of
from hybridq.studies.capacity.findings import comparison_row, findings
from hybridq.studies.capacity.tables import (
    Arms,
    Row,
    capacity_rows,
    compared,
    gather,
    role_rows,
    roles_of,
    search_rows,
    summary_rows,
)
from hybridq.studies.capacity.trained import (
    CapacityArmWork,
    CapacitySearchWork,
)
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages
from hybridq.studies.heads.features import FeatureWork
from hybridq.studies.heads.given import Given, read_given
from hybridq.studies.heads.labelled import Labelled, labelled, read_images
from hybridq.studies.heads.work import best_setting
from hybridq.studies.tables import write_measured, write_rows
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq.utils.text import counted


def capacity_study(config: CapacityStudyConfig) -> Path:
    """Run a study of capacity, or go on with one; return its folder.

    It holds `capacity.csv` (a row for each reducer, arm, encoder and label subset), `summary.csv`
    (means with intervals, parameters, slopes), `comparisons.csv` (verdicts), `roles.csv`,
    `search.csv`, `measured.npz`, `seconds.csv`, `figures/` and `result.json`.

    Raises:
        HybridqError: If runs, data or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    return run_study(config, name="capacity", plan=_plan)


def _plan(config: CapacityStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    reducers_of(config)
    given = read_given(config)
    data = read_images(config, given)
    check_test_labels(data.splits["test"].labels, data.class_names)
    labels = _labelled(config, data)
    notes = [*notes_of(data), *given.notes]
    if why := no_polynomial(given):
        notes.append(f"There is no free polynomial. {why}")

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        found = _stages(config, given, labels, stages)
        return _write(config, given, data, notes, stages.folder, *found)

    return Plan(f"capacity-{data.name}", compute, data, pseudonyms_of(config, *given.recipes))


def _labelled(config: CapacityStudyConfig, data: ImageData) -> Labelled:
    return labelled(data, labels=config.labels, subsets=config.subsets, seed=config.seed)


def _stages(
    config: CapacityStudyConfig, given: Given, labels: Labelled, stages: Stages
) -> tuple[Arms, list[Row]]:
    """Compute all stages: what every arm gave, and what the search found."""
    encoders, reducers, folder = range(len(given.encoders)), reducers_of(config), stages.folder
    stages.run("features", [FeatureWork(config, given, folder, e) for e in encoders])
    arms = [
        (encoder, reducer, arm, built)
        for reducer in reducers
        for arm, built in arms_of(given, reducer).items()
        for encoder in encoders
    ]
    searches = [
        CapacitySearchWork(config, labels, folder, encoder, reducer, arm, built)
        for encoder, reducer, arm, built in arms
        if reducer == reducers[0]
    ]
    search = search_rows(searches, stages.run("search", searches))
    setting = best_setting(search)
    works = [
        CapacityArmWork(config, labels, folder, encoder, reducer, arm, built, setting)
        for encoder, reducer, arm, built in arms
    ]
    return gather(works, stages.run("arms", works)), search


def _write(
    config: CapacityStudyConfig,
    given: Given,
    data: ImageData,
    notes: list[str],
    folder: Path,
    arms: Arms,
    search: list[Row],
) -> tuple[Findings, dict[str, Any]]:
    """Write tables and figures; return what was found, and what `result.json` says."""
    names = [run.name for run in given.encoders]
    summary, items = summary_rows(arms), compared(arms, margin=config.margin)
    roles = roles_of(items)
    write_rows(folder / "capacity.csv", capacity_rows(arms, names))
    write_rows(folder / "summary.csv", summary)
    write_rows(folder / "search.csv", search)
    comparisons = [comparison_row(*item) for item in items]
    columns = [name for name in comparisons[0] if name != "variance"]
    write_rows(folder / "comparisons.csv", comparisons, columns)
    write_rows(folder / "roles.csv", role_rows(roles))
    write_measured(folder / "measured.npz", arms.measured)
    sizes = [len(rows) for rows in _labelled(config, data).subsets]
    result = {
        "data": data.name,
        "images": len(data.splits["test"]),
        "train_images": round(sum(sizes) / len(sizes)),
        "encoders": len(names),
        "encoder_runs": names,
        "subsets": config.subsets,
        "margin": config.margin,
        "circuit": given.circuit,
        "setting": best_setting(search),
        "roles": {kind: [one.name for one in own] for kind, own in roles.items()},
        "notes": notes,
    }
    found = findings(result, summary, items, roles)
    where = f"{data.name}, {result['images']} test images, {counted(len(names), 'encoder')}"
    shown = {"auc": found.forests}
    if found.compared is not None:
        shown["differences"] = forests(found.compared)
    for name, own in shown.items():
        save_png(
            folder / "figures" / f"{name}.png",
            partial(draw_forests, shown=own, title=where),
            width=6,
        )
    return found, result
