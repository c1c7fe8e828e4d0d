"""Do the verdicts on two models keep their word?

    python benchmarks/verdicts.py

Simulated studies: training seeds of two models on the same test images, scored by the model of
Roe & Metz, Acad. Radiol. 4:298 (1997), with seeds as readers. The score of image i by model m from
seed s is

    shift_m y_i + R_sy + T_msy + C_i + D_mi + E_si + Z_msi,

all normal: R and T effects of the seed on the separation of the classes (y is the class of i), the
same for both models and not; C, D, E what makes an image hard for all, for a model, for a seed;
Z the rest. The variances of C to Z sum to 1 and those of R and T are `spread ** 2`, so the expected
AUC is Phi(shift / sqrt(2 + 4 spread ** 2)), and the expected accuracy with the threshold at
shift / 2 is Phi(shift / (2 sqrt(1 + 2 spread ** 2))).

Counted are the verdicts of `compare` where the truth is no difference and where it is the margin,
those of families of five models against a sixth, and, beside them, DeLong's test, written here by
comparing all pairs of images: of each seed alone, and of the seeds' mean AUCs with the seeds held
fixed. A second table is of encoders crossed with label subsets, and of effects that are skewed or
of trainings that collapse (`crossed_worlds.py`). Both go to `docs/results/verdicts.csv` and `.md`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crossed_worlds import crossed_worlds, run_crossed
from numpy.typing import NDArray
from scipy.stats import norm
from timing import versions

from hybridq.evaluation.statistics import compare, family
from hybridq.evaluation.statistics.comparing import Figure
from hybridq_backends.utils.files import atomic_path

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
ALPHA = 0.05
# Variances over images: of all, of a model, of a seed, the rest.
IMAGE_VARIANCES = (0.3, 0.2, 0.2, 0.3)
FAMILY = 5
VERDICTS = ("better", "worse", "equivalent", "undecided")
SETTING = ("figure", "level", "margin", "images", "seeds", "spread", "models")


@dataclass(frozen=True)
class World:
    """Where studies are drawn from.

    Attributes:
        figure: What is compared.
        level: Expected figure of model A.
        difference: By how much that of B is lower.
        margin: Of equivalence.
        images: Test images.
        share: Share of class 1 among them.
        seeds: Training seeds.
        spread: Standard deviation of the seeds' effects R and T.
    """

    figure: Figure
    level: float
    difference: float
    margin: float
    images: int
    share: float
    seeds: int
    spread: float


def labels_of(images: int, share: float) -> Ints:
    """`(images,)` labels, the ones last."""
    return (np.arange(images) >= round((1 - share) * images)).astype(np.int64)


def simulate(rng: np.random.Generator, world: World, *, models: int = 2) -> tuple[Ints, Floats]:
    """`(images,)` labels and `(models, seeds, images)` scores; all but the first are model B."""
    labels = labels_of(world.images, world.share)
    seeds, images = world.seeds, world.images
    levels = np.full(models, world.level - world.difference)
    levels[0] = world.level
    shifts = norm.ppf(levels) * np.sqrt(1 + 2 * world.spread**2)
    shifts *= 2 if world.figure == "accuracy" else np.sqrt(2)
    shapes = ((1, 1, images), (models, 1, images), (1, seeds, images), (models, seeds, images))
    scores = shifts[:, None, None] * labels
    for variance, shape in zip(IMAGE_VARIANCES, shapes, strict=True):
        scores = scores + np.sqrt(variance) * rng.standard_normal(shape)
    by_class = rng.standard_normal((1, seeds, 2)) + rng.standard_normal((models, seeds, 2))
    scores = scores + world.spread * by_class[:, :, labels]
    if world.figure == "accuracy":
        return labels, (scores > shifts[:, None, None] / 2).astype(np.float64)
    return labels, scores


def pairwise_delong(labels: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """AUCs of `(models, images)` scores and their covariance, by comparing all pairs."""
    found, missed = scores[:, labels == 1, None], scores[:, None, labels == 0]
    wins = (found > missed) + 0.5 * (found == missed)
    aucs = wins.mean(axis=(1, 2))
    own = np.cov(wins.mean(axis=2)) / found.shape[1]
    return aucs, own + np.cov(wins.mean(axis=1)) / missed.shape[2]


def delong_says(labels: Ints, scores: Floats) -> tuple[float, bool]:
    """Share of seeds with a difference by DeLong, and whether the fixed seeds' mean has one."""
    seeds = scores.shape[1]
    aucs, covariance = pairwise_delong(labels, scores.reshape(2 * seeds, -1))
    # One row for each seed, and their mean.
    contrasts = np.vstack(
        [np.hstack([np.eye(seeds), -np.eye(seeds)]), np.repeat([1 / seeds, -1 / seeds], seeds)]
    )
    errors = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, covariance, contrasts))
    differs = 2 * norm.sf(np.abs(contrasts @ aucs) / errors) < ALPHA
    return float(differs[:-1].mean()), bool(differs[-1])


