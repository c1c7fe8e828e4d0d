"""How do trained models stand other exposures? Validation images, changed, on finished runs.

    hybridq finetune --data pneumoniamnist --encoder ENCODER --head mlp --name TRY ...
    python benchmarks/shifted_validation.py --runs runs/finetune/*-TRY

Where validation is easy and the test split was taken elsewhere, as PneumoniaMNIST's, the plain
validation AUC tells recipes apart no longer. Here the same images are read darker, lighter, with
less and more contrast, blurred, noisy, and shifted in scale. A row of
`docs/results/shifted_validation.csv` is a run and a change. The test split is not loaded.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rows import rows_so_far, run_name

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "shifted_validation.csv"
HEADER = ("run", "seed", "epochs", "image_size", "augment", "views", "change", "auc")


def changes() -> dict[str, Callable[[Any], Any]]:
    """Changes of float images `(count, channels, height, width)` on a scale of 0 to 1."""
    import torch
    from torchvision.transforms.v2 import functional as tv

    def noisy(images: Any) -> Any:
        draws = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + 0.05 * draws).clamp(0, 1)

    def scaled(factor: float) -> Callable[[Any], Any]:
        return lambda images: tv.affine(
            images, angle=0.0, translate=[0, 0], scale=factor, shear=[0]
        )

    return {
        "none": lambda images: images,
        "gamma 0.6": lambda images: images**0.6,
        "gamma 1.6": lambda images: images**1.6,
        "contrast 0.6": lambda images: tv.adjust_contrast(images, 0.6),
        "contrast 1.6": lambda images: tv.adjust_contrast(images, 1.6),
        "brightness 0.7": lambda images: images * 0.7,
        "brightness 1.3": lambda images: (images * 1.3).clamp(0, 1),
        "blur": lambda images: tv.gaussian_blur(images, [3, 3], [0.8, 0.8]),
        "noise 0.05": noisy,
        "scale 0.85": scaled(0.85),
        "scale 1.15": scaled(1.15),
    }


def shifted_aucs(run: Path, views: Any, data_root: Path | None) -> dict[str, float]:
    """Validation AUC of a run under each change."""
    import torch

    from hybridq.config import FinetuneConfig
    from hybridq.data import load_data
    from hybridq.evaluation.evaluate import classify
    from hybridq.evaluation.metrics.scores import auc
    from hybridq.models.checkpoint import load_model
    from hybridq.runs.folder import read_config
    from hybridq_backends import open_backend

    result = {}
    with open_backend("statevector") as backend:
        model, _ = load_model(run, backend=backend)
        source = read_config(run, FinetuneConfig, "finetune").data
        split = load_data(source, data_root=data_root, splits=("val",)).splits["val"]
        images = torch.from_numpy(split.images).permute(0, 3, 1, 2).float() / 255
        for name, change in changes().items():
            changed = (change(images) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            other = dataclasses.replace(split, images=changed.contiguous().numpy())
            probs = classify(model, other, multilabel=False, views=views)
            result[name] = auc(split.labels, probs)
    return result


def main() -> None:
    """Print a line for each run; write a row for each change."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--views", default="zoom", help="as of hybridq evaluate")
    parser.add_argument("--data-root", type=Path, default=None)
    args = parser.parse_args()
    import torch

    from hybridq.config import FinetuneConfig
    from hybridq.runs.folder import read_config
    from hybridq.utils.files import write_csv

    torch.set_num_threads(1)
    names = list(changes())
    print("| run | " + " | ".join([*names, "mean changed"]) + " |")
    print("|---" * (len(names) + 2) + "|")
    rows = [[row[key] for key in HEADER] for row in rows_so_far(OUT)]
    for run in args.runs:
        found = shifted_aucs(run, args.views, args.data_root)
        changed = statistics.mean(value for name, value in found.items() if name != "none")
        texts = [f"{value:.4f}" for value in [*found.values(), changed]]
        print(f"| {run.name} | " + " | ".join(texts) + " |", flush=True)
        name = run_name(run)
        rows = [row for row in rows if (row[0], row[5]) != (name, args.views)]
        config = read_config(run, FinetuneConfig, "finetune")
        augment = json.dumps(config.augment.model_dump())
        about = [name, config.seed, config.epochs, config.image_size, augment, args.views]
        rows += [[*about, change, f"{value:.6f}"] for change, value in found.items()]
    write_csv(OUT, list(HEADER), rows)


if __name__ == "__main__":
    main()
