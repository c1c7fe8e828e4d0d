"""Tables and pictures of finished studies of capacity for the documentation.

    python benchmarks/capacity_results.py runs/study/...-capacity-chest_xray --name chest_xray

copies what is published of a study to `docs/results/capacity/NAME/`: its tables, its pictures, and
`measured.npz`, of which `benchmarks/recompute.py` computes the tables again. From these files alone
it writes `docs/results/capacity/NAME.md`: the role of the circuit, mean test AUC of every arm with
intervals, a verdict for each comparison, and the command that makes the study.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from published import (
    FACTS,
    encoders_text,
    made_by,
    mean_cell,
    options_words,
    publish,
    read_measured,
    text_of,
    verdict_cell,
)
from rows import read_json, read_rows

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "capacity"
TABLES = ("capacity", "summary", "comparisons", "roles", "search", "seconds")


def auc_table(summary: list[dict[str, str]]) -> list[str]:
    """Means and intervals of the arms by reducer, with the trained parameters of the block."""
    from hybridq.studies.capacity.arms import CALLED, REDUCERS

    kinds = list(dict.fromkeys(row["reducer"] for row in summary))
    found = {(row["arm"], row["reducer"]): row for row in summary}
    names = ["arm", "weights of the block", *(REDUCERS[kind] for kind in kinds)]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for arm in dict.fromkeys(arm for arm, _ in found):
        own = next(row for row in summary if row["arm"] == arm)
        cells = [mean_cell(found.get((arm, kind))) for kind in kinds]
        lines.append(
            "| " + " | ".join([CALLED[arm], own["block_parameters"] or "-", *cells]) + " |"
        )
    return lines


def verdict_table(comparisons: list[dict[str, str]]) -> list[str]:
    """A verdict on the circuit for each question and reducer."""
    from hybridq.studies.capacity.arms import CALLED, REDUCERS

    kinds = list(dict.fromkeys(row["reducer"] for row in comparisons))
    found = {(row["b"], row["reducer"]): row for row in comparisons}
    names = ["question", "against", *(REDUCERS[kind] for kind in kinds)]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for arm, question in dict.fromkeys((row["b"], row["question"]) for row in comparisons):
        cells = [verdict_cell(found.get((arm, kind))) for kind in kinds]
        lines.append(f"| {question} | {CALLED[arm]} | " + " | ".join(cells) + " |")
    return lines


def roles_text(roles: list[dict[str, str]]) -> str:
    """The role of the circuit with each reducer."""
    from hybridq.studies.capacity.arms import CALLED, REDUCERS

    lines = []
    for kind in dict.fromkeys(row["reducer"] for row in roles):
        words = []
        for row in roles:
            if row["reducer"] == kind:
                arms = ", ".join(CALLED[arm] for arm in row["rests_on"].split())
                words.append(row["role"] + (f" (this rests on: {arms})" if arms else ""))
        lines.append(f"- {REDUCERS[kind]}: {', and '.join(words)}.")
    return "\n".join(lines)


def page(name: str) -> str:
    """The page of a data set, from its published files."""
    from hybridq.config import CapacityStudyConfig

    folder = RESULTS / name
    config, environment, result = (read_json(folder / f"{fact}.json") for fact in FACTS)
    _, summary, comparisons, roles, _, seconds = (
        read_rows(folder / f"{one}.csv") for one in TABLES
    )
    minutes = sum(float(row["seconds"]) for row in seconds) / 60
    setting = " and ".join(f"{value:g}" for value in result["setting"].values())
    default = CapacityStudyConfig().model_dump(mode="json")
    words = options_words(config, default, ("labels", "subsets"))
    words = [*(["RUN..."] if config["models"] else []), *words]
    words += ["--encoder-runs RUN..."] if config["encoder_runs"] else []
    return "\n".join(
        [
            "Role of the circuit with each reducer:",
            "",
            roles_text(roles),
            "",
            *auc_table(summary),
            "",
            *verdict_table(comparisons),
            "",
            f"Mean test AUC over {result['encoders']} encoders by {result['subsets']} label "
            f"subsets of {result['train_images']} images on {result['images']} test images, and "
            "the difference of the circuit from each other arm, with 95% intervals over encoders, "
            f"subsets and test images together; verdicts at a margin of {result['margin']:g} after "
            "Holm's correction over the comparisons of a topic. Peak rates of the outer parts and "
            f"of the block, searched within the labels: {setting}."
            + "".join(f" {note.rstrip('.')}." for note in result["notes"]),
            "",
            encoders_text(folder, name),
            made_by(
                f"hybridq study capacity {' '.join(words)}",
                f"{minutes:.0f} minutes",
                f"python benchmarks/capacity_results.py STUDY --name {name}",
                environment,
            ),
            "",
        ]
    )


def recomputed(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tables of a published study, computed anew from `measured.npz`, by their paths.

    What `measured.npz` does not tell, counts of parameters and slopes, stays as it is.
    """
    from hybridq.evaluation.statistics import mean_interval
    from hybridq.studies.capacity.findings import comparison_row
    from hybridq.studies.capacity.tables import Arms, capacity_rows, compared, role_rows, roles_of

    arms = Arms(read_measured(folder), {})
    result = read_json(folder / "result.json")
    yield folder / "capacity.csv", text_of(capacity_rows(arms, result["encoder_runs"]))
    there = {(row["reducer"], row["arm"]): row for row in read_rows(folder / "summary.csv")}
    summary = []
    for key, own in arms.measured.items():
        mean, low, high = mean_interval(own)
        found = {"mean": mean, "low": low, "high": high, "seeds": len(own.values)}
        summary.append({**there[key], **found})
    yield folder / "summary.csv", text_of(summary)
    items = compared(arms, margin=result["margin"])
    rows = [comparison_row(*item) for item in items]
    columns = [name for name in rows[0] if name != "variance"]
    yield folder / "comparisons.csv", text_of(rows, columns)
    yield folder / "roles.csv", text_of(role_rows(roles_of(items)))


def main() -> None:
    """Copy and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    from hybridq.utils.files import write_text

    folder = RESULTS / args.name
    publish(args.study, folder, args.name, TABLES)
    shutil.copyfile(args.study / "measured.npz", folder / "measured.npz")
    write_text(RESULTS / f"{args.name}.md", page(args.name))
    print(page(args.name))


if __name__ == "__main__":
    main()
