"""The pictures and the table of the gallery, from published studies of blocks.

    python benchmarks/gallery.py

reads the studies `NAMES` in `docs/results/blocks/` (see `block_results.py`). For every quantum head
it draws `docs/gallery/HEAD.png`: its circuit, and its AUC with that of its control below. From the
same files it writes `docs/gallery/table.md`, what a device runs for each head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from block_results import RESULTS
from published import lines_of
from rows import read_json, read_rows

GALLERY = RESULTS.parents[1] / "gallery"
NAMES = ("heads", "ttn")
"""The published studies of blocks that the gallery shows."""
WIDTH, FOLD = 8.4, 16
"""Inches of a picture, and columns of gates in a row of its circuit."""

Row = Mapping[str, str]


def rows_of_heads() -> dict[tuple[str, str], list[Row]]:
    """The rows of the gallery by study and head, one for each amount of labels.

    Of a head with several reducers it is the one that is its own: a tensor train where the head is
    made for one, else a dense map.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for name in NAMES:
        for row in read_rows(RESULTS / name / "gallery.csv"):
            if row["reducer"] in ("none", "tt" if row["head"].startswith("ttn") else "linear"):
                found.setdefault((name, row["head"]), []).append(row)
    return found


def table_lines() -> list[str]:
    """What a device runs for each head, and how it compares with its control."""
    columns = [
        *("head", "trained: reducer + head", "in circuits", "qubits", "depth", "two-qubit gates"),
        *("circuits an image", "QPU seconds", "step"),
    ]
    found = rows_of_heads()
    amounts = list(dict.fromkeys(row["labels"] for own in found.values() for row in own))
    rows = []
    for (_, head), own in found.items():
        one = own[0]
        by = {row["labels"]: row for row in own}
        rows.append(
            [
                f"[{one['label']}](gallery/{head}.md)",
                f"{one['reducer_parameters']} + {one['head_parameters']}",
                *(one[key] for key in ("quantum_parameters", "qubits", "depth")),
                *(one[key] for key in ("two_qubit_gates", "circuits", "qpu_seconds")),
                f"{float(one['step_ms']):.1f} ms" if one["step_ms"] else "-",
                *(_against(by[amount]) if amount in by else "-" for amount in amounts),
            ]
        )
    return lines_of([*columns, *(f"AUC, {amount}" for amount in amounts)], rows)


def _against(row: Row) -> str:
    own, low, high = (float(row[key]) for key in ("auc", "low", "high"))
    text = f"{own:.3f} [{low:.3f}, {high:.3f}]"
    if not row["control_auc"]:
        return text
    return f"{text}, control {float(row['control_auc']):.3f}: {row['verdict']}"


def draw(head: str, name: str, own: Sequence[Row], circuit: Mapping[str, Any]) -> Path:
    """Draw a circuit over the AUCs of its head and of the control."""
    from hybridq.evaluation.circuit_drawings import circuit_of, circuit_size, draw_circuit
    from hybridq.plotting import Estimate, forest, forest_height
    from hybridq.plotting.canvas import save_png
    from hybridq.records.findings import DrawnCircuit

    made = circuit_of(DrawnCircuit.model_validate(circuit))
    summary = read_rows(RESULTS / name / "summary.csv")
    estimates = []
    for row in own:
        beside = row["blocks"].replace(f"-{head}-", f"-{row['control']}-")
        found = {one["blocks"]: one for one in summary if one["labels"] == row["labels"]}
        for blocks, called, verdict in (
            (row["blocks"], f"{head}, {row['labels']}", row["verdict"]),
            (beside, f"its control {row['control']}, {row['labels']}", None),
        ):
            if blocks not in found:
                continue
            values = [float(found[blocks][key]) for key in ("mean", "low", "high")]
            estimates.append(Estimate(called, *values, verdict))
    wide, high = circuit_size(made, FOLD)
    circuit_height, below = high * WIDTH / wide if wide > WIDTH else high, forest_height(estimates)

    def plot(figure: Any) -> None:
        top, bottom = figure.subfigures(2, 1, height_ratios=[circuit_height, below])
        draw_circuit(top, made, FOLD)
        forest(bottom.subplots(), estimates, xlabel="AUC, test split")

    return save_png(
        GALLERY / f"{head}.png", plot, width=WIDTH, height=circuit_height + below, math=True
    )


def main() -> None:
    """Draw and write."""
    from hybridq.models.heads import head_entry
    from hybridq.utils.files import write_text

    GALLERY.mkdir(exist_ok=True)
    for (name, head), own in rows_of_heads().items():
        title = f"{head_entry(head).label} ({head})"
        circuits = {one["title"]: one for one in read_json(RESULTS / name / "circuits.json")}
        print(draw(head, name, own, circuits[title]).name)
    write_text(GALLERY / "table.md", "\n".join(table_lines()))


if __name__ == "__main__":
    main()
