"""Is the test split like train? The same regression, fitted and read across them.

    python benchmarks/split_shift.py runs/study/...-ablation-pneumoniamnist

Fits the logistic regression of `hybridq.evaluation.measures.geometry` on raw pixels and on the
frozen features of an ablation's encoders, always on as many images as 80% of the test split, and
reads it on images that it was not fitted on: fitted and read within train, fitted there and read on
test, and fitted and read within test. Where the second is below both others,
neither the difficulty of the test images nor their number explains it: the splits differ, or images
of one split are alike in a way that helps a fit within it, as those of one patient are (MedMNIST
does not say whose an image is). SimCLR encoders have seen the train images, without labels; raw
pixels and random encoders have seen none.

This is a diagnosis that reads the test labels. It chooses nothing, and nothing may be chosen by it:
run it after the test split was read with the last recipe. A row of `docs/results/split_shift.csv`
is one encoder, the mean and the range over `REPEATS` draws of images.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from rows import rows_so_far

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "split_shift.csv"
HEADER = ("data", "features", "seed", "fitted_on", "read_on", "images", "auc", "low", "high")
REPEATS = 10
POOL = "train"


def draws(pool: Any, test: Any) -> dict[tuple[str, str], list[tuple[Any, Any]]]:
    """Images to fit on and to read, as indices into the pool followed by the test images.

    Args:
        pool: Labels of train.
        test: Labels of test.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    fitted = round(0.8 * len(test))
    left_out = len(test) - fitted
    shuffled = StratifiedShuffleSplit(
        REPEATS, train_size=fitted, test_size=left_out, random_state=0
    )
    of_pool = list(shuffled.split(pool, pool))
    of_test = [(len(pool) + fit, len(pool) + read) for fit, read in shuffled.split(test, test)]
    across = [(fit, read) for (fit, _), (_, read) in zip(of_pool, of_test, strict=True)]
    return {(POOL, POOL): of_pool, (POOL, "test"): across, ("test", "test"): of_test}


def main() -> None:
    """Compare the splits of a study's data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", type=Path, help="finished folder of `hybridq study ablation`")
    args = parser.parse_args()
    from hybridq.config import AblationStudyConfig
    from hybridq.evaluation.baselines import pixel_inputs
    from hybridq.evaluation.measures.geometry import probe_scores
    from hybridq.runs.folder import read_config
    from hybridq.studies.ablation.encoders import READ
    from hybridq.studies.ablation.labels import study_data
    from hybridq.utils.files import write_csv

    config = read_config(args.study, AblationStudyConfig, "study ablation")
    data = study_data(config, *READ)
    splits = [data.splits[name] for name in READ]
    labels = np.concatenate([split.labels for split in splits])
    parts = draws(splits[0].labels, splits[1].labels)
    rows = [[row[key] for key in HEADER] for row in rows_so_far(OUT) if row["data"] != data.name]

    def add(kind: str, seed: str, features: Any) -> None:
        for (fitted_on, read_on), indices in parts.items():
            scores = probe_scores(features, labels, indices)
            figures = [statistics.mean(scores), min(scores), max(scores)]
            named = [data.name, kind, seed, fitted_on, read_on, str(len(indices[0][0]))]
            rows.append([*named, *(f"{value:.4f}" for value in figures)])
            print(*rows[-1], flush=True)

    add("raw pixels", "", np.concatenate([pixel_inputs(split.images) for split in splits]))
    for path in sorted((args.study / "features").glob("*-s*.npz")):
        kind, _, seed = path.stem.partition("-s")
        with np.load(path) as file:
            add(kind, seed, np.concatenate([file[name] for name in READ]))
    write_csv(OUT, list(HEADER), rows)


if __name__ == "__main__":
    main()