def run(world: World, studies: int, *, seed: int = 0, delong: bool = True) -> dict[str, Any]:
    """Shares of the verdicts on A against B, and of differences by DeLong."""
    rng = np.random.default_rng(seed)
    found, says = [], []
    for _ in range(studies):
        labels, scores = simulate(rng, world)
        found.append(
            compare(
                labels,
                scores[0],
                scores[1],
                margin=world.margin,
                level=1 - ALPHA,
                figure=world.figure,
            )
        )
        if delong and world.figure == "auc":
            says.append(delong_says(labels, scores))
    verdicts = Counter(item.verdict for item in found)
    one, fixed = np.mean(says, axis=0) if says else (None, None)
    return {
        **asdict(world),
        "models": 2,
        "studies": studies,
        **{name: verdicts[name] / studies for name in VERDICTS},
        "differs": (verdicts["better"] + verdicts["worse"]) / studies,
        "tost": sum(item.p_equivalence < ALPHA for item in found) / studies,
        "interval_covers": sum(i.low <= world.difference <= i.high for i in found) / studies,
        "delong_one_seed": one,
        "delong_fixed_seeds": fixed,
    }


def run_family(world: World, studies: int, *, seed: int = 0) -> dict[str, Any]:
    """Shares of the families in which a verdict is given at least once."""
    rng = np.random.default_rng(seed)
    verdicts: Counter[str] = Counter()
    differs = 0
    for _ in range(studies):
        labels, scores = simulate(rng, world, models=FAMILY + 1)
        alone = [
            compare(labels, scores[0], other, margin=world.margin, level=1 - ALPHA)
            for other in scores[1:]
        ]
        found = {item.verdict for item in family(alone)}
        verdicts.update(found)
        differs += not found.isdisjoint({"better", "worse"})
    shares = {name: verdicts[name] / studies for name in VERDICTS}
    shares["differs"] = differs / studies
    return {**asdict(world), "models": FAMILY + 1, "studies": studies, **shares}


def worlds() -> list[World]:
    """Two models, at no difference and at a difference of the margin."""
    # Images and class shares of BreastMNIST's test split, and of PneumoniaMNIST's at 600 images.
    sizes = ((156, 0.731), (600, 0.625))
    found = [
        World("auc", 0.90, difference, 0.05, images, share, 5, spread)
        for images, share in sizes
        for spread in (0.0, 0.06, 0.15)
        for difference in (0.0, 0.05)
    ]
    found += [
        World("auc", 0.98, difference, 0.02, images, share, 5, 0.15)
        for images, share in sizes
        for difference in (0.0, 0.02)
    ]
    found += [World("auc", 0.90, d, 0.05, 600, 0.625, 1, 0.0) for d in (0.0, 0.05)]
    found += [
        World("accuracy", 0.85, difference, 0.05, images, share, seeds, 0.06 * (seeds > 1))
        for images, share in sizes
        for seeds in (1, 5)
        for difference in (0.0, 0.05)
    ]
    return found


PLAIN = ("figure", "level", "difference", "margin", "images", "seeds", "spread", "models")
CROSSED = (
    *("level", "difference", "margin", "images", "classes", "seeds", "subsets", "spread"),
    *("effects", "collapse", "studies"),
)


