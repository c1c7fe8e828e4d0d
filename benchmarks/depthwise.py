"""What does it bring to multiply small maps in place of convolving them, in a training step?

    python benchmarks/depthwise.py

MobileNetV2 forward and backward on the 128 views of a pretraining step, with torch's depthwise
convolutions and with those that multiply maps of up to 1, 4 and 9 pixels, interleaved in one
process on one thread; before that the gradients of both are compared. The last maps have as many
pixels as the input has squares of 32. The table goes to `docs/results/depthwise.csv` and `.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from timing import Step, interleave, machine, milliseconds, versions

from hybridq.models.encoders import depthwise
from hybridq.models.encoders.encoder import Encoder, EncoderSpec

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
PIXELS = (0, 1, 4, 9)


def make_step(encoder: Encoder, images: torch.Tensor, most: int) -> Step:
    """A forward and a backward in which maps of up to `most` pixels are multiplied."""

    def step() -> None:
        depthwise.MOST_PIXELS = most
        encoder.zero_grad()
        encoder(images).square().mean().backward()

    return step


def check(encoder: Encoder, steps: Mapping[int, Step]) -> None:
    """Compare the gradients of all steps with those of torch's convolutions.

    Raises:
        SystemExit: If they differ by more than rounding.
    """
    found = {}
    for most, step in steps.items():
        step()
        grads = [p.grad.flatten() for p in encoder.parameters() if p.grad is not None]
        found[most] = torch.cat(grads)
    for most, grads in found.items():
        apart = float((grads - found[0]).norm() / found[0].norm())
        if apart > 1e-3:
            raise SystemExit(
                f"Expected the gradients of torch's convolutions, got others with maps of {most} "
                f"pixels, by {apart:.1e} of their norm."
            )


def measure(size: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the steps at one size of the input; a row for each."""
    encoder = Encoder(EncoderSpec(image_size=size)).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(args.batch_size, 3, size, size, generator=generator)
    images = images.to(memory_format=torch.channels_last)
    steps = {most: make_step(encoder, images, most) for most in PIXELS}
    check(encoder, steps)
    taken = interleave(
        {str(most): step for most, step in steps.items()}, rounds=args.rounds, seconds=60, warm=1
    )
    base = median(taken["0"])
    return [
        {
            "image_size": size,
            "most_pixels": most,
            **milliseconds(taken[str(most)]),
            "faster": round(base / median(taken[str(most)]), 3),
        }
        for most in PIXELS
    ]


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| input | maps that are multiplied | forward and backward (quartiles) | times as fast |",
        "|---|---|---|---|",
        *(
            f"| {r['image_size']} px | "
            + (f"up to {r['most_pixels']} pixels" if r["most_pixels"] else "none")
            + f" | {r['ms']:.0f} ms ({r['ms_low']:.0f}-{r['ms_high']:.0f}) | {r['faster']:.2f} |"
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 56, 64, 84])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    torch.set_num_threads(1)
    rows = [row for size in args.sizes for row in measure(size, args)]
    write_csv(RESULTS / "depthwise.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"Medians of at most {args.rounds} interleaved steps of {args.batch_size} images on one "
        f"thread. Made by `python benchmarks/depthwise.py` on {machine()}; {versions('torch')}.",
        "",
    ]
    write_text(RESULTS / "depthwise.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
