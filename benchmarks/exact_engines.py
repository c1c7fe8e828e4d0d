"""Do both exact engines train the same model, and what does each cost?

    python benchmarks/exact_engines.py

Fine-tunes the head `pqc` on generated images with the same seed on `aer_statevector` and on
`statevector`, from the same initial encoder, frozen and trained, and compares the results. The
table goes to `docs/results/exact_engines.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from timing import machine, versions

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
DATA = "phantom,size=32,count=400"
BACKENDS = ("aer_statevector", "statevector")


def train(backend: str, frozen: bool, epochs: int, runs: Path) -> tuple[dict[str, Any], Any]:
    """Fine-tune once; the figures, and the logits of the validation images."""
    from hybridq.config import FinetuneConfig, head_config
    from hybridq.data import load_data
    from hybridq.models.checkpoint import load_model
    from hybridq.training.finetune import finetune
    from hybridq.utils.files import read_jsonl
    from hybridq_backends import open_backend

    run = finetune(
        FinetuneConfig(
            data=DATA,
            runs=runs,
            backend=backend,
            epochs=epochs,
            freeze_encoder=frozen,
            head_start="random",
            head=head_config(name="pqc"),
        )
    )
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    images = load_data(DATA, splits=("val",)).splits["val"].images
    with open_backend("aer_statevector") as reference, torch.inference_mode():
        model, _ = load_model(run, backend=reference)
        logits = model(model.encoder.prepare(images)).double()
    row = {
        "encoder": "frozen" if frozen else "trained",
        "backend": backend,
        "epochs": epochs,
        "seconds": result["seconds"],
        "circuit_jobs": result["circuit_jobs"],
        "train_loss": round(read_jsonl(run / "metrics.jsonl")[-1]["loss"], 6),
        "val_auc": round(result["kept"]["val_auc"], 6),
    }
    return row, logits


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| encoder | backend | seconds | jobs | train loss | validation AUC | logits apart |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r['encoder']} | `{r['backend']}` | {r['seconds']:.1f} | {r['circuit_jobs']} | "
            f"{r['train_loss']:.4f} | {r['val_auc']:.4f} | {float(r['logits_apart']):.1e} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    logging.disable(logging.INFO)
    rows = []
    with tempfile.TemporaryDirectory() as runs:
        for frozen in (True, False):
            found = [train(backend, frozen, args.epochs, Path(runs)) for backend in BACKENDS]
            apart = float((found[0][1] - found[1][1]).abs().max())
            rows += [{**row, "logits_apart": f"{apart:.1e}"} for row, _ in found]
    write_csv(RESULTS / "exact_engines.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"`{DATA}`, {args.epochs} epochs, seed 0; the last column is the largest difference of a "
        "validation logit between the two models, both read on Aer. Made by "
        f"`python benchmarks/exact_engines.py` on {machine()}; "
        f"{versions('torch', 'qiskit', 'qiskit-aer')}.",
        "",
    ]
    write_text(RESULTS / "exact_engines.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
