"""What is a Rydberg reservoir worth on ten digits, beside classical features of its size?

    python benchmarks/reservoir_mnist.py --data ../shared/data/mnist/t10k.npz

The pattern of QuEra's tutorial (arXiv:2407.02553): eight principal components of MNIST become the
detunings of a chain of eight atoms 10 um apart, at most 6 rad/us; the values of Z and ZZ at eight
times are 288 features. A multinomial logistic regression reads them, the components alone, and
classical features of the same number or of three degrees. All inputs are standardised. Of MNIST's
10,000 test images 4,000 are fitted and 1,000 judged, drawn from a seed, five times. The table goes
to `docs/results/reservoir_mnist.csv`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from hybridq.quantum.reservoir.rydberg import RydbergChain, embed

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "reservoir_mnist.csv"
COMPONENTS, DETUNING, TRAIN, TEST = 8, 6.0, 4000, 1000
Floats = NDArray[np.float64]


def features(rng: np.random.Generator) -> dict[str, Callable[[Floats], Floats]]:
    """What is made of components of which the largest is 1 in magnitude, by name."""
    chain = RydbergChain(COMPONENTS)
    count = chain.num_readouts

    def reservoir(rows: Floats) -> Floats:
        return embed(chain, torch.from_numpy(DETUNING * rows)).numpy()

    def scaled(rows: Floats) -> Floats:
        return rows * np.sqrt(COMPONENTS) / np.sqrt((rows**2).sum(1).mean())

    weights, phases = rng.normal(size=(COMPONENTS, count)), rng.uniform(0, 2 * np.pi, count)
    offsets = rng.normal(size=count)
    return {
        "components": lambda rows: rows,
        "Rydberg reservoir": reservoir,
        "random Fourier features": lambda rows: np.cos(scaled(rows) @ weights * 0.5 + phases),
        "random tanh (ELM)": lambda rows: np.tanh(scaled(rows) @ weights + offsets),
        "cubic polynomial": PolynomialFeatures(3, include_bias=False).fit_transform,
    }


def accuracy(train: Floats, test: Floats, labels: tuple[Any, Any]) -> float:
    """The accuracy of a multinomial logistic regression on standardised features."""
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(C=1.0, max_iter=300).fit(scaler.transform(train), labels[0])
    return float(model.score(scaler.transform(test), labels[1]))


def main() -> None:
    """Embed, read, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=5)
    args = parser.parse_args()
    from hybridq.utils.files import write_csv

    with np.load(args.data) as file:
        images, labels = file["images"].reshape(len(file["labels"]), -1) / 255, file["labels"]
    components = PCA(COMPONENTS, random_state=0).fit(images).transform(images)
    components /= np.abs(components).max()
    rows = []
    for name, make in features(np.random.default_rng(0)).items():
        begun = time.perf_counter()
        made = make(components)
        seconds = time.perf_counter() - begun
        found = []
        for split in range(args.splits):
            order = np.random.default_rng(split).permutation(len(labels))
            kept, held = order[:TRAIN], order[TRAIN : TRAIN + TEST]
            found.append(accuracy(made[kept], made[held], (labels[kept], labels[held])))
        rows.append(
            {
                "features": name,
                "count": made.shape[1],
                "accuracy": round(float(np.mean(found)), 4),
                "least": round(min(found), 4),
                "most": round(max(found), 4),
                "seconds": round(seconds, 2),
            }
        )
        print(" | ".join(map(str, rows[-1].values())), flush=True)
    write_csv(OUT, list(rows[0]), [list(row.values()) for row in rows])


if __name__ == "__main__":
    main()
