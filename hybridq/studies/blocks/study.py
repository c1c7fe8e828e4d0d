"""The study of blocks: what encoder, reducer and head each add, and where errors arise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridq.config import BlocksStudyConfig
from hybridq.data import ImageData, notes_of
from hybridq.errors import InvalidValueError, UnavailableError
from hybridq.evaluation.statistics.intervals import check_test_labels
from hybridq.models.encoders.build import imagenet_is_here
from hybridq.models.heads import build_head, control_of, head_entry
from hybridq.quantum.modules import running_on
from hybridq.records.findings import Findings
from hybridq.studies.blocks.findings import comparison_row, findings
from hybridq.studies.blocks.gallery import gallery_circuits, gallery_rows
from hybridq.studies.blocks.grid import (
    IMAGENET,
    ONCE,
    PRETRAINED,
    Combination,
    check_combinations,
    combinations,
    kinds_of,
    questions,
)
from hybridq.studies.blocks.sizes import BlocksSizeWork
from hybridq.studies.blocks.tables import (
    Heads,
    Row,
    chosen,
    compared,
    gather,
    head_rows,
    noise_rows,
    ratio_rows,
    search_rows,
    slope_rows,
    split_rows,
    summary_rows,
)
from hybridq.studies.blocks.trained import (
    BlocksFeatureWork,
    BlocksHeadWork,
    BlocksSearchWork,
)
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages
from hybridq.studies.heads.given import Given, encoder_of, read_given
from hybridq.studies.heads.labelled import Labelled, amounts_of, labelled, read_images
from hybridq.studies.tables import write_measured, write_rows
from hybridq.utils.pseudonyms import pseudonyms_of
from hybridq_backends import open_backend, parse_backend


def blocks_study(config: BlocksStudyConfig) -> Path:
    """Run a study of blocks, or go on with one; return its folder.

    It holds `blocks.csv` (a row for each amount of labels, combination, encoder and label subset),
    `summary.csv` (means with intervals, trained parameters), `comparisons.csv` (verdicts),
    `errors.csv`, `slopes.csv`, `noise.csv`, `ratios.csv`, `gallery.csv`, `search.csv`,
    `measured.npz`, `seconds.csv` and `result.json`.

    Raises:
        HybridqError: If runs, data or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    return run_study(config, name="blocks", plan=_plan)


