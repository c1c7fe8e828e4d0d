"""What does the quantum head cost in a fine-tuning step?

    python benchmarks/training_step.py

One step at 64 pixels and batch 32 (MobileNetV2 and head forward, cross-entropy, backward, AdamW),
with each head in turn, interleaved in one process; Aer, whose own threads slow what comes after a
call, is timed with the linear head alone, after all others. The table goes to
`docs/results/training_step.csv` and `.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from timing import Step, interleave, machine, milliseconds, versions
from torch import nn

from hybridq.config import head_config
from hybridq.models.classifier import build_model
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import EncoderSpec
from hybridq_backends import open_backend

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
ARMS = {
    "linear": ("linear", "statevector"),
    "mlp": ("mlp", "statevector"),
    "pqc on statevector": ("pqc", "statevector"),
    "pqc_residual on statevector": ("pqc_residual", "statevector"),
    "pqc on aer_statevector": ("pqc", "aer_statevector"),
}
ON_AER = "pqc on aer_statevector"
ON_TORCH = tuple(name for name in ARMS if name != ON_AER)


def make_step(head: str, backend: str, image_size: int, batch: int) -> Step:
    """A training step with one head."""
    spec = EncoderSpec(image_size=image_size)
    model = build_model(
        build_encoder("none", spec, seed=0),
        head_config(name=head),
        2,
        backend=open_backend(backend),
        seed=0,
    ).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, image_size, image_size, generator=generator)
    labels = torch.arange(batch) % 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def compare(names: Sequence[str], threads: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the heads named, of which the first is the measure; a row for each."""
    torch.set_num_threads(threads)
    steps = {name: make_step(*ARMS[name], args.image_size, args.batch_size) for name in names}
    taken = interleave(steps, rounds=args.rounds, seconds=30)
    base = median(taken[names[0]])
    rows = []
    for name in names:
        rows.append(
            {
                "head": name,
                "threads": threads,
                **milliseconds(taken[name], 2),
                "ratio": round(median(taken[name]) / base, 4),
                "rounds": len(taken[name]),
            }
        )
    return rows


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| head | threads | step (quartiles) | against `linear` |",
        "|---|---|---|---|",
        *(
            f"| {r['head']} | {r['threads']} | {r['ms']:.1f} ms ({r['ms_low']:.1f}-"
            f"{r['ms_high']:.1f}) | {r['ratio']:.3f} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    rows = [row for threads in args.threads for row in compare(ON_TORCH, threads, args)]
    rows += [compare(("linear", ON_AER), threads, args)[1] for threads in args.threads]
    write_csv(RESULTS / "training_step.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"Medians of {args.rounds} interleaved steps at {args.image_size} px, batch "
        f"{args.batch_size}. Made by `python benchmarks/training_step.py` on {machine()}; "
        f"{versions('torch', 'qiskit', 'qiskit-aer')}.",
        "",
    ]
    write_text(RESULTS / "training_step.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
