"""Tables of finished studies of kernels for the documentation.

    python benchmarks/kernel_results.py runs/study/...-kernels-... --data pneumoniamnist \
        --name pneumoniamnist

copies what is published of a study to `docs/results/kernels/NAME/`: its tables, and `measured.npz`,
of which `benchmarks/recompute.py` computes means, intervals and verdicts again. From these files
alone it writes `docs/results/kernels/NAME.md`: the AUC of every machine with its interval, a
verdict for each comparison, what each kernel is like, and the command that makes the study.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from published import (
    FACTS,
    encoders_text,
    lines_of,
    made_by,
    mean_cell,
    options_words,
    publish,
    read_measured,
    text_of,
    verdict_table,
)
from rows import read_json, read_rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "kernels"
TABLES = ("machines", "summary", "kernels", "seconds")
"""Tables that every study has."""
MORE = ("comparisons", "weights")
"""Tables that a study may have."""
TOPICS = {
    "banks": "quantum kernels together",
    "kernels": "each quantum kernel",
    "reservoirs": "the reservoir",
}
"""What the comparisons of a topic are about."""

Row = Mapping[str, str]


def auc_table(summary: Sequence[Row]) -> list[str]:
    """Means and intervals by amount of labels and number of components."""
    from hybridq.studies.kernels.grid import CALLED

    columns = list(dict.fromkeys((row["labels"], row["qubits"]) for row in summary))
    found = {(row["kind"], row["labels"], row["qubits"]): row for row in summary}
    rows = [
        [
            CALLED.get(kind, kind),
            "yes" if own["quantum"] == "True" else "no",
            *(mean_cell(found.get((kind, *one))) for one in columns),
        ]
        for kind, own in {row["kind"]: row for row in summary}.items()
    ]
    named = [f"{labels}, {qubits} components" for labels, qubits in columns]
    return lines_of(["machine", "circuits", *named], rows)


def kernel_table(kernels: Sequence[Row]) -> list[str]:
    """What quantum kernels are like at each bandwidth, with the most labels and components."""
    amount, qubits = kernels[-1]["labels"], kernels[-1]["qubits"]
    own = [row for row in kernels if (row["labels"], row["qubits"]) == (amount, qubits)]

    def cell(row: Row, name: str, form: str) -> str:
        return f"{float(row[name]):{form}}" if row[name] else "-"

    rows = [
        [
            *(row["kernel"], row["bandwidth"], cell(row, "alignment", ".3f")),
            *(cell(row, "held_out_auc", ".3f"), cell(row, "geometric_difference", ".2f")),
            *(cell(row, "fidelity", ".3f"), cell(row, "concentrated", ".0%")),
        ]
        for row in own
    ]
    columns = ["kernel", "bandwidth", "alignment", "held-out AUC", "geometric difference"]
    columns += ["mean fidelity", "concentrated"]
    told = f"What kernels are like on the labelled images, {amount}, {qubits} components:"
    return [told, "", *lines_of(columns, rows)]


def page(name: str) -> str:
    """The tables of a study, from its published files."""
    from hybridq.config import KernelsStudyConfig
    from hybridq.studies.kernels.grid import called

    folder = RESULTS / name
    config, environment, result = (read_json(folder / f"{fact}.json") for fact in FACTS)
    _, summary, kernels, seconds = (read_rows(folder / f"{one}.csv") for one in TABLES)
    asked = folder / "comparisons.csv"
    comparisons = read_rows(asked) if asked.is_file() else []
    minutes = sum(float(row["seconds"]) for row in seconds) / 60
    default = KernelsStudyConfig().model_dump(mode="json")
    words = options_words(config, default, ("labels", "subsets", "qubits", "kernels"))
    return "\n".join(
        [
            *auc_table(summary),
            *(
                line
                for topic in TOPICS
                for line in verdict_table(comparisons, topic, TOPICS[topic], called, "machine")
            ),
            *kernel_table(kernels),
            f"Mean test AUC over {result['encoders']} encoders by {result['subsets']} choices of "
            f"labelled images on {result['images']} test images, and differences, with 95% "
            "intervals over encoders, choices and test images together; verdicts at a margin of "
            f"{result['margin']:g} after Holm's correction over the comparisons of a topic and an "
            "amount of labels." + "".join(f" {note.rstrip('.')}." for note in result["notes"]),
            "",
            encoders_text(folder, config["data"]),
            made_by(
                f"hybridq study kernels {' '.join([*words, '--encoder-runs RUN...'])}",
                f"{minutes:.0f} minutes",
                f"python benchmarks/kernel_results.py STUDY --data {config['data']} --name {name}",
                environment,
            ),
            "",
        ]
    )


def recomputed(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tables of a published study, computed anew from `measured.npz`, by their paths.

    What kernels are like, and their shares, stays as it is.
    """
    from hybridq.config import KernelsStudyConfig
    from hybridq.studies.blocks.findings import comparison_row
    from hybridq.studies.blocks.tables import Heads, compared
    from hybridq.studies.kernels.grid import machines_of, questions
    from hybridq.studies.kernels.tables import machine_rows, summary_rows

    measured = read_measured(folder)
    result, config = read_json(folder / "result.json"), read_json(folder / "config.json")
    known = {name: config[name] for name in KernelsStudyConfig.model_fields if name in config}
    machines = machines_of(KernelsStudyConfig.model_validate(known))
    yield folder / "machines.csv", text_of(machine_rows(measured, result["encoder_runs"]))
    yield folder / "summary.csv", text_of(summary_rows(measured, machines))
    answers = compared(Heads(measured, {}), questions(machines), margin=result["margin"])
    if answers:
        rows = [comparison_row(*one) for one in answers]
        columns = [name for name in rows[0] if name != "variance"]
        yield folder / "comparisons.csv", text_of(rows, columns)


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    from hybridq.utils.files import write_text

    folder = RESULTS / args.name
    more = [name for name in MORE if (args.study / f"{name}.csv").is_file()]
    publish(args.study, folder, args.data, (*TABLES, *more))
    shutil.copyfile(args.study / "measured.npz", folder / "measured.npz")
    write_text(RESULTS / f"{args.name}.md", page(args.name))
    print(page(args.name))


if __name__ == "__main__":
    main()