def _plan(config: BlocksStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    amounts = amounts_of(config.labels)
    given = read_given(config)
    built = combinations(config, given)
    check_combinations(config, built)
    _check_noise(config, built)
    _check_imagenet(config, given)
    data = read_images(config, given)
    check_test_labels(data.splits["test"].labels, data.class_names)
    labels = {
        text: labelled(data, labels=amount, subsets=config.subsets, seed=config.seed)
        for text, amount in amounts.items()
    }
    notes = [*notes_of(data), *given.notes]

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        heads, search = _stages(config, given, built, labels, stages)
        sizes = [
            BlocksSizeWork(stages.folder, one, data.num_classes)
            for one in built
            if one.kind == PRETRAINED and control_of(one.head) is not None
        ]
        names = [one.name for one in sizes]
        shown = dict(zip(names, stages.run("sizes", sizes), strict=True))
        return _write(config, given, data, built, notes, stages.folder, heads, search, shown)

    return Plan(f"blocks-{data.name}", compute, data, pseudonyms_of(config, *given.recipes))


def _check_imagenet(config: BlocksStudyConfig, given: Given) -> None:
    """Refuse to stand on ImageNet's weights where they are not on this machine.

    Raises:
        UnavailableError: If they are not.
    """
    if IMAGENET not in kinds_of(config):
        return
    network = encoder_of(given.encoders[0]).spec.architecture
    if not imagenet_is_here(network):
        raise UnavailableError(
            f"Expected the ImageNet weights of {network} on this machine, got none: run `hybridq "
            f"finetune --encoder imagenet --encoder.name {network}` once, which downloads them, or "
            "leave `imagenet` out of --encoders."
        )


def _check_noise(config: BlocksStudyConfig, built: list[Combination]) -> None:
    """Refuse backends that cannot read the study's circuits, before any work is done.

    Raises:
        InvalidValueError: If one is unknown, is there twice, takes jobs, is given shots, or is
            narrower than a circuit.
    """
    if len(set(config.noise)) < len(config.noise):
        raise InvalidValueError(
            f"Expected each backend of --noise once, got {' '.join(config.noise)}: remove the "
            "double one."
        )
    for profile in config.noise:
        if "shots=" in profile:
            raise InvalidValueError(
                f"Expected backends of --noise without shots, got {profile}: leave `shots` out."
            )
        if parse_backend(profile).takes_jobs:
            raise InvalidValueError(
                f"Expected simulators for --noise, got {profile}, whose circuits are jobs: take "
                "the device's snapshot, such as fake_torino."
            )
        with open_backend("statevector") as exact, open_backend(profile, shots=None) as backend:
            for one in {own.head + str(own.qubits): own for own in built}.values():
                entry = head_entry(one.head)
                wide = 64  # features enough for any reducer
                shape = (wide, 2, 2) if entry.input == "map" else wide
                with running_on(build_head(shape, 2, one.config, backend=exact), backend):
                    pass


def _stages(
    config: BlocksStudyConfig,
    given: Given,
    built: list[Combination],
    labels: dict[str, Labelled],
    stages: Stages,
) -> tuple[Heads, list[Row]]:
    """Compute all stages: what every combination gave, and what the search found."""
    folder = stages.folder
    maps = any(head_entry(one.head).input == "map" for one in built)
    places = {kind: range(1 if kind in ONCE else len(given.encoders)) for kind in kinds_of(config)}
    stages.run(
        "features",
        [
            BlocksFeatureWork(config, given, folder, kind, encoder, maps)
            for kind, own in places.items()
            for encoder in own
        ],
    )
    cells = [
        (own, folder, encoder, amount, one)
        for amount, own in labels.items()
        for one in built
        for encoder in places[one.kind]
    ]
    searches = [BlocksSearchWork(config, *cell) for cell in cells]
    search = search_rows(searches, stages.run("search", searches))
    settings = chosen(search)
    works = [BlocksHeadWork(config, *cell, settings[cell[3], cell[4].name]) for cell in cells]
    return gather(works, stages.run("heads", works)), search


def _write(
    config: BlocksStudyConfig,
    given: Given,
    data: ImageData,
    built: list[Combination],
    notes: list[str],
    folder: Path,
    heads: Heads,
    search: list[Row],
    shown: dict[str, dict[str, Any]],
) -> tuple[Findings, dict[str, Any]]:
    """Write the tables; return what was found, and what `result.json` says."""
    names = [run.name for run in given.encoders]
    summary = summary_rows(heads, built)
    items = compared(heads, questions(built), margin=config.margin)
    more = {
        "errors": split_rows(heads),
        "slopes": slope_rows(heads, built),
        "noise": noise_rows(heads),
        "ratios": ratio_rows(heads),
        "gallery": gallery_rows(shown, built, summary, items),
    }
    write_rows(folder / "blocks.csv", head_rows(heads, names))
    comparisons = [comparison_row(*item) for item in items]
    tables = {"summary": summary, "search": search, "comparisons": comparisons}
    for name, rows in (tables | more).items():
        if rows:
            columns = [column for column in rows[0] if column != "variance"]
            write_rows(folder / f"{name}.csv", rows, columns)
    write_measured(folder / "measured.npz", heads.measured)
    result = {
        "data": data.name,
        "images": len(data.splits["test"]),
        "encoders": len(names),
        "encoder_runs": names,
        "subsets": config.subsets,
        "margin": config.margin,
        "circuit": given.circuit,
        "settings": {
            f"{amount}, {name}": dict(setting) for (amount, name), setting in chosen(search).items()
        },
        "notes": notes,
    }
    found = findings(result, summary, items, more)
    return found.model_copy(update={"circuits": gallery_circuits(shown, built)}), result
