"""What does it bring a training step that freed memory is kept?

    python benchmarks/freed_memory.py

Steps of MobileNetV2 (forward, cross-entropy, backward, AdamW), with malloc as glibc sets itself
once blocks of 32 MiB have been freed, and with `hybridq.utils.memory.keep_freed_memory`, in turn
in one process, which is another for each size: memory that larger steps have left hides the effect.
Before each timed step one is made that is not timed, since the first after a change maps its
memory anew. The table goes to `docs/results/freed_memory.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from timing import Step, interleave, machine, quartiles, versions
from training_step import make_step

from hybridq.utils.memory import KEPT, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, set_malloc

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
BY_ITSELF = {M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26}
"""Where glibc's thresholds end up by themselves: at most 32 MiB, and twice that."""
SIZES = ((56, 64), (56, 256), (84, 64), (224, 16))
"""Pixels and images of a step; 256 are the views of 128 images."""


def faults() -> int:
    """Pages mapped by this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def compare(image_size: int, images: int, rounds: int, threads: int) -> dict[str, float]:
    """Time both settings; return a row."""
    torch.set_num_threads(threads)
    step = make_step("linear", "statevector", image_size, images)
    mapped: dict[str, int] = {}

    def prepared(name: str, values: dict[int, int]) -> Step:
        def prepare() -> None:
            if not set_malloc(values):
                raise SystemExit("Expected glibc's mallopt, got another C library: run on Linux.")
            step()
            before = faults()
            step()
            mapped[name] = faults() - before

        return prepare

    settings = {"by itself": BY_ITSELF, "kept": KEPT}
    taken = interleave(
        dict.fromkeys(settings, step),
        {name: prepared(name, values) for name, values in settings.items()},
        rounds=rounds,
        seconds=60,
    )
    row: dict[str, float] = {"image_size": image_size, "images": images, "rounds": rounds}
    for name, key in (("by itself", "by_itself"), ("kept", "kept")):
        low, middle, high = quartiles(taken[name])
        row |= {
            f"{key}_ms": round(1e3 * middle, 1),
            f"{key}_ms_low": round(1e3 * low, 1),
            f"{key}_ms_high": round(1e3 * high, 1),
            f"{key}_pages": mapped[name],
        }
    row["ratio"] = round(row["by_itself_ms"] / row["kept_ms"], 3)
    return row


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| pixels | images of a step | by itself (quartiles) | pages mapped | memory kept | "
        "pages mapped | ratio |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r['image_size']} | {r['images']} | {r['by_itself_ms']:.0f} ms "
            f"({r['by_itself_ms_low']:.0f}-{r['by_itself_ms_high']:.0f}) | {r['by_itself_pages']} "
            f"| {r['kept_ms']:.0f} ms ({r['kept_ms_low']:.0f}-{r['kept_ms_high']:.0f}) | "
            f"{r['kept_pages']} | {r['ratio']:.2f} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    rows = []
    for size in SIZES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            rows.append(process.submit(compare, *size, args.rounds, args.threads).result())
    write_csv(RESULTS / "freed_memory.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"Medians of {args.rounds} rounds, threads: {args.threads}. Made by `python "
        f"benchmarks/freed_memory.py` on {machine()}; {versions('torch', 'torchvision')}.",
        "",
    ]
    write_text(RESULTS / "freed_memory.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
