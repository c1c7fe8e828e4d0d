"""What does a training step of each head take, on features that are there already?

    python benchmarks/block_steps.py

One step of every head at 4 qubits, a batch of 32 and one thread (forward, cross-entropy, backward,
AdamW) on 1280 features, or maps of 2 x 2 positions, on the exact engine; interleaved in one
process. `circuits` are those of the step; `times_linear` is the median of the ratios to the step of
`linear` in the same round. The table goes to `docs/results/block_steps.csv`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import torch
from timing import Step, interleave, milliseconds
from torch import nn

from hybridq.config import head_config
from hybridq.models.heads import HEADS, build_head, num_trainable
from hybridq.quantum.modules import running_on
from hybridq_backends import Deferred, open_backend

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "block_steps.csv"
FEATURES, CLASSES, BATCH, QUBITS = 1280, 2, 32, 4
MAPS = (FEATURES, 2, 2)


def make(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Build a head at four qubits, and a batch for it."""
    known = HEADS[name].config.model_fields
    config = head_config(name, **({"num_qubits": QUBITS} if "num_qubits" in known else {}))
    is_map = HEADS[name].input == "map"
    head = build_head(
        MAPS if is_map else FEATURES, CLASSES, config, backend=open_backend("statevector")
    )
    generator = torch.Generator().manual_seed(0)
    shape = MAPS if is_map else (FEATURES,)
    return head.train(), torch.randn(BATCH, *shape, generator=generator)


def make_step(head: nn.Module, inputs: torch.Tensor) -> Step:
    """A training step of a head."""
    labels = torch.arange(BATCH) % CLASSES
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(inputs), labels).backward()
        optimizer.step()

    return step


def circuits_of_step(head: nn.Module, inputs: torch.Tensor) -> int:
    """Count the circuits that a forward pass asks for, where nothing is computed exactly."""
    with open_backend("aer_statevector") as exact:
        later = Deferred(exact)
        with torch.no_grad(), running_on(head, later):
            head(inputs)
        return sum(len(request.rows) for request in later.requests)


def main() -> None:
    """Time every head and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    built = {name: make(name) for name in HEADS}
    circuits = {name: circuits_of_step(*one) for name, one in built.items()}
    taken = interleave({name: make_step(*one) for name, one in built.items()}, rounds=args.rounds)
    rows: list[dict[str, Any]] = [
        {
            "head": name,
            "parameters": num_trainable(built[name][0]),
            "circuits": circuits[name],
            **milliseconds(own, 2),
            "times_linear": round(
                median(a / b for a, b in zip(own, taken["linear"], strict=False)), 1
            ),
        }
        for name, own in taken.items()
    ]
    write_csv(OUT, list(rows[0]), [list(row.values()) for row in rows])
    for row in rows:
        print(" | ".join(map(str, row.values())))


if __name__ == "__main__":
    main()
