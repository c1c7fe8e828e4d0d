"""How many heads a second are trained at once, and how many one after another?

    python benchmarks/many_heads.py

Heads of each kind, with 4 qubits and 2 layers where there is a circuit, on 1280 features of 546
images, each on 50 of them and for 200 steps: by `train_heads`, and a few of them by `train_head` in
turn, in one process and on one thread. Both end at the same heads, as the last column says. The
table goes to `docs/results/many_heads.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import Step, machine, versions

from hybridq.config import head_config
from hybridq.models.heads import HEADS, build_head
from hybridq.training.heads.head import head_probs, train_head
from hybridq.training.heads.many_heads import heads_probs, train_heads
from hybridq.utils.files import write_csv, write_text
from hybridq_backends import open_backend

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
IMAGES, FEATURES, LABELS = 546, 1280, 50
ALONE = 4


def seconds(step: Step) -> float:
    """Time of the processor that a call takes, whatever else runs on it."""
    begun = time.process_time()
    step()
    return time.process_time() - begun


def compare(name: str, count: int, steps: int, rounds: int) -> dict[str, Any]:
    """Time both ways in turn; the fastest of the rounds counts."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(IMAGES, FEATURES, generator=generator)
    labels = torch.randint(0, 2, (IMAGES,), generator=generator)
    rows = [np.random.default_rng(seed).permutation(IMAGES)[:LABELS] for seed in range(count)]
    backend = open_backend("statevector")
    begun = [
        build_head(
            FEATURES,
            2,
            head_config(name=name),
            backend=backend,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in range(count)
    ]
    setting: dict[str, Any] = {
        "num_classes": 2,
        "steps": steps,
        "learning_rate": 5e-3,
        "block_learning_rate": 1e-2,
        "weight_decay": 1e-2,
    }
    together: list[float] = []
    alone: list[float] = []
    for _ in range(rounds):
        heads, some = copy.deepcopy(begun), copy.deepcopy(begun[:ALONE])

        def all_at_once(heads: Any = heads) -> None:
            train_heads(heads, features, labels, rows, seeds=range(count), **setting)

        def one_by_one(heads: Any = some) -> None:
            for seed, (head, own) in enumerate(zip(heads, rows, strict=False)):
                train_head(head, features[own], labels[own], seed=seed, **setting)

        together.append(seconds(all_at_once) / count)
        alone.append(seconds(one_by_one) / ALONE)
    probs = heads_probs(heads[:ALONE], features, multilabel=False)
    wanted = [head_probs(head, features, multilabel=False) for head in some]
    return {
        "head": name,
        "heads": count,
        "steps": steps,
        "together_per_s": round(1 / min(together), 2),
        "alone_per_s": round(1 / min(alone), 2),
        "ratio": round(min(alone) / min(together), 1),
        "difference": f"{np.abs(probs - wanted).max():.0e}",
    }


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| head | heads a second, at once | one after another | ratio | probabilities differ by |",
        "|---|---|---|---|---|",
        *(
            f"| `{r['head']}` | {r['together_per_s']:.2f} | {r['alone_per_s']:.2f} | "
            f"{r['ratio']:.1f} | {float(r['difference']):.0e} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in HEADS:
        rows.append(compare(name, args.heads, args.steps, args.rounds))
        print(rows[-1], flush=True)
    write_csv(RESULTS / "many_heads.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"{args.heads} heads at once and {ALONE} one after another, each trained for {args.steps} "
        f"steps on {LABELS} images of {FEATURES} features; seconds of the processor on one thread, "
        f"the faster of {args.rounds} rounds. Made by `python benchmarks/many_heads.py` on "
        f"{machine()}; {versions('torch')}.",
        "",
    ]
    write_text(RESULTS / "many_heads.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
