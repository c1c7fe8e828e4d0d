"""Tables of finished studies of blocks for the documentation.

    python benchmarks/block_results.py runs/study/...-blocks-... --data pneumoniamnist --name ladder

copies what is published of a study to `docs/results/blocks/NAME/`: its tables, and `measured.npz`,
of which `benchmarks/recompute.py` computes means, intervals and verdicts again. From these files
alone it writes `docs/results/blocks/NAME.md`: the AUC of every combination with its interval, a
verdict for each comparison, where errors arise, and the command that makes the study.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
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
RESULTS = ROOT / "docs" / "results" / "blocks"
TABLES = ("blocks", "summary", "search", "seconds")
"""Tables that every study has."""
MORE = ("comparisons", "gallery", "errors", "slopes", "ratios", "noise")
"""Tables that a study has where it was asked for them."""
TOPICS = {"encoders": "what heads stand on", "reducers": "the reducer", "controls": "the circuit"}
"""What the comparisons of a topic are about."""

STANDS = {
    "pretrained": "features of pretrained encoders",
    "random": "features of untrained ones",
    "imagenet": "features of ImageNet's",
    "pixels": "raw pixels",
}
"""What heads stand on."""

Row = Mapping[str, str]


def called(row: Row) -> str:
    """What a combination is, in words."""
    from hybridq.studies.blocks.grid import called as words

    return words(row["blocks"])


def auc_table(summary: Sequence[Row]) -> list[str]:
    """Means and intervals by amount of labels, with the parameters that are trained."""
    amounts = list(dict.fromkeys(row["labels"] for row in summary))
    found = {(row["labels"], row["blocks"]): row for row in summary}
    rows = [
        [
            called(row),
            f"{row['reducer_parameters']} + {row['head_parameters']}",
            *(mean_cell(found.get((amount, name))) for amount in amounts),
        ]
        for name, row in {row["blocks"]: row for row in summary}.items()
    ]
    return lines_of(["blocks", "trained in reducer + head", *amounts], rows)


def _estimate(row: Row, name: str, form: str = ".3f") -> str:
    value, low, high = (float(row[key]) for key in (name, "low", "high"))
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def more_tables(folder: Path) -> Iterator[str]:
    """Tables of what a study was asked for beside: errors, slopes, ratios, noise."""
    parts = ("approximation", "estimation", "optimisation", "risk")
    shown: dict[str, tuple[str, Sequence[str], Callable[[Row], list[str]]]] = {
        "errors": (
            "Log loss on the test images, and where it arises:",
            ["labels", "blocks", *parts[:3], "log loss"],
            lambda row: [row["labels"], called(row), *(f"{float(row[p]):.3f}" for p in parts)],
        ),
        "slopes": (
            "Change of AUC with each qubit:",
            ["labels", "blocks", "slope"],
            lambda row: [
                row["labels"],
                ", ".join((row["encoder"], row["reducer"], row["head"])),
                _estimate(row, "slope", "+.4f"),
            ],
        ),
        "ratios": (
            "AUC as a share of that with all labels:",
            ["labels", "blocks", "ratio"],
            lambda row: [row["labels"], called(row), _estimate(row, "ratio")],
        ),
        "noise": (
            "AUC of trained circuits under noise, without shots, and its change:",
            ["labels", "blocks", "backend", "AUC", "change", "largest change"],
            lambda row: [
                *(row["labels"], called(row), row["backend"]),
                f"{float(row['auc']):.4f}",
                *(f"{float(row[name]):+.4f}" for name in ("change", "largest_change")),
            ],
        ),
    }
    for name, (title, columns, cells) in shown.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            yield from (title, "", *lines_of(columns, map(cells, read_rows(path))))


def page(name: str) -> str:
    """The tables of a study, from its published files."""
    from hybridq.config import BlocksStudyConfig
    from hybridq.studies.blocks.grid import called as words_of

    folder = RESULTS / name
    config, environment, result = (read_json(folder / f"{fact}.json") for fact in FACTS)
    _, summary, _, seconds = (read_rows(folder / f"{one}.csv") for one in TABLES)
    asked = folder / "comparisons.csv"
    comparisons = read_rows(asked) if asked.is_file() else []
    on = " or ".join(STANDS[kind] for kind in dict.fromkeys(row["encoder"] for row in summary))
    minutes = sum(float(row["seconds"]) for row in seconds) / 60
    default = BlocksStudyConfig().model_dump(mode="json")
    words = options_words(config, default, ("labels", "subsets", "heads", "reducers", "qubits"))
    words = [*(["RUN..."] if config["models"] else []), *words]
    words += ["--encoder-runs RUN..."] if config["encoder_runs"] else []
    return "\n".join(
        [
            *auc_table(summary),
            *(
                line
                for topic in TOPICS
                for line in verdict_table(comparisons, topic, TOPICS[topic], words_of, "blocks")
            ),
            *more_tables(folder),
            f"Mean test AUC over {result['encoders']} encoders by {result['subsets']} choices of "
            f"labelled images on {result['images']} test images, and differences, with 95% "
            "intervals over encoders, choices and test images together; verdicts at a margin of "
            f"{result['margin']:g} after Holm's correction over the comparisons of a topic and an "
            f"amount of labels. Heads stand on {on}, and begin with random weights."
            + "".join(f" {note.rstrip('.')}." for note in result["notes"]),
            "",
            encoders_text(folder, config["data"]),
            made_by(
                f"hybridq study blocks {' '.join(words)}",
                f"{minutes:.0f} minutes",
                f"python benchmarks/block_results.py STUDY --data {config['data']} --name {name}",
                environment,
            ),
            "",
        ]
    )


def recomputed(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tables of a published study, computed anew from `measured.npz`, by their paths.

    What `measured.npz` does not tell, such as counts of parameters and sizes of circuits, stays as
    it is. So do risks and the figures under noise.
    """
    from hybridq.config import BlocksStudyConfig
    from hybridq.evaluation.statistics import mean_interval
    from hybridq.studies.blocks.findings import comparison_row
    from hybridq.studies.blocks.grid import combinations, questions
    from hybridq.studies.blocks.tables import Heads, compared, head_rows, ratio_rows, slope_rows
    from hybridq.studies.heads.given import Given

    heads = Heads(read_measured(folder), {})
    result, config = read_json(folder / "result.json"), read_json(folder / "config.json")
    known = {name: config[name] for name in BlocksStudyConfig.model_fields if name in config}
    asked = BlocksStudyConfig.model_validate(known)
    built = combinations(asked, Given((), asked.data or "", result["circuit"]))
    yield folder / "blocks.csv", text_of(head_rows(heads, result["encoder_runs"]))
    there = {(row["labels"], row["blocks"]): row for row in read_rows(folder / "summary.csv")}
    summary = []
    for key, own in heads.measured.items():
        mean, low, high = mean_interval(own)
        summary.append({**there[key], **{"mean": mean, "low": low, "high": high}})
    yield folder / "summary.csv", text_of(summary)
    rows = [
        comparison_row(*one) for one in compared(heads, questions(built), margin=result["margin"])
    ]
    if rows:
        columns = [name for name in rows[0] if name != "variance"]
        yield folder / "comparisons.csv", text_of(rows, columns)
    for name, own_rows in (("slopes", slope_rows(heads, built)), ("ratios", ratio_rows(heads))):
        if own_rows:
            yield folder / f"{name}.csv", text_of(own_rows)


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
    circuits = read_json(args.study / "report.json").get("circuits", [])
    write_text(folder / "circuits.json", json.dumps(circuits) + "\n")
    write_text(RESULTS / f"{args.name}.md", page(args.name))
    print(page(args.name))


if __name__ == "__main__":
    main()