def table(rows: list[dict[str, Any]], fixed: Sequence[str], shares: Sequence[str]) -> str:
    """The rows as a table of shares in percent."""
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in (*fixed, *shares)) + " |",
        "|" + "---|" * (len(fixed) + len(shares)),
    ]
    for row in rows:
        cells = [row[k] if isinstance(row[k], str) else f"{row[k]:g}" for k in fixed]
        for name in shares:
            value = row.get(name)
            cells.append("" if value is None else f"{100 * value:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def crossed_summary(rows: list[dict[str, Any]]) -> str:
    """What the table of crossed studies says of errors and coverage."""
    lines = []
    for subsets, what in ((50, "5 encoders by 50 label subsets"), (1, "5 plain seeds")):
        own = [row for row in rows if row["subsets"] == subsets]
        same = [row["differs"] for row in own if row["difference"] == 0]
        edge = [row["equivalent"] for row in own if row["difference"] > 0]
        lines.append(
            f"- {what}, AUC 0.65 to 0.8, skewed effects or collapsing trainings: `better` or "
            f"`worse` at no difference in {spanned(same)} (mean {percent(np.mean(same))}), "
            f"`equivalent` at a difference of the margin in {spanned(edge)} (mean "
            f"{percent(np.mean(edge))}). The 95% interval of a difference holds the true one in "
            f"{spanned([row['interval_covers'] for row in own])}, that of a mean in "
            f"{spanned([row['mean_covers'] for row in own])}."
        )
    return "\n".join(lines)


def spanned(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f} to {percent(max(shares))}"


def summary(rows: list[dict[str, Any]]) -> str:
    """What the table says of errors and power."""
    same = [row for row in rows if row["difference"] == 0]
    edge = [row for row in rows if row["difference"] == row["margin"]]
    power = [
        row for row in edge if (row["figure"], row["margin"], row["images"]) == ("auc", 0.05, 600)
    ]
    covers = [row["interval_covers"] for row in rows if row["models"] == 2]
    wrong = max(row["differs"] for row in same if row["models"] == 2)
    family_wrong = max(row["differs"] for row in same if row["models"] > 2)
    lines = [
        f"- No difference: `better` or `worse` in at most {percent(wrong)} of the studies; in "
        f"families of {FAMILY} comparisons, at least one in at most {percent(family_wrong)}.",
        "- A difference of the margin: `equivalent` in at most "
        f"{percent(max(row['equivalent'] for row in edge))}.",
        "- The 95% interval of a difference holds the true one in "
        f"{percent(min(covers))} to {percent(max(covers))} of the studies.",
    ]
    for row in power:
        null = next(other for other in same if all(row[name] == other[name] for name in SETTING))
        seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
        lines.append(
            f"- A difference of 0.05 AUC, 600 images, {seeds}, spread {row['spread']:g}: `better` "
            f"in {percent(row['better'])}, wrong at no difference in {percent(null['differs'])}. "
            f"DeLong of each seed alone: {percent(row['delong_one_seed'])}, wrong in "
            f"{percent(null['delong_one_seed'])}; of the mean with the seeds held fixed: "
            f"{percent(row['delong_fixed_seeds'])}, wrong in "
            f"{percent(null['delong_fixed_seeds'])}."
        )
    return "\n".join(lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """What the page says and its two tables, from the rows of the CSV file."""
    plain = [row for row in rows if row.get("effects") is None]
    crossed = [row for row in rows if row.get("effects") is not None]
    shares = (*VERDICTS, "tost", "interval_covers")
    first = table(plain, PLAIN, (*shares, "delong_one_seed", "delong_fixed_seeds"))
    second = table(crossed, CROSSED, (*shares, "mean_covers"))
    return [summary(plain), crossed_summary(crossed), "", first, "", second]


def write(out: Path, plain: list[dict[str, Any]], crossed: list[dict[str, Any]], note: str) -> None:
    """Write both tables, as `verdicts.csv` and, with what they say, as `verdicts.md`."""
    names = dict.fromkeys(name for row in (*plain, *crossed) for name in row)
    with (
        atomic_path(out / "verdicts.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(names))
        writer.writeheader()
        writer.writerows([*plain, *crossed])
    with atomic_path(out / "verdicts.md") as path:
        path.write_text(
            "\n".join(table_lines([*plain, *crossed])) + f"\n\n{note}", encoding="utf-8"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=1000, help="of a row of the first table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    started = time.perf_counter()
    plain, crossed = [], []
    for index, world in enumerate(worlds()):
        plain.append(run(world, arguments.studies, seed=index))
        print(plain[-1], flush=True)
    for index, difference in enumerate((0.0, 0.05)):
        world = World("auc", 0.90, difference, 0.05, 156, 0.731, 5, 0.06)
        plain.append(run_family(world, arguments.studies, seed=1000 + index))
        print(plain[-1], flush=True)
    for index, crossed_world in enumerate(crossed_worlds()):
        crossed += run_crossed(crossed_world, seed=2000 + index)
        print(*crossed[-2:], sep="\n", flush=True)
    seconds = time.perf_counter() - started
    write(arguments.out, plain, crossed, note_of(arguments.studies, seconds))


def note_of(studies: int, seconds: float) -> str:
    return (
        f"Shares in percent of {studies} simulated studies a row of the first table (a share of 5% "
        "has a standard error of 0.7% there, of 1.5% with 200 studies); of families, those in "
        "which the verdict is given at least once. `level` is the expected figure of model A, "
        "`difference` by how much that of B is lower, `spread` the standard deviation of the "
        "seeds' effects in units of the images' own; in the second table those of an AUC between "
        "encoders, between label subsets, and of the rest. `collapse`: chance that a training "
        "ends without any separation. `tost`: p of equivalence below 5%, whatever the verdict. The "
        "generators are described in `benchmarks/verdicts.py` and `benchmarks/crossed_worlds.py`."
        f"\n\nMade by `python benchmarks/verdicts.py` in {seconds:.0f} s on one core; "
        f"{versions('numpy', 'scipy')}.\n"
    )


if __name__ == "__main__":
    main()
