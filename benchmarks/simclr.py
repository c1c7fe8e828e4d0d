"""Does making the views hold SimCLR up?

    python benchmarks/simclr.py

A pretraining step of 128 images at 64 pixels, in the training loop that `hybridq pretrain` runs
(two views of each image, MobileNetV2, projection head, NT-Xent, backward, AdamW, Lightning), beside

- the bare encoder: its forward and backward on the same number of views, made before;
- lightly's `SimCLRTransform`, as it comes, one image after the other, on the same images as PIL
  images: the views alone, and a step that is fed by them;
- the package's views alone, and the same with each of Kornia's steps as it comes, on all images.

All in one process and on the threads stated, interleaved: whenever the loop has finished a step,
the others take their turn once. The table goes to `docs/results/simclr.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from lightly.transforms import SimCLRTransform
from lightning.pytorch import Callback, Trainer
from PIL import Image
from timing import Step, machine, milliseconds, versions

from hybridq.config import ComputeConfig, PretrainConfig
from hybridq.models.encoders.build import build_encoder
from hybridq.models.encoders.encoder import EncoderSpec
from hybridq.training.fit import Plan, fit
from hybridq.training.objectives.self_supervised import SelfSupervised

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
LOOP = "pretraining"
BARE = "bare encoder"
ON_LIGHTLY = "a step fed by lightly"
VIEWS = "views alone"
LIGHTLY = "lightly's views alone"
ON_ALL = "views, steps on all images"
ARMS = (LOOP, BARE, ON_LIGHTLY, VIEWS, LIGHTLY, ON_ALL)


Times = tuple[float, float]
"""Seconds on the wall, and of this process on the processor, which others on it do not touch."""


def now() -> Times:
    return time.perf_counter(), time.process_time()


def since(begun: Times) -> Times:
    wall, processor = now()
    return wall - begun[0], processor - begun[1]


class TakeTurns(Callback):
    """Times each step of the loop, and after it the others; the first rounds warm up."""

    def __init__(self, others: dict[str, Step], warm: int) -> None:
        self.others = others
        self.warm = warm
        self.taken: dict[str, list[Times]] = {name: [] for name in (LOOP, *others)}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Start the clock."""
        self.begun = now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock while the others take their turn."""
        self.taken[LOOP].append(since(self.begun))
        for name, step in self.others.items():
            begun = now()
            step()
            self.taken[name].append(since(begun))
        self.begun = now()

    def seconds(self) -> dict[str, np.ndarray]:
        """Wall and processor time of each round `(rounds, 2)`, without the warm-up."""
        return {name: np.array(values[self.warm :]) for name, values in self.taken.items()}


def measure(kind: str, threads: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time grey or colour images; a row for each arm."""
    torch.set_num_threads(threads)
    size, batch, rounds = args.image_size, args.batch_size, args.rounds + args.warm
    channels = 3 if kind == "colour" else 1
    shape = (batch * rounds, channels, size, size)
    images = torch.randint(
        256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    spec = EncoderSpec(image_size=size, mean=(0.5,) * 3, std=(0.25,) * 3)
    config = PretrainConfig(epochs=1, batch_size=batch)
    objective = SelfSupervised(config, build_encoder("none", spec, seed=0), images)

    some = images[:batch]
    pillow = [
        Image.fromarray(pixels.squeeze()).convert("RGB")
        for pixels in some.permute(0, 2, 3, 1).numpy()
    ]
    transform = SimCLRTransform(input_size=size)
    bare = build_encoder("none", spec, seed=0).train()
    twin = SelfSupervised(config, build_encoder("none", spec, seed=0), images).method.train()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-3)
    ready = torch.cat([objective.augment(some), objective.augment(some)])

    def on_bare() -> None:
        bare.zero_grad()
        bare(ready).mean().backward()

    def views() -> None:
        objective.augment(some)
        objective.augment(some)

    def views_on_all() -> None:
        for _ in range(2):
            view = objective.augment.steps(some / 255)
            (view - objective.augment.mean) / objective.augment.std

    def of_lightly() -> tuple[torch.Tensor, torch.Tensor]:
        first, second = zip(*(transform(image) for image in pillow), strict=True)
        return torch.stack(first), torch.stack(second)

    def on_lightly() -> None:
        optimizer.zero_grad()
        twin(of_lightly()).backward()
        optimizer.step()

    others = {
        BARE: on_bare,
        ON_LIGHTLY: on_lightly,
        VIEWS: views,
        LIGHTLY: of_lightly,
        ON_ALL: views_on_all,
    }
    turns = TakeTurns(others, args.warm)
    with TemporaryDirectory() as folder:
        plan = Plan(1, ComputeConfig(accelerator="cpu"), folder=Path(folder), checkpoint_every=1)
        fit(objective, plan, [turns])
    taken = turns.seconds()
    own = {LOOP: LOOP, BARE: LOOP, ON_LIGHTLY: LOOP, VIEWS: VIEWS, LIGHTLY: VIEWS, ON_ALL: VIEWS}
    rows = []
    for name in ARMS:
        wall, processor = np.median(taken[name] / taken[own[name]], axis=0)
        rows.append(
            {
                "images": kind,
                "threads": threads,
                "what": name,
                **milliseconds(taken[name][:, 0]),
                "cpu_ms": round(1e3 * float(np.median(taken[name][:, 1])), 1),
                "throughput_of": own[name],
                "ratio": round(float(wall), 3),
                "cpu_ratio": round(float(processor), 3),
                "rounds": len(taken[name]),
            }
        )
    return rows


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table of the page, from the rows of the CSV file."""
    return [
        "| images | threads | what | time (quartiles) | processor time | ours against it "
        "| by processor time |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {r['images']} | {r['threads']} | {r['what']} | {r['ms']:.0f} ms "
            f"({r['ms_low']:.0f}-{r['ms_high']:.0f}) | {r['cpu_ms']:.0f} ms | "
            + (
                "| |"
                if r["what"] == r["throughput_of"]
                else f"{r['ratio']:.2f} | {r['cpu_ratio']:.2f} |"
            )
            for r in rows
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=128)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv, write_text

    rows = [
        row
        for threads in args.threads
        for kind in ("grey", "colour")
        for row in measure(kind, threads, args)
    ]
    write_csv(RESULTS / "simclr.csv", list(rows[0]), [list(row.values()) for row in rows])
    lines = [
        *table_lines(rows),
        "",
        f"Medians of {args.rounds} interleaved rounds of {args.batch_size} images (two views each) "
        f"at {args.image_size} px. The last columns are the throughput of the package's loop (of "
        "its views, for other views alone) over that of the row, the median over the rounds, "
        "by the clock on the wall and by the processor time of the process, which other processes "
        f"hardly touch. Made by `python benchmarks/simclr.py --rounds {args.rounds} --warm "
        f"{args.warm}` on {machine()}; "
        f"{versions('torch', 'lightly', 'kornia', 'torchvision', 'pillow')}.",
        "",
    ]
    write_text(RESULTS / "simclr.md", "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
