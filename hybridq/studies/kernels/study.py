"""The study of kernels: quantum machines that are fitted in closed form, beside classical ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridq.config import KernelsStudyConfig
from hybridq.data import ImageData, notes_of
from hybridq.errors import InvalidValueError
from hybridq.evaluation.statistics.intervals import check_test_labels
from hybridq.models.heads.fitted.kernel import MOST
from hybridq.models.heads.fitted.kernel_bank import kernel_names
from hybridq.records.findings import Findings
from hybridq.studies.blocks.findings import comparison_row
from hybridq.studies.blocks.tables import Heads, compared
from hybridq.studies.engine.study import Plan, run_study
from hybridq.studies.engine.units import Stages
from hybridq.studies.heads.features import FeatureWork
from hybridq.studies.heads.given import Given, read_given
from hybridq.studies.heads.labelled import Labelled, amounts_of, labelled, read_images
from hybridq.studies.kernels.findings import findings
from hybridq.studies.kernels.fitted import KernelWork, MachineWork, described_rows
from hybridq.studies.kernels.grid import MOST_QUBITS, bandwidths_of, machines_of, questions
from hybridq.studies.kernels.tables import gather, machine_rows, summary_rows
from hybridq.studies.lists import qubits_of
from hybridq.studies.tables import write_measured, write_rows
from hybridq.utils.pseudonyms import pseudonyms_of


def kernels_study(config: KernelsStudyConfig) -> Path:
    """Run a study of kernels, or go on with one; return its folder.

    It holds `machines.csv` (a row for each amount of labels, machine, encoder and label subset),
    `summary.csv` (means with intervals), `comparisons.csv` (verdicts), `kernels.csv` (alignment,
    geometric difference and concentration by bandwidth), `weights.csv` (shares of kernels),
    `measured.npz`, `seconds.csv` and `result.json`.

    Raises:
        HybridqError: If runs, data or settings cannot be used; nothing is written then.
        KeyboardInterrupt: When stopped; `--resume` goes on with what is left.
    """
    return run_study(config, name="kernels", plan=_plan)


def _plan(config: KernelsStudyConfig) -> Plan:
    """Check what is asked, before anything is written."""
    amounts = amounts_of(config.labels)
    bandwidths_of(config)
    machines_of(config)
    given = read_given(config)
    data = read_images(config, given)
    check_test_labels(data.splits["test"].labels, data.class_names)
    if data.task == "multilabel":
        raise InvalidValueError(
            f"Expected one label for each image in a study of kernels, got {data.name} with "
            "several: take other data."
        )
    labels = {
        text: labelled(data, labels=amount, subsets=config.subsets, seed=config.seed)
        for text, amount in amounts.items()
    }
    most = max(len(rows) for own in labels.values() for rows in own.subsets)
    if most > MOST:
        raise InvalidValueError(
            f"Expected at most {MOST:,} labelled images in a study of kernels, whose matrices are "
            f"of all pairs, got {most:,}: lower --labels."
        )
    notes = [*notes_of(data), *given.notes]

    def compute(stages: Stages) -> tuple[Findings, dict[str, Any]]:
        return _computed(config, given, data, labels, notes, stages)

    return Plan(f"kernels-{data.name}", compute, data, pseudonyms_of(config, *given.recipes))


def _computed(
    config: KernelsStudyConfig,
    given: Given,
    data: ImageData,
    labels: dict[str, Labelled],
    notes: list[str],
    stages: Stages,
) -> tuple[Findings, dict[str, Any]]:
    """Compute all stages and write the tables; return what was found, and `result.json`."""
    folder, encoders = stages.folder, range(len(given.encoders))
    machines = machines_of(config)
    stages.run("features", [FeatureWork(config, given, folder, one) for one in encoders])
    works = [
        MachineWork(config, own, folder, encoder, amount, machine)
        for amount, own in labels.items()
        for machine in machines
        for encoder in encoders
    ]
    measured, weights = gather(works, stages.run("machines", works))
    kernels = [
        KernelWork(config, own, folder, encoder, amount, kernel, qubits)
        for amount, own in labels.items()
        for qubits in qubits_of(config.qubits, most=MOST_QUBITS)
        for kernel in kernel_names(config.kernels)
        for encoder in encoders
    ]
    described = described_rows(kernels, stages.run("kernels", kernels))
    names = [run.name for run in given.encoders]
    summary = summary_rows(measured, machines)
    items = compared(Heads(measured, {}), questions(machines), margin=config.margin)
    write_rows(folder / "machines.csv", machine_rows(measured, names))
    write_rows(folder / "summary.csv", summary)
    write_rows(folder / "kernels.csv", described)
    if weights:
        write_rows(folder / "weights.csv", weights)
    if items:
        comparisons = [comparison_row(*item) for item in items]
        columns = [column for column in comparisons[0] if column != "variance"]
        write_rows(folder / "comparisons.csv", comparisons, columns)
    write_measured(folder / "measured.npz", measured)
    result = {
        "data": data.name,
        "images": len(data.splits["test"]),
        "encoders": len(names),
        "encoder_runs": names,
        "subsets": config.subsets,
        "margin": config.margin,
        "notes": notes,
    }
    return findings(result, summary, items, described, weights), result
